//! The packets of prepared statements, as far as a router must read them.
//!
//! COM_STMT_EXECUTE's payload: command (1), statement id (4), flags (1), iteration count (4, always 1), then, where the
//! statement has parameters, the NULL bitmap, a byte that says whether types follow, the types (2 bytes each) and the values.
//! Clients send the types with the first execution and may leave them out afterwards; since a statement moves between
//! servers, the router keeps them and puts them back where they are missing.
//! Source: MySQL manual "COM_STMT_EXECUTE"; MariaDB Knowledge Base, same title.

use super::codec::{Reader, Truncated};

/// Offset of the statement id in a COM_STMT_* payload.
pub const STATEMENT_ID: usize = 1;
/// The flags of an execution that asks for a cursor (read only, for update, scrollable).
pub const CURSOR_FLAGS: u8 = 0x07;

/// An execution, read as far as its parameter types.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Execute<'a> {
    /// The client's statement id.
    pub id: u32,
    /// Cursor flags.
    pub flags: u8,
    /// The NULL bitmap.
    pub nulls: &'a [u8],
    /// Two bytes per parameter, if the client sent them.
    pub types: Option<&'a [u8]>,
    /// Offset of the byte that says whether types follow, from the payload's start; `None` without parameters.
    pub types_at: Option<usize>,
    /// The values, one after the other; NULLs and long data take no place.
    pub values: &'a [u8],
}

impl<'a> Execute<'a> {
    /// Reads the payload (command byte included) of an execution of a statement with `parameters` parameters.
    ///
    /// # Errors
    /// [`Truncated`] if the payload is too short for what it says.
    pub fn read(payload: &'a [u8], parameters: u16) -> Result<Self, Truncated> {
        let mut reader = Reader::new(payload);
        reader.u8()?;
        let id = reader.u32()?;
        let flags = reader.u8()?;
        reader.u32()?;
        if parameters == 0 {
            return Ok(Self { id, flags, nulls: &[], types: None, types_at: None, values: &[] });
        }
        let parameters = usize::from(parameters);
        let nulls = reader.bytes(parameters.div_ceil(8))?;
        let types_at = payload.len() - reader.rest().len();
        let types = if reader.u8()? == 1 { Some(reader.bytes(parameters * 2)?) } else { None };
        Ok(Self { id, flags, nulls, types, types_at: Some(types_at), values: reader.rest() })
    }

    /// Is parameter `index` NULL?
    pub fn is_null(&self, index: usize) -> bool {
        self.nulls.get(index / 8).is_some_and(|byte| byte >> (index % 8) & 1 == 1)
    }
}

/// One bound value.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Value<'a> {
    /// NULL.
    Null,
    /// A signed integer of any width.
    Int(i64),
    /// An unsigned integer of any width, YEAR included.
    UInt(u64),
    /// FLOAT or DOUBLE.
    Double(f64),
    /// Everything that travels as a length-encoded string.
    Bytes(&'a [u8]),
    /// DATE, DATETIME, TIMESTAMP: year, month, day, hour, minute, second, microsecond.
    DateTime(u16, u8, u8, u8, u8, u8, u32),
    /// TIME, or long data that was sent ahead: a value that says no moment.
    Opaque,
}

/// Reads the values of an execution in order into `out`, given the types in force and which parameters had long data.
///
/// # Errors
/// [`Truncated`] for a value cut short or a type that is unknown: the values after it cannot be found.
pub fn read_values<'a>(
    execute: &Execute<'a>,
    types: &[u8],
    long_data: impl Fn(usize) -> bool,
    out: &mut Vec<Value<'a>>,
) -> Result<(), Truncated> {
    out.clear();
    let mut reader = Reader::new(execute.values);
    for (index, &[kind, flags]) in types.as_chunks::<2>().0.iter().enumerate() {
        let value = if execute.is_null(index) {
            Value::Null
        } else if long_data(index) {
            Value::Opaque
        } else {
            read_value(&mut reader, kind, flags & 0x80 != 0)?
        };
        out.push(value);
    }
    Ok(())
}

fn read_value<'a>(reader: &mut Reader<'a>, kind: u8, unsigned: bool) -> Result<Value<'a>, Truncated> {
    // Column types: MySQL 8.0 `field_types.h`.
    Ok(match kind {
        0x06 => Value::Null,
        0x01 => {
            let v = reader.u8()?;
            if unsigned { Value::UInt(v.into()) } else { Value::Int((v as i8).into()) }
        }
        0x02 => {
            let v = reader.u16()?;
            if unsigned { Value::UInt(v.into()) } else { Value::Int((v as i16).into()) }
        }
        0x0d => Value::UInt(reader.u16()?.into()),
        0x03 | 0x09 => {
            let v = reader.u32()?;
            if unsigned { Value::UInt(v.into()) } else { Value::Int((v as i32).into()) }
        }
        0x08 => {
            let v = reader.u64()?;
            if unsigned { Value::UInt(v) } else { Value::Int(v as i64) }
        }
        0x04 => Value::Double(f32::from_bits(reader.u32()?).into()),
        0x05 => Value::Double(f64::from_bits(reader.u64()?)),
        0x07 | 0x0a | 0x0c | 0x0e | 0x11 | 0x12 => read_date_time(reader)?,
        0x0b | 0x13 => {
            let n = reader.u8()?;
            reader.bytes(n.into())?;
            Value::Opaque
        }
        0x00 | 0x0f | 0x10 | 0xf3..=0xff => Value::Bytes(reader.lenenc_bytes()?),
        _ => return Err(Truncated),
    })
}

fn read_date_time<'a>(reader: &mut Reader<'a>) -> Result<Value<'a>, Truncated> {
    let n = reader.u8()?;
    let mut field = Reader::new(reader.bytes(n.into())?);
    if n == 0 {
        return Ok(Value::DateTime(0, 0, 0, 0, 0, 0, 0));
    }
    let (year, month, day) = (field.u16()?, field.u8()?, field.u8()?);
    let (hour, minute, second) = if n >= 7 { (field.u8()?, field.u8()?, field.u8()?) } else { (0, 0, 0) };
    let micro = if n >= 11 { field.u32()? } else { 0 };
    Ok(Value::DateTime(year, month, day, hour, minute, second, micro))
}

#[cfg(test)]
mod tests {
    use super::*;

    /// `SELECT ? + ?` with a BIGINT and a NULL VARCHAR, types sent.
    const EXECUTE: &[u8] = b"\x17\x09\0\0\0\0\x01\0\0\0\x02\x01\x08\x00\xfd\x00\x05\0\0\0\0\0\0\0";

    #[test]
    fn an_execution_with_types() {
        let execute = Execute::read(EXECUTE, 2).unwrap();
        assert_eq!((execute.id, execute.flags, execute.types_at), (9, 0, Some(11)));
        assert_eq!(execute.types, Some(&b"\x08\x00\xfd\x00"[..]));
        assert!(!execute.is_null(0) && execute.is_null(1) && !execute.is_null(99));
        let mut values = Vec::new();
        read_values(&execute, execute.types.unwrap(), |_| false, &mut values).unwrap();
        assert_eq!(values, [Value::Int(5), Value::Null]);
    }

    #[test]
    fn cut_short_anywhere_it_is_an_error_or_a_shorter_value_never_a_panic() {
        for cut in 0..EXECUTE.len() {
            if let Ok(execute) = Execute::read(&EXECUTE[..cut], 2) {
                let mut values = Vec::new();
                assert_eq!(read_values(&execute, execute.types.unwrap_or(b""), |_| false, &mut values), Err(Truncated));
            }
        }
    }

    #[test]
    fn every_type() {
        let cases: &[(u8, u8, &[u8], Value)] = &[
            (0x01, 0, b"\xff", Value::Int(-1)),
            (0x01, 0x80, b"\xff", Value::UInt(255)),
            (0x02, 0, b"\xfe\xff", Value::Int(-2)),
            (0x03, 0, b"\x01\0\0\0", Value::Int(1)),
            (0x08, 0x80, b"\xff\xff\xff\xff\xff\xff\xff\xff", Value::UInt(u64::MAX)),
            (0x05, 0, &1.5f64.to_le_bytes(), Value::Double(1.5)),
            (0x04, 0, &1.5f32.to_le_bytes(), Value::Double(1.5)),
            (0xfd, 0, b"\x03abc", Value::Bytes(b"abc")),
            (0x0c, 0, b"\x00", Value::DateTime(0, 0, 0, 0, 0, 0, 0)),
            (0x0a, 0, b"\x04\xea\x07\x0b\x16", Value::DateTime(2026, 11, 22, 0, 0, 0, 0)),
            (0x0c, 0, b"\x07\xea\x07\x0b\x16\x01\x02\x03", Value::DateTime(2026, 11, 22, 1, 2, 3, 0)),
            (0x07, 0, b"\x0b\xea\x07\x0b\x16\x01\x02\x03\x05\0\0\0", Value::DateTime(2026, 11, 22, 1, 2, 3, 5)),
            (0x0b, 0, b"\x08\0\0\0\0\0\x01\x02\x03", Value::Opaque),
            (0x06, 0, b"", Value::Null),
        ];
        for (kind, flag, bytes, want) in cases {
            let mut reader = Reader::new(bytes);
            assert_eq!(read_value(&mut reader, *kind, *flag != 0).as_ref(), Ok(want), "type {kind:#x}");
            assert!(reader.is_empty());
        }
        assert_eq!(read_value(&mut Reader::new(b"\x01abc"), 0x99, false), Err(Truncated));
        assert_eq!(read_value(&mut Reader::new(b"\x04\x01"), 0x0a, false), Err(Truncated));
    }
}
