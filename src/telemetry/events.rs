//! Events: what happens off the statement path, counted by name and labels.
//!
//! Whoever has something to tell says so in one line, where it happens, and the metrics page shows it beside the workers' own
//! counters. The statement path never comes here: a lock is taken for each event.
//!
//! Counters alone: how things stand is read where it stands, when the page is asked for. Labels are bounded by the configuration
//! or the code; beyond [`MOST`] of a family, which only a configuration that changes for ever reaches, new ones are not counted.

use std::collections::BTreeMap;
use std::sync::{Mutex, PoisonError};

/// Sign-ins at the admin port, by `result`: `ok`, `failed`.
pub static ADMIN_SIGN_INS: Family<1> =
    Family::new("admin_sign_ins", "Sign-ins at the admin port, by what became of them", ["result"]);
/// Health checks, by `backend` and `result`: `ok`, `failed`, `timeout`, or `account` where the checks' own was refused.
pub static HEALTH_CHECKS: Family<2> =
    Family::new("health_checks", "Health checks of a backend, by what became of them", ["backend", "result"]);

/// Label sets of a family that are kept.
const MOST: usize = 4096;

/// What is counted under one name, by `N` labels.
#[derive(Debug)]
pub struct Family<const N: usize> {
    /// Its name, without what all names begin and end with.
    pub name: &'static str,
    /// What it is, in a few words.
    pub help: &'static str,
    labels: [&'static str; N],
    counts: Mutex<BTreeMap<[String; N], u64>>,
}

impl<const N: usize> Family<N> {
    const fn new(name: &'static str, help: &'static str, labels: [&'static str; N]) -> Self {
        Self { name, help, labels, counts: Mutex::new(BTreeMap::new()) }
    }

    /// Counts one.
    pub fn count(&self, values: [&str; N]) {
        let mut counts = self.counts.lock().unwrap_or_else(PoisonError::into_inner);
        let key = values.map(str::to_owned);
        if counts.len() < MOST || counts.contains_key(&key) {
            *counts.entry(key).or_default() += 1;
        }
    }

    /// All that was counted in this process: labels with their values, and how often.
    pub fn read(&self) -> Vec<(Vec<(&'static str, String)>, u64)> {
        let counts = self.counts.lock().unwrap_or_else(PoisonError::into_inner);
        let named = |values: &[String; N]| self.labels.into_iter().zip(values.clone()).collect();
        counts.iter().map(|(values, count)| (named(values), *count)).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn events_are_counted_by_their_labels_and_bounded() {
        let calls: Family<1> = Family::new("calls", "Calls", ["result"]);
        for result in ["ok", "ok", "failed", "ok"] {
            calls.count([result]);
        }
        let by = |result: &str| vec![("result", result.to_owned())];
        assert_eq!(calls.read(), [(by("failed"), 1), (by("ok"), 3)]);
        for n in 0..2 * MOST {
            calls.count([&n.to_string()]);
        }
        calls.count(["ok"]);
        let seen = calls.read();
        assert_eq!(seen.len(), MOST);
        assert!(seen.contains(&(by("ok"), 4)));
    }
}
