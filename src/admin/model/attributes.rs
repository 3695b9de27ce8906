//! The table `mysql_hostgroup_attributes`. Its rows are the tables `[hostgroup.attributes]` of the configuration: a
//! hostgroup that has such a table has a row.
//!
//! [`super::servers`] makes the hostgroups themselves, and has done so when rows are brought onto a text here. A row
//! for a hostgroup that does not exist is refused. What the values mean is checked by the loader.

use super::book::{Book, Place, int_of, set};
use super::codec::{Absent, Field, Kind, Substitution};
use super::{ModelError, Rows, Tables};
use rusqlite::types::Value as Sql;
use std::collections::BTreeMap;
use toml_edit::{Item, Table, TableLike, Value};

use Absent::{Int, Text};

/// The table.
pub const TABLE: &str = "mysql_hostgroup_attributes";

/// The entries of the text that have them, and the key below.
const OWNER: &str = "hostgroup";
const KEY: &str = "attributes";

/// The columns.
pub const FIELDS: &[Field] = &[
    Field::new("hostgroup_id", Kind::Special, Int(0)),
    Field::new("max_num_online_servers", Kind::Int, Int(1_000_000)),
    Field::new("autocommit", Kind::Kept, Int(-1)),
    Field::new("free_connections_pct", Kind::Int, Int(10)),
    Field::new("init_connect", Kind::Text, Text("")),
    Field::new("multiplex", Kind::Kept, Int(1)),
    Field::new("connection_warming", Kind::Kept, Int(0)),
    Field::new("throttle_connections_per_sec", Kind::Int, Int(1_000_000)),
    Field::new("ignore_session_variables", Kind::Kept, Text("")),
    Field::new("hostgroup_settings", Kind::Kept, Text("")),
    Field::new("servers_defaults", Kind::Kept, Text("")),
    Field::new("comment", Kind::Text, Text("")),
];

/// How the loader's faults in one begin.
pub const SECTION: &str = "[hostgroup.attributes]";

/// How a row is named in an error.
pub fn label(row: &[Sql]) -> String {
    format!("{TABLE} hostgroup_id={}", row.first().and_then(int_of).unwrap_or_default())
}

fn id_of(table: &dyn TableLike, book: &Book) -> i64 {
    let id = Field { column: "hostgroup_id", key: "id", kind: Kind::Int, absent: Int(0) };
    int_of(&id.read(table, book)).unwrap_or_default()
}

fn row_of(table: &dyn TableLike, book: &Book) -> Option<Vec<Sql>> {
    let attributes = table.get(KEY)?.as_table_like()?;
    let read = |field: &Field| match field.column {
        "hostgroup_id" => Sql::Integer(id_of(table, book)),
        _ => field.read(attributes, book),
    };
    Some(FIELDS.iter().map(read).collect())
}

/// The rows of a text.
pub fn project(book: &Book, tables: &mut Tables) {
    tables.insert(TABLE, book.entries(OWNER).filter_map(|(_, table)| row_of(table, book)).collect());
}

/// Brings the rows onto the text, whose hostgroups are those of the rows already.
///
/// # Errors
/// [`ModelError`] with the row.
pub fn apply(book: &mut Book, wanted: &Tables) -> Result<(), ModelError> {
    let empty = Rows::new();
    let rows = wanted.get(TABLE).unwrap_or(&empty);
    let mut missing: BTreeMap<i64, &Vec<Sql>> =
        rows.iter().map(|row| (row.first().and_then(int_of).unwrap_or_default(), row)).collect();
    let present: Vec<(Place, i64)> = book.entries(OWNER).map(|(place, t)| (place, id_of(t, book))).collect();
    for (place, id) in present {
        let Some(mut owner) = book.table(OWNER, place).cloned() else { continue };
        let changed = match missing.remove(&id) {
            Some(row) => write(book, &mut owner, row).map_err(|reason| ModelError::row(label(row), reason))?,
            None => owner.remove(KEY).is_some(),
        };
        if changed && let Some(entry) = book.entry(OWNER, place) {
            *entry = owner;
        }
    }
    match missing.into_values().next() {
        Some(row) => Err(ModelError::row(label(row), "there is no such hostgroup: it has no server".to_owned())),
        None => Ok(()),
    }
}

/// True if that changed something.
fn write(book: &Book, owner: &mut Table, row: &[Sql]) -> Result<bool, String> {
    let present = owner.get(KEY).and_then(Item::as_table_like);
    // A table of its own kind stays one; what stands on one line stays there.
    let inline = owner.get(KEY).is_some_and(Item::is_inline_table);
    let mut attributes = match (present, owner.get(KEY).cloned().map(Item::into_table)) {
        (Some(_), Some(Ok(table))) => table,
        _ => Table::new(),
    };
    let before = attributes.to_string();
    for (field, value) in FIELDS.iter().zip(row) {
        field.write(&mut attributes, value, &Substitution(book))?;
    }
    if owner.contains_key(KEY) && attributes.to_string() == before {
        return Ok(false);
    }
    if inline {
        set(owner, KEY, Value::InlineTable(attributes.into_inline_table()));
    } else {
        owner.insert(KEY, Item::Table(attributes));
    }
    Ok(true)
}
