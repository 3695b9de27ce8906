//! When an account's sessions last wrote, for accounts whose sessions read each other's writes (`read_your_writes_scope
//! = "user"`).
//!
//! The sessions of all workers note their writes here, and ask before a read whether the last one was a moment ago. It
//! counts moments only: which tables were written, and where a read goes then, is not known here.

use std::sync::atomic::{AtomicU32, AtomicU64, Ordering::Acquire, Ordering::Relaxed, Ordering::Release};
use std::time::Duration;

/// Shared by all sessions of an account, whatever their worker, from one version of the configuration to the next. Moments are
/// milliseconds of a clock that all of them read.
#[derive(Debug, Default)]
pub struct Writes {
    /// Writes whose answers are on their way. A client has its answer a little before it is known here what became of the
    /// write, and may read elsewhere at once: until then it counts as done.
    answering: AtomicU32,
    /// When the latest was done; 0: there was none.
    done: AtomicU64,
}

impl Writes {
    /// A write's answer is about to go out. To be followed by one [`Writes::end`].
    pub fn begin(&self) {
        self.answering.fetch_add(1, Relaxed);
    }

    /// It is known what became of the write: done at this moment, or nothing that could be read.
    pub fn end(&self, at: Option<u64>) {
        if let Some(at) = at {
            self.done.fetch_max(at.max(1), Relaxed);
        }
        // Who sees that it is over sees when it was done.
        self.answering.fetch_sub(1, Release);
    }

    /// True while a write is answered, and for `window` after the latest. The clock is asked only where there was one.
    pub fn are_recent(&self, now: impl FnOnce() -> u64, window: Duration) -> bool {
        if window.is_zero() {
            return false;
        }
        if self.answering.load(Acquire) > 0 {
            return true;
        }
        let done = self.done.load(Relaxed);
        done > 0 && u128::from(now().saturating_sub(done)) < window.as_millis()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const WINDOW: Duration = Duration::from_secs(2);

    #[test]
    fn from_before_an_answer_until_the_window_is_over() {
        let writes = Writes::default();
        assert!(!writes.are_recent(|| unreachable!("nobody wrote: no clock"), WINDOW));
        writes.begin();
        assert!(writes.are_recent(|| 9_000_000, WINDOW), "it is answered, however long that takes");
        writes.end(Some(10_000));
        for (now, recent) in [(9_999, true), (10_000, true), (11_999, true), (12_000, false)] {
            assert_eq!(writes.are_recent(|| now, WINDOW), recent, "{now}");
        }
        assert!(!writes.are_recent(|| 10_000, Duration::ZERO), "it is turned off");
    }

    #[test]
    fn of_several_the_latest_counts() {
        let writes = Writes::default();
        writes.begin();
        writes.begin();
        writes.end(Some(10_000));
        assert!(writes.are_recent(|| 20_000, WINDOW), "the other one is answered");
        writes.end(None);
        assert!(!writes.are_recent(|| 20_000, WINDOW), "it left nothing");
        // A worker that noted its write late does not take back another's.
        writes.begin();
        writes.end(Some(9_000));
        assert!(writes.are_recent(|| 11_500, WINDOW));
    }

    #[test]
    fn the_first_moment_of_the_clock_counts_too() {
        let writes = Writes::default();
        writes.begin();
        writes.end(Some(0));
        assert!(writes.are_recent(|| 0, WINDOW));
    }
}
