//! What the next statement may ask of the one before: `LAST_INSERT_ID()`, `ROW_COUNT()`, `FOUND_ROWS()`, the diagnostics. They
//! live on that statement's connection, if it is still the session's; else on one that is made to say the same, where it is
//! known what that is ([`crate::session::parts::left`]).
//!
//! It refuses to let a session see what another left there.

use crate::backend::Engine;
use crate::protocol::command::Command;
use crate::rules::Route;
use crate::session::error::StatementError;
use crate::session::holdings::{Hold, InsertId};
use crate::session::link::Link;
use crate::session::link::conversation::TalkError;
use crate::session::parts::Session;
use crate::session::state::pins::Pins;
use crate::session::statement::links::gone;
use crate::session::statement::place::{Beside, beside};
use crate::session::supply::Tried;
use crate::session::worker::snapshot::Snapshot;
use crate::sql::effects::Effects;
use std::rc::Rc;

impl Session {
    /// MySQL counts all conditions of a failed statement in its answer to a ping, and an error packet says one of them: the
    /// connection that has them is asked, where the session still has it.
    pub(in crate::session) async fn count_conditions(&mut self) {
        if !self.left.is_least() {
            return;
        }
        let worker = Rc::clone(&self.worker);
        let Some(link) = self.holdings.previous_mut(self.previous_at_home) else { return };
        // A broken link shows at what is sent next.
        if let Ok(reply) = worker.talk().ask(link, Command::Ping, b"").await {
            self.left.tell(reply.summary.warnings);
        }
    }

    /// Makes `LAST_INSERT_ID()` on a link say what it must say for this session. Connections come without an id: what a home
    /// has is the session's own, and where it has none, what the session remembers still holds. False if that was lost.
    ///
    /// # Errors
    /// [`TalkError`]; the link must be dropped, if it is of no more use.
    pub(in crate::session) async fn clean_insert_id(
        &self,
        effects: Effects,
        hold: &mut Hold,
    ) -> Result<bool, TalkError> {
        if !effects.contains(Effects::NEEDS_INSERT_ID) {
            return Ok(true);
        }
        let known = self.holdings.insert_id();
        if hold.pins().contains(Pins::INSERT_ID) {
            let has_own = known == InsertId::None
                || self.worker.talk().query(&mut hold.link, "SELECT LAST_INSERT_ID()").await?.last_value().as_deref()
                    != Some("0");
            if has_own {
                return Ok(true);
            }
        }
        let id = match known {
            InsertId::None => 0,
            InsertId::Known(id) => id,
            InsertId::Lost => return Ok(false),
        };
        self.worker.talk().query(&mut hold.link, &format!("SET last_insert_id={id}")).await?;
        Ok(true)
    }

    /// The link of the previous statement, if nobody has used it since; a clean one, if there was no previous statement.
    pub(in crate::session) async fn previous_link(
        &mut self,
        effects: Effects,
        snapshot: &Snapshot,
        route: &Route,
        tried: &mut Tried,
    ) -> Result<Hold, StatementError> {
        if self.previous == 0 {
            return self.fresh_link(snapshot, route, tried, "").await;
        }
        let (serial, owner) = (self.previous, self.serial);
        // What is more than a question runs on a writer: what the statement before left is left again there, where it is known.
        let may_read = beside(effects) != Beside::More;
        let mine = |link: &Link| {
            link.serial == serial && link.owner == owner && !link.is_disturbed() && (link.writer || may_read)
        };
        let parked = self.holdings.take_parked(|link| link.serial == serial);
        let pooled = || self.worker.pool.borrow_mut().take_where(|link| mine(link)).map(Hold::pooled);
        let Some(mut hold) = parked.or_else(pooled) else {
            // Somebody else has used it since; what the statement left may be known all the same.
            return match self.left.recreation(effects) {
                Some(statement) => self.fresh_link(snapshot, route, tried, &statement).await,
                None => Err(gone(effects)),
            };
        };
        hold.link.set_busy(true);
        let not_ours = hold.link.diagnostics != 0 && hold.link.diagnostics != self.serial;
        let made_ready = match self.agree_on_option(&mut hold.link).await {
            Ok(()) if not_ours && effects.contains(Effects::NEEDS_WARNINGS) => self.make_fresh(&mut hold.link).await,
            agreed => agreed,
        };
        self.if_ready(hold, made_ready)
    }

    /// A link to the route's writer as a new session would find it, after this statement (if any).
    async fn fresh_link(
        &mut self,
        snapshot: &Snapshot,
        route: &Route,
        tried: &mut Tried,
        statement: &str,
    ) -> Result<Hold, StatementError> {
        let mut hold = Hold::pooled(self.obtain(&Rc::clone(&self.state), &[route.writer], snapshot, tried).await?);
        let made_ready = self.leave_there(&mut hold.link, statement).await;
        self.if_ready(hold, made_ready)
    }

    /// Gives a link a new life, and has this statement leave there what it leaves; a new session's leavings, where it is empty.
    async fn leave_there(&self, link: &mut Link, statement: &str) -> Result<(), TalkError> {
        self.make_fresh(link).await?;
        // A reset does not take back how many rows were found: by a new connection MySQL has found none, and MariaDB one.
        let found = if link.backend().engine() == Engine::MySql { "SELECT 1 LIMIT 0" } else { "SELECT 1" };
        let statements: &[&str] = if statement.is_empty() { &[found, "DO 0"] } else { &[statement] };
        for statement in statements {
            self.worker.talk().query(link, statement).await?;
        }
        Ok(())
    }

    /// A link as a new session would find it, but for the session's own state.
    async fn make_fresh(&self, link: &mut Link) -> Result<(), TalkError> {
        self.worker.reset(link).await?;
        self.worker.bring(link, &self.state).await
    }

    /// A link that has been made ready; or what became of it.
    pub(in crate::session) fn if_ready(
        &mut self,
        hold: Hold,
        made_ready: Result<(), TalkError>,
    ) -> Result<Hold, StatementError> {
        match made_ready {
            Ok(()) => Ok(hold),
            Err(error) => Err(self.talk_failed(hold, error)),
        }
    }

    /// Commits the READ ONLY transaction on the reader that the session holds, and lets it go.
    pub(in crate::session) async fn end_read_only(&mut self) -> Result<(), StatementError> {
        let Some(mut home) = self.holdings.take_home() else { return Ok(()) };
        match self.worker.talk().query(&mut home.link, "COMMIT").await {
            Ok(reply) => {
                self.status = reply.summary.status;
                if let Some(free) = self.holdings.leave_home(home) {
                    self.give_up(free);
                }
                Ok(())
            }
            Err(error) => {
                if matches!(error, TalkError::Broken(_)) {
                    // It has only read, and is over.
                    home.lift(Pins::TRANSACTION);
                }
                Err(self.talk_failed(home, error))
            }
        }
    }
}
