//! The built `switchboard` binary, run as a user would run it.

use super::{Port, Process, RunDir, must};
use std::ffi::OsString;
use std::net::{SocketAddr, TcpStream};
use std::path::{Path, PathBuf};
use std::process::ExitStatus;
use std::time::{Duration, Instant};

/// How long the router may take to accept.
const READY: Duration = Duration::from_secs(20);
/// How long it may take to drain when told to stop.
const STOP: Duration = Duration::from_secs(20);

/// A router in a process of its own. Stopped when dropped; if the test is failing, its log is printed.
#[derive(Debug)]
pub struct Router {
    process: Process,
    ports: Ports,
    dir: RunDir,
}

/// The addresses that a router is given.
#[derive(Debug)]
pub struct Ports {
    traffic: Port,
    admin: Port,
    http: Port,
}

impl Router {
    /// Runs `switchboard run` with arguments, for example `["--writer", url, "--reader", url]`. A traffic port and a unix
    /// socket are added; an admin port and a page for metrics too, if asked for by `{admin}` or `{http}` in an argument.
    #[track_caller]
    pub fn start(args: &[&str]) -> Self {
        let (ports, dir) = (Ports::take(), must(RunDir::new()));
        let mut all: Vec<String> = vec!["run".into()];
        all.extend(args.iter().map(|arg| ports.fill(arg, dir.path())));
        all.extend(["--listen".into(), ports.traffic.address().to_string()]);
        all.extend(["--socket".into(), dir.path().join("router.sock").display().to_string()]);
        Router::spawn(ports, dir, &all, &[])
    }

    /// Runs `switchboard run --config` on a configuration file with this text, beside a directory `rules` with these files
    /// (name, text). In all texts `{listen}`, `{socket}`, `{admin}`, `{http}` and `{dir}` are filled in.
    #[track_caller]
    pub fn with_config(config: &str, rules: &[(&str, &str)]) -> Self {
        Router::with_config_and_env(config, rules, &[])
    }

    /// The same with environment variables.
    #[track_caller]
    pub fn with_config_and_env(config: &str, rules: &[(&str, &str)], env: &[(&str, &str)]) -> Self {
        let (ports, dir) = (Ports::take(), must(RunDir::new()));
        let file = dir.path().join("switchboard.toml");
        write(&file, &ports.fill(config, dir.path()));
        for (name, text) in rules {
            write(&dir.path().join("rules").join(name), &ports.fill(text, dir.path()));
        }
        Router::spawn(ports, dir, &["run".into(), "--config".into(), file.display().to_string()], env)
    }

    #[track_caller]
    fn spawn(ports: Ports, dir: RunDir, args: &[String], env: &[(&str, &str)]) -> Self {
        let args: Vec<OsString> = args.iter().map(OsString::from).collect();
        let env: Vec<(OsString, OsString)> = env.iter().map(|(k, v)| (k.into(), v.into())).collect();
        let program = Path::new(env!("CARGO_BIN_EXE_switchboard"));
        let process = must(Process::start(program, &args, &env, &dir.path().join("router.log")));
        let mut router = Router { process, ports, dir };
        router.wait_until_it_accepts();
        router
    }

    #[track_caller]
    fn wait_until_it_accepts(&mut self) {
        let deadline = Instant::now() + READY;
        while TcpStream::connect(self.address()).is_err() {
            if let Some(status) = self.process.ended() {
                panic!("the router ended while it was starting ({status}):\n{}", self.log());
            }
            assert!(Instant::now() < deadline, "the router does not accept:\n{}", self.log());
            std::thread::sleep(Duration::from_millis(10));
        }
    }

    /// Where clients connect.
    pub fn address(&self) -> SocketAddr {
        self.ports.traffic.address()
    }

    /// The unix socket for clients.
    pub fn socket(&self) -> PathBuf {
        self.dir.path().join("router.sock")
    }

    /// The admin port, where the configuration or the arguments have `{admin}`.
    pub fn admin(&self) -> SocketAddr {
        self.ports.admin.address()
    }

    /// The metrics page, where the configuration or the arguments have `{http}`.
    pub fn http(&self) -> SocketAddr {
        self.ports.http.address()
    }

    /// A URL that client libraries take.
    pub fn url(&self, user: &str, password: &str, schema: &str) -> String {
        format!("mysql://{user}:{password}@{}/{schema}", self.address())
    }

    /// The directory of the configuration file; rule files are in `rules` below it.
    pub fn dir(&self) -> &Path {
        self.dir.path()
    }

    /// Writes a rule file, as someone editing it would: the whole text at once, by a rename.
    pub fn write_rules(&self, name: &str, text: &str) {
        let file = self.dir.path().join("rules").join(name);
        let new = self.dir.path().join(format!("{name}.new"));
        write(&new, &self.ports.fill(text, self.dir.path()));
        std::fs::rename(&new, &file).unwrap_or_else(|error| panic!("{}: {error}", file.display()));
    }

    /// All that the router has logged.
    pub fn log(&self) -> String {
        String::from_utf8_lossy(&std::fs::read(self.dir.path().join("router.log")).unwrap_or_default()).into_owned()
    }

    /// The process id.
    pub fn pid(&self) -> u32 {
        self.process.id()
    }

    /// Sends a signal by name (`HUP`, `TERM`, …) without waiting for what it does.
    pub fn signal(&self, name: &str) {
        must(self.process.signal(name));
    }

    /// SIGTERM, and the exit status; panics if the router does not end in time.
    #[track_caller]
    pub fn stop(&mut self) -> ExitStatus {
        match self.process.stop(STOP) {
            Some(status) => status,
            None => panic!("the router did not drain in {STOP:?}:\n{}", self.log()),
        }
    }

    /// The exit status, if it has ended by itself.
    pub fn ended(&mut self) -> Option<ExitStatus> {
        self.process.ended()
    }
}

impl Drop for Router {
    fn drop(&mut self) {
        if std::thread::panicking() {
            eprintln!("the router's log:\n{}", self.log());
        }
    }
}

impl Ports {
    fn take() -> Self {
        Ports { traffic: must(Port::take()), admin: must(Port::take()), http: must(Port::take()) }
    }

    /// Puts addresses and paths into a text.
    fn fill(&self, text: &str, dir: &Path) -> String {
        text.replace("{listen}", &self.traffic.address().to_string())
            .replace("{admin}", &self.admin.address().to_string())
            .replace("{http}", &self.http.address().to_string())
            .replace("{socket}", &dir.join("router.sock").display().to_string())
            .replace("{dir}", &dir.display().to_string())
    }
}

fn write(path: &Path, text: &str) {
    let made = path.parent().map_or(Ok(()), std::fs::create_dir_all).and_then(|()| std::fs::write(path, text));
    made.unwrap_or_else(|error| panic!("{}: {error}", path.display()));
}
