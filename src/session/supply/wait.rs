//! The wait for room at a backend: in line on the own worker, with a look now and then whether another worker has left some.

use super::Supply;
use crate::backend::server::Backend;
use std::future::poll_fn;
use std::sync::Arc;
use std::task::Poll;
use std::time::Duration;
use tokio::time::Instant;

/// How often a session that waits for room looks whether another worker has left some.
const LOOK_AGAIN: Duration = Duration::from_millis(20);

impl Supply<'_> {
    /// Waits until a link to `backend` may have come free, here or at another worker. `Err` once the deadline has passed.
    pub(super) async fn wait_for_room(&self, backend: &Arc<Backend>, deadline: Instant) -> Result<(), ()> {
        let _line = InLine::new(backend);
        self.worker.stats.counters.pool_waits.inc();
        let mut ticket = None;
        let called = poll_fn(|cx| {
            match ticket {
                // Woken and no longer in the line: called.
                Some(t) if !self.worker.pool.borrow_mut().leave(backend.id, t) => return Poll::Ready(()),
                _ => {}
            }
            ticket = Some(self.worker.pool.borrow_mut().wait(backend.id, cx.waker().clone()));
            Poll::Pending
        });
        let until = deadline.min(Instant::now() + LOOK_AGAIN);
        let woken = tokio::time::timeout_at(until, called).await.is_ok();
        if let (false, Some(ticket)) = (woken, ticket) {
            self.worker.pool.borrow_mut().leave(backend.id, ticket);
        }
        if Instant::now() >= deadline { Err(()) } else { Ok(()) }
    }
}

/// Counts somebody among those that wait at a backend, for as long as it lives.
struct InLine<'a>(&'a Arc<Backend>);

impl<'a> InLine<'a> {
    fn new(backend: &'a Arc<Backend>) -> Self {
        backend.wait(true);
        Self(backend)
    }
}

impl Drop for InLine<'_> {
    fn drop(&mut self) {
        self.0.wait(false);
    }
}
