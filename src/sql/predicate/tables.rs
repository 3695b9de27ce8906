//! The tables that a query block names: what stands behind FROM, and between UPDATE and SET.
//!
//! For every join condition it says which of the tables it bounds: those whose rows cannot get past it. The condition of
//! an inner join bounds both sides, that of a LEFT JOIN the right side alone (a row of the left comes through whatever
//! the condition says), that of a RIGHT JOIN the left. Where the nesting of joins without brackets is not plain and one
//! of them is an outer join, no join condition bounds anything. Table functions and derived tables are places without a
//! time column; what they read is read in blocks of their own.

use super::clause::where_ends;
use super::program::TimeColumn;
use super::tokens::{Key, Refusal, Tokens};
use std::borrow::Cow;
use std::ops::Range;

/// Brackets around joins inside each other, at most.
const MAX_DEPTH: u32 = 32;
/// Tables in one block, at most; servers join 61.
const MAX_TABLES: usize = 256;

/// One table, derived table or table function of a block.
pub(super) struct TableRef<'a> {
    /// The schema, where it is written.
    pub schema: Option<Cow<'a, str>>,
    /// The name that the block's columns are qualified with: the alias, or the table's name.
    pub name: Cow<'a, str>,
    /// Its time columns.
    pub columns: &'a [TimeColumn],
}

/// The condition of a join.
pub(super) struct JoinCondition {
    /// Its tokens.
    pub tokens: Range<usize>,
    /// The tables whose rows it holds back, by their place in the list.
    pub bounds: Range<usize>,
}

/// What a block reads from.
#[derive(Default)]
pub(super) struct Tables<'a> {
    /// The tables, in the order of the text.
    pub list: Vec<TableRef<'a>>,
    /// The conditions of joins that bound some of them.
    pub conditions: Vec<JoinCondition>,
    /// Columns named by USING: unqualified, they are no single table's.
    pub merged: Vec<Cow<'a, str>>,
    /// There is a NATURAL join: any unqualified column may be no single table's.
    pub natural: bool,
    /// The places of tokens that name a table.
    pub named: Vec<usize>,
    outer: bool,
    irregular: bool,
}

/// Looks up a table's time columns.
pub(super) type LookUp<'l, 'a> = &'l dyn Fn(Option<&str>, &str) -> &'a [TimeColumn];

/// Reads table references from `at` up to `end` at most, and says where they end.
pub(super) fn read<'a>(
    tokens: &Tokens<'a>,
    at: usize,
    end: usize,
    look_up: LookUp<'_, 'a>,
) -> Result<(Tables<'a>, usize), Refusal> {
    let mut reader = Reader { tokens, at, end, look_up, depth: 0, tables: Tables::default() };
    reader.references()?;
    let (mut tables, at) = (reader.tables, reader.at);
    if tables.irregular && tables.outer {
        tables.conditions.clear();
    }
    Ok((tables, at))
}

struct Reader<'r, 'l, 'a> {
    tokens: &'r Tokens<'a>,
    at: usize,
    end: usize,
    look_up: LookUp<'l, 'a>,
    depth: u32,
    tables: Tables<'a>,
}

/// Which rows a join may let through that its condition does not hold for.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Join {
    Inner,
    Left,
    Right,
}

impl<'a> Reader<'_, '_, 'a> {
    fn key(&self) -> Key {
        if self.at < self.end { self.tokens.key(self.at) } else { Key::Other }
    }

    fn mark(&self) -> &'a [u8] {
        if self.at < self.end { self.tokens.mark(self.at) } else { b"" }
    }

    fn take(&mut self, key: Key) -> bool {
        let found = self.key() == key;
        self.at += usize::from(found);
        found
    }

    fn take_mark(&mut self, mark: &[u8]) -> bool {
        let found = self.mark() == mark;
        self.at += usize::from(found);
        found
    }

    /// `a, b JOIN c …`.
    fn references(&mut self) -> Result<(), Refusal> {
        self.joined()?;
        while self.take_mark(b",") {
            self.joined()?;
        }
        Ok(())
    }

    /// `a JOIN b ON … LEFT JOIN c ON …`: each join takes all before it as its left side.
    fn joined(&mut self) -> Result<(), Refusal> {
        let first = self.tables.list.len();
        self.factor()?;
        let mut waiting = false;
        while let Some((join, natural)) = self.join()? {
            // `a JOIN b LEFT JOIN c ON …` may be read in two ways.
            self.tables.irregular |= waiting;
            self.tables.outer |= join != Join::Inner;
            self.tables.natural |= natural;
            let middle = self.tables.list.len();
            self.factor()?;
            let last = self.tables.list.len();
            let bounds = match join {
                Join::Inner => first..last,
                Join::Left => middle..last,
                Join::Right => first..middle,
            };
            waiting = !self.condition(bounds)? && !natural;
            // `a LEFT JOIN b JOIN c ON … ON …`
            while self.condition(first..last)? {
                self.tables.irregular = true;
            }
        }
        Ok(())
    }

    /// The words of a join, if one is next; and whether it is a NATURAL one.
    fn join(&mut self) -> Result<Option<(Join, bool)>, Refusal> {
        const HALF: Refusal = "a join is not understood";
        if self.take(Key::StraightJoin) || self.take(Key::Join) {
            return Ok(Some((Join::Inner, false)));
        }
        let natural = self.take(Key::Natural);
        let join = match self.key() {
            Key::Inner | Key::Cross => Join::Inner,
            Key::Left => Join::Left,
            Key::Right => Join::Right,
            Key::Join if natural => {
                self.at += 1;
                return Ok(Some((Join::Inner, true)));
            }
            _ if natural => return Err(HALF),
            _ => return Ok(None),
        };
        self.at += 1;
        if join != Join::Inner {
            self.take(Key::Outer);
        }
        if self.take(Key::Join) { Ok(Some((join, natural))) } else { Err(HALF) }
    }

    /// ON or USING, if one is next.
    fn condition(&mut self, bounds: Range<usize>) -> Result<bool, Refusal> {
        let is_using = self.key() == Key::Using && self.tokens.mark(self.at + 1) == b"(";
        if is_using {
            let close = self.tokens.after(self.at + 1) - 1;
            let names = self.tokens.level(self.at + 2, close).filter_map(|at| self.tokens.name(at));
            self.tables.merged.extend(names);
            self.at = close + 1;
            return Ok(true);
        }
        // `INSERT … SELECT … FROM a ON DUPLICATE KEY UPDATE`
        if self.key() != Key::On || self.tokens.key(self.at + 1) == Key::Duplicate {
            return Ok(false);
        }
        let from = self.at + 1;
        let to = self.tokens.level(from, self.end).find(|&at| self.ends_condition(at)).unwrap_or(self.end);
        self.tables.conditions.push(JoinCondition { tokens: from..to, bounds });
        self.at = to;
        Ok(true)
    }

    fn ends_condition(&self, at: usize) -> bool {
        let next = self.tokens.key(at + 1);
        match self.tokens.key(at) {
            Key::Join | Key::Inner | Key::Cross | Key::Natural | Key::StraightJoin => true,
            Key::Where | Key::On | Key::Using | Key::Set => true,
            // Both are functions too.
            Key::Left | Key::Right => matches!(next, Key::Join | Key::Outer),
            _ => self.tokens.mark(at) == b"," || where_ends(self.tokens, at),
        }
    }

    /// One table, derived table, table function, or joins in brackets.
    fn factor(&mut self) -> Result<(), Refusal> {
        if self.tables.list.len() >= MAX_TABLES {
            return Err("it joins too many tables");
        }
        if self.take(Key::Lateral) && self.mark() != b"(" {
            return Err("LATERAL is not understood");
        }
        if self.mark() == b"(" {
            if !is_query(self.tokens, self.at) {
                return self.bracket();
            }
            self.at = self.tokens.after(self.at);
            return self.derived();
        }
        if self.key() == Key::JsonTable && self.tokens.mark(self.at + 1) == b"(" {
            self.at = self.tokens.after(self.at + 1);
            return self.derived();
        }
        self.table()
    }

    /// Joins in brackets.
    fn bracket(&mut self) -> Result<(), Refusal> {
        self.depth += 1;
        if self.depth > MAX_DEPTH {
            return Err("its joins are nested too deeply");
        }
        let close = self.tokens.after(self.at) - 1;
        let end = std::mem::replace(&mut self.end, close);
        self.at += 1;
        self.references()?;
        if self.at != close {
            return Err("a join in brackets is not understood");
        }
        self.at = close + 1;
        self.end = end;
        self.depth -= 1;
        Ok(())
    }

    /// The alias of a derived table or a table function, and the names of its columns.
    fn derived(&mut self) -> Result<(), Refusal> {
        let name = self.alias()?.unwrap_or(Cow::Borrowed(""));
        if self.mark() == b"(" {
            self.at = self.tokens.after(self.at);
        }
        self.tables.list.push(TableRef { schema: None, name, columns: &[] });
        Ok(())
    }

    /// `schema.table PARTITION (p) AS alias USE INDEX (i)`.
    fn table(&mut self) -> Result<(), Refusal> {
        let mut name = self.table_name()?;
        let mut schema = None;
        if self.take_mark(b".") {
            schema = Some(std::mem::replace(&mut name, self.table_name()?));
        }
        self.tables.named.push(self.at - 1);
        let columns = (self.look_up)(schema.as_deref(), &name);
        if self.take(Key::Partition) {
            if self.mark() != b"(" {
                return Err("PARTITION is not understood");
            }
            self.at = self.tokens.after(self.at);
        }
        let name = self.alias()?.unwrap_or(name);
        self.index_hints()?;
        self.tables.list.push(TableRef { schema, name, columns });
        Ok(())
    }

    fn table_name(&mut self) -> Result<Cow<'a, str>, Refusal> {
        const NONE: Refusal = "a table reference is not understood";
        if self.at >= self.end || is_reserved(self.key()) {
            return Err(NONE);
        }
        let name = self.tokens.name(self.at).ok_or(NONE)?;
        self.at += 1;
        Ok(name)
    }

    fn alias(&mut self) -> Result<Option<Cow<'a, str>>, Refusal> {
        let written = self.take(Key::As);
        let is_alias = self.at < self.end && (written || !is_reserved(self.key()));
        let name = if is_alias { self.tokens.name(self.at) } else { None };
        if name.is_none() {
            return if written { Err("an alias is not understood") } else { Ok(None) };
        }
        // `a FULL JOIN b` is an alias to most servers, and an outer join to some.
        let full = self.key() == Key::Full && matches!(self.tokens.key(self.at + 1), Key::Join | Key::Outer);
        if full && !written {
            return Err("FULL JOIN is not understood");
        }
        self.tables.named.push(self.at);
        self.at += 1;
        Ok(name)
    }

    /// `USE INDEX FOR JOIN (a), IGNORE KEY (b)`.
    fn index_hints(&mut self) -> Result<(), Refusal> {
        loop {
            let comma = usize::from(self.mark() == b",");
            let hint = self.tokens.key(self.at + comma);
            if self.at + comma >= self.end || !matches!(hint, Key::Use | Key::Force | Key::Ignore) {
                return Ok(());
            }
            self.at += comma + 1;
            if !(self.take(Key::Index) || self.take(Key::Keyed)) {
                return Err("an index hint is not understood");
            }
            if self.take(Key::For) {
                let _ =
                    self.take(Key::Join) || ((self.take(Key::Order) || self.take(Key::Group)) && self.take(Key::By));
            }
            if self.mark() != b"(" {
                return Err("an index hint is not understood");
            }
            self.at = self.tokens.after(self.at);
        }
    }
}

/// Words that may follow a table and are not its alias.
fn is_reserved(key: Key) -> bool {
    // Everything else of the list is either no reserved word, or cannot stand there at all.
    !matches!(
        key,
        Key::Other
            | Key::Begin
            | Key::Commit
            | Key::Duplicate
            | Key::Full
            | Key::JsonTable
            | Key::Of
            | Key::Quick
            | Key::Rollback
            | Key::Share
            | Key::Start
            | Key::Temporary
            | Key::Truncate
            | Key::Value
    )
}

/// True if the bracket that opens at a place holds a query, not an expression or a join.
pub(super) fn is_query(tokens: &Tokens<'_>, open: usize) -> bool {
    let mut open = open;
    loop {
        let close = tokens.after(open) - 1;
        match tokens.key(open + 1) {
            Key::Select | Key::With | Key::Values | Key::Table => return true,
            _ if tokens.mark(open + 1) != b"(" => return false,
            _ => {}
        }
        // `((SELECT …))`, `((SELECT …) UNION …)`, but `((SELECT …) AS a JOIN b)` is a join.
        let next = tokens.after(open + 1);
        let set = matches!(tokens.key(next), Key::Union | Key::Except | Key::Intersect | Key::Order | Key::Limit);
        if next != close && !set {
            return false;
        }
        open += 1;
    }
}
