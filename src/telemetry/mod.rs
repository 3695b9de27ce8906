//! What the router counts and logs about itself.
//!
//! Each worker has counters and tables of its own and writes them with plain stores; readers merge them and make no
//! worker wait. [`stats`] and [`routes`] say what is counted, [`ledger`] bounds the tables, [`log`] writes on a thread
//! of its own, and [`events`] counts what happens off the statement path. Nothing here decides anything.

pub mod events;
pub mod labels;
pub mod ledger;
pub mod log;
pub mod routes;
pub mod stats;

use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::time::{SystemTime, UNIX_EPOCH};

/// Unix time in seconds; 0 by a clock that is set before 1970.
pub fn unix_seconds() -> u64 {
    SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |since| since.as_secs())
}

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
    /// Statements that waited for a server while none of their hostgroups served.
    pub writer_waits: Counter,
    /// Statements that waited for one in vain.
    pub writer_wait_timeouts: Counter,
    /// Reads that were given up at a silent server, and run elsewhere.
    pub moved_reads: Counter,
    /// Reads that waited until a reader had a write that they were to see.
    pub freshness_waits: Counter,
    /// Reads that waited for that in vain.
    pub freshness_wait_timeouts: Counter,
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
    /// Bytes that came from clients that have signed in.
    pub client_bytes_received: Counter,
    /// Bytes of answers that went to them.
    pub client_bytes_sent: Counter,
    /// Statements that took as long as is called slow.
    pub slow: Counter,
    /// Connections that statements got, from the pool or new.
    pub pool_gets: Counter,
    /// Connections that went back to the pool.
    pub pool_puts: Counter,
    /// Clients that were turned away because their name or what proves it is wrong.
    pub denied: Counter,
    /// Clients that were turned away because there are too many.
    pub too_many_clients: Counter,
    /// Clients that were turned away because their account has too many sessions.
    pub too_many_sessions: Counter,
    /// Statements of clients that a server was told to give up.
    pub killed_queries: Counter,
    /// What clients did, by command.
    pub front: CommandCounters,
    /// What the router did on connections to servers, by command.
    pub behind: CommandCounters,
    /// Texts that clients have prepared; as of the last second, like those that follow.
    pub texts: Counter,
    /// Clients' statements that are one of these texts.
    pub text_clients: Counter,
    /// Texts that are prepared on a server.
    pub server_texts: Counter,
    /// Times that one is prepared on a connection.
    pub text_servers: Counter,
    /// The highest number of a text so far.
    pub text_number: Counter,
    /// Bytes of buffers, in use or spare.
    pub buffer_bytes: Counter,
    /// System calls that sent more than one message.
    pub batches: Counter,
    /// The messages that they sent.
    pub batched_messages: Counter,
}

/// Commands that are counted apart from statements.
#[derive(Debug, Default)]
#[allow(missing_docs)]
pub struct CommandCounters {
    pub init_db: Counter,
    pub set_names: Counter,
    pub set_autocommit: Counter,
    pub prepare: Counter,
    pub execute: Counter,
    pub close: Counter,
    /// Connections that were given a new life.
    pub reset: Counter,
}
