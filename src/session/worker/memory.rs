//! What large requests may take of the process's memory, all clients together.
//!
//! One client's request is bounded by `max_allowed_packet`; fifty of them at once would be fifty times that. So what a client has sent beyond
//! its first [`FREE`] bytes is taken from one budget, for a whole frame as soon as more than that has come of it, and given back when the
//! request is done. Where there is not enough, no more is read from that client for a while: its own sending waits, as with any slow
//! reader. After `pool_wait` it gets an error. Requests of several frames (16 MiB and more) do not say how many there will be: two of
//! them may each have what the other wants, until one has waited for so long.
//!
//! Ordinary statements never come here: it costs them one comparison. Refused: waiting in order; who asks first when something
//! is given back has it.

use crate::protocol::codec::MAX_FRAME;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering::Relaxed};
use std::time::Duration;
use tokio::time::Instant;

/// Bytes of each client's request that are not counted.
pub const FREE: usize = 256 << 10;
/// What is taken is a multiple of this.
pub const STEP: usize = 256 << 10;

/// How often a client whose request does not fit looks again.
const LOOK_AGAIN: Duration = Duration::from_millis(20);

/// The budget of a process, and what became of those who asked.
#[derive(Debug, Default)]
pub struct Memory {
    taken: AtomicUsize,
    waits: AtomicU64,
    refusals: AtomicU64,
}

impl Memory {
    /// Bytes that are taken now.
    pub fn taken(&self) -> usize {
        self.taken.load(Relaxed)
    }

    /// Requests that had to wait.
    pub fn waits(&self) -> u64 {
        self.waits.load(Relaxed)
    }

    /// Requests that waited in vain.
    pub fn refusals(&self) -> u64 {
        self.refusals.load(Relaxed)
    }

    fn take(&self, bytes: usize, limit: usize) -> bool {
        let more = |taken: usize| taken.checked_add(bytes).filter(|sum| *sum <= limit);
        self.taken.fetch_update(Relaxed, Relaxed, more).is_ok()
    }
}

/// What one holder has taken; given back when dropped.
#[derive(Debug)]
pub struct Share {
    memory: Arc<Memory>,
    bytes: usize,
}

impl Share {
    /// Nothing yet.
    pub fn new(memory: &Arc<Memory>) -> Self {
        Self { memory: Arc::clone(memory), bytes: 0 }
    }

    /// Bytes that are taken.
    pub fn bytes(&self) -> usize {
        self.bytes
    }

    /// Takes what is lacking to `bytes`, waiting for it if need be. `limit` is what all may take now.
    ///
    /// # Errors
    /// The limit, where it was not to be had within `patience`.
    pub async fn wait_for(&mut self, bytes: usize, limit: impl Fn() -> usize, patience: Duration) -> Result<(), usize> {
        let (mut most, until) = (limit(), Instant::now() + patience);
        if self.grow(bytes, most) {
            return Ok(());
        }
        self.memory.waits.fetch_add(1, Relaxed);
        while Instant::now() < until {
            tokio::time::sleep(LOOK_AGAIN).await;
            most = limit();
            if self.grow(bytes, most) {
                return Ok(());
            }
        }
        self.memory.refusals.fetch_add(1, Relaxed);
        Err(most)
    }

    /// Takes what is lacking to `bytes`, all of it or nothing.
    fn grow(&mut self, bytes: usize, limit: usize) -> bool {
        let lacking = bytes.saturating_sub(self.bytes);
        let had = self.memory.take(lacking, limit);
        if had {
            self.bytes += lacking;
        }
        had
    }
}

impl Drop for Share {
    fn drop(&mut self) {
        self.memory.taken.fetch_sub(self.bytes, Relaxed);
    }
}

/// What a request takes of which so many bytes have come, or will. One of several frames is kept a second time, without their headers.
pub fn cost(bytes: usize) -> usize {
    let counted = bytes.saturating_sub(FREE).next_multiple_of(STEP);
    if bytes > MAX_FRAME { counted.saturating_add(bytes) } else { counted }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn shares_never_sum_up_to_more_than_the_limit() {
        let memory = Arc::new(Memory::default());
        let (mut one, mut two) = (Share::new(&memory), Share::new(&memory));
        assert!(one.grow(600, 1_000) && !two.grow(600, 1_000) && two.grow(400, 1_000));
        assert!(!one.grow(601, 1_000), "not a byte more");
        assert!(one.grow(500, 1_000), "what it has already is enough");
        assert_eq!(memory.taken(), 1_000);
        drop(one);
        assert!(two.grow(1_000, 1_000));
        drop(two);
        assert_eq!(memory.taken(), 0);
    }

    #[test]
    fn what_requests_cost() {
        for (bytes, want) in [(0, 0), (FREE, 0), (FREE + 1, STEP), (FREE + STEP, STEP), (FREE + STEP + 1, 2 * STEP)] {
            assert_eq!(cost(bytes), want, "{bytes}");
        }
        assert!(cost(MAX_FRAME + 1) > 2 * MAX_FRAME - STEP);
    }
}
