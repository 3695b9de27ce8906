//! Links that are given back: to others at once, or once they are clean; or closed.
//!
//! What must be cleaned is cleaned by a task of its own, so that nobody waits for it. A link that was condemned meanwhile is never
//! given to others.

use super::Supply;
use crate::session::link::{Fate, Link};
use crate::session::worker::Worker;
use crate::session::worker::strike::end_abandoned;
use std::rc::Rc;
use std::time::Duration;

/// What has to be done before others may have a link.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::session) enum Cleaning {
    /// It has an id that `LAST_INSERT_ID()` would tell the next session.
    InsertId,
    /// It has what only a reset takes away.
    Reset,
}

/// Reads the insert id, and then sets it to none.
pub(in crate::session) const TAKE_INSERT_ID: &str = "SELECT LAST_INSERT_ID(),LAST_INSERT_ID(0) LIMIT 1";

/// How long a connection's cleaning may take before it is closed instead.
const PATIENCE: Duration = Duration::from_secs(5);

impl Supply<'_> {
    /// Puts a link back for others.
    pub fn release(&self, link: Box<Link>) {
        if link.fate.get() != Fate::Shared {
            return self.discard(link);
        }
        if link.has_given_id {
            return self.release_cleaned(link, Cleaning::InsertId);
        }
        self.worker.stats.counters.pool_puts.inc();
        put(self.worker, link, self.user);
    }

    /// Closes a link that is of no more use.
    pub fn discard(&self, link: Box<Link>) {
        if link.fate.get() == Fate::Killed {
            return end_abandoned(self.worker, link, self.account.credentials());
        }
        self.worker.close(link);
    }

    /// Puts a link back for others once it is clean.
    pub fn release_cleaned(&self, mut link: Box<Link>, cleaning: Cleaning) {
        if link.fate.get() != Fate::Shared {
            return self.discard(link);
        }
        let worker = Rc::clone(self.worker);
        tokio::task::spawn_local(async move {
            let clean = async {
                match cleaning {
                    Cleaning::InsertId => {
                        link.has_given_id = false;
                        worker.talk().query(&mut link, TAKE_INSERT_ID).await.map(drop)
                    }
                    Cleaning::Reset => worker.reset(&mut link).await,
                }
            };
            match tokio::time::timeout(PATIENCE, clean).await {
                // What it had of a statement before is gone.
                Ok(Ok(())) => put(&worker, link, 0),
                _ => worker.close(link),
            }
        });
    }
}

/// Puts a link into the pool, unless its room is owed to another worker.
fn put(worker: &Worker, mut link: Box<Link>, user: u64) {
    link.set_busy(false);
    if link.owner != user {
        // It was borrowed, and nothing has run there for its session: what is there now is nobody's.
        link.owner = 0;
    }
    let mut pool = worker.pool.borrow_mut();
    let is_waited_for = link.backend().waiting() > 0;
    if is_waited_for && pool.owes_room(link.backend()) {
        return;
    }
    let (key, backend) = (link.key, link.backend().id);
    pool.put(key, link, worker.ticks());
    if is_waited_for {
        pool.lines.wake(backend);
    }
}
