//! Whose writes a session's reads must see: its own, or those of all sessions of its user.
//!
//! A moment, and a window after it ([`crate::session::worker::settings::SessionSettings::read_your_writes`]). It refuses to ask
//! servers how far they are: that would be watermarks, and they would take the window's place here.

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

impl Session {
    /// Whose write of a moment ago the session's reads must see, where `writer` is who would take them.
    pub(in crate::session) fn wrote_lately(&self, snapshot: &Snapshot, writer: u32) -> Wrote {
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
