//! One client of the admin port: it reads the client's commands one after the other, and keeps its prepared statements
//! and warnings.
//!
//! [`super::server`] signs clients in and starts it; [`super::desk`] answers the statements, and [`super::wire`] writes
//! the answers. It holds no connection to a backend and has no transaction. Requests and prepared statements are
//! bounded.

use super::desk::Desk;
use super::functions::Who;
use super::wire::{Answer, Manner, Writer, put_end, put_field};
use super::{audit, commands, dialect};
use crate::net::{Stream, frame};
use crate::protocol::capabilities::Capabilities;
use crate::protocol::command::Command as Byte;
use crate::protocol::prepared::{Execute, Value as Bound, read_values};
use rusqlite::types::Value;
use std::collections::BTreeMap;
use std::io;
use std::rc::Rc;
use std::time::Duration;

/// The largest request, in bytes.
const MAX_REQUEST: usize = 64 << 20;
/// Prepared statements of one session.
const MAX_PREPARED: usize = 1_000;

/// Why a session's commands came to an end.
#[derive(Debug)]
pub enum Ended {
    /// The client has left.
    Left,
    /// It wants to sign in anew: the whole payload of its COM_CHANGE_USER.
    ChangesUser(Vec<u8>),
}

/// A session that has signed in.
pub struct Session {
    /// The client.
    pub stream: Stream,
    /// Who it is.
    pub who: Who,
    /// What was agreed at sign-in.
    pub capabilities: Capabilities,
    /// What all sessions work at.
    pub desk: Rc<Desk>,
    /// A client that is silent for this long is let go.
    pub idle: Duration,
    /// What SHOW WARNINGS shows.
    pub warnings: Vec<String>,
    /// Its prepared statements.
    prepared: BTreeMap<u32, Prepared>,
    next_statement: u32,
}

struct Prepared {
    text: String,
    parameters: u16,
    types: Vec<u8>,
    /// A parameter was sent ahead, in pieces.
    long_data: bool,
}

impl Session {
    /// A session that has said nothing yet.
    pub fn new(stream: Stream, who: Who, capabilities: Capabilities, desk: Rc<Desk>, idle: Duration) -> Self {
        let (warnings, prepared) = (Vec::new(), BTreeMap::new());
        Self { stream, who, capabilities, desk, idle, warnings, prepared, next_statement: 1 }
    }

    /// Somebody else goes on with it, and finds nothing of whom it was before.
    pub fn begin_anew(&mut self, who: Who) {
        self.who = who;
        self.prepared.clear();
        self.warnings.clear();
    }

    /// Serves the client until it leaves, or until it wants to be somebody else.
    ///
    /// # Errors
    /// Those of the stream; `TimedOut` for a client that was silent for too long.
    pub async fn run(&mut self) -> io::Result<Ended> {
        let mut payload = Vec::new();
        loop {
            let read = frame::read_packet(&mut self.stream, &mut payload, MAX_REQUEST);
            let sequence = match tokio::time::timeout(self.idle, read).await {
                Ok(sequence) => sequence?.wrapping_add(1),
                Err(_) => return Err(io::ErrorKind::TimedOut.into()),
            };
            let (command, rest) =
                payload.split_first().map_or((None, &[][..]), |(b, rest)| (Byte::from_byte(*b), rest));
            match command {
                Some(Byte::Quit) => return Ok(Ended::Left),
                Some(Byte::ChangeUser) => return Ok(Ended::ChangesUser(payload)),
                Some(Byte::FieldList) => self.field_list(rest, sequence).await?,
                Some(Byte::Query) => self.query(&String::from_utf8_lossy(rest), sequence).await?,
                Some(Byte::InitDb) => {
                    let answer = self.use_schema(&String::from_utf8_lossy(rest));
                    self.send(&answer, sequence).await?;
                }
                Some(Byte::Ping) => self.send(&Answer::ok(), sequence).await?,
                Some(Byte::ResetConnection) => {
                    self.prepared.clear();
                    self.warnings.clear();
                    self.send(&Answer::ok(), sequence).await?;
                }
                Some(Byte::SetOption) => {
                    let manner = self.manner(false);
                    let mut writer = Writer::new(&mut self.stream, sequence);
                    writer.put(|out| put_end(out, manner)).await?;
                    writer.finish().await?;
                }
                Some(Byte::Statistics) => {
                    let mut writer = Writer::new(&mut self.stream, sequence);
                    writer.put(|out| out.extend_from_slice(b"Switchboard admin port")).await?;
                    writer.finish().await?;
                }
                Some(Byte::Prepare) => self.prepare(&String::from_utf8_lossy(rest), sequence).await?,
                Some(Byte::Execute) => self.execute(&payload, sequence).await?,
                Some(Byte::CloseStatement) => {
                    if let Some(id) = rest.first_chunk::<4>() {
                        self.prepared.remove(&u32::from_le_bytes(*id));
                    }
                }
                Some(Byte::ResetStatement) => self.send(&Answer::ok(), sequence).await?,
                // Never answered. The value is not kept, so the execution is refused: without it the others would shift.
                Some(Byte::SendLongData) => {
                    let id = rest.first_chunk::<4>().map(|id| u32::from_le_bytes(*id));
                    if let Some(prepared) = id.and_then(|id| self.prepared.get_mut(&id)) {
                        prepared.long_data = true;
                    }
                }
                _ => {
                    let byte = payload.first().copied().unwrap_or_default();
                    let error =
                        Answer::error(1047, b"08S01", format!("Unknown command 0x{byte:02x} at the admin port"));
                    self.send(&error, sequence).await?;
                }
            }
        }
    }

    fn manner(&self, binary: bool) -> Manner {
        let warnings = u16::try_from(self.warnings.len()).unwrap_or(u16::MAX);
        Manner { capabilities: self.capabilities, binary, more: false, warnings }
    }

    async fn send(&mut self, answer: &Answer, sequence: u8) -> io::Result<()> {
        let manner = self.manner(false);
        let mut writer = Writer::new(&mut self.stream, sequence);
        writer.answer(answer, manner).await?;
        writer.finish().await
    }

    /// The statements of a text, each with its answer; the first that fails is the last.
    async fn query(&mut self, text: &str, sequence: u8) -> io::Result<()> {
        let statements = dialect::statements(text);
        let several = self.capabilities.contains(Capabilities::MULTI_STATEMENTS);
        if statements.len() > 1 && !several {
            let answer =
                Answer::error(1064, b"42000", "several statements in one text: the client did not ask for that");
            return self.send(&answer, sequence).await;
        }
        if statements.is_empty() {
            return self.send(&Answer::ok(), sequence).await;
        }
        let mut next = sequence;
        for (place, statement) in statements.iter().enumerate() {
            let answer = self.answer(statement, &[]).await;
            let failed = matches!(answer, Answer::Error(_));
            let more = place + 1 < statements.len() && !failed;
            let manner = Manner { more, ..self.manner(false) };
            let mut writer = Writer::new(&mut self.stream, next);
            writer.answer(&answer, manner).await?;
            next = writer.sequence();
            writer.finish().await?;
            if failed {
                return Ok(());
            }
        }
        Ok(())
    }

    /// Carries a statement out.
    async fn answer(&mut self, statement: &str, parameters: &[Value]) -> Answer {
        let command = commands::read(statement);
        let shows_warnings =
            matches!(command, commands::Command::Show(commands::Show::Warnings | commands::Show::CountWarnings));
        if !shows_warnings {
            self.warnings.clear();
        }
        let desk = Rc::clone(&self.desk);
        let answer = match &command {
            commands::Command::Use(schema) => self.use_schema(schema),
            _ => desk.carry_out(&self.who, statement, &command, parameters, &mut self.warnings).await,
        };
        let error = match &answer {
            Answer::Error(error) => Some(error.text().into_owned()),
            _ => None,
        };
        audit::note(&self.who, statement, &command, error.as_deref());
        answer
    }

    fn use_schema(&mut self, schema: &str) -> Answer {
        match super::engine::SCHEMAS.iter().find(|known| known.eq_ignore_ascii_case(schema)) {
            Some(known) => {
                self.who.schema = (*known).to_owned();
                Answer::ok()
            }
            None => Answer::error(1049, b"42000", format!("Unknown database '{schema}'")),
        }
    }

    /// COM_FIELD_LIST: the columns of a table, each with its default behind it. What follows the table's name is a pattern.
    async fn field_list(&mut self, rest: &[u8], sequence: u8) -> io::Result<()> {
        let mut words = rest.splitn(2, |byte| *byte == 0).map(String::from_utf8_lossy);
        let (table, like) = (words.next().unwrap_or_default(), words.next().unwrap_or_default());
        let fields = match self.desk.fields(&self.who, &table, &like) {
            Ok(fields) => fields,
            Err(answer) => return self.send(&answer, sequence).await,
        };
        let manner = self.manner(false);
        let mut writer = Writer::new(&mut self.stream, sequence);
        for (name, default) in &fields {
            writer.put(|out| put_field(out, name, default.as_deref())).await?;
        }
        writer.put(|out| put_end(out, manner)).await?;
        writer.finish().await
    }

    /// COM_STMT_PREPARE: id, columns, parameters; definitions of both.
    async fn prepare(&mut self, text: &str, sequence: u8) -> io::Result<()> {
        let (parameters, columns) = match self.desk.describe(&self.who, text) {
            Ok(described) => described,
            Err(answer) => return self.send(&answer, sequence).await,
        };
        if self.prepared.len() >= MAX_PREPARED {
            let answer = Answer::error(1461, b"42000", "too many prepared statements in this session");
            return self.send(&answer, sequence).await;
        }
        let Ok(count) = u16::try_from(parameters) else {
            return self.send(&Answer::error(1390, b"HY000", "too many parameters"), sequence).await;
        };
        let id = self.next_statement;
        self.next_statement = self.next_statement.wrapping_add(1).max(1);
        self.prepared
            .insert(id, Prepared { text: text.to_owned(), parameters: count, types: Vec::new(), long_data: false });
        let manner = self.manner(true);
        let mut writer = Writer::new(&mut self.stream, sequence);
        let widths = (u16::try_from(columns.len()).unwrap_or(u16::MAX), count);
        writer
            .put(|out| {
                out.push(0);
                out.extend_from_slice(&id.to_le_bytes());
                out.extend_from_slice(&widths.0.to_le_bytes());
                out.extend_from_slice(&widths.1.to_le_bytes());
                out.extend_from_slice(&[0, 0, 0]);
            })
            .await?;
        if parameters > 0 {
            writer.columns(&vec!["?".to_owned(); parameters], manner).await?;
        }
        if !columns.is_empty() {
            writer.columns(&columns, manner).await?;
        }
        writer.finish().await
    }

    async fn execute(&mut self, payload: &[u8], sequence: u8) -> io::Result<()> {
        let answer = match self.bound(payload) {
            Ok((text, values)) => self.answer(&text, &values).await,
            Err(answer) => answer,
        };
        let manner = self.manner(true);
        let mut writer = Writer::new(&mut self.stream, sequence);
        writer.answer(&answer, manner).await?;
        writer.finish().await
    }

    /// The text and the values of an execution.
    fn bound(&mut self, payload: &[u8]) -> Result<(String, Vec<Value>), Answer> {
        let broken = || Answer::error(1210, b"HY000", "Incorrect arguments to EXECUTE");
        let id = payload.get(1..5).and_then(|b| b.first_chunk::<4>()).map(|b| u32::from_le_bytes(*b));
        let unknown = || Answer::error(1243, b"HY000", "Unknown prepared statement handler given to EXECUTE");
        let prepared = id.and_then(|id| self.prepared.get_mut(&id)).ok_or_else(unknown)?;
        if std::mem::take(&mut prepared.long_data) {
            return Err(Answer::error(
                1235,
                b"42000",
                "the admin port takes no long data: send the value with the execution",
            ));
        }
        let execute = Execute::read(payload, prepared.parameters).map_err(|_| broken())?;
        if let Some(types) = execute.types {
            prepared.types = types.to_vec();
        }
        let mut values = Vec::new();
        if prepared.parameters > 0 {
            read_values(&execute, &prepared.types, |_| false, &mut values).map_err(|_| broken())?;
        }
        if values.len() != usize::from(prepared.parameters) || values.contains(&Bound::Opaque) {
            return Err(broken());
        }
        Ok((prepared.text.clone(), values.into_iter().map(value_of).collect()))
    }
}

fn value_of(bound: Bound<'_>) -> Value {
    match bound {
        Bound::Null | Bound::Opaque => Value::Null,
        Bound::Int(number) => Value::Integer(number),
        Bound::UInt(number) => i64::try_from(number).map_or_else(|_| Value::Text(number.to_string()), Value::Integer),
        Bound::Double(number) => Value::Real(number),
        Bound::Bytes(bytes) => match std::str::from_utf8(bytes) {
            Ok(text) => Value::Text(text.to_owned()),
            Err(_) => Value::Blob(bytes.to_vec()),
        },
        Bound::DateTime(year, month, day, hour, minute, second, _) => {
            Value::Text(format!("{year:04}-{month:02}-{day:02} {hour:02}:{minute:02}:{second:02}"))
        }
    }
}
