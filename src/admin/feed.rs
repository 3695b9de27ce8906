//! What the admin port shows of a router that runs: rows, and the one trait that gives them.
//!
//! Nothing here knows SQL, and nothing here is asked for but by a statement that names the table: a [`Feed`] may merge
//! counters when it is asked. It is asked on the admin thread, so it may take some milliseconds (half a second where a worker
//! is stuck), and must not wait for a client or a backend. The units are those of ProxySQL's columns, which the names say.

use super::tables::values::Row;
use crate::backend::server::BackendId;
use std::borrow::Cow;
use std::collections::HashMap;

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

/// A name and a figure.
pub type Figure = (Cow<'static, str>, String);

/// One of them.
pub fn figure(name: &'static str, value: impl ToString) -> Figure {
    (Cow::Borrowed(name), value.to_string())
}

/// What is known of a router that runs. What is not counted yet gives no rows, never invented ones.
pub trait Feed: Send + Sync {
    /// The rows of a table of `stats` or `monitor`, in the order of its columns; none for one that nothing fills. `reset`: what
    /// is counted for it begins at zero in the same moment, for those tables that have a twin with `_reset`.
    fn rows(&self, table: &str, reset: bool) -> Option<Vec<Row>>;

    /// Figures of the whole, by ProxySQL's names where it has one.
    fn global_status(&self) -> Vec<Figure>;

    /// Where memory is, in bytes.
    fn memory(&self) -> Vec<Figure>;

    /// Processor time of the process since it began, in hundredths of seconds: its own, and the kernel's for it.
    fn processor_ticks(&self) -> Option<[u64; 2]>;

    /// Digests. `reset`: all are forgotten in the same moment.
    fn digests(&self, reset: bool) -> Vec<DigestRow>;

    /// Idle connections, by backend.
    fn idle(&self) -> HashMap<BackendId, u32>;

    /// The metrics page's text, where there is one.
    fn metrics(&self) -> Option<String>;
}
