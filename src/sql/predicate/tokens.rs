//! A digest's tokens with their brackets matched, their keywords recognised and their literals numbered.
//!
//! Refuses (with a reason in words) what nothing can be proven of: executable comments, hints that set variables, text
//! that breaks off, brackets that do not match, and texts too long to be worth reading.

use super::super::LexMode;
use super::super::lexer::{Lexer, Token, TokenKind};
use std::borrow::Cow;

/// More tokens than this are not read: a digest has its lists folded, so a longer one was written by a machine.
const MAX_TOKENS: usize = 16_384;

/// Why a text is not understood, in words for people.
pub(super) type Refusal = &'static str;

macro_rules! keys {
    ($($name:ident $text:literal)*) => {
        /// A keyword that the parser looks for.
        #[derive(Clone, Copy, Debug, PartialEq, Eq)]
        pub(super) enum Key { $($name,)* Other }

        impl Key {
            /// The keyword that an unquoted word is.
            fn of(word: &[u8]) -> Self {
                let mut upper = [0; 16];
                let Some(upper) = upper.get_mut(..word.len()) else { return Key::Other };
                upper.copy_from_slice(word);
                upper.make_ascii_uppercase();
                match &*upper {
                    $($text => Key::$name,)*
                    _ => Key::Other,
                }
            }
        }
    };
}

keys! {
    Alter b"ALTER" Analyze b"ANALYZE" And b"AND" As b"AS" Begin b"BEGIN" Between b"BETWEEN" By b"BY" Case b"CASE"
    Commit b"COMMIT" Create b"CREATE" Cross b"CROSS" Delayed b"DELAYED" Delete b"DELETE" Desc b"DESC"
    Describe b"DESCRIBE" Drop b"DROP" Duplicate b"DUPLICATE" Except b"EXCEPT" Explain b"EXPLAIN" Fetch b"FETCH"
    For b"FOR" Force b"FORCE" From b"FROM" Full b"FULL" Grant b"GRANT" Group b"GROUP" Having b"HAVING"
    HighPriority b"HIGH_PRIORITY" Ignore b"IGNORE" In b"IN" Index b"INDEX" Inner b"INNER" Insert b"INSERT"
    Intersect b"INTERSECT" Interval b"INTERVAL" Into b"INTO" Join b"JOIN" JsonTable b"JSON_TABLE" Keyed b"KEY"
    Lateral b"LATERAL" Left b"LEFT" Limit b"LIMIT" Load b"LOAD" Lock b"LOCK" LowPriority b"LOW_PRIORITY"
    Natural b"NATURAL" Of b"OF" Offset b"OFFSET" On b"ON" Or b"OR" Order b"ORDER" Outer b"OUTER"
    Partition b"PARTITION" Procedure b"PROCEDURE" Quick b"QUICK" Rename b"RENAME" Replace b"REPLACE"
    Returning b"RETURNING" Revoke b"REVOKE" Right b"RIGHT" Rollback b"ROLLBACK" Select b"SELECT" Set b"SET"
    Share b"SHARE" Show b"SHOW" Start b"START" StraightJoin b"STRAIGHT_JOIN" Table b"TABLE"
    Temporary b"TEMPORARY" Truncate b"TRUNCATE" Union b"UNION" Unlock b"UNLOCK" Update b"UPDATE" Use b"USE"
    Using b"USING" Value b"VALUE" Values b"VALUES" Where b"WHERE" Window b"WINDOW" With b"WITH" Xor b"XOR"
}

/// One token and what is known of it.
struct Entry {
    token: Token,
    /// [`Key::Other`] for everything that is not an unquoted keyword.
    key: Key,
    /// Of an opening bracket: where its closing one stands. Of a literal: its slot.
    link: u32,
}

/// The tokens of a digest.
pub(super) struct Tokens<'a> {
    text: &'a [u8],
    list: Vec<Entry>,
}

impl<'a> Tokens<'a> {
    /// Cuts a digest's text.
    pub fn read(text: &'a [u8], mode: LexMode) -> Result<Self, Refusal> {
        let mut list: Vec<Entry> = Vec::new();
        let mut open: Vec<usize> = Vec::new();
        let mut slots = 0;
        for token in Lexer::new(text, mode) {
            if list.len() >= MAX_TOKENS {
                return Err("the statement is too long");
            }
            let mut entry = Entry { token, key: Key::Other, link: 0 };
            match token.kind {
                TokenKind::ExecutableOpen | TokenKind::ExecutableClose => return Err("it has an executable comment"),
                TokenKind::Unterminated => return Err("its text breaks off"),
                TokenKind::Hint if sets_variables(token.text(text)) => return Err("a hint sets a variable"),
                TokenKind::Hint | TokenKind::RouteHint => continue,
                TokenKind::Param => {
                    entry.link = slots;
                    slots += 1;
                }
                // Behind a `.` every word is a name.
                TokenKind::Word if list.last().is_none_or(|last| last.token.text(text) != b".") => {
                    entry.key = Key::of(token.text(text));
                }
                TokenKind::Operator => match token.text(text) {
                    b"(" | b"{" => open.push(list.len()),
                    mark @ (b")" | b"}") => {
                        let closing = list.len() as u32;
                        let opening = open.pop().and_then(|at| list.get_mut(at));
                        let opening = opening.ok_or("a bracket closes that was not opened")?;
                        let pair: &[u8] = if mark == b")" { b"(" } else { b"{" };
                        if opening.token.text(text) != pair {
                            return Err("its brackets cross");
                        }
                        opening.link = closing;
                    }
                    _ => {}
                },
                _ => {}
            }
            list.push(entry);
        }
        if open.is_empty() { Ok(Self { text, list }) } else { Err("a bracket stays open") }
    }

    /// How many there are.
    pub fn len(&self) -> usize {
        self.list.len()
    }

    fn kind(&self, at: usize) -> Option<TokenKind> {
        self.list.get(at).map(|entry| entry.token.kind)
    }

    /// The bytes of a token; nothing behind the end.
    pub fn text(&self, at: usize) -> &'a [u8] {
        self.list.get(at).map_or(b"", |entry| entry.token.text(self.text))
    }

    /// The keyword at a place.
    pub fn key(&self, at: usize) -> Key {
        self.list.get(at).map_or(Key::Other, |entry| entry.key)
    }

    /// The operator or mark at a place; nothing for other tokens.
    pub fn mark(&self, at: usize) -> &'a [u8] {
        if self.kind(at) == Some(TokenKind::Operator) { self.text(at) } else { b"" }
    }

    /// True for an unquoted word.
    pub fn is_word(&self, at: usize) -> bool {
        self.kind(at) == Some(TokenKind::Word)
    }

    /// True for a name in quotes.
    pub fn is_quoted(&self, at: usize) -> bool {
        self.kind(at) == Some(TokenKind::QuotedIdent)
    }

    /// True for `@x` and `@@x`.
    pub fn is_variable(&self, at: usize) -> bool {
        matches!(self.kind(at), Some(TokenKind::UserVariable | TokenKind::SystemVariable))
    }

    /// The slot of the literal at a place.
    pub fn slot(&self, at: usize) -> Option<u32> {
        let entry = self.list.get(at)?;
        (entry.token.kind == TokenKind::Param).then_some(entry.link)
    }

    /// The name at a place, without its quotes.
    pub fn name(&self, at: usize) -> Option<Cow<'a, str>> {
        self.list.get(at)?.token.name(self.text)
    }

    /// Where the bracket that opens at a place closes; none for other tokens.
    pub fn close(&self, at: usize) -> Option<usize> {
        let entry = self.list.get(at)?;
        matches!(self.mark(at), b"(" | b"{").then_some(entry.link as usize)
    }

    /// The place after a token, and after the whole bracket where one opens.
    pub fn after(&self, at: usize) -> usize {
        self.close(at).unwrap_or(at) + 1
    }

    /// The places from `from` up to `to` that are inside no further bracket. An opening bracket is there, its content
    /// and its closing bracket are not.
    pub fn level(&self, from: usize, to: usize) -> impl Iterator<Item = usize> {
        let mut next = from;
        std::iter::from_fn(move || {
            let at = next;
            next = self.after(at);
            (at < to).then_some(at)
        })
    }

    /// The first place of a level that holds one of some keywords.
    pub fn find(&self, from: usize, to: usize, keys: &[Key]) -> Option<usize> {
        self.level(from, to).find(|&at| keys.contains(&self.key(at)))
    }
}

/// True for an optimizer hint that may change what `NOW()` or a quoted time means (`SET_VAR(time_zone=…)`).
fn sets_variables(hint: &[u8]) -> bool {
    hint.windows(7).any(|part| part.eq_ignore_ascii_case(b"SET_VAR"))
}
