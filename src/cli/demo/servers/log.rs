//! Reads the servers' general query logs, which say what really ran where.
//!
//! [`super::Server`] calls it with a mark, and gets the commands since then. It reads the log's file and asks the
//! server nothing, so that reading leaves no trace in the log itself.

use super::{Result, at};
use std::collections::HashMap;
use std::fs;
use std::io::{Read, Seek, SeekFrom};
use std::path::Path;

/// A place in a server's log; statements seen after it are later ones.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct LogMark(pub(super) u64);

/// One line of a general log: a command that a server received.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Seen {
    /// The server's connection id.
    pub connection: u64,
    /// Who is connected, as the log's `Connect` line had it; empty if that line was before the mark.
    pub user: String,
    /// `Query`, `Prepare`, `Execute`, `Init DB`, `Connect`, `Quit`, `Change user`, …
    pub command: String,
    /// The statement, all its lines; values of an `Execute` are filled in by the server.
    pub text: String,
}

/// Reads a log from a mark to the end of its last whole line, and gives the mark of that end.
pub(super) fn read(path: &Path, from: LogMark) -> Result<(Vec<Seen>, LogMark)> {
    let mut file = fs::File::open(path).map_err(at("open", path))?;
    file.seek(SeekFrom::Start(from.0)).map_err(at("read", path))?;
    let mut bytes = Vec::new();
    file.read_to_end(&mut bytes).map_err(at("read", path))?;
    // A line that is being written belongs to the next reading.
    bytes.truncate(bytes.iter().rposition(|byte| *byte == b'\n').map_or(0, |last| last + 1));
    let end = LogMark(from.0 + bytes.len() as u64);
    Ok((parse(&String::from_utf8_lossy(&bytes)), end))
}

/// The log's length now.
pub(super) fn mark(path: &Path) -> LogMark {
    LogMark(fs::metadata(path).map_or(0, |m| m.len()))
}

/// Parses log text. Lines that start no entry go on with the last one: a statement may have many lines.
fn parse(text: &str) -> Vec<Seen> {
    let mut seen: Vec<Seen> = Vec::new();
    let mut users: HashMap<u64, String> = HashMap::new();
    for line in text.split_inclusive('\n') {
        match entry(line) {
            Some((connection, command, argument)) => {
                let argument = argument.strip_suffix('\n').unwrap_or(argument);
                if command == "Connect" || command == "Change user" {
                    users.insert(connection, argument.split(" on ").next().unwrap_or("").trim().to_owned());
                }
                let user = users.get(&connection).cloned().unwrap_or_default();
                seen.push(Seen { connection, user, command: command.to_owned(), text: argument.to_owned() });
            }
            None => {
                if let Some(last) = seen.last_mut().filter(|_| !is_banner(line)) {
                    last.text.push('\n');
                    last.text.push_str(line.strip_suffix('\n').unwrap_or(line));
                }
            }
        }
    }
    seen
}

/// What a server writes when it opens its log.
fn is_banner(line: &str) -> bool {
    line.starts_with("Tcp port:") || line.starts_with("Time\t") || line.contains(", Version: ")
}

/// Splits `[time]<tab>[spaces]id command<tab>argument`. MariaDB leaves the time out when it has not changed.
fn entry(line: &str) -> Option<(u64, &str, &str)> {
    let (time, rest) = line.split_once('\t')?;
    if !time.is_empty() && !time.starts_with(|c: char| c.is_ascii_digit()) {
        return None;
    }
    let rest = rest.trim_start_matches(['\t', ' ']);
    let digits = rest.bytes().take_while(u8::is_ascii_digit).count();
    let connection = rest.get(..digits)?.parse().ok()?;
    let rest = rest.get(digits..)?.strip_prefix(' ')?;
    let (command, argument) = rest.split_once('\t').unwrap_or((rest.trim_end_matches('\n'), ""));
    COMMANDS.contains(&command).then_some((connection, command, argument))
}

/// The command names that both engines write.
const COMMANDS: [&str; 24] = [
    "Sleep",
    "Quit",
    "Init DB",
    "Query",
    "Field List",
    "Create DB",
    "Drop DB",
    "Refresh",
    "Shutdown",
    "Statistics",
    "Processlist",
    "Kill",
    "Debug",
    "Ping",
    "Change user",
    "Binlog Dump",
    "Connect",
    "Connect Out",
    "Prepare",
    "Execute",
    "Close stmt",
    "Reset stmt",
    "Set option",
    "Reset Connection",
];

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn both_engines_logs_are_read() {
        let mariadb = "/usr/sbin/mariadbd, Version: 10.11.19 started with:\nTcp port: 1  Unix socket: s\nTime\t\tId Command\tArgument\n\
            261122 21:30:01\t     3 Connect\tapp@127.0.0.1 on cdr using TCP/IP\n\t\t     3 Query\tSELECT 1,\n 2\n\t\t     3 Quit\t\n";
        let mysql = "2026-11-22T21:30:01.347715Z\t    8 Connect\tapp@127.0.0.1 on  using SSL/TLS\n\
            2026-11-22T21:30:01.347800Z\t    8 Execute\tSELECT '9 Query\tx'\n";
        let seen = parse(mariadb);
        assert_eq!(seen.len(), 3);
        assert_eq!(
            (seen[1].connection, seen[1].user.as_str(), seen[1].text.as_str()),
            (3, "app@127.0.0.1", "SELECT 1,\n 2")
        );
        let seen = parse(mysql);
        assert_eq!(seen.len(), 2);
        assert_eq!((seen[1].command.as_str(), seen[1].text.as_str()), ("Execute", "SELECT '9 Query\tx'"));
    }
}
