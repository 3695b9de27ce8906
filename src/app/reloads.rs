//! Reloads since the start: how many, and the latest of them with what became of each.
//!
//! The control thread writes, the HTTP and admin threads read; traffic knows nothing of it. What was in effect before, and
//! can be again, is [`crate::admin::history`]'s: it keeps versions, and a configuration that was refused never became one.

use std::collections::VecDeque;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::SystemTime;

/// Reloads that are remembered.
const MOST: usize = 20;
/// The most bytes of a reason that are kept.
const MOST_BYTES: usize = 512;

/// A configuration that was to take effect.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Reload {
    /// When.
    pub at: SystemTime,
    /// Whose work it is.
    pub author: String,
    /// What was changed, in a few words.
    pub change: String,
    /// The version that it became; or why it was refused.
    pub outcome: Result<u64, String>,
}

/// All that is known of them.
#[derive(Debug, Default)]
pub struct Reloads(Mutex<State>);

#[derive(Debug, Default)]
struct State {
    published: u32,
    refused: u32,
    latest: VecDeque<Reload>,
}

impl Reloads {
    /// Takes one down, as of now.
    pub fn note(&self, author: &str, change: &str, outcome: &Result<u64, String>) {
        let outcome = outcome.clone().map_err(|why| why[..why.floor_char_boundary(MOST_BYTES)].to_owned());
        let mut state = self.state();
        match outcome {
            Ok(_) => state.published += 1,
            Err(_) => state.refused += 1,
        }
        state.latest.truncate(MOST - 1);
        let reload = Reload { at: SystemTime::now(), author: author.to_owned(), change: change.to_owned(), outcome };
        state.latest.push_front(reload);
    }

    /// Published ones and refused ones, since the start.
    pub fn counts(&self) -> (u32, u32) {
        let state = self.state();
        (state.published, state.refused)
    }

    /// The latest, newest first.
    pub fn latest(&self) -> Vec<Reload> {
        self.state().latest.iter().cloned().collect()
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn all_are_counted_and_the_latest_are_kept() {
        let reloads = Reloads::default();
        for version in 0..50 {
            reloads.note("files", "file", &Ok(version));
        }
        reloads.note("files", "file", &Err("ä".repeat(MOST_BYTES)));
        assert_eq!(reloads.counts(), (50, 1));
        let latest = reloads.latest();
        assert_eq!(latest.len(), MOST);
        assert_eq!(latest[0].outcome.as_ref().map_err(String::len), Err(MOST_BYTES));
        assert_eq!(latest[1].outcome, Ok(49));
    }
}
