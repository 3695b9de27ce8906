//! How a backend fares: a state machine moved by checks and by what the traffic sees.
//!
//! ```text
//!            failure                    failures ≥ threshold
//!   ┌──▶ Up ─────────▶ Suspect ───────────────────────────────▶ Down
//!   │     ▲               │ success                               │
//!   │     └───────────────┘                                       │
//!   └──────────────── successes ≥ threshold (checks only) ◀───────┘
//!   Draining, Disabled: set by an operator, left by an operator.
//! ```
//!
//! *Up* and *Suspect* serve. A *Suspect* backend has failed less often than the threshold since its last success.
//! *Down* serves nothing; only checks bring it back, so that no client's statement is spent on trying.

use std::sync::Mutex;
use std::sync::atomic::{AtomicU8, AtomicU32, AtomicU64, Ordering::Relaxed};
use std::time::SystemTime;

/// A backend's state.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u8)]
pub enum State {
    /// Serves.
    Up = 0,
    /// Serves, but has failed since its last success.
    Suspect = 1,
    /// Serves nothing until checks succeed.
    Down = 2,
    /// Finishes what it has; takes no new work.
    Draining = 3,
    /// Taken out by the configuration.
    Disabled = 4,
}

impl State {
    fn from_u8(value: u8) -> State {
        [State::Up, State::Suspect, State::Down, State::Draining]
            .get(usize::from(value))
            .copied()
            .unwrap_or(State::Disabled)
    }

    /// The word that operators read.
    pub fn name(self) -> &'static str {
        match self {
            State::Up => "up",
            State::Suspect => "suspect",
            State::Down => "down",
            State::Draining => "draining",
            State::Disabled => "disabled",
        }
    }
}

/// What went wrong.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Cause {
    /// No connection could be made, or it broke.
    #[error("{0}")]
    Connection(String),
    /// A check's answer did not come in time.
    #[error("no answer within {0} ms")]
    Timeout(u64),
    /// The server answered a check with an error.
    #[error("the server said: {0}")]
    Server(String),
    /// The server broke the protocol.
    #[error("{0}")]
    Protocol(String),
}

/// One change of state, for operators, by the states' names.
#[derive(Clone, Debug)]
pub struct Change {
    /// When.
    pub at: SystemTime,
    /// From.
    pub from: &'static str,
    /// To.
    pub to: &'static str,
    /// Why.
    pub cause: String,
}

/// How many failures and successes it takes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Thresholds {
    /// Consecutive failures until Down.
    pub failures: u32,
    /// Consecutive successful checks until Up again.
    pub successes: u32,
}

impl Default for Thresholds {
    fn default() -> Self {
        Self { failures: 3, successes: 2 }
    }
}

/// The changes that are kept for each backend.
const HISTORY: usize = 32;

/// A backend's health.
#[derive(Debug)]
pub struct Health {
    state: AtomicU8,
    failures: AtomicU32,
    successes: AtomicU32,
    fall: AtomicU32,
    rise: AtomicU32,
    changes: AtomicU64,
    /// Cold: touched only when the state changes.
    history: Mutex<Vec<Change>>,
}

impl Health {
    /// A backend is believed to be up until it fails: the first statements need not wait for the first check.
    pub fn new(thresholds: Thresholds, state: State) -> Self {
        Self {
            state: AtomicU8::new(state as u8),
            failures: AtomicU32::new(0),
            successes: AtomicU32::new(0),
            fall: AtomicU32::new(thresholds.failures),
            rise: AtomicU32::new(thresholds.successes),
            changes: AtomicU64::new(0),
            history: Mutex::new(Vec::new()),
        }
    }

    /// The present state.
    pub fn state(&self) -> State {
        State::from_u8(self.state.load(Relaxed))
    }

    /// A new configuration's thresholds.
    pub fn reconfigure(&self, thresholds: Thresholds) {
        self.fall.store(thresholds.failures, Relaxed);
        self.rise.store(thresholds.successes, Relaxed);
    }

    /// Changes of state since the start.
    pub fn changes(&self) -> u64 {
        self.changes.load(Relaxed)
    }

    /// The latest changes, oldest first.
    pub fn history(&self) -> Vec<Change> {
        self.history.lock().map(|h| h.clone()).unwrap_or_default()
    }

    /// A statement or a connection of the traffic failed. `name` is the backend's, for the log.
    pub fn passive_failure(&self, name: &str, cause: Cause) {
        self.failure(name, cause);
    }

    /// The traffic was served: clears what counts against a backend that is still serving.
    #[inline]
    pub fn passive_success(&self) {
        if self.state.load(Relaxed) == State::Suspect as u8 {
            self.failures.store(0, Relaxed);
            // An operator may have spoken since: only what was seen is changed.
            let _ = self.state.compare_exchange(State::Suspect as u8, State::Up as u8, Relaxed, Relaxed);
        }
    }

    /// A check failed.
    pub fn check_failed(&self, name: &str, cause: Cause) {
        self.failure(name, cause);
    }

    /// A check succeeded.
    pub fn check_succeeded(&self, name: &str) {
        self.failures.store(0, Relaxed);
        match self.state() {
            State::Suspect => self.change(name, State::Suspect, State::Up, "a check succeeded"),
            State::Down => {
                let successes = self.successes.fetch_add(1, Relaxed) + 1;
                if successes >= self.rise.load(Relaxed) {
                    self.change(name, State::Down, State::Up, &format!("{successes} checks in a row succeeded"));
                }
            }
            _ => {}
        }
    }

    /// An operator's word.
    pub fn set(&self, name: &str, to: State, why: &str) {
        // What the traffic sees in the same moment does not stand in its way.
        while self.state() != to {
            self.change(name, self.state(), to, why);
        }
    }

    fn failure(&self, name: &str, cause: Cause) {
        self.successes.store(0, Relaxed);
        let failures = self.failures.fetch_add(1, Relaxed).saturating_add(1);
        match self.state() {
            State::Up if failures >= self.fall.load(Relaxed) => {
                self.change(name, State::Up, State::Down, &format!("{failures} failures in a row, the last: {cause}"));
            }
            State::Up => self.change(name, State::Up, State::Suspect, &cause.to_string()),
            State::Suspect if failures >= self.fall.load(Relaxed) => {
                self.change(
                    name,
                    State::Suspect,
                    State::Down,
                    &format!("{failures} failures in a row, the last: {cause}"),
                );
            }
            _ => {}
        }
    }

    fn change(&self, name: &str, from: State, to: State, cause: &str) {
        if from == to || self.state.compare_exchange(from as u8, to as u8, Relaxed, Relaxed).is_err() {
            return;
        }
        self.changes.fetch_add(1, Relaxed);
        self.failures.store(if to == State::Suspect { 1 } else { 0 }, Relaxed);
        self.successes.store(0, Relaxed);
        match to {
            State::Down => tracing::warn!(backend = name, from = from.name(), to = to.name(), cause, "backend health"),
            _ => tracing::info!(backend = name, from = from.name(), to = to.name(), cause, "backend health"),
        }
        self.note(from.name(), to.name(), cause);
    }

    /// Puts a change among those that operators look at. What is no [`State`] is noted too: `lagging` and `in_step`.
    pub fn note(&self, from: &'static str, to: &'static str, cause: &str) {
        if let Ok(mut history) = self.history.lock() {
            if history.len() == HISTORY {
                history.remove(0);
            }
            history.push(Change { at: SystemTime::now(), from, to, cause: cause.to_owned() });
        }
    }

    /// How many successes in a row it takes.
    pub fn rise(&self) -> u32 {
        self.rise.load(Relaxed)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn cause() -> Cause {
        Cause::Connection("refused".into())
    }

    #[test]
    fn failures_bring_it_down_and_only_checks_bring_it_back() {
        let health = Health::new(Thresholds { failures: 3, successes: 2 }, State::Up);
        health.passive_failure("b", cause());
        assert_eq!(health.state(), State::Suspect);
        health.passive_failure("b", cause());
        assert_eq!(health.state(), State::Suspect);
        health.passive_failure("b", cause());
        assert_eq!(health.state(), State::Down);
        health.passive_success();
        assert_eq!(health.state(), State::Down);
        health.check_succeeded("b");
        health.check_failed("b", cause());
        health.check_succeeded("b");
        assert_eq!(health.state(), State::Down, "successes must be in a row");
        health.check_succeeded("b");
        assert_eq!(health.state(), State::Up);
        let steps: Vec<_> = health.history().iter().map(|c| (c.from, c.to)).collect();
        assert_eq!(steps, [("up", "suspect"), ("suspect", "down"), ("down", "up")]);
    }

    #[test]
    fn a_success_clears_a_suspicion() {
        let health = Health::new(Thresholds { failures: 2, successes: 1 }, State::Up);
        health.passive_failure("b", cause());
        health.passive_success();
        assert_eq!(health.state(), State::Up);
        health.passive_failure("b", cause());
        assert_eq!(health.state(), State::Suspect, "the first failure was forgiven");
    }

    /// The traffic sees failures and successes all the time while an operator speaks.
    #[test]
    fn an_operators_word_holds_whatever_the_traffic_sees_in_the_same_moment() {
        let health = Health::new(Thresholds { failures: u32::MAX, successes: 1 }, State::Up);
        let over = std::sync::atomic::AtomicBool::new(false);
        std::thread::scope(|threads| {
            for _ in 0..2 {
                threads.spawn(|| {
                    while !over.load(Relaxed) {
                        health.passive_failure("b", cause());
                        health.passive_success();
                    }
                });
            }
            let mut overruled = 0;
            for _ in 0..20_000 {
                health.set("b", State::Draining, "maintenance");
                for _ in 0..20 {
                    overruled += u32::from(health.state() != State::Draining);
                    std::hint::spin_loop();
                }
                health.set("b", State::Up, "over");
            }
            over.store(true, Relaxed);
            assert_eq!(overruled, 0);
        });
    }

    #[test]
    fn an_operators_word_is_not_overruled() {
        let health = Health::new(Thresholds { failures: 1, successes: 1 }, State::Up);
        health.set("b", State::Draining, "maintenance");
        health.passive_failure("b", cause());
        health.check_succeeded("b");
        assert_eq!(health.state(), State::Draining);
    }
}
