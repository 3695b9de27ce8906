//! What the tests of horizons share: a catalogue of tables with time columns, and one call from a text to its reach.

#![allow(dead_code)]

use jiff::{Timestamp, tz::TimeZone};
use switchboard::sql::LexMode;
use switchboard::sql::digest::Digest;
use switchboard::sql::predicate::{BoundValue, Reach, TimeColumn, TimeColumns, TimeEnv, TimeProgram, TimeUnit};

/// Tables with time columns: schema (none for any), table, columns.
pub struct Catalogue(Vec<(Option<&'static str>, &'static str, Vec<TimeColumn>)>);

impl Catalogue {
    /// `call_records.start_time`, `call_events.event_ts` (seconds), `call_quality.at_ms` (milliseconds),
    /// `legs.created` and `legs.stamp` (seconds), and `archive.parts.born` in that schema alone.
    pub fn standard() -> Self {
        let column = |name: &str, unit| TimeColumn { column: name.into(), unit };
        Catalogue(vec![
            (None, "call_records", vec![column("start_time", TimeUnit::DateTime)]),
            (None, "call_events", vec![column("event_ts", TimeUnit::EpochSeconds)]),
            (None, "call_quality", vec![column("at_ms", TimeUnit::EpochMillis)]),
            (None, "legs", vec![column("created", TimeUnit::DateTime), column("stamp", TimeUnit::EpochSeconds)]),
            (Some("archive"), "parts", vec![column("born", TimeUnit::DateTime)]),
        ])
    }
}

impl TimeColumns for Catalogue {
    fn of(&self, schema: Option<&str>, table: &str) -> &[TimeColumn] {
        let same = |one: &str, other: &str| one.eq_ignore_ascii_case(other);
        let found = self.0.iter().find(|(known, name, _)| {
            same(name, table) && known.is_none_or(|known| schema.is_some_and(|schema| same(known, schema)))
        });
        found.map_or(&[], |(_, _, columns)| columns)
    }
}

/// The moment that tests take for now.
pub const NOW: &str = "2026-11-22T12:34:56.789012Z";

/// A time zone by its name.
pub fn zone(name: &str) -> TimeZone {
    TimeZone::get(name).expect("a known time zone")
}

/// A moment in RFC 3339.
pub fn moment(text: &str) -> Timestamp {
    text.parse().expect("a moment")
}

/// Everything a reach depends on but the text.
pub struct Session<'a> {
    /// Now.
    pub now: Timestamp,
    /// The session's time zone.
    pub zone: TimeZone,
    /// What changes tokens.
    pub mode: LexMode,
    /// Bound values.
    pub params: &'a [BoundValue<'a>],
}

impl Session<'_> {
    /// [`NOW`] in a zone.
    pub fn of_zone(name: &str) -> Self {
        Session { now: moment(NOW), zone: zone(name), mode: LexMode::default(), params: &[] }
    }

    /// The reach of a text, by a program that was compiled for it.
    pub fn reach(&self, sql: &[u8]) -> Reach {
        let digest = self.digest(sql);
        self.reach_by(&self.compile(sql), sql, &digest)
    }

    /// The digest of a text.
    pub fn digest(&self, sql: &[u8]) -> Digest {
        let mut digest = Digest::default();
        digest.read(sql, self.mode);
        digest
    }

    /// The program of a text.
    pub fn compile(&self, sql: &[u8]) -> TimeProgram {
        TimeProgram::compile(sql, &self.digest(sql), self.mode, &Catalogue::standard())
    }

    /// The reach of a text by a program that may have been compiled for another of the same digest.
    pub fn reach_by(&self, program: &TimeProgram, sql: &[u8], digest: &Digest) -> Reach {
        program.reach(&TimeEnv {
            sql,
            digest,
            params: self.params,
            now: self.now,
            time_zone: &self.zone,
            mode: self.mode,
        })
    }
}

/// A reach as tests write it: `timeless`, `unknown`, `endless`, or the moment without its zone (which is UTC).
pub fn shown(reach: Reach) -> String {
    match reach {
        Reach::Timeless => "timeless".into(),
        Reach::Unknown => "unknown".into(),
        Reach::Since(moment) if moment == Timestamp::MIN => "endless".into(),
        Reach::Since(moment) => moment.to_string().replace('T', " ").trim_end_matches('Z').to_owned(),
    }
}

/// Checks a table of texts and what they reach, and reports all rows that fail.
#[track_caller]
pub fn check(session: &Session<'_>, rows: &[(&str, &str)]) {
    let wrong: Vec<String> = rows
        .iter()
        .filter_map(|(sql, expected)| {
            let reach = shown(session.reach(sql.as_bytes()));
            (reach != *expected).then(|| format!("{sql}\n    reaches {reach}, not {expected}"))
        })
        .collect();
    assert!(wrong.is_empty(), "{} of {} rows:\n{}", wrong.len(), rows.len(), wrong.join("\n"));
}

/// The same for conditions: each row's text is put behind `SELECT * FROM call_records WHERE `.
#[track_caller]
pub fn check_where(session: &Session<'_>, rows: &[(&str, &str)]) {
    let texts: Vec<String> = rows.iter().map(|(text, _)| format!("SELECT * FROM call_records WHERE {text}")).collect();
    let rows: Vec<(&str, &str)> = texts.iter().map(String::as_str).zip(rows.iter().map(|row| row.1)).collect();
    check(session, &rows);
}
