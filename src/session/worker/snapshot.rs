//! One version of all configuration, as sessions see it.
//!
//! `app` makes it from what `config` has loaded, and publishes it as a whole; a statement uses one from its start to its end. It refuses
//! to be changed: what servers are like at the moment is in [`crate::backend`], which it points to.

use super::settings::SessionSettings;
use crate::auth::{Accounts, GuessLimits, Plugin, RsaKey};
use crate::backend::Topology;
use crate::backend::check::Checks;
use crate::backend::heartbeat;
use crate::backend::server::{Backend, Greeted};
use crate::rules::RuleSet;
use crate::rules::coverage::Needs;
use std::sync::Arc;
use std::time::Duration;

/// Everything that a reload can change, published as one. A statement uses one snapshot from start to end.
#[derive(Clone)]
pub struct Snapshot {
    /// Counts up with every publication.
    pub version: u64,
    /// The rules.
    pub rules: Arc<RuleSet>,
    /// Hostgroups and backends.
    pub topology: Topology,
    /// Who may sign in.
    pub accounts: Arc<Accounts>,
    /// Limits and defaults.
    pub settings: SessionSettings,
    /// How clients are received.
    pub frontend: Frontend,
    /// How the backends are checked.
    pub checks: Checks,
    /// How heartbeats are written and read; none: there are none.
    pub heartbeat: Option<heartbeat::Settings>,
    /// Time after which the backends' definitions are read again.
    pub catalogue_interval: Duration,
    /// The routes that must have somebody for the router to be called ready.
    pub ready: Needs,
}

/// How clients are received, as far as a reload can change it.
#[derive(Clone)]
pub struct Frontend {
    /// The version text of the greeting; none: the writer's own.
    pub version: Option<Box<str>>,
    /// The collation of the greeting, by the low byte of its number; none: the writer's own.
    pub collation: Option<u8>,
    /// The sign-in plugin that the greeting names.
    pub plugin: Plugin,
    /// TLS, if there is any.
    pub tls: Option<Arc<rustls::ServerConfig>>,
    /// Clients on plain TCP are turned away.
    pub require_secure: bool,
    /// Our RSA key for passwords over plain TCP; none: one that is made when first needed.
    pub rsa: Option<Arc<RsaKey>>,
    /// What those who give wrong passwords are held to.
    pub guesses: GuessLimits,
    /// Clients at a time, of all workers.
    pub max_clients: usize,
}

/// What a greeting says before any writer has been heard.
const DEFAULT_VERSION: &str = "5.5.5-10.11.0-MariaDB-switchboard";
/// `utf8mb4_general_ci`, likewise.
const DEFAULT_COLLATION: u8 = 45;

impl Snapshot {
    /// What the greeting says: what is configured, and else what the writer's own greeting said, to the byte: clients look for
    /// MariaDB's name in the version, and for what stands before it. A greeting comes before anybody knows who the client is,
    /// so it cannot go by the client's route: of several writers, the first that has been met speaks, in the order of the
    /// hostgroups' numbers.
    pub fn greeting(&self) -> Greeted {
        let met = self.writers().find_map(|backend| backend.greeted());
        let version = met.as_ref().map_or(DEFAULT_VERSION, |greeted| &greeted.version);
        // The byte is 0 for MariaDB's utf8mb4_uca1400_ai_ci (2304), which does not fit: no client has a collation of that number.
        let collation = met.as_ref().map(|greeted| greeted.collation).filter(|byte| *byte != 0);
        Greeted {
            version: self.frontend.version.as_deref().unwrap_or(version).to_owned(),
            collation: self.frontend.collation.or(collation).unwrap_or(DEFAULT_COLLATION),
        }
    }

    /// The members of the writer hostgroups, in the order of the hostgroups' numbers.
    pub fn writers(&self) -> impl Iterator<Item = &Arc<Backend>> {
        self.topology.hostgroups().filter(|h| h.writer).flat_map(|h| h.members.iter().map(|m| &m.backend))
    }
}
