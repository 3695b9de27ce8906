//! How far back in time a statement reaches: the horizon, proven from its conjuncts.

use super::LexMode;
use super::digest::Digest;
use jiff::{Timestamp, tz::TimeZone};

/// How a time column stores its moment.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum TimeUnit {
    /// `DATETIME`, `TIMESTAMP` or `DATE`.
    DateTime,
    /// A number of seconds since 1970.
    EpochSeconds,
    /// A number of milliseconds since 1970.
    EpochMillis,
}

/// A table's time column, as the configuration declares it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TimeColumn {
    /// The column's name.
    pub column: Box<str>,
    /// How it stores its moment.
    pub unit: TimeUnit,
}

/// Where the configuration's time columns are looked up.
pub trait TimeColumns {
    /// The time columns of a table (`schema` is what the statement wrote; none means the session's default schema).
    /// Names compare without case.
    fn of(&self, schema: Option<&str>, table: &str) -> &[TimeColumn];
}

/// A bound value of a prepared statement, as the binary protocol carries it.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum BoundValue<'a> {
    /// NULL.
    Null,
    /// Any signed integer type.
    Int(i64),
    /// Any unsigned integer type.
    UInt(u64),
    /// FLOAT and DOUBLE.
    Double(f64),
    /// Strings, decimals, blobs.
    Bytes(&'a [u8]),
    /// DATE, DATETIME, TIMESTAMP: year, month, day, hour, minute, second, microsecond.
    DateTime(u16, u8, u8, u8, u8, u8, u32),
    /// A type that a time cannot be read from, or long data that was sent ahead.
    Opaque,
}

/// What a program is evaluated against.
pub struct TimeEnv<'a> {
    /// The statement's text; the digest's literals point into it.
    pub sql: &'a [u8],
    /// The statement's digest.
    pub digest: &'a Digest,
    /// Bound values, by parameter number; empty for a text statement.
    pub params: &'a [BoundValue<'a>],
    /// The present moment.
    pub now: Timestamp,
    /// The session's time zone.
    pub time_zone: &'a TimeZone,
    /// The session's `sql_mode` bits.
    pub mode: LexMode,
}

/// How far back a statement reaches.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Reach {
    /// It names no table that has a time column: a horizon says nothing about it.
    Timeless,
    /// Every reference to such a table is bounded; nothing before this moment is touched.
    /// `Timestamp::MIN` where only an upper bound is given: it reaches back without end.
    Since(Timestamp),
    /// Some reference has no proven bound at all (a lookup by id, an expression on the column, an OR).
    Unknown,
}

/// The time predicates of a statement, compiled once for its digest.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct TimeProgram {}

impl TimeProgram {
    /// Reads the time predicates of `sql`, of which `digest` is the digest.
    pub fn compile(_sql: &[u8], _digest: &Digest, _mode: LexMode, _columns: &dyn TimeColumns) -> Self {
        Self::default()
    }

    /// True if no table with a time column is named: [`Self::reach`] is [`Reach::Timeless`] whatever the literals.
    pub fn is_timeless(&self) -> bool {
        true
    }

    /// The earliest moment that this execution can touch.
    pub fn reach(&self, _env: &TimeEnv<'_>) -> Reach {
        Reach::Timeless
    }
}
