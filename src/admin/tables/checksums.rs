//! Checksums of tables, for `runtime_checksums_values` and CHECKSUM: two routers with the same rows in effect have the
//! same sums.
//!
//! The sums are computed from rows that [`crate::admin::model`] made. Nothing is read or changed here, and the sums are
//! not meant to equal ProxySQL's.

use crate::admin::history::Entry;
use crate::admin::model::book::text_of;
use crate::admin::model::{Rows, Tables};
use crate::sql::digest::hash;
use rusqlite::types::Value;
use std::time::UNIX_EPOCH;

/// The sum of a table's rows, the same in every process. An empty table has the sum of nothing.
pub fn sum(rows: &Rows) -> String {
    let mut text = Vec::new();
    for row in rows {
        for value in row {
            // Told apart: NULL, and a text of any length.
            match text_of(value) {
                Some(word) => text.extend_from_slice(format!("{}:{word}", word.len()).as_bytes()),
                None => text.push(b'~'),
            }
        }
        text.push(b'\n');
    }
    if text.is_empty() { "0x0".to_owned() } else { format!("0x{:016X}", hash(&text)) }
}

/// The names of `runtime_checksums_values`, and what each is the sum of.
const NAMES: [(&str, &[&str]); 4] = [
    ("global_variables", &["global_variables"]),
    (
        "mysql_query_rules",
        &["mysql_query_rules", "mysql_query_rules_fast_routing", "switchboard_rules", "switchboard_tables"],
    ),
    ("mysql_servers", &["mysql_servers", "mysql_replication_hostgroups", "switchboard_hostgroups"]),
    ("mysql_users", &["mysql_users"]),
];

/// The rows of `runtime_checksums_values`.
pub fn all(tables: &Tables, latest: Option<&Entry>) -> Rows {
    let version = latest.map_or(0, |entry| i64::try_from(entry.version).unwrap_or(i64::MAX));
    let epoch = latest.and_then(|entry| entry.at.duration_since(UNIX_EPOCH).ok()).map_or(0, |d| d.as_secs());
    let row = |(name, parts): &(&str, &[&str])| {
        let rows: Rows = parts.iter().filter_map(|part| tables.get(part)).flatten().cloned().collect();
        vec![
            Value::Text((*name).to_owned()),
            Value::Integer(version),
            Value::Integer(i64::try_from(epoch).unwrap_or(i64::MAX)),
            Value::Text(sum(&rows)),
        ]
    };
    NAMES.iter().map(row).collect()
}
