//! The types of time programs: the time columns that the configuration declares, the bounds that a program holds, what
//! it is evaluated against, and the result.
//!
//! [`super::statement`] and [`super::condition`] make programs of these types, and [`super::evaluate`] runs them.
//! Nothing is read or evaluated here.

use super::super::LexMode;
use super::super::digest::Digest;
use super::expression::Expr;
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
    /// Names compare without case. Where a table has several, each of them tells a row's moment: a bound on any one is
    /// a bound, and where several are bounded the earliest of the bounds counts.
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
    /// The present moment: what `NOW()` is. It must not be later than the servers' own clocks.
    pub now: Timestamp,
    /// The session's time zone.
    pub time_zone: &'a TimeZone,
    /// The session's `sql_mode` bits.
    pub mode: LexMode,
}

/// How far back a statement reaches.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Reach {
    /// It reads no table that has a time column: a horizon says nothing about it.
    Timeless,
    /// Every reference to such a table is bounded; nothing before this moment is touched.
    /// `Timestamp::MIN` where some reference has only an upper bound: it reaches back without end.
    Since(Timestamp),
    /// Some reference has no proven bound at all (a lookup by id, an expression on the column, an OR).
    Unknown,
}

/// What compiling found out.
#[derive(Clone, Debug, Default, PartialEq)]
pub(super) enum Verdict {
    /// No reference to a table with a time column.
    #[default]
    Timeless,
    /// No proof, whatever the literals are; why, in words.
    Unknown(Box<str>),
    /// Some reference has an upper bound alone.
    Endless,
    /// Every reference has at least one lower bound, of which the literals decide.
    Bounded(Box<[Reference]>),
}

/// One reference to a table with a time column, and what bounds it.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Reference {
    /// Lower bounds, at least one; all of them hold.
    pub bounds: Box<[Bound]>,
}

/// One conjunct that bounds a time column from below.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Bound {
    /// Which of the table's time columns.
    pub column: u16,
    /// How that column stores its moment.
    pub unit: TimeUnit,
    /// The column must equal the value, or one of the values.
    pub equal: bool,
    /// What it is compared with.
    pub least: Least,
}

/// The least value that a conjunct lets through.
#[derive(Clone, Debug, PartialEq)]
pub(super) enum Least {
    /// `col >= x`, `col = x`.
    Value(Expr),
    /// `col BETWEEN x AND y`: the first, provided that both are times.
    Between(Expr, Expr),
    /// `col IN (x, …)`: the smallest.
    AnyOf(Box<[Expr]>),
}
