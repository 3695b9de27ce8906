//! What a worker does about wishes to kill: it ends what its own session runs, and the session.
//!
//! `KILL QUERY` ends what a session is running, by its server's own number; `KILL` ends the session too. What a client that
//! has vanished left running is ended in the same way. The wishes come from [`super::kill`], and [`super::killer`] tells the
//! servers.

use super::Worker;
use super::kill::{KillRequest, Verdict};
use super::killer::{Aim, Struck};
use super::registry::{Card, Registry, Ticket};
use crate::auth::{Account, Credentials};
use crate::backend::Backend;
use crate::session::link::Link;
use std::rc::Rc;
use std::sync::Arc;
use tokio::sync::mpsc;

/// Carries out the wishes that concern this worker's sessions, for as long as there is a board.
pub async fn listen(worker: Rc<Worker>, registry: Rc<Registry>, mut ear: mpsc::Receiver<KillRequest>) {
    while let Some(request) = ear.recv().await {
        let verdict = match registry.card(request.connection_id) {
            None => Verdict::Unknown,
            Some(card) if request.by.as_ref().is_some_and(|by| !card.belongs_to(by.name())) => Verdict::NotOwner,
            Some(card) => {
                let aim = if request.query_only { Aim::Query } else { Aim::Connection };
                let struck = strike(&worker, &card, request.by, aim);
                if !request.query_only {
                    registry.end(|card| card.connection_id() == request.connection_id);
                }
                if let Some(struck) = struck {
                    // Who kills hears of it when it is done, and nobody else waits for that.
                    tokio::task::spawn_local(async move {
                        let _ = struck.await;
                        let _ = request.verdict.send(Verdict::Done).await;
                    });
                    continue;
                }
                Verdict::Done
            }
        };
        let _ = request.verdict.send(verdict).await;
    }
}

/// The backend and the server's number of what a session runs, if it runs anything.
fn running(worker: &Worker, card: &Card) -> Option<(Arc<Backend>, u64)> {
    let (id, thread) = card.running()?;
    Some((worker.snapshot().topology.backends().into_iter().find(|b| b.id == id)?, thread))
}

/// Ends what a session runs, and with [`Aim::Connection`] the session. Gives back a wait for the server's answer, if one was asked.
fn strike(worker: &Worker, card: &Ticket, by: Option<Arc<Account>>, aim: Aim) -> Option<Struck> {
    let (backend, thread) = running(worker, card)?;
    let credentials = by.or_else(|| card.account())?.credentials()?;
    if aim == Aim::Query {
        // From now on nobody else may have the connection: the KILL may come when the statement has ended, and what runs on it then
        // must not be another session's.
        card.condemn(thread);
    }
    worker.stats.counters.killed_queries.inc();
    worker.board.killer.strike(backend, thread, aim, credentials)
}

/// Ends what a vanished client has left running on this link, which is kept until the server has answered: its room at the backend
/// is taken for as long as its statement runs.
pub(in crate::session) fn end_abandoned(worker: &Rc<Worker>, link: Box<Link>, credentials: Option<Credentials>) {
    let backend = Arc::clone(link.backend());
    let struck = credentials.and_then(|credentials| {
        worker.stats.counters.killed_queries.inc();
        worker.board.killer.strike(backend, link.thread_id, Aim::Connection, credentials)
    });
    let worker = Rc::clone(worker);
    tokio::task::spawn_local(async move {
        if let Some(struck) = struck {
            let _ = struck.await;
        }
        worker.close(link);
    });
}
