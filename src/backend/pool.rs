//! Idle connections of one worker, and the sessions that wait for one.
//!
//! Belongs to one thread: no lock, no atomic beyond the backend's own counters. The pool knows when a connection was put
//! back and for whom it is fit (its [`Key`]); what it carries is the session's type `C`.

use super::server::BackendId;
use crate::protocol::capabilities::Capabilities;
use hashbrown::HashMap;
use std::collections::VecDeque;
use std::task::Waker;

/// Whom a connection is fit for: sessions that go to this backend, sign in there as this account, and agree with the
/// server on these flags.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Key {
    /// The backend.
    pub backend: BackendId,
    /// The account's number (it changes with the account's credentials).
    pub account: u32,
    /// The collation that the client signed in with: the character set that its texts are in.
    pub collation: u16,
    /// The flags that change the shape of what is sent ([`Capabilities::SHAPE`]).
    pub shape: Capabilities,
}

struct Idle<C> {
    connection: C,
    since: u32,
}

struct Waiter {
    ticket: u64,
    waker: Waker,
}

/// The idle connections of a worker.
pub struct Pool<C> {
    idle: HashMap<Key, Vec<Idle<C>>, foldhash::fast::FixedState>,
    waiters: HashMap<BackendId, VecDeque<Waiter>, foldhash::fast::FixedState>,
    /// Who holds a connection that it would give back to whoever waits.
    holders: HashMap<BackendId, VecDeque<Waiter>, foldhash::fast::FixedState>,
    next_ticket: u64,
    count: usize,
}

impl<C> Default for Pool<C> {
    fn default() -> Self {
        Self {
            idle: HashMap::default(),
            waiters: HashMap::default(),
            holders: HashMap::default(),
            next_ticket: 0,
            count: 0,
        }
    }
}

impl<C> Pool<C> {
    /// Takes an idle connection: the most recently used that `fits` best. `rank` gives 0 for a perfect fit, higher for
    /// worse, `None` for one that must not be taken (a dead one is for [`Pool::sweep`]).
    pub fn take(&mut self, key: &Key, mut rank: impl FnMut(&C) -> Option<u32>) -> Option<C> {
        let idle = self.idle.get_mut(key)?;
        let mut best: Option<(usize, u32)> = None;
        for (index, entry) in idle.iter().enumerate().rev() {
            match rank(&entry.connection) {
                Some(0) => {
                    best = Some((index, 0));
                    break;
                }
                Some(r) if best.is_none_or(|(_, b)| r < b) => best = Some((index, r)),
                _ => {}
            }
        }
        let (index, _) = best?;
        self.count -= 1;
        Some(idle.remove(index).connection)
    }

    /// Takes the first idle connection, fit for whomever, that `is` says is wanted.
    pub fn take_where(&mut self, mut is: impl FnMut(&C) -> bool) -> Option<C> {
        let (idle, index) = self
            .idle
            .values_mut()
            .find_map(|idle| idle.iter().rposition(|entry| is(&entry.connection)).map(|index| (idle, index)))?;
        self.count -= 1;
        Some(idle.remove(index).connection)
    }

    /// Puts a connection back at time `now` (in the worker's ticks), and wakes who waits for its backend.
    ///
    /// `waiting` is how many sessions wait at its backend. Where those of other workers do and none of this one, the
    /// connection is closed instead: its room is what they wait for.
    pub fn put(&mut self, key: Key, waiting: u32, connection: C, now: u32) {
        if waiting > 0 && !self.wake(key.backend) {
            return;
        }
        self.idle.entry(key).or_default().push(Idle { connection, since: now });
        self.count += 1;
    }

    /// Closes idle connections that `stale` condemns; it is given the connection and the tick it was put back.
    pub fn sweep(&mut self, mut stale: impl FnMut(&C, u32) -> bool) {
        for idle in self.idle.values_mut() {
            idle.retain(|entry| !stale(&entry.connection, entry.since));
        }
        self.idle.retain(|_, idle| !idle.is_empty());
        self.count = self.idle.values().map(Vec::len).sum();
    }

    /// Closes idle connections to `backend`, those that were put back first, until no more than `most` are left.
    pub fn trim(&mut self, backend: BackendId, most: usize) {
        let idle = self.counts().filter(|(id, _)| *id == backend).map(|(_, count)| count).sum::<usize>();
        for _ in most..idle {
            self.evict(backend);
        }
    }

    /// Closes one idle connection to `backend` that is fit for somebody else, to make room. False if there is none.
    pub fn evict(&mut self, backend: BackendId) -> bool {
        let oldest = self
            .idle
            .iter()
            .filter(|(key, _)| key.backend == backend)
            .filter_map(|(key, idle)| Some((*key, idle.first()?.since)))
            .min_by_key(|(_, since)| *since)
            .map(|(key, _)| key);
        let Some(idle) = oldest.and_then(|key| self.idle.get_mut(&key)) else { return false };
        idle.remove(0);
        self.count -= 1;
        true
    }

    /// Calls `with` for each idle connection: whom it is fit for, the connection, and the tick at which it was put back.
    pub fn each(&self, mut with: impl FnMut(&Key, &C, u32)) {
        for (key, idle) in &self.idle {
            idle.iter().for_each(|entry| with(key, &entry.connection, entry.since));
        }
    }

    /// Backends and how many connections are idle there, a backend as often as there are keys for it.
    pub fn counts(&self) -> impl Iterator<Item = (BackendId, usize)> {
        self.idle.iter().map(|(key, idle)| (key.backend, idle.len()))
    }

    /// Idle connections.
    pub fn len(&self) -> usize {
        self.count
    }

    /// True if no connection is idle.
    pub fn is_empty(&self) -> bool {
        self.count == 0
    }

    /// Holds a connection to `backend` that may be wanted back: whoever waits for one calls. The ticket is for
    /// [`Pool::keep`].
    pub fn hold(&mut self, backend: BackendId, waker: Waker) -> u64 {
        self.next_ticket += 1;
        self.holders.entry(backend).or_default().push_back(Waiter { ticket: self.next_ticket, waker });
        self.next_ticket
    }

    /// Keeps it from being called any more; false if it has been.
    pub fn keep(&mut self, backend: BackendId, ticket: u64) -> bool {
        let Some(holders) = self.holders.get_mut(&backend) else { return false };
        let Some(place) = holders.iter().position(|h| h.ticket == ticket) else { return false };
        holders.remove(place);
        true
    }

    /// Calls as many of those who hold a connection to `backend` as `most`.
    pub fn call_back(&mut self, backend: BackendId, most: usize) {
        let Some(holders) = self.holders.get_mut(&backend) else { return };
        for holder in holders.drain(..most.min(holders.len())) {
            holder.waker.wake();
        }
    }

    /// Stands in line for a connection to `backend`; the ticket is for [`Pool::leave`]. One who holds such a connection for a
    /// while is called.
    pub fn wait(&mut self, backend: BackendId, waker: Waker) -> u64 {
        self.call_back(backend, 1);
        self.next_ticket += 1;
        self.waiters.entry(backend).or_default().push_back(Waiter { ticket: self.next_ticket, waker });
        self.next_ticket
    }

    /// Leaves the line; true if the ticket was still in it (nobody called).
    pub fn leave(&mut self, backend: BackendId, ticket: u64) -> bool {
        let Some(line) = self.waiters.get_mut(&backend) else { return false };
        let Some(place) = line.iter().position(|w| w.ticket == ticket) else { return false };
        line.remove(place);
        true
    }

    /// Calls the first in line; false if nobody stands there.
    pub fn wake(&mut self, backend: BackendId) -> bool {
        match self.waiters.get_mut(&backend).and_then(VecDeque::pop_front) {
            Some(waiter) => {
                waiter.waker.wake();
                true
            }
            None => false,
        }
    }
}
