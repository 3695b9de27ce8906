//! The rows of what workers hold.

use super::values::{Row, hash, number, text};
use crate::admin::feed::held::{FreeRow, PreparedRow};
use rusqlite::types::Value;

/// A row of `stats_mysql_free_connections`.
pub fn free(row: FreeRow) -> Row {
    vec![
        Value::Integer(row.fd),
        number(row.hostgroup.into()),
        text(row.host),
        number(row.port.into()),
        text(row.user),
        text(row.schema),
        text(row.init_connect),
        text(row.time_zone),
        text(row.sql_mode),
        text(if row.autocommit { "1" } else { "0" }),
        number(row.idle_ms),
        text(row.statistics),
        text(row.info),
    ]
}

/// A row of `stats_mysql_prepared_statements_info`.
pub fn prepared(row: PreparedRow) -> Row {
    vec![
        number(row.id),
        text(row.schema),
        text(row.user),
        hash(row.digest),
        number(row.clients),
        number(row.servers),
        number(row.columns),
        number(row.parameters),
        text(row.text),
    ]
}
