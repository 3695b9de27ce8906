//! The demo from start to end, and its command line.
//!
//! It starts the servers, the feed and the router, sends traffic, stops Aurora and starts it again, and lets
//! [`super::verify`] judge all statements. [`super::screen`] shows how things stand. What a statement must do is
//! decided by the judge, not here.

use super::DemoError;
use super::applier::{Applier, Position, Progress};
use super::estate::{APP, DMS, Estate, Place, client_options};
use super::ledger::{Class, Ledger, Outcome};
use super::load::{self, Facts};
use super::parts::{self, Part};
use super::router::Router;
use super::screen::{Screen, View};
use super::servers::LogMark;
use super::traffic::{self, Traffic};
use super::verify::{self, Timeline};
use crate::cli::CliError;
use clap::Args;
use mysql_async::Conn;
use std::cell::Cell;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;
use tokio::time::Instant;

/// What the demo is to do.
#[derive(Debug, Args)]
#[command(
    args_conflicts_with_subcommands = true,
    after_help = "\
Everything is started here, on free loopback ports, and gone when the demo ends: a MariaDB master and its replica, a MySQL \
(from Debian's sid suite, unpacked once, not installed) in Aurora's place, the feed between them, and the router. Needs \
mariadb-server and mmdebstrap; ./demo in the project installs them.

Examples:
  switchboard demo
  switchboard demo --once --seconds 30
  switchboard demo --lag 5000"
)]
pub struct DemoArgs {
    /// A part by itself, against servers that are there already
    #[command(subcommand)]
    pub part: Option<Part>,
    /// Exit by itself, 1 if a single statement went to a wrong server or failed that should not have
    #[arg(long)]
    pub once: bool,
    /// Seconds of traffic: three tenths with all servers, three without Aurora, the rest after its return
    #[arg(long, value_name = "N", default_value_t = 40, value_parser = clap::value_parser!(u64).range(10..=86_400))]
    pub seconds: u64,
    /// Statements a second
    #[arg(long, value_name = "N", default_value_t = 150, value_parser = clap::value_parser!(u64).range(10..=5_000))]
    pub rate: u64,
    /// Milliseconds that a change waits before it is applied to Aurora
    #[arg(long, value_name = "MS", default_value_t = 300, value_parser = clap::value_parser!(u64).range(0..=600_000))]
    pub lag: u64,
    /// Rules to run the router on [default: rules/bigdb.toml, or those that were built in]
    #[arg(long, value_name = "FILE")]
    pub rules: Option<PathBuf>,
    /// Print lines instead of redrawing the screen
    #[arg(long)]
    pub plain: bool,
}

/// How long traffic may take to return to Aurora once that takes connections again.
const RETURN: Duration = Duration::from_secs(20);
/// What statements under way at the return may still do elsewhere.
const SETTLE: Duration = Duration::from_secs(1);
/// How long the feed may take to catch up at the end, lag aside.
const CATCH_UP: Duration = Duration::from_secs(30);
/// Time between two readings of the servers' logs.
const READ_LOGS: Duration = Duration::from_millis(250);

/// Runs the demo.
pub fn demo(args: &DemoArgs) -> Result<(), CliError> {
    if let Some(part) = &args.part {
        return parts::run(part);
    }
    let failed = |error: &dyn std::fmt::Display| CliError::Failed(error.to_string());
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    // What the judge found, once he has.
    let verdict = Cell::new(None);
    let outcome = runtime.block_on(async {
        tokio::select! {
            outcome = from_start_to_end(args, &verdict) => outcome.map_err(|error| failed(&error)),
            _ = tokio::signal::ctrl_c() => {
                verdict.get().ok_or_else(|| failed(&"stopped before its end; nothing is left running"))
            }
        }
    })?;
    // Set-up threads that still run belong to an attempt that is over.
    runtime.shutdown_background();
    if outcome { Ok(()) } else { Err(CliError::Failed(String::new())) }
}

/// Runs something that blocks on a thread of its own.
async fn blocking<T: Send + 'static>(
    work: impl FnOnce() -> Result<T, DemoError> + Send + 'static,
) -> Result<T, DemoError> {
    tokio::task::spawn_blocking(work).await.map_err(|error| DemoError::Io(std::io::Error::other(error)))?
}

/// All that the demo has started.
struct Demo {
    estate: Estate,
    router: Router,
    ledger: Arc<Ledger>,
    feed: Arc<Progress>,
    screen: Screen,
    reasons: Vec<String>,
    logs: [LogMark; 3],
    up: [bool; 3],
    timeline: Timeline,
}

async fn from_start_to_end(args: &DemoArgs, verdict: &Cell<Option<bool>>) -> Result<bool, DemoError> {
    let (mut demo, facts) = set_up(args).await?;
    let traffic = Traffic::start(demo.dsn(), demo.ledger.clone(), facts, args.rate, 0);
    let tenth = Duration::from_millis(args.seconds * 100);
    demo.watch("all servers are up", tenth * 3).await?;
    demo.stop_aurora().await?;
    demo.watch("Aurora is DOWN: current reads fall back, historical reads are refused", tenth * 3).await?;
    demo.start_aurora().await?;
    demo.watch("Aurora is back", tenth * 4).await?;
    traffic.stop().await?;
    let clean = demo.judge(args).await?;
    if args.once {
        let Demo { router, .. } = demo;
        let drained = blocking(move || Ok(router.stop())).await?;
        if !drained {
            println!("FAILED: the router did not end as it should when it was asked to");
        }
        return Ok(clean && drained);
    }
    verdict.set(Some(clean));
    demo.stay().await
}

/// Starts everything up to the first statement.
async fn set_up(args: &DemoArgs) -> Result<(Demo, Facts), DemoError> {
    let mut screen = Screen::new(args.plain);
    screen.say("Starting an SDC master, its replica and an Aurora stand-in …");
    let estate = blocking(Estate::start).await?;
    if let Some(why) = &estate.substitute {
        screen.say(&format!("A third MariaDB stands in for Aurora, because real MySQL could not be had: {why}"));
    }
    screen.say("Loading two years of call records: all of them into Aurora, the last 90 days into the SDC master …");
    let options = |place, user| client_options(estate.at(place).port(), user);
    let facts = load::load(options(Place::Master, APP), options(Place::Aurora, APP)).await?;
    screen.say(&format!("  {} rows on Aurora, {} on premise", facts.rows, facts.rows_on_premise));
    let feed = Arc::new(Progress::default());
    feed.set_lag(Duration::from_millis(args.lag));
    let applier = Applier {
        source: options(Place::Master, DMS),
        target: options(Place::Aurora, DMS),
        schema: "cdr".into(),
        progress: feed.clone(),
    };
    applier.prepare(&Position::of_master(options(Place::Master, DMS)).await?).await?;
    tokio::spawn(applier.run());
    let (servers, rules) = (estate.clone(), args.rules.clone());
    let router = blocking(move || {
        servers.replica.wait_for(&servers.master)?;
        Router::start(&servers, rules.as_deref())
    })
    .await?;
    screen.say(&format!("The router runs on {} at {}", router.rules().display(), router.address()));
    screen.say(&format!("Its status page: {}", router.page()));
    let reasons = reasons(router.address().port(), &facts).await;
    let logs = estate.log_marks();
    let ledger = Arc::new(Ledger::default());
    let demo =
        Demo { estate, router, ledger, feed, screen, reasons, logs, up: [true; 3], timeline: Timeline::default() };
    Ok((demo, facts))
}

/// Why each class of statements goes where it goes, in the router's words.
async fn reasons(port: u16, facts: &Facts) -> Vec<String> {
    let Ok(mut conn) = Conn::new(client_options(port, APP)).await else { return vec![String::new(); Class::ALL.len()] };
    let mut reasons = Vec::new();
    for class in Class::ALL {
        let why = traffic::reason(&mut conn, class, facts).await;
        reasons.push(why.unwrap_or_else(|| "by the values that are bound".into()));
    }
    let _ = conn.disconnect().await;
    reasons
}

impl Demo {
    fn dsn(&self) -> mysql_async::Opts {
        client_options(self.router.address().port(), APP)
    }

    /// Shows what happens for some time.
    async fn watch(&mut self, phase: &str, time: Duration) -> Result<(), DemoError> {
        let end = Instant::now() + time;
        while Instant::now() < end {
            tokio::time::sleep(READ_LOGS).await;
            self.look(phase).await?;
        }
        Ok(())
    }

    /// Reads the logs, and draws.
    async fn look(&mut self, phase: &str) -> Result<(), DemoError> {
        self.read_logs().await?;
        if let Some(how) = self.router.ended() {
            let log = self.router.log();
            let tail = std::fs::read_to_string(&log).unwrap_or_default();
            return Err(DemoError::Io(std::io::Error::other(format!("the router has ended ({how}):\n{tail}"))));
        }
        self.draw(phase, false);
        Ok(())
    }

    fn draw(&mut self, phase: &str, now: bool) {
        let view = View {
            estate: &self.estate,
            ledger: &self.ledger,
            feed: &self.feed,
            reasons: &self.reasons,
            phase,
            up: self.up,
        };
        if now { self.screen.draw_now(&view) } else { self.screen.draw(&view) }
    }

    /// Enters what the servers' logs have that is new.
    async fn read_logs(&mut self) -> Result<(), DemoError> {
        let (estate, from) = (self.estate.clone(), self.logs);
        let read = blocking(move || {
            let mut read = Vec::new();
            for (place, mark) in Place::ALL.into_iter().zip(from) {
                read.push((place, estate.at(place).read_log(mark)?));
            }
            Ok(read)
        });
        for (place, (seen, mark)) in read.await? {
            *place.of_mut(&mut self.logs) = mark;
            for command in seen.iter().filter(|seen| seen.command == "Query" || seen.command == "Execute") {
                self.ledger.seen(place, &command.text);
            }
        }
        Ok(())
    }

    async fn stop_aurora(&mut self) -> Result<(), DemoError> {
        self.timeline.stopped = Some(self.ledger.now());
        let aurora = self.estate.aurora.clone();
        blocking(move || {
            aurora.kill();
            Ok(())
        })
        .await?;
        *Place::Aurora.of_mut(&mut self.up) = false;
        Ok(())
    }

    /// Starts Aurora and waits until traffic has come back to it.
    async fn start_aurora(&mut self) -> Result<(), DemoError> {
        let aurora = self.estate.aurora.clone();
        blocking(move || Ok(aurora.start_again()?)).await?;
        *Place::Aurora.of_mut(&mut self.up) = true;
        let back = self.ledger.now();
        self.timeline.back = Some(back);
        let deadline = Instant::now() + RETURN;
        while !self.ledger.ran_since(Place::Aurora, back) {
            tokio::time::sleep(READ_LOGS).await;
            self.look("Aurora takes connections again").await?;
            if Instant::now() > deadline {
                // The judge will find that nothing came back, and say so.
                break;
            }
        }
        self.watch("Aurora is back", SETTLE).await?;
        self.timeline.settled = Some(self.ledger.now());
        Ok(())
    }

    /// Judges everything that was sent, compares the data, and prints what was found. True if all is well.
    async fn judge(&mut self, args: &DemoArgs) -> Result<bool, DemoError> {
        // A statement is in the log before its answer, so one more reading has them all.
        self.read_logs().await?;
        self.draw("traffic has ended", true);
        let mut verdict = verify::verdict(self.ledger.all(), &self.timeline);
        let end = Position::of_master(client_options(self.estate.master.port(), DMS)).await?;
        let deadline = Instant::now() + CATCH_UP + Duration::from_millis(args.lag);
        while self.feed.position() < end && Instant::now() < deadline {
            tokio::time::sleep(READ_LOGS).await;
        }
        if self.feed.position() < end {
            let trouble = self.feed.trouble().unwrap_or_else(|| "it is too slow".into());
            verdict.others.push(format!("the feed did not catch up: {trouble}"));
        }
        let estate = self.estate.clone();
        verdict.others.extend(blocking(move || verify::compare(&estate)).await?);
        verdict.others.extend(self.feed.notes());
        if let Some(error) = self.first_refusal() {
            self.screen.say(&format!("\nWhile Aurora was down, historical reads were told:\n  {error}"));
        }
        self.screen.say(&format!("\n{verdict}"));
        if !verdict.clean() {
            self.screen
                .say(&format!("The router's log:\n{}", std::fs::read_to_string(self.router.log()).unwrap_or_default()));
        }
        Ok(verdict.clean())
    }

    fn first_refusal(&self) -> Option<String> {
        self.ledger.all().into_iter().find_map(|entry| match entry.outcome {
            Outcome::Refused { code, text } => Some(format!("ERROR {code}: {text}")),
            _ => None,
        })
    }

    /// Says what can be tried, and stays up until Ctrl-C.
    async fn stay(mut self) -> Result<bool, DemoError> {
        let (address, (user, password)) = (self.router.address(), APP);
        let port = address.port();
        self.screen.say(&format!(
            "\nAll of it stays up for you to try, until Ctrl-C. Traffic has ended; the feed goes on.\n\
             \n  DSN       mysql://{user}:{password}@{address}/cdr\
             \n  client    mariadb --host=127.0.0.1 --port={port} --user={user} --password={password} cdr\
             \n  explain   EXPLAIN ROUTE SELECT * FROM call_records WHERE start_time < NOW() - INTERVAL 1 YEAR;\
             \n  rules     {} (saved changes take effect at once)\
             \n  page      {}\
             \n  log       {}",
            self.router.rules().display(),
            self.router.page(),
            self.router.log().display()
        ));
        loop {
            tokio::time::sleep(Duration::from_secs(1)).await;
            if let Some(how) = self.router.ended() {
                return Err(DemoError::Io(std::io::Error::other(format!("the router has ended ({how})"))));
            }
        }
    }
}
