//! Everything that the router itself says to a server over a link: short questions and orders that no client sees.
//!
//! A conversation has a limit in time, so that a server that hangs holds nobody for longer. It refuses to carry a client's
//! request ([`super::relay`] does) and to read an answer larger than [`LONGEST`].

use super::buffers::Buffers;
use super::relay::{BackendFault, Changes, SERVER_SHUTDOWN};
use super::{Link, OF_ROUTER};
use crate::net::write::write_all;
use crate::protocol::codec::{HEADER, Header, Reader, Truncated, put_packet};
use crate::protocol::command::Command;
use crate::protocol::response::ErrPacket;
use crate::protocol::status::Status;
use crate::protocol::tracker::{Packet, Step, Summary, Tracker};
use nix::sys::socket::{Shutdown, shutdown};
use std::io;
use std::time::Duration;

/// Why a talk failed.
#[derive(Debug)]
pub enum TalkError {
    /// The link is of no more use.
    Broken(BackendFault),
    /// The server answered with an error. The link is in order.
    Refused {
        /// Its code.
        code: u16,
        /// Its SQLSTATE.
        sqlstate: [u8; 5],
        /// Its text.
        message: String,
    },
}

/// What a talk's answer was.
#[derive(Clone, Debug, Default)]
pub struct Reply {
    /// The last OK or EOF.
    pub summary: Summary,
    /// What session tracking reported.
    pub changes: Changes,
    /// The answer to a PREPARE.
    pub prepared: Option<u32>,
    /// The packets before the end that are no control packets, framed: column definitions and rows.
    pub rows: Vec<u8>,
}

/// The most that a server may answer to a question of the router's own, in bytes.
pub const LONGEST: usize = 1 << 20;

/// What a conversation needs beside the link.
#[derive(Clone, Copy)]
pub struct Talk<'a> {
    /// The worker's buffers.
    pub buffers: &'a Buffers,
    /// How long a question and its answer may take.
    pub limit: Duration,
}

impl Talk<'_> {
    /// Sends a command and reads the whole answer. A link whose server does not answer in time must be dropped.
    ///
    /// # Errors
    /// See [`TalkError`]. Not cancel safe: a link whose talk was cut short must be dropped.
    pub async fn ask(&self, link: &mut Link, command: Command, argument: &[u8]) -> Result<Reply, TalkError> {
        let reply = match tokio::time::timeout(self.limit, exchange(self.buffers, link, command, argument)).await {
            Ok(reply) => reply,
            Err(_) => Err(TalkError::Broken(BackendFault::Silent(self.limit))),
        };
        if let Err(TalkError::Broken(_)) = &reply {
            // An answer that comes later is nobody's: whoever keeps the link finds it dead, and does not take that for its own.
            let _ = shutdown(link.stream.descriptor(), Shutdown::Both);
        }
        note_diagnostics(link, command, &reply);
        reply
    }

    /// [`Talk::ask`] for a statement.
    pub async fn query(&self, link: &mut Link, sql: &str) -> Result<Reply, TalkError> {
        self.ask(link, Command::Query, sql.as_bytes()).await
    }
}

/// What the router itself asked may have left warnings or an error, which are nobody's. Other commands than these leave no warnings:
/// MySQL tells in the answer to a ping what was there before.
fn note_diagnostics(link: &mut Link, command: Command, reply: &Result<Reply, TalkError>) {
    let leaves = match reply {
        Ok(reply) => reply.summary.warnings > 0 && matches!(command, Command::Query | Command::Prepare),
        Err(TalkError::Refused { .. }) => true,
        Err(TalkError::Broken(_)) => false,
    };
    if leaves {
        link.diagnostics = OF_ROUTER;
    }
}

async fn exchange(buffers: &Buffers, link: &mut Link, command: Command, argument: &[u8]) -> Result<Reply, TalkError> {
    let mut payload = buffers.take();
    payload.push(command as u8);
    payload.extend_from_slice(argument);
    let mut out = buffers.take();
    put_packet(&mut out, &payload, 0);
    let written = write_all(&mut link.stream, &out).await;
    buffers.give(payload);
    buffers.give(out);
    written.map_err(|e| TalkError::Broken(e.source.into()))?;
    let tracker = Tracker::new(command.expect(), link.deprecate_eof, 0);
    listen(buffers, link, tracker).await
}

#[expect(clippy::indexing_slicing, reason = "the tracker's places lie in what it was fed")]
async fn listen(buffers: &Buffers, link: &mut Link, mut tracker: Tracker) -> Result<Reply, TalkError> {
    let mut bytes: Vec<u8> = Vec::new();
    let mut at = 0;
    let mut reply = Reply::default();
    let mut refused = None;
    while !tracker.is_done() {
        let read = buffers.read(&mut link.stream, |came| {
            bytes.extend_from_slice(came);
            came.len()
        });
        if read.await.map_err(|e| TalkError::Broken(e.into()))? == 0 {
            return Err(TalkError::Broken(BackendFault::Closed));
        }
        if bytes.len() > LONGEST {
            return Err(TalkError::Broken(
                io::Error::other("an answer of the router's own question is too long").into(),
            ));
        }
        loop {
            match tracker.feed(&bytes[at..]).map_err(|e| TalkError::Broken(e.into()))? {
                Step::More { pass } => {
                    reply.rows.extend_from_slice(&bytes[at..at + pass]);
                    at += pass;
                    break;
                }
                Step::Packet { start, end, packet } => {
                    reply.rows.extend_from_slice(&bytes[at..at + start]);
                    let payload = &bytes[at + start + HEADER..at + end];
                    match packet {
                        Packet::Ok(summary) | Packet::RowsEnd(summary) | Packet::ColumnsEnd(summary) => {
                            reply.summary = summary;
                            if matches!(packet, Packet::Ok(_)) && summary.status.contains(Status::SESSION_STATE_CHANGED)
                            {
                                reply.changes.read(payload).map_err(|e| TalkError::Broken(e.into()))?;
                            }
                        }
                        Packet::Prepared { id, .. } => reply.prepared = Some(id),
                        // No verdict on what was asked: the connection ends with it.
                        Packet::Err(SERVER_SHUTDOWN) => return Err(TalkError::Broken(BackendFault::ShuttingDown)),
                        Packet::Err(code) => refused = Some(refusal(code, payload)),
                        Packet::LocalInfile => {
                            return Err(TalkError::Broken(io::Error::other("the server asks for a file").into()));
                        }
                        Packet::Text => {}
                    }
                    at += end;
                }
            }
            if tracker.is_done() {
                break;
            }
        }
    }
    if at < bytes.len() {
        return Err(TalkError::Broken(crate::protocol::tracker::Desync::Unsolicited.into()));
    }
    refused.map_or(Ok(reply), Err)
}

fn refusal(code: u16, payload: &[u8]) -> TalkError {
    match ErrPacket::decode(payload) {
        Ok(err) => {
            TalkError::Refused { code, sqlstate: err.state.unwrap_or(*b"HY000"), message: err.text().into_owned() }
        }
        Err(_) => TalkError::Refused { code, sqlstate: *b"HY000", message: String::new() },
    }
}

impl Reply {
    /// The rows of a text result; a value is none where it is NULL. Empty where there is no result.
    pub fn text_rows(&self) -> Vec<Vec<Option<String>>> {
        let mut packets = Packets(&self.rows);
        let columns = packets.next().and_then(|head| Reader::new(head).lenenc().ok()).unwrap_or(0);
        let columns = usize::try_from(columns).unwrap_or(usize::MAX);
        packets.skip(columns).map(read_row).collect()
    }

    /// The types of a result's columns. Empty where there is no result.
    pub fn column_types(&self) -> Vec<ColumnType> {
        let mut packets = Packets(&self.rows);
        let columns = packets.next().and_then(|head| Reader::new(head).lenenc().ok()).unwrap_or(0);
        let columns = usize::try_from(columns).unwrap_or(usize::MAX);
        packets.take(columns).filter_map(|packet| column_type(packet).ok()).collect()
    }

    /// The first value of the last row of a text result.
    pub fn last_value(&self) -> Option<String> {
        self.text_rows().pop()?.into_iter().next()?
    }
}

/// The payloads of framed packets.
struct Packets<'a>(&'a [u8]);

impl<'a> Iterator for Packets<'a> {
    type Item = &'a [u8];

    fn next(&mut self) -> Option<&'a [u8]> {
        let header = Header::read(self.0)?;
        let payload = self.0.get(HEADER..HEADER + header.length)?;
        self.0 = self.0.get(HEADER + header.length..).unwrap_or_default();
        Some(payload)
    }
}

/// The type of a column.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ColumnType {
    /// `MYSQL_TYPE_…`
    pub code: u8,
    /// It is a number without a sign.
    pub unsigned: bool,
}

/// The type in a column's definition: behind six names, the length of what follows, a character set and a length; flags come
/// behind it.
fn column_type(definition: &[u8]) -> Result<ColumnType, Truncated> {
    const UNSIGNED_FLAG: u16 = 32;
    let mut reader = Reader::new(definition);
    for _ in 0..6 {
        reader.lenenc_bytes()?;
    }
    reader.lenenc()?;
    reader.bytes(2 + 4)?;
    Ok(ColumnType { code: reader.u8()?, unsigned: reader.u16()? & UNSIGNED_FLAG != 0 })
}

fn read_row(payload: &[u8]) -> Vec<Option<String>> {
    const NULL: u8 = 0xfb;
    let mut values = Vec::new();
    let mut reader = Reader::new(payload);
    loop {
        match reader.rest().first() {
            None => return values,
            Some(&NULL) => {
                let _ = reader.u8();
                values.push(None);
            }
            Some(_) => match reader.lenenc_bytes() {
                Ok(text) => values.push(Some(String::from_utf8_lossy(text).into_owned())),
                Err(_) => return values,
            },
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn framed(payloads: &[&[u8]]) -> Vec<u8> {
        let mut out = Vec::new();
        let mut sequence = 1;
        for payload in payloads {
            sequence = put_packet(&mut out, payload, sequence);
        }
        out
    }

    #[test]
    fn rows_are_read_behind_their_columns() {
        let reply =
            Reply { rows: framed(&[b"\x02", b"def1", b"def2", b"\x01a\x02bc", b"\xfb\x00"]), ..Reply::default() };
        let text = |s: &str| Some(s.to_owned());
        assert_eq!(reply.text_rows(), [vec![text("a"), text("bc")], vec![None, text("")]]);
        assert_eq!(reply.last_value(), None);
        assert!(Reply::default().text_rows().is_empty());
        let cut = Reply { rows: framed(&[b"\x01", b"def", b"\x09a"]), ..Reply::default() };
        assert_eq!(cut.text_rows(), [vec![]]);
    }
}
