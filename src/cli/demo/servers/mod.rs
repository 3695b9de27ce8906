//! Real database servers, started for the demo and for the integration tests: MariaDB as the machine has it, and Oracle's
//! MySQL unpacked from Debian's `sid` suite beside it.
//!
//! Each server has a data directory of its own under the temporary directory, a unix socket and a loopback port, and
//! settings for speed instead of durability. It is killed when it is dropped, and by the kernel when this process dies in
//! whatever way, so that none is left behind. Nothing here touches the system's own servers: what is not started
//! here is never stopped here. A server that cannot be had is an error that says what to do, never a silent skip.
//!
//! All calls block. They start processes and wait for them; call them from set-up code, not from a task that relays.
//!
//! Neighbours: [`super`] builds the demo's estate of these; `tests/common` wraps them for tests.

mod certificates;
mod client;
mod log;
mod mariadb;
mod mysql;
mod options;
mod place;
mod port;
mod process;
mod server;

pub use certificates::Certificates;
pub use client::sql_string;
pub use log::{LogMark, Seen};
pub use mysql::mysql_client;
pub use options::{Options, Plugin, Tls, User};
pub use place::RunDir;
pub use port::Port;
pub use process::Process;
pub use server::{Engine, Server};

use std::io;
use std::path::{Path, PathBuf};

/// Why a server could not be started, asked or stopped.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ServerError {
    /// A program that this needs is not on the machine.
    #[error("`{program}` is not installed. {advice}")]
    Missing {
        /// The program's name.
        program: String,
        /// The command that installs it.
        advice: String,
    },
    /// A file or directory could not be used.
    #[error("cannot {action} {path}: {source}")]
    File {
        /// What was tried: `create`, `copy`, …
        action: &'static str,
        /// On which path.
        path: PathBuf,
        /// Why not.
        source: io::Error,
    },
    /// A program could not be run at all.
    #[error("cannot run {program}: {source}")]
    Run {
        /// The program.
        program: String,
        /// Why not.
        source: io::Error,
    },
    /// A program that sets something up ended with an error.
    #[error("{program} failed ({status}):\n{output}")]
    Failed {
        /// The program.
        program: String,
        /// Its exit status.
        status: String,
        /// The end of what it wrote.
        output: String,
    },
    /// The server ended, or was not ready in time.
    #[error("{name} {what}. The end of its log ({log}):\n{tail}")]
    NotReady {
        /// The server's name.
        name: String,
        /// "ended while it was starting", …
        what: String,
        /// Where its log is.
        log: PathBuf,
        /// The log's last lines.
        tail: String,
    },
    /// The server refused a statement of the set-up.
    #[error("{name} refused a statement of the set-up: {message}")]
    Sql {
        /// The server's name.
        name: String,
        /// What the client said.
        message: String,
    },
    /// A replica did not reach its master's position.
    #[error("{name} did not catch up with its master: {message}")]
    Replication {
        /// The replica's name.
        name: String,
        /// Its own account of why.
        message: String,
    },
    /// No free port was found.
    #[error("no free loopback port between {} and {}", port::FIRST, port::LAST)]
    NoPort,
    /// Certificates could not be made.
    #[error("cannot make certificates: {0}")]
    Certificates(String),
}

/// What this module's calls return.
pub type Result<T> = std::result::Result<T, ServerError>;

/// Wraps an I/O error with what was tried on which path.
fn at(action: &'static str, path: &Path) -> impl FnOnce(io::Error) -> ServerError {
    let path = path.to_owned();
    move |source| ServerError::File { action, path, source }
}
