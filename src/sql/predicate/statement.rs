//! Statements: finds every query block of a text and joins what its conditions prove.
//!
//! Every SELECT keyword begins a block, however deep in brackets it stands, and so do UPDATE and DELETE where they begin a
//! statement; nothing else reads rows through a condition. What is not found this way is found by name: a token that
//! names a table with a time column, and that no block has accounted for, makes the statement unknown. So `TABLE t`,
//! `HANDLER t READ`, `CHECKSUM TABLE t` and grammar of the future need no rule here.

use super::super::LexMode;
use super::super::lexer::{Lexer, TokenKind};
use super::clause::where_ends;
use super::condition::{Conditions, Known};
use super::program::{Reference, TimeColumn, TimeColumns, Verdict};
use super::tables::{self, Tables, is_query};
use super::tokens::{Key, Refusal, Tokens};
use std::borrow::Cow;
use std::ops::Range;

/// Reads a digest's text.
pub(super) fn compile(text: &[u8], mode: LexMode, columns: &dyn TimeColumns) -> Verdict {
    if !names_time_table(text, mode, columns) {
        return Verdict::Timeless;
    }
    Tokens::read(text, mode)
        .and_then(|tokens| Compiler::new(&tokens, columns).texts())
        .unwrap_or_else(|refusal| Verdict::Unknown(refusal.into()))
}

/// True if a text has the name of a table with a time column in it, wherever it stands.
fn names_time_table(text: &[u8], mode: LexMode, columns: &dyn TimeColumns) -> bool {
    // The names before, where only a `.` stands between.
    let mut schema: Option<Cow<'_, str>> = None;
    let mut last: Option<Cow<'_, str>> = None;
    for token in Lexer::new(text, mode) {
        let Some(name) = token.name(text) else {
            match token.kind {
                // What is behind it may name anything.
                TokenKind::Unterminated => return true,
                TokenKind::Operator if token.text(text) == b"." => schema = last.take(),
                _ => (schema, last) = (None, None),
            }
            continue;
        };
        if !columns.of(schema.as_deref(), &name).is_empty() {
            return true;
        }
        (schema, last) = (None, Some(name));
    }
    false
}

struct Compiler<'c, 'a> {
    tokens: &'c Tokens<'a>,
    columns: &'a dyn TimeColumns,
    /// Tokens that name a table and are accounted for.
    claimed: Vec<bool>,
    /// What is known of every reference to a table with a time column, and the table's name.
    references: Vec<(String, Known)>,
}

impl<'c, 'a> Compiler<'c, 'a> {
    fn new(tokens: &'c Tokens<'a>, columns: &'a dyn TimeColumns) -> Self {
        Self { tokens, columns, claimed: vec![false; tokens.len()], references: Vec::new() }
    }

    /// All the statements of the text.
    fn texts(mut self) -> Result<Verdict, Refusal> {
        let end = self.tokens.len();
        let mut statements = Vec::new();
        let mut from = 0;
        for at in self.tokens.level(0, end).filter(|&at| self.tokens.mark(at) == b";").chain([end]) {
            if from < at {
                statements.push(from..at);
            }
            from = at + 1;
        }
        // Before another statement, SET and USE and CALL may change what a name or a time means.
        let several = statements.len() > 1;
        if several && statements.iter().any(|statement| !leaves_session_alone(self.tokens.key(statement.start))) {
            return Err("a statement beside it may change the session");
        }
        for statement in statements {
            self.statement(statement)?;
        }
        match (0..end).find(|&at| self.is_unclaimed(at)) {
            Some(at) => {
                let name = self.tokens.name(at).unwrap_or_default();
                Ok(Verdict::Unknown(format!("what is done with {name} is not understood").into()))
            }
            None => Ok(verdict(self.references)),
        }
    }

    /// True for a token that names a table with a time column where no table was understood.
    fn is_unclaimed(&self, at: usize) -> bool {
        let Some(name) = self.tokens.name(at).filter(|_| self.claimed.get(at) != Some(&true)) else { return false };
        // In front of a `.` it qualifies a column (or is a schema).
        if self.tokens.mark(at + 1) == b"." {
            return false;
        }
        let behind_dot = at >= 2 && self.tokens.mark(at - 1) == b".";
        let schema = if behind_dot { self.tokens.name(at - 2) } else { None };
        !self.columns.of(schema.as_deref(), &name).is_empty()
    }

    /// Notes that these tokens are accounted for. What is not noted makes the statement unknown.
    fn claim(&mut self, range: Range<usize>) {
        if let Some(claimed) = self.claimed.get_mut(range) {
            claimed.fill(true);
        }
    }

    fn statement(&mut self, range: Range<usize>) -> Result<(), Refusal> {
        let Range { start, end } = range.clone();
        // Where a statement begins that is explained, or run to be measured.
        let begins = |at: &usize| {
            let verb = matches!(
                self.tokens.key(*at),
                Key::Select
                    | Key::With
                    | Key::Table
                    | Key::Values
                    | Key::Insert
                    | Key::Replace
                    | Key::Update
                    | Key::Delete
            );
            verb || self.tokens.mark(*at) == b"("
        };
        match self.tokens.key(start) {
            Key::Select | Key::Values => self.blocks(range),
            Key::With => match self.tokens.find(start, end, &[Key::Select, Key::Update, Key::Delete]) {
                Some(at) if self.tokens.key(at) != Key::Select => {
                    self.blocks(start..at)?;
                    self.statement(at..end)
                }
                _ => self.blocks(range),
            },
            Key::Update => self.update(range),
            Key::Delete => self.delete(range),
            Key::Insert | Key::Replace => {
                self.claim_target(start + 1, end);
                self.blocks(range)
            }
            // `EXPLAIN t` describes a table; all else explains or runs the statement behind it.
            Key::Explain | Key::Describe | Key::Desc => match self.tokens.level(start + 1, end).find(begins) {
                Some(at) => self.statement(at..end),
                None => {
                    self.claim(range);
                    Ok(())
                }
            },
            Key::Analyze => match self.tokens.level(start + 1, end).find(begins) {
                Some(at) if self.tokens.key(at) != Key::Table => self.statement(at..end),
                _ => Ok(()),
            },
            Key::Create => self.create(range),
            Key::Show | Key::Alter | Key::Drop | Key::Truncate | Key::Rename | Key::Load => self.rowless(range),
            Key::Grant | Key::Revoke | Key::Lock | Key::Unlock => {
                self.claim(range);
                Ok(())
            }
            _ if self.tokens.mark(start) == b"(" => self.blocks(range),
            // SET, CALL, DO, HANDLER, …: whatever they name is not accounted for.
            _ => Ok(()),
        }
    }

    /// A statement that reads no rows, unless it has a query inside.
    fn rowless(&mut self, range: Range<usize>) -> Result<(), Refusal> {
        let queries = |at: usize| {
            self.tokens.key(at) == Key::Select || (self.tokens.mark(at) == b"(" && is_query(self.tokens, at))
        };
        if !range.clone().any(queries) {
            self.claim(range);
        }
        Ok(())
    }

    fn create(&mut self, range: Range<usize>) -> Result<(), Refusal> {
        let mut at = range.start + 1;
        while matches!(self.tokens.key(at), Key::Or | Key::Replace | Key::Temporary) {
            at += 1;
        }
        let rows = [Key::Select, Key::Table, Key::With, Key::Values];
        match self.tokens.key(at) {
            Key::Table if self.tokens.find(at + 1, range.end, &rows).is_some() => self.blocks(range),
            // The body of a view or a routine is run by others, in sessions of their own.
            _ => self.rowless(range),
        }
    }

    /// The table that rows are put into: none of its rows are read.
    fn claim_target(&mut self, from: usize, end: usize) {
        let mut at = from;
        while matches!(
            self.tokens.key(at),
            Key::LowPriority | Key::Delayed | Key::HighPriority | Key::Ignore | Key::Into
        ) {
            at += 1;
        }
        if self.tokens.mark(at + 1) == b"." {
            at += 2;
        }
        if at < end {
            self.claim(at..at + 1);
        }
    }

    /// Every block that a SELECT begins, at any depth.
    fn blocks(&mut self, range: Range<usize>) -> Result<(), Refusal> {
        for at in range.clone() {
            if self.tokens.key(at) == Key::Select {
                self.select(at, range.end)?;
            }
        }
        Ok(())
    }

    /// The block of the SELECT at a place, inside a statement that ends at `end`.
    fn select(&mut self, at: usize, end: usize) -> Result<(), Refusal> {
        let ends = |at: &usize| {
            let set = matches!(self.tokens.key(*at), Key::Union | Key::Except | Key::Intersect);
            self.tokens.key(*at) == Key::Select
                || (set && where_ends(self.tokens, *at))
                || matches!(self.tokens.mark(*at), b")" | b"}")
        };
        let end = self.tokens.level(at + 1, end).find(ends).unwrap_or(end);
        match self.tokens.find(at + 1, end, &[Key::From]) {
            Some(from) => self.rows(from + 1, end, &[]),
            None => Ok(()),
        }
    }

    /// `UPDATE a JOIN b ON … SET … WHERE …`.
    fn update(&mut self, range: Range<usize>) -> Result<(), Refusal> {
        let Range { start, end } = range.clone();
        let mut at = start + 1;
        while matches!(self.tokens.key(at), Key::LowPriority | Key::Ignore) {
            at += 1;
        }
        self.rows(at, end, &[Key::Set])?;
        self.blocks(range)
    }

    /// `DELETE FROM a WHERE …`, `DELETE a FROM a JOIN b …`, `DELETE FROM a USING a JOIN b …`.
    fn delete(&mut self, range: Range<usize>) -> Result<(), Refusal> {
        let Range { start, end } = range.clone();
        let from = self.tokens.find(start + 1, end, &[Key::From]).ok_or("DELETE without FROM is not understood")?;
        // Names before it are those of tables behind it.
        self.claim(start..from);
        let mut at = from + 1;
        // USING without a bracket; with one it belongs to a join.
        let using = self.tokens.find(at, end, &[Key::Using, Key::Where, Key::Join]);
        let lists = |at: &usize| self.tokens.key(*at) == Key::Using && self.tokens.mark(at + 1) != b"(";
        if let Some(using) = using.filter(lists) {
            self.claim(at..using);
            at = using + 1;
        }
        self.rows(at, end, &[])?;
        self.blocks(range)
    }

    /// Table references from `at`, the WHERE behind them, and what both prove. `before` are further words that may stand
    /// between the two.
    fn rows(&mut self, at: usize, end: usize, before: &[Key]) -> Result<(), Refusal> {
        let columns = self.columns;
        let look_up = |schema: Option<&str>, table: &str| -> &'a [TimeColumn] { columns.of(schema, table) };
        let (tables, at) = tables::read(self.tokens, at, end, &look_up)?;
        for &at in &tables.named {
            self.claim(at..at + 1);
        }
        let mut conditions = Conditions::new(self.tokens, &tables);
        for join in &tables.conditions {
            conditions.read(join.tokens.clone(), &join.bounds);
        }
        let wheres = self.where_behind(at, end, before)?;
        conditions.read(wheres, &(0..tables.list.len()));
        let known = conditions.known;
        self.keep(&tables, known);
        Ok(())
    }

    /// The condition of the WHERE that follows table references; an empty range where there is none.
    fn where_behind(&mut self, at: usize, end: usize, before: &[Key]) -> Result<Range<usize>, Refusal> {
        if at >= end {
            return Ok(end..end);
        }
        let key = self.tokens.key(at);
        let from = if before.contains(&key) {
            self.tokens.find(at, end, &[Key::Where])
        } else if key == Key::Where {
            Some(at)
        } else if where_ends(self.tokens, at)
            || matches!(key, Key::Window | Key::Offset | Key::Fetch | Key::Returning | Key::Except | Key::Intersect)
        {
            None
        } else {
            return Err("what stands behind its tables is not understood");
        };
        let Some(from) = from else {
            self.claim_locked(at, end);
            return Ok(end..end);
        };
        let to = self.tokens.level(from + 1, end).find(|&at| where_ends(self.tokens, at)).unwrap_or(end);
        if self.tokens.find(to, end, &[Key::Where, Key::From, Key::Join]).is_some() {
            return Err("what stands behind its WHERE is not understood");
        }
        self.claim_locked(to, end);
        Ok(from + 1..to)
    }

    /// The names of `FOR UPDATE OF a, b`.
    fn claim_locked(&mut self, from: usize, end: usize) {
        let lock = self.tokens.level(from, end).find(|&at| {
            matches!(self.tokens.key(at), Key::Update | Key::Share)
                && self.tokens.key(at - 1) == Key::For
                && self.tokens.key(at + 1) == Key::Of
        });
        let Some(lock) = lock else { return };
        let mut at = lock + 2;
        while at < end && self.tokens.name(at).is_some() {
            self.claim(at..at + 1);
            let more = at + 1 < end && matches!(self.tokens.mark(at + 1), b"," | b".");
            if !more {
                return;
            }
            at += 2;
        }
    }

    fn keep(&mut self, tables: &Tables<'a>, known: Vec<Known>) {
        for (table, known) in tables.list.iter().zip(known) {
            if !table.columns.is_empty() {
                self.references.push((table.name.clone().into_owned(), known));
            }
        }
    }
}

/// Statements that may stand beside another in one text without changing what it means.
fn leaves_session_alone(key: Key) -> bool {
    // `(SELECT …)` is no keyword, and neither is much else; what opens with a bracket alone is rare enough to leave out.
    matches!(
        key,
        Key::Select
            | Key::With
            | Key::Values
            | Key::Insert
            | Key::Replace
            | Key::Update
            | Key::Delete
            | Key::Show
            | Key::Start
            | Key::Begin
            | Key::Commit
            | Key::Rollback
    )
}

/// What all references together prove.
fn verdict(references: Vec<(String, Known)>) -> Verdict {
    if references.is_empty() {
        return Verdict::Timeless;
    }
    let endless = |known: &Known| known.bounds.is_empty() && known.above && !known.murky;
    if references.iter().any(|(_, known)| endless(known)) {
        return Verdict::Endless;
    }
    if let Some((name, _)) = references.iter().find(|(_, known)| known.bounds.is_empty()) {
        return Verdict::Unknown(format!("nothing bounds the time of {name} in its own query block").into());
    }
    let bounded = references.into_iter().map(|(_, known)| {
        let mut bounds = known.bounds;
        bounds.sort_by_key(|bound| bound.column);
        Reference { bounds: bounds.into() }
    });
    Verdict::Bounded(bounded.collect())
}
