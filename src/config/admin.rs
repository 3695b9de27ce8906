//! Reads `[admin]`: where the admin SQL port listens, who may sign in there, and what it may take.
//!
//! The settings' types are here, too. What each role may do is enforced in the module `admin`. Accounts of the admin
//! port are read with the functions of [`super::users`], and are no accounts of the traffic.

use super::listen::socket_address;
use super::reader::Section;
use super::users;
use crate::auth::AccountSpec;
use std::net::SocketAddr;
use std::time::Duration;

/// What an account of the admin port may do.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum AdminRole {
    /// Everything.
    Admin,
    /// Reads everything but passwords; drains backends, reloads, pauses, kills. Changes no rule and no user.
    Operator,
    /// Reads statistics, checks and variables.
    Stats,
}

impl AdminRole {
    /// All of them, by the names that files use.
    pub const NAMES: [(&'static str, AdminRole); 3] =
        [("admin", AdminRole::Admin), ("operator", AdminRole::Operator), ("stats", AdminRole::Stats)];

    /// The name that files use.
    pub fn name(self) -> &'static str {
        Self::NAMES.iter().find(|(_, role)| *role == self).map_or("", |(name, _)| name)
    }
}

/// One account of the admin port.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct AdminUser {
    /// What sign-in needs to know.
    pub account: AccountSpec,
    /// What it may do.
    pub role: AdminRole,
}

/// The admin port.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct AdminSettings {
    /// Where it listens. Settled at the start.
    pub address: SocketAddr,
    /// Who may sign in. Without anybody the port is not served.
    pub users: Vec<AdminUser>,
    /// Connections at a time.
    pub max_connections: u32,
    /// How long one statement may compute.
    pub statement_timeout: Duration,
    /// The largest result, in bytes: it is held until the client has taken it.
    pub max_result: usize,
    /// Versions of the configuration that are kept.
    pub history: usize,
    /// How often `stats_history` is added to.
    pub stats_history: Sampling,
}

/// How often each part of `stats_history` is added to; 0: not at all.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Sampling {
    /// Connections, and all that `stats_mysql_global` has.
    pub mysql_connections: Duration,
    /// The pool, server by server.
    pub mysql_connection_pool: Duration,
    /// Processor time.
    pub system_cpu: Duration,
    /// Memory.
    pub system_memory: Duration,
    /// Digests, which are then counted anew.
    pub mysql_query_digest: Duration,
}

impl Default for Sampling {
    fn default() -> Self {
        let minute = Duration::from_secs(60);
        Self {
            mysql_connections: minute,
            mysql_connection_pool: minute,
            system_cpu: minute,
            system_memory: minute,
            mysql_query_digest: Duration::ZERO,
        }
    }
}

/// ProxySQL's port, for this machine alone.
const DEFAULT_ADDRESS: ([u8; 4], u16) = ([127, 0, 0, 1], 6032);

impl Default for AdminSettings {
    fn default() -> Self {
        Self {
            address: SocketAddr::from(DEFAULT_ADDRESS),
            users: Vec::new(),
            max_connections: 64,
            statement_timeout: Duration::from_secs(10),
            max_result: 64 << 20,
            history: 100,
            stats_history: Sampling::default(),
        }
    }
}

/// Reads `[admin]` into what other files have said of it.
pub(super) fn read(section: &Section<'_>, settings: &mut AdminSettings) {
    if let Some(address) = section.parsed("address", socket_address) {
        settings.address = address;
    }
    if let Some(most) = section.small("max_connections", 1..=10_000) {
        settings.max_connections = most;
    }
    if let Some(limit) = section.duration("statement_timeout") {
        if limit.is_zero() {
            section.fault("statement_timeout", "must be more than 0");
        }
        settings.statement_timeout = limit;
    }
    if let Some(bytes) = section.size("max_result", 1 << 16..=1 << 32) {
        settings.max_result = bytes;
    }
    if let Some(versions) = section.small("history", 1..=10_000) {
        settings.history = versions as usize;
    }
    if let Some(section) = section.section("stats_history") {
        read_sampling(&section, &mut settings.stats_history);
    }
    for user in section.sections("user") {
        settings.users.extend(admin_user(&user));
    }
    section.finish(&[("users", "is spelled `[[admin.user]]` here")]);
    let mut names: Vec<&str> = Vec::new();
    for user in &settings.users {
        if names.contains(&user.account.name.as_str()) {
            section.fault("user", format!("user {} is there twice", user.account.name));
        }
        names.push(&user.account.name);
    }
}

/// The intervals, up to the longest that ProxySQL takes for each.
fn read_sampling(section: &Section<'_>, sampling: &mut Sampling) {
    let interval = |key: &'static str, most: u64, place: &mut Duration| {
        let Some(interval) = section.duration(key) else { return };
        if interval.subsec_nanos() > 0 || interval.as_secs() > most {
            section.fault(key, format!("must be whole seconds, 0 to {most}"));
        }
        *place = interval;
    };
    interval("mysql_connections", 300, &mut sampling.mysql_connections);
    interval("mysql_connection_pool", 300, &mut sampling.mysql_connection_pool);
    interval("system_cpu", 600, &mut sampling.system_cpu);
    interval("system_memory", 600, &mut sampling.system_memory);
    interval("mysql_query_digest", 24 * 3_600, &mut sampling.mysql_query_digest);
    section.finish(&[]);
}

fn admin_user(section: &Section<'_>) -> Option<AdminUser> {
    let name = section.text("username").filter(|name| !name.is_empty());
    if name.is_none() {
        section.fault("username", "a username is needed here");
    }
    let passwords = users::passwords(section);
    let role = section.choice("role", &AdminRole::NAMES);
    if !section.contains("role") {
        section.fault("", "role is missing: \"admin\", \"operator\" or \"stats\"");
    }
    let require_tls = section.flag("require_tls").unwrap_or(false);
    let max_connections = section.small("max_connections", 0..=u32::MAX).filter(|&n| n > 0);
    section.finish(&[]);
    let account = AccountSpec { name: name?, passwords, require_tls, max_connections, ..AccountSpec::default() };
    Some(AdminUser { account, role: role? })
}
