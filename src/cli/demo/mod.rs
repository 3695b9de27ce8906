//! `switchboard demo`: the estate in small, real servers and real traffic, with the servers' own logs as the judge.
//!
//! It starts an SDC master, its replica and an Aurora stand-in ([`estate`]), loads two years of calls ([`load`]), feeds
//! Aurora from the master's binary log ([`applier`]), starts the router on `rules/bigdb.toml` ([`router`]), and drives an
//! application's traffic through it ([`traffic`]) while it stops Aurora and starts it again. Every statement is entered in
//! a book ([`ledger`]) and judged at the end ([`verify`]).
//!
//! Its parts can also be run one by one against servers that are there already ([`parts`]), as the local stack does.
//!
//! Behind the feature `demo`. Nothing outside [`crate::cli`] may import it but the integration tests, which start their
//! servers by [`servers`].

pub mod applier;
pub mod estate;
pub mod ledger;
pub mod load;
mod parts;
mod random;
pub mod router;
mod run;
mod screen;
pub mod servers;
pub mod traffic;
pub mod verify;

pub use run::{DemoArgs, demo};

/// Why the demo could not go on.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum DemoError {
    /// A server could not be had, started or asked.
    #[error(transparent)]
    Server(#[from] servers::ServerError),
    /// A client library's error outside of the traffic, where errors are results.
    #[error("a server refused the demo's own statement: {0}")]
    Client(#[from] mysql_async::Error),
    /// The change applier cannot go on by itself.
    #[error("the change applier: {0}")]
    Applier(String),
    /// A date beyond the calendar: the machine's clock is wrong.
    #[error("the machine's clock gives no usable date: {0}")]
    Clock(#[from] jiff::Error),
    /// A file, a terminal or a log.
    #[error("{0}")]
    Io(#[from] std::io::Error),
    /// A thread of the set-up failed without an error of its own.
    #[error("starting {0} failed")]
    Thread(&'static str),
}
