//! MySQL's functions that tools use and SQLite does not have, and the system variables that connectors read when they
//! connect.
//!
//! [`super::engine`] registers them with SQLite. They answer as a server with this port's manners would; none of them
//! reads a file or changes a table. [`Who`] says whose statement runs, for those functions that depend on it.

use super::vault::Vault;
use crate::auth::Host;
use crate::config::admin::AdminRole;
use jiff::Timestamp;
use rusqlite::functions::{Context, FunctionFlags};
use rusqlite::types::Value;
use rusqlite::{Connection, Error, Result};
use std::sync::{Arc, Mutex};

/// Whose statement runs.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Who {
    /// Who signed in.
    pub user: String,
    /// Where from, without the port.
    pub host: Host,
    /// What they may do.
    pub role: AdminRole,
    /// The session's number.
    pub connection_id: u32,
    /// The schema that USE chose.
    pub schema: String,
}

impl Default for Who {
    fn default() -> Self {
        Self {
            user: String::new(),
            host: Host::default(),
            role: AdminRole::Stats,
            connection_id: 0,
            schema: "main".to_owned(),
        }
    }
}

/// ProxySQL's version that the port is compatible with, and ours. Tools read the first three numbers, and MySQL's clients
/// what comes before the dash.
pub const VERSION: &str = concat!("2.7.2-switchboard-", env!("CARGO_PKG_VERSION"));

/// The variable that says what clients of the traffic port are greeted with.
pub const SERVER_VERSION: &str = "mysql-server_version";

/// `@@version_comment`.
pub const VERSION_COMMENT: &str = "Switchboard admin port";

/// System variables that connectors read when they connect, as a server with this port's manners has them.
pub const SYSTEM_VARIABLES: &[(&str, &str)] = &[
    ("auto_increment_increment", "1"),
    ("autocommit", "1"),
    ("character_set_client", "utf8mb4"),
    ("character_set_connection", "utf8mb4"),
    ("character_set_database", "utf8mb4"),
    ("character_set_results", "utf8mb4"),
    ("character_set_server", "utf8mb4"),
    ("collation_connection", "utf8mb4_general_ci"),
    ("collation_database", "utf8mb4_general_ci"),
    ("collation_server", "utf8mb4_general_ci"),
    ("have_openssl", "YES"),
    ("have_ssl", "YES"),
    ("init_connect", ""),
    ("innodb_read_only", "0"),
    ("interactive_timeout", "28800"),
    ("license", "Apache-2.0"),
    ("lower_case_table_names", "0"),
    ("max_allowed_packet", "67108864"),
    ("net_buffer_length", "16384"),
    ("net_read_timeout", "30"),
    ("net_write_timeout", "60"),
    ("performance_schema", "0"),
    ("protocol_version", "10"),
    ("query_cache_size", "0"),
    ("query_cache_type", "OFF"),
    ("read_only", "0"),
    ("server_id", "0"),
    ("session_track_gtids", "OFF"),
    ("socket", ""),
    ("sql_auto_is_null", "0"),
    ("sql_mode", "NO_BACKSLASH_ESCAPES"),
    ("sql_select_limit", "18446744073709551615"),
    ("super_read_only", "0"),
    ("system_time_zone", "UTC"),
    ("time_zone", "SYSTEM"),
    ("transaction_isolation", "READ-COMMITTED"),
    ("transaction_read_only", "0"),
    ("tx_isolation", "READ-COMMITTED"),
    ("tx_read_only", "0"),
    ("version", VERSION),
    ("version_comment", VERSION_COMMENT),
    ("version_compile_machine", std::env::consts::ARCH),
    ("version_compile_os", std::env::consts::OS),
    ("wait_timeout", "28800"),
];

/// Registers all of them. `who` is what functions about the session read.
///
/// # Errors
/// SQLite's.
pub(super) fn register(db: &Connection, who: &Arc<Mutex<Who>>, vault: &Arc<Vault>) -> Result<()> {
    session_functions(db, who)?;
    text_functions(db)?;
    time_functions(db)?;
    let wholly = Arc::clone(vault);
    db.create_scalar_function("switchboard_mark", 1, FunctionFlags::SQLITE_UTF8, move |c| {
        Ok(password(c)?.map(|text| wholly.conceal_wholly(&text)))
    })?;
    let vault = Arc::clone(vault);
    db.create_scalar_function("switchboard_conceal", 1, FunctionFlags::SQLITE_UTF8, move |c| {
        Ok(password(c)?.map(|text| vault.conceal(&text)))
    })?;
    db.create_scalar_function("switchboard_variable", 1, PURE, |c| {
        let name: String = c.get(0)?;
        let known = SYSTEM_VARIABLES.iter().find(|(known, _)| known.eq_ignore_ascii_case(&name));
        match known {
            Some((_, value)) => Ok((*value).to_owned()),
            None => Err(failure(format!("Unknown system variable '{name}'"))),
        }
    })
}

/// Registers what says how a variable's value is shown: the version that nobody configured is the one that clients of the
/// traffic port are greeted with.
///
/// # Errors
/// SQLite's.
pub(super) fn register_greeting(db: &Connection, greeting: &Arc<Mutex<String>>) -> Result<()> {
    let greeting = Arc::clone(greeting);
    db.create_scalar_function("switchboard_shown", 2, FunctionFlags::SQLITE_UTF8, move |c| {
        let (name, value) = (text(c, 0)?, text(c, 1)?);
        let open = name.as_deref() == Some(SERVER_VERSION) && value.as_deref() == Some("");
        Ok(if open { greeting.lock().ok().map(|version| version.clone()) } else { value })
    })
}

const PURE: FunctionFlags = FunctionFlags::SQLITE_UTF8.union(FunctionFlags::SQLITE_DETERMINISTIC);

fn failure(text: String) -> Error {
    Error::UserFunctionError(text.into())
}

fn session_functions(db: &Connection, who: &Arc<Mutex<Who>>) -> Result<()> {
    type Say = fn(&Who) -> Value;
    let at_host = |who: &Who| Value::Text(format!("{}@{}", who.user, who.host));
    let functions: [(&str, Say); 9] = [
        ("version", |_| Value::Text(VERSION.to_owned())),
        ("database", |who| Value::Text(who.schema.clone())),
        ("schema", |who| Value::Text(who.schema.clone())),
        ("user", at_host),
        ("current_user", at_host),
        ("session_user", at_host),
        ("system_user", at_host),
        ("connection_id", |who| Value::Integer(who.connection_id.into())),
        ("current_role", |who| Value::Text(who.role.name().to_owned())),
    ];
    for (name, say) in functions {
        let who = Arc::clone(who);
        db.create_scalar_function(name, 0, FunctionFlags::SQLITE_UTF8, move |_| {
            Ok(who.lock().map_or(Value::Null, |who| say(&who)))
        })?;
    }
    Ok(())
}

/// The argument as text; NULL is none.
fn text(context: &Context<'_>, index: usize) -> Result<Option<String>> {
    Ok(match context.get::<Value>(index)? {
        Value::Null => None,
        Value::Integer(number) => Some(number.to_string()),
        Value::Real(number) => Some(number.to_string()),
        Value::Text(text) => Some(text),
        Value::Blob(bytes) => Some(String::from_utf8_lossy(&bytes).into_owned()),
    })
}

/// A password as it was written: a hash of caching_sha2_password comes as `x'…'` or UNHEX('…') from MySQL's own tables.
fn password(context: &Context<'_>) -> Result<Option<String>> {
    match context.get::<Value>(0)? {
        Value::Blob(bytes) => {
            let text = String::from_utf8(bytes).map_err(|_| failure("a password is to be UTF-8".to_owned()))?;
            Ok(Some(text))
        }
        _ => text(context, 0),
    }
}

fn text_functions(db: &Connection) -> Result<()> {
    // As MySQL has it: one NULL makes it NULL.
    db.create_scalar_function("concat", -1, PURE, |c| {
        let parts: Option<Vec<String>> = (0..c.len()).map(|i| text(c, i)).collect::<Result<_>>()?;
        Ok(parts.map(|parts| parts.concat()))
    })?;
    db.create_scalar_function("if", 3, PURE, |c| {
        let truth = match c.get::<Value>(0)? {
            Value::Null => false,
            Value::Integer(number) => number != 0,
            Value::Real(number) => number != 0.0,
            Value::Text(text) => text.trim().parse::<f64>().is_ok_and(|n| n != 0.0),
            Value::Blob(_) => false,
        };
        c.get::<Value>(if truth { 1 } else { 2 })
    })?;
    db.create_scalar_function("left", 2, PURE, |c| {
        let count = usize::try_from(c.get::<i64>(1)?).unwrap_or(0);
        Ok(text(c, 0)?.map(|t| t.chars().take(count).collect::<String>()))
    })?;
    db.create_scalar_function("right", 2, PURE, |c| {
        let count = usize::try_from(c.get::<i64>(1)?).unwrap_or(0);
        Ok(text(c, 0)?.map(|t| t.chars().skip(t.chars().count().saturating_sub(count)).collect::<String>()))
    })?;
    for (name, change) in [("lcase", str::to_lowercase as fn(&str) -> String), ("ucase", str::to_uppercase)] {
        db.create_scalar_function(name, 1, PURE, move |c| Ok(text(c, 0)?.map(|t| change(&t))))?;
    }
    db.create_scalar_function("locate", 2, PURE, |c| {
        let (Some(needle), Some(hay)) = (text(c, 0)?, text(c, 1)?) else { return Ok(None) };
        Ok(Some(hay.find(&needle).map_or(0, |at| hay[..at].chars().count() as i64 + 1)))
    })?;
    db.create_scalar_function("substring_index", 3, PURE, |c| {
        let (Some(whole), Some(mark)) = (text(c, 0)?, text(c, 1)?) else { return Ok(None) };
        Ok(Some(substring_index(&whole, &mark, c.get::<i64>(2)?)))
    })?;
    // `x REGEXP y` is regexp(y, x).
    db.create_scalar_function("regexp", 2, PURE, |c| {
        let (Some(pattern), Some(hay)) = (text(c, 0)?, text(c, 1)?) else { return Ok(None) };
        let built = regex::RegexBuilder::new(&pattern).case_insensitive(true).size_limit(1 << 20).build();
        built.map(|regex| Some(regex.is_match(&hay))).map_err(|e| failure(format!("REGEXP: {e}")))
    })
}

/// What stands before the n-th mark; from the end, where n is negative.
fn substring_index(whole: &str, mark: &str, count: i64) -> String {
    if mark.is_empty() || count == 0 {
        return String::new();
    }
    let parts: Vec<&str> = whole.split(mark).collect();
    let wanted = usize::try_from(count.unsigned_abs()).unwrap_or(usize::MAX).min(parts.len());
    let chosen = if count > 0 { parts.split_at(wanted).0 } else { parts.split_at(parts.len() - wanted).1 };
    chosen.join(mark)
}

fn time_functions(db: &Connection) -> Result<()> {
    let now = || Timestamp::now().strftime("%Y-%m-%d %H:%M:%S").to_string();
    for name in ["now", "sysdate", "utc_timestamp", "localtimestamp"] {
        db.create_scalar_function(name, 0, FunctionFlags::SQLITE_UTF8, move |_| Ok(now()))?;
    }
    for name in ["curdate", "utc_date"] {
        db.create_scalar_function(name, 0, FunctionFlags::SQLITE_UTF8, |_| {
            Ok(Timestamp::now().strftime("%Y-%m-%d").to_string())
        })?;
    }
    db.create_scalar_function("unix_timestamp", 0, FunctionFlags::SQLITE_UTF8, |_| Ok(Timestamp::now().as_second()))?;
    db.create_scalar_function("from_unixtime", 1, PURE, |c| {
        let seconds = match c.get::<Value>(0)? {
            Value::Integer(seconds) => Some(seconds),
            Value::Real(seconds) => Some(seconds as i64),
            Value::Text(text) => text.trim().parse().ok(),
            Value::Null | Value::Blob(_) => None,
        };
        let moment = seconds.and_then(|s| Timestamp::from_second(s).ok());
        Ok(moment.map(|moment| moment.strftime("%Y-%m-%d %H:%M:%S").to_string()))
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn functions_answer_as_mysql_does() {
        let db = Connection::open_in_memory().unwrap();
        let who = Who {
            user: "root".into(),
            host: std::net::IpAddr::from([127, 0, 0, 1]).into(),
            connection_id: 7,
            ..Who::default()
        };
        register(&db, &Arc::new(Mutex::new(who)), &Arc::default()).unwrap();
        for (sql, want) in [
            ("SELECT CONCAT('a', 1, 'b')", "a1b"),
            ("SELECT IFNULL(CONCAT('a', NULL), 'null')", "null"),
            ("SELECT IF(1 > 2, 'yes', 'no')", "no"),
            ("SELECT IF('1', 'yes', 'no')", "yes"),
            ("SELECT LEFT('hello', 2) || RIGHT('hello', 2)", "helo"),
            ("SELECT SUBSTRING_INDEX('a.b.c', '.', 2)", "a.b"),
            ("SELECT SUBSTRING_INDEX('a.b.c', '.', -1)", "c"),
            ("SELECT 'abc' REGEXP '^A'", "1"),
            ("SELECT FROM_UNIXTIME(0)", "1970-01-01 00:00:00"),
            ("SELECT USER()", "root@127.0.0.1"),
            ("SELECT CONNECTION_ID()", "7"),
            ("SELECT UCASE('x') || LCASE('Y') || LOCATE('b', 'ab')", "Xy2"),
            ("SELECT CAST('12' AS UNSIGNED) + CAST('3' AS SIGNED)", "15"),
            ("SELECT LENGTH(NOW())", "19"),
            ("SELECT switchboard_variable('MAX_ALLOWED_PACKET')", "67108864"),
        ] {
            let value: Value = db.query_row(sql, [], |row| row.get(0)).unwrap_or_else(|e| panic!("{sql}: {e}"));
            let got = match value {
                Value::Text(text) => text,
                Value::Integer(number) => number.to_string(),
                other => format!("{other:?}"),
            };
            assert_eq!(got, want, "{sql}");
        }
        assert!(db.query_row("SELECT switchboard_variable('x')", [], |_| Ok(())).is_err());
    }
}
