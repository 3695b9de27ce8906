//! What the next statement may ask of the one before: `LAST_INSERT_ID()`, `ROW_COUNT()`, `FOUND_ROWS()`, the diagnostics. They
//! live on that statement's connection, if it is still the session's; else on one that is made to say the same, where it is
//! known what that is ([`crate::session::parts::left`]).
//!
//! It refuses to let a session see what another left there.

use crate::backend::Engine;
use crate::rules::Route;
use crate::session::error::{SessionEnd, StatementError};
use crate::session::link::Link;
use crate::session::link::conversation::TalkError;
use crate::session::parts::Session;
use crate::session::parts::flight::From;
use crate::session::state::pins::Pins;
use crate::session::statement::links::gone;
use crate::session::supply::Tried;
use crate::session::worker::snapshot::Snapshot;
use crate::sql::effects::Effects;

impl Session {
    /// MySQL counts all conditions of a failed statement in its answer to a ping, and an error packet says one of them: the
    /// connection that has them is asked, where the session still has it.
    pub(in crate::session) async fn count_conditions(&mut self) {
        if !self.left.is_least() {
            return;
        }
        let worker = std::rc::Rc::clone(&self.worker);
        let home = self.home.as_deref_mut().filter(|_| self.previous_at_home);
        let Some(link) = self.last.as_deref_mut().or(home) else { return };
        // A broken link shows at what is sent next.
        if let Ok(reply) = worker.talk().ask(link, crate::protocol::command::Command::Ping, b"").await {
            self.left.tell(reply.summary.warnings);
        }
    }

    /// Makes `LAST_INSERT_ID()` on a link say what it must say for this session. Connections come without an id: what a home
    /// has is the session's own, and where it has none, what the session remembers still holds.
    ///
    /// # Errors
    /// [`TalkError`]; the link must be dropped, if it is of no more use.
    pub(in crate::session) async fn clean_insert_id(&self, effects: Effects, link: &mut Link) -> Result<(), TalkError> {
        if !effects.contains(Effects::NEEDS_INSERT_ID) {
            return Ok(());
        }
        if self.home_pins.contains(Pins::INSERT_ID) {
            let has_own = self.insert_id.is_none()
                || self.worker.talk().query(link, "SELECT LAST_INSERT_ID()").await?.last_value().as_deref()
                    != Some("0");
            if has_own {
                return Ok(());
            }
        }
        let statement = format!("SET last_insert_id={}", self.insert_id.unwrap_or(0));
        self.worker.talk().query(link, &statement).await.map(drop)
    }

    /// The link of the previous statement, if nobody has used it since; a clean one, if there was no previous statement.
    pub(in crate::session) async fn previous_link(
        &mut self,
        effects: Effects,
        snapshot: &Snapshot,
        route: &Route,
        tried: &mut Tried,
    ) -> Result<(Box<Link>, From), SessionEnd> {
        if self.previous != 0 {
            let (serial, owner) = (self.previous, self.serial);
            let mine = |link: &Link| link.serial == serial && link.owner == owner && !link.is_disturbed();
            let link = match self.unpark(|link| link.serial == serial) {
                Some(parked) => Some(parked),
                None => self.worker.pool.borrow_mut().take_where(|link| mine(link)),
            };
            return match link {
                Some(mut link) => {
                    link.set_busy(true);
                    self.agree_on_option(&mut link).await?;
                    let not_ours = link.diagnostics != 0 && link.diagnostics != self.serial;
                    if not_ours && effects.contains(Effects::NEEDS_WARNINGS) {
                        self.make_fresh(&mut link).await?;
                    }
                    Ok((link, From::Pool))
                }
                // Somebody else has used it since; what the statement left may be known all the same.
                None => match self.left.recreation(effects) {
                    Some(statement) => {
                        let link = self.fresh_link(snapshot, route, tried, &statement).await?;
                        Ok((link, From::Pool))
                    }
                    None => Err(gone(effects).into()),
                },
            };
        }
        Ok((self.fresh_link(snapshot, route, tried, "").await?, From::Pool))
    }

    /// A link to the route's writer as a new session would find it, after this statement (if any).
    async fn fresh_link(
        &self,
        snapshot: &Snapshot,
        route: &Route,
        tried: &mut Tried,
        statement: &str,
    ) -> Result<Box<Link>, StatementError> {
        let mut link = self.obtain(&self.state, &[route.writer], snapshot, tried).await?;
        self.make_fresh(&mut link).await?;
        // A reset does not take back how many rows were found: by a new connection MySQL has found none, and MariaDB one.
        let found = if link.backend().engine() == Engine::MySql { "SELECT 1 LIMIT 0" } else { "SELECT 1" };
        let statements: &[&str] = if statement.is_empty() { &[found, "DO 0"] } else { &[statement] };
        for statement in statements {
            let said = self.worker.talk().query(&mut link, statement).await;
            said.map_err(|error| self.talk_failed(&link, error))?;
        }
        Ok(link)
    }

    /// A link as a new session would find it, but for the session's own state.
    async fn make_fresh(&self, link: &mut Link) -> Result<(), StatementError> {
        let fresh = async {
            self.worker.reset(link).await?;
            self.worker.bring(link, &self.state).await
        };
        fresh.await.map_err(|error| self.talk_failed(link, error))
    }

    /// Commits the READ ONLY transaction on the reader that the session holds, and lets it go.
    pub(in crate::session) async fn end_read_only(&mut self) -> Result<(), StatementError> {
        let Some(mut link) = self.home.take() else { return Ok(()) };
        self.home_pins = Pins::empty();
        match self.worker.talk().query(&mut link, "COMMIT").await {
            Ok(reply) => {
                self.status = reply.summary.status;
                if self.has_cursor(link.serial) {
                    self.park(link)
                } else {
                    self.release(link)
                }
                Ok(())
            }
            Err(error) => {
                let error = self.talk_failed(&link, error);
                self.discard(link);
                Err(error)
            }
        }
    }
}
