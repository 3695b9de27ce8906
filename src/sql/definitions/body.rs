//! What one definition's body does to its connection, and what it uses.
//!
//! Read from tokens alone: no grammar of stored programs is known here. Where a body can be read in two ways it is taken to
//! leave something. Locals are told from session variables by their declarations.

use super::definition::Definition;
use crate::sql::LexMode;
use crate::sql::lexer::{Lexer, Token, TokenKind};
use std::collections::HashSet;

/// What a body does and uses. Names are in lower case, without schemas.
#[derive(Debug, Default)]
pub(super) struct Body {
    /// It may leave something on the connection that no server reports: a user variable, a lock, a variable of the session,
    /// a drawn value, a temporary table, a prepared statement.
    pub leaves: bool,
    /// All names in it: those of tables and views are among them.
    pub names: HashSet<Box<str>>,
    /// The names of what it calls.
    pub calls: HashSet<Box<str>>,
}

/// Words that leave something wherever they stand.
const LEAVE: [&str; 10] = [
    "DEALLOCATE",
    "EXECUTE",
    "GET_LOCK",
    "NEXTVAL",
    "PREPARE",
    "RELEASE_ALL_LOCKS",
    "RELEASE_LOCK",
    "SETVAL",
    "TEMPORARY",
    "XA",
];

/// Words before `HANDLER` where it handles a condition, and opens no table.
const OF_CONDITIONS: [&str; 3] = ["CONTINUE", "EXIT", "UNDO"];

/// Words behind which a statement begins.
const BEGIN_STATEMENTS: [&str; 7] = ["BEGIN", "DO", "ELSE", "LOOP", "REPEAT", "ROW", "THEN"];

/// Statements in which SET names columns, or items of a condition.
const SET_NAMES_OTHERS: [&str; 6] = ["INSERT", "LOAD", "REPLACE", "RESIGNAL", "SIGNAL", "UPDATE"];

/// Words that end a list of places behind INTO.
const END_INTO: [&str; 8] = ["FROM", "LIMIT", "SELECT", "SET", "TABLE", "VALUE", "VALUES", "WHERE"];

impl Body {
    /// Reads a body.
    pub fn read(definition: &Definition) -> Self {
        let mode = LexMode::from_sql_mode(&definition.sql_mode);
        let text = definition.body.as_bytes();
        let mut walk = Walk {
            text,
            tokens: Lexer::new(text, mode).collect(),
            locals: definition.parameters.iter().map(|name| name.to_lowercase().into()).collect(),
            body: Body::default(),
        };
        walk.find_locals();
        walk.find_names();
        // Under sql_mode=ORACLE an assignment has no SET, and packages have variables of their own.
        let is_oracle = definition.sql_mode.split(',').any(|name| name.eq_ignore_ascii_case("ORACLE"));
        walk.body.leaves = is_oracle || text.is_empty() || walk.has_word_that_leaves() || walk.sets_variable();
        walk.body
    }
}

struct Walk<'a> {
    text: &'a [u8],
    tokens: Vec<Token>,
    /// Local variables and parameters.
    locals: HashSet<Box<str>>,
    body: Body,
}

impl Walk<'_> {
    fn is(&self, at: usize, word: &str) -> bool {
        self.tokens.get(at).is_some_and(|token| token.text(self.text).eq_ignore_ascii_case(word.as_bytes()))
    }

    fn is_any(&self, at: usize, words: &[&str]) -> bool {
        self.kind(at) == Some(TokenKind::Word) && words.iter().any(|word| self.is(at, word))
    }

    fn kind(&self, at: usize) -> Option<TokenKind> {
        self.tokens.get(at).map(|token| token.kind)
    }

    /// The name at a place, in lower case and without quotes.
    fn name(&self, at: usize) -> Option<Box<str>> {
        Some(self.tokens.get(at)?.name(self.text)?.to_lowercase().into())
    }

    /// `DECLARE a, b INT`, `FOR a IN …`.
    fn find_locals(&mut self) {
        for at in 0..self.tokens.len() {
            if self.is_any(at, &["DECLARE"]) {
                let mut next = at + 1;
                while let Some(name) = self.name(next) {
                    self.locals.insert(name);
                    if !self.is(next + 1, ",") {
                        break;
                    }
                    next += 2;
                }
            } else if self.is_any(at, &["FOR"]) && self.is(at + 2, "IN") {
                self.locals.extend(self.name(at + 1));
            }
        }
    }

    fn find_names(&mut self) {
        for at in 0..self.tokens.len() {
            let Some(name) = self.name(at) else { continue };
            // `CALL p`, `CALL s.p`, `f(…)`, `s.f (…)`.
            let is_called = self.is(at + 1, "(")
                || at.checked_sub(1).is_some_and(|before| self.is_any(before, &["CALL"]))
                || at.checked_sub(3).is_some_and(|before| self.is_any(before, &["CALL"]) && self.is(at - 1, "."));
            if is_called {
                self.body.calls.insert(name.clone());
            }
            self.body.names.insert(name);
        }
    }

    fn has_word_that_leaves(&self) -> bool {
        (0..self.tokens.len()).any(|at| match self.kind(at) {
            Some(TokenKind::ExecutableOpen | TokenKind::Unterminated | TokenKind::Param) => true,
            Some(TokenKind::Word) => {
                self.is_any(at, &LEAVE)
                    || self.is(at, "HANDLER") && !at.checked_sub(1).is_some_and(|b| self.is_any(b, &OF_CONDITIONS))
                    || self.is(at, "NEXT") && self.is(at + 1, "VALUE")
                    // With an argument it sets what it returns from then on.
                    || self.is(at, "LAST_INSERT_ID") && self.is(at + 1, "(") && !self.is(at + 2, ")")
            }
            _ => false,
        })
    }

    /// True if it may set a user variable, or a variable of the session.
    fn sets_variable(&self) -> bool {
        // Of the present statement: SET names no variables in it; it calls a procedure; a list of places behind INTO is open.
        let (mut others, mut calls, mut into) = (false, false, false);
        for at in 0..self.tokens.len() {
            let assigned = self.is(at + 1, "=") || self.is(at + 1, ":=");
            match self.kind(at) {
                Some(TokenKind::UserVariable) if calls || into || assigned => return true,
                Some(TokenKind::SystemVariable) if assigned => return true,
                Some(TokenKind::Word) if self.is(at, "SET") && !others && self.sets_more_than_locals(at + 1) => {
                    return true;
                }
                Some(TokenKind::Word) if self.is_any(at, &BEGIN_STATEMENTS) => {
                    (others, calls, into) = (false, false, false);
                }
                Some(TokenKind::Word) => {
                    others |= self.is_any(at, &SET_NAMES_OTHERS);
                    calls |= self.is(at, "CALL");
                    into = (into || self.is(at, "INTO")) && !self.is_any(at, &END_INTO);
                }
                Some(TokenKind::Operator) if self.is(at, ";") => (others, calls, into) = (false, false, false),
                Some(TokenKind::Operator) if self.is(at, "(") => into = false,
                _ => {}
            }
        }
        false
    }

    /// True unless a SET, of which the first target is at `from`, sets local variables and the row's columns alone.
    fn sets_more_than_locals(&self, from: usize) -> bool {
        let (mut at, mut depth, mut expects_target) = (from, 0_usize, true);
        while let Some(token) = self.tokens.get(at) {
            let text = token.text(self.text);
            if expects_target {
                let head = self.name(at);
                let is_row = matches!(head.as_deref(), Some("new" | "old")) && self.is(at + 1, ".");
                let is_local = head.is_some_and(|name| self.locals.contains(&name));
                if !is_row && !is_local {
                    return true;
                }
                expects_target = false;
            }
            match text {
                b"(" => depth += 1,
                b")" => depth = depth.saturating_sub(1),
                b";" => return false,
                b"," if depth == 0 => expects_target = true,
                _ => {}
            }
            at += 1;
        }
        false
    }
}
