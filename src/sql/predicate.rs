//! How far back in time a statement reaches: the horizon, proven from its conjuncts.
//!
//! A table may have a time column, and a server may hold only part of time. [`TimeProgram::compile`] reads a digest once
//! and keeps, for every reference to such a table, the comparisons that bound its time column from below;
//! [`TimeProgram::reach`] evaluates them for one execution, against its literals or its bound values.
//!
//! What counts as proof is narrow on purpose: a conjunct of WHERE, or of a join's ON that cannot let rows through, in
//! the query block that names the table, which compares the bare column with an expression whose value is known here.
//! Everything else proves nothing: OR, NOT, CASE, a function or a cast of the column, HAVING, the condition of another
//! block. A reference without proof makes the statement [`Reach::Unknown`]; so does any text that is not understood,
//! and any table name that stands where no table was understood. So a grammar that is not known here costs precision,
//! never truth. `docs/adr/0002-own-predicate-parser.md` says why there is a parser here at all.
//!
//! It judges by names: a view, a stored routine or a trigger over such a table is seen only if it is declared like one.
//! Rows that are only inserted are not read, so the target of INSERT, REPLACE and LOAD DATA needs no bound.
//!
//! Everything is read from the digest's text and nothing from the statement's, so a program cannot depend on what the
//! digest does not tell apart. Neighbours: [`super::lexer`] cuts the digest, [`super::digest`] says where the literals
//! stand; the files below read conditions (`condition`), expressions (`expression`), table references (`tables`) and
//! statements (`statement`), and evaluate (`evaluate`, over `wall`, which is clock arithmetic).

use super::LexMode;
use super::digest::Digest;
use jiff::{Timestamp, tz::TimeZone};

mod condition;
mod evaluate;
mod expression;
mod statement;
mod tables;
mod tokens;
mod wall;

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

/// The time predicates of a statement, compiled once for its digest.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct TimeProgram {
    verdict: Verdict,
}

/// What compiling found out.
#[derive(Clone, Debug, Default, PartialEq)]
enum Verdict {
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
struct Reference {
    /// Lower bounds, at least one; all of them hold.
    bounds: Box<[Bound]>,
}

/// One conjunct that bounds a time column from below.
#[derive(Clone, Debug, PartialEq)]
struct Bound {
    /// Which of the table's time columns.
    column: u16,
    /// How that column stores its moment.
    unit: TimeUnit,
    /// The column must equal the value, or one of the values.
    equal: bool,
    /// What it is compared with.
    least: Least,
}

/// The least value that a conjunct lets through.
#[derive(Clone, Debug, PartialEq)]
enum Least {
    /// `col >= x`, `col = x`.
    Value(expression::Expr),
    /// `col BETWEEN x AND y`: the first, provided that both are times.
    Between(expression::Expr, expression::Expr),
    /// `col IN (x, …)`: the smallest.
    AnyOf(Box<[expression::Expr]>),
}

impl TimeProgram {
    /// Reads the time predicates of a digest.
    ///
    /// The program holds for every statement with this digest (and the same mode, default schema and configuration).
    /// `_sql` is not looked at.
    pub fn compile(_sql: &[u8], digest: &Digest, mode: LexMode, columns: &dyn TimeColumns) -> Self {
        Self { verdict: statement::compile(&digest.text, mode, columns) }
    }

    /// True if no table with a time column is read: [`Self::reach`] is [`Reach::Timeless`] whatever the literals.
    pub fn is_timeless(&self) -> bool {
        matches!(self.verdict, Verdict::Timeless)
    }

    /// Why [`Self::reach`] is [`Reach::Unknown`] whatever the literals, in words; none where it may be known.
    pub fn unknown_because(&self) -> Option<&str> {
        match &self.verdict {
            Verdict::Unknown(why) => Some(why),
            _ => None,
        }
    }

    /// The earliest moment that this execution can touch. Allocates nothing.
    pub fn reach(&self, env: &TimeEnv<'_>) -> Reach {
        match &self.verdict {
            Verdict::Timeless => Reach::Timeless,
            Verdict::Unknown(_) => Reach::Unknown,
            Verdict::Endless => Reach::Since(Timestamp::MIN),
            Verdict::Bounded(references) => match evaluate::earliest(references, env) {
                Some(moment) => Reach::Since(moment),
                None => Reach::Unknown,
            },
        }
    }
}
