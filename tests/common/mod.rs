//! What integration tests share: real servers ([`MariaDb`], [`MySql`]), the router's own binary ([`router::Router`]), and
//! a link between them that can be made to fail ([`proxy::FaultProxy`]).
//!
//! A server that cannot be had fails the test with what to install; nothing is skipped. A test that only reads, or that
//! keeps to a schema of its own ([`Server::scratch_schema`]), takes a shared server; one that stops, pauses or
//! configures a server starts its own. A server of one's own costs about 0.3 s (MariaDB) or 1 s (MySQL).
//!
//! Servers' general logs are the ground truth of where a statement ran: put a text of your own into it (a literal such as
//! `'t42'`, or a plain comment) and look for that with [`Server::saw`] or [`Server::statements_since`].

// Each test binary has its own copy of this module and uses a part of it.
#![allow(dead_code, unused_imports)]

pub mod http;
pub mod proxy;
pub mod router;

pub use proxy::{Fault, FaultProxy};
pub use router::Router;
pub use switchboard::cli::demo::servers::{
    Certificates, Engine, LogMark, Options, Plugin, Port, Process, RunDir, Seen, Server, ServerError, Tls, User,
    mysql_client, sql_string,
};

use std::ops::Deref;
use std::sync::OnceLock;
use std::time::{Duration, Instant};

/// Unwraps what a server call gave, with the error's own text (it says what to install).
#[track_caller]
pub fn must<T>(result: Result<T, ServerError>) -> T {
    match result {
        Ok(value) => value,
        Err(error) => panic!("{error}"),
    }
}

/// A MariaDB of the test's own. All of [`Server`] is there by dereference.
#[derive(Debug)]
pub struct MariaDb(Server);

impl MariaDb {
    /// Starts one.
    #[track_caller]
    pub fn start(options: Options) -> Self {
        MariaDb(must(Server::mariadb(options)))
    }

    /// Starts one that writes a binary log, for [`MariaDb::replica_of`].
    #[track_caller]
    pub fn master() -> Self {
        MariaDb::start(Options::named("master").with_binlog())
    }

    /// Starts a replica of `master` and waits until it has all that the master has.
    #[track_caller]
    pub fn replica_of(master: &MariaDb) -> Self {
        MariaDb::replica_with(master, Options::named("replica").with_binlog())
    }

    /// The same with options.
    #[track_caller]
    pub fn replica_with(master: &MariaDb, options: Options) -> Self {
        MariaDb(must(Server::replica_of(master, options)))
    }

    /// The one MariaDB that all tests of a test binary share. Keep to a schema of your own.
    pub fn shared() -> &'static MariaDb {
        static SHARED: OnceLock<MariaDb> = OnceLock::new();
        SHARED.get_or_init(|| MariaDb::start(Options::named("shared MariaDB")))
    }

    /// A master and its replica that all tests of a test binary share.
    pub fn shared_pair() -> &'static (MariaDb, MariaDb) {
        static SHARED: OnceLock<(MariaDb, MariaDb)> = OnceLock::new();
        SHARED.get_or_init(|| {
            let master = MariaDb::master();
            let replica = MariaDb::replica_of(&master);
            (master, replica)
        })
    }
}

impl Deref for MariaDb {
    type Target = Server;
    fn deref(&self) -> &Server {
        &self.0
    }
}

/// A MySQL of the test's own.
#[derive(Debug)]
pub struct MySql(Server);

impl MySql {
    /// Starts one.
    #[track_caller]
    pub fn start(options: Options) -> Self {
        MySql(must(Server::mysql(options)))
    }

    /// The one MySQL that all tests of a test binary share. Keep to a schema of your own.
    pub fn shared() -> &'static MySql {
        static SHARED: OnceLock<MySql> = OnceLock::new();
        SHARED.get_or_init(|| MySql::start(Options::named("shared MySQL")))
    }
}

impl Deref for MySql {
    type Target = Server;
    fn deref(&self) -> &Server {
        &self.0
    }
}

/// Waits until a condition holds, looking every 10 ms; panics with `what` after `limit`.
#[track_caller]
pub fn wait_until(what: &str, limit: Duration, mut condition: impl FnMut() -> bool) {
    let deadline = Instant::now() + limit;
    while !condition() {
        assert!(Instant::now() < deadline, "not within {limit:?}: {what}");
        std::thread::sleep(Duration::from_millis(10));
    }
}
