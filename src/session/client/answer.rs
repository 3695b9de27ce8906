//! The router's own answers: OK, ERR, and small results. A server's answer does not come here: it is passed on as it came
//! ([`crate::session::link::relay`]).

use crate::net::write::write_all;
use crate::protocol::capabilities::Capabilities;
use crate::protocol::codec::{put_lenenc, put_lenenc_bytes, put_packet};
use crate::protocol::response::{ErrPacket, OkPacket, put_end, put_schema, put_text_column, put_variable};
use crate::protocol::status::Status;
use crate::session::error::{SessionEnd, StatementError};
use crate::session::parts::Session;

/// Variables whose changes both engines report to a client that takes reports, where it asks for no others.
const TOLD: [&str; 5] =
    ["autocommit", "character_set_client", "character_set_connection", "character_set_results", "time_zone"];

impl Session {
    /// Sends one packet, together with what others send in this turn.
    pub(in crate::session) async fn send_packet(
        &mut self,
        encode: impl FnOnce(&mut Vec<u8>),
        sequence: u8,
    ) -> Result<(), SessionEnd> {
        let mut out = self.worker.buffers.take();
        self.put(&mut out, encode, sequence);
        self.send_packets(out).await
    }

    /// Sends packets that stand in one of the worker's buffers, together with what others send in this turn.
    pub(in crate::session) async fn send_packets(&mut self, out: Vec<u8>) -> Result<(), SessionEnd> {
        self.worker.stats.counters.client_bytes_sent.add(out.len() as u64);
        let sent = self.client.send(&out).await;
        self.worker.buffers.give(out);
        sent.map_err(|e| SessionEnd::ClientBroke(e.source))
    }

    /// Sends an error as the whole answer to the present request.
    pub(in crate::session) async fn send_error(
        &mut self,
        error: &StatementError,
        sequence: u8,
    ) -> Result<(), SessionEnd> {
        self.send_now(&error.packet(), sequence).await
    }

    /// Sends an error after which the session may end: it has left, as far as that can be known, when this is done.
    pub(in crate::session) async fn send_now(&mut self, error: &ErrPacket<'_>, sequence: u8) -> Result<(), SessionEnd> {
        let mut out = self.worker.buffers.take();
        self.put(&mut out, |out| error.encode(out), sequence);
        self.worker.stats.counters.client_bytes_sent.add(out.len() as u64);
        let written = write_all(&mut self.client, &out).await;
        self.worker.buffers.give(out);
        written.map_err(|e| SessionEnd::ClientBroke(e.source))
    }

    /// Appends a packet; gives the sequence number of the next.
    pub(in crate::session) fn put(&self, out: &mut Vec<u8>, encode: impl FnOnce(&mut Vec<u8>), sequence: u8) -> u8 {
        let mut payload = self.worker.buffers.take();
        encode(&mut payload);
        let next = put_packet(out, &payload, sequence);
        self.worker.buffers.give(payload);
        next
    }

    /// The status flags for an answer of our own.
    pub(in crate::session) fn own_status(&self) -> Status {
        self.status & Status::LASTING
    }

    /// Sends OK as the whole answer to the present request.
    pub(in crate::session) async fn send_ok(&mut self, info: &[u8]) -> Result<(), SessionEnd> {
        let ok = OkPacket { status: self.own_status(), info, ..OkPacket::default() };
        let (capabilities, sequence) = (self.capabilities, self.inbox.sequence().wrapping_add(1));
        self.send_packet(|out| ok.encode(out, capabilities), sequence).await
    }

    /// Sends OK as the whole answer to a command that is no statement, and leaves what the last statement left.
    pub(in crate::session) async fn send_ok_as_left(&mut self) -> Result<(), SessionEnd> {
        let ok = OkPacket { status: self.own_status(), warnings: self.left.told(), ..OkPacket::default() };
        let (capabilities, sequence) = (self.capabilities, self.inbox.sequence().wrapping_add(1));
        self.send_packet(|out| ok.encode(out, capabilities), sequence).await
    }

    /// Sends OK as the whole answer to the present request, with what it changed: system variables, of which a client is told
    /// those that servers tell by default, and the default schema.
    pub(in crate::session) async fn send_ok_with(
        &mut self,
        info: &[u8],
        variables: &[(String, String)],
        schema: Option<&str>,
    ) -> Result<(), SessionEnd> {
        let mut state = Vec::new();
        let told = variables.iter().filter(|(name, _)| TOLD.contains(&name.as_str()));
        told.for_each(|(name, value)| put_variable(&mut state, name.as_bytes(), value.as_bytes()));
        if let Some(schema) = schema {
            put_schema(&mut state, schema.as_bytes());
        }
        let mut status = self.own_status();
        status.set(Status::SESSION_STATE_CHANGED, !state.is_empty());
        let ok = OkPacket { status, info, state: &state, warnings: self.left.told(), ..OkPacket::default() };
        let (capabilities, sequence) = (self.capabilities, self.inbox.sequence().wrapping_add(1));
        self.send_packet(|out| ok.encode(out, capabilities), sequence).await
    }

    /// Sends what ends rows (COM_SET_OPTION's whole answer).
    pub(in crate::session) async fn send_end(&mut self) -> Result<(), SessionEnd> {
        let (capabilities, status) = (self.capabilities, self.own_status());
        let (sequence, warnings) = (self.inbox.sequence().wrapping_add(1), self.left.told());
        self.send_packet(|out| put_end(out, capabilities, status, warnings), sequence).await
    }

    /// Sends a result set of text columns.
    pub(in crate::session) async fn send_rows(
        &mut self,
        columns: &[&str],
        rows: &[Vec<Option<String>>],
    ) -> Result<(), SessionEnd> {
        let mut out = Vec::new();
        let mut payload = Vec::new();
        let mut sequence = self.inbox.sequence().wrapping_add(1);
        let mut put = |out: &mut Vec<u8>, payload: &mut Vec<u8>| {
            sequence = put_packet(out, payload, sequence);
            payload.clear();
        };
        put_lenenc(&mut payload, columns.len() as u64);
        put(&mut out, &mut payload);
        for column in columns {
            put_text_column(&mut payload, column);
            put(&mut out, &mut payload);
        }
        let (capabilities, status) = (self.capabilities, self.own_status());
        if !capabilities.contains(Capabilities::DEPRECATE_EOF) {
            put_end(&mut payload, capabilities, status, 0);
            put(&mut out, &mut payload);
        }
        for row in rows {
            for value in row {
                match value {
                    Some(text) => put_lenenc_bytes(&mut payload, text.as_bytes()),
                    None => payload.push(0xfb),
                }
            }
            put(&mut out, &mut payload);
        }
        put_end(&mut payload, capabilities, status, 0);
        put(&mut out, &mut payload);
        self.worker.stats.counters.client_bytes_sent.add(out.len() as u64);
        write_all(&mut self.client, &out).await.map_err(|e| SessionEnd::ClientBroke(e.source))
    }
}
