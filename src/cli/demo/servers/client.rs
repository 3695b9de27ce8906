//! Statements of the set-up, run as root over the server's socket by the `mariadb` command-line client: no runtime is
//! needed, and the same client speaks to both engines.

use super::options::{Plugin, User};
use super::place::find_program;
use super::{Engine, Result, ServerError};
use std::ffi::OsString;
use std::path::Path;

/// Runs statements as root and gives the rows of all their results, in order, as text. A NULL reads `NULL`.
pub(super) fn sql(name: &str, socket: &Path, statements: &str) -> Result<Vec<Vec<String>>> {
    let client = find_program("mariadb").ok_or_else(|| ServerError::Missing {
        program: "mariadb".into(),
        advice: "Install it: apt-get install mariadb-client".into(),
    })?;
    let mut args: Vec<OsString> =
        ["--no-defaults", "--user=root", "--batch", "--skip-column-names"].map(Into::into).into();
    args.push("--default-character-set=utf8mb4".into());
    args.push("--socket".into());
    args.push(socket.into());
    let output = super::process::run(&client, &args, Some(statements)).map_err(|error| match error {
        ServerError::Failed { output, .. } => ServerError::Sql { name: name.to_owned(), message: output },
        other => other,
    })?;
    Ok(output.lines().map(|line| line.split('\t').map(unescape).collect()).collect())
}

/// Undoes what the client's batch mode does to tabs, newlines, backslashes and zero bytes.
fn unescape(field: &str) -> String {
    let mut out = String::with_capacity(field.len());
    let mut chars = field.chars();
    while let Some(c) = chars.next() {
        if c != '\\' {
            out.push(c);
            continue;
        }
        match chars.next() {
            Some('t') => out.push('\t'),
            Some('n') => out.push('\n'),
            Some('0') => out.push('\0'),
            Some(other) => out.push(other),
            None => out.push('\\'),
        }
    }
    out
}

/// A text as an SQL string literal, quotes included, right under every `sql_mode`'s view of backslashes that a fresh
/// server has.
pub fn sql_string(text: &str) -> String {
    format!("'{}'", text.replace('\\', "\\\\").replace('\'', "''"))
}

/// The statements that make a user.
pub(super) fn create_user(engine: Engine, user: &User) -> String {
    let (name, password) = (sql_string(&user.name), sql_string(&user.password));
    let plugin = match (engine, user.plugin) {
        (_, Plugin::EngineDefault) => format!("BY {password}"),
        (Engine::MariaDb, Plugin::Ed25519) => format!("VIA ed25519 USING PASSWORD({password})"),
        (Engine::MariaDb, Plugin::Native) => format!("VIA mysql_native_password USING PASSWORD({password})"),
        // What an engine does not have is left to the engine to refuse, in its own words.
        (Engine::MariaDb, Plugin::CachingSha2) => format!("VIA caching_sha2_password USING PASSWORD({password})"),
        (Engine::MySql, Plugin::CachingSha2) => format!("WITH caching_sha2_password BY {password}"),
        (Engine::MySql, Plugin::Native) => format!("WITH mysql_native_password BY {password}"),
        (Engine::MySql, Plugin::Ed25519) => format!("WITH ed25519 BY {password}"),
    };
    let install = match (engine, user.plugin) {
        (Engine::MariaDb, Plugin::Ed25519) => "INSTALL SONAME 'auth_ed25519';\n",
        _ => "",
    };
    let tls = if user.require_tls { " REQUIRE SSL" } else { "" };
    format!(
        "{install}CREATE USER {name}@'%' IDENTIFIED {plugin}{tls};\nGRANT ALL ON *.* TO {name}@'%' WITH GRANT OPTION;\n"
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn batch_escapes_are_undone() {
        let cases =
            [("plain", "plain"), ("a\\tb", "a\tb"), ("a\\nb", "a\nb"), ("a\\\\nb", "a\\nb"), ("end\\", "end\\")];
        for (text, want) in cases {
            assert_eq!(unescape(text), want);
        }
    }

    #[test]
    fn strings_are_quoted() {
        assert_eq!(sql_string("it's \\ here"), r"'it''s \\ here'");
    }
}
