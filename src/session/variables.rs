//! What a SET statement assigns, and what the session remembers of it once the server has said OK.
//!
//! The server decides whether a SET is right; here it is only taken apart, after the classifier has said that the text is
//! a SET and nothing else. What is not understood is not guessed: it becomes [`Target::Opaque`], and the session keeps its
//! connection.

use super::state::{ACCESS_KEY, CHARSET_KEY, CHARSET_VARIABLES, ISOLATION_KEY, Portable};
use crate::sql::LexMode;
use crate::sql::lexer::{Lexer, Token, TokenKind};

/// What one assignment of a SET is for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Target {
    /// A session variable whose value is written out; `clause` says it again on another server.
    Session {
        /// Lower-case name, or one of the keys of [`super::state`].
        key: Box<str>,
        /// The clause, without SET.
        clause: Box<str>,
    },
    /// A session variable back to its default.
    Default(Box<str>),
    /// A session variable with a computed value: what it became is the server's to say.
    Computed(Box<str>),
    /// `autocommit`: its state is in every answer's status flags.
    Autocommit,
    /// Applies to one statement or transaction, or cannot be said twice: the session must stay where it is.
    OneShot,
    /// A user variable: the classifier reports it.
    UserVariable,
    /// A global, or something that touches no session.
    Global,
    /// Not understood.
    Opaque,
}

/// Variables that mean something to the next statement only, or to this connection alone.
const ONE_SHOT: [&str; 14] = [
    "insert_id",
    "last_insert_id",
    "identity",
    "rand_seed1",
    "rand_seed2",
    "gtid_next",
    "gtid_seq_no",
    "gtid_domain_id",
    "server_id",
    "pseudo_thread_id",
    "pseudo_slave_mode",
    "session_track_system_variables",
    "session_track_state_change",
    "timestamp",
];

/// Variables that a server may report and nobody can set.
const READ_ONLY: [&str; 7] =
    ["last_gtid", "in_transaction", "warning_count", "error_count", "proxy_user", "external_user", "pseudo_thread_id"];

/// Takes a SET statement apart. An empty answer means that it is none.
pub fn read_set(sql: &[u8], mode: LexMode) -> Vec<Target> {
    let tokens: Vec<Token> = Lexer::new(sql, mode).collect();
    let Some((first, rest)) = tokens.split_first() else { return Vec::new() };
    if !word(first, sql, "SET") {
        return Vec::new();
    }
    if rest.iter().any(|t| {
        matches!(
            t.kind,
            TokenKind::Unterminated | TokenKind::ExecutableOpen | TokenKind::ExecutableClose | TokenKind::Param
        )
    }) {
        return vec![Target::Opaque];
    }
    let rest = match rest.split_last() {
        Some((last, head)) if last.text(sql) == b";" => head,
        _ => rest,
    };
    if let Some(whole) = read_statement_forms(rest, sql) {
        return vec![whole];
    }
    split_top_level(rest, sql).map(|part| read_assignment(part, sql)).collect()
}

/// What all the SETs among several statements assign, in order. For texts of which the classifier says that no statement
/// in them holds others.
pub fn read_sets(sql: &[u8], mode: LexMode) -> Vec<Target> {
    let mut targets = Vec::new();
    let mut from = 0;
    let mut part = |range: std::ops::Range<usize>| targets.extend(read_set(sql.get(range).unwrap_or_default(), mode));
    for token in Lexer::new(sql, mode).filter(|t| t.text(sql) == b";") {
        part(from..token.start as usize);
        from = token.end as usize;
    }
    part(from..sql.len());
    targets
}

fn word(token: &Token, sql: &[u8], want: &str) -> bool {
    token.kind == TokenKind::Word && token.text(sql).eq_ignore_ascii_case(want.as_bytes())
}

/// The forms of SET that are no list of assignments.
fn read_statement_forms(tokens: &[Token], sql: &[u8]) -> Option<Target> {
    let is = |i: usize, want: &str| tokens.get(i).is_some_and(|t| word(t, sql, want));
    for refused in ["STATEMENT", "PASSWORD", "ROLE", "DEFAULT", "RESOURCE"] {
        if is(0, refused) && !tokens.get(1).is_some_and(|t| matches!(t.text(sql), b"=" | b":=")) {
            return Some(if refused == "PASSWORD" { Target::Global } else { Target::Opaque });
        }
    }
    let scope = usize::from(is(0, "SESSION") || is(0, "LOCAL") || is(0, "GLOBAL"));
    if is(scope, "TRANSACTION") {
        if scope == 0 {
            return Some(Target::OneShot);
        }
        if is(0, "GLOBAL") {
            return Some(Target::Global);
        }
        let characteristics = &tokens[scope + 1..];
        let several = characteristics.iter().any(|t| t.text(sql) == b",");
        let key = if several {
            return Some(Target::Opaque);
        } else if characteristics.first().is_some_and(|t| word(t, sql, "READ")) {
            ACCESS_KEY
        } else {
            ISOLATION_KEY
        };
        return Some(Target::Session { key: key.into(), clause: text(tokens, sql) });
    }
    None
}

/// Parts between commas outside parentheses.
fn split_top_level<'a>(tokens: &'a [Token], sql: &'a [u8]) -> impl Iterator<Item = &'a [Token]> {
    let mut depth = 0usize;
    tokens.split(move |t| {
        match t.text(sql) {
            b"(" => depth += 1,
            b")" => depth = depth.saturating_sub(1),
            b"," if depth == 0 => return true,
            _ => {}
        }
        false
    })
}

/// The tokens' text with single spaces between, comments gone.
fn text(tokens: &[Token], sql: &[u8]) -> Box<str> {
    let mut out = String::new();
    for token in tokens {
        if !out.is_empty() {
            out.push(' ');
        }
        out.push_str(&String::from_utf8_lossy(token.text(sql)));
    }
    out.into()
}

fn read_assignment(mut tokens: &[Token], sql: &[u8]) -> Target {
    if let Some(charset) = read_charset(tokens, sql) {
        return charset;
    }
    let Some(first) = tokens.first() else { return Target::Opaque };
    if first.kind == TokenKind::UserVariable {
        return Target::UserVariable;
    }
    let mut name = String::from_utf8_lossy(first.text(sql)).to_ascii_lowercase();
    if first.kind == TokenKind::SystemVariable {
        name = name.trim_start_matches("@@").replace('`', "");
        match name.split_once('.') {
            Some(("session" | "local", rest)) => name = rest.to_owned(),
            Some(("global" | "persist" | "persist_only", _)) => return Target::Global,
            Some(_) => return Target::Opaque,
            None => {}
        }
    } else if first.kind == TokenKind::Word || first.kind == TokenKind::QuotedIdent {
        let scoped = tokens.get(1).is_some_and(|t| matches!(t.kind, TokenKind::Word | TokenKind::QuotedIdent));
        match name.as_str() {
            "global" | "persist" | "persist_only" if scoped => return Target::Global,
            "session" | "local" if scoped => {
                tokens = &tokens[1..];
                name = String::from_utf8_lossy(tokens[0].text(sql)).to_ascii_lowercase();
            }
            _ => {}
        }
        name = name.trim_matches('`').to_owned();
    } else {
        return Target::Opaque;
    }
    if !tokens.get(1).is_some_and(|t| matches!(t.text(sql), b"=" | b":=")) {
        return Target::Opaque;
    }
    read_value(name, &tokens[2..], sql)
}

fn read_value(name: String, value: &[Token], sql: &[u8]) -> Target {
    if name == "autocommit" {
        return Target::Autocommit;
    }
    if ONE_SHOT.contains(&name.as_str()) {
        return Target::OneShot;
    }
    let name: Box<str> = name.into();
    match value {
        [only] if word(only, sql, "DEFAULT") => Target::Default(name),
        [only] if is_constant(only) => {
            let clause = format!("{name}={}", String::from_utf8_lossy(only.text(sql))).into();
            Target::Session { key: name, clause }
        }
        [] => Target::Opaque,
        _ => Target::Computed(name),
    }
}

fn is_constant(token: &Token) -> bool {
    matches!(token.kind, TokenKind::Word | TokenKind::String | TokenKind::Number)
}

/// `NAMES x [COLLATE y]`, `CHARACTER SET x`, `CHARSET x`.
fn read_charset(tokens: &[Token], sql: &[u8]) -> Option<Target> {
    let first = tokens.first()?;
    let assigned = tokens.get(1).is_some_and(|t| t.text(sql) == b"=");
    let names = word(first, sql, "NAMES") && !assigned;
    let charset = word(first, sql, "CHARSET") && !assigned
        || word(first, sql, "CHARACTER") && tokens.get(1).is_some_and(|t| word(t, sql, "SET"));
    if !names && !charset {
        return None;
    }
    if tokens.iter().skip(1).any(|t| !is_constant(t)) {
        return Some(Target::Opaque);
    }
    Some(Target::Session { key: CHARSET_KEY.into(), clause: text(tokens, sql) })
}

/// What a server's answer did to the session's portable state.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Applied {
    /// Something was set that cannot be carried: the session must keep its connection.
    pub pinned: bool,
    /// Something was set for the next transaction or statement only.
    pub one_shot: bool,
}

/// Brings `state` to what it is after a successful statement.
///
/// `targets` is what the statement assigned by its text (empty if it is no SET); `reported` is what the server's session
/// tracking said, name and value, in order; `schema` is the schema that it reported.
pub fn apply(state: &mut Portable, targets: &[Target], reported: &[(String, String)], schema: Option<&str>) -> Applied {
    let mut applied = Applied::default();
    if let Some(schema) = schema {
        state.schema = (!schema.is_empty()).then(|| schema.into());
    }
    let mut explained: Vec<&str> = vec!["autocommit"];
    for target in targets {
        match target {
            Target::Session { key, clause } => {
                explained.push(key);
                if &**key == CHARSET_KEY {
                    for name in CHARSET_VARIABLES {
                        state.variables.remove(name);
                        explained.push(name);
                    }
                }
                state.variables.insert(key.clone(), clause.clone());
            }
            Target::Default(key) => {
                explained.push(key);
                state.variables.remove(key);
                // The server's default may have changed since the session began; then it is a setting like any other.
                let now =
                    reported.iter().rev().find(|(name, _)| &**key == "sql_mode" && name.eq_ignore_ascii_case(key));
                if let Some((_, value)) = now
                    && (LexMode { foreign_charset: state.base.foreign_charset, ..LexMode::from_sql_mode(value) }
                        != state.base)
                {
                    state.variables.insert(key.clone(), reported_clause(key, value));
                }
            }
            Target::Computed(key) => match reported.iter().rev().find(|(name, _)| name.eq_ignore_ascii_case(key)) {
                Some((_, value)) => {
                    explained.push(key);
                    state.variables.insert(key.clone(), reported_clause(key, value));
                }
                None => applied.pinned = true,
            },
            Target::OneShot => applied.one_shot = true,
            Target::Opaque => applied.pinned = true,
            Target::Autocommit | Target::UserVariable | Target::Global => {}
        }
    }
    let one_shot = targets.contains(&Target::OneShot);
    let opaque = targets.contains(&Target::Opaque);
    for (name, value) in reported {
        let name = name.to_ascii_lowercase();
        if READ_ONLY.contains(&name.as_str()) {
            continue;
        }
        if explained.contains(&name.as_str()) || one_shot || opaque || said_otherwise(&explained, &name) {
            continue;
        }
        state.variables.insert(name.as_str().into(), reported_clause(&name, value));
    }
    applied
}

/// Variables that a server reports for a statement that names them otherwise.
fn said_otherwise(explained: &[&str], name: &str) -> bool {
    match name {
        "tx_isolation" | "transaction_isolation" => {
            explained.iter().any(|e| [ISOLATION_KEY, "tx_isolation", "transaction_isolation"].contains(e))
        }
        "tx_read_only" | "transaction_read_only" => {
            explained.iter().any(|e| [ACCESS_KEY, "tx_read_only", "transaction_read_only"].contains(e))
        }
        _ => false,
    }
}

/// A clause for a value in a server's own words. Numbers go bare, for numeric variables refuse strings.
fn reported_clause(name: &str, value: &str) -> Box<str> {
    let numeric = !value.is_empty() && value.bytes().all(|b| b.is_ascii_digit() || b == b'.');
    if numeric {
        return format!("{name}={value}").into();
    }
    if value.is_empty() && name.starts_with("character_set_") {
        return format!("{name}=NULL").into();
    }
    // Quotes doubled and no backslash in it: reads the same under every sql_mode.
    format!("{name}='{}'", value.replace('\'', "''")).into()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn set(sql: &str) -> Vec<Target> {
        read_set(sql.as_bytes(), LexMode::default())
    }

    fn session(key: &str, clause: &str) -> Target {
        Target::Session { key: key.into(), clause: clause.into() }
    }

    #[test]
    fn assignments() {
        let cases: &[(&str, &[Target])] = &[
            ("SET time_zone = '+00:00'", &[session("time_zone", "time_zone='+00:00'")]),
            ("set @@session.sql_mode := ANSI;", &[session("sql_mode", "sql_mode=ANSI")]),
            ("SET SESSION a=1, LOCAL b=2", &[session("a", "a=1"), session("b", "b=2")]),
            ("SET @@a=DEFAULT", &[Target::Default("a".into())]),
            (
                "SET sql_mode=CONCAT(@@sql_mode, ',ANSI'), x=1",
                &[Target::Computed("sql_mode".into()), session("x", "x=1")],
            ),
            ("SET GLOBAL a=1", &[Target::Global]),
            ("SET @@global.a=1, @@persist.b=2", &[Target::Global, Target::Global]),
            ("SET @a=1, autocommit=0", &[Target::UserVariable, Target::Autocommit]),
            ("SET NAMES utf8mb4 COLLATE utf8mb4_bin", &[session(CHARSET_KEY, "NAMES utf8mb4 COLLATE utf8mb4_bin")]),
            ("SET NAMES 'latin1', x=1", &[session(CHARSET_KEY, "NAMES 'latin1'"), session("x", "x=1")]),
            ("SET CHARACTER SET utf8", &[session(CHARSET_KEY, "CHARACTER SET utf8")]),
            ("SET TRANSACTION ISOLATION LEVEL SERIALIZABLE", &[Target::OneShot]),
            (
                "SET SESSION TRANSACTION ISOLATION LEVEL READ COMMITTED",
                &[session(ISOLATION_KEY, "SESSION TRANSACTION ISOLATION LEVEL READ COMMITTED")],
            ),
            ("SET SESSION TRANSACTION READ ONLY", &[session(ACCESS_KEY, "SESSION TRANSACTION READ ONLY")]),
            ("SET insert_id=7", &[Target::OneShot]),
            ("SET ROLE x", &[Target::Opaque]),
            ("SET STATEMENT max_statement_time=1 FOR SELECT 1", &[Target::Opaque]),
            ("SET x", &[Target::Opaque]),
            ("SELECT 1", &[]),
        ];
        for (sql, want) in cases {
            assert_eq!(&set(sql), want, "{sql}");
        }
    }

    #[test]
    fn several_statements() {
        let read = |sql: &str| read_sets(sql.as_bytes(), LexMode::default());
        let zone = session("time_zone", "time_zone=';'");
        assert_eq!(
            read("SELECT 1; SET time_zone=';'; SET a=1, @b=';'"),
            [zone, session("a", "a=1"), Target::UserVariable]
        );
        assert_eq!(read("SELECT 'SET a=1; SET b=1'; /* ; SET c=1; */"), []);
        assert_eq!(read("SET x=f();;SET TRANSACTION READ ONLY;"), [Target::Computed("x".into()), Target::OneShot]);
    }

    #[test]
    fn what_is_meant_wins_over_what_is_reported_and_what_is_computed_is_the_servers_word() {
        let mut state = Portable::default();
        let reported =
            [("sql_mode".to_owned(), "ANSI_QUOTES,ANSI".to_owned()), ("time_zone".to_owned(), "SYSTEM".to_owned())];
        let applied =
            apply(&mut state, &set("SET sql_mode=CONCAT(@@sql_mode,'x'), time_zone=DEFAULT"), &reported, None);
        assert_eq!(applied, Applied::default());
        let variables: Vec<_> = state.variables.iter().map(|(k, v)| (&**k, &**v)).collect();
        assert_eq!(variables, [("sql_mode", "sql_mode='ANSI_QUOTES,ANSI'")]);
    }

    #[test]
    fn names_takes_the_place_of_its_parts() {
        let mut state = Portable::default();
        apply(&mut state, &set("SET character_set_results=NULL"), &[], None);
        assert!(state.variables.contains_key("character_set_results"));
        let reported = [("character_set_results".to_owned(), "latin1".to_owned())];
        apply(&mut state, &set("SET NAMES latin1"), &reported, None);
        assert_eq!(state.variables.keys().map(|k| &**k).collect::<Vec<_>>(), [CHARSET_KEY]);
    }

    #[test]
    fn what_cannot_be_carried_pins() {
        let mut state = Portable::default();
        assert!(apply(&mut state, &set("SET x=f()"), &[], None).pinned, "computed and not reported");
        assert!(apply(&mut state, &set("SET ROLE r"), &[], None).pinned);
        assert!(apply(&mut state, &set("SET TRANSACTION READ ONLY"), &[], None).one_shot);
        assert_eq!(state, Portable::default());
    }

    #[test]
    fn set_out_of_sight_is_taken_from_the_report() {
        let mut state = Portable::default();
        apply(&mut state, &[], &[("wait_timeout".into(), "100".into()), ("x".into(), "it's".into())], Some("s"));
        assert_eq!(state.schema.as_deref(), Some("s"));
        assert_eq!(&*state.variables["wait_timeout"], "wait_timeout=100");
        assert_eq!(&*state.variables["x"], "x='it''s'");
    }
}
