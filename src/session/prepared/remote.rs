//! A session's statements on a backend's connection: preparing them there, under the schema and the modes that they were
//! written for, and keeping no more of them than its server should hold.
//!
//! It refuses to leave a connection in another state than it found it in: if the way back is barred, the connection is lost.

use crate::net::write::write_all;
use crate::protocol::command::Command;
use crate::session::error::StatementError;
use crate::session::link::Link;
use crate::session::link::conversation::{Talk, TalkError};
use crate::session::link::relay::BackendFault;
use crate::session::parts::Session;
use crate::session::parts::request::Unready;
use crate::session::parts::request::command_frame;
use crate::session::state::State;
use crate::session::state::variable::CLIENT_COLLATION;
use std::io;
use std::rc::Rc;
use std::time::Duration;

/// Variables that a text's meaning depends on when it is prepared.
const READ_BY: [&str; 5] =
    ["sql_mode", "character_set_client", CLIENT_COLLATION, "character_set_connection", "collation_connection"];

/// How long a server may take to prepare a text: a definition that is being altered is waited for.
const PREPARING: Duration = Duration::from_secs(300);

/// What a prepared statement's meaning depends on: the schema, the modes and character sets in force, and the text.
pub(in crate::session) fn text_key(state: &State, text: &[u8]) -> Vec<u8> {
    let mut key = Vec::with_capacity(text.len() + 32);
    key.extend_from_slice(state.values.schema.as_deref().unwrap_or_default().as_bytes());
    for name in READ_BY {
        key.push(0);
        key.extend_from_slice(state.values.value(name).map(|v| v.text().as_bytes()).unwrap_or_default());
    }
    key.push(0);
    key.extend_from_slice(text);
    key
}

impl Session {
    /// Prepares a statement of the session on a link that does not have it, keeping `limit` there at most.
    pub(in crate::session) async fn prepare_on(
        &mut self,
        link: &mut Link,
        id: u32,
        limit: usize,
    ) -> Result<(), Unready> {
        let statement = self.statement(id, "mysqld_stmt_execute")?;
        let (text, number, made_in) = (Rc::clone(&statement.text), statement.number, Rc::clone(&statement.state));
        let known = Rc::clone(&statement.known);
        let own = self.own_text(&statement.plan.facts, &text, link);
        let text = own.map_or(text, Rc::from);
        self.make_room(link, number, limit).await;
        self.worker.stats.counters.behind.prepare.inc();
        let remote = match self.meant(&made_in, &link.state) {
            Some(meant) => self.prepare_in(link, meant, &text).await,
            None => self.prepare_there(link, &text).await,
        };
        if matches!(remote, Err(TalkError::Refused { .. })) {
            link.diagnostics = self.serial;
        }
        let remote = remote?.ok_or(StatementError::Malformed)?;
        link.remember(remote, number, &known);
        Ok(())
    }

    async fn prepare_there(&self, link: &mut Link, text: &[u8]) -> Result<Option<u32>, TalkError> {
        let talk = Talk { limit: PREPARING, ..self.worker.talk() };
        talk.ask(link, Command::Prepare, text).await.map(|reply| reply.prepared)
    }

    /// The states, one after the other, under which a text means on a link in state `there` what it meant in `made_in`. `None` if it
    /// does as things are.
    fn meant(&self, made_in: &State, there: &State) -> Option<[Rc<State>; 2]> {
        let mut values = there.values.clone();
        if made_in.values.schema.is_some() {
            values.schema.clone_from(&made_in.values.schema);
        }
        let moved = values.clone();
        for name in READ_BY {
            if let Some(value) = made_in.values.value(name) {
                values.set(name, value.clone());
            }
        }
        (values != there.values).then(|| [self.worker.states.intern(moved), self.worker.states.intern(values)])
    }

    /// Prepares a text in a state of its own, and brings the link back, whatever the server said of the text.
    async fn prepare_in(
        &self,
        link: &mut Link,
        [schema, all]: [Rc<State>; 2],
        text: &[u8],
    ) -> Result<Option<u32>, TalkError> {
        let there = Rc::clone(&link.state);
        // A refused schema has changed nothing. Of several settings some may be in force when one is refused.
        let moved = match self.worker.bring(link, &schema).await {
            Ok(()) => self.worker.bring(link, &all).await.map_err(barred),
            refused => refused,
        };
        let prepared = match moved {
            Ok(()) => self.prepare_there(link, text).await,
            Err(error) => Err(error),
        };
        if !matches!(prepared, Err(TalkError::Broken(_))) {
            self.worker.bring(link, &there).await.map_err(barred)?;
        }
        prepared
    }

    /// Closes what a link's server has prepared under this number, and what was used least recently, until there is room for
    /// one more. What a cursor is open on is not closed.
    pub(in crate::session) async fn make_room(&self, link: &mut Link, number: u64, limit: usize) {
        let mut closes = Vec::new();
        let mut close = |remote: u32| {
            self.worker.stats.counters.behind.close.inc();
            closes.extend(command_frame(Command::CloseStatement, &remote.to_le_bytes()));
        };
        if let Some(old) = link.prepared.remove(&number) {
            close(old.id);
        }
        while link.prepared.len() >= limit.max(1) {
            let free =
                link.prepared.iter().filter(|(number, _)| !self.holdings.has_cursor_under(link.serial, **number));
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

/// A refusal in the middle of the way: the link is in no known state.
fn barred(error: TalkError) -> TalkError {
    match error {
        TalkError::Refused { code, message, .. } => TalkError::Broken(BackendFault::Io(io::Error::other(format!(
            "its state could not be set: {code} {message}"
        )))),
        broken => broken,
    }
}
