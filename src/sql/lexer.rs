//! Bytes into tokens, by the rules of MariaDB's and MySQL's own lexers.
//!
//! A token is a kind and a byte range; nothing is copied. The lexer never fails and never panics: what a server would
//! refuse (an open string, an open comment), or what servers are known to cut in different ways, is one token of kind
//! [`TokenKind::Unterminated`] that reaches to the end of the text. It refuses to look at meaning: a keyword is a
//! [`TokenKind::Word`] like any other; [`super::digest`] and [`super::classify`] read further.
//!
//! Rules that surprise, all of them the servers' own (MariaDB 10.11 and MySQL 9.7 seen):
//!
//! - An identifier may begin with digits (`2024_calls`, `1e`, `0xZZ`, and `0X1F`: only a small `x` makes a number), and
//!   one that follows a `.` directly is an identifier whatever it looks like (`t.1a`, `t.x'`).
//! - `1e5FROM t` is a number and a word; `1.e(` is read differently by different versions, so it is `Unterminated`.
//! - `--` begins a comment only before white space, a control character or the end.
//! - A NUL ends a `#` or `--` comment, and is an operator of its own that no server accepts.
//! - In an executable comment, a `*/` inside a string, a quoted name or a `--` or `#` comment ends nothing for a server that
//!   runs it, and ends the comment for one that skips it; of a `/*` inside, too, not all make the same. From there on what
//!   is a literal to one server is code to the other, so the rest is `Unterminated`.
//! - In a text of several statements, one may change how the next is read (`SET sql_mode = …; SELECT "x"`): quoted text behind it
//!   that can be read in two ways is `Unterminated`.
//! - `\N` is NULL to MariaDB and old MySQL, and ends there: `\NFROM` is two tokens.

use super::LexMode;
use memchr::{memchr, memchr2};
use std::borrow::Cow;

mod class;
mod doubt;

/// What a token is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum TokenKind {
    /// An unquoted identifier or a keyword; also `\N`.
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
    /// An optimizer hint, `/*+ … */`, whole, wherever it stands.
    Hint,
    /// A routing hint for Switchboard, `/* switchboard: … */`, whole.
    RouteHint,
    /// A string, quoted identifier or comment that the text ends inside of, or text that servers do not agree how to
    /// cut: in an executable comment, whatever hides a `/*` or `*/` from those that run it. Always the last token; it
    /// reaches to the end of the text.
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
    #[inline]
    pub fn text<'a>(&self, sql: &'a [u8]) -> &'a [u8] {
        sql.get(self.start as usize..self.end as usize).unwrap_or_default()
    }

    /// True for a comment that is a token: an optimizer's hint, or one of the router's.
    pub fn is_hint(&self) -> bool {
        matches!(self.kind, TokenKind::Hint | TokenKind::RouteHint)
    }

    /// The name that the token is, without its quotes; none if it is no name.
    pub fn name<'a>(&self, sql: &'a [u8]) -> Option<Cow<'a, str>> {
        match self.kind {
            TokenKind::Word => Some(readable(Cow::Borrowed(self.text(sql)))),
            TokenKind::QuotedIdent => Some(unquoted(self.text(sql))),
            _ => None,
        }
    }
}

/// A quoted name without its quotes.
fn unquoted(text: &[u8]) -> Cow<'_, str> {
    let Some((&quote, inner)) = text.split_first() else { return Cow::Borrowed("") };
    let inner = inner.strip_suffix(&[quote]).unwrap_or(inner);
    if !inner.contains(&quote) {
        return readable(Cow::Borrowed(inner));
    }
    // Inside, a quote is written twice.
    let mut name = Vec::with_capacity(inner.len());
    let mut bytes = inner.iter();
    while let Some(&byte) = bytes.next() {
        name.push(byte);
        if byte == quote {
            bytes.next();
        }
    }
    readable(Cow::Owned(name))
}

/// A name as text. One that is no UTF-8 came from a client with a one-byte character set, most likely latin1.
fn readable(name: Cow<'_, [u8]>) -> Cow<'_, str> {
    match name {
        Cow::Borrowed(bytes) => match std::str::from_utf8(bytes) {
            Ok(text) => Cow::Borrowed(text),
            Err(_) => Cow::Owned(bytes.iter().map(|&byte| byte as char).collect()),
        },
        Cow::Owned(bytes) => String::from_utf8(bytes)
            .unwrap_or_else(|error| error.as_bytes().iter().map(|&byte| byte as char).collect())
            .into(),
    }
}

/// True for bytes that may stand inside an unquoted identifier.
#[inline]
pub(crate) fn is_ident_byte(byte: u8) -> bool {
    class::of(byte) & class::IDENT_BIT != 0
}

/// What the byte before the cursor says about the token at the cursor.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Expect {
    /// Nothing: any token.
    Any,
    /// The cursor is at a `.` that separates two parts of a name, however much the rest looks like a number.
    Separator,
    /// The cursor is at an identifier, whatever it looks like.
    Identifier,
}

/// Iterates over the tokens of a text. Plain comments and white space are skipped.
#[derive(Clone, Debug)]
pub struct Lexer<'a> {
    sql: &'a [u8],
    pos: usize,
    mode: LexMode,
    expect: Expect,
    /// Inside an executable comment: its `*/` is a token.
    executable: bool,
    /// Where the present one of several statements begins.
    statement: usize,
    /// An earlier statement of the text may have changed how this one is read.
    doubtful: bool,
    /// The whole text cannot be trusted (see [`LexMode::foreign_charset`]).
    untrusted: bool,
}

impl<'a> Lexer<'a> {
    /// A lexer at the start of `sql`. Texts of 4 GiB and more are not statements; only their first 2^32-1 bytes are read.
    #[inline]
    pub fn new(sql: &'a [u8], mode: LexMode) -> Self {
        let sql = sql.get(..u32::MAX as usize).unwrap_or(sql);
        let untrusted = mode.foreign_charset && doubt::has_foreign_byte(sql, mode.foreign_marks);
        Self { sql, pos: 0, mode, expect: Expect::Any, executable: false, statement: 0, doubtful: false, untrusted }
    }

    #[inline]
    fn peek(&self, at: usize) -> Option<u8> {
        self.sql.get(at).copied()
    }

    /// The token from `start` to `end`, where the cursor goes.
    #[inline]
    fn token(&mut self, kind: TokenKind, start: usize, end: usize) -> Token {
        self.pos = end;
        // Both fit: `new` cut the text to u32::MAX bytes.
        Token { kind, start: start as u32, end: end as u32 }
    }

    #[cold]
    fn unterminated(&mut self, start: usize) -> Token {
        self.expect = Expect::Any;
        self.token(TokenKind::Unterminated, start, self.sql.len())
    }

    /// The first byte at or after `at` that cannot stand in an identifier.
    #[inline]
    fn ident_end(&self, at: usize) -> usize {
        let mut end = at;
        while self.peek(end).is_some_and(is_ident_byte) {
            end += 1;
        }
        end
    }

    #[inline]
    fn digits_end(&self, at: usize) -> usize {
        let mut end = at;
        while self.peek(end).is_some_and(|byte| byte.is_ascii_digit()) {
            end += 1;
        }
        end
    }

    /// An identifier or keyword that has been seen up to `from`.
    #[inline]
    fn word(&mut self, start: usize, from: usize) -> Token {
        let end = self.ident_end(from);
        self.expect = if self.peek(end) == Some(b'.') && self.peek(end + 1).is_some_and(is_ident_byte) {
            Expect::Separator
        } else {
            Expect::Any
        };
        self.token(TokenKind::Word, start, end)
    }

    /// A word that begins with `$`. With a second one it is a name to most servers, and opens a string in MySQL 9.
    #[cold]
    fn dollar_word(&mut self, start: usize) -> Token {
        let token = self.word(start, start + 1);
        let tag = token.text(self.sql).iter().skip(1).any(|&byte| byte == b'$');
        if tag { self.unterminated(start) } else { token }
    }

    /// The end of a quoted text whose content begins at `from`, after its closing `quote`; none if it stays open, or if
    /// servers differ about what it is a part of.
    #[inline]
    fn quoted_end(&self, from: usize, quote: u8, escapes: bool) -> Option<usize> {
        let end = self.closing_quote(from, quote, escapes)?;
        (!(self.executable || self.doubtful) || self.is_agreed(from, end)).then_some(end)
    }

    #[cold]
    #[expect(clippy::indexing_slicing, reason = "the closing quote was found behind `from`, in this text")]
    fn is_agreed(&self, from: usize, end: usize) -> bool {
        let quoted = &self.sql[from.saturating_sub(2)..end];
        (!self.executable || self.same_to_all(from, end)) && !(self.doubtful && doubt::is_read_in_two_ways(quoted))
    }

    #[inline]
    fn closing_quote(&self, from: usize, quote: u8, escapes: bool) -> Option<usize> {
        let mut at = from;
        loop {
            let rest = self.sql.get(at..)?;
            let found = if escapes { memchr2(quote, b'\\', rest)? } else { memchr(quote, rest)? };
            at += found;
            if self.peek(at) != Some(quote) {
                at += 2; // a backslash and what it escapes
            } else if self.peek(at + 1) == Some(quote) {
                at += 2;
            } else {
                return Some(at + 1);
            }
        }
    }

    #[inline]
    fn quoted(&mut self, kind: TokenKind, start: usize, from: usize, quote: u8) -> Token {
        let escapes = kind == TokenKind::String && !self.mode.no_backslash_escapes;
        match self.quoted_end(from, quote, escapes) {
            Some(end) => self.token(kind, start, end),
            None => self.unterminated(start),
        }
    }

    /// `x'1F'` and `b'01'`, which the first quote ends: `x'1F''a'` is a number and a string. What is no digit in them no
    /// server reads on from.
    fn quoted_number(&mut self, start: usize) -> Token {
        let is_digit: fn(&u8) -> bool = match self.peek(start) {
            Some(b'x' | b'X') => u8::is_ascii_hexdigit,
            _ => |b| matches!(b, b'0' | b'1'),
        };
        let digits = self.sql.iter().skip(start + 2).take_while(|b| is_digit(b)).count();
        let end = start + 2 + digits;
        match self.peek(end) {
            Some(b'\'') => self.token(TokenKind::Number, start, end + 1),
            _ => self.unterminated(start),
        }
    }

    /// A number, or an identifier that begins with a digit.
    fn number_or_word(&mut self, start: usize) -> Token {
        if self.peek(start) == Some(b'0') {
            let digits: fn(&u8) -> bool = match self.peek(start + 1) {
                Some(b'x') => u8::is_ascii_hexdigit,
                Some(b'b') => |b| matches!(b, b'0' | b'1'),
                _ => |_| false,
            };
            let length = self.sql.iter().skip(start + 2).take_while(|b| digits(b)).count();
            if length > 0 {
                let end = start + 2 + length;
                return if self.peek(end).is_some_and(is_ident_byte) {
                    self.word(start, end)
                } else {
                    self.token(TokenKind::Number, start, end)
                };
            }
        }
        let end = self.digits_end(start);
        match self.peek(end) {
            Some(b'.') => self.fraction(start, end + 1),
            Some(b'e' | b'E') => {
                let sign = usize::from(matches!(self.peek(end + 1), Some(b'+' | b'-')));
                let exponent = end + 1 + sign;
                match self.digits_end(exponent) {
                    done if done > exponent => self.token(TokenKind::Number, start, done),
                    _ => self.word(start, end + 1),
                }
            }
            Some(byte) if is_ident_byte(byte) => self.word(start, end),
            _ => self.token(TokenKind::Number, start, end),
        }
    }

    /// A number whose point has been read; `from` is after the point.
    fn fraction(&mut self, start: usize, from: usize) -> Token {
        let end = self.digits_end(from);
        if !matches!(self.peek(end), Some(b'e' | b'E')) {
            return self.token(TokenKind::Number, start, end);
        }
        let exponent = end + 1 + usize::from(matches!(self.peek(end + 1), Some(b'+' | b'-')));
        match self.digits_end(exponent) {
            done if done > exponent => self.token(TokenKind::Number, start, done),
            // `1.e(`: some versions swallow the `1.e`, some refuse it.
            _ => self.unterminated(start),
        }
    }

    /// `@x`, `@'x'`, `@@x`, `@@session.x`.
    fn variable(&mut self, start: usize) -> Token {
        let kind = TokenKind::UserVariable;
        match self.peek(start + 1) {
            Some(b'@') => self.system_variable(start),
            Some(b'`') => self.quoted(kind, start, start + 2, b'`'),
            Some(quote @ (b'\'' | b'"')) => {
                let identifier = quote == b'"' && self.mode.ansi_quotes;
                match self.quoted_end(start + 2, quote, !identifier && !self.mode.no_backslash_escapes) {
                    Some(end) => self.token(kind, start, end),
                    None => self.unterminated(start),
                }
            }
            _ => {
                let rest = self.sql.iter().skip(start + 1);
                let length = rest.take_while(|&&b| is_ident_byte(b) || b == b'.').count();
                self.token(kind, start, start + 1 + length)
            }
        }
    }

    fn system_variable(&mut self, start: usize) -> Token {
        let mut end = start + 2;
        loop {
            end = match self.peek(end) {
                Some(b'`') => match self.quoted_end(end + 1, b'`', false) {
                    Some(end) => end,
                    None => return self.unterminated(start),
                },
                _ => self.ident_end(end),
            };
            let more =
                self.peek(end) == Some(b'.') && self.peek(end + 1).is_some_and(|b| is_ident_byte(b) || b == b'`');
            if !more {
                return self.token(TokenKind::SystemVariable, start, end);
            }
            end += 1;
        }
    }

    /// True if these bytes, which stand in an executable comment and are no code to a server that runs it, neither end it
    /// nor open another for a server that skips it.
    #[cold]
    fn same_to_all(&self, from: usize, end: usize) -> bool {
        let bytes = self.sql.get(from..end).unwrap_or_default();
        !bytes.windows(2).any(|pair| pair == b"*/" || pair == b"/*")
    }

    /// A `#` or `--` comment at `start`: none, and the cursor behind it (at its line feed, a NUL, or the end of the text).
    #[inline]
    fn line_comment(&mut self, start: usize) -> Option<Token> {
        let rest = self.sql.get(start..).unwrap_or_default();
        let end = memchr2(b'\n', 0, rest).map_or(self.sql.len(), |found| start + found);
        if self.executable && !self.same_to_all(start, end) {
            return Some(self.unterminated(start));
        }
        self.pos = end;
        None
    }

    /// A `/*` at `start`: a token, or none where it was a plain comment (the cursor is then behind it).
    fn block_comment(&mut self, start: usize) -> Option<Token> {
        if self.executable {
            return Some(self.unterminated(start));
        }
        let executable = match (self.peek(start + 2), self.peek(start + 3)) {
            (Some(b'!'), _) => Some(start + 3),
            (Some(b'M'), Some(b'!')) => Some(start + 4),
            _ => None,
        };
        if let Some(from) = executable {
            return Some(self.executable_open(start, from));
        }
        let rest = self.sql.get(start + 2..).unwrap_or_default();
        let Some((body, _)) = memchr::memmem::find(rest, b"*/").and_then(|close| rest.split_at_checked(close)) else {
            return Some(self.unterminated(start));
        };
        let end = start + 4 + body.len();
        if body.first() == Some(&b'+') {
            let doubtful = self.doubtful && body.contains(&b'"');
            return Some(if doubtful || doubt::has_doubtful_quote(body) {
                self.unterminated(start)
            } else {
                self.token(TokenKind::Hint, start, end)
            });
        }
        if route_hint_body(body).is_some() {
            return Some(self.token(TokenKind::RouteHint, start, end));
        }
        self.pos = end;
        None
    }

    /// `/*!` or `/*M!` with its version number. Five digits are a version to every server; a sixth is one to some and
    /// content to others, which is told apart from what follows only if that cannot melt into the sixth digit.
    fn executable_open(&mut self, start: usize, from: usize) -> Token {
        let digits = self.digits_end(from) - from;
        let end = match digits {
            0..=4 => from,
            5 => from + 5,
            6 if !self.peek(from + 6).is_some_and(|b| is_ident_byte(b) || b == b'.') => from + 6,
            _ => return self.unterminated(start),
        };
        self.executable = true;
        self.token(TokenKind::ExecutableOpen, start, end)
    }

    /// Operators of more than one byte, comments that begin with `/` or `-`, and stray bytes. `first` is the byte at `start`.
    fn operator(&mut self, start: usize, first: u8) -> Option<Token> {
        let length = match (first, self.peek(start + 1), self.peek(start + 2)) {
            (b'/', Some(b'*'), _) => return self.block_comment(start),
            (b'-', Some(b'-'), next) if next.is_none_or(|b| b.is_ascii_control() || b == b' ') => {
                return self.line_comment(start);
            }
            (b'*', Some(b'/'), _) if self.executable => {
                self.executable = false;
                return Some(self.token(TokenKind::ExecutableClose, start, start + 2));
            }
            (b'\\', Some(b'N'), _) => return Some(self.token(TokenKind::Word, start, start + 2)),
            (b'<', Some(b'='), Some(b'>')) | (b'-', Some(b'>'), Some(b'>')) => 3,
            (b'<', Some(b'=' | b'>' | b'<'), _)
            | (b'>', Some(b'=' | b'>'), _)
            | (b'!' | b':', Some(b'='), _)
            | (b'|', Some(b'|'), _)
            | (b'&', Some(b'&'), _)
            | (b'-', Some(b'>'), _) => 2,
            _ => 1,
        };
        Some(self.token(TokenKind::Operator, start, start + length))
    }

    /// Where one statement of several ends.
    #[cold]
    #[expect(clippy::indexing_slicing, reason = "the present statement begins at or before its `;`")]
    fn semicolon(&mut self, start: usize) -> Token {
        self.doubtful = self.doubtful || doubt::may_change_reading(&self.sql[self.statement..start]);
        self.statement = start + 1;
        self.token(TokenKind::Operator, start, start + 1)
    }

    /// A `.`: between two names, or before the digits of a number.
    fn dot(&mut self, start: usize) -> Token {
        match self.peek(start + 1) {
            Some(byte) if self.expect == Expect::Any && byte.is_ascii_digit() => self.fraction(start, start + 1),
            next => {
                let named = next.is_some_and(is_ident_byte);
                self.expect = if named { Expect::Identifier } else { Expect::Any };
                self.token(TokenKind::Operator, start, start + 1)
            }
        }
    }
}

impl Iterator for Lexer<'_> {
    type Item = Token;

    #[inline]
    fn next(&mut self) -> Option<Token> {
        if self.untrusted {
            self.untrusted = false;
            return Some(self.unterminated(0));
        }
        loop {
            let start = self.pos;
            let byte = *self.sql.get(start)?;
            if self.expect == Expect::Identifier {
                return Some(self.word(start, start));
            }
            let token = match class::of(byte) & class::MASK {
                class::SPACE => {
                    self.pos += 1;
                    continue;
                }
                class::IDENT => self.word(start, start + 1),
                class::DOLLAR => self.dollar_word(start),
                class::MARK => self.token(TokenKind::Operator, start, start + 1),
                class::SEMICOLON => self.semicolon(start),
                class::DIGIT => self.number_or_word(start),
                class::QUOTED_NUMBER if self.peek(start + 1) == Some(b'\'') => self.quoted_number(start),
                class::NATIONAL if self.peek(start + 1) == Some(b'\'') => {
                    self.quoted(TokenKind::String, start, start + 2, b'\'')
                }
                class::QUOTED_NUMBER | class::NATIONAL => self.word(start, start + 1),
                class::SINGLE => self.quoted(TokenKind::String, start, start + 1, b'\''),
                class::DOUBLE if self.mode.ansi_quotes => self.quoted(TokenKind::QuotedIdent, start, start + 1, b'"'),
                class::DOUBLE => self.quoted(TokenKind::String, start, start + 1, b'"'),
                class::BACKTICK => self.quoted(TokenKind::QuotedIdent, start, start + 1, b'`'),
                class::AT => self.variable(start),
                class::DOT => self.dot(start),
                class::QUESTION => self.token(TokenKind::Param, start, start + 1),
                class::HASH => match self.line_comment(start) {
                    Some(token) => token,
                    None => continue,
                },
                _ => match self.operator(start, byte) {
                    Some(token) => token,
                    None => continue,
                },
            };
            return Some(token);
        }
    }
}

/// What stands after `switchboard:` in the body of a comment (what is between `/*` and `*/`), if it is a routing hint.
pub(crate) fn route_hint_body(body: &[u8]) -> Option<&[u8]> {
    const NAME: &[u8] = b"switchboard:";
    let body = body.trim_ascii_start();
    let (name, rest) = body.split_at_checked(NAME.len())?;
    name.eq_ignore_ascii_case(NAME).then_some(rest)
}
