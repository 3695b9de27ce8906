//! The task that writes a writer's heartbeats and reads what has come to a server: one for each server, on the control thread, over a
//! connection of its own.
//!
//! ```text
//!  connect ─▶ settings, server_id ─▶ ┌─ writer: its own row, and the lock ─┬─ the lock is ours, or nobody has moved the row: UPDATE
//!                                    │                                     └─ another router writes: what was found is noted
//!                                    └─ reader: all rows ─▶ watermarks
//!                                    ▲                     │
//!                                    └── interval ◀────────┘ sooner where somebody waits
//! ```
//!
//! Who holds the lock writes, so that several routers do not write several times as often. It saves work and proves nothing: where the
//! holder does not write, whoever notices does. It refuses to wait for anything longer than its settings say; a look that takes longer
//! ends its connection, and what it would have found is not known.

use super::beats::By;
use super::marks::Beat;
use super::table::{IS_WRITABLE, Row, Table};
use super::{Feed, Settings};
use crate::backend::connect::{self, ConnectOptions, Connected};
use crate::backend::query::{Answer, Done, SMALL, execute, rows, value};
use crate::backend::server::Backend;
use std::sync::Arc;
use std::time::{Duration, Instant};
use tokio::time::timeout;

/// What a server is asked for.
#[derive(Clone)]
pub struct Duties {
    /// Heartbeats are written there.
    pub writes: bool,
    /// What brings other writers' rows there; none: nobody reads there.
    pub reads: Option<Feed>,
    /// All writers.
    pub writers: Vec<Arc<Backend>>,
}

/// The least time between two looks while somebody waits.
const WHILE_WANTED: Duration = Duration::from_millis(10);
/// The time after a failure.
const AFTER_FAILURE: Duration = Duration::from_millis(500);
/// A row that nobody has moved for so many intervals, and for this long, is moved by whoever notices.
const STALE: (u32, Duration) = (4, Duration::from_secs(1));
/// The server gives up a connection of ours that says nothing for this long, in seconds, and with it the lock.
const SILENCE: u32 = 10;

/// Why a server that is read-only has no heartbeat.
const READ_ONLY: &str = "the server is read-only";

/// ER_NO_SUCH_TABLE and ER_BAD_DB_ERROR.
const MISSING: [u16; 2] = [1146, 1049];

/// Writes and reads heartbeats on one server for ever. `origin`: where the router's moments begin.
pub async fn keep(backend: Arc<Backend>, settings: Settings, origin: Instant, duties: impl Fn() -> Duties) {
    let table = Table::new(&settings.schema);
    let mut pen: Option<Pen> = None;
    loop {
        let duties = duties();
        let mut task = Task { backend: &backend, settings: &settings, table: &table, origin, duties: &duties };
        let done = timeout(settings.timeout, task.look(&mut pen)).await;
        let done = done.unwrap_or_else(|_| Err(format!("no answer within {} ms", settings.timeout.as_millis())));
        if let Err(why) = &done {
            pen = None;
            task.failed(why);
        }
        let pause = if done.is_err() { settings.interval.max(AFTER_FAILURE) } else { settings.interval };
        let (beats, watermarks) = (&backend.beats.wants, &backend.watermarks.wants);
        if done.is_ok() && (beats.are_any() || watermarks.are_any()) {
            tokio::time::sleep(WHILE_WANTED.min(pause)).await;
        } else {
            tokio::select! {
                () = beats.hear() => {}
                () = watermarks.hear() => {}
                () = tokio::time::sleep(pause) => {}
            }
        }
    }
}

/// A connection to a server, and what is known of the row that is written there.
struct Pen {
    connected: Connected,
    /// The server's `server_id`: whose row it is.
    source: String,
    /// The lock is this connection's.
    holds_lock: bool,
    /// The row's latest heartbeat, and since when.
    row: Option<(Beat, Instant)>,
}

struct Task<'a> {
    backend: &'a Arc<Backend>,
    settings: &'a Settings,
    table: &'a Table,
    origin: Instant,
    duties: &'a Duties,
}

impl Task<'_> {
    fn moment(&self) -> u64 {
        u64::try_from(self.origin.elapsed().as_millis()).unwrap_or(u64::MAX)
    }

    /// One look at the server.
    async fn look(&mut self, pen: &mut Option<Pen>) -> Result<(), String> {
        if pen.is_none() {
            *pen = Some(self.sign_in().await?);
        }
        let Some(pen) = pen.as_mut() else { return Ok(()) };
        if self.duties.writes
            && let Err(why) = self.write(pen).await.map_err(|error| error.to_string())?
            && self.backend.beats.fail(why.clone())
        {
            self.say_unwritten(&why);
        }
        if let Some(feed) = self.duties.reads {
            self.read(pen, feed).await.map_err(|error| error.to_string())?;
        }
        Ok(())
    }

    async fn sign_in(&self) -> Result<Pen, String> {
        let mut connected = connect_to(&self.backend.target(), self.settings).await?;
        self.backend.learn(&connected.server);
        // Servers differ in their defaults; a read that sees what is not committed would prove too much.
        for text in [
            format!(
                "SET NAMES utf8mb4, autocommit = 1, sql_mode = '', time_zone = '+00:00', lock_wait_timeout = 1, \
                 innodb_lock_wait_timeout = 1, wait_timeout = {SILENCE}"
            ),
            "SET SESSION TRANSACTION ISOLATION LEVEL REPEATABLE READ, READ WRITE".to_owned(),
        ] {
            done(execute(&mut connected, &text).await)?;
        }
        let source = match rows(&mut connected, "SELECT @@global.server_id", SMALL).await {
            Ok(Answer::Rows { rows, .. }) => {
                rows.first().and_then(|row| value(row, 0).ok().flatten().map(<[u8]>::to_vec))
            }
            Ok(Answer::Refused { text, .. }) => return Err(text),
            Err(error) => return Err(error.to_string()),
        };
        let source = source.and_then(|id| String::from_utf8(id).ok()).ok_or("the server has no server_id")?;
        Ok(Pen { connected, source, holds_lock: false, row: None })
    }

    /// Writes the next heartbeat, or notes that another router does. The inner error: the server refuses, and the connection is well.
    async fn write(&self, pen: &mut Pen) -> std::io::Result<Result<(), String>> {
        if !pen.holds_lock || pen.row.is_none() {
            match self.look_at_row(pen).await? {
                Ok(true) => {}
                other => return Ok(other.map(drop)),
            }
        }
        let Some((known, since)) = pen.row else { return Ok(Ok(())) };
        let is_stale = since.elapsed() > (self.settings.interval * STALE.0).max(STALE.1);
        if !pen.holds_lock && !is_stale {
            return Ok(Ok(()));
        }
        let at = self.moment();
        let seq = match execute(&mut pen.connected, &self.table.beat(&pen.source, known.epoch)).await? {
            Done::Well { affected_rows: 1, insert_id } => insert_id,
            // The row is gone, or another one.
            Done::Well { .. } => {
                pen.row = None;
                return Ok(Ok(()));
            }
            Done::Refused { text, .. } => return Ok(Err(text)),
        };
        let beat = Beat { seq, ..known };
        let is_first = self.backend.beats.epoch() == 0;
        if seq <= known.seq || !self.backend.beats.note(beat, at, By::Us) {
            // Somebody has put the row back: what readers have of it may look newer than it is.
            self.renew(pen, known.epoch).await?;
            return Ok(Ok(()));
        }
        if is_first {
            let schema = &*self.settings.schema;
            tracing::info!(
                backend = &*self.backend.name,
                schema,
                "heartbeats are written: reads follow writes by watermark"
            );
        }
        pen.row = Some((beat, Instant::now()));
        Ok(Ok(()))
    }

    /// Gives a row that was put back another epoch.
    async fn renew(&self, pen: &mut Pen, epoch: u64) -> std::io::Result<()> {
        execute(&mut pen.connected, &self.table.renew(&pen.source, (epoch, drawn()))).await?;
        pen.row = None;
        Ok(())
    }

    /// Looks at the writer's row, and takes the lock if nobody has it. True if there is a row.
    async fn look_at_row(&self, pen: &mut Pen) -> std::io::Result<Result<bool, String>> {
        let at = self.moment();
        let found = match rows(&mut pen.connected, &self.table.own_row_and_lock(&pen.source), SMALL).await? {
            Answer::Rows { rows, .. } => rows,
            Answer::Refused { code, text } if MISSING.contains(&code) && self.settings.create => {
                if let Err(why) = self.must_be_writable(pen).await? {
                    return Ok(Err(why));
                }
                return Ok(self.make_table(pen).await?.map_err(|why| format!("{text}; it cannot be made: {why}")));
            }
            Answer::Refused { text, .. } => return Ok(Err(text)),
        };
        let Some(row) = found.first() else {
            if let Err(why) = self.must_be_writable(pen).await? {
                return Ok(Err(why));
            }
            return Ok(match execute(&mut pen.connected, &self.table.insert(&pen.source, drawn())).await? {
                Done::Well { .. } => Ok(false),
                Done::Refused { text, .. } => Err(text),
            });
        };
        let number = |place| -> Option<u64> {
            let text = value(row, place).ok().flatten()?;
            std::str::from_utf8(text).ok()?.parse().ok()
        };
        let Some(beat) = number(0).zip(number(1)).map(|(epoch, seq)| Beat { epoch, seq }).filter(|b| b.epoch != 0)
        else {
            return Ok(Err("the heartbeat's row has no epoch: delete it".to_owned()));
        };
        pen.holds_lock = number(2) == Some(1);
        if number(3) != Some(1) {
            return Ok(Err(READ_ONLY.to_owned()));
        }
        if pen.row.is_none_or(|(known, _)| known != beat) {
            pen.row = Some((beat, Instant::now()));
        }
        if !pen.holds_lock {
            // Whoever writes the next one has not committed it yet.
            let next = Beat { seq: beat.seq + 1, ..beat };
            if !self.backend.beats.note(next, at, By::Another) {
                self.renew(pen, beat.epoch).await?;
            }
        }
        Ok(Ok(true))
    }

    /// An account with SUPER could write on a server that is read-only: that is refused here.
    async fn must_be_writable(&self, pen: &mut Pen) -> std::io::Result<Result<(), String>> {
        let is_writable = match rows(&mut pen.connected, &format!("SELECT {IS_WRITABLE}"), SMALL).await? {
            Answer::Rows { rows, .. } => rows.first().is_some_and(|row| value(row, 0).ok().flatten() == Some(b"1")),
            Answer::Refused { text, .. } => return Ok(Err(text)),
        };
        Ok(if is_writable { Ok(()) } else { Err(READ_ONLY.to_owned()) })
    }

    async fn make_table(&self, pen: &mut Pen) -> std::io::Result<Result<bool, String>> {
        if let Err(why) = make_on(&mut pen.connected, &self.settings.schema).await? {
            return Ok(Err(why));
        }
        tracing::info!(backend = &*self.backend.name, schema = &*self.settings.schema, "made the heartbeat's table");
        Ok(Ok(false))
    }

    async fn read(&self, pen: &mut Pen, feed: Feed) -> std::io::Result<()> {
        let at = self.moment();
        match rows(&mut pen.connected, &self.table.rows(), SMALL).await? {
            Answer::Rows { rows, .. } => {
                let rows: Vec<Row> = rows.iter().map(|row| Row::read(row)).collect();
                self.observe(Ok(&rows), feed, at);
            }
            Answer::Refused { text, .. } => self.observe(Err(&text), feed, at),
        }
        Ok(())
    }

    /// Takes what was found down, and says what changed.
    fn observe(&self, found: Result<&[Row], &str>, feed: Feed, at: u64) {
        let others = self.duties.writers.iter().filter(|writer| writer.id != self.backend.id);
        let before = self.backend.watermarks.seen();
        self.backend.watermarks.observe(found, others.map(|writer| (&*writer.name, &writer.beats)), feed, at);
        for seen in self.backend.watermarks.seen() {
            let known = before.iter().find(|known| known.epoch == seen.epoch);
            let (backend, writer) = (&*self.backend.name, &*seen.writer);
            if known.map(|known| &known.unknown) != Some(&seen.unknown) {
                match &seen.unknown {
                    Some(why) => tracing::warn!(
                        backend,
                        writer,
                        why,
                        "freshness is not known: nobody reads his own writes there"
                    ),
                    None => tracing::info!(backend, writer, "freshness is known"),
                }
            }
            // Each heartbeat has other values: that there is a distortion is the news.
            if known.is_some_and(|known| known.distortion.is_some()) != seen.distortion.is_some() {
                match &seen.distortion {
                    Some(what) => tracing::error!(backend, writer, what, "the feed changes values on their way"),
                    None => tracing::info!(backend, writer, "values come as they were written again"),
                }
            }
        }
    }

    fn say_unwritten(&self, why: &str) {
        let so = match self.backend.beats.are_on() {
            true => "who has written there reads on the writer until it goes on",
            false => "after a write, reads stay on the writer for read_your_writes",
        };
        tracing::warn!(backend = &*self.backend.name, why, so, "no heartbeat can be written");
    }

    /// The server could not be asked.
    fn failed(&self, why: &str) {
        if self.duties.writes && self.backend.beats.fail(why.to_owned()) {
            self.say_unwritten(why);
        }
        if let Some(feed) = self.duties.reads {
            self.observe(Err(why), feed, self.moment());
        }
    }
}

/// Makes the heartbeat's schema and table on a server. Nothing is changed where they are there.
///
/// # Errors
/// The server's own words, or why it cannot be reached.
pub async fn make(target: &connect::Target, settings: &Settings) -> Result<(), String> {
    let work = async {
        let mut connected = connect_to(target, settings).await?;
        make_on(&mut connected, &settings.schema).await.map_err(|error| error.to_string())?
    };
    timeout(PATIENCE, work).await.unwrap_or_else(|_| Err(format!("no answer within {} s", PATIENCE.as_secs())))
}

/// Signs in as the heartbeats do.
async fn connect_to(target: &connect::Target, settings: &Settings) -> Result<Connected, String> {
    let options = ConnectOptions { timeout: settings.timeout, ..ConnectOptions::default() };
    connect::connect(target, &settings.credentials, &options).await.map_err(|error| error.to_string())
}

/// Makes the schema and the table. The inner error: the server refuses, and the connection is well.
async fn make_on(connected: &mut Connected, schema: &str) -> std::io::Result<Result<(), String>> {
    for text in Table::made_by(schema) {
        if let Done::Refused { text, .. } = execute(connected, &text).await? {
            return Ok(Err(text));
        }
    }
    Ok(Ok(()))
}

/// How long a server may take to make a table.
const PATIENCE: Duration = Duration::from_secs(30);

/// A random number that is not 0.
fn drawn() -> u64 {
    let mut bytes = [0; 8];
    // Without random bytes the process' clock will do: rows that are made anew must differ, and nobody guesses.
    if aws_lc_rs::rand::fill(&mut bytes).is_err() {
        let since = std::time::SystemTime::UNIX_EPOCH.elapsed().unwrap_or_default();
        bytes = u64::try_from(since.as_nanos()).unwrap_or(u64::MAX).to_le_bytes();
    }
    u64::from_le_bytes(bytes).max(1)
}

/// The server's refusal, or the connection's end, as a text.
fn done(answer: std::io::Result<Done>) -> Result<(), String> {
    match answer {
        Ok(Done::Well { .. }) => Ok(()),
        Ok(Done::Refused { text, .. }) => Err(text),
        Err(error) => Err(error.to_string()),
    }
}
