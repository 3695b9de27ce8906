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
//! stand; the files below say what a program is made of and what it is evaluated against (`program`), read conditions
//! (`condition`), expressions (`expression`), table references (`tables`) and statements (`statement`), say where a clause ends
//! (`clause`), and evaluate (`evaluate`, over `wall`, which is clock arithmetic).

use super::LexMode;
use super::digest::Digest;
use jiff::Timestamp;
use program::Verdict;
pub use program::{BoundValue, Reach, TimeColumn, TimeColumns, TimeEnv, TimeUnit};

mod clause;
mod condition;
mod evaluate;
mod expression;
mod program;
mod statement;
mod tables;
mod tokens;
mod wall;

/// The time predicates of a statement, compiled once for its digest.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct TimeProgram {
    verdict: Verdict,
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
