//! Whose writes a session's reads must see: its own, or those of all sessions of its user.
//!
//! A moment, and a window after it ([`super::settings::SessionSettings::read_your_writes`]). It refuses to ask servers how far they are:
//! that would be watermarks, and they would take the window's place here.

use super::Session;
use super::link::Link;
use super::place::Wrote;
use super::settings::Scope;
use super::settle::MAY_WRITE;
use super::snapshot::Snapshot;
use super::worker::Worker;
use crate::auth::Writes;
use crate::net::Stream;
use crate::sql::effects::Effects;
use std::future::poll_fn;
use std::rc::Rc;
use std::sync::Arc;
use std::task::Poll;

/// A write that the user's other sessions are to see once it is answered. Dropped before it is known what became of it, it
/// counts as done.
pub(super) struct Writing {
    worker: Rc<Worker>,
    writes: Arc<Writes>,
    is_answered: bool,
    can_be_read: bool,
}

impl Writing {
    /// To be awaited once it has been sent, and before anything of its answer goes out. A write that waits for a lock, or
    /// for a server that is stuck, has not been done yet, and takes no reads away from the readers.
    pub async fn wait_for_answer(&mut self, link: &Link, client: &Stream) {
        let mut client_is_early = false;
        poll_fn(|cx| {
            let mut over = link.stream.poll_socket_ready(cx).is_ready();
            // A client that has left is the relay's affair; it is asked once, as there.
            if !client_is_early && client.poll_socket_ready(cx).is_ready() {
                client_is_early = true;
                over |= client.is_closed_by_peer();
            }
            if over { Poll::Ready(()) } else { Poll::Pending }
        })
        .await;
        self.is_answered = true;
        self.writes.begin();
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

impl Session {
    /// Whose write of a moment ago the session's reads must see, where `writer` is who would take them.
    pub(super) fn wrote_lately(&self, snapshot: &Snapshot, writer: u32) -> Wrote {
        let window = snapshot.settings.read_your_writes;
        let within = |at| u128::from(self.worker.now_ms().saturating_sub(at)) < window.as_millis();
        if self.wrote_at.is_some_and(within) {
            return Wrote::Itself;
        }
        let reads_others = snapshot.settings.read_your_writes_scope == Scope::User;
        if reads_others && self.account.writes().are_recent(|| self.worker.now_ms(), window) {
            let writer = snapshot.rules.hostgroups().get(writer);
            return Wrote::User { writer_is_whole: writer.is_none_or(|hostgroup| hostgroup.horizon.is_none()) };
        }
        Wrote::Nobody
    }

    /// What the user's other sessions are to know of a statement that is about to be sent: that it writes, or may end a
    /// transaction that wrote. Nothing where sessions read their own writes alone.
    #[inline]
    pub(super) fn writing(&self, snapshot: &Snapshot, effects: Effects, link: &Link) -> Option<Writing> {
        if snapshot.settings.read_your_writes_scope == Scope::Session {
            return None;
        }
        let writes = effects.intersects(MAY_WRITE) || self.transaction_wrote && !Effects::READER_SAFE.contains(effects);
        (writes && link.writer).then(|| Writing {
            worker: Rc::clone(&self.worker),
            writes: Arc::clone(self.account.writes()),
            is_answered: false,
            can_be_read: true,
        })
    }
}
