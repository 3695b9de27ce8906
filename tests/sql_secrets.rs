//! No literal gets into a digest: statements are strung together at random out of literals, quotes, comments and executable
//! comments, open and closed, and held against a reader of its own that says what is a literal to some server.

use switchboard::sql::LexMode;
use switchboard::sql::classify::classify;
use switchboard::sql::digest::Digest;
use switchboard::sql::lexer::{Lexer, TokenKind};

mod common;
#[path = "common/fuzz.rs"]
mod fuzz;
use common::{MariaDb, MySql};
use fuzz::random::Random;

/// What must not be seen, as text and as a number.
const WORD: &str = "zqsecret";
const NUMBER: &str = "918273645";

/// Where a literal can stand, and what can stand around it. `<w>` and `<n>` are the secrets.
#[rustfmt::skip]
const PIECES: &[&str] = &[
    "'<w>'", "\"<w>\"", "N'<w>'", "_utf8'<w>'", "'a''<w>'", "'\\'<w>'", "'<w>", "\"<w>", "DATE'<w>'", "'a' '<w>'",
    "'<w>\\'", "'*/<w>'", "'<w>/*'", " <n> ", "-<n>", "0x<n>", "1e<n>", "<n>.5", "x'<n>'", "b'<n>'", "x'41'", "b'01'", "LIMIT <n>",
    "IN (1,2,3,4,<n>)", "(<n>),(<n>)", "'<n>'", "@a:=<n>", "+ '<w>'", ",<n>", "/*+ X('<w>', <n>) */", "/*! '<w>' */",
    "/*!50000 <n> */", "/* '<w>' */", "# '<w>'\n",
    "'", "\"", "`", "\\", "/*", "*/", "/*!", "/*!50000 ", "/*!99999 ", "/*M! ", "/*M!100100 ", "# ", "-- ", "\n", " ",
    "(", ")", ",", ";", "=", "SELECT ", "FROM t ", "f(1)", "`a`", "@'b'", "/* it's */", "/* c */", "-- it's\n", "'*/'",
    "/*+ X(1) */", "'/*'",
];

/// What a server does with the executable comments of one kind.
#[derive(Clone, Copy, Debug)]
enum With {
    Running,
    /// Skipping to the first `*/`.
    Skipping,
    /// Skipping to the `*/` that belongs to it.
    SkippingNested,
}

/// Reads a text as one server does, byte by byte, and says where its literals are.
struct Server<'a> {
    sql: &'a [u8],
    at: usize,
    mode: LexMode,
    /// With `/*!`, and with `/*M!`.
    with: [With; 2],
    inside: bool,
    literals: Vec<std::ops::Range<usize>>,
}

impl Server<'_> {
    fn starts(&self, mark: &str) -> bool {
        self.sql[self.at..].starts_with(mark.as_bytes())
    }

    fn find(&self, mark: &str, from: usize) -> usize {
        let from = from.min(self.sql.len());
        let rest = &self.sql[from..];
        rest.windows(mark.len()).position(|w| w == mark.as_bytes()).map_or(self.sql.len(), |at| from + at + mark.len())
    }

    fn read(mut self) -> Vec<std::ops::Range<usize>> {
        while self.at < self.sql.len() {
            let (start, byte) = (self.at, self.sql[self.at]);
            let next = self.sql.get(start + 1).copied().unwrap_or(b' ');
            match byte {
                b'\'' | b'"' | b'`' => self.quoted(byte),
                b'/' if next == b'*' => self.comment(),
                b'*' if next == b'/' && self.inside => (self.inside, self.at) = (false, start + 2),
                b'#' => self.at = self.find("\n", start),
                b'-' if self.starts("-- ") || self.starts("--\n") => self.at = self.find("\n", start),
                _ if byte.is_ascii_alphanumeric() || byte == b'_' => self.word(),
                _ => self.at += 1,
            }
        }
        self.literals
    }

    fn quoted(&mut self, quote: u8) {
        let start = self.at;
        let name =
            quote == b'`' || (quote == b'"' && self.mode.ansi_quotes) || (start > 0 && self.sql[start - 1] == b'@');
        let escapes = quote != b'`' && !(quote == b'"' && self.mode.ansi_quotes) && !self.mode.no_backslash_escapes;
        self.at += 1;
        while let Some(&byte) = self.sql.get(self.at) {
            self.at += 1;
            if byte == b'\\' && escapes {
                self.at += 1;
            } else if byte == quote {
                if self.sql.get(self.at) != Some(&quote) {
                    break;
                }
                self.at += 1;
            }
        }
        self.at = self.at.min(self.sql.len());
        if !name {
            self.literals.push(start..self.at);
        }
    }

    /// Ends at the first quote. Behind anything else no server reads on, and all of it may be anything.
    fn quoted_number(&mut self) {
        let (start, from) = (self.at - 1, self.at + 1);
        let binary = self.sql[start] == b'b';
        let is_digit = |b: &&u8| if binary { matches!(b, b'0' | b'1') } else { b.is_ascii_hexdigit() };
        let end = from + self.sql[from..].iter().take_while(is_digit).count();
        self.at = if self.sql.get(end) == Some(&b'\'') { end + 1 } else { self.sql.len() };
        self.literals.push(start..self.at);
    }

    fn comment(&mut self) {
        let kind = if self.starts("/*!") { Some(0) } else { self.starts("/*M!").then_some(1) };
        match kind.map(|kind| (kind, self.with[kind])) {
            None => self.at = self.find("*/", self.at + 2),
            Some((kind, With::Running)) => {
                self.at += 3 + kind;
                let digits = self.sql[self.at..].iter().take_while(|b| b.is_ascii_digit()).count();
                self.at += digits;
                self.inside = true;
            }
            Some((_, With::Skipping)) => self.at = self.find("*/", self.at + 2),
            Some((_, With::SkippingNested)) => {
                let mut depth = 0;
                while self.at < self.sql.len() {
                    depth += i32::from(self.starts("/*")) - i32::from(self.starts("*/"));
                    self.at += if self.starts("/*") || self.starts("*/") { 2 } else { 1 };
                    if depth == 0 {
                        break;
                    }
                }
            }
        }
    }

    /// A word, or a number where it is nothing but one.
    fn word(&mut self) {
        let start = self.at;
        let length = self.sql[start..].iter().take_while(|b| b.is_ascii_alphanumeric() || **b == b'_').count();
        self.at += length;
        let text = &self.sql[start..self.at];
        if matches!(text, b"x" | b"b") && self.sql.get(self.at) == Some(&b'\'') {
            return self.quoted_number();
        }
        let digits = text.strip_prefix(b"0x").or(text.strip_prefix(b"1e")).unwrap_or(text);
        let named = start > 0 && matches!(self.sql[start - 1], b'.' | b'@' | b'\\' | b'!');
        if !named && digits.iter().all(u8::is_ascii_digit) {
            self.literals.push(start..self.at);
        }
    }
}

fn text(rng: &mut Random) -> String {
    let mut sql = String::from("SELECT ");
    for _ in 0..=rng.below(9) {
        sql.push_str(PIECES[rng.below(PIECES.len())]);
        if rng.one_in(2) {
            sql.push(' ');
        }
    }
    sql.replace("<w>", WORD).replace("<n>", NUMBER)
}

/// True if a secret stands in a literal, as this server reads the text.
fn holds_secret(sql: &str, secret: &str, mode: LexMode, with: [With; 2]) -> bool {
    let server = Server { sql: sql.as_bytes(), at: 0, mode, with, inside: false, literals: Vec::new() };
    server.read().into_iter().any(|range| sql[range].contains(secret))
}

/// True if a secret is code to every server as well, somewhere in the text: then it is a name, and names stay.
fn is_name_too(sql: &str, secret: &str, mode: LexMode, with: [With; 2]) -> bool {
    let server = Server { sql: sql.as_bytes(), at: 0, mode, with, inside: false, literals: Vec::new() };
    let literals = server.read();
    sql.match_indices(secret).any(|(at, _)| !literals.iter().any(|range| range.contains(&at)))
}

#[test]
fn no_literal_of_any_server_gets_into_a_digest() {
    const WITH: [With; 3] = [With::Running, With::Skipping, With::SkippingNested];
    let mut rng = Random::new(7);
    let (mut claims, mut in_comments, mut open) = (0u32, 0u32, 0u32);
    let mut digest = Digest::default();
    for _ in 0..120_000 {
        let sql = text(&mut rng);
        let mode = LexMode { ansi_quotes: rng.one_in(3), no_backslash_escapes: rng.one_in(4), ..LexMode::default() };
        let with = [*rng.pick(&WITH), *rng.pick(&WITH)];
        digest.read(sql.as_bytes(), mode);
        let shown = String::from_utf8_lossy(&digest.text).into_owned();
        for secret in [WORD, NUMBER] {
            if !holds_secret(&sql, secret, mode, with) || is_name_too(&sql, secret, mode, with) {
                continue;
            }
            claims += 1;
            in_comments += u32::from(sql.contains("/*!") || sql.contains("/*M!"));
            assert!(!shown.contains(secret), "{sql:?} under {mode:?}, {with:?}, has the digest {shown:?}");
        }
        if Lexer::new(sql.as_bytes(), mode).any(|token| token.kind == TokenKind::Unterminated) {
            open += 1;
            assert!(!classify(sql.as_bytes(), mode).reader_safe(), "{sql:?} is safe");
            assert!(shown.ends_with("/*"), "{sql:?} has the digest {shown:?}");
        }
    }
    assert!(claims > 20_000 && in_comments > 5_000 && open > 5_000, "{claims} {in_comments} {open}");
}

/// Where each kind of literal stands inside an executable comment, closed or not.
#[test]
fn executable_comments_show_no_literals() {
    let literals =
        ["'zqsecret'", "\"zqsecret\"", "N'zqsecret'", "_utf8mb4'zqsecret'", "DATE'zqsecret'", "x'918273645'"];
    let numbers = ["918273645", "-918273645", "0x918273645", "1.918273645", "1e918273645", "b'918273645'", "'zqsecret"];
    let mut digest = Digest::default();
    for literal in literals.iter().chain(&numbers) {
        for opening in ["/*!", "/*! ", "/*!50000 ", "/*!999999 ", "/*M! ", "/*M!100100 "] {
            for (before, after) in [
                ("", " */"),
                ("", ""),
                ("'*/' , ", " */"),
                ("a /* b */ , ", " */"),
                ("# it's\n", "*/"),
                ("", " '*/ */"),
            ] {
                let sql = format!("SELECT 1 {opening}{before}{literal}{after} , 2 FROM t");
                digest.read(sql.as_bytes(), LexMode::default());
                let shown = String::from_utf8_lossy(&digest.text);
                assert!(!shown.contains(WORD) && !shown.contains(NUMBER), "{sql:?} has the digest {shown:?}");
            }
        }
    }
}

/// What the lexer takes from real servers: who runs an executable comment reads a `*/` in a string as text, who skips it ends
/// the comment there; and the first quote ends a hexadecimal literal.
#[test]
fn servers_agree_with_what_the_lexer_believes() {
    let rows = [
        ("SELECT CONCAT('a' /*!50000 , '*/' */)", "a*/"),
        ("SELECT CONCAT('a' /*!999999 , '*/ , 'zq' /*' */)", "azq"),
        ("SELECT x'41''b'", "A"),
    ];
    let (mariadb, mysql) = (MariaDb::shared(), MySql::shared());
    for (sql, expected) in rows {
        assert_eq!(mariadb.value(sql).unwrap(), expected, "MariaDB: {sql}");
        assert_eq!(mysql.value(sql).unwrap(), expected, "MySQL: {sql}");
    }
}
