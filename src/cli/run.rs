//! `switchboard run` and `switchboard reload`.
//!
//! The former loads the configuration, or makes one of flags, and hands it to [`crate::app`], which runs until a signal
//! ends it. The latter sends SIGHUP to a router that runs. Neither goes on with a configuration that has a fault.

use super::{CliError, default_config, report, warn};
use crate::app::{self, Ending};
use crate::config::{Flags, Loaded, from_flags, load};
use clap::Args;
use rustix::process::{Pid, Signal, kill_process};
use std::io::Write;
use std::path::{Path, PathBuf};

#[derive(Debug, Args)]
#[command(after_help = "\
Without --config and --writer, switchboard.toml is looked for here and then in /etc/switchboard.

With --writer no file is needed: statements that are proven safe go to the readers (hostgroup 20), everything else to the \
writer (hostgroup 10). Clients sign in with the user and password of the writer's URL. The configuration file that would \
say the same is printed. Special characters in URLs are percent-encoded: %40 for @.

Examples:
  switchboard run --config /etc/switchboard/switchboard.toml
  switchboard run --writer mysql://app:secret@db1:3306 --reader mysql://db2:3306 --reader mysql://db3:3306
  switchboard run --writer 'mysql://app:secret@localhost?socket=/run/mysqld/mysqld.sock' --listen :6033")]
pub(super) struct RunArgs {
    /// Configuration file or directory; may be given several times
    #[arg(long, value_name = "FILE|DIR", conflicts_with_all = ["writer", "reader"])]
    config: Vec<PathBuf>,
    /// The server that takes writes: mysql://user:password@host:port
    #[arg(long, value_name = "URL")]
    writer: Option<String>,
    /// A server that takes reads; may be given several times
    #[arg(long, value_name = "URL", requires = "writer")]
    reader: Vec<String>,
    /// Address to listen on; may be given several times [default: 127.0.0.1:6033]
    #[arg(long, value_name = "ADDR:PORT")]
    listen: Vec<String>,
    /// Unix socket to listen on
    #[arg(long, value_name = "PATH")]
    socket: Option<PathBuf>,
    /// Address of the admin port
    #[arg(long, value_name = "ADDR:PORT")]
    admin: Option<String>,
    /// Address of the metrics page
    #[arg(long, value_name = "ADDR:PORT")]
    http: Option<String>,
    /// Worker threads [default: one per core]
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u16).range(1..=1024))]
    workers: Option<u16>,
}

#[derive(Debug, Args)]
#[command(after_help = "Example:\n  switchboard reload --pid-file /run/switchboard.pid")]
pub(super) struct ReloadArgs {
    /// The file in which the router keeps its process number
    #[arg(long, value_name = "FILE", default_value = "/run/switchboard.pid")]
    pid_file: PathBuf,
    /// The router's process number itself
    #[arg(long, value_name = "N", conflicts_with = "pid_file")]
    pid: Option<u32>,
}

/// What to run on: a configuration, and the files that it can be read from again. None of them where flags said it all.
fn prepare(args: RunArgs) -> Result<(Loaded, Vec<PathBuf>), CliError> {
    if let Some(writer) = args.writer.filter(|_| args.config.is_empty()) {
        let flags = Flags {
            writer,
            readers: args.reader,
            listen: args.listen,
            socket: args.socket,
            admin: args.admin,
            http: args.http,
            workers: args.workers.map(usize::from),
        };
        let (loaded, text) = from_flags(&flags).map_err(|faults| report(&faults))?;
        warn(&loaded.warnings);
        let mut out = std::io::stdout().lock();
        out.write_all(text.as_bytes())?;
        out.flush()?;
        return Ok((loaded, Vec::new()));
    }
    let paths = match (args.config.is_empty(), default_config()) {
        (false, _) => args.config,
        (true, Some(path)) => vec![path],
        (true, None) => {
            return Err(CliError::Usage(
                "nothing to run on: say --config FILE, or --writer mysql://user:password@host:port \
                 (switchboard run --help shows more)"
                    .to_owned(),
            ));
        }
    };
    let mut loaded = load(&paths).map_err(|faults| report(&faults))?;
    let overrides = Flags {
        listen: args.listen,
        socket: args.socket,
        admin: args.admin,
        http: args.http,
        workers: args.workers.map(usize::from),
        ..Flags::default()
    };
    overrides.apply_to(&mut loaded).map_err(|faults| report(&faults))?;
    warn(&loaded.warnings);
    Ok((loaded, paths))
}

pub(super) fn run(args: RunArgs) -> Result<(), CliError> {
    let (loaded, files) = prepare(args)?;
    let _log = crate::telemetry::log::start(&loaded.process.log_level, loaded.process.log_json);
    let ready = |router: &app::Router| {
        for address in &router.addresses {
            tracing::info!(%address, "listening");
        }
        if let Some(socket) = &router.socket {
            tracing::info!(socket = %socket.display(), "listening");
        }
    };
    match app::run(loaded, files, ready) {
        Ok(Ending::Drained) => Ok(()),
        Ok(Ending::CutOff(sessions)) => {
            Err(CliError::Failed(format!("the drain's deadline passed: {sessions} sessions were cut off")))
        }
        Ok(Ending::Failed(worker)) => Err(CliError::Failed(format!("worker {worker} failed: the log says how"))),
        Err(error) => Err(CliError::Failed(error.to_string())),
    }
}

pub(super) fn reload(args: &ReloadArgs) -> Result<(), CliError> {
    let (pid, named) = match args.pid {
        Some(pid) => (pid, String::new()),
        None => (kept_in(&args.pid_file)?, format!(", named in {}", args.pid_file.display())),
    };
    // A number that was left behind may be somebody else's by now.
    let name = std::fs::read_to_string(Path::new("/proc").join(pid.to_string()).join("comm")).unwrap_or_default();
    if name.trim() != "switchboard" {
        let stale = if named.is_empty() { "" } else { ": the file is stale" };
        return Err(CliError::Failed(format!("process {pid}{named} is no switchboard{stale}")));
    }
    let number = i32::try_from(pid).ok().and_then(Pid::from_raw);
    let sent = number.ok_or(rustix::io::Errno::SRCH).and_then(|pid| kill_process(pid, Signal::HUP));
    sent.map_err(|error| CliError::Failed(format!("process {pid} could not be signalled: {error}")))
}

/// The process number that a file holds.
fn kept_in(file: &Path) -> Result<u32, CliError> {
    let path = file.display();
    let text = std::fs::read_to_string(file).map_err(|error| {
        CliError::Failed(format!(
            "{path} cannot be read ({error}): is the router running, with pid_file set to this path?"
        ))
    })?;
    text.trim().parse().map_err(|_| CliError::Failed(format!("{path} holds no process number")))
}
