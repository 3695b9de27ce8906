//! The configuration's texts as rows, and rows brought onto texts: one model in two shapes.
//!
//! [`project`] reads a text's rows. [`apply`] (a [`Draft`], in steps) brings rows onto a text: an entry whose row says what the text says keeps every
//! byte, one whose row differs has just those keys changed, and comments, order and blanks stay. Nothing here judges what a
//! configuration means: the loader does, over the texts that come out, and [`row_of`] says which row a fault of its is in.

pub mod attributes;
pub mod book;
pub mod codec;
mod fast;
mod kept;
pub mod merge;
mod rows;
pub mod rules;
pub mod server_tls;
pub mod servers;
pub mod users;
pub mod variables;

use super::tables::Unit;
use super::vault::Vault;
use crate::auth::Secret;
use crate::config::{Document, Fault, Loaded};
use crate::rules::Role;
use book::{Book, int_of, text_of};
use codec::Field;
pub use kept::KEPT_TABLES;
#[cfg(test)]
use rows::column;
pub use rows::{ModelError, Rows, Tables};
use rows::{cell, value};
use rusqlite::types::Value as Sql;
use toml_edit::TableLike;

/// A configuration's texts while rows are brought onto them.
pub struct Draft(Book);

impl Draft {
    /// The texts of `base`, unchanged.
    ///
    /// # Errors
    /// [`ModelError::Text`].
    pub fn open(base: &Loaded) -> Result<Self, ModelError> {
        Book::open(&base.documents, &base.secrets).map(Self).map_err(ModelError::Text)
    }

    /// Brings the rows of these units onto the texts of `base`, and gives the texts that come of it. `said` is what the texts said
    /// before, as far as that is known: rows that are there and are wanted as they were are not read from the texts again.
    ///
    /// # Errors
    /// [`ModelError`].
    pub fn apply(
        &mut self,
        base: &Loaded,
        wanted: &Tables,
        said: &Tables,
        units: &[Unit],
        vault: &Vault,
    ) -> Result<Vec<Document>, ModelError> {
        for unit in units {
            apply_unit(&mut self.0, base, (wanted, said), *unit, vault)?;
        }
        Ok(self.0.texts())
    }

    /// All rows that the texts say. `loaded` is what they come to.
    pub fn rows(&self, loaded: &Loaded, vault: &Vault) -> Tables {
        let (book, mut tables) = (&self.0, Tables::new());
        rules::project(book, &mut tables);
        fast::project(book, &mut tables);
        users::project(book, vault, lowest_writer(loaded), &mut tables);
        servers::project(book, &mut tables);
        attributes::project(book, &mut tables);
        server_tls::project(book, &mut tables);
        variables::project(book, loaded, vault, &mut tables);
        kept::project(book, &mut tables);
        for rows in tables.values_mut() {
            let key = |row: &Vec<Sql>| row.iter().take(3).map(order).collect::<Vec<_>>();
            rows.sort_by_cached_key(key);
        }
        tables
    }
}

/// All rows of a configuration.
///
/// # Errors
/// [`ModelError::Text`].
pub fn project(loaded: &Loaded, vault: &Vault) -> Result<Tables, ModelError> {
    Ok(Draft::open(loaded)?.rows(loaded, vault))
}

/// The order in which SQLite has values: NULL, numbers, texts.
fn order(value: &Sql) -> (u8, i64, String) {
    match value {
        Sql::Null => (0, 0, String::new()),
        Sql::Integer(number) => (1, *number, String::new()),
        other => (2, 0, text_of(other).unwrap_or_default()),
    }
}

fn lowest_writer(loaded: &Loaded) -> i64 {
    let writers = loaded.rules.hostgroups().iter().filter(|g| g.role == Role::Writer).map(|g| i64::from(g.id));
    writers.min().unwrap_or_default()
}

/// Brings the rows of these units onto a configuration's texts, and gives the texts that come of it.
///
/// # Errors
/// [`ModelError`].
pub fn apply(base: &Loaded, wanted: &Tables, units: &[Unit], vault: &Vault) -> Result<Vec<Document>, ModelError> {
    Draft::open(base)?.apply(base, wanted, &Tables::new(), units, vault)
}

fn apply_unit(
    book: &mut Book,
    base: &Loaded,
    (wanted, said): (&Tables, &Tables),
    unit: Unit,
    vault: &Vault,
) -> Result<(), ModelError> {
    match unit {
        Unit::Rules => {
            rules::apply(book, wanted, said)?;
            fast::apply(book, wanted)?;
        }
        Unit::Users => {
            let declared = |id: i64| base.hostgroups.iter().any(|h| i64::from(h.id) == id);
            users::apply(book, wanted, vault, lowest_writer(base), declared)?;
        }
        Unit::Servers => {
            servers::apply(book, wanted)?;
            attributes::apply(book, wanted)?;
            server_tls::apply(book, wanted)?;
        }
        Unit::MysqlVariables | Unit::AdminVariables => {
            let mut present = Tables::new();
            variables::project(book, base, vault, &mut present);
            variables::apply(book, wanted, &present, unit, vault)?;
        }
        Unit::Firewall | Unit::Ldap | Unit::Scheduler | Unit::RestApi | Unit::ProxySqlServers => {}
    }
    kept::apply(book, wanted, unit);
    Ok(())
}

/// A fault of the loader, with the row that it is in where it is in one.
pub fn row_of(fault: &Fault, documents: &[Document], secrets: &[(String, Secret)]) -> String {
    let plain = || fault.to_string();
    let Some(document) = documents.iter().find(|d| d.path == fault.file) else { return plain() };
    let Ok(parsed) = toml_edit::Document::parse(document.text.as_ref()) else { return plain() };
    let Ok(book) = Book::open(&[], secrets) else { return plain() };
    let line_start: usize = document.text.split_inclusive('\n').take(fault.line.saturating_sub(1)).map(str::len).sum();
    let line_end = line_start + document.text[line_start..].find('\n').unwrap_or(document.text.len() - line_start);
    // The last entry that begins on the fault's line or above it.
    let mut nearest: Option<(usize, &str, &dyn TableLike)> = None;
    for key in ["rule", "fast_route", "user", "backend", "hostgroup", "table", server_tls::KEY] {
        let Some(item) = parsed.as_table().get(key) else { continue };
        let entries: Vec<(usize, &dyn TableLike)> = match (item.as_array_of_tables(), item.as_array()) {
            (Some(tables), _) => tables.iter().filter_map(|t| Some((t.span()?.start, t as &dyn TableLike))).collect(),
            (None, Some(list)) => {
                list.iter().filter_map(|v| Some((v.span()?.start, v.as_inline_table()? as &dyn TableLike))).collect()
            }
            _ => continue,
        };
        for (start, table) in entries.into_iter().filter(|(start, _)| *start <= line_end) {
            if nearest.is_none_or(|(known, ..)| start > known) {
                nearest = Some((start, key, table));
            }
        }
    }
    if let Some(variable) = variables::label(&fault.reason) {
        return format!("{variable}: {}", fault.reason);
    }
    // A section of settings is no entry's, wherever it stands.
    let sections = fault.reason.strip_prefix('[').filter(|rest| !rest.starts_with('['));
    let attributes = fault.reason.starts_with(attributes::SECTION);
    let Some((_, key, table)) = nearest.filter(|_| sections.is_none() || attributes) else { return plain() };
    let first = |fields: &[Field]| fields.first().map_or(Sql::Null, |field| field.read(table, &book));
    let number = |value: Sql| int_of(&value).unwrap_or_default();
    let row = match key {
        "rule" => format!("mysql_query_rules rule_id={}", number(first(rules::RULE))),
        "user" => format!("mysql_users username='{}'", text_of(&first(users::USER)).unwrap_or_default()),
        "hostgroup" if attributes => attributes::label(&[first(servers::HOSTGROUP)]),
        "hostgroup" => format!("switchboard_hostgroups hostgroup_id={}", number(first(servers::HOSTGROUP))),
        "backend" => servers::label(table, &book),
        server_tls::KEY => server_tls::label(table, &book),
        "fast_route" => fast::label(table, &book),
        _ => format!("switchboard_tables name='{}'", table.get("name").and_then(|i| i.as_str()).unwrap_or_default()),
    };
    format!("{row}: {}", fault.reason)
}

/// What of the rows of a unit is kept and does nothing, one line each, at most so many.
pub fn idle(tables: &Tables, unit: Unit, most: usize) -> Vec<String> {
    let mut out = Vec::new();
    let mut look = |name: &'static str, fields: &[Field], key: &dyn Fn(&[Sql]) -> String| {
        for row in tables.get(name).into_iter().flatten() {
            for (field, value) in fields.iter().zip(row).filter(|(field, _)| field.kind == codec::Kind::Kept) {
                if out.len() < most && !field.is_absent(value) {
                    out.push(format!("{} {} is kept and does nothing here", key(row), field.column));
                }
            }
        }
    };
    match unit {
        Unit::Rules => look("mysql_query_rules", rules::RULE, &|row| {
            format!("mysql_query_rules rule_id={}:", int_of(cell(row, 0)).unwrap_or_default())
        }),
        Unit::Users => look("mysql_users", users::USER, &|row| {
            format!("mysql_users username='{}':", text_of(cell(row, 0)).unwrap_or_default())
        }),
        Unit::Servers => {
            look("mysql_servers", servers::SERVER, &|row| format!("{}:", servers::server_label(row)));
            look(server_tls::TABLE, server_tls::FIELDS, &|row| format!("{}:", server_tls::row_label(row)));
            look(attributes::TABLE, attributes::FIELDS, &|row| format!("{}:", attributes::label(row)));
            let pairs = tables.get("mysql_replication_hostgroups").into_iter().flatten();
            if pairs.into_iter().any(|pair| !servers::PAIR[0].is_absent(cell(pair, 2))) && out.len() < most {
                out.push(servers::NOT_MOVED.to_owned());
            }
        }
        _ => {}
    }
    for (name, of) in KEPT_TABLES {
        let rows = tables.get(name).map_or(0, Vec::len);
        if *of == unit && rows > 0 {
            out.push(format!("{name}: its {rows} rows are kept and do nothing here"));
        }
    }
    out
}

#[cfg(test)]
mod tests;
