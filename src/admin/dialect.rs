//! From what MySQL's clients write to what SQLite reads: statements of a text taken apart, system variables put in.
//!
//! Strings are read as SQLite reads them: a backslash is a backslash, as in ProxySQL's tables, and the status flag that
//! tells connectors so is set in every answer.

use crate::sql::LexMode;
use crate::sql::lexer::{Lexer, Token, TokenKind};

/// How texts are cut into tokens here.
pub fn mode() -> LexMode {
    LexMode::from_sql_mode("NO_BACKSLASH_ESCAPES")
}

/// The statements of a text, without the marks between them. Empty ones are left out.
pub fn statements(text: &str) -> Vec<&str> {
    let mut found = Vec::new();
    let (mut start, mut filled) = (0, false);
    for token in Lexer::new(text.as_bytes(), mode()) {
        if token.kind == TokenKind::Operator && token.text(text.as_bytes()) == b";" {
            if filled {
                found.push(text[start..token.start as usize].trim());
            }
            (start, filled) = (token.end as usize, false);
        } else {
            filled = true;
        }
    }
    if filled {
        found.push(text[start..].trim());
    }
    found
}

/// A statement for SQLite.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Translated {
    /// Its text.
    pub sql: String,
    /// What was put in, and what stood there: column names that SQLite makes of the text are to show the latter.
    put_in: Vec<(String, String)>,
}

impl Translated {
    /// A column's name as the client wrote it.
    pub fn name(&self, name: String) -> String {
        self.put_in.iter().fold(name, |name, (new, old)| if name.contains(new) { name.replace(new, old) } else { name })
    }
}

/// Puts something that SQLite understands in the place of each `@@variable`.
pub fn translate(text: &str) -> Translated {
    let bytes = text.as_bytes();
    let tokens: Vec<Token> = Lexer::new(bytes, mode()).collect();
    let mut out = Translated { sql: String::with_capacity(text.len()), put_in: Vec::new() };
    let (mut copied, mut index) = (0usize, 0usize);
    while let Some(token) = tokens.get(index) {
        index += 1;
        if token.kind != TokenKind::SystemVariable {
            continue;
        }
        let (start, mut end) = (token.start as usize, token.end as usize);
        let mut name = text[start..end].trim_start_matches('@').to_ascii_lowercase();
        for scope in ["global.", "session.", "local."] {
            name = name.strip_prefix(scope).map_or(name.clone(), str::to_owned);
        }
        // `@@admin-version` is one name here, and a subtraction to the lexer.
        while let Some(next) = tokens.get(index)
            && ["mysql", "admin", "ldap", "switchboard"].iter().any(|kind| name.split('-').next() == Some(kind))
            && next.start as usize == end
            && (matches!(next.kind, TokenKind::Word | TokenKind::Number) || next.text(bytes) == b"-")
        {
            end = next.end as usize;
            name = text[start..end].trim_start_matches('@').to_ascii_lowercase();
            index += 1;
        }
        let quoted = name.replace('\'', "''");
        let new = if name.contains('-') {
            format!(
                "(SELECT switchboard_shown(variable_name, variable_value) FROM main.global_variables \
                 WHERE variable_name = '{quoted}')"
            )
        } else {
            format!("switchboard_variable('{quoted}')")
        };
        out.sql.push_str(&text[copied..start]);
        out.sql.push_str(&new);
        out.put_in.push((new, text[start..end].to_owned()));
        copied = end;
    }
    out.sql.push_str(&text[copied..]);
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn statements_are_taken_apart_outside_of_strings_and_comments() {
        assert_eq!(statements("SELECT 1; ; SELECT ';' -- ;\n;"), ["SELECT 1", "SELECT ';' -- ;"]);
        assert_eq!(statements(r"SELECT '\'; SELECT 2"), [r"SELECT '\'", "SELECT 2"], "a backslash is a backslash");
        assert!(statements(" ; /* nothing */ ").is_empty());
    }

    #[test]
    fn system_variables_are_put_in_and_names_kept() {
        let select = translate("SELECT @@version, @@admin-version AS v, @@session.autocommit FROM t WHERE a - 1");
        assert_eq!(
            select.sql,
            "SELECT switchboard_variable('version'), \
             (SELECT switchboard_shown(variable_name, variable_value) FROM main.global_variables \
             WHERE variable_name = 'admin-version') AS v, \
             switchboard_variable('autocommit') FROM t WHERE a - 1"
        );
        assert_eq!(select.name("switchboard_variable('version')".into()), "@@version");
        let with_digits = translate("SELECT @@mysql-monitor_ping_max_failures");
        assert!(with_digits.sql.contains("'mysql-monitor_ping_max_failures'"), "{}", with_digits.sql);
        assert_eq!(translate("SELECT '@@version'").sql, "SELECT '@@version'");
    }
}
