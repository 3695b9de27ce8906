//! What is played on both sides: a program, which is a list of steps, and each step one thing that one session does.
//!
//! A program is a text that people read and write: one step on a line, `session: what`. SQL stands as it is; whatever is no
//! text statement begins with a dot:
//!
//! | line | command |
//! |---|---|
//! | `1: SELECT 1` | COM_QUERY, with all its results |
//! | `1: .enter schema=b collation=8 caps=plain` | signs in so (a session that is not there signs in by itself, as the environment says) |
//! | `1: .leave`, `.vanish` | COM_QUIT, or closes the socket without a word; the next step signs in again |
//! | `1: .init b` | COM_INIT_DB |
//! | `1: .ping`, `.reset` | COM_PING, COM_RESET_CONNECTION |
//! | `1: .change_user schema=b collation=8` | COM_CHANGE_USER to the same user |
//! | `1: .option on` | COM_SET_OPTION: multi-statements |
//! | `1: .prepare p SELECT ?` | COM_STMT_PREPARE; `p` is the name for the other steps |
//! | `1: .execute p 1, 'x', NULL`, `.cursor p 1` | COM_STMT_EXECUTE, without and with a cursor |
//! | `1: .fetch p 2`, `.restart p`, `.close p` | COM_STMT_FETCH, COM_STMT_RESET, COM_STMT_CLOSE |
//! | `1: .long p 0 text` | COM_STMT_SEND_LONG_DATA |
//! | `1: .killed 2 SELECT SLEEP(5)` | session 1 runs it, and session 2 says KILL QUERY when it runs |
//! | `1: .lose` | the session's server connection is killed from outside |
//!
//! `{a}`, `{b}`, `{c}` are the program's schemas, `{me}` is the session's own connection number as its greeting has it, `{s2}` that of
//! session 2. `\xE9` is one byte, so that a text may be none in UTF-8.
//!
//! Neighbours: `player` plays it, `generate` writes it, `table` reads it from a file.

use std::fmt;

/// A value that is bound to a parameter.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Value {
    Null,
    Int(i64),
    Text(Vec<u8>),
}

/// What a session does.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Op {
    Query(Vec<u8>),
    Enter { schema: Option<String>, collation: Option<u16>, capabilities: Option<String> },
    Leave,
    Vanish,
    InitDb(String),
    Ping,
    Reset,
    ChangeUser { schema: Option<String>, collation: Option<u16> },
    Multi(bool),
    Prepare { name: String, sql: Vec<u8> },
    Execute { name: String, cursor: bool, values: Vec<Value> },
    Fetch { name: String, rows: u32 },
    Restart(String),
    Close(String),
    Long { name: String, parameter: u16, data: Vec<u8> },
    Killed { by: usize, sql: Vec<u8> },
    Lose,
}

/// One thing that one session does.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Step {
    /// From 1.
    pub session: usize,
    pub op: Op,
}

impl Op {
    pub fn sql(text: impl AsRef<str>) -> Op {
        Op::Query(bytes(text.as_ref()))
    }

    /// The statement in it, if there is one.
    pub fn statement(&self) -> Option<&[u8]> {
        match self {
            Op::Query(sql) | Op::Prepare { sql, .. } | Op::Killed { sql, .. } => Some(sql),
            _ => None,
        }
    }

    /// True for a CALL, or for the execution of one: such statements have names that begin so.
    pub fn is_call(&self) -> bool {
        match self {
            Op::Query(sql) => sql.get(..4).is_some_and(|word| word.eq_ignore_ascii_case(b"call")),
            Op::Execute { name, .. } => name.starts_with("call"),
            _ => false,
        }
    }

    fn read(text: &str) -> Result<Op, String> {
        let Some(command) = text.strip_prefix('.') else { return Ok(Op::sql(text)) };
        let (word, rest) = command.split_once(' ').unwrap_or((command, ""));
        let rest = rest.trim();
        let (name, tail) = rest.split_once(' ').unwrap_or((rest, ""));
        let named =
            |key: &str| rest.split(' ').find_map(|part| part.strip_prefix(key)?.strip_prefix('=')).map(str::to_owned);
        let number = |text: &str| text.parse::<u32>().map_err(|_| format!("{text:?} is no number"));
        let collation = || named("collation").map(|text| number(&text)).transpose().map(|n| n.map(|n| n as u16));
        Ok(match word {
            "enter" => Op::Enter { schema: named("schema"), collation: collation()?, capabilities: named("caps") },
            "leave" => Op::Leave,
            "vanish" => Op::Vanish,
            "init" => Op::InitDb(rest.to_owned()),
            "ping" => Op::Ping,
            "reset" => Op::Reset,
            "change_user" => Op::ChangeUser { schema: named("schema"), collation: collation()? },
            "option" => Op::Multi(rest == "on"),
            "prepare" => Op::Prepare { name: name.to_owned(), sql: bytes(tail) },
            "execute" | "cursor" => {
                Op::Execute { name: name.to_owned(), cursor: word == "cursor", values: read_values(tail)? }
            }
            "fetch" => Op::Fetch { name: name.to_owned(), rows: number(tail)? },
            "restart" => Op::Restart(rest.to_owned()),
            "close" => Op::Close(rest.to_owned()),
            "long" => {
                let (parameter, data) = tail.split_once(' ').unwrap_or((tail, ""));
                Op::Long { name: name.to_owned(), parameter: number(parameter)? as u16, data: bytes(data) }
            }
            "killed" => Op::Killed { by: number(name)? as usize, sql: bytes(tail) },
            "lose" => Op::Lose,
            _ => return Err(format!("no step is called .{word}")),
        })
    }
}

impl Step {
    /// Reads a line.
    pub fn read(line: &str) -> Result<Step, String> {
        let fault = |why: &str| format!("{line:?}: {why}");
        let (session, text) = line.split_once(": ").ok_or_else(|| fault("not `session: what`"))?;
        let session = session.trim().parse().map_err(|_| fault("the session is no number"))?;
        Ok(Step { session, op: Op::read(text.trim()).map_err(|why| fault(&why))? })
    }
}

impl fmt::Display for Step {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.session, self.op)
    }
}

impl fmt::Display for Op {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let options = |f: &mut fmt::Formatter<'_>, schema: &Option<String>, collation: &Option<u16>| {
            if let Some(schema) = schema {
                write!(f, " schema={schema}")?;
            }
            collation.map_or(Ok(()), |collation| write!(f, " collation={collation}"))
        };
        match self {
            Op::Query(sql) => f.write_str(&shown(sql)),
            Op::Enter { schema, collation, capabilities } => {
                f.write_str(".enter")?;
                options(f, schema, collation)?;
                capabilities.as_ref().map_or(Ok(()), |name| write!(f, " caps={name}"))
            }
            Op::Leave => f.write_str(".leave"),
            Op::Vanish => f.write_str(".vanish"),
            Op::InitDb(schema) => write!(f, ".init {schema}"),
            Op::Ping => f.write_str(".ping"),
            Op::Reset => f.write_str(".reset"),
            Op::ChangeUser { schema, collation } => {
                f.write_str(".change_user")?;
                options(f, schema, collation)
            }
            Op::Multi(on) => write!(f, ".option {}", if *on { "on" } else { "off" }),
            Op::Prepare { name, sql } => write!(f, ".prepare {name} {}", shown(sql)),
            Op::Execute { name, cursor, values } => {
                write!(f, ".{} {name}", if *cursor { "cursor" } else { "execute" })?;
                for (i, value) in values.iter().enumerate() {
                    f.write_str(if i == 0 { " " } else { ", " })?;
                    match value {
                        Value::Null => f.write_str("NULL")?,
                        Value::Int(number) => write!(f, "{number}")?,
                        Value::Text(text) => write!(f, "'{}'", shown(text))?,
                    }
                }
                Ok(())
            }
            Op::Fetch { name, rows } => write!(f, ".fetch {name} {rows}"),
            Op::Restart(name) => write!(f, ".restart {name}"),
            Op::Close(name) => write!(f, ".close {name}"),
            Op::Long { name, parameter, data } => write!(f, ".long {name} {parameter} {}", shown(data)),
            Op::Killed { by, sql } => write!(f, ".killed {by} {}", shown(sql)),
            Op::Lose => f.write_str(".lose"),
        }
    }
}

/// Values between commas; texts stand in quotes and hold neither quotes nor commas.
fn read_values(text: &str) -> Result<Vec<Value>, String> {
    let read = |part: &str| match part.trim() {
        "NULL" => Ok(Value::Null),
        quoted if quoted.len() >= 2 && quoted.starts_with('\'') && quoted.ends_with('\'') => {
            Ok(Value::Text(bytes(&quoted[1..quoted.len() - 1])))
        }
        number => number.parse().map(Value::Int).map_err(|_| format!("{number:?} is no value")),
    };
    text.split(',').filter(|part| !part.trim().is_empty()).map(read).collect()
}

/// A text with its `\xHH` as bytes.
fn bytes(text: &str) -> Vec<u8> {
    let mut out = Vec::with_capacity(text.len());
    let mut rest = text;
    while let Some(at) = rest.find("\\x") {
        out.extend_from_slice(&rest.as_bytes()[..at]);
        match rest.get(at + 2..at + 4).and_then(|digits| u8::from_str_radix(digits, 16).ok()) {
            Some(byte) => {
                out.push(byte);
                rest = &rest[at + 4..];
            }
            None => {
                out.extend_from_slice(b"\\x");
                rest = &rest[at + 2..];
            }
        }
    }
    out.extend_from_slice(rest.as_bytes());
    out
}

/// Bytes as a text for people: what is no UTF-8 as `\xHH`.
pub fn shown(bytes: &[u8]) -> String {
    let mut out = String::new();
    for chunk in bytes.utf8_chunks() {
        out.push_str(chunk.valid());
        for byte in chunk.invalid() {
            out.push_str(&format!("\\x{byte:02X}"));
        }
    }
    out
}

/// The steps as the lines that [`Step::read`] takes.
pub fn listing(steps: &[Step]) -> String {
    steps.iter().map(|step| format!("    {step}\n")).collect()
}

#[test]
fn steps_are_read_as_they_are_shown() {
    let lines = [
        "1: SELECT 1, '\\xE9'",
        "2: .enter schema=b collation=8 caps=plain",
        "2: .change_user",
        "3: .prepare p SELECT ?, ?",
        "3: .execute p 1, 'é', NULL",
        "3: .cursor p",
        "3: .fetch p 2",
        "1: .killed 2 SELECT SLEEP(5)",
        "4: .long p 0 text with spaces",
        "1: .option off",
    ];
    for line in lines {
        assert_eq!(Step::read(line).unwrap().to_string(), line);
    }
    assert!(Step::read("1: .unknown").is_err() && Step::read("SELECT 1").is_err());
}
