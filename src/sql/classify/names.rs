//! Reads names where the walk in [`super::scan`] meets them: tables, common table expressions, functions and sequences.
//!
//! It notes each table reference, and turns the references into the statement's list of tables when the statement ends.
//! It counts tables, expressions and functions, and leaves a doubt where there are too many. It does not resolve names:
//! it knows no schema, so it takes a view for a table, and a function is known only if it is in [`super::functions`].

use super::super::effects::{Access, Effects, TableUse};
use super::super::lexer::TokenKind;
use super::cursor::Item;
use super::functions;
use super::named::{Cte, Name, Use};
use super::scan::{Func, Place, Scan, With};
use super::words::Kw;

/// Table references beyond this many leave a statement unproven.
const MAX_REFERENCES: usize = 16 * 1024;
/// So do distinct tables, common table expressions, and unknown functions.
const MAX_TABLES: usize = 1024;
const MAX_CTES: usize = 256;
const MAX_FUNCTIONS: usize = 64;

impl Scan<'_> {
    /// A name's text without its quotes.
    pub(super) fn unquoted(&self, item: Item) -> Box<str> {
        let text = self.cur.text(item);
        let (TokenKind::QuotedIdent, [quote, inner @ .., _]) = (item.kind, text) else {
            return String::from_utf8_lossy(text).into();
        };
        let inner = String::from_utf8_lossy(inner);
        let quote = char::from(*quote);
        inner.replace(&format!("{quote}{quote}"), &quote.to_string()).into()
    }

    /// Reads `name` or `schema.name` at the cursor.
    pub(super) fn name(&mut self) -> Option<Name> {
        let item = self.cur.peek().filter(|item| item.is_name() && !is_reserved(item.kw))?;
        self.cur.next();
        Some(self.name_from(item))
    }

    /// Reads on after a name's first part.
    pub(super) fn name_from(&mut self, first: Item) -> Name {
        let first = self.unquoted(first);
        let qualified = self.cur.is_op_at(0, b".") && self.cur.peek_at(1).is_some_and(|item| item.is_name());
        if !qualified {
            return Name { schema: None, name: first };
        }
        self.cur.next();
        let second = self.cur.next().map(|item| self.unquoted(item)).unwrap_or_default();
        if self.cur.is_op_at(0, b".") && !self.cur.is_op_at(1, b"*") {
            self.doubt("a table name of three parts");
        }
        Name { schema: Some(first), name: second }
    }

    /// Reads a name at the cursor and notes it as a table; a doubt if there is none.
    pub(super) fn table(&mut self, access: Access) {
        match self.name() {
            Some(name) => self.add_use(name, None, access),
            None => self.doubt("a table is missing"),
        }
    }

    /// Reads a list of table names; `after` reads what may stand behind each.
    pub(super) fn table_list(&mut self, access: Access) {
        loop {
            self.table(access);
            if !self.cur.take_op(b",") {
                return;
            }
        }
    }

    pub(super) fn add_use(&mut self, name: Name, alias: Option<Box<str>>, access: Access) {
        self.references += 1;
        if self.references > MAX_REFERENCES {
            return self.doubt("too many table references");
        }
        let outermost = self.is_outermost();
        self.uses.push(Use { name, alias, access, outermost });
    }

    /// A table reference in a query or a DML statement, whose first token is `item`.
    pub(super) fn table_factor(&mut self, item: Item) {
        if item.kw == Kw::LATERAL && self.cur.is_op_at(0, b"(") {
            return;
        }
        if item.kw == Kw::JSON_TABLE && self.cur.is_op_at(0, b"(") {
            self.cur.next();
            return self.open(Func::JsonTable);
        }
        if is_reserved(item.kw) {
            self.doubt("a table is missing");
            self.frame().place = Place::AfterTable;
            return;
        }
        let access = self.frame().access;
        let name = self.name_from(item);
        if self.cur.is_op_at(0, b"(") {
            self.doubt("a function where a table should be");
        }
        self.frame().place = Place::AfterTable;
        let dual = item.kw == Kw::DUAL && name.schema.is_none();
        let cte = name.schema.is_none() && self.ctes.iter().any(|cte| cte.name.eq_ignore_ascii_case(&name.name));
        if !dual && !cte {
            let alias = if self.wants_alias { self.alias() } else { None };
            self.add_use(name, alias, access);
        }
    }

    /// The alias at the cursor, which stays.
    fn alias(&mut self) -> Option<Box<str>> {
        let at = usize::from(self.cur.kw_at(0) == Kw::AS);
        let item = self.cur.peek_at(at)?;
        let plain = item.is_name() && !is_reserved(item.kw) && item.kw != Kw::LATERAL;
        let join = matches!(item.kw, Kw::PARTITION | Kw::WINDOW | Kw::RETURNING | Kw::LIMIT);
        (plain && !join).then(|| self.unquoted(item))
    }

    /// The name of a common table expression.
    pub(super) fn cte_name(&mut self, item: Item) {
        if is_reserved(item.kw) || self.cte_names.len() >= MAX_CTES {
            return self.doubt("a WITH clause without a name");
        }
        let name = self.unquoted(item);
        let frame = self.frame();
        frame.with = With::Named;
        if frame.recursive {
            self.add_cte(name.clone());
        }
        self.cte_names.push(name);
    }

    pub(super) fn add_cte(&mut self, name: Box<str>) {
        if self.ctes.len() >= MAX_CTES {
            return self.doubt("too many common table expressions");
        }
        self.ctes.push(Cte { name });
    }

    /// A name before an opening parenthesis, in a place where a call may stand.
    pub(super) fn call(&mut self, item: Item) {
        let place = self.frame().place;
        let alias = self.kw_before() == Kw::AS || (place == Place::AfterTable && self.op_before(b")"));
        if alias {
            return; // `AS d (a, b)`, `CAST(x AS DATETIME(6))`: what is in the parentheses are names and numbers
        }
        let text = self.cur.text(item);
        let mut func = Func::Any;
        if self.op_before(b".") {
            let schema = self.before[1].map(|schema| self.unquoted(schema)).unwrap_or_default();
            let name = format!("{schema}.{}", self.unquoted(item));
            self.unknown_function(&name);
        } else if item.kind == TokenKind::QuotedIdent {
            self.unknown_function(&self.unquoted(item));
        } else {
            match functions::lookup(text) {
                Some(known) => {
                    let spaced = self.cur.peek().is_some_and(|next| next.start != item.end);
                    if known.tight && spaced {
                        self.unknown_function(&self.unquoted(item));
                    }
                    let set = text.eq_ignore_ascii_case(b"last_insert_id") && !self.cur.is_op_at(1, b")");
                    self.effects |= if set { Effects::SETS_INSERT_ID } else { known.effects };
                    func = self.known_function(text);
                }
                None => self.unknown_function(&self.unquoted(item)),
            }
        }
        self.cur.next();
        self.settle();
        self.open(func);
    }

    /// What is special about some built-ins; the cursor is before the parenthesis.
    fn known_function(&mut self, name: &[u8]) -> Func {
        let is = |known: &[&str]| known.iter().any(|known| name.eq_ignore_ascii_case(known.as_bytes()));
        if is(&["SUBSTRING", "SUBSTR", "MID"]) {
            return Func::Substring;
        }
        if is(&["NEXTVAL", "SETVAL", "LASTVAL"]) {
            let access = if is(&["LASTVAL"]) { Access::Read } else { Access::Write };
            if let Some(first) = self.cur.peek_at(1).filter(Item::is_name) {
                let mut name = Name { schema: None, name: self.unquoted(first) };
                if let (true, Some(second)) = (self.cur.is_op_at(2, b"."), self.cur.peek_at(3).filter(Item::is_name)) {
                    name = Name { schema: Some(name.name), name: self.unquoted(second) };
                }
                self.add_use(name, None, access);
            }
        }
        Func::Any
    }

    pub(super) fn unknown_function(&mut self, name: &str) {
        self.effects |= Effects::UNKNOWN_FUNCTION;
        let name = name.to_lowercase();
        if self.facts.functions.iter().any(|known| **known == *name) {
            return;
        }
        if self.facts.functions.len() >= MAX_FUNCTIONS {
            return self.doubt("too many unknown functions");
        }
        self.facts.functions.push(name.into());
    }

    /// The statement ends: its references become tables.
    pub(super) fn settle_tables(&mut self) {
        let mut uses = std::mem::take(&mut self.uses);
        for target in std::mem::take(&mut self.targets) {
            let same = |text: &str, other: &str| text.eq_ignore_ascii_case(other);
            let mut found = false;
            for used in uses.iter_mut().filter(|used| used.outermost) {
                let named = used.alias.as_deref().unwrap_or(&used.name.name);
                let schema = match (&target.schema, &used.name.schema) {
                    (Some(a), Some(b)) => same(a, b),
                    _ => true,
                };
                if same(named, &target.name) && schema {
                    used.access = Access::Write;
                    found = true;
                }
            }
            if !found {
                uses.push(Use { name: target, alias: None, access: Access::Write, outermost: true });
            }
        }
        for used in uses {
            let access = if self.effects.contains(Effects::LOCK_ROWS) { Access::Write } else { used.access };
            if used.access == Access::Read && !self.describes {
                self.effects |= Effects::READ_TABLE;
                self.effects |= system_table_effects(&used.name);
            }
            self.add_table(used.name, access);
        }
    }

    fn add_table(&mut self, name: Name, access: Access) {
        let table = TableUse { schema: name.schema, name: name.name, access };
        if self.facts.tables.contains(&table) {
            return;
        }
        if self.facts.tables.len() >= MAX_TABLES {
            return self.doubt("too many tables");
        }
        self.facts.tables.push(table);
    }
}

/// Tables that describe the server itself are not the same on another one.
fn system_table_effects(name: &Name) -> Effects {
    let Some(schema) = name.schema.as_deref() else { return Effects::empty() };
    if ["performance_schema", "sys", "mysql"].iter().any(|system| schema.eq_ignore_ascii_case(system)) {
        return Effects::SERVER_BOUND;
    }
    if !schema.eq_ignore_ascii_case("information_schema") {
        return Effects::empty();
    }
    const DEFINITIONS: &str = "applicable_roles character_sets check_constraints collations
        collation_character_set_applicability columns columns_extensions column_privileges column_statistics events
        key_column_usage keywords parameters partitions referential_constraints routines schemata schemata_extensions
        schema_privileges sql_functions statistics st_geometry_columns st_spatial_reference_systems st_units_of_measure
        tables tables_extensions table_constraints table_constraints_extensions table_privileges triggers views
        view_routine_usage view_table_usage geometry_columns spatial_ref_sys sequences";
    if DEFINITIONS.split_ascii_whitespace().any(|known| name.name.eq_ignore_ascii_case(known)) {
        Effects::METADATA
    } else {
        Effects::METADATA | Effects::SERVER_BOUND
    }
}

/// Words that no server takes for a name without quotes.
pub(super) fn is_reserved(kw: Kw) -> bool {
    use Kw::*;
    matches!(
        kw,
        ADD | ALL
            | ALTER
            | ANALYZE
            | AND
            | AS
            | BETWEEN
            | BIGINT
            | BINARY
            | BLOB
            | BY
            | CALL
            | CASE
            | CHANGE
            | CHAR
            | CHARACTER
            | CHECK
            | COLUMN
            | CREATE
            | CROSS
            | DATABASE
            | DATABASES
            | DEC
            | DECIMAL
            | DECLARE
            | DEFAULT
            | DELAYED
            | DELETE
            | DESC
            | DESCRIBE
            | DISTINCT
            | DISTINCTROW
            | DIV
            | DOUBLE
            | DROP
            | ELSE
            | EXISTS
            | EXPLAIN
            | FETCH
            | FLOAT
            | FOR
            | FORCE
            | FROM
            | GRANT
            | GROUP
            | HAVING
            | HIGH_PRIORITY
            | IF
            | IGNORE
            | IN
            | INDEX
            | INFILE
            | INNER
            | INSERT
            | INT
            | INTEGER
            | INTERVAL
            | INTO
            | IS
            | JOIN
            | KEY
            | KEYS
            | KILL
            | LEFT
            | LIKE
            | LIMIT
            | LOAD
            | LOCK
            | LOOP
            | LOW_PRIORITY
            | MATCH
            | MEDIUMINT
            | MOD
            | NATURAL
            | NOT
            | NO_WRITE_TO_BINLOG
            | NULL
            | NUMERIC
            | ON
            | OPTIMIZE
            | OPTION
            | OR
            | ORDER
            | OUTER
            | OUTFILE
            | PROCEDURE
            | PURGE
            | READ
            | REAL
            | REFERENCES
            | REGEXP
            | RELEASE
            | RENAME
            | REPEAT
            | REPLACE
            | REQUIRE
            | RESTRICT
            | RETURN
            | REVOKE
            | RIGHT
            | RLIKE
            | SCHEMA
            | SCHEMAS
            | SELECT
            | SET
            | SHOW
            | SMALLINT
            | SPATIAL
            | SQL_BIG_RESULT
            | SQL_CALC_FOUND_ROWS
            | SQL_SMALL_RESULT
            | STRAIGHT_JOIN
            | TABLE
            | THEN
            | TINYINT
            | TO
            | TRIGGER
            | UNION
            | UNIQUE
            | UNLOCK
            | UNSIGNED
            | UPDATE
            | USE
            | USING
            | VALUES
            | VARBINARY
            | VARCHAR
            | WHEN
            | WHERE
            | WHILE
            | WITH
            | WRITE
            | XOR
    )
}
