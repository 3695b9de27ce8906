//! Bringing a link to the session's state, and other short talks with a backend that the client does not see.

use super::Session;
use super::buffers::Buffers;
use super::checkout::{init_connect, reset};
use super::error::StatementError;
use super::link::Link;
use super::relay::{BackendFault, Changes, SERVER_SHUTDOWN};
use super::state::{CHARSET_KEY, State, transition};
use crate::net::write::write_all;
use crate::protocol::codec::{HEADER, put_packet};
use crate::protocol::command::Command;
use crate::protocol::response::ErrPacket;
use crate::protocol::status::Status;
use crate::protocol::tracker::{Packet, Step, Summary, Tracker};
use std::io;
use std::rc::Rc;

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

/// Sends a command and reads the whole answer. For the router's own short questions; an answer over 1 MiB is an error.
///
/// # Errors
/// See [`TalkError`]. Not cancel safe: a link whose talk was cut short must be dropped.
pub async fn talk(buffers: &Buffers, link: &mut Link, command: Command, argument: &[u8]) -> Result<Reply, TalkError> {
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
        if bytes.len() > 1 << 20 {
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

/// Server errors that say "this engine will never have that": unknown variable, value, collation, character set.
const NEVER: [u16; 6] = [1193, 1231, 1273, 1115, 1238, 1298];

/// Brings a link to `target`. Nothing is sent where they agree.
///
/// # Errors
/// After any error the link must be dropped: part of the way may have been gone.
pub async fn sync(buffers: &Buffers, link: &mut Link, target: &Rc<State>) -> Result<bool, TalkError> {
    if Rc::ptr_eq(&link.state, target) {
        return Ok(false);
    }
    let engine = link.backend().engine();
    let Some(way) = transition(&link.state, target, engine) else {
        return Err(TalkError::Broken(io::Error::other("no way between the states").into()));
    };
    if let Some(schema) = &way.schema {
        talk(buffers, link, Command::InitDb, schema.as_bytes()).await?;
    }
    for statement in &way.statements {
        match talk(buffers, link, Command::Query, statement.as_bytes()).await {
            Ok(reply) => confirm(reply.summary.status, target)?,
            Err(error) => {
                if let TalkError::Refused { code, .. } = &error
                    && NEVER.contains(code)
                {
                    target.refuse(engine);
                }
                return Err(error);
            }
        }
    }
    link.state = Rc::clone(target);
    Ok(true)
}

/// The server must read backslashes as the session does. It says so with every answer; the two differ where its global
/// `sql_mode` has changed since the connection was made, and `DEFAULT` means something else by now.
fn confirm(status: Status, target: &State) -> Result<(), TalkError> {
    if status.contains(Status::NO_BACKSLASH_ESCAPES) == target.lex_mode.no_backslash_escapes {
        return Ok(());
    }
    Err(TalkError::Broken(io::Error::other("the server's sql_mode is not the session's").into()))
}

impl Session {
    /// Brings a link to the session's state, and counts it.
    pub(super) async fn sync_link(&self, link: &mut Link) -> Result<(), TalkError> {
        let snapshot = self.worker.snapshot();
        let leaves = |name: &str| !self.state.portable.variables.contains_key(name);
        // A variable's default is the server's; what the connection began with may be another.
        if init_connect(&snapshot, link).is_some() && link.state.portable.variables.keys().any(|name| leaves(name)) {
            reset(&self.worker, link).await?;
        }
        let (was, counters) = (Rc::clone(&link.state), &self.worker.stats.counters);
        if sync(&self.worker.buffers, link, &self.state).await? {
            counters.syncs.inc();
            let (was, is) = (&was.portable, &self.state.portable);
            if was.schema != is.schema {
                counters.behind.init_db.inc();
            }
            if was.variables.get(CHARSET_KEY) != is.variables.get(CHARSET_KEY) {
                counters.behind.set_names.inc();
            }
        }
        Ok(())
    }

    /// A talk's failure, as the statement's.
    pub(super) fn talk_failed(&self, link: &Link, error: TalkError) -> StatementError {
        match error {
            TalkError::Refused { code, sqlstate, message } => StatementError::State { code, sqlstate, message },
            TalkError::Broken(why) => self.lost(link, &why.to_string()),
        }
    }

    /// The loss of a link, as the statement's error.
    pub(super) fn lost(&self, link: &Link, why: &str) -> StatementError {
        StatementError::Lost {
            backend: link.backend().name.to_string(),
            hostgroup: link.hostgroup,
            why: why.to_owned(),
            pins: super::pin::Pins::empty(),
        }
    }
}
