//! One client's life, from sign-in to goodbye, across as many backends as its statements need.
//!
//! ```text
//!            ┌──────────────── next command ◀──────────────────────┐
//!            ▼                                                     │
//!   waiting for the client ─▶ plan ─▶ place ─▶ link ─▶ relay ─▶ settle
//!            │                                                     │
//!            └─▶ left, broke, drained                 pins, state, link to pool
//! ```
//!
//! The rooms, lowest first: a file imports from its own room and from those above it in this table, and calls only their
//! methods. `tests/imports.rs` has the same table and holds every file against it. What stands here is the session's own loop.
//!
//! | room | what it holds |
//! |---|---|
//! | [`state`] | what a session has set, as typed variables; how a server is brought to it; pins |
//! | [`link`] | a backend connection in a session's service |
//! | [`error`] | what goes wrong, and the packet that says so |
//! | [`holdings`] | the links that a session holds, each with what stands on it |
//! | [`worker`] | what the sessions of a thread share; the registry, KILL, what is shown to others |
//! | [`supply`] | getting a link, for whomever it is told: from the pool, or new, or after a wait; giving it back |
//! | [`parts`] | what a session consists of |
//! | [`keeping`] | what a session keeps of its links, and how it gives them back |
//! | [`client`] | the client's end: requests, answers, files |
//! | [`exchange`] | a request over a link, and its answer |
//! | [`home`] | where a session's own affairs are settled, and what it begins with |
//! | [`prepared`] | prepared statements and cursors, and their twins on servers |
//! | [`statement`] | a statement's way: plan, place, link, settle; the short way and the long one |
//! | [`commands`] | the commands that are no statements |
//!
//! It refuses to decide what a statement does (`sql`), what the rules say (`rules`), and which backend is well (`backend`).

mod client;
mod commands;
pub mod error;
mod exchange;
mod holdings;
mod home;
mod keeping;
pub mod link;
pub mod parts;
pub mod prepared;
pub mod state;
pub mod statement;
pub mod supply;
pub mod worker;

pub use parts::{Client, Session};

use crate::protocol::command::Command;
use client::requests::Next;
use error::{SessionEnd, StatementError};
use parts::flight::Departure;
use std::future::poll_fn;

impl Session {
    /// Sends the OK of the sign-in, after making sure that the schema it asked for exists. False if the session ends there.
    pub async fn admit(&mut self, sequence: u8, before_ok: Option<Vec<u8>>) -> bool {
        let opened = self.open(sequence, before_ok).await;
        if let Err(end) = &opened {
            self.log_end(end);
            self.close();
        }
        opened.is_ok()
    }

    /// Serves the client until it leaves or cannot be served any more.
    ///
    /// The two waits of an ordinary statement, for its request and for its answer, are made here and not in functions of their
    /// own: see [`statement`].
    pub async fn run(mut self: Box<Self>) {
        let end = 'served: loop {
            self.rest();
            let command = loop {
                match self.command_at_hand() {
                    Next::Command(command) => break command,
                    Next::Bad(why) => break 'served Box::pin(self.turn_away(why)).await,
                    Next::More => {}
                }
                if self.inbox.lacks_memory()
                    && let Err(end) = Box::pin(self.take_memory()).await
                {
                    break 'served end;
                }
                let read = match self.patience() {
                    None => poll_fn(|cx| self.poll_read_more(cx)).await,
                    Some(patience) => self.read_for(patience).await,
                };
                if let Err(end) = read {
                    break 'served end;
                }
            };
            self.begin_command();
            if !self.state.has_base {
                // Nobody answered at sign-in. How statements are read must be known before one is; an error is the
                // statement's own to find.
                let _ = Box::pin(self.meet_home()).await;
            }
            let served = match self.set_out(command) {
                true => match poll_fn(|cx| self.poll_flight(cx)).await {
                    Ok(()) if self.may_land() => {
                        self.land();
                        Ok(())
                    }
                    flown => Box::pin(self.divert(flown)).await,
                },
                // On the heap, so that a session whose client is silent does not keep room for it.
                false => Box::pin(self.go_the_long_way(command)).await,
            };
            if let Err(end) = served
                && let Err(end) = Box::pin(self.apologise(end)).await
            {
                break end;
            }
            self.inbox.done(&self.worker.buffers);
        };
        self.log_end(&end);
        self.close();
    }

    /// One line for an end that somebody may want to know of.
    fn log_end(&self, end: &SessionEnd) {
        let (connection_id, user) = (self.connection_id, self.account.name());
        match end {
            SessionEnd::Left => {}
            SessionEnd::ClientBroke(error) => tracing::debug!(connection_id, user, %error, "client lost"),
            // There may be a hundred thousand of them, and the drain says what became of all.
            SessionEnd::Statement(StatementError::Shutdown) => tracing::debug!(connection_id, user, "drained"),
            end => tracing::info!(connection_id, user, %end, "session ended"),
        }
    }

    /// Runs a command that did not get away at once.
    async fn go_the_long_way(&mut self, command: Option<Command>) -> Result<(), SessionEnd> {
        match std::mem::take(&mut self.departure) {
            Departure::Held(planned, at_hand) => self.run_planned(planned, at_hand).await,
            Departure::Late => Err(StatementError::Shutdown.into()),
            _ => self.obey(command).await,
        }
    }

    /// Runs a command that is no plain statement.
    async fn obey(&mut self, command: Option<Command>) -> Result<(), SessionEnd> {
        match command {
            Some(Command::Query) => Box::pin(self.explain_route()).await,
            Some(Command::Execute) => self.execute().await,
            Some(Command::Quit) => Err(SessionEnd::Left),
            Some(other) => Box::pin(self.other_command(other)).await,
            None => Err(StatementError::UnknownCommand.into()),
        }
    }

    /// Answers an error that the session outlives; gives back any other.
    async fn apologise(&mut self, end: SessionEnd) -> Result<(), SessionEnd> {
        let SessionEnd::Statement(error) = end else { return Err(end) };
        self.tally_own_error(&error);
        self.send_error(&error, self.inbox.sequence().wrapping_add(1)).await?;
        if error.ends_session() { Err(error.into()) } else { Ok(()) }
    }
}
