//! Rows of what ProxySQL has no table for: where routes lead now, which were taken, what was not proven, how fresh servers are.

/// A hostgroup in a route's order: `switchboard_tiers`.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct TierRow {
    /// Whose route: `rule`, `fast_route`, `default`.
    pub route: &'static str,
    /// The rule, for a rule's.
    pub rule_id: Option<u32>,
    /// The user, for a user's default.
    pub username: Option<String>,
    /// Its place in the order, from 1.
    pub tier: u64,
    /// Its number.
    pub hostgroup: u32,
    /// Its name.
    pub name: String,
    /// `writer` or `reader`.
    pub role: &'static str,
    /// How much of the past it holds; none: everything.
    pub horizon: Option<String>,
    /// Who takes what of the route may not run on a reader.
    pub writer: u32,
    /// Its servers.
    pub servers: u64,
    /// Those that would take a statement now.
    pub ready: u64,
    /// Those that would, but for their replication lag.
    pub lagging: u64,
    /// In a word: `serving`, `degraded`, `out`, `empty`.
    pub state: &'static str,
    /// True for the first tier that would take a statement now.
    pub takes: bool,
}

/// A way that statements took: `switchboard_routes`.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct RouteRow {
    /// Where they ran; -1 for what the router answered itself.
    pub hostgroup: i64,
    /// The rule that decided.
    pub rule_id: Option<u32>,
    /// Why, in a word.
    pub reason: &'static str,
    /// The hostgroup's place in the route's order; none where the session's state chose it.
    pub tier: Option<u64>,
    /// True where an earlier tier could not.
    pub fallback: bool,
    /// Times.
    pub count: u64,
    /// Seconds since 1970.
    pub first_seen: u64,
    /// Seconds since 1970.
    pub last_seen: u64,
}

/// Statements of which something is not proven: `switchboard_unproven`.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct UnprovenRow {
    /// What: `effects`, `function`, `horizon`.
    pub what: &'static str,
    /// Why not.
    pub reason: &'static str,
    /// Their digest; none for those that did not fit.
    pub digest: Option<UnprovenDigest>,
    /// Times.
    pub count: u64,
}

/// The digest of an [`UnprovenRow`].
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct UnprovenDigest {
    /// Where they ran; -1 for what was refused.
    pub hostgroup: i64,
    /// The session's default schema.
    pub schema: String,
    /// Who sent them.
    pub user: String,
    /// The digest's hash.
    pub digest: u64,
    /// Its text.
    pub text: String,
    /// Seconds since 1970.
    pub first_seen: u64,
    /// Seconds since 1970.
    pub last_seen: u64,
}

/// How fresh a server's answers are: `switchboard_freshness`.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct FreshnessRow {
    /// Hostgroup.
    pub hostgroup: u32,
    /// Host.
    pub host: String,
    /// Port.
    pub port: u16,
    /// `writer` or `reader`.
    pub role: &'static str,
    /// What kind of answer the question for its lag has: `known`, `stands_still`, `not_a_replica`, `unreadable`, `not_asked`.
    pub signal: &'static str,
    /// The seconds that it counts as behind.
    pub lag_seconds: Option<u64>,
    /// The most that it may be behind; 0: it is not asked.
    pub max_replication_lag: u64,
    /// Up to where it has done what its source did.
    pub position: Option<String>,
    /// The same in GTIDs.
    pub gtid: Option<String>,
    /// Milliseconds since it was asked.
    pub asked_ms_ago: Option<u64>,
    /// True if it takes statements of its hostgroup now.
    pub readable: bool,
    /// Why not.
    pub why: Option<String>,
    /// For how long after a write of its own a session does not read here; none where that has no meaning.
    pub read_your_writes_ms: Option<u64>,
}
