//! Why a server for the demo or a test could not be had, in words that say what to do.
//!
//! All files of [`super`] return these errors. A server that is missing is an error and never a silent skip.

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
    #[error("no free loopback port between {first} and {last}")]
    NoPort {
        /// The first that was tried.
        first: u16,
        /// The last.
        last: u16,
    },
    /// Certificates could not be made.
    #[error("cannot make certificates: {0}")]
    Certificates(String),
}

/// What calls of these modules return.
pub type Result<T> = std::result::Result<T, ServerError>;

/// Wraps an I/O error with what was tried on which path.
pub(super) fn at(action: &'static str, path: &Path) -> impl FnOnce(io::Error) -> ServerError {
    let path = path.to_owned();
    move |source| ServerError::File { action, path, source }
}
