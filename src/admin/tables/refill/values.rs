//! Values of the tables, in the types that their columns have.

use rusqlite::types::Value;
use std::time::{SystemTime, UNIX_EPOCH};

/// A row, column by column.
pub type Row = Vec<Value>;

pub fn text(value: impl Into<String>) -> Value {
    Value::Text(value.into())
}

pub fn number(value: u64) -> Value {
    Value::Integer(i64::try_from(value).unwrap_or(i64::MAX))
}

pub fn hash(digest: u64) -> Value {
    Value::Text(format!("0x{digest:016X}"))
}

pub fn or_null<T>(value: Option<T>, make: impl Fn(T) -> Value) -> Value {
    value.map_or(Value::Null, make)
}

pub fn micros(at: SystemTime) -> Value {
    number(at.duration_since(UNIX_EPOCH).map_or(0, |d| u64::try_from(d.as_micros()).unwrap_or(u64::MAX)))
}
