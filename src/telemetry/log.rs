//! The log: lines for people, or JSON for machines, on standard error.
//!
//! Lines are written by a thread of their own: whoever logs hands them over and goes on, and where the reader of standard error
//! is too slow, lines are dropped rather than waited for. Statements and failed sign-ins are logged within a [`Budget`].

use std::cell::Cell;
use tracing_appender::non_blocking::{NonBlockingBuilder, WorkerGuard};
use tracing_subscriber::EnvFilter;

/// Lines that may wait to be written.
const BACKLOG: usize = 16_384;

/// Starts the log. `level` is a level's name or a filter in `tracing`'s own words; one that cannot be read counts as `info`.
/// A second call does nothing: tests start several routers in one process. What waits is written when the guard is dropped.
pub fn start(level: &str, json: bool) -> WorkerGuard {
    let filter = EnvFilter::try_new(level).unwrap_or_else(|_| EnvFilter::new("info"));
    let colour = std::io::IsTerminal::is_terminal(&std::io::stderr());
    let (writer, guard) = NonBlockingBuilder::default()
        .lossy(true)
        .buffered_lines_limit(BACKLOG)
        .thread_name("log")
        .finish(std::io::stderr());
    let lines = tracing_subscriber::fmt().with_env_filter(filter).with_writer(writer).with_ansi(colour);
    let _ = if json { lines.json().try_init() } else { lines.try_init() };
    guard
}

/// How many lines of a kind one thread may log a second.
#[derive(Debug, Default)]
pub struct Budget {
    second: Cell<u32>,
    spent: Cell<u32>,
}

/// What a [`Budget`] says.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Spend {
    /// Log it; so many were kept back before it, in an earlier second.
    Log {
        /// Lines kept back.
        kept_back: u32,
    },
    /// Keep it back.
    KeepBack,
}

impl Budget {
    /// Lines a second.
    const LINES: u32 = 100;

    /// May one more line be logged in this second?
    pub fn spend(&self, second: u32) -> Spend {
        let mut kept_back = 0;
        if self.second.replace(second) != second {
            kept_back = self.spent.replace(0).saturating_sub(Self::LINES);
        }
        let spent = self.spent.get().saturating_add(1);
        self.spent.set(spent);
        if spent <= Self::LINES { Spend::Log { kept_back } } else { Spend::KeepBack }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_budget_is_spent_by_the_second_and_says_what_it_kept_back() {
        let budget = Budget::default();
        let logged = (0..150).filter(|_| budget.spend(7) != Spend::KeepBack).count();
        assert_eq!(logged, 100);
        assert_eq!(budget.spend(8), Spend::Log { kept_back: 50 });
        assert_eq!(budget.spend(8), Spend::Log { kept_back: 0 });
    }
}
