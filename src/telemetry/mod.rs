//! What the router knows of itself: counters, kept per worker and merged when somebody reads them.

pub mod ledger;
pub mod log;
pub mod routes;
pub mod stats;

use std::sync::atomic::{AtomicU64, Ordering::Relaxed};

/// A counter with one writer. Counting is a plain load, add and store: no locked instruction, no shared cache line.
#[derive(Debug, Default)]
pub struct Counter(AtomicU64);

impl Counter {
    /// Adds `n`. To be called by the owning worker alone.
    #[inline]
    pub fn add(&self, n: u64) {
        self.0.store(self.0.load(Relaxed).wrapping_add(n), Relaxed);
    }

    /// Adds one.
    #[inline]
    pub fn inc(&self) {
        self.add(1);
    }

    /// Takes `n` away (for gauges).
    #[inline]
    pub fn sub(&self, n: u64) {
        self.0.store(self.0.load(Relaxed).wrapping_sub(n), Relaxed);
    }

    /// Puts a value in place of the present one. To be called by the owner alone.
    pub fn set(&self, value: u64) {
        self.0.store(value, Relaxed);
    }

    /// The present value; any thread may ask.
    pub fn get(&self) -> u64 {
        self.0.load(Relaxed)
    }
}

/// One worker's counters.
#[derive(Debug, Default)]
pub struct WorkerCounters {
    /// Turns of the worker's own loop: ten a second while it is not stuck.
    pub beats: Counter,
    /// Clients that signed in.
    pub sign_ins: Counter,
    /// Clients that were turned away.
    pub sign_in_failures: Counter,
    /// Statements (and executions) received.
    pub statements: Counter,
    /// Statements that went to a writer although nothing proved that they had to.
    pub unproven: Counter,
    /// Statements answered by an error of the router's own.
    pub errors: Counter,
    /// Reads tried again on another backend.
    pub retries: Counter,
    /// Statements that a later hostgroup of their route served, because an earlier one could not.
    pub fallbacks: Counter,
    /// Backend connections made.
    pub connects: Counter,
    /// SET and USE sent to bring a connection to a session's state.
    pub syncs: Counter,
    /// Statements that waited for room at a backend.
    pub pool_waits: Counter,
    /// Statements that waited in vain.
    pub pool_timeouts: Counter,
    /// Backend connections that are idle in the pool now.
    pub pool_idle: Counter,
    /// Plans found by exact text; as of the last second, like those that follow.
    pub plan_text_hits: Counter,
    /// Plans found by digest.
    pub plan_digest_hits: Counter,
    /// Statements that were planned anew.
    pub plan_misses: Counter,
    /// Plans that went to make room.
    pub plan_evicted: Counter,
    /// Plans kept now.
    pub plans: Counter,
}
