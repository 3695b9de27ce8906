//! What only a worker's own thread can see, shown when somebody asks: its idle connections, its sessions' prepared
//! statements, and the texts of digests that were not counted yet.
//!
//! Nothing is kept for it and the statement path knows nothing of it: a question wakes the worker, which looks and answers. A
//! worker that does not answer in time is left out, so whoever asks waits for a bounded time.

use super::Worker;
use crate::backend::server::BackendId;
use crate::protocol::status::Status;
use crate::session::state::value::Value;
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
    /// What is set on it beside what it began with, name and value.
    pub variables: Vec<(Box<str>, Box<str>)>,
    /// Its `sql_mode`.
    pub sql_mode: Box<str>,
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
        let values = &link.state.values;
        links.push(IdleLink {
            backend: key.backend,
            hostgroup: link.hostgroup,
            user: worker.account_name(key.account).unwrap_or_default(),
            schema: link.state.values.schema.clone(),
            variables: values.own().map(|(name, value)| (name.into(), value.text().into())).collect(),
            sql_mode: values.value("sql_mode").map_or("", Value::text).into(),
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
        let Some(told) = text.told() else { return };
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
