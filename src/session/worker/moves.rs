//! How many reads may be run a second time because their server is silent: a share of all statements, and a few at once.
//!
//! A server that is silent may be dead, or only slow. If all its reads were run again elsewhere, a moment of slowness would double the
//! load of the others, and make them slow too. So a worker earns a move with every so many statements, as a retry budget does.

use std::time::{Duration, Instant};

/// Reads that may be moved at once, where little has been earned yet.
const AT_LEAST: usize = 20;
/// The most that is kept for later.
const AT_MOST: usize = 1_000;
/// That reads were not moved is said no more often.
const SAID_EVERY: Duration = Duration::from_secs(10);

/// A worker's budget, in hundredths of a move.
#[derive(Debug)]
pub struct Moves {
    left: usize,
    seen: u64,
    said: Option<Instant>,
}

impl Default for Moves {
    fn default() -> Self {
        Self { left: AT_LEAST * 100, seen: 0, said: None }
    }
}

impl Moves {
    /// How many may be moved now. `statements`: all that were counted so far; `percent` of them earn a move.
    pub fn earned(&mut self, statements: u64, percent: u32) -> usize {
        let more = usize::try_from(statements.saturating_sub(self.seen)).unwrap_or(usize::MAX);
        self.seen = statements;
        self.left = self.left.saturating_add(more.saturating_mul(percent as usize)).min(AT_MOST * 100);
        if percent == 0 { 0 } else { self.left / 100 }
    }

    /// So many were moved.
    pub fn spend(&mut self, moved: usize) {
        self.left = self.left.saturating_sub(moved.saturating_mul(100));
    }

    /// True if it has not been said lately that some could not be moved.
    pub fn is_news(&mut self) -> bool {
        let is_news = self.said.is_none_or(|at| at.elapsed() >= SAID_EVERY);
        if is_news {
            self.said = Some(Instant::now());
        }
        is_news
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_share_of_all_statements_may_be_run_again() {
        let mut moves = Moves::default();
        assert_eq!(moves.earned(0, 10), AT_LEAST, "a few at once");
        moves.spend(AT_LEAST);
        assert_eq!(moves.earned(9, 10), 0);
        assert_eq!(moves.earned(10, 10), 1);
        assert_eq!(moves.earned(110, 10), 11);
        moves.spend(11);
        assert_eq!(moves.earned(110, 10), 0, "statements count once");
        assert_eq!(moves.earned(1_000_000, 10), AT_MOST, "nobody saves for ever");
        assert_eq!(moves.earned(1_000_000, 0), 0, "it is turned off");
        assert!(moves.is_news() && !moves.is_news());
    }
}
