//! A query over the connection of the health checks, and its answer, read whole and within bounds.
//!
//! Values are texts, as the text protocol has them. What the answers mean is for those who ask: [`super::replica`],
//! [`super::discovery`], [`super::catalogue`], [`super::heartbeat`]. It refuses to wait: the caller sets the time.

use super::connect::Connected;
use crate::net::frame;
use crate::protocol::capabilities::Capabilities;
use crate::protocol::codec::{Reader, Truncated};
use crate::protocol::response::{ErrPacket, OkPacket};
use std::io;

/// What a server answers to a question.
pub(super) enum Answer {
    /// Rows, as the packets that they came in.
    Rows { columns: Vec<Vec<u8>>, rows: Vec<Vec<u8>> },
    /// An error of the server's.
    Refused { code: u16, text: String },
}

/// What is no answer.
pub(super) fn strange() -> io::Error {
    io::Error::new(io::ErrorKind::InvalidData, "a strange answer to a question of the checks")
}

/// How much of an answer is read.
#[derive(Clone, Copy, Debug)]
pub(super) struct Bounds {
    /// The most rows.
    pub rows: usize,
    /// The largest packet, in bytes.
    pub packet: usize,
    /// All rows together, in bytes.
    pub bytes: usize,
}

/// Enough for a server's status: GTID sets are long, and MySQL takes 256 channels.
pub(super) const SMALL: Bounds = Bounds { rows: 1 << 10, packet: 1 << 20, bytes: 1 << 24 };

/// The most columns of an answer.
const MOST_COLUMNS: u64 = 1 << 10;
/// NULL in a row.
const NULL: u8 = 0xfb;

/// Asks, and reads the answer whole. After an error the connection is of no more use.
///
/// # Errors
/// Those of the connection, and `InvalidData` for what is no answer or goes beyond the bounds. Not cancel safe.
pub(super) async fn rows(connected: &mut Connected, question: &str, bounds: Bounds) -> io::Result<Answer> {
    let stream = &mut connected.stream;
    frame::write_packet(stream, &[&[0x03], question.as_bytes()].concat(), 0).await?;
    let mut packet = Vec::new();
    frame::read_packet(stream, &mut packet, bounds.packet).await?;
    if packet.first() == Some(&0xff) {
        let error = ErrPacket::decode(&packet).map_err(|_: Truncated| strange())?;
        return Ok(Answer::Refused { code: error.code, text: error.text().into_owned() });
    }
    let count = Reader::new(&packet).lenenc().map_err(|_| strange())?;
    if !(1..=MOST_COLUMNS).contains(&count) {
        return Err(strange());
    }
    let mut columns = Vec::new();
    for _ in 0..count {
        frame::read_packet(stream, &mut packet, bounds.packet).await?;
        columns.push(column_name(&packet).map_err(|_| strange())?);
    }
    if !connected.capabilities.contains(Capabilities::DEPRECATE_EOF) {
        frame::read_packet(stream, &mut packet, bounds.packet).await?;
    }
    let (mut rows, mut bytes) = (Vec::new(), 0);
    loop {
        frame::read_packet(stream, &mut packet, bounds.packet).await?;
        match packet.first() {
            // A text of 16 MiB at a row's beginning would be beyond the bounds.
            Some(0xfe) => return Ok(Answer::Rows { columns, rows }),
            Some(0xff) => {
                let error = ErrPacket::decode(&packet).map_err(|_| strange())?;
                return Ok(Answer::Refused { code: error.code, text: error.text().into_owned() });
            }
            _ if rows.len() >= bounds.rows || bytes > bounds.bytes => return Err(strange()),
            _ => {
                bytes += packet.len();
                rows.push(std::mem::take(&mut packet));
            }
        }
    }
}

/// What a server says to a statement that returns no rows.
pub(super) enum Done {
    /// It has run.
    Well { affected_rows: u64, insert_id: u64 },
    /// An error of the server's.
    Refused { text: String },
}

/// Has a statement run that returns no rows. After an error the connection is of no more use.
///
/// # Errors
/// Those of the connection, and `InvalidData` for what is no answer. Not cancel safe.
pub(super) async fn execute(connected: &mut Connected, statement: &str) -> io::Result<Done> {
    let stream = &mut connected.stream;
    frame::write_packet(stream, &[&[0x03], statement.as_bytes()].concat(), 0).await?;
    let mut packet = Vec::new();
    frame::read_packet(stream, &mut packet, SMALL.packet).await?;
    match packet.first() {
        Some(0x00) => {
            let ok = OkPacket::decode(&packet, connected.capabilities).map_err(|_| strange())?;
            Ok(Done::Well { affected_rows: ok.affected_rows, insert_id: ok.last_insert_id })
        }
        Some(0xff) => {
            let error = ErrPacket::decode(&packet).map_err(|_: Truncated| strange())?;
            Ok(Done::Refused { text: error.text().into_owned() })
        }
        _ => Err(strange()),
    }
}

/// A column definition's name: the fifth of its texts.
fn column_name(packet: &[u8]) -> Result<Vec<u8>, Truncated> {
    let mut reader = Reader::new(packet);
    for _ in 0..4 {
        reader.lenenc_bytes()?;
    }
    reader.lenenc_bytes().map(<[u8]>::to_vec)
}

/// The value at a place of a row; none for NULL.
pub(super) fn value(row: &[u8], place: usize) -> Result<Option<&[u8]>, Truncated> {
    let mut reader = Reader::new(row);
    for at in 0..=place {
        let value = if reader.rest().first() == Some(&NULL) {
            reader.u8()?;
            None
        } else {
            Some(reader.lenenc_bytes()?)
        };
        if at == place {
            return Ok(value);
        }
    }
    Err(Truncated)
}
