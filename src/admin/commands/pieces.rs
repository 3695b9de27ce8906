//! A statement cut into words, numbers and texts, from which commands are read.
//!
//! It uses the lexer of the traffic's statements, and takes the content of executable comments for code, as connectors
//! mean it. What a command is, is decided by [`super::read`].

use crate::admin::dialect;
use crate::sql::lexer::{Lexer, TokenKind};

/// A word, a number or a string of a statement.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Piece<'a> {
    /// What it is.
    pub kind: TokenKind,
    /// As it stands.
    pub raw: &'a str,
    /// Where it begins.
    pub start: usize,
    /// Without quotes; a word in capitals.
    pub text: String,
}

impl Piece<'_> {
    /// True for that word, not quoted.
    pub fn is(&self, word: &str) -> bool {
        matches!(self.kind, TokenKind::Word | TokenKind::Operator) && self.text == word
    }

    /// As a name or a value: quotes off, and as it stands.
    pub fn plain(&self) -> String {
        if self.kind == TokenKind::Word { self.raw.to_owned() } else { self.text.clone() }
    }
}

/// The pieces of a statement. What stands in executable comments counts: a connector's `/*!40101 SET NAMES utf8 */` is one.
pub fn pieces(statement: &str) -> Vec<Piece<'_>> {
    let bytes = statement.as_bytes();
    let wanted = |kind: TokenKind| !matches!(kind, TokenKind::ExecutableOpen | TokenKind::ExecutableClose);
    Lexer::new(bytes, dialect::mode())
        .filter(|token| wanted(token.kind))
        .map(|token| {
            let raw = statement.get(token.start as usize..token.end as usize).unwrap_or_default();
            let text = match token.kind {
                TokenKind::String | TokenKind::QuotedIdent => unquoted(raw),
                _ => raw.to_ascii_uppercase(),
            };
            Piece { kind: token.kind, raw, start: token.start as usize, text }
        })
        .collect()
}

/// A quoted text's own text: `'it''s'` is `it's`.
fn unquoted(raw: &str) -> String {
    let Some(quote) = raw.chars().next() else { return String::new() };
    let inner = raw.strip_prefix(quote).and_then(|r| r.strip_suffix(quote)).unwrap_or(raw);
    inner.replace(&format!("{quote}{quote}"), &quote.to_string())
}

/// True if a statement's first word is one of these.
pub fn first_word_is(text: &str, words: &[&str]) -> bool {
    let mut tokens = Lexer::new(text.as_bytes(), dialect::mode());
    let first = tokens.next().map(|token| token.text(text.as_bytes()).to_ascii_uppercase());
    first.is_some_and(|first| words.iter().any(|word| word.as_bytes() == first))
}

/// True if the pieces begin with these words.
pub fn begins(pieces: &[Piece<'_>], words: &str) -> bool {
    let mut rest = pieces.iter();
    words.split(' ').all(|word| rest.next().is_some_and(|piece| piece.is(word)))
}

/// True if the pieces are these words and no more.
pub fn are(pieces: &[Piece<'_>], words: &str) -> bool {
    pieces.len() == words.split(' ').count() && begins(pieces, words)
}
