//! What a hostgroup's connections are held to, beside its members: ProxySQL's `mysql_hostgroup_attributes`, as far as they have a
//! meaning here.

use std::sync::OnceLock;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::time::Instant;

/// The attributes of a hostgroup.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Attributes {
    /// With more servers than this that could serve, none does: two that both take themselves for the writer must not.
    pub max_online: Option<u32>,
    /// How much of a server's `max_connections` may lie idle, in per cent, all workers together. None: as much as there is.
    pub free_pct: Option<u32>,
    /// What a new connection is told before anything else, and again after each reset.
    pub init_connect: Option<Box<str>>,
    /// The most connections that may be opened in a second, all servers and workers together.
    pub connects_per_second: Option<u32>,
}

impl Attributes {
    /// How many connections to a server of so many a worker may keep idle, of so many workers.
    pub fn idle_share(&self, max_connections: u32, workers: usize) -> Option<usize> {
        let most = u64::from(max_connections) * u64::from(self.free_pct?) / 100;
        Some(usize::try_from(most).unwrap_or(usize::MAX).div_ceil(workers.max(1)))
    }
}

/// Counts what is opened in the present second.
#[derive(Debug, Default)]
pub struct Throttle {
    /// The second, and how many so far.
    window: AtomicU64,
}

impl Throttle {
    /// Takes one of `limit` for the present second; false if none is left.
    pub fn take(&self, limit: u32) -> bool {
        static START: OnceLock<Instant> = OnceLock::new();
        self.take_at(limit, START.get_or_init(Instant::now).elapsed().as_secs())
    }

    fn take_at(&self, limit: u32, second: u64) -> bool {
        let second = second & u64::from(u32::MAX);
        let count = |window: u64| if window >> 32 == second { window & u64::from(u32::MAX) } else { 0 };
        let one_more = |window| {
            let so_far = count(window);
            (so_far < u64::from(limit)).then_some((second << 32) | (so_far + 1))
        };
        self.window.fetch_update(Relaxed, Relaxed, one_more).is_ok()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn so_many_in_a_second_and_no_more() {
        let throttle = Throttle::default();
        assert_eq!(
            [7, 7, 7, 8, 8, 8].map(|second| throttle.take_at(2, second)),
            [true, true, false, true, true, false]
        );
        assert!(!Throttle::default().take_at(0, 1));
    }

    #[test]
    fn workers_share_what_may_lie_idle() {
        let of = |free_pct| Attributes { free_pct, ..Attributes::default() };
        assert_eq!(of(None).idle_share(100, 2), None);
        assert_eq!(of(Some(10)).idle_share(100, 2), Some(5));
        assert_eq!(of(Some(10)).idle_share(100, 3), Some(4));
        assert_eq!(of(Some(0)).idle_share(100, 2), Some(0));
    }
}
