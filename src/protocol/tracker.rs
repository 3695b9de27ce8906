//! Where does this response end, and what did it change?
//!
//! A pure state machine over the bytes of a response. It reads each packet's header and, where a packet may be one that
//! matters (OK, ERR, EOF, a column count, a request for a file), its first bytes; rows and column definitions it steps
//! over. It holds no bytes: what it cannot decide yet it leaves with the caller, who gives it again with more behind it.
//!
//! ```text
//!            ┌────────── more results ───────────┐
//!            ▼                                   │
//!  ──▶ Head ─┬─ OK, ERR ─────────────────────────┴──▶ Done
//!            ├─ 0xfb ───▶ File ──(client's file sent)──▶ Head
//!            ├─ count ──▶ Columns ─▶ [ColumnsEnd] ─▶ Rows ─ EOF/OK ─▶ Head or Done
//!            └─ prepare OK ─▶ Parameters ─▶ Columns ─▶ Done
//! ```
//!
//! Source: MariaDB Knowledge Base "Result Set Packets", "COM_STMT_PREPARE response"; MySQL 8.0 `sql-common/client.cc`.
//!
//! Every frame's sequence number is checked. A peer that breaks the protocol makes [`feed`](Tracker::feed) return an
//! error, after which the connection is good for nothing but closing.

use super::codec::{HEADER, Header, MAX_FRAME, Reader};
use super::status::Status;

/// What kind of response a command has.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Expect {
    /// OK, ERR, result sets, LOCAL INFILE: COM_QUERY, COM_STMT_EXECUTE, and all that answer OK or ERR alone.
    Results,
    /// The same for a COM_STMT_EXECUTE that asks for a cursor. A server that opens one sends the columns alone; it may also
    /// open none and send rows.
    Cursor,
    /// COM_STMT_PREPARE.
    Prepare,
    /// Rows of an open cursor: COM_STMT_FETCH. Also COM_FIELD_LIST, whose column definitions end like rows do, and COM_SET_OPTION,
    /// whose whole answer is such an end.
    Rows,
    /// One packet of text: COM_STATISTICS.
    Text,
}

/// What an OK or EOF packet says.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Summary {
    /// Rows changed; 0 in an EOF packet.
    pub affected_rows: u64,
    /// The AUTO_INCREMENT value; 0 in an EOF packet.
    pub insert_id: u64,
    /// The status flags.
    pub status: Status,
    /// Number of warnings.
    pub warnings: u16,
}

/// A packet that matters.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Packet {
    /// An OK packet that answers a statement without rows.
    Ok(Summary),
    /// The end of a result set's rows: an EOF packet, or an OK packet with header 0xfe.
    RowsEnd(Summary),
    /// The EOF packet between column definitions and rows.
    ColumnsEnd(Summary),
    /// An ERR packet, with its code.
    Err(u16),
    /// The answer to COM_STMT_PREPARE.
    Prepared {
        /// The server's number of the statement, bytes 1 to 4 of the payload.
        id: u32,
        /// Columns of its result.
        columns: u16,
        /// Its parameters.
        parameters: u16,
    },
    /// The server asks for a file (LOAD DATA LOCAL); the payload after the first byte is its name.
    LocalInfile,
    /// The one packet of [`Expect::Text`].
    Text,
}

/// One step of [`Tracker::feed`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Step {
    /// The first `pass` bytes may go on to the client. What is left (less than a packet that matters) is undecided:
    /// give it again, at the front of the bytes that follow.
    More {
        /// How many bytes are decided.
        pass: usize,
    },
    /// `bytes[start..end]` is a whole packet that matters, header included. All before it may go on to the client, and it
    /// too, unless the caller rewrites it.
    Packet {
        /// Its first byte.
        start: usize,
        /// The byte after its last.
        end: usize,
        /// What it says.
        packet: Packet,
    },
}

/// The server broke the protocol.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Desync {
    /// A frame's sequence number is not the one that comes next.
    #[error("packet out of order: sequence number {got}, expected {expected}")]
    Sequence {
        /// What came.
        got: u8,
        /// What should have come.
        expected: u8,
    },
    /// A packet cannot be what its place in the response demands.
    #[error("malformed packet where {0} was expected")]
    Malformed(&'static str),
    /// A packet that has to be read whole is larger than any such packet is.
    #[error("a control packet of {0} bytes")]
    TooLarge(usize),
    /// Bytes came after the response's end.
    #[error("the server sent bytes that nothing asked for")]
    Unsolicited,
}

/// Control packets (OK, ERR, EOF, prepare OK) are read whole; one that claims to be larger is a broken server.
/// The largest honest ones carry session state changes, bounded by the server's own variables.
pub const MAX_CONTROL: usize = 1 << 20;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Phase {
    Head,
    PrepareHead,
    /// Parameter definitions of a prepared statement, then `columns` column definitions.
    Parameters {
        left: u64,
        columns: u64,
    },
    ParametersEnd {
        columns: u64,
    },
    Columns {
        left: u64,
        prepare: bool,
    },
    ColumnsEnd {
        prepare: bool,
    },
    Rows,
    Text,
    /// The client is sending a file; the server is silent.
    File,
    Done,
}

/// The most columns that a result may have: servers have no limit for those that are written out, but in a statement's size.
const MOST_COLUMNS: u64 = 0xff_ffff;

/// Follows one response. Small and `Copy`-like cheap: a new one for every command.
#[derive(Clone, Debug)]
pub struct Tracker {
    phase: Phase,
    /// Bytes of the present frame that are still to come and of no interest.
    skip: usize,
    /// The frame that is being skipped is full: the next frame belongs to the same packet.
    continues: bool,
    sequence: u8,
    deprecate_eof: bool,
    rows: u64,
    /// The present rows are OUT parameters, whose first EOF packet alone says that more follows.
    out_parameters: bool,
    cursor: Cursor,
}

/// Whether the server keeps the rows for the client to fetch.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Cursor {
    /// The request did not ask for that. CURSOR_EXISTS then tells of a cursor inside a procedure, a function or a block.
    NotAsked,
    /// It asked, and has not been given one so far.
    Asked,
    /// It has been given one.
    Opened,
}

impl Tracker {
    /// A tracker for the response to a command whose last frame had the sequence number `sent`.
    pub fn new(expect: Expect, deprecate_eof: bool, sent: u8) -> Self {
        let phase = match expect {
            Expect::Results | Expect::Cursor => Phase::Head,
            Expect::Prepare => Phase::PrepareHead,
            Expect::Rows => Phase::Rows,
            Expect::Text => Phase::Text,
        };
        Self {
            phase,
            skip: 0,
            continues: false,
            sequence: sent.wrapping_add(1),
            deprecate_eof,
            rows: 0,
            out_parameters: false,
            cursor: if expect == Expect::Cursor { Cursor::Asked } else { Cursor::NotAsked },
        }
    }

    /// True once the response has ended, with the last byte of its last packet.
    pub fn is_done(&self) -> bool {
        self.phase == Phase::Done && self.skip == 0 && !self.continues
    }

    /// True while the server waits for a file from the client.
    pub fn wants_file(&self) -> bool {
        self.phase == Phase::File
    }

    /// The client has sent its file; the last frame had the sequence number `sent`. The server's verdict follows.
    pub fn file_sent(&mut self, sent: u8) {
        if self.phase == Phase::File {
            self.sequence = sent.wrapping_add(1);
            self.phase = Phase::Head;
        }
    }

    /// Rows that went by so far.
    pub fn rows(&self) -> u64 {
        self.rows
    }

    /// True if the response says that a cursor has been opened for the client, whose rows come by COM_STMT_FETCH.
    pub fn opened_cursor(&self) -> bool {
        self.cursor == Cursor::Opened
    }

    /// True if not a byte of a result has been decided yet.
    pub fn is_fresh(&self) -> bool {
        self.skip == 0 && matches!(self.phase, Phase::Head | Phase::PrepareHead | Phase::Text) && self.rows == 0
    }

    /// Looks at the bytes that came. Call again with the rest after each [`Step::Packet`], until [`Step::More`] or the
    /// response [is done](Self::is_done).
    ///
    /// # Errors
    /// [`Desync`], after which neither the tracker nor the connection is of use.
    pub fn feed(&mut self, bytes: &[u8]) -> Result<Step, Desync> {
        let mut at = 0;
        loop {
            if self.skip > 0 {
                let step = self.skip.min(bytes.len() - at);
                self.skip -= step;
                at += step;
                if self.skip > 0 {
                    return Ok(Step::More { pass: at });
                }
            }
            at = self.run_through(bytes, at);
            #[expect(clippy::indexing_slicing, reason = "no step goes beyond the end of `bytes`")]
            let rest = &bytes[at..];
            if matches!(self.phase, Phase::Done | Phase::File) && !self.continues {
                return if rest.is_empty() { Ok(Step::More { pass: at }) } else { Err(Desync::Unsolicited) };
            }
            let Some(header) = Header::read(rest) else {
                return Ok(Step::More { pass: at });
            };
            if header.sequence != self.sequence {
                return Err(Desync::Sequence { got: header.sequence, expected: self.sequence });
            }
            if self.continues {
                self.take(header);
                at += HEADER;
                continue;
            }
            // An empty packet has no first byte; the one behind it is the next frame's.
            let first = if header.length == 0 { Some(&0x01) } else { rest.get(HEADER) };
            let Some(&first) = first else { return Ok(Step::More { pass: at }) };
            if !self.matters(header, first) {
                self.step_over()?;
                self.take(header);
                at += HEADER;
                continue;
            }
            if header.length > MAX_CONTROL {
                return Err(Desync::TooLarge(header.length));
            }
            let Some(payload) = rest.get(HEADER..HEADER + header.length) else {
                return Ok(Step::More { pass: at });
            };
            self.sequence = self.sequence.wrapping_add(1);
            let end = at + HEADER + header.length;
            match self.read(payload)? {
                Some(packet) => return Ok(Step::Packet { start: at, end, packet }),
                None => at = end,
            }
        }
    }

    /// Steps over the rows and definitions that are there whole, from `at` on; returns where it stopped. Whatever is out of
    /// the ordinary (a packet that matters, a full frame, an empty one, a wrong number, the last definition) it leaves to
    /// [`Tracker::feed`]: this is the same in fewer steps, for what nearly all packets are.
    fn run_through(&mut self, bytes: &[u8], mut at: usize) -> usize {
        let most = match self.phase {
            Phase::Rows => u64::MAX,
            Phase::Columns { left, .. } | Phase::Parameters { left, .. } => left.saturating_sub(1),
            _ => return at,
        };
        if self.continues {
            return at;
        }
        let mut passed = 0;
        while passed < most {
            let Some(&[low, middle, high, sequence, first]) = bytes.get(at..at + HEADER + 1) else { break };
            let length = usize::from(low) | usize::from(middle) << 8 | usize::from(high) << 16;
            let end = at + HEADER + length;
            // 0xfe and 0xff begin what may matter.
            if length == 0 || length == MAX_FRAME || first >= 0xfe || sequence != self.sequence || end > bytes.len() {
                break;
            }
            self.sequence = sequence.wrapping_add(1);
            at = end;
            passed += 1;
        }
        match &mut self.phase {
            Phase::Columns { left, .. } | Phase::Parameters { left, .. } => *left -= passed,
            _ => self.rows += passed,
        }
        at
    }

    /// A frame of no interest: its payload is skipped as it comes.
    fn take(&mut self, header: Header) {
        self.sequence = self.sequence.wrapping_add(1);
        self.skip = header.length;
        self.continues = header.length == MAX_FRAME;
    }

    /// Must the packet with this header and first byte be read whole? (An empty payload passes 0x01 for `first`.)
    #[inline]
    fn matters(&self, header: Header, first: u8) -> bool {
        match self.phase {
            Phase::Rows => {
                first == 0xff || (first == 0xfe && header.length < if self.deprecate_eof { MAX_FRAME } else { 9 })
            }
            Phase::Columns { .. } | Phase::Parameters { .. } => first == 0xff,
            _ => true,
        }
    }

    /// Counts a packet that is stepped over.
    fn step_over(&mut self) -> Result<(), Desync> {
        match &mut self.phase {
            Phase::Rows => self.rows += 1,
            Phase::Columns { left, prepare } => {
                *left -= 1;
                if *left == 0 {
                    self.phase = Self::after_columns(self.deprecate_eof, *prepare);
                }
            }
            Phase::Parameters { left, columns } => {
                *left -= 1;
                if *left == 0 {
                    self.phase = if self.deprecate_eof {
                        Self::prepare_columns(*columns)
                    } else {
                        Phase::ParametersEnd { columns: *columns }
                    };
                }
            }
            _ => return Err(Desync::Malformed("a control packet")),
        }
        Ok(())
    }

    fn after_columns(deprecate_eof: bool, prepare: bool) -> Phase {
        match (deprecate_eof, prepare) {
            (false, _) => Phase::ColumnsEnd { prepare },
            (true, true) => Phase::Done,
            (true, false) => Phase::Rows,
        }
    }

    fn prepare_columns(columns: u64) -> Phase {
        if columns == 0 { Phase::Done } else { Phase::Columns { left: columns, prepare: true } }
    }

    /// Reads a packet that matters and moves on. `None`: it mattered to us alone (a column count).
    fn read(&mut self, payload: &[u8]) -> Result<Option<Packet>, Desync> {
        let first = payload.first().copied();
        if first == Some(0xff) && self.phase != Phase::Text {
            let &[_, low, high, ..] = payload else { return Err(Desync::Malformed("an ERR packet")) };
            self.phase = Phase::Done;
            return Ok(Some(Packet::Err(u16::from_le_bytes([low, high]))));
        }
        match self.phase {
            Phase::Head => self.read_head(payload),
            Phase::PrepareHead => self.read_prepare_head(payload).map(Some),
            Phase::Rows => {
                let mut summary = read_end(payload)?;
                if std::mem::take(&mut self.out_parameters) {
                    summary.status |= Status::MORE_RESULTS;
                }
                if self.deprecate_eof && self.rows == 0 {
                    self.note_cursor(summary.status);
                }
                self.end_of_result(summary);
                Ok(Some(Packet::RowsEnd(summary)))
            }
            Phase::ColumnsEnd { prepare } => {
                let summary = read_end(payload)?;
                // MySQL repeats neither flag in the EOF packet behind these rows, and sends its OK packet all the same.
                self.out_parameters = summary.status.contains(Status::PS_OUT_PARAMS | Status::MORE_RESULTS);
                self.phase = if prepare || self.note_cursor(summary.status) { Phase::Done } else { Phase::Rows };
                Ok(Some(Packet::ColumnsEnd(summary)))
            }
            Phase::ParametersEnd { columns } => {
                read_end(payload)?;
                self.phase = Self::prepare_columns(columns);
                Ok(None)
            }
            Phase::Text => {
                self.phase = Phase::Done;
                // COM_STATISTICS may be answered by an ERR; its text never starts with that byte.
                Ok(Some(match payload {
                    [0xff, a, b, ..] => Packet::Err(u16::from_le_bytes([*a, *b])),
                    _ => Packet::Text,
                }))
            }
            Phase::Columns { .. } | Phase::Parameters { .. } | Phase::File | Phase::Done => {
                Err(Desync::Malformed("a definition"))
            }
        }
    }

    fn read_head(&mut self, payload: &[u8]) -> Result<Option<Packet>, Desync> {
        match payload.first() {
            None => Err(Desync::Malformed("a response")),
            Some(0x00) => {
                let summary = read_ok(payload)?;
                self.end_of_result(summary);
                Ok(Some(Packet::Ok(summary)))
            }
            Some(0xfb) => {
                self.phase = Phase::File;
                Ok(Some(Packet::LocalInfile))
            }
            Some(_) => {
                let columns = Reader::new(payload).lenenc().map_err(|_| Desync::Malformed("a column count"))?;
                if columns == 0 || columns > MOST_COLUMNS {
                    return Err(Desync::Malformed("a column count"));
                }
                self.phase = Phase::Columns { left: columns, prepare: false };
                Ok(None)
            }
        }
    }

    fn read_prepare_head(&mut self, payload: &[u8]) -> Result<Packet, Desync> {
        let malformed = |_| Desync::Malformed("an answer to PREPARE");
        let mut reader = Reader::new(payload);
        if reader.u8().map_err(malformed)? != 0 {
            return Err(Desync::Malformed("an answer to PREPARE"));
        }
        let id = reader.u32().map_err(malformed)?;
        let columns = reader.u16().map_err(malformed)?;
        let parameters = reader.u16().map_err(malformed)?;
        self.phase = if parameters > 0 {
            Phase::Parameters { left: parameters.into(), columns: columns.into() }
        } else {
            Self::prepare_columns(columns.into())
        };
        Ok(Packet::Prepared { id, columns, parameters })
    }

    /// Columns have ended without a row so far: true if that is all, because a cursor was opened for the client.
    ///
    /// Seen of MariaDB 10.11 and MySQL 9.7: CURSOR_EXISTS is also set by every cursor that a procedure or a block has open
    /// while it sends a result, and then comes with MORE_RESULTS, because the OK packet of the whole follows. MySQL leaves the
    /// flag standing up to the statement's end, where it means nothing.
    fn note_cursor(&mut self, status: Status) -> bool {
        if self.cursor == Cursor::Asked
            && status & (Status::CURSOR_EXISTS | Status::MORE_RESULTS) == Status::CURSOR_EXISTS
        {
            self.cursor = Cursor::Opened;
        }
        self.cursor == Cursor::Opened
    }

    fn end_of_result(&mut self, summary: Summary) {
        self.phase = if summary.status.contains(Status::MORE_RESULTS) { Phase::Head } else { Phase::Done };
    }
}

/// Reads an OK packet's fixed part.
fn read_ok(payload: &[u8]) -> Result<Summary, Desync> {
    let malformed = |_| Desync::Malformed("an OK packet");
    let mut reader = Reader::new(payload.get(1..).unwrap_or_default());
    Ok(Summary {
        affected_rows: reader.lenenc().map_err(malformed)?,
        insert_id: reader.lenenc().map_err(malformed)?,
        status: Status::from_bits_retain(reader.u16().map_err(malformed)?),
        warnings: reader.u16().map_err(malformed)?,
    })
}

/// Reads what ends columns or rows: an EOF packet of five bytes, or an OK packet with header 0xfe.
fn read_end(payload: &[u8]) -> Result<Summary, Desync> {
    match *payload {
        [0xfe, w0, w1, s0, s1] => Ok(Summary {
            status: Status::from_bits_retain(u16::from_le_bytes([s0, s1])),
            warnings: u16::from_le_bytes([w0, w1]),
            ..Summary::default()
        }),
        [0xfe, ..] => read_ok(payload),
        _ => Err(Desync::Malformed("the end of a result")),
    }
}

#[cfg(test)]
mod tests;
