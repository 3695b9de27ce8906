//! `mysql_servers` is `[[backend]]`; `mysql_replication_hostgroups` and `switchboard_hostgroups` are `[[hostgroup]]`.
//!
//! A backend that is in several hostgroups is one entry and several rows. Rows that are made to differ become entries of
//! their own. A hostgroup that a row names and nobody declared is declared: a writer if the replication hostgroups say so or
//! if it is a user's default, else a reader.

use super::book::{Book, Place, int_of, literal, same, set, text_of};
use super::codec::{Absent, Field, Kind, Substitution};
use super::{ModelError, Rows, Tables, cell, value};
use crate::backend::connect::Address;
use crate::config::address_of;
use rusqlite::types::Value as Sql;
use std::collections::{BTreeMap, BTreeSet};
use toml_edit::{Array, Item, Table, TableLike, Value};

use Absent::{Int, Null, Text};

/// The columns of `mysql_servers`.
pub const SERVER: &[Field] = &[
    Field::new("hostgroup_id", Kind::Special, Int(0)),
    Field::new("hostname", Kind::Special, Text("")),
    Field::new("port", Kind::Special, Int(3306)),
    Field::new("gtid_port", Kind::Kept, Int(0)),
    Field::new("status", Kind::Special, Text("ONLINE")),
    Field::new("weight", Kind::Int, Int(1)),
    Field::new("compression", Kind::Kept, Int(0)),
    Field::new("max_connections", Kind::Int, Int(1000)),
    Field::new("max_replication_lag", Kind::Int, Int(0)),
    Field::new("use_ssl", Kind::Special, Int(0)),
    Field::new("max_latency_ms", Kind::Kept, Int(0)),
    Field::new("comment", Kind::Text, Text("")),
];

/// The columns of `switchboard_hostgroups`.
pub const HOSTGROUP: &[Field; 7] = &[
    HOSTGROUP_ID,
    Field::new("name", Kind::Text, Text("")),
    Field::new("role", Kind::Raw, Text("reader")),
    Field { column: "writer_hostgroup", key: "writer", kind: Kind::Int, absent: Null },
    Field::new("horizon", Kind::Text, Null),
    Field::new("policy", Kind::Raw, Text("least_outstanding")),
    Field::new("check_read_only", Kind::Flag, Null),
];

const HOSTGROUP_ID: Field = Field { column: "hostgroup_id", key: "id", kind: Kind::Int, absent: Int(0) };

/// A row of `switchboard_hostgroups`.
type Group = [Sql; HOSTGROUP.len()];

/// What a pair of replication hostgroups says beside its numbers; kept with the readers.
pub const PAIR: [Field; 2] =
    [Field::new("check_type", Kind::Kept, Text("read_only")), Field::new("comment", Kind::Kept, Text(""))];

/// What becomes of a pair and its `check_type`.
pub const NOT_MOVED: &str = "mysql_replication_hostgroups: servers stay in their hostgroups; of several writers those that are \
                             read-only take no writes; check_type is kept and does nothing here";

/// The words for a backend's status: the file's, and ProxySQL's.
const STATUS: [(&str, &str); 3] = [("online", "ONLINE"), ("draining", "OFFLINE_SOFT"), ("disabled", "OFFLINE_HARD")];

/// The rows of a text.
pub fn project(book: &Book, tables: &mut Tables) {
    let mut servers = Rows::new();
    for (_, table) in book.entries("backend") {
        for hostgroup in hostgroups_of(table, book) {
            servers.push(server_row(table, book, hostgroup));
        }
    }
    tables.insert("mysql_servers", servers);
    let (mut pairs, mut groups) = (Rows::new(), Rows::new());
    for (_, table) in book.entries("hostgroup") {
        let row: Group = HOSTGROUP.each_ref().map(|field| field.read(table, book));
        let [id, _, _, writer, ..] = &row;
        if *writer != Sql::Null {
            pairs.push(vec![writer.clone(), id.clone(), PAIR[0].read(table, book), PAIR[1].read(table, book)]);
        }
        groups.push(row.into());
    }
    tables.insert("mysql_replication_hostgroups", pairs);
    tables.insert("switchboard_hostgroups", groups);
}

fn hostgroups_of(table: &dyn TableLike, book: &Book) -> Vec<i64> {
    let key = if table.contains_key("hostgroups") { "hostgroups" } else { "hostgroup" };
    let field = Field { column: "hostgroups", key, kind: Kind::Numbers, absent: Null };
    let single = Field { column: "hostgroup", key, kind: Kind::Int, absent: Null };
    match field.read(table, book) {
        Sql::Text(words) => words.split(',').filter_map(|w| w.trim().parse().ok()).collect(),
        _ => single.read(table, book).as_integer().into_iter().collect(),
    }
}

trait AsInteger {
    fn as_integer(&self) -> Option<i64>;
}

impl AsInteger for Sql {
    fn as_integer(&self) -> Option<i64> {
        int_of(self)
    }
}

/// Host and port of an entry; a unix socket's path is a host with port 0.
pub(super) fn place_of(table: &dyn TableLike, book: &Book) -> (String, i64) {
    let text = table.get("address").and_then(Item::as_str).map(|raw| book.substituted(raw)).unwrap_or_default();
    match address_of(&text) {
        Ok(Address::Tcp(host, port)) => (host.to_string(), port.into()),
        Ok(Address::Unix(path)) => (path.display().to_string(), 0),
        // What is no address is named as it was written all the same.
        Err(_) => {
            let parts = text.rsplit_once(':').and_then(|(host, port)| Some((host.to_owned(), port.parse().ok()?)));
            parts.unwrap_or((text, 0))
        }
    }
}

pub(super) fn address_text(host: &str, port: i64) -> String {
    match port {
        0 if host.starts_with('/') => host.to_owned(),
        _ if host.contains(':') => format!("[{host}]:{port}"),
        _ => format!("{host}:{port}"),
    }
}

fn server_row(table: &dyn TableLike, book: &Book, hostgroup: i64) -> Vec<Sql> {
    let (host, port) = place_of(table, book);
    let read = |field: &Field| match field.column {
        "hostgroup_id" => Sql::Integer(hostgroup),
        "hostname" => Sql::Text(host.clone()),
        "port" => Sql::Integer(port),
        "status" => Sql::Text(status_of(table, book).to_owned()),
        "use_ssl" => Sql::Integer(uses_tls(table).into()),
        _ => field.read(table, book),
    };
    SERVER.iter().map(read).collect()
}

fn status_of(table: &dyn TableLike, book: &Book) -> &'static str {
    let word = table.get("status").and_then(Item::as_str).map(|raw| book.substituted(raw));
    let known = word.and_then(|w| STATUS.iter().find(|(ours, theirs)| w == *ours || w == *theirs));
    known.map_or("ONLINE", |(_, theirs)| theirs)
}

/// True where a connection without TLS is no connection.
fn uses_tls(table: &dyn TableLike) -> bool {
    let Some(item) = table.get("tls") else { return false };
    let mode = item.as_str().or_else(|| item.as_table_like()?.get("mode")?.as_str()).unwrap_or("required");
    !matches!(mode, "disabled" | "preferred")
}

type Key = (String, i64);

fn key_of(row: &[Sql]) -> Key {
    (text_of(cell(row, 1)).unwrap_or_default(), int_of(cell(row, 2)).unwrap_or_default())
}

/// The hostgroup of a row, which is the first column of all these tables.
fn hostgroup_of(row: &[Sql]) -> Option<i64> {
    int_of(cell(row, 0))
}

/// Brings the rows onto the text.
///
/// # Errors
/// [`ModelError`] with the row.
pub fn apply(book: &mut Book, wanted: &Tables) -> Result<(), ModelError> {
    let empty = Rows::new();
    let rows = |name: &str| wanted.get(name).unwrap_or(&empty);
    apply_hostgroups(
        book,
        rows("switchboard_hostgroups"),
        rows("mysql_replication_hostgroups"),
        rows("mysql_servers"),
    )?;
    let mut by_place: BTreeMap<Key, Vec<&Vec<Sql>>> = BTreeMap::new();
    for row in rows("mysql_servers") {
        by_place.entry(key_of(row)).or_default().push(row);
    }
    let present: Vec<(Place, Key)> = book.entries("backend").map(|(p, t)| (p, place_of(t, book))).collect();
    let mut gone = Vec::new();
    let mut models: BTreeMap<Key, Table> = BTreeMap::new();
    for (place, key) in present {
        let Some(table) = book.table("backend", place) else { continue };
        models.entry(key.clone()).or_insert_with(|| table.clone());
        let here = hostgroups_of(table, book);
        let left = by_place.entry(key).or_default();
        // The rows of this entry that are still there, and still alike: the first says what they all are.
        let mine: Vec<&Vec<Sql>> =
            left.iter().filter(|r| here.contains(&hostgroup_of(r).unwrap_or(-1))).copied().collect();
        let Some(first) = mine.first() else {
            gone.push(place);
            continue;
        };
        let alike = |row: &&Vec<Sql>| row.iter().zip(*first).skip(3).all(|(a, b)| same(a, b));
        let stay: Vec<i64> = mine.iter().filter(|r| alike(r)).filter_map(|r| hostgroup_of(r)).collect();
        left.retain(|row| !stay.contains(&hostgroup_of(row).unwrap_or(-1)));
        let kept: Vec<i64> = here.iter().copied().filter(|id| stay.contains(id)).collect();
        book.revise("backend", place, |book, table| {
            write_server(book, table, first).map_err(|reason| server_error(first, reason))?;
            if kept != here {
                set_hostgroups(table, &kept);
            }
            Ok(())
        })?;
    }
    for (key, left) in by_place {
        for row in left {
            // A server that is known already keeps what no column says: its TLS, its zone.
            let mut table = models.get(&key).cloned().unwrap_or_default();
            if !models.contains_key(&key) {
                set_hostgroups(&mut table, &[hostgroup_of(row).unwrap_or_default()]);
                set(&mut table, "address", literal(&address_text(&key.0, key.1)));
            }
            set_hostgroups(&mut table, &[hostgroup_of(row).unwrap_or_default()]);
            write_server(book, &mut table, row).map_err(|reason| server_error(row, reason))?;
            book.add("backend", table);
        }
    }
    book.remove("backend", gone);
    Ok(())
}

fn server_error(row: &[Sql], reason: String) -> ModelError {
    ModelError::row(server_label(row), reason)
}

/// How an entry is named in an error.
pub fn label(table: &dyn TableLike, book: &Book) -> String {
    let hostgroup = hostgroups_of(table, book).first().copied().unwrap_or_default();
    server_label(&server_row(table, book, hostgroup))
}

/// How a row of `mysql_servers` is named in an error.
pub fn server_label(row: &[Sql]) -> String {
    let (host, port) = key_of(row);
    format!("mysql_servers hostgroup_id={} hostname='{host}' port={port}", hostgroup_of(row).unwrap_or_default())
}

fn set_hostgroups(table: &mut Table, ids: &[i64]) {
    match ids {
        [one] if !table.contains_key("hostgroups") => set(table, "hostgroup", Value::from(*one)),
        [one] => {
            table.remove("hostgroups");
            set(table, "hostgroup", Value::from(*one));
        }
        several => {
            table.remove("hostgroup");
            set(table, "hostgroups", Value::from(several.iter().copied().collect::<Array>()));
        }
    }
}

fn write_server(book: &Book, table: &mut Table, row: &[Sql]) -> Result<(), String> {
    for (field, value) in SERVER.iter().zip(row) {
        field.write(table, value, &Substitution(book))?;
    }
    let status = text_of(value(SERVER, row, "status")).unwrap_or_default().to_ascii_uppercase();
    if status_of(table, book) != status {
        match STATUS.iter().find(|(_, theirs)| *theirs == status) {
            Some(("online", _)) => {
                table.remove("status");
            }
            Some((ours, _)) => set(table, "status", Value::from(*ours)),
            None => return Err(format!("status: `{status}` is what the router finds out, not what it is told")),
        }
    }
    let tls = int_of(value(SERVER, row, "use_ssl")).unwrap_or_default() != 0;
    if uses_tls(table) != tls {
        if tls {
            set(table, "tls", Value::from("required"));
        } else {
            table.remove("tls");
        }
    }
    Ok(())
}

/// No hostgroup is the writer of one pair and the reader of another.
fn not_both(pairs: &[(i64, i64)]) -> Result<(), ModelError> {
    let torn = pairs.iter().find_map(|(writer, reader)| {
        let (above, _) = pairs.iter().find(|(_, other)| other == writer)?;
        Some((*writer, *reader, *above))
    });
    let Some((writer, reader, above)) = torn else { return Ok(()) };
    let row = format!("mysql_replication_hostgroups writer_hostgroup={writer} reader_hostgroup={reader}");
    Err(ModelError::row(row, format!("hostgroup {writer} is a reader already, of hostgroup {above}")))
}

fn apply_hostgroups(book: &mut Book, groups: &Rows, pairs: &Rows, servers: &Rows) -> Result<(), ModelError> {
    let group = |row: &Vec<Sql>| -> (i64, Group) {
        let row: Group = std::array::from_fn(|at| cell(row, at).clone());
        (hostgroup_of(&row).unwrap_or_default(), row)
    };
    let mut wanted: BTreeMap<i64, Group> = groups.iter().map(group).collect();
    let defaults: BTreeSet<i64> = book
        .entries("user")
        .filter_map(|(_, table)| Field::new("default_hostgroup", Kind::Int, Null).read(table, book).as_integer())
        .collect();
    let new = |id: i64| {
        let role = if defaults.contains(&id) { "writer" } else { "reader" };
        let text = |t: &str| Sql::Text(t.to_owned());
        [Sql::Integer(id), text(""), text(role), Sql::Null, Sql::Null, text("least_outstanding"), Sql::Null]
    };
    let mut before = Tables::new();
    project(book, &mut before);
    let known_pairs = before.remove("mysql_replication_hostgroups").unwrap_or_default();
    let pair = |row: &Vec<Sql>| (hostgroup_of(row).unwrap_or_default(), int_of(cell(row, 1)).unwrap_or_default());
    not_both(&pairs.iter().map(pair).collect::<Vec<_>>())?;
    let has = |list: &Rows, one: &Vec<Sql>| list.iter().any(|row| pair(row) == pair(one));
    for row in known_pairs.iter().filter(|row| !has(pairs, row)) {
        if let Some([_, _, _, writer, ..]) = wanted.get_mut(&pair(row).1)
            && same(writer, cell(row, 0))
        {
            *writer = Sql::Null;
        }
    }
    for row in pairs.iter().filter(|row| !has(&known_pairs, row)) {
        let (writer, reader) = pair(row);
        let [_, _, role, above, ..] = wanted.entry(writer).or_insert_with(|| new(writer));
        (*role, *above) = (Sql::Text("writer".to_owned()), Sql::Null);
        let [_, _, role, above, ..] = wanted.entry(reader).or_insert_with(|| new(reader));
        (*role, *above) = (Sql::Text("reader".to_owned()), Sql::Integer(writer));
    }
    for id in servers.iter().filter_map(|row| hostgroup_of(row)) {
        wanted.entry(id).or_insert_with(|| new(id));
    }
    let said: BTreeMap<i64, &Vec<Sql>> = pairs.iter().map(|row| (pair(row).1, row)).collect();
    let write = |book: &Book, table: &mut Table, row: &Group| -> Result<(), ModelError> {
        let [id, _, role, ..] = row;
        let id = int_of(id).unwrap_or_default();
        if !table.contains_key("id") {
            set(table, "id", Value::from(id));
        }
        if !table.contains_key("role") {
            set(table, "role", Value::from(text_of(role).unwrap_or_default()));
        }
        let extra = said.get(&id).and_then(|pair| pair.get(2..)).unwrap_or_default();
        let fields = HOSTGROUP.iter().zip(row).skip(1).chain(PAIR.iter().zip(extra));
        for (field, value) in fields {
            let kept_role = field.column == "role" && same(&field.read(table, book), value);
            if !kept_role {
                write_field(book, table, field, value)
                    .map_err(|reason| ModelError::row(format!("switchboard_hostgroups hostgroup_id={id}"), reason))?;
            }
        }
        Ok(())
    };
    let present: Vec<(Place, i64)> = book
        .entries("hostgroup")
        .map(|(place, t)| (place, HOSTGROUP_ID.read(t, book).as_integer().unwrap_or_default()))
        .collect();
    let mut gone = Vec::new();
    for (place, id) in present {
        let Some(row) = wanted.remove(&id) else {
            gone.push(place);
            continue;
        };
        let Some(mut table) = book.table("hostgroup", place).cloned() else { continue };
        let text = table.to_string();
        write(book, &mut table, &row)?;
        if table.to_string() != text
            && let Some(entry) = book.entry("hostgroup", place)
        {
            *entry = table;
        }
    }
    for row in wanted.into_values() {
        let mut table = Table::new();
        write(book, &mut table, &row)?;
        book.add("hostgroup", table);
    }
    book.remove("hostgroup", gone);
    Ok(())
}

/// A role is always said, a default of the table or not.
fn write_field(book: &Book, table: &mut Table, field: &Field, value: &Sql) -> Result<(), String> {
    if field.column == "role" {
        set(table, "role", Value::from(text_of(value).unwrap_or_default()));
        return Ok(());
    }
    field.write(table, value, &Substitution(book))
}
