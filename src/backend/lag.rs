//! How far a replica is behind, and whether that takes it out of its reader hostgroups.
//!
//! Three things are told apart. A replica that names its seconds is *behind* by so many. One that names none (NULL) *stands
//! still*: nothing comes in, so what it holds gets older by the clock, and it counts as what it was last known to be plus
//! the time since. And there may be *no signal*: no replica, no right to ask, no answer. That is neither "no lag" nor a
//! lag: a backend that serves goes on, one that is out stays out, unless the configuration says that no signal is enough to
//! be left out.
//!
//! A backend goes out at the first reading above its limit, and comes back after as many readings in a row at or below
//! it as checks bring a backend up. Only readers are left out ([`super::hostgroup`]): a writer takes its statements
//! whatever it says. The question itself is asked by [`super::replica`].

use std::sync::atomic::{AtomicBool, AtomicU32, Ordering::Relaxed};
use std::sync::{Mutex, PoisonError};
use std::time::Instant;

/// What a server says of its replication.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Reading {
    /// Seconds behind; with several channels, of the one that is furthest behind.
    Behind(u32),
    /// A channel names no seconds: it is stopped or broken. `others`: what the furthest of the other channels names.
    StandsStill {
        /// Seconds; 0 if there are no others.
        others: u32,
    },
    /// It replicates from nobody.
    NotAReplica,
    /// It could not be asked, and why.
    Unreadable(String),
}

impl Reading {
    /// The names of all kinds.
    pub const NAMES: [&'static str; 4] = ["known", "stands_still", "not_a_replica", "unreadable"];

    /// The kind's name.
    pub fn name(&self) -> &'static str {
        let [known, stands_still, not_a_replica, unreadable] = Self::NAMES;
        match self {
            Reading::Behind(_) => known,
            Reading::StandsStill { .. } => stands_still,
            Reading::NotAReplica => not_a_replica,
            Reading::Unreadable(_) => unreadable,
        }
    }
}

/// Up to where a replica has done what its source did, in the source's own words.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Applied {
    /// The source's log and the place in it: `master-bin.000003:4711`.
    pub position: String,
    /// GTIDs; empty where the server uses none.
    pub gtid: String,
}

/// What a configuration says about a backend's lag.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Limits {
    /// The most seconds that it may be behind; 0: it is not asked.
    pub seconds: u32,
    /// True if no signal is enough to be left out.
    pub needs_signal: bool,
}

/// What is known of a backend's lag.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Seen {
    /// The latest reading; none before the first.
    pub reading: Option<Reading>,
    /// The seconds that it counts as; none without a signal.
    pub seconds: Option<u32>,
    /// The most that it may be behind.
    pub limit: u32,
    /// Why it takes no reads, if it takes none.
    pub out: Option<String>,
    /// Up to where it had done what its source did, when it last said so.
    pub applied: Option<Applied>,
    /// When it was asked last.
    pub asked: Option<Instant>,
}

/// A backend's lag.
#[derive(Debug, Default)]
pub struct Lag {
    /// What the statement path reads.
    out: AtomicBool,
    limit: AtomicU32,
    needs_signal: AtomicBool,
    /// Cold: touched by checks and by those who look.
    found: Mutex<Found>,
}

#[derive(Debug, Default)]
struct Found {
    reading: Option<Reading>,
    seconds: Option<u32>,
    /// What it was last known to be, and when.
    known: Option<(u32, Instant)>,
    /// Readings in a row that were within the limit.
    within: u32,
    applied: Option<Applied>,
    asked: Option<Instant>,
}

/// What an observation changed, for the log and the record of changes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Turn {
    /// It takes no new reads any more, and why.
    Out(String),
    /// It takes reads again, and why.
    Back(String),
    /// It counts as before, but the signal is of another kind now.
    Signal(String),
}

impl Lag {
    /// What a configuration says. A limit that is gone lets the backend serve again.
    pub fn reconfigure(&self, limits: Limits) {
        self.needs_signal.store(limits.needs_signal, Relaxed);
        if self.limit.swap(limits.seconds, Relaxed) != 0 && limits.seconds == 0 {
            *self.found() = Found::default();
            self.out.store(false, Relaxed);
        }
    }

    /// True if its configuration wants it to be asked.
    pub fn is_asked(&self) -> bool {
        self.limit.load(Relaxed) > 0
    }

    /// True while it takes no new reads.
    #[inline]
    pub fn is_out(&self) -> bool {
        self.out.load(Relaxed)
    }

    /// What is known.
    pub fn seen(&self) -> Seen {
        let (found, limit) = (self.found(), self.limit.load(Relaxed));
        let out = self.is_out().then(|| found.why(limit));
        let (reading, applied) = (found.reading.clone(), found.applied.clone());
        Seen { reading, seconds: found.seconds, limit, out, applied, asked: found.asked }
    }

    /// Takes a reading of `now`; `rise` readings in a row within the limit bring a backend back.
    pub fn observe(&self, reading: Reading, now: Instant, rise: u32) -> Option<Turn> {
        let limit = self.limit.load(Relaxed);
        if limit == 0 {
            return None;
        }
        let mut found = self.found();
        let same_kind = found.reading.as_ref().map(Reading::name) == Some(reading.name());
        let first_signal = found.reading.is_none() && matches!(reading, Reading::Behind(_));
        found.take(reading, now);
        let above = match found.seconds {
            Some(seconds) => Some(seconds > limit),
            None if self.needs_signal.load(Relaxed) => Some(true),
            None => None,
        };
        found.within = if above == Some(false) { found.within.saturating_add(1) } else { 0 };
        if above == Some(true) && !self.out.swap(true, Relaxed) {
            return Some(Turn::Out(found.why(limit)));
        }
        if self.is_out() && found.within >= rise.max(1) {
            self.out.store(false, Relaxed);
            return Some(Turn::Back(found.why(limit)));
        }
        (!same_kind && !first_signal).then(|| Turn::Signal(found.why(limit)))
    }

    /// It said up to where it has done what its source did.
    pub fn applied(&self, applied: Option<Applied>) {
        self.found().applied = applied;
    }

    fn found(&self) -> std::sync::MutexGuard<'_, Found> {
        self.found.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Found {
    fn take(&mut self, reading: Reading, now: Instant) {
        self.asked = Some(now);
        self.seconds = match &reading {
            Reading::Behind(seconds) => {
                self.known = Some((*seconds, now));
                Some(*seconds)
            }
            Reading::StandsStill { others } => {
                let (seconds, since) = *self.known.get_or_insert((0, now));
                let stood = u32::try_from(now.saturating_duration_since(since).as_secs()).unwrap_or(u32::MAX);
                Some(seconds.saturating_add(stood).max(*others))
            }
            Reading::NotAReplica | Reading::Unreadable(_) => None,
        };
        self.reading = Some(reading);
    }

    fn why(&self, limit: u32) -> String {
        let seconds = self.seconds.unwrap_or_default();
        match &self.reading {
            Some(Reading::Behind(_)) => format!("{seconds} s behind, {limit} s are allowed"),
            Some(Reading::StandsStill { .. }) => {
                format!("its replication stands still: counted as {seconds} s behind, {limit} s are allowed")
            }
            Some(Reading::NotAReplica) => "its lag is not known: it is no replica".to_owned(),
            Some(Reading::Unreadable(why)) => format!("its lag is not known: {why}"),
            None => "its lag is not known yet".to_owned(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::time::Duration;

    fn lag(seconds: u32, needs_signal: bool) -> Lag {
        let lag = Lag::default();
        lag.reconfigure(Limits { seconds, needs_signal });
        lag
    }

    fn refused() -> Reading {
        Reading::Unreadable("access denied".into())
    }

    #[test]
    fn above_its_limit_it_is_out_at_once_and_back_after_readings_in_a_row() {
        let (lag, now) = (lag(10, false), Instant::now());
        assert_eq!(lag.observe(Reading::Behind(10), now, 2), None, "the limit itself is within");
        assert!(matches!(lag.observe(Reading::Behind(11), now, 2), Some(Turn::Out(_))));
        assert_eq!(lag.seen().out.as_deref(), Some("11 s behind, 10 s are allowed"));
        assert_eq!(lag.observe(Reading::Behind(3), now, 2), None);
        assert_eq!(lag.observe(Reading::Behind(12), now, 2), None);
        assert_eq!(lag.observe(Reading::Behind(3), now, 2), None);
        assert!(lag.is_out(), "readings must be in a row");
        assert!(matches!(lag.observe(Reading::Behind(3), now, 2), Some(Turn::Back(_))));
        assert!(!lag.is_out());
    }

    #[test]
    fn what_stands_still_gets_older_by_the_clock() {
        let (lag, start) = (lag(10, false), Instant::now());
        let stands = Reading::StandsStill { others: 0 };
        let later = |s| start + Duration::from_secs(s);
        lag.observe(Reading::Behind(4), start, 2);
        assert!(matches!(lag.observe(stands.clone(), later(6), 2), Some(Turn::Signal(_))));
        assert_eq!((lag.seen().seconds, lag.is_out()), (Some(10), false));
        assert!(matches!(lag.observe(stands.clone(), later(7), 2), Some(Turn::Out(_))));
        // From the start on: nothing is known of before.
        let fresh = self::lag(10, false);
        fresh.observe(stands.clone(), start, 2);
        assert_eq!((fresh.seen().seconds, fresh.is_out()), (Some(0), false));
        fresh.observe(stands, later(11), 2);
        assert!(fresh.is_out());
        // Another channel that is further behind counts.
        let several = self::lag(10, false);
        several.observe(Reading::StandsStill { others: 99 }, start, 2);
        assert!(several.is_out());
    }

    #[test]
    fn no_signal_takes_nobody_out_and_brings_nobody_back() {
        for none in [Reading::NotAReplica, refused()] {
            let (lag, now) = (lag(10, false), Instant::now());
            assert!(matches!(lag.observe(none.clone(), now, 1), Some(Turn::Signal(_))), "it is said");
            assert_eq!(lag.observe(none.clone(), now, 1), None, "and said once");
            assert!(!lag.is_out());
            lag.observe(Reading::Behind(11), now, 1);
            for _ in 0..5 {
                lag.observe(none.clone(), now, 1);
                assert!(lag.is_out());
            }
            lag.observe(Reading::Behind(0), now, 1);
            assert!(!lag.is_out());
        }
    }

    #[test]
    fn where_a_signal_is_needed_its_want_is_enough() {
        let (lag, now) = (lag(10, true), Instant::now());
        assert!(matches!(lag.observe(refused(), now, 1), Some(Turn::Out(_))));
        assert!(matches!(lag.observe(Reading::Behind(0), now, 1), Some(Turn::Back(_))));
    }

    #[test]
    fn a_limit_that_is_gone_lets_it_serve() {
        let lag = lag(10, false);
        lag.observe(Reading::Behind(99), Instant::now(), 1);
        lag.reconfigure(Limits::default());
        assert!(!lag.is_out());
        assert_eq!(lag.observe(Reading::Behind(99), Instant::now(), 1), None);
    }
}
