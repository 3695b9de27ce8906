//! A write on its way that other sessions of its user are to see: they hear of it between the request and its answer.
//!
//! Which statements are such writes, and what they mean for reads, is said in [`crate::session::statement::writing`].

use crate::auth::Writes;
use crate::net::Stream;
use crate::session::worker::Worker;
use std::rc::Rc;
use std::sync::Arc;
use std::task::{Context, Poll};

/// A write that the user's other sessions are to see once it is answered. Dropped before it is known what became of it, it
/// counts as done.
pub(in crate::session) struct Writing {
    pub(in crate::session) worker: Rc<Worker>,
    pub(in crate::session) writes: Arc<Writes>,
    pub(in crate::session) is_answered: bool,
    pub(in crate::session) client_is_early: bool,
    pub(in crate::session) can_be_read: bool,
}

impl Writing {
    /// To be polled once it has been sent, and before anything of its answer goes out; then always ready. A write that waits
    /// for a lock, or for a server that is stuck, has not been done yet, and takes no reads away from the readers.
    pub fn poll_answer(&mut self, cx: &mut Context<'_>, server: &Stream, client: &Stream) -> Poll<()> {
        if self.is_answered {
            return Poll::Ready(());
        }
        let mut over = server.poll_socket_ready(cx).is_ready();
        // A client that has left is the relay's affair; it is asked once, as there.
        if !self.client_is_early && client.poll_socket_ready(cx).is_ready() {
            self.client_is_early = true;
            over |= client.is_closed_by_peer();
        }
        if !over {
            return Poll::Pending;
        }
        self.is_answered = true;
        self.writes.begin();
        Poll::Ready(())
    }

    /// What became of it: whether others could read it now.
    pub fn end(mut self, can_be_read: bool) {
        self.can_be_read = can_be_read;
    }
}

impl Drop for Writing {
    fn drop(&mut self) {
        if self.is_answered {
            self.writes.end(self.can_be_read.then(|| self.worker.now_ms()));
        }
    }
}
