//! Horizons of executions: one program for all statements of a digest, and the bound values of prepared ones.

mod predicate_support;

use predicate_support::{Session, check, shown};
use switchboard::sql::digest::Digest;
use switchboard::sql::predicate::BoundValue;

fn utc() -> Session<'static> {
    Session::of_zone("UTC")
}

#[test]
fn bound_values() {
    use BoundValue::*;
    let rows: &[(BoundValue<'_>, &str, &str)] = &[
        (Bytes(b"2026-11-01"), "2026-11-01 00:00:00", "unknown"),
        (Bytes(b"2026-11-01 10:20:30"), "2026-11-01 10:20:30", "unknown"),
        (Bytes(b"20261101102030"), "2026-11-01 10:20:30", "unknown"),
        // A DECIMAL comes as text too, and may be compared as a number.
        (Bytes(b"20261101"), "unknown", "1970-08-23 12:05:01"),
        (Bytes(b"1793491200"), "unknown", "2026-11-01 00:00:00"),
        (Bytes(b"1793491200.5"), "unknown", "2026-11-01 00:00:00"),
        (Bytes(b""), "unknown", "unknown"),
        (Bytes(b"x"), "unknown", "unknown"),
        (Bytes(b"\xff\xfe"), "unknown", "unknown"),
        (DateTime(2026, 11, 1, 0, 0, 0, 0), "2026-11-01 00:00:00", "unknown"),
        (DateTime(2026, 11, 1, 10, 20, 30, 999_999), "2026-11-01 10:20:30", "unknown"),
        (DateTime(0, 0, 0, 0, 0, 0, 0), "unknown", "unknown"),
        (DateTime(2026, 2, 30, 0, 0, 0, 0), "unknown", "unknown"),
        (DateTime(2026, 11, 1, 25, 0, 0, 0), "unknown", "unknown"),
        (DateTime(2026, 11, 1, 0, 0, 0, 1_000_000), "unknown", "unknown"),
        (DateTime(65535, 255, 255, 255, 255, 255, u32::MAX), "unknown", "unknown"),
        (Int(20_261_101), "2026-11-01 00:00:00", "1970-08-23 12:05:01"),
        (Int(20_261_101_102_030), "2026-11-01 00:00:00", "unknown"),
        (Int(1_793_491_200), "unknown", "2026-11-01 00:00:00"),
        (Int(i64::MIN), "unknown", "unknown"),
        (Int(i64::MAX), "unknown", "unknown"),
        (UInt(20_261_101), "2026-11-01 00:00:00", "1970-08-23 12:05:01"),
        (UInt(1_793_491_200), "unknown", "2026-11-01 00:00:00"),
        (UInt(u64::MAX), "unknown", "unknown"),
        (Double(1_793_491_200.0), "unknown", "2026-11-01 00:00:00"),
        (Double(1_793_491_200.9), "unknown", "2026-11-01 00:00:00"),
        (Double(-0.5), "unknown", "1969-12-31 23:59:59"),
        (Double(20_261_101.0), "unknown", "1970-08-23 12:05:01"),
        (Double(f64::NAN), "unknown", "unknown"),
        (Double(f64::INFINITY), "unknown", "unknown"),
        (Double(1e300), "unknown", "unknown"),
        (Null, "unknown", "unknown"),
        (Opaque, "unknown", "unknown"),
    ];
    for (value, datetime, epoch) in rows {
        let session = Session { params: std::slice::from_ref(value), ..utc() };
        let reach = |sql: &str| shown(session.reach(sql.as_bytes()));
        assert_eq!(reach("SELECT * FROM call_records WHERE start_time >= ?"), *datetime, "{value:?}");
        assert_eq!(reach("SELECT * FROM call_records WHERE ? <= start_time"), *datetime, "{value:?}");
        assert_eq!(reach("SELECT * FROM call_records WHERE start_time IN (?)"), *datetime, "{value:?}");
        assert_eq!(reach("SELECT * FROM call_events WHERE event_ts >= ?"), *epoch, "{value:?}");
        assert_eq!(reach("SELECT * FROM call_records WHERE start_time < ?"), "endless", "{value:?}");
    }
}

#[test]
fn parameters_are_counted() {
    use BoundValue::*;
    let params = [Int(1), Bytes(b"2026-11-01"), Bytes(b"2026-12-01"), Int(7), Double(7.0)];
    let session = Session { params: &params, ..utc() };
    check(
        &session,
        &[
            ("SELECT * FROM call_records WHERE id = ? AND start_time >= ?", "2026-11-01 00:00:00"),
            ("SELECT * FROM call_records WHERE id = ? AND start_time BETWEEN ? AND ?", "2026-11-01 00:00:00"),
            (
                "SELECT * FROM call_records WHERE id = ? AND a = 'x?' AND b = 7 AND start_time >= ?",
                "2026-11-01 00:00:00",
            ),
            ("SELECT * FROM call_records WHERE id = -? AND start_time >= ?", "2026-11-01 00:00:00"),
            ("SELECT ?, ?, ? FROM call_records WHERE start_time >= NOW() - INTERVAL ? DAY", "2026-11-15 12:34:56"),
            ("SELECT ?, ?, ?, ? FROM call_records WHERE start_time >= NOW() - INTERVAL ? DAY", "2026-11-15 12:34:56"),
            ("SELECT ? FROM call_records WHERE start_time >= DATE_SUB(?, INTERVAL 1 DAY)", "2026-10-31 00:00:00"),
            ("SELECT ? FROM call_records WHERE start_time IN (?, ?)", "2026-11-01 00:00:00"),
            ("SELECT ? FROM call_records WHERE start_time IN (?, '2026-10-01', ?)", "2026-10-01 00:00:00"),
            ("SELECT * FROM call_records WHERE start_time >= -?", "unknown"),
            ("SELECT ?, ?, ?, ?, ? FROM call_records WHERE start_time >= ?", "unknown"),
            ("SELECT * FROM call_records WHERE start_time >= DATE?", "unknown"),
        ],
    );
    // Without values, a parameter is worth nothing.
    check(&utc(), &[("SELECT * FROM call_records WHERE start_time >= ?", "unknown")]);
    let many = vec![Bytes(b"2026-11-09"); 40];
    let mut params = many.clone();
    params[33] = Bytes(b"2026-11-02");
    let list = format!("SELECT * FROM call_records WHERE start_time IN (?{})", ",?".repeat(39));
    assert_eq!(shown(Session { params: &many, ..utc() }.reach(list.as_bytes())), "2026-11-09 00:00:00");
    assert_eq!(shown(Session { params: &params, ..utc() }.reach(list.as_bytes())), "2026-11-02 00:00:00");
    params[33] = Null;
    assert_eq!(shown(Session { params: &params, ..utc() }.reach(list.as_bytes())), "unknown");
}

/// A program holds for every statement of its digest: each row's texts share one, and each is tried with the program of
/// each other.
#[test]
fn one_program_for_a_digest() {
    let rows: &[&[(&str, &str)]] = &[
        &[
            ("start_time >= '2026-11-01'", "2026-11-01 00:00:00"),
            ("start_time >= '2020-01-01'", "2020-01-01 00:00:00"),
            ("start_time >= 20200101", "2020-01-01 00:00:00"),
            ("start_time >= -20200101", "unknown"),
            ("start_time >= NULL", "unknown"),
            ("start_time >= 'x'", "unknown"),
            ("start_time >= ?", "unknown"),
            ("start_time /* c */ >= 0", "unknown"),
        ],
        &[
            ("start_time >= NOW() - INTERVAL 7 DAY", "2026-11-15 12:34:56"),
            ("start_time >= NOW() - INTERVAL -7 DAY", "2026-11-29 12:34:56"),
            ("start_time >= NOW() - INTERVAL '700' DAY", "2024-12-22 12:34:56"),
            ("start_time >= NOW() - INTERVAL NULL DAY", "unknown"),
        ],
        &[
            ("start_time IN ('2026-11-01','2026-11-02','2026-11-03','2026-11-04','2026-11-05')", "2026-11-01 00:00:00"),
            (
                "start_time IN ('2026-11-06','2026-11-07','2026-11-08','2026-11-09','2026-11-05','2026-11-04')",
                "2026-11-04 00:00:00",
            ),
            ("start_time IN ('2026-11-06','2026-11-07','2026-11-08','2020-01-01','2026-11-05')", "2020-01-01 00:00:00"),
            ("start_time IN ('2026-11-06','2026-11-07','2026-11-08','2026-11-09',NULL)", "unknown"),
        ],
        &[
            ("start_time IN (('2026-11-01'),('2026-11-02'))", "2026-11-01 00:00:00"),
            ("start_time IN (('2026-11-03'),('2026-11-02'),('2026-10-01'))", "2026-10-01 00:00:00"),
        ],
        &[
            ("start_time IN ((NOW() - INTERVAL 1 DAY),(NOW() - INTERVAL 2 DAY))", "unknown"),
            (
                "start_time IN ((NOW() - INTERVAL 1 DAY),(NOW() - INTERVAL 2000 DAY),(NOW() - INTERVAL 1 DAY))",
                "unknown",
            ),
        ],
        &[
            ("(a,b) IN ((1,2),(3,4)) AND start_time >= '2026-11-01'", "2026-11-01 00:00:00"),
            ("(a,b) IN ((1,2),(3,4),(5,6),(7,8)) AND start_time >= '2026-10-01'", "2026-10-01 00:00:00"),
        ],
        &[
            ("id IN (1,2,3,4,5) AND start_time >= '2026-11-01'", "2026-11-01 00:00:00"),
            ("id IN (1,2,3,4,5,6,7,8,9) AND start_time >= '2026-10-01'", "2026-10-01 00:00:00"),
            ("id IN (1,2,3,4,'2026-01-01','2026-02-02') AND start_time >= '2026-09-01'", "2026-09-01 00:00:00"),
        ],
        &[
            ("f(1,2,3,4,5) AND start_time >= DATE_SUB('2026-11-02', INTERVAL 1 DAY)", "2026-11-01 00:00:00"),
            ("f(1,2,3,4,5,6) AND start_time >= DATE_SUB('2026-11-02', INTERVAL 32 DAY)", "2026-10-01 00:00:00"),
        ],
    ];
    let session = utc();
    for row in rows {
        let texts: Vec<String> =
            row.iter().map(|(text, _)| format!("SELECT * FROM call_records WHERE {text}")).collect();
        let digests: Vec<Digest> = texts.iter().map(|text| session.digest(text.as_bytes())).collect();
        let first = String::from_utf8_lossy(&digests[0].text);
        for of in &texts {
            let program = session.compile(of.as_bytes());
            for ((text, digest), (_, expected)) in texts.iter().zip(&digests).zip(*row) {
                assert_eq!(String::from_utf8_lossy(&digest.text), first, "the row's texts share a digest");
                assert_eq!(shown(session.reach_by(&program, text.as_bytes(), digest)), *expected, "{text} by {of}");
            }
        }
    }
}
