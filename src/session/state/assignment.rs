//! What a SET statement assigns, by its text: read for what no server reports.
//!
//! The server decides whether a SET is right, and reports what it set; here it is only taken apart, after the classifier has
//! said that the text is a SET and nothing else. What is not understood is not guessed: it is [`Assignment::Opaque`], and the
//! session keeps its connection.

use super::variable::one_name;
use crate::sql::LexMode;
use crate::sql::lexer::{Lexer, Token, TokenKind};

/// What one assignment of a SET is for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Assignment {
    /// A session variable.
    Session {
        /// Its one name.
        name: Box<str>,
        /// What it is given.
        to: Given,
        /// `@@name` without a word for its scope: of a transaction's characteristics, that means the next one alone.
        bare: bool,
    },
    /// The character sets of a session at once: `NAMES`, `CHARACTER SET`.
    CharacterSets {
        /// The collation, where it is written out.
        collation: Option<Box<str>>,
    },
    /// The characteristics of the next transaction.
    NextTransaction,
    /// A user variable: the classifier reports it. True if its value is written out.
    UserVariable(bool),
    /// A global, or something that touches no session.
    Global,
    /// Not understood.
    Opaque,
}

/// What a variable is given.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Given {
    /// A value that is written out.
    Constant,
    /// DEFAULT.
    Default,
    /// What a system variable is.
    Variable,
    /// Something computed.
    Computed,
}

impl Assignment {
    /// True if it gives the session's variable of this name a value.
    pub fn sets(&self, variable: &str) -> bool {
        matches!(self, Assignment::Session { name, .. } if &**name == variable)
    }

    /// True if the same text does the same again, in the same state on the same server.
    pub fn is_repeatable(&self) -> bool {
        let may_differ = match self {
            // What DEFAULT or a variable gives may be something else by then, and the next transaction is another one.
            Assignment::Session { name, to, bare } => {
                matches!(to, Given::Default | Given::Variable) || *bare && name.starts_with("transaction_")
            }
            // It is a thing of the connection's, and no part of the state.
            Assignment::UserVariable(_) => true,
            _ => false,
        };
        self.is_repeatable_at_once() && !may_differ
    }

    /// True if a SET of these, run again at once on the same connection, leaves all as it is.
    pub fn are_repeatable_at_once(all: &[Self]) -> bool {
        // What one sets, another may read.
        let reads = |assignment: &Self| matches!(assignment, Assignment::Session { to: Given::Variable, .. });
        all.iter().all(Self::is_repeatable_at_once) && (all.len() == 1 || !all.iter().any(reads))
    }

    fn is_repeatable_at_once(&self) -> bool {
        match self {
            Assignment::Session { name, to, .. } => *to != Given::Computed && !super::variable::is_one_shot(name),
            Assignment::CharacterSets { .. } => true,
            Assignment::UserVariable(is_constant) => *is_constant,
            _ => false,
        }
    }
}

/// Takes a SET statement apart. An empty answer means that it is none.
pub fn read_set(sql: &[u8], mode: LexMode) -> Vec<Assignment> {
    let tokens: Vec<Token> = Lexer::new(sql, mode).filter(|token| !token.is_hint()).collect();
    let Some((first, rest)) = tokens.split_first() else { return Vec::new() };
    if !word(first, sql, "SET") {
        return Vec::new();
    }
    let unread =
        |t: &Token| matches!(t.kind, TokenKind::Unterminated | TokenKind::ExecutableOpen | TokenKind::ExecutableClose);
    if rest.iter().any(unread) {
        return vec![Assignment::Opaque];
    }
    let rest = match rest.split_last() {
        Some((last, head)) if last.text(sql) == b";" => head,
        _ => rest,
    };
    if let Some(whole) = read_statement_forms(rest, sql) {
        return whole;
    }
    split_top_level(rest, sql).map(|part| read_assignment(part, sql)).collect()
}

/// What all the SETs among several statements assign, in order. For texts of which the classifier says that no statement
/// in them holds others.
pub fn read_sets(sql: &[u8], mode: LexMode) -> Vec<Assignment> {
    let mut assignments = Vec::new();
    let mut from = 0;
    let mut part =
        |range: std::ops::Range<usize>| assignments.extend(read_set(sql.get(range).unwrap_or_default(), mode));
    for token in Lexer::new(sql, mode).filter(|t| t.text(sql) == b";") {
        part(from..token.start as usize);
        from = token.end as usize;
    }
    part(from..sql.len());
    assignments
}

fn word(token: &Token, sql: &[u8], want: &str) -> bool {
    token.kind == TokenKind::Word && token.text(sql).eq_ignore_ascii_case(want.as_bytes())
}

fn is_sign(token: Option<&Token>, sql: &[u8]) -> bool {
    token.is_some_and(|t| matches!(t.text(sql), b"=" | b":="))
}

/// The forms of SET that are no list of assignments.
fn read_statement_forms(tokens: &[Token], sql: &[u8]) -> Option<Vec<Assignment>> {
    let is = |i: usize, want: &str| tokens.get(i).is_some_and(|t| word(t, sql, want));
    for refused in ["STATEMENT", "PASSWORD", "ROLE", "DEFAULT", "RESOURCE"] {
        if is(0, refused) && !is_sign(tokens.get(1), sql) {
            return Some(vec![if refused == "PASSWORD" { Assignment::Global } else { Assignment::Opaque }]);
        }
    }
    let scope = usize::from(is(0, "SESSION") || is(0, "LOCAL") || is(0, "GLOBAL"));
    if !is(scope, "TRANSACTION") || is_sign(tokens.get(scope + 1), sql) {
        return None;
    }
    if scope == 0 {
        return Some(vec![Assignment::NextTransaction]);
    }
    if is(0, "GLOBAL") {
        return Some(vec![Assignment::Global]);
    }
    let characteristic = |part: &[Token]| {
        let is_access = part.first().is_some_and(|t| word(t, sql, "READ"));
        let name = if is_access { "transaction_read_only" } else { "transaction_isolation" };
        Assignment::Session { name: name.into(), to: Given::Constant, bare: false }
    };
    Some(split_top_level(tokens.get(scope + 1..)?, sql).map(characteristic).collect())
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

fn read_assignment(mut tokens: &[Token], sql: &[u8]) -> Assignment {
    if let Some(sets) = read_character_sets(tokens, sql) {
        return sets;
    }
    let Some(first) = tokens.first() else { return Assignment::Opaque };
    if first.kind == TokenKind::UserVariable {
        // A word may be CURRENT_TIMESTAMP.
        let is_literal = |token: &Token| {
            matches!(token.kind, TokenKind::String | TokenKind::Number)
                || ["NULL", "TRUE", "FALSE"].iter().any(|name| word(token, sql, name))
        };
        let is_constant = is_sign(tokens.get(1), sql) && matches!(tokens.get(2..), Some([only]) if is_literal(only));
        return Assignment::UserVariable(is_constant);
    }
    let mut name = String::from_utf8_lossy(first.text(sql)).to_ascii_lowercase();
    let mut bare = false;
    match first.kind {
        TokenKind::SystemVariable => {
            name = name.trim_start_matches("@@").replace('`', "");
            match name.split_once('.') {
                Some(("session" | "local", rest)) => name = rest.to_owned(),
                Some(("global" | "persist" | "persist_only", _)) => return Assignment::Global,
                Some(_) => return Assignment::Opaque,
                None => bare = true,
            }
        }
        TokenKind::Word | TokenKind::QuotedIdent => {
            let scoped = tokens.get(1).is_some_and(|t| matches!(t.kind, TokenKind::Word | TokenKind::QuotedIdent));
            match name.as_str() {
                "global" | "persist" | "persist_only" if scoped => return Assignment::Global,
                "session" | "local" if scoped => {
                    tokens = tokens.get(1..).unwrap_or_default();
                    let named = tokens.first().map(|t| t.text(sql)).unwrap_or_default();
                    name = String::from_utf8_lossy(named).to_ascii_lowercase();
                }
                _ => {}
            }
            name = name.trim_matches('`').to_owned();
        }
        _ => return Assignment::Opaque,
    }
    if !is_sign(tokens.get(1), sql) {
        return Assignment::Opaque;
    }
    let to = match tokens.get(2..).unwrap_or_default() {
        [] => return Assignment::Opaque,
        [only] if word(only, sql, "DEFAULT") => Given::Default,
        [only] if is_constant(only) => Given::Constant,
        [only] if only.kind == TokenKind::SystemVariable => Given::Variable,
        [sign, number] if sign.text(sql) == b"-" && number.kind == TokenKind::Number => Given::Constant,
        _ => Given::Computed,
    };
    Assignment::Session { name: one_name(&name).into(), to, bare }
}

fn is_constant(token: &Token) -> bool {
    matches!(token.kind, TokenKind::Word | TokenKind::String | TokenKind::Number)
}

/// `NAMES x [COLLATE y]`, `CHARACTER SET x`, `CHARSET x`.
fn read_character_sets(tokens: &[Token], sql: &[u8]) -> Option<Assignment> {
    let first = tokens.first()?;
    let assigned = is_sign(tokens.get(1), sql);
    let names = word(first, sql, "NAMES") && !assigned;
    let charset = word(first, sql, "CHARSET") && !assigned
        || (word(first, sql, "CHARACTER") || word(first, sql, "CHAR"))
            && tokens.get(1).is_some_and(|t| word(t, sql, "SET"));
    if !names && !charset {
        return None;
    }
    let length = if word(first, sql, "CHARACTER") || word(first, sql, "CHAR") { 2 } else { 1 };
    let words = match tokens.get(length..).unwrap_or_default() {
        // MariaDB's: the collation that the character set has by default, as where none is named.
        [charset, collate, collation] if names && word(collate, sql, "COLLATE") && word(collation, sql, "DEFAULT") => {
            std::slice::from_ref(charset)
        }
        words => words,
    };
    let unquoted = |t: &Token| String::from_utf8_lossy(t.text(sql)).trim_matches(['\'', '"']).to_ascii_lowercase();
    match words {
        [charset] if is_constant(charset) && !word(charset, sql, "DEFAULT") => {
            Some(Assignment::CharacterSets { collation: None })
        }
        [charset, collate, collation]
            if names && is_constant(charset) && word(collate, sql, "COLLATE") && is_constant(collation) =>
        {
            Some(Assignment::CharacterSets { collation: Some(unquoted(collation).into()) })
        }
        // DEFAULT is the server's to say; the report has it, and it is not the same for ever.
        [_] => Some(Assignment::Session { name: "character_set_client".into(), to: Given::Default, bare: false }),
        _ => Some(Assignment::Opaque),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn set(sql: &str) -> Vec<Assignment> {
        read_set(sql.as_bytes(), LexMode::default())
    }

    fn session(name: &str, to: Given) -> Assignment {
        Assignment::Session { name: name.into(), to, bare: false }
    }

    fn bare(name: &str, to: Given) -> Assignment {
        Assignment::Session { name: name.into(), to, bare: true }
    }

    #[test]
    fn assignments() {
        use Given::*;
        let sets = |collation: Option<&str>| Assignment::CharacterSets { collation: collation.map(Into::into) };
        let cases: &[(&str, &[Assignment])] = &[
            ("SET time_zone = '+00:00'", &[session("time_zone", Constant)]),
            ("set @@session.sql_mode := ANSI;", &[session("sql_mode", Constant)]),
            ("SET SESSION a=1, LOCAL b=2", &[session("a", Constant), session("b", Constant)]),
            ("SET @@a=DEFAULT", &[bare("a", Default)]),
            ("SET tx_isolation='SERIALIZABLE'", &[session("transaction_isolation", Constant)]),
            ("SET @@tx_isolation='SERIALIZABLE'", &[bare("transaction_isolation", Constant)]),
            ("SET sql_mode=CONCAT(@@sql_mode, ',ANSI'), x=1", &[session("sql_mode", Computed), session("x", Constant)]),
            ("SET GLOBAL a=1", &[Assignment::Global]),
            ("SET @@global.a=1, @@persist.b=2", &[Assignment::Global, Assignment::Global]),
            ("SET @a=1, autocommit=0", &[Assignment::UserVariable(true), session("autocommit", Constant)]),
            ("SET NAMES utf8mb4 COLLATE utf8mb4_bin", &[sets(Some("utf8mb4_bin"))]),
            ("SET NAMES latin1 COLLATE DEFAULT", &[sets(None)]),
            ("SET NAMES DEFAULT COLLATE DEFAULT", &[session("character_set_client", Default)]),
            ("SET NAMES latin1 COLLATE 'default'", &[sets(Some("default"))]),
            ("SET NAMES 'latin1', x=1", &[sets(None), session("x", Constant)]),
            ("SET CHARACTER SET utf8", &[sets(None)]),
            ("SET NAMES DEFAULT", &[session("character_set_client", Default)]),
            ("SET TRANSACTION ISOLATION LEVEL SERIALIZABLE", &[Assignment::NextTransaction]),
            (
                "SET SESSION TRANSACTION ISOLATION LEVEL READ COMMITTED, READ ONLY",
                &[session("transaction_isolation", Constant), session("transaction_read_only", Constant)],
            ),
            ("SET insert_id=7", &[session("insert_id", Constant)]),
            ("SET ROLE x", &[Assignment::Opaque]),
            ("SET STATEMENT max_statement_time=1 FOR SELECT 1", &[Assignment::Opaque]),
            ("SET x", &[Assignment::Opaque]),
            ("SELECT 1", &[]),
        ];
        for (sql, want) in cases {
            assert_eq!(&set(sql), want, "{sql}");
        }
    }

    #[test]
    fn several_statements() {
        let read = |sql: &str| read_sets(sql.as_bytes(), LexMode::default());
        assert_eq!(
            read("SELECT 1; SET time_zone=';'; SET a=1, @b=';'"),
            [session("time_zone", Given::Constant), session("a", Given::Constant), Assignment::UserVariable(true)]
        );
        assert_eq!(read("SELECT 'SET a=1; SET b=1'; /* ; SET c=1; */"), []);
        assert_eq!(
            read("SET x=f();;SET TRANSACTION READ ONLY;"),
            [session("x", Given::Computed), Assignment::NextTransaction]
        );
    }

    #[test]
    fn what_does_the_same_again() {
        for (sql, want) in [
            ("SET NAMES utf8mb4", true),
            ("SET time_zone='+00:00', sql_mode=''", true),
            ("SET autocommit=0", true),
            ("SET SESSION TRANSACTION READ ONLY", true),
            ("SET sql_mode=DEFAULT", false),
            ("SET NAMES DEFAULT", false),
            ("SET @@tx_isolation='SERIALIZABLE'", false),
            ("SET insert_id=7", false),
            ("SET x=@y", false),
            ("SET x=@@y", false),
            ("SET @x=1", false),
            ("SET GLOBAL x=1", false),
        ] {
            assert_eq!(set(sql).iter().all(Assignment::is_repeatable), want, "{sql}");
        }
    }

    #[test]
    fn what_does_the_same_again_at_once() {
        for (sql, want) in [
            ("SET x=@@y", true),
            ("SET x=@@global.y", true),
            ("SET x=@@y, z=1", false),
            ("SET x=1, z=DEFAULT", true),
            ("SET x=@@y+1", false),
            ("SET x=@y", false),
            ("SET insert_id=@@y", false),
            ("SET x=1, @y=2", true),
            ("SET x=1, @y='a', @z:=NULL", true),
            ("SET @y=@y+1", false),
            ("SET x=1, @y=CURRENT_TIMESTAMP", false),
            ("SET @@transaction_isolation='SERIALIZABLE'", true),
        ] {
            assert_eq!(Assignment::are_repeatable_at_once(&set(sql)), want, "{sql}");
        }
    }
}
