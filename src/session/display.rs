//! What only a worker's own thread can see, shown when somebody asks: its idle connections, its sessions' prepared
//! statements, and the texts of digests that were not counted yet.
//!
//! Nothing is kept for it and the statement path knows nothing of it: a question wakes the worker, which looks and answers. A
//! worker that does not answer in time is left out, so whoever asks waits for a bounded time.

use super::worker::Worker;
use crate::backend::server::BackendId;
use crate::protocol::status::Status;
use std::cell::{OnceCell, RefCell};
use std::collections::HashMap;
use std::rc::Rc;
use std::sync::Arc;
use std::sync::mpsc as answers;
use std::time::{Duration, Instant};
use tokio::sync::mpsc;

/// What a worker is asked to show.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Look {
    /// How many connections are idle, by backend: a few words, however many there are.
    Counts,
    /// The idle connections.
    Idle,
    /// Prepared texts.
    Prepared,
    /// The texts of these digests.
    Digests(Arc<[u64]>),
}

/// What a worker shows: what it was asked for, and nothing else.
#[derive(Clone, Debug, Default)]
pub struct Shown {
    /// Idle connections by backend.
    pub counts: HashMap<BackendId, u32>,
    /// Connections that are idle in its pool.
    pub idle: Vec<IdleLink>,
    /// Texts that its sessions have prepared.
    pub prepared: Vec<PreparedText>,
    /// Digests with their texts.
    pub digests: Vec<(u64, String)>,
}

/// An idle connection to a backend.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct IdleLink {
    /// The backend.
    pub backend: BackendId,
    /// The hostgroup that it was taken for last.
    pub hostgroup: u32,
    /// Whom it is signed in as.
    pub user: String,
    /// Its default schema.
    pub schema: Option<Box<str>>,
    /// The clauses of what is set on it, by name.
    pub variables: Vec<(Box<str>, Box<str>)>,
    /// Whether autocommit is on, as its server last said.
    pub autocommit: bool,
    /// How long it has been idle, in whole seconds.
    pub idle_s: u32,
    /// How old it is, in whole seconds.
    pub age_s: u32,
    /// Statements that its server has prepared for it.
    pub prepared: usize,
    /// The server's number for it.
    pub thread_id: u64,
    /// The descriptor of its socket.
    pub fd: i32,
}

/// A text that sessions have prepared.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PreparedText {
    /// The worker's number of it.
    pub number: u64,
    /// The default schema that it was prepared in.
    pub schema: Box<str>,
    /// The user who prepared it first.
    pub user: Box<str>,
    /// The digest's hash.
    pub digest: u64,
    /// Columns of its result.
    pub columns: u16,
    /// Its parameters.
    pub parameters: u16,
    /// The text.
    pub text: String,
    /// Statements of sessions that are this text.
    pub clients: usize,
    /// Connections whose servers have it prepared.
    pub servers: usize,
}

/// What is known of a prepared text: whose it was first, and what the server said of it then.
#[derive(Debug)]
#[allow(missing_docs)]
pub struct Told {
    pub schema: Box<str>,
    pub user: Box<str>,
    pub digest: u64,
    pub columns: u16,
    pub parameters: u16,
    pub text: Rc<[u8]>,
}

/// A prepared text on a worker. Each statement of a session that is this text holds it.
#[derive(Debug, Default)]
pub struct Text {
    told: OnceCell<Told>,
    on_servers: Rc<()>,
    /// The parameter types that somebody executed it with last.
    types: RefCell<Option<Rc<[u8]>>>,
}

impl Text {
    /// Notes what is known of it, if nothing is.
    pub fn tell(&self, told: impl FnOnce() -> Told) {
        self.told.get_or_init(told);
    }

    /// These parameter types, for all who agree on them in one place: who compares them finds that out without a look at them.
    pub fn types(&self, types: &[u8]) -> Rc<[u8]> {
        let mut last = self.types.borrow_mut();
        match &*last {
            Some(same) if **same == *types => Rc::clone(same),
            _ => Rc::clone(last.insert(types.into())),
        }
    }

    /// A count of the servers that have it prepared: held for each connection on which one has.
    pub fn on_server(&self) -> Rc<()> {
        Rc::clone(&self.on_servers)
    }

    /// How many connections' servers have it prepared.
    pub fn servers(&self) -> usize {
        Rc::strong_count(&self.on_servers) - 1
    }
}

/// A question, and where the answer goes with the worker's number.
#[derive(Debug)]
pub struct Question {
    look: Look,
    answer: answers::Sender<(usize, Shown)>,
}

/// The way to all workers.
#[derive(Debug, Default)]
pub struct Board {
    workers: Vec<mpsc::Sender<Question>>,
}

/// Questions that may wait at one worker.
const BACKLOG: usize = 4;
/// How long all workers together have to answer.
const LIMIT: Duration = Duration::from_millis(500);
/// Bytes of a text that are shown.
const MOST: usize = 2_048;

impl Board {
    /// A board for so many workers, and the workers' ends.
    pub fn new(workers: usize) -> (Self, Vec<mpsc::Receiver<Question>>) {
        let (workers, ears) = (0..workers).map(|_| mpsc::channel(BACKLOG)).unzip();
        (Self { workers }, ears)
    }

    /// Asks all workers, and waits: not for a thread that serves clients. What each shows, with its number.
    pub fn ask(&self, look: Look) -> Vec<(usize, Shown)> {
        let (answer, shown) = answers::channel();
        // One that is asked by others already has no place for the question, and answers none.
        let ask = |worker: &&mpsc::Sender<Question>| {
            worker.try_send(Question { look: look.clone(), answer: answer.clone() }).is_ok()
        };
        let asked = self.workers.iter().filter(ask).count();
        let until = Instant::now() + LIMIT;
        let next = || shown.recv_timeout(until.saturating_duration_since(Instant::now())).ok();
        std::iter::from_fn(next).take(asked).collect()
    }
}

/// Answers questions for as long as there is a board.
pub async fn listen(worker: Rc<Worker>, mut ear: mpsc::Receiver<Question>) {
    while let Some(Question { look, answer }) = ear.recv().await {
        let shown = match look {
            Look::Counts => Shown { counts: counts(&worker), ..Shown::default() },
            Look::Idle => Shown { idle: idle(&worker), ..Shown::default() },
            Look::Prepared => Shown { prepared: prepared(&worker), ..Shown::default() },
            Look::Digests(wanted) => Shown { digests: digests(&worker, &wanted), ..Shown::default() },
        };
        // Who asked may have given up.
        let _ = answer.send((worker.id, shown));
    }
}

fn counts(worker: &Worker) -> HashMap<BackendId, u32> {
    let mut counts = HashMap::new();
    for (backend, idle) in worker.pool.borrow().counts() {
        *counts.entry(backend).or_default() += u32::try_from(idle).unwrap_or(u32::MAX);
    }
    counts
}

fn idle(worker: &Worker) -> Vec<IdleLink> {
    let now = worker.ticks();
    let mut links = Vec::new();
    worker.pool.borrow().each(|key, link, since| {
        let variables = &link.state.portable.variables;
        links.push(IdleLink {
            backend: key.backend,
            hostgroup: link.hostgroup,
            user: worker.account_name(key.account).unwrap_or_default(),
            schema: link.state.portable.schema.clone(),
            variables: variables.iter().map(|(name, clause)| (name.clone(), clause.clone())).collect(),
            autocommit: link.status.contains(Status::AUTOCOMMIT),
            idle_s: now.wrapping_sub(since),
            age_s: now.wrapping_sub(link.born),
            prepared: link.prepared.len(),
            thread_id: link.thread_id,
            fd: link.stream.descriptor(),
        });
    });
    links
}

fn prepared(worker: &Worker) -> Vec<PreparedText> {
    let mut texts = Vec::new();
    worker.each_text(|number, text, clients| {
        let Some(told) = text.told.get() else { return };
        let shown = told.text.get(..MOST).unwrap_or(&told.text);
        texts.push(PreparedText {
            number,
            schema: told.schema.clone(),
            user: told.user.clone(),
            digest: told.digest,
            columns: told.columns,
            parameters: told.parameters,
            text: String::from_utf8_lossy(shown).into_owned(),
            clients,
            servers: text.servers(),
        });
    });
    texts
}

/// The texts of those digests that the worker has a plan for: of what runs it has.
fn digests(worker: &Worker, wanted: &[u64]) -> Vec<(u64, String)> {
    let plans = worker.plans.borrow();
    let text = |digest: &[u8]| String::from_utf8_lossy(digest.get(..MOST).unwrap_or(digest)).into_owned();
    let asked = plans.plans().filter(|plan| wanted.contains(&plan.hash));
    asked.map(|plan| (plan.hash, text(&plan.digest))).collect()
}
