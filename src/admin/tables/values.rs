//! Rows of the tables that are made when somebody looks: each value in the type that its column has.
//!
//! [`row!`](crate::admin::tables::values::row) makes a row of plain values, in the order of the table's columns, which the definitions
//! beside this file give.

use rusqlite::types::Value;
use std::borrow::Cow;
use std::sync::Arc;
use std::time::{SystemTime, UNIX_EPOCH};

/// A row, column by column.
pub type Row = Vec<Value>;

/// What a column can have.
pub trait Cell {
    /// The value as SQLite has it.
    fn cell(self) -> Value;
}

/// A row of what [`Cell`] is for.
macro_rules! row {
    ($($value:expr),* $(,)?) => { vec![$($crate::admin::tables::values::Cell::cell($value)),*] };
}
pub(crate) use row;

impl Cell for Value {
    fn cell(self) -> Value {
        self
    }
}

impl Cell for u64 {
    fn cell(self) -> Value {
        Value::Integer(i64::try_from(self).unwrap_or(i64::MAX))
    }
}

impl Cell for i64 {
    fn cell(self) -> Value {
        Value::Integer(self)
    }
}

impl<T: Cell> Cell for Option<T> {
    fn cell(self) -> Value {
        self.map_or(Value::Null, Cell::cell)
    }
}

macro_rules! numbers {
    ($($kind:ty),*) => { $(impl Cell for $kind {
        fn cell(self) -> Value {
            Value::Integer(self.into())
        }
    })* };
}
numbers!(u8, u16, u32, i32, bool);

macro_rules! texts {
    ($($kind:ty),*) => { $(impl Cell for $kind {
        fn cell(self) -> Value {
            Value::Text(String::from(&*self))
        }
    })* };
}
texts!(&str, Box<str>, Arc<str>, Cow<'_, str>);

impl Cell for String {
    fn cell(self) -> Value {
        Value::Text(self)
    }
}

/// A moment, in microseconds since 1970.
impl Cell for SystemTime {
    fn cell(self) -> Value {
        self.duration_since(UNIX_EPOCH).map_or(0, |d| u64::try_from(d.as_micros()).unwrap_or(u64::MAX)).cell()
    }
}

/// The hash of a digest.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Hash(pub u64);

impl Cell for Hash {
    fn cell(self) -> Value {
        Value::Text(format!("0x{:016X}", self.0))
    }
}
