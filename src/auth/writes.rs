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

    /// When the latest was done, if that was within `window`; now, while one is answered. The clock is asked only where there was one.
    pub fn latest(&self, now: impl FnOnce() -> u64, window: Duration) -> Option<u64> {
        if window.is_zero() {
            return None;
        }
        if self.answering.load(Acquire) > 0 {
            return Some(now());
        }
        let done = self.done.load(Relaxed);
        (done > 0 && u128::from(now().saturating_sub(done)) < window.as_millis()).then_some(done)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const WINDOW: Duration = Duration::from_secs(2);

    #[test]
    fn from_before_an_answer_until_the_window_is_over() {
        let writes = Writes::default();
        assert_eq!(writes.latest(|| unreachable!("nobody wrote: no clock"), WINDOW), None);
        writes.begin();
        assert_eq!(writes.latest(|| 9_000_000, WINDOW), Some(9_000_000), "it is answered, however long that takes");
        writes.end(Some(10_000));
        for (now, recent) in [(9_999, true), (10_000, true), (11_999, true), (12_000, false)] {
            assert_eq!(writes.latest(|| now, WINDOW), recent.then_some(10_000), "{now}");
        }
        assert_eq!(writes.latest(|| 10_000, Duration::ZERO), None, "it is turned off");
    }

    #[test]
    fn of_several_the_latest_counts() {
        let writes = Writes::default();
        writes.begin();
        writes.begin();
        writes.end(Some(10_000));
        assert_eq!(writes.latest(|| 20_000, WINDOW), Some(20_000), "the other one is answered");
        writes.end(None);
        assert_eq!(writes.latest(|| 20_000, WINDOW), None, "it left nothing");
        // A worker that noted its write late does not take back another's.
        writes.begin();
        writes.end(Some(9_000));
        assert_eq!(writes.latest(|| 11_500, WINDOW), Some(10_000));
    }

    #[test]
    fn the_first_moment_of_the_clock_counts_too() {
        let writes = Writes::default();
        writes.begin();
        writes.end(Some(0));
        assert!(writes.latest(|| 0, WINDOW).is_some());
    }
}
