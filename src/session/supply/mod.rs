//! A link to a backend: from the pool, or new, or after a wait.
//!
//! The hostgroups that are asked for are tried in order, and in each the backends that are well. A link is brought to the state that
//! is asked for before it is handed out. It refuses to know why a link is wanted, and to send anything of a client's over it.

use crate::backend::connect::ConnectOptions;
use crate::backend::health::Cause;
use crate::backend::pool::Key;
use crate::backend::server::Backend;
use crate::backend::server::{BackendId, Lease};
use crate::backend::{Hostgroup, connect};
use crate::protocol::capabilities::Capabilities;
use crate::protocol::status::Status;
use crate::session::error::StatementError;
use crate::session::link::conversation::TalkError;
use crate::session::link::relay::{BackendFault, Relay};
use crate::session::link::{Fate, Link};
use crate::session::parts::Session;
use crate::session::state::base::Born;
use crate::session::state::transition::way;
use crate::session::state::{Refusal, State, Values};
use crate::session::worker::snapshot::Snapshot;
use crate::session::worker::strike::end_abandoned;
use std::cell::Cell;
use std::future::poll_fn;
use std::rc::Rc;
use std::sync::Arc;
use std::task::Poll;
use std::time::Duration;
use tokio::time::Instant;

/// How often a session that waits for room looks whether another worker has left some.
const LOOK_AGAIN: Duration = Duration::from_millis(20);

/// What is added to the rank of an idle link that must be reset first: that costs as much as any way between two states.
const RESET_FIRST: u32 = 5;

/// Backends that a statement has tried in vain, and what the last of them said.
#[derive(Default)]
pub struct Tried {
    /// Their numbers.
    pub backends: Vec<BackendId>,
    /// What stood in the way of the last.
    pub why: String,
    /// An error of a server about the session's own state or sign-in, better than "no backend" if nothing else helps.
    pub refusal: Option<StatementError>,
}

/// Why no link could be had from one backend.
enum NoLink {
    /// Try another.
    Other(String),
    /// The server refuses the session's state or its account; another may take it.
    Refused(StatementError),
    /// Waited too long for room.
    Timeout(Duration),
}

impl Session {
    fn key(&self, backend: &Backend) -> Key {
        Key {
            backend: backend.id,
            account: self.account_number,
            collation: self.collation,
            shape: self.capabilities & Capabilities::SHAPE,
        }
    }

    /// A link that is there, idle, alive and in the session's state already: the way of nearly every statement.
    #[inline]
    pub(super) fn ready_link(&self, tiers: &[u32], snapshot: &Snapshot) -> Option<Box<Link>> {
        let hostgroup = snapshot.topology.hostgroup(*tiers.first()?)?;
        let backend = hostgroup.pick(&[], &self.worker.turn)?;
        let key = self.key(backend);
        let mut pool = self.worker.pool.borrow_mut();
        let is_ready = |link: &Link| Rc::ptr_eq(&link.state, &self.state) && link.is_clean_for(self.serial);
        let link = pool.take(&key, |link| (is_ready(link) && !link.is_disturbed()).then_some(0))?;
        drop(pool);
        Some(self.begin(link, hostgroup))
    }

    /// An idle link to one of these hostgroups, whatever state it is in.
    pub(super) fn any_idle(&self, snapshot: &Snapshot, tiers: &[u32]) -> Option<Box<Link>> {
        tiers.iter().find_map(|tier| {
            let hostgroup = snapshot.topology.hostgroup(*tier)?;
            let backend = hostgroup.pick(&[], &self.worker.turn)?;
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
        for tier in tiers {
            let Some(hostgroup) = snapshot.topology.hostgroup(*tier) else { continue };
            while let Some(backend) = hostgroup.pick(&tried.backends, &self.worker.turn).cloned() {
                if let Some(Refusal { code, sqlstate, message, .. }) = state.refused_by(backend.id, self.worker.ticks())
                {
                    tried.backends.push(backend.id);
                    tried.why = message.clone();
                    tried.refusal = Some(StatementError::State { code, sqlstate, message });
                    continue;
                }
                match self.obtain_from(state, &backend, hostgroup, snapshot).await {
                    Ok(link) => return Ok(self.begin(link, hostgroup)),
                    Err(no_link) => {
                        tried.backends.push(backend.id);
                        match no_link {
                            NoLink::Other(why) => tried.why = why,
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
        loop {
            if let Some(mut link) = self.take_idle(state, &key) {
                link.hostgroup = hostgroup.id;
                match self.make_fit(&mut link, state).await {
                    Ok(()) => return Ok(link),
                    Err(error) => {
                        self.not_brought(state, &link, error)?;
                        continue;
                    }
                }
            }
            match backend.lease() {
                Some(lease) if hostgroup.may_open() => return self.open_link(state, lease, hostgroup, snapshot).await,
                // In the next second, or once somebody gives one back.
                Some(_) => {}
                None if self.worker.pool.borrow_mut().evict(backend.id) => continue,
                None => {}
            }
            if self.wait_for_room(backend, deadline).await.is_err() {
                self.worker.stats.counters.pool_timeouts.inc();
                return Err(NoLink::Timeout(snapshot.settings.pool_wait));
            }
        }
    }

    /// Brings an idle link to a state, by a new life where another session may have left something on it.
    async fn make_fit(&self, link: &mut Link, state: &Rc<State>) -> Result<(), TalkError> {
        if !link.is_clean_for(self.serial) {
            self.worker.reset(link).await?;
        }
        self.worker.bring(link, state).await
    }

    /// The idle link that needs the least to be brought to a state. Dead ones are dropped on the way.
    fn take_idle(&self, state: &Rc<State>, key: &Key) -> Option<Box<Link>> {
        loop {
            let link = self.worker.pool.borrow_mut().take(key, |link| {
                let first = if link.is_clean_for(self.serial) { 0 } else { RESET_FIRST };
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

    /// Connects, signs in, and brings the new connection to this state.
    async fn open_link(
        &self,
        state: &Rc<State>,
        lease: Lease,
        hostgroup: &Hostgroup,
        snapshot: &Snapshot,
    ) -> Result<Box<Link>, NoLink> {
        let backend = Arc::clone(lease.backend());
        let Some(credentials) = self.account.credentials() else {
            return Err(NoLink::Other(format!(
                "the router has no password for account '{}' at the backends: set backend_password",
                self.account.name()
            )));
        };
        let options = ConnectOptions {
            capabilities: (Capabilities::COMMON - Capabilities::SHAPE) | (self.capabilities & Capabilities::SHAPE),
            collation: self.collation,
            schema: None,
            timeout: snapshot.settings.connect_timeout,
            ..ConnectOptions::default()
        };
        let connected = match connect::connect(&backend.target(), &credentials, &options).await {
            Ok(connected) => connected,
            Err(error) => {
                if error.says_unwell() {
                    backend.failed(Cause::Connection(error.to_string()));
                }
                tracing::warn!(backend = &*backend.name, user = self.account.name(), error = %error, "no connection to a backend");
                return Err(NoLink::Other(error.to_string()));
            }
        };
        backend.learn(&connected.server);
        self.worker.stats.counters.connects.inc();
        backend.record.connected();
        let mut link = Box::new(Link {
            stream: connected.stream,
            relay: Relay::default(),
            key: self.key(&backend),
            lease,
            hostgroup: hostgroup.id,
            writer: hostgroup.writer,
            serial: self.worker.next_serial(),
            thread_id: connected.server.thread_id.into(),
            base: Rc::default(),
            state: self.worker.states.intern(Values::default()),
            prepared: hashbrown::HashMap::default(),
            uses: 0,
            owner: 0,
            diagnostics: 0,
            is_doubtful: false,
            knows: (0, false),
            deprecate_eof: connected.capabilities.contains(Capabilities::DEPRECATE_EOF),
            born: self.worker.ticks(),
            status: Status::empty(),
            fate: Cell::default(),
            busy: false,
        });
        let made_ready = async {
            self.worker.life(snapshot, &link, None).begin(&mut link).await?;
            self.worker.learn_base(&link, Born::BySignIn);
            self.worker.bring(&mut link, state).await
        };
        match made_ready.await {
            Ok(()) => Ok(link),
            Err(TalkError::Refused { code, sqlstate, message }) => {
                Err(self.refused(state, &link, code, sqlstate, message))
            }
            Err(TalkError::Broken(why)) => {
                backend.failed(Cause::Connection(why.to_string()));
                Err(NoLink::Other(why.to_string()))
            }
        }
    }

    /// Waits until a link to `backend` may have come free, here or at another worker. `Err` once the deadline has passed.
    async fn wait_for_room(&self, backend: &Arc<Backend>, deadline: Instant) -> Result<(), ()> {
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

    /// Puts a link back for others.
    pub(super) fn release(&self, mut link: Box<Link>) {
        if link.fate.get() != Fate::Shared {
            return self.discard(link);
        }
        self.worker.stats.counters.pool_puts.inc();
        link.set_busy(false);
        link.owner = self.serial;
        let (key, waiting) = (link.key, link.backend().waiting());
        self.worker.pool.borrow_mut().put(key, waiting, link, self.worker.ticks());
    }

    /// Closes a link that is of no more use.
    pub(super) fn discard(&self, link: Box<Link>) {
        if link.fate.get() == Fate::Killed {
            return end_abandoned(&self.worker, link, self.account.credentials());
        }
        let backend = link.backend().id;
        drop(link);
        self.worker.pool.borrow_mut().wake(backend);
    }
}

fn no_backend(tiers: &[u32], tried: &Tried, snapshot: &Snapshot) -> StatementError {
    let mut hostgroups = tiers.iter().filter_map(|id| snapshot.topology.hostgroup(*id));
    let why = if !tried.why.is_empty() {
        tried.why.clone()
    } else if let Some((backend, why)) = hostgroups.find_map(|h| h.left_out().find(|(b, _)| b.is_usable())) {
        format!("{}: {why}", backend.name)
    } else {
        "none of them is up".to_owned()
    };
    StatementError::NoBackend { tiers: name_hostgroups(tiers, snapshot), why, note: String::new() }
}

/// Hostgroups by number and name, for people: `20 (aurora), 30 (sdc_replica)`.
pub(super) fn name_hostgroups(hostgroups: &[u32], snapshot: &Snapshot) -> String {
    let name = |id: &u32| match snapshot.topology.hostgroup(*id) {
        Some(hostgroup) if !hostgroup.name.is_empty() => format!("{id} ({})", hostgroup.name),
        _ => id.to_string(),
    };
    hostgroups.iter().map(name).collect::<Vec<_>>().join(", ")
}

/// Counts a session among those that wait at a backend, for as long as it lives.
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
