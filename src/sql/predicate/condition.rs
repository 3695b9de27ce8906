//! Conditions: which of their conjuncts bound a time column, and where a WHERE ends.
//!
//! A condition is cut at its ANDs, and only there. Whatever could hide an AND that is not the condition's own (CASE, an
//! interval's amount, BETWEEN, an assignment), or makes the conjuncts alternatives (OR, XOR, `||`), makes the whole of
//! it prove nothing.

use super::expression::{Expr, Reader, is_unit};
use super::program::{Bound, Least, TimeColumn};
use super::tables::{TableRef, Tables, is_query};
use super::tokens::{Key, Tokens};
use std::ops::Range;

/// Brackets around conditions inside each other, at most.
const MAX_DEPTH: u32 = 32;

/// What the conditions of a block say of one of its tables.
#[derive(Default)]
pub(super) struct Known {
    /// Conjuncts that bound a time column from below.
    pub bounds: Vec<Bound>,
    /// Some conjunct bounds a time column from above.
    pub above: bool,
    /// Some conjunct that is not understood speaks of a time column.
    pub murky: bool,
}

/// Reads the conditions of one block.
pub(super) struct Conditions<'c, 'a> {
    tokens: &'c Tokens<'a>,
    tables: &'c Tables<'a>,
    /// What is known of each table of the block.
    pub known: Vec<Known>,
}

/// A comparison, as it reads with the column first.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Compare {
    /// `=`, `<=>`, IN.
    Equal,
    /// `>`, `>=`, BETWEEN.
    Least,
    /// `<`, `<=`.
    Most,
}

impl<'c, 'a> Conditions<'c, 'a> {
    /// Nothing is known yet.
    pub fn new(tokens: &'c Tokens<'a>, tables: &'c Tables<'a>) -> Self {
        Self { tokens, tables, known: tables.list.iter().map(|_| Known::default()).collect() }
    }

    /// Reads a condition that holds back the rows of some of the tables.
    pub fn read(&mut self, range: Range<usize>, bounds: &Range<usize>) {
        self.conjuncts(range, bounds, 0);
    }

    fn conjuncts(&mut self, range: Range<usize>, bounds: &Range<usize>, depth: u32) {
        let Range { start, end } = range;
        if start >= end {
            return;
        }
        let whole = self.tokens.mark(start) == b"(" && self.tokens.after(start) == end;
        if whole && depth < MAX_DEPTH && !is_query(self.tokens, start) {
            return self.conjuncts(start + 1..end - 1, bounds, depth + 1);
        }
        let Some(cuts) = self.cuts(start, end) else { return self.murky(start..end) };
        if cuts.is_empty() {
            if self.comparison(start, end, bounds).is_none() {
                self.murky(start..end);
            }
            return;
        }
        let mut from = start;
        for cut in cuts.into_iter().chain([end]) {
            self.conjuncts(from..cut, bounds, depth);
            from = cut + 1;
        }
    }

    /// The places of a condition's own ANDs; none if nothing is proven by its conjuncts.
    fn cuts(&self, start: usize, end: usize) -> Option<Vec<usize>> {
        let mut cuts = Vec::new();
        let mut betweens = 0_u32;
        let mut read_to = start;
        for at in self.tokens.level(start, end) {
            if at < read_to {
                continue;
            }
            let is_and = match (self.tokens.key(at), self.tokens.mark(at)) {
                (Key::Or | Key::Xor | Key::Case | Key::Select, _) | (_, b"||" | b":=" | b"," | b";") => return None,
                (Key::Interval, _) => {
                    read_to = self.after_interval(at, end)?;
                    false
                }
                (Key::Between, _) => {
                    betweens += 1;
                    false
                }
                (Key::And, _) | (_, b"&&") => true,
                _ => false,
            };
            match betweens {
                0 if is_and => cuts.push(at),
                _ if is_and => betweens -= 1,
                _ => {}
            }
        }
        (betweens == 0).then_some(cuts)
    }

    /// The place after `INTERVAL amount unit`. None where the amount is more than one operand: it may hold an AND.
    fn after_interval(&self, at: usize, end: usize) -> Option<usize> {
        let mut reader = Reader::new(self.tokens, at + 1, end);
        if reader.interval().is_some() {
            return Some(reader.at);
        }
        let mut at = at + 1;
        at += usize::from(self.tokens.mark(at) == b"-");
        if self.tokens.is_word(at) || self.tokens.is_quoted(at) {
            while self.tokens.mark(at + 1) == b"." {
                at += 2;
            }
            at += usize::from(self.tokens.mark(at + 1) == b"(");
        }
        let at = self.tokens.after(at);
        (at < end && is_unit(self.tokens, at)).then_some(at + 1)
    }

    /// A comparison of a time column, noted. None if it is none, or is not understood.
    fn comparison(&mut self, start: usize, end: usize, bounds: &Range<usize>) -> Option<()> {
        if let Some((column, at)) = self.column(start, end) {
            return self.column_first(column, at, end, bounds);
        }
        let mut reader = Reader::new(self.tokens, start, end);
        let value = reader.expr()?;
        let compare = match self.tokens.mark(reader.at) {
            b"=" | b"<=>" => Compare::Equal,
            b"<" | b"<=" => Compare::Least,
            b">" | b">=" => Compare::Most,
            _ => return None,
        };
        let (column, at) = self.column(reader.at + 1, end)?;
        if at != end {
            return None;
        }
        self.note(column, bounds, compare, Least::Value(value));
        Some(())
    }

    fn column_first(&mut self, column: Column, at: usize, end: usize, bounds: &Range<usize>) -> Option<()> {
        let mut reader = Reader::new(self.tokens, at + 1, end);
        let (compare, least) = match (self.tokens.key(at), self.tokens.mark(at)) {
            (_, b"=" | b"<=>") => (Compare::Equal, Least::Value(reader.expr()?)),
            (_, b">" | b">=") => (Compare::Least, Least::Value(reader.expr()?)),
            (_, b"<" | b"<=") => (Compare::Most, Least::Value(reader.expr()?)),
            (Key::Between, _) => {
                let low = reader.expr()?;
                if !reader.take_key(Key::And) {
                    return None;
                }
                (Compare::Least, Least::Between(low, reader.expr()?))
            }
            (Key::In, _) if reader.take(b"(") => {
                let list = reader.arguments().filter(|list| !list.is_empty())?;
                (Compare::Equal, Least::AnyOf(list.into()))
            }
            _ => return None,
        };
        if !reader.is_done() {
            return None;
        }
        self.note(column, bounds, compare, least);
        Some(())
    }

    #[expect(
        clippy::indexing_slicing,
        reason = "the column was found by its place in `tables.list`, and `known` has an entry for each table of that list"
    )]
    fn note(&mut self, column: Column, bounds: &Range<usize>, compare: Compare, least: Least) {
        // A condition that does not hold this table's rows back says nothing of them.
        if !bounds.contains(&column.table) {
            return;
        }
        let known = &mut self.known[column.table];
        let opaque = matches!(least, Least::Value(Expr::Opaque));
        match compare {
            Compare::Most => known.above = true,
            Compare::Least if opaque => known.murky = true,
            Compare::Least | Compare::Equal => {
                let TimeColumn { unit, .. } = self.tables.list[column.table].columns[column.column];
                let equal = compare == Compare::Equal;
                known.bounds.push(Bound { column: column.column as u16, unit, equal, least });
            }
        }
    }

    /// The time column that is named at a place, and the place after it.
    fn column(&self, start: usize, end: usize) -> Option<(Column, usize)> {
        let mut brackets = 0;
        let mut at = start;
        while at < end && self.tokens.mark(at) == b"(" {
            brackets += 1;
            at += 1;
        }
        let mut path = Vec::with_capacity(3);
        loop {
            path.push(if at < end { self.tokens.name(at) } else { None }?);
            at += 1;
            if at >= end || self.tokens.mark(at) != b"." || path.len() == 3 {
                break;
            }
            at += 1;
        }
        for _ in 0..brackets {
            if at >= end || self.tokens.mark(at) != b")" {
                return None;
            }
            at += 1;
        }
        let name = path.pop()?;
        let (qualifier, schema) = (path.pop(), path.pop());
        let merged = self.tables.natural || self.tables.merged.iter().any(|merged| same_column(merged, &name));
        if qualifier.is_none() && merged {
            return None;
        }
        // Names of tables are compared exactly: where another spelling is another table, it may be an outer block's.
        let is_meant = |table: &TableRef<'_>| match &qualifier {
            Some(qualifier) => *qualifier == table.name && (schema.is_none() || schema == table.schema),
            None => column_of(table.columns, &name).is_some(),
        };
        let mut meant = self.tables.list.iter().enumerate().filter(|(_, table)| is_meant(table));
        let (table, found) = meant.next()?;
        // Two of one name: the server refuses the statement.
        if meant.next().is_some() {
            return None;
        }
        let column = column_of(found.columns, &name)?;
        Some((Column { table, column }, at))
    }

    /// Notes that a condition is not understood which may speak of time columns.
    fn murky(&mut self, range: Range<usize>) {
        for at in range {
            let Some(name) = self.tokens.name(at) else { continue };
            for (table, known) in self.tables.list.iter().zip(&mut self.known) {
                known.murky |= column_of(table.columns, &name).is_some();
            }
        }
    }
}

/// A time column of a block.
#[derive(Clone, Copy)]
struct Column {
    /// The table, by its place in the block's list.
    table: usize,
    /// The column, by its place among the table's time columns.
    column: usize,
}

fn column_of(columns: &[TimeColumn], name: &str) -> Option<usize> {
    columns.iter().position(|column| same_column(&column.column, name))
}

/// Columns are compared without case.
fn same_column(one: &str, other: &str) -> bool {
    one.eq_ignore_ascii_case(other) || (!one.is_ascii() && one.to_lowercase() == other.to_lowercase())
}
