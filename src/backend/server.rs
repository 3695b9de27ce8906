//! One server: where it is, how it fares, and how many connections to it are open.
//!
//! Shared by every worker and the control thread; all of it that changes is atomic, because the statement path reads it.

use super::catalogue::Catalogue;
use super::connect::{ServerInfo, Target};
use super::discovery::{ReadOnly, Refusals};
use super::health::{Cause, Health, State};
use super::heartbeat::{Beats, Watermarks};
use super::lag::Lag;
use super::record::Record;
use arc_swap::{ArcSwap, ArcSwapOption};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU8, AtomicU32, AtomicU64, Ordering::Relaxed};

/// Which of the two engines a server is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[repr(u8)]
pub enum Engine {
    /// Nobody has signed in there yet.
    Unknown = 0,
    /// MariaDB.
    MariaDb = 1,
    /// MySQL, Aurora, Percona Server.
    MySql = 2,
}

/// What a server's greeting tells a client beside the protocol's own.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Greeted {
    /// Its version, as sent.
    pub version: String,
    /// The low byte of its default collation.
    pub collation: u8,
}

/// A server's number, unique for the life of the process (a backend that a reload keeps keeps it).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct BackendId(pub u32);

/// One MySQL or MariaDB server.
#[derive(Debug)]
pub struct Backend {
    /// Its number.
    pub id: BackendId,
    /// `host:port` or the socket's path, for people.
    pub name: Box<str>,
    /// How it fares.
    pub health: Health,
    /// How far behind its master it is, where its configuration asks.
    pub lag: Lag,
    /// Its heartbeats, where it is a writer.
    pub beats: Beats,
    /// Up to where it has other writers' writes.
    pub watermarks: Watermarks,
    /// Whether it takes writes, where its configuration asks.
    pub read_only: ReadOnly,
    /// Whose writes it refuses, whatever it says of itself.
    pub refusals: Refusals,
    /// What triggers, views and routines it has.
    pub catalogue: Catalogue,
    /// Where and how to connect. A reload may change the how.
    target: ArcSwap<Target>,
    /// The most connections that all workers together may have open.
    max_connections: AtomicU32,
    engine: AtomicU8,
    /// Its greeting, as far as it is passed on to clients.
    greeted: ArcSwapOption<Greeted>,
    /// How often somebody has set its globals through the router.
    globals: AtomicU32,
    open: AtomicU32,
    busy: AtomicU32,
    waiting: AtomicU32,
    /// Statements (of any worker) that wait until it serves again.
    wanted: AtomicU32,
    /// Wakes its check before its time.
    looked_for: tokio::sync::Notify,
    /// A check has not been answered for as long as a server may be silent.
    silent: AtomicBool,
    statements: AtomicU64,
    /// What was found of it, for those who look.
    pub record: Record,
}

impl Backend {
    /// A backend that nobody has spoken to yet.
    pub fn new(id: BackendId, target: Target, max_connections: u32, health: Health) -> Self {
        Self {
            id,
            name: target.address.to_string().into(),
            target: ArcSwap::from_pointee(target),
            max_connections: AtomicU32::new(max_connections),
            health,
            lag: Lag::default(),
            beats: Beats::default(),
            watermarks: Watermarks::default(),
            read_only: ReadOnly::default(),
            refusals: Refusals::default(),
            catalogue: Catalogue::default(),
            engine: AtomicU8::new(Engine::Unknown as u8),
            greeted: ArcSwapOption::empty(),
            globals: AtomicU32::new(0),
            open: AtomicU32::new(0),
            busy: AtomicU32::new(0),
            waiting: AtomicU32::new(0),
            wanted: AtomicU32::new(0),
            looked_for: tokio::sync::Notify::new(),
            silent: AtomicBool::new(false),
            statements: AtomicU64::new(0),
            record: Record::default(),
        }
    }

    /// Where and how to connect.
    pub fn target(&self) -> Arc<Target> {
        self.target.load_full()
    }

    /// The most connections that all workers together may have open.
    pub fn max_connections(&self) -> u32 {
        self.max_connections.load(Relaxed)
    }

    /// A new configuration names the same server: what it changed holds for connections from now on.
    pub fn reconfigure(&self, target: Target, max_connections: u32) {
        self.target.store(Arc::new(target));
        self.max_connections.store(max_connections, Relaxed);
    }

    /// The engine, as learnt from its greeting.
    pub fn engine(&self) -> Engine {
        match self.engine.load(Relaxed) {
            1 => Engine::MariaDb,
            2 => Engine::MySql,
            _ => Engine::Unknown,
        }
    }

    /// What its latest greeting said to clients; none until it has been met.
    pub fn greeted(&self) -> Option<Arc<Greeted>> {
        self.greeted.load_full()
    }

    /// Notes what its greeting said.
    pub fn learn(&self, server: &ServerInfo) {
        self.engine.store(if server.is_mariadb { Engine::MariaDb } else { Engine::MySql } as u8, Relaxed);
        let known = self.greeted.load();
        if known.as_ref().is_none_or(|g| g.version != server.version || g.collation != server.collation) {
            let (version, collation) = (server.version.clone(), server.collation);
            self.greeted.store(Some(Arc::new(Greeted { version, collation })));
        }
    }

    /// Somebody has set its globals: what connections begin with may be otherwise from now on.
    pub fn globals_changed(&self) {
        self.globals.fetch_add(1, Relaxed);
    }

    /// How often that has happened.
    pub fn globals(&self) -> u32 {
        self.globals.load(Relaxed)
    }

    /// Room for one more connection, if the limit leaves any. The room is given back when the lease is dropped.
    pub fn lease(self: &Arc<Self>) -> Option<Lease> {
        let more = |open| (open < self.max_connections()).then_some(open + 1);
        let before = self.open.fetch_update(Relaxed, Relaxed, more).ok()?;
        self.record.opened(before + 1);
        Some(Lease { backend: Arc::clone(self) })
    }

    /// True if a connection more could be opened.
    pub fn has_room(&self) -> bool {
        self.open() < self.max_connections()
    }

    /// Open connections, idle ones included.
    pub fn open(&self) -> u32 {
        self.open.load(Relaxed)
    }

    /// Connections that a session is using right now, as far as a choice among backends needs to know: those of a hostgroup
    /// with one member are not counted.
    pub fn busy(&self) -> u32 {
        self.busy.load(Relaxed)
    }

    /// Statements sent to it since the start.
    pub fn statements(&self) -> u64 {
        self.statements.load(Relaxed)
    }

    /// A session took a connection to it.
    pub fn begin(&self) {
        self.busy.fetch_add(1, Relaxed);
    }

    /// A session gave a connection back.
    pub fn end(&self) {
        self.busy.fetch_sub(1, Relaxed);
    }

    /// Counts a statement.
    pub fn count_statement(&self) {
        self.statements.fetch_add(1, Relaxed);
    }

    /// Sessions (of any worker) that wait for room.
    pub fn waiting(&self) -> u32 {
        self.waiting.load(Relaxed)
    }

    /// A session waits for room, for as long as it has this.
    pub fn wait(self: &Arc<Self>) -> Waiting {
        self.waiting.fetch_add(1, Relaxed);
        Waiting { backend: Arc::clone(self) }
    }

    /// Statements wait until it serves again, for as long as somebody has this. Its next check is made at once.
    pub fn want(self: &Arc<Self>) -> Wanted {
        if self.wanted.fetch_add(1, Relaxed) == 0 {
            self.look_for();
        }
        Wanted { backend: Arc::clone(self) }
    }

    /// True while statements wait until it serves again.
    pub fn is_wanted(&self) -> bool {
        self.wanted.load(Relaxed) > 0
    }

    /// Asks for a check now. If one is under way, another follows it at once.
    pub fn look_for(&self) {
        self.looked_for.notify_one();
    }

    /// Ready once [`Backend::look_for`] has been called since the last time.
    ///
    /// Cancel safe.
    pub async fn is_looked_for(&self) {
        self.looked_for.notified().await;
    }

    /// A check has not been answered for as long as a server may be silent, or one has been answered.
    pub fn fall_silent(&self, is_silent: bool) {
        self.silent.store(is_silent, Relaxed);
    }

    /// True while it is silent: reads go elsewhere, if they can.
    #[inline]
    pub fn is_silent(&self) -> bool {
        self.silent.load(Relaxed)
    }

    /// True if new statements may go there.
    pub fn is_usable(&self) -> bool {
        matches!(self.health.state(), State::Up | State::Suspect)
    }

    /// The traffic saw it fail: a refused or broken connection.
    pub fn failed(&self, cause: Cause) {
        self.record.failed();
        self.health.passive_failure(&self.name, cause);
    }
}

/// Counts one that waits for room at a backend.
#[derive(Debug)]
pub struct Waiting {
    backend: Arc<Backend>,
}

impl Drop for Waiting {
    fn drop(&mut self) {
        self.backend.waiting.fetch_sub(1, Relaxed);
    }
}

/// Counts one that waits until a backend serves again.
#[derive(Debug)]
pub struct Wanted {
    backend: Arc<Backend>,
}

impl Drop for Wanted {
    fn drop(&mut self) {
        self.backend.wanted.fetch_sub(1, Relaxed);
    }
}

/// Room for one connection to a backend.
#[derive(Debug)]
pub struct Lease {
    backend: Arc<Backend>,
}

impl Lease {
    /// The backend that the room is at.
    pub fn backend(&self) -> &Arc<Backend> {
        &self.backend
    }
}

impl Drop for Lease {
    fn drop(&mut self) {
        self.backend.open.fetch_sub(1, Relaxed);
    }
}
