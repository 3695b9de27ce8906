//! SET in all its forms: session, global and user variables, character sets, transaction characteristics, roles, and
//! SET STATEMENT.
//!
//! [`super::statement`] calls in here for a SET. The names of the variables are noted, and [`super::variables`] says
//! what setting each of them does. Values are expressions like any other, which [`super::scan`] walks; their meaning is
//! not looked at.

use super::super::effects::{Effects, Verb};
use super::super::lexer::TokenKind;
use super::scan::{Place, Scan};
use super::variables::{Scope, Variable};
use super::words::Kw;

/// More variables than this in one text are not listed.
const MAX_VARIABLES: usize = 256;

impl Scan<'_> {
    /// A SET statement, behind the SET.
    pub(super) fn set_statement(&mut self) {
        self.verb = Verb::Set;
        if self.cur.kw_at(0) == Kw::STATEMENT && self.cur.peek_at(1).is_some_and(|item| item.is_name()) {
            return self.set_around_a_statement();
        }
        self.set_scope = Scope::Bare;
        self.frame().place = Place::SetItem;
        self.body();
    }

    /// One item of the list, up to and with its `=`.
    pub(super) fn set_item(&mut self) {
        use Kw::*;
        self.frame().place = Place::SetValue;
        let Some(item) = self.cur.peek() else { return };
        let assigned = self.cur.is_op_at(1, b"=") || self.cur.is_op_at(1, b":=");
        match item.kind {
            TokenKind::UserVariable => {
                self.cur.next();
                self.effects |= Effects::SET_USER_VARIABLE;
                return self.equals();
            }
            TokenKind::SystemVariable => {
                self.cur.next();
                match Variable::read(self.cur.text(item)) {
                    Some(variable) => self.assign(variable),
                    None => self.doubt("a system variable without a name"),
                }
                return self.equals();
            }
            _ => {}
        }
        match item.kw {
            NAMES if !assigned => self.set_charset(&["names"], 1),
            CHARSET if !assigned => self.set_charset(&["character_set"], 1),
            CHARACTER | CHAR if self.cur.kw_at(1) == SET => self.set_charset(&["character_set"], 2),
            TRANSACTION if !assigned => self.set_transaction(Scope::Bare),
            PASSWORD => self.set_account(),
            ROLE if !assigned => {
                self.effects |= Effects::SET_SESSION | Effects::UNTRACKED_STATE;
                self.note_variable("role");
                self.skip();
            }
            DEFAULT if self.cur.kw_at(1) == ROLE => self.set_account(),
            RESOURCE if self.cur.kw_at(1) == GROUP => {
                self.effects |= Effects::SET_SESSION | Effects::UNTRACKED_STATE | Effects::MYSQL_ONLY;
                self.skip();
            }
            _ => self.set_named(),
        }
    }

    /// `[GLOBAL | SESSION | …] name = value`, `GLOBAL TRANSACTION …`.
    fn set_named(&mut self) {
        let written = self.cur.peek().map(|item| self.unquoted(item).to_ascii_lowercase()).unwrap_or_default();
        let scope = Scope::of(&written).filter(|_| self.cur.peek_at(1).is_some_and(|item| item.is_name()));
        if let Some(scope) = scope {
            self.cur.next();
            if self.cur.kw_at(0) == Kw::TRANSACTION && !self.cur.is_op_at(1, b"=") {
                return self.set_transaction(scope);
            }
            if scope == Scope::Persist {
                self.effects |= Effects::MYSQL_ONLY;
            }
            self.set_scope = scope;
        }
        let Some(name) = self.cur.peek().filter(|item| item.is_name()).and_then(|_| self.set_name()) else {
            self.doubt("a SET that is not understood");
            return self.skip();
        };
        // A scope holds for the names after it that have none of their own, by some versions.
        let scopes = match (scope, self.set_scope) {
            (Some(scope), _) => [Some(scope), None],
            (None, Scope::Global | Scope::Persist) => [Some(Scope::Session), Some(self.set_scope)],
            (None, _) => [Some(Scope::Session), None],
        };
        for scope in scopes.into_iter().flatten() {
            self.assign(Variable { scope, name: name.clone() });
        }
        self.equals();
    }

    /// A variable's name, lower case, of one or two parts.
    fn set_name(&mut self) -> Option<String> {
        let item = self.cur.next()?;
        let name = self.name_from(item);
        let name = match name.schema {
            Some(first) => format!("{first}.{}", name.name),
            None => name.name.into(),
        };
        Some(name.to_ascii_lowercase())
    }

    fn equals(&mut self) {
        if !(self.cur.take_op(b"=") || self.cur.take_op(b":=")) {
            self.doubt("a SET without an assignment");
            self.skip();
        } else if self.cur.at_end() || self.cur.is_op_at(0, b",") {
            self.doubt("a SET without a value");
        }
    }

    fn assign(&mut self, variable: Variable) {
        match variable.scope {
            Scope::Global | Scope::Persist => self.effects |= Effects::SET_GLOBAL | Effects::ADMIN,
            // `hot.key_buffer_size` is a component's or a key cache's: there is one for the server.
            _ if variable.name.contains('.') => self.effects |= Effects::SET_GLOBAL | Effects::ADMIN,
            _ => {
                self.effects |= variable.set_effects();
                self.note_variable(&variable.name);
            }
        }
    }

    fn note_variable(&mut self, name: &str) {
        if self.facts.variables.iter().any(|known| **known == *name) {
            return;
        }
        if self.facts.variables.len() >= MAX_VARIABLES {
            self.effects |= Effects::UNTRACKED_STATE;
            return self.doubt("too many variables");
        }
        self.facts.variables.push(name.into());
    }

    /// `NAMES cs [COLLATE c]`, `CHARACTER SET cs`: `words` long.
    fn set_charset(&mut self, names: &[&str], words: usize) {
        for _ in 0..words {
            self.cur.next();
        }
        self.effects |= Effects::SET_SESSION;
        for name in names {
            self.note_variable(name);
        }
        if self.cur.at_end() {
            self.doubt("a SET without a value");
        }
    }

    /// `TRANSACTION ISOLATION LEVEL …, READ ONLY`, behind its scope.
    fn set_transaction(&mut self, scope: Scope) {
        use Kw::*;
        self.cur.next();
        let mut names = Vec::new();
        loop {
            if self.cur.take(ISOLATION) {
                let known = self.cur.take(LEVEL)
                    && match self.cur.kw_at(0) {
                        READ => {
                            self.cur.next();
                            self.cur.take(COMMITTED) || self.cur.take(UNCOMMITTED)
                        }
                        REPEATABLE => {
                            self.cur.next();
                            self.cur.take(READ)
                        }
                        _ => self.cur.take(SERIALIZABLE),
                    };
                if !known {
                    self.doubt("an unknown isolation level");
                }
                names.push("transaction_isolation");
            } else if self.cur.take(READ) && (self.cur.take(ONLY) || self.cur.take(WRITE)) {
                names.push("transaction_read_only");
            } else {
                self.doubt("a SET TRANSACTION that is not understood");
            }
            if !self.cur.take_op(b",") {
                break;
            }
        }
        match scope {
            Scope::Bare => self.effects |= Effects::SET_NEXT_TRANSACTION,
            Scope::Session => {
                self.effects |= Effects::SET_SESSION;
                names.iter().for_each(|name| self.note_variable(name));
            }
            Scope::Global | Scope::Persist => self.effects |= Effects::SET_GLOBAL | Effects::ADMIN,
        }
        self.over("a SET TRANSACTION that is not understood");
    }

    /// `SET PASSWORD`, `SET DEFAULT ROLE`.
    fn set_account(&mut self) {
        self.effects |= Effects::SET_GLOBAL | Effects::DDL | Effects::IMPLICIT_COMMIT;
        self.skip();
    }

    /// MariaDB's `SET STATEMENT name = value, … FOR statement`.
    fn set_around_a_statement(&mut self) {
        self.cur.next();
        self.effects |= Effects::MARIADB_ONLY;
        let mut harmless = true;
        while let Some(name) = self.set_name() {
            harmless &= Variable { scope: Scope::Session, name }.is_harmless_around_a_statement();
            if !self.cur.take_op(b"=") {
                self.doubt("a SET STATEMENT that is not understood");
                return self.skip();
            }
            // Values are simple: whatever has parentheses is not followed.
            while !self.cur.at_end() && self.cur.kw_at(0) != Kw::FOR && !self.cur.is_op_at(0, b",") {
                let plain = self.cur.next().is_some_and(|item| {
                    let text = self.cur.text(item);
                    item.kind != TokenKind::Operator || matches!(text, b"+" | b"-" | b"*")
                });
                if !plain {
                    self.doubt("a SET STATEMENT with a value that is not followed");
                    return self.skip();
                }
            }
            if !self.cur.take_op(b",") {
                break;
            }
        }
        if !self.cur.take(Kw::FOR) {
            self.doubt("a SET STATEMENT without its statement");
            return self.skip();
        }
        if !harmless {
            self.effects |= Effects::SET_SESSION;
        }
        self.inner_statement();
        let stateful = Effects::SET_SESSION
            | Effects::SET_USER_VARIABLE
            | Effects::TEMPORARY_TABLE
            | Effects::TEXT_PREPARE
            | Effects::CALL
            | Effects::BEGIN;
        if self.effects.intersects(stateful) {
            self.effects |= Effects::UNTRACKED_STATE;
        }
    }
}
