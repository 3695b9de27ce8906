//! Bytes into tokens, by the rules of MariaDB's and MySQL's own lexers.
//!
//! A token is a kind and a byte range; nothing is copied. The lexer never fails: what a server would refuse (an open
//! string, an open comment) is a token of kind [`TokenKind::Unterminated`] that reaches to the end of the text.

use super::LexMode;

/// What a token is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum TokenKind {
    /// An unquoted identifier or a keyword.
    Word,
    /// `` `x` ``, or `"x"` under `ANSI_QUOTES`.
    QuotedIdent,
    /// `'x'`, or `"x"` without `ANSI_QUOTES`; also `N'x'`, and with an introducer the string alone.
    String,
    /// `1`, `1.5`, `.5`, `1e+5`, `0x1F`, `0b01`, `x'1F'`, `b'01'`. Signs are operators.
    Number,
    /// `?`, the parameter of a prepared statement.
    Param,
    /// `@x`, `` @`x` ``, `@'x'`.
    UserVariable,
    /// `@@x`, `@@session.x`, `@@global.x`: the whole of it.
    SystemVariable,
    /// One operator or punctuation mark, longest match (`<=>`, `:=`, `||`, `->>`, `(`, `,`, `;`, `.` …).
    Operator,
    /// `/*! … */` or `/*M! … */` begins (with its version number, if any). What follows is code to some servers.
    ExecutableOpen,
    /// The `*/` that ends an executable comment.
    ExecutableClose,
    /// An optimizer hint, `/*+ … */`, whole.
    Hint,
    /// A routing hint for Switchboard, `/* switchboard: … */`, whole.
    RouteHint,
    /// A string, quoted identifier or comment that the text ends inside of.
    Unterminated,
}

/// One token: its kind and where it stands in the text.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Token {
    /// What it is.
    pub kind: TokenKind,
    /// Byte offset of its first byte.
    pub start: u32,
    /// Byte offset after its last byte.
    pub end: u32,
}

impl Token {
    /// The token's bytes in `sql`, the text that it was lexed from.
    pub fn text<'a>(&self, sql: &'a [u8]) -> &'a [u8] {
        sql.get(self.start as usize..self.end as usize).unwrap_or_default()
    }
}

/// Iterates over the tokens of a text. Plain comments and white space are skipped.
#[derive(Clone, Debug)]
pub struct Lexer<'a> {
    #[allow(dead_code)]
    sql: &'a [u8],
    #[allow(dead_code)]
    pos: usize,
    #[allow(dead_code)]
    mode: LexMode,
}

impl<'a> Lexer<'a> {
    /// A lexer at the start of `sql`. Texts of 4 GiB and more are not statements; only their first 2^32-1 bytes are read.
    pub fn new(sql: &'a [u8], mode: LexMode) -> Self {
        Self { sql, pos: 0, mode }
    }
}

impl Iterator for Lexer<'_> {
    type Item = Token;
    fn next(&mut self) -> Option<Token> {
        None
    }
}
