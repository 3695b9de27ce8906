//! The table `mysql_servers_ssl_params`. Its rows are the entries `[[server_tls]]` of the configuration.
//!
//! It reads rows out of a [`Book`], and brings changed rows onto it; rows are told apart by host, port and user. It
//! opens no certificate: the loader does, over the text that comes out.

use super::book::{Book, Place, all_same, int_of, literal, set, text_of};
use super::codec::{Absent, Field, Kind, Substitution};
use super::servers::{address_text, place_of};
use super::{ModelError, Rows, Tables};
use rusqlite::types::Value as Sql;
use std::collections::BTreeMap;
use toml_edit::{Table, TableLike};

use Absent::{Int, Text};

/// The table.
pub const TABLE: &str = "mysql_servers_ssl_params";

/// The entries of the text.
pub const KEY: &str = "server_tls";

/// The columns. The first three tell rows apart.
pub const FIELDS: &[Field] = &[
    Field::new("hostname", Kind::Special, Text("")),
    Field::new("port", Kind::Special, Int(3306)),
    Field::new("username", Kind::Text, Text("")),
    Field { column: "ssl_ca", key: "ca", kind: Kind::Text, absent: Text("") },
    Field { column: "ssl_cert", key: "cert", kind: Kind::Text, absent: Text("") },
    Field { column: "ssl_key", key: "key", kind: Kind::Text, absent: Text("") },
    Field::new("ssl_capath", Kind::Kept, Text("")),
    Field::new("ssl_crl", Kind::Kept, Text("")),
    Field::new("ssl_crlpath", Kind::Kept, Text("")),
    Field::new("ssl_cipher", Kind::Kept, Text("")),
    Field::new("tls_version", Kind::Text, Text("")),
    Field::new("comment", Kind::Text, Text("")),
];

/// Host, port and user.
type Name = (String, i64, String);

fn name_of(row: &[Sql]) -> Name {
    let text = |at: usize| row.get(at).and_then(text_of).unwrap_or_default();
    (text(0), row.get(1).and_then(int_of).unwrap_or_default(), text(2))
}

fn row_of(table: &dyn TableLike, book: &Book) -> Vec<Sql> {
    let (host, port) = place_of(table, book);
    let read = |field: &Field| match field.column {
        "hostname" => Sql::Text(host.clone()),
        "port" => Sql::Integer(port),
        _ => field.read(table, book),
    };
    FIELDS.iter().map(read).collect()
}

/// How a row is named in an error.
pub fn row_label(row: &[Sql]) -> String {
    let (host, port, user) = name_of(row);
    format!("{TABLE} hostname='{host}' port={port} username='{user}'")
}

/// What an entry's row is called in errors.
pub fn label(table: &dyn TableLike, book: &Book) -> String {
    row_label(&row_of(table, book))
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
        match missing.remove(&name_of(&was)) {
            Some(row) if all_same(&was, row) => {}
            Some(row) => book.revise(KEY, place, |book, table| write(book, table, row))?,
            None => gone.push(place),
        }
    }
    for ((host, port, _), row) in missing {
        let mut table = Table::new();
        set(&mut table, "address", literal(&address_text(&host, port)));
        write(book, &mut table, row)?;
        book.add(KEY, table);
    }
    book.remove(KEY, gone);
    Ok(())
}

fn write(book: &Book, table: &mut Table, row: &[Sql]) -> Result<(), ModelError> {
    for (field, value) in FIELDS.iter().zip(row) {
        field.write(table, value, &Substitution(book)).map_err(|reason| ModelError::row(row_label(row), reason))?;
    }
    Ok(())
}
