//! The table `mysql_users`. Its rows are the entries `[[user]]` of the configuration.
//!
//! A password is shown as a hash or as where it comes from, never in clear; [`Vault`] has those that a statement
//! brought. It reads rows out of a [`Book`], and brings changed rows onto it. Two rows for one name are refused.

use super::book::{Book, Place, int_of, literal, set, text_of};
use super::codec::{Absent, Field, Kind, Substitution};
use super::{ModelError, Rows, Tables, value};
use crate::admin::vault::{FROM_ENV, FROM_FILE, Vault};
use rusqlite::types::Value as Sql;
use std::collections::BTreeMap;
use toml_edit::{Item, Table, TableLike, Value};

use Absent::{Int, Null, Text};

/// The columns of `mysql_users`.
pub const USER: &[Field] = &[
    USERNAME,
    Field::new("password", Kind::Special, Null),
    Field::new("active", Kind::Flag, Int(1)),
    Field { column: "use_ssl", key: "require_tls", kind: Kind::Flag, absent: Int(0) },
    Field::new("default_hostgroup", Kind::Special, Int(0)),
    Field::new("default_schema", Kind::Text, Null),
    Field::new("schema_locked", Kind::Kept, Int(0)),
    Field::new("transaction_persistent", Kind::Kept, Int(1)),
    Field::new("fast_forward", Kind::Kept, Int(0)),
    Field::new("backend", Kind::Kept, Int(1)),
    Field::new("frontend", Kind::Flag, Int(1)),
    Field::new("max_connections", Kind::Int, Int(0)),
    Field::new("attributes", Kind::Kept, Text("")),
    Field::new("comment", Kind::Text, Text("")),
];

const USERNAME: Field = Field::new("username", Kind::Text, Text(""));
const DEFAULT_HOSTGROUP: Field = Field::new("default_hostgroup", Kind::Int, Null);

/// The keys that give a password.
const PASSWORD: [&str; 4] = ["password", "password_hash", "password_env", "password_file"];

/// The rows of a text. `lowest_writer` is the default hostgroup of those who name none.
pub fn project(book: &Book, vault: &Vault, lowest_writer: i64, tables: &mut Tables) {
    let mut rows = Rows::new();
    for (_, table) in book.entries("user") {
        let read = |field: &Field| match field.column {
            "password" => Sql::Text(shown_password(table, book, vault)),
            "default_hostgroup" => default_hostgroup(table, book, lowest_writer),
            _ => field.read(table, book),
        };
        rows.push(USER.iter().map(read).collect());
    }
    tables.insert("mysql_users", rows);
}

fn default_hostgroup(table: &dyn TableLike, book: &Book, lowest_writer: i64) -> Sql {
    match DEFAULT_HOSTGROUP.read(table, book) {
        Sql::Null => Sql::Integer(lowest_writer),
        named => named,
    }
}

/// What the password column shows.
fn shown_password(table: &dyn TableLike, book: &Book, vault: &Vault) -> String {
    let text = |key: &str| table.get(key).and_then(Item::as_str);
    if let Some(name) = text("password_env") {
        return format!("{FROM_ENV}{name}");
    }
    if let Some(path) = text("password_file") {
        return format!("{FROM_FILE}{path}");
    }
    if let Some(written) = text("password") {
        // A variable's value is not shown, but its name; `$${` is no variable.
        let plain = written.replace("$${", "");
        return if plain.contains("${") { written.to_owned() } else { vault.conceal(&book.substituted(written)) };
    }
    let hash = table.get("password_hash");
    let first = |item: &Item| item.as_array().and_then(|a| a.get(0)).and_then(Value::as_str).map(str::to_owned);
    hash.and_then(|item| item.as_str().map(str::to_owned).or_else(|| first(item))).unwrap_or_default()
}

fn write_password(table: &mut Table, shown: &str, vault: &Vault) {
    for key in PASSWORD {
        table.remove(key);
    }
    let (key, value) = if let Some(name) = shown.strip_prefix(FROM_ENV) {
        ("password_env", Value::from(name))
    } else if let Some(path) = shown.strip_prefix(FROM_FILE) {
        ("password_file", Value::from(path))
    } else if let Some(clear) = vault.reveal(shown) {
        ("password", literal(&String::from_utf8_lossy(clear.expose())))
    } else if shown.is_empty() || shown.contains("${") {
        ("password", Value::from(shown))
    } else {
        ("password_hash", Value::from(shown))
    };
    set(table, key, value);
}

/// Brings the rows onto the text. `declared` says which hostgroups there are.
///
/// # Errors
/// [`ModelError`] with the row.
pub fn apply(
    book: &mut Book,
    wanted: &Tables,
    vault: &Vault,
    lowest_writer: i64,
    declared: impl Fn(i64) -> bool,
) -> Result<(), ModelError> {
    let empty = Rows::new();
    let name = |row: &Vec<Sql>| row.first().and_then(text_of).unwrap_or_default();
    let mut missing: BTreeMap<String, &Vec<Sql>> = BTreeMap::new();
    for row in wanted.get("mysql_users").unwrap_or(&empty) {
        if missing.insert(name(row), row).is_some() {
            let reason = "there are two rows for it: one row is both sides here".to_owned();
            return Err(ModelError::row(format!("mysql_users username='{}'", name(row)), reason));
        }
    }
    let present: Vec<(Place, String)> = book
        .entries("user")
        .map(|(place, table)| (place, text_of(&USERNAME.read(table, book)).unwrap_or_default()))
        .collect();
    let mut gone = Vec::new();
    let write = |book: &Book, table: &mut Table, row: &[Sql], user: &str| {
        let default = (lowest_writer, &declared as &dyn Fn(i64) -> bool);
        write_user(book, table, row, vault, default)
            .map_err(|reason| ModelError::row(format!("mysql_users username='{user}'"), reason))
    };
    for (place, user) in present {
        let Some(row) = missing.remove(&user) else {
            gone.push(place);
            continue;
        };
        book.revise("user", place, |book, table| write(book, table, row, &user))?;
    }
    for (user, row) in missing {
        let mut table = Table::new();
        set(&mut table, "username", literal(&user));
        write(book, &mut table, row, &user)?;
        book.add("user", table);
    }
    book.remove("user", gone);
    Ok(())
}

fn write_user(
    book: &Book,
    table: &mut Table,
    row: &[Sql],
    vault: &Vault,
    (lowest_writer, declared): (i64, &dyn Fn(i64) -> bool),
) -> Result<(), String> {
    let shown = text_of(value(USER, row, "password")).unwrap_or_default();
    let none = !PASSWORD.iter().any(|key| table.contains_key(key));
    if none || shown_password(table, book, vault) != shown {
        write_password(table, &shown, vault);
    }
    for (field, value) in USER.iter().zip(row) {
        field.write(table, value, &Substitution(book))?;
    }
    let wanted = int_of(value(USER, row, "default_hostgroup")).unwrap_or_default();
    if int_of(&default_hostgroup(table, book, lowest_writer)) != Some(wanted) {
        // 0 is what ProxySQL's column has where nobody says anything.
        if wanted == 0 && !declared(0) {
            table.remove("default_hostgroup");
        } else {
            set(table, "default_hostgroup", Value::from(wanted));
        }
    }
    Ok(())
}
