//! The type of the settings for the process as a whole: threads, control ports, logs, and its end.
//!
//! `config::server` fills it in, and `app` acts on it. The defaults here are those of an empty file.

use super::admin::AdminSettings;
use crate::auth::Secret;
use crate::rules::coverage::Needs;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::time::Duration;

/// What the process as a whole is told.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ProcessSettings {
    /// Worker threads. None: one per core.
    pub workers: Option<usize>,
    /// What sessions send in a turn goes out together, where the system has io_uring.
    pub io_uring: bool,
    /// The admin port.
    pub admin: Option<AdminSettings>,
    /// The HTTP port: metrics, health and the status page.
    pub http: Option<SocketAddr>,
    /// What the status page asks for, where it is not on loopback.
    pub http_password: Option<Secret>,
    /// The routes that must have somebody for the router to be called ready.
    pub ready: Needs,
    /// Where the process writes its number, for `switchboard reload`.
    pub pid_file: Option<PathBuf>,
    /// How long statements and transactions may go on after SIGTERM.
    pub drain_timeout: Duration,
    /// The log's level: error, warn, info, debug or trace; or a filter in `tracing`'s own words.
    pub log_level: Box<str>,
    /// The log is written as JSON, one object a line.
    pub log_json: bool,
}

impl Default for ProcessSettings {
    fn default() -> Self {
        Self {
            workers: None,
            io_uring: true,
            admin: None,
            http: None,
            http_password: None,
            ready: Needs::default(),
            pid_file: None,
            drain_timeout: Duration::from_secs(30),
            log_level: "info".into(),
            log_json: false,
        }
    }
}
