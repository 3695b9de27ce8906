//! What was found of a backend, kept for operators: connections made and not made, the most at a time, the latest checks.
//!
//! Nothing here decides anything. The counters are written where the traffic connects; the checks by the control thread.

use std::collections::VecDeque;
use std::sync::atomic::{AtomicU32, AtomicU64, Ordering::Relaxed};
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, SystemTime};

/// The checks of a kind that are kept.
const CHECKS: usize = 64;

/// What a check asked.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Asked {
    /// It connected anew.
    Connect,
    /// A ping over a connection that was there.
    Ping,
    /// How far behind it is.
    Lag,
    /// Whether it is read-only.
    ReadOnly,
}

/// A check that was made.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Checked {
    /// When it began.
    pub at: SystemTime,
    /// What was asked.
    pub asked: Asked,
    /// What it took.
    pub took: Duration,
    /// What it said: the seconds that it is behind; 1 if it is read-only, 0 if it is not.
    pub value: Option<u32>,
    /// Why it failed.
    pub error: Option<String>,
}

/// What was found.
#[derive(Debug, Default)]
pub struct Record {
    connected: AtomicU64,
    failed: AtomicU64,
    most_open: AtomicU32,
    latency_us: AtomicU64,
    /// Checks that succeeded and that failed, by what was asked.
    outcomes: [[AtomicU64; 2]; 4],
    checks: Mutex<VecDeque<Checked>>,
    lags: Mutex<VecDeque<Checked>>,
    read_only: Mutex<VecDeque<Checked>>,
}

impl Record {
    /// A connection was made for the traffic.
    pub fn connected(&self) {
        self.connected.fetch_add(1, Relaxed);
    }

    /// A connection could not be made, or broke.
    pub fn failed(&self) {
        self.failed.fetch_add(1, Relaxed);
    }

    /// So many connections are open now.
    pub fn opened(&self, now: u32) {
        self.most_open.fetch_max(now, Relaxed);
    }

    /// A check was made.
    pub fn checked(&self, check: Checked) {
        let [succeeded, failed] = self.counts_of(check.asked);
        if check.error.is_none() { succeeded } else { failed }.fetch_add(1, Relaxed);
        if check.error.is_none() && matches!(check.asked, Asked::Connect | Asked::Ping) {
            self.latency_us.store(u64::try_from(check.took.as_micros()).unwrap_or(u64::MAX), Relaxed);
        }
        let kept = match check.asked {
            Asked::Connect | Asked::Ping => &self.checks,
            Asked::Lag => &self.lags,
            Asked::ReadOnly => &self.read_only,
        };
        let mut checks = kept.lock().unwrap_or_else(PoisonError::into_inner);
        while checks.len() >= CHECKS {
            checks.pop_front();
        }
        checks.push_back(check);
    }

    /// Connections made, connections that failed, and the most that were open at a time.
    pub fn counts(&self) -> (u64, u64, u32) {
        (self.connected.load(Relaxed), self.failed.load(Relaxed), self.most_open.load(Relaxed))
    }

    /// What the latest check that succeeded took, in microseconds; 0 before the first.
    pub fn latency_us(&self) -> u64 {
        self.latency_us.load(Relaxed)
    }

    fn counts_of(&self, asked: Asked) -> &[AtomicU64; 2] {
        let [connect, ping, lag, read_only] = &self.outcomes;
        match asked {
            Asked::Connect => connect,
            Asked::Ping => ping,
            Asked::Lag => lag,
            Asked::ReadOnly => read_only,
        }
    }

    /// Checks of a kind that succeeded, and that failed.
    pub fn outcomes(&self, asked: Asked) -> [u64; 2] {
        self.counts_of(asked).each_ref().map(|count| count.load(Relaxed))
    }

    /// The latest checks of each kind, oldest first.
    pub fn checks(&self) -> Vec<Checked> {
        let read = |kept: &Mutex<VecDeque<Checked>>| kept.lock().unwrap_or_else(PoisonError::into_inner).clone();
        [&self.checks, &self.lags, &self.read_only].into_iter().flat_map(read).collect()
    }
}
