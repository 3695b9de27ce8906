//! A statement's wait for a server, while none of its hostgroups has one that serves: a failover, a restart, a writer that is
//! read-only. [`crate::session::worker::outage`] is the line in which it stands.
//!
//! Whoever is called tries again; who then fails again has its old place in the line, and waits a little longer each time. One look every
//! [`LOOK_AGAIN`] serves all statements of a worker, and there is none while nobody waits. The servers' checks are made at a shorter
//! interval meanwhile ([`crate::backend::server::Backend::want`]).
//!
//! It refuses to know what is waited for beyond hostgroups, and whether a statement may be sent again.

use super::Supply;
use super::tried::{Tried, Turn};
use crate::backend::server::Wanted;
use crate::session::worker::outage::Wish;
use crate::session::worker::snapshot::Snapshot;
use crate::session::worker::{Current, Worker};
use std::future::poll_fn;
use std::rc::Rc;
use std::time::Duration;
use tokio::time::Instant;

/// How often it is looked whether a server serves again.
const LOOK_AGAIN: Duration = Duration::from_millis(10);

/// The least and the most time between two tries of one statement at a server that seems to serve, and then does not.
const PAUSES: (Duration, Duration) = (Duration::from_millis(20), Duration::from_millis(200));

impl Supply<'_> {
    /// Waits until a server of these hostgroups may serve. What was tried is forgotten then. False at once where the configuration
    /// says so, or too many wait; false after a wait in vain.
    pub(in crate::session) async fn wait_out(&self, tiers: &[u32], snapshot: &Rc<Current>, tried: &mut Tried) -> bool {
        let Some(mut turn) = tried.turn.or_else(|| self.stand_in_line(snapshot)) else { return false };
        // A server that seems to serve was tried a moment ago.
        let is_again = turn.calls > 0 || serves(tiers, snapshot);
        let pause =
            if is_again { PAUSES.0.saturating_mul(1 << turn.calls.min(8)).min(PAUSES.1) } else { Duration::ZERO };
        let is_called = self.wait_for_call(tiers, snapshot, &turn, Instant::now() + pause).await;
        if !is_called {
            self.worker.stats.counters.writer_wait_timeouts.inc();
        }
        turn.calls += 1;
        *tried = Tried { turn: Some(turn), ..Tried::default() };
        is_called
    }

    /// A place behind all others; none where no statement is to wait, or too many do.
    fn stand_in_line(&self, snapshot: &Snapshot) -> Option<Turn> {
        let (patience, most) = (snapshot.settings.writer_wait, snapshot.settings.max_waiting_for_writer);
        let mut outage = self.worker.outage.borrow_mut();
        if patience.is_zero() || outage.len() >= most.div_ceil(self.worker.board.workers().max(1)) {
            return None;
        }
        self.worker.stats.counters.writer_waits.inc();
        Some(Turn { number: outage.number(), until: Instant::now() + patience, calls: 0 })
    }

    /// True once the statement is called; false if nobody has called it for as long as it may wait.
    async fn wait_for_call(&self, tiers: &[u32], snapshot: &Snapshot, turn: &Turn, not_before: Instant) -> bool {
        let _wanted: Vec<Wanted> = snapshot.topology.members_of(tiers).map(|member| member.backend.want()).collect();
        let _in_line = InLine { worker: self.worker, number: turn.number };
        let called = poll_fn(|cx| {
            let mut outage = self.worker.outage.borrow_mut();
            let wish = || Wish { tiers: tiers.into(), version: snapshot.version, not_before };
            let called = outage.poll_call(turn.number, cx.waker(), wish);
            if called.is_pending() && outage.needs_watch() {
                tokio::task::spawn_local(watch(Rc::clone(self.worker)));
            }
            called
        });
        tokio::time::timeout_at(turn.until, called).await.is_ok()
    }
}

/// A place in the line, which is left when this is dropped.
struct InLine<'a> {
    worker: &'a Worker,
    number: u64,
}

impl Drop for InLine<'_> {
    fn drop(&mut self) {
        self.worker.outage.borrow_mut().leave(self.number);
    }
}

/// Calls those that wait, until nobody does.
async fn watch(worker: Rc<Worker>) {
    loop {
        tokio::time::sleep(LOOK_AGAIN).await;
        let newest = worker.snapshot();
        let mut outage = worker.outage.borrow_mut();
        outage.call(Instant::now(), newest.version, |tiers| serves(tiers, &newest));
        if outage.is_over() {
            return;
        }
    }
}

/// True if a server of these hostgroups takes statements, as far as is known.
fn serves(tiers: &[u32], snapshot: &Snapshot) -> bool {
    let mut hostgroups = tiers.iter().filter_map(|tier| snapshot.topology.hostgroup(*tier));
    hostgroups.any(|hostgroup| hostgroup.members.iter().any(|member| hostgroup.takes(&member.backend)))
}
