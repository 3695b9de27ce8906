//! What horizons cost: compiling a digest's time predicates (once for each new digest) and evaluating them (for every
//! statement).
//!
//! Prints, for each statement, the best of several rounds; other load on the machine only makes figures worse.
//!
//! ```text
//! cargo bench --bench horizon
//! ```

use jiff::{Timestamp, tz::TimeZone};
use std::hint::black_box;
use std::time::{Duration, Instant};
use switchboard::sql::LexMode;
use switchboard::sql::digest::Digest;
use switchboard::sql::predicate::{BoundValue, TimeColumn, TimeColumns, TimeEnv, TimeProgram, TimeUnit};

/// Two tables with time columns.
struct Catalogue([(&'static str, TimeColumn); 2]);

impl TimeColumns for Catalogue {
    fn of(&self, _schema: Option<&str>, table: &str) -> &[TimeColumn] {
        let found = self.0.iter().find(|(name, _)| name.eq_ignore_ascii_case(table));
        found.map_or(&[], |(_, column)| std::slice::from_ref(column))
    }
}

/// The best time of one call, over rounds of calls that together take about 400 ms.
fn best_of(mut call: impl FnMut()) -> f64 {
    const CALLS: u32 = 2_000;
    let begun = Instant::now();
    let mut best = f64::MAX;
    while begun.elapsed() < Duration::from_millis(400) {
        let round = Instant::now();
        for _ in 0..CALLS {
            call();
        }
        best = best.min(round.elapsed().as_nanos() as f64 / f64::from(CALLS));
    }
    best
}

fn main() {
    let column = |name: &str, unit| TimeColumn { column: name.into(), unit };
    let catalogue = Catalogue([
        ("call_records", column("start_time", TimeUnit::DateTime)),
        ("call_events", column("event_ts", TimeUnit::EpochSeconds)),
    ]);
    let statements = [
        ("no time table", "SELECT c FROM sbtest1 WHERE id = 5017", TimeZone::UTC),
        ("no bound", "SELECT * FROM call_records WHERE id = 5017", TimeZone::UTC),
        ("literal, UTC", "SELECT * FROM call_records WHERE start_time >= '2026-11-01 00:00:00'", TimeZone::UTC),
        ("literal", "SELECT * FROM call_records WHERE start_time >= '2026-11-01 00:00:00'", london()),
        ("NOW() - 7 DAY, UTC", "SELECT * FROM call_records WHERE start_time >= NOW() - INTERVAL 7 DAY", TimeZone::UTC),
        ("NOW() - 7 DAY", "SELECT * FROM call_records WHERE start_time >= NOW() - INTERVAL 7 DAY", london()),
        ("NOW() - 3 MONTH", "SELECT * FROM call_records WHERE start_time >= NOW() - INTERVAL 3 MONTH", london()),
        ("BETWEEN", "SELECT * FROM call_records WHERE start_time BETWEEN '2026-11-01' AND '2026-11-30'", london()),
        ("epoch", "SELECT * FROM call_events WHERE event_ts >= UNIX_TIMESTAMP() - 7*86400", london()),
        ("bound date", "SELECT * FROM call_records WHERE id = ? AND start_time >= ?", london()),
        (
            "join of two",
            "SELECT * FROM call_records r JOIN call_events e ON e.call_id = r.id AND e.event_ts >= 1793491200 \
             WHERE r.start_time >= '2026-11-01' AND r.start_time < '2026-12-01' AND r.caller LIKE '+49%' ORDER BY r.id",
            london(),
        ),
    ];
    println!("{:<20} {:>12} {:>12}", "statement", "compile ns", "reach ns");
    let mode = LexMode::default();
    let params = [BoundValue::Int(5), BoundValue::DateTime(2026, 11, 1, 0, 0, 0, 0)];
    for (name, sql, zone) in statements {
        let mut digest = Digest::default();
        digest.read(sql.as_bytes(), mode);
        let compile = best_of(|| {
            black_box(TimeProgram::compile(sql.as_bytes(), &digest, mode, &catalogue));
        });
        let program = TimeProgram::compile(sql.as_bytes(), &digest, mode, &catalogue);
        let now: Timestamp = "2026-11-22T12:34:56.789Z".parse().expect("a moment");
        let env = TimeEnv { sql: sql.as_bytes(), digest: &digest, params: &params, now, time_zone: &zone, mode };
        let reach = best_of(|| {
            black_box(program.reach(black_box(&env)));
        });
        println!("{name:<20} {compile:>12.0} {reach:>12.1}");
    }
}

fn london() -> TimeZone {
    TimeZone::get("Europe/London").expect("a known time zone")
}
