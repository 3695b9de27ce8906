//! What a session consists of: its fields, and the types of what it keeps and of what is under way in it.
//!
//! | file | what it holds |
//! |---|---|
//! | [`inbox`] | the bytes of the request that is served, and of those that came after it |
//! | [`request`] | a request to a server, and what may go wrong with it |
//! | [`place`] | where a statement goes, and why: the words for it |
//! | [`flight`] | a statement with its plan, and on its way |
//! | [`writing`] | a write that other sessions are to see |
//! | [`left`] | what the last answer said of itself |
//! | [`previous`] | where the statement before ran, and where what it left is |
//! | [`statements`] | prepared statements |
//!
//! Every room above changes a session through these types, so they stand below all of those. They refuse to talk to
//! anybody: nothing here waits for a client or for a server.

pub mod flight;
pub mod inbox;
pub mod left;
pub mod place;
pub mod previous;
pub mod request;
pub mod statements;
pub mod writing;

use self::flight::Departure;
use self::inbox::Inbox;
use self::left::Left;
use self::previous::{Keeps, Kept, Previous};
use self::statements::Statements;
use super::holdings::Holdings;
use super::state::State;
use super::state::base::Born;
use super::supply::Supply;
use super::worker::Worker;
use super::worker::registry::Ticket;
use super::worker::snapshot::Snapshot;
use crate::auth::{Account, Scramble, Seat};
use crate::backend::heartbeat::token::Token;
use crate::backend::hostgroup::Needs;
use crate::backend::server::BackendId;
use crate::net::Stream;
use crate::protocol::capabilities::Capabilities;
use crate::protocol::status::Status;
use crate::rules::Subject;
use std::rc::Rc;
use std::sync::Arc;
use std::time::Instant;

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
    pub(super) worker: Rc<Worker>,
    /// A number of its own on this worker: who used a link last.
    pub(super) serial: u64,
    /// The number that the client knows.
    pub(super) connection_id: u32,
    pub(super) client: Stream,
    pub(super) account: Arc<Account>,
    pub(super) seat: Seat,
    /// The account's number in pool keys.
    pub(super) account_number: u32,
    pub(super) capabilities: Capabilities,
    pub(super) collation: u16,
    /// How its present life began: what its home says of such lives is what it begins with.
    pub(super) born: Born,
    pub(super) scramble: Scramble,
    pub(super) subject: Subject,
    pub(super) ticket: Ticket,
    pub(super) state: Rc<State>,
    /// The links that it holds, and what stands on them.
    pub(super) holdings: Holdings,
    /// Where the previous statement ran.
    pub(super) previous: Previous,
    /// What the previous statement's answer said of itself.
    pub(super) left: Left,
    /// When the session last wrote (router's milliseconds), while that matters.
    pub(super) wrote_at: Option<u64>,
    /// Who took that write.
    pub(super) wrote_on: Option<BackendId>,
    /// What its client has carried here from another connection.
    pub(super) token: Option<Rc<Token>>,
    /// The write for which a read has waited in vain until it was on a reader: none waits for it again.
    pub(super) vain_wait: Option<u64>,
    /// A connection that it had may have something unknown of the session's on it ([`crate::session::link::Link::is_doubtful`]).
    pub(super) leaves_doubt: bool,
    /// The open transaction has written.
    pub(super) transaction_wrote: bool,
    /// The status flags that the client last saw.
    pub(super) status: Status,
    /// When the present command began.
    pub(super) began: Instant,
    /// How much of it went by before a connection was had, in microseconds.
    pub(super) waited: u64,
    /// How much of it went by in preparing again what that connection had not, in microseconds.
    pub(super) readied: u64,
    /// The user and the schema by number, for the statistics; 0 before the schema is known to exist.
    pub(super) names: (u32, u32),
    pub(super) inbox: Inbox,
    /// The statement that is under way, where it went the short way.
    pub(super) departure: Departure,
    pub(super) prepared: Option<Box<Statements>>,
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
        let state = worker.states.unmet(schema.as_deref());
        subject.set_mode(state.lex_mode);
        let account_number = worker.account_number(&account);
        ticket.sign(&account);
        ticket.set_schema(schema.as_deref());
        // The schema is counted once it is known to exist.
        let names = (worker.name_number(account.name()), 0);
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
            born: Born::BySignIn,
            scramble,
            subject,
            ticket,
            state,
            holdings: Holdings::default(),
            previous: Previous::default(),
            left: Left::default(),
            wrote_at: None,
            wrote_on: None,
            token: None,
            vain_wait: None,
            leaves_doubt: false,
            transaction_wrote: false,
            status: Status::AUTOCOMMIT,
            began: Instant::now(),
            waited: 0,
            readied: 0,
            names,
            inbox: Inbox::default(),
            departure: Departure::default(),
            prepared: None,
        }
    }

    /// Where its links come from, and go to.
    #[inline]
    pub(super) fn supply(&self) -> Supply<'_> {
        Supply {
            worker: &self.worker,
            account: &self.account,
            account_number: self.account_number,
            collation: self.collation,
            shape: self.capabilities & Capabilities::SHAPE,
            user: self.serial,
            needs: &Needs::NOTHING,
        }
    }

    /// What NOW() is for this session. One that has set its own `timestamp` gets the end of time, so that no bound
    /// relative to NOW() is ever proven recent.
    pub(super) fn now(&self) -> jiff::Timestamp {
        if self.state.has_own_clock() { jiff::Timestamp::MAX } else { jiff::Timestamp::now() }
    }

    /// The session's time zone, or the servers' where it has set none.
    pub(super) fn time_zone<'a>(&'a self, snapshot: &'a Snapshot) -> &'a jiff::tz::TimeZone {
        self.state.time_zone.as_ref().unwrap_or(&snapshot.settings.time_zone)
    }

    /// The session is in this state from now on.
    pub(super) fn enter(&mut self, state: Rc<State>) {
        let before = std::mem::replace(&mut self.state, state);
        self.subject.set_mode(self.state.lex_mode);
        let schema = self.state.values.schema.as_deref();
        if schema != before.values.schema.as_deref() {
            self.subject.set_schema(schema);
            self.ticket.set_schema(schema);
            self.count_schema();
        }
    }

    /// Its statements are counted under its schema, which is known to exist.
    pub(super) fn count_schema(&mut self) {
        self.names.1 = self.worker.name_number(self.state.values.schema.as_deref().unwrap_or_default());
    }

    /// The router has answered a statement itself, which no connection has seen.
    pub(super) fn answered(&mut self) {
        self.left.answered();
        self.previous.ran_nowhere(Keeps { found: Kept::Yes, diagnostics: !self.left.has_no_diagnostics() });
    }

    /// The diagnostics of before have outlasted what has run since.
    pub(super) fn outlasted(&mut self, (left, previous): (Left, Previous)) {
        if self.left.outlasted(left) {
            self.previous.outlasted(previous);
        }
    }

    /// Shows others that it serves a command, whose time counts from here.
    pub(super) fn begin_command(&mut self) {
        self.ticket.begins(self.worker.ticks());
        self.began = Instant::now();
        self.waited = 0;
        self.readied = 0;
        self.worker.stats.counters.statements.inc();
    }
}

/// How long ago that was, in microseconds.
pub(super) fn micros_since(moment: Instant) -> u64 {
    u64::try_from(moment.elapsed().as_micros()).unwrap_or(u64::MAX)
}
