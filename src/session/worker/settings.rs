//! What of a session can be set, with the defaults.
//!
//! `config` reads them from files and admin tables, and refuses what is out of bounds; [`super::snapshot`] hands them to sessions, which
//! look at them anew with each statement. It refuses to read anything itself.

use std::time::Duration;

/// Whose writes a session's reads must see.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Scope {
    /// Its own.
    Session,
    /// Those of all sessions of its user.
    User,
}

impl Scope {
    /// All of them, by the names that files use.
    pub const NAMES: [(&'static str, Scope); 2] = [("session", Scope::Session), ("user", Scope::User)];

    /// Its name.
    pub fn name(self) -> &'static str {
        match self {
            Scope::Session => "session",
            Scope::User => "user",
        }
    }
}

/// Limits and defaults of every session.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SessionSettings {
    /// After a write, a session's reads stay on the writer for this long. 0 turns it off.
    pub read_your_writes: Duration,
    /// How long a read that must see a write waits until a reader has that write, where watermarks tell. 0: not at all.
    pub read_your_writes_wait: Duration,
    /// Whose writes those are.
    pub read_your_writes_scope: Scope,
    /// How long a statement waits for a connection before it is answered with an error.
    pub pool_wait: Duration,
    /// How long a statement that needs the writer waits while there is none, before it is answered with an error. 0: not at all.
    pub writer_wait: Duration,
    /// How many statements of all clients may wait so at once.
    pub max_waiting_for_writer: usize,
    /// Reads at a silent server that may be run a second time elsewhere, in per cent of all statements. 0: none.
    pub moved_reads: u32,
    /// Idle connections are closed after this long. To be kept below the servers' `wait_timeout`.
    pub pool_idle: Duration,
    /// Connections are closed once they are this old, as soon as they are idle.
    pub pool_lifetime: Duration,
    /// How long connecting and signing in to a backend may take.
    pub connect_timeout: Duration,
    /// How long a client may take to sign in.
    pub sign_in_timeout: Duration,
    /// How long the connection of a statement is kept for what the next may ask of it (`LAST_INSERT_ID()`,
    /// `ROW_COUNT()`, `SHOW WARNINGS`), when the session has nothing else that holds it.
    pub hold_results: Duration,
    /// The largest request that a client may send, in bytes.
    pub max_allowed_packet: usize,
    /// Bytes that the large requests of all clients together may take. None: what the largest request makes sensible.
    pub request_memory: Option<usize>,
    /// LOAD DATA LOCAL.
    pub local_infile: bool,
    /// Prepared statements of one session.
    pub max_statements: usize,
    /// Prepared statements kept on one backend connection.
    pub max_statements_per_connection: usize,
    /// The time zone of sessions that have not set one (the servers' own).
    pub time_zone: jiff::tz::TimeZone,
    /// A client that sends nothing for this long is disconnected.
    pub wait_timeout: Duration,
    /// Statements that take this long are logged; none are where it is none.
    pub slow_statement: Option<Duration>,
}

impl Default for SessionSettings {
    fn default() -> Self {
        Self {
            read_your_writes: Duration::from_secs(2),
            read_your_writes_wait: Duration::from_millis(100),
            read_your_writes_scope: Scope::Session,
            pool_wait: Duration::from_secs(10),
            writer_wait: Duration::from_secs(10),
            max_waiting_for_writer: 10_000,
            moved_reads: 10,
            pool_idle: Duration::from_secs(60),
            pool_lifetime: Duration::from_secs(3600),
            connect_timeout: Duration::from_secs(3),
            sign_in_timeout: Duration::from_secs(10),
            hold_results: Duration::from_secs(5),
            max_allowed_packet: 64 << 20,
            request_memory: None,
            local_infile: false,
            max_statements: 16_382,
            max_statements_per_connection: 256,
            time_zone: jiff::tz::TimeZone::UTC,
            wait_timeout: Duration::from_secs(28_800),
            slow_statement: Some(Duration::from_secs(1)),
        }
    }
}

impl SessionSettings {
    /// The least that large requests can be held to: a request of the largest size, which is kept twice while it is served.
    pub fn least_request_memory(&self) -> usize {
        self.max_allowed_packet.saturating_mul(2).saturating_add(1 << 20)
    }

    /// Bytes that the large requests of all clients together may take.
    pub fn request_memory(&self) -> usize {
        self.request_memory.unwrap_or(REQUEST_MEMORY).max(self.least_request_memory())
    }
}

/// What large requests may take together where nothing is said.
const REQUEST_MEMORY: usize = 512 << 20;
