//! KILL: the numbers that clients know are the router's, so the router carries it out.
//!
//! A client learns its number from the router's greeting, and no server knows that number (worse: a server may have given
//! it to somebody else). `KILL QUERY n` ends what session *n* is running, by its server's own number; `KILL n` ends the
//! session too. What is said to the server for that is [`super::killer`]'s. As on a server, one may kill the sessions of one's own account. `CONNECTION_ID()`
//! is the router's number for the same reason ([`super::own`]).

use super::Session;
use super::checkout::Tried;
use super::error::{SessionEnd, StatementError};
use super::killer::{Aim, Killer, Struck};
use super::link::Link;
use super::registry::{Card, Registry, Ticket};
use super::worker::Worker;
use crate::auth::{Account, Credentials};
use crate::backend::Backend;
use crate::protocol::command::Command;
use crate::sql::LexMode;
use crate::sql::effects::Effects;
use crate::sql::lexer::{Lexer, Token, TokenKind};
use std::rc::Rc;
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
    killer: Killer,
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
pub(super) fn end_abandoned(worker: &Rc<Worker>, link: Box<Link>, credentials: Option<Credentials>) {
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
        let backend = link.backend().id;
        drop(link);
        worker.pool.borrow_mut().wake(backend);
    });
}

/// Who is to be killed.
#[derive(Debug, PartialEq, Eq)]
enum Whom<'a> {
    /// The session of this number.
    Number(u32),
    /// That whose number this expression gives.
    Expression(&'a [u8]),
}

/// Effects of expressions that may be asked for a number: they compute, and read what is the session's own.
const COMPUTES: Effects =
    Effects::READ.union(Effects::CONSTANT).union(Effects::READ_USER_VARIABLE).union(Effects::SERVER_BOUND);

/// Whom `KILL [HARD|SOFT] [CONNECTION|QUERY] expression` means, and whether a query alone. `None` for other forms.
fn read_kill(sql: &[u8], mode: LexMode) -> Option<(Whom<'_>, bool)> {
    let is = |token: &Token, words: &[&str]| {
        token.kind == TokenKind::Word && words.iter().any(|w| token.text(sql).eq_ignore_ascii_case(w.as_bytes()))
    };
    let mut tokens: Vec<Token> = Lexer::new(sql, mode).skip(1).collect();
    while tokens.last().is_some_and(|token| token.text(sql) == b";") {
        tokens.pop();
    }
    let words = tokens.iter().take_while(|token| is(token, &["HARD", "SOFT", "CONNECTION", "QUERY"])).count();
    let (words, rest) = tokens.split_at(words);
    let query_only = words.iter().any(|token| is(token, &["QUERY"]));
    let (first, last) = (rest.first()?, rest.last()?);
    let number = || std::str::from_utf8(first.text(sql)).ok()?.parse().ok();
    let whom = match number().filter(|_| rest.len() == 1) {
        Some(number) => Whom::Number(number),
        // By the number of a statement, or all sessions of an account: servers know those, and the router does not.
        None if is(first, &["ID", "USER"]) || rest.iter().any(|token| token.text(sql) == b";") => return None,
        None => Whom::Expression(sql.get(first.start as usize..last.end as usize)?),
    };
    Some((whom, query_only))
}

impl Session {
    /// KILL, by the router's numbers.
    pub(super) async fn kill(&mut self) -> Result<(), SessionEnd> {
        let text = self.inbox.payload().get(1..).unwrap_or_default().to_vec();
        let Some((whom, query_only)) = read_kill(&text, self.subject.mode()) else {
            return Err(error(
                1064,
                b"42000",
                "Switchboard: KILL [CONNECTION | QUERY] takes the number of one session".into(),
            ));
        };
        let number = match whom {
            Whom::Number(number) => number.into(),
            Whom::Expression(expression) => self.number_of(expression).await?,
        };
        let unknown = || error(1094, b"HY000", format!("Unknown thread id: {number}"));
        let id = u32::try_from(number).map_err(|_| unknown())?;
        if id == self.connection_id {
            return Err(match query_only {
                true => error(1317, b"70100", "Query execution was interrupted".into()),
                false => StatementError::Killed.into(),
            });
        }
        match self.worker.board.kill(id, query_only, Some(Arc::clone(&self.account))).await {
            Verdict::Done => self.send_ok(b"").await,
            Verdict::NotOwner => Err(error(1095, b"HY000", format!("You are not owner of thread {id}"))),
            Verdict::Unknown => Err(unknown()),
        }
    }

    /// The number that an expression gives: a server says it, the one that has the session's user variables.
    async fn number_of(&mut self, expression: &[u8]) -> Result<u64, SessionEnd> {
        let text = [b"SELECT CAST((", expression, b") AS SIGNED)"].concat();
        let snapshot = self.worker.snapshot();
        let (plan, route) = self.plan(&snapshot, &text);
        if !COMPUTES.contains(plan.facts.effects) {
            return Err(error(1970, b"42000", "KILL does not support subqueries or stored functions".into()));
        }
        let home = self.home.take();
        let is_home = home.is_some();
        let mut link = match home {
            Some(link) => link,
            None => self.obtain(&self.state, &[route.writer], &snapshot, &mut Tried::default()).await?,
        };
        let worker = Rc::clone(&self.worker);
        let asked = async {
            worker.bring(&mut link, &self.state).await?;
            let text = self.own_text(&plan.facts, &text, &link).unwrap_or(text);
            let reply = worker.talk().ask(&mut link, Command::Query, &text).await?;
            // What the statement before left of itself is gone, here as on a server; LAST_INSERT_ID() is not.
            worker.talk().query(&mut link, "DO 0").await.map(|_| reply)
        };
        let asked = asked.await;
        match (asked, is_home) {
            (Ok(reply), _) => {
                (self.previous, self.previous_at_home) = (link.serial, is_home);
                self.left = super::left::Left::default();
                match is_home {
                    true => self.home = Some(link),
                    false => self.release(link),
                }
                let number: i64 = reply.last_value().and_then(|number| number.parse().ok()).unwrap_or_default();
                Ok(number.cast_unsigned())
            }
            (Err(failed), true) => Err(self.home_not_ready(link, failed).into()),
            (Err(failed), false) => {
                let failed = self.talk_failed(&link, failed);
                self.discard(link);
                Err(failed.into())
            }
        }
    }
}

fn error(code: u16, sqlstate: &[u8; 5], message: String) -> SessionEnd {
    StatementError::State { code, sqlstate: *sqlstate, message }.into()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_forms_of_kill() {
        for (sql, number, query_only) in [
            ("KILL 5", 5, false),
            ("kill connection 5;", 5, false),
            ("KILL QUERY 7", 7, true),
            ("KILL HARD QUERY 7", 7, true),
        ] {
            assert_eq!(
                read_kill(sql.as_bytes(), LexMode::default()),
                Some((Whom::Number(number), query_only)),
                "{sql}"
            );
        }
        for (sql, expression) in [
            ("KILL @x", "@x"),
            ("KILL QUERY (1 + @x) ;", "(1 + @x)"),
            ("KILL CONNECTION_ID()", "CONNECTION_ID()"),
            ("KILL 99999999999", "99999999999"),
            // A list is no single value: the server says so.
            ("KILL 1, 2", "1, 2"),
        ] {
            let whom = read_kill(sql.as_bytes(), LexMode::default()).map(|(whom, _)| whom);
            assert_eq!(whom, Some(Whom::Expression(expression.as_bytes())), "{sql}");
        }
        for other in ["KILL", "KILL USER 'x'", "KILL QUERY ID 7", "KILL 1; SELECT 2"] {
            assert_eq!(read_kill(other.as_bytes(), LexMode::default()), None, "{other}");
        }
    }
}
