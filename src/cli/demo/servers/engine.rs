//! The two kinds of servers, and what a module for one of them hands over to have it run. It starts nothing itself; [`super::mariadb`]
//! and [`super::mysql`] prepare, [`super::server`] runs.

use std::ffi::OsString;
use std::path::PathBuf;

/// The kind of a server.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Engine {
    /// MariaDB, as installed on the machine.
    MariaDb,
    /// Oracle's MySQL, from Debian's `sid` suite.
    MySql,
}

impl Engine {
    /// The engine's name for people.
    pub fn name(self) -> &'static str {
        match self {
            Engine::MariaDb => "MariaDB",
            Engine::MySql => "MySQL",
        }
    }
}

/// What an engine's module prepares: the data directory is in place, and this is the command that runs on it.
pub(super) struct Prepared {
    pub(super) engine: Engine,
    pub(super) program: PathBuf,
    pub(super) args: Vec<OsString>,
}
