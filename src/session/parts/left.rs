//! What a session's last answer said of itself, for a question about it whose connection has gone to somebody else.
//!
//! `ROW_COUNT()`, `FOUND_ROWS()` and the diagnostics live on the connection of the statement before. Mostly they are what the
//! answer's own packets said: no warnings, so many rows. A connection that has just begun a new life answers the same after a
//! statement that leaves the same. It refuses to guess: what the packets did not say is asked of its own connection or of
//! none.

mod servers;

pub use servers::clears_diagnostics;

use self::servers::{
    BEFORE_IT_RUNS, CUT_SHORT, UNCLEAR, certainly_uses_tables, finds_nothing, finds_unsaid, is_only_a_question,
    is_tableless, leaves_more, uses_tables,
};
use crate::backend::Engine;
use crate::protocol::command::Command;
use crate::session::link::conversation::{Reply, TalkError};
use crate::session::link::relay::Outcome;
use crate::session::parts::previous::{Keeps, Kept};
use crate::sql::effects::{Effects, Verb};

/// Asks for the number of rows found, which is 1 from then on.
pub const ASK_FOUND_ROWS: &str = "SELECT FOUND_ROWS() LIMIT 1";

/// What the last answer left.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Left {
    /// What `FOUND_ROWS()` says.
    found: Found,
    /// The last answer was rows or an error: `ROW_COUNT()` is -1.
    counts_nothing: bool,
    /// Rows that the last statement changed.
    affected: u64,
    /// The warnings or the error that it left, or that a statement before it did.
    diagnostics: Diagnostics,
    /// These are MariaDB's, if there are any.
    are_of_mariadb: bool,
    /// The number of warnings that MySQL puts into the answers of commands that are no statements; MariaDB puts none there.
    told: u16,
    /// `told` is only a lower bound: it counts the error itself, and MySQL may have noted more conditions beside it.
    is_least: bool,
    /// The last request was several statements, or ran what its text does not show.
    is_unclear: bool,
    /// It was several at once.
    was_several: bool,
    /// A command that is no statement and came after it, which changes what `ROW_COUNT()` says, and which the router has answered.
    since: Option<Command>,
}

/// What is known of diagnostics.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
enum Diagnostics {
    /// There are none.
    #[default]
    None,
    /// There are some.
    Some,
    /// There may be some.
    Unclear,
}

/// What is known of the number of rows that were found.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
enum Found {
    /// No statement had rows yet.
    #[default]
    Nothing,
    /// The last result of rows had so many.
    Rows(u64),
    /// It is what nobody has said.
    Unclear,
}

impl Left {
    /// Notes an answer. Returns which results of the statements before are still on the connections where they were.
    #[inline]
    pub fn note(&mut self, engine: Engine, verb: Verb, effects: Effects, outcome: &Outcome) -> Keeps {
        self.since = None;
        if is_only_a_question(verb, effects) && outcome.error.is_none() {
            // It changes neither counts nor what was found; but if it returned rows itself, ROW_COUNT() is -1.
            self.counts_nothing |= outcome.ended_by_rows;
            (self.told, self.is_least) = (0, false);
            // SHOW COUNT(*), which is a SELECT.
            let finds = effects.contains(Effects::CONSTANT);
            if finds {
                self.found = Found::Rows(1);
            }
            if outcome.warnings > 0 {
                // A condition that is not there is one more.
                (self.diagnostics, self.are_of_mariadb) = (Diagnostics::Some, engine == Engine::MariaDb);
            }
            return Keeps { found: if finds { Kept::No } else { Kept::Yes }, diagnostics: false };
        }
        self.told = match engine {
            Engine::MySql => outcome.warnings.max(u16::from(outcome.error.is_some())),
            _ => 0,
        };
        self.is_least = engine == Engine::MySql && outcome.error.is_some();
        self.counts_nothing = counts_nothing(outcome);
        self.affected = outcome.affected_rows;
        let has_own = has_own(outcome);
        let diagnostics = !has_own && engine == Engine::MariaDb && self.outlasts(verb, effects);
        let has_not_run = outcome.error.is_some_and(|code| BEFORE_IT_RUNS.contains(&code))
            && outcome.rows == 0
            && !effects.contains(Effects::MULTI);
        // A SET of which not all is understood finds no rows and counts none, unless it calls what may.
        let unclear = if verb == Verb::Set { UNCLEAR.difference(Effects::UNPROVEN) } else { UNCLEAR };
        let is_out_of_sight =
            effects.intersects(unclear) && !matches!(verb, Verb::Prepare | Verb::Deallocate) && !has_not_run;
        // On MySQL the last of several statements has cleared what those before it left.
        let last_clears =
            engine == Engine::MySql && !effects.intersects(Effects::OUT_OF_SIGHT.union(Effects::NEEDS_WARNINGS));
        self.diagnostics = match (has_own, diagnostics) {
            (true, _) => Diagnostics::Some,
            // They are as unclear as they were.
            (_, true) => self.diagnostics,
            _ if is_out_of_sight && !last_clears => Diagnostics::Unclear,
            _ => Diagnostics::None,
        };
        self.are_of_mariadb = self.diagnostics != Diagnostics::None && engine == Engine::MariaDb;
        // The last of several statements says by its rows, or its error, that it has counted none.
        self.was_several = effects.contains(Effects::MULTI);
        let is_said = self.was_several && self.counts_nothing && !effects.intersects(Effects::OUT_OF_SIGHT);
        self.is_unclear = is_out_of_sight && !is_said;
        Keeps { found: self.note_found(engine, verb, effects, outcome, is_out_of_sight), diagnostics }
    }

    /// Notes how many rows a statement has found. Says whether it has left that number as it was.
    #[inline]
    fn note_found(&mut self, engine: Engine, verb: Verb, effects: Effects, outcome: &Outcome, unclear: bool) -> Kept {
        let is_mysql = engine == Engine::MySql;
        let is_select = matches!(verb, Verb::Select | Verb::With | Verb::Values | Verb::Table);
        // One that is cut short has begun to look for rows.
        let is_cut = outcome.error.is_some_and(|code| CUT_SHORT.contains(&code));
        if is_mysql && verb == Verb::Do && outcome.error.is_none() && !unclear {
            self.found = Found::Rows(1);
            return Kept::No;
        }
        // MariaDB has found none, where no table was to be gone through.
        let is_none = is_cut && is_select && !is_mysql && !uses_tables(effects);
        // The rows of a cursor come later.
        let has_rows = outcome.ended_by_rows && !outcome.cursor;
        let is_said = is_none || has_rows && !finds_nothing(verb, effects);
        let has_run = outcome.error.is_none();
        let leaves_more = has_run && leaves_more(effects);
        if is_said && !unclear && !leaves_more {
            self.found = Found::Rows(outcome.rows);
            return Kept::No;
        }
        let is_silent = is_select && (is_cut || has_run && !has_rows);
        let kept = match unclear || leaves_more || is_silent {
            true => Kept::No,
            false if has_run => finds_unsaid(engine, verb, effects, outcome.warnings),
            false => Kept::Yes,
        };
        // Of a text that is not understood nobody knows whether it looks for rows at all, unless it had some.
        let is_anything = unclear && effects.contains(Effects::UNPROVEN) && !outcome.ended_by_rows && outcome.rows == 0;
        let kept = if is_anything { Kept::Perhaps } else { kept };
        if kept != Kept::Yes {
            self.found = Found::Unclear;
        }
        kept
    }

    /// True if diagnostics outlast a statement with these effects that has none of its own.
    #[inline]
    pub fn outlasts(&self, verb: Verb, effects: Effects) -> bool {
        self.are_of_mariadb && is_tableless(verb, effects)
    }

    /// True if the statement before is known to have left no diagnostics.
    pub fn has_no_diagnostics(&self) -> bool {
        self.diagnostics == Diagnostics::None
    }

    /// True if the number of rows that were found is what nobody has said.
    pub fn finds_unclear(&self) -> bool {
        self.found == Found::Unclear
    }

    /// What has to be done on another connection, so that `FOUND_ROWS()` is there what it is for this session.
    pub fn found_again(&self) -> Option<Again> {
        match self.found {
            Found::Nothing => Some(Again::rows(0)),
            Found::Rows(rows) if rows <= FEW => Some(Again::rows(rows)),
            Found::Rows(_) | Found::Unclear => None,
        }
    }

    /// The server has said what `ROW_COUNT()` is.
    pub fn counted(&mut self, rows: i64) {
        (self.counts_nothing, self.affected) = (rows < 0, u64::try_from(rows).unwrap_or(0));
        self.is_unclear = false;
    }

    /// Notes what a link has answered to [`ASK_FOUND_ROWS`]. Where it has not, it stays unknown; a broken link shows at what is sent next.
    pub fn hear_found(&mut self, said: Result<Reply, TalkError>) {
        if let Some(rows) = said.ok().and_then(|reply| reply.last_value()).and_then(|rows| rows.parse().ok()) {
            self.found(rows);
        }
    }

    /// The server has said it.
    pub fn found(&mut self, rows: u64) {
        self.found = Found::Rows(rows);
    }

    /// True if the statement before is known to have left some.
    pub fn has_diagnostics(&self) -> bool {
        self.diagnostics == Diagnostics::Some
    }

    /// True if a server keeps the diagnostics over what uses no table.
    #[inline]
    pub fn is_kept(&self) -> bool {
        self.are_of_mariadb
    }

    /// True if kept diagnostics may outlast a statement with these effects: it is to run where they are, as far as the session is free to
    /// choose, and they are held until it is known.
    pub fn draws(&self, verb: Verb, effects: Effects) -> bool {
        self.are_of_mariadb
            && (is_tableless(verb, effects)
                || effects.intersects(Effects::OUT_OF_SIGHT) && !certainly_uses_tables(effects))
    }

    /// True if it cannot be told from a statement's text whether diagnostics that there are outlast it.
    pub fn may_outlast(&self, verb: Verb, effects: Effects) -> bool {
        self.are_of_mariadb
            && self.diagnostics == Diagnostics::Some
            && !is_tableless(verb, effects)
            && !certainly_uses_tables(effects)
    }

    /// The server has been asked whether there are any.
    pub fn diagnosed(&mut self, some: bool) {
        self.diagnostics = if some { Diagnostics::Some } else { Diagnostics::None };
        self.are_of_mariadb &= some;
    }

    /// A new life has begun, which takes back all but the number of rows that were found.
    pub fn began_anew(&mut self) {
        *self = Self { found: self.found, ..Self::default() };
    }

    /// A statement with these effects was prepared: MySQL's diagnostics are gone with that, and MariaDB's if it uses tables.
    pub fn prepared(&mut self, effects: Effects) {
        if !self.are_of_mariadb || uses_tables(effects) {
            (self.diagnostics, self.told, self.is_least) = (Diagnostics::None, 0, false);
            self.are_of_mariadb = false;
        }
    }

    /// A command has warned that counts nothing and finds nothing.
    pub fn warned(&mut self, engine: Engine, warnings: u16) {
        (self.diagnostics, self.are_of_mariadb) = (Diagnostics::Some, engine == Engine::MariaDb);
        (self.told, self.is_least) = (if self.are_of_mariadb { 0 } else { warnings }, false);
    }

    /// The router has answered a statement that counts nothing, finds nothing and uses no table.
    pub fn answered(&mut self) {
        let diagnostics = if self.are_of_mariadb { self.diagnostics } else { Diagnostics::None };
        *self = Self { found: self.found, diagnostics, are_of_mariadb: self.are_of_mariadb, ..Self::default() };
    }

    /// The router has answered COM_PING (`ROW_COUNT()` is 0 then) or COM_SET_OPTION (-1).
    pub fn commanded(&mut self, command: Command) {
        self.since = Some(command);
        (self.counts_nothing, self.affected) = (command == Command::SetOption, 0);
    }

    /// The command that the statement's connection has not heard of, for a statement that asks what it changes.
    #[inline]
    pub fn unheard(&self, asks: Effects) -> Option<Command> {
        self.since.filter(|_| asks.contains(Effects::NEEDS_ROW_COUNT))
    }

    /// What `ROW_COUNT()` says, as far as that is known.
    pub fn row_count(&self) -> Option<i64> {
        let count = if self.counts_nothing { -1 } else { i64::try_from(self.affected).ok()? };
        Some(count).filter(|_| !self.is_unclear)
    }

    /// The warnings that the answer to COM_PING or COM_SET_OPTION has.
    pub fn told(&self) -> u16 {
        self.told
    }

    /// True if the number of conditions is only a lower bound, and the statement's connection must be asked for it.
    pub fn is_least(&self) -> bool {
        self.is_least
    }

    /// COM_INIT_DB clears no diagnostics: they are as before, and so is what answers to commands tell of them. False if it has left
    /// its own.
    pub fn outlasted(&mut self, before: Self) -> bool {
        if self.diagnostics != Diagnostics::None || before.are_of_mariadb {
            return false;
        }
        (self.told, self.is_least, self.diagnostics) = (before.told, before.is_least, before.diagnostics);
        true
    }

    /// Takes down the number of conditions that the server itself has said.
    pub fn tell(&mut self, warnings: u16) {
        (self.told, self.is_least) = (warnings, false);
    }

    /// What has to be done on another connection, so that it answers a question with these effects as this session's own would. None
    /// if nobody knows that answer, or nothing can bring it about. `engine` is the connection's, where it is known.
    pub fn recreation(&self, asks: Effects, engine: Option<Engine>) -> Option<Again> {
        let are_none = self.diagnostics == Diagnostics::None;
        let asks_counts = asks.intersects(Effects::NEEDS_PREVIOUS.difference(Effects::NEEDS_WARNINGS));
        let is_unclear = self.is_unclear || self.was_several && asks.contains(Effects::NEEDS_INSERT_ID);
        if is_unclear && asks_counts || !are_none && asks.contains(Effects::NEEDS_WARNINGS) {
            return None;
        }
        let (counts, finds) = (asks.contains(Effects::NEEDS_ROW_COUNT), asks.contains(Effects::NEEDS_FOUND_ROWS));
        match (self.counts_nothing, self.found) {
            (_, Found::Unclear | Found::Rows(MOST_ROWS..)) if finds => None,
            (false, _) if counts && self.affected > 0 => {
                let can_count = engine == Some(Engine::MariaDb) && self.affected <= MOST_CHANGED && !finds;
                can_count.then_some(Again { rows: None, ping: false, changed: self.affected })
            }
            (true, Found::Rows(rows)) if finds => Some(Again::rows(rows)),
            (true, Found::Nothing) if finds => Some(Again::rows(0)),
            (true, _) => Some(Again::rows(1)),
            (false, Found::Rows(rows)) if finds => Some(Again { ping: counts, ..Again::rows(rows) }),
            (false, Found::Nothing) if finds => Some(Again::AS_NEW),
            (false, _) => Some(Again { rows: None, ping: true, changed: 0 }),
        }
    }
}

/// True if `ROW_COUNT()` is -1 after such an answer.
#[inline]
pub fn counts_nothing(outcome: &Outcome) -> bool {
    outcome.ended_by_rows || outcome.cursor || outcome.error.is_some()
}

/// True if a statement has left diagnostics of its own.
#[inline]
pub fn has_own(outcome: &Outcome) -> bool {
    outcome.warnings > 0 || outcome.error.is_some()
}

/// What is to be done on a connection, so that it says the same as another.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Again {
    /// A statement with so many rows, which has no count.
    rows: Option<u64>,
    /// Then a ping: it counts nothing, and leaves what was found.
    pub ping: bool,
    /// A statement that counts so many rows, and finds one; 0 for none. MariaDB's alone.
    changed: u64,
}

impl Again {
    /// It says what a new connection does.
    ///
    /// MariaDB's `FOUND_ROWS()` is there what an earlier connection of the same thread left, if its server keeps threads
    /// (`thread_cache_size`), which nobody can rely on.
    pub const AS_NEW: Again = Again { rows: Some(0), ping: true, changed: 0 };

    fn rows(rows: u64) -> Self {
        Again { rows: Some(rows), ping: false, changed: 0 }
    }

    /// True if not every server takes its statement: none in the mode of Oracle, nor one older than 10.3.
    pub fn may_be_refused(self) -> bool {
        self.changed > 0
    }

    /// True if it is done by a ping alone, which leaves diagnostics as they are.
    pub fn is_ping(self) -> bool {
        self.ping && self.changed == 0 && self.rows.is_none()
    }

    /// True if MariaDB's diagnostics stay as they are.
    pub fn keeps_diagnostics(self) -> bool {
        !matches!(self.rows, Some(rows) if rows > MOST_WITHOUT_TABLES)
    }

    /// The statement, if there is one; one that `keeps` MariaDB's diagnostics, where it can.
    pub fn statement(self, keeps: bool) -> Option<String> {
        if self.changed > 0 {
            return Some(counting(self.changed));
        }
        let without_tables = if keeps { MOST_WITHOUT_TABLES } else { FEW };
        self.rows.map(|rows| rows_of(rows, without_tables))
    }
}

/// More rows than this come of tables, which clear MariaDB's diagnostics.
const MOST_WITHOUT_TABLES: u64 = 1_000;

/// So many rows come without a table at no cost: fifty take MariaDB 0.4 ms, a thousand 8 ms.
const FEW: u64 = 50;

/// A statement of the router's own has fewer rows than this: more would take too long to make for their number alone.
const MOST_ROWS: u64 = 10_001;

/// More rows than this are not counted again: a thousand take MariaDB 2 ms.
const MOST_CHANGED: u64 = 10_000;

/// A statement after which `ROW_COUNT()` is that number, and which leaves diagnostics alone. MariaDB counts the rows that a block selects
/// into variables of its own.
fn counting(rows: u64) -> String {
    format!("BEGIN NOT ATOMIC DECLARE x INT; FOR i IN 1..{rows} DO SELECT 1 INTO x LIMIT 1; END FOR; END")
}

/// A statement that has so many rows; up to a bound it uses no tables.
fn rows_of(rows: u64, without_tables: u64) -> String {
    const TEN: &str = "(SELECT 1 UNION ALL SELECT 1 UNION ALL SELECT 1 UNION ALL SELECT 1 UNION ALL SELECT 1 UNION ALL SELECT 1 \
                       UNION ALL SELECT 1 UNION ALL SELECT 1 UNION ALL SELECT 1 UNION ALL SELECT 1)";
    match rows {
        0 => "SELECT 1 LIMIT 0".to_owned(),
        rows if rows <= without_tables => {
            let rows = vec!["SELECT 1"; usize::try_from(rows).unwrap_or_default()];
            format!("{} LIMIT {}", rows.join(" UNION ALL "), rows.len())
        }
        rows => format!("SELECT 1 FROM {TEN} a,{TEN} b,{TEN} c,{TEN} d LIMIT {rows}"),
    }
}

#[cfg(test)]
mod tests;
