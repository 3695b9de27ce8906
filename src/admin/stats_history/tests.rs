//! The kept figures: what becomes of them as hours and days pass, and when they are taken.

use super::*;
use crate::admin::feed::DigestRow;
use crate::admin::functions::Who;
use crate::admin::tables::values::{Row, row};
use crate::backend::server::BackendId;
use crate::config::admin::AdminRole;
use std::collections::HashMap;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};

/// A router that has answered as many questions as it is told, with half as many clients there.
#[derive(Default)]
struct Told(AtomicU64);

impl Feed for Told {
    fn rows(&self, table: &str, reset: bool) -> Option<Vec<Row>> {
        let answered = || self.0.load(Relaxed);
        match table {
            "stats_mysql_connection_pool" => {
                let server = |host| row![0, host, 0, "", 0, 0, 0, 0, 0, answered(), 0, 0, 0, 0];
                Some(vec![server("a"), server("b")])
            }
            "stats_mysql_query_digest" => {
                assert!(reset, "they are counted anew");
                let count = self.0.swap(0, Relaxed);
                Some(vec![row![0, "", "", "", "0x0", "SELECT ?", count, 0, 0, 0, 0, 0, 0, 0]])
            }
            _ => None,
        }
    }

    fn global_status(&self) -> Vec<Figure> {
        let questions = self.0.load(Relaxed);
        let clients = (questions / 2).to_string();
        vec![("Client_Connections_connected".into(), clients), ("Questions".into(), questions.to_string())]
    }

    fn memory(&self) -> Vec<Figure> {
        vec![("process_resident".into(), "5000".into()), ("process_virtual".into(), "9000".into())]
    }

    fn processor_ticks(&self) -> Option<[u64; 2]> {
        Some([self.0.load(Relaxed), 1])
    }

    fn digests(&self, _: bool) -> Vec<DigestRow> {
        Vec::new()
    }

    fn idle(&self) -> HashMap<BackendId, u32> {
        HashMap::new()
    }

    fn metrics(&self) -> Option<String> {
        None
    }
}

/// What the role `stats` reads.
fn rows(engine: &Engine, select: &str) -> Vec<String> {
    let who = Who { role: AdminRole::Stats, ..Who::default() };
    let bounds = crate::admin::engine::Bounds { time: Duration::from_secs(20), bytes: 1 << 20 };
    let outcome = engine.run(&who, select, &[], bounds).unwrap_or_else(|e| panic!("{select}: {e}"));
    let text =
        |cell: &crate::admin::engine::Cell| String::from_utf8_lossy(cell.as_deref().unwrap_or(b"NULL")).into_owned();
    outcome.rows.iter().map(|row| row.iter().map(text).collect::<Vec<_>>().join("|")).collect()
}

/// A midnight.
const BEGIN: u64 = 20_000 * DAY;

#[test]
fn what_is_over_becomes_hours_and_days() {
    let (engine, feed, mut sampler) = (Engine::open().unwrap(), Told::default(), Sampler::default());
    let sampling = Sampling::default();
    for minute in 0..=25 * 60 {
        feed.0.store(minute * 10, Relaxed);
        sampler.take(&engine, &feed, &sampling, BEGIN + minute * 60);
    }
    assert_eq!(rows(&engine, "SELECT COUNT(*) FROM mysql_connections"), ["1501"]);
    let hours = "SELECT timestamp, Questions, Client_Connections_connected FROM mysql_connections_hour";
    let hours = rows(&engine, hours);
    assert_eq!(hours.len(), 25, "the hour that goes on has no row yet");
    assert_eq!(hours[0], format!("{BEGIN}|590|147.5"), "a counter's is the last, a level's the mean");
    assert_eq!(hours[24], format!("{}|14990|7347.5", BEGIN + 24 * HOUR));
    let days = rows(&engine, "SELECT timestamp, Questions FROM stats_history.mysql_connections_day");
    assert_eq!(days, [format!("{BEGIN}|14390")]);
    assert_eq!(rows(&engine, "SELECT tms_utime, tms_stime FROM system_cpu_hour LIMIT 1"), ["590|1"]);
    assert_eq!(rows(&engine, "SELECT resident, mapped, allocated FROM system_memory LIMIT 1"), ["5000|9000|0"]);
    assert_eq!(rows(&engine, "SELECT COUNT(*) FROM system_memory_hour"), ["25"]);
    let named = "SELECT variable_value FROM history_mysql_status_variables
        JOIN history_mysql_status_variables_lookup USING (variable_id) WHERE variable_name = 'Questions'
        ORDER BY timestamp DESC LIMIT 1";
    assert_eq!(rows(&engine, named), ["15000"]);
    assert_eq!(rows(&engine, "SELECT COUNT(*) FROM history_mysql_status_variables_lookup"), ["2"]);
    assert_eq!(rows(&engine, "SELECT COUNT(*) FROM history_stats_mysql_connection_pool"), ["3002"]);
    for empty in ["mysql_query_cache", "mysql_query_cache_hour", "history_mysql_query_digest"] {
        assert_eq!(rows(&engine, &format!("SELECT COUNT(*) FROM {empty}")), ["0"], "{empty}");
    }
}

#[test]
fn what_is_old_is_forgotten() {
    let (engine, feed) = (Engine::open().unwrap(), Told::default());
    for now in [BEGIN, BEGIN + DAY, BEGIN + 8 * DAY, BEGIN + 367 * DAY] {
        Sampler::default().take(&engine, &feed, &Sampling::default(), now);
    }
    let oldest = |table: &str| rows(&engine, &format!("SELECT MIN(timestamp) FROM {table}"));
    let last = (BEGIN + 367 * DAY).to_string();
    for table in ["mysql_connections", "history_mysql_status_variables", "history_stats_mysql_connection_pool"] {
        assert_eq!(oldest(table), [last.as_str()], "{table}");
    }
    assert_eq!(oldest("mysql_connections_hour"), [(BEGIN + 8 * DAY).to_string()]);
    assert_eq!(oldest("mysql_connections_day"), [BEGIN.to_string()]);
    engine.whole(|db| keep_newest(db, "history_stats_mysql_connection_pool", 1)).unwrap();
    assert_eq!(rows(&engine, "SELECT srv_host FROM history_stats_mysql_connection_pool"), ["b"]);
}

#[test]
fn each_part_has_its_own_interval_and_none_means_never() {
    let (engine, feed, mut sampler) = (Engine::open().unwrap(), Told::default(), Sampler::default());
    let seconds = Duration::from_secs;
    let mut sampling = Sampling {
        mysql_connections: seconds(1),
        mysql_connection_pool: seconds(0),
        system_cpu: seconds(5),
        system_memory: seconds(300),
        mysql_query_digest: seconds(4),
    };
    let count = |table: &str| rows(&engine, &format!("SELECT COUNT(*) FROM {table}")).remove(0);
    for second in 0..10 {
        feed.0.store(second, Relaxed);
        sampler.take(&engine, &feed, &sampling, BEGIN + second);
    }
    let counts = ["mysql_connections", "history_stats_mysql_connection_pool", "system_cpu", "system_memory"].map(count);
    assert_eq!(counts, ["10", "0", "2", "1"]);
    let digests = "SELECT dump_time, digest_text, count_star FROM history_mysql_query_digest";
    let kept = |second: u64| format!("{}|SELECT ?|{second}", BEGIN + second);
    assert_eq!(rows(&engine, digests), [kept(4), kept(8)]);
    // Another interval counts at once, and a clock that is set back does not silence a part.
    sampling.system_memory = seconds(1);
    sampler.take(&engine, &feed, &sampling, BEGIN + 10);
    sampler.take(&engine, &feed, &sampling, BEGIN - HOUR);
    assert_eq!(count("system_memory"), "3");
}
