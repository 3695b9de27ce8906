//! What each word and clause does where the walk in [`super::scan`] meets it, within queries and statements that change
//! rows.
//!
//! A word opens a query, leads to a table name, locks rows, or is a name, a call or a variable; this file tells which
//! and updates the walk. It does not read the first words of statements (see [`super::statement`]), and hands names on
//! to [`super::names`].

use super::super::effects::{Access, Effects, Verb};
use super::super::lexer::TokenKind;
use super::cursor::Item;
use super::scan::{Func, Place, Scan, With};
use super::words::Kw;

impl Scan<'_> {
    /// A word or a quoted name.
    pub(super) fn word(&mut self, item: Item) {
        if self.with_clause(item) {
            return;
        }
        match self.frame().place {
            Place::Skim => self.skim(item),
            Place::OpenTables if matches!(item.kw, Kw::SELECT | Kw::WITH | Kw::VALUES | Kw::TABLE) => {
                self.keyword(item)
            }
            Place::Table | Place::OpenTables => self.table_factor(item),
            _ if item.kw == Kw::Name => self.plain(item),
            _ => self.keyword(item),
        }
    }

    /// True if the word belonged to a WITH clause.
    fn with_clause(&mut self, item: Item) -> bool {
        let outermost = self.is_outermost();
        let frame = self.frame();
        match (frame.with, item.kw) {
            (With::None, _) => return false,
            (With::Name, _) => self.cte_name(item),
            (With::Named, Kw::AS) => frame.with = With::Body,
            (With::After, Kw::CYCLE) => frame.with = With::Cycle,
            (With::Cycle, Kw::RESTRICT) => frame.with = With::After,
            (With::Cycle, _) => {}
            (With::After, Kw::SELECT | Kw::VALUES | Kw::TABLE) => {
                frame.with = With::None;
                return false;
            }
            (With::After, Kw::INSERT | Kw::REPLACE | Kw::UPDATE | Kw::DELETE) if outermost => {
                frame.with = With::None;
                self.effects -= Effects::READ;
                self.dml_statement(item.kw);
            }
            _ => {
                frame.with = With::None;
                self.doubt("a WITH clause that is not followed by a query");
            }
        }
        true
    }

    /// A name that is no known word: a column, an alias, or a call.
    fn plain(&mut self, item: Item) {
        if self.cur.is_op_at(0, b"(") {
            return self.call(item);
        }
        if item.kind == TokenKind::Word && self.op_before(b".") {
            // Under sql_mode=ORACLE these are calls to a sequence.
            let text = self.cur.text(item);
            if text.eq_ignore_ascii_case(b"nextval") || text.eq_ignore_ascii_case(b"currval") {
                self.doubt("a column that may be a sequence");
            }
        }
        self.settle();
    }

    fn keyword(&mut self, item: Item) {
        use Kw::*;
        match item.kw {
            SELECT => self.select(),
            WITH => self.with(),
            VALUES => self.values(),
            TABLE => self.table_query(),
            UNION => self.set_operation(),
            EXCEPT | INTERSECT | MINUS if self.is_set_operation() => self.set_operation(),
            FROM => self.from(),
            JOIN => self.join(),
            STRAIGHT_JOIN if self.frame().place == Place::AfterTable => self.join(),
            WINDOW if self.cur.kw_at(1) != AS => self.other(item),
            WHERE | HAVING | GROUP | ORDER | LIMIT | WINDOW => self.leave_tables(),
            FETCH => {
                self.effects |= Effects::MARIADB_ONLY;
                self.leave_tables();
            }
            INTO => self.into(),
            FOR => self.for_clause(),
            LOCK => self.lock_clause(),
            SET => self.set_clause(),
            UPDATE if self.dml && self.kw_before() == KEY => {}
            UPDATE | DELETE => self.doubt("a word of DML inside a query"),
            INSERT | REPLACE if !self.cur.is_op_at(0, b"(") => self.doubt("a word of DML inside a query"),
            RETURNING if self.is_outermost() && self.dml => {
                self.effects |= Effects::READ | Effects::MARIADB_ONLY;
                self.leave_tables();
            }
            SQL_CALC_FOUND_ROWS => self.effects |= Effects::LEAVES_FOUND_ROWS,
            NEXT | PREVIOUS if self.cur.kw_at(0) == VALUE && self.cur.kw_at(1) == FOR => self.sequence(item.kw),
            EXAMINED if self.kw_before() == ROWS => self.effects |= Effects::MARIADB_ONLY,
            MEMBER if self.cur.kw_at(0) == OF => self.effects |= Effects::MYSQL_ONLY,
            word if belongs_elsewhere(word) => self.doubt("a word that does not belong here"),
            _ => self.other(item),
        }
    }

    /// A word that changes nothing; before a parenthesis it groups, or it is a function's name.
    fn other(&mut self, item: Item) {
        if self.cur.is_op_at(0, b"(") && !self.groups(item.kw) {
            self.call(item);
        } else {
            self.settle();
        }
    }

    /// True if parentheses behind this word are no arguments of a function.
    fn groups(&self, kw: Kw) -> bool {
        use Kw::*;
        match kw {
            AND | OR | XOR | NOT | IN | IS | EXISTS | ALL | ANY | SOME | DISTINCT | DISTINCTROW | ON | BY | WHEN
            | THEN | ELSE | CASE | LIKE | RLIKE | REGEXP | BETWEEN | DIV | AS | USING | PARTITION | INDEX | KEY
            | KEYS | LINES | ROWS | BINARY | ESCAPE | DO | STRAIGHT_JOIN | HIGH_PRIORITY | SQL_BIG_RESULT
            | SQL_BUFFER_RESULT | SQL_NO_CACHE | SQL_SMALL_RESULT => true,
            // Types, in casts and definitions.
            BIGINT | BIT | BLOB | DEC | DECIMAL | DOUBLE | FIXED | FLOAT | INT | INTEGER | MEDIUMINT | NATIONAL
            | NCHAR | NUMERIC | REAL | SIGNED | SMALLINT | TEXT | TINYINT | UNSIGNED | VARBINARY | VARCHAR
            | DATETIME => true,
            // Words that are names elsewhere.
            AGAINST | OVER => self.op_before(b")"),
            OF => self.kw_before() == MEMBER,
            COLUMNS => self.frames.iter().any(|frame| frame.func == Func::JsonTable),
            _ => false,
        }
    }

    fn select(&mut self) {
        let outermost = self.is_outermost();
        let dml = self.dml;
        let frame = self.frame();
        let begins = matches!(frame.place, Place::Open | Place::OpenTables | Place::Skim);
        let feeds = outermost && dml && frame.place == Place::Expr && !frame.query;
        let feeds_in_parentheses = begins && self.is_source_in_parentheses();
        let frame = self.frame();
        frame.place = Place::Expr;
        frame.query = true;
        frame.access = Access::Read;
        self.queries += 1;
        if feeds || feeds_in_parentheses {
            self.effects |= Effects::FED_BY_QUERY;
        }
        if !(begins || feeds) {
            self.doubt("a SELECT where none should be");
        }
        if self.cur.at_end() || self.cur.is_op_at(0, b")") {
            self.doubt("an empty SELECT");
        }
    }

    /// True for a query that an INSERT takes its rows from, in parentheses: behind the table's name or its columns.
    fn is_source_in_parentheses(&self) -> bool {
        let is_end = |item: Item| item.is_name() && item.kw == Kw::Name || self.cur.text(item) == b")";
        matches!(self.verb, Verb::Insert | Verb::Replace)
            && self.frames.len() == 2
            && self.op_before(b"(")
            && self.before[1].is_some_and(is_end)
    }

    fn with(&mut self) {
        let outermost = self.is_outermost();
        let dml = self.dml;
        let place = self.frame().place;
        let begins = matches!(place, Place::Open | Place::OpenTables | Place::Skim)
            || (outermost && dml && place == Place::Expr && !matches!(self.cur.kw_at(0), Kw::ROLLUP | Kw::QUERY));
        if begins {
            let recursive = self.cur.take(Kw::RECURSIVE);
            let frame = self.frame();
            frame.with = With::Name;
            frame.recursive = recursive;
        }
        // WITH ROLLUP, WITH QUERY EXPANSION, WITH TIES change nothing.
    }

    fn values(&mut self) {
        if !matches!(self.frame().place, Place::Open | Place::OpenTables) {
            return; // the rows of an INSERT, or VALUES(column)
        }
        self.effects |= if self.cur.kw_at(0) == Kw::ROW { Effects::MYSQL_ONLY } else { Effects::MARIADB_ONLY };
        self.frame().place = Place::Expr;
        self.queries += 1;
    }

    fn table_query(&mut self) {
        let feeds = self.is_outermost() && self.dml && self.frame().place == Place::Expr;
        if !feeds && !matches!(self.frame().place, Place::Open | Place::OpenTables) {
            return self.doubt("a TABLE where none should be");
        }
        self.effects |= Effects::MYSQL_ONLY;
        if feeds {
            self.effects |= Effects::FED_BY_QUERY;
        }
        self.queries += 1;
        let frame = self.frame();
        frame.place = Place::Table;
        frame.access = Access::Read;
    }

    /// EXCEPT, INTERSECT and MINUS are names in older versions.
    fn is_set_operation(&mut self) -> bool {
        use Kw::*;
        let query = |kw| matches!(kw, SELECT | VALUES | TABLE | WITH);
        match self.cur.kw_at(0) {
            ALL | DISTINCT => true,
            kw if query(kw) => true,
            _ => self.cur.is_op_at(0, b"(") && (query(self.cur.kw_at(1)) || self.cur.is_op_at(1, b"(")),
        }
    }

    fn set_operation(&mut self) {
        let _ = self.cur.take(Kw::ALL) || self.cur.take(Kw::DISTINCT);
        let frame = self.frame();
        let misplaced = !matches!(frame.place, Place::Expr | Place::AfterTable);
        frame.place = Place::Open;
        frame.query = false;
        if misplaced {
            self.doubt("a UNION without a query before it");
        }
    }

    fn from(&mut self) {
        if self.kw_before() == Kw::DISTINCT {
            return; // IS DISTINCT FROM
        }
        let frame = self.frame();
        match frame.place {
            Place::Expr if frame.query => frame.place = Place::Table,
            _ if frame.period => frame.period = false,
            Place::Open | Place::Expr if frame.func != Func::None => frame.place = Place::Expr,
            _ => self.doubt("a FROM where none should be"),
        }
    }

    fn join(&mut self) {
        let frame = self.frame();
        if frame.place == Place::AfterTable {
            frame.place = Place::Table;
        } else {
            self.doubt("a JOIN without a table before it");
        }
    }

    /// A clause begins that names no tables.
    pub(super) fn leave_tables(&mut self) {
        let frame = self.frame();
        match frame.place {
            Place::Table | Place::OpenTables => {
                frame.place = Place::Expr;
                self.doubt("a table is missing");
            }
            Place::SetItem | Place::SetValue | Place::Skim => {}
            _ => frame.place = Place::Expr,
        }
    }

    fn into(&mut self) {
        self.leave_tables();
        if self.cur.take(Kw::OUTFILE) || self.cur.take(Kw::DUMPFILE) {
            self.effects |= Effects::SERVER_FILE;
            return;
        }
        let mut any = false;
        while self.cur.peek().is_some_and(|item| item.kind == TokenKind::UserVariable) {
            self.cur.next();
            any = true;
            if !(self.cur.is_op_at(0, b",")
                && self.cur.peek_at(1).is_some_and(|item| item.kind == TokenKind::UserVariable))
            {
                break;
            }
            self.cur.next();
        }
        if any {
            self.effects |= Effects::SET_USER_VARIABLE;
        }
        if !any || self.cur.is_op_at(0, b",") {
            self.doubt("INTO something that is no file and no user variable");
        }
    }

    fn for_clause(&mut self) {
        use Kw::*;
        let place = self.frame().place;
        match self.cur.kw_at(0) {
            UPDATE | SHARE => {
                if self.cur.kw_at(0) == SHARE {
                    self.effects |= Effects::MYSQL_ONLY;
                }
                self.cur.next();
                self.lock_rows();
                if self.cur.kw_at(0) == OF {
                    self.effects |= Effects::MYSQL_ONLY;
                }
                if self.cur.kw_at(0) == WAIT {
                    self.effects |= Effects::MARIADB_ONLY;
                }
            }
            SYSTEM_TIME if place == Place::AfterTable => {
                self.cur.next();
                self.effects |= Effects::MARIADB_ONLY;
                self.frame().period = true;
            }
            JOIN if matches!(self.kw_before(), INDEX | KEY) => {
                self.cur.next();
            }
            ORDER | GROUP if matches!(self.kw_before(), INDEX | KEY) => {
                self.cur.next();
                self.cur.take(BY);
            }
            _ if place == Place::AfterTable && self.dml && self.is_portion() => {
                self.effects |= Effects::MARIADB_ONLY;
                self.frame().period = true;
            }
            ORDINALITY if self.frames.iter().any(|frame| frame.func == Func::JsonTable) => {}
            _ if self.frame().func == Func::Substring => {}
            _ => self.doubt("a FOR that is not understood"),
        }
    }

    /// `FOR PORTION OF`, behind the FOR.
    fn is_portion(&mut self) -> bool {
        let Some(item) = self.cur.peek() else { return false };
        self.cur.text(item).eq_ignore_ascii_case(b"portion") && self.cur.kw_at(1) == Kw::OF
    }

    fn lock_clause(&mut self) {
        self.lock_rows();
        if self.cur.kw_at(0) != Kw::IN {
            self.doubt("a LOCK that is not understood");
        }
    }

    fn lock_rows(&mut self) {
        self.leave_tables();
        self.effects |= Effects::LOCK_ROWS;
    }

    fn set_clause(&mut self) {
        if self.kw_before() == Kw::CHARACTER {
            return;
        }
        if self.is_outermost() && self.dml {
            self.leave_tables();
        } else {
            self.doubt("a SET where none should be");
        }
    }

    /// `NEXT VALUE FOR s` and `PREVIOUS VALUE FOR s`.
    fn sequence(&mut self, kw: Kw) {
        self.cur.next();
        self.cur.next();
        if kw == Kw::NEXT {
            self.effects |= Effects::WRITE | Effects::SEQUENCE | Effects::MARIADB_ONLY;
            self.table(Access::Write);
        } else {
            self.effects |= Effects::NEEDS_INSERT_ID | Effects::MARIADB_ONLY;
            self.table(Access::Read);
        }
        self.settle();
    }

    /// A word in a definition: what matters is a query, and other tables.
    fn skim(&mut self, item: Item) {
        use Kw::*;
        match item.kw {
            SELECT => self.select(),
            WITH if self.kw_before() == AS => self.with(),
            TABLE if self.kw_before() == WITH => self.table(Access::Write),
            TABLE => self.table(Access::Read),
            REFERENCES => self.table(Access::Read),
            RENAME if self.is_outermost() && !matches!(self.cur.kw_at(0), COLUMN | INDEX | KEY) => {
                self.effects |= Effects::STORED_DEFINITION;
                let _ = self.cur.take(TO) || self.cur.take(AS);
                self.table(Access::Write);
            }
            _ => {}
        }
    }
}

/// Words of other statements: reserved everywhere, so they can be no name.
fn belongs_elsewhere(kw: Kw) -> bool {
    use Kw::*;
    matches!(
        kw,
        ADD | ALTER
            | ANALYZE
            | CALL
            | CHANGE
            | CREATE
            | DECLARE
            | DELAYED
            | DESCRIBE
            | DROP
            | EXPLAIN
            | GRANT
            | INFILE
            | KILL
            | LOAD
            | LOOP
            | LOW_PRIORITY
            | NO_WRITE_TO_BINLOG
            | OPTIMIZE
            | OUTFILE
            | PROCEDURE
            | PURGE
            | RELEASE
            | RENAME
            | REQUIRE
            | RESIGNAL
            | RETURN
            | REVOKE
            | SHOW
            | SIGNAL
            | SQL
            | TRIGGER
            | UNLOCK
            | WHILE
            | WRITE
    )
}
