//! One request to a backend and its response back to the client, byte for byte.
//!
//! What it refuses: to wait for a whole packet before passing it on, to read rows, and to guess. It hands on what the
//! [`Tracker`] has decided, keeps back what is undecided, and reports what the response did.

use super::buffers::Buffers;
use crate::net::Stream;
use crate::net::write::{WriteError, poll_write_all, poll_write_now};
use crate::protocol::capabilities::Capabilities;
use crate::protocol::codec::{HEADER, Truncated, put_packet};
use crate::protocol::response::{ErrPacket, OkPacket};
use crate::protocol::response::{StateChange, is_eof, replace_lasting_flags, without_session_track};
use crate::protocol::status::Status;
use crate::protocol::tracker::{Desync, Expect, Packet, Step, Summary, Tracker};
use std::io;
use std::task::{Context, Poll, ready};
use std::time::{Duration, Instant};

/// ER_SERVER_SHUTDOWN (server error reference of both engines): sent to whoever is served while the server stops.
pub const SERVER_SHUTDOWN: u16 = 1053;
/// ER_OPTION_PREVENTS_STATEMENT: an option of the server's forbids the statement, which its text names.
const READ_ONLY_OPTION: u16 = 1290;
/// ER_READ_ONLY_MODE: InnoDB is read-only.
const READ_ONLY_MODE: u16 = 1836;

/// What session tracking reported in a response.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Changes {
    /// System variables, name and value, in order.
    pub variables: Vec<(String, String)>,
    /// The default schema.
    pub schema: Option<String>,
    /// The server says that some state changed, of whatever kind.
    pub state_changed: bool,
    /// Something changed, and what it was has been lost: MariaDB says so in an EOF packet, which has no room for more.
    pub unreported: bool,
}

impl Changes {
    /// Notes what an OK packet reports.
    pub(super) fn read(&mut self, payload: &[u8]) -> Result<(), Desync> {
        let ok = OkPacket::decode(payload, Capabilities::SESSION_TRACK)
            .map_err(|_| Desync::Malformed("an OK packet with session state"))?;
        for change in ok.changes() {
            match change.map_err(|_| Desync::Malformed("session state"))? {
                StateChange::Variable { name, value } => self.variables.push((lossy(name), lossy(value))),
                StateChange::Schema(name) => self.schema = Some(lossy(name)),
                StateChange::State(changed) => self.state_changed |= changed,
                _ => {}
            }
        }
        Ok(())
    }
}

/// What a response did.
#[derive(Clone, Debug, Default)]
pub struct Outcome {
    /// The last status flags; with no OK or EOF in the response, none.
    pub status: Option<Status>,
    /// Warnings of the last result.
    pub warnings: u16,
    /// The last AUTO_INCREMENT value that was not 0.
    pub insert_id: u64,
    /// Rows changed, over all results.
    pub affected_rows: u64,
    /// Rows sent.
    pub rows: u64,
    /// A cursor was opened for the client.
    pub cursor: bool,
    /// The error that ended it.
    pub error: Option<u16>,
    /// Rows ended it.
    pub ended_by_rows: bool,
    /// An EOF packet ended it: nothing was said of session state.
    pub ended_by_eof: bool,
    /// Its text. Boxed: rare.
    pub error_text: Box<str>,
    /// The answer to a PREPARE: the server's id, columns, parameters.
    pub prepared: Option<(u32, u16, u16)>,
    /// Session state that changed. Boxed: rare.
    pub changes: Option<Box<Changes>>,
    /// Bytes that went to the client.
    pub bytes: u64,
    /// When its first bytes had come, if others came after them. An answer in one piece has no such moment apart from its
    /// end, and costs no look at the clock.
    pub began: Option<Instant>,
}

/// What stopped a relay.
#[derive(Debug)]
pub enum RelayError {
    /// The client's connection broke. The backend's is in the middle of a response.
    Client(io::Error),
    /// The backend's connection broke, or the backend broke the protocol.
    Backend {
        /// What happened.
        why: BackendFault,
        /// True if part of the response had gone to the client; after a file, part of what follows that.
        delivered: bool,
    },
}

/// What a backend did wrong.
#[derive(Debug, thiserror::Error)]
pub enum BackendFault {
    /// It closed the connection.
    #[error("the server closed the connection")]
    Closed,
    /// The connection broke.
    #[error("{0}")]
    Io(#[from] io::Error),
    /// It broke the protocol.
    #[error("{0}")]
    Desync(#[from] Desync),
    /// It is shutting down, and said so before anything else was done. The connection ends with it.
    #[error("the server is shutting down")]
    ShuttingDown,
    /// It is read-only, and has refused the statement before anything was done. The connection is as good as before.
    #[error("{0}")]
    ReadOnly(String),
    /// It did not answer the router itself in time.
    #[error("the server did not answer within {} ms", .0.as_millis())]
    Silent(Duration),
}

/// How the response is passed on.
#[derive(Clone, Copy, Debug, Default)]
pub struct Manner {
    /// The client takes session tracking information as it comes. If not, the OK packets that carry it are rewritten.
    pub client_tracks: bool,
    /// Put this statement id in place of the server's in the answer to a PREPARE.
    pub statement_id: Option<u32>,
    /// Show the client these flags of the session in the place of the connection's ([`Relay::show`]).
    pub shown: Option<Status>,
    /// Keep from the client that the server is read-only ([`Relay::keep_refusal`]).
    pub keeps_refusal: bool,
}

/// A request on its way to a server, and its response on its way back. Each link has one, used for one request after the
/// other: a session that waits for its client holds nothing of it.
///
/// ```text
///   begin ─▶ poll_send ─▶ poll_answer ─┬─▶ finish
///                              ▲       │
///                              └─ file_sent: the server has asked for a file
/// ```
pub struct Relay {
    /// Bytes of the request that have left.
    written: usize,
    /// All of it has.
    is_sent: bool,
    tracker: Tracker,
    manner: Manner,
    /// Undecided bytes: the head of a packet that must be read whole.
    carry: Vec<u8>,
    /// Bytes that the client's socket did not take yet.
    out: Vec<u8>,
    outcome: Outcome,
    /// The client has sent something while the server works.
    client_is_early: bool,
    /// Bytes of the answer that had gone out when the client had sent the last file, if it has sent one.
    at_file: Option<u64>,
    /// A result has ended: part of the request has been carried out.
    in_part: bool,
}

impl Default for Relay {
    fn default() -> Self {
        Self {
            written: 0,
            is_sent: false,
            tracker: Tracker::new(Expect::Results, true, 0),
            manner: Manner::default(),
            carry: Vec::new(),
            out: Vec::new(),
            outcome: Outcome::default(),
            client_is_early: false,
            at_file: None,
            in_part: false,
        }
    }
}

impl Relay {
    /// Another request, whose response `tracker` expects. The one before has finished.
    pub fn begin(&mut self, tracker: Tracker, manner: Manner) {
        debug_assert!(
            self.carry.is_empty() && self.out.is_empty(),
            "a connection is closed in the middle of a response"
        );
        self.written = 0;
        self.is_sent = false;
        self.tracker = tracker;
        self.manner = manner;
        self.client_is_early = false;
        self.at_file = None;
        self.in_part = false;
    }

    /// Sends the request, the same bytes at each poll; then always ready.
    ///
    /// # Errors
    /// [`WriteError`], with what had left before.
    pub fn poll_send(
        &mut self,
        cx: &mut Context<'_>,
        request: &[u8],
        server: &mut Stream,
    ) -> Poll<Result<(), WriteError>> {
        if self.is_sent {
            // It was posted, and the server's socket did not take it.
            return if server.is_owing() { server.poll_settle(cx) } else { Poll::Ready(Ok(())) };
        }
        if self.written > 0 || !server.post(request, cx) {
            ready!(poll_write_all(server, cx, request, &mut self.written))?;
        }
        self.is_sent = true;
        Poll::Ready(Ok(()))
    }

    /// The connection is not the session's home: what the answer says of transactions and modes is to be the session's.
    pub fn show(&mut self, session: Status) {
        self.manner.shown = Some(session);
    }

    /// If the server refuses the statement for being read-only, the client is not to hear of it yet: that is
    /// [`BackendFault::ReadOnly`].
    pub fn keep_refusal(&mut self) {
        self.manner.keeps_refusal = true;
    }

    /// The client's file has been passed on; the last frame had the sequence number `sent`.
    pub fn file_sent(&mut self, sent: u8) {
        self.tracker.file_sent(sent);
        self.at_file = Some(self.outcome.bytes);
    }

    /// What the response has done so far; of its rows nothing yet.
    pub fn so_far(&self) -> &Outcome {
        &self.outcome
    }

    /// Bytes that have gone to the client so far.
    pub fn sent(&self) -> u64 {
        self.outcome.bytes
    }

    /// True if the client has sent a file.
    pub fn had_file(&self) -> bool {
        self.at_file.is_some()
    }

    /// True if the server is waiting for the client's file.
    pub fn wants_file(&self) -> bool {
        self.tracker.wants_file()
    }

    /// What the response did.
    pub fn finish(&mut self, buffers: &Buffers) -> Outcome {
        buffers.give(std::mem::take(&mut self.carry));
        buffers.give(std::mem::take(&mut self.out));
        self.outcome.rows = self.tracker.rows();
        self.outcome.cursor = self.tracker.opened_cursor();
        std::mem::take(&mut self.outcome)
    }

    /// Carries the response to the client until it ends, or until the server asks for a file
    /// ([`Relay::wants_file`]; poll again after [`Relay::file_sent`]).
    ///
    /// # Errors
    /// See [`RelayError`]; in every case the connection is of no more use.
    pub fn poll_answer(
        &mut self,
        cx: &mut Context<'_>,
        server: &mut Stream,
        client: &mut Stream,
        buffers: &Buffers,
    ) -> Poll<Result<(), RelayError>> {
        loop {
            if !self.out.is_empty() {
                let written = poll_write_now(client, cx, &self.out).map_err(RelayError::Client)?;
                if written < self.out.len() {
                    self.out.drain(..written);
                    return Poll::Pending;
                }
                self.out.clear();
            }
            if self.tracker.is_done() || self.tracker.wants_file() {
                if client.is_tls() {
                    ready!(std::pin::Pin::new(&mut *client as &mut (dyn tokio::io::AsyncWrite + Unpin)).poll_flush(cx))
                        .map_err(RelayError::Client)?;
                }
                return Poll::Ready(Ok(()));
            }
            match buffers.poll_read(cx, server, |bytes, cx| self.take(bytes, client, cx, buffers)) {
                Poll::Ready(Ok(taken)) => {
                    taken?;
                    if self.outcome.began.is_none() && !(self.tracker.is_done() && self.out.is_empty()) {
                        self.outcome.began = Some(Instant::now());
                    }
                }
                Poll::Ready(Err(e)) => return Poll::Ready(Err(self.backend(e.into()))),
                Poll::Pending if self.client_has_left(cx, client) => {
                    return Poll::Ready(Err(RelayError::Client(io::ErrorKind::ConnectionAborted.into())));
                }
                Poll::Pending => return Poll::Pending,
            }
        }
    }

    /// While the server works: has the client given up? Asked once per wake-up, of the event loop; a client that sends its
    /// next request early is not asked again.
    fn client_has_left(&mut self, cx: &mut Context<'_>, client: &Stream) -> bool {
        if self.client_is_early || client.poll_socket_ready(cx).is_pending() {
            return false;
        }
        self.client_is_early = true;
        client.is_closed_by_peer()
    }

    fn backend(&self, why: BackendFault) -> RelayError {
        RelayError::Backend { why, delivered: self.outcome.bytes > self.at_file.unwrap_or(0) }
    }

    /// Deals with what one read brought.
    fn take(
        &mut self,
        bytes: &[u8],
        client: &mut Stream,
        cx: &mut Context<'_>,
        buffers: &Buffers,
    ) -> Result<(), RelayError> {
        if bytes.is_empty() {
            return Err(self.backend(BackendFault::Closed));
        }
        if self.carry.is_empty() {
            return self.pass_on(bytes, client, cx, buffers);
        }
        let mut joined = std::mem::take(&mut self.carry);
        joined.extend_from_slice(bytes);
        let result = self.pass_on(&joined, client, cx, buffers);
        buffers.give(joined);
        result
    }

    #[expect(clippy::indexing_slicing, reason = "the tracker's places lie in what it was fed")]
    fn pass_on(
        &mut self,
        bytes: &[u8],
        client: &mut Stream,
        cx: &mut Context<'_>,
        buffers: &Buffers,
    ) -> Result<(), RelayError> {
        // bytes[from..to] is decided, goes out as it is, and has not gone yet.
        let (mut from, mut to) = (0, 0);
        loop {
            match self.tracker.feed(&bytes[to..]).map_err(|e| self.backend(e.into()))? {
                Step::More { pass } => {
                    to += pass;
                    break;
                }
                Step::Packet { start, end, packet } => {
                    let whole = to + start..to + end;
                    if packet == Packet::Err(SERVER_SHUTDOWN) && self.outcome.bytes == 0 && !self.in_part {
                        // Nothing of an answer has gone out, though columns and rows may have come before it: as good as a
                        // connection that broke, and treated as one.
                        return Err(self.backend(BackendFault::ShuttingDown));
                    }
                    if self.manner.keeps_refusal
                        && let Packet::Err(READ_ONLY_OPTION | READ_ONLY_MODE) = packet
                        && self.outcome.bytes == 0
                        && let Some(why) = says_read_only(&bytes[whole.start + HEADER..whole.end])
                    {
                        let is_all = whole.end == bytes.len();
                        return Err(self.backend(match is_all {
                            true => BackendFault::ReadOnly(why),
                            false => Desync::Unsolicited.into(),
                        }));
                    }
                    to = whole.end;
                    if self.note(packet, &bytes[whole.start + HEADER..whole.end])? {
                        buffers.fill(&mut self.out).extend_from_slice(&bytes[from..whole.start]);
                        self.rewrite(packet, &bytes[whole], buffers)?;
                        from = to;
                    }
                    if self.tracker.is_done() || self.tracker.wants_file() {
                        if to < bytes.len() {
                            return Err(self.backend(Desync::Unsolicited.into()));
                        }
                        break;
                    }
                }
            }
        }
        self.outcome.bytes += (to - from) as u64;
        let mut plain = &bytes[from..to];
        if self.out.is_empty() {
            // What comes in one piece is nearly always an answer that is over; more of one would only send the first part.
            let written = match self.tracker.is_done() && client.post(plain, cx) {
                true => plain.len(),
                false => poll_write_now(client, cx, plain).map_err(RelayError::Client)?,
            };
            plain = &plain[written..];
        }
        if !plain.is_empty() {
            buffers.fill(&mut self.out).extend_from_slice(plain);
        }
        if to < bytes.len() {
            buffers.fill(&mut self.carry).extend_from_slice(&bytes[to..]);
        }
        Ok(())
    }

    /// Notes what a packet says; true if the client must get another in its place.
    fn note(&mut self, packet: Packet, payload: &[u8]) -> Result<bool, RelayError> {
        match packet {
            Packet::Ok(summary) | Packet::RowsEnd(summary) => {
                self.in_part = true;
                self.outcome.ended_by_rows = matches!(packet, Packet::RowsEnd(_));
                self.outcome.note(&summary);
                self.outcome.ended_by_eof = is_eof(payload);
                if !summary.status.contains(Status::SESSION_STATE_CHANGED) {
                    return Ok(self.manner.shown.is_some());
                }
                let changes = self.outcome.changes.get_or_insert_default();
                if self.outcome.ended_by_eof {
                    changes.unreported = true;
                    return Ok(false);
                }
                changes.read(payload).map_err(|e| self.backend(e.into()))?;
                Ok(!self.manner.client_tracks || self.manner.shown.is_some())
            }
            Packet::ColumnsEnd(summary) => {
                // An answer to PREPARE has said its warnings before.
                let said = self.outcome.prepared.map(|_| self.outcome.warnings);
                self.outcome.note(&summary);
                self.outcome.warnings = said.unwrap_or(self.outcome.warnings);
                self.outcome.ended_by_eof = true;
                Ok(self.manner.shown.is_some())
            }
            Packet::Err(code) => {
                self.outcome.error = Some(code);
                self.outcome.error_text =
                    ErrPacket::decode(payload).map_or_else(|_| Box::default(), |e| e.text().into());
                Ok(false)
            }
            Packet::Prepared { id, columns, parameters } => {
                self.outcome.prepared = Some((id, columns, parameters));
                // Their number stands behind a filler byte. MariaDB always says 0.
                let warnings = payload.get(10..12).and_then(|bytes| bytes.try_into().ok());
                self.outcome.warnings = warnings.map_or(0, u16::from_le_bytes);
                Ok(self.manner.statement_id.is_some())
            }
            Packet::LocalInfile | Packet::Text => Ok(false),
        }
    }

    /// Appends an OK or EOF packet as the client is to have it: without changes of state that it has not asked for, and with the
    /// session's own flags where they are others than the link's.
    fn own_ok(&self, payload: &[u8], own: &mut Vec<u8>) -> Result<(), Truncated> {
        if self.manner.client_tracks || is_eof(payload) {
            own.extend_from_slice(payload);
        } else {
            without_session_track(payload, own)?;
        }
        match self.manner.shown {
            Some(shown) => replace_lasting_flags(own, shown),
            None => Ok(()),
        }
    }

    /// Puts the client's version of a packet into `out`. `whole` is the packet with its header.
    #[expect(clippy::indexing_slicing, reason = "a packet has a header, and that of a prepared statement a number")]
    fn rewrite(&mut self, packet: Packet, whole: &[u8], buffers: &Buffers) -> Result<(), RelayError> {
        let sequence = whole[HEADER - 1];
        let payload = &whole[HEADER..];
        let before = self.out.len();
        if let (Packet::Prepared { .. }, Some(id)) = (packet, self.manner.statement_id) {
            self.out.extend_from_slice(whole);
            self.out[before + HEADER + 1..before + HEADER + 5].copy_from_slice(&id.to_le_bytes());
        } else {
            let mut own = buffers.take();
            let rewritten = self.own_ok(payload, &mut own);
            put_packet(&mut self.out, &own, sequence);
            buffers.give(own);
            rewritten.map_err(|_| self.backend(Desync::Malformed("an OK packet").into()))?;
        }
        self.outcome.bytes += (self.out.len() - before) as u64;
        Ok(())
    }
}

impl Outcome {
    fn note(&mut self, summary: &Summary) {
        self.status = Some(summary.status);
        self.warnings = summary.warnings;
        self.affected_rows = self.affected_rows.saturating_add(summary.affected_rows);
        if summary.insert_id != 0 {
            self.insert_id = summary.insert_id;
        }
    }
}

/// The text of an error that says that the server is read-only; none for another option that forbids a statement. The option is named in
/// every language, after its dashes (`--read-only`, `--super-read-only`, `--innodb-read-only`); new MariaDBs name its value behind it.
fn says_read_only(payload: &[u8]) -> Option<String> {
    let error = ErrPacket::decode(payload).ok()?;
    let text = error.text().into_owned();
    (error.code == READ_ONLY_MODE || text.contains("read-only") || text.contains("read_only")).then_some(text)
}

fn lossy(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes).into_owned()
}
