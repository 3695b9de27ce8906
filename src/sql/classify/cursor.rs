//! The tokens of a text in one reading, a few ahead, with everything noted that makes the text doubtful.
//!
//! A reading says which executable comments are code: see [`Reading`]. Hints are set aside on the way. What servers are
//! known to cut differently, and bytes that no server accepts, leave a [`Cursor::doubt`].

use super::super::LexMode;
use super::super::lexer::{Lexer, Token, TokenKind, is_ident_byte};
use super::words::{self, Kw};
use memchr::memmem;

/// More different openings of executable comments than this are not read in every combination.
pub(super) const MAX_OPENINGS: usize = 3;

/// The executable comments of a text.
#[derive(Debug, Default)]
pub(super) struct Comments<'a> {
    /// The different openings (`/*!50003`, `/*M!`): a server treats all comments with one opening alike.
    pub openings: Vec<&'a [u8]>,
    /// Why the readings of this text cannot be told.
    pub doubt: Option<&'static str>,
}

impl<'a> Comments<'a> {
    /// Finds them. Where one ends is the same to all servers: what they cut differently, the lexer does not cut.
    pub(super) fn find(sql: &'a [u8], mode: LexMode) -> Self {
        let mut comments = Self::default();
        if memmem::find(sql, b"/*!").is_none() && memmem::find(sql, b"/*M!").is_none() {
            return comments;
        }
        let mut open = false;
        for token in Lexer::new(sql, mode) {
            match token.kind {
                TokenKind::ExecutableOpen => {
                    open = true;
                    let opening = token.text(sql);
                    if !comments.openings.contains(&opening) {
                        comments.openings.push(opening);
                    }
                    if comments.openings.len() > MAX_OPENINGS {
                        comments.doubt = Some("too many kinds of executable comments");
                        return comments;
                    }
                }
                TokenKind::ExecutableClose => open = false,
                TokenKind::Unterminated if open => {
                    comments.doubt = Some("servers differ where an executable comment ends");
                    return comments;
                }
                _ => {}
            }
        }
        if open {
            comments.doubt = Some("an executable comment is not closed");
        }
        comments
    }
}

/// Which executable comments are code: bit `n` stands for the opening `n` of [`Comments::openings`].
#[derive(Clone, Copy, Debug)]
pub(super) struct Reading(pub u8);

/// A token with its word.
#[derive(Clone, Copy, Debug)]
pub(super) struct Item {
    pub kind: TokenKind,
    /// The word it is; [`Kw::Name`] for names and all that is not a word.
    pub kw: Kw,
    pub start: u32,
    pub end: u32,
}

impl Item {
    /// True for an unquoted or quoted name (or keyword).
    pub(super) fn is_name(&self) -> bool {
        matches!(self.kind, TokenKind::Word | TokenKind::QuotedIdent)
    }
}

const AHEAD: usize = 4;

/// Walks over a text.
#[derive(Debug)]
pub(super) struct Cursor<'a> {
    pub sql: &'a [u8],
    lexer: Lexer<'a>,
    openings: &'a [&'a [u8]],
    reading: Reading,
    /// Inside an executable comment that is not code in this reading.
    skipping: bool,
    /// Tokens that were looked at ahead of time, first come first.
    ahead: [Option<Item>; AHEAD],
    /// The token before the lexer's place.
    lexed: Option<Item>,
    /// The token that `next` returned last.
    pub prev: Option<Item>,
    /// What is doubtful about the text so far.
    pub doubt: Option<&'static str>,
    /// Hints that stood between the tokens: Switchboard's own.
    pub hints: Vec<Token>,
}

/// Hints beyond this many are not kept.
const MAX_HINTS: usize = 32;

impl<'a> Cursor<'a> {
    pub(super) fn new(sql: &'a [u8], mode: LexMode, openings: &'a [&'a [u8]], reading: Reading) -> Self {
        Self {
            sql,
            lexer: Lexer::new(sql, mode),
            openings,
            reading,
            skipping: false,
            ahead: [None; AHEAD],
            lexed: None,
            prev: None,
            doubt: None,
            hints: Vec::new(),
        }
    }

    /// The next token, which stays where it is; `n` more are skipped (at most three).
    #[expect(clippy::indexing_slicing, reason = "`n` is cut to the last place of the array")]
    pub(super) fn peek_at(&mut self, n: usize) -> Option<Item> {
        let n = n.min(AHEAD - 1);
        for at in 0..=n {
            if self.ahead[at].is_none() {
                self.ahead[at] = self.lex();
            }
        }
        self.ahead[n]
    }

    pub(super) fn peek(&mut self) -> Option<Item> {
        self.peek_at(0)
    }

    /// The next token of this statement: a `;` ends it, and stays.
    pub(super) fn next(&mut self) -> Option<Item> {
        if self.is_op_at(0, b";") { None } else { self.bump() }
    }

    /// The next token, whatever it is.
    pub(super) fn bump(&mut self) -> Option<Item> {
        let item = match self.ahead[0].take() {
            Some(item) => {
                self.ahead.rotate_left(1);
                Some(item)
            }
            None => self.lex(),
        };
        if item.is_some() {
            self.prev = item;
        }
        item
    }

    /// The token's bytes.
    pub(super) fn text(&self, item: Item) -> &'a [u8] {
        self.sql.get(item.start as usize..item.end as usize).unwrap_or_default()
    }

    /// The word of the token `n` ahead.
    pub(super) fn kw_at(&mut self, n: usize) -> Kw {
        self.peek_at(n).map_or(Kw::Name, |item| item.kw)
    }

    /// True if the token `n` ahead is the operator `mark`.
    pub(super) fn is_op_at(&mut self, n: usize, mark: &[u8]) -> bool {
        self.peek_at(n).is_some_and(|item| item.kind == TokenKind::Operator && self.text(item) == mark)
    }

    /// Takes the next token if it is the word `kw`.
    pub(super) fn take(&mut self, kw: Kw) -> bool {
        let is = kw != Kw::Name && self.kw_at(0) == kw;
        if is {
            self.next();
        }
        is
    }

    /// Takes the next token if it is the operator `mark`.
    pub(super) fn take_op(&mut self, mark: &[u8]) -> bool {
        let is = self.is_op_at(0, mark);
        if is {
            self.bump();
        }
        is
    }

    /// True at the end of the statement: a `;` or the end of the text.
    pub(super) fn at_end(&mut self) -> bool {
        self.peek().is_none() || self.is_op_at(0, b";")
    }

    /// Lexes the next token of this reading.
    fn lex(&mut self) -> Option<Item> {
        loop {
            let token = self.lexer.next()?;
            match token.kind {
                TokenKind::ExecutableOpen => {
                    let opening = token.text(self.sql);
                    let at = self.openings.iter().position(|known| *known == opening).unwrap_or(0);
                    self.skipping = self.reading.0 & (1 << at) == 0;
                }
                TokenKind::ExecutableClose => self.skipping = false,
                _ if self.skipping => {}
                TokenKind::Hint => {}
                TokenKind::RouteHint => {
                    if self.hints.len() < MAX_HINTS {
                        self.hints.push(token);
                    }
                }
                _ => {
                    let item = self.item(token);
                    self.lexed = Some(item);
                    return Some(item);
                }
            }
        }
    }

    fn item(&mut self, token: Token) -> Item {
        let text = token.text(self.sql);
        let mut kw = Kw::Name;
        match token.kind {
            TokenKind::Word => {
                if !is_plain_word(text) {
                    self.doubt.get_or_insert("a name with bytes that may be something else to a server");
                }
                if !self.is_part_of_name(token) {
                    kw = words::lookup(text);
                }
            }
            TokenKind::QuotedIdent if text.contains(&0) || std::str::from_utf8(text).is_err() => {
                self.doubt.get_or_insert("a quoted name that is not UTF-8");
            }
            TokenKind::Operator if is_stray(text) => {
                self.doubt.get_or_insert("a byte that no statement holds outside of quotes");
            }
            TokenKind::Unterminated => {
                self.doubt.get_or_insert("a quote or comment is open, or the text is ambiguous");
            }
            _ => {}
        }
        // NULL is a literal, as it is to the digest.
        let null = kw == Kw::NULL || text == b"\\N";
        let (kind, kw) = if null { (TokenKind::String, Kw::Name) } else { (token.kind, kw) };
        Item { kind, kw, start: token.start, end: token.end }
    }

    /// True for a word that a `.` makes a name: before it, or directly behind it.
    fn is_part_of_name(&self, token: Token) -> bool {
        let after = self.lexed.is_some_and(|item| item.kind == TokenKind::Operator && self.text(item) == b".");
        let end = token.end as usize;
        let before = self.sql.get(end) == Some(&b'.') && self.sql.get(end + 1).copied().is_some_and(is_ident_byte);
        after || before
    }
}

/// True for a word that every server and character set reads as one word.
///
/// Under an 8-bit character set the client may mean white space by 0x9A, 0xA0, 0xCA or 0xFF, and Unicode has spaces of
/// its own.
fn is_plain_word(text: &[u8]) -> bool {
    if text.is_ascii() {
        return true;
    }
    let Ok(word) = std::str::from_utf8(text) else { return false };
    let odd =
        |c: char| c.is_whitespace() || c.is_control() || matches!(c, '\u{200b}'..='\u{200f}' | '\u{2060}' | '\u{feff}');
    !text.iter().any(|b| matches!(b, 0x9a | 0xa0 | 0xca | 0xff)) && !word.chars().any(odd)
}

/// True for an operator of a byte that no statement holds outside of quotes.
fn is_stray(operator: &[u8]) -> bool {
    operator == b":" || operator.first().is_some_and(|byte| byte.is_ascii_control() || b"\\[]".contains(byte))
}
