//! What in a statement's text stands for the session itself (`CONNECTION_ID()`, `@@pseudo_thread_id`, …), put into the words that
//! mean the same on a connection that serves many sessions.
//!
//! A column that has no alias is named by its expression's text, as the server finds it: where a word in it is another now, it
//! gets its old text as its alias. Texts that are read in more than one way are the caller's to keep away. It refuses to know
//! what is true of a session: the caller says what stands for what.

use super::LexMode;
use super::lexer::{Lexer, Token, TokenKind};

/// What stands for what. Each is an expression.
#[derive(Clone, Debug, Default)]
pub struct Own<'a> {
    /// In the place of `CONNECTION_ID()`.
    pub connection_id: &'a str,
    /// In the place of `@@pseudo_thread_id`.
    pub pseudo_thread_id: &'a str,
    /// In the place of `DATABASE()` and `SCHEMA()`, where they are not what they seem.
    pub schema: Option<&'a str>,
    /// In the place of `IS_USED_LOCK('…')`: before its argument, between that and its argument again, and at the end.
    pub lock_owner: [&'a str; 3],
    /// In the place of `ROW_COUNT()`, where the connection does not know it.
    pub row_count: Option<&'a str>,
    /// Variables, in lower case, whose global value is the session's own.
    pub global: &'a [&'a str],
}

/// The longest text that is made an alias. Both servers refuse names of more than 256 characters.
const LONGEST_ALIAS: usize = 250;

/// The text with its words for the session in other words; none where there are none.
pub fn rewrite(sql: &[u8], mode: LexMode, own: &Own<'_>) -> Option<Vec<u8>> {
    rewrite_tokens(sql, &Lexer::new(sql, mode).collect::<Vec<_>>(), own)
}

/// The same for `CREATE TABLE … SELECT …`, behind its first SELECT: what stands before (a column's DEFAULT) is computed again for
/// other sessions. None for other statements that make something.
pub fn rewrite_creation(sql: &[u8], mode: LexMode, own: &Own<'_>) -> Option<Vec<u8>> {
    let tokens: Vec<Token> = Lexer::new(sql, mode).collect();
    let mut words = tokens.iter().map(|token| token.text(sql)).filter(|word| !is_one_of(word, "OR REPLACE TEMPORARY"));
    if !(words.next()?.eq_ignore_ascii_case(b"CREATE") && words.next()?.eq_ignore_ascii_case(b"TABLE")) {
        return None;
    }
    let select = tokens.iter().position(|token| token.text(sql).eq_ignore_ascii_case(b"SELECT"))?;
    rewrite_tokens(sql, tokens.get(select..)?, own)
}

fn rewrite_tokens(sql: &[u8], tokens: &[Token], own: &Own<'_>) -> Option<Vec<u8>> {
    let mut walk = Walk { sql, own, frames: vec![Frame::default()], edits: Vec::new() };
    let mut at = 0;
    while let Some(&token) = tokens.get(at) {
        at += walk.step(token, tokens, at);
    }
    walk.end_statement();
    if walk.edits.is_empty() {
        return None;
    }
    let mut out = Vec::with_capacity(sql.len() + 64);
    let mut from = 0;
    walk.edits.sort_by_key(|edit| (edit.start, edit.end));
    for edit in &walk.edits {
        out.extend_from_slice(sql.get(from..edit.start)?);
        out.extend_from_slice(&edit.text);
        from = edit.end;
    }
    out.extend_from_slice(sql.get(from..)?);
    Some(out)
}

/// Bytes of the text that are to be others.
struct Edit {
    start: usize,
    end: usize,
    text: Vec<u8>,
}

/// What is known within one pair of parentheses.
#[derive(Default)]
struct Frame {
    /// A list of columns is open here.
    in_list: bool,
    /// Where the present column begins; none before its first token.
    from: Option<usize>,
    /// Where its last token ends.
    to: usize,
    /// A part of the present column was rewritten.
    is_changed: bool,
    /// It has an alias for sure.
    has_as: bool,
    last: Ending,
    before: Ending,
}

/// What a token is at the end of an expression.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
enum Ending {
    /// Nothing ends here.
    #[default]
    Open,
    /// An operand ends here that is no name.
    Operand,
    /// A name that may be an alias.
    Name,
}

struct Walk<'a> {
    sql: &'a [u8],
    own: &'a Own<'a>,
    frames: Vec<Frame>,
    edits: Vec<Edit>,
}

/// Words before the first column.
const BEFORE_COLUMNS: &str = "DISTINCT DISTINCTROW ALL HIGH_PRIORITY STRAIGHT_JOIN SQL_SMALL_RESULT SQL_BIG_RESULT SQL_BUFFER_RESULT \
                              SQL_CACHE SQL_NO_CACHE SQL_CALC_FOUND_ROWS";

/// Words that end a list of columns. All are reserved.
const BEHIND_COLUMNS: &str =
    "FROM INTO WHERE UNION EXCEPT INTERSECT LIMIT ORDER HAVING GROUP PROCEDURE FOR LOCK WINDOW";

/// Words behind which an expression goes on.
const GOES_ON: &str = "AND OR XOR NOT DIV MOD LIKE RLIKE REGEXP IS IN BETWEEN COLLATE ESCAPE CASE WHEN THEN ELSE BINARY INTERVAL SOUNDS \
                       MEMBER OF ANY SOME EXISTS OVER";

/// Words that end an expression and are no names.
const VALUES: &str = "NULL TRUE FALSE UNKNOWN END CURRENT_USER CURRENT_DATE CURRENT_TIME CURRENT_TIMESTAMP";

fn is_one_of(text: &[u8], words: &str) -> bool {
    words.split_ascii_whitespace().any(|word| text.eq_ignore_ascii_case(word.as_bytes()))
}

impl Walk<'_> {
    #[expect(clippy::indexing_slicing, reason = "where the stack was empty, a frame was just pushed")]
    fn frame(&mut self) -> &mut Frame {
        if self.frames.is_empty() {
            self.frames.push(Frame::default());
        }
        let last = self.frames.len() - 1;
        &mut self.frames[last]
    }

    /// Takes a token, which stands `at` its place among all, and those that belong to it; says how many they are.
    fn step(&mut self, token: Token, tokens: &[Token], at: usize) -> usize {
        let text = token.text(self.sql);
        let before = at.checked_sub(1).and_then(|before| tokens.get(before));
        let follows_dot = before.is_some_and(|before| before.text(self.sql) == b".");
        match token.kind {
            TokenKind::Operator if text == b"(" => {
                self.meet(token, Ending::Open);
                self.frames.push(Frame::default());
            }
            TokenKind::Operator if text == b")" => {
                self.end_column();
                let is_changed = self.frames.pop().is_some_and(|frame| frame.is_changed);
                self.meet(token, Ending::Operand);
                self.frame().is_changed |= is_changed;
            }
            TokenKind::Operator if text == b"," && self.frame().in_list => self.end_column(),
            TokenKind::Operator if text == b";" => self.end_statement(),
            TokenKind::Hint | TokenKind::RouteHint => {}
            TokenKind::Word if !follows_dot => return self.word(token, tokens.get(at + 1..).unwrap_or_default()),
            TokenKind::SystemVariable => {
                self.meet(token, Ending::Operand);
                self.variable(token);
            }
            TokenKind::Word | TokenKind::QuotedIdent | TokenKind::String => self.meet(token, Ending::Name),
            TokenKind::Number | TokenKind::Param | TokenKind::UserVariable => self.meet(token, Ending::Operand),
            _ => self.meet(token, Ending::Open),
        }
        1
    }

    /// A word, and the tokens behind it.
    fn word(&mut self, token: Token, behind: &[Token]) -> usize {
        let sql = self.sql;
        let text = token.text(sql);
        match behind {
            [open, close, ..] if open.text(sql) == b"(" && close.text(sql) == b")" => {
                let other = match text {
                    _ if text.eq_ignore_ascii_case(b"CONNECTION_ID") => Some(self.own.connection_id),
                    _ if is_one_of(text, "DATABASE SCHEMA") => self.own.schema,
                    _ if text.eq_ignore_ascii_case(b"ROW_COUNT") => self.own.row_count,
                    _ => None,
                };
                if let Some(other) = other {
                    let whole = Token { end: close.end, ..token };
                    self.meet(whole, Ending::Operand);
                    self.change(whole, other.into());
                    return 3;
                }
            }
            [open, name, close, ..]
                if name.kind == TokenKind::String
                    && open.text(sql) == b"("
                    && close.text(sql) == b")"
                    && text.eq_ignore_ascii_case(b"IS_USED_LOCK") =>
            {
                let whole = Token { end: close.end, ..token };
                let (name, [before, between, end]) = (name.text(sql), self.own.lock_owner);
                self.meet(whole, Ending::Operand);
                self.change(whole, [before.as_bytes(), name, between.as_bytes(), name, end.as_bytes()].concat());
                return 4;
            }
            _ => {}
        }
        if is_one_of(text, "SELECT RETURNING") {
            self.end_column();
            self.frame().in_list = true;
        } else if self.frame().in_list && self.frame().from.is_none() && is_one_of(text, BEFORE_COLUMNS) {
            // No column yet.
        } else if self.frame().in_list && is_one_of(text, BEHIND_COLUMNS) {
            self.end_column();
            self.frame().in_list = false;
        } else {
            let ending = match text {
                _ if is_one_of(text, GOES_ON) => Ending::Open,
                _ if is_one_of(text, VALUES) => Ending::Operand,
                _ => Ending::Name,
            };
            self.meet(token, ending);
            self.frame().has_as |= text.eq_ignore_ascii_case(b"AS");
        }
        1
    }

    fn variable(&mut self, token: Token) {
        let name = String::from_utf8_lossy(token.text(self.sql)).replace('`', "").to_ascii_lowercase();
        let name = name.trim_start_matches('@');
        let name = name.strip_prefix("session.").or_else(|| name.strip_prefix("local.")).unwrap_or(name);
        if name == "pseudo_thread_id" {
            self.change(token, self.own.pseudo_thread_id.into());
        } else if self.own.global.contains(&name) {
            self.change(token, format!("@@global.{name}").into());
        }
    }

    /// A token of a column.
    fn meet(&mut self, token: Token, ending: Ending) {
        let frame = self.frame();
        frame.from.get_or_insert(token.start as usize);
        frame.to = token.end as usize;
        frame.before = std::mem::replace(&mut frame.last, ending);
    }

    fn change(&mut self, token: Token, text: Vec<u8>) {
        self.edits.push(Edit { start: token.start as usize, end: token.end as usize, text });
        self.frame().is_changed = true;
    }

    /// Ends the present column. If it was rewritten and has no alias, it gets its old text as its alias.
    fn end_column(&mut self) {
        let frame = self.frame();
        let is_named = frame.has_as || frame.last == Ending::Name && frame.before != Ending::Open;
        let (was_changed, from, to) = (frame.in_list && frame.is_changed && !is_named, frame.from.take(), frame.to);
        (frame.last, frame.before, frame.has_as) = (Ending::Open, Ending::Open, false);
        if !frame.in_list {
            return;
        }
        let Some(text) = from.and_then(|from| self.sql.get(from..to)) else { return };
        if was_changed && text.len() <= LONGEST_ALIAS {
            let mut alias = b" AS `".to_vec();
            for byte in text {
                alias.extend_from_slice(if *byte == b'`' { b"``" } else { std::slice::from_ref(byte) });
            }
            alias.push(b'`');
            self.edits.push(Edit { start: to, end: to, text: alias });
        }
        self.next_column();
    }

    /// Begins the next column. If the one before was rewritten, the column that encloses this list was rewritten with it, and
    /// needs its old name too.
    fn next_column(&mut self) {
        let changed = std::mem::take(&mut self.frame().is_changed);
        if let [.., around, _] = self.frames.as_mut_slice() {
            around.is_changed |= changed;
        }
    }

    fn end_statement(&mut self) {
        while self.frames.len() > 1 {
            self.end_column();
            self.frames.pop();
        }
        self.end_column();
        self.frames = vec![Frame::default()];
    }
}

/// Four bytes whose CRC-32 is this number.
pub fn bytes_of_crc32(number: u32) -> u32 {
    const POLYNOMIAL: u32 = 0xEDB8_8320;
    let back = |register: u32| match register >> 31 {
        1 => ((register ^ POLYNOMIAL) << 1) | 1,
        _ => register << 1,
    };
    let begun = (0..32).fold(!number, |register, _| back(register));
    (!begun).swap_bytes()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn words_for_the_session_are_others_and_columns_keep_their_names() {
        let own = Own {
            connection_id: "N",
            row_count: Some("3"),
            pseudo_thread_id: "P",
            schema: Some("D"),
            lock_owner: ["(", "|", ")"],
            global: &["session_track_schema"],
        };
        let cases = [
            ("SELECT CONNECTION_ID()", "SELECT N AS `CONNECTION_ID()`"),
            ("select connection_id() + 1 , 2 from t", "select N + 1 AS `connection_id() + 1` , 2 from t"),
            ("SELECT CONNECTION_ID() = 7 AS mine", "SELECT N = 7 AS mine"),
            ("SELECT CONNECTION_ID() mine", "SELECT N mine"),
            ("SELECT CONNECTION_ID() IS NULL", "SELECT N IS NULL AS `CONNECTION_ID() IS NULL`"),
            ("SELECT CONNECTION_ID() + a FROM t", "SELECT N + a AS `CONNECTION_ID() + a` FROM t"),
            ("SELECT `a`=CONNECTION_ID()", "SELECT `a`=N AS ```a``=CONNECTION_ID()`"),
            (
                "SELECT 1, (SELECT CONNECTION_ID()), 2",
                "SELECT 1, (SELECT N AS `CONNECTION_ID()`) AS `(SELECT CONNECTION_ID())`, 2",
            ),
            ("SELECT * FROM (SELECT CONNECTION_ID()) t", "SELECT * FROM (SELECT N AS `CONNECTION_ID()`) t"),
            ("SELECT a FROM t WHERE x = connection_id()", "SELECT a FROM t WHERE x = N"),
            ("SELECT ROW_COUNT(), row_count() + 1 AS x", "SELECT 3 AS `ROW_COUNT()`, 3 + 1 AS x"),
            ("INSERT INTO t VALUES (CONNECTION_ID(), 1)", "INSERT INTO t VALUES (N, 1)"),
            ("SET @x = CONNECTION_ID(), @y = @@pseudo_thread_id", "SET @x = N, @y = P"),
            ("SELECT DISTINCT @@session.pseudo_thread_id", "SELECT DISTINCT P AS `@@session.pseudo_thread_id`"),
            ("SELECT DATABASE(), IF(SCHEMA()='x',1,0) v", "SELECT D AS `DATABASE()`, IF(D='x',1,0) v"),
            ("SELECT IS_USED_LOCK('a') = 1", "SELECT ('a'|'a') = 1 AS `IS_USED_LOCK('a') = 1`"),
            ("SELECT 1; SELECT CONNECTION_ID()", "SELECT 1; SELECT N AS `CONNECTION_ID()`"),
            ("SELECT @@session_track_schema", "SELECT @@global.session_track_schema AS `@@session_track_schema`"),
            (
                "SELECT CASE CONNECTION_ID() WHEN 1 THEN 2 END",
                "SELECT CASE N WHEN 1 THEN 2 END AS `CASE CONNECTION_ID() WHEN 1 THEN 2 END`",
            ),
        ];
        for (before, after) in cases {
            let got = rewrite(before.as_bytes(), LexMode::default(), &own);
            assert_eq!(got.map(|text| String::from_utf8(text).unwrap()).as_deref(), Some(after), "{before}");
        }
        for same in
            ["SELECT 'CONNECTION_ID()'", "SELECT x.CONNECTION_ID()", "SELECT CONNECTION_ID", "SELECT `CONNECTION_ID`()"]
        {
            assert_eq!(rewrite(same.as_bytes(), LexMode::default(), &own), None, "{same}");
        }
    }

    #[test]
    fn a_table_that_is_made_of_a_result_has_the_sessions_number() {
        let own = Own { connection_id: "N", ..Own::default() };
        for (before, after) in [
            ("CREATE TABLE t AS SELECT CONNECTION_ID()", Some("CREATE TABLE t AS SELECT N AS `CONNECTION_ID()`")),
            (
                "CREATE OR REPLACE TEMPORARY TABLE t (a INT DEFAULT (CONNECTION_ID())) SELECT CONNECTION_ID() b",
                Some("CREATE OR REPLACE TEMPORARY TABLE t (a INT DEFAULT (CONNECTION_ID())) SELECT N b"),
            ),
            ("CREATE TABLE t (a INT DEFAULT (CONNECTION_ID()))", None),
            ("CREATE VIEW v AS SELECT CONNECTION_ID()", None),
            ("CREATE EVENT e ON SCHEDULE EVERY 1 DAY DO INSERT INTO t SELECT CONNECTION_ID()", None),
            ("ALTER TABLE t ADD COLUMN a INT DEFAULT (CONNECTION_ID())", None),
        ] {
            let got = rewrite_creation(before.as_bytes(), LexMode::default(), &own);
            assert_eq!(got.map(|text| String::from_utf8(text).unwrap()).as_deref(), after, "{before}");
        }
    }

    #[test]
    fn four_bytes_for_each_checksum() {
        let crc32 = |bytes: [u8; 4]| {
            let mut register = u32::MAX;
            for byte in bytes {
                register ^= u32::from(byte);
                for _ in 0..8 {
                    register = (register >> 1) ^ if register & 1 == 1 { 0xEDB8_8320 } else { 0 };
                }
            }
            !register
        };
        assert_eq!(crc32(*b"abcd"), 0xED82_CD11, "the checksum that both servers compute");
        for number in [0, 1, 7, 4711, u32::MAX] {
            assert_eq!(crc32(bytes_of_crc32(number).to_be_bytes()), number);
        }
    }
}
