//! A link to a backend: from the pool, or new, or after a wait.

use super::Session;
use super::base::{ask_base, why_not};
use super::error::StatementError;
use super::link::{Fate, Link};
use super::relay::Relay;
use super::snapshot::Snapshot;
use super::state::{Portable, transition};
use super::sync::{TalkError, talk};
use super::worker::Worker;
use crate::backend::connect::{self, ConnectOptions};
use crate::backend::health::Cause;
use crate::backend::pool::Key;
use crate::backend::server::{Backend, BackendId, Lease};
use crate::backend::{Engine, Hostgroup};
use crate::protocol::capabilities::Capabilities;
use crate::protocol::command::Command;
use crate::protocol::status::Status;
use std::cell::Cell;
use std::future::poll_fn;
use std::rc::Rc;
use std::sync::Arc;
use std::task::Poll;
use std::time::Duration;
use tokio::time::Instant;

/// How often a session that waits for room looks whether another worker has left some.
const LOOK_AGAIN: Duration = Duration::from_millis(20);

/// Variables whose changes every server is told to report: those that sessions compute (`sql_mode`) or that frameworks set
/// in procedures. What a session sets by value is known from its text; what a server changes without reporting it is
/// still seen as "some state changed", and pins. Not `*`: MariaDB then reports `last_gtid` with every write.
const TRACKED: &str = "autocommit,character_set_client,character_set_connection,character_set_results,collation_connection,\
    time_zone,sql_mode,foreign_key_checks,unique_checks,sql_safe_updates,sql_select_limit,sql_big_selects,sql_auto_is_null,\
    group_concat_max_len,lock_wait_timeout,innodb_lock_wait_timeout,wait_timeout,interactive_timeout,net_read_timeout,\
    net_write_timeout,max_join_size,lc_time_names,default_storage_engine,div_precision_increment,optimizer_switch,\
    sort_buffer_size,join_buffer_size,tmp_table_size,max_heap_table_size,sql_log_bin,default_week_format";

/// What every backend connection is told first.
fn track_everything(engine: Engine) -> String {
    let own = match engine {
        Engine::MariaDb => "tx_isolation,tx_read_only,max_statement_time",
        _ => "transaction_isolation,transaction_read_only,max_execution_time",
    };
    format!("SET session_track_system_variables='{TRACKED},{own}',session_track_schema=1,session_track_state_change=1")
}

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
        let link =
            pool.take(&key, |link| (Rc::ptr_eq(&link.state, &self.state) && !link.is_disturbed()).then_some(0))?;
        drop(pool);
        Some(self.begin(link, hostgroup))
    }

    fn begin(&self, mut link: Box<Link>, hostgroup: &Hostgroup) -> Box<Link> {
        self.worker.stats.counters.pool_gets.inc();
        link.hostgroup = hostgroup.id;
        link.writer = hostgroup.writer;
        // Who is busy matters only where there is a choice.
        link.set_busy(hostgroup.members.len() > 1);
        link
    }

    /// A link to the first backend of `tiers` that can be had, in the session's state.
    ///
    /// # Errors
    /// When no tier has one. `tried` then holds all that was tried; a caller that retries hands it in again.
    pub(super) async fn obtain(
        &self,
        tiers: &[u32],
        snapshot: &Snapshot,
        tried: &mut Tried,
    ) -> Result<Box<Link>, StatementError> {
        let mut timeout = None;
        for tier in tiers {
            let Some(hostgroup) = snapshot.topology.hostgroup(*tier) else { continue };
            while let Some(backend) = hostgroup.pick(&tried.backends, &self.worker.turn).cloned() {
                if self.state.is_refused_by(backend.engine()) {
                    tried.backends.push(backend.id);
                    tried.why = format!("{} does not have this session's settings", backend.name);
                    continue;
                }
                if let Some(why) = self.misfit(&backend) {
                    tried.backends.push(backend.id);
                    tried.why = why;
                    continue;
                }
                match self.obtain_from(&backend, hostgroup, snapshot).await {
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

    /// Why a backend was found, not long ago, to read statements otherwise than this session means them.
    fn misfit(&self, backend: &Backend) -> Option<String> {
        let own = self.state.portable.base;
        let (base, _) = *self.worker.misfits.borrow().get(&backend.id)?;
        (base != own).then(|| format!("{}: {}", backend.name, why_not(own, base)))
    }

    async fn obtain_from(
        &self,
        backend: &Arc<Backend>,
        hostgroup: &Hostgroup,
        snapshot: &Snapshot,
    ) -> Result<Box<Link>, NoLink> {
        let key = self.key(backend);
        let deadline = Instant::now() + snapshot.settings.pool_wait;
        loop {
            if let Some(mut link) = self.take_idle(&key) {
                match self.sync_link(&mut link).await {
                    Ok(()) => return Ok(link),
                    Err(error) => {
                        self.sync_refused(&link, error)?;
                        continue;
                    }
                }
            }
            match backend.lease() {
                Some(lease) if hostgroup.may_open() => return self.open_link(lease, hostgroup, snapshot).await,
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

    /// The idle link that needs the least to be brought to the session's state. Dead ones are dropped on the way.
    fn take_idle(&self, key: &Key) -> Option<Box<Link>> {
        loop {
            let link = self.worker.pool.borrow_mut().take(key, |link| {
                if Rc::ptr_eq(&link.state, &self.state) {
                    return Some(0);
                }
                let way = transition(&link.state, &self.state, link.backend().engine())?;
                Some(1 + u32::from(way.schema.is_some()) + way.statements.len() as u32)
            })?;
            if !link.is_disturbed() {
                return Some(link);
            }
        }
    }

    /// What a failed sync means: an error of the statement's own (unknown schema, refused setting), or just a dead link
    /// (`Ok`: try the next).
    fn sync_refused(&self, link: &Link, error: TalkError) -> Result<(), NoLink> {
        match error {
            TalkError::Refused { .. } => Err(NoLink::Refused(self.talk_failed(link, error))),
            TalkError::Broken(_) => Ok(()),
        }
    }

    /// Connects, signs in, and brings the new connection to the session's state.
    async fn open_link(&self, lease: Lease, hostgroup: &Hostgroup, snapshot: &Snapshot) -> Result<Box<Link>, NoLink> {
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
        backend.learn_engine(connected.server.is_mariadb);
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
            state: self.worker.states.intern(Portable::default()),
            prepared: hashbrown::HashMap::default(),
            uses: 0,
            owner: 0,
            diagnostics: 0,
            deprecate_eof: connected.capabilities.contains(Capabilities::DEPRECATE_EOF),
            born: self.worker.ticks(),
            status: Status::empty(),
            fate: Cell::default(),
            busy: false,
        });
        let prepared = async {
            begin_life(&self.worker, &mut link, None).await?;
            if link.state.portable.base == self.state.portable.base {
                self.sync_link(&mut link).await?;
            }
            Ok(())
        };
        match prepared.await {
            Ok(()) if link.state.portable.base != self.state.portable.base => {
                let why = why_not(self.state.portable.base, link.state.portable.base);
                self.worker.misfits.borrow_mut().insert(backend.id, (link.state.portable.base, self.worker.ticks()));
                tracing::warn!(backend = &*backend.name, why, "a backend is left out");
                Err(NoLink::Other(format!("{}: {why}", backend.name)))
            }
            Ok(()) => Ok(link),
            Err(error @ TalkError::Refused { .. }) => Err(NoLink::Refused(self.talk_failed(&link, error))),
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
            return super::kill::end_abandoned(&self.worker, link, self.account.credentials());
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

/// What a link's connection begins with, beside what all do.
pub(super) fn init_connect<'a>(snapshot: &'a Snapshot, link: &Link) -> Option<&'a str> {
    snapshot.topology.hostgroup(link.hostgroup)?.attributes.init_connect.as_deref()
}

/// Says whose fault a refusal was: no statement of the client's.
fn in_init(error: TalkError, link: &Link) -> TalkError {
    match error {
        TalkError::Refused { code, sqlstate, message } => {
            let message = format!("init_connect of hostgroup {}: {message}", link.hostgroup);
            TalkError::Refused { code, sqlstate, message }
        }
        broken => broken,
    }
}

/// Gives a connection a new life: COM_RESET_CONNECTION ends its transaction, its temporary tables, its locks, its prepared
/// statements and its variables. The default schema stays, in both engines; it is what it was.
pub(super) async fn reset(worker: &Worker, link: &mut Link) -> Result<(), TalkError> {
    worker.stats.counters.behind.reset.inc();
    talk(&worker.buffers, link, Command::ResetConnection, b"").await?;
    link.prepared.clear();
    link.diagnostics = 0;
    let schema = link.state.portable.schema.clone();
    begin_life(worker, link, schema).await
}

/// A connection that is new, or as good as new: session tracking is turned on, and it is asked how it reads statements.
async fn begin_life(worker: &Worker, link: &mut Link, schema: Option<Box<str>>) -> Result<(), TalkError> {
    let first = track_everything(link.backend().engine());
    talk(&worker.buffers, link, Command::Query, first.as_bytes()).await?;
    let snapshot = worker.snapshot();
    if let Some(init) = init_connect(&snapshot, link) {
        talk(&worker.buffers, link, Command::Query, init.as_bytes()).await.map_err(|error| in_init(error, link))?;
    }
    let base = ask_base(worker, link).await?;
    link.state = worker.states.intern(Portable { schema, base, ..Portable::default() });
    Ok(())
}
