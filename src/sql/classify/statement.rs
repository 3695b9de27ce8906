//! Which statement it is, from its first word, and the loop over the statements of a text.
//!
//! This is where a walk begins. It hands each kind of statement to the file that knows it ([`super::admin`],
//! [`super::ddl`], [`super::dml`], [`super::set`], [`super::show`]) and queries to [`super::scan`]; EXPLAIN, ANALYZE
//! and USE it reads itself. A first word that it does not know makes the statement unproven.

use super::super::effects::{Access, Effects, Verb};
use super::super::lexer::TokenKind;
use super::scan::{Explain, Place, Scan};
use super::words::Kw;

/// Statements inside statements: `EXPLAIN`, `SET STATEMENT … FOR EXPLAIN …`.
const MAX_NESTED: u8 = 3;

impl Scan<'_> {
    /// Reads all statements of the text.
    pub(super) fn text(&mut self) {
        let mut statements = 0usize;
        loop {
            while self.cur.take_op(b";") {}
            if self.cur.peek().is_none() {
                break;
            }
            statements += 1;
            self.begin(Place::Expr, Access::Read);
            self.verb = Verb::Other;
            self.statement();
            self.skip();
            if statements == 1 {
                self.facts.verb = self.verb;
            }
            self.finish();
        }
        if let Some(why) = self.cur.doubt {
            self.doubt(why);
            self.facts.effects |= self.effects;
        }
        if statements > 1 {
            self.facts.effects |= Effects::MULTI;
            // From such a SET on, the text may have to be cut into tokens by other rules.
            let lexing = ["sql_mode", "names", "character_set", "character_set_client"];
            if self.facts.variables.iter().any(|name| lexing.contains(&&**name)) {
                self.effects |= Effects::UNTRACKED_STATE;
                self.doubt("several statements, and a SET that changes how they are read");
                self.facts.effects |= self.effects;
            }
        }
    }

    /// One statement; the cursor is before its first word.
    pub(super) fn statement(&mut self) {
        use Kw::*;
        let Some(item) = self.cur.peek() else { return };
        if item.kind == TokenKind::Operator && self.cur.text(item) == b"(" {
            return self.query(Verb::Select);
        }
        match item.kw {
            SELECT => return self.query(Verb::Select),
            WITH => return self.query(Verb::With),
            VALUES => return self.query(Verb::Values),
            TABLE => return self.query(Verb::Table),
            _ => {}
        }
        self.cur.next();
        match item.kw {
            INSERT | REPLACE | UPDATE | DELETE => {
                self.verb = match item.kw {
                    INSERT => Verb::Insert,
                    REPLACE => Verb::Replace,
                    UPDATE => Verb::Update,
                    _ => Verb::Delete,
                };
                self.dml_statement(item.kw);
                self.body();
            }
            SET => self.set_statement(),
            SHOW => self.show(),
            EXPLAIN | DESCRIBE | DESC => self.explain(),
            USE => self.use_schema(),
            CALL => self.call_statement(),
            DO => self.do_statement(),
            LOAD => self.load(),
            HANDLER => self.handler(),
            BEGIN | START | COMMIT | ROLLBACK | SAVEPOINT | RELEASE | XA => self.transaction(item.kw),
            LOCK | UNLOCK | BACKUP => self.lock_statement(item.kw),
            PREPARE | EXECUTE | DEALLOCATE => self.prepare_statement(item.kw),
            CREATE | ALTER | DROP | RENAME | TRUNCATE | GRANT | REVOKE | IMPORT => self.definition(item.kw),
            ANALYZE if self.is_analyze_statement() => self.analyze_statement(),
            ANALYZE | CHECK | CHECKSUM | OPTIMIZE | REPAIR => self.maintenance(item.kw),
            GET | SIGNAL | RESIGNAL => self.diagnostics(item.kw),
            HELP => {
                self.effects |= Effects::READ | Effects::METADATA;
                self.any_name();
                self.over("a HELP that is not understood");
            }
            IF | CASE | LOOP | WHILE | REPEAT | FOR | DECLARE => self.block(),
            FLUSH | KILL | RESET | PURGE | CHANGE | STOP | INSTALL | UNINSTALL | CLONE | SHUTDOWN | RESTART
            | BINLOG | CACHE => self.administration(item.kw),
            _ => self.unknown(),
        }
    }

    /// A statement whose first word is not known may leave anything behind.
    pub(super) fn unknown(&mut self) {
        self.effects |= Effects::UNTRACKED_STATE;
        self.doubt("an unknown statement");
        self.skip();
    }

    fn query(&mut self, verb: Verb) {
        self.verb = verb;
        self.effects |= Effects::READ;
        self.begin(Place::Open, Access::Read);
        self.body();
        if self.queries == 0 && !self.dml {
            self.doubt("no query where one should be");
        }
    }

    /// `EXPLAIN …` and its synonyms, behind the first word.
    fn explain(&mut self) {
        use Kw::*;
        self.verb = Verb::Explain;
        self.nested += 1;
        if self.cur.take(ANALYZE) {
            // It runs the statement: it does what that does.
            self.effects |= Effects::MYSQL_ONLY;
            self.explain_format();
            return self.explained(false);
        }
        let _ = self.cur.take(EXTENDED) || self.cur.take(PARTITIONS);
        self.explain_format();
        if self.cur.take(INTO) {
            self.effects |= Effects::SET_USER_VARIABLE | Effects::MYSQL_ONLY;
            self.cur.next();
        }
        if self.cur.take(FOR) {
            if self.cur.take(CONNECTION) {
                self.effects |= Effects::READ | Effects::EXPLAIN | Effects::SERVER_BOUND;
                return self.skip();
            }
            let schema = self.cur.take(SCHEMA) || self.cur.take(DATABASE);
            self.effects |= Effects::MYSQL_ONLY;
            if !(schema && self.any_name()) {
                self.doubt("an EXPLAIN FOR that is not understood");
            }
            return self.explained(true);
        }
        match self.cur.kw_at(0) {
            SELECT | WITH | VALUES | TABLE | INSERT | REPLACE | UPDATE | DELETE => self.explained(true),
            _ if self.cur.is_op_at(0, b"(") => self.explained(true),
            _ => self.describe(),
        }
    }

    /// `FORMAT = name`.
    fn explain_format(&mut self) {
        if self.cur.kw_at(0) == Kw::FORMAT && self.cur.is_op_at(1, b"=") {
            self.cur.next();
            self.cur.next();
            if !self.any_name() {
                self.doubt("an unknown EXPLAIN format");
            }
        }
    }

    /// The statement that is explained; `only` if it does not run.
    fn explained(&mut self, only: bool) {
        let verb = self.verb;
        let query = match self.cur.kw_at(0) {
            Kw::SELECT | Kw::WITH | Kw::VALUES | Kw::TABLE => true,
            Kw::INSERT | Kw::REPLACE | Kw::UPDATE | Kw::DELETE => false,
            _ if self.cur.is_op_at(0, b"(") => true,
            _ => {
                self.doubt("an EXPLAIN of something that cannot be explained");
                return self.skip();
            }
        };
        self.explain = match (only, query) {
            (false, _) => Explain::Runs,
            (true, true) => Explain::Query,
            (true, false) => Explain::Write,
        };
        self.statement();
        if only && self.dml {
            self.explain = Explain::Write;
        }
        self.verb = verb;
    }

    /// `DESCRIBE table [column]`.
    fn describe(&mut self) {
        self.describes = true;
        self.effects |= Effects::READ | Effects::METADATA;
        match self.name() {
            Some(name) => self.add_use(name, None, Access::Read),
            None => self.doubt("a DESCRIBE without a table"),
        }
        self.any_name();
        self.over("a DESCRIBE that is not understood");
    }

    /// MariaDB's `ANALYZE [FORMAT=JSON] statement`, as opposed to `ANALYZE TABLE`.
    fn is_analyze_statement(&mut self) -> bool {
        use Kw::*;
        matches!(self.cur.kw_at(0), FORMAT | SELECT | WITH | VALUES | INSERT | REPLACE | UPDATE | DELETE)
            || self.cur.is_op_at(0, b"(")
    }

    fn analyze_statement(&mut self) {
        self.verb = Verb::Analyze;
        self.nested += 1;
        self.effects |= Effects::MARIADB_ONLY;
        self.explain_format();
        self.explained(false);
    }

    fn use_schema(&mut self) {
        self.verb = Verb::Use;
        self.effects |= Effects::SET_SCHEMA;
        if !self.cur.peek().is_some_and(|item| item.is_name()) {
            self.doubt("a USE without a name");
        }
        self.cur.next();
        self.over("a USE that is not understood");
    }

    /// A statement inside another, behind `SET STATEMENT … FOR`.
    pub(super) fn inner_statement(&mut self) {
        self.nested += 1;
        if self.nested > MAX_NESTED {
            self.doubt("statements inside statements");
            return self.skip();
        }
        let verb = self.verb;
        self.statement();
        self.verb = verb;
    }
}
