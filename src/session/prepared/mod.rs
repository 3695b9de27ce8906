//! Prepared statements. They belong to the session: a client's statement number is the session's own, and the statement is
//! prepared on a backend when it is first needed there.
//!
//! A link remembers what its server has prepared by the number of the text (and of what the text's meaning depends on), so
//! sessions that share links share their statements too. Parameter types are kept and sent again where a link's server
//! has others in mind; long data is kept until the next execution, whatever becomes of that. What a text means (which tables
//! its names are, how its quotes are read) is settled when the client prepares it: [`remote`] prepares it
//! again under the same schema and modes, and it is planned as the session was then. Cursors are in
//! [`cursor`].
//!
//! It refuses to decide where a statement runs: its plan is made in [`super::statement`], which makes a link ready for it here.
//! The statements themselves are kept in [`super::parts::statements`].

mod cursor;
mod long_data;
mod remote;

use crate::protocol::codec::{HEADER, put_packet};
use crate::protocol::prepared::{CURSOR_FLAGS, Execute, STATEMENT_ID};
use crate::session::error::StatementError;
use crate::session::link::Link;
use crate::session::link::relay::Outcome;
use crate::session::link::text::Text;
use crate::session::parts::Session;
use crate::session::parts::request::Request;
use crate::session::parts::request::Unready;
use crate::session::parts::statements::{Executing, Statement};
use crate::session::state::State;
use std::rc::Rc;

impl Session {
    pub(super) fn statement(&self, id: u32, command: &'static str) -> Result<&Statement, StatementError> {
        self.prepared.as_ref().and_then(|p| p.by_id.get(&id)).ok_or(StatementError::UnknownStatement(id, command))
    }

    /// The text of a prepared statement; empty where there is none.
    pub(super) fn statement_of(&self, id: u32) -> &[u8] {
        self.prepared.as_ref().and_then(|p| p.by_id.get(&id)).map_or(&[], |statement| &statement.text)
    }

    /// The statement number in the present request.
    pub(super) fn requested_id(&self) -> Result<u32, StatementError> {
        match self.inbox.payload().get(STATEMENT_ID..STATEMENT_ID + 4) {
            Some(&[a, b, c, d]) => Ok(u32::from_le_bytes([a, b, c, d])),
            _ => Err(StatementError::Malformed),
        }
    }

    /// Keeps the types that an execution brings.
    pub(super) fn keep_types(&mut self, id: u32) -> Result<Executing, StatementError> {
        let statement = self
            .prepared
            .as_mut()
            .and_then(|p| p.by_id.get_mut(&id))
            .ok_or(StatementError::UnknownStatement(id, "mysqld_stmt_execute"))?;
        let execute =
            Execute::read(self.inbox.payload(), statement.parameters).map_err(|_| StatementError::Malformed)?;
        match (execute.types, &statement.types) {
            (Some(new), Some(old)) if **old == *new => {}
            (Some(new), _) => statement.types = Some(statement.known.types(new)),
            (None, None) if statement.parameters > 0 => return Err(StatementError::Malformed),
            (None, _) => {}
        }
        let brings_types = execute.types.is_some() || statement.parameters == 0;
        let cursor = execute.flags & CURSOR_FLAGS != 0;
        Ok(Executing { id, brings_types, long_data: !statement.long_data.is_empty(), cursor })
    }

    /// Writes the server's own number into the request, where its server has the statement prepared and knows the types:
    /// the way of nearly every execution. False if there is more to do.
    pub(super) fn is_ready(&mut self, link: &mut Link, executing: &Executing, request: &mut Request) -> bool {
        let Some(statement) = self.prepared.as_ref().and_then(|p| p.by_id.get(&executing.id)) else { return false };
        let Some(remote) = link.prepared.get_mut(&statement.number) else { return false };
        if remote.types != statement.types {
            if !executing.brings_types {
                return false;
            }
            remote.types.clone_from(&statement.types);
        }
        if executing.long_data {
            return false;
        }
        link.uses += 1;
        remote.used = link.uses;
        self.inbox.patch(STATEMENT_ID, &remote.id.to_le_bytes());
        request.frames.clear();
        true
    }

    /// Makes a link ready for an execution, and the request with the server's own number in it.
    pub(super) async fn ready_execution(
        &mut self,
        link: &mut Link,
        executing: &Executing,
        request: &mut Request,
    ) -> Result<(), Unready> {
        let number = self.statement(executing.id, "mysqld_stmt_execute")?.number;
        if !link.prepared.contains_key(&number) {
            let limit = self.worker.snapshot().settings.max_statements_per_connection;
            self.prepare_on(link, executing.id, limit).await?;
        }
        let statement = self.statement(executing.id, "mysqld_stmt_execute")?;
        let remote = link.prepared.get_mut(&number).ok_or(StatementError::Malformed)?;
        link.uses += 1;
        remote.used = link.uses;
        let remote_id = remote.id;
        let has_types = executing.brings_types || remote.types == statement.types;
        remote.types.clone_from(&statement.types);
        if has_types {
            self.inbox.patch(STATEMENT_ID, &remote_id.to_le_bytes());
            request.frames.clear();
        } else {
            let payload = self.inbox.payload();
            let execute = Execute::read(payload, statement.parameters).map_err(|_| StatementError::Malformed)?;
            let types = statement.types.as_deref().unwrap_or_default();
            let (frames, sequence) = with_types(payload, &execute, types, remote_id);
            request.frames = frames;
            request.sequence = sequence;
        }
        if executing.long_data {
            self.replay_long_data(link, executing.id, remote_id).await?;
        }
        Ok(())
    }

    /// An execution has been answered: notes the cursor that it opened. After an error the server may not have come as far
    /// as the types: they are sent again next time, and a statement that it does not know any more is prepared again.
    pub(super) fn note_execution(&mut self, executing: &Executing, link: &mut Link, outcome: &Outcome) {
        self.worker.stats.counters.behind.execute.inc();
        if executing.cursor {
            self.note_cursor(executing.id, link.serial, outcome);
        }
        let Some(code) = outcome.error else { return };
        let Ok(number) = self.statement(executing.id, "mysqld_stmt_execute").map(|s| s.number) else { return };
        if code == UNKNOWN_STATEMENT {
            link.prepared.remove(&number);
        } else if let Some(remote) = link.prepared.get_mut(&number) {
            remote.types = None;
        }
    }

    /// Forgets a statement.
    pub(super) fn remove_statement(&mut self, id: u32) {
        self.forget_long_data(id);
        if let Some(statement) = self.prepared.as_mut().and_then(|p| p.by_id.remove(&id)) {
            drop(statement.known);
        }
    }

    /// The number by which links know a text prepared in this state. A text whose cursor is open is left to that: the same
    /// text under another statement number gets a number of its own, and so is prepared beside it.
    pub(super) fn text_number(&self, state: &State, text: &[u8], id: u32) -> (u64, Rc<Text>) {
        let mut key = remote::text_key(state, text);
        let (number, known) = self.worker.text_number(&key);
        if !self.holdings.is_number_taken(number, id) {
            return (number, known);
        }
        key.push(0);
        key.extend_from_slice(&self.serial.to_le_bytes());
        key.extend_from_slice(&id.to_le_bytes());
        self.worker.text_number(&key)
    }

    /// Gives a statement a number of its own where its text's is taken by another's cursor.
    pub(super) fn renumber(&mut self, id: u32) -> Result<(), StatementError> {
        let statement = self.statement(id, "mysqld_stmt_execute")?;
        let key = self.keyed(&statement.plan, &statement.text);
        let (number, known) = self.text_number(&statement.state, &key, id);
        if let Some(statement) = self.prepared.as_mut().and_then(|p| p.by_id.get_mut(&id)) {
            (statement.number, statement.known) = (number, known);
        }
        Ok(())
    }
}

/// ER_UNKNOWN_STMT_HANDLER: a server has no prepared statement of that number, or of that name.
pub(super) const UNKNOWN_STATEMENT: u16 = 1243;
/// Where an execution's payload has its cursor flags.
pub(super) const FLAGS: usize = STATEMENT_ID + 4;

/// The execution with the server's number and with types; frames, and the last one's sequence number.
fn with_types(payload: &[u8], execute: &Execute<'_>, types: &[u8], remote: u32) -> (Vec<u8>, u8) {
    let at = execute.types_at.unwrap_or(payload.len());
    let mut out = Vec::with_capacity(payload.len() + types.len());
    out.extend_from_slice(payload.get(..at).unwrap_or(payload));
    if let Some(id) = out.get_mut(STATEMENT_ID..STATEMENT_ID + 4) {
        id.copy_from_slice(&remote.to_le_bytes());
    }
    out.push(1);
    out.extend_from_slice(types);
    out.extend_from_slice(execute.values);
    let mut frames = Vec::with_capacity(out.len() + HEADER);
    let next = put_packet(&mut frames, &out, 0);
    (frames, next.wrapping_sub(1))
}
