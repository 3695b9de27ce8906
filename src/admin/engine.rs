//! The SQL engine: SQLite in memory, with ProxySQL's schemas attached, and walls around it.
//!
//! What a role may read and write is settled where SQLite compiles a statement (its authorizer), not by looking at the text.
//! Nobody can reach a file from here, change a definition, or compute for longer than the limit. A result is whole in
//! memory, up to a bound, before its first byte is sent: a client that reads slowly holds no statement open, so it cannot
//! keep another from writing.

use super::functions::{self, Who};
use super::model::variables::only_shown as only_shown_names;
use super::tables::{Table, columns, main, monitor, stats, stats_history};
use super::vault::Vault;
use crate::config::admin::AdminRole;
use rusqlite::hooks::{AuthAction, AuthContext, Authorization};
use rusqlite::limits::Limit;
use rusqlite::types::{Value, ValueRef};
use rusqlite::{Connection, Statement};
use std::collections::BTreeSet;
use std::sync::atomic::{AtomicU8, AtomicU64, Ordering::Relaxed};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

/// A statement that the engine did not run.
#[derive(Debug, thiserror::Error)]
pub enum EngineError {
    /// SQLite's own word.
    #[error("{0}")]
    Sql(String),
    /// It computed for too long.
    #[error("the statement took longer than {0:?} ([admin] statement_timeout) and was given up")]
    Timeout(Duration),
    /// Its result is too large.
    #[error("the result is larger than {0} bytes ([admin] max_result)")]
    TooLarge(usize),
}

impl From<rusqlite::Error> for EngineError {
    fn from(error: rusqlite::Error) -> Self {
        EngineError::Sql(match error {
            rusqlite::Error::SqliteFailure(_, Some(text)) => text,
            rusqlite::Error::SqlInputError { msg, .. } => msg,
            other => other.to_string(),
        })
    }
}

/// A cell of a result: text as the client gets it, or NULL.
pub type Cell = Option<Box<[u8]>>;

/// What a statement came to.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Outcome {
    /// Column names; none for a statement that gives no rows.
    pub columns: Vec<String>,
    /// Rows.
    pub rows: Vec<Vec<Cell>>,
    /// Rows that it changed.
    pub affected: u64,
    /// The number of the row that was put in last, by this statement or by one before.
    pub last_row: i64,
}

/// Rows of texts and NULLs, on their way into a table.
pub type Rows = Vec<Vec<Value>>;

/// Limits of one statement.
#[derive(Clone, Copy, Debug)]
pub struct Bounds {
    /// How long it may compute.
    pub time: Duration,
    /// How many bytes its result may have.
    pub bytes: usize,
}

/// The engine. One for all sessions of the admin port, on its thread.
pub struct Engine {
    db: Connection,
    /// Whose statement is being compiled.
    caller: Arc<AtomicU8>,
    /// When the running statement must end, in milliseconds since `born`.
    deadline: Arc<AtomicU64>,
    born: Instant,
    who: Arc<Mutex<Who>>,
    /// Tables that begin anew when they are read, of the statement that was compiled last.
    resets: Arc<Mutex<BTreeSet<String>>>,
    /// The version that clients of the traffic port are greeted with.
    greeting: Arc<Mutex<String>>,
    /// Passwords that statements brought in clear.
    pub vault: Arc<Vault>,
}

/// The schemas, in the order in which names without one are looked for.
pub const SCHEMAS: [&str; 5] = ["main", "disk", "stats", "monitor", "stats_history"];

/// The router itself: no wall.
const OURSELVES: u8 = 0;

fn caller_of(role: AdminRole) -> u8 {
    match role {
        AdminRole::Admin => 1,
        AdminRole::Operator => 2,
        AdminRole::Stats => 3,
    }
}

/// What a cell is counted as, beside its bytes.
const CELL: usize = 24;

impl Engine {
    /// An engine with all tables, empty.
    ///
    /// # Errors
    /// SQLite's; none is to be expected.
    pub fn open() -> Result<Self, EngineError> {
        let mut db = Connection::open_in_memory()?;
        for schema in &SCHEMAS[1..] {
            db.execute_batch(&format!("ATTACH DATABASE ':memory:' AS {schema}"))?;
        }
        db.set_limit(Limit::SQLITE_LIMIT_ATTACHED, 4)?;
        db.set_limit(Limit::SQLITE_LIMIT_LENGTH, 256 << 20)?;
        db.set_limit(Limit::SQLITE_LIMIT_SQL_LENGTH, 64 << 20)?;
        db.set_limit(Limit::SQLITE_LIMIT_EXPR_DEPTH, 500)?;
        create_tables(&db)?;
        // A row that REPLACE puts another in the place of is deleted, for triggers too.
        db.execute_batch("PRAGMA recursive_triggers = ON")?;
        let who = Arc::new(Mutex::new(Who::default()));
        let vault = Arc::new(Vault::default());
        functions::register(&db, &who, &vault)?;
        let greeting = Arc::new(Mutex::new(String::new()));
        functions::register_greeting(&db, &greeting)?;
        db.execute_batch(CONCEAL)?;
        db.execute_batch(RENUMBER)?;
        db.execute_batch(FORGET)?;
        db.execute_batch(&only_shown())?;
        let (caller, deadline) = (Arc::new(AtomicU8::new(OURSELVES)), Arc::new(AtomicU64::new(u64::MAX)));
        let born = Instant::now();
        let until = Arc::clone(&deadline);
        db.progress_handler(1_000, Some(move || millis(born) > until.load(Relaxed)))?;
        let asking = Arc::clone(&caller);
        let resets = Arc::new(Mutex::new(BTreeSet::new()));
        let noted = Arc::clone(&resets);
        db.authorizer(Some(move |context: AuthContext<'_>| {
            if let AuthAction::Read { table_name, .. } = context.action
                && table_name.ends_with("_reset")
                && let Ok(mut names) = noted.lock()
            {
                names.insert(table_name.to_owned());
            }
            authorize(asking.load(Relaxed), &context)
        }))?;
        Ok(Self { db, caller, deadline, born, who, resets, greeting, vault })
    }

    /// Takes note of the version that clients of the traffic port are greeted with.
    pub fn greet(&self, version: String) {
        if let Ok(mut greeting) = self.greeting.lock() {
            *greeting = version;
        }
    }

    /// Runs one statement for somebody.
    ///
    /// # Errors
    /// [`EngineError`]. A statement that failed has changed nothing.
    pub fn run(&self, who: &Who, sql: &str, parameters: &[Value], bounds: Bounds) -> Result<Outcome, EngineError> {
        if let Ok(mut present) = self.who.lock() {
            present.clone_from(who);
        }
        self.caller.store(caller_of(who.role), Relaxed);
        let limit = u64::try_from(bounds.time.as_millis()).unwrap_or(u64::MAX);
        self.deadline.store(millis(self.born).saturating_add(limit), Relaxed);
        let result = self.attempt(sql, parameters, bounds);
        let late = millis(self.born) > self.deadline.swap(u64::MAX, Relaxed);
        self.caller.store(OURSELVES, Relaxed);
        match result {
            Err(EngineError::Sql(text)) if late && text.contains("interrupted") => {
                Err(EngineError::Timeout(bounds.time))
            }
            other => other,
        }
    }

    fn attempt(&self, sql: &str, parameters: &[Value], bounds: Bounds) -> Result<Outcome, EngineError> {
        let before = self.db.total_changes();
        let mut statement = self.db.prepare(sql)?;
        wants(&statement, parameters.len())?;
        for (index, value) in parameters.iter().enumerate() {
            statement.raw_bind_parameter(index + 1, value)?;
        }
        let mut outcome = Outcome { columns: names(&statement), ..Outcome::default() };
        let (count, mut bytes) = (statement.column_count(), 0usize);
        let mut rows = statement.raw_query();
        while let Some(row) = rows.next()? {
            let mut cells = Vec::with_capacity(count);
            for column in 0..count {
                let cell = text_of(row.get_ref(column)?);
                bytes += CELL + cell.as_ref().map_or(0, |c| c.len());
                cells.push(cell);
            }
            if bytes > bounds.bytes {
                return Err(EngineError::TooLarge(bounds.bytes));
            }
            outcome.rows.push(cells);
        }
        drop(rows);
        if count == 0 {
            // Triggers' own changes count in the total; the statement's do not include them.
            outcome.affected = if self.db.total_changes() > before { self.db.changes() } else { 0 };
            outcome.last_row = self.db.last_insert_rowid();
        }
        Ok(outcome)
    }

    /// The parameters and the column names of a statement, without running it.
    ///
    /// # Errors
    /// [`EngineError`].
    pub fn describe(&self, who: &Who, sql: &str) -> Result<(usize, Vec<String>), EngineError> {
        self.caller.store(caller_of(who.role), Relaxed);
        let described = self.db.prepare(sql).map(|statement| (statement.parameter_count(), names(&statement)));
        self.caller.store(OURSELVES, Relaxed);
        Ok(described?)
    }

    /// The tables that begin anew when a statement is run with so many parameters: those it reads whose names say so.
    ///
    /// # Errors
    /// [`EngineError`]: it cannot be run, or may not.
    pub fn resets(&self, who: &Who, sql: &str, parameters: usize) -> Result<BTreeSet<String>, EngineError> {
        let taken = || self.resets.lock().map(|mut names| std::mem::take(&mut *names)).unwrap_or_default();
        taken();
        self.caller.store(caller_of(who.role), Relaxed);
        let prepared = self.db.prepare(sql);
        self.caller.store(OURSELVES, Relaxed);
        let statement = prepared?;
        wants(&statement, parameters)?;
        Ok(if statement.is_explain() == 0 { taken() } else { BTreeSet::new() })
    }

    /// The columns of a table of the present schema whose names are like a pattern (all of them, where it is empty), each
    /// with its default.
    ///
    /// # Errors
    /// [`EngineError`]: there is no such table, or this is not for them to read.
    pub fn fields(&self, who: &Who, table: &str, like: &str) -> Result<Vec<Field>, EngineError> {
        let quoted = table.replace('"', "\"\"");
        self.describe(who, &format!("SELECT * FROM {}.\"{quoted}\"", who.schema))?;
        let select = "SELECT name, dflt_value FROM pragma_table_info(?1, ?2) WHERE ?3 = '' OR name LIKE ?3 ESCAPE '\\'";
        let mut statement = self.db.prepare(select)?;
        let field = |row: &rusqlite::Row<'_>| Ok((row.get(0)?, row.get::<_, Option<String>>(1)?.and_then(default)));
        let fields = statement.query_map((table, &who.schema, like), field)?;
        Ok(fields.collect::<Result<_, _>>()?)
    }

    /// Puts rows in the place of all that a table has. `table` has its schema.
    ///
    /// # Errors
    /// [`EngineError`]; the table is as it was then.
    pub fn refill(&self, table: &str, rows: &[Vec<Value>]) -> Result<(), EngineError> {
        let change = self.db.unchecked_transaction()?;
        // Rows that are read anew are the same rules.
        let rules = table == "main.mysql_query_rules";
        if rules {
            change.execute_batch("DROP TRIGGER main.switchboard_forget")?;
        }
        change.execute(&format!("DELETE FROM {table}"), [])?;
        if rules {
            change.execute_batch(FORGET)?;
        }
        if let Some(first) = rows.first() {
            let places = vec!["?"; first.len()].join(",");
            let mut insert = change.prepare(&format!("INSERT INTO {table} VALUES ({places})"))?;
            for row in rows {
                insert.execute(rusqlite::params_from_iter(row))?;
            }
        }
        change.commit()?;
        Ok(())
    }

    /// Puts rows in the place of a table's, and gives them as the table has them, one for one: what goes in as a text may come
    /// out as a number.
    ///
    /// # Errors
    /// [`EngineError`].
    pub fn settled(&self, table: &str, rows: &[Vec<Value>]) -> Result<Rows, EngineError> {
        self.refill(table, rows)?;
        self.read(&format!("SELECT * FROM {table} ORDER BY rowid"))
    }

    /// Does work of our own, whole or not at all.
    ///
    /// # Errors
    /// [`EngineError`].
    pub fn whole(&self, work: impl FnOnce(&Connection) -> rusqlite::Result<()>) -> Result<(), EngineError> {
        let change = self.db.unchecked_transaction()?;
        work(&change)?;
        Ok(change.commit()?)
    }

    /// Bytes of all tables, all schemas together.
    pub fn bytes(&self) -> u64 {
        let pages = |schema: &str| -> Result<u64, rusqlite::Error> {
            let pragma = |name: &str| self.db.query_row(&format!("PRAGMA {schema}.{name}"), [], |row| row.get(0));
            let (count, size): (i64, i64) = (pragma("page_count")?, pragma("page_size")?);
            Ok(u64::try_from(count.saturating_mul(size)).unwrap_or(0))
        };
        SCHEMAS.into_iter().filter_map(|schema| pages(schema).ok()).sum()
    }

    /// All rows of a table, by its first columns.
    ///
    /// # Errors
    /// [`EngineError`].
    pub fn rows(&self, table: &str) -> Result<Rows, EngineError> {
        let count = self.db.prepare(&format!("SELECT * FROM {table} LIMIT 0"))?.column_count();
        let order: Vec<String> = (1..=count.min(3)).map(|n| n.to_string()).collect();
        self.read(&format!("SELECT * FROM {table} ORDER BY {}", order.join(", ")))
    }

    fn read(&self, select: &str) -> Result<Rows, EngineError> {
        let mut statement = self.db.prepare(select)?;
        let count = statement.column_count();
        let mut rows = statement.query([])?;
        let mut out = Rows::new();
        while let Some(row) = rows.next()? {
            out.push((0..count).map(|column| row.get::<_, Value>(column)).collect::<Result<_, _>>()?);
        }
        Ok(out)
    }
}

/// A password in clear goes into the vault as soon as it is written, and a hash stands in the table; a mark in that of the
/// variables, which everybody reads, however the row came there and however its name is written.
const CONCEAL: &str = "
    CREATE TRIGGER main.switchboard_conceal_new AFTER INSERT ON main.mysql_users WHEN NEW.password IS NOT NULL BEGIN
        UPDATE mysql_users SET password = switchboard_conceal(NEW.password) WHERE rowid = NEW.rowid;
    END;
    CREATE TRIGGER main.switchboard_conceal_changed AFTER UPDATE OF password ON main.mysql_users
        WHEN NEW.password IS NOT NULL AND NEW.password <> switchboard_conceal(NEW.password) BEGIN
        UPDATE mysql_users SET password = switchboard_conceal(NEW.password) WHERE rowid = NEW.rowid;
    END;
    CREATE TRIGGER main.switchboard_conceal_variable_new AFTER INSERT ON main.global_variables
        WHEN NEW.variable_name LIKE '%password' AND NEW.variable_value <> switchboard_mark(NEW.variable_value) BEGIN
        UPDATE global_variables SET variable_value = switchboard_mark(NEW.variable_value) WHERE rowid = NEW.rowid;
    END;
    CREATE TRIGGER main.switchboard_conceal_variable_changed AFTER UPDATE ON main.global_variables
        WHEN NEW.variable_name LIKE '%password' AND NEW.variable_value <> switchboard_mark(NEW.variable_value) BEGIN
        UPDATE global_variables SET variable_value = switchboard_mark(NEW.variable_value) WHERE rowid = NEW.rowid;
    END;";

/// A rule that gets another number takes along what of it stands in `switchboard_rules`: without its conditions it would
/// be for every statement.
const RENUMBER: &str = "
    CREATE TRIGGER main.switchboard_renumber AFTER UPDATE OF rule_id ON main.mysql_query_rules
        WHEN NEW.rule_id <> OLD.rule_id BEGIN
        UPDATE OR REPLACE switchboard_rules SET rule_id = NEW.rule_id WHERE rule_id = OLD.rule_id;
    END;";

/// A rule that is deleted takes along what of it stands in `switchboard_rules`: who gives its number to another rule means
/// that rule alone.
const FORGET: &str = "
    CREATE TRIGGER main.switchboard_forget AFTER DELETE ON main.mysql_query_rules BEGIN
        DELETE FROM switchboard_rules WHERE rule_id = OLD.rule_id;
    END;";

/// A variable that is only shown is refused where it is written. Rows that are read anew find none of their name.
fn only_shown() -> String {
    let names: Vec<String> = only_shown_names().map(|name| format!("'{name}'")).collect();
    let refuse =
        "SELECT RAISE(ABORT, 'global_variables variable_name=''' || NEW.variable_name || ''': is only shown here')";
    let other = format!(
        "variable_name IN ({}) AND variable_name = NEW.variable_name AND variable_value <> NEW.variable_value",
        names.join(", ")
    );
    let trigger = |name: &str, when: &str| {
        format!(
            "CREATE TRIGGER main.switchboard_shown_{name} BEFORE {when} ON main.global_variables
                WHEN EXISTS (SELECT 1 FROM global_variables WHERE {other}) BEGIN {refuse}; END;"
        )
    };
    trigger("insert", "INSERT") + &trigger("update", "UPDATE")
}

/// The collations that clients name at sign-in most, by MySQL's numbers (`information_schema.collations`).
const COLLATIONS: &str = "INSERT INTO main.mysql_collations VALUES
    (8, 'latin1_swedish_ci', 'latin1', 'Yes'), (11, 'ascii_general_ci', 'ascii', 'Yes'), (28, 'gbk_chinese_ci', 'gbk', 'Yes'),
    (33, 'utf8_general_ci', 'utf8', 'Yes'), (45, 'utf8mb4_general_ci', 'utf8mb4', 'Yes'), (46, 'utf8mb4_bin', 'utf8mb4', ''),
    (47, 'latin1_bin', 'latin1', ''), (63, 'binary', 'binary', 'Yes'), (83, 'utf8_bin', 'utf8', ''),
    (192, 'utf8_unicode_ci', 'utf8', ''), (224, 'utf8mb4_unicode_ci', 'utf8mb4', ''), (255, 'utf8mb4_0900_ai_ci', 'utf8mb4', '');";

fn create_tables(db: &Connection) -> Result<(), EngineError> {
    let create = |schema: &str, prefix: &str, table: &Table| {
        db.execute_batch(&format!("CREATE TABLE {schema}.{prefix}{} ({})", table.name, table.body))
    };
    for table in main::TABLES {
        create("main", "", table)?;
        create("disk", "", table)?;
        if table.name != "mysql_users" {
            create("main", "runtime_", table)?;
        }
    }
    // Two rows for each user at runtime, one for either side, so its key is another.
    let users = main::TABLES.iter().find(|t| t.name == "mysql_users").map_or("", |t| t.body);
    let plain: Vec<String> = columns(users).iter().map(|name| format!("{name} VARCHAR")).collect();
    db.execute_batch(&format!("CREATE TABLE main.runtime_mysql_users ({})", plain.join(", ")))?;
    for table in main::FIXED {
        create("main", "", table)?;
    }
    db.execute_batch("CREATE TABLE disk.global_settings (variable_name VARCHAR PRIMARY KEY, variable_value VARCHAR)")?;
    db.execute_batch(COLLATIONS)?;
    stats::TABLES.iter().try_for_each(|table| create("stats", "", table))?;
    monitor::TABLES.iter().try_for_each(|table| create("monitor", "", table))?;
    stats_history::TABLES.iter().try_for_each(|table| create("stats_history", "", table))?;
    Ok(())
}

/// A column's name and its default.
pub type Field = (String, Option<String>);

/// A default as it is written in a definition, as a value; none for NULL.
fn default(written: String) -> Option<String> {
    match written.strip_prefix('\'').and_then(|rest| rest.strip_suffix('\'')) {
        Some(text) => Some(text.replace("''", "'")),
        None => (!written.eq_ignore_ascii_case("NULL")).then_some(written),
    }
}

fn millis(since: Instant) -> u64 {
    u64::try_from(since.elapsed().as_millis()).unwrap_or(u64::MAX)
}

/// A statement gets as many parameters as it wants.
fn wants(statement: &Statement<'_>, given: usize) -> Result<(), EngineError> {
    match statement.parameter_count() {
        wanted if wanted == given => Ok(()),
        wanted => Err(EngineError::Sql(format!("{wanted} parameters are wanted, {given} are given"))),
    }
}

fn names(statement: &Statement<'_>) -> Vec<String> {
    statement.column_names().map(str::to_owned).collect()
}

/// A value as the text protocol has it.
fn text_of(value: ValueRef<'_>) -> Cell {
    match value {
        ValueRef::Null => None,
        ValueRef::Integer(number) => Some(number.to_string().into_bytes().into()),
        // As SQLite writes it: always with a point.
        ValueRef::Real(number) if number.fract() == 0.0 && number.abs() < 1e15 => {
            Some(format!("{number:.1}").into_bytes().into())
        }
        ValueRef::Real(number) => Some(number.to_string().into_bytes().into()),
        ValueRef::Text(bytes) | ValueRef::Blob(bytes) => Some(bytes.into()),
    }
}

/// The pragmas that only look.
const PRAGMAS: [&str; 5] = ["table_info", "table_xinfo", "table_list", "database_list", "index_list"];

/// Whether a part of a statement may be compiled.
fn authorize(caller: u8, context: &AuthContext<'_>) -> Authorization {
    if caller == OURSELVES {
        return Authorization::Allow;
    }
    let allowed = |yes: bool| if yes { Authorization::Allow } else { Authorization::Deny };
    let (admin, stats) = (caller == caller_of(AdminRole::Admin), caller == caller_of(AdminRole::Stats));
    let schema = context.database_name.unwrap_or("main");
    // What our own trigger does is ours to do.
    if context.accessor.is_some_and(|trigger| trigger.starts_with("switchboard_conceal")) {
        return Authorization::Allow;
    }
    match context.action {
        AuthAction::Select | AuthAction::Recursive => Authorization::Allow,
        AuthAction::Function { function_name } => {
            allowed(!["switchboard_conceal", "switchboard_mark"].contains(&function_name))
        }
        AuthAction::Read { table_name, column_name } => {
            // Without a schema: a table of which no column is read, by its bare name, or something of the statement's own.
            let elsewhere = context.database_name.is_none() && !is_of_main(table_name);
            let figures = matches!(schema, "stats" | "monitor" | "stats_history");
            let open = elsewhere || figures || table_name.contains("global_variables");
            if stats && !open {
                return Authorization::Deny;
            }
            // An operator sees who the users are, and NULL for what proves it. ProxySQL keeps a second password in `attributes`.
            let secret = table_name.ends_with("mysql_users") && ["password", "attributes"].contains(&column_name);
            if secret && !admin { Authorization::Ignore } else { Authorization::Allow }
        }
        AuthAction::Insert { table_name } | AuthAction::Delete { table_name } => {
            allowed(admin && is_edited(schema, table_name))
        }
        // Whoever drains a server changes its status, and nothing else of it.
        AuthAction::Update { table_name, column_name } => {
            let drains = table_name == "mysql_servers" && column_name == "status" && !stats;
            allowed(is_edited(schema, table_name) && (admin || drains))
        }
        AuthAction::Pragma { pragma_name, .. } => allowed(!stats && PRAGMAS.contains(&pragma_name)),
        _ => Authorization::Deny,
    }
}

/// True for what is in `main` under that name, or was there.
fn is_of_main(table: &str) -> bool {
    let plain = table
        .get(.."runtime_".len())
        .filter(|head| head.eq_ignore_ascii_case("runtime_"))
        .map_or(table, |head| &table[head.len()..]);
    let known = |tables: &[Table]| {
        tables.iter().any(|t| t.name.eq_ignore_ascii_case(plain) || t.name.eq_ignore_ascii_case(table))
    };
    known(main::TABLES) || known(main::FIXED) || table.to_ascii_lowercase().starts_with("sqlite_")
}

/// True for the tables that statements may change.
fn is_edited(schema: &str, table: &str) -> bool {
    schema == "main" && (main::TABLES.iter().any(|t| t.name == table) || table == "sqlite_sequence")
}

#[cfg(test)]
mod tests;
