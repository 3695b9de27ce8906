//! What a session keeps of its links, what it gives back, and when: cleaned of what is the session's own, or closed.
//!
//! A link that is kept just for what the client may ask next goes back with the next statement that does not ask, or after
//! `hold_results`; its `LAST_INSERT_ID()` is remembered first. Which pins a statement leaves is said in [`crate::session::statement::settle`].

use crate::backend::hostgroup::Needs;
use crate::backend::server::Backend;
use crate::protocol::capabilities::Capabilities;
use crate::protocol::command::Command;
use crate::session::error::StatementError;
use crate::session::holdings::{From, Hold, Lost};
use crate::session::link::Link;
use crate::session::link::conversation::TalkError;
use crate::session::parts::Session;
use crate::session::parts::left::ASK_FOUND_ROWS;
use crate::session::state::State;
use crate::session::state::pins::Pins;
use crate::session::supply::{Cleaning, Supply, TAKE_INSERT_ID, Tried};
use crate::session::worker::registry::Activity;
use crate::session::worker::snapshot::Snapshot;
use crate::sql::effects::Effects;
use std::rc::Rc;

impl Session {
    /// Shows others that the session waits for its client.
    pub(super) fn rest(&self) {
        let waits = if self.holdings.holds() { Activity::Holding } else { Activity::Idle };
        self.ticket.waits(waits, self.holdings.pins(), self.worker.ticks());
    }

    /// Gives back the connection of the statement before, where that is not the session's home.
    pub(super) fn give_back_last(&mut self) {
        if let Some(last) = self.holdings.take_last() {
            self.give_up(last);
        }
    }

    /// A statement came that asks nothing of the one before: what was kept for that is given back.
    pub(super) fn end_until_next(&mut self) {
        self.give_back_last();
        if let Some(home) = self.holdings.lift_until_next() {
            self.release(home);
        }
    }

    /// Puts a link back to where the session had it, or gives it to others if nothing stands on it.
    pub(super) fn put_back(&mut self, hold: Hold) {
        if let Some(free) = self.holdings.put_back(hold) {
            self.give_up(free);
        }
    }

    /// A link that was taken out for its cursors has served: it goes back, or to others if nothing holds it any more.
    pub(super) fn put_back_for_cursor(&mut self, hold: Hold) {
        let at_home = hold.is_home();
        if let Some(free) = self.holdings.put_back_for_cursor(hold) {
            self.give_up(free);
        }
        if at_home {
            self.end_until_next();
        }
    }

    /// A link is of no more use: it is closed, and what stood on it is gone.
    pub(super) fn lose(&mut self, hold: Hold) -> Lost {
        let (link, lost) = self.holdings.lose(hold);
        self.discard(link);
        lost
    }

    /// The server has closed a link that the session holds, or says something there that nobody asked for. Where that holds nothing but
    /// what the client may ask next, the session goes on without it.
    pub(super) fn lose_closed(&mut self) {
        let is_closed = |hold: &Hold| hold.link.is_disturbed() && !hold.pins().intersects(Pins::NEEDS_RESET);
        if self.holdings.home().is_some_and(is_closed)
            && let Some(home) = self.holdings.take_home()
        {
            self.lose(home).untold();
        }
        if self.holdings.last().is_some_and(is_closed)
            && !self.holdings.has_aside()
            && let Some(last) = self.holdings.take_last()
        {
            self.lose(last).untold();
        }
    }

    /// A server has refused what the router itself asked for over a link. The home stays as it was; any other link is closed, for
    /// part of what was asked may have been done.
    pub(super) fn put_back_refused(&mut self, hold: Hold) {
        match hold.from() {
            From::Home => self.put_back(hold),
            From::Pool | From::Last => self.lose(hold).untold(),
        }
    }

    /// A talk over a link has failed: what that means for the link, and for the client's statement.
    pub(super) fn talk_failed(&mut self, hold: Hold, error: TalkError) -> StatementError {
        match error {
            TalkError::Refused { code, sqlstate, message } => {
                self.put_back_refused(hold);
                StatementError::State { code, sqlstate, message }
            }
            TalkError::Broken(why) => self.lose(hold).told(&why.to_string()),
        }
    }

    /// The client has been silent for so long that a link which is held just for what it may ask next goes back.
    /// `LAST_INSERT_ID()` is remembered first.
    pub(super) async fn let_go(&mut self) {
        if let Some(last) = self.holdings.take_last_for_a_while() {
            self.release(last.link);
        }
        if let Some(home) = self.let_home_go().await {
            // What it had of the statement before is gone. What the answer said is not.
            self.previous.forget(home);
        }
    }

    /// Gives back a home that is held just for what the client may ask next. `LAST_INSERT_ID()` is remembered first. Its number,
    /// if others have it now.
    pub(super) async fn let_home_go(&mut self) -> Option<u64> {
        let mut home = self.holdings.take_home_for_a_while()?;
        let serial = home.link.serial;
        if home.pins().contains(Pins::INSERT_ID) {
            match self.read_insert_id(&mut home.link).await {
                Some(id) => self.holdings.remember_insert_id(id),
                None => {
                    // Nobody is asking yet.
                    self.lose(home).untold();
                    return None;
                }
            }
        }
        self.release(home.link);
        Some(serial)
    }

    /// A link from the supply, after a wait if need be. The session does not wait for what it holds itself: what it keeps just for
    /// what its client may ask next goes back first.
    ///
    /// # Errors
    /// As [`crate::session::supply::Supply::obtain`].
    pub(super) async fn obtain(
        &mut self,
        state: &Rc<State>,
        tiers: &[u32],
        snapshot: &Snapshot,
        tried: &mut Tried,
    ) -> Result<Box<Link>, StatementError> {
        self.obtain_from(state, tiers, Needs::NOTHING, snapshot, tried).await
    }

    /// The same from a server that has what is needed.
    pub(super) async fn obtain_from(
        &mut self,
        state: &Rc<State>,
        tiers: &[u32],
        needs: Needs<'_>,
        snapshot: &Snapshot,
        tried: &mut Tried,
    ) -> Result<Box<Link>, StatementError> {
        if self.holdings.for_a_while().is_some_and(|link| self.is_all_in_use(link.backend(), tiers, snapshot)) {
            self.let_go().await;
        }
        Supply { needs: &needs, ..self.supply() }.obtain(state, tiers, snapshot, tried).await
    }

    /// True if one of these hostgroups has this backend, which has no room, and no link that is idle.
    fn is_all_in_use(&self, backend: &Backend, tiers: &[u32], snapshot: &Snapshot) -> bool {
        !backend.has_room()
            && snapshot.topology.members_of(tiers).any(|member| member.backend.id == backend.id)
            && !self.worker.pool.borrow().has_idle(backend.id)
    }

    /// Reads `LAST_INSERT_ID()` on a link, and takes it away for whoever has the link next.
    async fn read_insert_id(&self, link: &mut Link) -> Option<u64> {
        let reply = self.worker.talk().query(link, TAKE_INSERT_ID).await.ok()?;
        link.has_given_id = false;
        reply.last_value()?.parse().ok()
    }

    /// Sets a link's multi-statements as the session has them.
    pub(super) async fn agree_on_option(&self, link: &mut Link) -> Result<(), TalkError> {
        let on = self.capabilities.contains(Capabilities::MULTI_STATEMENTS);
        if link.key.shape.contains(Capabilities::MULTI_STATEMENTS) == on {
            return Ok(());
        }
        let argument = u16::from(!on).to_le_bytes();
        self.worker.talk().ask(link, Command::SetOption, &argument).await?;
        link.key.shape.set(Capabilities::MULTI_STATEMENTS, on);
        Ok(())
    }

    /// [`Session::drop_links`] for a session that goes on, with an end to wait for: when it is answered, its locks and its transaction are
    /// gone, as on a server.
    pub(super) async fn end_links(&mut self) {
        self.ask_found_rows().await;
        const CLOSED: Pins = Pins::XA.union(Pins::RECORDED);
        let is_left = |home: &Hold| home.link.is_doubtful || home.pins().intersects(Pins::NEEDS_RESET);
        let mut ending: Vec<Box<Link>> = Vec::new();
        if let Some(home) = self.holdings.take_home() {
            match is_left(&home) && !home.pins().intersects(CLOSED) {
                true => ending.push(home.link),
                false => self.holdings.make_home(home),
            }
        }
        if self.leaves_doubt {
            ending.extend(std::iter::from_fn(|| self.take_doubtful()));
        }
        for mut link in ending {
            match self.worker.reset(&mut link).await {
                Ok(()) => self.release(link),
                Err(_) => self.discard(link),
            }
        }
        self.drop_links();
    }

    /// No packet says how many rows a cursor has found, and the session's new life still has that number.
    async fn ask_found_rows(&mut self) {
        let worker = Rc::clone(&self.worker);
        let serial = self.previous.asked_by(Effects::NEEDS_FOUND_ROWS);
        let Some(link) = self.holdings.with_cursor_mut(serial).filter(|_| self.left.finds_unclear()) else { return };
        let said = worker.talk().query(link, ASK_FOUND_ROWS).await;
        self.left.hear_found(said);
        self.previous.forget(serial);
    }

    /// Lets go of all that the session holds.
    pub(super) fn drop_links(&mut self) {
        self.give_back_last();
        for parked in self.holdings.take_all_parked() {
            self.give_up(parked);
        }
        if let Some(mut home) = self.holdings.take_home() {
            if home.link.is_doubtful {
                home.pin(Pins::ROUTINE);
            }
            match home.pins().contains(Pins::XA) {
                // A reset of MariaDB's leaves the locks of a prepared transaction on the connection, even when others have ended it.
                true => self.discard(home.link),
                false => self.give_up(home),
            }
        }
        if std::mem::take(&mut self.leaves_doubt) {
            self.reset_doubtful();
        }
    }

    /// What the session may have left on connections that are idle now (a lock that a trigger took, for instance) ends with it.
    fn reset_doubtful(&self) {
        while let Some(link) = self.take_doubtful() {
            let mut hold = Hold::pooled(link);
            hold.pin(Pins::ROUTINE);
            self.give_up(hold);
        }
    }

    /// An idle connection on which the session may have left something unknown.
    fn take_doubtful(&self) -> Option<Box<Link>> {
        let owner = self.serial;
        let mine = |link: &Link| link.is_doubtful && link.owner == owner;
        self.worker.pool.borrow_mut().take_where(|link| mine(link))
    }

    /// Gives a link to others, once what stands on it is gone.
    pub(super) fn give_up(&self, hold: Hold) {
        let cleaning = match hold.pins() {
            pins if pins.contains(Pins::RECORDED) => return self.discard(hold.link),
            pins if pins.intersects(Pins::NEEDS_RESET) => Cleaning::Reset,
            pins if pins.contains(Pins::INSERT_ID) => Cleaning::InsertId,
            _ => return self.release(hold.link),
        };
        self.supply().release_cleaned(hold.link, cleaning);
    }

    /// Gives a link to others as it is: nothing stands on it.
    pub(super) fn release(&self, link: Box<Link>) {
        self.supply().release(link);
    }

    /// Closes a link that is of no more use.
    pub(super) fn discard(&self, link: Box<Link>) {
        self.supply().discard(link);
    }
}
