//! The types of rows and tables that the files of this model exchange, access to a row's columns, and the error that
//! names a row.
//!
//! Rows are values in the order of their table's columns. Nothing here knows what a column means; [`super::codec`]
//! does.

use super::codec::Field;
use rusqlite::types::Value as Sql;
use std::collections::BTreeMap;

/// The rows of a table.
pub type Rows = Vec<Vec<Sql>>;

/// Tables of `main`, by name.
pub type Tables = BTreeMap<&'static str, Rows>;

/// Rows that could not be brought onto a text.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ModelError {
    /// A row is wrong.
    #[error("{row}: {reason}")]
    Row {
        /// Table and key.
        row: String,
        /// What is wrong.
        reason: String,
    },
    /// A text is no TOML.
    #[error("{0}")]
    Text(String),
}

impl ModelError {
    pub(super) fn row(row: String, reason: String) -> Self {
        ModelError::Row { row, reason }
    }
}

const NULL: &Sql = &Sql::Null;

/// The value at a place of a row; NULL where the row is shorter, which one of its table never is.
pub(super) fn cell(row: &[Sql], at: usize) -> &Sql {
    row.get(at).unwrap_or(NULL)
}

/// The value of a column; NULL where the table has no such column.
pub(super) fn value<'a>(fields: &[Field], row: &'a [Sql], column: &str) -> &'a Sql {
    fields.iter().zip(row).find(|(field, _)| field.column == column).map_or(NULL, |(_, value)| value)
}

/// A column's place among its table's.
#[cfg(test)]
pub(super) fn column(fields: &[Field], name: &str) -> usize {
    fields.iter().position(|field| field.column == name).unwrap_or(0)
}
