//! Rows of what workers hold: idle connections to servers, and statements that clients have prepared.

/// An idle connection: `stats_mysql_free_connections`.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct FreeRow {
    /// The descriptor of its socket.
    pub fd: i64,
    /// The hostgroup that it was taken for last.
    pub hostgroup: u32,
    /// Host.
    pub host: String,
    /// Port.
    pub port: u16,
    /// Whom it is signed in as.
    pub user: String,
    /// Its default schema; empty for none.
    pub schema: String,
    /// What connections of its hostgroup begin with; empty for nothing.
    pub init_connect: String,
    /// Its time zone, where one was set.
    pub time_zone: String,
    /// Its `sql_mode`, where one was set; else the server's own.
    pub sql_mode: String,
    /// Whether autocommit is on.
    pub autocommit: bool,
    /// How long it has been idle, in milliseconds, to the second.
    pub idle_ms: u64,
    /// How old it is, and how many statements its server has prepared for it: JSON.
    pub statistics: String,
    /// The server's number for it, and the worker that has it: JSON.
    pub info: String,
}

/// A text that clients have prepared: `stats_mysql_prepared_statements_info`.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct PreparedRow {
    /// A number of its own.
    pub id: u64,
    /// The default schema.
    pub schema: String,
    /// Who prepared it first.
    pub user: String,
    /// The digest's hash.
    pub digest: u64,
    /// Clients' statements that are this text.
    pub clients: u64,
    /// Connections to servers on which it is prepared.
    pub servers: u64,
    /// Columns of its result.
    pub columns: u64,
    /// Its parameters.
    pub parameters: u64,
    /// The text.
    pub text: String,
}
