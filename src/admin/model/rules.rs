//! The tables `mysql_query_rules` and `switchboard_rules`, whose rows are together the entries `[[rule]]`, and
//! `switchboard_tables`, whose rows are the entries `[[table]]`.
//!
//! Columns that ProxySQL does not have are in the second table. It reads rows out of a [`Book`], and brings changed
//! rows onto it. Whether a rule makes sense is checked by the loader over the text that comes out.

use super::book::{Book, Place, all_same, int_of, same, set, text_of};
use super::codec::{Absent, Field, Kind, Substitution};
use super::{ModelError, Rows, Tables, cell, value};
use rusqlite::types::Value as Sql;
use std::collections::BTreeMap;
use toml_edit::{Array, Item, Table, TableLike, Value};

use Absent::{Int, Null, Text};

/// The columns of `mysql_query_rules`.
pub const RULE: &[Field] = &[
    RULE_ID,
    Field::new("active", Kind::Flag, Int(1)),
    Field::new("username", Kind::Text, Null),
    Field::new("schemaname", Kind::Text, Null),
    Field::new("flagIN", Kind::Int, Int(0)),
    Field::new("client_addr", Kind::Text, Null),
    Field::new("proxy_addr", Kind::Text, Null),
    Field::new("proxy_port", Kind::Int, Null),
    Field::new("digest", Kind::Text, Null),
    Field::new("match_digest", Kind::Raw, Null),
    Field::new("match_pattern", Kind::Raw, Null),
    Field::new("negate_match_pattern", Kind::Flag, Int(0)),
    Field::new("re_modifiers", Kind::Texts, Text("CASELESS")),
    Field::new("flagOUT", Kind::Int, Null),
    Field::new("replace_pattern", Kind::Kept, Null),
    Field::new("destination_hostgroup", Kind::Special, Null),
    Field::new("cache_ttl", Kind::Kept, Null),
    Field::new("cache_empty_result", Kind::Kept, Null),
    Field::new("cache_timeout", Kind::Kept, Null),
    Field::new("reconnect", Kind::Kept, Null),
    Field::new("timeout", Kind::Kept, Null),
    Field::new("retries", Kind::Kept, Null),
    Field::new("delay", Kind::Kept, Null),
    Field::new("next_query_flagIN", Kind::Kept, Null),
    Field::new("mirror_flagOUT", Kind::Kept, Null),
    Field::new("mirror_hostgroup", Kind::Kept, Null),
    Field::new("error_msg", Kind::Raw, Null),
    Field::new("OK_msg", Kind::Raw, Null),
    Field::new("sticky_conn", Kind::Kept, Null),
    Field::new("multiplex", Kind::Kept, Null),
    Field::new("gtid_from_hostgroup", Kind::Kept, Null),
    Field::new("log", Kind::Flag, Null),
    Field::new("apply", Kind::Flag, Int(0)),
    Field::new("attributes", Kind::Kept, Text("")),
    Field::new("comment", Kind::Text, Null),
];

/// The columns of `switchboard_rules`.
pub const OURS: &[Field] = &[
    Field::new("rule_id", Kind::Int, Int(0)),
    Field::new("effect", Kind::Texts, Null),
    Field::new("reader_safe", Kind::Flag, Null),
    Field::new("tables", Kind::Texts, Null),
    Field::new("horizon", Kind::Texts, Null),
    Field::new("older_than", Kind::Text, Null),
    Field::new("hint", Kind::Text, Null),
    Field::new("destination_hostgroups", Kind::Special, Null),
];

const RULE_ID: Field = Field::new("rule_id", Kind::Int, Int(0));

const TABLE_UNIT: Field = Field::new("unit", Kind::Text, Text("datetime"));

/// The rows of a text.
pub fn project(book: &Book, tables: &mut Tables) {
    let (mut rules, mut ours) = (Rows::new(), Rows::new());
    for (_, table) in book.entries("rule") {
        let (row, own) = rows_of(table, book);
        if behind_id(&own).iter().any(|value| *value != Sql::Null) {
            ours.push(own);
        }
        rules.push(row);
    }
    tables.insert("mysql_query_rules", rules);
    tables.insert("switchboard_rules", ours);
    let mut named = Rows::new();
    for (_, table) in book.entries("table") {
        named.push(vec![
            Sql::Text(table_name(table, book)),
            Sql::Text(time_columns(table)),
            TABLE_UNIT.read(table, book),
        ]);
    }
    tables.insert("switchboard_tables", named);
}

/// An entry's rows in `mysql_query_rules` and in `switchboard_rules`.
fn rows_of(table: &dyn TableLike, book: &Book) -> (Vec<Sql>, Vec<Sql>) {
    let (first, list) = destinations(table, book);
    let read = |field: &Field| match field.column {
        "destination_hostgroup" => first.clone(),
        "destination_hostgroups" => list.clone(),
        _ => field.read(table, book),
    };
    (RULE.iter().map(read).collect(), OURS.iter().map(read).collect())
}

/// What a row of `switchboard_rules` says: all of it but the rule's number.
fn behind_id(own: &[Sql]) -> &[Sql] {
    own.get(1..).unwrap_or_default()
}

/// The first destination, and the list where there is one.
fn destinations(table: &dyn TableLike, book: &Book) -> (Sql, Sql) {
    let one = Field::new("destination_hostgroup", Kind::Int, Null).read(table, book);
    let list = Field::new("destination_hostgroups", Kind::Numbers, Null).read(table, book);
    match text_of(&list) {
        Some(words) => {
            let first = words.split(',').next().and_then(|w| w.parse().ok()).map_or(Sql::Null, Sql::Integer);
            // A list of one says no more than the column of ProxySQL's.
            if words.contains(',') { (first, list) } else { (first, Sql::Null) }
        }
        None => (one, Sql::Null),
    }
}

fn table_name(table: &dyn TableLike, book: &Book) -> String {
    let text = |key| table.get(key).and_then(Item::as_str).map(|raw| book.substituted(raw));
    let name = text("name").unwrap_or_default();
    match text("schema").filter(|schema| !schema.is_empty()) {
        Some(schema) => format!("{schema}.{name}"),
        None => name,
    }
}

fn time_columns(table: &dyn TableLike) -> String {
    let mut names: Vec<&str> = Vec::new();
    for item in ["time_column", "time_columns"].iter().filter_map(|key| table.get(key)) {
        names.extend(item.as_str());
        names.extend(item.as_array().into_iter().flat_map(Array::iter).filter_map(Value::as_str));
    }
    names.join(",")
}

/// Rows by `rule_id`.
fn by_id<'a>(tables: &'a Tables, name: &str) -> BTreeMap<i64, &'a Vec<Sql>> {
    let key = |row: &Vec<Sql>| row.first().and_then(int_of).unwrap_or_default();
    tables.get(name).into_iter().flatten().map(|row| (key(row), row)).collect()
}

/// Brings the rows onto the text. `said` is what it says, as far as that is known.
///
/// # Errors
/// [`ModelError`] with the row.
pub fn apply(book: &mut Book, wanted: &Tables, said: &Tables) -> Result<(), ModelError> {
    let (mut ours, mut missing) = (by_id(wanted, "switchboard_rules"), by_id(wanted, "mysql_query_rules"));
    let (own_said, said) = (by_id(said, "switchboard_rules"), by_id(said, "mysql_query_rules"));
    let present: Vec<(Place, i64)> = book
        .entries("rule")
        .map(|(place, table)| (place, int_of(&RULE_ID.read(table, book)).unwrap_or_default()))
        .collect();
    let mut gone = Vec::new();
    let blank = [Sql::Null, Sql::Null, Sql::Null, Sql::Null, Sql::Null, Sql::Null, Sql::Null, Sql::Null].to_vec();
    for (place, id) in present {
        let Some(row) = missing.remove(&id) else {
            gone.push(place);
            ours.remove(&id);
            continue;
        };
        let own = ours.remove(&id).unwrap_or(&blank);
        let alike = |was: &[Sql], own_was: &[Sql]| all_same(was, row) && all_same(behind_id(own_was), behind_id(own));
        if said.get(&id).is_some_and(|was| alike(was, own_said.get(&id).unwrap_or(&&blank))) {
            continue;
        }
        let Some(present) = book.table("rule", place) else { continue };
        let (was, own_was) = rows_of(present, book);
        if alike(&was, &own_was) {
            continue;
        }
        book.revise("rule", place, |book, table| write_rule(book, table, row, own))
            .map_err(|reason| rule_error(id, reason))?;
    }
    for (id, row) in missing {
        let own = ours.remove(&id).unwrap_or(&blank);
        let mut table = Table::new();
        write_rule(book, &mut table, row, own).map_err(|reason| rule_error(id, reason))?;
        book.add("rule", table);
    }
    if let Some(id) = ours.keys().next() {
        let reason = "there is no such rule in mysql_query_rules".to_owned();
        return Err(ModelError::row(format!("switchboard_rules rule_id={id}"), reason));
    }
    book.remove("rule", gone);
    apply_tables(book, wanted.get("switchboard_tables").unwrap_or(&Rows::new()))
}

fn rule_error(id: i64, reason: String) -> ModelError {
    ModelError::row(format!("mysql_query_rules rule_id={id}"), reason)
}

fn write_rule(book: &Book, table: &mut Table, row: &[Sql], own: &[Sql]) -> Result<(), String> {
    let with = Substitution(book);
    if table.get("rule_id").is_none() {
        table.insert("rule_id", Item::Value(Value::from(row.first().and_then(int_of).unwrap_or_default())));
    }
    for (field, value) in RULE.iter().zip(row).skip(1) {
        field.write(table, value, &with)?;
    }
    for (field, value) in OURS.iter().zip(own).skip(1) {
        field.write(table, value, &with)?;
    }
    let (first, list) = destinations(table, book);
    let (want_first, want_list) =
        (value(RULE, row, "destination_hostgroup"), value(OURS, own, "destination_hostgroups"));
    if !same(&list, want_list) && *want_list != Sql::Null {
        table.remove("destination_hostgroup");
        let mut numbers = Array::new();
        for word in text_of(want_list).unwrap_or_default().split(',') {
            let number: i64 = word
                .trim()
                .parse()
                .map_err(|_| format!("destination_hostgroups: `{word}` is no hostgroup's number"))?;
            numbers.push(number);
        }
        set(table, "destination_hostgroups", Value::from(numbers));
    } else if !same(&first, want_first) || !same(&list, want_list) {
        // Another destination in ProxySQL's column stands for all of them.
        table.remove("destination_hostgroups");
        match int_of(want_first) {
            Some(id) => set(table, "destination_hostgroup", Value::from(id)),
            None => {
                table.remove("destination_hostgroup");
            }
        }
    }
    Ok(())
}

fn apply_tables(book: &mut Book, wanted: &Rows) -> Result<(), ModelError> {
    let name = |row: &Vec<Sql>| row.first().and_then(text_of).unwrap_or_default();
    let mut missing: BTreeMap<String, &Vec<Sql>> = wanted.iter().map(|row| (name(row), row)).collect();
    let present: Vec<(Place, String, String, Sql)> = book
        .entries("table")
        .map(|(place, t)| (place, table_name(t, book), time_columns(t), TABLE_UNIT.read(t, book)))
        .collect();
    let mut gone = Vec::new();
    let write = |table: &mut Table, row: &[Sql], columns: &str| {
        let wanted = row.get(1).and_then(text_of).unwrap_or_default();
        if wanted != columns {
            table.remove("time_column");
            table.remove("time_columns");
            let names: Vec<&str> = wanted.split(',').map(str::trim).filter(|n| !n.is_empty()).collect();
            match names[..] {
                [one] => set(table, "time_column", Value::from(one)),
                _ => set(table, "time_columns", Value::from(names.into_iter().collect::<Array>())),
            }
        }
    };
    for (place, known, columns, unit) in present {
        let Some(row) = missing.remove(&known) else {
            gone.push(place);
            continue;
        };
        let changed = !same(&Sql::Text(columns.clone()), cell(row, 1)) || !same(&unit, cell(row, 2));
        if !changed {
            continue;
        }
        if let Some(table) = book.entry("table", place) {
            write(table, row, &columns);
            set_unit(table, cell(row, 2));
        }
    }
    for (known, row) in missing {
        let mut table = Table::new();
        set(&mut table, "name", super::book::literal(&known));
        write(&mut table, row, "");
        set_unit(&mut table, cell(row, 2));
        book.add("table", table);
    }
    book.remove("table", gone);
    Ok(())
}

fn set_unit(table: &mut Table, unit: &Sql) {
    match text_of(unit).as_deref() {
        None | Some("datetime") => {
            table.remove("unit");
        }
        Some(unit) => set(table, "unit", Value::from(unit)),
    }
}
