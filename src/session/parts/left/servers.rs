//! What servers keep of a statement's results over the next ones: facts about MariaDB 10.11 and MySQL 9.7, each tried there.
//!
//! [`super::Left`] reads them. It refuses to know a session: what a text does is all that it asks.

use crate::backend::Engine;
use crate::session::parts::previous::Kept;
use crate::sql::effects::{Effects, Verb};

/// Statements whose packets do not tell all that they left.
pub(super) const UNCLEAR: Effects = Effects::OUT_OF_SIGHT.union(Effects::MULTI);

/// Errors from before anything has run, of a statement without rows: no such routine (ER_SP_DOES_NOT_EXIST), a wrong number of
/// arguments (ER_SP_WRONG_NO_OF_ARGS), no right to (ER_PROCACCESS_DENIED_ERROR), no such table or column (ER_NO_SUCH_TABLE,
/// ER_BAD_FIELD_ERROR), no schema (ER_NO_DB_ERROR), nothing prepared by that name (ER_UNKNOWN_STMT_HANDLER), a text that is not
/// understood (ER_PARSE_ERROR), or has bytes that are no characters (ER_INVALID_CHARACTER_STRING, MariaDB's).
pub(super) const BEFORE_IT_RUNS: [u16; 9] = [1305, 1318, 1370, 1146, 1054, 1046, 1243, 1064, 1300];

/// Errors of statements that were killed, or took too long: ER_QUERY_INTERRUPTED, ER_QUERY_TIMEOUT, and MariaDB's
/// ER_STATEMENT_TIMEOUT.
pub(super) const CUT_SHORT: [u16; 3] = [1317, 3024, 1969];

/// Effects of statements that use no tables: MariaDB leaves the diagnostics of the statement before where they are, if these have none
/// of their own (10.11).
const TABLELESS: Effects = Effects::READ
    .union(Effects::CONSTANT)
    .union(Effects::VOLATILE)
    .union(Effects::EXPLAIN)
    .union(Effects::LEAVES_FOUND_ROWS)
    .union(Effects::MARIADB_ONLY)
    .union(Effects::BEGIN)
    .union(Effects::BEGIN_READ_ONLY)
    .union(Effects::COMMIT)
    .union(Effects::ROLLBACK)
    .union(Effects::CHAIN)
    .union(Effects::SAVEPOINT)
    .union(Effects::XA)
    .union(Effects::UNLOCK_TABLES)
    .union(Effects::SET_SCHEMA)
    .union(Effects::SET_SESSION)
    .union(Effects::SET_AUTOCOMMIT)
    .union(Effects::SET_NEXT_TRANSACTION)
    .union(Effects::SET_USER_VARIABLE)
    .union(Effects::READ_USER_VARIABLE)
    .union(Effects::USER_LOCK)
    .union(Effects::SETS_INSERT_ID)
    .union(Effects::NEEDS_PREVIOUS);

/// What a SET may do beside.
const OF_SETS: Effects = Effects::SERVER_BOUND
    .union(Effects::UNTRACKED_STATE)
    .union(Effects::UNPROVEN)
    .union(Effects::SET_GLOBAL)
    .union(Effects::ADMIN);

/// What a statement does that makes, alters or drops a schema.
const OF_SCHEMAS: Effects = Effects::SCHEMA_DEFINITION.union(Effects::DDL).union(Effects::IMPLICIT_COMMIT);

/// What a SHOW of what is in no table may do beside.
const SHOWN_WITHOUT_TABLE: Effects =
    Effects::SERVER_BOUND.union(Effects::METADATA).union(Effects::SHOWS_NO_TABLE).union(Effects::FINDS_NO_ROWS);

/// Effects of statements that use tables.
const USES_TABLES: Effects =
    Effects::READ_TABLE.union(Effects::WRITE).union(Effects::DDL).union(Effects::HANDLER).union(Effects::LOCK_TABLES);

/// True for SHOW WARNINGS and its kin, and GET DIAGNOSTICS.
#[inline]
pub(super) fn is_only_a_question(verb: Verb, effects: Effects) -> bool {
    let is_select = effects.contains(Effects::READ) && verb != Verb::Show;
    effects.contains(Effects::NEEDS_WARNINGS) && !is_select && !effects.intersects(UNCLEAR.union(Effects::SET_SESSION))
}

/// True for a statement that has found other rows than it has answered with: SQL_CALC_FOUND_ROWS, MySQL's EXPLAIN ANALYZE.
#[inline]
pub(super) fn leaves_more(effects: Effects) -> bool {
    effects.contains(Effects::LEAVES_FOUND_ROWS) && !effects.contains(Effects::EXPLAIN)
}

/// True for a statement whose rows are none that were found: EXPLAIN, HANDLER, CHECKSUM TABLE, SHOW GRANTS, MariaDB's ANALYZE.
#[inline]
pub(super) fn finds_nothing(verb: Verb, effects: Effects) -> bool {
    let is_of_kind = matches!(verb, Verb::Handler | Verb::Optimize | Verb::Xa | Verb::Other);
    effects.intersects(Effects::EXPLAIN | Effects::FINDS_NO_ROWS)
        || verb == Verb::Analyze
        || verb == Verb::Explain && effects.contains(Effects::WRITE)
        || is_of_kind && !effects.contains(Effects::READ_TABLE)
}

/// What a statement that has run, and whose packets do not say what it has found, has done to the number of rows found. A subquery
/// counts its rows where it is run, and no packet says whether it was.
#[inline]
pub(super) fn finds_unsaid(engine: Engine, verb: Verb, effects: Effects, warnings: u16) -> Kept {
    let is_mysql = engine == Engine::MySql;
    let from_query = effects.contains(Effects::FED_BY_QUERY);
    match verb {
        Verb::Insert | Verb::Replace if from_query => Kept::No,
        Verb::Update if is_mysql => Kept::No,
        Verb::Explain if effects.contains(Effects::WRITE) => Kept::No,
        // A table that is there already is not made again, which is a warning.
        Verb::Create if from_query && !is_mysql => {
            if warnings == 0 {
                Kept::No
            } else {
                Kept::Perhaps
            }
        }
        Verb::Create => Kept::Yes,
        Verb::Set if is_mysql => Kept::Yes,
        Verb::Load if is_mysql => Kept::Perhaps,
        Verb::Insert | Verb::Replace | Verb::Update | Verb::Delete | Verb::With | Verb::Set | Verb::Do
            if effects.contains(Effects::READ_TABLE) =>
        {
            Kept::Perhaps
        }
        Verb::Analyze if effects.contains(Effects::WRITE | Effects::READ_TABLE) => Kept::Perhaps,
        // To plan it, some of it may have been run.
        _ if effects.contains(Effects::EXPLAIN | Effects::LEAVES_FOUND_ROWS) => Kept::Perhaps,
        _ => Kept::Yes,
    }
}

/// True for a statement that uses tables, and so clears MariaDB's diagnostics. What is done to a whole schema uses none.
#[inline]
pub(super) fn uses_tables(effects: Effects) -> bool {
    effects.intersects(USES_TABLES) && !effects.contains(Effects::SCHEMA_DEFINITION)
}

/// True for a text that says so, whatever else it does.
#[inline]
pub(super) fn certainly_uses_tables(effects: Effects) -> bool {
    uses_tables(effects) && !effects.contains(Effects::UNPROVEN)
}

/// True for a statement that MariaDB's diagnostics outlast.
#[inline]
pub(super) fn is_tableless(verb: Verb, effects: Effects) -> bool {
    let more = match verb {
        // CONNECTION_ID(), @@hostname.
        Verb::Select | Verb::Xa => Effects::SERVER_BOUND,
        // Most of what SHOW shows is a table.
        Verb::Show if !effects.contains(Effects::SHOWS_NO_TABLE) => return false,
        Verb::Show => SHOWN_WITHOUT_TABLE,
        Verb::Set => OF_SETS,
        Verb::Create | Verb::Alter | Verb::Drop if effects.contains(Effects::SCHEMA_DEFINITION) => OF_SCHEMAS,
        Verb::Flush => Effects::ADMIN.union(Effects::IMPLICIT_COMMIT).union(Effects::UNTRACKED_STATE),
        Verb::Prepare | Verb::Deallocate => Effects::TEXT_PREPARE.union(Effects::HIDDEN_STATE),
        _ => Effects::empty(),
    };
    TABLELESS.union(more).contains(effects) && !effects.is_empty()
}

/// True if a statement that has none of its own has cleared those that were on its connection.
#[inline]
pub fn clears_diagnostics(engine: Engine, effects: Effects) -> bool {
    match engine {
        Engine::MySql => !effects.contains(Effects::NEEDS_WARNINGS),
        _ => uses_tables(effects),
    }
}
