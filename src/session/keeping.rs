//! What a session keeps of its links, what it gives back, and when: cleaned of what is the session's own, or closed.
//!
//! A link that is kept just for what the client may ask next goes back with the next statement that does not ask, or after
//! `hold_results`; its `LAST_INSERT_ID()` is remembered first. Links with somebody's state on them are reset by a task of their
//! own before others may have them. Which pins a statement leaves is said in [`crate::session::statement::settle`].

use crate::protocol::capabilities::Capabilities;
use crate::protocol::command::Command;
use crate::session::error::StatementError;
use crate::session::link::{Fate, Link};
use crate::session::parts::Session;
use crate::session::state::pins::Pins;
use crate::session::worker::registry::Activity;
use std::rc::Rc;
use std::time::Duration;

impl Session {
    /// Shows others that the session waits for its client.
    pub(super) fn rest(&self) {
        let parked = if self.has_parked() { Pins::CURSOR } else { Pins::empty() };
        let holds = self.home.is_some() || !parked.is_empty();
        let waits = if holds { Activity::Holding } else { Activity::Idle };
        self.ticket.waits(waits, self.home_pins | self.last_pins | parked, self.worker.ticks());
    }

    /// Gives back the connection of the statement before, where that is not the session's home.
    pub(super) fn give_back_last(&mut self) {
        if let Some(link) = self.last.take() {
            self.last_pins = Pins::empty();
            self.release(link);
        }
    }

    /// A statement came that asks nothing of the one before: what was kept for that is given back.
    pub(super) fn end_until_next(&mut self) {
        self.give_back_last();
        if self.home.is_some() {
            self.home_pins -= Pins::UNTIL_NEXT;
            if self.home_pins.is_empty()
                && let Some(link) = self.home.take()
            {
                self.release(link);
            }
        }
    }

    /// True if the session holds a connection just for what the client may ask next.
    pub(super) fn holds_for_a_while(&self) -> bool {
        self.held_for_a_while().is_some()
    }

    /// The connection that it holds just for that.
    pub(super) fn held_for_a_while(&self) -> Option<&Link> {
        let soft = Pins::UNTIL_NEXT | Pins::INSERT_ID;
        let home = self.home.as_deref().filter(|_| soft.contains(self.home_pins));
        self.last.as_deref().or(home)
    }

    /// The client has been silent for so long that such a connection goes back. `LAST_INSERT_ID()` is remembered first.
    pub(super) async fn let_go(&mut self) {
        self.give_back_last();
        let soft = Pins::UNTIL_NEXT | Pins::INSERT_ID;
        if !soft.contains(self.home_pins) {
            return;
        }
        let Some(mut link) = self.home.take() else { return };
        let keeps_id = self.home_pins.contains(Pins::INSERT_ID);
        self.home_pins = Pins::empty();
        self.previous_at_home = false;
        if keeps_id {
            match self.read_insert_id(&mut link).await {
                Some(id) => self.insert_id = Some(id),
                None => {
                    self.discard(link);
                    return;
                }
            }
        }
        self.previous = 0;
        self.release(link);
    }

    /// Reads `LAST_INSERT_ID()` on a link, and takes it away for whoever has the link next.
    pub(super) async fn read_insert_id(&self, link: &mut Link) -> Option<u64> {
        let reply = self.worker.talk().query(link, TAKE_INSERT_ID).await.ok()?;
        reply.last_value()?.parse().ok()
    }

    /// Sets a link's multi-statements as the session has them.
    pub(super) async fn agree_on_option(&self, link: &mut Link) -> Result<(), StatementError> {
        let on = self.capabilities.contains(Capabilities::MULTI_STATEMENTS);
        if link.key.shape.contains(Capabilities::MULTI_STATEMENTS) == on {
            return Ok(());
        }
        let argument = u16::from(!on).to_le_bytes();
        let told = self.worker.talk().ask(link, Command::SetOption, &argument).await;
        told.map_err(|error| self.talk_failed(link, error))?;
        link.key.shape.set(Capabilities::MULTI_STATEMENTS, on);
        Ok(())
    }

    /// Lets go of all that the session holds. Connections with somebody's state on them are reset by a task of their own
    /// before others may have them.
    pub(super) fn drop_links(&mut self) {
        if let Some(link) = self.last.take() {
            self.last_pins = Pins::empty();
            self.release(link);
        }
        for parked in self.unpark_all() {
            self.give_up(parked, LeftBehind::State);
        }
        if let Some(home) = self.home.take() {
            let pins = std::mem::take(&mut self.home_pins);
            let left = match pins.intersects(Pins::NEEDS_RESET) || home.is_doubtful {
                true => LeftBehind::State,
                false if pins.contains(Pins::INSERT_ID) => LeftBehind::InsertId,
                false => LeftBehind::Nothing,
            };
            self.give_up(home, left);
        }
        if std::mem::take(&mut self.leaves_doubt) {
            self.reset_doubtful();
        }
    }

    /// What the session may have left on connections that are idle now (a lock that a trigger took, for instance) ends with it.
    fn reset_doubtful(&self) {
        let mine = |link: &Link| link.is_doubtful && link.owner == self.serial;
        loop {
            let link = self.worker.pool.borrow_mut().take_where(|link| mine(link));
            match link {
                Some(link) => self.give_up(link, LeftBehind::State),
                None => return,
            }
        }
    }

    /// Gives a link to others that has something of the session's on it, which only a reset takes away.
    pub(super) fn give_up_stained(&self, link: Box<Link>) {
        self.give_up(link, LeftBehind::State);
    }

    /// Gives a link to others, once what the session has left on it is gone.
    fn give_up(&self, mut link: Box<Link>, left: LeftBehind) {
        if left == LeftBehind::Nothing || link.fate.get() != Fate::Shared {
            self.release(link);
            return;
        }
        let worker = Rc::clone(&self.worker);
        let serial = self.serial;
        tokio::task::spawn_local(async move {
            let clean = async {
                match left {
                    LeftBehind::InsertId => worker.talk().query(&mut link, TAKE_INSERT_ID).await.map(drop),
                    LeftBehind::State | LeftBehind::Nothing => worker.reset(&mut link).await,
                }
            };
            let reset = tokio::time::timeout(RESET, clean).await;
            link.set_busy(false);
            let (key, waiting) = (link.key, link.backend().waiting());
            match reset {
                Ok(Ok(())) => {
                    link.owner = serial;
                    worker.pool.borrow_mut().put(key, waiting, link, worker.ticks());
                }
                _ => {
                    drop(link);
                    worker.pool.borrow_mut().wake(key.backend);
                }
            }
        });
    }

    /// True if a cursor is open on the link of that serial number.
    pub(super) fn has_cursor(&self, link: u64) -> bool {
        self.prepared.as_ref().is_some_and(|p| p.cursors.on(link))
    }

    /// True if one is open there under this number of a text.
    pub(super) fn has_cursor_under(&self, link: u64, number: u64) -> bool {
        let open = self.prepared.as_ref().map(|p| p.cursors.open.as_slice()).unwrap_or_default();
        open.iter().any(|c| c.link == link && c.number == number)
    }

    /// True if the session keeps a connection for a cursor alone.
    pub(super) fn has_parked(&self) -> bool {
        self.prepared.as_ref().is_some_and(|p| !p.cursors.parked.is_empty())
    }

    /// Keeps a link for its cursors.
    pub(super) fn park(&mut self, link: Box<Link>) {
        self.prepared.get_or_insert_default().cursors.parked.push(link);
    }

    /// Takes a parked link that `is` what is wanted.
    pub(super) fn unpark(&mut self, is: impl Fn(&Link) -> bool) -> Option<Box<Link>> {
        let parked = &mut self.prepared.as_mut()?.cursors.parked;
        let place = parked.iter().position(|link| is(link))?;
        Some(parked.swap_remove(place))
    }

    /// Takes the link of that serial number from where the session holds it; true if that is its home.
    pub(super) fn holder(&mut self, serial: u64) -> Option<(Box<Link>, bool)> {
        if self.home.as_ref().is_some_and(|home| home.serial == serial) {
            return self.home.take().map(|link| (link, true));
        }
        self.unpark(|link| link.serial == serial).map(|link| (link, false))
    }

    /// Puts such a link back, or lets it go if nothing holds it any more.
    pub(super) fn put_back(&mut self, link: Box<Link>, at_home: bool) {
        let has_cursor = self.has_cursor(link.serial);
        if at_home {
            self.home_pins.set(Pins::CURSOR, has_cursor);
            self.home = Some(link);
            self.end_until_next();
        } else if has_cursor {
            self.park(link);
        } else {
            self.release(link);
        }
    }

    /// All parked links, to be given up.
    #[allow(clippy::vec_box)]
    pub(super) fn unpark_all(&mut self) -> Vec<Box<Link>> {
        match &mut self.prepared {
            Some(statements) => {
                statements.cursors.open.clear();
                std::mem::take(&mut statements.cursors.parked)
            }
            None => Vec::new(),
        }
    }
}

/// Reads the id, and then sets it to none.
pub(super) const TAKE_INSERT_ID: &str = "SELECT LAST_INSERT_ID(),LAST_INSERT_ID(0)";

/// What a session leaves on a connection that it gives up.
#[derive(Clone, Copy, PartialEq, Eq)]
enum LeftBehind {
    Nothing,
    /// An id that `LAST_INSERT_ID()` would tell the next session.
    InsertId,
    /// What only a reset takes away.
    State,
}

/// How long a connection's reset may take before it is closed instead.
const RESET: Duration = Duration::from_secs(5);
