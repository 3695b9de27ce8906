//! The running router as other threads see it: the metrics page, the admin port, the status page.
//!
//! Reads atomics and published snapshots; workers never wait, and are asked for nothing but what only they can see
//! ([`crate::session::worker::display`]). Sums are over all workers, each read at a
//! slightly different moment.

use super::gate::Gate;
use super::reloads::Reload;
use crate::backend::hostgroup::{Hostgroup, Member};
use crate::backend::server::BackendId;
use crate::rules::coverage::{self, Unserved};
use crate::session::statement::tally::REASON_NAMES;
use crate::session::worker::display::{Look, Shown};
use crate::session::worker::memory::Memory;
use crate::session::worker::registry::Glimpse;
use crate::session::worker::snapshot::Snapshot;
use crate::telemetry::ledger::Tally;
use crate::telemetry::routes::{RouteTaken, Sightings, Unproven, UnprovenLabel};
use crate::telemetry::stats::{BUCKETS_US, DigestLabel, DigestTally, ErrorLabel, PoolTally, WorkerStats};
use crate::telemetry::{Counter, WorkerCounters};
use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;
use std::sync::atomic::Ordering::Relaxed;
use std::time::Duration;

/// What can be seen.
#[derive(Clone)]
pub struct View {
    gate: Arc<Gate>,
}

/// Statements of one command, over all workers.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct CommandSum {
    /// Statements.
    pub count: u64,
    /// Their time, in microseconds.
    pub sum_us: u64,
    /// By [`BUCKETS_US`]; each counts its own bucket alone.
    pub buckets: [u64; BUCKETS_US.len() + 1],
}

/// A digest's statements, over all workers. Moments are Unix times in seconds.
#[derive(Debug)]
#[allow(missing_docs)]
pub struct DigestSum {
    pub label: DigestLabel,
    pub tally: DigestTally,
}

/// Errors of one kind, over all workers. Moments are Unix times in seconds.
#[derive(Clone, Debug, PartialEq, Eq)]
#[allow(missing_docs)]
pub struct ErrorSum {
    pub label: ErrorLabel,
    pub count: u64,
    pub first_seen: u64,
    pub last_seen: u64,
    pub last_text: String,
}

/// A backend in a hostgroup.
pub struct Place<'a> {
    /// The hostgroup.
    pub hostgroup: &'a Hostgroup,
    /// The backend and its weight.
    pub member: &'a Member,
    /// What went there for this hostgroup.
    pub tally: PoolTally,
}

/// How the digests are read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Then {
    /// They stay.
    Keep,
    /// Counting begins anew.
    Reset,
}

impl View {
    pub(super) fn new(gate: Arc<Gate>) -> Self {
        Self { gate }
    }

    /// The configuration in force.
    pub fn snapshot(&self) -> Arc<Snapshot> {
        self.gate.published.load_full()
    }

    /// Time since the start.
    pub fn uptime(&self) -> Duration {
        self.gate.started.elapsed()
    }

    /// True while an operator lets no new clients in.
    pub fn is_paused(&self) -> bool {
        self.gate.paused.load(Relaxed)
    }

    /// True once the router takes no more clients.
    pub fn is_draining(&self) -> bool {
        self.gate.draining.load(Relaxed)
    }

    /// Clients connected now.
    pub fn clients(&self) -> usize {
        self.gate.clients()
    }

    /// Worker threads.
    pub fn workers(&self) -> usize {
        self.gate.stats.len()
    }

    /// Sign-ins that waited, or were refused, because of wrong passwords before them.
    pub fn sign_ins_slowed(&self) -> u64 {
        self.gate.shared.guesses.slowed()
    }

    /// What large requests take of the memory, all clients together.
    pub fn request_memory(&self) -> &Memory {
        &self.gate.shared.memory
    }

    /// Configurations published and refused since the start, not counting the first.
    pub fn reloads(&self) -> (u32, u32) {
        self.gate.reloads.counts()
    }

    /// The latest of them, newest first.
    pub fn latest_reloads(&self) -> Vec<Reload> {
        self.gate.reloads.latest()
    }

    /// One of the workers' counters, summed.
    pub fn count(&self, which: impl Fn(&WorkerCounters) -> &Counter) -> u64 {
        self.stats().map(|s| which(&s.counters).get()).sum()
    }

    /// The highest of the workers' values.
    pub fn highest(&self, which: impl Fn(&WorkerCounters) -> &Counter) -> u64 {
        self.stats().map(|s| which(&s.counters).get()).max().unwrap_or(0)
    }

    /// How often each worker's loop has turned.
    pub fn beats(&self) -> Vec<u64> {
        self.stats().map(|s| s.counters.beats.get()).collect()
    }

    fn stats(&self) -> impl Iterator<Item = &WorkerStats> {
        self.gate.stats.iter().map(|s| &**s)
    }

    /// All sessions, with their workers' numbers.
    pub fn sessions(&self) -> Vec<(usize, Glimpse)> {
        let rolls = self.gate.rolls.iter().enumerate();
        rolls.flat_map(|(worker, roll)| roll.read().into_iter().map(move |g| (worker, g))).collect()
    }

    /// Statements by command number.
    pub fn commands(&self) -> Vec<CommandSum> {
        let mut sums = Vec::new();
        for stats in self.stats() {
            sums.resize(stats.commands.len(), CommandSum::default());
            for (sum, command) in sums.iter_mut().zip(&stats.commands) {
                sum.count += command.count.get();
                sum.sum_us += command.sum_us.get();
                for (sum, bucket) in sum.buckets.iter_mut().zip(&command.buckets) {
                    *sum += bucket.get();
                }
            }
        }
        sums
    }

    /// Statements by the way that they took.
    pub fn routes(&self) -> BTreeMap<RouteTaken, Sightings> {
        let mut sums: BTreeMap<RouteTaken, Sightings> = BTreeMap::new();
        for stats in self.stats() {
            for entry in stats.routes.read().entries {
                sums.entry(entry.label).or_default().absorb(&seen_in_unix_time(&entry.tally, stats));
            }
        }
        sums
    }

    /// Statements by reason number.
    pub fn reasons(&self) -> [u64; REASON_NAMES.len()] {
        let mut sums = [0; REASON_NAMES.len()];
        for entry in self.stats().flat_map(|s| s.routes.read().entries) {
            if let Some(sum) = sums.get_mut(usize::from(entry.label.reason)) {
                *sum += entry.tally.count.get();
            }
        }
        sums
    }

    /// Hits by rule.
    pub fn rule_hits(&self) -> BTreeMap<u32, u64> {
        let mut hits = BTreeMap::new();
        for entry in self.stats().flat_map(|s| s.routes.read().entries) {
            if let Some(rule) = entry.label.rule {
                *hits.entry(rule).or_default() += entry.tally.count.get();
            }
        }
        hits
    }

    /// Statements of which something was not proven, by what.
    pub fn unproven(&self) -> BTreeMap<Unproven, u64> {
        let mut sums = BTreeMap::new();
        for entry in self.stats().flat_map(|s| s.unproven.read().entries) {
            *sums.entry(entry.label).or_default() += entry.tally.0.get();
        }
        sums
    }

    /// The same by digest; and whether there was not room for all.
    pub fn unproven_digests(&self) -> (Vec<(UnprovenLabel, Sightings)>, bool) {
        let mut sums: HashMap<(Unproven, i64, Arc<str>, Arc<str>, u64), (UnprovenLabel, Sightings)> = HashMap::new();
        let mut folded = false;
        for stats in self.stats() {
            let reading = stats.unproven_digests.read();
            folded |= reading.rest.is_some();
            for entry in reading.entries {
                let UnprovenLabel { unproven, digest } = &entry.label;
                let (schema, user) = (Arc::clone(&digest.schema), Arc::clone(&digest.user));
                let key = (*unproven, digest.hostgroup, schema, user, digest.digest);
                let (_, sum) = sums.entry(key).or_insert_with(|| (entry.label.clone(), Sightings::default()));
                sum.absorb(&seen_in_unix_time(&entry.tally, stats));
            }
        }
        (sums.into_values().collect(), folded)
    }

    /// What the workers show who are asked; one that is stuck is left out.
    pub fn look(&self, look: Look) -> Vec<(usize, Shown)> {
        self.gate.display.ask(look)
    }

    /// Idle connections by backend.
    pub fn idle(&self) -> HashMap<BackendId, u32> {
        let mut counts = HashMap::new();
        for (backend, idle) in self.look(Look::Counts).into_iter().flat_map(|(_, shown)| shown.counts) {
            *counts.entry(backend).or_default() += idle;
        }
        counts
    }

    /// Calls `with` for each backend of each hostgroup.
    pub fn places(&self, snapshot: &Snapshot, mut with: impl FnMut(Place<'_>)) {
        let mut tallies: HashMap<(u32, Box<str>), PoolTally> = HashMap::new();
        for entry in self.stats().flat_map(|s| s.pools.read().entries) {
            let key = (entry.label.hostgroup, (*entry.label.backend).into());
            tallies.entry(key).or_default().absorb(&entry.tally);
        }
        for hostgroup in snapshot.topology.hostgroups() {
            for member in &hostgroup.members {
                let tally = tallies.remove(&(hostgroup.id, member.backend.name.clone())).unwrap_or_default();
                with(Place { hostgroup, member, tally });
            }
        }
    }

    /// Statements by digest, hostgroup, schema and user, and what did not fit.
    pub fn digests(&self, then: Then) -> (Vec<DigestSum>, Option<DigestTally>) {
        let mut sums: HashMap<(i64, Arc<str>, Arc<str>, u64), (DigestLabel, DigestTally)> = HashMap::new();
        let mut rest: Option<DigestTally> = None;
        for stats in self.stats() {
            let reading = if then == Then::Reset { stats.digests.take() } else { stats.digests.read() };
            for entry in reading.entries {
                let label = &entry.label;
                let key = (label.hostgroup, Arc::clone(&label.schema), Arc::clone(&label.user), label.digest);
                let (_, tally) = sums.entry(key).or_insert_with(|| (label.clone(), DigestTally::default()));
                tally.absorb(&in_unix_time(&entry.tally, stats));
            }
            if let Some(folded) = reading.rest {
                rest.get_or_insert_default().absorb(&in_unix_time(&folded, stats));
            }
        }
        let sums = sums.into_values().map(|(label, tally)| DigestSum { label, tally });
        (sums.filter(|s| s.tally.count.get() > 0).collect(), rest)
    }

    /// Errors by backend, user, client, schema and code.
    pub fn errors(&self, then: Then) -> Vec<ErrorSum> {
        let mut all = Vec::new();
        for stats in self.stats() {
            let reading = if then == Then::Reset { stats.errors.take() } else { stats.errors.read() };
            for entry in reading.entries {
                let tally = &entry.tally;
                all.push(ErrorSum {
                    label: entry.label.clone(),
                    count: tally.count.get(),
                    first_seen: stats.unix(tally.first_seen.get()),
                    last_seen: stats.unix(tally.last_seen.get()),
                    last_text: tally.last_text(),
                });
            }
        }
        merge_errors(all)
    }

    /// Why the router cannot do its work, one line a reason: it drains, a worker ended, or a route that matters has nobody left.
    /// Empty means ready.
    pub fn why_not_ready(&self) -> Vec<String> {
        let mut why = Vec::new();
        if self.is_draining() {
            why.push("draining: no new clients are taken".to_owned());
        }
        if let Some(worker) = self.gate.lost.worker() {
            why.push(format!("worker {worker} has failed"));
        }
        let snapshot = self.snapshot();
        let serves =
            |id| snapshot.topology.hostgroup(id).is_some_and(|h| h.members.iter().any(|m| h.takes(&m.backend)));
        let users = snapshot.accounts.iter().map(|account| account.name());
        let out = coverage::unserved(&snapshot.rules, users, &snapshot.ready, serves);
        why.extend(out.into_iter().map(|route| route_out(&snapshot, &route)));
        why
    }
}

/// A route that has nobody left, in words.
fn route_out(snapshot: &Snapshot, route: &Unserved) -> String {
    let name = |id: &u32| match snapshot.topology.hostgroup(*id) {
        Some(hostgroup) if !hostgroup.name.is_empty() => format!("{id} ({})", hostgroup.name),
        _ => id.to_string(),
    };
    let names = route.tiers.iter().map(name).collect::<Vec<_>>().join(", ");
    match route.tiers.as_slice() {
        [_] => format!("hostgroup {names} has no backend that serves ({})", route.whose),
        _ => format!("none of hostgroups {names} has a backend that serves ({})", route.whose),
    }
}

fn in_unix_time(tally: &DigestTally, stats: &WorkerStats) -> DigestTally {
    let own = DigestTally::default();
    own.absorb(tally);
    own.first_seen.set(stats.unix(tally.first_seen.get()));
    own.last_seen.set(stats.unix(tally.last_seen.get()));
    own
}

fn seen_in_unix_time(seen: &Sightings, stats: &WorkerStats) -> Sightings {
    let own = Sightings::default();
    own.absorb(seen);
    own.first_seen.set(stats.unix(seen.first_seen.get()));
    own.last_seen.set(stats.unix(seen.last_seen.get()));
    own
}

fn merge_errors(all: Vec<ErrorSum>) -> Vec<ErrorSum> {
    let mut merged: Vec<ErrorSum> = Vec::new();
    for error in all {
        match merged.iter_mut().find(|m| m.label == error.label) {
            Some(same) => {
                same.count += error.count;
                same.first_seen = same.first_seen.min(error.first_seen);
                if error.last_seen > same.last_seen {
                    same.last_seen = error.last_seen;
                    same.last_text = error.last_text;
                }
            }
            None => merged.push(error),
        }
    }
    merged
}
