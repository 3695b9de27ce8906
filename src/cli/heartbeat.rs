//! `switchboard heartbeat init`: makes the heartbeat's table on the writers of a configuration, or prints what makes it.
//!
//! The table's statements are [`crate::backend::heartbeat::table`]'s. It changes nothing that is there, and grants nothing: rights are
//! an operator's to give.

use super::{CliError, default_config, report, warn};
use crate::app::setup::heartbeat_settings;
use crate::backend::heartbeat::table::Table;
use crate::backend::heartbeat::task::make;
use crate::config::load;
use clap::{Args, Subcommand};
use std::io::Write;
use std::path::PathBuf;

#[derive(Debug, Args)]
pub(super) struct HeartbeatArgs {
    #[command(subcommand)]
    command: HeartbeatCommand,
}

#[derive(Debug, Subcommand)]
enum HeartbeatCommand {
    /// Make the heartbeat's schema and table on every writer
    Init(InitArgs),
}

#[derive(Debug, Args)]
#[command(after_help = "\
The account of [heartbeat], or of [health], makes the table. Where it may not, print the statements, and have somebody run them \
who may:
  switchboard heartbeat init --print

Replicas get the table by replication. A target of AWS DMS gets it from the task if its table mapping names the schema; \
otherwise run the statements there too.")]
struct InitArgs {
    /// Configuration file or directory; may be given several times
    #[arg(long, value_name = "FILE|DIR")]
    config: Vec<PathBuf>,
    /// Print the statements instead of running them
    #[arg(long)]
    print: bool,
}

pub(super) fn heartbeat(args: &HeartbeatArgs) -> Result<(), CliError> {
    let HeartbeatCommand::Init(args) = &args.command;
    let paths = match (args.config.is_empty(), default_config()) {
        (false, _) => args.config.clone(),
        (true, Some(path)) => vec![path],
        (true, None) => return Err(CliError::Usage("name the configuration: --config FILE".to_owned())),
    };
    let loaded = load(&paths).map_err(|faults| report(&faults))?;
    warn(&loaded.warnings);
    let Some(settings) = heartbeat_settings(&loaded) else {
        return Err(CliError::Failed("the configuration has no [heartbeat]: there is nothing to make".to_owned()));
    };
    let mut out = std::io::stdout().lock();
    if args.print {
        for text in Table::made_by(&settings.schema) {
            writeln!(out, "{text};")?;
        }
        let account = format!("'{}'@'%'", settings.credentials.username.replace('\'', "''"));
        let [writers, readers] = Table::grants(&settings.schema, &account);
        writeln!(
            out,
            "-- On writers:\n{writers};\n-- On readers that do not get the account's rights by replication:\n{readers};"
        )?;
        return Ok(());
    }
    let is_writer = |id: &u32| loaded.hostgroups.iter().any(|hostgroup| hostgroup.id == *id && hostgroup.writer);
    let writers = loaded.backends.iter().filter(|backend| backend.hostgroups.iter().any(is_writer));
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    let mut failed = 0;
    for backend in writers {
        let address = &backend.target.address;
        match runtime.block_on(make(&backend.target, &settings)) {
            Ok(()) => writeln!(out, "{address}: the table is there")?,
            Err(why) => {
                failed += 1;
                eprintln!("{address}: {why}");
            }
        }
    }
    if failed > 0 {
        return Err(CliError::Failed(format!("{failed} of the writers have no table (--print shows what makes it)")));
    }
    Ok(())
}
