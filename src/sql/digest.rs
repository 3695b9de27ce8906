//! A statement with its literals out, in one pass.
//!
//! The text follows ProxySQL's conventions with its default settings, so that `match_digest` patterns and habits carry
//! over:
//!
//! - letters stay in their case, literals and NULL become `?`, and a sign directly before a literal goes with it;
//! - comments go; white space becomes one space, and none at either end, after `(`, before `)`, and around `,` and `;`;
//! - of five or more literals in a row, three stay and `...` stands for the rest: `IN (?,?,?,...)`;
//! - of several equal rows the first stays: `VALUES (?,NOW()),...` (ProxySQL keeps up to ten);
//! - identifiers stay as they are, quotes and digits included; a `;` at the end goes.
//!
//! What changes meaning stays: executable comments and optimizer hints, without the literals in them, and Switchboard's
//! own hints as they are. Two statements that a router must treat differently never have the same digest. Text that cannot
//! be cut into tokens, or that servers cut differently, ends the digest with `/*`, which no whole statement's digest can
//! hold, for it would itself be unterminated.
//!
//! No literal gets through: digests go into statistics, logs and the admin port, where what an application's users typed
//! has no business. What is a literal to any server is none of the digest's (`"x"` under `ANSI_QUOTES` is a name; a sixth
//! digit directly behind `/*!50000` is the version's, though an old server may take it for a number).
//!
//! This module refuses to judge: see [`super::classify`] for meaning and [`super::predicate`] for the literals' values.

use super::LexMode;
use super::lexer::{Lexer, Token, TokenKind, is_ident_byte};

mod hash;
pub use hash::hash;

/// Literals beyond this many are not recorded; see [`Digest::truncated`].
pub const MAX_LITERALS: usize = 16 * 1024;

/// A text buffer that grew beyond this is given back before the next statement.
const KEEP_TEXT: usize = 256 * 1024;

/// Rows are folded down to this depth of parentheses.
const MAX_DEPTH: usize = 16;

/// A run of literals of at least this many is folded …
const FOLD_FROM: u32 = 5;

/// … to this many and `...`.
const FOLD_TO: u32 = 3;

/// One literal that the digest replaced, and where it stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Literal {
    /// Which `?` of the digest it belongs to, counted from 0. What `...` stands for has the slot of the `?` before it;
    /// a folded row has the slots of the row that stayed.
    pub slot: u32,
    /// Byte offset of its first byte (a quote or a sign included).
    pub start: u32,
    /// Byte offset after its last byte. White space or comments may stand between a sign and its number.
    pub end: u32,
}

impl Literal {
    /// The literal's bytes in `sql`, the text that the digest was made of.
    pub fn text<'a>(&self, sql: &'a [u8]) -> &'a [u8] {
        sql.get(self.start as usize..self.end as usize).unwrap_or_default()
    }
}

/// A digest and its literals, in buffers that are used again for every statement: no allocation in the steady state.
///
/// The buffers grow to what a statement needs (up to about 450 KiB are kept), so hold one for a thread, not for a session.
#[derive(Clone, Debug, Default)]
pub struct Digest {
    /// The digest's text.
    pub text: Vec<u8>,
    /// The literals that went out, in the order of the text: strings, numbers, `NULL`, and the parameters (`?`) of
    /// prepared statements. At most [`MAX_LITERALS`] of them.
    pub literals: Vec<Literal>,
    /// 64-bit hash of `text`. The same text has the same hash in every process and version (operators write it in rules).
    /// It can be forged: whoever looks a digest up by it compares the text too.
    pub hash: u64,
    /// More literals than [`MAX_LITERALS`]: `literals` is not all of them.
    pub truncated: bool,
    /// Scratch of [`Digest::read`]: by depth of parentheses.
    levels: Vec<Level>,
}

impl Digest {
    /// Makes the digest of `sql`, replacing what was here.
    pub fn read(&mut self, sql: &[u8], mode: LexMode) {
        self.text.clear();
        self.literals.clear();
        self.levels.clear();
        self.truncated = false;
        if self.text.capacity() > KEEP_TEXT {
            self.text = Vec::new();
        }
        let mut reader = Reader::new(sql, mode, self);
        for token in Lexer::new(sql, mode) {
            reader.token(token);
        }
        reader.finish();
        self.hash = hash(&self.text);
    }
}

/// An opened or closed pair of parentheses in the digest's text.
#[derive(Clone, Copy, Debug, Default)]
struct Group {
    /// Offset of its `(` in the digest's text.
    start: usize,
    /// Offset after its `)`; 0 where there is none yet.
    end: usize,
    /// The slot that its first literal has.
    slot: u32,
    /// How many literals were recorded before it.
    literals: usize,
    /// It holds a subquery, or where an executable comment begins or ends: rows of those stay.
    stays: bool,
}

/// One depth of parentheses.
#[derive(Clone, Copy, Debug, Default)]
struct Level {
    /// The group that is open.
    open: Group,
    /// The group that was closed last.
    closed: Group,
}

/// The state of one pass.
struct Reader<'a> {
    sql: &'a [u8],
    /// `"x"` is a name.
    ansi_quotes: bool,
    out: &'a mut Digest,
    /// Source bytes from here to `prev.end` belong to the digest as they are, but have not been copied yet.
    pending: usize,
    /// The token before.
    prev: Token,
    /// The token before takes no space after it (or there is none).
    tight: bool,
    /// Where a sign begins that belongs to a literal, if one follows.
    sign: Option<u32>,
    /// Literals since the last token that was neither literal nor comma.
    run: u32,
    /// The token before is a comma inside a run.
    run_comma: bool,
    /// The token before is a literal.
    run_literal: bool,
    /// Length of the digest's text after the last literal of a run that stays.
    run_end: usize,
    /// The slot of the next `?`.
    slot: u32,
    depth: usize,
}

impl<'a> Reader<'a> {
    fn new(sql: &'a [u8], mode: LexMode, out: &'a mut Digest) -> Self {
        Self {
            sql,
            ansi_quotes: mode.ansi_quotes,
            out,
            pending: 0,
            prev: Token { kind: TokenKind::Operator, start: 0, end: 0 },
            tight: true,
            sign: None,
            run: 0,
            run_comma: false,
            run_literal: false,
            run_end: 0,
            slot: 0,
            depth: 0,
        }
    }

    #[inline]
    fn token(&mut self, token: Token) {
        let sign = self.sign.take();
        match token.kind {
            TokenKind::String | TokenKind::Number | TokenKind::Param => self.literal(token, sign),
            TokenKind::Word => self.word(token, sign),
            TokenKind::Operator => self.operator(token),
            TokenKind::Unterminated => {
                self.space(token, false);
                self.flush(token.start as usize);
                // Not the end of an executable comment.
                if self.out.text.last() == Some(&b'*') {
                    self.out.text.push(b' ');
                }
                self.out.text.extend_from_slice(b"/*");
                self.pending = token.end as usize;
                self.done(token, false);
            }
            TokenKind::ExecutableOpen | TokenKind::ExecutableClose => self.executable(token),
            TokenKind::Hint => self.hint(token),
            _ => {
                self.space(token, false);
                self.done(token, false);
            }
        }
    }

    /// An executable comment begins or ends: a row on one side of it is none on the other to a server that skips it.
    #[cold]
    fn executable(&mut self, token: Token) {
        self.space(token, false);
        self.done(token, false);
        self.out.levels.iter_mut().take(self.depth).for_each(|level| level.open.stays = true);
        if let Some(level) = self.out.levels.get_mut(self.depth) {
            level.closed = Group::default();
        }
    }

    /// An optimizer hint, with a `?` for each string and number. Not cut into tokens by the grammar of statements: to the
    /// servers that heed it, it has one of its own.
    #[cold]
    fn hint(&mut self, token: Token) {
        self.space(token, false);
        self.flush(token.start as usize);
        let mut text = token.text(self.sql);
        while let Some((&byte, behind)) = text.split_first() {
            let length = match byte {
                // Each quote is closed, or it were no hint.
                b'\'' | b'"' | b'`' => behind.iter().position(|&b| b == byte).map_or(behind.len(), |end| end + 1),
                _ if is_ident_byte(byte) => behind.iter().position(|&b| !is_ident_byte(b)).unwrap_or(behind.len()),
                _ => 0,
            };
            let (piece, rest) = text.split_at(1 + length);
            let literal = byte == b'\'' || (byte == b'"' && !self.ansi_quotes) || byte.is_ascii_digit();
            self.out.text.extend_from_slice(if literal { b"?" } else { piece });
            text = rest;
        }
        self.pending = token.end as usize;
        self.done(token, false);
    }

    /// Copies what is pending, up to the source offset `end`.
    #[inline]
    fn flush(&mut self, end: usize) {
        if let Some(bytes) = self.sql.get(self.pending..end) {
            self.out.text.extend_from_slice(bytes);
        }
        self.pending = end;
    }

    /// Puts what belongs between the token before and `token`; `tight` if `token` takes no space before it.
    #[inline]
    fn space(&mut self, token: Token, tight: bool) {
        if token.start == self.prev.end {
            return;
        }
        let wanted = !tight && !self.tight;
        let one = token.start - self.prev.end == 1 && self.sql.get(self.prev.end as usize) == Some(&b' ');
        if one && wanted {
            return;
        }
        self.flush(self.prev.end as usize);
        if wanted {
            self.out.text.push(b' ');
        }
        self.pending = token.start as usize;
    }

    /// `token` is part of the digest now.
    #[inline]
    fn done(&mut self, token: Token, tight: bool) {
        self.prev = token;
        self.tight = tight;
        self.run_literal = false;
        self.run_comma = false;
    }

    #[inline]
    fn literal(&mut self, token: Token, sign: Option<u32>) {
        let start = match sign {
            Some(start) => start,
            None => {
                self.space(token, false);
                token.start
            }
        };
        self.run = if self.run_comma { self.run + 1 } else { 1 };
        if self.run < FOLD_FROM {
            self.flush(start as usize);
            self.out.text.push(b'?');
            self.slot += 1;
            if self.run == FOLD_TO {
                self.run_end = self.out.text.len();
            }
        } else {
            self.fold_run();
        }
        if self.out.literals.len() < MAX_LITERALS {
            self.out.literals.push(Literal { slot: self.slot - 1, start, end: token.end });
        } else {
            self.out.truncated = true;
        }
        self.pending = token.end as usize;
        self.done(token, false);
        self.run_literal = true;
    }

    /// A literal belongs to what `...` stands for.
    fn fold_run(&mut self) {
        if self.run == FOLD_FROM || self.out.text.len() != self.run_end + 4 {
            self.out.text.truncate(self.run_end);
            self.out.text.extend_from_slice(b",...");
        }
        if self.run == FOLD_FROM {
            // The ones between had slots of their own.
            let between = FOLD_FROM - FOLD_TO - 1;
            self.slot -= between;
            if !self.out.truncated {
                let last = self.out.literals.iter_mut().rev().take(between as usize);
                last.for_each(|literal| literal.slot = self.slot - 1);
            }
        }
    }

    #[inline]
    fn word(&mut self, token: Token, sign: Option<u32>) {
        let text = token.text(self.sql);
        let null = match text.len() {
            2 => text == b"\\N",
            4 => text.eq_ignore_ascii_case(b"null") && !self.after_point() && !self.before_point(token),
            6 if self.depth > 0 && text.eq_ignore_ascii_case(b"select") => {
                self.out.levels.iter_mut().take(self.depth).for_each(|level| level.open.stays = true);
                false
            }
            _ => false,
        };
        if null {
            self.literal(token, sign);
        } else {
            self.space(token, false);
            self.done(token, false);
        }
    }

    /// True if the token before is a `.`: what follows is a name.
    fn after_point(&self) -> bool {
        self.prev.kind == TokenKind::Operator && self.prev.text(self.sql) == b"."
    }

    /// True if `token` and a `.` make the first part of a name.
    fn before_point(&self, token: Token) -> bool {
        let end = token.end as usize;
        self.sql.get(end) == Some(&b'.') && self.sql.get(end + 1).copied().is_some_and(is_ident_byte)
    }

    #[inline]
    fn operator(&mut self, token: Token) {
        match token.text(self.sql) {
            b"," => {
                let run = self.run_literal;
                self.space(token, true);
                self.done(token, true);
                self.run_comma = run;
            }
            b"(" => {
                self.space(token, false);
                self.done(token, true);
                self.open_group(token);
            }
            b")" => {
                self.space(token, true);
                self.done(token, false);
                self.close_group(token);
            }
            b";" => {
                self.space(token, true);
                self.done(token, true);
            }
            b"+" | b"-" if self.unary() => {
                self.part(token);
                self.space(token, false);
                let run = self.run_comma;
                self.done(token, false);
                self.run_comma = run;
                self.sign = Some(token.start);
            }
            b"." => {
                self.part(token);
                self.space(token, false);
                self.done(token, false);
            }
            _ => {
                self.space(token, false);
                self.done(token, false);
            }
        }
    }

    /// Puts a space between two marks that stand together and are alike: three points must not look like a fold, nor
    /// two dashes like a comment.
    fn part(&mut self, token: Token) {
        if token.start == self.prev.end && token.text(self.sql) == self.prev.text(self.sql) {
            self.flush(token.start as usize);
            self.out.text.push(b' ');
        }
    }

    /// True if a sign here is not an operator between two operands.
    fn unary(&self) -> bool {
        let text = self.prev.text(self.sql);
        match self.prev.kind {
            TokenKind::Operator => text != b")",
            TokenKind::Word => BEFORE_SIGN.iter().any(|word| text.eq_ignore_ascii_case(word)),
            _ => false,
        }
    }

    fn open_group(&mut self, token: Token) {
        self.flush(token.end as usize);
        if self.depth < MAX_DEPTH {
            let open = Group {
                start: self.out.text.len() - 1,
                end: 0,
                slot: self.slot,
                literals: self.out.literals.len(),
                stays: false,
            };
            match self.out.levels.get_mut(self.depth) {
                Some(level) => level.open = open,
                None => self.out.levels.push(Level { open, closed: Group::default() }),
            }
            if let Some(inner) = self.out.levels.get_mut(self.depth + 1) {
                inner.closed = Group::default();
            }
        }
        self.depth += 1;
    }

    fn close_group(&mut self, token: Token) {
        self.flush(token.end as usize);
        self.depth = match self.depth.checked_sub(1) {
            Some(depth) => depth,
            None => return,
        };
        let Digest { text, literals, levels, .. } = &mut *self.out;
        let Some(level) = levels.get_mut(self.depth) else { return };
        let group = Group { end: text.len(), ..level.open };
        let before = level.closed;
        let between = text.get(before.end..group.start).unwrap_or_default();
        #[expect(clippy::indexing_slicing, reason = "both groups lie in the text that has been written so far")]
        let equal = before.end > 0
            && !group.stays
            && (between == b"," || between == b",...,")
            && text[before.start..before.end] == text[group.start..group.end];
        if !equal {
            level.closed = group;
            return;
        }
        text.truncate(before.end);
        text.extend_from_slice(b",...");
        let shift = group.slot - before.slot;
        if let Some(literals) = literals.get_mut(group.literals..) {
            literals.iter_mut().for_each(|literal| literal.slot -= shift);
        }
        self.slot = group.slot;
    }

    fn finish(&mut self) {
        self.flush(self.prev.end as usize);
        while matches!(self.out.text.last(), Some(b';' | b' ')) {
            self.out.text.pop();
        }
    }
}

/// Words after which a `+` or `-` is a sign. A word that is missing here costs a second digest, nothing else.
const BEFORE_SIGN: [&[u8]; 26] = [
    b"select",
    b"where",
    b"and",
    b"or",
    b"xor",
    b"not",
    b"between",
    b"like",
    b"then",
    b"else",
    b"when",
    b"case",
    b"on",
    b"having",
    b"by",
    b"interval",
    b"div",
    b"mod",
    b"return",
    b"default",
    b"distinct",
    b"all",
    b"regexp",
    b"rlike",
    b"do",
    b"value",
];
