//! Tests for texts that not every server, or not every session, cuts into the same tokens.
//!
//! Only [`super`] uses them. They compare bytes and cut nothing themselves; on a doubt the lexer ends the text with an
//! unterminated token.

/// True if a text holds a byte that a foreign client character set may read as something else than ASCII does: one that is not
/// ASCII, for that may hide the next, or (`marks`) one of the marks in whose places the set may have letters.
#[cold]
pub(super) fn has_foreign_byte(sql: &[u8], marks: bool) -> bool {
    sql.iter().any(|b| !b.is_ascii() || marks && b"@[\\]^`{|}~".contains(b))
}

/// True if an optimizer hint may end elsewhere for MySQL, whose own lexer for hints knows quotes, than for servers that see
/// a comment: a quote stays open in it, or a backslash may hide one.
#[cold]
pub(super) fn has_doubtful_quote(hint: &[u8]) -> bool {
    const QUOTES: [u8; 3] = *b"`\"'";
    let counts = QUOTES.map(|quote| hint.iter().filter(|&&byte| byte == quote).count());
    let mut open = None;
    for &byte in hint.iter().filter(|byte| QUOTES.contains(byte)) {
        match open {
            None => open = Some(byte),
            Some(quote) if quote == byte => open = None,
            Some(_) => {}
        }
    }
    let escaped = hint.contains(&b'\\') && counts.iter().any(|&count| count > 0);
    escaped || open.is_some() || counts.iter().any(|count| count % 2 == 1)
}

/// Words of statements that may change `sql_mode` or the client's character set.
const CHANGES: [&[u8]; 4] = [b"sql_mode", b"names", b"char", b"execute"];

/// True if one of these statements may change how what comes after it is read.
pub(super) fn may_change_reading(statements: &[u8]) -> bool {
    CHANGES.iter().any(|word| statements.windows(word.len()).any(|window| window.eq_ignore_ascii_case(word)))
}

/// True if a quoted text is another thing, or ends elsewhere, under another `sql_mode` or in another character set. It comes with
/// its quotes and the byte before, which may swallow the first.
pub(super) fn is_read_in_two_ways(quoted: &[u8]) -> bool {
    let swallowed = quoted.windows(2).any(|pair| matches!(pair, [before, b'`'] if !before.is_ascii()));
    swallowed || quoted.last() == Some(&b'"') || quoted.contains(&b'\\')
}
