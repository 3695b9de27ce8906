//! The fuzz targets for statement text: what the lexer, the digest and the classifier promise for every input.
#![allow(dead_code)]

use switchboard::sql::LexMode;
use switchboard::sql::classify::classify;
use switchboard::sql::digest::{Digest, MAX_LITERALS, hash};
use switchboard::sql::effects::Effects;
use switchboard::sql::lexer::{Lexer, TokenKind};

/// All combinations of what a session may say about how its text is cut.
pub fn modes() -> impl Iterator<Item = LexMode> {
    (0..16).map(|bits| LexMode {
        ansi_quotes: bits & 1 != 0,
        no_backslash_escapes: bits & 2 != 0,
        foreign_charset: bits & 4 != 0,
        foreign_marks: bits & 8 != 0,
    })
}

/// Words and marks in which the special cases meet.
pub const DICTIONARY: &[&[u8]] = &[
    b" ",
    b"\n",
    b"/*",
    b"*/",
    b"/*!",
    b"/*!50000 ",
    b"/*M!100100 ",
    b"/*+",
    b"/* switchboard: a=b */",
    b"-- ",
    b"#",
    b"'",
    b"\"",
    b"`",
    b"\\",
    b"\0",
    b"@",
    b"@@",
    b"@a",
    b"@@session.",
    b":=",
    b"(",
    b")",
    b",",
    b";",
    b".",
    b"?",
    b"=",
    b"-",
    b"+",
    b"*",
    b"1",
    b"1e5",
    b"0x1F",
    b"x'1F'",
    b"N'a'",
    b"NULL",
    b"\\N",
    b"\xa0",
    b"\xc3\xa9",
    b"\xff",
    b"$$",
    b"{OJ ",
    b"}",
    b"SELECT ",
    b" FROM ",
    b" FOR UPDATE",
    b" LOCK IN SHARE MODE",
    b" INTO ",
    b"INTO OUTFILE 'a'",
    b" UNION ",
    b"WITH c AS (",
    b" JOIN ",
    b" AS ",
    b"VALUES ",
    b"TABLE ",
    b"INSERT INTO t ",
    b"UPDATE t SET ",
    b"DELETE FROM t ",
    b"SET ",
    b"BEGIN",
    b"f(",
    b"NOW()",
    b"LAST_INSERT_ID(",
    b"NEXT VALUE FOR s",
    b"(SELECT 1)",
    b" IN (1,2,3,4,5,6)",
    b" IS NULL",
    b"EXPLAIN ",
    b"SHOW ",
    b"CALL p()",
    b"db.",
    b" t ",
    b",(1,2),(1,2)",
];

/// The lexer's tokens are in order, not empty, do not overlap, and nothing but the last can be unterminated.
pub fn lexer(sql: &[u8]) {
    for mode in modes() {
        let mut at = 0;
        let mut over = false;
        for token in Lexer::new(sql, mode) {
            assert!(!over, "a token after the unterminated one");
            let (start, end) = (token.start as usize, token.end as usize);
            assert!(start >= at && end > start && end <= sql.len(), "a token out of order");
            assert_eq!(token.text(sql).len(), end - start);
            over = token.kind == TokenKind::Unterminated;
            assert!(!over || end == sql.len(), "an unterminated token ends early");
            at = end;
        }
    }
}

/// The digest and the classifier agree with themselves: a digest has one set of facts, whichever statement it came from;
/// and what makes a statement unsafe does so wherever it is added.
pub fn classifier(sql: &[u8]) {
    let mut digest = Digest::default();
    for mode in modes() {
        let facts = classify(sql, mode);
        digest.read(sql, mode);
        assert_eq!(digest.hash, hash(&digest.text));
        assert!(digest.literals.len() <= MAX_LITERALS);
        let ordered = digest.literals.windows(2).all(|pair| pair[0].end <= pair[1].start);
        assert!(
            ordered && digest.literals.iter().all(|literal| literal.end as usize <= sql.len()),
            "literals out of order"
        );
        assert_eq!(facts.unproven.is_empty(), !facts.effects.contains(Effects::UNPROVEN), "a doubt without its reason");
        // A text that cannot be cut into tokens ends its digest with a marker, and is never safe.
        if is_broken(sql, mode) {
            assert!(is_broken(&digest.text, mode), "a broken text with a whole digest");
            assert!(facts.effects.contains(Effects::UNPROVEN), "a broken text that is proven");
            continue;
        }
        let unfolded = unfold(&digest.text);
        let again = classify(&unfolded, mode);
        assert_eq!(facts.effects, again.effects, "the digest is {:?}", String::from_utf8_lossy(&digest.text));
        if facts.reader_safe() {
            assert_eq!(facts.tables, again.tables);
            for more in ["\n FOR UPDATE", "\n INTO @a", "\n; DELETE FROM t", "\n /*! FOR UPDATE */", "\n, f(1)"] {
                let more = [sql, more.as_bytes()].concat();
                assert!(!classify(&more, mode).reader_safe(), "safe with more: {:?}", String::from_utf8_lossy(&more));
            }
        }
    }
}

/// A digest's text as a statement: what was folded is there twice.
pub fn unfold(text: &[u8]) -> Vec<u8> {
    let mut out = Vec::new();
    let mut rest = text;
    while let Some(at) = rest.windows(4).position(|four| four == b",...") {
        out.extend_from_slice(&rest[..at]);
        rest = &rest[at + 4..];
        if out.ends_with(b")") {
            let again = last_group(&out);
            out.push(b',');
            out.extend_from_slice(&again);
        } else {
            out.extend_from_slice(b",?,?");
        }
    }
    out.extend_from_slice(rest);
    out
}

/// The parentheses at the end of `text`, with what is in them.
fn last_group(text: &[u8]) -> Vec<u8> {
    let mut open = Vec::new();
    let mut last = 0..0;
    for token in Lexer::new(text, LexMode::default()) {
        match token.text(text) {
            b"(" => open.push(token.start as usize),
            b")" => last = open.pop().unwrap_or(0)..token.end as usize,
            _ => {}
        }
    }
    text[last].to_vec()
}

/// True if the text cannot be cut into tokens to its end.
pub fn is_broken(text: &[u8], mode: LexMode) -> bool {
    Lexer::new(text, mode).any(|token| token.kind == TokenKind::Unterminated)
}
