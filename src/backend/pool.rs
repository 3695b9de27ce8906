//! Idle connections of one worker, and the sessions that wait for one.
//!
//! Belongs to one thread: no lock, no atomic beyond the backend's own counters. The pool knows when a connection was put
//! back and for whom it is fit (its [`Key`]); what it carries is the session's type `C`.
//!
//! Workers share a backend's room: each has a part of it, and the rest for as long as nobody else asks ([`Pool::owes_room`],
//! [`Pool::may_open`]). A connection cannot change its worker, so that room goes from one to another by closing a connection here and
//! opening one there, which is dear: where all workers have as much to do, none of it must happen.

pub mod lines;

use self::lines::Lines;
use super::server::{Backend, BackendId};
use crate::protocol::capabilities::Capabilities;
use hashbrown::HashMap;
use std::rc::Rc;

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

/// The idle connections of a worker.
pub struct Pool<C> {
    idle: HashMap<Key, Vec<Idle<C>>, foldhash::fast::FixedState>,
    count: usize,
    /// Counts this worker's connections to each backend, idle or not: one who has such a count is a connection.
    open: HashMap<BackendId, Rc<()>, foldhash::fast::FixedState>,
    /// How many workers there are.
    workers: u32,
    /// Who waits, and who is to be called.
    pub lines: Lines,
}

impl<C> Pool<C> {
    /// The pool of one of so many workers.
    pub fn new(workers: usize) -> Self {
        Self {
            idle: HashMap::default(),
            count: 0,
            open: HashMap::default(),
            workers: u32::try_from(workers).unwrap_or(u32::MAX).max(1),
            lines: Lines::default(),
        }
    }

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

    /// Counts a connection of this worker's for as long as it has this.
    pub fn counted(&mut self, backend: BackendId) -> Rc<()> {
        Rc::clone(self.open.entry(backend).or_default())
    }

    /// This worker's connections to a backend, idle or not.
    fn open(&self, backend: BackendId) -> u32 {
        let counted = self.open.get(&backend).map_or(0, |count| Rc::strong_count(count) - 1);
        u32::try_from(counted).unwrap_or(u32::MAX)
    }

    /// True if this worker may open another connection to a backend that has room: within its part of the room, or because nobody
    /// waits at other workers. Parts are rounded up, so that every room is somebody's.
    pub fn may_open(&self, backend: &Backend) -> bool {
        self.open(backend.id) < backend.max_connections().div_ceil(self.workers) || !self.lines.others_wait(backend)
    }

    /// True if a connection to a backend that nobody needs here is to be closed: this worker has more than its part of the room, and
    /// somebody waits at another. Parts are rounded down: of a room that cannot be parted nobody has more than a turn.
    pub fn owes_room(&self, backend: &Backend) -> bool {
        self.lines.others_wait(backend) && self.open(backend.id) > backend.max_connections() / self.workers
    }

    /// Puts a connection back at time `now` (in the worker's ticks).
    pub fn put(&mut self, key: Key, connection: C, now: u32) {
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

    /// True if a connection to this backend is idle, whoever it is fit for.
    pub fn has_idle(&self, backend: BackendId) -> bool {
        self.counts().any(|(id, count)| id == backend && count > 0)
    }

    /// Idle connections.
    pub fn len(&self) -> usize {
        self.count
    }

    /// True if no connection is idle.
    pub fn is_empty(&self) -> bool {
        self.count == 0
    }
}

#[cfg(test)]
pub(super) mod tests {
    use super::lines::At;
    use super::*;
    use crate::backend::connect::Target;
    use crate::backend::health::{Health, State, Thresholds};
    use std::sync::Arc;
    use std::task::Waker;

    /// A backend of so many connections.
    pub fn backend(connections: u32) -> Arc<Backend> {
        let health = Health::new(Thresholds::default(), State::Up);
        Arc::new(Backend::new(BackendId(1), Target::tcp("db", 3306), connections, health))
    }

    #[test]
    fn room_is_shared_among_workers() {
        // The most connections; how many this worker has; somebody waits at another. Does it owe room; may it open another?
        let cases = [
            (10, 5, true, false, false),
            (10, 6, true, true, false),
            (10, 4, true, false, true),
            (10, 9, false, false, true),
            (1, 1, true, true, false),
            (1, 0, true, false, true),
            (3, 1, true, false, true),
            (3, 2, true, true, false),
        ];
        for (most, has, others_wait, owes, may_open) in cases {
            let (mut pool, mut there, backend) = (Pool::<()>::new(2), Lines::default(), backend(most));
            let _connections: Vec<_> = (0..has).map(|_| pool.counted(backend.id)).collect();
            if others_wait {
                there.wait(&backend, At::End, Waker::noop().clone());
            }
            let got = (pool.owes_room(&backend), pool.may_open(&backend));
            assert_eq!(got, (owes, may_open), "{has} of {most}, others wait: {others_wait}");
        }
    }
}
