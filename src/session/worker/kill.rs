//! KILL: the numbers that clients know are the router's, so the router carries it out.
//!
//! A client learns its number from the router's greeting, and no server knows that number (worse: a server may have given
//! it to somebody else). A wish to end session *n*, or what it runs, goes to every worker; the one that has the session ends
//! it there ([`super::strike`]), and what is said to servers for that goes over one connection for each of them
//! ([`super::killer`]). `CONNECTION_ID()` is the router's number for the same reason ([`crate::session::exchange::own`]).
//!
//! It refuses to know what a statement says ([`crate::session::statement::kill`]) and to look into a worker.

use super::killer::Killer;
use crate::auth::Account;
use std::sync::Arc;
use tokio::sync::mpsc;

pub use super::killer::{Orders, serve};

/// A wish to kill, sent to every worker: one of them has the session.
#[derive(Clone, Debug)]
pub struct KillRequest {
    /// The session's number.
    pub connection_id: u32,
    /// End what it runs, not the session.
    pub query_only: bool,
    /// Who wishes it; none for an operator, who may end any session.
    pub by: Option<Arc<Account>>,
    /// Where the verdict goes.
    pub verdict: mpsc::Sender<Verdict>,
}

/// What became of a wish.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Verdict {
    /// Carried out.
    Done,
    /// The session belongs to another account.
    NotOwner,
    /// This worker has no such session.
    Unknown,
}

/// The workers' ears, and who tells the servers.
#[derive(Debug)]
pub struct KillBoard {
    workers: Vec<mpsc::Sender<KillRequest>>,
    pub(super) killer: Killer,
}

/// Wishes that may wait at one worker.
const BACKLOG: usize = 64;

impl KillBoard {
    /// A board for so many workers, the workers' ends, and the orders that one of them has to carry out.
    pub fn new(workers: usize) -> (Self, Vec<mpsc::Receiver<KillRequest>>, Orders) {
        let (workers, ears) = (0..workers).map(|_| mpsc::channel(BACKLOG)).unzip();
        let (killer, orders) = Killer::new();
        (Self { workers, killer }, ears, orders)
    }

    /// How many workers there are.
    pub fn workers(&self) -> usize {
        self.workers.len()
    }

    /// Asks all workers, and waits for the one that knows.
    pub async fn kill(&self, connection_id: u32, query_only: bool, by: Option<Arc<Account>>) -> Verdict {
        let (verdict, mut verdicts) = mpsc::channel(self.workers.len().max(1));
        for worker in &self.workers {
            let request = KillRequest { connection_id, query_only, by: by.clone(), verdict: verdict.clone() };
            // A worker that is gone has no sessions.
            let _ = worker.send(request).await;
        }
        drop(verdict);
        let mut result = Verdict::Unknown;
        while let Some(verdict) = verdicts.recv().await {
            if verdict != Verdict::Unknown {
                result = verdict;
            }
        }
        result
    }
}
