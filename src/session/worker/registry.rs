//! The sessions of a worker, seen from outside: to end idle ones, and to say what each is doing.
//!
//! A session tells its phase through a cell; nobody touches a session that is in the middle of something. It
//! refuses to reach into a session: what others may know stands on its card.

use crate::auth::Account;
use crate::backend::server::BackendId;
use crate::session::state::pins::Pins;
use nix::sys::socket::{Shutdown, shutdown};
use slab::Slab;
use std::cell::RefCell;
use std::net::IpAddr;
use std::rc::Rc;
use std::sync::atomic::{AtomicBool, AtomicI32, AtomicU8, AtomicU32, AtomicU64, Ordering::Relaxed};
use std::sync::{Arc, Mutex, PoisonError};
use tokio::task::AbortHandle;

/// What a session is doing, as far as others must know.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[repr(u8)]
pub enum Activity {
    /// Signing in.
    #[default]
    SigningIn = 0,
    /// Waiting for the client, with nothing open. May be ended at any moment.
    Idle = 1,
    /// Waiting for the client, in a transaction or with something else that would be lost.
    Holding = 2,
    /// Running a command.
    Busy = 3,
}

/// What a session shows to others: written by its worker alone, with plain stores; read by any thread.
#[derive(Debug, Default)]
pub struct Card {
    connection_id: u32,
    client: Option<(IpAddr, u16)>,
    activity: AtomicU8,
    since: AtomicU32,
    /// The backend that runs its statement, and that server's number for the connection; 0 for none.
    backend: AtomicU32,
    thread: AtomicU64,
    /// The descriptor of that connection's socket, while something runs.
    socket: AtomicI32,
    /// What runs is a read that may be given up, and run elsewhere: no byte of its answer has come.
    may_move: AtomicBool,
    /// It was given up.
    was_cut: AtomicBool,
    /// The hostgroup and one more; 0 for none yet.
    hostgroup: AtomicU64,
    pins: AtomicU32,
    digest: AtomicU64,
    /// The connection, by its server's number, that ran for it when a KILL QUERY was ordered; 0 for none.
    condemned: AtomicU64,
    names: Mutex<Names>,
}

#[derive(Debug, Default)]
struct Names {
    account: Option<Arc<Account>>,
    schema: Option<Arc<str>>,
}

/// A session as it was at some moment.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Glimpse {
    /// Its number.
    pub connection_id: u32,
    /// Where it comes from, with the port; none for the unix socket.
    pub client: Option<(IpAddr, u16)>,
    /// Its user; none while it signs in.
    pub user: Option<Box<str>>,
    /// Its default schema.
    pub schema: Option<Arc<str>>,
    /// What it is doing.
    pub activity: Activity,
    /// Since which of its worker's seconds.
    pub since: u32,
    /// The backend that runs its statement, with that server's number for the connection.
    pub running: Option<(BackendId, u64)>,
    /// The hostgroup that it was sent to last.
    pub hostgroup: Option<u32>,
    /// What holds it.
    pub pins: Pins,
    /// The digest of what it runs, or of its last statement; 0 for none.
    pub digest: u64,
}

impl Card {
    /// The session signed in (again).
    pub fn sign(&self, account: &Arc<Account>) {
        self.names().account = Some(Arc::clone(account));
    }

    fn names(&self) -> std::sync::MutexGuard<'_, Names> {
        self.names.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Its default schema is now this.
    pub fn set_schema(&self, schema: Option<&str>) {
        let mut names = self.names();
        if names.schema.as_deref() != schema {
            names.schema = schema.map(Into::into);
        }
    }

    /// Its number.
    pub fn connection_id(&self) -> u32 {
        self.connection_id
    }

    /// Whose it is; none while it signs in.
    pub fn account(&self) -> Option<Arc<Account>> {
        self.names().account.clone()
    }

    /// True if it is a session of that account.
    pub fn belongs_to(&self, name: &str) -> bool {
        self.names().account.as_ref().is_some_and(|a| a.name() == name)
    }

    /// What it is doing.
    pub fn activity(&self) -> Activity {
        match self.activity.load(Relaxed) {
            1 => Activity::Idle,
            2 => Activity::Holding,
            3 => Activity::Busy,
            _ => Activity::SigningIn,
        }
    }

    /// It waits for its client from this tick on.
    pub fn waits(&self, activity: Activity, pins: Pins, now: u32) {
        self.activity.store(activity as u8, Relaxed);
        self.pins.store(pins.bits(), Relaxed);
        self.since.store(now, Relaxed);
    }

    /// It begins a command, at this tick.
    pub fn begins(&self, now: u32) {
        self.since.store(now, Relaxed);
        self.activity.store(Activity::Busy as u8, Relaxed);
    }

    /// What holds it, as of its last rest.
    pub fn pins(&self) -> Pins {
        Pins::from_bits_truncate(self.pins.load(Relaxed))
    }

    /// The worker's tick at which it began what it does: to wait for its client, or a command.
    pub fn since(&self) -> u32 {
        self.since.load(Relaxed)
    }

    /// What runs for it, and where. Exact for its own worker.
    pub fn running(&self) -> Option<(BackendId, u64)> {
        let thread = self.thread.load(Relaxed);
        (thread != 0).then(|| (BackendId(self.backend.load(Relaxed)), thread))
    }

    /// Its statement runs there now, and is not to be given up unless [`Card::may_move`] says so.
    pub fn runs(&self, backend: BackendId, thread: u64, hostgroup: u32, socket: i32) {
        self.may_move.store(false, Relaxed);
        self.socket.store(socket, Relaxed);
        self.backend.store(backend.0, Relaxed);
        self.hostgroup.store(u64::from(hostgroup) + 1, Relaxed);
        self.thread.store(thread, Relaxed);
    }

    /// Whether its statement may be given up, and run elsewhere.
    #[inline]
    pub fn may_move(&self, may: bool) {
        self.may_move.store(may, Relaxed);
    }

    /// True if what ran last was given up at a silent server. Asked once.
    pub fn was_cut(&self) -> bool {
        self.was_cut.swap(false, Relaxed)
    }

    /// Its statement has been answered.
    pub fn rests(&self) {
        self.thread.store(0, Relaxed);
    }

    /// A KILL QUERY is on its way to what runs for it.
    pub fn condemn(&self, thread: u64) {
        self.condemned.store(thread, Relaxed);
    }

    /// True if one was on its way to this connection while it ran for the session: it may not go to another.
    #[inline]
    pub fn is_condemned(&self, thread: u64) -> bool {
        let condemned = self.condemned.load(Relaxed);
        condemned != 0 && condemned == thread
    }

    /// The digest of what it is about to run.
    pub fn set_digest(&self, digest: u64) {
        self.digest.store(digest, Relaxed);
    }

    fn glimpse(&self) -> Glimpse {
        let names = self.names();
        Glimpse {
            connection_id: self.connection_id,
            client: self.client,
            user: names.account.as_ref().map(|a| a.name().into()),
            schema: names.schema.clone(),
            activity: self.activity(),
            since: self.since(),
            running: self.running(),
            hostgroup: self.hostgroup.load(Relaxed).checked_sub(1).and_then(|id| u32::try_from(id).ok()),
            pins: self.pins(),
            digest: self.digest.load(Relaxed),
        }
    }
}

/// A session's place in the registry.
pub type Ticket = Arc<Card>;

/// The cards of one worker's sessions, for other threads. The lock is taken when a session comes or goes, and by readers.
#[derive(Debug, Default)]
pub struct Roll {
    cards: Mutex<Slab<Ticket>>,
}

impl Roll {
    fn cards(&self) -> std::sync::MutexGuard<'_, Slab<Ticket>> {
        self.cards.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// All sessions, as they are now.
    pub fn read(&self) -> Vec<Glimpse> {
        let cards: Vec<Ticket> = self.cards().iter().map(|(_, card)| Arc::clone(card)).collect();
        cards.iter().map(|card| card.glimpse()).collect()
    }
}

struct Entry {
    card: Ticket,
    task: Option<AbortHandle>,
    /// Its place on the roll.
    shown: usize,
}

/// The sessions of one worker.
#[derive(Default)]
pub struct Registry {
    entries: RefCell<Slab<Entry>>,
    roll: Arc<Roll>,
}

impl Registry {
    /// A registry that shows its sessions on this roll.
    pub fn new(roll: Arc<Roll>) -> Self {
        Self { entries: RefCell::default(), roll }
    }

    /// Runs a session's task, which is registered for as long as it keeps the place that `make` gets. The task is what `make`
    /// returns and nothing around it: an idle session costs its size, and a statement each layer of it.
    pub fn spawn<F, T>(self: &Rc<Self>, connection_id: u32, client: Option<(IpAddr, u16)>, make: F)
    where
        F: FnOnce(Ticket, Place) -> T,
        T: Future<Output = ()> + 'static,
    {
        let card = Ticket::new(Card { connection_id, client, ..Card::default() });
        let shown = self.roll.cards().insert(Arc::clone(&card));
        let key = self.entries.borrow_mut().insert(Entry { card: Arc::clone(&card), task: None, shown });
        let place = Place { registry: Rc::clone(self), key };
        let task = tokio::task::spawn_local(make(card, place));
        if let Some(entry) = self.entries.borrow_mut().get_mut(key) {
            entry.task = Some(task.abort_handle());
        }
    }

    /// The card of a session.
    pub fn card(&self, connection_id: u32) -> Option<Ticket> {
        self.entries
            .borrow()
            .iter()
            .find(|(_, e)| e.card.connection_id == connection_id)
            .map(|(_, e)| Arc::clone(&e.card))
    }

    /// Ends the sessions that have waited for their client for more than `limit` ticks.
    pub fn end_silent(&self, now: u32, limit: u32) -> usize {
        let waits = |card: &Card| {
            matches!(card.activity(), Activity::Idle | Activity::Holding) && now.wrapping_sub(card.since()) > limit
        };
        let silent: Vec<u32> =
            self.entries.borrow().iter().filter(|(_, e)| waits(&e.card)).map(|(_, e)| e.card.connection_id).collect();
        if silent.is_empty() { 0 } else { self.end(|card| silent.contains(&card.connection_id)) }
    }

    /// Breaks the connections over which something runs at backends for which `is_down` holds: what waits for a server that
    /// hangs would wait for ever. A read is then tried elsewhere, and any other statement ends with an error.
    pub fn cut_running(&self, is_down: impl Fn(BackendId) -> bool) -> usize {
        let entries = self.entries.borrow();
        let waits = entries.iter().filter(|(_, e)| e.card.running().is_some_and(|(backend, _)| is_down(backend)));
        let sockets: Vec<i32> = waits.map(|(_, e)| e.card.socket.load(Relaxed)).collect();
        // The session that waits has the socket open; it hears of this as of a server that closed.
        for socket in &sockets {
            let _ = shutdown(*socket, Shutdown::Both);
        }
        sockets.len()
    }

    /// The same for `most` reads of which no byte has come, at backends for which `is_silent` holds. Gives how many were cut, and how
    /// many were left.
    pub fn cut_reads(&self, is_silent: impl Fn(BackendId) -> bool, most: usize) -> (usize, usize) {
        let entries = self.entries.borrow();
        let is_meant =
            |card: &Card| card.may_move.load(Relaxed) && card.running().is_some_and(|(backend, _)| is_silent(backend));
        let mut waiting: Vec<_> = entries.iter().map(|(_, e)| &e.card).filter(|card| is_meant(card)).collect();
        let left = waiting.len().saturating_sub(most);
        waiting.truncate(most);
        for card in &waiting {
            card.may_move(false);
            card.was_cut.store(true, Relaxed);
            let _ = shutdown(card.socket.load(Relaxed), Shutdown::Both);
        }
        (waiting.len(), left)
    }

    /// Sessions that live.
    pub fn len(&self) -> usize {
        self.entries.borrow().len()
    }

    /// True if there is no session.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Ends the sessions for which `which` holds. Their connections are closed, and what they held is given up.
    pub fn end(&self, which: impl Fn(&Card) -> bool) -> usize {
        let handles: Vec<AbortHandle> =
            self.entries.borrow().iter().filter(|(_, e)| which(&e.card)).filter_map(|(_, e)| e.task.clone()).collect();
        handles.iter().for_each(AbortHandle::abort);
        handles.len()
    }
}

/// A session's place in the registry, given up when it is dropped.
pub struct Place {
    registry: Rc<Registry>,
    key: usize,
}

impl Drop for Place {
    fn drop(&mut self) {
        let gone = self.registry.entries.borrow_mut().try_remove(self.key);
        if let Some(entry) = gone {
            drop(self.registry.roll.cards().try_remove(entry.shown));
        }
    }
}
