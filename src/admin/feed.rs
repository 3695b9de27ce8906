//! What the admin port shows of a router that runs: plain rows, and the one trait that gives them.
//!
//! Nothing here knows SQL, and nothing here is asked for but by a statement that names the table: a [`Feed`] may merge
//! counters when it is asked. It is asked on the admin thread, so it may take some milliseconds (half a second where a worker
//! is stuck), and must not wait for a client or a backend. The units are those of ProxySQL's columns, which the names say.

pub mod estate;
pub mod held;

use estate::{FreshnessRow, RouteRow, TierRow, UnprovenRow};
use held::{FreeRow, PreparedRow};
use std::borrow::Cow;
use std::time::SystemTime;

/// A server of a hostgroup: `stats_mysql_connection_pool`.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct PoolRow {
    /// Hostgroup.
    pub hostgroup: u32,
    /// Host name, or the path of a unix socket.
    pub host: String,
    /// Port; 0 for a unix socket.
    pub port: u16,
    /// ProxySQL's word: ONLINE, SHUNNED, OFFLINE_SOFT, OFFLINE_HARD.
    pub status: &'static str,
    /// Connections in use.
    pub used: u64,
    /// Idle connections.
    pub free: u64,
    /// Connections that were made.
    pub ok: u64,
    /// Connections that could not be made.
    pub errors: u64,
    /// The most that were open at a time.
    pub max_used: u64,
    /// Statements sent.
    pub queries: u64,
    /// Bytes sent to it.
    pub bytes_sent: u64,
    /// Bytes that came from it.
    pub bytes_received: u64,
    /// What the latest check took, in microseconds; 0 where none did.
    pub latency_us: u64,
}

/// A client's session: `stats_mysql_processlist`.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ProcessRow {
    /// The worker's number.
    pub thread: u64,
    /// The session's number, as the client was told and KILL takes it.
    pub session: u64,
    /// Who signed in.
    pub user: String,
    /// The default schema.
    pub schema: Option<String>,
    /// Where the client is.
    pub client: Option<String>,
    /// The client's port; none for the unix socket.
    pub client_port: Option<u16>,
    /// The hostgroup of its latest statement.
    pub hostgroup: Option<u32>,
    /// Our end of the connection to the server.
    pub local: Option<(String, u16)>,
    /// The server.
    pub server: Option<(String, u16)>,
    /// What it does: Sleep, Query, Execute, Connect …
    pub command: Cow<'static, str>,
    /// For how long, in milliseconds.
    pub time_ms: u64,
    /// The statement's digest, or its text where the setting allows it. Never a secret.
    pub info: Option<String>,
    /// Status flags of the latest OK.
    pub status_flags: u32,
    /// More of it, as JSON: pins, what it waits for.
    pub extended: Option<String>,
}

/// What was seen of one digest: `stats_mysql_query_digest`.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct DigestRow {
    /// Where it ran; -1 for what the router answered itself.
    pub hostgroup: i64,
    /// The session's default schema.
    pub schema: String,
    /// Who sent it.
    pub user: String,
    /// Where from; empty unless that is counted apart.
    pub client: String,
    /// The digest's hash.
    pub digest: u64,
    /// Its text.
    pub text: String,
    /// Times.
    pub count: u64,
    /// Seconds since 1970.
    pub first_seen: u64,
    /// Seconds since 1970.
    pub last_seen: u64,
    /// Microseconds.
    pub sum_us: u64,
    /// Microseconds.
    pub min_us: u64,
    /// Microseconds.
    pub max_us: u64,
    /// Rows that it changed.
    pub rows_affected: u64,
    /// Rows that it gave.
    pub rows_sent: u64,
}

/// Statements of a kind, by how long they took: `stats_mysql_commands_counters`.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct CommandRow {
    /// The kind: SELECT, INSERT …
    pub command: Cow<'static, str>,
    /// Microseconds, of all of them.
    pub total_us: u64,
    /// How many.
    pub total: u64,
    /// How many took up to 100 and 500 µs; 1, 5, 10, 50, 100 and 500 ms; 1, 5 and 10 s; and longer.
    pub buckets: [u64; 12],
}

/// How often a rule matched: `stats_mysql_query_rules`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct RuleHitRow {
    /// The rule.
    pub rule_id: u32,
    /// Times.
    pub hits: u64,
}

/// An account's sessions: `stats_mysql_users`.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct UserRow {
    /// The account.
    pub username: String,
    /// Its sessions.
    pub connections: u64,
    /// The most that it may have; 0 where there is no limit.
    pub max_connections: u64,
}

/// Errors of backends: `stats_mysql_errors`.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ErrorRow {
    /// Hostgroup; -1 for the router's own.
    pub hostgroup: i64,
    /// Host.
    pub host: String,
    /// Port.
    pub port: u16,
    /// Whose statement.
    pub user: String,
    /// Where the client is.
    pub client: String,
    /// The default schema.
    pub schema: String,
    /// The error's number.
    pub code: u16,
    /// Times.
    pub count: u64,
    /// Seconds since 1970.
    pub first_seen: u64,
    /// Seconds since 1970.
    pub last_seen: u64,
    /// The latest text.
    pub text: String,
}

/// A check of a backend, for the logs of `monitor`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CheckRow {
    /// Host.
    pub host: String,
    /// Port.
    pub port: u16,
    /// When it began.
    pub at: SystemTime,
    /// Which log it belongs to.
    pub kind: CheckKind,
    /// What it took, in microseconds; 0 where it failed.
    pub took_us: u64,
    /// What a check of `read_only` or of the lag found.
    pub value: Option<i64>,
    /// Why it failed.
    pub error: Option<String>,
}

/// The kinds of checks.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum CheckKind {
    /// Connecting and signing in.
    Connect,
    /// A ping.
    Ping,
    /// Whether it is read-only.
    ReadOnly,
    /// How far behind it is.
    ReplicationLag,
}

/// A change of a backend's health, with its cause.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct HealthRow {
    /// Host.
    pub host: String,
    /// Port.
    pub port: u16,
    /// When.
    pub at: SystemTime,
    /// From which state.
    pub from: &'static str,
    /// To which.
    pub to: &'static str,
    /// Why.
    pub cause: String,
}

/// A name and a figure.
pub type Figure = (Cow<'static, str>, String);

/// One of them.
pub fn figure(name: &'static str, value: impl ToString) -> Figure {
    (Cow::Borrowed(name), value.to_string())
}

/// What is known of a router that runs. What is not counted yet gives no rows, never invented ones.
pub trait Feed: Send + Sync {
    /// Servers and their connections, hostgroup by hostgroup. `reset`: counters begin at zero again afterwards.
    fn connection_pool(&self, reset: bool) -> Vec<PoolRow>;

    /// The accounts' sessions.
    fn users(&self) -> Vec<UserRow>;

    /// Figures of the whole, by ProxySQL's names where it has one.
    fn global_status(&self) -> Vec<Figure>;

    /// Where memory is, in bytes.
    fn memory(&self) -> Vec<Figure> {
        Vec::new()
    }

    /// Processor time of the process since it began, in hundredths of seconds: its own, and the kernel's for it.
    fn processor_ticks(&self) -> Option<[u64; 2]> {
        None
    }

    /// Clients' sessions.
    fn processlist(&self) -> Vec<ProcessRow> {
        Vec::new()
    }

    /// Digests. `reset`: all are forgotten in the same moment.
    fn digests(&self, reset: bool) -> Vec<DigestRow> {
        let _ = reset;
        Vec::new()
    }

    /// Forgets all digests, and says how many there were.
    fn forget_digests(&self) -> u64 {
        self.digests(true).len() as u64
    }

    /// Statements by kind.
    fn commands(&self) -> Vec<CommandRow> {
        Vec::new()
    }

    /// Hits of rules.
    fn rule_hits(&self) -> Vec<RuleHitRow> {
        Vec::new()
    }

    /// Errors of backends. `reset`: all are forgotten in the same moment.
    fn errors(&self, reset: bool) -> Vec<ErrorRow> {
        let _ = reset;
        Vec::new()
    }

    /// Checks of backends, the latest of each kind.
    fn checks(&self) -> Vec<CheckRow> {
        Vec::new()
    }

    /// Idle connections.
    fn free_connections(&self) -> Vec<FreeRow> {
        Vec::new()
    }

    /// Texts that clients have prepared.
    fn prepared(&self) -> Vec<PreparedRow> {
        Vec::new()
    }

    /// Where routes lead now.
    fn tiers(&self) -> Vec<TierRow> {
        Vec::new()
    }

    /// The ways that statements took.
    fn routes(&self) -> Vec<RouteRow> {
        Vec::new()
    }

    /// Statements of which something is not proven.
    fn unproven(&self) -> Vec<UnprovenRow> {
        Vec::new()
    }

    /// How fresh servers are.
    fn freshness(&self) -> Vec<FreshnessRow> {
        Vec::new()
    }

    /// The metrics page's text, where there is one.
    fn metrics(&self) -> Option<String> {
        None
    }

    /// Changes of backends' health, the latest of each backend.
    fn health(&self) -> Vec<HealthRow> {
        Vec::new()
    }
}
