//! The lives of a worker's links: begun anew, brought to a session's state, and what they begin with.
//!
//! [`crate::session::link::life`] talks to the server; what a hostgroup's connections began with lately is remembered here, so that a
//! sign-in need not ask. It refuses to guess: what is too old is asked for again.

use super::snapshot::Snapshot;
use super::{FRESH, KnownBase, SignIn, Worker};
use crate::session::link::Link;
use crate::session::link::conversation::TalkError;
use crate::session::link::life::Life;
use crate::session::state::State;
use crate::session::state::base::{Base, Born};
use std::rc::Rc;
use std::sync::Arc;

impl Worker {
    /// What the life of a link needs.
    pub fn life<'a>(&'a self, snapshot: &'a Snapshot, link: &Link, reset_base: Option<&'a Rc<Base>>) -> Life<'a> {
        let hostgroup = snapshot.topology.hostgroup(link.hostgroup);
        let init_connect = hostgroup.and_then(|h| h.attributes.init_connect.as_deref());
        Life { talk: self.talk(), openings: &self.openings, states: &self.states, init_connect, reset_base }
    }

    /// What connections of a hostgroup begin with after such a sign-in, as the latest of them said, and how many seconds ago
    /// that was.
    pub fn base_of(&self, hostgroup: u32, by: SignIn, born: Born) -> Option<(Rc<Base>, u32)> {
        let bases = self.bases.borrow();
        let known = bases.get(&(hostgroup, by, born))?;
        let is_past = known.backend.globals() != known.globals;
        let age = if is_past { u32::MAX } else { self.ticks().wrapping_sub(known.at) };
        Some((Rc::clone(&known.base), age))
    }

    /// Somebody is about to ask anew what connections of these hostgroups begin with.
    pub fn touch_base(&self, hostgroups: &[u32], by: SignIn) {
        let mut bases = self.bases.borrow_mut();
        for hostgroup in hostgroups {
            if let Some(known) = bases.get_mut(&(*hostgroup, by, Born::BySignIn)) {
                known.at = self.ticks();
            }
        }
    }

    /// Takes down what a link that has just begun a life began with. Where resets begin otherwise than they did, globals have
    /// changed: the next sign-in begins with them too.
    pub fn learn_base(&self, link: &Link, born: Born) {
        let now = self.ticks();
        let by = SignIn::of(link.key.collation, link.key.shape);
        let key = |born| (link.hostgroup, by, born);
        let mut bases = self.bases.borrow_mut();
        let backend = Arc::clone(link.backend());
        let globals = backend.globals();
        let learnt = KnownBase { base: Rc::clone(&link.base), at: now, backend, globals };
        let before = bases.insert(key(born), learnt);
        if let (Born::ByReset, Some(known)) = (born, bases.get_mut(&key(Born::BySignIn))) {
            // Without an init_connect of the server's own, and with no mode of its own, a sign-in began with its globals.
            let is_plain = !by.ignore_space && !self.openings.has_init_connect(link.backend().id);
            let at_first = is_plain.then(|| Rc::clone(&known.base));
            if let Some(earlier) = before.map(|before| before.base).or(at_first) {
                known.base = self.states.base(known.base.moved(&earlier, &link.base));
            }
            (known.at, known.globals) = (now, globals);
        }
    }

    /// Gives a link a new life.
    ///
    /// # Errors
    /// See [`TalkError`]; the link must be dropped.
    pub async fn reset(&self, link: &mut Link) -> Result<(), TalkError> {
        let by = SignIn::of(link.key.collation, link.key.shape);
        let known = self.base_of(link.hostgroup, by, Born::ByReset);
        let known = known.filter(|(_, age)| *age <= FRESH).map(|(base, _)| base);
        self.reset_to(link, known.as_ref()).await
    }

    /// The same, and asks the server what it begins with.
    ///
    /// # Errors
    /// As for [`Worker::reset`].
    pub async fn reset_and_ask(&self, link: &mut Link) -> Result<(), TalkError> {
        self.reset_to(link, None).await
    }

    async fn reset_to(&self, link: &mut Link, known: Option<&Rc<Base>>) -> Result<(), TalkError> {
        self.stats.counters.behind.reset.inc();
        let snapshot = self.snapshot();
        self.life(&snapshot, link, known).reset(link).await?;
        if known.is_none() {
            self.learn_base(link, Born::ByReset);
        }
        Ok(())
    }

    /// Brings a link to a state, and counts what that took.
    ///
    /// # Errors
    /// See [`TalkError`]; the link must be dropped.
    pub async fn bring(&self, link: &mut Link, target: &Rc<State>) -> Result<(), TalkError> {
        if Rc::ptr_eq(&link.state, target) {
            return Ok(());
        }
        let snapshot = self.snapshot();
        let counters = &self.stats.counters;
        let brought = self.life(&snapshot, link, None).bring(link, target).await?;
        counters.syncs.inc();
        if brought.reset {
            counters.behind.reset.inc();
            self.learn_base(link, Born::ByReset);
        }
        if brought.schema {
            counters.behind.init_db.inc();
        }
        if brought.set {
            counters.behind.set_names.inc();
        }
        Ok(())
    }
}
