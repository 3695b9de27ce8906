//! Rows of tables, and what is said of one that cannot be brought onto a text.

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

/// A column's place among its table's.
pub(super) fn column(fields: &[Field], name: &str) -> usize {
    fields.iter().position(|field| field.column == name).unwrap_or(0)
}
