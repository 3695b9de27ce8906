//! Named things that a session keeps on its connection (prepared statements, temporary tables, locks, handlers, user
//! variables), so that what they pin is lifted when the last of them is gone.
//!
//! They are read in the text of each statement that makes or drops one. What cannot be read is a thing that never goes: the
//! session then keeps its connection. It refuses to know whether a statement worked; the caller does.

use super::pins::Pins;
use crate::sql::LexMode;
use crate::sql::effects::Effects;
use crate::sql::lexer::{Lexer, Token, TokenKind};

/// A kind of thing.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// Prepared by `PREPARE`.
    Prepared,
    /// Made by `CREATE TEMPORARY TABLE`.
    TemporaryTable,
    /// Taken by `GET_LOCK`.
    UserLock,
    /// Opened by `HANDLER … OPEN`.
    Handler,
    /// Set in whatever way.
    UserVariable,
}

impl Kind {
    /// All kinds, with the effect that tells of them and the pin that they are.
    pub const ALL: [(Kind, Effects, Pins); 5] = [
        (Kind::Prepared, Effects::TEXT_PREPARE, Pins::TEXT_PREPARE),
        (Kind::TemporaryTable, Effects::TEMPORARY_TABLE, Pins::TEMPORARY_TABLE),
        (Kind::UserLock, Effects::USER_LOCK, Pins::USER_LOCK),
        (Kind::Handler, Effects::HANDLER, Pins::HANDLER),
        (Kind::UserVariable, Effects::SET_USER_VARIABLE, Pins::USER_VARIABLE),
    ];
}

/// What a statement does to one thing.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Event {
    /// It makes one of this name, in lower case.
    Made(Kind, Box<str>),
    /// It prepares this text under a name, in lower case.
    Prepared(Box<str>, Text),
    /// It drops that.
    Gone(Kind, Box<str>),
    /// It drops all of a kind.
    AllGone(Kind),
    /// It makes one that cannot be named.
    Unnamed(Kind),
}

/// The text of a prepared statement, and how it is read.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Text {
    /// As the server has it.
    pub sql: Box<[u8]>,
    /// The mode in force when it was prepared.
    pub mode: LexMode,
}

/// What an EXECUTE runs.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Executed {
    /// What was prepared under this name, in lower case.
    Named(Box<str>),
    /// The text that stands in it.
    Immediate(Text),
}

/// The name of what cannot be named.
const UNNAMED: &str = "";
/// More things than this are not told apart.
const MOST: usize = 256;
/// Prepared texts of more bytes than this are not remembered.
const LONGEST: usize = 4096;

/// The things of a session.
#[derive(Debug, Default)]
pub struct Things(Vec<Thing>);

#[derive(Debug)]
struct Thing {
    kind: Kind,
    name: Box<str>,
    /// Of a prepared statement, where it is known.
    text: Option<Text>,
}

impl Things {
    /// Takes down what a statement did. A lock that is taken twice is there twice.
    pub fn note(&mut self, event: Event) {
        match event {
            Event::Made(kind, name) => self.add(kind, name, None),
            Event::Prepared(name, text) => self.add(Kind::Prepared, name, Some(text)),
            Event::Gone(kind, name) => {
                if let Some(place) = self.0.iter().position(|thing| thing.is(kind, &name)) {
                    self.0.swap_remove(place);
                }
            }
            Event::AllGone(kind) => self.0.retain(|thing| thing.kind != kind || thing.is(kind, UNNAMED)),
            Event::Unnamed(kind) => {
                // Whichever it is, what is known of the others' texts may be true no more.
                self.forget_texts();
                self.add(kind, UNNAMED.into(), None);
            }
        }
    }

    fn add(&mut self, kind: Kind, name: Box<str>, text: Option<Text>) {
        let is_full = self.0.len() >= MOST;
        match self.0.iter_mut().find(|thing| thing.is(kind, &name) && kind != Kind::UserLock) {
            Some(thing) => thing.text = text,
            None if is_full => self.0.push(Thing { kind, name: UNNAMED.into(), text: None }),
            None => self.0.push(Thing { kind, name, text }),
        }
    }

    /// What is prepared may be something else by now.
    pub fn forget_texts(&mut self) {
        self.0.iter_mut().for_each(|thing| thing.text = None);
    }

    /// The text that is prepared under a name, where it is known.
    pub fn prepared(&self, name: &str) -> Option<&Text> {
        self.0.iter().find(|thing| thing.is(Kind::Prepared, name))?.text.as_ref()
    }

    /// What they pin.
    pub fn pins(&self) -> Pins {
        let pin = |kind: Kind| Kind::ALL.iter().find(|(k, ..)| *k == kind).map_or(Pins::empty(), |(_, _, pin)| *pin);
        self.0.iter().fold(Pins::empty(), |pins, thing| pins | pin(thing.kind))
    }

    /// True if there is none.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }
}

impl Thing {
    fn is(&self, kind: Kind, name: &str) -> bool {
        self.kind == kind && *self.name == *name
    }
}

/// What one statement with these effects does to things.
pub fn read(sql: &[u8], mode: LexMode, effects: Effects) -> Vec<Event> {
    let told = Kind::ALL.iter().filter(|(_, effect, _)| effects.contains(*effect));
    let words = Words::new(sql, mode);
    let dynamic = effects.intersects(Effects::MULTI | Effects::CALL | Effects::EXECUTABLE_COMMENT);
    told.flat_map(|(kind, ..)| match (dynamic, kind) {
        (true, _) => vec![Event::Unnamed(*kind)],
        (_, Kind::Prepared) => words.prepared(),
        (_, Kind::TemporaryTable) => words.temporary_tables(),
        (_, Kind::UserLock) => words.locks(),
        (_, Kind::Handler) => words.handlers(),
        (_, Kind::UserVariable) => words.user_variables(),
    })
    .collect()
}

/// What an EXECUTE runs, where its text says it.
pub fn executed(sql: &[u8], mode: LexMode) -> Option<Executed> {
    let words = Words::new(sql, mode);
    if words.is(1, "IMMEDIATE") {
        return words.text(2, "USING").map(Executed::Immediate);
    }
    words.name(1).map(Executed::Named)
}

/// The tokens of a statement.
struct Words<'a> {
    sql: &'a [u8],
    mode: LexMode,
    tokens: Vec<Token>,
}

impl<'a> Words<'a> {
    fn new(sql: &'a [u8], mode: LexMode) -> Self {
        Self { sql, mode, tokens: Lexer::new(sql, mode).filter(|token| !token.is_hint()).collect() }
    }

    fn is(&self, at: usize, word: &str) -> bool {
        self.tokens.get(at).is_some_and(|t| t.text(self.sql).eq_ignore_ascii_case(word.as_bytes()))
    }

    /// The name at a place, in lower case and without quotes; none where no name stands there.
    fn name(&self, at: usize) -> Option<Box<str>> {
        Some(self.tokens.get(at)?.name(self.sql)?.to_lowercase().into())
    }

    /// The text of a string literal at a place where the statement ends with it, or goes on with `after`. None if it has a backslash
    /// that escapes.
    fn text(&self, at: usize, after: &str) -> Option<Text> {
        let token = self.tokens.get(at).filter(|token| token.kind == TokenKind::String)?;
        let (quote, rest) = token.text(self.sql).split_first()?;
        let inner = rest.strip_suffix(&[*quote])?;
        let is_escaped = inner.contains(&b'\\') && !self.mode.no_backslash_escapes;
        let is_last = self.tokens.get(at + 1).is_none() || self.is(at + 1, ";") || self.is(at + 1, after);
        if !matches!(quote, b'\'' | b'"') || is_escaped || !is_last || inner.len() > LONGEST {
            return None;
        }
        let mut sql = Vec::with_capacity(inner.len());
        let mut bytes = inner.iter();
        while let Some(byte) = bytes.next() {
            sql.push(*byte);
            if byte == quote {
                bytes.next();
            }
        }
        Some(Text { sql: sql.into(), mode: self.mode })
    }

    fn made(kind: Kind, name: Option<Box<str>>) -> Vec<Event> {
        vec![name.map_or(Event::Unnamed(kind), |name| Event::Made(kind, name))]
    }

    fn gone(kind: Kind, name: Option<Box<str>>) -> Vec<Event> {
        name.map(|name| Event::Gone(kind, name)).into_iter().collect()
    }

    /// `PREPARE n FROM …`, `{DEALLOCATE | DROP} PREPARE n`, `EXECUTE n`.
    fn prepared(&self) -> Vec<Event> {
        if self.is(0, "PREPARE") {
            match (self.name(1), self.text(3, ";")) {
                (Some(name), Some(text)) => vec![Event::Prepared(name, text)],
                (name, _) => Self::made(Kind::Prepared, name),
            }
        } else if self.is(1, "PREPARE") {
            Self::gone(Kind::Prepared, self.name(2))
        } else {
            Vec::new()
        }
    }

    /// `CREATE … TEMPORARY TABLE … n`, `DROP TEMPORARY TABLE … n, n`.
    fn temporary_tables(&self) -> Vec<Event> {
        let Some(table) = self.tokens.iter().position(|t| t.text(self.sql).eq_ignore_ascii_case(b"TABLE")) else {
            return vec![Event::Unnamed(Kind::TemporaryTable)];
        };
        let mut at = table + 1;
        while ["IF", "NOT", "EXISTS"].iter().any(|word| self.is(at, word)) {
            at += 1;
        }
        if !self.is(0, "DROP") {
            let qualified = self.is(at + 1, ".");
            return if self.is(0, "CREATE") && !qualified {
                Self::made(Kind::TemporaryTable, self.name(at))
            } else {
                vec![Event::Unnamed(Kind::TemporaryTable)]
            };
        }
        (at..self.tokens.len()).flat_map(|at| Self::gone(Kind::TemporaryTable, self.name(at))).collect()
    }

    /// `HANDLER t OPEN [AS] a`, `HANDLER a CLOSE`.
    fn handlers(&self) -> Vec<Event> {
        match (self.is(2, "OPEN"), self.is(2, "CLOSE")) {
            (true, _) => Self::made(Kind::Handler, self.name(if self.is(3, "AS") { 4 } else { 3 }).or(self.name(1))),
            (_, true) => Self::gone(Kind::Handler, self.name(1)),
            _ if self.is(3, ".") || self.is(2, ".") => vec![Event::Unnamed(Kind::Handler)],
            _ => Vec::new(),
        }
    }

    /// Calls of the functions for locks, with a literal name, in a statement that has one row.
    fn locks(&self) -> Vec<Event> {
        let has_table = (0..self.tokens.len()).any(|at| self.is(at, "FROM"));
        let mut events = Vec::new();
        for at in 0..self.tokens.len() {
            let literal = self.tokens.get(at + 2).filter(|t| t.kind == TokenKind::String);
            let ends = self.is(at + 3, ",") || self.is(at + 3, ")");
            let name = literal.filter(|_| ends && self.is(at + 1, "(")).map(|t| {
                let text = String::from_utf8_lossy(t.text(self.sql)).to_lowercase();
                Box::from(text.trim_matches(['\'', '"']))
            });
            if self.is(at, "GET_LOCK") {
                events.extend(Self::made(Kind::UserLock, name.filter(|_| !has_table)));
            } else if self.is(at, "RELEASE_LOCK") && !has_table {
                events.extend(Self::gone(Kind::UserLock, name));
            } else if self.is(at, "RELEASE_ALL_LOCKS") {
                events.push(Event::AllGone(Kind::UserLock));
            }
        }
        events
    }

    /// `SET @a = NULL` drops one; every other place may set it.
    fn user_variables(&self) -> Vec<Event> {
        let is_set = self.is(0, "SET");
        let mut events = Vec::new();
        for (at, token) in self.tokens.iter().enumerate().filter(|(_, t)| t.kind == TokenKind::UserVariable) {
            let name = String::from_utf8_lossy(token.text(self.sql)).to_lowercase().into();
            let assigned = self.is(at + 1, "=") || self.is(at + 1, ":=");
            let ends = at + 3 >= self.tokens.len() || self.is(at + 3, ",") || self.is(at + 3, ";");
            let is_first = at == 1 || self.is(at.wrapping_sub(1), ",");
            events.push(if is_set && is_first && assigned && self.is(at + 2, "NULL") && ends {
                Event::Gone(Kind::UserVariable, name)
            } else {
                Event::Made(Kind::UserVariable, name)
            });
        }
        if events.is_empty() { vec![Event::Unnamed(Kind::UserVariable)] } else { events }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::sql::classify::classify;

    fn after(statements: &[&str]) -> Pins {
        let mut things = Things::default();
        for sql in statements {
            let effects = classify(sql.as_bytes(), LexMode::default()).effects;
            read(sql.as_bytes(), LexMode::default(), effects).into_iter().for_each(|event| things.note(event));
        }
        things.pins()
    }

    #[test]
    fn the_text_that_an_execute_runs_is_known_where_it_is_a_plain_literal() {
        let text = |sql: &str| Text { sql: sql.as_bytes().into(), mode: LexMode::default() };
        let prepared = |statements: &[&str]| {
            let mut things = Things::default();
            for sql in statements {
                let effects = classify(sql.as_bytes(), LexMode::default()).effects;
                read(sql.as_bytes(), LexMode::default(), effects).into_iter().for_each(|event| things.note(event));
            }
            things.prepared("s").cloned()
        };
        assert_eq!(prepared(&["PREPARE `S` FROM 'SELECT ''x'''"]), Some(text("SELECT 'x'")));
        assert_eq!(prepared(&["PREPARE s FROM \"DO 1\";"]), Some(text("DO 1")));
        let again = |sql: &str| prepared(&["PREPARE s FROM 'DO 1'", sql]);
        assert_eq!(again("PREPARE s FROM 'DO 2' USING @a"), None, "no server takes that");
        assert_eq!(again("SELECT 1; PREPARE s FROM 'DO 2'"), None);
        for unknown in ["@a", "'SELECT \\'1\\''", "CONCAT('a', 'b')", "'a' 'b'", "N'SELECT 1'"] {
            let again = format!("PREPARE s FROM {unknown}");
            assert_eq!(prepared(&["PREPARE s FROM 'DO 1'", &again]), None, "{unknown}");
        }
        let runs = |sql: &str| executed(sql.as_bytes(), LexMode::default());
        assert_eq!(runs("EXECUTE S"), Some(Executed::Named("s".into())));
        assert_eq!(runs("EXECUTE `s` USING @a"), Some(Executed::Named("s".into())));
        assert_eq!(runs("EXECUTE IMMEDIATE 'DO ?' USING 1"), Some(Executed::Immediate(text("DO ?"))));
        assert_eq!(runs("EXECUTE IMMEDIATE @a"), None);
    }

    #[test]
    fn a_pin_is_lifted_with_the_last_thing() {
        let nothing = Pins::empty();
        let cases: [(&[&str], Pins); 21] = [
            (&["PREPARE s FROM 'SELECT 1'"], Pins::TEXT_PREPARE),
            (&["/* switchboard: route=writer */ PREPARE s FROM 'CALL p()'"], Pins::TEXT_PREPARE),
            (&["/* switchboard: route=writer */ HANDLER t OPEN"], Pins::HANDLER),
            (&["PREPARE s FROM 'SELECT 1'", "EXECUTE s", "DEALLOCATE PREPARE S"], nothing),
            (&["PREPARE s FROM 'SELECT 1'", "PREPARE t FROM @x", "DROP PREPARE s"], Pins::TEXT_PREPARE),
            (&["CREATE TEMPORARY TABLE IF NOT EXISTS t (a INT)"], Pins::TEMPORARY_TABLE),
            (&["CREATE TEMPORARY TABLE t (a INT)", "DROP TEMPORARY TABLE IF EXISTS `t`"], nothing),
            (&["CREATE TEMPORARY TABLE a.t (a INT)", "DROP TEMPORARY TABLE t"], Pins::TEMPORARY_TABLE),
            (&["SELECT GET_LOCK('a', 1)"], Pins::USER_LOCK),
            (&["SELECT GET_LOCK('a', 1)", "DO RELEASE_LOCK('A')"], nothing),
            (&["SELECT GET_LOCK('a', 1)", "SELECT GET_LOCK('a', 1)", "DO RELEASE_LOCK('a')"], Pins::USER_LOCK),
            (&["SELECT GET_LOCK('a', 1)", "SELECT GET_LOCK('b', 1)", "SELECT RELEASE_ALL_LOCKS()"], nothing),
            (&["SELECT GET_LOCK(name, 1) FROM t", "SELECT RELEASE_ALL_LOCKS()"], Pins::USER_LOCK),
            (&["HANDLER t OPEN"], Pins::HANDLER),
            (&["HANDLER t OPEN AS h", "HANDLER h READ FIRST", "HANDLER h CLOSE"], nothing),
            (&["SET @a = 1"], Pins::USER_VARIABLE),
            (&["SET @a = 1", "SET @A = NULL"], nothing),
            (&["SET @a = 1, @b = 2", "SET @a = NULL"], Pins::USER_VARIABLE),
            (&["SELECT 1 INTO @a", "SET @a = NULL"], nothing),
            (&["SET @a = NULL + 1"], Pins::USER_VARIABLE),
            (&["SET @a = 1; SET @a = NULL"], Pins::USER_VARIABLE),
        ];
        for (statements, want) in cases {
            assert_eq!(after(statements), want, "{statements:?}");
        }
    }
}
