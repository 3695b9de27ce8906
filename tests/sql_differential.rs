//! The classifier's tables against two other opinions: a generator that knows which tables it wrote, and `sqlparser`
//! where it can parse what was written. (It is a witness only: it fails on a third of the grammar, see the design.)

use sqlparser::ast::{
    Expr, FunctionArg, FunctionArgExpr, FunctionArguments, JoinConstraint, JoinOperator, Query, Select, SelectItem,
    SetExpr, Statement, TableFactor, TableWithJoins,
};
use sqlparser::dialect::MySqlDialect;
use sqlparser::parser::Parser;
use std::collections::BTreeSet;
use switchboard::sql::LexMode;
use switchboard::sql::classify::classify;

#[path = "common/fuzz.rs"]
mod fuzz;
#[path = "common/statements.rs"]
mod statements;
use fuzz::random::Random;

type Names = BTreeSet<String>;

/// The tables that the classifier finds, as `schema.name`.
fn found(sql: &str) -> Names {
    let facts = classify(sql.as_bytes(), LexMode::default());
    let name = |schema: Option<&str>, name: &str| schema.map(|s| format!("{s}.")).unwrap_or_default() + name;
    facts.tables.iter().map(|table| name(table.schema.as_deref(), &table.name)).collect()
}

/// Walks what `sqlparser` made of a query.
#[derive(Default)]
struct Walk {
    tables: Names,
    /// Names of common table expressions; all of them, for the statements here use each name once.
    ctes: Names,
    /// It holds something that this walk does not follow.
    lost: bool,
}

impl Walk {
    fn query(&mut self, query: &Query) {
        if let Some(with) = &query.with {
            for cte in &with.cte_tables {
                self.ctes.insert(cte.alias.name.value.clone());
            }
            with.cte_tables.iter().for_each(|cte| self.query(&cte.query));
        }
        self.body(&query.body);
    }

    fn body(&mut self, body: &SetExpr) {
        match body {
            SetExpr::Select(select) => self.select(select),
            SetExpr::Query(query) => self.query(query),
            SetExpr::SetOperation { left, right, .. } => {
                self.body(left);
                self.body(right);
            }
            _ => self.lost = true,
        }
    }

    fn select(&mut self, select: &Select) {
        for item in &select.projection {
            match item {
                SelectItem::UnnamedExpr(expr) | SelectItem::ExprWithAlias { expr, .. } => self.expr(expr),
                SelectItem::Wildcard(_) | SelectItem::QualifiedWildcard(..) => {}
                _ => self.lost = true,
            }
        }
        select.from.iter().for_each(|from| self.joined(from));
        select.selection.iter().for_each(|expr| self.expr(expr));
        select.having.iter().for_each(|expr| self.expr(expr));
    }

    fn joined(&mut self, table: &TableWithJoins) {
        self.factor(&table.relation);
        for join in &table.joins {
            self.factor(&join.relation);
            match &join.join_operator {
                JoinOperator::Join(on)
                | JoinOperator::LeftOuter(on)
                | JoinOperator::Left(on)
                | JoinOperator::CrossJoin(on) => {
                    if let JoinConstraint::On(expr) = on {
                        self.expr(expr);
                    }
                }
                _ => self.lost = true,
            }
        }
    }

    fn factor(&mut self, factor: &TableFactor) {
        match factor {
            TableFactor::Table { name, args: None, .. } => {
                let parts: Vec<String> =
                    name.0.iter().filter_map(|part| part.as_ident()).map(|ident| ident.value.clone()).collect();
                self.tables.insert(parts.join("."));
            }
            TableFactor::Derived { subquery, .. } => self.query(subquery),
            TableFactor::NestedJoin { table_with_joins, .. } => self.joined(table_with_joins),
            _ => self.lost = true,
        }
    }

    fn expr(&mut self, expr: &Expr) {
        match expr {
            Expr::Identifier(_) | Expr::CompoundIdentifier(_) | Expr::Value(_) => {}
            Expr::BinaryOp { left, right, .. } => {
                self.expr(left);
                self.expr(right);
            }
            Expr::UnaryOp { expr, .. } | Expr::Nested(expr) | Expr::IsNull(expr) | Expr::IsNotNull(expr) => {
                self.expr(expr)
            }
            Expr::InList { expr, list, .. } => {
                self.expr(expr);
                list.iter().for_each(|expr| self.expr(expr));
            }
            Expr::Between { expr, low, high, .. } => [expr, low, high].into_iter().for_each(|expr| self.expr(expr)),
            Expr::InSubquery { expr, subquery, .. } => {
                self.expr(expr);
                self.query(subquery);
            }
            Expr::Exists { subquery, .. } | Expr::Subquery(subquery) => self.query(subquery),
            Expr::Function(function) => match &function.args {
                FunctionArguments::List(list) => {
                    for arg in &list.args {
                        match arg {
                            FunctionArg::Unnamed(FunctionArgExpr::Expr(expr)) => self.expr(expr),
                            FunctionArg::Unnamed(FunctionArgExpr::Wildcard) => {}
                            _ => self.lost = true,
                        }
                    }
                }
                FunctionArguments::None => {}
                FunctionArguments::Subquery(query) => self.query(query),
            },
            _ => self.lost = true,
        }
    }
}

/// The tables that `sqlparser` finds in a plain query; none if it cannot parse it, or this test cannot follow.
fn parsed(sql: &str) -> Option<Names> {
    let statements = Parser::parse_sql(&MySqlDialect {}, sql).ok()?;
    let [Statement::Query(query)] = &statements[..] else { return None };
    let mut walk = Walk::default();
    walk.query(query);
    let Walk { tables, ctes, lost } = walk;
    let dual = |name: &String| !name.eq_ignore_ascii_case("dual");
    (!lost).then(|| tables.difference(&ctes).filter(|name| dual(name)).cloned().collect())
}

/// Writes queries, and keeps account of the tables in them.
struct Writer {
    rng: Random,
    tables: Names,
    /// Names of common table expressions that are in scope.
    ctes: Vec<String>,
    /// Names are used once.
    count: usize,
}

impl Writer {
    fn name(&mut self, prefix: &str) -> String {
        self.count += 1;
        format!("{prefix}{}", self.count)
    }

    fn one_of(&mut self, texts: &[&str]) -> String {
        (*self.rng.pick(texts)).to_owned()
    }

    fn query(&mut self, depth: usize) -> String {
        let known = self.ctes.len();
        let mut sql = String::new();
        if depth > 0 && self.rng.one_in(5) {
            let mut ctes = Vec::new();
            for _ in 0..=self.rng.below(2) {
                let name = self.name("cte");
                let columns = self.one_of(&["", "", " (x, y)"]);
                let body = self.query(depth - 1);
                ctes.push(format!("{name}{columns} AS ({body})"));
                self.ctes.push(name);
            }
            sql = format!("WITH {} ", ctes.join(", "));
        }
        sql.push_str(&self.select(depth));
        while depth > 0 && self.rng.one_in(5) {
            let operator = self.one_of(&[" UNION ", " UNION ALL ", " EXCEPT ", " INTERSECT "]);
            let right = self.select(depth - 1);
            let right = if self.rng.one_in(2) { format!("({right})") } else { right };
            sql = format!("{sql}{operator}{right}");
        }
        self.ctes.truncate(known);
        sql
    }

    fn select(&mut self, depth: usize) -> String {
        let options = self.one_of(&["", "", "DISTINCT "]);
        let list =
            if self.rng.one_in(3) { "*".to_owned() } else { format!("{}, {}", self.expr(depth), self.expr(depth)) };
        let mut sql = format!("SELECT {options}{list}");
        if self.rng.one_in(12) {
            return sql;
        }
        sql.push_str(" FROM ");
        sql.push_str(&self.from(depth));
        if self.rng.one_in(2) {
            sql = format!("{sql} WHERE {}", self.condition(depth));
        }
        if self.rng.one_in(5) {
            sql = format!("{sql} GROUP BY a, b HAVING {}", self.condition(depth));
        }
        sql
    }

    fn from(&mut self, depth: usize) -> String {
        let mut sql = self.factor(depth);
        for _ in 0..self.rng.below(3) {
            let factor = self.factor(depth);
            sql = match self.rng.below(4) {
                0 => format!("{sql}, {factor}"),
                1 => format!("{sql} JOIN {factor} ON {}", self.condition(depth.saturating_sub(1))),
                2 => format!("{sql} LEFT JOIN {factor} USING (a, b)"),
                _ => format!("{sql} CROSS JOIN {factor}"),
            };
        }
        sql
    }

    fn factor(&mut self, depth: usize) -> String {
        let choice = self.rng.below(10);
        if choice == 0 && depth > 0 {
            return format!("({}) AS d{}", self.query(depth - 1), self.rng.below(9));
        }
        if choice == 1 && depth > 0 {
            let (left, right) = (self.factor(0), self.factor(depth - 1));
            return format!("({left} JOIN {right})");
        }
        let mut name = if choice == 2 && !self.ctes.is_empty() {
            let ctes = self.ctes.clone();
            self.rng.pick(&ctes).clone()
        } else {
            let schema = self.one_of(&["", "", "db1.", "`db 2`."]);
            // Behind a quoted name, `.2024` is a number to the servers.
            let digits = if schema.starts_with('`') { "`2024_calls`" } else { "2024_calls" };
            let table = self.one_of(&["t", "u", "`order`", "call_records", "`a b`", "status", digits]);
            self.tables.insert(format!("{schema}{table}").replace('`', ""));
            format!("{schema}{table}")
        };
        name.push_str(&self.one_of(&["", " AS x", " y", " `z`"]));
        name
    }

    fn expr(&mut self, depth: usize) -> String {
        match self.rng.below(if depth > 0 { 9 } else { 6 }) {
            0 => "a".to_owned(),
            1 => "t.b".to_owned(),
            2 => "'FROM x'".to_owned(),
            3 => "5".to_owned(),
            4 => "`from`".to_owned(),
            5 => "NULL".to_owned(),
            6 => format!("CONCAT({}, {})", self.expr(depth - 1), self.expr(depth - 1)),
            7 => format!("({})", self.query(depth - 1)),
            _ => format!("COALESCE(({}), {} + 1)", self.query(depth - 1), self.expr(depth - 1)),
        }
    }

    fn condition(&mut self, depth: usize) -> String {
        match self.rng.below(if depth > 0 { 8 } else { 4 }) {
            0 => format!("a = {}", self.expr(0)),
            1 => "a BETWEEN 1 AND 5".to_owned(),
            2 => "a IN (1, 2, 3)".to_owned(),
            3 => "(a > 1 OR b IS NOT NULL)".to_owned(),
            4 => format!("a IN ({})", self.query(depth - 1)),
            5 => format!("EXISTS ({})", self.query(depth - 1)),
            6 => format!("NOT ({})", self.condition(depth - 1)),
            _ => format!("{} AND {}", self.condition(depth - 1), self.condition(depth - 1)),
        }
    }
}

#[test]
fn written_queries() {
    let mut parsed_too = 0;
    for seed in 0..3000 {
        let mut writer = Writer { rng: Random::new(seed), tables: Names::new(), ctes: Vec::new(), count: 0 };
        let sql = writer.query(3);
        let facts = classify(sql.as_bytes(), LexMode::default());
        assert!(facts.reader_safe(), "{} of {sql}", facts.unproven);
        assert_eq!(found(&sql), writer.tables, "of {sql}");
        if sql.len() < 4000
            && let Some(others) = parsed(&sql)
        {
            parsed_too += 1;
            assert_eq!(others, writer.tables, "sqlparser, of {sql}");
        }
    }
    assert!(parsed_too > 1000, "sqlparser was asked about {parsed_too} queries only");
}

#[test]
fn queries_of_the_manuals() {
    let mut asked = 0;
    for (file, text) in statements::CORPORA {
        for row in statements::rows(text).filter(|row| row.safe) {
            // It does not see what is in `/*M! */`, nor a word that begins in a number's last digit; and this walk does not
            // know the scopes of a WITH.
            if row.effects.contains("executable_comment") || row.sql.contains("5FROM") || row.sql.contains("WITH ") {
                continue;
            }
            if let Some(others) = parsed(&row.sql) {
                asked += 1;
                assert_eq!(others, found(&row.sql), "{file}:{}: {}", row.line, row.sql);
            }
        }
    }
    assert!(asked > 60, "sqlparser could parse {asked} queries only");
}
