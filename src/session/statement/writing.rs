//! Whose writes a session's reads must see: its own, or those of all sessions of its user.
//!
//! Where the writer has heartbeats, a write counts until it is known to be where a read goes ([`super::follow`]). Otherwise it counts for
//! a window of time after it ([`crate::session::worker::settings::SessionSettings::read_your_writes`]), which is a guess.

use crate::backend::Hostgroup;
use crate::session::link::Link;
use crate::session::parts::Session;
use crate::session::parts::writing::Writing;
use crate::session::statement::place::Wrote;
use crate::session::statement::settle::MAY_WRITE;
use crate::session::worker::settings::Scope;
use crate::session::worker::snapshot::Snapshot;
use crate::sql::effects::Effects;
use std::rc::Rc;
use std::sync::Arc;
use std::time::Duration;

impl Session {
    /// Whose write of a moment ago the session's reads must see, where `writer` is who would take them.
    pub(in crate::session) fn wrote_lately(&self, snapshot: &Snapshot, writer: u32) -> Wrote {
        self.latest_write(snapshot, writer).1
    }

    /// True if watermarks say where the writes of this hostgroup are.
    #[inline]
    pub(in crate::session) fn by_watermark(&self, snapshot: &Snapshot, writer: u32) -> bool {
        snapshot.heartbeat.is_some() && snapshot.topology.hostgroup(writer).is_some_and(Hostgroup::has_heartbeats)
    }

    /// The moment of the latest write that the session's reads must see, if it went through this router, and whose it was.
    pub(super) fn latest_write(&self, snapshot: &Snapshot, writer: u32) -> (Option<u64>, Wrote) {
        let settings = &snapshot.settings;
        let reads_others = settings.read_your_writes_scope == Scope::User;
        let has_token = self.token.is_some() && self.by_watermark(snapshot, writer);
        let has_written = self.wrote_at.is_some() || has_token;
        if !has_written && !reads_others || settings.read_your_writes.is_zero() {
            return (None, Wrote::Nobody);
        }
        // As the statement began: the clock has been looked at for that, and the window is a little longer for it, never shorter.
        let now = || self.worker.ms_at(self.began);
        let window = settings.read_your_writes;
        let window = if self.by_watermark(snapshot, writer) { Duration::MAX } else { window };
        let within = |at: &u64| u128::from(now().saturating_sub(*at)) < window.as_millis();
        let own = self.wrote_at.filter(within);
        let others = if reads_others { self.account.writes().latest(now, window) } else { None };
        let by_user = || {
            let writer = snapshot.rules.hostgroups().get(writer);
            Wrote::User { writer_is_whole: writer.is_none_or(|hostgroup| hostgroup.horizon.is_none()) }
        };
        match (own, others) {
            (Some(own), others) => (others.max(Some(own)), Wrote::Itself),
            (None, others) if has_token => (others, Wrote::Itself),
            (None, Some(at)) => (Some(at), by_user()),
            (None, None) => (None, Wrote::Nobody),
        }
    }

    /// What the user's other sessions are to know of a statement that is about to be sent: that it writes, or may end a
    /// transaction that wrote. Nothing where sessions read their own writes alone.
    #[inline]
    pub(in crate::session) fn writing(&self, snapshot: &Snapshot, effects: Effects, link: &Link) -> Option<Writing> {
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
