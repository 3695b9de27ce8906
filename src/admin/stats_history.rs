//! `stats_history`: what was counted, over time. Samples are taken on the admin thread, so that no worker knows of them; the
//! intervals are `[admin.stats_history]`'s, which are ProxySQL's `admin-stats_…` variables.
//!
//! Samples are kept for a week, their hours for a year and their days for ten, as ProxySQL has it, and no table has more than
//! [`MOST_ROWS`] rows. They are in memory: a router that starts begins anew.
//! Neighbours: `tables::stats_history` says what the tables are, `feed` has the figures, `server` keeps the time.

use super::engine::{Engine, EngineError};
use super::feed::{Feed, Figure};
use crate::config::admin::Sampling;
use rusqlite::types::Value;
use rusqlite::{Connection, Result, params, params_from_iter};
use std::time::Duration;

/// The most rows of a table: what has several for each sample (variables, servers, digests) keeps its newest.
const MOST_ROWS: u32 = 100_000;

const HOUR: u64 = 3_600;
const DAY: u64 = 24 * HOUR;

/// For how long what is sampled is kept, its hours, and its days.
const KEPT: [u64; 3] = [7 * DAY, 365 * DAY, 3_650 * DAY];

/// A table with a row for each sample, and with hours and days.
struct Series {
    table: &'static str,
    /// Its columns; true for a figure that goes up and down, of which an hour has the mean. A counter's is the last.
    columns: &'static [(&'static str, bool)],
}

const CONNECTIONS: Series = Series {
    table: "mysql_connections",
    columns: &[
        ("Client_Connections_aborted", false),
        ("Client_Connections_connected", true),
        ("Client_Connections_created", false),
        ("Server_Connections_aborted", false),
        ("Server_Connections_connected", true),
        ("Server_Connections_created", false),
        ("ConnPool_get_conn_failure", false),
        ("ConnPool_get_conn_immediate", false),
        ("ConnPool_get_conn_success", false),
        ("Questions", false),
        ("Slow_queries", false),
        ("GTID_consistent_queries", false),
    ],
};

const HOSTGROUPS: Series = Series {
    table: "myhgm_connections",
    columns: &[
        ("MyHGM_myconnpoll_destroy", false),
        ("MyHGM_myconnpoll_get", false),
        ("MyHGM_myconnpoll_get_ok", false),
        ("MyHGM_myconnpoll_push", false),
        ("MyHGM_myconnpoll_reset", false),
    ],
};

const CPU: Series = Series { table: "system_cpu", columns: &[("tms_utime", false), ("tms_stime", false)] };

/// What the allocator would have to say (`allocated`, `active`, `metadata`, `retained`) is 0.
const MEMORY: Series = Series {
    table: "system_memory",
    columns: &[
        ("allocated", true),
        ("resident", true),
        ("active", true),
        ("mapped", true),
        ("metadata", true),
        ("retained", true),
    ],
};

impl Series {
    /// Takes in a sample: the figures of its columns, by name.
    fn sample(&self, db: &Connection, now: u64, figures: &[Figure]) -> Result<()> {
        let of = |name: &str| figures.iter().find(|(known, _)| known == name).and_then(|(_, value)| value.parse().ok());
        let values = self.columns.iter().map(|(name, _)| of(name).unwrap_or(0_i64));
        let row: Vec<i64> = std::iter::once(seconds(now)).chain(values).collect();
        let places = vec!["?"; row.len()].join(",");
        db.execute(
            &format!("INSERT OR REPLACE INTO stats_history.{} VALUES ({places})", self.table),
            params_from_iter(row),
        )?;
        self.roll_up(db, now)
    }

    /// Brings the hours and days that are over into their tables, and forgets what is old.
    fn roll_up(&self, db: &Connection, now: u64) -> Result<()> {
        let table = self.table;
        let (hours, days) = (format!("{table}_hour"), format!("{table}_day"));
        self.add_up(db, table, &hours, HOUR, now)?;
        self.add_up(db, &hours, &days, DAY, now)?;
        for (table, kept) in [table, &hours, &days].into_iter().zip(KEPT) {
            forget_before(db, table, now.saturating_sub(kept))?;
        }
        Ok(())
    }

    /// A row for each span that is over and that has none yet.
    fn add_up(&self, db: &Connection, from: &str, to: &str, span: u64, now: u64) -> Result<()> {
        let last: Option<i64> =
            db.query_row(&format!("SELECT MAX(timestamp) FROM stats_history.{to}"), [], |row| row.get(0))?;
        let (from_then, until) = (last.map_or(0, |last| last + seconds(span)), seconds(now / span * span));
        if from_then >= until {
            return Ok(());
        }
        let of = |(name, mean): &(&str, bool)| if *mean { format!("AVG({name})") } else { format!("MAX({name})") };
        let columns: Vec<String> = self.columns.iter().map(of).collect();
        let add = format!(
            "INSERT INTO stats_history.{to} SELECT timestamp / ?1 * ?1, {} FROM stats_history.{from} \
             WHERE timestamp >= ?2 AND timestamp < ?3 GROUP BY timestamp / ?1",
            columns.join(", ")
        );
        db.execute(&add, params![seconds(span), from_then, until])?;
        Ok(())
    }
}

fn seconds(count: u64) -> i64 {
    i64::try_from(count).unwrap_or(i64::MAX)
}

fn forget_before(db: &Connection, table: &str, then: u64) -> Result<()> {
    db.execute(&format!("DELETE FROM stats_history.{table} WHERE timestamp < ?"), [seconds(then)])?;
    Ok(())
}

/// Keeps a table at its newest rows.
fn keep_newest(db: &Connection, table: &str, most: u32) -> Result<()> {
    let old = format!("(SELECT MAX(rowid) FROM stats_history.{table}) - ?");
    db.execute(&format!("DELETE FROM stats_history.{table} WHERE rowid <= {old}"), [most])?;
    Ok(())
}

/// All figures of `stats_mysql_global`.
fn sample_variables(db: &Connection, now: u64, figures: &[Figure]) -> Result<()> {
    let mut name = db.prepare(
        "INSERT INTO stats_history.history_mysql_status_variables_lookup (variable_name) SELECT ?1
         WHERE NOT EXISTS (SELECT 1 FROM stats_history.history_mysql_status_variables_lookup WHERE variable_name = ?1)",
    )?;
    let mut value = db.prepare(
        "INSERT OR REPLACE INTO stats_history.history_mysql_status_variables
         SELECT ?1, variable_id, ?3 FROM stats_history.history_mysql_status_variables_lookup WHERE variable_name = ?2",
    )?;
    for (known, figure) in figures {
        name.execute([known])?;
        value.execute(params![seconds(now), known, figure])?;
    }
    forget_before(db, "history_mysql_status_variables", now.saturating_sub(KEPT[0]))?;
    keep_newest(db, "history_mysql_status_variables", MOST_ROWS)
}

/// Rows that say everything but when: a column for that stands before theirs.
fn append(db: &Connection, table: &str, now: u64, rows: Vec<Vec<Value>>) -> Result<()> {
    let Some(first) = rows.first() else { return Ok(()) };
    let places = vec!["?"; first.len() + 1].join(",");
    let mut insert = db.prepare(&format!("INSERT OR REPLACE INTO stats_history.{table} VALUES ({places})"))?;
    for row in rows {
        insert.execute(params_from_iter(std::iter::once(Value::Integer(seconds(now))).chain(row)))?;
    }
    keep_newest(db, table, MOST_ROWS)
}

/// Moves all digests into `history_mysql_query_digest`: they are counted anew from here on. How many there were.
///
/// # Errors
/// The engine's; none is to be expected.
pub fn keep_digests(engine: &Engine, feed: &dyn Feed, now: u64) -> std::result::Result<u64, EngineError> {
    let rows = feed.rows("stats_mysql_query_digest", true).unwrap_or_default();
    let count = rows.len() as u64;
    engine.whole(|db| append(db, "history_mysql_query_digest", now, rows))?;
    Ok(count)
}

/// What is sampled, each at its own interval.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Subject {
    Connections,
    Pool,
    Cpu,
    Memory,
    Digests,
}

impl Subject {
    const ALL: [Subject; 5] = [Subject::Connections, Subject::Pool, Subject::Cpu, Subject::Memory, Subject::Digests];

    fn interval(self, sampling: &Sampling) -> Duration {
        match self {
            Subject::Connections => sampling.mysql_connections,
            Subject::Pool => sampling.mysql_connection_pool,
            Subject::Cpu => sampling.system_cpu,
            Subject::Memory => sampling.system_memory,
            Subject::Digests => sampling.mysql_query_digest,
        }
    }

    fn sample(self, engine: &Engine, feed: &dyn Feed, now: u64) -> std::result::Result<(), EngineError> {
        match self {
            Subject::Connections => {
                let figures = feed.global_status();
                engine.whole(|db| {
                    CONNECTIONS.sample(db, now, &figures)?;
                    HOSTGROUPS.sample(db, now, &figures)?;
                    sample_variables(db, now, &figures)
                })
            }
            Subject::Pool => {
                let rows = feed.rows("stats_mysql_connection_pool", false).unwrap_or_default();
                engine.whole(|db| {
                    append(db, "history_stats_mysql_connection_pool", now, rows)?;
                    forget_before(db, "history_stats_mysql_connection_pool", now.saturating_sub(KEPT[0]))
                })
            }
            Subject::Cpu => match feed.processor_ticks() {
                Some([user, system]) => {
                    let figures = [("tms_utime".into(), user.to_string()), ("tms_stime".into(), system.to_string())];
                    engine.whole(|db| CPU.sample(db, now, &figures))
                }
                None => Ok(()),
            },
            Subject::Memory => {
                let known = feed.memory();
                let of =
                    |name: &str| known.iter().find(|(n, _)| n == name).map_or_else(String::new, |(_, v)| v.clone());
                let figures = [("resident".into(), of("process_resident")), ("mapped".into(), of("process_virtual"))];
                engine.whole(|db| MEMORY.sample(db, now, &figures))
            }
            Subject::Digests => keep_digests(engine, feed, now).map(drop),
        }
    }
}

/// Takes samples when they are due.
#[derive(Default)]
pub struct Sampler {
    /// When each subject is next, in seconds since 1970; none before the first look.
    due: [Option<u64>; Subject::ALL.len()],
}

impl Sampler {
    /// Takes the samples that are due. To be called each second.
    pub fn take(&mut self, engine: &Engine, feed: &dyn Feed, sampling: &Sampling, now: u64) {
        for (subject, due) in Subject::ALL.into_iter().zip(&mut self.due) {
            let interval = subject.interval(sampling).as_secs();
            if interval == 0 {
                *due = None;
                continue;
            }
            // Digests are not moved away by a start.
            let next = due.unwrap_or(if subject == Subject::Digests { now + interval } else { now });
            // What is further off than its interval was reckoned by another interval, or by a clock that was set back since.
            let waits = now < next && next <= now + interval;
            *due = Some(if waits { next } else { now + interval });
            if waits {
                continue;
            }
            if let Err(error) = subject.sample(engine, feed, now) {
                tracing::warn!(target: "admin", %error, "a sample for stats_history was not taken");
            }
        }
    }
}

#[cfg(test)]
mod tests;
