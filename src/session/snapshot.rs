//! One version of all configuration, as sessions see it.

use crate::auth::{Accounts, GuessLimits, Plugin, RsaKey};
use crate::backend::Topology;
use crate::backend::check::Checks;
use crate::rules::RuleSet;
use crate::rules::coverage::Needs;
use crate::session::settings::SessionSettings;
use std::sync::Arc;

/// Everything that a reload can change, published as one. A statement uses one snapshot from start to end.
pub struct Snapshot {
    /// Counts up with every publication.
    pub version: u64,
    /// The rules.
    pub rules: Arc<RuleSet>,
    /// Hostgroups and backends.
    pub topology: Topology,
    /// Who may sign in.
    pub accounts: Accounts,
    /// Limits and defaults.
    pub settings: SessionSettings,
    /// How clients are received.
    pub frontend: Frontend,
    /// How the backends are checked.
    pub checks: Checks,
    /// The routes that must have somebody for the router to be called ready.
    pub ready: Needs,
}

/// How clients are received, as far as a reload can change it.
pub struct Frontend {
    /// The version text of the greeting; none: what the first writer that answered said of itself.
    pub version: Option<Box<str>>,
    /// The version that a writer said it has.
    pub learnt_version: Arc<std::sync::OnceLock<String>>,
    /// The collation of the greeting.
    pub collation: u16,
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
const DEFAULT_VERSION: &str = "10.11.0-MariaDB-switchboard";

impl Frontend {
    /// The version for a greeting. MariaDB's clients look for MariaDB's name in it, so it is not decorated.
    pub fn server_version(&self) -> String {
        let own = self.version.as_deref().or_else(|| self.learnt_version.get().map(String::as_str));
        own.unwrap_or(DEFAULT_VERSION).to_owned()
    }
}
