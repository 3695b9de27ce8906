//! A link to a backend: from the pool, or new, or after a wait; and back to the pool, or closed.
//!
//! | file | what it does |
//! |---|---|
//! | `mod.rs` | the hostgroups that are asked for, in order, and in each the backends that are well |
//! | [`open`] | a new connection, brought to the state that is asked for |
//! | [`tried`] | what a statement has tried in vain |
//! | [`wait`] | the wait for room at a backend |
//! | [`outage`] | the wait for a backend, while none serves |
//! | [`give`] | links that are given back: at once, or cleaned first, or closed |
//!
//! It is told whose link is wanted ([`Supply`]) and in which state, and knows no session. It refuses to know why a link is
//! wanted, and to send anything of a client's over it.

mod give;
mod open;
mod outage;
mod tried;
mod wait;

pub(super) use give::{Cleaning, TAKE_INSERT_ID};
pub use tried::Tried;
use wait::InLine;

use crate::auth::Account;
use crate::backend::Hostgroup;
use crate::backend::health::Cause;
use crate::backend::hostgroup::Needs;
use crate::backend::pool::Key;
use crate::backend::server::Backend;
use crate::protocol::capabilities::Capabilities;
use crate::session::error::StatementError;
use crate::session::link::Link;
use crate::session::link::conversation::TalkError;
use crate::session::link::relay::BackendFault;
use crate::session::state::transition::way;
use crate::session::state::{Refusal, State};
use crate::session::worker::Worker;
use crate::session::worker::snapshot::Snapshot;
use std::rc::Rc;
use std::sync::Arc;
use std::time::Duration;
use tokio::time::Instant;

/// What is added to the rank of an idle link that must be reset first: that costs as much as any way between two states.
const RESET_FIRST: u32 = 5;

/// Why no link could be had from one backend.
enum NoLink {
    /// Try another.
    Other(String),
    /// Try another; this one will not do until somebody changes its configuration or an account.
    Lasting(String),
    /// The server refuses the session's state or its account; another may take it.
    Refused(StatementError),
    /// Waited too long for room.
    Timeout(Duration),
}

/// Whose links are wanted: what connections are told apart by, and who signs in to new ones.
#[derive(Clone, Copy)]
pub(super) struct Supply<'a> {
    /// Where the pool is, and all else that is shared.
    pub worker: &'a Rc<Worker>,
    /// Who signs in.
    pub account: &'a Account,
    /// The account's number in pool keys.
    pub account_number: u32,
    /// The collation of the sign-in.
    pub collation: u16,
    /// What was agreed with the client that shapes answers.
    pub shape: Capabilities,
    /// The number of whoever uses the link.
    pub user: u64,
    /// What a server must have.
    pub needs: &'a Needs<'a>,
}

impl Supply<'_> {
    fn key(&self, backend: &Backend) -> Key {
        Key { backend: backend.id, account: self.account_number, collation: self.collation, shape: self.shape }
    }

    /// A link that is there, idle, alive and in the session's state already: the way of nearly every statement.
    #[inline]
    pub(super) fn ready(&self, state: &Rc<State>, tiers: &[u32], snapshot: &Snapshot) -> Option<Box<Link>> {
        let hostgroup = snapshot.topology.hostgroup(*tiers.first()?)?;
        let backend = hostgroup.pick(&[], self.needs, &self.worker.turn)?;
        let key = self.key(backend);
        let mut pool = self.worker.pool.borrow_mut();
        let is_ready = |link: &Link| Rc::ptr_eq(&link.state, state) && link.is_clean_for(self.user);
        let link = pool.take(&key, |link| (is_ready(link) && !link.is_disturbed()).then_some(0))?;
        drop(pool);
        Some(self.begin(link, hostgroup))
    }

    /// An idle link to one of these hostgroups, whatever state it is in.
    pub(super) fn any_idle(&self, snapshot: &Snapshot, tiers: &[u32]) -> Option<Box<Link>> {
        tiers.iter().find_map(|tier| {
            let hostgroup = snapshot.topology.hostgroup(*tier)?;
            let backend = hostgroup.pick(&[], self.needs, &self.worker.turn)?;
            let key = self.key(backend);
            let link = self.worker.pool.borrow_mut().take(&key, |link| (!link.is_disturbed()).then_some(0))?;
            Some(self.begin(link, hostgroup))
        })
    }

    fn begin(&self, mut link: Box<Link>, hostgroup: &Hostgroup) -> Box<Link> {
        self.worker.stats.counters.pool_gets.inc();
        link.hostgroup = hostgroup.id;
        link.writer = hostgroup.writer;
        // Who is busy matters only where there is a choice.
        link.set_busy(hostgroup.members.len() > 1);
        link
    }

    /// A link to the first backend of `tiers` that can be had, in this state.
    ///
    /// # Errors
    /// When no tier has one. `tried` then holds all that was tried; a caller that retries hands it in again.
    pub(super) async fn obtain(
        &self,
        state: &Rc<State>,
        tiers: &[u32],
        snapshot: &Snapshot,
        tried: &mut Tried,
    ) -> Result<Box<Link>, StatementError> {
        let mut timeout = None;
        // Readers that are silent come last.
        let rounds = [*self.needs, self.needs.or_silent()];
        for (needs, tier) in rounds.iter().flat_map(|needs| tiers.iter().map(move |tier| (needs, tier))) {
            let Some(hostgroup) = snapshot.topology.hostgroup(*tier) else { continue };
            while let Some(backend) = hostgroup.pick(&tried.backends, needs, &self.worker.turn).cloned() {
                if let Some(Refusal { code, sqlstate, message, .. }) = state.refused_by(backend.id, self.worker.ticks())
                {
                    tried.backends.push(backend.id);
                    tried.why = message.clone();
                    tried.refusal = Some(StatementError::State { code, sqlstate, message });
                    continue;
                }
                let may_give_up = !hostgroup.writer && !backend.is_silent();
                let obtained = tokio::select! {
                    biased;
                    obtained = self.obtain_from(state, &backend, hostgroup, snapshot) => obtained,
                    () = falls_silent(&backend), if may_give_up => {
                        // It may be tried again, after all others.
                        tried.why = format!("{} is silent", backend.name);
                        continue;
                    }
                };
                match obtained {
                    Ok(link) => return Ok(self.begin(link, hostgroup)),
                    Err(no_link) => {
                        tried.backends.push(backend.id);
                        match no_link {
                            NoLink::Other(why) => tried.why = why,
                            NoLink::Lasting(why) => (tried.why, tried.is_lasting) = (why, true),
                            NoLink::Refused(error) => {
                                tried.why = error.to_string();
                                tried.refusal = Some(error);
                            }
                            NoLink::Timeout(waited) => {
                                timeout = Some(StatementError::PoolTimeout { hostgroup: *tier, waited });
                            }
                        }
                    }
                }
            }
        }
        Err(tried.refusal.take().or(timeout).unwrap_or_else(|| no_backend(tiers, tried, snapshot)))
    }

    async fn obtain_from(
        &self,
        state: &Rc<State>,
        backend: &Arc<Backend>,
        hostgroup: &Hostgroup,
        snapshot: &Snapshot,
    ) -> Result<Box<Link>, NoLink> {
        let key = self.key(backend);
        let deadline = Instant::now() + snapshot.settings.pool_wait;
        let mut line: Option<InLine<'_>> = None;
        loop {
            if let Some(mut link) = self.take_idle(state, &key) {
                line = None;
                link.hostgroup = hostgroup.id;
                match self.make_fit(&mut link, state).await {
                    Ok(()) => return Ok(link),
                    Err(error) => {
                        self.not_brought(state, &link, error)?;
                        continue;
                    }
                }
            }
            let may_open = self.worker.pool.borrow().may_open(backend);
            match backend.lease().filter(|_| may_open) {
                Some(lease) if hostgroup.may_open() => {
                    drop(line);
                    return self.open(state, lease, hostgroup, snapshot).await;
                }
                // In the next second, or once somebody gives one back.
                Some(_) => {}
                None if self.worker.pool.borrow_mut().evict(backend.id) => continue,
                None => {}
            }
            let line = line.get_or_insert_with(|| InLine::new(self.worker, backend));
            if line.wait(deadline).await.is_err() {
                self.worker.stats.counters.pool_timeouts.inc();
                return Err(NoLink::Timeout(snapshot.settings.pool_wait));
            }
        }
    }

    /// Brings an idle link to a state, by a new life where another session may have left something on it.
    async fn make_fit(&self, link: &mut Link, state: &Rc<State>) -> Result<(), TalkError> {
        if !link.is_clean_for(self.user) {
            self.worker.reset(link).await?;
        }
        self.worker.bring(link, state).await
    }

    /// The idle link that needs the least to be brought to a state. Dead ones are dropped on the way.
    fn take_idle(&self, state: &Rc<State>, key: &Key) -> Option<Box<Link>> {
        loop {
            let link = self.worker.pool.borrow_mut().take(key, |link| {
                let first = if link.is_clean_for(self.user) { 0 } else { RESET_FIRST };
                if Rc::ptr_eq(&link.state, state) {
                    return Some(first);
                }
                Some(first + 1 + way(&link.state, &link.base, state, link.backend().engine()).cost()?)
            })?;
            if !link.is_disturbed() {
                return Some(link);
            }
        }
    }

    /// What it means that a link could not be brought to a state: an error of the session's own (unknown schema, refused
    /// setting), a server that does not answer, or just a dead link (`Ok`: try the next).
    fn not_brought(&self, state: &State, link: &Link, error: TalkError) -> Result<(), NoLink> {
        match error {
            TalkError::Refused { code, sqlstate, message } => Err(self.refused(state, link, code, sqlstate, message)),
            TalkError::Broken(why @ BackendFault::Silent(_)) => {
                link.backend().failed(Cause::Connection(why.to_string()));
                Err(NoLink::Other(why.to_string()))
            }
            TalkError::Broken(_) => Ok(()),
        }
    }

    /// A server's own words about a state that it does not take, remembered for a while.
    fn refused(&self, state: &State, link: &Link, code: u16, sqlstate: [u8; 5], message: String) -> NoLink {
        let (backend, at) = (link.backend().id, self.worker.ticks());
        state.refuse(Refusal { backend, at, code, sqlstate, message: message.clone() });
        NoLink::Refused(StatementError::State { code, sqlstate, message })
    }
}

/// Ready once a backend is silent.
async fn falls_silent(backend: &Backend) {
    while !backend.is_silent() {
        tokio::time::sleep(LOOK_FOR_SILENCE).await;
    }
}

/// How often somebody who waits for a link looks whether its backend has fallen silent.
const LOOK_FOR_SILENCE: Duration = Duration::from_millis(50);

fn no_backend(tiers: &[u32], tried: &Tried, snapshot: &Snapshot) -> StatementError {
    let mut hostgroups = tiers.iter().filter_map(|id| snapshot.topology.hostgroup(*id));
    let why = if !tried.why.is_empty() {
        tried.why.clone()
    } else if let Some((backend, why)) = hostgroups.find_map(|h| h.left_out().find(|(b, _)| b.is_usable())) {
        format!("{}: {why}", backend.name)
    } else {
        "none of them is up".to_owned()
    };
    let may_pass = !tried.is_lasting && snapshot.topology.members_of(tiers).next().is_some();
    StatementError::NoBackend { tiers: name_hostgroups(tiers, snapshot), why, note: String::new(), may_pass }
}

/// Hostgroups by number and name, for people: `20 (aurora), 30 (sdc_replica)`.
pub(super) fn name_hostgroups(hostgroups: &[u32], snapshot: &Snapshot) -> String {
    let name = |id: &u32| match snapshot.topology.hostgroup(*id) {
        Some(hostgroup) if !hostgroup.name.is_empty() => format!("{id} ({})", hostgroup.name),
        _ => id.to_string(),
    };
    hostgroups.iter().map(name).collect::<Vec<_>>().join(", ")
}
