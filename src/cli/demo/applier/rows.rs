//! Turns row events of the master's binary log into statements for the target.
//!
//! [`super`] reads the log and runs the statements. They can be run twice without harm, so that the applier may begin
//! again after a failure. A table without a primary key, or a log without whole rows, is refused, because its rows
//! could not be told apart.

use super::DemoError;
use mysql_async::Value;
use mysql_async::binlog::events::{RowsEventData, TableMapEvent};
use mysql_async::binlog::row::BinlogRow;
use mysql_async::consts::{ColumnFlags, ColumnType};
use std::sync::Arc;

/// Rows that go into one statement.
const MAX_ROWS: usize = 200;

/// A table as the log describes it.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Table {
    /// `schema.table`, quoted.
    name: String,
    /// Its columns, quoted.
    columns: Vec<String>,
    /// Which of them are the primary key.
    key: Vec<usize>,
}

/// One change of one row.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Change {
    /// The row is to be as given: values in SQL, in the order of the table's columns.
    Put(Arc<Table>, Vec<String>),
    /// The row with this key is to be gone.
    Remove(Arc<Table>, Vec<String>),
}

/// Adds the changes of a row event.
pub(super) fn changes(
    event: &RowsEventData<'_>,
    map: &TableMapEvent<'_>,
    out: &mut Vec<Change>,
) -> Result<(), DemoError> {
    let mut table: Option<Arc<Table>> = None;
    for pair in event.rows(map) {
        let (before, after) = pair?;
        let Some(any) = after.as_ref().or(before.as_ref()) else { continue };
        let table = match &table {
            Some(table) => table.clone(),
            None => table.insert(Arc::new(Table::describe(map, any)?)).clone(),
        };
        let before = before.map(|row| values(&table, row)).transpose()?;
        let after = after.map(|row| values(&table, row)).transpose()?;
        if let Some(before) = before {
            let moved = after.as_ref().is_none_or(|after| table.key_of(after) != table.key_of(&before));
            if moved {
                out.push(Change::Remove(table.clone(), table.key_of(&before)));
            }
        }
        if let Some(after) = after {
            out.push(Change::Put(table, after));
        }
    }
    Ok(())
}

impl Table {
    fn describe(map: &TableMapEvent<'_>, row: &BinlogRow) -> Result<Self, DemoError> {
        let name = format!("{}.{}", quoted(&map.database_name()), quoted(&map.table_name()));
        let columns = row.columns_ref();
        if columns.iter().any(|column| column.name_ref().starts_with(b"@")) {
            let what = format!("{name}: the log has no column names; the source needs binlog_row_metadata=FULL");
            return Err(DemoError::Applier(what));
        }
        if columns.len() as u64 != map.columns_count() {
            return Err(DemoError::Applier(format!(
                "{name}: the log has no whole rows; the source needs binlog_row_image=FULL"
            )));
        }
        let in_key = columns.iter().enumerate().filter(|(_, c)| c.flags().contains(ColumnFlags::PRI_KEY_FLAG));
        let key: Vec<usize> = in_key.map(|(at, _)| at).collect();
        if key.is_empty() {
            return Err(DemoError::Applier(format!("{name} has no primary key, so its rows cannot be told apart")));
        }
        Ok(Table { name, columns: columns.iter().map(|column| quoted(&column.name_str())).collect(), key })
    }

    #[expect(
        clippy::indexing_slicing,
        reason = "a row has a value for each column of its table, and the key is some of these columns"
    )]
    fn key_of(&self, row: &[String]) -> Vec<String> {
        self.key.iter().map(|at| row[*at].clone()).collect()
    }
}

/// A row's values as SQL.
fn values(table: &Table, mut row: BinlogRow) -> Result<Vec<String>, DemoError> {
    let columns = row.columns();
    let value = |at: usize| {
        let value = row.take(at).ok_or_else(|| DemoError::Applier(format!("{}: a row without a value", table.name)))?;
        let value = Value::try_from(value).map_err(|error| DemoError::Applier(format!("{}: {error}", table.name)))?;
        Ok(literal(columns.get(at).map(|column| column.column_type()), &value))
    };
    (0..table.columns.len()).map(value).collect()
}

/// A value as SQL. The log has some types in a shape of its own.
fn literal(kind: Option<ColumnType>, value: &Value) -> String {
    use ColumnType::{MYSQL_TYPE_BIT, MYSQL_TYPE_SET, MYSQL_TYPE_TIMESTAMP, MYSQL_TYPE_TIMESTAMP2};
    match (kind, value) {
        // Seconds since 1970, with their fraction.
        (Some(MYSQL_TYPE_TIMESTAMP | MYSQL_TYPE_TIMESTAMP2), Value::Bytes(seconds)) => {
            format!("FROM_UNIXTIME({})", String::from_utf8_lossy(seconds))
        }
        (Some(MYSQL_TYPE_TIMESTAMP | MYSQL_TYPE_TIMESTAMP2), Value::Int(seconds)) => {
            format!("FROM_UNIXTIME({seconds})")
        }
        // A number, the lowest byte first; a number, the highest first.
        (Some(MYSQL_TYPE_SET), Value::Bytes(bits)) => number(bits.iter().rev()),
        (Some(MYSQL_TYPE_BIT), Value::Bytes(bits)) => number(bits.iter()),
        // With an exponent: of a hundred digits in a row the server makes a DECIMAL, and a wrong one.
        (_, Value::Double(x)) => format!("{x:e}"),
        (_, Value::Float(x)) => format!("{x:e}"),
        (_, other) => other.as_sql(false),
    }
}

/// Up to eight bytes, the highest first, as a number.
fn number<'a>(bytes: impl Iterator<Item = &'a u8>) -> String {
    bytes.fold(0u64, |sum, byte| (sum << 8) | u64::from(*byte)).to_string()
}

/// The statements that make these changes, in order: neighbours that are alike share one.
pub(super) fn statements(changes: &[Change]) -> Vec<String> {
    let alike = |a: &Change, b: &Change| match (a, b) {
        (Change::Put(a, _), Change::Put(b, _)) | (Change::Remove(a, _), Change::Remove(b, _)) => a == b,
        _ => false,
    };
    changes.chunk_by(alike).flat_map(|run| run.chunks(MAX_ROWS)).map(statement).collect()
}

/// One statement for changes of one kind to one table. Both kinds may be run twice without harm.
#[expect(
    clippy::indexing_slicing,
    reason = "a run has at least one change, and the key is some of the table's columns"
)]
fn statement(run: &[Change]) -> String {
    let tuple = |values: &Vec<String>| format!("({})", values.join(","));
    let tuples: Vec<String> =
        run.iter().map(|(Change::Put(_, values) | Change::Remove(_, values))| tuple(values)).collect();
    match &run[0] {
        Change::Put(table, _) => {
            let set: Vec<String> = table.columns.iter().map(|c| format!("{c}=VALUES({c})")).collect();
            let (name, columns) = (&table.name, table.columns.join(","));
            format!(
                "INSERT INTO {name} ({columns}) VALUES {} ON DUPLICATE KEY UPDATE {}",
                tuples.join(","),
                set.join(",")
            )
        }
        Change::Remove(table, _) => {
            let key: Vec<&str> = table.key.iter().map(|at| table.columns[*at].as_str()).collect();
            format!("DELETE FROM {} WHERE ({}) IN ({})", table.name, key.join(","), tuples.join(","))
        }
    }
}

/// A name in backticks.
fn quoted(name: &str) -> String {
    format!("`{}`", name.replace('`', "``"))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn table() -> Arc<Table> {
        Arc::new(Table { name: "`s`.`t`".into(), columns: vec!["`a`".into(), "`b`".into()], key: vec![0] })
    }

    #[test]
    fn neighbours_that_are_alike_share_a_statement() {
        let put = |a: &str| Change::Put(table(), vec![a.into(), "'x'".into()]);
        let changes = [put("1"), put("2"), Change::Remove(table(), vec!["1".into()]), put("3")];
        let want = [
            "INSERT INTO `s`.`t` (`a`,`b`) VALUES (1,'x'),(2,'x') ON DUPLICATE KEY UPDATE `a`=VALUES(`a`),`b`=VALUES(`b`)",
            "DELETE FROM `s`.`t` WHERE (`a`) IN ((1))",
            "INSERT INTO `s`.`t` (`a`,`b`) VALUES (3,'x') ON DUPLICATE KEY UPDATE `a`=VALUES(`a`),`b`=VALUES(`b`)",
        ];
        assert_eq!(statements(&changes), want);
    }

    #[test]
    fn names_cannot_break_out_of_their_quotes() {
        assert_eq!(quoted("a`b"), "`a``b`");
    }
}
