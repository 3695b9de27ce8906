//! Tables of ProxySQL's that mean nothing here: their rows are kept under `[proxysql]`, so that a script that fills them and
//! a tool that reads them back find what they expect. They do nothing, and LOAD warns that they do.

use super::Tables;
use super::book::Book;
use super::codec::{plain, scalar};
use crate::admin::tables::{Unit, columns, main};
use rusqlite::types::Value as Sql;
use toml_edit::InlineTable;

/// The tables, and the units that they go with.
pub const KEPT_TABLES: &[(&str, Unit)] = &[
    ("mysql_group_replication_hostgroups", Unit::Servers),
    ("mysql_galera_hostgroups", Unit::Servers),
    ("mysql_aws_aurora_hostgroups", Unit::Servers),
    ("mysql_firewall_whitelist_users", Unit::Firewall),
    ("mysql_firewall_whitelist_rules", Unit::Firewall),
    ("mysql_firewall_whitelist_sqli_fingerprints", Unit::Firewall),
    ("mysql_ldap_mapping", Unit::Ldap),
    ("scheduler", Unit::Scheduler),
    ("restapi_routes", Unit::RestApi),
    ("proxysql_servers", Unit::ProxySqlServers),
];

fn columns_of(table: &str) -> Vec<&'static str> {
    main::TABLES.iter().find(|t| t.name == table).map(|t| columns(t.body)).unwrap_or_default()
}

/// The rows of a text.
pub fn project(book: &Book, tables: &mut Tables) {
    for (name, _) in KEPT_TABLES {
        let columns = columns_of(name);
        let value =
            |row: &dyn toml_edit::TableLike, column: &str| row.get(column).and_then(scalar).unwrap_or(Sql::Null);
        let rows = book.kept_rows(name).into_iter().map(|row| columns.iter().map(|c| value(row, c)).collect());
        tables.insert(name, rows.collect());
    }
}

/// Brings the rows of one unit onto the text.
pub fn apply(book: &mut Book, wanted: &Tables, unit: Unit) {
    let mut present = Tables::new();
    project(book, &mut present);
    for (name, of) in KEPT_TABLES {
        let rows = wanted.get(name).cloned().unwrap_or_default();
        if *of != unit || present.get(name) == Some(&rows) {
            continue;
        }
        let columns = columns_of(name);
        let table = |row: &Vec<Sql>| -> InlineTable {
            let said = columns.iter().zip(row).filter(|(_, value)| **value != Sql::Null);
            said.map(|(column, value)| (*column, plain(value))).collect()
        };
        book.keep_rows(name, rows.iter().map(table).collect());
    }
}
