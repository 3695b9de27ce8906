//! The application's traffic: sessions of an ordinary client library, each with a habit of its own, all with one DSN.
//!
//! Neighbours: [`statements`] has the texts.

pub mod statements;

use super::DemoError;
use super::ledger::{Class, Ledger, Outcome};
use super::load::Facts;
use super::random::Random;
use mysql_async::{Conn, Error, Opts, Params, Row, Value, prelude::Queryable};
use statements::{Check, Question};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;
use tokio::task::JoinHandle;

/// The longest that a statement may stay without an answer.
const PATIENCE: Duration = Duration::from_secs(30);
/// After so many questions a reading session signs in anew, as pools of applications do.
const QUESTIONS_PER_SIGN_IN: u32 = 100;

/// Sessions that record calls as they happen.
const INGEST: u64 = 3;
/// Sessions that show what goes on now.
const DASHBOARDS: u64 = 4;
/// Sessions that look back.
const ANALYSTS: u64 = 4;

/// What all sessions share.
#[derive(Debug)]
pub struct Shared {
    /// The router.
    pub dsn: Opts,
    /// Where each statement is entered.
    pub ledger: Arc<Ledger>,
    /// What right answers are.
    pub facts: Facts,
    /// Statements a second, all sessions together.
    pub rate: u64,
    /// Set to end.
    pub over: AtomicBool,
}

/// The sessions under way.
#[derive(Debug)]
pub struct Traffic {
    shared: Arc<Shared>,
    sessions: Vec<JoinHandle<()>>,
}

impl Traffic {
    /// Starts all sessions.
    ///
    /// The sessions' choices, ids of calls among them, follow from `seed`: another run on the same data needs another one.
    pub fn start(dsn: Opts, ledger: Arc<Ledger>, facts: Facts, rate: u64, seed: u64) -> Self {
        let shared = Arc::new(Shared { dsn, ledger, facts, rate, over: AtomicBool::new(false) });
        let sessions = (0..INGEST + DASHBOARDS + ANALYSTS).map(|number| {
            let session = Session::new(shared.clone(), number, seed);
            tokio::spawn(async move {
                match number {
                    0..INGEST => session.ingest().await,
                    n if n < INGEST + DASHBOARDS => session.watch().await,
                    _ => session.analyse().await,
                }
            })
        });
        let sessions = sessions.collect();
        Traffic { shared, sessions }
    }

    /// Lets every session finish its statement and ends them.
    pub async fn stop(self) -> Result<(), DemoError> {
        self.shared.over.store(true, Ordering::Relaxed);
        for session in self.sessions {
            session.await.map_err(|error| DemoError::Io(std::io::Error::other(error)))?;
        }
        Ok(())
    }
}

/// One session: a connection, made anew when it breaks.
struct Session {
    shared: Arc<Shared>,
    random: Random,
    conn: Option<Conn>,
    asked: u32,
}

impl Session {
    fn new(shared: Arc<Shared>, number: u64, seed: u64) -> Self {
        Session { shared, random: Random::new(seed.wrapping_add(1000 + number)), conn: None, asked: 0 }
    }

    fn over(&self) -> bool {
        self.shared.over.load(Ordering::Relaxed)
    }

    /// Waits as long as the rate wants it, a little more or less.
    async fn pause(&mut self) {
        let sessions = INGEST + DASHBOARDS + ANALYSTS;
        let mean = 1_000_000 * sessions / self.shared.rate.max(1);
        let micros = mean / 2 + self.random.below(mean);
        tokio::time::sleep(Duration::from_micros(micros)).await;
    }

    /// Asks a question, checks the answer, and enters both. True if the answer was right.
    async fn ask(&mut self, question: Question) -> bool {
        self.pause().await;
        let mark = self.shared.ledger.open(question.class);
        let (text, params) = question.marked(&mark.text());
        let answer = tokio::time::timeout(PATIENCE, self.exchange(text, params)).await;
        let outcome = match answer {
            Ok(Ok(rows)) => question.check.judge(&rows),
            Ok(Err(Error::Server(error))) => Outcome::Refused { code: error.code, text: error.message },
            Ok(Err(error)) => self.lose(error.to_string()),
            Err(_) => self.lose(format!("no answer within {} s", PATIENCE.as_secs())),
        };
        let right = outcome == Outcome::Right;
        self.shared.ledger.close(mark, outcome);
        right
    }

    /// The connection is of no more use: what may still come on it belongs to nobody.
    fn lose(&mut self, why: String) -> Outcome {
        self.conn = None;
        Outcome::Lost(why)
    }

    async fn exchange(&mut self, text: String, params: Option<Vec<Value>>) -> Result<Vec<Row>, Error> {
        let conn = match &mut self.conn {
            Some(conn) => conn,
            slot => slot.insert(Conn::new(self.shared.dsn.clone()).await?),
        };
        match params {
            Some(values) => conn.exec(text, Params::Positional(values)).await,
            None => conn.query(text).await,
        }
    }

    /// The id that the last INSERT of this session made, as its OK packet said.
    fn inserted(&self) -> u64 {
        self.conn.as_ref().and_then(Conn::last_insert_id).unwrap_or(0)
    }

    /// Records calls: writes, transactions, and reads of what it has just written.
    async fn ingest(mut self) {
        while !self.over() {
            let call = statements::NewCall::new(&mut self.random);
            if !self.ask(call.insert()).await {
                continue;
            }
            let id = self.inserted();
            self.ask(statements::last_insert_id(id)).await;
            self.ask(call.event(id, "initiated")).await;
            self.ask(statements::read_back(id, "in_progress")).await;
            if self.random.chance(30) {
                self.ask(call.lock(id)).await;
            }
            self.end_call(&call, id).await;
            self.ask(statements::read_back(id, "answered")).await;
            self.ask(call.annotate(id)).await;
            if self.random.chance(50) {
                let checksum = self.random.bits();
                self.ask(call.recording(id, checksum)).await;
            }
        }
        self.leave().await;
    }

    /// A transaction with reads in it.
    async fn end_call(&mut self, call: &statements::NewCall, id: u64) {
        for question in call.end(id) {
            if !self.ask(question).await {
                // What is left of it is nothing to go on with; the statement's own entry says what happened.
                self.conn = None;
                return;
            }
        }
    }

    /// Shows what goes on now.
    async fn watch(mut self) {
        while !self.over() {
            let question = statements::current(&mut self.random, &self.shared.facts);
            self.ask(question).await;
            self.sign_in_anew().await;
        }
        self.leave().await;
    }

    /// Looks back.
    async fn analyse(mut self) {
        while !self.over() {
            let question = statements::historical(&mut self.random, &self.shared.facts);
            self.ask(question).await;
            self.sign_in_anew().await;
        }
        self.leave().await;
    }

    async fn sign_in_anew(&mut self) {
        self.asked += 1;
        if self.asked.is_multiple_of(QUESTIONS_PER_SIGN_IN) {
            self.leave().await;
        }
    }

    async fn leave(&mut self) {
        if let Some(conn) = self.conn.take() {
            // Whether the goodbye arrives is nobody's concern.
            let _ = tokio::time::timeout(PATIENCE, conn.disconnect()).await;
        }
    }
}

impl Check {
    fn judge(&self, rows: &[Row]) -> Outcome {
        let value = |row: &Row, at: usize| row.as_ref(at).map(|value| value.as_sql(true).trim_matches('\'').to_owned());
        match self {
            Check::Nothing => Outcome::Right,
            Check::Rows(want) if rows.len() == *want => Outcome::Right,
            Check::Rows(want) => Outcome::Wrong(format!("{} rows instead of {want}", rows.len())),
            Check::Value(at, want) => match rows.first().and_then(|row| value(row, *at)) {
                Some(got) if got == *want => Outcome::Right,
                got => Outcome::Wrong(format!("{} instead of {want}", got.unwrap_or_else(|| "no row".into()))),
            },
        }
    }
}

/// What the router says of a class's sample, from `EXPLAIN ROUTE`: the reason in words. None where it does not say.
pub async fn reason(conn: &mut Conn, class: Class, facts: &Facts) -> Option<String> {
    let sample = statements::sample(class, facts)?;
    let rows: Vec<Row> = conn.query(format!("EXPLAIN ROUTE {sample}")).await.ok()?;
    let text = |row: &Row, at: usize| row.get_opt::<String, _>(at).and_then(Result::ok);
    rows.iter().find_map(|row| (text(row, 0)? == "reason").then(|| text(row, 1)).flatten())
}
