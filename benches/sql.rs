//! What a statement costs before it is routed: its digest, and (once for each new digest) its classification.
//!
//! Prints, for each statement, the best of several rounds; other load on the machine only makes figures worse.
//!
//! ```text
//! cargo bench --bench sql
//! ```

use std::hint::black_box;
use std::time::{Duration, Instant};
use switchboard::sql::LexMode;
use switchboard::sql::classify::classify;
use switchboard::sql::digest::Digest;

/// The best time of one call, over rounds of calls that together take about `budget`.
fn best_of(budget: Duration, mut call: impl FnMut()) -> f64 {
    let warm = Instant::now();
    let mut calls = 0u32;
    while warm.elapsed() < budget / 10 {
        call();
        calls += 1;
    }
    let per_round = (calls / 2).max(1);
    let mut best = f64::MAX;
    let begun = Instant::now();
    while begun.elapsed() < budget {
        let round = Instant::now();
        for _ in 0..per_round {
            call();
        }
        best = best.min(round.elapsed().as_nanos() as f64 / f64::from(per_round));
    }
    best
}

/// An INSERT of a thousand rows, about 200 KB.
fn insert_of_200_kb() -> Vec<u8> {
    let mut sql = b"INSERT INTO call_records (id, caller, callee, started_at, seconds, note) VALUES ".to_vec();
    for id in 0..1000 {
        if id > 0 {
            sql.push(b',');
        }
        let row = format!(
            "({id}, '+4930{id:07}', '+4989{id:07}', '2026-11-22 10:{:02}:{:02}', {}.5, '{}')",
            id / 60 % 60,
            id % 60,
            id % 900,
            "spoken with the customer about the matter; will call back ".repeat(2)
        );
        sql.extend_from_slice(row.as_bytes());
    }
    sql
}

fn main() {
    let insert = insert_of_200_kb();
    let analytic = "SELECT d.region, COUNT(*) AS calls, SUM(r.seconds) / 60.0 AS minutes, AVG(CASE WHEN r.status = 'answered' \
        THEN r.seconds ELSE NULL END) AS answered FROM call_records r JOIN (SELECT id, region FROM devices WHERE active = 1 \
        AND region IN ('north', 'south', 'east', 'west')) d ON d.id = r.device_id LEFT JOIN tariffs t ON t.id = r.tariff_id \
        WHERE r.started_at >= '2026-09-01 00:00:00' AND r.started_at < '2026-10-01' AND (r.cost > 0.5 OR t.flat = 0) \
        AND EXISTS (SELECT 1 FROM customers c WHERE c.id = r.customer_id AND c.kind IN (1, 2, 3, 4, 5, 6)) \
        GROUP BY d.region HAVING calls > 100 ORDER BY minutes DESC, d.region ASC LIMIT 50";
    let statements: [(&str, &[u8]); 6] = [
        ("sysbench point select", b"SELECT c FROM sbtest1 WHERE id=5017"),
        ("sysbench range", b"SELECT c FROM sbtest1 WHERE id BETWEEN 4993 AND 5092 ORDER BY c"),
        ("sysbench update", b"UPDATE sbtest1 SET c='68487932199-96439406143-93774651418' WHERE id=5017"),
        ("IN list of 20", b"SELECT a FROM t WHERE id IN (1,2,3,4,5,6,7,8,9,10,11,12,13,14,15,16,17,18,19,20)"),
        ("analytic", analytic.as_bytes()),
        ("INSERT of 1000 rows", &insert),
    ];
    println!("{:<24} {:>8} {:>14} {:>14}", "statement", "bytes", "digest ns", "classify ns");
    let mode = LexMode::default();
    let budget = Duration::from_millis(400);
    for (name, sql) in statements {
        let mut digest = Digest::default();
        let read = best_of(budget, || {
            digest.read(black_box(sql), mode);
            black_box(digest.hash);
        });
        let classified = best_of(budget, || {
            black_box(classify(black_box(sql), mode));
        });
        println!("{name:<24} {:>8} {read:>14.0} {classified:>14.0}", sql.len());
    }
}
