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
use std::rc::Rc;
use std::sync::Arc;
use std::task::{Context, Poll};

/// A write that the user's other sessions are to see once it is answered. Dropped before it is known what became of it, it
/// counts as done.
pub(super) struct Writing {
    worker: Rc<Worker>,
    writes: Arc<Writes>,
    is_answered: bool,
    client_is_early: bool,
    can_be_read: bool,
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

impl Session {
    /// Whose write of a moment ago the session's reads must see, where `writer` is who would take them.
    pub(super) fn wrote_lately(&self, snapshot: &Snapshot, writer: u32) -> Wrote {
        let window = snapshot.settings.read_your_writes;
        // As the statement began: the clock has been looked at for that, and the window is a little longer for it, never shorter.
        let now = || self.worker.ms_at(self.began);
        let within = |at| u128::from(now().saturating_sub(at)) < window.as_millis();
        if self.wrote_at.is_some_and(within) {
            return Wrote::Itself;
        }
        let reads_others = snapshot.settings.read_your_writes_scope == Scope::User;
        if reads_others && self.account.writes().are_recent(now, window) {
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
            client_is_early: false,
            can_be_read: true,
        })
    }
}
