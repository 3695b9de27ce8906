//! Statements that define things (CREATE, ALTER, DROP, RENAME, TRUNCATE, GRANT, …), blocks of stored code, and table
//! maintenance.
//!
//! [`super::statement`] calls in here when it has read the first word. Its functions find what kind of thing
//! is defined and which tables are named; they do not read column lists or the bodies of routines. The body of a
//! routine is taken to reach to the end of the text, because the `;` within it cannot be told from one that ends a
//! statement.

use super::super::effects::{Access, Effects, Verb};
use super::scan::{Place, Scan};
use super::words::Kw;

impl Scan<'_> {
    /// A statement that changes definitions, behind its first word.
    pub(super) fn definition(&mut self, kw: Kw) {
        self.verb = match kw {
            Kw::CREATE => Verb::Create,
            Kw::ALTER => Verb::Alter,
            Kw::DROP => Verb::Drop,
            Kw::RENAME => Verb::Rename,
            Kw::TRUNCATE => Verb::Truncate,
            Kw::GRANT | Kw::REVOKE => Verb::Grant,
            _ => Verb::Other,
        };
        if kw == Kw::DROP && self.cur.kw_at(0) == Kw::PREPARE {
            self.cur.next();
            return self.prepare_statement(Kw::DEALLOCATE);
        }
        self.effects |= Effects::DDL | Effects::IMPLICIT_COMMIT;
        match kw {
            Kw::CREATE | Kw::ALTER | Kw::DROP => self.define_object(kw),
            Kw::RENAME => self.rename(),
            Kw::TRUNCATE => {
                self.cur.take(Kw::TABLE);
                self.table(Access::Write);
                self.skip();
            }
            Kw::IMPORT => {
                self.effects |= Effects::SERVER_FILE | Effects::MYSQL_ONLY;
                self.skip();
            }
            _ => self.skip(),
        }
    }

    fn rename(&mut self) {
        if self.cur.take(Kw::TABLE) || self.cur.take(Kw::TABLES) {
            self.effects |= Effects::STORED_DEFINITION;
            self.if_exists();
            loop {
                self.table(Access::Write);
                if !self.cur.take(Kw::TO) {
                    self.doubt("a RENAME that is not understood");
                    break;
                }
                self.table(Access::Write);
                if !self.cur.take_op(b",") {
                    break;
                }
            }
        } else if self.cur.kw_at(0) != Kw::USER {
            self.doubt("an unknown RENAME");
        }
        self.skip();
    }

    /// `IF EXISTS`, `IF NOT EXISTS`.
    pub(super) fn if_exists(&mut self) {
        if self.cur.take(Kw::IF) {
            self.cur.take(Kw::NOT);
            self.cur.take(Kw::EXISTS);
        }
    }

    /// Finds what kind of thing is defined, behind CREATE, ALTER or DROP and before its name.
    fn define_object(&mut self, kw: Kw) {
        use Kw::*;
        let mut temporary = false;
        loop {
            if self.cur.at_end() {
                self.effects |= Effects::UNTRACKED_STATE;
                return self.doubt("an unknown definition");
            }
            let Some(item) = self.cur.next() else { return };
            match item.kw {
                TEMPORARY => temporary = true,
                TABLE | TABLES => return self.define_table(kw, temporary),
                VIEW => {
                    self.effects |= Effects::STORED_DEFINITION;
                    return self.define_view(kw);
                }
                SEQUENCE => {
                    if temporary {
                        self.temporary();
                    }
                    self.if_exists();
                    self.table_list(Access::Write);
                    return self.skip();
                }
                INDEX => return self.define_index(),
                PROCEDURE | FUNCTION | TRIGGER | EVENT | PACKAGE | LIBRARY => {
                    // An event runs on a connection of its own.
                    if item.kw != EVENT {
                        self.effects |= Effects::STORED_DEFINITION;
                    }
                    return if kw == DROP { self.skip() } else { self.routine() };
                }
                INSTANCE => {
                    self.effects |= Effects::ADMIN | Effects::MYSQL_ONLY;
                    return self.skip();
                }
                DATABASE | SCHEMA => {
                    self.effects |= Effects::SCHEMA_DEFINITION;
                    return self.skip();
                }
                USER | ROLE | SERVER | TABLESPACE | LOGFILE | RESOURCE | SPATIAL | CATALOG | UNDO
                    if !(item.kw == SPATIAL && self.cur.kw_at(0) == INDEX) =>
                {
                    return self.skip();
                }
                _ => {}
            }
        }
    }

    /// Temporary tables commit nothing.
    fn temporary(&mut self) {
        self.effects |= Effects::TEMPORARY_TABLE;
        self.effects -= Effects::IMPLICIT_COMMIT;
    }

    fn define_table(&mut self, kw: Kw, temporary: bool) {
        if temporary {
            self.temporary();
        }
        self.if_exists();
        if kw == Kw::DROP {
            self.table_list(Access::Write);
            return self.skip();
        }
        self.table(Access::Write);
        let like = usize::from(self.cur.is_op_at(0, b"("));
        if self.cur.kw_at(like) == Kw::LIKE {
            for _ in 0..=like {
                self.cur.next();
            }
            self.describes = true;
            self.table(Access::Read);
            return self.skip();
        }
        self.frame().place = Place::Skim;
        self.body();
    }

    fn define_view(&mut self, kw: Kw) {
        self.if_exists();
        if kw == Kw::DROP {
            self.table_list(Access::Write);
            return self.skip();
        }
        self.table(Access::Write);
        self.frame().place = Place::Skim;
        self.body();
    }

    /// `CREATE INDEX i ON t (…)`, `DROP INDEX i ON t`.
    fn define_index(&mut self) {
        while !self.cur.at_end() {
            if self.cur.take(Kw::ON) {
                self.table(Access::Write);
                return self.skip();
            }
            self.cur.next();
        }
        self.doubt("an index without its table");
    }

    /// The body of a stored routine or an anonymous block: its `;` end nothing that could be told from here, so it is
    /// taken to reach to the end of the text.
    pub(super) fn routine(&mut self) {
        let mut statements = false;
        while self.cur.peek().is_some() {
            if self.cur.take_op(b";") {
                statements |= self.cur.peek().is_some();
            } else {
                self.cur.next();
            }
        }
        if statements {
            // Something else may stand behind the body.
            self.effects |= Effects::MULTI | Effects::UNTRACKED_STATE;
            self.doubt("a routine's body, or several statements");
        }
    }

    /// MariaDB's anonymous blocks: `BEGIN NOT ATOMIC …`, `IF …`, `FOR …`.
    pub(super) fn block(&mut self) {
        self.verb = Verb::Call;
        self.effects |= Effects::CALL | Effects::MARIADB_ONLY;
        self.routine();
    }

    /// `ANALYZE | CHECK | CHECKSUM | OPTIMIZE | REPAIR TABLE …`.
    pub(super) fn maintenance(&mut self, kw: Kw) {
        self.verb = match kw {
            Kw::ANALYZE => Verb::Analyze,
            Kw::OPTIMIZE => Verb::Optimize,
            _ => Verb::Other,
        };
        let access = match kw {
            Kw::CHECKSUM => {
                self.effects |= Effects::READ | Effects::SERVER_BOUND;
                Access::Read
            }
            _ => {
                self.effects |= Effects::ADMIN | Effects::IMPLICIT_COMMIT;
                Access::Write
            }
        };
        let _ = self.cur.take(Kw::NO_WRITE_TO_BINLOG) || self.cur.take(Kw::LOCAL);
        if self.cur.take(Kw::TABLE) || self.cur.take(Kw::TABLES) || self.cur.take(Kw::VIEW) {
            self.table_list(access);
        } else {
            self.doubt("maintenance of something unknown");
        }
        self.skip();
    }
}
