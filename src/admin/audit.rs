//! The audit log: one line for each statement that changes something, and no secret in any of them.
//!
//! A statement is written with its literals and comments taken out, so that a password cannot be in it; what it changed in the
//! end is in the history of versions. Of a command the words are written, and not the value of a SET.

use super::commands::Command;
use super::commands::pieces::{Piece, pieces};
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
        None => tracing::info!(target: "admin", user = who.user, host = %who.host, role, statement = shown, "done"),
        Some(_) => {
            tracing::warn!(target: "admin", user = who.user, host = %who.host, role, statement = shown, "refused")
        }
    }
}

/// True for what may change something.
fn changes(statement: &str, command: &Command) -> bool {
    match command {
        Command::Sql => {
            let words = pieces(statement);
            match words.first().map_or("", |first| first.text.as_str()) {
                "SELECT" | "EXPLAIN" | "PRAGMA" | "VALUES" | "SHOW" => false,
                // What comes after the named queries says what it is; no function of that name is followed by such a word.
                "WITH" => words.iter().zip(words.iter().skip(1)).any(|(word, next)| {
                    ["INSERT", "UPDATE", "DELETE", "REPLACE"].iter().any(|verb| word.is(verb)) && !next.is("(")
                }),
                _ => true,
            }
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

/// What a statement about passwords may begin with in the log. Anything else may be a password that lost its quotes.
const HARMLESS: [&str; 12] = [
    "INSERT",
    "REPLACE",
    "UPDATE",
    "DELETE",
    "OR",
    "IGNORE",
    "INTO",
    "FROM",
    "SET",
    "MAIN",
    "MYSQL_USERS",
    "GLOBAL_VARIABLES",
];

fn beginning(statement: &str) -> String {
    let harmless = |word: &String| HARMLESS.contains(&word.to_ascii_uppercase().as_str());
    let words = pieces(statement).into_iter().map(|piece| piece.raw.to_owned()).take_while(harmless).take(3);
    words.collect::<Vec<_>>().join(" ")
}

/// A command's own words: comments are none, and neither is what stands in quotes.
pub fn words(command: &str) -> String {
    let word = |piece: Piece<'_>| match piece.kind {
        TokenKind::String | TokenKind::QuotedIdent => "?".to_owned(),
        _ => piece.raw.to_owned(),
    };
    pieces(command).into_iter().map(word).collect::<Vec<_>>().join(" ")
}

/// A statement as it may be logged.
pub fn shown(statement: &str, command: &Command) -> String {
    match command {
        Command::Set(name, _) => format!("SET {name} = ?"),
        // A password that lost its quotes is no literal any more.
        Command::Sql | Command::Noise if names_a_secret(statement) => {
            format!("{} … (names a password)", beginning(statement))
        }
        Command::Sql | Command::Noise => {
            let mut digest = Digest::default();
            digest.read(statement.as_bytes(), super::dialect::mode());
            String::from_utf8_lossy(&digest.text).into_owned()
        }
        _ => words(statement),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::admin::commands::read;

    fn logged(statement: &str) -> String {
        shown(statement, &read(statement))
    }

    #[test]
    fn no_secret_is_logged_however_it_is_written() {
        for statement in [
            "INSERT INTO mysql_users(username,password)VALUES('app','hunter2')",
            "INSERT INTO mysql_users(username,password)VALUES('app',hunter2)",
            "INSERT INTO mysql_users(username,password) SELECT 'app','hunter2'",
            "insert/*hunter2*/into mysql_users(username) values('app')",
            "UPDATE /*! mysql_users */ SET password='hunter2'",
            "/*!40101 INSERT INTO mysql_users(username,password) VALUES('app','hunter2') */",
            "UPDATE mysql_users SET attributes='{\"password\":\"hunter2\"}'",
            "UPDATE mysql_users SET password='hunter2",
            "UPDATE mysql_users SET password=hunter2",
            "hunter2 INTO mysql_users",
            "UPDATE global_variables SET variable_value='hunter2' WHERE variable_name='mysql-monitor_password'",
            "SET mysql-monitor_password='hunter2'",
            "SET mysql-monitor_password/*hunter2*/='x'",
            "SET /*hunter2*/ mysql-monitor_password='x'",
            "LOAD MYSQL USERS TO RUNTIME /* hunter2 */",
            "LOAD MYSQL USERS TO RUNTIME -- hunter2",
            "SAVE MYSQL USERS TO DISK # hunter2",
            "PROXYSQL CLUSTER_NODE_UUID 'hunter2'",
            "UPDATE mysql_servers SET comment='hunter2', weight=2 /* hunter2 */",
        ] {
            assert!(!logged(statement).contains("hunter2"), "{statement}: {}", logged(statement));
        }
        let hex = "UPDATE mysql_servers SET comment = x'68756e74657232'";
        assert!(!logged(hex).contains("6875"), "{}", logged(hex));
    }

    #[test]
    fn what_changes_something_is_noted_however_it_begins() {
        let noted = |statement: &str| changes(statement, &read(statement));
        for statement in [
            "WITH x AS (SELECT 1) UPDATE mysql_servers SET weight = 2",
            "with x as (select 1) delete from mysql_query_rules",
            "WITH x AS (SELECT 1) REPLACE INTO mysql_users (username) SELECT 'a' FROM x",
            "/* SELECT */ DELETE FROM mysql_query_rules",
            "LOAD MYSQL USERS TO RUNTIME",
        ] {
            assert!(noted(statement), "{statement}");
        }
        for statement in [
            "/* c */ SELECT 1",
            "WITH x AS (SELECT 1) SELECT * FROM x",
            "WITH x AS (SELECT 1) SELECT replace('a', 'b', 'update it')",
            "EXPLAIN DELETE FROM mysql_query_rules",
        ] {
            assert!(!noted(statement), "{statement}");
        }
    }

    #[test]
    fn what_was_done_can_be_read() {
        for (statement, line) in [
            ("insert into mysql_users (username) values ('app')", "insert into mysql_users … (names a password)"),
            ("LOAD  MYSQL\nUSERS TO RUNTIME", "LOAD MYSQL USERS TO RUNTIME"),
            ("SET mysql-threads = 3", "SET mysql-threads = ?"),
            ("KILL CONNECTION 7", "KILL CONNECTION 7"),
            ("ROLLBACK CONFIG TO VERSION 3", "ROLLBACK CONFIG TO VERSION 3"),
            ("UPDATE mysql_servers SET weight = 2", "UPDATE mysql_servers SET weight = ?"),
        ] {
            assert_eq!(logged(statement), line);
        }
    }
}
