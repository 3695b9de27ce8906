//! `switchboard check`: whether a configuration could run.
//!
//! It loads the files as `switchboard run` does ([`crate::config`]), and prints all faults, or one line that sums up
//! what was read. It needs no secrets, binds nothing, and connects to no server.

use super::{CliError, default_config, report, warn};
use crate::config::load_without_secrets;
use crate::rules::Role;
use clap::Args;
use std::io::Write;
use std::path::PathBuf;

#[derive(Debug, Args)]
#[command(after_help = "\
Faults are printed one a line, as file:line:column: reason, and the exit code is 1. Passwords that are in environment \
variables or files that are not there are warnings here: `switchboard run` needs them.

Example:
  switchboard check rules/bigdb.toml")]
pub(super) struct CheckArgs {
    /// Configuration files, or directories of *.toml files; they make one configuration together
    #[arg(value_name = "FILE|DIR")]
    paths: Vec<PathBuf>,
}

pub(super) fn check(args: &CheckArgs) -> Result<(), CliError> {
    let paths = match (args.paths.is_empty(), default_config()) {
        (false, _) => args.paths.clone(),
        (true, Some(path)) => vec![path],
        (true, None) => return Err(CliError::Usage("name the file or directory to check".to_owned())),
    };
    let loaded = load_without_secrets(&paths).map_err(|faults| report(&faults))?;
    warn(&loaded.warnings);
    let mut out = std::io::stdout().lock();
    let groups = loaded.rules.hostgroups();
    let writers = groups.iter().filter(|g| g.role == Role::Writer).count();
    writeln!(
        out,
        "ok: {} rules, {} hostgroups ({writers} for writes), {} backends, {} users, from {}",
        loaded.rules.rules().len(),
        loaded.hostgroups.len(),
        loaded.backends.len(),
        loaded.users.len(),
        loaded.files.iter().map(|f| f.display().to_string()).collect::<Vec<_>>().join(", "),
    )?;
    Ok(())
}
