//! What comes back for a step, whole: every packet that a client could tell from another, and what is no answer at all.
//!
//! Rows and column definitions are kept as the bytes that came, since two servers of one kind say the same thing in the same
//! bytes; they are decoded for people only. Neighbours: `player` asks for replies, `compare` holds two against each other.

use super::program::shown;
use crate::traffic_support::raw::{Fault, Raw};
use std::fmt;
use std::time::Duration;
use switchboard::protocol::capabilities::Capabilities;
use switchboard::protocol::codec::{Reader, Truncated};
use switchboard::protocol::response::{EofPacket, ErrPacket, OkPacket};
use switchboard::protocol::status::Status;

/// One result of a step.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Reply {
    Ok {
        affected: u64,
        insert_id: u64,
        status: Status,
        warnings: u16,
        info: Vec<u8>,
    },
    Rows {
        columns: Vec<Vec<u8>>,
        rows: Vec<Vec<u8>>,
        binary: bool,
        status: Status,
        warnings: u16,
    },
    /// COM_STMT_PREPARE's: definitions of parameters and of columns.
    Prepared {
        parameters: Vec<Vec<u8>>,
        columns: Vec<Vec<u8>>,
        warnings: u16,
    },
    Err {
        code: u16,
        state: String,
        text: String,
    },
    /// The step has no answer, or could not be done (a statement of that name is not prepared).
    Nothing(&'static str),
    /// The connection is of no use any more.
    Broken(Fault),
}

impl Reply {
    /// Takes out of an OK how many rows there were: that of MySQL's CALL which changes none has the number of whatever ran before it
    /// on its connection.
    pub fn forget_rows(&mut self) {
        if let Reply::Ok { affected, .. } = self {
            *affected = 0;
        }
    }

    /// Takes out of an OK the number of warnings.
    pub fn forget_warnings(&mut self) {
        if let Reply::Ok { warnings, .. } = self {
            *warnings = 0;
        }
    }

    /// Takes out the flag AUTOCOMMIT. MySQL sets it in a session that begins without autocommit, and then has it right from the first SET
    /// of the variable on: a connection that others have had tells the truth.
    pub fn forget_autocommit(&mut self) {
        if let Reply::Ok { status, .. } | Reply::Rows { status, .. } = self {
            status.remove(Status::AUTOCOMMIT);
        }
    }

    /// Takes out what tells who has checked foreign keys. On a connection of MySQL's that was reset InnoDB does, until it is closed; on a new one
    /// the server (9.7). Under LOCK TABLES the error is another then, and the names in an error's text are quoted otherwise.
    pub fn forget_who_checks_foreign_keys(&mut self) {
        const LOCKED_FOR_READ: u16 = 1099;
        const NOT_LOCKED: u16 = 1100;
        const FAILS_FOR_PARENT: u16 = 1451;
        const FAILS_FOR_CHILD: u16 = 1452;
        match self {
            Reply::Err { code: code @ (LOCKED_FOR_READ | NOT_LOCKED), text, .. } => {
                *code = NOT_LOCKED;
                text.clear();
            }
            Reply::Err { code: FAILS_FOR_PARENT | FAILS_FOR_CHILD, text, .. } => text.retain(|c| c != '`' && c != '"'),
            _ => {}
        }
    }

    /// Takes over error 1792 in the place of another: a prepared write that has more than one fault in a READ ONLY transaction gets the error
    /// that its server finds first. Where its connection has not prepared it before, it finds that one, in preparing.
    pub fn take_read_only_error_of(&mut self, routed: &Reply) {
        const READ_ONLY_TRANSACTION: u16 = 1792;
        if matches!((&*self, routed), (Reply::Err { .. }, Reply::Err { code: READ_ONLY_TRANSACTION, .. })) {
            *self = routed.clone();
        }
    }

    /// Another result follows.
    pub fn more(&self) -> bool {
        match self {
            Reply::Ok { status, .. } | Reply::Rows { status, .. } => status.contains(Status::MORE_RESULTS),
            _ => false,
        }
    }
}

/// Reads replies from one connection.
pub struct Replies<'a> {
    pub raw: &'a mut Raw,
    /// For one packet.
    pub patience: Duration,
    /// The execution asked for a cursor: the columns may be all.
    pub cursor: bool,
}

impl Replies<'_> {
    async fn packet(&mut self) -> Result<Vec<u8>, Fault> {
        self.raw.next_packet(self.patience).await
    }

    /// All results of a command.
    pub async fn all(&mut self, binary: bool) -> Vec<Reply> {
        let mut all = Vec::new();
        loop {
            let reply = self.one(binary).await.unwrap_or_else(Reply::Broken);
            let more = reply.more();
            all.push(reply);
            if !more {
                return all;
            }
        }
    }

    /// One result.
    pub async fn one(&mut self, binary: bool) -> Result<Reply, Fault> {
        let first = self.packet().await?;
        match first.first() {
            Some(0x00) => return Ok(ok(&first, self.raw.capabilities)),
            Some(0xfe) => return Ok(simple(&first, self.raw.capabilities)),
            Some(0xff) => return Ok(err(&first)),
            Some(0xfb) => return Ok(Reply::Nothing("asks for a file")),
            _ => {}
        }
        let count = Reader::new(&first).lenenc().unwrap_or(0);
        let columns = self.definitions(count).await?;
        if !self.raw.deprecate_eof {
            let end = self.packet().await?;
            let status = EofPacket::decode(&end).map_or(Status::empty(), |eof| eof.status);
            if self.cursor && status.contains(Status::CURSOR_EXISTS) {
                return Ok(Reply::Rows { columns, rows: Vec::new(), binary, status, warnings: 0 });
            }
        }
        self.rows(columns, binary).await
    }

    /// Rows up to their end.
    pub async fn rows(&mut self, columns: Vec<Vec<u8>>, binary: bool) -> Result<Reply, Fault> {
        let mut rows = Vec::new();
        loop {
            let packet = self.packet().await?;
            let longest_end = if self.raw.deprecate_eof { 0xff_ffff } else { 9 };
            match packet.first() {
                Some(0xff) => return Ok(err(&packet)),
                Some(0xfe) if packet.len() < longest_end => {
                    let end = if self.raw.deprecate_eof { ok(&packet, self.raw.capabilities) } else { eof(&packet) };
                    let Reply::Ok { status, warnings, .. } = end else { return Ok(end) };
                    return Ok(Reply::Rows { columns, rows, binary, status, warnings });
                }
                _ => rows.push(packet),
            }
        }
    }

    async fn definitions(&mut self, count: u64) -> Result<Vec<Vec<u8>>, Fault> {
        let mut all = Vec::new();
        for _ in 0..count {
            all.push(self.packet().await?);
        }
        Ok(all)
    }

    /// COM_STMT_PREPARE's answer, and the statement's number.
    pub async fn prepared(&mut self) -> Result<(Reply, Option<u32>), Fault> {
        let first = self.packet().await?;
        if first.first() != Some(&0) {
            return Ok((err(&first), None));
        }
        let mut r = Reader::new(&first[1..]);
        let head = (|| Ok::<_, Truncated>((r.u32()?, r.u16()?, r.u16()?, r.u8()?, r.u16()?)))();
        let Ok((id, columns, parameters, _, warnings)) = head else {
            return Ok((Reply::Nothing("a prepare answer that is cut short"), None));
        };
        let parameters = self.definitions_with_end(parameters).await?;
        let columns = self.definitions_with_end(columns).await?;
        Ok((Reply::Prepared { parameters, columns, warnings }, Some(id)))
    }

    async fn definitions_with_end(&mut self, count: u16) -> Result<Vec<Vec<u8>>, Fault> {
        let all = self.definitions(count.into()).await?;
        if count > 0 && !self.raw.deprecate_eof {
            self.packet().await?;
        }
        Ok(all)
    }
}

/// Bytes of an EOF packet. Longer ones that begin so are OK packets in the place of one.
const EOF: usize = 5;

/// An OK, ERR or EOF packet.
pub fn simple(packet: &[u8], capabilities: Capabilities) -> Reply {
    match packet.first() {
        Some(0xff) => err(packet),
        Some(0xfe) if packet.len() == EOF => eof(packet),
        _ => ok(packet, capabilities),
    }
}

fn ok(packet: &[u8], capabilities: Capabilities) -> Reply {
    match OkPacket::decode(packet, capabilities) {
        Ok(ok) => Reply::Ok {
            affected: ok.affected_rows,
            insert_id: ok.last_insert_id,
            status: ok.status,
            warnings: ok.warnings,
            info: ok.info.to_vec(),
        },
        Err(_) => Reply::Nothing("an OK packet that is cut short"),
    }
}

fn eof(packet: &[u8]) -> Reply {
    match EofPacket::decode(packet) {
        Ok(EofPacket { status, warnings }) => {
            Reply::Ok { affected: 0, insert_id: 0, status, warnings, info: Vec::new() }
        }
        Err(_) => Reply::Nothing("an EOF packet that is cut short"),
    }
}

fn err(packet: &[u8]) -> Reply {
    match ErrPacket::decode(packet) {
        Ok(error) => Reply::Err {
            code: error.code,
            state: error.state.map(|s| String::from_utf8_lossy(&s).into_owned()).unwrap_or_default(),
            text: shown(&error.message),
        },
        Err(_) => Reply::Nothing("an ERR packet that is cut short"),
    }
}

impl fmt::Display for Reply {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Reply::Ok { affected, insert_id, status, warnings, info } => {
                write!(f, "OK, {affected} rows, insert id {insert_id}, {warnings} warnings, [{}]", flags(*status))?;
                if info.is_empty() { Ok(()) } else { write!(f, " {}", shown(info)) }
            }
            Reply::Rows { columns, rows, binary, status, warnings } => {
                let names: Vec<String> = columns.iter().map(|column| column_shown(column)).collect();
                write!(f, "rows of ({}), {warnings} warnings, [{}]", names.join(", "), flags(*status))?;
                for row in rows.iter().take(12) {
                    write!(f, "\n          {}", row_shown(row, *binary))?;
                }
                if rows.len() > 12 { write!(f, "\n          … {} rows", rows.len()) } else { Ok(()) }
            }
            Reply::Prepared { parameters, columns, warnings } => {
                write!(f, "prepared, {} parameters, {} columns, {warnings} warnings", parameters.len(), columns.len())
            }
            Reply::Err { code, state, text } => write!(f, "error {code} ({state}): {text}"),
            Reply::Nothing(what) => f.write_str(what),
            Reply::Broken(fault) => write!(f, "broken: {fault:?}"),
        }
    }
}

fn flags(status: Status) -> String {
    (status & super::compare::SEEN).iter_names().map(|(name, _)| name).collect::<Vec<_>>().join(" ")
}

/// A column's name, type, character set, length, flags and decimals.
fn column_shown(packet: &[u8]) -> String {
    let read = || {
        let mut r = Reader::new(packet);
        let mut name = Vec::new();
        for _ in 0..5 {
            name = r.lenenc_bytes()?.to_vec();
        }
        r.lenenc_bytes()?;
        r.lenenc()?;
        let (charset, length, kind, flags, decimals) = (r.u16()?, r.u32()?, r.u8()?, r.u16()?, r.u8()?);
        Ok::<_, Truncated>(format!("{} {kind:#x}/{charset}/{length}/{flags:#x}/{decimals}", shown(&name)))
    };
    read().unwrap_or_else(|_| shown(packet))
}

/// A row for people: texts between bars; a binary row as it came.
pub fn row_shown(packet: &[u8], binary: bool) -> String {
    if binary {
        return packet
            .iter()
            .map(|b| if b.is_ascii_graphic() { (*b as char).to_string() } else { format!("\\x{b:02X}") })
            .collect();
    }
    let mut r = Reader::new(packet);
    let mut values = Vec::new();
    while let Some(first) = r.rest().first() {
        if *first == 0xfb {
            let _ = r.u8();
            values.push("NULL".to_owned());
            continue;
        }
        match r.lenenc_bytes() {
            Ok(text) => values.push(shown(text)),
            Err(_) => return shown(packet),
        }
    }
    values.join(" | ")
}
