//! The sessions of a worker, seen from outside: to end idle ones, and to say what each is doing.
//!
//! A session tells its phase through a cell; nobody touches a session that is in the middle of something.

use crate::auth::Account;
use crate::backend::server::BackendId;
use slab::Slab;
use std::cell::{Cell, RefCell};
use std::rc::Rc;
use std::sync::Arc;
use tokio::task::AbortHandle;

/// What a session is doing, as far as others must know.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Activity {
    /// Signing in.
    #[default]
    SigningIn,
    /// Waiting for the client, with nothing open. May be ended at any moment.
    Idle,
    /// Waiting for the client, in a transaction or with something else that would be lost.
    Holding,
    /// Running a command.
    Busy,
}

/// What a session and the registry share.
#[derive(Debug, Default)]
pub struct Card {
    /// What it is doing.
    pub activity: Cell<Activity>,
    /// The worker's tick at which it began to wait for its client.
    pub since: Cell<u32>,
    /// The backend that runs its statement, and that server's number for the connection.
    running: Cell<Option<(BackendId, u64)>>,
    /// Whose it is, once that is known.
    account: RefCell<Option<Arc<Account>>>,
}

impl Card {
    /// The session signed in (again).
    pub fn sign(&self, account: &Arc<Account>) {
        *self.account.borrow_mut() = Some(Arc::clone(account));
    }

    /// True if it is a session of that account.
    pub fn belongs_to(&self, name: &str) -> bool {
        self.account.borrow().as_ref().is_some_and(|a| a.name() == name)
    }

    /// What runs for it, and where.
    pub fn running(&self) -> Option<(BackendId, u64)> {
        self.running.get()
    }

    /// Notes where its statement runs.
    pub fn set_running(&self, running: Option<(BackendId, u64)>) {
        self.running.set(running);
    }
}

/// A session's place in the registry.
pub type Ticket = Rc<Card>;

struct Entry {
    connection_id: u32,
    card: Ticket,
    task: Option<AbortHandle>,
}

/// The sessions of one worker.
#[derive(Default)]
pub struct Registry {
    entries: RefCell<Slab<Entry>>,
}

impl Registry {
    /// Runs a session's task, registered for as long as it lives.
    pub fn spawn<F, T>(self: &Rc<Self>, connection_id: u32, make: F)
    where
        F: FnOnce(Ticket) -> T,
        T: Future<Output = ()> + 'static,
    {
        let card = Ticket::default();
        let key = self.entries.borrow_mut().insert(Entry { connection_id, card: Rc::clone(&card), task: None });
        let place = Place { registry: Rc::clone(self), key };
        let session = make(card);
        let task = tokio::task::spawn_local(async move {
            let _place = place;
            session.await;
        });
        if let Some(entry) = self.entries.borrow_mut().get_mut(key) {
            entry.task = Some(task.abort_handle());
        }
    }

    /// The card of a session.
    pub fn card(&self, connection_id: u32) -> Option<Ticket> {
        self.entries.borrow().iter().find(|(_, e)| e.connection_id == connection_id).map(|(_, e)| Rc::clone(&e.card))
    }

    /// Ends the sessions that have waited for their client for more than `limit` ticks.
    pub fn end_silent(&self, now: u32, limit: u32) -> usize {
        let waits = |card: &Card| {
            matches!(card.activity.get(), Activity::Idle | Activity::Holding)
                && now.wrapping_sub(card.since.get()) > limit
        };
        let silent: Vec<u32> =
            self.entries.borrow().iter().filter(|(_, e)| waits(&e.card)).map(|(_, e)| e.connection_id).collect();
        if silent.is_empty() { 0 } else { self.end(|id, _| silent.contains(&id)) }
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
    pub fn end(&self, which: impl Fn(u32, Activity) -> bool) -> usize {
        let handles: Vec<AbortHandle> = self
            .entries
            .borrow()
            .iter()
            .filter(|(_, e)| which(e.connection_id, e.card.activity.get()))
            .filter_map(|(_, e)| e.task.clone())
            .collect();
        handles.iter().for_each(AbortHandle::abort);
        handles.len()
    }
}

struct Place {
    registry: Rc<Registry>,
    key: usize,
}

impl Drop for Place {
    fn drop(&mut self) {
        let gone = self.registry.entries.borrow_mut().try_remove(self.key);
        drop(gone);
    }
}
