//! What packets say of counts, rows found and diagnostics, as tables by engine and kind of statement; and what is left again of it.

use super::*;

/// What is left again, in a word.
fn again(left: &Left, asks: Effects) -> String {
    let Some(again) = left.recreation(asks, None) else { return "unknown".to_owned() };
    let statement = again.statement(false).unwrap_or_default();
    let rows = match statement.rsplit_once("LIMIT ") {
        Some((_, rows)) => rows.to_owned(),
        None => {
            Some(statement.matches("SELECT 1").count()).filter(|n| *n > 0).map_or_else(String::new, |n| n.to_string())
        }
    };
    format!("{rows}{}", if again.ping { " ping" } else { "" })
}

#[test]
fn what_packets_said_is_left_again() {
    let (count, found, warnings) = (Effects::NEEDS_ROW_COUNT, Effects::NEEDS_FOUND_ROWS, Effects::NEEDS_WARNINGS);
    let rows = |rows| Outcome { rows, ended_by_rows: true, ..Outcome::default() };
    let changed = |affected_rows| Outcome { affected_rows, ..Outcome::default() };
    let failed = || Outcome { error: Some(1146), ..Outcome::default() };
    let cases = [
        (rows(1), count | found, "1"),
        (rows(0), found, "0"),
        (rows(7_000), found, "7000"),
        (rows(70_000), count, "1"),
        (rows(70_000), found, "unknown"),
        (changed(0), count, " ping"),
        (changed(3), warnings, " ping"),
        (changed(3), count, "unknown"),
        (Outcome { warnings: 1, ..rows(1) }, warnings, "unknown"),
        (Outcome { warnings: 1, ..rows(1) }, count, "1"),
        (failed(), count, "1"),
        (failed(), count | found, "0"),
        (failed(), count | warnings, "unknown"),
    ];
    for (outcome, asks, want) in cases {
        let mut left = Left::default();
        left.note(Engine::MariaDb, Verb::Update, Effects::READ, &outcome);
        assert_eq!(again(&left, asks), want, "{outcome:?} {asks:?}");
    }
    let mut left = Left::default();
    left.note(Engine::MariaDb, Verb::Select, Effects::READ, &rows(7));
    left.note(Engine::MariaDb, Verb::Show, Effects::NEEDS_WARNINGS, &rows(0));
    assert_eq!(again(&left, found), "7", "SHOW WARNINGS leaves what was there");
    left.note(Engine::MariaDb, Verb::Insert, Effects::WRITE, &changed(2));
    assert_eq!((left.row_count(), again(&left, count)), (Some(2), "unknown".to_owned()));
    assert_eq!(again(&left, found), "7", "a write finds nothing");
    left.commanded(Command::Ping);
    assert_eq!((left.row_count(), left.unheard(count), left.unheard(found)), (Some(0), Some(Command::Ping), None));
    assert_eq!(again(&left, count | found), "7 ping");
    left.commanded(Command::SetOption);
    assert_eq!(left.row_count(), Some(-1));
    left.note(Engine::MariaDb, Verb::Call, Effects::CALL, &rows(1));
    assert_eq!((again(&left, count), left.row_count(), left.unheard(count)), ("unknown".to_owned(), None, None));
    left.answered();
    assert_eq!((again(&left, count), again(&left, found)), (" ping".to_owned(), "unknown".to_owned()));
}

#[test]
fn what_is_known_of_rows_found() {
    let (found, none) = (Effects::NEEDS_FOUND_ROWS, Outcome::default);
    let written = || Outcome { affected_rows: 2, ..Outcome::default() };
    let failed = |error| Outcome { error: Some(error), ..Outcome::default() };
    let rows = |rows| Outcome { rows, ended_by_rows: true, ..Outcome::default() };
    let subquery = Effects::WRITE | Effects::READ_TABLE;
    let (query, table, more) = (Effects::FED_BY_QUERY, Effects::READ_TABLE, Effects::LEAVES_FOUND_ROWS);
    let noted = || Outcome { warnings: 1, ..Outcome::default() };
    // What comes after seven rows; what is left again on MariaDB, and on MySQL.
    let cases = [
        (Verb::Insert, Effects::WRITE, written(), ["7", "7"]),
        (Verb::Insert, subquery | query, written(), ["unknown", "unknown"]),
        (Verb::Insert, Effects::WRITE | query, written(), ["unknown", "unknown"]),
        (Verb::Insert, subquery, written(), ["perhaps", "perhaps"]),
        (Verb::Update, Effects::WRITE, written(), ["7", "unknown"]),
        (Verb::Update, subquery, written(), ["perhaps", "unknown"]),
        (Verb::Delete, Effects::WRITE, written(), ["7", "7"]),
        (Verb::Delete, subquery, written(), ["perhaps", "perhaps"]),
        (Verb::Do, Effects::CONSTANT | table, none(), ["perhaps", "1"]),
        (Verb::Set, Effects::SET_USER_VARIABLE | table, none(), ["perhaps", "7"]),
        (Verb::Create, Effects::DDL | table | query, written(), ["unknown", "7"]),
        (Verb::Create, Effects::DDL | query, noted(), ["perhaps", "7"]),
        (Verb::Create, Effects::DDL | table | Effects::STORED_DEFINITION, none(), ["7", "7"]),
        (Verb::Do, Effects::CONSTANT, none(), ["7", "1"]),
        (Verb::Set, Effects::SET_SESSION | Effects::UNPROVEN, none(), ["7", "7"]),
        (Verb::Set, Effects::SET_SESSION | Effects::UNKNOWN_FUNCTION, none(), ["unknown", "unknown"]),
        (Verb::Call, Effects::CALL, none(), ["unknown", "unknown"]),
        (Verb::Call, Effects::CALL, failed(1305), ["7", "7"]),
        (Verb::Call, Effects::CALL, failed(1644), ["unknown", "unknown"]),
        (Verb::Call, Effects::CALL | Effects::MULTI, failed(1064), ["unknown", "unknown"]),
        (Verb::Select, Effects::READ, none(), ["unknown", "unknown"]),
        (Verb::Select, Effects::READ, failed(1317), ["0", "unknown"]),
        (Verb::Select, Effects::READ | Effects::READ_TABLE, failed(1317), ["unknown", "unknown"]),
        (Verb::Select, Effects::READ, failed(1054), ["7", "7"]),
        (Verb::Handler, Effects::HANDLER, rows(1), ["7", "7"]),
        (Verb::Explain, Effects::EXPLAIN | Effects::READ, rows(1), ["7", "7"]),
        (Verb::Explain, Effects::EXPLAIN | Effects::READ | table, rows(1), ["7", "7"]),
        (Verb::Lock, Effects::LOCK_TABLES | table, none(), ["7", "7"]),
        (Verb::Set, Effects::READ | table | more, rows(2), ["unknown", "unknown"]),
        (Verb::Explain, Effects::EXPLAIN | Effects::READ | more, rows(1), ["perhaps", "perhaps"]),
        (Verb::Explain, Effects::READ | table | more, rows(1), ["unknown", "unknown"]),
        (Verb::Explain, Effects::WRITE | table, rows(1), ["unknown", "unknown"]),
        (Verb::Analyze, Effects::READ | table | more, rows(1), ["unknown", "unknown"]),
        (Verb::Analyze, Effects::WRITE, rows(1), ["7", "7"]),
        (Verb::Analyze, subquery, rows(1), ["perhaps", "perhaps"]),
        (Verb::Show, Effects::READ | Effects::METADATA | Effects::FINDS_NO_ROWS, rows(1), ["7", "7"]),
        (Verb::Show, Effects::READ | Effects::METADATA, rows(2), ["2", "2"]),
        (Verb::Show, Effects::READ | Effects::NEEDS_WARNINGS, rows(2), ["7", "7"]),
        (Verb::Show, Effects::READ | Effects::NEEDS_WARNINGS | Effects::CONSTANT, rows(1), ["1", "1"]),
    ];
    for (verb, effects, outcome, want) in cases {
        let got = [Engine::MariaDb, Engine::MySql].map(|engine| {
            let mut left = Left::default();
            left.note(engine, Verb::Select, Effects::READ, &rows(7));
            let keeps = left.note(engine, verb, effects, &outcome);
            if keeps.found == Kept::Perhaps { "perhaps".to_owned() } else { again(&left, found) }
        });
        assert_eq!(got.each_ref().map(String::as_str), want.map(|w| w), "{verb:?} {effects:?} {outcome:?}");
    }
}

#[test]
fn mariadb_keeps_diagnostics_where_no_table_is_used() {
    let (nothing, warned) = (Outcome::default(), Outcome { warnings: 1, ..Outcome::default() });
    let cases = [
        (Engine::MariaDb, Verb::Set, Effects::SET_SESSION, true),
        (Engine::MariaDb, Verb::Begin, Effects::BEGIN, true),
        (Engine::MariaDb, Verb::Select, Effects::READ | Effects::SERVER_BOUND, true),
        (Engine::MariaDb, Verb::Show, Effects::READ | Effects::SERVER_BOUND, false),
        (Engine::MariaDb, Verb::Select, Effects::READ | Effects::READ_TABLE, false),
        (Engine::MySql, Verb::Set, Effects::SET_SESSION, false),
    ];
    for (engine, verb, effects, keeps) in cases {
        let mut left = Left::default();
        left.note(engine, Verb::Update, Effects::WRITE, &warned);
        assert_eq!(left.note(engine, verb, effects, &nothing).diagnostics, keeps, "{engine:?} {verb:?} {effects:?}");
        assert_eq!(left.has_no_diagnostics(), !keeps);
    }
    let mut left = Left::default();
    left.note(Engine::MariaDb, Verb::Update, Effects::WRITE, &warned);
    assert!(!left.note(Engine::MariaDb, Verb::Call, Effects::CALL, &nothing).diagnostics);
    assert!(!left.has_no_diagnostics() && left.outlasts(Verb::Set, Effects::SET_SESSION), "nobody knows");
}
