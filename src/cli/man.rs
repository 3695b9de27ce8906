//! `switchboard man`: the manual pages.
//!
//! They are generated from the definition of the command line in [`super`], so that they say what `--help` says. They
//! are printed, or written to a directory that the user names.

use super::{Cli, CliError};
use clap::{Args, CommandFactory};
use std::io::Write;
use std::path::PathBuf;

#[derive(Debug, Args)]
#[command(after_help = "Example:\n  switchboard man | man -l -")]
pub(super) struct ManArgs {
    /// Where the pages go: switchboard.1 and one for each command. Without it, the first is printed
    #[arg(long, value_name = "DIRECTORY")]
    out: Option<PathBuf>,
}

pub(super) fn man(args: &ManArgs) -> Result<(), CliError> {
    let command = Cli::command();
    match &args.out {
        Some(directory) => {
            std::fs::create_dir_all(directory)?;
            clap_mangen::generate_to(command, directory)?;
        }
        None => {
            let mut page = Vec::new();
            clap_mangen::Man::new(command).render(&mut page)?;
            std::io::stdout().lock().write_all(&page)?;
        }
    }
    Ok(())
}
