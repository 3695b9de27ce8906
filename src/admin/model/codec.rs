//! Columns and keys: how a column of a row is read from a TOML table and written there.
//!
//! A column has a default: what it shows where the table has no key for it. A value is written only if it differs from what
//! the table says now, so that an edit of one column leaves the text of all others alone.

use super::book::{Book, KEPT, int_of, literal, same, set, text_of};
use rusqlite::types::Value as Sql;
use toml_edit::{Array, InlineTable, Item, Table, TableLike, Value};

/// How a column stands in the text.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// A text, with variables of the environment in it.
    Text,
    /// A text as it stands.
    Raw,
    /// A whole number.
    Int,
    /// `true` or `false`; 1 or 0 in the column.
    Flag,
    /// Texts, or a list of texts; separated by commas in the column.
    Texts,
    /// Numbers, or a list of numbers; separated by commas in the column.
    Numbers,
    /// Without a meaning here: a text or a number, in the table's `proxysql`.
    Kept,
    /// Somebody else reads and writes it.
    Special,
}

/// What a column shows where there is no key.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Absent {
    /// NULL.
    Null,
    /// A number.
    Int(i64),
    /// A text.
    Text(&'static str),
}

impl Absent {
    fn value(self) -> Sql {
        match self {
            Absent::Null => Sql::Null,
            Absent::Int(number) => Sql::Integer(number),
            Absent::Text(text) => Sql::Text(text.to_owned()),
        }
    }
}

/// A column.
#[derive(Clone, Copy, Debug)]
pub struct Field {
    /// Its name.
    pub column: &'static str,
    /// The key; where it differs from the column.
    pub key: &'static str,
    /// How it stands there.
    pub kind: Kind,
    /// What it shows where there is none.
    pub absent: Absent,
}

impl Field {
    /// A column whose key has its name.
    pub const fn new(column: &'static str, kind: Kind, absent: Absent) -> Self {
        Field { column, key: column, kind, absent }
    }

    /// The column's value.
    pub fn read(&self, table: &dyn TableLike, book: &Book) -> Sql {
        self.present(table, book).unwrap_or_else(|| self.absent.value())
    }

    /// True if the value is what the column shows where nothing is said.
    pub fn is_absent(&self, value: &Sql) -> bool {
        same(&self.absent.value(), value)
    }

    fn present(&self, table: &dyn TableLike, book: &Book) -> Option<Sql> {
        if self.kind == Kind::Kept {
            return table.get(KEPT)?.as_table_like()?.get(self.key).and_then(scalar);
        }
        let item = table.get(self.key)?;
        Some(match self.kind {
            Kind::Text => Sql::Text(book.substituted(item.as_str()?)),
            Kind::Raw => Sql::Text(item.as_str()?.to_owned()),
            Kind::Int => Sql::Integer(number(item, book)?),
            Kind::Flag => Sql::Integer(item.as_bool().map(i64::from).or_else(|| item.as_integer())?),
            Kind::Texts | Kind::Numbers => {
                let words: Vec<String> = match item.as_array() {
                    Some(list) => list.iter().filter_map(|v| word(v, book)).collect(),
                    None => vec![word(item.as_value()?, book)?],
                };
                Sql::Text(words.join(","))
            }
            Kind::Kept | Kind::Special => return None,
        })
    }

    /// Writes the column, if it is not what the table says.
    ///
    /// # Errors
    /// A value that the key cannot have, in words.
    pub fn write(&self, table: &mut Table, wanted: &Sql, book: &Substitution<'_>) -> Result<(), String> {
        if self.kind == Kind::Special || same(&self.read(table, book.0), wanted) {
            return Ok(());
        }
        let absent = same(&self.absent.value(), wanted);
        if self.kind == Kind::Kept {
            keep(table, self.key, if absent { None } else { Some(plain(wanted)) });
            return Ok(());
        }
        if absent || *wanted == Sql::Null {
            table.remove(self.key);
            return Ok(());
        }
        let text = text_of(wanted).unwrap_or_default();
        let not = |what: &str| format!("{}: `{text}` is no {what}", self.column);
        let value = match self.kind {
            Kind::Text => literal(&text),
            Kind::Raw => Value::from(text.clone()),
            Kind::Int => Value::from(int_of(wanted).ok_or_else(|| not("number"))?),
            Kind::Flag => Value::from(int_of(wanted).ok_or_else(|| not("0 or 1"))? != 0),
            Kind::Texts => listed(&text, |word| Ok(literal(word)))?,
            Kind::Numbers => {
                listed(&text, |word| word.parse::<i64>().map(Value::from).map_err(|_| not("list of numbers")))?
            }
            Kind::Kept | Kind::Special => return Ok(()),
        };
        set(table, self.key, value);
        Ok(())
    }
}

/// A book that is only asked for its variables.
pub struct Substitution<'a>(pub &'a Book);

/// A list from its words; a list of one is written as one.
fn listed(text: &str, make: impl Fn(&str) -> Result<Value, String>) -> Result<Value, String> {
    let words: Vec<&str> = text.split(',').map(str::trim).filter(|w| !w.is_empty()).collect();
    if let [one] = words[..] {
        return make(one);
    }
    let mut list = Array::new();
    for word in words {
        list.push(make(word)?);
    }
    Ok(Value::from(list))
}

fn word(value: &Value, book: &Book) -> Option<String> {
    match value {
        Value::String(text) => Some(book.substituted(text.value())),
        Value::Integer(number) => Some(number.value().to_string()),
        _ => None,
    }
}

fn number(item: &Item, book: &Book) -> Option<i64> {
    item.as_integer().or_else(|| book.substituted(item.as_str()?).trim().parse().ok())
}

/// A text or a number as it stands.
pub fn scalar(item: &Item) -> Option<Sql> {
    match item.as_value()? {
        Value::String(text) => Some(Sql::Text(text.value().clone())),
        Value::Integer(number) => Some(Sql::Integer(*number.value())),
        Value::Float(number) => Some(Sql::Real(*number.value())),
        Value::Boolean(flag) => Some(Sql::Integer((*flag.value()).into())),
        _ => None,
    }
}

/// An SQL value as TOML has it.
pub fn plain(value: &Sql) -> Value {
    match value {
        Sql::Integer(number) => Value::from(*number),
        Sql::Real(number) => Value::from(*number),
        other => Value::from(text_of(other).unwrap_or_default()),
    }
}

/// Sets or takes out a key of the table's `proxysql`.
pub fn keep(table: &mut Table, key: &str, value: Option<Value>) {
    if !table.get(KEPT).is_some_and(Item::is_table_like) {
        if value.is_none() {
            return;
        }
        table.insert(KEPT, Item::Value(Value::InlineTable(InlineTable::new())));
    }
    let Some(kept) = table.get_mut(KEPT).and_then(Item::as_table_like_mut) else { return };
    match value {
        Some(value) => set(kept, key, value),
        None => {
            kept.remove(key);
        }
    }
    if kept.is_empty() {
        table.remove(KEPT);
    }
}
