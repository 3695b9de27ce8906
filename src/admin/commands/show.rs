//! SHOW and DESCRIBE: MySQL's words for what SQLite is asked by SELECT.
//!
//! [`super::read`] calls it for such a statement; most forms become a SELECT over the port's own tables, which the
//! engine runs under the client's rights. A form that is not known here goes to SQLite as it is, which refuses it.

use super::pieces::{Piece, begins};
use crate::admin::functions::SYSTEM_VARIABLES;
use crate::config::admin::AdminRole;

/// A SHOW.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Show {
    /// A SELECT that says the same.
    Select(String),
    /// SHOW TABLES: of a schema, or of the session's.
    Tables(Option<String>, Option<String>),
    /// SHOW CREATE TABLE: schema and name.
    CreateTable(Option<String>, String),
    /// SHOW COLUMNS, DESCRIBE: schema and name.
    Columns(Option<String>, String),
    /// SHOW WARNINGS.
    Warnings,
    /// SHOW COUNT(*) WARNINGS.
    CountWarnings,
    /// SHOW PROMETHEUS METRICS.
    Metrics,
    /// SHOW DRAINING: what goes on at servers that are being drained.
    Draining,
}

/// A text in quotes, for SQLite.
pub fn quoted(text: &str) -> String {
    format!("'{}'", text.replace('\'', "''"))
}

/// Reads a SHOW; none if it is none that is known.
pub(super) fn read(statement: &str, all: &[Piece<'_>]) -> Option<Show> {
    let (verb, mut rest) = all.split_first()?;
    if !verb.is("SHOW") {
        return table_name(rest).map(|(schema, name)| Show::Columns(schema, name));
    }
    while let [word, behind @ ..] = rest
        && ["FULL", "EXTENDED", "GLOBAL", "ALL", "SESSION"].iter().any(|known| word.is(known))
    {
        rest = behind;
    }
    let full = all.get(1).is_some_and(|p| p.is("FULL"));
    let (head, behind) = rest.split_first()?;
    Some(match head.text.as_str() {
        "TABLES" => return tables(behind),
        "DATABASES" | "SCHEMAS" => Show::Select("PRAGMA database_list".to_owned()),
        "CREATE" if begins(rest, "CREATE TABLE") => {
            table_name(behind.get(1..)?).map(|(schema, name)| Show::CreateTable(schema, name))?
        }
        "COLUMNS" | "FIELDS" => table_name(behind.get(1..)?).map(|(schema, name)| Show::Columns(schema, name))?,
        "PROCESSLIST" if full => Show::Select("SELECT * FROM stats.stats_mysql_processlist".to_owned()),
        "PROCESSLIST" => Show::Select(PROCESSLIST.to_owned()),
        "VARIABLES" => Show::Select(variables(statement, rest)),
        "STATUS" => Show::Select(status(statement, rest)),
        "WARNINGS" | "ERRORS" => Show::Warnings,
        "COUNT" => Show::CountWarnings,
        "MYSQL" | "ADMIN" | "SWITCHBOARD" => return of_kind(statement, rest),
        "PROMETHEUS" if begins(rest, "PROMETHEUS METRICS") => Show::Metrics,
        "DRAINING" => Show::Draining,
        "CHARSET" => Show::Select(CHARSET.to_owned()),
        "CHARACTER" if begins(rest, "CHARACTER SET") => Show::Select(CHARSET.to_owned()),
        "COLLATION" => Show::Select(COLLATION.to_owned()),
        "ENGINES" => Show::Select("SELECT 'SQLite' AS Engine, 'DEFAULT' AS Support, '' AS Comment".to_owned()),
        _ => return None,
    })
}

const PROCESSLIST: &str = "SELECT SessionID, user, db, hostgroup, command, time_ms, SUBSTR(info, 1, 100) AS info \
                           FROM stats.stats_mysql_processlist";
const CHARSET: &str = "SELECT DISTINCT Charset AS Charset, Charset AS Description, Collation AS \"Default collation\", \
                       4 AS Maxlen FROM main.mysql_collations WHERE \"Default\" = 'Yes' ORDER BY 1";
const COLLATION: &str = "SELECT Collation, Charset, Id, \"Default\", 'Yes' AS Compiled, 1 AS Sortlen \
                         FROM main.mysql_collations ORDER BY Collation";

/// `name`, or `schema.name`.
fn table_name(pieces: &[Piece<'_>]) -> Option<(Option<String>, String)> {
    match pieces {
        [name] => Some((None, name.plain())),
        [schema, dot, name] if dot.is(".") => Some((Some(schema.plain()), name.plain())),
        [name, from, schema] if from.is("FROM") || from.is("IN") => Some((Some(schema.plain()), name.plain())),
        _ => None,
    }
}

fn tables(mut rest: &[Piece<'_>]) -> Option<Show> {
    let (mut schema, mut like) = (None, None);
    while let [word, value, more @ ..] = rest {
        match word.text.as_str() {
            "FROM" | "IN" => schema = Some(value.plain()),
            "LIKE" => like = Some(value.plain()),
            _ => return None,
        }
        rest = more;
    }
    rest.is_empty().then_some(Show::Tables(schema, like))
}

/// What follows VARIABLES or STATUS: LIKE, or WHERE with MySQL's column names.
fn condition(statement: &str, rest: &[Piece<'_>]) -> String {
    match rest {
        [_, like, pattern, ..] if like.is("LIKE") => {
            format!(" WHERE Variable_name LIKE {} ESCAPE '\\'", quoted(&pattern.plain()))
        }
        [_, clause, first, ..] if clause.is("WHERE") => {
            let condition = statement.get(first.start..).unwrap_or_default();
            format!(" WHERE {}", condition.replace('`', ""))
        }
        _ => String::new(),
    }
}

/// A variable's value.
const VALUE: &str = "switchboard_shown(variable_name, variable_value)";

/// SHOW VARIABLES: the settings; and where somebody asks for certain ones, what connectors ask for.
fn variables(statement: &str, rest: &[Piece<'_>]) -> String {
    let condition = condition(statement, rest);
    let mut from = format!("SELECT variable_name AS Variable_name, {VALUE} AS Value FROM main.global_variables");
    if !condition.is_empty() {
        for (name, value) in SYSTEM_VARIABLES {
            from.push_str(&format!(" UNION ALL SELECT {}, {}", quoted(name), quoted(value)));
        }
    }
    format!("SELECT * FROM ({from}){condition} ORDER BY 1")
}

fn status(statement: &str, rest: &[Piece<'_>]) -> String {
    let condition = condition(statement, rest);
    let from = "SELECT Variable_Name AS Variable_name, Variable_Value AS Value FROM stats.stats_mysql_global";
    format!("SELECT * FROM ({from}){condition} ORDER BY 1")
}

/// SHOW MYSQL …, SHOW ADMIN …
fn of_kind(statement: &str, rest: &[Piece<'_>]) -> Option<Show> {
    let (kind, behind) = rest.split_first()?;
    let what = behind.first()?;
    let kind = kind.text.to_ascii_lowercase();
    Some(Show::Select(match what.text.as_str() {
        "VARIABLES" => {
            let condition = condition(statement, behind).replacen(" WHERE ", " AND ", 1);
            format!(
                "SELECT * FROM (SELECT variable_name AS Variable_name, {VALUE} AS Value \
                 FROM main.global_variables) WHERE Variable_name LIKE '{kind}-%'{condition} ORDER BY 1"
            )
        }
        "STATUS" if kind == "mysql" => status(statement, behind),
        "USERS" if kind == "mysql" => "SELECT * FROM main.mysql_users ORDER BY username".to_owned(),
        "SERVERS" if kind == "mysql" => {
            "SELECT * FROM main.mysql_servers ORDER BY hostgroup_id, hostname, port".to_owned()
        }
        _ => return None,
    }))
}

/// SHOW TABLES, as a SELECT.
pub fn tables_select(schema: &str, like: Option<&str>) -> String {
    let like = like.map(|pattern| format!(" AND name LIKE {} ESCAPE '\\'", quoted(pattern))).unwrap_or_default();
    format!(
        "SELECT name AS tables FROM \"{}\".sqlite_schema WHERE type = 'table' AND name NOT LIKE 'sqlite\\_%' ESCAPE '\\'\
         {like} ORDER BY name",
        schema.replace('"', "")
    )
}

/// The schema that a session of a role begins in.
pub fn first_schema(role: AdminRole) -> &'static str {
    if role == AdminRole::Stats { "stats" } else { "main" }
}

/// SHOW DATABASES for the role that sees nothing else.
pub const FIGURES: &str = "SELECT 2 AS seq, 'stats' AS name, '' AS file UNION ALL SELECT 3, 'monitor', '' \
                           UNION ALL SELECT 4, 'stats_history', ''";
