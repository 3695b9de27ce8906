//! The types of the settings for hostgroups, backends and health checks.
//!
//! `config::topology` fills in the former two and `config::server` the last; `app` makes the running backends of
//! them. Nothing is read or checked here.

use crate::auth::Secret;
use crate::backend::attributes::Attributes;
use crate::backend::connect::Target;
use crate::backend::heartbeat::Feed;
use std::time::Duration;

/// How a backend of a hostgroup is chosen.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub enum Policy {
    /// The fewest statements under way, in proportion to the weight.
    #[default]
    LeastOutstanding,
    /// One after the other, in proportion to the weight.
    RoundRobin,
}

impl Policy {
    /// All of them, by the names that files use.
    pub const NAMES: [(&'static str, Policy); 3] = [
        ("least_outstanding", Policy::LeastOutstanding),
        ("weights", Policy::RoundRobin),
        ("round_robin", Policy::RoundRobin),
    ];
}

/// A hostgroup, as far as its backends are concerned. Its role and horizon are in the rules' own settings too.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct HostgroupSettings {
    /// Its number.
    pub id: u32,
    /// Its name, for people; may be empty.
    pub name: Box<str>,
    /// True for a writer.
    pub writer: bool,
    /// Whether a server of a writer hostgroup that says it is read-only takes no writes; none: where it has several.
    pub check_read_only: Option<bool>,
    /// How one of its backends is chosen.
    pub policy: Policy,
    /// What its connections are held to.
    pub attributes: Attributes,
    /// What brings a writer's rows to its servers.
    pub feed: Feed,
}

/// Whether the configuration lets a backend be used.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub enum AdminStatus {
    /// It is.
    #[default]
    Online,
    /// Nothing new is sent to it; sessions that need it stay until they are done (ProxySQL's OFFLINE_SOFT).
    Draining,
    /// Nothing is sent to it (ProxySQL's OFFLINE_HARD).
    Disabled,
}

impl AdminStatus {
    /// All of them, by the names that files use; ProxySQL's are taken too.
    pub const NAMES: [(&'static str, AdminStatus); 6] = [
        ("online", AdminStatus::Online),
        ("draining", AdminStatus::Draining),
        ("disabled", AdminStatus::Disabled),
        ("ONLINE", AdminStatus::Online),
        ("OFFLINE_SOFT", AdminStatus::Draining),
        ("OFFLINE_HARD", AdminStatus::Disabled),
    ];
}

/// One backend.
#[derive(Clone, Debug)]
pub struct BackendSettings {
    /// The hostgroups that it is in; at least one.
    pub hostgroups: Vec<u32>,
    /// Where it listens, and how it is spoken to.
    pub target: Target,
    /// Its share within a hostgroup, 1 to 10,000,000. 0 takes nothing while others are there.
    pub weight: u32,
    /// Connections to it at a time, of all workers together; at least 1.
    pub max_connections: u32,
    /// The most seconds that it may be behind its master to take reads; 0: it is not asked.
    pub max_replication_lag: u32,
    /// Where it stands, for people.
    pub zone: Option<Box<str>>,
    /// Whether it is used.
    pub status: AdminStatus,
    /// For people.
    pub comment: Box<str>,
}

/// What becomes of a reader that may be behind by so much only, and does not say by how much it is.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub enum UnknownLag {
    /// It stays what it is: one that serves goes on, one that is left out stays out.
    #[default]
    Keep,
    /// It is left out.
    LeaveOut,
}

impl UnknownLag {
    /// All of them, by the names that files use.
    pub const NAMES: [(&'static str, UnknownLag); 2] =
        [("keep", UnknownLag::Keep), ("leave_out", UnknownLag::LeaveOut)];
}

/// What is made of statements at a server whose triggers, views and routines are not known.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub enum UnknownCatalogue {
    /// They may have left something on their connections, which are reset before another session has them.
    #[default]
    Reset,
    /// They are taken to leave nothing but what servers report.
    Trust,
}

impl UnknownCatalogue {
    /// All of them, by the names that files use.
    pub const NAMES: [(&'static str, UnknownCatalogue); 2] =
        [("reset", UnknownCatalogue::Reset), ("trust", UnknownCatalogue::Trust)];
}

/// Whom health checks sign in as, and when.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct HealthCheck {
    /// The user. None: checks go no further than the greeting.
    pub username: Option<String>,
    /// Its password.
    pub password: Option<Secret>,
    /// When, and how often.
    pub timing: HealthSettings,
    /// What becomes of a reader with a limit on its lag whose lag is not known.
    pub unknown_lag: UnknownLag,
    /// What is made of statements at a server whose definitions are not known.
    pub unknown_catalogue: UnknownCatalogue,
}

/// How heartbeats are written and read, and by whom.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct HeartbeatSettings {
    /// They are.
    pub enabled: bool,
    /// The schema of their table.
    pub schema: Box<str>,
    /// Time between two.
    pub interval: Duration,
    /// The table is made where it is missing.
    pub create: bool,
    /// Until a writer has one, reads that must see a write stay on the writer; otherwise the window counts until then.
    pub required: bool,
    /// Who signs in; none: whoever checks.
    pub username: Option<String>,
    /// The password.
    pub password: Option<Secret>,
}

impl Default for HeartbeatSettings {
    fn default() -> Self {
        Self {
            enabled: true,
            schema: "switchboard".into(),
            interval: Duration::from_millis(250),
            create: false,
            required: true,
            username: None,
            password: None,
        }
    }
}

/// When health checks are made, and what they bring about.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct HealthSettings {
    /// Time between two checks of a backend that is well.
    pub interval: Duration,
    /// Time between two checks of one that is not.
    pub retry_interval: Duration,
    /// How long one check may take.
    pub timeout: Duration,
    /// How long a server may leave a check unanswered before its reads are run elsewhere; 0: that is not looked for.
    pub silence: Duration,
    /// Time after which a server's definitions are read again.
    pub catalogue_interval: Duration,
    /// Checks that fail one after the other before a backend is taken for down.
    pub fall: u32,
    /// Checks that succeed one after the other before it is taken for up again.
    pub rise: u32,
}

impl Default for HealthSettings {
    fn default() -> Self {
        Self {
            interval: Duration::from_secs(2),
            retry_interval: Duration::from_millis(500),
            timeout: Duration::from_secs(1),
            silence: Duration::from_millis(500),
            catalogue_interval: Duration::from_secs(30),
            fall: 3,
            rise: 2,
        }
    }
}
