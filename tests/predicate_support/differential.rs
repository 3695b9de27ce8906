//! Horizons held against a real server.
//!
//! What a reach of [`Reach::Since`] promises is that a server without the rows before that moment gives the same answer.
//! So that is what is tried: one schema has all rows, others have only those since some moment; a random statement is
//! run on all rows and on the fewest that its reach allows, and both answers (or errors) must be equal.

use crate::common::{Engine, Server, User, must};
use crate::generate::{Generator, Statement, Table};
use jiff::civil::DateTime;
use jiff::tz::TimeZone;
use jiff::{SignedDuration, Timestamp};
use mysql_async::prelude::Queryable;
use mysql_async::{Conn, OptsBuilder, Params, Row, Value};
use std::fmt::Write as _;
use switchboard::sql::LexMode;
use switchboard::sql::digest::Digest;
use switchboard::sql::predicate::{BoundValue, Reach, TimeColumn, TimeColumns, TimeEnv, TimeProgram, TimeUnit};

const DATETIME: TimeUnit = TimeUnit::DateTime;

const TABLES: [Table; 8] = [
    Table { name: "r_datetime", unit: DATETIME, sql_type: "DATETIME" },
    Table { name: "r_datetime6", unit: DATETIME, sql_type: "DATETIME(6)" },
    Table { name: "r_stamp", unit: DATETIME, sql_type: "TIMESTAMP" },
    Table { name: "r_stamp6", unit: DATETIME, sql_type: "TIMESTAMP(6)" },
    Table { name: "r_date", unit: DATETIME, sql_type: "DATE" },
    Table { name: "e_big", unit: TimeUnit::EpochSeconds, sql_type: "BIGINT" },
    Table { name: "e_int", unit: TimeUnit::EpochSeconds, sql_type: "INT UNSIGNED" },
    Table { name: "m_big", unit: TimeUnit::EpochMillis, sql_type: "BIGINT" },
];

/// Ages of the moments that schemas begin at, seconds: from a minute to fifty years.
const AGES: [i64; 12] = [
    60,
    3_600,
    43_200,
    86_400,
    7 * 86_400,
    31 * 86_400,
    90 * 86_400,
    200 * 86_400,
    366 * 86_400,
    1_000 * 86_400,
    4_000 * 86_400,
    18_000 * 86_400,
];

/// Distances of rows from those moments, microseconds.
const NEAR: [i64; 13] = [
    -86_400_000_000,
    -43_200_000_000,
    -3_600_000_000,
    -1_000_000,
    -500_000,
    -1,
    0,
    1,
    500_000,
    1_000_000,
    3_600_000_000,
    43_200_000_000,
    86_400_000_000,
];

/// What the configuration would declare: every table's `t`.
struct Catalogue(Vec<(&'static str, TimeColumn)>);

impl Catalogue {
    fn new() -> Self {
        let column = |table: &Table| (table.name, TimeColumn { column: "t".into(), unit: table.unit });
        Catalogue(TABLES.iter().map(column).collect())
    }
}

impl TimeColumns for Catalogue {
    fn of(&self, _schema: Option<&str>, table: &str) -> &[TimeColumn] {
        let found = self.0.iter().find(|(name, _)| name.eq_ignore_ascii_case(table));
        found.map_or(&[], |(_, column)| std::slice::from_ref(column))
    }
}

/// Where and when statements are run.
struct Estate<'s> {
    server: &'s Server,
    conn: Conn,
    sql_mode: &'static str,
    zone: TimeZone,
    zone_name: &'static str,
    now: Timestamp,
    horizons: Vec<Timestamp>,
    prefix: String,
}

/// How often what was found.
#[derive(Debug, Default)]
struct Tally {
    /// Statements in all.
    statements: usize,
    /// Statements that the server refused.
    refused: usize,
    /// Statements that the server did not survive.
    fatal: usize,
    /// Statements whose reach is bounded, and that were run on less than all rows.
    bounded: usize,
    /// Of those, the ones that gave rows in which something stands.
    telling: usize,
}

/// Runs random statements in sessions of several zones: 3,000 in each, always the same ones. `HORIZON_ROUNDS` and
/// `HORIZON_SEED` ask for more and for others.
pub async fn sessions(server: &Server) {
    let number = |name: &str| std::env::var(name).ok().and_then(|text| text.parse().ok());
    let rounds = number("HORIZON_ROUNDS").unwrap_or(3_000);
    let seed = number("HORIZON_SEED").unwrap_or(1) as u64;
    // The second and third are in the hour that the clocks repeat and skip.
    let sessions = [
        ("UTC", "2026-11-22T12:34:56.789012Z"),
        ("America/New_York", "2026-11-01T06:10:00.500000Z"),
        ("Europe/London", "2026-03-29T01:00:30Z"),
        ("Asia/Kathmandu", "2027-01-31T23:59:59.999999Z"),
    ];
    for (seed, (zone, now)) in (seed..).zip(sessions) {
        let tally = run(server, zone, now, seed, rounds).await;
        println!("{zone}: {tally:?}");
        assert!(tally.bounded * 5 > tally.statements, "too few statements are bounded to prove anything: {tally:?}");
        assert!(tally.fatal * 1_000 < tally.statements, "the server does not stand: {tally:?}");
        assert!(tally.telling * 3 > tally.bounded, "too few statements give anything: {tally:?}");
    }
}

/// Runs so many random statements in a session of this zone, at this moment.
async fn run(server: &Server, zone_name: &'static str, now: &str, seed: u64, rounds: usize) -> Tally {
    let zone = TimeZone::get(zone_name).expect("a known zone");
    load_zone(server, zone_name, &zone);
    let now: Timestamp = now.parse().expect("a moment");
    let horizons: Vec<Timestamp> =
        AGES.iter().map(|age| now.saturating_sub(SignedDuration::from_secs(*age)).expect("in range")).collect();
    let (conn, prefix) = (connect(server).await, format!("z{seed}"));
    let mut estate = Estate { server, conn, sql_mode: "", zone, zone_name, now, horizons, prefix };
    estate.load();
    estate.compare(seed, rounds).await
}

async fn connect(server: &Server) -> Conn {
    let options = OptsBuilder::default()
        .ip_or_hostname(server.address().ip().to_string())
        .tcp_port(server.address().port())
        .user(Some(User::app().name))
        .pass(Some(User::app().password))
        .stmt_cache_size(0)
        .prefer_socket(false);
    Conn::new(options).await.expect("a connection")
}

/// Teaches the server a zone, as the router knows it.
fn load_zone(server: &Server, name: &str, zone: &TimeZone) {
    let from: Timestamp = "1900-01-01T00:00:00Z".parse().expect("a moment");
    let until: Timestamp = "2038-01-01T00:00:00Z".parse().expect("a moment");
    let mut sql = format!(
        "USE mysql; INSERT INTO time_zone (Use_leap_seconds) VALUES ('N'); SET @z = LAST_INSERT_ID();
         INSERT INTO time_zone_name VALUES ('{name}', @z);"
    );
    let mut kinds = vec![(zone.to_offset(from).seconds(), false)];
    for change in zone.following(from).take_while(|change| change.timestamp() < until) {
        let kind = (change.offset().seconds(), change.dst().is_dst());
        let number = kinds.iter().position(|known| *known == kind).unwrap_or(kinds.len());
        if number == kinds.len() {
            kinds.push(kind);
        }
        let at = change.timestamp().as_second();
        writeln!(sql, "INSERT INTO time_zone_transition VALUES (@z, {at}, {number});").expect("text");
    }
    for (number, (offset, dst)) in kinds.into_iter().enumerate() {
        let dst = u8::from(dst);
        writeln!(sql, "INSERT INTO time_zone_transition_type VALUES (@z, {number}, {offset}, {dst}, 'X');")
            .expect("text");
    }
    must(server.sql(&sql));
}

impl Estate<'_> {
    /// What a row stores for a moment, and the moment that it then has.
    fn stored(&self, table: &Table, moment: Timestamp) -> (String, Timestamp) {
        let whole = Timestamp::from_second(moment.as_microsecond().div_euclid(1_000_000)).expect("in range");
        let earlier = |wall: DateTime| self.zone.to_ambiguous_timestamp(wall).earlier().expect("in range");
        let show = |wall: DateTime| wall.strftime("'%Y-%m-%d %H:%M:%S.%6f'").to_string();
        let utc = |moment: Timestamp| TimeZone::UTC.to_datetime(moment);
        match table.sql_type {
            "DATETIME" => {
                let wall = self.zone.to_datetime(whole);
                (show(wall), earlier(wall))
            }
            "DATETIME(6)" => {
                let wall = self.zone.to_datetime(moment);
                (show(wall), earlier(wall))
            }
            "DATE" => {
                let wall = self.zone.to_datetime(moment).date().to_datetime(jiff::civil::Time::midnight());
                (show(wall), earlier(wall))
            }
            "TIMESTAMP" => (show(utc(whole)), whole),
            "TIMESTAMP(6)" => (show(utc(moment)), moment),
            _ if table.unit == TimeUnit::EpochMillis => {
                let millis = Timestamp::from_millisecond(moment.as_microsecond().div_euclid(1_000)).expect("in range");
                (millis.as_millisecond().to_string(), millis)
            }
            _ => (whole.as_second().to_string(), whole),
        }
    }

    /// Makes the schemas: all rows in the first, in the others only what is no older than their moment.
    fn load(&self) {
        let mut moments: Vec<Timestamp> = Vec::new();
        for horizon in self.horizons.iter().chain([&self.now]) {
            moments.extend(
                NEAR.iter().map(|near| horizon.saturating_add(SignedDuration::from_micros(*near)).expect("in range")),
            );
        }
        // Other days of other years: `YYYYMMDD` read as a number of some other kind should not go unseen.
        moments.extend(
            (1..55).map(|year| self.now.saturating_sub(SignedDuration::from_hours(year * 8_777)).expect("in range")),
        );
        moments.retain(|moment| moment.as_second() > 90_000);
        let mut sql = String::from("SET time_zone = '+00:00', sql_mode = '';\n");
        for (number, since) in [None].into_iter().chain(self.horizons.iter().copied().map(Some)).enumerate() {
            writeln!(
                sql,
                "DROP SCHEMA IF EXISTS {0}_{number}; CREATE SCHEMA {0}_{number}; USE {0}_{number};",
                self.prefix
            )
            .expect("text");
            writeln!(sql, "CREATE TABLE agents (id INT PRIMARY KEY, k INT, n INT) ENGINE=MEMORY;").expect("text");
            writeln!(sql, "INSERT INTO agents VALUES (1,0,1),(2,1,2),(3,2,NULL),(4,9,3);").expect("text");
            for table in &TABLES {
                let (name, sql_type) = (table.name, table.sql_type);
                writeln!(
                    sql,
                    "CREATE TABLE {name} (id INT PRIMARY KEY, k INT, n INT, t {sql_type} NULL) ENGINE=MEMORY;"
                )
                .expect("text");
                // A row without a time is everywhere; the zero date is older than everything.
                let mut rows = vec!["(1, 1, 1, NULL)".to_owned()];
                if since.is_none() {
                    let zero = if table.unit == DATETIME { "'0000-00-00 00:00:00'" } else { "0" };
                    rows.push(format!("(2, 2, 2, {zero})"));
                }
                for (number, moment) in moments.iter().enumerate() {
                    let (text, moment) = self.stored(table, *moment);
                    if since.is_none_or(|since| moment >= since) {
                        let (id, k, n) = (number + 3, number % 6, number % 4);
                        rows.push(format!("({id}, {k}, {n}, {text})"));
                    }
                }
                writeln!(sql, "INSERT INTO {name} VALUES {};", rows.join(",")).expect("text");
            }
        }
        must(self.server.sql(&sql));
    }

    /// Sets what the session's statements depend on.
    async fn set_session(&mut self) {
        let now = self.now.as_microsecond() as f64 / 1e6;
        let session =
            format!("SET time_zone = '{}', timestamp = {now:.6}, sql_mode = '{}'", self.zone_name, self.sql_mode);
        self.conn.query_drop(session).await.expect("known variables");
    }

    async fn compare(&mut self, seed: u64, rounds: usize) -> Tally {
        let (zone, horizons) = (self.zone.clone(), self.horizons.clone());
        let mut generator = Generator::new(seed, &zone, self.now, &horizons, &TABLES);
        generator.plain_equality = self.server.engine() == Engine::MySql;
        let catalogue = Catalogue::new();
        let mut tally = Tally::default();
        let mut digest = Digest::default();
        let mut modes =
            vec!["", "STRICT_TRANS_TABLES,NO_ZERO_DATE,NO_ZERO_IN_DATE", "PIPES_AS_CONCAT,HIGH_NOT_PRECEDENCE"];
        modes.push(if self.server.engine() == Engine::MariaDb {
            "TIME_ROUND_FRACTIONAL"
        } else {
            "TIME_TRUNCATE_FRACTIONAL"
        });
        modes.push("ANSI_QUOTES,NO_BACKSLASH_ESCAPES,ALLOW_INVALID_DATES");
        for round in 0..rounds {
            let sql_mode = modes[round * modes.len() / rounds];
            if round == 0 || sql_mode != self.sql_mode {
                self.sql_mode = sql_mode;
                self.set_session().await;
            }
            let mode = LexMode::from_sql_mode(sql_mode);
            let statement = generator.statement(round % 3 == 0);
            digest.read(statement.sql.as_bytes(), mode);
            let program = TimeProgram::compile(statement.sql.as_bytes(), &digest, mode, &catalogue);
            let bound: Vec<BoundValue<'_>> = statement.params.iter().map(bound_value).collect();
            let reach = program.reach(&TimeEnv {
                sql: statement.sql.as_bytes(),
                digest: &digest,
                params: &bound,
                now: self.now,
                time_zone: &self.zone,
                mode,
            });
            tally.statements += 1;
            self.check(&statement, reach, &mut tally).await;
        }
        tally
    }

    /// Runs a statement on all rows, and on those that its reach allows.
    async fn check(&mut self, statement: &Statement, reach: Reach, tally: &mut Tally) {
        let Reach::Since(since) = reach else { return };
        // The newest schema that begins no later: the first, for the moments stand newest first.
        let Some(number) = self.horizons.iter().position(|horizon| *horizon <= since) else { return };
        let (Some(all), Some(some)) = (self.answer(0, statement).await, self.answer(number + 1, statement).await)
        else {
            tally.fatal += 1;
            return;
        };
        tally.bounded += 1;
        match &all {
            Err(_) => tally.refused += 1,
            Ok(rows) => {
                tally.telling += usize::from(rows.iter().any(|row| row.contains("Bytes") || row.contains("Int")))
            }
        }
        assert!(
            all == some,
            "{statement:?}\n  is said to reach back to {since}, but rows before {} matter to it\n  sql_mode '{}', \
             zone {}, now {}\n  all rows: {all:?}\n  the later rows: {some:?}",
            self.horizons[number],
            self.sql_mode,
            self.zone_name,
            self.now,
        );
    }

    /// The rows of a statement as text, in an order of their own; or the error. None if the server fell over it, as
    /// MySQL 9.7 does over some: it is started again.
    async fn answer(&mut self, schema: usize, statement: &Statement) -> Option<Result<Vec<String>, String>> {
        self.conn.query_drop(format!("USE {}_{schema}", self.prefix)).await.expect("a schema");
        let rows: Result<Vec<Row>, _> = if statement.params.is_empty() {
            self.conn.query(&statement.sql).await
        } else {
            self.conn.exec(&statement.sql, Params::Positional(statement.params.clone())).await
        };
        let rows = match rows {
            Ok(rows) => rows,
            // The text may name the schema.
            Err(mysql_async::Error::Server(error)) => return Some(Err(error.code.to_string())),
            Err(error) => {
                eprintln!("{error} on {statement:?}");
                self.server.kill();
                must(self.server.start_again());
                self.conn = connect(self.server).await;
                self.load();
                self.set_session().await;
                return None;
            }
        };
        let mut rows: Vec<String> = rows.into_iter().map(|row| format!("{:?}", row.unwrap())).collect();
        rows.sort();
        Some(Ok(rows))
    }
}

fn bound_value(value: &Value) -> BoundValue<'_> {
    match value {
        Value::NULL => BoundValue::Null,
        Value::Bytes(bytes) => BoundValue::Bytes(bytes),
        Value::Int(number) => BoundValue::Int(*number),
        Value::UInt(number) => BoundValue::UInt(*number),
        Value::Float(number) => BoundValue::Double(f64::from(*number)),
        Value::Double(number) => BoundValue::Double(*number),
        Value::Date(year, month, day, hour, minute, second, micros) => {
            BoundValue::DateTime(*year, *month, *day, *hour, *minute, *second, *micros)
        }
        Value::Time(..) => BoundValue::Opaque,
    }
}
