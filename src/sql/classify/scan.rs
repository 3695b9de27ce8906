//! The one loop that walks a statement's tokens, with a stack of parentheses instead of recursion.
//!
//! It is no parser: it knows where table names stand, what calls a function, what touches a variable, and which words
//! change what a statement does ([`super::keywords`]). Everything that it meets in a place where it does not belong
//! leaves a doubt, and a doubt makes the statement unproven. Statements begin in [`super::statement`], which reads their
//! first words and leaves the rest to [`Scan::body`].

use super::super::LexMode;
use super::super::effects::{Access, Effects, Facts, Verb};
use super::super::lexer::TokenKind;
use super::cursor::{Cursor, Item, Reading};
use super::named::{Cte, Name, Use};
use super::variables::Variable;
use super::words::Kw;

/// Parentheses deeper than this are not followed.
const MAX_DEPTH: usize = 256;

/// What stands at the cursor, as far as tables are concerned.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Place {
    /// The beginning of a query, or of parentheses that may hold one.
    Open,
    /// The beginning of parentheses where a table is expected: a joined table or a query.
    OpenTables,
    /// Expressions, and everything that names no table.
    Expr,
    /// A table is expected.
    Table,
    /// Behind a table: an alias, hints, a join condition; a comma or JOIN leads to the next table.
    AfterTable,
    /// The target of an assignment in SET is expected.
    SetItem,
    /// The value of an assignment in SET.
    SetValue,
    /// A definition: nothing matters but a query in it.
    Skim,
}

/// The function whose arguments a pair of parentheses holds, where that matters.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Func {
    /// None: the parentheses group.
    None,
    /// Any function: FROM may stand between its arguments (`TRIM`, `EXTRACT`).
    Any,
    /// `SUBSTRING` and its kin: FOR may stand between its arguments.
    Substring,
    /// `JSON_TABLE`: `COLUMNS (…)` may stand in it.
    JsonTable,
}

/// How far a WITH clause has been read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum With {
    /// There is none, or it is complete.
    None,
    /// A name is expected.
    Name,
    /// The name was read; a column list or AS follows.
    Named,
    /// AS was read; the body follows.
    Body,
    /// The body was read; a comma, or what the clause belongs to, follows.
    After,
    /// Inside MariaDB's `CYCLE … RESTRICT`.
    Cycle,
}

/// One pair of parentheses, or the statement itself.
#[derive(Clone, Copy, Debug)]
pub(super) struct Frame {
    pub place: Place,
    /// What is done to tables named at this level.
    pub access: Access,
    /// A SELECT has been read at this level: FROM leads to tables.
    pub query: bool,
    pub func: Func,
    /// `FOR SYSTEM_TIME` or `FOR PORTION OF`: one FROM may follow that names no table.
    pub period: bool,
    pub with: With,
    pub recursive: bool,
    /// How many CTEs were known where the frame began: those go when it ends.
    ctes: usize,
    /// The frame is the body of a CTE, whose name is known when it ends.
    cte_body: bool,
}

impl Frame {
    fn new(place: Place, access: Access, ctes: usize) -> Self {
        Self {
            place,
            access,
            query: false,
            func: Func::None,
            period: false,
            with: With::None,
            recursive: false,
            ctes,
            cte_body: false,
        }
    }
}

/// How a statement is explained.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Explain {
    /// It is not: it runs.
    No,
    /// `EXPLAIN` of a query.
    Query,
    /// `EXPLAIN` of a statement that would write.
    Write,
    /// It runs, and the answer is its plan: MariaDB's `ANALYZE`, MySQL's `EXPLAIN ANALYZE`.
    Runs,
}

/// The state of one reading of a text.
pub(super) struct Scan<'a> {
    pub cur: Cursor<'a>,
    /// What was found out in this reading, over all its statements.
    pub facts: Facts,
    /// What this statement does.
    pub effects: Effects,
    pub verb: Verb,
    pub explain: Explain,
    /// Open parentheses; the statement itself is the first.
    pub frames: Vec<Frame>,
    pub ctes: Vec<Cte>,
    /// The name of the CTE whose body is being read, by depth.
    pub cte_names: Vec<Box<str>>,
    /// The tables that this statement names.
    pub uses: Vec<Use>,
    /// The targets of a multi-table DELETE: names or aliases.
    pub targets: Vec<Name>,
    /// A multi-table DELETE: aliases matter.
    pub wants_alias: bool,
    /// The statement changes rows: words of DML belong in it.
    pub dml: bool,
    /// How often SELECT, VALUES or TABLE was read, as a query.
    pub queries: u32,
    /// The statement asks how tables are defined: their rows are not read.
    pub describes: bool,
    /// Statements inside statements (EXPLAIN, SET STATEMENT).
    pub nested: u8,
    /// Table references and unknown functions so far, over all statements: both are bounded.
    pub references: usize,
    /// The scope that a SET has named so far.
    pub set_scope: super::variables::Scope,
    /// The tokens before the one at hand, the nearest first.
    pub before: [Option<Item>; 3],
}

impl<'a> Scan<'a> {
    pub(super) fn new(sql: &'a [u8], mode: LexMode, openings: &'a [&'a [u8]], reading: Reading) -> Self {
        Self {
            cur: Cursor::new(sql, mode, openings, reading),
            facts: Facts::default(),
            effects: Effects::empty(),
            verb: Verb::Other,
            explain: Explain::No,
            frames: Vec::new(),
            ctes: Vec::new(),
            cte_names: Vec::new(),
            uses: Vec::new(),
            targets: Vec::new(),
            wants_alias: false,
            dml: false,
            queries: 0,
            describes: false,
            nested: 0,
            references: 0,
            set_scope: super::variables::Scope::Bare,
            before: [None; 3],
        }
    }

    /// The statement cannot be proven, and why. The first reason stays.
    pub(super) fn doubt(&mut self, why: &'static str) {
        self.effects |= Effects::UNPROVEN;
        if self.facts.unproven.is_empty() {
            self.facts.unproven = why;
        }
    }

    /// The innermost open parentheses.
    #[expect(clippy::indexing_slicing, reason = "where the stack was empty, a frame was just pushed")]
    pub(super) fn frame(&mut self) -> &mut Frame {
        if self.frames.is_empty() {
            self.frames.push(Frame::new(Place::Expr, Access::Read, 0));
        }
        let last = self.frames.len() - 1;
        &mut self.frames[last]
    }

    /// True outside of all parentheses.
    pub(super) fn is_outermost(&self) -> bool {
        self.frames.len() <= 1
    }

    /// Begins the statement's first frame.
    pub(super) fn begin(&mut self, place: Place, access: Access) {
        self.frames.clear();
        self.frames.push(Frame::new(place, access, 0));
    }

    /// The word before the one at hand.
    pub(super) fn kw_before(&self) -> Kw {
        self.before[0].map_or(Kw::Name, |item| item.kw)
    }

    /// True if the token before the one at hand is the operator `mark`.
    pub(super) fn op_before(&self, mark: &[u8]) -> bool {
        self.before[0].is_some_and(|item| item.kind == TokenKind::Operator && self.cur.text(item) == mark)
    }

    /// Walks to the end of the statement.
    pub(super) fn body(&mut self) {
        let mut last = self.cur.prev;
        while !self.cur.at_end() {
            if self.is_outermost() && self.frame().place == Place::SetItem {
                self.set_item();
                last = self.cur.prev;
                continue;
            }
            let Some(item) = self.cur.next() else { break };
            self.before = [last, self.before[0], self.before[1]];
            match item.kind {
                TokenKind::Word | TokenKind::QuotedIdent => self.word(item),
                TokenKind::Operator => self.operator(item),
                TokenKind::UserVariable => self.user_variable(),
                TokenKind::SystemVariable => self.system_variable(item),
                TokenKind::String | TokenKind::Number | TokenKind::Param => self.literal(),
                _ => {}
            }
            last = self.cur.prev;
        }
    }

    fn literal(&mut self) {
        let frame = self.frame();
        if matches!(frame.place, Place::Table | Place::OpenTables) || !matches!(frame.with, With::None | With::After) {
            self.doubt("a literal where a name should be");
        }
        if self.cur.is_op_at(0, b"(") {
            self.doubt("parentheses behind a literal");
        }
        self.settle();
    }

    /// Parentheses that turn out to hold an expression, not a query.
    pub(super) fn settle(&mut self) {
        let frame = self.frame();
        if frame.place == Place::Open {
            frame.place = Place::Expr;
        }
    }

    fn user_variable(&mut self) {
        if self.cur.take_op(b":=") {
            self.effects |= Effects::SET_USER_VARIABLE;
        } else {
            self.effects |= Effects::READ_USER_VARIABLE;
        }
        self.literal();
    }

    fn system_variable(&mut self, item: Item) {
        match Variable::read(self.cur.text(item)) {
            Some(variable) => self.effects |= variable.read_effects(),
            None => self.doubt("a system variable without a name"),
        }
        if self.cur.is_op_at(0, b".") {
            self.doubt("a system variable in parts");
        }
        self.literal();
    }

    fn operator(&mut self, item: Item) {
        let text = self.cur.text(item);
        match text {
            b"(" => return self.open(Func::None),
            b")" => return self.close(),
            b"," => return self.comma(),
            b":=" => self.doubt("an assignment to something that is no variable"),
            b"->" | b"->>" => self.effects |= Effects::MYSQL_ONLY,
            b"{" => return self.odbc(),
            _ => {}
        }
        let frame = self.frame();
        let misplaced = matches!(frame.place, Place::Table | Place::OpenTables);
        if misplaced || !matches!(frame.with, With::None | With::After | With::Cycle) {
            self.doubt("an operator where a name should be");
        }
        self.settle();
    }

    fn comma(&mut self) {
        let outermost = self.is_outermost();
        let frame = self.frame();
        match (frame.with, frame.place) {
            (With::After, _) => frame.with = With::Name,
            (With::Cycle, _) => {}
            (With::None, Place::AfterTable) => frame.place = Place::Table,
            (With::None, Place::Table | Place::OpenTables) => self.doubt("a table is missing"),
            (With::None, Place::SetValue) if outermost => frame.place = Place::SetItem,
            (With::None, _) => self.settle(),
            _ => self.doubt("a comma in a WITH clause"),
        }
    }

    /// `{OJ a LEFT JOIN b …}` and `{d '2024-01-01'}`, `{fn now()}`.
    fn odbc(&mut self) {
        match self.frame().place {
            Place::Table | Place::OpenTables => {
                if self.cur.take(Kw::OJ) {
                    self.frame().place = Place::Table;
                } else {
                    self.doubt("braces where a table should be");
                }
            }
            _ => {
                if self.cur.peek().is_some_and(|item| item.is_name()) && !self.cur.is_op_at(1, b"(") {
                    self.cur.next();
                }
                self.settle();
            }
        }
    }

    /// An opening parenthesis, of the arguments of `func`.
    pub(super) fn open(&mut self, func: Func) {
        if self.frames.len() >= MAX_DEPTH {
            self.doubt("parentheses too deep to follow");
            // Nothing more can be said: the rest of the text is not looked at.
            self.effects |= Effects::UNTRACKED_STATE;
            while self.cur.bump().is_some() {}
            return;
        }
        let ctes = self.ctes.len();
        let parent = self.frame();
        let access = parent.access;
        let mut frame = match (parent.with, parent.place) {
            (With::Body, _) => {
                let mut body = Frame::new(Place::Open, Access::Read, ctes);
                body.cte_body = true;
                body
            }
            (With::Named, _) => Frame::new(Place::Expr, Access::Read, ctes),
            (With::Name | With::Cycle, _) => {
                self.doubt("parentheses in a WITH clause");
                Frame::new(Place::Expr, Access::Read, ctes)
            }
            (With::After, place) => {
                parent.with = With::None;
                Frame::new(if place == Place::Skim { place } else { Place::Open }, Access::Read, ctes)
            }
            (With::None, Place::Table | Place::OpenTables) => Frame::new(Place::OpenTables, access, ctes),
            (With::None, Place::Skim) => Frame::new(Place::Skim, Access::Read, ctes),
            (With::None, _) => Frame::new(Place::Open, Access::Read, ctes),
        };
        frame.func = func;
        if func == Func::JsonTable {
            frame.place = Place::Expr;
        }
        self.frames.push(frame);
    }

    fn close(&mut self) {
        if self.is_outermost() {
            return self.doubt("a closing parenthesis too many");
        }
        self.check_complete();
        let Some(frame) = self.frames.pop() else { return };
        self.ctes.truncate(frame.ctes);
        if frame.cte_body {
            let name = self.cte_names.pop();
            let parent = self.frame();
            parent.with = With::After;
            if let (Some(name), false) = (name, parent.recursive) {
                self.add_cte(name);
            }
            return;
        }
        let parent = self.frame();
        match (parent.with, parent.place) {
            (With::None, Place::Table | Place::OpenTables) => parent.place = Place::AfterTable,
            (With::None, _) => self.settle(),
            _ => {}
        }
    }

    /// The innermost frame ends here: is anything missing in it?
    fn check_complete(&mut self) {
        let frame = *self.frame();
        match frame.place {
            Place::Table | Place::OpenTables => self.doubt("a table is missing"),
            Place::SetItem => self.doubt("an assignment is missing"),
            _ => {}
        }
        if frame.with != With::None {
            self.doubt("a WITH clause without its query");
        }
    }

    /// What an EXPLAIN leaves of the effects of the statement that it explains.
    fn settle_explain(&mut self) {
        const OF_RUNNING: Effects = Effects::LEAVES_FOUND_ROWS.union(Effects::FED_BY_QUERY);
        match self.explain {
            Explain::No => {}
            Explain::Runs => {
                if !self.dml {
                    self.effects |= Effects::LEAVES_FOUND_ROWS;
                }
            }
            Explain::Query => {
                // To plan a query is to run those inside that are constant, and MariaDB runs one without a table.
                let may_run = self.queries > 1 || !self.effects.contains(Effects::READ_TABLE);
                self.effects -= OF_RUNNING;
                self.effects.set(Effects::LEAVES_FOUND_ROWS, may_run);
                self.effects |= Effects::EXPLAIN;
            }
            Explain::Write => {
                // The plan that is asked for is the writer's.
                self.effects -= OF_RUNNING | Effects::WRITE;
                self.effects.set(Effects::LEAVES_FOUND_ROWS, self.queries > 0);
                self.effects |= Effects::EXPLAIN | Effects::READ | Effects::SERVER_BOUND;
            }
        }
    }

    /// The statement ends: settles its effects and its tables, and makes room for the next.
    pub(super) fn finish(&mut self) {
        if self.frames.len() > 1 {
            self.doubt("a parenthesis is not closed");
        } else {
            self.check_complete();
        }
        if let Some(why) = self.cur.doubt {
            self.doubt(why);
        }
        self.settle_tables();
        let more = Effects::READ_TABLE
            | Effects::METADATA
            | Effects::SERVER_BOUND
            | Effects::WRITE
            | Effects::UNKNOWN_FUNCTION;
        if self.effects.contains(Effects::READ) && self.queries > 0 && !self.effects.intersects(more) {
            self.effects |= Effects::CONSTANT;
        }
        if self.verb == Verb::Create && self.queries > 0 && !self.effects.contains(Effects::STORED_DEFINITION) {
            self.effects |= Effects::FED_BY_QUERY;
        }
        self.settle_explain();
        self.facts.effects |= self.effects;
        self.effects = Effects::empty();
        self.explain = Explain::No;
        self.frames.clear();
        self.ctes.clear();
        self.cte_names.clear();
        self.targets.clear();
        self.wants_alias = false;
        self.dml = false;
        self.queries = 0;
        self.describes = false;
        self.nested = 0;
        self.before = [None; 3];
    }
}
