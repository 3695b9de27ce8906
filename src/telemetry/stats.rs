//! What one worker counts of its statements: by digest, command, route, backend and error.
//!
//! The worker writes through its [`Recorder`]; anybody reads [`WorkerStats`], and adds up the workers. Literals are never
//! seen here: a statement is known by its digest.

pub use super::labels::DigestLabel;
use super::ledger::{Ledger, MANY, Tally, Writer};
use super::routes::{Doubt, RouteTaken, Sightings, Unproven, UnprovenLabel};
use super::{Counter, WorkerCounters};
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::sync::{Arc, Mutex, PoisonError};

/// The most digests and errors that are told apart.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct StatsLimits {
    /// Digests, by hostgroup, schema and user.
    pub digests: usize,
    /// Errors, by backend, user, schema and code.
    pub errors: usize,
    /// Digests of which something is not proven, by what, hostgroup, schema and user.
    pub unproven: usize,
    /// Bytes of a digest's text that are kept.
    pub digest_bytes: usize,
}

impl Default for StatsLimits {
    fn default() -> Self {
        Self { digests: 20_000, errors: 2_000, unproven: 2_000, digest_bytes: 2_048 }
    }
}

impl StatsLimits {
    /// Each worker's part of what all workers may keep.
    pub fn split(self, workers: usize) -> Self {
        let part = |whole: usize| (whole / workers.max(1)).max(1);
        Self { digests: part(self.digests), errors: part(self.errors), unproven: part(self.unproven), ..self }
    }
}

/// What is known of a digest's statements. Times in microseconds; moments in seconds since the worker started.
#[derive(Debug, Default)]
#[allow(missing_docs)]
pub struct DigestTally {
    pub count: Counter,
    pub errors: Counter,
    pub sum_us: Counter,
    pub min_us: Counter,
    pub max_us: Counter,
    pub rows_affected: Counter,
    pub rows_sent: Counter,
    pub first_seen: Counter,
    pub last_seen: Counter,
}

impl DigestTally {
    fn note(&self, sample: &Sample) {
        let first = self.count.get() == 0;
        self.count.inc();
        self.sum_us.add(sample.elapsed_us);
        if first || sample.elapsed_us < self.min_us.get() {
            self.min_us.set(sample.elapsed_us);
        }
        if sample.elapsed_us > self.max_us.get() {
            self.max_us.set(sample.elapsed_us);
        }
        self.rows_affected.add(sample.rows_affected);
        self.rows_sent.add(sample.rows_sent);
        if sample.error != 0 {
            self.errors.inc();
        }
        if first {
            self.first_seen.set(sample.now_s);
        }
        self.last_seen.set(sample.now_s);
    }
}

impl Tally for DigestTally {
    fn absorb(&self, other: &Self) {
        let first = self.count.get() == 0;
        for (own, others) in [
            (&self.count, &other.count),
            (&self.errors, &other.errors),
            (&self.sum_us, &other.sum_us),
            (&self.rows_affected, &other.rows_affected),
            (&self.rows_sent, &other.rows_sent),
        ] {
            own.add(others.get());
        }
        let least = |own: &Counter, others: &Counter| {
            own.set(if first { others.get() } else { own.get().min(others.get()) });
        };
        least(&self.min_us, &other.min_us);
        least(&self.first_seen, &other.first_seen);
        self.max_us.set(self.max_us.get().max(other.max_us.get()));
        self.last_seen.set(self.last_seen.get().max(other.last_seen.get()));
    }
}

/// Upper ends of the latency buckets, in microseconds; one more bucket is for what is above. ProxySQL's.
pub const BUCKETS_US: [u64; 11] =
    [100, 500, 1_000, 5_000, 10_000, 50_000, 100_000, 500_000, 1_000_000, 5_000_000, 10_000_000];

/// Statements of one command, by their time.
#[derive(Debug, Default)]
#[allow(missing_docs)]
pub struct CommandTally {
    pub count: Counter,
    pub sum_us: Counter,
    /// By [`BUCKETS_US`]; each counts its own bucket alone.
    pub buckets: [Counter; BUCKETS_US.len() + 1],
}

impl CommandTally {
    #[expect(clippy::indexing_slicing, reason = "there is one bucket more than there are limits")]
    fn note(&self, elapsed_us: u64) {
        self.count.inc();
        self.sum_us.add(elapsed_us);
        let bucket = BUCKETS_US.iter().position(|end| elapsed_us <= *end).unwrap_or(BUCKETS_US.len());
        self.buckets[bucket].inc();
    }
}

/// Hits, and nothing else of them.
#[derive(Debug, Default)]
pub struct Hits(pub Counter);

impl Tally for Hits {
    fn absorb(&self, other: &Self) {
        self.0.add(other.0.get());
    }
}

/// A backend in a hostgroup.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PoolLabel {
    /// The hostgroup.
    pub hostgroup: u32,
    /// The backend's name.
    pub backend: Arc<str>,
}

/// What went to and came from a backend for one hostgroup.
#[derive(Debug, Default)]
#[allow(missing_docs)]
pub struct PoolTally {
    pub statements: Counter,
    pub bytes_sent: Counter,
    pub bytes_received: Counter,
    pub sum_us: Counter,
}

impl Tally for PoolTally {
    fn absorb(&self, other: &Self) {
        self.statements.add(other.statements.get());
        self.bytes_sent.add(other.bytes_sent.get());
        self.bytes_received.add(other.bytes_received.get());
        self.sum_us.add(other.sum_us.get());
    }
}

/// Which errors an [`ErrorTally`] counts.
#[derive(Clone, Debug, PartialEq, Eq)]
#[allow(missing_docs)]
pub struct ErrorLabel {
    /// -1 for the router's own.
    pub hostgroup: i64,
    pub backend: Arc<str>,
    pub user: Arc<str>,
    pub client: Arc<str>,
    pub schema: Arc<str>,
    pub code: u16,
}

/// Errors of one kind.
#[derive(Debug, Default)]
#[allow(missing_docs)]
pub struct ErrorTally {
    pub count: Counter,
    pub first_seen: Counter,
    pub last_seen: Counter,
    last_text: Mutex<String>,
}

impl ErrorTally {
    /// The text of the last one.
    pub fn last_text(&self) -> String {
        self.last_text.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// Counts one.
    pub fn note(&self, now_s: u64, text: &str) {
        if self.count.get() == 0 {
            self.first_seen.set(now_s);
        }
        self.count.inc();
        self.last_seen.set(now_s);
        if let Ok(mut last) = self.last_text.try_lock()
            && *last != text
        {
            last.clear();
            last.push_str(text);
        }
    }
}

impl Tally for ErrorTally {
    fn absorb(&self, other: &Self) {
        self.count.add(other.count.get());
        self.last_seen.set(self.last_seen.get().max(other.last_seen.get()));
    }
}

/// One statement that was answered.
#[derive(Clone, Copy, Debug)]
#[allow(missing_docs)]
pub struct Sample {
    pub elapsed_us: u64,
    pub rows_affected: u64,
    pub rows_sent: u64,
    /// The code that it ended with; 0 for none.
    pub error: u16,
    /// Seconds since the worker started.
    pub now_s: u64,
    /// The command's number.
    pub command: usize,
    /// Why it went where it went, by number.
    pub reason: u8,
    /// The rule that decided.
    pub rule: Option<u32>,
    /// The hostgroup's place in the route's order, from 1, if the route chose it.
    pub tier: Option<u8>,
}

/// By what a worker finds a digest's tally.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[allow(missing_docs)]
pub struct DigestKey {
    pub digest: u64,
    pub user: u32,
    pub schema: u32,
    pub hostgroup: i64,
}

/// The most commands that are told apart.
pub const COMMANDS: usize = 48;

/// All that a worker counts, for readers.
#[derive(Debug)]
pub struct WorkerStats {
    /// Its bounds.
    pub limits: StatsLimits,
    /// Its plain counters.
    pub counters: WorkerCounters,
    /// By digest.
    pub digests: Arc<Ledger<DigestLabel, DigestTally>>,
    /// By the way that they took.
    pub routes: Arc<Ledger<RouteTaken, Sightings>>,
    /// By hostgroup and backend.
    pub pools: Arc<Ledger<PoolLabel, PoolTally>>,
    /// Errors.
    pub errors: Arc<Ledger<ErrorLabel, ErrorTally>>,
    /// By command.
    pub commands: [CommandTally; COMMANDS],
    /// Statements of which something is not proven, by what. All of them.
    pub unproven: Arc<Ledger<Unproven, Hits>>,
    /// The same by digest, as far as there is room.
    pub unproven_digests: Arc<Ledger<UnprovenLabel, Sightings>>,
    /// Unix time at which the worker started, in seconds.
    pub started: AtomicU64,
}

impl WorkerStats {
    /// A worker that has counted nothing.
    pub fn new(limits: StatsLimits) -> Self {
        let now = super::unix_seconds();
        Self {
            limits,
            counters: WorkerCounters::default(),
            digests: Arc::new(Ledger::new(limits.digests)),
            routes: Arc::new(Ledger::new(super::routes::ROUTES)),
            pools: Arc::new(Ledger::new(MANY)),
            errors: Arc::new(Ledger::new(limits.errors)),
            commands: std::array::from_fn(|_| CommandTally::default()),
            unproven: Arc::new(Ledger::new(MANY)),
            unproven_digests: Arc::new(Ledger::new(limits.unproven)),
            started: AtomicU64::new(now),
        }
    }

    /// Unix time in seconds for a moment in the worker's seconds.
    pub fn unix(&self, seconds: u64) -> u64 {
        self.started.load(Relaxed) + seconds
    }
}

/// The worker's side.
pub struct Recorder {
    /// What readers see.
    pub stats: Arc<WorkerStats>,
    digests: Writer<DigestKey, DigestLabel, DigestTally>,
    routes: Writer<RouteTaken, RouteTaken, Sightings>,
    pools: Writer<(u32, u32), PoolLabel, PoolTally>,
    errors: Writer<(DigestKey, u16), ErrorLabel, ErrorTally>,
    /// By where their reasons' texts are: those are the code's own.
    unproven: Writer<(usize, usize), Unproven, Hits>,
    unproven_digests: Writer<(DigestKey, usize), UnprovenLabel, Sightings>,
}

impl Recorder {
    /// The recorder of a worker: the one that writes these statistics.
    pub fn new(stats: Arc<WorkerStats>) -> Self {
        Self {
            digests: Writer::new(Arc::clone(&stats.digests)),
            routes: Writer::new(Arc::clone(&stats.routes)),
            pools: Writer::new(Arc::clone(&stats.pools)),
            errors: Writer::new(Arc::clone(&stats.errors)),
            unproven: Writer::new(Arc::clone(&stats.unproven)),
            unproven_digests: Writer::new(Arc::clone(&stats.unproven_digests)),
            stats,
        }
    }

    /// Counts a statement. `label` is asked for where the digest is new; it is given how many bytes of text are kept.
    pub fn statement(&mut self, key: DigestKey, sample: &Sample, label: impl FnOnce(usize) -> DigestLabel) {
        let most = self.stats.limits.digest_bytes;
        self.digests.tally(key, || label(most)).note(sample);
        if let Some(command) = self.stats.commands.get(sample.command) {
            command.note(sample.elapsed_us);
        }
        let Sample { rule, reason, tier, .. } = *sample;
        let taken = RouteTaken { hostgroup: key.hostgroup, rule, reason, tier };
        self.routes.tally(taken, || taken).note(sample.now_s);
    }

    /// Counts a statement that ran nowhere.
    pub fn unserved(&mut self, rule: Option<u32>, reason: u8, now_s: u64) {
        let taken = RouteTaken { hostgroup: -1, rule, reason, tier: None };
        self.routes.tally(taken, || taken).note(now_s);
    }

    /// Counts what went to a backend and came from it.
    pub fn traffic(&mut self, hostgroup: u32, backend: u32, name: &str, sent: u64, received: u64, elapsed_us: u64) {
        let label = || PoolLabel { hostgroup, backend: name.into() };
        let tally = self.pools.tally((hostgroup, backend), label);
        tally.statements.inc();
        tally.bytes_sent.add(sent);
        tally.bytes_received.add(received);
        tally.sum_us.add(elapsed_us);
    }

    /// Counts a statement of which something is not proven. `label` is asked for where its digest is new; it is given how many
    /// bytes of text are kept.
    pub fn unproven(
        &mut self,
        unproven: Unproven,
        key: DigestKey,
        now_s: u64,
        label: impl FnOnce(usize) -> DigestLabel,
    ) {
        if unproven.doubt == Doubt::Effects {
            self.stats.counters.unproven.inc();
        }
        let reason = (unproven.reason.as_ptr() as usize, unproven.reason.len());
        self.unproven.tally(reason, || unproven).0.inc();
        let most = self.stats.limits.digest_bytes;
        let label = || UnprovenLabel { unproven, digest: label(most) };
        self.unproven_digests.tally((key, reason.0), label).note(now_s);
    }

    /// Counts an error.
    pub fn error(&mut self, key: DigestKey, code: u16, now_s: u64, text: &str, label: impl FnOnce() -> ErrorLabel) {
        self.errors.tally((DigestKey { digest: 0, ..key }, code), label).note(now_s, text);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn sample(elapsed_us: u64) -> Sample {
        let (rule, tier) = (Some(9), Some(1));
        Sample { elapsed_us, rows_affected: 1, rows_sent: 2, error: 0, now_s: 5, command: 3, reason: 1, rule, tier }
    }

    #[test]
    fn a_statement_is_counted_everywhere() {
        let mut recorder = Recorder::new(Arc::new(WorkerStats::new(StatsLimits::default())));
        let key = DigestKey { digest: 1, user: 2, schema: 3, hostgroup: 10 };
        let label =
            |_| DigestLabel { hostgroup: 10, schema: "s".into(), user: "u".into(), digest: 1, text: "SELECT ?".into() };
        for elapsed in [700, 90, 20_000_000] {
            recorder.statement(key, &sample(elapsed), label);
        }
        let stats = Arc::clone(&recorder.stats);
        let reading = stats.digests.read();
        let tally = &reading.entries[0].tally;
        assert_eq!((tally.count.get(), tally.min_us.get(), tally.max_us.get()), (3, 90, 20_000_000));
        assert_eq!((tally.sum_us.get(), tally.rows_affected.get(), tally.rows_sent.get()), (20_000_790, 3, 6));
        let buckets: Vec<u64> = stats.commands[3].buckets.iter().map(Counter::get).collect();
        assert_eq!(buckets, [1, 0, 1, 0, 0, 0, 0, 0, 0, 0, 0, 1]);
        let taken = &stats.routes.read().entries[0];
        assert_eq!(taken.label, RouteTaken { hostgroup: 10, rule: Some(9), reason: 1, tier: Some(1) });
        assert_eq!((taken.tally.count.get(), taken.tally.first_seen.get()), (3, 5));
    }

    #[test]
    fn folding_keeps_totals_and_extremes() {
        let (a, b) = (DigestTally::default(), DigestTally::default());
        a.note(&sample(10));
        b.note(&sample(3));
        b.note(&sample(30));
        a.absorb(&b);
        assert_eq!((a.count.get(), a.sum_us.get(), a.min_us.get(), a.max_us.get()), (3, 43, 3, 30));
        let empty = DigestTally::default();
        empty.absorb(&a);
        assert_eq!((empty.min_us.get(), empty.first_seen.get()), (3, 5));
    }
}
