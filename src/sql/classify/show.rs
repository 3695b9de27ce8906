//! SHOW statements. Some read definitions, which any server with the same schema can answer; the others ask about one
//! server.
//!
//! [`super::statement`] calls in here for a SHOW. A kind that is not listed here leaves a doubt, so the statement is
//! unproven and goes to the writer.

use super::super::effects::{Access, Effects, Verb};
use super::named::Name;
use super::scan::Scan;
use super::words::Kw;

/// What servers keep in no table. Their rows are not counted either.
const NO_TABLE: Effects = Effects::SHOWS_NO_TABLE.union(Effects::FINDS_NO_ROWS);

impl Scan<'_> {
    /// A SHOW statement, behind the SHOW.
    pub(super) fn show(&mut self) {
        use Kw::*;
        self.verb = Verb::Show;
        self.effects |= Effects::READ;
        self.describes = true;
        let mut is_global = false;
        while matches!(self.cur.kw_at(0), FULL | EXTENDED | GLOBAL | SESSION | LOCAL | ALL | STORAGE) {
            is_global |= self.cur.next().is_some_and(|item| item.kw == GLOBAL);
        }
        let Some(item) = self.cur.next() else { return self.doubt("an empty SHOW") };
        match item.kw {
            DATABASES | SCHEMAS | CHARSET | COLLATION => self.effects |= Effects::METADATA,
            PRIVILEGES => self.effects |= Effects::METADATA | NO_TABLE,
            CHARACTER if self.cur.take(SET) => self.effects |= Effects::METADATA,
            TABLES | TRIGGERS | EVENTS => {
                self.effects |= Effects::METADATA;
                self.schema_clause();
            }
            TABLE if self.cur.take(STATUS) => {
                self.effects |= Effects::METADATA;
                self.schema_clause();
            }
            PROCEDURE | FUNCTION | PACKAGE => self.show_routines(),
            COLUMNS | FIELDS | INDEX | INDEXES | KEYS => self.show_parts(),
            CREATE => return self.show_create(),
            WARNINGS | ERRORS => {
                self.effects |= Effects::NEEDS_WARNINGS;
                return self.skip();
            }
            COUNT => return self.show_count(),
            STATUS => {
                self.effects |= Effects::SERVER_BOUND;
                self.effects.set(Effects::ASKS_COUNTERS, !is_global);
            }
            VARIABLES | PLUGINS | ENGINES => self.effects |= Effects::SERVER_BOUND,
            OPEN => {
                self.effects |= Effects::SERVER_BOUND;
                self.cur.take(TABLES);
                self.schema_clause();
            }
            PROCESSLIST | GRANTS | ENGINE | MASTER | SLAVE | REPLICA | PROFILES | BINLOG | BINARY => {
                self.effects |= Effects::SERVER_BOUND | NO_TABLE;
                return self.skip();
            }
            PROFILE | EXPLAIN | ANALYZE | CLIENT | FORMAT => {
                self.effects |= Effects::SERVER_BOUND;
                return self.skip();
            }
            _ => return self.show_other(&self.unquoted(item)),
        }
        self.filter();
    }

    /// Kinds whose words mean nothing elsewhere.
    fn show_other(&mut self, name: &str) {
        const IN_TABLES: &str =
            "locales user_statistics client_statistics index_statistics table_statistics wsrep_status
            wsrep_membership query_response_time thread_statistics parse_tree";
        const IN_NONE: &str = "slaves replicas relaylog authors contributors";
        let is_among = |known: &str| known.split_ascii_whitespace().any(|known| name.eq_ignore_ascii_case(known));
        self.effects |= Effects::SERVER_BOUND;
        if is_among(IN_NONE) {
            self.effects |= NO_TABLE;
        } else if !is_among(IN_TABLES) {
            self.doubt("an unknown SHOW");
        }
        self.skip();
    }

    /// `LIKE 'x'` or `WHERE expr`.
    fn filter(&mut self) {
        if self.cur.at_end() {
            return;
        }
        if self.cur.take(Kw::LIKE) || self.cur.take(Kw::WHERE) {
            self.body();
        } else {
            self.doubt("a SHOW that is not understood");
            self.skip();
        }
    }

    /// `FROM schema`, if it stands there.
    fn schema_clause(&mut self) -> Option<Box<str>> {
        if !(self.cur.take(Kw::FROM) || self.cur.take(Kw::IN)) {
            return None;
        }
        let name = self.name();
        if name.is_none() {
            self.doubt("a SHOW without the name of its schema");
        }
        name.map(|name| name.name)
    }

    /// `SHOW PROCEDURE STATUS`, `SHOW PACKAGE BODY STATUS`, `SHOW FUNCTION CODE f`.
    fn show_routines(&mut self) {
        self.effects |= Effects::METADATA;
        self.cur.take(Kw::BODY);
        if self.cur.take(Kw::CODE) {
            if self.name().is_none() {
                self.doubt("a SHOW without a name");
            }
        } else if !self.cur.take(Kw::STATUS) {
            self.doubt("a SHOW that is not understood");
        }
    }

    /// `SHOW COLUMNS FROM t [FROM schema]`, `SHOW INDEX FROM t`.
    fn show_parts(&mut self) {
        self.effects |= Effects::METADATA;
        if !(self.cur.take(Kw::FROM) || self.cur.take(Kw::IN)) {
            return self.doubt("a SHOW without its table");
        }
        let Some(mut name) = self.name() else { return self.doubt("a SHOW without its table") };
        if let Some(schema) = self.schema_clause() {
            name = Name { schema: Some(schema), name: name.name };
        }
        self.add_use(name, None, Access::Read);
    }

    fn show_create(&mut self) {
        use Kw::*;
        let Some(item) = self.cur.next() else { return self.doubt("a SHOW that is not understood") };
        self.effects |= Effects::FINDS_NO_ROWS;
        match item.kw {
            TABLE | VIEW | SEQUENCE => {
                self.effects |= Effects::METADATA;
                self.table(Access::Read);
                return self.over("a SHOW CREATE that is not understood");
            }
            DATABASE | SCHEMA | PROCEDURE | FUNCTION | TRIGGER | EVENT | PACKAGE | LIBRARY => {
                self.effects |= Effects::METADATA;
                self.effects.set(Effects::SHOWS_NO_TABLE, item.kw != LIBRARY);
                self.cur.take(BODY);
                self.if_exists();
                if self.name().is_none() {
                    self.doubt("a SHOW CREATE without a name");
                }
                return self.over("a SHOW CREATE that is not understood");
            }
            USER | SERVER => self.effects |= Effects::SERVER_BOUND | Effects::SHOWS_NO_TABLE,
            _ => {
                self.effects |= Effects::SERVER_BOUND;
                self.doubt("an unknown SHOW CREATE");
            }
        }
        self.skip();
    }

    /// `SHOW COUNT(*) WARNINGS`, which servers run as a SELECT of a variable.
    fn show_count(&mut self) {
        self.effects |= Effects::NEEDS_WARNINGS | Effects::CONSTANT;
        let known = self.cur.take_op(b"(") && self.cur.take_op(b"*") && self.cur.take_op(b")");
        if !(known && (self.cur.take(Kw::WARNINGS) || self.cur.take(Kw::ERRORS))) {
            self.doubt("an unknown SHOW COUNT");
        }
        self.over("a SHOW COUNT that is not understood");
    }
}
