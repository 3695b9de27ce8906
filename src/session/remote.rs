//! A session's statements on a backend's connection: preparing them there, under the schema and the modes that they were
//! written for, and keeping no more of them than its server should hold.
//!
//! It refuses to leave a connection in another state than it found it in: if the way back is barred, the connection is lost.

use super::Session;
use super::error::{SessionEnd, StatementError};
use super::link::Link;
use super::relay::BackendFault;
use super::settle::last_text_value;
use super::state::{CHARSET_KEY, State};
use super::statement::command_frame;
use super::sync::{TalkError, sync, talk};
use crate::backend::Engine;
use crate::net::write::write_all;
use crate::protocol::collation;
use crate::protocol::command::Command;
use std::io;
use std::rc::Rc;

/// Variables that a text's meaning depends on when it is prepared.
const READ_BY: [&str; 5] =
    ["sql_mode", CHARSET_KEY, "character_set_client", "character_set_connection", "collation_connection"];
/// Where in [`READ_BY`] the character sets begin.
const CHARSETS: usize = 1;

/// The character set and the collation that were agreed at sign-in.
struct SignedIn {
    charset: String,
    collation: String,
}

impl SignedIn {
    /// The clause that brings a variable back to what it was at sign-in.
    fn clause(&self, name: &str) -> String {
        let Self { charset, collation } = self;
        match name {
            CHARSET_KEY => format!("NAMES '{charset}' COLLATE '{collation}'"),
            "collation_connection" => format!("collation_connection='{collation}'"),
            _ => format!("{name}='{charset}'"),
        }
    }
}

/// What a prepared statement's meaning depends on: the schema, the modes and character sets in force, and the text.
pub(super) fn text_key(state: &State, text: &[u8]) -> Vec<u8> {
    let mut key = Vec::with_capacity(text.len() + 32);
    key.extend_from_slice(state.portable.schema.as_deref().unwrap_or_default().as_bytes());
    for name in READ_BY {
        key.push(0);
        key.extend_from_slice(state.portable.variables.get(name).map(|c| c.as_bytes()).unwrap_or_default());
    }
    key.push(0);
    key.extend_from_slice(text);
    key
}

impl Session {
    /// Prepares a statement of the session on a link that does not have it, keeping `limit` there at most.
    pub(super) async fn prepare_on(&mut self, link: &mut Link, id: u32, limit: usize) -> Result<(), SessionEnd> {
        let statement = self.statement(id, "mysqld_stmt_execute")?;
        let (text, number, made_in) = (Rc::clone(&statement.text), statement.number, Rc::clone(&statement.state));
        let known = Rc::clone(&statement.known);
        self.make_room(link, number, limit).await;
        self.worker.stats.counters.behind.prepare.inc();
        let signed_in = if has_moved_on(&made_in, &link.state) { self.signed_in(link).await } else { Ok(None) };
        let signed_in = signed_in.map_err(|e| self.talk_failed(link, e))?;
        let remote = match self.meant(&made_in, &link.state, signed_in.as_ref()) {
            Some(meant) => self.prepare_in(link, meant, &text).await,
            None => talk(&self.worker.buffers, link, Command::Prepare, &text).await.map(|reply| reply.prepared),
        };
        let remote = remote.map_err(|e| self.talk_failed(link, e))?.ok_or(StatementError::Malformed)?;
        link.remember(remote, number, &known);
        Ok(())
    }

    /// Asks a link's server for the names of what the client agreed on at sign-in, by number. `None` where the server has no
    /// name for it: the present character set then stays.
    async fn signed_in(&self, link: &mut Link) -> Result<Option<SignedIn>, TalkError> {
        let is_mariadb = link.backend().engine() == Engine::MariaDb;
        let Some(number) = collation::for_sign_in(self.collation, is_mariadb) else { return Ok(None) };
        let question = format!(
            "SELECT CONCAT(CHARACTER_SET_NAME,' ',COLLATION_NAME) FROM information_schema.COLLATIONS WHERE ID={number}"
        );
        let reply = talk(&self.worker.buffers, link, Command::Query, question.as_bytes()).await?;
        let names = last_text_value(&reply.rows);
        let names = names.as_deref().and_then(|names| names.split_once(' '));
        Ok(names.map(|(charset, collation)| SignedIn { charset: charset.into(), collation: collation.into() }))
    }

    /// The states, one after the other, under which a text means on a link in state `there` what it meant in `made_in`. `None` if it
    /// does as things are.
    fn meant(&self, made_in: &State, there: &State, signed_in: Option<&SignedIn>) -> Option<[Rc<State>; 2]> {
        let (then, now) = (&made_in.portable, &there.portable);
        let mut portable = now.clone();
        if then.schema.is_some() {
            portable.schema.clone_from(&then.schema);
        }
        let moved = portable.clone();
        for name in READ_BY {
            match then.variables.get(name) {
                Some(clause) => portable.variables.insert(name.into(), clause.clone()),
                None if name == "sql_mode" => portable.variables.remove(name),
                None => match (signed_in, now.variables.contains_key(name)) {
                    (Some(signed_in), true) => portable.variables.insert(name.into(), signed_in.clause(name).into()),
                    _ => continue,
                },
            };
        }
        (portable != *now).then(|| [self.worker.states.intern(moved), self.worker.states.intern(portable)])
    }

    /// Prepares a text in a state of its own, and brings the link back, whatever the server said of the text.
    async fn prepare_in(
        &self,
        link: &mut Link,
        [schema, all]: [Rc<State>; 2],
        text: &[u8],
    ) -> Result<Option<u32>, TalkError> {
        let (buffers, there) = (&self.worker.buffers, Rc::clone(&link.state));
        // A refused schema has changed nothing. Of several settings some may be in force when one is refused.
        let moved = sync(buffers, link, &schema).await;
        let moved = match moved {
            Ok(_) => sync(buffers, link, &all).await.map_err(barred),
            refused => refused,
        };
        let prepared = match moved {
            Ok(_) => talk(buffers, link, Command::Prepare, text).await.map(|reply| reply.prepared),
            Err(error) => Err(error),
        };
        if !matches!(prepared, Err(TalkError::Broken(_))) {
            sync(buffers, link, &there).await.map_err(barred)?;
        }
        prepared
    }

    /// Closes what a link's server has prepared under this number, and what was used least recently, until there is room for
    /// one more. What a cursor is open on is not closed.
    pub(super) async fn make_room(&self, link: &mut Link, number: u64, limit: usize) {
        let mut closes = Vec::new();
        let mut close = |remote: u32| {
            self.worker.stats.counters.behind.close.inc();
            closes.extend(command_frame(Command::CloseStatement, &remote.to_le_bytes()));
        };
        if let Some(old) = link.prepared.remove(&number) {
            close(old.id);
        }
        while link.prepared.len() >= limit.max(1) {
            let free = link.prepared.iter().filter(|(number, _)| !self.has_cursor_under(link.serial, **number));
            let Some((oldest, remote)) = free.min_by_key(|(_, r)| r.used).map(|(n, r)| (*n, r.id)) else { break };
            link.prepared.remove(&oldest);
            close(remote);
        }
        if !closes.is_empty() {
            // A broken link shows at what is sent next.
            let _ = write_all(&mut link.stream, &closes).await;
        }
    }
}

/// True if a character set has been chosen since that was not chosen then.
fn has_moved_on(made_in: &State, there: &State) -> bool {
    let has = |state: &State, name: &str| state.portable.variables.contains_key(name);
    READ_BY[CHARSETS..].iter().any(|name| has(there, name) && !has(made_in, name))
}

/// A refusal in the middle of the way: the link is in no known state.
fn barred(error: TalkError) -> TalkError {
    match error {
        TalkError::Refused { code, message, .. } => TalkError::Broken(BackendFault::Io(io::Error::other(format!(
            "its state could not be set: {code} {message}"
        )))),
        broken => broken,
    }
}
