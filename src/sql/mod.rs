//! Statement text: what a statement is, what it does, and how far back in time it reaches.
//!
//! Pure functions over bytes. Nothing here knows a socket, a session or a rule, and nothing here panics on any input.
//! The order of work is [`lexer`] → [`digest`] → [`classify`] → [`predicate`]; [`effects`] is the vocabulary that the
//! rest of the router speaks. It refuses to guess: what cannot be proven harmless is reported as unproven, and the
//! callers send that to the writer.

pub mod classify;
pub mod definitions;
pub mod digest;
pub mod effects;
pub mod lexer;
pub mod own;
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
    /// The client's character set (`character_set_client`) may hide an ASCII byte inside another character: see
    /// [`LexMode::is_foreign_charset`]. A text with any byte that it could read differently is then never proven.
    pub foreign_charset: bool,
    /// Set for character sets that have letters where ASCII has marks such as `@` and the backslash (swe7), and for unknown ones: those
    /// bytes cannot be trusted even in a text of ASCII alone. In the other foreign sets an ASCII byte can only be misread behind a
    /// byte that is not ASCII.
    pub foreign_marks: bool,
}

impl LexMode {
    /// True for a client character set in which the bytes of a text may not mean what they mean in ASCII: the second
    /// byte of a character may be a backslash or a backquote (`big5`, `cp932`, `gbk`, `gb18030`, `sjis`), or letters
    /// stand where ASCII has marks (`swe7`). Names that are not known are foreign.
    pub fn is_foreign_charset(name: &str) -> bool {
        const KEEP_ASCII: &str = "armscii8 ascii binary cp1250 cp1251 cp1256 cp1257 cp850 cp852 cp866 dec8 eucjpms \
            euckr gb2312 geostd8 greek hebrew hp8 keybcs2 koi8r koi8u latin1 latin2 latin5 latin7 macce macroman \
            tis620 ujis utf8 utf8mb3 utf8mb4";
        !KEEP_ASCII.split_ascii_whitespace().any(|known| name.eq_ignore_ascii_case(known))
    }

    /// True for those of them in which a text of ASCII bytes alone may mean something else than in ASCII.
    pub fn has_foreign_marks(name: &str) -> bool {
        const HIDE_BEHIND_OTHERS: [&str; 5] = ["big5", "cp932", "gb18030", "gbk", "sjis"];
        Self::is_foreign_charset(name) && !HIDE_BEHIND_OTHERS.iter().any(|known| name.eq_ignore_ascii_case(known))
    }

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
