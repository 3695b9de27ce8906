//! A worker: one thread, and what its sessions share on it.
//!
//! | file | what it holds |
//! |---|---|
//! | [`snapshot`], [`settings`] | one version of the configuration, as sessions see it |
//! | [`registry`] | the sessions of a worker, seen from outside |
//! | [`memory`] | what large requests may take, all clients together |
//! | [`numbers`] | small numbers for accounts and names |
//! | [`echo`] | what servers answered to SETs, for the next that are the same |
//! | [`outage`] | statements that wait for a server |
//! | [`schemas`] | schemas that were found to exist a moment ago |
//! | [`kill`], [`killer`], [`strike`] | KILL by the router's own numbers; how servers are told; what the session's own worker does |
//! | [`lives`] | how links begin anew and are brought to a state |
//! | [`housekeeping`] | what is done once a second |
//! | [`drain`] | what a session may still do while the router drains |
//! | [`display`] | what only a worker can see, shown to those who ask |
//!
//! Nothing here is locked and nothing is shared with another thread but the published snapshot and the backends' own
//! atomics. Borrows never live across an await: each method takes what it needs and lets go. It refuses to know a session:
//! what sessions show of themselves stands on their cards.

pub mod display;
pub mod drain;
pub mod echo;
mod housekeeping;
pub mod kill;
mod killer;
mod lives;
pub mod memory;
mod moves;
pub mod numbers;
pub mod outage;
pub mod registry;
pub mod schemas;
pub mod settings;
pub mod snapshot;
pub mod strike;

use self::echo::Echoes;
use self::kill::KillBoard;
use self::memory::Memory;
use self::numbers::{AccountNumbers, NameNumbers};
use self::outage::Outage;
use self::schemas::Schemas;
use self::snapshot::Snapshot;
use crate::auth::{Account, Guesses, Offload, RsaKey};
use crate::backend::Backend;
use crate::backend::pool::Pool;
use crate::protocol::capabilities::Capabilities;
use crate::rules::{CacheLimits, PlanCache};
use crate::session::link::Link;
use crate::session::link::buffers::Buffers;
use crate::session::link::conversation::Talk;
use crate::session::link::life::Openings;
use crate::session::link::text::Text;
use crate::session::state::Interner;
use crate::session::state::base::{Base, Born};
use crate::telemetry::log::Budget;
use crate::telemetry::stats::{Recorder, WorkerStats};
use arc_swap::ArcSwap;
use std::cell::{Cell, RefCell};
use std::collections::HashMap;
use std::rc::{Rc, Weak};
use std::sync::Arc;
use std::time::Instant;

/// The published configuration, and how to publish another.
pub type Published = Arc<ArcSwap<Snapshot>>;

/// A published snapshot, as one worker counts its users.
#[derive(Clone)]
pub struct Current(Arc<Snapshot>);

impl std::ops::Deref for Current {
    type Target = Snapshot;

    fn deref(&self) -> &Snapshot {
        &self.0
    }
}

/// What all workers have in common.
#[derive(Clone, Debug)]
pub struct Shared {
    /// The key for passwords over plain TCP.
    pub rsa: Arc<RsaKey>,
    /// Where the slow arithmetic of sign-ins runs.
    pub offload: Offload,
    /// Who has given wrong passwords.
    pub guesses: Arc<Guesses>,
    /// What large requests have taken.
    pub memory: Arc<Memory>,
    /// How to reach each other's sessions.
    pub board: Arc<KillBoard>,
    /// When the router started: where their clock begins, so that a moment means the same to all of them.
    pub started: Instant,
}

/// What of a sign-in decides about the variables that a connection begins with.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct SignIn {
    collation: u16,
    /// It asked for the `sql_mode` of that name, which a server then adds to its own.
    ignore_space: bool,
}

impl SignIn {
    /// Of a sign-in with this collation and these flags.
    pub fn of(collation: u16, capabilities: Capabilities) -> Self {
        Self { collation, ignore_space: capabilities.contains(Capabilities::IGNORE_SPACE) }
    }
}

/// What connections begin with, who said so, and when.
struct KnownBase {
    base: Rc<Base>,
    /// The tick at which.
    at: u32,
    backend: Arc<Backend>,
    /// How often the server's globals had been set through the router by then.
    globals: u32,
}

/// A text's number, and what lives as long as a session uses it.
type Numbered = (u64, Weak<Text>);

/// What the sessions of one thread share.
pub struct Worker {
    /// Its number, from 0.
    pub id: usize,
    /// Buffers.
    pub buffers: Buffers,
    /// Idle backend connections.
    pub pool: RefCell<Pool<Box<Link>>>,
    /// Plans.
    pub plans: RefCell<PlanCache>,
    /// The states of sessions and links.
    pub states: Interner,
    /// What is counted, for others to read at any time.
    pub stats: Arc<WorkerStats>,
    /// Statements that wait for a server.
    pub(super) outage: RefCell<Outage>,
    /// How many statements may be logged.
    pub log_budget: Budget,
    /// What counts it.
    pub recorder: RefCell<Recorder>,
    /// For turns among equals.
    pub turn: Cell<u32>,
    /// How many reads may be run a second time.
    moves: RefCell<moves::Moves>,
    /// How to reach the sessions of the other workers.
    pub board: Arc<KillBoard>,
    /// The key for passwords over plain TCP.
    pub rsa: Arc<RsaKey>,
    /// Where the slow arithmetic of sign-ins runs.
    pub offload: Offload,
    /// Who has given wrong passwords.
    pub guesses: Arc<Guesses>,
    /// What the large requests of all workers have taken.
    pub memory: Arc<Memory>,
    published: RefCell<arc_swap::Cache<Published, Arc<Snapshot>>>,
    /// The snapshot that was published last, counted by this thread alone.
    snapshot: RefCell<Rc<Current>>,
    started: Instant,
    ticks: Cell<u32>,
    serial: Cell<u64>,
    /// When the drain began, once it has.
    draining: Cell<Option<Instant>>,
    /// Texts of prepared statements, and their numbers: what links and sessions know them by.
    texts: RefCell<HashMap<Rc<[u8]>, Numbered, foldhash::fast::RandomState>>,
    /// What each account signs in with behind, and its number in pool keys.
    accounts: RefCell<AccountNumbers>,
    /// The version and the number of accounts at which those that are not used any more were forgotten last.
    accounts_swept: Cell<(u64, usize)>,
    /// Names of users and schemas by number, for the statistics.
    names: RefCell<NameNumbers>,
    /// Schemas that were found to exist.
    pub(super) schemas: Schemas,
    /// What a hostgroup's connections began with lately, by what the sign-in said and by how, with the tick at which.
    bases: RefCell<HashMap<(u32, SignIn, Born), KnownBase, foldhash::fast::FixedState>>,
    /// What each server's connections are told and asked at the beginning of their lives.
    openings: Openings,
    /// What servers answered to SETs, for the next that are the same.
    pub(super) echoes: Echoes,
}

impl Worker {
    /// A worker without sessions.
    pub fn new(id: usize, published: &Published, limits: CacheLimits, shared: Shared, stats: Arc<WorkerStats>) -> Self {
        let Shared { rsa, offload, guesses, memory, board, started } = shared;
        Self {
            id,
            buffers: Buffers::default(),
            pool: RefCell::new(Pool::new(board.workers())),
            plans: RefCell::new(PlanCache::new(limits)),
            states: Interner::default(),
            outage: RefCell::default(),
            log_budget: Budget::default(),
            recorder: RefCell::new(Recorder::new(Arc::clone(&stats))),
            stats,
            board,
            rsa,
            offload,
            guesses,
            memory,
            turn: Cell::new(0),
            moves: RefCell::default(),
            published: RefCell::new(arc_swap::Cache::new(Arc::clone(published))),
            snapshot: RefCell::new(Rc::new(Current(published.load_full()))),
            started,
            ticks: Cell::new(0),
            serial: Cell::new(0),
            draining: Cell::new(None),
            texts: RefCell::default(),
            accounts: RefCell::default(),
            accounts_swept: Cell::default(),
            names: RefCell::default(),
            schemas: Schemas::default(),
            bases: RefCell::default(),
            openings: Openings::default(),
            echoes: Echoes::default(),
        }
    }

    /// The present snapshot. Costs one load and one pointer compared; the count that is raised is this thread's own, so
    /// that workers do not fight over a cache line with every statement.
    pub fn snapshot(&self) -> Rc<Current> {
        let mut published = self.published.borrow_mut();
        let newest = published.load();
        let mut kept = self.snapshot.borrow_mut();
        if !Arc::ptr_eq(newest, &kept.0) {
            *kept = Rc::new(Current(Arc::clone(newest)));
        }
        Rc::clone(&kept)
    }

    /// How the router talks to servers itself.
    pub fn talk(&self) -> Talk<'_> {
        Talk { buffers: &self.buffers, limit: self.snapshot.borrow().settings.connect_timeout }
    }

    /// Closes a link, whose room may be waited for.
    pub fn close(&self, link: Box<Link>) {
        let backend = link.backend().id;
        drop(link);
        self.pool.borrow_mut().lines.wake(backend);
    }

    /// Seconds since the start, as the housekeeping counts them.
    pub fn ticks(&self) -> u32 {
        self.ticks.get()
    }

    /// From now on sessions end what they have begun, and begin nothing ([`drain`]).
    pub fn drain(&self) {
        self.draining.set(self.draining.get().or_else(|| Some(Instant::now())));
    }

    /// True once the router drains.
    #[inline]
    pub fn drains(&self) -> bool {
        self.draining.get().is_some()
    }

    /// How long it has drained; none while it does not.
    pub fn drains_for(&self) -> Option<std::time::Duration> {
        self.draining.get().map(|began| began.elapsed())
    }

    /// The present moment for the read-your-writes window, in milliseconds since the router started: the same on all workers.
    pub fn now_ms(&self) -> u64 {
        self.ms_at(Instant::now())
    }

    /// The same for a moment that is known.
    pub fn ms_at(&self, moment: Instant) -> u64 {
        u64::try_from(moment.saturating_duration_since(self.started).as_millis()).unwrap_or(u64::MAX)
    }

    /// A number that no other link or session of this worker has.
    pub fn next_serial(&self) -> u64 {
        let next = self.serial.get() + 1;
        self.serial.set(next);
        next
    }

    /// The number of what an account signs in with behind: equal for equal names and passwords, and for nothing else.
    pub fn account_number(&self, account: &Account) -> u32 {
        self.accounts.borrow_mut().number(account)
    }

    /// The name behind of the account of this number.
    pub(super) fn account_name(&self, number: u32) -> Option<String> {
        self.accounts.borrow().name(number)
    }

    /// A number for a name: equal names have equal numbers for as long as both are kept, and different names never have. What is counted by
    /// number is read by name.
    pub fn name_number(&self, name: &str) -> u32 {
        self.names.borrow_mut().number(name)
    }

    /// The number of a prepared statement's text. Equal keys have equal numbers while anybody holds what comes with it.
    pub fn text_number(&self, key: &[u8]) -> (u64, Rc<Text>) {
        let mut texts = self.texts.borrow_mut();
        if let Some((number, users)) = texts.get(key)
            && let Some(text) = users.upgrade()
        {
            return (*number, text);
        }
        let text = Rc::new(Text::default());
        let number = self.next_serial();
        texts.insert(key.into(), (number, Rc::downgrade(&text)));
        (number, text)
    }

    /// Calls `with` for each prepared text that a session has: its number, what is known of it, how many have it.
    pub(super) fn each_text(&self, mut with: impl FnMut(u64, &Text, usize)) {
        for (number, text) in self.texts.borrow().values() {
            if let Some(known) = text.upgrade() {
                with(*number, &known, Rc::strong_count(&known) - 1);
            }
        }
    }
}

/// Seconds for which what a server's globals were is taken for what they are.
pub const FRESH: u32 = 1;
