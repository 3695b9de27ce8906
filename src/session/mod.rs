//! One client's life, from sign-in to goodbye, across as many backends as its statements need.
//!
//! ```text
//!            ┌──────────────── next command ◀──────────────────────┐
//!            ▼                                                     │
//!   waiting for the client ─▶ plan ─▶ place ─▶ link ─▶ relay ─▶ settle
//!            │                                                     │
//!            └─▶ left, broke, drained                 pins, state, link to pool
//! ```
//!
//! | file | what it does |
//! |---|---|
//! | [`registry`] | the sessions of a worker, seen from outside |
//! | [`worker`] | what the sessions of one thread share |
//! | [`snapshot`] | one version of the configuration |
//! | [`inbox`] | commands off the client's socket |
//! | [`numbers`] | small numbers for accounts and names |
//! | [`memory`] | what large requests may take, all clients together |
//! | [`flight`] | the way of nearly every statement: no wait but that for its answer |
//! | [`statement`] | the others: a wait for a link, a second try elsewhere |
//! | [`exchange`] | a request over a link, and its answer |
//! | [`prepared`] | prepared statements, which belong to the session and not to a backend |
//! | [`remote`] | preparing them on a backend's connection |
//! | [`long_data`] | parameters that are sent ahead |
//! | [`cursor`] | their cursors, which belong to a connection |
//! | [`commands`] | the other commands |
//! | [`place`] | where a statement goes once the session's state has its say |
//! | [`checkout`] | a link to a backend: from the pool, or new, or after a wait |
//! | [`link`] | a backend connection in a session's service |
//! | [`home`] | where a session's own affairs are settled, and what it begins with |
//! | [`echo`] | what servers answered to SETs, for the next that are the same |
//! | [`left`] | what the last answer said of itself |
//! | [`hearing`] | what a server says of the session's state after an answer |
//! | [`previous`] | what a statement may ask of the one before |
//! | [`settle`] | what a response changed: pins, state, who keeps the link |
//! | [`tally`] | what is counted of a statement |
//! | [`state`] | what a session has set, and what holds it |
//! | [`explain`] | `EXPLAIN ROUTE` |
//! | [`kill`], [`killer`] | KILL, by the router's own numbers; the one connection that it goes over |
//! | [`own`] | statements that ask for the session's own number |
//! | [`drain`] | what a session may still do while the router drains |
//! | [`display`] | what only a worker can see, shown to those who ask |
//! | [`answer`], [`error`] | the router's own answers |
//!
//! It refuses to decide what a statement does (`sql`), what the rules say (`rules`), and which backend is well (`backend`).

pub mod answer;
pub mod checkout;
pub mod commands;
pub mod cursor;
pub mod display;
pub mod drain;
pub mod echo;
pub mod error;
mod exchange;
pub mod explain;
mod flight;
mod hearing;
mod home;
pub mod inbox;
pub mod infile;
pub mod kill;
mod killer;
mod left;
pub mod link;
mod long_data;
pub mod memory;
pub mod numbers;
mod own;
pub mod place;
pub mod prepared;
pub mod previous;
pub mod registry;
pub mod remote;
pub mod settings;
pub mod settle;
pub mod snapshot;
pub mod state;
pub mod statement;
pub mod tally;
pub mod worker;
mod writing;

use crate::auth::{Account, Scramble, Seat};
use crate::net::Stream;
use crate::protocol::capabilities::Capabilities;
use crate::protocol::command::Command;
use crate::protocol::status::Status;
use crate::rules::Subject;
use error::{SessionEnd, StatementError};
use flight::Departure;
use inbox::Next;
use link::Link;
use registry::{Activity, Ticket};
use state::pins::Pins;
use state::things::Things;
use state::{State, Values};
use std::future::poll_fn;
use std::rc::Rc;
use std::sync::Arc;
use std::time::{Duration, Instant};
use worker::Worker;

/// What sign-in found out about a client.
pub struct Client {
    /// Its stream, after sign-in, the final OK not yet sent.
    pub stream: Stream,
    /// Whom it signed in as.
    pub account: Arc<Account>,
    /// Its place among the account's sessions.
    pub seat: Seat,
    /// The schema it asked for.
    pub schema: Option<String>,
    /// What it and we agreed on.
    pub capabilities: Capabilities,
    /// Its collation, by number.
    pub collation: u16,
    /// The scramble that it saw last: COM_CHANGE_USER needs it.
    pub scramble: Scramble,
    /// The number in its greeting, and in its answers to KILL and processlists.
    pub connection_id: u32,
    /// Where it comes from, and where it came to.
    pub subject: Subject,
    /// Its place in the worker's registry.
    pub ticket: Ticket,
}

/// A signed-in client.
pub struct Session {
    worker: Rc<Worker>,
    /// A number of its own on this worker: who used a link last.
    serial: u64,
    /// The number that the client knows.
    connection_id: u32,
    client: Stream,
    account: Arc<Account>,
    seat: Seat,
    /// The account's number in pool keys.
    account_number: u32,
    capabilities: Capabilities,
    collation: u16,
    scramble: Scramble,
    subject: Subject,
    ticket: Ticket,
    state: Rc<State>,
    /// The connection with the session's lasting pins.
    home: Option<Box<Link>>,
    home_pins: Pins,
    /// The connection of the previous statement, kept for what the next may ask of it.
    last: Option<Box<Link>>,
    last_pins: Pins,
    /// Where the previous statement ran: its link's number.
    previous: u64,
    previous_at_home: bool,
    /// Named things that it has on its home.
    things: Things,
    /// What the previous statement's answer said of itself.
    left: left::Left,
    /// `LAST_INSERT_ID()` of a home that was given back.
    insert_id: Option<u64>,
    /// When the session last wrote (router's milliseconds), while that matters.
    wrote_at: Option<u64>,
    /// A connection that it had may have something unknown of the session's on it ([`Link::is_doubtful`]).
    leaves_doubt: bool,
    /// The open transaction has written.
    transaction_wrote: bool,
    /// The status flags that the client last saw.
    status: Status,
    /// When the present command began.
    began: Instant,
    /// How much of it went by before a connection was had.
    waited: Duration,
    /// How much of it went by in preparing again what that connection had not.
    readied: Duration,
    /// The user and the schema by number, for the statistics.
    names: (u32, u32),
    inbox: inbox::Inbox,
    /// The statement that is under way, where it went the short way.
    departure: Departure,
    prepared: Option<Box<prepared::Statements>>,
}

impl Session {
    /// A session for a client that has just proved who it is.
    pub fn new(worker: Rc<Worker>, client: Client) -> Self {
        let Client {
            stream,
            account,
            seat,
            schema,
            capabilities,
            collation,
            scramble,
            connection_id,
            mut subject,
            ticket,
        } = client;
        // A client that names the empty schema names none.
        let schema = schema.filter(|name| !name.is_empty());
        subject.set_schema(schema.as_deref());
        // What it begins with is known once it has met its home.
        let state = worker.states.intern(Values::new(schema.map(Into::into), Rc::default()));
        subject.set_mode(state.lex_mode);
        let account_number = worker.account_number(&account);
        ticket.sign(&account);
        ticket.set_schema(state.values.schema.as_deref());
        let names = (
            worker.name_number(account.name()),
            // The schema is counted once it is known to exist.
            worker.name_number(""),
        );
        Self {
            serial: worker.next_serial(),
            worker,
            connection_id,
            client: stream,
            account,
            seat,
            account_number,
            capabilities,
            collation,
            scramble,
            subject,
            ticket,
            state,
            home: None,
            home_pins: Pins::empty(),
            last: None,
            last_pins: Pins::empty(),
            previous: 0,
            previous_at_home: false,
            things: Things::default(),
            left: left::Left::default(),
            insert_id: None,
            wrote_at: None,
            leaves_doubt: false,
            transaction_wrote: false,
            status: Status::AUTOCOMMIT,
            began: Instant::now(),
            waited: Duration::ZERO,
            readied: Duration::ZERO,
            names,
            inbox: inbox::Inbox::default(),
            departure: Departure::default(),
            prepared: None,
        }
    }

    /// Sends the OK of the sign-in, after making sure that the schema it asked for exists. False if the session ends there.
    pub async fn admit(&mut self, sequence: u8, before_ok: Option<Vec<u8>>) -> bool {
        let opened = self.open(sequence, before_ok).await;
        if let Err(end) = &opened {
            self.log_end(end);
            self.close();
        }
        opened.is_ok()
    }

    /// Serves the client until it leaves or cannot be served any more.
    ///
    /// The two waits of an ordinary statement, for its request and for its answer, are made here and not in functions of their
    /// own: see [`flight`].
    pub async fn run(mut self: Box<Self>) {
        let end = 'served: loop {
            self.rest();
            let command = loop {
                match self.command_at_hand() {
                    Next::Command(command) => break command,
                    Next::Bad(why) => break 'served Box::pin(self.turn_away(why)).await,
                    Next::More => {}
                }
                if self.inbox.lacks_memory()
                    && let Err(end) = Box::pin(self.take_memory()).await
                {
                    break 'served end;
                }
                let read = match self.patience() {
                    None => poll_fn(|cx| self.poll_read_more(cx)).await,
                    Some(patience) => self.read_for(patience).await,
                };
                if let Err(end) = read {
                    break 'served end;
                }
            };
            self.begin_command();
            if !self.state.has_base {
                // Nobody answered at sign-in. How statements are read must be known before one is; an error is the
                // statement's own to find.
                let _ = Box::pin(self.meet_home()).await;
            }
            let served = match self.set_out(command) {
                true => match poll_fn(|cx| self.poll_flight(cx)).await {
                    Ok(()) if self.may_land() => {
                        self.land();
                        Ok(())
                    }
                    flown => Box::pin(self.divert(flown)).await,
                },
                false => self.go_the_long_way(command).await,
            };
            if let Err(end) = served
                && let Err(end) = Box::pin(self.apologise(end)).await
            {
                break end;
            }
            self.inbox.done(&self.worker.buffers);
        };
        self.log_end(&end);
        self.close();
    }

    /// Shows others that the session waits for its client.
    fn rest(&self) {
        let parked = if self.has_parked() { Pins::CURSOR } else { Pins::empty() };
        let holds = self.home.is_some() || !parked.is_empty();
        let waits = if holds { Activity::Holding } else { Activity::Idle };
        self.ticket.waits(waits, self.home_pins | self.last_pins | parked, self.worker.ticks());
    }

    /// Shows others that it serves a command, whose time counts from here.
    fn begin_command(&mut self) {
        self.ticket.begins(self.worker.ticks());
        self.began = Instant::now();
        self.waited = Duration::ZERO;
        self.readied = Duration::ZERO;
        self.worker.stats.counters.statements.inc();
    }

    /// One line for an end that somebody may want to know of.
    fn log_end(&self, end: &SessionEnd) {
        let (connection_id, user) = (self.connection_id, self.account.name());
        match end {
            SessionEnd::Left => {}
            SessionEnd::ClientBroke(error) => tracing::debug!(connection_id, user, %error, "client lost"),
            // There may be a hundred thousand of them, and the drain says what became of all.
            SessionEnd::Statement(StatementError::Shutdown) => tracing::debug!(connection_id, user, "drained"),
            end => tracing::info!(connection_id, user, %end, "session ended"),
        }
    }

    /// Runs a command that did not get away at once.
    async fn go_the_long_way(&mut self, command: Option<Command>) -> Result<(), SessionEnd> {
        match std::mem::take(&mut self.departure) {
            Departure::Held(planned, at_hand) => self.run_planned(planned, at_hand).await,
            Departure::Late => Err(StatementError::Shutdown.into()),
            _ => self.obey(command).await,
        }
    }

    /// Runs a command that is no plain statement.
    async fn obey(&mut self, command: Option<Command>) -> Result<(), SessionEnd> {
        match command {
            Some(Command::Query) => Box::pin(self.explain_route()).await,
            Some(Command::Execute) => self.execute().await,
            Some(Command::Quit) => Err(SessionEnd::Left),
            Some(other) => Box::pin(self.other_command(other)).await,
            None => Err(StatementError::UnknownCommand.into()),
        }
    }

    /// Answers an error that the session outlives; gives back any other.
    async fn apologise(&mut self, end: SessionEnd) -> Result<(), SessionEnd> {
        let SessionEnd::Statement(error) = end else { return Err(end) };
        self.tally_own_error(&error);
        self.send_error(&error, self.inbox.sequence().wrapping_add(1)).await?;
        if error.ends_session() { Err(error.into()) } else { Ok(()) }
    }
}
