//! What the next statement may ask of the one before: `LAST_INSERT_ID()`, `ROW_COUNT()`, `FOUND_ROWS()`, the diagnostics. They
//! live on that statement's connection, if it is still the session's; else on one that is made to say the same, where it is
//! known what that is ([`crate::session::parts::left`]).
//!
//! It refuses to let a session see what another left there.

use crate::backend::Engine;
use crate::net::write::write_all;
use crate::protocol::capabilities::Capabilities;
use crate::protocol::command::Command;
use crate::rules::Route;
use crate::session::error::StatementError;
use crate::session::holdings::{Hold, InsertId};
use crate::session::link::conversation::TalkError;
use crate::session::link::{Link, OF_ROUTER};
use crate::session::parts::Session;
use crate::session::parts::left::{ASK_FOUND_ROWS, Again};
use crate::session::parts::request::command_frame;
use crate::session::state::pins::Pins;
use crate::session::statement::links::gone;
use crate::session::statement::place::{Beside, beside};
use crate::session::supply::Tried;
use crate::session::worker::snapshot::Snapshot;
use crate::sql::effects::{Effects, Verb};
use std::rc::Rc;

/// Uses a table, and nothing that could be missing: to prepare it clears diagnostics, and leaves the counts as they are.
const CLEAR: &str = "DO (SELECT 1 FROM (SELECT 1) t)";

const ASK_INSERT_ID: &str = "SELECT LAST_INSERT_ID() LIMIT 1";

impl Session {
    /// MySQL counts all conditions of a failed statement in its answer to a ping, and an error packet says one of them: the
    /// connection that has them is asked, where the session still has it.
    pub(in crate::session) async fn count_conditions(&mut self) {
        if !self.left.is_least() {
            return;
        }
        let worker = Rc::clone(&self.worker);
        let serial = self.previous.asked_by(Effects::NEEDS_WARNINGS);
        let Some(link) = self.holdings.held_mut(serial) else { return };
        // A broken link shows at what is sent next.
        if let Ok(reply) = worker.talk().ask(link, Command::Ping, b"").await {
            self.left.tell(reply.summary.warnings);
        }
    }

    /// Makes `LAST_INSERT_ID()` on a link say what it must say for this session. No session leaves its id on a connection: what a home
    /// has is the session's own, and where it has none, what the session remembers still holds. False if that was lost.
    ///
    /// # Errors
    /// [`TalkError`]; the link must be dropped, if it is of no more use.
    pub(in crate::session) async fn clean_insert_id(
        &mut self,
        effects: Effects,
        hold: &mut Hold,
    ) -> Result<bool, TalkError> {
        if !effects.contains(Effects::NEEDS_INSERT_ID) {
            return Ok(true);
        }
        let worker = Rc::clone(&self.worker);
        if hold.pins().contains(Pins::INSERT_ID) {
            if self.holdings.insert_id() == InsertId::None {
                return Ok(true);
            }
            let said = worker.talk().query(&mut hold.link, ASK_INSERT_ID).await?.last_value();
            self.previous.was_asked_on(hold.link.serial, hold.link.backend().engine() == Engine::MariaDb);
            if said.as_deref() != Some("0") {
                return Ok(true);
            }
        } else if let Some(home) = self.holdings.home_mut().filter(|home| home.pins().contains(Pins::INSERT_ID)) {
            // The statement asks another link for more than the id, which is the home's.
            let Ok(said) = worker.talk().query(&mut home.link, ASK_INSERT_ID).await else { return Ok(false) };
            self.previous.was_asked_on(home.link.serial, home.link.backend().engine() == Engine::MariaDb);
            let id = said.last_value().and_then(|id| id.parse().ok()).unwrap_or_default();
            self.holdings.remember_insert_id(id);
        }
        let id = match self.holdings.insert_id() {
            InsertId::None => 0,
            InsertId::Known(id) => id,
            InsertId::Lost => return Ok(false),
        };
        worker.talk().query(&mut hold.link, &format!("SET last_insert_id={id}")).await?;
        hold.link.has_given_id = id != 0;
        self.previous.was_set_on(hold.link.serial, hold.link.backend().engine() == Engine::MariaDb);
        Ok(true)
    }

    /// True if statements that do not show it may ask the home for an insert id that it has not (`sql_auto_is_null`).
    #[inline]
    pub(super) fn home_lacks_insert_id(&self, effects: Effects) -> bool {
        self.state.pins.contains(Pins::HISTORY)
            && self.state.is_null_an_id()
            && !effects.intersects(Effects::NEEDS_PREVIOUS)
            && !self.holdings.home_pins().contains(Pins::INSERT_ID)
            && matches!(self.holdings.insert_id(), InsertId::Known(_))
    }

    /// A home with the insert id that the session remembers.
    pub(super) async fn with_remembered_insert_id(&mut self, mut home: Hold) -> Result<Hold, StatementError> {
        let InsertId::Known(id) = self.holdings.insert_id() else { return Ok(home) };
        // On MariaDB an id that a SET gave is not what `WHERE id IS NULL` finds.
        let given = self.worker.talk().query(&mut home.link, &format!("DO LAST_INSERT_ID({id})")).await;
        self.previous.is_lost_on(home.link.serial);
        home.link.has_given_id = true;
        home.pin(Pins::INSERT_ID);
        self.if_ready(home, given.map(drop))
    }

    /// The link of the previous statement, if nobody has used it since; a clean one, if there was no previous statement.
    pub(in crate::session) async fn previous_link(
        &mut self,
        effects: Effects,
        snapshot: &Snapshot,
        route: &Route,
        tried: &mut Tried,
    ) -> Result<Hold, StatementError> {
        if self.previous.is_none() {
            // A command that came first (COM_SET_OPTION) has changed what a new connection says.
            let again = self.left.recreation(effects, None).unwrap_or(Again::AS_NEW);
            return self.fresh_link(effects, snapshot, route, tried, again).await;
        }
        let serial = self.previous.asked_by(effects);
        // What is more than a question runs on a writer: what the statement before left is left again there, where it is known.
        let may_read = beside(effects) != Beside::More;
        // A parked link is kept for its cursors. To take away user variables that were set there it would have to be reset, which
        // closes the cursors.
        let may_park = beside(effects) == Beside::Nothing;
        let parked = if may_park { self.holdings.take_parked(|link| link.serial == serial) } else { None };
        let Some(hold) = parked.or_else(|| self.take_untouched(serial, |link| link.writer || may_read)) else {
            // Somebody else has used it since; what the statement left may be known all the same.
            if effects.contains(Effects::NEEDS_FOUND_ROWS) {
                Box::pin(self.learn_found_rows()).await;
            }
            let engine = snapshot.topology.members_of(&[route.writer]).map(|member| member.backend.engine()).next();
            return match self.left.recreation(self.asks_server(effects), engine) {
                Some(again) => self.fresh_link(effects, snapshot, route, tried, again).await,
                None => Err(gone(effects)),
            };
        };
        let hold = self.brought_up(hold).await?;
        let hold = self.with_insert_id(effects, hold).await?;
        self.join_counts(effects, hold).await
    }

    /// The link of that serial number, out of the pool and busy, if nobody has used it since this session and it `fits`.
    pub(in crate::session) fn take_untouched(&self, serial: u64, fits: impl Fn(&Link) -> bool) -> Option<Hold> {
        let owner = self.serial;
        let mine = |link: &Link| link.serial == serial && link.owner == owner && !link.is_disturbed() && fits(link);
        let mut link = self.worker.pool.borrow_mut().take_where(|link| mine(link))?;
        link.set_busy(true);
        Some(Hold::pooled(link))
    }

    /// A link that the session has used before, with what has been set elsewhere since; where nothing has, this says nothing to the
    /// server.
    pub(super) async fn brought_up(&mut self, mut hold: Hold) -> Result<Hold, StatementError> {
        let brought = self.worker.bring(&mut hold.link, &self.state).await;
        let mut hold = self.if_ready(hold, brought)?;
        let agreed = self.agree_on_option(&mut hold.link).await;
        self.if_ready(hold, agreed)
    }

    /// True for a statement that asks for counts which a link does not have as they are: see [`Session::join_counts`].
    #[inline]
    pub(super) fn must_join_counts(&self, effects: Effects, link: &Link) -> bool {
        self.left.unheard(effects).is_some()
            || !self.previous.elsewhere(effects, link.serial).is_empty()
            || self.has_stale_diagnostics(effects, link)
            || self.are_elsewhere(effects, link)
    }

    /// True if a link is asked for diagnostics that are on another.
    fn are_elsewhere(&self, effects: Effects, link: &Link) -> bool {
        effects.contains(Effects::NEEDS_WARNINGS)
            && !self.left.has_no_diagnostics()
            && self.previous.asked_by(Effects::NEEDS_WARNINGS) != link.serial
    }

    /// True if a link has diagnostics that the statement before did not leave: MariaDB keeps them where no table is used.
    fn has_stale_diagnostics(&self, effects: Effects, link: &Link) -> bool {
        let are_others = link.diagnostics != self.serial || self.left.has_no_diagnostics();
        link.diagnostics != 0 && effects.contains(Effects::NEEDS_WARNINGS) && are_others
    }

    /// True if a link has diagnostics that would be taken for those of a statement which is to run there, and whose text does not tell
    /// whether MariaDB keeps them; or if those that are to outlast it are on another link.
    #[inline]
    pub(super) fn has_old_diagnostics(&self, verb: Verb, effects: Effects, link: &Link) -> bool {
        (link.diagnostics != 0 || self.left.is_kept())
            && effects.intersects(Effects::OUT_OF_SIGHT | Effects::MULTI)
            && !effects.intersects(Effects::NEEDS_PREVIOUS)
            && link.backend().engine() == Engine::MariaDb
            && !self.are_kept_on(link)
            && (link.diagnostics != 0 || self.needs_marker(verb, effects))
    }

    /// True if MariaDB keeps the session's diagnostics on this link.
    fn are_kept_on(&self, link: &Link) -> bool {
        self.left.is_kept() && self.previous.asked_by(Effects::NEEDS_WARNINGS) == link.serial
    }

    /// True if the session's diagnostics are on another link, and may outlast a routine. A text that is run by EXECUTE or in a block may
    /// ask for them itself, and would see the marker.
    #[cold]
    fn needs_marker(&self, verb: Verb, effects: Effects) -> bool {
        let may_ask = verb == Verb::Execute || verb != Verb::Call && effects.contains(Effects::HIDDEN_STATE);
        let is_unsettled = self.previous.unsettled().is_some();
        !may_ask && self.previous.has_diagnostics_place() && (is_unsettled || self.left.may_outlast(verb, effects))
    }

    /// True for a text that is not understood, and so may leave `FOUND_ROWS()` as it is, if that is known and not on its link. What else the
    /// statement before left must not be there: it would be overwritten.
    #[inline]
    pub(super) fn lacks_found_rows(&self, verb: Verb, effects: Effects, link: &Link) -> bool {
        effects.contains(Effects::UNPROVEN)
            && verb == Verb::Other
            && self.previous.is_elsewhere(link.serial)
            && self.left.found_again().is_some()
    }

    /// A link on which `FOUND_ROWS()` is what it is for this session, for a text that may leave it so.
    pub(super) async fn with_found_rows(&mut self, mut hold: Hold) -> Result<Hold, StatementError> {
        let left = self.leave_counts(&mut hold.link, self.left.found_again(), None).await;
        self.claim(&mut hold.link);
        self.previous.found_on(hold.link.serial);
        self.if_ready(hold, left)
    }

    /// A link without diagnostics that the session has not, for a statement that MariaDB's diagnostics may outlast. Where the session's own
    /// are on another link and may outlast it, a marker takes their place.
    pub(super) async fn without_old_diagnostics(
        &mut self,
        verb: Verb,
        effects: Effects,
        mut hold: Hold,
    ) -> Result<Hold, StatementError> {
        if self.previous.unsettled().is_some() {
            self.find_diagnostics().await;
        }
        if self.are_kept_on(&hold.link) {
            return Ok(hold);
        }
        if hold.link.diagnostics != 0 {
            let cleared = self.clear_diagnostics(&mut hold.link).await;
            hold = self.if_ready(hold, cleared)?;
            self.previous.forget(hold.link.serial);
        }
        if self.needs_marker(verb, effects) {
            return self.with_marker(hold).await;
        }
        Ok(hold)
    }

    /// Makes the counts on a link what they must be for this session. Those that are elsewhere are left there again by what uses no
    /// table, which keeps MariaDB's diagnostics; a command that the router answered itself is sent too.
    pub(super) async fn join_counts(&mut self, effects: Effects, mut hold: Hold) -> Result<Hold, StatementError> {
        if !self.must_join_counts(effects, &hold.link) {
            return Ok(hold);
        }
        let asked = effects.difference(Effects::NEEDS_WARNINGS);
        let mut again = None;
        if self.are_elsewhere(effects, &hold.link) {
            self.put_back(hold);
            return Err(gone(effects));
        }
        if self.has_stale_diagnostics(effects, &hold.link) {
            let are_lost = hold.link.diagnostics == OF_ROUTER && self.left.has_diagnostics();
            if are_lost && self.previous.asked_by(Effects::NEEDS_WARNINGS) == hold.link.serial {
                self.put_back(hold);
                return Err(gone(effects));
            }
            let cleared = self.clear_diagnostics(&mut hold.link).await;
            hold = self.if_ready(hold, cleared)?;
        }
        if !self.previous.elsewhere(asked, hold.link.serial).is_empty() {
            if asked.contains(Effects::NEEDS_FOUND_ROWS) {
                Box::pin(self.learn_found_rows()).await;
            }
            let asks = self.asks_server(effects).difference(Effects::NEEDS_WARNINGS);
            again = self.left.recreation(asks, Some(hold.link.backend().engine()));
            let are_wanted = effects.contains(Effects::NEEDS_WARNINGS) && !self.left.has_no_diagnostics();
            let keeps = |again: Again| again.is_ping() || self.left.is_kept() && again.keeps_diagnostics();
            if again.is_none_or(|again| are_wanted && !keeps(again)) {
                self.put_back(hold);
                return Err(gone(effects));
            }
        }
        let command = self.left.unheard(effects);
        let joined = self.leave_counts(&mut hold.link, again, command).await;
        if let Some(again) = again {
            if was_refused(again, &joined) {
                self.previous.is_lost_on(hold.link.serial);
                self.put_back(hold);
                return Err(gone(effects));
            }
            let are_kept = self.left.is_kept() && again.keeps_diagnostics();
            match are_kept || effects.contains(Effects::NEEDS_WARNINGS) {
                true => self.previous.counts_are_lost(),
                false => self.previous.is_lost_on(hold.link.serial),
            }
        }
        self.if_ready(hold, joined)
    }

    /// Asks for the number of rows found, where no packet has said it, if its connection is still the session's.
    async fn learn_found_rows(&mut self) {
        if !self.left.finds_unclear() {
            return;
        }
        let serial = self.previous.asked_by(Effects::NEEDS_FOUND_ROWS);
        let worker = Rc::clone(&self.worker);
        if let Some(link) = self.holdings.held_mut(serial) {
            let is_mariadb = link.backend().engine() == Engine::MariaDb;
            let said = worker.talk().query(link, ASK_FOUND_ROWS).await;
            self.left.hear_found(said);
            self.previous.was_asked_on(serial, is_mariadb);
        } else if let Some(mut hold) = self.take_untouched(serial, |_| true) {
            self.hear_found_rows(&mut hold.link).await;
            self.put_back(hold);
        }
    }

    /// Asks a link for it.
    async fn hear_found_rows(&mut self, link: &mut Link) {
        let said = self.worker.talk().query(link, ASK_FOUND_ROWS).await;
        self.left.hear_found(said);
        self.previous.was_asked_on(link.serial, link.backend().engine() == Engine::MariaDb);
    }

    async fn leave_counts(
        &self,
        link: &mut Link,
        again: Option<Again>,
        command: Option<Command>,
    ) -> Result<(), TalkError> {
        if let Some(statement) = again.and_then(|again| again.statement(self.left.is_kept())) {
            self.worker.talk().query(link, &statement).await?;
        }
        if again.is_some_and(|again| again.ping) {
            self.worker.talk().ask(link, Command::Ping, b"").await?;
        }
        let Some(command) = command else { return Ok(()) };
        let is_on = link.key.shape.contains(Capabilities::MULTI_STATEMENTS);
        let option = u16::from(!is_on).to_le_bytes();
        let argument: &[u8] = if command == Command::SetOption { &option } else { b"" };
        self.worker.talk().ask(link, command, argument).await.map(drop)
    }

    /// What a statement asks the server that runs it: the number of rows that the one before changed is put into its text, where
    /// it is known and nothing leaves the same.
    fn asks_server(&self, effects: Effects) -> Effects {
        if self.row_count_for(effects).is_some() { effects.difference(Effects::NEEDS_ROW_COUNT) } else { effects }
    }

    /// A link to the route's writer as a new session would find it, but for what the session's statement before left.
    async fn fresh_link(
        &mut self,
        effects: Effects,
        snapshot: &Snapshot,
        route: &Route,
        tried: &mut Tried,
        again: Again,
    ) -> Result<Hold, StatementError> {
        let mut hold = Hold::pooled(self.obtain(&Rc::clone(&self.state), &[route.writer], snapshot, tried).await?);
        // It may be the very link that a statement before had: what that left there is gone.
        let is_own = hold.link.serial == self.previous.asked_by(Effects::NEEDS_FOUND_ROWS);
        if is_own && hold.link.owner == self.serial && self.left.finds_unclear() {
            self.hear_found_rows(&mut hold.link).await;
        }
        let made_fresh = self.make_fresh(&mut hold.link).await;
        if !self.previous.is_none() {
            self.previous.forget(hold.link.serial);
        }
        let hold = self.if_ready(hold, made_fresh)?;
        let mut hold = self.with_insert_id(effects, hold).await?;
        let left = self.leave_there(&mut hold.link, again).await;
        if was_refused(again, &left) {
            self.put_back(hold);
            return Err(gone(effects));
        }
        self.if_ready(hold, left)
    }

    /// Leaves on a link of a new life what was left elsewhere.
    async fn leave_there(&self, link: &mut Link, again: Again) -> Result<(), TalkError> {
        if link.diagnostics != 0 {
            // Bringing it to the session's state left warnings.
            self.clear_diagnostics(link).await?;
        }
        self.leave_counts(link, Some(again), None).await
    }

    /// Takes away the diagnostics on a link. Its counts stay.
    async fn clear_diagnostics(&self, link: &mut Link) -> Result<(), TalkError> {
        let prepared = match self.worker.talk().ask(link, Command::Prepare, CLEAR.as_bytes()).await {
            Ok(reply) => reply.prepared,
            // In a state that takes next to no command, such as that of a global transaction between its end and its commit. What the
            // client sends may be taken all the same.
            Err(TalkError::Refused { .. }) => {
                link.diagnostics = OF_ROUTER;
                return Ok(());
            }
            Err(broken) => return Err(broken),
        };
        link.diagnostics = 0;
        if let Some(id) = prepared {
            let frame = command_frame(Command::CloseStatement, &id.to_le_bytes());
            // It has no answer. A broken link shows at what is sent next.
            let _ = write_all(&mut link.stream, &frame).await;
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

/// True if a server has refused what would have left counts again, which says nothing of the link: the counts cannot be had there.
fn was_refused(again: Again, left: &Result<(), TalkError>) -> bool {
    again.may_be_refused() && matches!(left, Err(TalkError::Refused { .. }))
}
