//! Statement text: what a statement is, what it does, and how far back in time it reaches.
//!
//! Pure functions over bytes. Nothing here knows a socket, a session or a rule, and nothing here panics on any input.
//! The order of work is [`lexer`] → [`digest`] → [`classify`] → [`predicate`]; [`effects`] is the vocabulary that the
//! rest of the router speaks. It refuses to guess: what cannot be proven harmless is reported as unproven, and the
//! callers send that to the writer.

pub mod classify;
pub mod digest;
pub mod effects;
pub mod lexer;
pub mod predicate;

/// The `sql_mode` bits that change where a token begins and ends.
///
/// Part of every cache key: the same bytes are two statements under two modes.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub struct LexMode {
    /// `ANSI_QUOTES`: `"x"` is an identifier, not a string.
    pub ansi_quotes: bool,
    /// `NO_BACKSLASH_ESCAPES`: a backslash in a string is a character like any other.
    pub no_backslash_escapes: bool,
}

impl LexMode {
    /// Reads the bits out of a `sql_mode` value as the server reports it (comma-separated names, any case).
    ///
    /// The combination modes that imply `ANSI_QUOTES` (`ANSI`, `ORACLE`, `MSSQL`, `DB2`, `POSTGRESQL`, `MAXDB`) count:
    /// servers list them beside what they imply, and a client may set only the short name.
    pub fn from_sql_mode(value: &str) -> Self {
        let mut mode = Self::default();
        for name in value.split(',').map(str::trim) {
            const IMPLY_ANSI_QUOTES: [&str; 7] =
                ["ANSI_QUOTES", "ANSI", "ORACLE", "MSSQL", "DB2", "POSTGRESQL", "MAXDB"];
            if IMPLY_ANSI_QUOTES.iter().any(|m| name.eq_ignore_ascii_case(m)) {
                mode.ansi_quotes = true;
            }
            if name.eq_ignore_ascii_case("NO_BACKSLASH_ESCAPES") {
                mode.no_backslash_escapes = true;
            }
        }
        mode
    }
}
