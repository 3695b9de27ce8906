//! How statements are read before a session has set anything: the servers' global `sql_mode`, and the character set of the
//! client's sign-in.
//!
//! Under `ANSI_QUOTES`, `NO_BACKSLASH_ESCAPES` or a character set like gbk the same bytes are another statement, so a session
//! must know before its first one. What the writer's connections begin with counts for the session; a backend whose
//! connections begin otherwise gets none of its statements, and the reason is said. The base is fixed for a session's life,
//! as it is on a server, where `SET GLOBAL sql_mode` changes nothing for those who are connected.

use super::Session;
use super::checkout::Tried;
use super::error::StatementError;
use super::link::Link;
use super::settle::last_text_value;
use super::snapshot::Snapshot;
use super::state::Portable;
use super::sync::{TalkError, talk};
use super::worker::Worker;
use crate::protocol::collation;
use crate::protocol::command::Command;
use crate::sql::LexMode;

/// A `sql_mode` and a client's collation, as they are read.
fn reading(sql_mode: &str, collation: u16) -> LexMode {
    LexMode { foreign_charset: collation::is_foreign(collation), ..LexMode::from_sql_mode(sql_mode) }
}

/// The base of a session with this collation: what a server is by default, where no writer has said anything yet. A backend
/// that turns out to be otherwise is not given to a session that began so.
pub(super) fn base(snapshot: &Snapshot, collation: u16) -> LexMode {
    base_of(snapshot, collation).unwrap_or_else(|| reading("", collation))
}

/// The same, as far as a writer has said.
fn base_of(snapshot: &Snapshot, collation: u16) -> Option<LexMode> {
    let writers = snapshot.topology.hostgroups().filter(|h| h.writer);
    let mode = writers.flat_map(|h| h.members.iter()).find_map(|m| m.backend.sql_mode())?;
    Some(reading(&mode, collation))
}

/// Asks a connection, new or reset, what it begins with, and notes it for the sessions to come.
pub(super) async fn ask_base(worker: &Worker, link: &mut Link) -> Result<LexMode, TalkError> {
    let reply = talk(&worker.buffers, link, Command::Query, b"SELECT @@sql_mode").await?;
    let mode = last_text_value(&reply.rows).unwrap_or_default();
    link.backend().learn_sql_mode(&mode);
    Ok(reading(&mode, link.key.collation))
}

impl Session {
    /// What a new life of this session begins with.
    pub(super) fn fresh(&self, schema: Option<Box<str>>) -> Portable {
        Portable { schema, base: base(&self.worker.snapshot(), self.collation), ..Portable::default() }
    }

    /// Before the first statement: makes sure that the writer has said how statements are read, and that the schema exists,
    /// unless both are known. A writer that cannot be reached is no reason to turn a client away: its reads may be served
    /// all the same.
    ///
    /// # Errors
    /// The server's own, where it refuses the schema.
    pub(super) async fn meet_writer(&mut self) -> Result<(), StatementError> {
        let snapshot = self.worker.snapshot();
        let schema = self.state.portable.schema.clone();
        let known = schema.map(|schema| (self.account_number, schema));
        let is_known = |key| self.worker.schemas.borrow().contains_key(key);
        if base_of(&snapshot, self.collation).is_some() && known.as_ref().is_none_or(is_known) {
            return Ok(());
        }
        let Some(writer) = snapshot.topology.hostgroups().find(|h| h.writer).map(|h| h.id) else { return Ok(()) };
        loop {
            match self.obtain(&[writer], &snapshot, &mut Tried::default()).await {
                Ok(link) => {
                    self.release(link);
                    if let Some(known) = known {
                        self.worker.schemas.borrow_mut().insert(known, self.worker.ticks());
                    }
                    return Ok(());
                }
                Err(error @ StatementError::State { .. }) => return Err(error),
                // Not like this session, which has not begun yet: then the session is like the writer.
                Err(_) => match base_of(&snapshot, self.collation) {
                    Some(base) if base != self.state.portable.base => {
                        let portable = Portable { base, ..self.state.portable.clone() };
                        self.enter(portable);
                    }
                    _ => return Ok(()),
                },
            }
        }
    }
}

/// Why a backend gets nothing of a session, in words.
pub(super) fn why_not(session: LexMode, backend: LexMode) -> String {
    let name = |mode: LexMode| match (mode.ansi_quotes, mode.no_backslash_escapes) {
        (true, true) => "with ANSI_QUOTES and NO_BACKSLASH_ESCAPES",
        (true, false) => "with ANSI_QUOTES",
        (false, true) => "with NO_BACKSLASH_ESCAPES",
        (false, false) => "without ANSI_QUOTES and NO_BACKSLASH_ESCAPES",
    };
    format!(
        "its global sql_mode is {}, and this session began {}: its statements would be read otherwise there",
        name(backend),
        name(session)
    )
}
