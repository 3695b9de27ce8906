//! What a worker counts of where statements went: the routes that were taken, and the statements of which something was not
//! proven.

use super::Counter;
use super::labels::DigestLabel;
use super::ledger::{MANY, Tally};

/// A way that statements took. The key and the label of its tally.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct RouteTaken {
    /// Where they ran; -1 for those that the router answered itself.
    pub hostgroup: i64,
    /// The rule that decided, if one did.
    pub rule: Option<u32>,
    /// Why, by number.
    pub reason: u8,
    /// The hostgroup's place in the route's order, from 1. None: the session's own state chose it, or nothing did.
    pub tier: Option<u8>,
}

/// What cannot be proven about a statement.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Doubt {
    /// What it does: the classifier does not know it.
    Effects,
    /// What a function does that it calls, and nothing else keeps it from readers.
    Function,
    /// How far back it reaches, and hostgroups that hold only part of time were taken out for that.
    Horizon,
}

impl Doubt {
    /// Its name.
    pub fn name(self) -> &'static str {
        match self {
            Doubt::Effects => "effects",
            Doubt::Function => "function",
            Doubt::Horizon => "horizon",
        }
    }
}

/// A doubt with its reason, one of the code's own texts.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Unproven {
    /// About what.
    pub doubt: Doubt,
    /// In words.
    pub reason: &'static str,
}

/// Statements of one digest about which something is not proven.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct UnprovenLabel {
    /// What.
    pub unproven: Unproven,
    /// Of which statements.
    pub digest: DigestLabel,
}

/// How often something was seen, and when. Moments in seconds since the worker started.
#[derive(Debug, Default)]
#[allow(missing_docs)]
pub struct Sightings {
    pub count: Counter,
    pub first_seen: Counter,
    pub last_seen: Counter,
}

impl Sightings {
    /// Counts one.
    #[inline]
    pub fn note(&self, now_s: u64) {
        if self.count.get() == 0 {
            self.first_seen.set(now_s);
        }
        self.count.inc();
        self.last_seen.set(now_s);
    }
}

impl Tally for Sightings {
    fn absorb(&self, other: &Self) {
        let first = self.count.get() == 0;
        self.count.add(other.count.get());
        let earliest = if first { other.first_seen.get() } else { self.first_seen.get().min(other.first_seen.get()) };
        self.first_seen.set(earliest);
        self.last_seen.set(self.last_seen.get().max(other.last_seen.get()));
    }
}

/// The routes that a worker tells apart: as many as rules, hostgroups and reasons make.
pub const ROUTES: usize = MANY;
