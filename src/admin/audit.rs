//! The audit log: one line for each statement that changes something, and no secret in any of them.
//!
//! A statement is written with its literals taken out, so that a password cannot be in it; what it changed in the end is in
//! the history of versions. Commands have no secrets and are written as they are, but for the value of a SET.

use super::commands::Command;
use super::functions::Who;
use crate::sql::digest::Digest;
use crate::sql::lexer::{Lexer, TokenKind};

/// Notes what somebody did, and what came of it.
pub fn note(who: &Who, statement: &str, command: &Command, error: Option<&str>) {
    if !changes(statement, command) {
        return;
    }
    let shown = shown(statement, command);
    let role = who.role.name();
    match error {
        None => tracing::info!(target: "admin", user = who.user, host = who.host, role, statement = shown, "done"),
        Some(_) => {
            tracing::warn!(target: "admin", user = who.user, host = who.host, role, statement = shown, "refused")
        }
    }
}

/// True for what may change something.
fn changes(statement: &str, command: &Command) -> bool {
    match command {
        Command::Sql => {
            let word = statement.split_whitespace().next().unwrap_or_default().to_ascii_uppercase();
            !["SELECT", "EXPLAIN", "PRAGMA", "VALUES", "WITH", "SHOW"].contains(&word.as_str())
                || (word == "WITH" && !statement.to_ascii_uppercase().contains("SELECT"))
        }
        Command::Noise | Command::Use(_) | Command::Show(_) | Command::Checksum(_) | Command::ExplainRoute { .. } => {
            false
        }
        Command::ConfigFile | Command::DiffRoute => false,
        _ => true,
    }
}

/// True for a text that may hold a secret outside of a literal: it speaks of passwords, or a quote in it is never closed.
fn names_a_secret(statement: &str) -> bool {
    let lower = statement.to_ascii_lowercase();
    let speaks = ["password", "credentials", "mysql_users"].iter().any(|word| lower.contains(word));
    let mut tokens = Lexer::new(statement.as_bytes(), super::dialect::mode());
    speaks || tokens.any(|token| token.kind == TokenKind::Unterminated)
}

/// A statement as it may be logged.
pub fn shown(statement: &str, command: &Command) -> String {
    match command {
        Command::Set(name, _) => format!("SET {name} = ?"),
        // A password that lost its quotes is no literal any more.
        Command::Sql | Command::Noise if names_a_secret(statement) => {
            let words: Vec<&str> = statement.split_whitespace().take(3).collect();
            format!("{} … (names a password)", words.join(" "))
        }
        Command::Sql | Command::Noise => {
            let mut digest = Digest::default();
            digest.read(statement.as_bytes(), super::dialect::mode());
            String::from_utf8_lossy(&digest.text).into_owned()
        }
        _ => statement.split_whitespace().collect::<Vec<_>>().join(" "),
    }
}
