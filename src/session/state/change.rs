//! What an answer did to a session's state: the server's report, and the statement's text for what no report says.
//!
//! The text was read in [`super::assignment`]; [`super::variable`] says which variables move others. It refuses to believe a text where
//! the server has reported, and to carry what cannot be set by value: that becomes a pin.

use super::assignment::{Assignment, Given};
use super::pins::Pins;
use super::value::Value;
use super::variable::{
    CLIENT_COLLATION, RESULTS_COLLATION, Scope, companions, find, is_needed_report, is_one_shot, is_reported_only,
    one_name,
};
use super::{CLIENT, RECORDERS, Values, recorded_by};

/// What a server reported of one answer.
#[derive(Clone, Copy, Debug, Default)]
pub struct Report<'a> {
    /// System variables, name and value, in order.
    pub variables: &'a [(String, String)],
    /// The default schema; empty for none.
    pub schema: Option<&'a str>,
}

/// Brings `values` to what they are after a statement that assigned this by its text (nothing, if it is no SET). Gives the pins
/// that hold the session to its connection for what cannot be carried.
pub fn apply(values: &mut Values, assignments: &[Assignment], report: Report<'_>) -> Pins {
    let mut pins = Pins::empty();
    if let Some(schema) = report.schema {
        values.schema = (!schema.is_empty()).then(|| schema.into());
    }
    for (name, said) in report.variables {
        let name = one_name(name);
        if *name == *"collation_connection" {
            // The set of a collation is set with it, which no report tells.
            let set = said.split_once('_').map_or(said.as_str(), |(set, _)| set);
            pins |= heard(values, "character_set_connection", set, None);
        }
        pins |= heard(values, &name, said, given(assignments, &name));
    }
    for (set, named) in [("character_set_results", RESULTS_COLLATION), (CLIENT, CLIENT_COLLATION)] {
        if let Some(collation) = collation_of(set, assignments, &report) {
            values.set(named, Value::Text(collation.into()));
        }
    }
    let is_reported = |name: &str| report.variables.iter().any(|(reported, _)| one_name(reported) == name);
    for assignment in assignments {
        pins |= match assignment {
            Assignment::Session { name, .. } if is_reported(name) => Pins::empty(),
            // Said without its scope, it is for the next transaction, and no report tells of it.
            Assignment::Session { name, bare: true, .. } if name.starts_with("transaction_") => Pins::NEXT_TRANSACTION,
            // A variable that the server was not told to report.
            Assignment::Session { .. } | Assignment::Opaque => Pins::UNTRACKED_STATE,
            Assignment::NextTransaction => Pins::NEXT_TRANSACTION,
            Assignment::CharacterSets { .. } | Assignment::UserVariable(_) | Assignment::Global => Pins::empty(),
        }
    }
    pins
}

/// The collation that came with the character set of this variable, where that was set; empty for the set's default.
fn collation_of<'a>(variable: &str, assignments: &'a [Assignment], report: &Report<'_>) -> Option<&'a str> {
    let given = |assignment: &'a Assignment| match assignment {
        Assignment::CharacterSets { collation } => Some(collation.as_deref().unwrap_or_default()),
        Assignment::Session { name, .. } if **name == *variable => Some(""),
        _ => None,
    };
    let changed = report.variables.iter().any(|(name, _)| name.eq_ignore_ascii_case(variable));
    changed.then(|| assignments.iter().rev().find_map(given).unwrap_or_default())
}

/// What the text gives to the variable of this name, the last time that it names it.
fn given(assignments: &[Assignment], name: &str) -> Option<Given> {
    assignments.iter().rev().find_map(|assignment| match assignment {
        Assignment::Session { name: set, to, .. } if **set == *name => Some(*to),
        _ => None,
    })
}

/// Takes down one reported variable, to which the statement's text gave this (nothing, where it changed out of sight).
fn heard(values: &mut Values, name: &str, said: &str, given: Option<Given>) -> Pins {
    if is_reported_only(name) {
        return Pins::empty();
    }
    if is_one_shot(name) {
        return Pins::UNTRACKED_STATE;
    }
    if is_needed_report(name) {
        return if Value::read(name, said).text() == "ON" { Pins::empty() } else { Pins::UNTRACKED_STATE };
    }
    if name == "timestamp" {
        // Servers report the moment before, also where DEFAULT took it back.
        return match given {
            Some(Given::Default) => {
                values.unset(name);
                Pins::empty()
            }
            Some(_) => {
                values.set(name, Value::read(name, said));
                Pins::empty()
            }
            None => Pins::UNTRACKED_STATE,
        };
    }
    let value = Value::read(name, said);
    // Also where it is off again by the end of the answer: what was recorded meanwhile is there.
    let is_hidden = RECORDERS.contains(&name) && given.is_none();
    let pins = if is_hidden { Pins::HISTORY | Pins::RECORDED } else { recorded_by(name, &value) };
    let is_servers = find(name).is_some_and(|known| known.scope == Scope::Server);
    if is_servers && given == Some(Given::Default) {
        values.unset(name);
    } else {
        values.set(name, value);
    }
    pins
}

/// Variables whose value has to be asked for after such a report: they may have changed without a word.
pub fn unsaid(variables: &[(String, String)]) -> Vec<&'static str> {
    let mut unsaid = Vec::new();
    for (name, _) in variables {
        for companion in companions(&one_name(name)) {
            let is_said = variables.iter().any(|(said, _)| one_name(said) == **companion);
            if !is_said && !unsaid.contains(companion) {
                unsaid.push(*companion);
            }
        }
    }
    unsaid
}

/// Variables that were assigned without a scope (`SET @@x = 1`) and not reported: MariaDB reports only what is said to be the
/// session's (10.11).
pub fn unsaid_by_text<'a>(assignments: &'a [Assignment], variables: &[(String, String)]) -> Vec<&'a str> {
    let is_said = |name: &str| variables.iter().any(|(said, _)| one_name(said) == name);
    let bare = assignments.iter().filter_map(|assignment| match assignment {
        Assignment::Session { name, bare: true, .. } => Some(&**name),
        _ => None,
    });
    // Without a scope, those of transactions are the next one's.
    bare.filter(|name| find(name).is_some() && !name.starts_with("transaction_") && !is_said(name)).collect()
}

#[cfg(test)]
mod tests {
    use super::super::assignment::read_set;
    use super::*;
    use crate::sql::LexMode;

    fn after(values: &mut Values, sql: &str, reported: &[(&str, &str)]) -> Pins {
        let variables: Vec<_> = reported.iter().map(|(n, v)| ((*n).to_owned(), (*v).to_owned())).collect();
        let assignments = read_set(sql.as_bytes(), LexMode::default());
        apply(values, &assignments, Report { variables: &variables, schema: None })
    }

    fn own(values: &Values) -> Vec<(String, String)> {
        values.own().map(|(name, value)| (name.to_owned(), value.text().to_owned())).collect()
    }

    #[test]
    fn the_servers_word_is_taken_however_the_statement_said_it() {
        let mut values = Values::default();
        let pins = after(
            &mut values,
            "SET tx_isolation='SERIALIZABLE', sql_mode=CONCAT(@@sql_mode,'x')",
            &[("tx_isolation", "SERIALIZABLE"), ("sql_mode", "ANSI")],
        );
        assert_eq!(pins, Pins::empty());
        after(
            &mut values,
            "SET SESSION TRANSACTION ISOLATION LEVEL READ COMMITTED",
            &[("tx_isolation", "READ-COMMITTED")],
        );
        let want = [("sql_mode", "ANSI"), ("transaction_isolation", "READ-COMMITTED")];
        assert_eq!(own(&values), want.map(|(a, b)| (a.to_owned(), b.to_owned())));
    }

    #[test]
    fn what_no_report_says_is_read_in_the_text() {
        let pins = |sql: &str, reported: &[(&str, &str)]| after(&mut Values::default(), sql, reported);
        assert_eq!(pins("SET TRANSACTION READ ONLY", &[]), Pins::NEXT_TRANSACTION);
        assert_eq!(pins("SET @@transaction_isolation='SERIALIZABLE'", &[]), Pins::NEXT_TRANSACTION);
        assert_eq!(pins("SET @@tx_isolation='SERIALIZABLE'", &[("tx_isolation", "SERIALIZABLE")]), Pins::empty());
        assert_eq!(pins("SET new_variable=1", &[]), Pins::UNTRACKED_STATE);
        assert_eq!(pins("SET session_track_schema=1", &[("session_track_schema", "ON")]), Pins::empty());
        assert_eq!(pins("SET session_track_schema=0", &[("session_track_schema", "OFF")]), Pins::UNTRACKED_STATE);
        assert_eq!(pins("SET insert_id=1", &[("insert_id", "1")]), Pins::UNTRACKED_STATE);
        assert_eq!(pins("SET ROLE r", &[]), Pins::UNTRACKED_STATE);
        assert_eq!(pins("SET @a=1", &[]), Pins::empty());
    }

    #[test]
    fn a_clock_that_was_set_goes_by_default() {
        let mut values = Values::default();
        after(&mut values, "SET timestamp=100.5", &[("timestamp", "100.500000")]);
        assert_eq!(own(&values), [("timestamp".to_owned(), "100.500000".to_owned())]);
        assert_eq!(after(&mut values, "SET timestamp=DEFAULT", &[("timestamp", "100.500000")]), Pins::empty());
        assert_eq!(own(&values), []);
        assert_eq!(after(&mut values, "CALL p()", &[("timestamp", "7")]), Pins::UNTRACKED_STATE, "nobody knows");
    }

    #[test]
    fn results_are_named_by_the_collation_that_names_them() {
        let mut values = Values::default();
        let reported = [("character_set_client", "utf8mb4"), ("character_set_results", "utf8mb4")];
        for (sql, want) in [
            ("SET NAMES utf8mb4 COLLATE UTF8MB4_bin", "utf8mb4_bin"),
            ("SET NAMES utf8mb4", ""),
            ("SET NAMES utf8mb4 COLLATE utf8mb4_bin, character_set_results=utf8mb4", ""),
            ("CALL p()", ""),
        ] {
            after(&mut values, sql, &reported);
            assert_eq!(values.value(RESULTS_COLLATION).map(Value::text), Some(want), "{sql}");
        }
    }

    #[test]
    fn what_changes_beside_another_is_asked_for() {
        let report = |names: &[&str]| names.iter().map(|n| ((*n).to_owned(), String::new())).collect::<Vec<_>>();
        assert_eq!(unsaid(&report(&["character_set_client", "character_set_connection"])), ["collation_connection"]);
        assert_eq!(unsaid(&report(&["max_join_size"])), ["sql_big_selects"]);
        assert!(unsaid(&report(&["max_join_size", "sql_big_selects", "sql_mode"])).is_empty());
        let sets = "SET @@sql_mode = '', @@session.time_zone = 'UTC', sql_notes = 0, @@tx_isolation = 'SERIALIZABLE', @@timestamp = 1, \
                    @@character_set_results := latin1";
        let assignments = read_set(sets.as_bytes(), LexMode::default());
        assert_eq!(unsaid_by_text(&assignments, &report(&["character_set_results"])), ["sql_mode"]);
    }
}
