//! The command line: what is asked, what is printed, and the exit codes.
//!
//! | code | when |
//! |---|---|
//! | 0 | done; also where whoever reads the output stopped reading |
//! | 1 | it failed: faults in the configuration, a router that could not start or drain |
//! | 2 | the command line itself is wrong |
//!
//! Results go to standard output, everything else to standard error.

mod check;
mod completions;
#[cfg(feature = "demo")]
pub mod demo;
mod explain;
mod heartbeat;
mod man;
mod ping;
mod run;

use clap::{Parser, Subcommand};
use std::io;
use std::path::PathBuf;
use std::process::ExitCode;

/// Something failed.
const FAILED: u8 = 1;
/// The command line is wrong.
const USAGE: u8 = 2;

const EXAMPLES: &str = "\
Examples:
  A writer and a reader, no file needed; clients connect to port 6033 as `app`:
    switchboard run --writer mysql://app:secret@db1:3306 --reader mysql://db2:3306

  From files, checked first:
    switchboard check /etc/switchboard/switchboard.toml
    switchboard run --config /etc/switchboard/switchboard.toml

  Where would this statement go, and why?
    echo 'SELECT * FROM call_records WHERE id = 5' | switchboard explain --config rules/bigdb.toml

Exit codes: 0 done, 1 failed, 2 wrong usage.";

/// A query router for the MySQL protocol: writes to the master, reads where reads are kept, history where history is kept,
/// and always able to say why.
#[derive(Debug, Parser)]
#[command(name = "switchboard", version, after_help = EXAMPLES, max_term_width = 100, arg_required_else_help = true)]
struct Cli {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Run the router
    Run(run::RunArgs),
    /// Check configuration files and report everything that is wrong, with its place
    Check(check::CheckArgs),
    /// Say where statements would go, and why, without running them
    Explain(explain::ExplainArgs),
    /// Make a running router read its configuration again
    Reload(run::ReloadArgs),
    /// The table by which routers know how fresh readers are
    Heartbeat(heartbeat::HeartbeatArgs),
    /// Is a server there, and does it greet? For health checks
    Ping(ping::PingArgs),
    /// Show the router at work: real servers, real traffic, a server that goes and comes back
    #[cfg(feature = "demo")]
    Demo(demo::DemoArgs),
    /// Print shell completions
    Completions(completions::CompletionsArgs),
    /// Print the manual page, or write one for each command into a directory
    Man(man::ManArgs),
}

/// Why a command did not do what it was asked. The text is for people, and says what to do.
#[derive(Debug, thiserror::Error)]
pub enum CliError {
    /// Standard output or input.
    #[error("{0}")]
    Io(#[from] io::Error),
    /// It failed; what there is to say is in the text. Empty: it was said already.
    #[error("{0}")]
    Failed(String),
    /// The command line asks for something that does not go together.
    #[error("{0}")]
    Usage(String),
}

/// Parses the arguments and runs the command they name.
pub fn main() -> ExitCode {
    // Writes its own text and exits: 0 for --help and --version, 2 for a wrong command line.
    let cli = match Cli::try_parse() {
        Ok(cli) => cli,
        Err(error) => {
            let _ = error.print();
            return ExitCode::from(if error.use_stderr() { USAGE } else { 0 });
        }
    };
    let result = match cli.command {
        Command::Run(args) => run::run(args),
        Command::Check(args) => check::check(&args),
        Command::Explain(args) => explain::explain(&args),
        Command::Reload(args) => run::reload(&args),
        Command::Heartbeat(args) => heartbeat::heartbeat(&args),
        Command::Ping(args) => ping::ping(&args),
        #[cfg(feature = "demo")]
        Command::Demo(args) => demo::demo(&args),
        Command::Completions(args) => completions::completions(&args),
        Command::Man(args) => man::man(&args),
    };
    match result {
        Ok(()) => ExitCode::SUCCESS,
        // Whoever was reading has seen enough.
        Err(CliError::Io(error)) if error.kind() == io::ErrorKind::BrokenPipe => ExitCode::SUCCESS,
        Err(error) => {
            let text = error.to_string();
            if !text.is_empty() {
                eprintln!("switchboard: {text}");
            }
            ExitCode::from(if matches!(error, CliError::Usage(_)) { USAGE } else { FAILED })
        }
    }
}

/// Where configuration is looked for when none is named.
const DEFAULT_FILES: [&str; 2] = ["switchboard.toml", "/etc/switchboard/switchboard.toml"];

/// The first of the usual places where there is a file.
fn default_config() -> Option<PathBuf> {
    DEFAULT_FILES.iter().map(PathBuf::from).find(|path| path.is_file())
}

/// Faults, one a line, on standard error; and the error that ends the command.
fn report(faults: &[crate::config::Fault]) -> CliError {
    for fault in faults {
        eprintln!("{fault}");
    }
    let count = faults.len();
    CliError::Failed(format!("{count} fault{} in the configuration", if count == 1 { "" } else { "s" }))
}

/// Warnings, one a line, on standard error.
fn warn(warnings: &[crate::config::Fault]) {
    for warning in warnings {
        eprintln!("warning: {warning}");
    }
}
