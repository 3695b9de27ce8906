//! A running server, of either engine: starting, asking, stopping and reading its log.
//!
//! [`super::mariadb`] and [`super::mysql`] prepare the command and the data directory. Each server has a port and a
//! directory of its own, and both are gone when it is dropped. All calls block.

use super::client::{create_user, sql};
use super::engine::{Engine, Prepared};
use super::log::{self, LogMark, Seen};
use super::options::{Options, User};
use super::place::{RunDir, tail};
use super::port::Port;
use super::process::Process;
use super::{Result, ServerError, mariadb, mysql};
use std::ffi::OsString;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::sync::{Mutex, MutexGuard};
use std::time::{Duration, Instant};

/// How long a server may take to come up. A loaded machine is slow; a server that is broken ends by itself long before.
const READY: Duration = Duration::from_secs(60);
/// How long a server may take to go down when asked.
const STOP: Duration = Duration::from_secs(20);
/// How long a replica may take to reach its master.
const CATCH_UP: Duration = Duration::from_secs(30);
/// The user that replicas sign in with.
const REPLICATION_USER: (&str, &str) = ("repl", "repl-secret");

/// A server of ours. Dropping it kills the process and removes its data.
#[derive(Debug)]
pub struct Server {
    engine: Engine,
    name: String,
    program: PathBuf,
    args: Vec<OsString>,
    port: Port,
    // Before `dir`: the process must be gone when its files are removed.
    process: Mutex<Option<Process>>,
    dir: RunDir,
}

impl Server {
    /// Starts a MariaDB.
    pub fn mariadb(options: Options) -> Result<Self> {
        Server::start(mariadb::prepare, options)
    }

    /// Starts a MySQL. The first call on a machine unpacks it: about ten seconds and 330 MB.
    pub fn mysql(options: Options) -> Result<Self> {
        Server::start(mysql::prepare, options)
    }

    /// Starts a MariaDB that replicates from another by GTID. The master must have been started with a binary log.
    /// Returns once the replica has all that the master had.
    pub fn replica_of(master: &Server, options: Options) -> Result<Self> {
        let replica = Server::mariadb(options)?;
        let (user, password) = REPLICATION_USER;
        replica.sql(&format!(
            "CHANGE MASTER TO MASTER_HOST='127.0.0.1', MASTER_PORT={}, MASTER_USER='{user}', MASTER_PASSWORD='{password}', \
             MASTER_USE_GTID=slave_pos, MASTER_CONNECT_RETRY=1; START SLAVE;",
            master.port()
        ))?;
        replica.wait_for(master)?;
        Ok(replica)
    }

    fn start(prepare: fn(&Options, &RunDir, &Port) -> Result<Prepared>, mut options: Options) -> Result<Self> {
        let (dir, port) = (RunDir::new()?, Port::take()?);
        let Prepared { engine, program, args } = prepare(&options, &dir, &port)?;
        if options.name.is_empty() {
            options.name = format!("{}:{}", engine.name(), port.number());
        }
        let server = Server { engine, name: options.name.clone(), program, args, port, process: Mutex::new(None), dir };
        server.start_again()?;
        server.set_up(&options)?;
        Ok(server)
    }

    /// Users and first statements. None may reach a replica, which has its own, or the general log, which is for what
    /// is done to the server later (and would show the passwords).
    fn set_up(&self, options: &Options) -> Result<()> {
        let mut script = String::from("SET SESSION sql_log_bin = 0, sql_log_off = 1;\n");
        for user in &options.users {
            script += &create_user(self.engine, user);
        }
        if options.binlog {
            let (name, password) = REPLICATION_USER;
            script += &create_user(self.engine, &User::new(name, password));
        }
        for statement in &options.init {
            script += statement.trim_end_matches(';');
            script += ";\n";
        }
        if options.read_only {
            script += "SET GLOBAL read_only = 1;\n";
        }
        self.sql(&script).map(drop)
    }

    /// Which engine this is.
    pub fn engine(&self) -> Engine {
        self.engine
    }

    /// The server's name in messages.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// The TCP port on 127.0.0.1. It stays ours while the server is down.
    pub fn port(&self) -> u16 {
        self.port.number()
    }

    /// The TCP address.
    pub fn address(&self) -> SocketAddr {
        self.port.address()
    }

    /// The unix socket.
    pub fn socket(&self) -> PathBuf {
        self.dir.path().join("s")
    }

    /// The data directory.
    pub fn data_dir(&self) -> PathBuf {
        self.dir.path().join("data")
    }

    /// Where the server writes its errors.
    pub fn error_log(&self) -> PathBuf {
        self.dir.path().join("error.log")
    }

    /// The process id, if the server runs.
    pub fn pid(&self) -> Option<u32> {
        self.process().as_ref().map(Process::id)
    }

    /// A URL that client libraries take.
    pub fn url(&self, user: &User, schema: &str) -> String {
        format!("mysql://{}:{}@{}/{schema}", user.name, user.password, self.address())
    }

    fn process(&self) -> MutexGuard<'_, Option<Process>> {
        self.process.lock().unwrap_or_else(std::sync::PoisonError::into_inner)
    }

    /// Runs statements as root over the unix socket; gives the rows of all results, in order, as text. Not for hot
    /// loops: each call is a process.
    pub fn sql(&self, statements: &str) -> Result<Vec<Vec<String>>> {
        sql(&self.name, &self.socket(), statements)
    }

    /// The first value of the first row that a statement gives; empty if there is none.
    pub fn value(&self, statement: &str) -> Result<String> {
        let rows = self.sql(statement)?;
        Ok(rows.into_iter().next().and_then(|row| row.into_iter().next()).unwrap_or_default())
    }

    /// Makes an empty schema with a name of its own, for tests that share a server. Gives the name.
    pub fn scratch_schema(&self) -> Result<String> {
        static NEXT: std::sync::atomic::AtomicU32 = std::sync::atomic::AtomicU32::new(1);
        let name = format!("scratch_{}", NEXT.fetch_add(1, std::sync::atomic::Ordering::Relaxed));
        self.sql(&format!("CREATE SCHEMA {name}"))?;
        Ok(name)
    }

    /// Every command in the general log since the server's first start. That includes what [`Server::sql`] ran, as root,
    /// but not the statements of the server's options.
    pub fn statements_seen(&self) -> Result<Vec<Seen>> {
        self.statements_since(LogMark::default())
    }

    /// The commands in the general log since a mark.
    pub fn statements_since(&self, mark: LogMark) -> Result<Vec<Seen>> {
        Ok(self.read_log(mark)?.0)
    }

    /// The commands since a mark, and the mark to go on from.
    pub fn read_log(&self, mark: LogMark) -> Result<(Vec<Seen>, LogMark)> {
        log::read(&self.dir.path().join("general.log"), mark)
    }

    /// True if a statement that contains this text is in the log. A statement is logged before it runs.
    pub fn saw(&self, text: &str) -> Result<bool> {
        Ok(self.statements_seen()?.iter().any(|seen| seen.text.contains(text)))
    }

    /// The end of the general log as it is now.
    pub fn log_mark(&self) -> LogMark {
        log::mark(&self.dir.path().join("general.log"))
    }

    /// Asks the server to stop (SIGTERM) and waits until it has. Its data and its port stay.
    pub fn stop(&self) -> Result<()> {
        let Some(mut process) = self.process().take() else { return Ok(()) };
        match process.stop(STOP) {
            Some(_) => Ok(()),
            None => Err(self.not_ready("did not stop when asked and was killed")),
        }
    }

    /// Kills the server (SIGKILL) and reaps it. Its data and its port stay.
    pub fn kill(&self) {
        if let Some(mut process) = self.process().take() {
            process.kill();
        }
    }

    /// Stops the process in its tracks (SIGSTOP): connections stay open and nothing answers, as behind a dead link.
    pub fn pause(&self) -> Result<()> {
        self.process().as_ref().map_or(Ok(()), |process| process.signal("STOP"))
    }

    /// Lets a paused server go on (SIGCONT).
    pub fn resume(&self) -> Result<()> {
        self.process().as_ref().map_or(Ok(()), |process| process.signal("CONT"))
    }

    /// Starts the server on its data, if it does not run. Returns when it takes connections.
    pub fn start_again(&self) -> Result<()> {
        let mut slot = self.process();
        if slot.as_mut().is_some_and(|process| process.ended().is_none()) {
            return Ok(());
        }
        let log = self.error_log();
        let from = log::mark(&log).0;
        let process = slot.insert(Process::start(&self.program, &self.args, &[], &log)?);
        let deadline = Instant::now() + READY;
        while !ready_since(&log, from) {
            if let Some(status) = process.ended() {
                *slot = None;
                return Err(self.not_ready(&format!("ended while it was starting ({status})")));
            }
            if Instant::now() > deadline {
                *slot = None;
                return Err(self.not_ready(&format!("was not ready after {} s", READY.as_secs())));
            }
            std::thread::sleep(Duration::from_millis(10));
        }
        Ok(())
    }

    /// Waits until this replica has everything that its master has written so far.
    pub fn wait_for(&self, master: &Server) -> Result<()> {
        let position = master.value("SELECT @@GLOBAL.gtid_binlog_pos")?;
        let seconds = CATCH_UP.as_secs();
        let reached = self.value(&format!("SELECT MASTER_GTID_WAIT('{position}', {seconds})"))?;
        if reached == "0" {
            return Ok(());
        }
        let status = self.sql("SHOW SLAVE STATUS")?;
        let message = format!("position {position}, its status: {}", status.concat().join(" | "));
        Err(ServerError::Replication { name: self.name.clone(), message })
    }

    fn not_ready(&self, what: &str) -> ServerError {
        let log = self.error_log();
        ServerError::NotReady { name: self.name.clone(), what: what.to_owned(), tail: tail(&log, 20), log }
    }
}

/// True if the server said that it takes connections, in what it wrote after `from`.
fn ready_since(log: &Path, from: u64) -> bool {
    let text = std::fs::read(log).unwrap_or_default();
    let new = text.get(usize::try_from(from).unwrap_or(usize::MAX)..).unwrap_or_default();
    String::from_utf8_lossy(new).contains("ready for connections")
}
