//! The line in which a worker's statements wait for a server, while none of their hostgroups has one that serves.
//!
//! They are called in the order in which they came, once a server of theirs serves or the configuration has changed.
//!
//! [`crate::session::supply`] is where statements wait, and who looks whether anybody is to be called. It refuses to know what they
//! are, and whether they may be sent.

use std::collections::BTreeMap;
use std::task::{Poll, Waker};
use tokio::time::Instant;

/// Those that wait, by their numbers in the order of arrival.
#[derive(Default)]
pub struct Outage {
    latest: u64,
    waiting: BTreeMap<u64, Waiting>,
    is_watched: bool,
}

/// What a statement waits for.
#[derive(Debug)]
pub struct Wish {
    /// A server of one of these hostgroups.
    pub tiers: Box<[u32]>,
    /// Or another configuration than the one of this version.
    pub version: u64,
    /// It is not called before.
    pub not_before: Instant,
}

struct Waiting {
    wish: Wish,
    waker: Waker,
    is_called: bool,
}

impl Outage {
    /// How many wait.
    pub fn len(&self) -> usize {
        self.waiting.len()
    }

    /// True if nobody waits.
    pub fn is_empty(&self) -> bool {
        self.waiting.is_empty()
    }

    /// A number behind all others.
    pub fn number(&mut self) -> u64 {
        self.latest += 1;
        self.latest
    }

    /// Ready once the statement of this number has been called. `wish` is asked the first time.
    pub fn poll_call(&mut self, number: u64, waker: &Waker, wish: impl FnOnce() -> Wish) -> Poll<()> {
        match self.waiting.get_mut(&number) {
            Some(waiting) if waiting.is_called => return Poll::Ready(()),
            Some(waiting) => waiting.waker.clone_from(waker),
            None => {
                self.waiting.insert(number, Waiting { wish: wish(), waker: waker.clone(), is_called: false });
            }
        }
        Poll::Pending
    }

    /// It waits no more.
    pub fn leave(&mut self, number: u64) {
        self.waiting.remove(&number);
    }

    /// Calls those whose wish has come true: `serves` says whether one of these hostgroups has a server, in the configuration of `version`.
    pub fn call(&mut self, now: Instant, version: u64, serves: impl Fn(&[u32]) -> bool) {
        for waiting in self.waiting.values_mut().filter(|waiting| !waiting.is_called) {
            let wish = &waiting.wish;
            if now >= wish.not_before && (version != wish.version || serves(&wish.tiers)) {
                waiting.is_called = true;
                waiting.waker.wake_by_ref();
            }
        }
    }

    /// True if nobody looks after those that wait yet; from now on somebody does.
    pub fn needs_watch(&mut self) -> bool {
        !std::mem::replace(&mut self.is_watched, true)
    }

    /// True, and not watched any more, if nobody waits.
    pub fn is_over(&mut self) -> bool {
        self.is_watched &= !self.is_empty();
        !self.is_watched
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::sync::{Arc, Mutex};
    use std::task::Wake;
    use std::time::Duration;

    /// Writes down its number when it is woken.
    struct Called(u64, Arc<Mutex<Vec<u64>>>);

    impl Wake for Called {
        fn wake(self: Arc<Self>) {
            self.1.lock().unwrap().push(self.0);
        }
    }

    #[test]
    fn they_are_called_in_the_order_of_arrival() {
        let now = Instant::now();
        let soon = now + Duration::from_secs(1);
        let called = Arc::default();
        let mut outage = Outage::default();
        let poll = |outage: &mut Outage, number, tier: u32, version, not_before| {
            let waker = Waker::from(Arc::new(Called(number, Arc::clone(&called))));
            let wish = || Wish { tiers: Box::new([tier]), version, not_before };
            outage.poll_call(number, &waker, wish).is_ready()
        };
        let numbers: Vec<u64> = (0..5).map(|_| outage.number()).collect();
        assert_eq!(numbers, [1, 2, 3, 4, 5]);
        // The third comes before the second, the fourth wants another hostgroup, the fifth is not to be called yet.
        assert!(!poll(&mut outage, 1, 10, 7, now) && !poll(&mut outage, 3, 10, 7, now));
        assert!(!poll(&mut outage, 2, 10, 7, now) && !poll(&mut outage, 4, 20, 7, now));
        assert!(!poll(&mut outage, 5, 10, 7, soon));
        assert!(outage.needs_watch() && !outage.needs_watch());
        outage.call(now, 7, |_| false);
        assert!(called.lock().unwrap().is_empty());
        outage.call(now, 7, |tiers| tiers == [10]);
        assert_eq!(*called.lock().unwrap(), [1, 2, 3]);
        assert!(poll(&mut outage, 2, 10, 7, now) && !poll(&mut outage, 4, 20, 7, now));
        // Another configuration is a reason to look again.
        outage.call(now, 8, |_| false);
        assert_eq!(*called.lock().unwrap(), [1, 2, 3, 4]);
        outage.call(soon, 7, |tiers| tiers == [10]);
        assert_eq!(*called.lock().unwrap(), [1, 2, 3, 4, 5]);
        assert!(!outage.is_over());
        numbers.iter().for_each(|number| outage.leave(*number));
        assert!(outage.is_empty() && outage.is_over() && outage.needs_watch());
    }
}
