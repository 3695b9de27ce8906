//! Answers on the wire: OK, ERR and result sets, text and binary, written in bounded pieces.
//!
//! Every column is a text, as ProxySQL's are: in a binary row, too, a value is a text with its length before it.

use super::engine::Cell;
use crate::net::Stream;
use crate::protocol::capabilities::Capabilities;
use crate::protocol::codec::{put_lenenc, put_lenenc_bytes, put_packet};
use crate::protocol::response::{self, ErrPacket, OkPacket, put_text_column};
use crate::protocol::status::Status;
use std::io;
use tokio::io::AsyncWriteExt;

/// What a statement is answered with.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Answer {
    /// Done.
    Done {
        /// Rows that changed.
        affected: u64,
        /// The number of the row that was put in last; 0 where none was.
        last_id: u64,
        /// For people.
        info: String,
    },
    /// Rows.
    Rows {
        /// Column names.
        columns: Vec<String>,
        /// Values.
        rows: Vec<Vec<Cell>>,
    },
    /// An error.
    Error(ErrPacket<'static>),
}

impl Answer {
    /// Done, and nothing to say.
    pub fn ok() -> Self {
        Answer::done(0, String::new())
    }

    /// Done.
    pub fn done(affected: u64, info: String) -> Self {
        Answer::Done { affected, last_id: 0, info }
    }

    /// Rows of texts.
    pub fn table(columns: &[&str], rows: Vec<Vec<String>>) -> Self {
        let cell = |text: String| Some(text.into_bytes().into_boxed_slice());
        let rows = rows.into_iter().map(|row| row.into_iter().map(cell).collect()).collect();
        Answer::Rows { columns: columns.iter().map(|&c| c.to_owned()).collect(), rows }
    }

    /// An error as ProxySQL says it.
    pub fn refused(reason: impl std::fmt::Display) -> Self {
        Answer::Error(ErrPacket::new(1045, b"28000", format!("ProxySQL Admin Error: {reason}")))
    }

    /// An error with a code of its own.
    pub fn error(code: u16, state: &[u8; 5], text: impl Into<String>) -> Self {
        Answer::Error(ErrPacket::new(code, state, text))
    }
}

/// A piece of an answer is written once it is this long, in bytes.
const PIECE: usize = 64 << 10;

/// What the client is told of a session: it commits by itself, and backslashes are backslashes.
pub const STATUS: Status = Status::AUTOCOMMIT.union(Status::NO_BACKSLASH_ESCAPES);

/// How an answer is written.
#[derive(Clone, Copy, Debug)]
pub struct Manner {
    /// What was agreed at sign-in.
    pub capabilities: Capabilities,
    /// Binary rows, as an execution has them.
    pub binary: bool,
    /// Another answer follows.
    pub more: bool,
    /// Warnings that SHOW WARNINGS would show.
    pub warnings: u16,
}

impl Manner {
    fn status(&self) -> Status {
        if self.more { STATUS | Status::MORE_RESULTS } else { STATUS }
    }
}

/// Packets on their way to a client.
pub struct Writer<'a> {
    stream: &'a mut Stream,
    out: Vec<u8>,
    payload: Vec<u8>,
    sequence: u8,
}

impl<'a> Writer<'a> {
    /// A writer whose first packet has this sequence number.
    pub fn new(stream: &'a mut Stream, sequence: u8) -> Self {
        Self { stream, out: Vec::new(), payload: Vec::new(), sequence }
    }

    /// The sequence number of the next packet.
    pub fn sequence(&self) -> u8 {
        self.sequence
    }

    /// Adds a packet. What has come together is written where it is much.
    ///
    /// # Errors
    /// Those of the stream.
    pub async fn put(&mut self, encode: impl FnOnce(&mut Vec<u8>)) -> io::Result<()> {
        self.payload.clear();
        encode(&mut self.payload);
        self.sequence = put_packet(&mut self.out, &self.payload, self.sequence);
        if self.out.len() >= PIECE {
            self.stream.write_all(&self.out).await?;
            self.out.clear();
        }
        Ok(())
    }

    /// Writes what is left.
    ///
    /// # Errors
    /// Those of the stream.
    pub async fn finish(mut self) -> io::Result<()> {
        let out = std::mem::take(&mut self.out);
        self.stream.write_all(&out).await?;
        self.stream.flush().await
    }

    /// Adds an answer.
    ///
    /// # Errors
    /// Those of the stream.
    pub async fn answer(&mut self, answer: &Answer, manner: Manner) -> io::Result<()> {
        match answer {
            Answer::Done { affected, last_id, info } => {
                let ok = OkPacket {
                    affected_rows: *affected,
                    last_insert_id: *last_id,
                    status: manner.status(),
                    warnings: manner.warnings,
                    info: info.as_bytes(),
                    ..OkPacket::default()
                };
                self.put(|out| ok.encode(out, manner.capabilities)).await
            }
            Answer::Error(error) => self.put(|out| error.encode(out)).await,
            Answer::Rows { columns, rows } => {
                self.put(|out| put_lenenc(out, columns.len() as u64)).await?;
                self.columns(columns, manner).await?;
                for row in rows {
                    self.put(|out| if manner.binary { put_binary(out, row) } else { put_text(out, row) }).await?;
                }
                self.put(|out| put_end(out, manner)).await
            }
        }
    }

    /// Adds column definitions, and what ends them.
    ///
    /// # Errors
    /// Those of the stream.
    pub async fn columns(&mut self, columns: &[String], manner: Manner) -> io::Result<()> {
        for column in columns {
            self.put(|out| put_text_column(out, column)).await?;
        }
        if !manner.capabilities.contains(Capabilities::DEPRECATE_EOF) {
            self.put(|out| put_end(out, manner)).await?;
        }
        Ok(())
    }
}

fn put_text(out: &mut Vec<u8>, row: &[Cell]) {
    for cell in row {
        match cell {
            Some(text) => put_lenenc_bytes(out, text),
            None => out.push(0xfb),
        }
    }
}

/// A binary row: `00`, the NULL bitmap (which begins at its third bit), the values.
fn put_binary(out: &mut Vec<u8>, row: &[Cell]) {
    out.push(0);
    let mut nulls = vec![0u8; (row.len() + 9) / 8];
    for (index, _) in row.iter().enumerate().filter(|(_, cell)| cell.is_none()) {
        let bit = index + 2;
        if let Some(byte) = nulls.get_mut(bit / 8) {
            *byte |= 1 << (bit % 8);
        }
    }
    out.extend_from_slice(&nulls);
    row.iter().flatten().for_each(|text| put_lenenc_bytes(out, text));
}

/// A column definition as COM_FIELD_LIST has it, with the column's default.
pub fn put_field(out: &mut Vec<u8>, name: &str, default: Option<&str>) {
    put_text_column(out, name);
    match default {
        Some(text) => put_lenenc_bytes(out, text.as_bytes()),
        None => out.push(0xfb),
    }
}

/// What ends rows, and columns where that is said: EOF, or OK with header 0xfe.
pub fn put_end(out: &mut Vec<u8>, manner: Manner) {
    response::put_end(out, manner.capabilities, manner.status(), manner.warnings);
}
