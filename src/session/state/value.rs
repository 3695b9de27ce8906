//! A session variable's value, in one form whoever said it, and as a clause of a SET.
//!
//! Servers say a switch as `ON`, `1` or `1.0`, depending on who asks how; here it is one value. It refuses to check values: a
//! server has accepted them before they come here.

use crate::backend::Engine;
use std::fmt::Write as _;

/// The value of a session variable.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Value {
    /// NULL: of the few variables that may be.
    Null,
    /// A number, in a server's own digits.
    Number(Box<str>),
    /// Text; of a switch `ON` or `OFF`.
    Text(Box<str>),
    /// What only a server can say: DEFAULT, where that means more than a value (`timestamp`).
    Default,
}

/// Variables whose empty value is NULL.
const NULLABLE: [&str; 7] = [
    "character_set_results",
    "default_tmp_storage_engine",
    "enforce_storage_engine",
    "innodb_ft_user_stopword_table",
    "innodb_tmpdir",
    "external_table_storage_engine",
    "external_table_secondary_storage_engine",
];

/// Variables of [`super::variable::VARIABLES`] that are on or off. MySQL says 1 and 0 of them where it is asked by SELECT.
const SWITCHES: [&str; 18] = [
    "autocommit",
    "big_tables",
    "explicit_defaults_for_timestamp",
    "foreign_key_checks",
    "innodb_strict_mode",
    "low_priority_updates",
    "sql_auto_is_null",
    "sql_big_selects",
    "sql_log_bin",
    "sql_notes",
    "sql_quote_show_create",
    "sql_safe_updates",
    "sql_warnings",
    "transaction_read_only",
    "unique_checks",
    "updatable_views_with_limit",
    "profiling",
    "sql_buffer_result",
];

impl Value {
    /// The value of the variable of this (one) name that a server said in these words.
    pub fn read(name: &str, said: &str) -> Self {
        if SWITCHES.contains(&name) {
            return match said {
                "1" => Value::Text("ON".into()),
                "0" => Value::Text("OFF".into()),
                said => Value::Text(said.to_ascii_uppercase().into()),
            };
        }
        if said.is_empty() && NULLABLE.contains(&name) {
            return Value::Null;
        }
        let digits = said.strip_prefix('-').unwrap_or(said);
        let is_number = !digits.is_empty()
            && digits.bytes().all(|b| b.is_ascii_digit() || b == b'.')
            && digits.bytes().filter(|b| *b == b'.').count() <= 1;
        if is_number { Value::Number(said.into()) } else { Value::Text(said.into()) }
    }

    /// Its words; empty for NULL.
    pub fn text(&self) -> &str {
        match self {
            Value::Number(text) | Value::Text(text) => text,
            Value::Null => "",
            Value::Default => "DEFAULT",
        }
    }

    /// True for a switch that is on.
    pub fn is_on(&self) -> bool {
        self.text() == "ON"
    }

    /// True for a switch that is off.
    pub fn is_off(&self) -> bool {
        self.text() == "OFF"
    }

    /// Writes it as SQL that every server reads in the same way, whatever its `sql_mode`: quotes are doubled, and text with a
    /// backslash goes in hexadecimal digits, as all text does with `digits_alone`. Numbers go bare, for numeric variables refuse text.
    fn write_sql(&self, out: &mut String, digits_alone: bool) {
        match self {
            Value::Null => out.push_str("NULL"),
            Value::Default => out.push_str("DEFAULT"),
            Value::Number(digits) => out.push_str(digits),
            Value::Text(text) if digits_alone || text.contains('\\') => {
                out.push_str("X'");
                for byte in text.bytes() {
                    // Writing into a String cannot fail.
                    let _ = write!(out, "{byte:02X}");
                }
                out.push('\'');
            }
            Value::Text(text) => {
                out.push('\'');
                out.push_str(&text.replace('\'', "''"));
                out.push('\'');
            }
        }
    }
}

/// The clause of a SET that gives the variable of this (one) name this value on a server of that engine.
pub fn clause(name: &str, value: &Value, engine: Engine) -> String {
    write_clause(name, value, engine, false)
}

/// The same for a connection whose texts are in UCS-2 or its kin. Servers know some values only by the bytes that they have in
/// ASCII (storage engines, `optimizer_switch`), and the text's own bytes are others: hexadecimal digits are taken as they are.
pub fn wide_clause(name: &str, value: &Value, engine: Engine) -> String {
    write_clause(name, value, engine, true)
}

fn write_clause(name: &str, value: &Value, engine: Engine, digits_alone: bool) -> String {
    let mut clause = super::variable::name_on(name, engine).into_owned();
    clause.push('=');
    match (name, value) {
        ("sql_mode", Value::Text(modes)) => {
            Value::Text(modes_on(modes, engine).into()).write_sql(&mut clause, digits_alone)
        }
        _ => value.write_sql(&mut clause, digits_alone),
    }
    clause
}

/// `sql_mode` members that MySQL 8.0 has no more and that change nothing in how it answers what it is asked.
const HARMLESS_MARIADB_MODES: [&str; 7] = [
    "NO_AUTO_CREATE_USER",
    "IGNORE_BAD_TABLE_OPTIONS",
    "MYSQL323",
    "MYSQL40",
    "NO_FIELD_OPTIONS",
    "NO_KEY_OPTIONS",
    "NO_TABLE_OPTIONS",
];

/// The members of a `sql_mode` that a server of that engine is told. What it does not have is left out where nothing hangs on
/// it; what changes the meaning of statements (ORACLE and its kin) is left for the server to refuse.
fn modes_on(modes: &str, engine: Engine) -> String {
    let is_foreign = |mode: &str| {
        engine != Engine::MariaDb && HARMLESS_MARIADB_MODES.iter().any(|known| known.eq_ignore_ascii_case(mode))
    };
    modes.split(',').filter(|mode| !is_foreign(mode.trim())).collect::<Vec<_>>().join(",")
}

/// True if two values of a variable are the same to a server of that engine.
pub fn same_on(name: &str, a: &Value, b: &Value, engine: Engine) -> bool {
    match (name, a, b) {
        _ if a == b => true,
        ("sql_mode", Value::Text(a), Value::Text(b)) => modes_on(a, engine) == modes_on(b, engine),
        _ => false,
    }
}

/// What a connection is brought back to where its server's own value was never asked for; none where only a reset helps.
/// `timestamp` alone means "the clock" by DEFAULT.
pub fn default_of(name: &str) -> Option<Value> {
    (name == "timestamp").then_some(Value::Default)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_value_is_one_however_it_was_said() {
        let read = Value::read;
        assert_eq!(read("autocommit", "1"), read("autocommit", "ON"));
        assert_eq!(read("sql_notes", "0"), Value::Text("OFF".into()));
        assert_eq!(read("max_sort_length", "77"), Value::Number("77".into()));
        assert_eq!(read("max_statement_time", "3.500000"), Value::Number("3.500000".into()));
        assert_eq!(read("character_set_results", ""), Value::Null);
        assert_eq!(read("sql_mode", ""), Value::Text("".into()));
        assert_eq!(read("time_zone", "+01:00"), Value::Text("+01:00".into()));
    }

    #[test]
    fn a_clause_reads_the_same_everywhere() {
        let maria = |name: &str, said: &str| clause(name, &Value::read(name, said), Engine::MariaDb);
        assert_eq!(maria("max_sort_length", "77"), "max_sort_length=77");
        assert_eq!(maria("time_zone", "it's"), "time_zone='it''s'");
        assert_eq!(maria("x", "a\\b"), "x=X'615C62'");
        assert_eq!(wide_clause("x", &Value::Text("ab".into()), Engine::MySql), "x=X'6162'");
        assert_eq!(wide_clause("x", &Value::Number("77".into()), Engine::MySql), "x=77");
        assert_eq!(maria("character_set_results", ""), "character_set_results=NULL");
        assert_eq!(maria("transaction_isolation", "SERIALIZABLE"), "tx_isolation='SERIALIZABLE'");
        assert_eq!(clause("timestamp", &Value::Default, Engine::MySql), "timestamp=DEFAULT");
    }

    #[test]
    fn modes_go_in_each_engines_own_words() {
        let on = |modes: &str, engine| clause("sql_mode", &Value::Text(modes.into()), engine);
        let modes = "STRICT_TRANS_TABLES,NO_AUTO_CREATE_USER";
        assert_eq!(on(modes, Engine::MySql), "sql_mode='STRICT_TRANS_TABLES'");
        assert_eq!(on(modes, Engine::MariaDb), "sql_mode='STRICT_TRANS_TABLES,NO_AUTO_CREATE_USER'");
        assert_eq!(on("ORACLE", Engine::MySql), "sql_mode='ORACLE'", "left to be refused, not dropped");
        let (a, b) = (Value::Text(modes.into()), Value::Text("STRICT_TRANS_TABLES".into()));
        assert!(same_on("sql_mode", &a, &b, Engine::MySql) && !same_on("sql_mode", &a, &b, Engine::MariaDb));
    }
}
