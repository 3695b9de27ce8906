//! The table `mysql_query_rules_fast_routing`. Its rows are the entries `[[fast_route]]` of the configuration.
//!
//! It reads rows out of a [`Book`], and brings changed rows onto it. Whether a hostgroup exists is checked by the
//! loader over the text that comes out.

use super::book::{Book, Place, all_same, int_of, literal, set, text_of};
use super::codec::{Absent, Field, Kind, Substitution};
use super::{ModelError, Rows, Tables};
use rusqlite::types::Value as Sql;
use std::collections::BTreeMap;
use toml_edit::{Table, TableLike, Value};

/// The table.
pub const TABLE: &str = "mysql_query_rules_fast_routing";

/// The entries of the text.
const KEY: &str = "fast_route";

/// The columns. The first three tell rows apart.
const FIELDS: &[Field] = &[
    Field::new("username", Kind::Text, Absent::Text("")),
    Field::new("schemaname", Kind::Text, Absent::Text("")),
    Field::new("flagIN", Kind::Int, Absent::Int(0)),
    Field::new("destination_hostgroup", Kind::Int, Absent::Null),
    Field::new("comment", Kind::Text, Absent::Text("")),
];

/// User, schema and flag.
type Name = (String, String, i64);

fn name_of(row: &[Sql]) -> Name {
    let text = |at: usize| row.get(at).and_then(text_of).unwrap_or_default();
    (text(0), text(1), row.get(2).and_then(int_of).unwrap_or_default())
}

fn row_of(table: &dyn TableLike, book: &Book) -> Vec<Sql> {
    FIELDS.iter().map(|field| field.read(table, book)).collect()
}

/// What an entry's row is called in errors.
pub fn label(table: &dyn TableLike, book: &Book) -> String {
    label_of(&name_of(&row_of(table, book)))
}

fn label_of((user, schema, flag): &Name) -> String {
    format!("{TABLE} username='{user}' schemaname='{schema}' flagIN={flag}")
}

/// The rows of a text.
pub fn project(book: &Book, tables: &mut Tables) {
    tables.insert(TABLE, book.entries(KEY).map(|(_, table)| row_of(table, book)).collect());
}

/// Brings the rows onto the text.
///
/// # Errors
/// [`ModelError`] with the row.
pub fn apply(book: &mut Book, wanted: &Tables) -> Result<(), ModelError> {
    let empty = Rows::new();
    let rows = wanted.get(TABLE).unwrap_or(&empty);
    let mut missing: BTreeMap<Name, &Vec<Sql>> = rows.iter().map(|row| (name_of(row), row)).collect();
    let present: Vec<(Place, Vec<Sql>)> =
        book.entries(KEY).map(|(place, table)| (place, row_of(table, book))).collect();
    let mut gone = Vec::new();
    for (place, was) in present {
        let name = name_of(&was);
        match missing.remove(&name) {
            Some(row) if all_same(&was, row) => {}
            Some(row) => book.revise(KEY, place, |book, table| write(book, table, row, &name))?,
            None => gone.push(place),
        }
    }
    for (name, row) in missing {
        let mut table = Table::new();
        // Said even where they are empty: that means something.
        set(&mut table, "username", literal(&name.0));
        set(&mut table, "schemaname", literal(&name.1));
        if name.2 != 0 {
            set(&mut table, "flagIN", Value::from(name.2));
        }
        write(book, &mut table, row, &name)?;
        book.add(KEY, table);
    }
    book.remove(KEY, gone);
    Ok(())
}

/// What does not tell the row apart from others.
fn write(book: &Book, table: &mut Table, row: &[Sql], name: &Name) -> Result<(), ModelError> {
    for (field, value) in FIELDS.iter().zip(row).skip(3) {
        field.write(table, value, &Substitution(book)).map_err(|reason| ModelError::row(label_of(name), reason))?;
    }
    Ok(())
}
