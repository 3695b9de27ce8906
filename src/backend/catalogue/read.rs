//! Asking a server for its definitions, over a connection of an account of ours.
//!
//! [`super::follow`] calls it again and again and keeps what it gives; [`super::rights`] says how much of all there is the account was
//! shown. It refuses to judge a definition, which `sql::definitions` does, and to answer with a part where the rest failed.

use super::rights::{Granted, Scope, scope};
use super::{Entry, Kind};
use crate::backend::connect::Connected;
use crate::backend::query::{Answer, Bounds, rows, strange, value};
use std::collections::HashMap;
use std::io;

/// What an account is shown.
pub(super) struct Shown {
    /// The definitions.
    pub entries: Vec<Entry>,
    /// Whether they are all.
    pub scope: Scope,
}

/// Why an account was shown nothing.
pub(super) enum NotRead {
    /// The server refused a question, in these words.
    Refused(String),
    /// The connection is of no more use.
    Broken(io::Error),
}

impl From<io::Error> for NotRead {
    fn from(error: io::Error) -> Self {
        Self::Broken(error)
    }
}

/// More than that is no catalogue that is read.
const LARGE: Bounds = Bounds { rows: 100_000, packet: 16 << 20, bytes: 64 << 20 };

/// Schemas of the servers' own. What they hold sets nothing.
const NOT_SYSTEM: &str = "NOT IN ('information_schema', 'mysql', 'performance_schema', 'sys')";

/// Reads what the account of this connection is shown. An account that is not shown all that may meet it is shown nothing.
///
/// # Errors
/// See [`NotRead`]. Not cancel safe.
pub(super) async fn read(connected: &mut Connected) -> Result<Shown, NotRead> {
    let scope = scope(&granted(connected).await?);
    if let Scope::Part(_) = scope {
        return Ok(Shown { entries: Vec::new(), scope });
    }
    Ok(Shown { entries: entries(connected).await?, scope })
}

/// The rights of the connection's account, where they are listed: those of roles are not.
async fn granted(connected: &mut Connected) -> Result<Vec<Granted>, NotRead> {
    let mut granted = Vec::new();
    // Old servers have no roles, and do not know the question.
    if let Ok(role) = table(connected, "SELECT CURRENT_ROLE()", 1).await
        && role.iter().flatten().flatten().any(|role| !role.eq_ignore_ascii_case("NONE"))
    {
        granted.push(Granted { on: String::new(), right: super::rights::ROLE.to_owned() });
    }
    let mine = "WHERE GRANTEE = CONCAT('''', REPLACE(CURRENT_USER(), '@', '''@'''), '''')";
    let question = format!(
        "SELECT '', PRIVILEGE_TYPE FROM information_schema.USER_PRIVILEGES {mine} \
         UNION ALL SELECT TABLE_SCHEMA, PRIVILEGE_TYPE FROM information_schema.SCHEMA_PRIVILEGES {mine} \
         UNION ALL SELECT CONCAT(TABLE_SCHEMA, '.', TABLE_NAME), PRIVILEGE_TYPE \
         FROM information_schema.TABLE_PRIVILEGES {mine} \
         UNION ALL SELECT CONCAT(TABLE_SCHEMA, '.', TABLE_NAME), PRIVILEGE_TYPE \
         FROM information_schema.COLUMN_PRIVILEGES {mine}"
    );
    for row in table(connected, &question, 2).await? {
        let mut values = row.into_iter().map(Option::unwrap_or_default);
        let mut next = || values.next().unwrap_or_default();
        granted.push(Granted { on: next(), right: next() });
    }
    Ok(granted)
}

async fn entries(connected: &mut Connected) -> Result<Vec<Entry>, NotRead> {
    let mut entries = Vec::new();
    let triggers = format!(
        "SELECT EVENT_OBJECT_TABLE, ACTION_STATEMENT, SQL_MODE FROM information_schema.TRIGGERS \
         WHERE TRIGGER_SCHEMA {NOT_SYSTEM}"
    );
    let views =
        format!("SELECT TABLE_NAME, VIEW_DEFINITION, '' FROM information_schema.VIEWS WHERE TABLE_SCHEMA {NOT_SYSTEM}");
    for (kind, question) in [(Kind::Trigger, triggers), (Kind::View, views)] {
        for row in table(connected, &question, 3).await? {
            let mut values = row.into_iter();
            let mut next = || values.next().flatten();
            entries.push(entry(kind, [next(), next(), next()], Vec::new()));
        }
    }
    let parameters = format!(
        "SELECT SPECIFIC_SCHEMA, SPECIFIC_NAME, PARAMETER_NAME FROM information_schema.PARAMETERS \
         WHERE PARAMETER_NAME IS NOT NULL AND SPECIFIC_SCHEMA {NOT_SYSTEM}"
    );
    let mut of_routines: HashMap<(Option<String>, Option<String>), Vec<String>> = HashMap::new();
    for row in table(connected, &parameters, 3).await? {
        if let [schema, routine, Some(name)] = row.as_slice() {
            of_routines.entry((schema.clone(), routine.clone())).or_default().push(name.clone());
        }
    }
    let routines = format!(
        "SELECT ROUTINE_SCHEMA, SPECIFIC_NAME, ROUTINE_NAME, ROUTINE_DEFINITION, SQL_MODE \
         FROM information_schema.ROUTINES WHERE ROUTINE_BODY = 'SQL' AND ROUTINE_SCHEMA {NOT_SYSTEM}"
    );
    for row in table(connected, &routines, 5).await? {
        let mut values = row.into_iter();
        let mut next = || values.next().flatten();
        let parameters = of_routines.remove(&(next(), next())).unwrap_or_default();
        entries.push(entry(Kind::Routine, [next(), next(), next()], parameters));
    }
    Ok(entries)
}

fn entry(kind: Kind, values: [Option<String>; 3], parameters: Vec<String>) -> Entry {
    let [name, body, sql_mode] = values.map(Option::unwrap_or_default);
    Entry { kind, name, body, parameters, sql_mode }
}

/// The answer to a question, `width` columns wide.
async fn table(connected: &mut Connected, question: &str, width: usize) -> Result<Vec<Vec<Option<String>>>, NotRead> {
    match rows(connected, question, LARGE).await? {
        Answer::Rows { columns, rows } if columns.len() == width => {
            let text = |row: &Vec<u8>, place| {
                let bytes = value(row, place).map_err(|_| strange())?;
                Ok(bytes.map(|bytes| String::from_utf8_lossy(bytes).into_owned()))
            };
            let read = |row: &Vec<u8>| (0..width).map(|place| text(row, place)).collect();
            rows.iter().map(read).collect::<io::Result<_>>().map_err(NotRead::Broken)
        }
        Answer::Rows { .. } => Err(strange().into()),
        Answer::Refused { text, .. } => Err(NotRead::Refused(text)),
    }
}
