//! The wait for room at a backend: in line on the own worker, with a look now and then whether another worker has left some.
//!
//! It refuses to take what was waited for: whoever was called looks again, and stands in front if somebody was faster.

use crate::backend::pool::lines::At;
use crate::backend::server::Backend;
use crate::session::worker::Worker;
use std::future::poll_fn;
use std::sync::Arc;
use std::task::Poll;
use std::time::Duration;
use tokio::time::Instant;

/// How often a session that waits for room looks whether another worker has left some.
const LOOK_AGAIN: Duration = Duration::from_millis(20);

/// A place in the line for room at a backend. It is kept until it is called, or dropped.
pub(super) struct InLine<'a> {
    worker: &'a Worker,
    backend: &'a Arc<Backend>,
    ticket: Option<u64>,
    at: At,
}

impl<'a> InLine<'a> {
    /// One who comes to the end of the line.
    pub(super) fn new(worker: &'a Worker, backend: &'a Arc<Backend>) -> Self {
        worker.stats.counters.pool_waits.inc();
        Self { worker, backend, ticket: None, at: At::End }
    }

    /// Waits until a link may have come free, here or at another worker. `Err` once the deadline has passed.
    pub(super) async fn wait(&mut self, deadline: Instant) -> Result<(), ()> {
        let called = poll_fn(|cx| {
            let lines = &mut self.worker.pool.borrow_mut().lines;
            match self.ticket {
                Some(ticket) if lines.stay(self.backend.id, ticket, cx.waker()) => Poll::Pending,
                Some(_) => {
                    (self.ticket, self.at) = (None, At::Front);
                    Poll::Ready(())
                }
                None => {
                    self.ticket = Some(lines.wait(self.backend, self.at, cx.waker().clone()));
                    Poll::Pending
                }
            }
        });
        // Not called: another worker may have left room all the same.
        let _ = tokio::time::timeout_at(deadline.min(Instant::now() + LOOK_AGAIN), called).await;
        if Instant::now() >= deadline { Err(()) } else { Ok(()) }
    }
}

impl Drop for InLine<'_> {
    fn drop(&mut self) {
        if let Some(ticket) = self.ticket {
            self.worker.pool.borrow_mut().lines.leave(self.backend.id, ticket);
        }
    }
}
