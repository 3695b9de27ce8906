//! The router as the demo runs it: this same program, in a process of its own, on the rules of the estate.
//!
//! It is started on free ports and killed when it is dropped. The demo talks to it as any client would.
//! [`super::estate`] has the servers behind it.

use super::DemoError;
use super::estate::{APP, Estate};
use super::servers::{Port, Process, RunDir, ServerError};
use std::net::{SocketAddr, TcpStream};
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

/// The rules, as they were when this program was built.
const RULES: &str = include_str!("../../../rules/bigdb.toml");
/// Where they are in the project; used if it is there, so that the file can be changed while the demo runs.
const RULES_FILE: &str = "rules/bigdb.toml";
/// How long the router may take to accept.
const READY: Duration = Duration::from_secs(20);
/// How long it may take to end.
const STOP: Duration = Duration::from_secs(40);

/// A router that runs. Killed when dropped.
#[derive(Debug)]
pub struct Router {
    process: Process,
    port: Port,
    http: Port,
    rules: PathBuf,
    dir: RunDir,
}

impl Router {
    /// Starts it in front of the estate, on `rules` or the estate's own. Returns when it accepts. Blocks.
    pub fn start(estate: &Estate, rules: Option<&Path>) -> Result<Self, DemoError> {
        let (port, http, dir) = (Port::take()?, Port::take()?, RunDir::new()?);
        let rules = match rules {
            Some(file) => file.to_owned(),
            None if Path::new(RULES_FILE).is_file() => PathBuf::from(RULES_FILE),
            None => {
                let file = dir.path().join("bigdb.toml");
                std::fs::write(&file, RULES)?;
                file
            }
        };
        let env = [
            ("BIGDB_SDC_MASTER", estate.master.address().to_string()),
            ("BIGDB_SDC_REPLICA", estate.replica.address().to_string()),
            ("BIGDB_AURORA", estate.aurora.address().to_string()),
            ("BIGDB_USER", APP.0.to_owned()),
            ("BIGDB_PASSWORD", APP.1.to_owned()),
        ]
        .map(|(name, value)| (name.into(), value.into()));
        let args = [
            "run".into(),
            "--config".into(),
            rules.clone().into(),
            "--listen".into(),
            port.address().to_string().into(),
            "--http".into(),
            http.address().to_string().into(),
        ];
        let process = Process::start(&std::env::current_exe()?, &args, &env, &dir.path().join("router.log"))?;
        let mut router = Router { process, port, http, rules, dir };
        router.wait_until_it_accepts()?;
        Ok(router)
    }

    fn wait_until_it_accepts(&mut self) -> Result<(), DemoError> {
        let deadline = Instant::now() + READY;
        while TcpStream::connect(self.address()).is_err() {
            if let Some(status) = self.process.ended() {
                return Err(self.broken(format!("ended while it was starting ({status})")));
            }
            if Instant::now() > deadline {
                return Err(self.broken("does not accept connections".into()));
            }
            std::thread::sleep(Duration::from_millis(10));
        }
        Ok(())
    }

    fn broken(&self, what: String) -> DemoError {
        let log = self.log();
        let tail = std::fs::read_to_string(&log).unwrap_or_default();
        DemoError::Server(ServerError::NotReady { name: "the router".into(), what, log, tail })
    }

    /// Where clients connect.
    pub fn address(&self) -> SocketAddr {
        self.port.address()
    }

    /// Where its status page is.
    pub fn page(&self) -> String {
        format!("http://{}/", self.http.address())
    }

    /// The rules that it runs on.
    pub fn rules(&self) -> &Path {
        &self.rules
    }

    /// Its log.
    pub fn log(&self) -> PathBuf {
        self.dir.path().join("router.log")
    }

    /// How it ended, if it has.
    pub fn ended(&mut self) -> Option<String> {
        self.process.ended().map(|status| status.to_string())
    }

    /// Asks it to drain and end; true if it did so by itself, and said that all was well.
    pub fn stop(mut self) -> bool {
        self.process.stop(STOP).is_some_and(|status| status.success())
    }
}
