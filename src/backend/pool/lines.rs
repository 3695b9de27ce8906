//! Who waits for a connection, and who holds one that may be wanted back: a line of each for every backend.
//!
//! Each worker has its own lines, and serves each in order. The backend counts those who stand in line for it on all workers; one who
//! was called stands in line no more. A line refuses to know what is waited for.

use crate::backend::server::{Backend, BackendId, Waiting};
use hashbrown::HashMap;
use std::collections::VecDeque;
use std::sync::Arc;
use std::task::Waker;

/// One who holds a connection just for a while.
struct Holder {
    ticket: u64,
    waker: Waker,
}

/// One who waits.
struct Waiter {
    ticket: u64,
    waker: Waker,
    _counted: Waiting,
}

/// Where somebody takes his place in a line.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum At {
    /// He was called, and came too late for what he was called for.
    Front,
    /// He has just come.
    End,
}

/// The lines of a worker.
#[derive(Default)]
pub struct Lines {
    waiters: HashMap<BackendId, VecDeque<Waiter>, foldhash::fast::FixedState>,
    /// Who holds a connection that it would give back to whoever waits.
    holders: HashMap<BackendId, VecDeque<Holder>, foldhash::fast::FixedState>,
    next_ticket: u64,
}

impl Lines {
    /// Holds a connection to `backend` that may be wanted back: whoever waits for one calls. The ticket is for
    /// [`Lines::keep`].
    pub fn hold(&mut self, backend: BackendId, waker: Waker) -> u64 {
        self.next_ticket += 1;
        self.holders.entry(backend).or_default().push_back(Holder { ticket: self.next_ticket, waker });
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

    /// Stands in line for a connection to `backend`; the ticket is for [`Lines::stay`] and [`Lines::leave`]. One who holds such a
    /// connection for a while is called.
    pub fn wait(&mut self, backend: &Arc<Backend>, at: At, waker: Waker) -> u64 {
        self.call_back(backend.id, 1);
        self.next_ticket += 1;
        let waiter = Waiter { ticket: self.next_ticket, waker, _counted: backend.wait() };
        let line = self.waiters.entry(backend.id).or_default();
        match at {
            At::Front => line.push_front(waiter),
            At::End => line.push_back(waiter),
        }
        self.next_ticket
    }

    /// Stays in line, to be called by this waker; false if the ticket has been called.
    pub fn stay(&mut self, backend: BackendId, ticket: u64, waker: &Waker) -> bool {
        let line = self.waiters.get_mut(&backend);
        let Some(waiter) = line.and_then(|line| line.iter_mut().find(|w| w.ticket == ticket)) else { return false };
        waiter.waker.clone_from(waker);
        true
    }

    /// Leaves the line. If the ticket has been called, the next one is called in its place.
    pub fn leave(&mut self, backend: BackendId, ticket: u64) {
        let Some(line) = self.waiters.get_mut(&backend) else { return };
        match line.iter().position(|waiter| waiter.ticket == ticket) {
            Some(place) => drop(line.remove(place)),
            None => self.wake(backend),
        }
    }

    /// Calls the first in line, if anybody stands there.
    pub fn wake(&mut self, backend: BackendId) {
        if let Some(waiter) = self.waiters.get_mut(&backend).and_then(VecDeque::pop_front) {
            waiter.waker.wake();
        }
    }

    /// True if sessions of other workers wait for a connection to `backend`.
    pub fn others_wait(&self, backend: &Backend) -> bool {
        let all = backend.waiting();
        all > 0 && usize::try_from(all).is_ok_and(|all| all > self.waiters.get(&backend.id).map_or(0, VecDeque::len))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::backend::pool::tests::backend;
    use std::sync::atomic::{AtomicU32, Ordering::Relaxed};
    use std::task::Wake;

    /// Counts how often it is called.
    #[derive(Default)]
    struct Calls(AtomicU32);

    impl Wake for Calls {
        fn wake(self: Arc<Self>) {
            self.0.fetch_add(1, Relaxed);
        }
    }

    /// A waiter's calls, and his ticket.
    fn stand(lines: &mut Lines, backend: &Arc<Backend>, at: At) -> (Arc<Calls>, u64) {
        let calls = Arc::new(Calls::default());
        let ticket = lines.wait(backend, at, Arc::clone(&calls).into());
        (calls, ticket)
    }

    fn called(of: &(Arc<Calls>, u64)) -> u32 {
        of.0.0.load(Relaxed)
    }

    #[test]
    fn first_come_first_served() {
        let (mut lines, backend) = (Lines::default(), backend(9));
        let (first, second) = (stand(&mut lines, &backend, At::End), stand(&mut lines, &backend, At::End));
        let waker = Arc::clone(&second.0).into();
        assert!(lines.stay(backend.id, second.1, &waker));
        lines.wake(backend.id);
        assert_eq!((called(&first), called(&second)), (1, 0));
        assert!(!lines.stay(backend.id, first.1, &waker), "who was called stands in no line");
        let again = stand(&mut lines, &backend, At::Front);
        lines.wake(backend.id);
        assert_eq!((called(&again), called(&second)), (1, 0), "who came too late for his call is called first");
        lines.wake(backend.id);
        assert_eq!(called(&second), 1);
        lines.wake(backend.id);
    }

    #[test]
    fn a_call_that_nobody_heeds_is_the_next_ones() {
        let (mut lines, backend) = (Lines::default(), backend(9));
        let (first, second) = (stand(&mut lines, &backend, At::End), stand(&mut lines, &backend, At::End));
        lines.wake(backend.id);
        lines.leave(backend.id, first.1);
        assert_eq!(called(&second), 1);
        let third = stand(&mut lines, &backend, At::End);
        lines.leave(backend.id, third.1);
        lines.wake(backend.id);
        assert_eq!(called(&third), 0, "who left is not called");
    }

    #[test]
    fn those_who_stand_in_line_are_counted_at_the_backend() {
        let (mut here, mut there, backend) = (Lines::default(), Lines::default(), backend(9));
        let first = stand(&mut here, &backend, At::End);
        assert!(!here.others_wait(&backend) && there.others_wait(&backend));
        let _second = stand(&mut there, &backend, At::End);
        assert_eq!(backend.waiting(), 2);
        assert!(here.others_wait(&backend));
        there.wake(backend.id);
        assert!(!here.others_wait(&backend), "who was called waits no more");
        here.leave(backend.id, first.1);
        assert_eq!(backend.waiting(), 0);
    }

    #[test]
    fn one_who_holds_a_connection_for_a_while_is_called_by_who_waits() {
        let (mut lines, backend) = (Lines::default(), backend(9));
        let calls = Arc::new(Calls::default());
        let ticket = lines.hold(backend.id, Arc::clone(&calls).into());
        let _waiter = stand(&mut lines, &backend, At::End);
        assert_eq!(calls.0.load(Relaxed), 1);
        assert!(!lines.keep(backend.id, ticket), "it has been called");
    }
}
