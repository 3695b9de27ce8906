//! What a service manager (systemd) is told: ready, stopping, and that the workers still turn.
//!
//! Where nobody listens (`NOTIFY_SOCKET` is not set) nothing is done. The watchdog is fed only while every worker has turned
//! within [`STUCK`]: a router one of whose threads hangs is better started again than left to hold its clients.

use super::view::View;
use sd_notify::NotifyState;
use std::time::{Duration, Instant};

/// A worker turns ten times a second; one that has not for this long is stuck.
const STUCK: Duration = Duration::from_secs(5);

fn tell(states: &[NotifyState<'_>]) {
    if let Err(error) = sd_notify::notify(false, states) {
        tracing::warn!(%error, "the service manager could not be told");
    }
}

/// Clients can connect.
pub(super) fn ready() {
    tell(&[NotifyState::Ready]);
}

/// No more clients are taken; what runs may finish.
pub(super) fn stopping() {
    tell(&[NotifyState::Stopping]);
}

/// Feeds the watchdog, for ever; returns at once where there is none.
pub(super) async fn feed_watchdog(view: View) {
    let Some(micros) = watchdog_micros() else { return };
    let mut turning = Turning::new(view.beats(), Instant::now());
    let mut pause = tokio::time::interval(Duration::from_micros(micros / 3).max(Duration::from_millis(10)));
    let mut was_stuck = false;
    loop {
        pause.tick().await;
        let stuck = turning.look(view.beats(), Instant::now());
        match stuck {
            None => tell(&[NotifyState::Watchdog]),
            Some(worker) if !was_stuck => tracing::error!(worker, "a worker is stuck; the watchdog is not fed"),
            Some(_) => {}
        }
        was_stuck = stuck.is_some();
    }
}

/// How often the watchdog wants to be fed, where it is for this process. Source: sd_watchdog_enabled(3).
fn watchdog_micros() -> Option<u64> {
    let number = |name| std::env::var(name).ok()?.parse::<u64>().ok();
    let ours = number("WATCHDOG_PID").is_none_or(|pid| pid == u64::from(std::process::id()));
    number("WATCHDOG_USEC").filter(|micros| ours && *micros > 0)
}

/// When each worker was last seen to have turned.
struct Turning(Vec<(u64, Instant)>);

impl Turning {
    fn new(beats: Vec<u64>, now: Instant) -> Self {
        Self(beats.into_iter().map(|beat| (beat, now)).collect())
    }

    /// The first worker that is stuck, given how often each has turned.
    fn look(&mut self, beats: Vec<u64>, now: Instant) -> Option<usize> {
        for (seen, beat) in self.0.iter_mut().zip(beats) {
            if seen.0 != beat {
                *seen = (beat, now);
            }
        }
        self.0.iter().position(|(_, at)| now.duration_since(*at) > STUCK)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_worker_that_does_not_turn_is_stuck_until_it_does() {
        let start = Instant::now();
        let after = |seconds| start + Duration::from_secs(seconds);
        let mut turning = Turning::new(vec![1, 1], start);
        assert_eq!(turning.look(vec![2, 2], after(3)), None);
        assert_eq!(turning.look(vec![9, 2], after(7)), None);
        assert_eq!(turning.look(vec![20, 2], after(9)), Some(1));
        assert_eq!(turning.look(vec![20, 3], after(10)), None);
    }
}
