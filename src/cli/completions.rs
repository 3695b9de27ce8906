//! `switchboard completions`: a script by which a shell completes this program's commands.
//!
//! The script is generated from the definition of the command line in [`super`], and printed. Nothing is installed.

use super::{Cli, CliError};
use clap::{Args, CommandFactory};
use clap_complete::Shell;
use std::io::Write;

#[derive(Debug, Args)]
#[command(
    after_help = "Example, for bash:\n  switchboard completions bash > ~/.local/share/bash-completion/completions/switchboard"
)]
pub(super) struct CompletionsArgs {
    /// The shell
    shell: Shell,
}

pub(super) fn completions(args: &CompletionsArgs) -> Result<(), CliError> {
    let mut script = Vec::new();
    clap_complete::generate(args.shell, &mut Cli::command(), "switchboard", &mut script);
    std::io::stdout().lock().write_all(&script)?;
    Ok(())
}
