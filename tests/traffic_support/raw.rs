//! A client that speaks the protocol packet by packet: for what client libraries never send, and for what they hide.
//!
//! It signs in with the crate's own `backend::connect`, and reads answers with a decoder of its own, so that the router's
//! tracker is not judged by itself. Every answer's sequence numbers are checked.

use crate::common::Router;
use std::time::Duration;
use switchboard::auth::Credentials;
use switchboard::auth::client::{Reaction, ServerKey, SignIn};
use switchboard::auth::server::Channel;
use switchboard::backend::connect::{ConnectError, ConnectOptions, Connected, Target, connect};
use switchboard::net::{Stream, frame};
use switchboard::protocol::capabilities::Capabilities;
use switchboard::protocol::codec::Reader;
use switchboard::protocol::handshake::{Attributes, ChangeUser};
use switchboard::protocol::response::{EofPacket, ErrPacket, OkPacket};
use switchboard::protocol::status::Status;
use tokio::io::AsyncWriteExt;

/// What most clients ask for, without DEPRECATE_EOF and SESSION_TRACK.
pub const PLAIN: Capabilities = Capabilities::MULTI_RESULTS
    .union(Capabilities::PS_MULTI_RESULTS)
    .union(Capabilities::TRANSACTIONS)
    .union(Capabilities::LONG_FLAG);
/// The same with DEPRECATE_EOF.
pub const MODERN: Capabilities = PLAIN.union(Capabilities::DEPRECATE_EOF);
/// A longer answer than any test here takes.
const PATIENCE: Duration = Duration::from_secs(60);
/// The largest packet that is read.
const LIMIT: usize = 256 << 20;

/// A COM_STMT_EXECUTE that asks for a cursor.
pub const CURSOR: u8 = 1;

/// A column: its name and its type's number.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Column {
    pub name: String,
    pub kind: u8,
}

/// One result.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Answer {
    /// OK, with rows changed and the status flags.
    Ok { affected: u64, status: Status, warnings: u16 },
    /// A result set; values as text, NULL as "NULL".
    Rows { columns: Vec<Column>, rows: Vec<Vec<String>>, status: Status },
    /// An error.
    Err { code: u16, text: String },
    /// The server wants this file.
    File(String),
}

impl Answer {
    #[track_caller]
    pub fn rows(&self) -> Vec<Vec<&str>> {
        match self {
            Answer::Rows { rows, .. } => rows.iter().map(|r| r.iter().map(String::as_str).collect()).collect(),
            other => panic!("no rows but {other:?}"),
        }
    }

    #[track_caller]
    pub fn status(&self) -> Status {
        match self {
            Answer::Rows { status, .. } | Answer::Ok { status, .. } => *status,
            other => panic!("no status in {other:?}"),
        }
    }

    /// The error's code; 0 for none.
    pub fn code(&self) -> u16 {
        if let Answer::Err { code, .. } = self { *code } else { 0 }
    }
}

/// A prepared statement, as the server numbers it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Prepared {
    pub id: u32,
    pub parameters: u16,
    pub columns: Vec<Column>,
}

/// A value to bind.
#[derive(Clone, Copy, Debug)]
pub enum Bind<'a> {
    Null,
    Int(i64),
    Text(&'a str),
    /// A text whose bytes were sent ahead.
    Long,
}

/// Why there is no packet. What a test for one fault takes for a panic, a comparison of two servers takes for an answer.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Fault {
    /// The peer closed the connection.
    Closed,
    /// Nothing came for as long as the caller was ready to wait.
    Silent,
    /// A packet came whose sequence number is not the one that is due.
    Sequence { due: u8, came: u8 },
}

/// The client.
#[derive(Debug)]
pub struct Raw {
    pub stream: Stream,
    pub deprecate_eof: bool,
    /// The connection's number, as the greeting has it: what CONNECTION_ID() and KILL mean by it.
    pub thread_id: u32,
    /// The flags that are agreed.
    pub capabilities: Capabilities,
    /// The sequence number that the next packet must have.
    next: u8,
    /// The last command was an execution that asked for a cursor.
    asked_for_cursor: bool,
}

impl Raw {
    /// Signs in to the router over TCP as the tests' user.
    pub async fn connect(router: &Router, schema: &str, capabilities: Capabilities) -> Raw {
        Raw::to(&Target::tcp("127.0.0.1", router.address().port()), schema, capabilities).await
    }

    /// Signs in somewhere.
    pub async fn to(target: &Target, schema: &str, capabilities: Capabilities) -> Raw {
        let options = ConnectOptions { capabilities, schema: Some(schema), ..ConnectOptions::default() };
        let connected = Raw::sign_in(target, &Credentials::new("app", "app-secret"), &options).await;
        connected.unwrap_or_else(|error| panic!("{error}"))
    }

    /// Signs in somewhere as anybody and with any options.
    pub async fn sign_in(
        target: &Target,
        credentials: &Credentials,
        options: &ConnectOptions<'_>,
    ) -> Result<Raw, ConnectError> {
        let Connected { stream, capabilities, server, .. } = connect(target, credentials, options).await?;
        let deprecate_eof = capabilities.contains(Capabilities::DEPRECATE_EOF);
        Ok(Raw { stream, deprecate_eof, thread_id: server.thread_id, capabilities, next: 0, asked_for_cursor: false })
    }

    /// Sends a command to a peer that may have closed.
    pub async fn try_send(&mut self, command: u8, argument: &[u8]) -> Result<(), Fault> {
        let mut payload = vec![command];
        payload.extend_from_slice(argument);
        self.next = frame::write_packet(&mut self.stream, &payload, 0).await.map_err(|_| Fault::Closed)?;
        Ok(())
    }

    /// Reads one packet, and says why there is none.
    pub async fn next_packet(&mut self, patience: Duration) -> Result<Vec<u8>, Fault> {
        let mut payload = Vec::new();
        let read = frame::read_packet(&mut self.stream, &mut payload, LIMIT);
        let last = match tokio::time::timeout(patience, read).await {
            Err(_elapsed) => return Err(Fault::Silent),
            Ok(Err(_closed)) => return Err(Fault::Closed),
            Ok(Ok(last)) => last,
        };
        let frames = (payload.len() / frame::MAX_FRAME) as u8;
        let due = self.next.wrapping_add(frames);
        if last != due {
            return Err(Fault::Sequence { due, came: last });
        }
        self.next = last.wrapping_add(1);
        Ok(payload)
    }

    /// COM_CHANGE_USER to the tests' user. The first answer is one for a scramble of nobody's, so that the server sends
    /// another, or refuses a plugin; the server's last packet is the answer.
    pub async fn change_user(
        &mut self,
        schema: Option<&str>,
        collation: u16,
        patience: Duration,
    ) -> Result<Vec<u8>, Fault> {
        let command = ChangeUser {
            user: b"app",
            auth: b"",
            schema: schema.map(str::as_bytes),
            collation: Some(collation),
            plugin: Some(b"mysql_clear_password"),
            attributes: Attributes(b""),
        };
        let mut payload = Vec::new();
        command.encode(&mut payload, self.capabilities);
        self.try_send(payload[0], &payload[1..]).await?;
        let (credentials, key) = (Credentials::new("app", "app-secret"), ServerKey::Ask);
        let begun = SignIn::begin(&credentials, Channel::Plain, &key, b"mysql_clear_password", &[b'x'; 20]);
        let (mut sign_in, _, _) = begun.expect("a scramble of twenty bytes");
        loop {
            let packet = self.next_packet(patience).await?;
            match sign_in.packet(&packet) {
                Ok(Reaction::Send(answer)) => {
                    let sent = frame::write_packet(&mut self.stream, &answer, self.next).await;
                    self.next = sent.map_err(|_| Fault::Closed)?;
                }
                Ok(Reaction::Wait) => {}
                Ok(Reaction::Done) | Err(_) => return Ok(packet),
            }
        }
    }

    /// Sends a command.
    pub async fn send(&mut self, command: u8, argument: &[u8]) {
        let mut payload = vec![command];
        payload.extend_from_slice(argument);
        self.asked_for_cursor = command == 0x17 && argument.get(4).is_some_and(|flags| *flags != 0);
        self.next = frame::write_packet(&mut self.stream, &payload, 0).await.unwrap();
    }

    /// Sends a packet without a payload, not even a command byte.
    pub async fn send_empty(&mut self) {
        self.next = frame::write_packet(&mut self.stream, b"", 0).await.unwrap();
    }

    /// The answer that comes next is one to a command that was written past [`Raw::send`], in one frame.
    pub fn expect_fresh_answer(&mut self) {
        self.next = 1;
    }

    /// Sends a packet within an exchange.
    pub async fn send_packet(&mut self, payload: &[u8]) {
        self.next = frame::write_packet(&mut self.stream, payload, self.next).await.unwrap();
    }

    /// Reads one packet; `None` if the router closed.
    pub async fn try_packet(&mut self) -> Option<Vec<u8>> {
        match self.next_packet(PATIENCE).await {
            Ok(packet) => Some(packet),
            Err(Fault::Closed) => None,
            Err(fault) => panic!("{fault:?}"),
        }
    }

    /// Reads one packet whatever its sequence number; `None` if the router closed or says nothing for a second.
    pub async fn try_packet_loosely(&mut self) -> Option<Vec<u8>> {
        let mut payload = Vec::new();
        let read = frame::read_packet(&mut self.stream, &mut payload, LIMIT);
        tokio::time::timeout(Duration::from_secs(1), read).await.ok()?.ok().map(|_| payload)
    }

    pub async fn packet(&mut self) -> Vec<u8> {
        self.try_packet().await.expect("the router closed the connection")
    }

    /// A command and the first result.
    pub async fn command(&mut self, command: u8, argument: &[u8]) -> Answer {
        self.send(command, argument).await;
        self.answer(false).await
    }

    /// COM_QUERY and its one result.
    pub async fn query(&mut self, sql: &str) -> Answer {
        let mut all = self.queries(sql).await;
        assert_eq!(all.len(), 1, "{sql}: {all:?}");
        all.remove(0)
    }

    /// COM_QUERY and all its results.
    pub async fn queries(&mut self, sql: &str) -> Vec<Answer> {
        self.send(0x03, sql.as_bytes()).await;
        self.answers(false).await
    }

    /// The first value of a query.
    pub async fn value(&mut self, sql: &str) -> String {
        self.query(sql).await.rows()[0][0].to_owned()
    }

    /// The results of a command up to the last.
    pub async fn answers(&mut self, binary: bool) -> Vec<Answer> {
        let mut all = Vec::new();
        loop {
            let answer = self.answer(binary).await;
            let more = match &answer {
                Answer::Ok { status, .. } | Answer::Rows { status, .. } => status.contains(Status::MORE_RESULTS),
                Answer::Err { .. } | Answer::File(_) => false,
            };
            all.push(answer);
            if !more {
                return all;
            }
        }
    }

    /// One result.
    pub async fn answer(&mut self, binary: bool) -> Answer {
        let first = self.packet().await;
        match first.first() {
            Some(0x00) => ok(&first),
            Some(0xfe) if first.len() < 9 => self.end(&first),
            Some(0xff) => err(&first),
            Some(0xfb) => Answer::File(String::from_utf8_lossy(&first[1..]).into_owned()),
            _ => {
                let count = Reader::new(&first).lenenc().unwrap();
                let mut columns = Vec::new();
                let mut first_status = Status::empty();
                for _ in 0..count {
                    columns.push(column(&self.packet().await));
                }
                if !self.deprecate_eof {
                    let status = EofPacket::decode(&self.packet().await).unwrap().status;
                    let open = status & (Status::CURSOR_EXISTS | Status::MORE_RESULTS) == Status::CURSOR_EXISTS;
                    if self.asked_for_cursor && open {
                        return Answer::Rows { columns, rows: Vec::new(), status };
                    }
                    // MySQL says so before the rows alone; clients remember it.
                    first_status = status & (Status::PS_OUT_PARAMS | Status::MORE_RESULTS);
                    if !first_status.contains(Status::PS_OUT_PARAMS) {
                        first_status = Status::empty();
                    }
                }
                let mut answer = self.rows(columns, binary).await;
                if let Answer::Rows { status, .. } = &mut answer {
                    *status |= first_status;
                }
                answer
            }
        }
    }

    /// Rows up to their end.
    pub async fn rows(&mut self, columns: Vec<Column>, binary: bool) -> Answer {
        let mut rows = Vec::new();
        loop {
            let packet = self.packet().await;
            let longest_end = if self.deprecate_eof { frame::MAX_FRAME } else { 9 };
            match packet[0] {
                0xff => return err(&packet),
                0xfe if packet.len() < longest_end => {
                    let status = self.end(&packet).status();
                    return Answer::Rows { columns, rows, status };
                }
                _ if binary => rows.push(binary_row(&packet, &columns)),
                _ => rows.push(text_row(&packet)),
            }
        }
    }

    fn end(&self, packet: &[u8]) -> Answer {
        if self.deprecate_eof {
            return ok(packet);
        }
        let EofPacket { status, warnings } = EofPacket::decode(packet).unwrap();
        Answer::Ok { affected: 0, status, warnings }
    }

    /// COM_STMT_PREPARE.
    pub async fn try_prepare(&mut self, sql: &str) -> Result<Prepared, Answer> {
        self.send(0x16, sql.as_bytes()).await;
        let first = self.packet().await;
        if first[0] == 0xff {
            return Err(err(&first));
        }
        let mut r = Reader::new(&first);
        let (_, id, count, parameters) = (r.u8().unwrap(), r.u32().unwrap(), r.u16().unwrap(), r.u16().unwrap());
        for _ in 0..parameters {
            self.packet().await;
        }
        if parameters > 0 && !self.deprecate_eof {
            assert_eq!(self.packet().await[0], 0xfe);
        }
        let mut columns = Vec::new();
        for _ in 0..count {
            columns.push(column(&self.packet().await));
        }
        if count > 0 && !self.deprecate_eof {
            assert_eq!(self.packet().await[0], 0xfe);
        }
        Ok(Prepared { id, parameters, columns })
    }

    pub async fn prepare(&mut self, sql: &str) -> Prepared {
        self.try_prepare(sql).await.unwrap_or_else(|error| panic!("{sql}: {error:?}"))
    }

    /// The error's code of a text that cannot be prepared.
    pub async fn prepare_error(&mut self, sql: &str) -> u16 {
        self.try_prepare(sql).await.expect_err("an error").code()
    }

    /// COM_STMT_EXECUTE, with the types or without them; all results.
    pub async fn execute_with(&mut self, id: u32, flags: u8, types: bool, values: &[Bind<'_>]) -> Vec<Answer> {
        self.send(0x17, &execution(id, flags, types, values)).await;
        self.answers(true).await
    }

    /// The same with types, for one result.
    pub async fn execute(&mut self, statement: &Prepared, values: &[Bind<'_>]) -> Answer {
        let mut all = self.execute_with(statement.id, 0, true, values).await;
        assert_eq!(all.len(), 1, "{all:?}");
        all.remove(0)
    }

    /// COM_STMT_SEND_LONG_DATA: no answer.
    pub async fn long_data(&mut self, id: u32, parameter: u16, data: &[u8]) {
        let argument = [&id.to_le_bytes()[..], &parameter.to_le_bytes(), data].concat();
        self.send(0x18, &argument).await;
    }

    /// COM_STMT_CLOSE: no answer.
    pub async fn close(&mut self, id: u32) {
        self.send(0x19, &id.to_le_bytes()).await;
    }

    /// COM_STMT_RESET.
    pub async fn reset_statement(&mut self, id: u32) -> Answer {
        self.command(0x1a, &id.to_le_bytes()).await
    }

    /// COM_STMT_FETCH.
    pub async fn fetch(&mut self, statement: &Prepared, count: u32) -> Answer {
        self.send(0x1c, &[statement.id.to_le_bytes(), count.to_le_bytes()].concat()).await;
        self.rows(statement.columns.clone(), true).await
    }

    /// COM_PING, which must be answered by OK: the session lives and is in step.
    pub async fn ping(&mut self) {
        assert!(matches!(self.command(0x0e, b"").await, Answer::Ok { .. }));
    }

    /// Leaves without a word.
    pub async fn vanish(mut self) {
        let _ = self.stream.shutdown().await;
    }
}

/// The argument of COM_STMT_EXECUTE.
pub fn execution(id: u32, flags: u8, types: bool, values: &[Bind<'_>]) -> Vec<u8> {
    let mut out = id.to_le_bytes().to_vec();
    out.push(flags);
    out.extend_from_slice(&1u32.to_le_bytes());
    if values.is_empty() {
        return out;
    }
    let mut nulls = vec![0u8; values.len().div_ceil(8)];
    for (i, value) in values.iter().enumerate() {
        if matches!(value, Bind::Null) {
            nulls[i / 8] |= 1 << (i % 8);
        }
    }
    out.extend_from_slice(&nulls);
    out.push(types.into());
    if types {
        for value in values {
            out.extend_from_slice(match value {
                Bind::Null => &[0x06, 0],
                Bind::Int(_) => &[0x08, 0],
                Bind::Text(_) | Bind::Long => &[0xfd, 0],
            });
        }
    }
    for value in values {
        match value {
            Bind::Null | Bind::Long => {}
            Bind::Int(number) => out.extend_from_slice(&number.to_le_bytes()),
            Bind::Text(text) => switchboard::protocol::codec::put_lenenc_bytes(&mut out, text.as_bytes()),
        }
    }
    out
}

fn ok(packet: &[u8]) -> Answer {
    let ok = OkPacket::decode(packet, Capabilities::empty()).unwrap();
    Answer::Ok { affected: ok.affected_rows, status: ok.status, warnings: ok.warnings }
}

fn err(packet: &[u8]) -> Answer {
    let error = ErrPacket::decode(packet).unwrap();
    Answer::Err { code: error.code, text: error.text().into_owned() }
}

fn column(packet: &[u8]) -> Column {
    let mut r = Reader::new(packet);
    let texts: Vec<&[u8]> = (0..6).map(|_| r.lenenc_bytes().unwrap()).collect();
    assert_eq!(texts[0], b"def");
    r.lenenc().unwrap();
    r.u16().unwrap();
    r.u32().unwrap();
    Column { name: String::from_utf8_lossy(texts[4]).into_owned(), kind: r.u8().unwrap() }
}

fn text_row(packet: &[u8]) -> Vec<String> {
    let mut r = Reader::new(packet);
    let mut row = Vec::new();
    while !r.is_empty() {
        if r.rest()[0] == 0xfb {
            r.u8().unwrap();
            row.push("NULL".into());
        } else {
            row.push(String::from_utf8_lossy(r.lenenc_bytes().unwrap()).into_owned());
        }
    }
    row
}

fn binary_row(packet: &[u8], columns: &[Column]) -> Vec<String> {
    let mut r = Reader::new(packet);
    assert_eq!(r.u8().unwrap(), 0, "a binary row");
    let nulls = r.bytes((columns.len() + 9) / 8).unwrap();
    let mut row = Vec::new();
    for (i, column) in columns.iter().enumerate() {
        if nulls[(i + 2) / 8] >> ((i + 2) % 8) & 1 == 1 {
            row.push("NULL".into());
            continue;
        }
        row.push(match column.kind {
            0x03 => (r.u32().unwrap() as i32).to_string(),
            0x08 => (r.u64().unwrap() as i64).to_string(),
            _ => String::from_utf8_lossy(r.lenenc_bytes().unwrap()).into_owned(),
        });
    }
    assert!(r.is_empty(), "a row of {columns:?}");
    row
}
