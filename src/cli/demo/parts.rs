//! The demo's parts one by one, against servers that are there already: what the local stack of containers is made of.
//! Each waits for its servers for as long as it takes, and ends when it is asked to (SIGTERM, SIGINT).
//!
//! Neighbours: [`super::load`] makes the data, [`super::applier`] carries changes, [`super::traffic`] drives.

use super::DemoError;
use super::applier::{Applier, Position, Progress};
use super::estate::SCHEMA;
use super::ledger::{Entry, Home, Ledger, Outcome};
use super::load::{self, Facts};
use super::traffic::Traffic;
use crate::cli::CliError;
use clap::{Args, Subcommand};
use mysql_async::{Conn, Opts, OptsBuilder, prelude::Queryable};
use std::sync::Arc;
use std::time::Duration;
use tokio::signal::unix::{SignalKind, signal};
use tokio::time::Instant;

/// Time between two attempts at a server that is not there.
const ATTEMPT: Duration = Duration::from_secs(1);
/// Time between two lines of the traffic's.
const LINE: Duration = Duration::from_secs(2);
/// Time between two looks at the applier.
const LOOK: Duration = Duration::from_secs(5);
/// After this long the book of statements is begun anew, so that it does not grow for ever.
const ROUND: Duration = Duration::from_secs(600);
/// The router's code for a statement that no hostgroup of its route can serve.
const NO_BACKEND: u16 = 9001;

/// One part. URLs are `mysql://user:password@host:port`, special characters percent-encoded.
#[derive(Debug, Subcommand)]
pub enum Part {
    /// Make the schema `cdr` and two years of calls; does nothing where that is done already
    Load(LoadArgs),
    /// Carry the master's changes to Aurora, for ever, from where `load` or the last run ended
    Apply(ApplyArgs),
    /// Drive an application's traffic through a router, and say every few seconds how it went
    Traffic(TrafficArgs),
}

/// What to load, and where.
#[derive(Debug, Args)]
pub struct LoadArgs {
    /// The master: gets the last 90 days
    #[arg(long, value_name = "URL", env = "DEMO_MASTER", hide_env_values = true)]
    to: String,
    /// Aurora, or what stands in for it: gets all two years, and the place where the applier begins
    #[arg(long, value_name = "URL", env = "DEMO_AURORA", hide_env_values = true)]
    history: String,
}

/// From where to where.
#[derive(Debug, Args)]
pub struct ApplyArgs {
    /// The master; the account must be allowed to read its binary log
    #[arg(long, value_name = "URL", env = "DEMO_MASTER", hide_env_values = true)]
    from: String,
    /// Aurora, or what stands in for it; keeps the position in a schema `applier`
    #[arg(long, value_name = "URL", env = "DEMO_AURORA", hide_env_values = true)]
    to: String,
    /// The schema whose rows are carried
    #[arg(long, value_name = "NAME", default_value = "cdr")]
    schema: String,
}

/// Where to drive, and how much.
#[derive(Debug, Args)]
pub struct TrafficArgs {
    /// The router, with the schema: mysql://user:password@host:port/cdr
    #[arg(long, value_name = "URL", env = "DEMO_ROUTER", hide_env_values = true)]
    router: String,
    /// End after so many seconds, 1 if a statement failed [default: never]
    #[arg(long, value_name = "N")]
    seconds: Option<u64>,
    /// Statements a second
    #[arg(long, value_name = "N", default_value_t = 50, value_parser = clap::value_parser!(u64).range(1..=5_000))]
    rate: u64,
}

/// Runs one part until its end, or until it is asked to end.
pub fn run(part: &Part) -> Result<(), CliError> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    let outcome = runtime.block_on(async {
        let mut terminate = signal(SignalKind::terminate())?;
        tokio::select! {
            outcome = part.run() => outcome,
            _ = terminate.recv() => Ok(()),
            _ = tokio::signal::ctrl_c() => Ok(()),
        }
    });
    outcome.map_err(|error: DemoError| CliError::Failed(error.to_string()))
}

impl Part {
    async fn run(&self) -> Result<(), DemoError> {
        match self {
            Part::Load(args) => load(args).await,
            Part::Apply(args) => apply(args).await,
            Part::Traffic(args) => traffic(args).await,
        }
    }
}

/// A URL as the client library wants it: no detour over a socket, no statements of its own.
fn options(url: &str) -> Result<Opts, DemoError> {
    let given = Opts::from_url(url).map_err(mysql_async::Error::from)?;
    let builder = OptsBuilder::from_opts(given).prefer_socket(false);
    Ok(builder.max_allowed_packet(Some(16 << 20)).wait_timeout(Some(28_800)).into())
}

/// Signs in, as often as it takes. Says at the first failure why it waits.
async fn wait_for(what: &str, server: &Opts) -> Conn {
    let mut said = false;
    loop {
        match Conn::new(server.clone()).await {
            Ok(conn) => return conn,
            Err(error) if !said => {
                println!("waiting for {what}: {error}");
                said = true;
            }
            Err(_) => {}
        }
        tokio::time::sleep(ATTEMPT).await;
    }
}

async fn load(args: &LoadArgs) -> Result<(), DemoError> {
    let (master, aurora) = (options(&args.to)?, options(&args.history)?);
    let mut on_master = wait_for("the master", &master).await;
    let mut on_aurora = wait_for("Aurora", &aurora).await;
    for statement in SCHEMA.split(";\n").filter(|statement| !statement.trim().is_empty()) {
        on_master.query_drop(statement).await?;
        on_aurora.query_drop(statement).await?;
    }
    // The applier's position is written last: where it is, everything is.
    let done =
        "SELECT COUNT(*) FROM information_schema.tables WHERE table_schema = 'applier' AND table_name = 'position'";
    if on_aurora.query_first::<u64, _>(done).await? == Some(1) {
        println!("the data is there already");
        return Ok(());
    }
    let rows = "SELECT 1 FROM cdr.call_records LIMIT 1";
    if on_master.query_first::<u8, _>(rows).await?.or(on_aurora.query_first::<u8, _>(rows).await?).is_some() {
        return Err(DemoError::Io(std::io::Error::other(
            "there are calls, but not from a load that reached its end: drop the schema cdr on both servers and load again",
        )));
    }
    let within = |server: &Opts| Opts::from(OptsBuilder::from_opts(server.clone()).db_name(Some("cdr")));
    let facts = load::load(within(&master), within(&aurora)).await?;
    let applier = Applier { source: master, target: aurora, schema: "cdr".into(), progress: Arc::default() };
    applier.prepare(&Position::of_master(applier.source.clone()).await?).await?;
    println!("{} rows on Aurora, {} on the master", facts.rows, facts.rows_on_premise);
    Ok(())
}

async fn apply(args: &ApplyArgs) -> Result<(), DemoError> {
    let (source, target) = (options(&args.from)?, options(&args.to)?);
    for (what, server) in [("the master", &source), ("Aurora", &target)] {
        let _ = wait_for(what, server).await.disconnect().await;
    }
    let progress = Arc::new(Progress::default());
    let applier = Applier { source, target, schema: args.schema.clone(), progress: progress.clone() };
    // Where there is a position already, that one stays.
    applier.prepare(&Position::of_master(applier.source.clone()).await?).await?;
    println!("carrying changes of {} to Aurora", args.schema);
    tokio::select! {
        () = applier.run() => Ok(()),
        () = watch(&progress) => Ok(()),
    }
}

/// Prints what changes at the applier, for ever.
async fn watch(progress: &Progress) {
    let (mut rows, mut trouble) = (0, None);
    loop {
        tokio::time::sleep(LOOK).await;
        let (rows_now, trouble_now) = (progress.rows(), progress.trouble());
        if trouble_now != trouble {
            match &trouble_now {
                Some(why) => println!("nothing is being applied, trying again: {why}"),
                None => println!("changes are being applied again"),
            }
        } else if rows_now != rows {
            println!("{rows_now} rows applied, the last after {} ms", progress.behind().as_millis());
        }
        (rows, trouble) = (rows_now, trouble_now);
    }
}

/// How traffic went.
#[derive(Debug, Default, Clone, Copy, PartialEq, Eq)]
struct Tally {
    statements: usize,
    refused: usize,
    failed: usize,
}

impl Tally {
    fn of(entries: &[Entry]) -> Self {
        let mut tally = Tally { statements: entries.len(), ..Tally::default() };
        for entry in entries {
            match &entry.outcome {
                Outcome::Open | Outcome::Right => {}
                _ if refused(entry) => tally.refused += 1,
                _ => tally.failed += 1,
            }
        }
        tally
    }

    fn plus(self, other: Self) -> Self {
        Tally {
            statements: self.statements + other.statements,
            refused: self.refused + other.refused,
            failed: self.failed + other.failed,
        }
    }
}

/// True for what only Aurora can answer and was refused with the error that says so: no fault while Aurora is away.
fn refused(entry: &Entry) -> bool {
    entry.class.home() == Home::AuroraOnly
        && matches!(&entry.outcome, Outcome::Refused { code: NO_BACKEND, text } if text.contains("hostgroup 20"))
}

async fn traffic(args: &TrafficArgs) -> Result<(), DemoError> {
    let router = options(&args.router)?;
    let end = args.seconds.map(|seconds| Instant::now() + Duration::from_secs(seconds));
    let mut total = Tally::default();
    while end.is_none_or(|end| Instant::now() < end) {
        let facts = facts(&router).await;
        total = round(args.rate, &router, facts, end, total).await?;
    }
    if args.seconds.is_some() && total.failed > 0 {
        return Err(DemoError::Io(std::io::Error::other(format!("{} statements failed", total.failed))));
    }
    Ok(())
}

/// What right answers are, as soon as the router and Aurora are there to say it.
async fn facts(router: &Opts) -> Facts {
    let mut said = false;
    loop {
        match load::known(router.clone()).await {
            Ok(facts) if !facts.old_calls.is_empty() => return facts,
            other if !said => {
                let why = other.err().map_or_else(|| "no calls are loaded".to_owned(), |error| error.to_string());
                println!("waiting for the router and the data: {why}");
                said = true;
            }
            _ => {}
        }
        tokio::time::sleep(ATTEMPT).await;
    }
}

/// Traffic with one book of statements. Gives the new total.
async fn round(
    rate: u64,
    router: &Opts,
    facts: Facts,
    end: Option<Instant>,
    before: Tally,
) -> Result<Tally, DemoError> {
    let over = Instant::now() + ROUND;
    let over = end.map_or(over, |end| end.min(over));
    let ledger = Arc::new(Ledger::default());
    // Rounds of this and other runs have left their calls behind: this one's are to be others.
    let seed = jiff::Timestamp::now().as_microsecond().cast_unsigned();
    let traffic = Traffic::start(router.clone(), ledger.clone(), facts, rate, seed);
    let mut told = 0;
    while Instant::now() < over {
        tokio::time::sleep(LINE.min(over.saturating_duration_since(Instant::now()))).await;
        told = tell(&ledger.all(), before, told);
    }
    traffic.stop().await?;
    let entries = ledger.all();
    tell(&entries, before, told);
    Ok(before.plus(Tally::of(&entries)))
}

/// Prints how it goes, and each failure that was not told yet. Gives how many of them there are.
fn tell(entries: &[Entry], before: Tally, told: usize) -> usize {
    let failures = entries.iter().filter(|entry| !matches!(entry.outcome, Outcome::Open | Outcome::Right));
    let failures: Vec<&Entry> = failures.filter(|entry| !refused(entry)).collect();
    for entry in failures.iter().skip(told) {
        println!("FAILED {}: {:?}", entry.class.name(), entry.outcome);
    }
    let total = before.plus(Tally::of(entries));
    let Tally { statements, refused, failed } = total;
    println!("statements={statements} failed={failed} refused={refused}");
    failures.len()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::cli::demo::ledger::Class;

    #[test]
    fn only_the_clear_refusal_of_what_only_aurora_has_is_no_failure() {
        let ledger = Ledger::default();
        let clear = || Outcome::Refused { code: NO_BACKEND, text: "no backend in hostgroup 20".into() };
        for (class, outcome) in [
            (Class::HistoricalText, Outcome::Right),
            (Class::HistoricalText, clear()),
            (Class::Lookup, Outcome::Refused { code: NO_BACKEND, text: "no".into() }),
            (Class::Lookup, Outcome::Refused { code: 1064, text: "hostgroup 20".into() }),
            (Class::CurrentText, clear()),
            (Class::Insert, Outcome::Lost("gone".into())),
            (Class::Insert, Outcome::Wrong("2".into())),
            (Class::Insert, Outcome::Open),
        ] {
            let mark = ledger.open(class);
            ledger.close(mark, outcome);
        }
        let tally = Tally::of(&ledger.all());
        assert_eq!(tally, Tally { statements: 8, refused: 1, failed: 5 });
        assert_eq!(tally.plus(tally), Tally { statements: 16, refused: 2, failed: 10 });
    }
}
