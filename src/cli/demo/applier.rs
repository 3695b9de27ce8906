//! The change applier: what AWS DMS is to the estate. It reads the master's binary log as a replica would (row format)
//! and applies the rows of one schema to Aurora, in the master's order, a whole transaction or nothing.
//!
//! Its position is kept on the target, in the transaction that applies the rows: after any break it goes on where the
//! target is, and applies nothing twice. A tunable time passes between reading and applying, so that the lag of a real feed
//! can be had. It carries rows, not definitions: DDL on the source is noted and left out.
//!
//! Neighbours: [`rows`] makes statements of row events.

mod rows;

use super::DemoError;
use super::servers::sql_string;
use futures_util::StreamExt;
use mysql_async::binlog::EventType;
use mysql_async::binlog::events::{Event, EventData, QueryEvent};
use mysql_async::{BinlogStream, BinlogStreamRequest, Conn, Opts, prelude::Queryable};
use rows::Change;
use std::collections::VecDeque;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;
use tokio::time::Instant;

/// Changes that may wait to be applied; the source is not read further while there are more.
const MAX_WAITING: usize = 20_000;
/// Changes applied in one transaction of the target's, if they come from several of the source's.
const MAX_BATCH: usize = 2_000;
/// How long to wait before another attempt after a break.
const RETRY: Duration = Duration::from_millis(500);
/// The id under which the applier registers at the source. No server of the demo has it: theirs are their ports.
const SERVER_ID: u32 = 4_000_000_000;

/// A place in the source's binary log.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Default)]
pub struct Position {
    /// The log's file name. Names count up, with as many digits as it takes, so they compare as text.
    pub file: String,
    /// The offset of the next event.
    pub offset: u64,
}

impl Position {
    /// The end of a master's binary log.
    pub async fn of_master(master: Opts) -> Result<Self, DemoError> {
        let mut conn = Conn::new(master).await?;
        let row: Option<(String, u64)> = conn
            .query_first("SHOW MASTER STATUS")
            .await?
            .map(|(file, offset, _, _): (_, _, String, String)| (file, offset));
        conn.disconnect().await?;
        let (file, offset) = row.ok_or_else(|| DemoError::Applier("the source writes no binary log".into()))?;
        Ok(Position { file, offset })
    }
}

/// What the applier says of itself while it runs. Shared with the screen.
#[derive(Debug, Default)]
pub struct Progress {
    lag: AtomicU64,
    rows: AtomicU64,
    state: Mutex<State>,
}

#[derive(Debug, Default)]
struct State {
    position: Position,
    trouble: Option<String>,
    notes: Vec<String>,
    behind: Duration,
}

impl Progress {
    /// Sets how long a change waits before it is applied.
    pub fn set_lag(&self, lag: Duration) {
        self.lag.store(u64::try_from(lag.as_millis()).unwrap_or(u64::MAX), Ordering::Relaxed);
    }

    fn lag(&self) -> Duration {
        Duration::from_millis(self.lag.load(Ordering::Relaxed))
    }

    /// Rows applied so far.
    pub fn rows(&self) -> u64 {
        self.rows.load(Ordering::Relaxed)
    }

    /// What the target has, as far as this process has seen.
    pub fn position(&self) -> Position {
        self.state(|state| state.position.clone())
    }

    /// From reading a change to having applied it, the last time.
    pub fn behind(&self) -> Duration {
        self.state(|state| state.behind)
    }

    /// Why nothing is being applied, if so.
    pub fn trouble(&self) -> Option<String> {
        self.state(|state| state.trouble.clone())
    }

    /// What was left out, and why.
    pub fn notes(&self) -> Vec<String> {
        self.state(|state| state.notes.clone())
    }

    fn state<T>(&self, use_it: impl FnOnce(&mut State) -> T) -> T {
        use_it(&mut self.state.lock().unwrap_or_else(PoisonError::into_inner))
    }
}

/// The applier's two ends.
#[derive(Debug, Clone)]
pub struct Applier {
    /// Where changes come from.
    pub source: Opts,
    /// Where they go.
    pub target: Opts,
    /// The schema whose rows are carried.
    pub schema: String,
    /// Its account of itself.
    pub progress: Arc<Progress>,
}

/// A transaction of the source's, or what has been read of it.
#[derive(Debug)]
struct Transaction {
    changes: Vec<Change>,
    end: Position,
    read: Instant,
}

impl Applier {
    /// Makes the table that keeps the position, if it is not there, and starts from `position` if it is new. Must have
    /// succeeded once before [`Applier::run`].
    pub async fn prepare(&self, position: &Position) -> Result<(), DemoError> {
        let mut conn = Conn::new(self.target.clone()).await?;
        conn.query_drop("CREATE SCHEMA IF NOT EXISTS applier").await?;
        conn.query_drop(
            "CREATE TABLE IF NOT EXISTS applier.position (id TINYINT PRIMARY KEY, file VARCHAR(255) NOT NULL, \
             offset_ BIGINT UNSIGNED NOT NULL)",
        )
        .await?;
        let file = sql_string(&position.file);
        conn.query_drop(format!("INSERT IGNORE INTO applier.position VALUES (1, {file}, {})", position.offset)).await?;
        conn.disconnect().await?;
        Ok(())
    }

    /// Runs until its task is dropped. A break at either end is kept in [`Progress::trouble`] and tried again.
    pub async fn run(self) {
        loop {
            let Err(error) = self.run_once().await;
            self.progress.state(|state| state.trouble = Some(error.to_string()));
            tokio::time::sleep(RETRY).await;
        }
    }

    /// Connects both ends and carries changes until one of them breaks.
    async fn run_once(&self) -> Result<std::convert::Infallible, DemoError> {
        let mut target = Conn::new(self.target.clone()).await?;
        // Moments of type TIMESTAMP come as seconds since 1970, and go in as moments of this zone.
        target.query_drop("SET SESSION time_zone = '+00:00'").await?;
        let kept: Option<(String, u64)> =
            target.query_first("SELECT file, offset_ FROM applier.position WHERE id = 1").await?;
        let (file, offset) =
            kept.ok_or_else(|| DemoError::Applier("the target has lost the applier's position".into()))?;
        let mut reader = Reader::open(self, Position { file, offset }).await?;
        self.progress.state(|state| (state.trouble, state.position) = (None, reader.position.clone()));
        let mut waiting: VecDeque<Transaction> = VecDeque::new();
        let mut held = 0;
        loop {
            let due = waiting.front().map(|transaction| transaction.read + self.progress.lag());
            tokio::select! {
                transaction = reader.next(), if held < MAX_WAITING => {
                    let transaction = transaction?;
                    held += transaction.changes.len();
                    waiting.push_back(transaction);
                }
                () = tokio::time::sleep_until(due.unwrap_or_else(Instant::now)), if due.is_some() => {
                    held -= self.apply_due(&mut target, &mut waiting).await?;
                }
            }
        }
    }

    /// Applies the transactions whose time has come, several in one of the target's. Gives the number of changes.
    async fn apply_due(&self, target: &mut Conn, waiting: &mut VecDeque<Transaction>) -> Result<usize, DemoError> {
        let now = Instant::now();
        let (mut changes, mut end, mut oldest) = (Vec::new(), None, now);
        while let Some(next) = waiting.front().filter(|next| next.read + self.progress.lag() <= now) {
            if !changes.is_empty() && changes.len() + next.changes.len() > MAX_BATCH {
                break;
            }
            oldest = oldest.min(next.read);
            let Some(next) = waiting.pop_front() else { break };
            changes.extend(next.changes);
            end = Some(next.end);
        }
        let Some(end) = end else { return Ok(0) };
        target.query_drop("BEGIN").await?;
        for statement in rows::statements(&changes) {
            target.query_drop(statement).await?;
        }
        let file = sql_string(&end.file);
        target
            .query_drop(format!("UPDATE applier.position SET file = {file}, offset_ = {} WHERE id = 1", end.offset))
            .await?;
        target.query_drop("COMMIT").await?;
        self.progress.rows.fetch_add(changes.len() as u64, Ordering::Relaxed);
        self.progress.state(|state| (state.position, state.behind) = (end, oldest.elapsed()));
        Ok(changes.len())
    }
}

/// The source's binary log, as transactions.
struct Reader<'a> {
    applier: &'a Applier,
    stream: BinlogStream,
    /// The end of the last whole transaction.
    position: Position,
    /// True once the log has described its format.
    described: bool,
    /// The rows of the transaction under way.
    changes: Vec<Change>,
}

/// BINLOG_CHECKPOINT_EVENT and GTID_LIST_EVENT (MariaDB Knowledge Base, "2-Binlog Event Header").
const BETWEEN_TRANSACTIONS: [u8; 2] = [0xa1, 0xa3];

impl<'a> Reader<'a> {
    async fn open(applier: &'a Applier, position: Position) -> Result<Self, DemoError> {
        let mut conn = Conn::new(applier.source.clone()).await?;
        // What a MariaDB replica says. Without it, events of MariaDB's own come as statements that are none.
        conn.query_drop("SET @mariadb_slave_capability = 4").await?;
        let request =
            BinlogStreamRequest::new(SERVER_ID).with_filename(position.file.as_bytes()).with_pos(position.offset);
        let stream = conn.get_binlog_stream(request).await?;
        Ok(Reader { applier, stream, position, described: false, changes: Vec::new() })
    }

    /// The next transaction of the source, once it is whole; transactions that touch nothing of ours are passed with no
    /// changes. Cancel-safe: what has been read is kept.
    async fn next(&mut self) -> Result<Transaction, DemoError> {
        loop {
            let Some(event) = self.stream.next().await else {
                return Err(DemoError::Applier("the source ended the stream of its binary log".into()));
            };
            if self.take(&event?)? {
                let changes = std::mem::take(&mut self.changes);
                return Ok(Transaction { changes, end: self.position.clone(), read: Instant::now() });
            }
        }
    }

    /// Takes in one event; true if it ends a transaction.
    fn take(&mut self, event: &Event) -> Result<bool, DemoError> {
        let header = event.header();
        // Types of MariaDB's own (GTID, annotations, …) carry no rows. Those that stand between transactions move the log's
        // end all the same, by their own time: a follower that passed over them would seem to be behind for ever.
        let Ok(kind) = header.event_type() else {
            let between = BETWEEN_TRANSACTIONS.contains(&header.event_type_raw());
            return Ok(between && header.log_pos() > 0 && self.changes.is_empty() && self.ends_at(header.log_pos()));
        };
        match kind {
            EventType::FORMAT_DESCRIPTION_EVENT => {
                self.described = true;
                Ok(false)
            }
            // The first one only repeats what was asked for, and before the format is known its checksum reads as name.
            EventType::ROTATE_EVENT if !self.described => Ok(false),
            EventType::ROTATE_EVENT => {
                if let Some(EventData::RotateEvent(rotate)) = event.read_data()? {
                    self.position = Position { file: rotate.name().into_owned(), offset: rotate.position() };
                }
                Ok(false)
            }
            EventType::XID_EVENT => Ok(self.ends_at(header.log_pos())),
            EventType::QUERY_EVENT => {
                self.query(event.read_event::<QueryEvent<'_>>()?.query().trim(), header.log_pos())
            }
            _ => {
                if let Some(EventData::RowsEvent(rows)) = event.read_data()? {
                    let table = self.stream.get_tme(rows.table_id());
                    let table = table
                        .ok_or_else(|| DemoError::Applier("rows came without their table's description".into()))?;
                    if table.database_name() == self.applier.schema {
                        rows::changes(&rows, table, &mut self.changes)?;
                    }
                }
                Ok(false)
            }
        }
    }

    /// A statement in the log: an edge of a transaction, or a definition.
    fn query(&mut self, text: &str, log_pos: u32) -> Result<bool, DemoError> {
        match text {
            "BEGIN" => Ok(false),
            "COMMIT" => Ok(self.ends_at(log_pos)),
            "ROLLBACK" => {
                self.changes.clear();
                Ok(self.ends_at(log_pos))
            }
            _ if text.starts_with("SAVEPOINT") => Ok(false),
            // Nothing else stands in a transaction of rows; a definition is a transaction by itself.
            definition => {
                let note = format!("not carried, only rows are: {definition}");
                self.applier.progress.state(|state| state.notes.push(note));
                Ok(self.ends_at(log_pos))
            }
        }
    }

    fn ends_at(&mut self, log_pos: u32) -> bool {
        self.position.offset = u64::from(log_pos);
        true
    }
}
