//! Cursors: rows that a server keeps until the client fetches them.
//!
//! A cursor lives on the connection that opened it. That connection is the session's home where it is one for other reasons
//! (a transaction, a user variable); otherwise it is *parked*: kept aside for the cursor alone, while the session's other
//! statements go where they belong. A write therefore never follows a cursor to a reader.
//!
//! Refused: to run a text under the number of one whose cursor is open (the server would close the cursor and hand its
//! statement number to other rows), and to park more than [`MAX_PARKED`] connections; an execution beyond that is answered
//! with its rows, as a server may do too.

use crate::backend::Engine;
use crate::net::write::write_all;
use crate::protocol::command::Command;
use crate::protocol::prepared::STATEMENT_ID;
use crate::protocol::status::Status;
use crate::rules::Route;
use crate::session::error::{SessionEnd, StatementError};
use crate::session::holdings::cursors::Cursor;
use crate::session::holdings::{Hold, MAX_PARKED};
use crate::session::link::Link;
use crate::session::link::relay::Outcome;
use crate::session::parts::Session;
use crate::session::parts::place::Place;
use crate::session::parts::request::Delivered;
use crate::session::parts::request::{Failed, Request, command_frame};
use crate::sql::effects::Effects;
use std::rc::Rc;

impl Session {
    /// A parked link that an execution of this route may open another cursor on.
    pub(in crate::session) fn parked_for(&mut self, place: Place, route: &Route) -> Option<Hold> {
        let tier = *route.tiers.first().filter(|_| place == Place::Route)?;
        let state = Rc::clone(&self.state);
        let fits = |link: &Link| link.hostgroup == tier && Rc::ptr_eq(&link.state, &state) && !link.is_disturbed();
        self.holdings.take_parked(fits)
    }

    /// Before an execution while cursors are open: its own statement's is closed, as a server would, and the text of
    /// another's is left alone.
    pub(in crate::session) async fn make_way(&mut self, id: u32) -> Result<(), StatementError> {
        self.close_cursor(id).await;
        let number = self.statement(id, "mysqld_stmt_execute")?.number;
        if self.holdings.is_number_taken(number, id) {
            self.renumber(id)?;
        }
        Ok(())
    }

    /// True if an execution may open a cursor: the connection that it will run on can be kept. A home that is held just for
    /// what the client may ask next is given back for it.
    pub(in crate::session) async fn may_open_cursor(&mut self, effects: Effects) -> bool {
        if effects.intersects(Effects::NEEDS_PREVIOUS) {
            return false;
        }
        if self.holdings.for_a_while().is_some() {
            self.let_go().await;
        }
        self.holdings.parked() < MAX_PARKED
    }

    /// An execution has been answered: notes the cursor that it opened.
    pub(in crate::session) fn note_cursor(&mut self, id: u32, link: u64, outcome: &Outcome) {
        let Ok(number) = self.statement(id, "mysqld_stmt_execute").map(|s| s.number) else { return };
        if outcome.cursor {
            self.holdings.open_cursor(Cursor { id, number, link });
        }
    }

    /// Closes the cursor of a statement, if it has one: with its remote statement, which needs no answer.
    async fn close_cursor(&mut self, id: u32) {
        let Some(cursor) = self.holdings.cursor_of(id) else { return };
        self.holdings.forget_cursor(id);
        let Some(mut hold) = self.holdings.take_for_cursor(cursor.link) else { return };
        if let Some(remote) = hold.link.prepared.remove(&cursor.number) {
            let frame = command_frame(Command::CloseStatement, &remote.id.to_le_bytes());
            // A broken link shows at what is sent next.
            let _ = write_all(&mut hold.link.stream, &frame).await;
        }
        self.put_back_for_cursor(hold);
    }

    /// COM_STMT_FETCH: more rows of an open cursor.
    pub(in crate::session) async fn fetch(&mut self) -> Result<(), SessionEnd> {
        let id = self.requested_id()?;
        self.statement(id, "mysqld_stmt_fetch")?;
        let Some(cursor) = self.holdings.cursor_of(id) else {
            let message = format!("The statement ({id}) has no open cursor");
            return Err(StatementError::State { code: 1421, sqlstate: *b"HY000", message }.into());
        };
        let Some(mut hold) = self.holdings.take_for_cursor(cursor.link) else {
            self.holdings.forget_cursor(id);
            return Err(lost_before().into());
        };
        let Some(remote) = hold.link.prepared.get(&cursor.number).map(|r| r.id) else {
            self.holdings.forget_cursor(id);
            self.put_back_for_cursor(hold);
            return Err(lost_before().into());
        };
        self.inbox.patch(STATEMENT_ID, &remote.to_le_bytes());
        let request = Request {
            frames: Vec::new(),
            sequence: self.inbox.sequence(),
            expect: Command::Fetch.expect(),
            statement_id: None,
            effects: Effects::READ,
        };
        let (at_home, link) = (hold.is_home(), &mut *hold.link);
        self.launch(link, &request);
        if !at_home {
            link.relay.show(self.own_status());
        }
        match self.see_through(link, &request, &mut None).await {
            Ok(()) => {
                let outcome = self.outcome(link);
                if let Some(status) = outcome.status {
                    if at_home {
                        self.status = status;
                    }
                    link.status = status;
                }
                let more = |s: Status| s.contains(Status::CURSOR_EXISTS) && !s.contains(Status::LAST_ROW_SENT);
                if !outcome.status.is_some_and(more) {
                    self.holdings.forget_cursor(id);
                }
                if outcome.error.is_none() {
                    // It counts no rows (-1), and its own warnings alone. The diagnostics stay.
                    self.left.commanded(Command::SetOption);
                    let is_mysql = hold.link.backend().engine() == Engine::MySql;
                    self.left.tell(if is_mysql { outcome.warnings } else { 0 });
                }
                self.put_back_for_cursor(hold);
                Ok(())
            }
            Err(Failed::Client(end)) => {
                // The session ends with its client.
                self.lose(hold).untold();
                Err(end)
            }
            Err(Failed::Backend(failure)) => {
                self.holdings.forget_cursor(id);
                let backend = hold.link.backend().name.to_string();
                let lost = self.lose(hold).told(&failure.why);
                if failure.delivered != Delivered::Nothing {
                    return Err(SessionEnd::HalfAnswered { backend, why: failure.why });
                }
                Err(lost.into())
            }
        }
    }

    /// COM_STMT_RESET: closes the statement's cursor and forgets what was sent ahead.
    pub(in crate::session) async fn reset_statement(&mut self) -> Result<(), SessionEnd> {
        let id = self.requested_id()?;
        self.statement(id, "mysqld_stmt_reset")?;
        self.forget_long_data(id);
        self.close_cursor(id).await;
        // It counts no rows, as a ping does, and no warnings. The diagnostics stay.
        self.left.commanded(Command::Ping);
        self.left.tell(0);
        self.send_ok(b"").await
    }

    /// COM_STMT_CLOSE: never answered.
    pub(in crate::session) async fn close_statement(&mut self) -> Result<(), SessionEnd> {
        self.worker.stats.counters.front.close.inc();
        let Ok(id) = self.requested_id() else { return Ok(()) };
        self.close_cursor(id).await;
        self.remove_statement(id);
        Ok(())
    }
}

/// The error for a cursor whose connection went with another statement's failure.
fn lost_before() -> StatementError {
    StatementError::State {
        code: 2013,
        sqlstate: *b"HY000",
        message: "Switchboard: the connection with this statement's cursor was lost".to_owned(),
    }
}
