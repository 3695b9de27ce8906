//! Horizons: what the expressions that a time column is compared with come to.

mod predicate_support;

use predicate_support::{Session, check, check_where, moment, zone};
use switchboard::sql::LexMode;

fn utc() -> Session<'static> {
    Session::of_zone("UTC")
}

/// Checks what `start_time >= x` reaches, for every `x`.
#[track_caller]
fn check_values(session: &Session<'_>, rows: &[(&str, &str)]) {
    let texts: Vec<String> = rows.iter().map(|(value, _)| format!("start_time >= {value}")).collect();
    let rows: Vec<(&str, &str)> = texts.iter().map(String::as_str).zip(rows.iter().map(|row| row.1)).collect();
    check_where(session, &rows);
}

/// The same for a column of seconds and one of milliseconds.
#[track_caller]
fn check_epochs(session: &Session<'_>, rows: &[(&str, &str, &str)]) {
    let mut all = Vec::new();
    for (value, seconds, millis) in rows {
        all.push((format!("SELECT * FROM call_events WHERE event_ts >= {value}"), *seconds));
        all.push((format!("SELECT * FROM call_quality WHERE at_ms >= {value}"), *millis));
    }
    let rows: Vec<(&str, &str)> = all.iter().map(|(sql, expected)| (sql.as_str(), *expected)).collect();
    check(session, &rows);
}

#[test]
fn quoted_times() {
    check_values(
        &utc(),
        &[
            ("'2026-11-01'", "2026-11-01 00:00:00"),
            ("'2026-11-01 10:20:30'", "2026-11-01 10:20:30"),
            ("'2026-11-01T10:20:30'", "2026-11-01 10:20:30"),
            ("'2026-11-01 10:20'", "2026-11-01 10:20:00"),
            ("'2026-11-01 10:20:30.999999'", "2026-11-01 10:20:30"),
            ("'2026-11-01 10:20:30.9'", "2026-11-01 10:20:30"),
            ("'2026-11-01 10:20:30.'", "2026-11-01 10:20:30"),
            ("'2026-1-5'", "2026-01-05 00:00:00"),
            ("'2026-1-5 9:8:7'", "2026-01-05 09:08:07"),
            ("'2026/11/01'", "2026-11-01 00:00:00"),
            ("'2026/11/01 10:20:30'", "2026-11-01 10:20:30"),
            ("'20261101102030'", "2026-11-01 10:20:30"),
            ("\"2026-11-01\"", "2026-11-01 00:00:00"),
            ("'1000-01-01'", "1000-01-01 00:00:00"),
            ("'1969-12-31 23:59:59'", "1969-12-31 23:59:59"),
            ("'2024-02-29'", "2024-02-29 00:00:00"),
            ("'2000-02-29'", "2000-02-29 00:00:00"),
            ("'2038-01-19 03:14:07'", "2038-01-19 03:14:07"),
        ],
    );
    let unknown = [
        "''",
        "' '",
        "'now'",
        "'2026'",
        "'2026-11'",
        "'2026-11-'",
        "'2026-11-1x'",
        "'2026-11-01 '",
        "' 2026-11-01'",
        "'2026-11-01 10'",
        "'2026-11-01 10:'",
        "'2026-11-01 10:20:30 '",
        "'2026-11-01  10:20:30'",
        "'2026-11-01-10:20:30'",
        "'2026-11-01 10:20:30.1234567'",
        "'2026-11-01 10:20:30.12x'",
        "'2026-11-01 10:20:30Z'",
        "'2026-11-01 10:20:30+00:00'",
        "'2026-11-01 10:20:30 +05:00'",
        "'2026-11-01 10:20:30 UTC'",
        "'2026-11/01'",
        "'26-11-01'",
        "'2026.11.01'",
        "'2026-11-01 10.20.30'",
        "'20261101'",
        "'261101'",
        "'20261101T102030'",
        "'2026-02-29'",
        "'2026-02-30'",
        "'2100-02-29'",
        "'1900-02-29'",
        "'2026-04-31'",
        "'2026-13-01'",
        "'2026-00-01'",
        "'2026-11-00'",
        "'2026-11-32'",
        "'0000-00-00'",
        "'0000-00-00 00:00:00'",
        "'0999-12-31'",
        "'0000-01-01'",
        "'2026-11-01 24:00:00'",
        "'2026-11-01 10:60:00'",
        "'2026-11-01 10:20:60'",
        "'12026-11-01'",
        "'-2026-11-01'",
        "'2026-11-0\\1'",
        "'2026-11-01'''",
        "'\\2026-11-01'",
        "'2026-011-01'",
        "'20261301102030'",
        "'20261101102060'",
        "'99999999999999'",
        "'00000000000000'",
        "'２０２６-11-01'",
    ];
    check_values(&utc(), &unknown.map(|value| (value, "unknown")));
}

#[test]
fn typed_literals() {
    check_values(
        &utc(),
        &[
            ("DATE'2026-11-01'", "2026-11-01 00:00:00"),
            ("date '2026-11-01'", "2026-11-01 00:00:00"),
            ("TIMESTAMP'2026-11-01 10:20:30'", "2026-11-01 10:20:30"),
            ("timestamp \"2026-11-01 10:20:30.5\"", "2026-11-01 10:20:30"),
            ("{d '2026-11-01'}", "2026-11-01 00:00:00"),
            ("{ts '2026-11-01 10:20:30'}", "2026-11-01 10:20:30"),
            ("{ TS '2026-11-01 10:20:30' }", "2026-11-01 10:20:30"),
            ("DATE'2026-11-01 10:20:30'", "unknown"),
            ("DATE'2026-02-30'", "unknown"),
            ("DATE 20261101", "unknown"),
            ("TIMESTAMP'2026-11-01'", "unknown"),
            ("TIMESTAMP 20261101102030", "unknown"),
            ("TIME'10:20:30'", "unknown"),
            ("{t '10:20:30'}", "unknown"),
            ("{d 20261101}", "unknown"),
            ("{d '2026-11-01' AND 1}", "unknown"),
            ("{ts NOW()}", "unknown"),
            ("{x '2026-11-01'}", "unknown"),
            ("{'2026-11-01'}", "unknown"),
            ("`DATE`'2026-11-01'", "unknown"),
        ],
    );
}

#[test]
fn numbers_as_dates() {
    check_values(
        &utc(),
        &[
            ("20261101", "2026-11-01 00:00:00"),
            // MySQL cuts the time of day off, if the column is a DATE.
            ("20261101102030", "2026-11-01 00:00:00"),
            ("20261101102030 + INTERVAL 0 DAY", "2026-11-01 10:20:30"),
            ("+20261101", "2026-11-01 00:00:00"),
            ("DATE(20261101102030)", "2026-11-01 00:00:00"),
            ("20261101 - INTERVAL 1 DAY", "2026-10-31 00:00:00"),
        ],
    );
    let unknown = [
        "0",
        "1",
        "-1",
        "2026",
        "261101",
        "20261301",
        "20260230",
        "20261101.0",
        "20261101.5",
        "2.0261101e7",
        "20261101e0",
        "-20261101",
        "2026110110",
        "202611011020",
        "20261101102060",
        "20261101102030.5",
        "99991231235959999",
        "9223372036854775807",
        "9223372036854775808",
        "99999999999999999999999999",
        "0x134FD6D",
        "0b1",
        "b'1'",
        "20261101 + 0",
        "20261100 + 1",
        "1 * 20261101",
        "NOW() - 7",
        "NOW() + 0",
        "CURDATE() - 7",
        "- 20261101",
        "UNIX_TIMESTAMP()",
        "UNIX_TIMESTAMP() - INTERVAL 1 DAY",
        "CAST(20261101 AS SIGNED)",
        "FLOOR(20261101)",
        "1793491200",
    ];
    check_values(&utc(), &unknown.map(|value| (value, "unknown")));
    check_where(
        &utc(),
        &[
            // Servers may compare three values as numbers if one of them is one.
            ("start_time BETWEEN 20261101 AND 20261130", "unknown"),
            ("start_time BETWEEN '2026-11-01' AND 20261130", "unknown"),
            ("start_time BETWEEN '2026-11-01' AND 5", "unknown"),
            ("start_time BETWEEN 20261101102030 AND NOW()", "unknown"),
            ("start_time = 20261101", "2026-11-01 00:00:00"),
            ("start_time IN (20261105, '2026-11-01')", "2026-11-01 00:00:00"),
        ],
    );
}

#[test]
fn the_clock() {
    let rows = [
        ("NOW()", "2026-11-22 12:34:56"),
        ("now( )", "2026-11-22 12:34:56"),
        ("NOW(6)", "2026-11-22 12:34:56"),
        ("SYSDATE()", "2026-11-22 12:34:56"),
        ("CURRENT_TIMESTAMP", "2026-11-22 12:34:56"),
        ("CURRENT_TIMESTAMP()", "2026-11-22 12:34:56"),
        ("CURRENT_TIMESTAMP(3)", "2026-11-22 12:34:56"),
        ("LOCALTIME", "2026-11-22 12:34:56"),
        ("LOCALTIME()", "2026-11-22 12:34:56"),
        ("LOCALTIMESTAMP", "2026-11-22 12:34:56"),
        ("LOCALTIMESTAMP(0)", "2026-11-22 12:34:56"),
        ("UTC_TIMESTAMP", "2026-11-22 12:34:56"),
        ("UTC_TIMESTAMP()", "2026-11-22 12:34:56"),
        ("UTC_TIMESTAMP(6)", "2026-11-22 12:34:56"),
        ("CURDATE()", "2026-11-22 00:00:00"),
        ("CURRENT_DATE", "2026-11-22 00:00:00"),
        ("CURRENT_DATE()", "2026-11-22 00:00:00"),
        ("UTC_DATE", "2026-11-22 00:00:00"),
        ("UTC_DATE()", "2026-11-22 00:00:00"),
        ("DATE(NOW())", "2026-11-22 00:00:00"),
        ("TIMESTAMP(CURDATE())", "2026-11-22 00:00:00"),
        ("LAST_DAY(NOW())", "2026-11-30 00:00:00"),
        ("LAST_DAY(NOW() - INTERVAL 1 MONTH) + INTERVAL 1 DAY", "2026-11-01 00:00:00"),
        ("LAST_DAY('2024-02-10')", "2024-02-29 00:00:00"),
        // What looks like the clock and is not.
        ("NOW", "unknown"),
        ("CURDATE", "unknown"),
        ("SYSDATE", "unknown"),
        ("`NOW`()", "unknown"),
        ("mine.NOW()", "unknown"),
        ("NOW(x)", "unknown"),
        ("NOW(NOW())", "unknown"),
        ("NOW(1, 2)", "unknown"),
        ("CURDATE(1)", "unknown"),
        ("CURTIME()", "unknown"),
        ("UTC_TIME()", "unknown"),
        ("NOWADAYS()", "unknown"),
        ("CURRENT_TIMESTAMP.x", "unknown"),
        ("DATE(start_time)", "unknown"),
        ("DATE(NOW(), 1)", "unknown"),
        ("STR_TO_DATE('2026-11-01', '%Y-%m-%d')", "unknown"),
        ("MAKEDATE(2026, 1)", "unknown"),
        ("GREATEST(NOW(), '2026-11-01')", "unknown"),
        ("CONVERT_TZ(NOW(), 'UTC', '+14:00')", "unknown"),
        ("TIMESTAMP('2026-11-01', '10:00:00')", "unknown"),
        ("@since", "unknown"),
        ("@@timestamp", "unknown"),
        ("RAND()", "unknown"),
    ];
    check_values(&utc(), &rows);
}

#[test]
fn date_arithmetic() {
    let rows = [
        ("NOW() - INTERVAL 7 DAY", "2026-11-15 12:34:56"),
        ("NOW() + INTERVAL 7 DAY", "2026-11-29 12:34:56"),
        ("NOW() - INTERVAL '7' DAY", "2026-11-15 12:34:56"),
        ("NOW() - INTERVAL -7 DAY", "2026-11-29 12:34:56"),
        ("NOW() - INTERVAL - 7 DAY", "2026-11-29 12:34:56"),
        ("NOW() - INTERVAL -400 DAY", "2027-12-27 12:34:56"),
        ("NOW() + INTERVAL -400 DAY", "2025-10-18 12:34:56"),
        ("NOW() - INTERVAL (7) DAY", "2026-11-15 12:34:56"),
        ("NOW() - INTERVAL 7*24 HOUR", "2026-11-15 12:34:56"),
        ("NOW() - INTERVAL 1 + 1 HOUR", "2026-11-22 10:34:56"),
        ("NOW() - INTERVAL 3 - 1 HOUR", "2026-11-22 10:34:56"),
        ("NOW() - INTERVAL 7.0 DAY", "2026-11-15 12:34:56"),
        ("NOW() - INTERVAL 0 DAY", "2026-11-22 12:34:56"),
        ("NOW() - INTERVAL 90 SECOND", "2026-11-22 12:33:26"),
        ("NOW() - INTERVAL 90 MINUTE", "2026-11-22 11:04:56"),
        ("NOW() - INTERVAL 36 HOUR", "2026-11-21 00:34:56"),
        ("NOW() - INTERVAL 2 WEEK", "2026-11-08 12:34:56"),
        ("NOW() - INTERVAL 1 MONTH", "2026-10-22 12:34:56"),
        ("NOW() - INTERVAL 23 MONTH", "2024-12-22 12:34:56"),
        ("NOW() - INTERVAL 1 QUARTER", "2026-08-22 12:34:56"),
        ("NOW() - INTERVAL 2 YEAR", "2024-11-22 12:34:56"),
        ("NOW() - INTERVAL 1 MICROSECOND", "2026-11-22 12:34:55"),
        ("NOW() - interval 7 day", "2026-11-15 12:34:56"),
        ("CURDATE() - INTERVAL 1 HOUR", "2026-11-21 23:00:00"),
        ("(NOW() - INTERVAL 1 DAY) - INTERVAL 1 HOUR", "2026-11-21 11:34:56"),
        ("NOW() - INTERVAL 1 DAY + INTERVAL 1 HOUR", "2026-11-21 13:34:56"),
        ("INTERVAL 7 DAY + NOW()", "2026-11-29 12:34:56"),
        ("INTERVAL -7 DAY + NOW()", "2026-11-15 12:34:56"),
        ("DATE_SUB(NOW(), INTERVAL 7 DAY)", "2026-11-15 12:34:56"),
        ("DATE_ADD(NOW(), INTERVAL -7 DAY)", "2026-11-15 12:34:56"),
        ("SUBDATE(NOW(), INTERVAL 7 DAY)", "2026-11-15 12:34:56"),
        ("SUBDATE(NOW(), 7)", "2026-11-15 12:34:56"),
        ("ADDDATE(NOW(), -7)", "2026-11-15 12:34:56"),
        ("ADDDATE(CURDATE(), INTERVAL -7 DAY)", "2026-11-15 00:00:00"),
        ("TIMESTAMPADD(DAY, -7, NOW())", "2026-11-15 12:34:56"),
        ("TIMESTAMPADD(SQL_TSI_MONTH, -1, NOW())", "2026-10-22 12:34:56"),
        ("DATE(DATE_SUB(NOW(), INTERVAL 7 DAY))", "2026-11-15 00:00:00"),
        ("DATE_SUB(DATE_SUB(CURDATE(), INTERVAL 1 DAY), INTERVAL 1 MONTH)", "2026-10-21 00:00:00"),
        // From literals.
        ("'2026-11-01' - INTERVAL 5 YEAR", "2021-11-01 00:00:00"),
        ("'2026-11-01 10:00:00' - INTERVAL 1 HOUR", "2026-11-01 09:00:00"),
        ("DATE'2026-11-01' - INTERVAL 1 HOUR", "2026-10-31 23:00:00"),
        // A month is cut to its last day.
        ("'2026-03-31' - INTERVAL 1 MONTH", "2026-02-28 00:00:00"),
        ("'2024-03-31' - INTERVAL 1 MONTH", "2024-02-29 00:00:00"),
        ("'2024-02-29' - INTERVAL 1 YEAR", "2023-02-28 00:00:00"),
        ("'2024-02-29 10:00:00' + INTERVAL 4 YEAR", "2028-02-29 10:00:00"),
        ("'2026-12-31' - INTERVAL 13 MONTH", "2025-11-30 00:00:00"),
        // Units of several parts.
        ("NOW() - INTERVAL '1-6' YEAR_MONTH", "2025-05-22 12:34:56"),
        ("NOW() - INTERVAL '-1-6' YEAR_MONTH", "2028-05-22 12:34:56"),
        ("NOW() - INTERVAL '1 12' DAY_HOUR", "2026-11-21 00:34:56"),
        ("NOW() - INTERVAL '1 0:30' DAY_MINUTE", "2026-11-21 12:04:56"),
        ("NOW() - INTERVAL '1 0:0:56' DAY_SECOND", "2026-11-21 12:34:00"),
        ("NOW() - INTERVAL '12:34' HOUR_MINUTE", "2026-11-22 00:00:56"),
        ("NOW() - INTERVAL '12:34:56' HOUR_SECOND", "2026-11-22 00:00:00"),
        ("NOW() - INTERVAL '34:56' MINUTE_SECOND", "2026-11-22 12:00:00"),
    ];
    check_values(&utc(), &rows);
    let unknown = [
        "NOW() - INTERVAL 1.5 DAY",
        "NOW() - INTERVAL '1.5' DAY",
        "NOW() - INTERVAL '7 days' DAY",
        "NOW() - INTERVAL '' DAY",
        "NOW() - INTERVAL NULL DAY",
        "NOW() - INTERVAL @n DAY",
        "NOW() - INTERVAL n DAY",
        "NOW() - INTERVAL f(7) DAY",
        "NOW() - INTERVAL UNIX_TIMESTAMP() SECOND",
        "NOW() - INTERVAL 7 DAYS",
        "NOW() - INTERVAL 7",
        "NOW() - 7 DAY",
        "NOW() INTERVAL 7 DAY",
        "INTERVAL 7 DAY - NOW()",
        "INTERVAL 7 DAY",
        "INTERVAL 1 DAY + NOW() - INTERVAL 1 YEAR",
        "INTERVAL 1 DAY + INTERVAL 1 DAY + NOW()",
        "NOW() - (INTERVAL 7 DAY + NOW())",
        "NOW() - INTERVAL 99999 YEAR",
        "NOW() - INTERVAL 9223372036854775807 DAY",
        "NOW() - INTERVAL -9223372036854775808 DAY",
        "NOW() - INTERVAL 9223372036854775807 MONTH",
        "NOW() - INTERVAL 99999999999999999 MICROSECOND",
        "NOW() + INTERVAL 8000 YEAR",
        "'2026-02-30' - INTERVAL 1 DAY",
        "'x' - INTERVAL 1 DAY",
        "5 - INTERVAL 1 DAY",
        "NOW() - INTERVAL '6' YEAR_MONTH",
        "NOW() - INTERVAL '1-6-3' YEAR_MONTH",
        "NOW() - INTERVAL 16 YEAR_MONTH",
        "NOW() - INTERVAL '1 2' DAY_SECOND",
        "NOW() - INTERVAL '1.5' SECOND_MICROSECOND",
        "NOW() - INTERVAL '1:30' HOUR_MICROSECOND",
        "NOW() - INTERVAL '1 -30' HOUR_MINUTE",
        "TIMESTAMPADD(DAY_HOUR, '1 1', NOW())",
        "TIMESTAMPADD(DAY, 1)",
        "TIMESTAMPADD('DAY', 1, NOW())",
        "DATE_SUB(NOW(), INTERVAL 7 DAY, 1)",
        "DATE_SUB(NOW())",
        "DATE_SUB(INTERVAL 7 DAY)",
        "NOW() * 1",
        "NOW() - NOW()",
        "-NOW()",
        "NOW() + INTERVAL 1 DAY * 2",
        "NOW() - INTERVAL 1 DAY DIV 1",
    ];
    check_values(&utc(), &unknown.map(|value| (value, "unknown")));
}

#[test]
fn casts_and_formats() {
    let rows = [
        ("CAST('2026-11-01' AS DATE)", "2026-11-01 00:00:00"),
        ("CAST('2026-11-01 10:20:30' AS DATE)", "2026-11-01 00:00:00"),
        ("CAST('2026-11-01 10:20:30' AS DATETIME)", "2026-11-01 10:20:30"),
        ("CAST('2026-11-01 10:20:30.5' AS DATETIME(6))", "2026-11-01 10:20:30"),
        ("CAST(NOW() AS DATE)", "2026-11-22 00:00:00"),
        ("CONVERT('2026-11-01', DATE)", "2026-11-01 00:00:00"),
        ("CONVERT('2026-11-01 10:20', DATETIME)", "2026-11-01 10:20:00"),
        ("CAST('2026-11-01' AS CHAR)", "unknown"),
        ("CAST('2026-11-01' AS TIME)", "unknown"),
        ("CAST('2026-11-01' AS DATETIME(x))", "unknown"),
        ("CONVERT('2026-11-01' USING utf8mb4)", "unknown"),
        ("CAST('2026-11-01' DATE)", "unknown"),
        ("DATE_FORMAT(NOW(), '%Y-%m-01')", "2026-11-01 00:00:00"),
        ("DATE_FORMAT(NOW() - INTERVAL 1 MONTH, '%Y-%m-01 00:00:00')", "2026-10-01 00:00:00"),
        ("DATE_FORMAT(NOW(), '%Y-01-01')", "2026-01-01 00:00:00"),
        ("DATE_FORMAT(NOW(), '%Y-%m-%d')", "2026-11-22 00:00:00"),
        ("DATE_FORMAT(NOW(), '%Y-%m-%d %H:00:00')", "2026-11-22 12:00:00"),
        ("DATE_FORMAT(NOW(), '%Y-%m-%d %H:%i:00')", "2026-11-22 12:34:00"),
        ("DATE_FORMAT(NOW(), '%Y-%m-%d %H:%i:%s')", "2026-11-22 12:34:56"),
        ("DATE_FORMAT(NOW(), '%Y-%m-%d %T')", "2026-11-22 12:34:56"),
        ("DATE_FORMAT(NOW(), '%d.%m.%Y')", "unknown"),
        ("DATE_FORMAT(NOW(), '%Y-01-%d')", "unknown"),
        ("DATE_FORMAT(NOW(), '2020-%m-%d')", "unknown"),
        ("DATE_FORMAT(NOW(), '%Y-%m-01 %H:%i:%s')", "unknown"),
        ("DATE_FORMAT(NOW(), '%Y-%m')", "unknown"),
        ("DATE_FORMAT(NOW(), '%Y-%m-02')", "unknown"),
        ("DATE_FORMAT(NOW(), f)", "unknown"),
        ("DATE_FORMAT(NOW(), '%Y-%m-01', 'de_DE')", "unknown"),
    ];
    check_values(&utc(), &rows);
}

#[test]
fn epochs() {
    check_epochs(
        &utc(),
        &[
            ("1793491200", "2026-11-01 00:00:00", "1970-01-21 18:11:31.2"),
            ("1793491200000", "unknown", "2026-11-01 00:00:00"),
            ("'1793491200'", "2026-11-01 00:00:00", "1970-01-21 18:11:31.2"),
            ("0", "1970-01-01 00:00:00", "1970-01-01 00:00:00"),
            ("-5", "1969-12-31 23:59:55", "1969-12-31 23:59:59.995"),
            ("1793491200.7", "2026-11-01 00:00:00", "1970-01-21 18:11:31.2"),
            ("-5.5", "1969-12-31 23:59:54", "1969-12-31 23:59:59.994"),
            ("1793491200 + 60*60", "2026-11-01 01:00:00", "1970-01-21 18:11:34.8"),
            ("UNIX_TIMESTAMP()", "2026-11-22 12:34:56", "1970-01-21 18:42:30.896"),
            ("UNIX_TIMESTAMP() * 1000", "unknown", "2026-11-22 12:34:56"),
            ("1000 * UNIX_TIMESTAMP()", "unknown", "2026-11-22 12:34:56"),
            ("(UNIX_TIMESTAMP() - 86400) * 1000", "unknown", "2026-11-21 12:34:56"),
            ("UNIX_TIMESTAMP() * 1000 - 7*24*60*60*1000", "unknown", "2026-11-15 12:34:56"),
            ("FLOOR(UNIX_TIMESTAMP(NOW(3)) * 1000)", "unknown", "2026-11-22 12:34:56"),
            ("UNIX_TIMESTAMP() - 90*86400", "2026-08-24 12:34:56", "1970-01-21 16:32:54.896"),
            ("UNIX_TIMESTAMP() - (90*86400)", "2026-08-24 12:34:56", "1970-01-21 16:32:54.896"),
            ("UNIX_TIMESTAMP() + -86400", "2026-11-21 12:34:56", "1970-01-21 18:41:04.496"),
            ("UNIX_TIMESTAMP() - -86400", "2026-11-23 12:34:56", "1970-01-21 18:43:57.296"),
            ("UNIX_TIMESTAMP(NOW() - INTERVAL 7 DAY)", "2026-11-15 12:34:56", "1970-01-21 18:32:26.096"),
            ("UNIX_TIMESTAMP(CURDATE())", "2026-11-22 00:00:00", "1970-01-21 18:41:45.6"),
            ("UNIX_TIMESTAMP('2026-11-01')", "2026-11-01 00:00:00", "1970-01-21 18:11:31.2"),
            ("UNIX_TIMESTAMP(20261101)", "2026-11-01 00:00:00", "1970-01-21 18:11:31.2"),
            ("UNIX_TIMESTAMP('2026-11-01 00:00:00.9')", "2026-11-01 00:00:00", "1970-01-21 18:11:31.2"),
            ("UNIX_TIMESTAMP(FROM_UNIXTIME(1793491200))", "2026-11-01 00:00:00", "1970-01-21 18:11:31.2"),
            ("CAST(1793491200 AS SIGNED)", "2026-11-01 00:00:00", "1970-01-21 18:11:31.2"),
            ("FLOOR(1793491200.9)", "2026-11-01 00:00:00", "1970-01-21 18:11:31.2"),
        ],
    );
    let unknown = [
        "'2026-11-01'",
        "NOW()",
        "CURDATE()",
        "DATE'2026-11-01'",
        "'1793491200x'",
        "' 1793491200'",
        "'0x5'",
        "1e9",
        "0x6AE56C40",
        "NULL",
        "TRUE",
        "@x",
        "9223372036854775807",
        "-9223372036854775808",
        "99999999999999999999",
        "UNIX_TIMESTAMP('2040-01-01')",
        "UNIX_TIMESTAMP('1960-01-01')",
        "UNIX_TIMESTAMP('x')",
        "UNIX_TIMESTAMP(1793491200)",
        "UNIX_TIMESTAMP(NULL)",
        "UNIX_TIMESTAMP(x)",
        "UNIX_TIMESTAMP(1, 2)",
        "5000000000 - UNIX_TIMESTAMP()",
        "-UNIX_TIMESTAMP()",
        "UNIX_TIMESTAMP() * -1",
        "UNIX_TIMESTAMP() * UNIX_TIMESTAMP()",
        "(0 - UNIX_TIMESTAMP()) * -1",
        "(UNIX_TIMESTAMP() - 9999999999) * 2",
        "UNIX_TIMESTAMP() - UNIX_TIMESTAMP('2026-11-01')",
        "9223372036854775 * 9223372036854775",
        "9223372036854775000 + 9223372036854775000",
        "UNIX_TIMESTAMP() / 1",
        "UNIX_TIMESTAMP() DIV 60 * 60",
        "UNIX_TIMESTAMP() % 5",
        "1.5 * 2",
        "UNIX_TIMESTAMP() - 1.5",
        "ROUND(1793491200.4)",
        "CAST(1793491200.5 AS SIGNED)",
        "CAST('2026-11-01' AS SIGNED)",
        "1793491200 & 5",
        "~1793491200",
        "1793491200 - INTERVAL 1 DAY",
    ];
    let rows = unknown.map(|value| (value, "unknown", "unknown"));
    check_epochs(&utc(), &rows);
    check_values(
        &utc(),
        &[
            ("FROM_UNIXTIME(1793491200)", "2026-11-01 00:00:00"),
            ("FROM_UNIXTIME('1793491200')", "2026-11-01 00:00:00"),
            ("FROM_UNIXTIME(1793491200.9)", "2026-11-01 00:00:00"),
            ("FROM_UNIXTIME(UNIX_TIMESTAMP() - 7*86400)", "2026-11-15 12:34:56"),
            ("FROM_UNIXTIME(UNIX_TIMESTAMP() - 86400) - INTERVAL 1 DAY", "2026-11-20 12:34:56"),
            ("FROM_UNIXTIME(-1)", "unknown"),
            ("FROM_UNIXTIME(2147483648)", "unknown"),
            ("FROM_UNIXTIME(1793491200, '%Y')", "unknown"),
            ("FROM_UNIXTIME('x')", "unknown"),
            ("FROM_UNIXTIME()", "unknown"),
        ],
    );
}

#[test]
fn time_zones() {
    // An hour ahead of UTC in summer.
    let mut london = Session::of_zone("Europe/London");
    check_values(
        &london,
        &[
            ("'2026-11-01'", "2026-11-01 00:00:00"),
            ("'2026-07-01'", "2026-06-30 23:00:00"),
            ("NOW() - INTERVAL 150 DAY", "2026-06-25 11:34:56"),
            ("UTC_TIMESTAMP() - INTERVAL 150 DAY", "2026-06-25 11:34:56"),
            // Clocks went from 02:00 back to 01:00: the earlier of the two.
            ("'2026-10-25 01:30:00'", "2026-10-25 00:30:00"),
            ("'2026-10-25 02:00:00'", "2026-10-25 02:00:00"),
            ("'2026-10-25 00:59:59'", "2026-10-24 23:59:59"),
            // And from 01:00 on to 02:00: no later than the change.
            ("'2026-03-29 01:30:00'", "2026-03-29 00:30:00"),
            ("'2026-03-29 02:00:00'", "2026-03-29 01:00:00"),
            ("'2026-03-29 00:59:59'", "2026-03-29 00:59:59"),
            ("FROM_UNIXTIME(1782000000)", "2026-06-21 00:00:00"),
        ],
    );
    check_epochs(&london, &[("UNIX_TIMESTAMP('2026-07-01')", "2026-06-30 23:00:00", "1970-01-21 15:14:20.4")]);
    // In the repeated hour, now is taken for the first of the two.
    london.now = moment("2026-10-25T01:30:00Z");
    check_values(&london, &[("NOW()", "2026-10-25 00:30:00"), ("NOW() - INTERVAL 1 DAY", "2026-10-24 00:30:00")]);
    // UNIX_TIMESTAMP() knows which of the two it is; UNIX_TIMESTAMP(NOW()) does not.
    check_epochs(
        &london,
        &[
            ("UNIX_TIMESTAMP()", "2026-10-25 01:30:00", "1970-01-21 18:01:31.8"),
            ("UNIX_TIMESTAMP(NOW())", "2026-10-25 00:30:00", "1970-01-21 18:01:28.2"),
        ],
    );

    let auckland = Session::of_zone("Pacific/Auckland");
    check_values(
        &auckland,
        &[
            // The 23rd there, at UTC+13.
            ("NOW()", "2026-11-22 12:34:56"),
            ("CURDATE()", "2026-11-22 11:00:00"),
            ("UTC_DATE()", "2026-11-21 11:00:00"),
            ("UTC_TIMESTAMP()", "2026-11-21 23:34:56"),
            ("CURDATE() - INTERVAL 1 DAY", "2026-11-21 11:00:00"),
        ],
    );
    let fixed = Session { zone: jiff::tz::TimeZone::fixed(jiff::tz::offset(-8)), ..Session::of_zone("UTC") };
    check_values(
        &fixed,
        &[
            ("NOW() - INTERVAL 7 DAY", "2026-11-15 12:34:56"),
            ("CURDATE()", "2026-11-22 08:00:00"),
            ("'2026-11-01'", "2026-11-01 08:00:00"),
        ],
    );
    let half = Session { zone: zone("Asia/Kathmandu"), ..Session::of_zone("UTC") };
    check_values(&half, &[("'2026-11-01'", "2026-10-31 18:15:00")]);
}

#[test]
fn the_ends_of_time() {
    for now in
        ["-009999-01-02T01:59:59Z", "9999-12-30T22:00:00.999999999Z", "1969-12-31T23:59:59.5Z", "1000-01-01T00:00:00Z"]
    {
        for name in ["UTC", "Pacific/Auckland", "America/New_York"] {
            let session = Session { now: moment(now), ..Session::of_zone(name) };
            for sql in [
                "NOW()",
                "NOW() - INTERVAL 1 YEAR",
                "CURDATE()",
                "UTC_DATE()",
                "LAST_DAY(NOW())",
                "FROM_UNIXTIME(UNIX_TIMESTAMP())",
            ] {
                let sql = format!("SELECT * FROM call_records WHERE start_time >= {sql}");
                let _ = session.reach(sql.as_bytes());
            }
        }
    }
    let before = Session { now: moment("1969-12-31T23:59:59.5Z"), ..utc() };
    check_values(&before, &[("NOW()", "1969-12-31 23:59:59"), ("'9999-12-31 23:59:59'", "9999-12-31 23:59:59")][..1]);
    let east = Session::of_zone("Pacific/Auckland");
    let west = Session::of_zone("America/New_York");
    for session in [east, west] {
        for text in ["'9999-12-31 23:59:59'", "'1000-01-01'", "'9999-12-31 23:59:59' + INTERVAL 0 DAY"] {
            let sql = format!("SELECT * FROM call_records WHERE start_time >= {text}");
            let _ = session.reach(sql.as_bytes());
        }
    }
}

#[test]
fn backslashes_are_read_by_the_mode() {
    let mut session = utc();
    session.mode = LexMode { no_backslash_escapes: true, ..LexMode::default() };
    check_values(&session, &[("'2026-11-01'", "2026-11-01 00:00:00"), ("'2026-11-0\\'", "unknown")]);
}
