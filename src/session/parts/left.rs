//! What a session's last answer said of itself, for a question about it whose connection has gone to somebody else.
//!
//! `ROW_COUNT()`, `FOUND_ROWS()` and the diagnostics live on the connection of the statement before. Mostly they are what the
//! answer's own packets said: no warnings, so many rows. A connection that has just begun a new life answers the same after a
//! statement that leaves the same. It refuses to guess: what the packets did not say is asked of its own connection or of
//! none.

use crate::backend::Engine;
use crate::session::link::relay::Outcome;
use crate::sql::effects::Effects;

/// What the last answer left.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Left {
    /// Rows of the last result of rows; none if there was none yet.
    found_rows: Option<u64>,
    /// The last answer was rows or an error: `ROW_COUNT()` is -1.
    counts_nothing: bool,
    /// Rows that the last statement changed.
    affected: u64,
    /// It left warnings or an error.
    has_diagnostics: bool,
    /// The number of warnings that MySQL puts into the answers of commands that are no statements; MariaDB puts none there.
    told: u16,
    /// `told` is only a lower bound: it counts the error itself, and MySQL may have noted more conditions beside it.
    is_least: bool,
    /// It was several statements, a call, or one that says how many rows there would have been.
    is_unclear: bool,
}

/// Statements whose packets do not tell all that they left.
const UNCLEAR: Effects =
    Effects::OUT_OF_SIGHT.union(Effects::MULTI).union(Effects::LEAVES_FOUND_ROWS).union(Effects::NEEDS_WARNINGS);

/// Statements that use no tables: MariaDB leaves the warnings of the statement before where they are, if they have none of their own.
const KEEPS_DIAGNOSTICS: Effects = Effects::READ
    .union(Effects::CONSTANT)
    .union(Effects::BEGIN)
    .union(Effects::COMMIT)
    .union(Effects::ROLLBACK)
    .union(Effects::CHAIN)
    .union(Effects::SAVEPOINT)
    .union(Effects::SET_SESSION)
    .union(Effects::SET_AUTOCOMMIT)
    .union(Effects::SET_NEXT_TRANSACTION)
    .union(Effects::SET_USER_VARIABLE);

impl Left {
    /// Takes down an answer.
    #[inline]
    pub fn note(&mut self, engine: Engine, shows: bool, effects: Effects, outcome: &Outcome) {
        if shows && effects.contains(Effects::NEEDS_WARNINGS) && outcome.error.is_none() {
            // It leaves what was there, but for the rows that it was itself.
            self.counts_nothing = true;
            (self.told, self.is_least) = (0, false);
            return;
        }
        self.told = match engine {
            Engine::MySql => outcome.warnings.max(u16::from(outcome.error.is_some())),
            _ => 0,
        };
        self.is_least = engine == Engine::MySql && outcome.error.is_some();
        self.counts_nothing = outcome.ended_by_rows || outcome.error.is_some();
        self.affected = outcome.affected_rows;
        let are_kept = self.has_diagnostics
            && engine == Engine::MariaDb
            && KEEPS_DIAGNOSTICS.contains(effects)
            && !effects.is_empty();
        self.has_diagnostics = are_kept || outcome.warnings > 0 || outcome.error.is_some();
        self.is_unclear = effects.intersects(UNCLEAR);
        if outcome.ended_by_rows {
            self.found_rows = Some(outcome.rows);
        }
    }

    /// The warnings that the answer to COM_PING or COM_SET_OPTION has.
    pub fn told(&self) -> u16 {
        self.told
    }

    /// True if the number of conditions is only a lower bound, and the statement's connection must be asked for it.
    pub fn is_least(&self) -> bool {
        self.is_least
    }

    /// Takes down the number of conditions that the server itself has said.
    pub fn tell(&mut self, warnings: u16) {
        (self.told, self.is_least) = (warnings, false);
    }

    /// A statement that leaves the same on a connection of a new life, as far as a statement with these effects asks; empty
    /// where nothing is needed. None if nobody knows what was left.
    pub fn recreation(&self, asks: Effects) -> Option<String> {
        if self.is_unclear || self.has_diagnostics && asks.contains(Effects::NEEDS_WARNINGS) {
            return None;
        }
        let (counts, finds) = (asks.contains(Effects::NEEDS_ROW_COUNT), asks.contains(Effects::NEEDS_FOUND_ROWS));
        match (self.counts_nothing, self.found_rows) {
            (true, Some(rows)) if rows <= MOST_ROWS => Some(rows_of(rows)),
            // How many rows were found is not asked for.
            (true, _) if !finds => Some(rows_of(1)),
            (true, _) => None,
            (false, _) if counts && self.affected > 0 => None,
            (false, found) if finds && found.is_some_and(|rows| rows > 0) => None,
            (false, _) => Some(String::new()),
        }
    }
}

/// The most rows that are made for their number's sake.
const MOST_ROWS: u64 = 10_000;

/// A statement that has so many rows.
fn rows_of(rows: u64) -> String {
    const TEN: &str = "(SELECT 1 UNION ALL SELECT 1 UNION ALL SELECT 1 UNION ALL SELECT 1 UNION ALL SELECT 1 UNION ALL SELECT 1 \
                       UNION ALL SELECT 1 UNION ALL SELECT 1 UNION ALL SELECT 1 UNION ALL SELECT 1)";
    match rows {
        1 => "SELECT 1".to_owned(),
        0 => "SELECT 1 LIMIT 0".to_owned(),
        rows => format!("SELECT 1 FROM {TEN} a,{TEN} b,{TEN} c,{TEN} d LIMIT {rows}"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_packets_said_is_left_again() {
        let (count, found, warnings) = (Effects::NEEDS_ROW_COUNT, Effects::NEEDS_FOUND_ROWS, Effects::NEEDS_WARNINGS);
        let rows = |rows| Outcome { rows, ended_by_rows: true, ..Outcome::default() };
        let changed = |affected_rows| Outcome { affected_rows, ..Outcome::default() };
        let cases = [
            (rows(1), count | found, Some("SELECT 1")),
            (rows(0), found, Some("SELECT 1 LIMIT 0")),
            (rows(70_000), count, Some("SELECT 1")),
            (rows(70_000), found, None),
            (changed(0), count, Some("")),
            (changed(3), warnings, Some("")),
            (changed(3), count, None),
            (Outcome { warnings: 1, ..rows(1) }, warnings, None),
            (Outcome { error: Some(1146), ..Outcome::default() }, count, Some("SELECT 1")),
            (Outcome { error: Some(1146), ..Outcome::default() }, count | warnings, None),
            (Outcome { warnings: 1, ..rows(1) }, count, Some("SELECT 1")),
        ];
        for (outcome, asks, want) in cases {
            let mut left = Left::default();
            left.note(Engine::MariaDb, false, Effects::READ, &outcome);
            assert_eq!(left.recreation(asks).as_deref(), want, "{outcome:?} {asks:?}");
        }
        let mut left = Left::default();
        left.note(Engine::MariaDb, false, Effects::READ, &rows(7));
        left.note(Engine::MariaDb, true, Effects::NEEDS_WARNINGS, &rows(0));
        assert!(
            left.recreation(found).is_some_and(|sql| sql.ends_with(" LIMIT 7")),
            "SHOW WARNINGS leaves what was there"
        );
        left.note(Engine::MariaDb, false, Effects::CALL, &rows(1));
        assert_eq!(left.recreation(count), None);
    }
}
