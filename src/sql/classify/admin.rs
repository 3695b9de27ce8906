//! Statements that control transactions, locks, statements prepared as text and diagnostics, and those that administer
//! the server.
//!
//! [`super::statement`] calls in here when it has read such a statement's first word. For administration (KILL, FLUSH,
//! …) it notes only that the statement does it, and which FLUSH locks; what is administered is not looked at. A form
//! that is not known leaves a doubt, so the statement is unproven.

use super::super::effects::{Access, Effects, Verb};
use super::super::lexer::TokenKind;
use super::scan::Scan;
use super::words::Kw;

impl Scan<'_> {
    /// A statement that begins, ends or marks a transaction, behind its first word.
    pub(super) fn transaction(&mut self, kw: Kw) {
        use Kw::*;
        match kw {
            BEGIN => self.begin_statement(),
            START => self.start(),
            COMMIT | ROLLBACK => self.end_transaction(kw),
            XA => self.xa(),
            _ => {
                self.verb = Verb::Savepoint;
                self.effects |= Effects::SAVEPOINT;
                if kw == RELEASE && !self.cur.take(SAVEPOINT) {
                    self.doubt("an unknown RELEASE");
                }
                if !self.any_name() {
                    self.doubt("a savepoint without a name");
                }
                self.over("a SAVEPOINT that is not understood");
            }
        }
    }

    fn begin_statement(&mut self) {
        self.verb = Verb::Begin;
        self.cur.take(Kw::WORK);
        if self.cur.at_end() {
            self.effects |= Effects::BEGIN;
            return;
        }
        // BEGIN NOT ATOMIC; anything else is a block under sql_mode=ORACLE, or nothing.
        let block = self.cur.kw_at(0) == Kw::NOT && self.cur.kw_at(1) == Kw::ATOMIC;
        self.block();
        if !block {
            self.effects |= Effects::BEGIN | Effects::UNTRACKED_STATE;
            self.doubt("a BEGIN that is not understood");
        }
    }

    fn start(&mut self) {
        use Kw::*;
        if !self.cur.take(TRANSACTION) {
            return self.administration(START);
        }
        self.verb = Verb::Begin;
        self.effects |= Effects::BEGIN;
        while !self.cur.at_end() {
            let known = if self.cur.take(WITH) {
                self.cur.take(CONSISTENT) && self.cur.take(SNAPSHOT)
            } else if self.cur.take(READ) {
                if self.cur.take(ONLY) {
                    self.effects |= Effects::BEGIN_READ_ONLY;
                    true
                } else {
                    self.cur.take(WRITE)
                }
            } else {
                false
            };
            if !known || !(self.cur.take_op(b",") || self.cur.at_end()) {
                self.doubt("a START TRANSACTION that is not understood");
                self.skip();
            }
        }
    }

    fn end_transaction(&mut self, kw: Kw) {
        use Kw::*;
        self.cur.take(WORK);
        if kw == ROLLBACK && self.cur.take(TO) {
            self.verb = Verb::Savepoint;
            self.effects |= Effects::SAVEPOINT;
            self.cur.take(SAVEPOINT);
            if !self.any_name() {
                self.doubt("a savepoint without a name");
            }
            return self.over("a ROLLBACK that is not understood");
        }
        let (verb, effect) =
            if kw == COMMIT { (Verb::Commit, Effects::COMMIT) } else { (Verb::Rollback, Effects::ROLLBACK) };
        self.verb = verb;
        self.effects |= effect;
        if self.cur.take(AND) {
            let no = self.cur.take(NO);
            if !self.cur.take(CHAIN) {
                self.doubt("an end of a transaction that is not understood");
            } else if !no {
                self.effects |= Effects::CHAIN;
            }
        }
        let no = self.cur.take(NO);
        if self.cur.take(RELEASE) {
            if !no {
                self.effects |= Effects::RELEASE;
            }
        } else if no {
            self.doubt("an end of a transaction that is not understood");
        }
        self.over("an end of a transaction that is not understood");
    }

    fn xa(&mut self) {
        use Kw::*;
        self.verb = Verb::Xa;
        self.effects |= Effects::XA;
        let Some(item) = self.cur.next() else { return self.doubt("an unknown XA statement") };
        match item.kw {
            START | BEGIN => self.effects |= Effects::BEGIN,
            COMMIT => self.effects |= Effects::COMMIT,
            ROLLBACK => self.effects |= Effects::ROLLBACK,
            RECOVER => self.effects |= Effects::READ | Effects::SERVER_BOUND,
            END | PREPARE => {}
            _ => self.doubt("an unknown XA statement"),
        }
        self.skip();
    }

    /// `LOCK TABLES`, `UNLOCK TABLES`, `LOCK INSTANCE`, `BACKUP …`.
    pub(super) fn lock_statement(&mut self, kw: Kw) {
        use Kw::*;
        match kw {
            LOCK => {
                self.verb = Verb::Lock;
                self.effects |= Effects::LOCK_TABLES;
                if self.cur.take(INSTANCE) {
                    self.effects |= Effects::ADMIN | Effects::MYSQL_ONLY;
                } else {
                    self.effects |= Effects::IMPLICIT_COMMIT;
                    self.lock_tables();
                }
            }
            UNLOCK => {
                self.verb = Verb::Unlock;
                self.effects |= Effects::UNLOCK_TABLES;
                if self.cur.take(TABLES) || self.cur.take(TABLE) {
                    // It commits where LOCK TABLES is in force, and else leaves the transaction alone: no effect of its own says so,
                    // the server's status does.
                } else if self.cur.take(INSTANCE) {
                    self.effects |= Effects::MYSQL_ONLY;
                } else {
                    self.doubt("an unknown UNLOCK");
                }
            }
            _ => {
                self.verb = Verb::Lock;
                self.effects |= Effects::ADMIN | Effects::MARIADB_ONLY;
                let ends = matches!((self.cur.kw_at(0), self.cur.kw_at(1)), (UNLOCK, _) | (STAGE, END));
                self.effects |= if ends { Effects::UNLOCK_TABLES } else { Effects::LOCK_TABLES };
                if self.cur.take(LOCK) {
                    self.table(Access::Write);
                } else if !(ends || self.cur.kw_at(0) == STAGE) {
                    self.doubt("an unknown BACKUP");
                }
            }
        }
        self.skip();
    }

    /// The list of a LOCK TABLES.
    fn lock_tables(&mut self) {
        use Kw::*;
        if !(self.cur.take(TABLES) || self.cur.take(TABLE)) {
            return self.doubt("an unknown LOCK");
        }
        loop {
            let Some(name) = self.name() else { return self.doubt("a table is missing") };
            let mut access = Access::Read;
            while !self.cur.at_end() && !self.cur.is_op_at(0, b",") {
                if self.cur.next().is_some_and(|item| item.kw == WRITE) {
                    access = Access::Write;
                }
            }
            self.add_use(name, None, access);
            if !self.cur.take_op(b",") {
                return;
            }
        }
    }

    /// `PREPARE`, `EXECUTE`, `DEALLOCATE PREPARE` as text.
    pub(super) fn prepare_statement(&mut self, kw: Kw) {
        use Kw::*;
        self.effects |= Effects::TEXT_PREPARE;
        match kw {
            PREPARE => {
                self.verb = Verb::Prepare;
                if !(self.any_name() && self.cur.take(FROM)) {
                    self.doubt("a PREPARE that is not understood");
                }
                self.body();
            }
            EXECUTE => {
                self.verb = Verb::Execute;
                if self.cur.take(IMMEDIATE) {
                    self.effects |= Effects::MARIADB_ONLY;
                } else {
                    self.any_name();
                }
                self.effects |= Effects::UNTRACKED_STATE;
                self.doubt("it runs a text that is not here");
                self.body();
            }
            _ => {
                self.verb = Verb::Deallocate;
                self.cur.take(PREPARE);
                if !self.any_name() {
                    self.doubt("a DEALLOCATE without a name");
                }
                self.over("a DEALLOCATE that is not understood");
            }
        }
    }

    /// `GET DIAGNOSTICS`, `SIGNAL`, `RESIGNAL`.
    pub(super) fn diagnostics(&mut self, kw: Kw) {
        if kw == Kw::GET {
            self.effects |= Effects::NEEDS_WARNINGS | Effects::SET_USER_VARIABLE;
        } else {
            self.effects |= Effects::CONSTANT;
        }
        while let Some(item) = self.cur.next() {
            // The number of a condition may stand in one; whatever else has one is given a value.
            if item.kind == TokenKind::UserVariable && !self.cur.is_op_at(0, b"=") {
                self.effects |= Effects::READ_USER_VARIABLE;
            }
            if self.cur.text(item).eq_ignore_ascii_case(b"ROW_COUNT") {
                self.effects |= Effects::NEEDS_ROW_COUNT;
            }
        }
    }

    /// What administers the server; for the session it is enough to know that it does.
    pub(super) fn administration(&mut self, kw: Kw) {
        use Kw::*;
        self.effects |= Effects::ADMIN;
        match kw {
            FLUSH => return self.flush(),
            KILL => self.verb = Verb::Kill,
            RESET | CHANGE | START | STOP | CACHE => self.effects |= Effects::IMPLICIT_COMMIT,
            INSTALL | UNINSTALL => self.effects |= Effects::IMPLICIT_COMMIT | Effects::UNTRACKED_STATE,
            BINLOG => self.effects |= Effects::WRITE,
            _ => {}
        }
        self.skip();
    }

    /// `FLUSH …`; `FLUSH TABLES … WITH READ LOCK` and `FOR EXPORT` lock.
    fn flush(&mut self) {
        use Kw::*;
        self.verb = Verb::Flush;
        self.effects |= Effects::IMPLICIT_COMMIT;
        let _ = self.cur.take(NO_WRITE_TO_BINLOG) || self.cur.take(LOCAL);
        if self.cur.take(TABLES) || self.cur.take(TABLE) {
            if !matches!(self.cur.kw_at(0), WITH | FOR) && !self.cur.at_end() {
                self.table_list(Access::Read);
            }
            while !self.cur.at_end() {
                if self.cur.next().is_some_and(|item| matches!(item.kw, LOCK | EXPORT)) {
                    self.effects |= Effects::LOCK_TABLES;
                }
            }
        }
        while let Some(item) = self.cur.next() {
            // The session's own counters begin at zero on its connection, and go on there.
            if item.kw == STATUS {
                self.effects |= Effects::UNTRACKED_STATE;
            }
        }
    }
}
