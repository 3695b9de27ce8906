//! The demo's servers: an SDC master, its replica, and a server that stands in for Aurora, each with the tables in
//! place.
//!
//! [`super::servers`] starts them, and all are gone when the [`Estate`] is dropped. Where MySQL cannot be had, a third
//! MariaDB stands in, and the estate says why. It loads no data; [`super::load`] does.

use super::DemoError;
use super::servers::{Engine, LogMark, Options, Server, User};
use mysql_async::{Opts, OptsBuilder};
use std::sync::Arc;

/// The tables, in both engines' words.
pub(super) const SCHEMA: &str = include_str!("schema.sql");
/// The application's user, in front of the router and behind it.
pub const APP: (&str, &str) = ("cdr_app", "cdr-secret");
/// The change applier's user.
pub const DMS: (&str, &str) = ("dms", "dms-secret");

/// Which server, in the order that screens show.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Place {
    /// The on-premise master: hostgroup 10.
    Master,
    /// The on-premise replica: hostgroup 30.
    Replica,
    /// Aurora, or what stands in for it: hostgroup 20.
    Aurora,
}

impl Place {
    /// All of them.
    pub const ALL: [Place; 3] = [Place::Master, Place::Replica, Place::Aurora];

    /// What belongs to this server, of three things in the order of [`Place::ALL`].
    pub fn of<T>(self, [master, replica, aurora]: &[T; 3]) -> &T {
        match self {
            Place::Master => master,
            Place::Replica => replica,
            Place::Aurora => aurora,
        }
    }

    /// The same, to be changed.
    pub fn of_mut<T>(self, [master, replica, aurora]: &mut [T; 3]) -> &mut T {
        match self {
            Place::Master => master,
            Place::Replica => replica,
            Place::Aurora => aurora,
        }
    }

    /// What people call it.
    pub fn name(self) -> &'static str {
        match self {
            Place::Master => "SDC master",
            Place::Replica => "SDC replica",
            Place::Aurora => "Aurora",
        }
    }
}

/// The three servers.
#[derive(Debug, Clone)]
pub struct Estate {
    /// The on-premise master.
    pub master: Arc<Server>,
    /// Its replica.
    pub replica: Arc<Server>,
    /// The Aurora stand-in.
    pub aurora: Arc<Server>,
    /// Why the stand-in is not MySQL, if it is not.
    pub substitute: Option<String>,
}

impl Estate {
    /// Starts the servers and makes the tables. Blocks for some seconds; the first time on a machine for some more.
    pub fn start() -> Result<Self, DemoError> {
        let aurora = std::thread::spawn(start_aurora);
        let master = Server::mariadb(options(Place::Master).with_binlog())?;
        // Through the binary log, so that the replica gets the tables from its master.
        master.sql(SCHEMA)?;
        let replica = Server::replica_of(&master, options(Place::Replica).with_binlog())?;
        let (aurora, substitute) = aurora.join().map_err(|_| DemoError::Thread("the Aurora stand-in"))??;
        aurora.sql(SCHEMA)?;
        Ok(Estate { master: Arc::new(master), replica: Arc::new(replica), aurora: Arc::new(aurora), substitute })
    }

    /// The server at a place.
    pub fn at(&self, place: Place) -> &Arc<Server> {
        match place {
            Place::Master => &self.master,
            Place::Replica => &self.replica,
            Place::Aurora => &self.aurora,
        }
    }

    /// The ends of the servers' logs as they are now.
    pub fn log_marks(&self) -> [LogMark; 3] {
        Place::ALL.map(|place| self.at(place).log_mark())
    }
}

/// MySQL, or a third MariaDB with the reason.
fn start_aurora() -> Result<(Server, Option<String>), DemoError> {
    match Server::mysql(options(Place::Aurora)) {
        Ok(server) => Ok((server, None)),
        Err(error) => Ok((Server::mariadb(options(Place::Aurora))?, Some(error.to_string()))),
    }
}

fn options(place: Place) -> Options {
    Options {
        name: place.name().to_owned(),
        users: vec![User::new(APP.0, APP.1), User::new(DMS.0, DMS.1)],
        buffer_pool_mib: 128,
        // One clock for all, so that a time means the same everywhere.
        args: vec!["--default-time-zone=+00:00".into()],
        ..Options::default()
    }
}

/// How a client library is to connect: no detour over a socket, no statements of its own.
pub fn client_options(port: u16, user: (&str, &str)) -> Opts {
    OptsBuilder::default()
        .ip_or_hostname("127.0.0.1")
        .tcp_port(port)
        .user(Some(user.0))
        .pass(Some(user.1))
        .db_name(Some("cdr"))
        .prefer_socket(false)
        .max_allowed_packet(Some(16 << 20))
        .wait_timeout(Some(28_800))
        .into()
}

/// The note on the screen for an Aurora stand-in.
pub fn stand_in(engine: Engine) -> &'static str {
    match engine {
        Engine::MySql => "stands in for it: real MySQL",
        Engine::MariaDb => "stands in for it: a third MariaDB",
    }
}
