//! The lexer against the servers' token rules, as tables; and its totality, as properties.

use proptest::prelude::*;
use switchboard::sql::LexMode;
use switchboard::sql::lexer::{Lexer, TokenKind};

const PLAIN: LexMode =
    LexMode { ansi_quotes: false, no_backslash_escapes: false, foreign_charset: false, foreign_marks: false };
const ANSI: LexMode = LexMode { ansi_quotes: true, ..PLAIN };
const NO_BACKSLASH: LexMode = LexMode { no_backslash_escapes: true, ..PLAIN };
const FOREIGN: LexMode = LexMode { foreign_charset: true, ..PLAIN };
const SWEDISH: LexMode = LexMode { foreign_marks: true, ..FOREIGN };

/// The tokens of a text, as `K:text` joined by spaces.
fn dump(sql: &[u8], mode: LexMode) -> String {
    let tokens: Vec<String> = Lexer::new(sql, mode)
        .map(|token| {
            let letter = match token.kind {
                TokenKind::Word => 'w',
                TokenKind::QuotedIdent => 'q',
                TokenKind::String => 's',
                TokenKind::Number => 'n',
                TokenKind::Param => 'p',
                TokenKind::UserVariable => 'u',
                TokenKind::SystemVariable => 'v',
                TokenKind::Operator => 'o',
                TokenKind::ExecutableOpen => 'X',
                TokenKind::ExecutableClose => 'x',
                TokenKind::Hint => 'h',
                TokenKind::RouteHint => 'r',
                TokenKind::Unterminated => '!',
            };
            format!("{letter}:{}", String::from_utf8_lossy(token.text(sql)))
        })
        .collect();
    tokens.join(" ")
}

fn check(rows: &[(&str, &str)], mode: LexMode) {
    for (sql, expected) in rows {
        assert_eq!(dump(sql.as_bytes(), mode), *expected, "of {sql:?} in {mode:?}");
    }
}

#[test]
fn what_an_earlier_statement_may_have_changed_is_left_unread() {
    let rows = [
        ("SET sql_mode=1; SELECT 'a' -- \"", "w:SET w:sql_mode o:= n:1 o:; w:SELECT s:'a'"),
        ("SELECT \"a\"; SET sql_mode=1; SELECT 1", "w:SELECT q:\"a\" o:; w:SET w:sql_mode o:= n:1 o:; w:SELECT n:1"),
        ("SET sql_mode=1; SELECT \"a\", 1", "w:SET w:sql_mode o:= n:1 o:; w:SELECT !:\"a\", 1"),
        // The statement that changes something does not have to come first, or last.
        (
            "SELECT 1; SET NAMES x; SELECT 2; SELECT '\\'",
            "w:SELECT n:1 o:; w:SET w:NAMES w:x o:; w:SELECT n:2 o:; w:SELECT !:'\\'",
        ),
    ];
    check(&rows, ANSI);
}

#[test]
fn words_and_names() {
    check(
        &[
            ("", ""),
            (" \t\r\n\x0b\x0c", ""),
            ("select", "w:select"),
            ("SELECT a", "w:SELECT w:a"),
            ("a$b _c $d", "w:a$b w:_c w:$d"),
            ("2024_calls", "w:2024_calls"),
            ("1e", "w:1e"),
            ("1e_x", "w:1e_x"),
            ("0xZZ", "w:0xZZ"),
            ("0X1F", "w:0X1F"),
            ("0b12", "w:0b12"),
            ("0x 0b", "w:0x w:0b"),
            ("1a", "w:1a"),
            ("straße ñ 表", "w:straße w:ñ w:表"),
            ("t.1a", "w:t o:. w:1a"),
            ("t.1", "w:t o:. w:1"),
            ("t.1e5", "w:t o:. w:1e5"),
            ("t.x'1'", "w:t o:. w:x s:'1'"),
            ("t.n'1'", "w:t o:. w:n s:'1'"),
            ("a.b.c", "w:a o:. w:b o:. w:c"),
            ("1a.2b", "w:1a o:. w:2b"),
            ("a. b", "w:a o:. w:b"),
            ("a .b", "w:a o:. w:b"),
            ("a .1", "w:a n:.1"),
            ("`a`.1", "q:`a` n:.1"),
            ("`a`.b", "q:`a` o:. w:b"),
            ("a.`b`", "w:a o:. q:`b`"),
            ("a.*", "w:a o:. o:*"),
            ("`a``b`", "q:`a``b`"),
            ("`a\\`", "q:`a\\`"),
            ("``", "q:``"),
            ("`a", "!:`a"),
            ("\\N", "w:\\N"),
            ("\\NFROM", "w:\\N w:FROM"),
            ("\\n", "o:\\ w:n"),
        ],
        LexMode::default(),
    );
}

#[test]
fn numbers() {
    check(
        &[
            ("1 1.5 .5 1.", "n:1 n:1.5 n:.5 n:1."),
            ("1e5 1E5 1e+5 1e-5", "n:1e5 n:1E5 n:1e+5 n:1e-5"),
            ("1.5e5 1.e5 .5e+5", "n:1.5e5 n:1.e5 n:.5e+5"),
            ("1e+", "w:1e o:+"),
            ("1e+x", "w:1e o:+ w:x"),
            ("1e5FROM t", "n:1e5 w:FROM w:t"),
            ("1.5FROM t", "n:1.5 w:FROM w:t"),
            ("1.FROM t", "n:1. w:FROM w:t"),
            ("1.e(x)", "!:1.e(x)"),
            ("1.5e+ 2", "!:1.5e+ 2"),
            (".5e", "!:.5e"),
            ("0x1F 0b01", "n:0x1F n:0b01"),
            ("0x1Fg", "w:0x1Fg"),
            ("x'1F' X'1F' b'01' B'01'", "n:x'1F' n:X'1F' n:b'01' n:B'01'"),
            ("x '1F'", "w:x s:'1F'"),
            ("x'1F", "!:x'1F"),
            // The first quote ends it; what is no digit ends the reading.
            ("x'1F''a'", "n:x'1F' s:'a'"),
            ("b'01''\\'a'", "n:b'01' s:'\\'a'"),
            ("x'1G' 'a'", "!:x'1G' 'a'"),
            ("b'2' a", "!:b'2' a"),
            ("0x'1'", "w:0x s:'1'"),
            ("1.2.3", "n:1.2 n:.3"),
            ("-1 +2", "o:- n:1 o:+ n:2"),
            ("0 00 007", "n:0 n:00 n:007"),
            ("123456789012345678901234567890", "n:123456789012345678901234567890"),
        ],
        LexMode::default(),
    );
}

#[test]
fn strings() {
    check(
        &[
            ("'a' \"b\"", "s:'a' s:\"b\""),
            ("'a''b'", "s:'a''b'"),
            ("'a\\'b'", "s:'a\\'b'"),
            ("'a\\\\'", "s:'a\\\\'"),
            ("\"a\"\"b\\\"c\"", "s:\"a\"\"b\\\"c\""),
            ("'a' 'b'", "s:'a' s:'b'"),
            ("'a'\"b\"", "s:'a' s:\"b\""),
            ("n'a' N'b'", "s:n'a' s:N'b'"),
            ("N \"a\"", "w:N s:\"a\""),
            ("N\"a\"", "w:N s:\"a\""),
            ("_utf8'a' _utf8mb4 'b'", "w:_utf8 s:'a' w:_utf8mb4 s:'b'"),
            ("DATE'2024-01-01'", "w:DATE s:'2024-01-01'"),
            ("''", "s:''"),
            ("'a", "!:'a"),
            ("'a\\'", "!:'a\\'"),
            ("'a\\", "!:'a\\"),
            ("'a''", "!:'a''"),
            ("'--' '/*' '#'", "s:'--' s:'/*' s:'#'"),
            ("'a\0b'", "s:'a\0b'"),
            ("'a;b';c", "s:'a;b' o:; w:c"),
        ],
        LexMode::default(),
    );
    check(&[("\"a\"\"b\"", "q:\"a\"\"b\""), ("\"a\\\"", "q:\"a\\\""), ("'a\\''", "s:'a\\''")], ANSI);
    check(&[("'a\\' b", "s:'a\\' w:b"), ("\"a\\\" b", "s:\"a\\\" w:b"), ("'a''b'", "s:'a''b'")], NO_BACKSLASH);
}

#[test]
fn comments() {
    check(
        &[
            ("a/*x*/b", "w:a w:b"),
            ("a/**/b", "w:a w:b"),
            ("a/*/b*/c", "w:a w:c"),
            ("a/* /* */ b */ c", "w:a w:b o:* o:/ w:c"),
            ("a -- x\nb", "w:a w:b"),
            ("a --\tx\nb", "w:a w:b"),
            ("a --\nb", "w:a w:b"),
            ("a --\x01b", "w:a"),
            ("a --\x7fb\nc", "w:a w:c"),
            ("a --", "w:a"),
            ("a --1", "w:a o:- o:- n:1"),
            ("a--b", "w:a o:- o:- w:b"),
            ("a # x\nb", "w:a w:b"),
            ("a#x", "w:a"),
            ("a # x\ry\nb", "w:a w:b"),
            ("a # x\0 b", "w:a o:\0 w:b"),
            ("a -- x\0 b", "w:a o:\0 w:b"),
            ("a /* x", "w:a !:/* x"),
            ("a /*", "w:a !:/*"),
            ("a /*/", "w:a !:/*/"),
            ("/* ' */ 'x'", "s:'x'"),
            ("/*+ MAX_EXECUTION_TIME(1) */ a", "h:/*+ MAX_EXECUTION_TIME(1) */ w:a"),
            ("/*+", "!:/*+"),
            ("/* switchboard: hostgroup=1 */ a", "r:/* switchboard: hostgroup=1 */ w:a"),
            ("/*Switchboard:x=1*/ a", "r:/*Switchboard:x=1*/ w:a"),
            ("/* my switchboard: x */ a", "w:a"),
            ("/* switchboard */ a", "w:a"),
        ],
        LexMode::default(),
    );
}

#[test]
fn executable_comments() {
    check(
        &[
            ("/*! a */", "X:/*! w:a x:*/"),
            ("/*!a*/", "X:/*! w:a x:*/"),
            ("/*!50003 a*/b", "X:/*!50003 w:a x:*/ w:b"),
            ("/*!50003a*/", "X:/*!50003 w:a x:*/"),
            ("/*M! a */", "X:/*M! w:a x:*/"),
            ("/*M!100100 a */", "X:/*M!100100 w:a x:*/"),
            ("/*m! a */", ""),
            ("/*!999999 a */", "X:/*!999999 w:a x:*/"),
            ("/*!1234 a */", "X:/*! n:1234 w:a x:*/"),
            // Five digits or six? What follows melts into the sixth, so nobody knows.
            ("/*!1001001 a */ b", "!:/*!1001001 a */ b"),
            ("/*!100100a */ b", "!:/*!100100a */ b"),
            ("/*!100100.5 */ b", "!:/*!100100.5 */ b"),
            // Where it ends is another place to a server that skips it.
            ("/*! '*/' */", "X:/*! !:'*/' */"),
            ("/*! 'a' '/*' */", "X:/*! s:'a' !:'/*' */"),
            ("/*! `*/` */", "X:/*! !:`*/` */"),
            ("/*! @'*/' */", "X:/*! !:@'*/' */"),
            ("/*! x'*/' */", "X:/*! !:x'*/' */"),
            ("/*! a # */\n b */", "X:/*! w:a !:# */\n b */"),
            ("/*! a -- /*\n b */", "X:/*! w:a !:-- /*\n b */"),
            ("/*! a -- b\n c */", "X:/*! w:a w:c x:*/"),
            ("/*! a /* b */ c */", "X:/*! w:a !:/* b */ c */"),
            ("/*! a /*! b */ c */", "X:/*! w:a !:/*! b */ c */"),
            ("/*! a */ '*/'", "X:/*! w:a x:*/ s:'*/'"),
            ("/*! a */ * / b", "X:/*! w:a x:*/ o:* o:/ w:b"),
            ("2 */ 3", "n:2 o:* o:/ n:3"),
            ("/*! a", "X:/*! w:a"),
        ],
        LexMode::default(),
    );
}

#[test]
fn variables_and_operators() {
    check(
        &[
            ("@a @'a b' @`a``b` @\"c\"", "u:@a u:@'a b' u:@`a``b` u:@\"c\""),
            ("@a.b @1 @ b", "u:@a.b u:@1 u:@ w:b"),
            ("@a:=1", "u:@a o::= n:1"),
            ("@'a", "!:@'a"),
            ("@@x @@session.x @@GLOBAL.`x` @@`x`", "v:@@x v:@@session.x v:@@GLOBAL.`x` v:@@`x`"),
            ("@@a.b.c @@a . b", "v:@@a.b.c v:@@a o:. w:b"),
            ("@@'x'", "v:@@ s:'x'"),
            ("@@`x", "!:@@`x"),
            ("root@localhost 'a'@'b'", "w:root u:@localhost s:'a' u:@'b'"),
            ("<=> <= >= <> != << >> || && := -> ->>", "o:<=> o:<= o:>= o:<> o:!= o:<< o:>> o:|| o:&& o::= o:-> o:->>"),
            ("< > = ! | & : -", "o:< o:> o:= o:! o:| o:& o:: o:-"),
            ("a->'$.b'", "w:a o:-> s:'$.b'"),
            ("(a,b);{}[]~^%", "o:( w:a o:, w:b o:) o:; o:{ o:} o:[ o:] o:~ o:^ o:%"),
            ("?", "p:?"),
            ("a=?", "w:a o:= p:?"),
            ("a\0b", "w:a o:\0 w:b"),
            ("a\x01b", "w:a o:\x01 w:b"),
        ],
        LexMode::default(),
    );
}

#[test]
fn foreign_character_sets_are_not_trusted() {
    let gbk_hides_a_quote = b"select '\x81\\' , for update -- '";
    assert_eq!(dump(b"select 'a' from t", FOREIGN), "w:select s:'a' w:from w:t");
    assert!(dump(gbk_hides_a_quote, FOREIGN).starts_with("!:select"));
    // Without a byte that begins a character of two, every byte is a character of its own.
    assert_eq!(dump(b"select `a`, @b from t", FOREIGN), "w:select q:`a` o:, u:@b w:from w:t");
    assert!(dump(b"select `a\x81`` from t", FOREIGN).starts_with("!:select"));
    assert_eq!(dump(b"select 'a' from t", SWEDISH), "w:select s:'a' w:from w:t");
    assert!(dump(b"select `a` from t", SWEDISH).starts_with("!:select"));
    for name in ["utf8mb4", "UTF8", "latin1", "binary", "ascii", "euckr"] {
        assert!(!LexMode::is_foreign_charset(name), "{name}");
    }
    for name in ["gbk", "sjis", "big5", "cp932", "gb18030", "swe7", "ucs2", "utf16", "klingon", ""] {
        assert!(LexMode::is_foreign_charset(name), "{name}");
        let hides = ["gbk", "sjis", "big5", "cp932", "gb18030"].contains(&name);
        assert_eq!(LexMode::has_foreign_marks(name), !hides, "{name}");
    }
    assert!(!LexMode::has_foreign_marks("latin1"));
}

/// Text in which the lexer's special cases are likely to meet.
fn texts() -> impl Strategy<Value = Vec<u8>> {
    let piece = prop_oneof![
        4 => proptest::sample::select(vec![
            "'", "\"", "`", "\\", "/*", "*/", "/*!", "/*M!", "/*!50003", "/*!100100", "/*+", "/* switchboard: a=b */", "--", "-- ",
            "#", "\n", "\0", "@", "@@", ".", "1", "0x", "0b", "e", "E+", "x'", "N'", "_utf8", "a", "SELECT", "\\N", " ", "\t",
            ";", ",", "(", ")", "<", "=", ">", ":", "|", "&", "!", "?", "$", "é", "\u{a0}",
        ]).prop_map(|s| s.as_bytes().to_vec()),
        1 => any::<u8>().prop_map(|b| vec![b]),
    ];
    proptest::collection::vec(piece, 0..40).prop_map(|pieces| pieces.concat())
}

fn modes() -> impl Strategy<Value = LexMode> {
    any::<[bool; 4]>().prop_map(|[ansi_quotes, no_backslash_escapes, foreign_charset, foreign_marks]| LexMode {
        ansi_quotes,
        no_backslash_escapes,
        foreign_charset,
        foreign_marks,
    })
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 4000, failure_persistence: None, ..ProptestConfig::default() })]

    /// Tokens are in order, never empty, never overlap, and stay inside the text; what is between them is white space
    /// or comment; an unterminated token is the last and reaches to the end.
    #[test]
    fn tokens_cover_the_text(sql in texts(), mode in modes()) {
        let mut at = 0usize;
        let mut over = false;
        for token in Lexer::new(&sql, mode) {
            prop_assert!(!over, "a token after the unterminated one");
            let (start, end) = (token.start as usize, token.end as usize);
            prop_assert!(start >= at && end > start && end <= sql.len());
            let gap = &sql[at..start];
            prop_assert!(gap.is_empty() || gap[0].is_ascii_whitespace() || gap[0] == 0x0b || b"#-/".contains(&gap[0]), "{gap:?}");
            over = token.kind == TokenKind::Unterminated;
            prop_assert!(!over || end == sql.len());
            at = end;
        }
    }

    /// A token that is lexed by itself is the same token.
    #[test]
    fn tokens_stand_alone(sql in texts(), mode in modes()) {
        use TokenKind::{ExecutableClose, ExecutableOpen, Unterminated, Word};
        let mut executable = false;
        for token in Lexer::new(&sql, mode) {
            let text = token.text(&sql).to_vec();
            let again: Vec<_> = Lexer::new(&text, mode).collect();
            // A word after a point may look like a number; the end of an executable comment needs its beginning, as does what
            // hides such an end; and an open executable comment may be waiting for more digits.
            executable |= token.kind == ExecutableOpen;
            if token.kind == Word || (executable && token.kind == Unterminated) || token.kind == ExecutableClose || text.starts_with(b".") {
                continue;
            }
            prop_assert_eq!(again.len(), 1, "{:?}", String::from_utf8_lossy(&text));
            prop_assert_eq!(again[0].kind, token.kind);
        }
    }
}
