//! Statements that change rows or call procedures: INSERT, REPLACE, UPDATE, DELETE, LOAD, HANDLER, CALL and DO.
//!
//! [`super::statement`] calls in here when it has read the first word. The functions read the target tables and
//! options, and leave expressions, WHERE and subqueries to the walk in [`super::scan`]. Where a target is missing or
//! not understood they leave a doubt, so the statement is unproven.

use super::super::effects::{Access, Effects, Verb};
use super::super::lexer::TokenKind;
use super::named::Name;
use super::scan::{Place, Scan};
use super::words::Kw;

impl Scan<'_> {
    /// A statement that changes rows; its first word `kw` has been read. A WITH clause may stand before it.
    pub(super) fn dml_statement(&mut self, kw: Kw) {
        self.dml = true;
        self.effects |= Effects::WRITE;
        match kw {
            Kw::UPDATE => self.update(),
            Kw::DELETE => self.delete(),
            _ => self.insert(),
        }
    }

    fn insert(&mut self) {
        while matches!(self.cur.kw_at(0), Kw::LOW_PRIORITY | Kw::DELAYED | Kw::HIGH_PRIORITY | Kw::IGNORE) {
            self.cur.next();
        }
        self.cur.take(Kw::INTO);
        self.table(Access::Write);
        let frame = self.frame();
        frame.place = Place::Expr;
    }

    fn update(&mut self) {
        self.cur.take(Kw::LOW_PRIORITY);
        self.cur.take(Kw::IGNORE);
        let frame = self.frame();
        frame.place = Place::Table;
        frame.access = Access::Write;
    }

    fn delete(&mut self) {
        while matches!(self.cur.kw_at(0), Kw::LOW_PRIORITY | Kw::QUICK | Kw::IGNORE | Kw::HISTORY) {
            // QUICK and HISTORY may also be names: of a table to delete from.
            let word = matches!(self.cur.kw_at(0), Kw::LOW_PRIORITY | Kw::IGNORE);
            let next = self.cur.kw_at(1);
            if !(word
                || matches!(next, Kw::FROM | Kw::IGNORE | Kw::HISTORY)
                || self.cur.peek_at(1).is_some_and(|i| i.is_name()))
            {
                break;
            }
            self.cur.next();
        }
        if !self.cur.take(Kw::FROM) {
            self.targets = self.target_list();
            if !self.cur.take(Kw::FROM) {
                self.doubt("a DELETE without FROM");
            }
            return self.delete_from_many();
        }
        let mut targets = self.target_list();
        if self.cur.take(Kw::USING) {
            self.targets = targets;
            return self.delete_from_many();
        }
        let frame = self.frame();
        frame.place = Place::AfterTable;
        frame.access = Access::Write;
        match targets.pop() {
            Some(name) if targets.is_empty() => self.add_use(name, None, Access::Write),
            _ => self.doubt("a DELETE from many tables without USING"),
        }
    }

    fn delete_from_many(&mut self) {
        self.wants_alias = true;
        let frame = self.frame();
        frame.place = Place::Table;
        frame.access = Access::Read;
    }

    /// `t1, db.t2, t3.*`
    fn target_list(&mut self) -> Vec<Name> {
        const MOST: usize = 256;
        let mut targets = Vec::new();
        loop {
            match self.name() {
                Some(name) if targets.len() < MOST => targets.push(name),
                _ => self.doubt("a table to delete from is missing"),
            }
            if self.cur.is_op_at(0, b".") && self.cur.is_op_at(1, b"*") {
                self.cur.next();
                self.cur.next();
            }
            if !self.cur.take_op(b",") {
                return targets;
            }
        }
    }

    /// `LOAD DATA`, `LOAD XML`; `LOAD INDEX INTO CACHE`.
    pub(super) fn load(&mut self) {
        self.verb = Verb::Load;
        if self.cur.take(Kw::INDEX) {
            self.effects |= Effects::ADMIN | Effects::IMPLICIT_COMMIT;
            return self.skip();
        }
        if !(self.cur.take(Kw::DATA) || self.cur.take(Kw::XML)) {
            self.effects |= Effects::WRITE;
            self.doubt("an unknown LOAD");
            return self.skip();
        }
        self.dml = true;
        self.effects |= Effects::WRITE;
        let mut local = false;
        loop {
            if self.cur.at_end() {
                self.doubt("a LOAD without a table");
                break;
            }
            if self.cur.take(Kw::INTO) {
                self.cur.take(Kw::TABLE);
                self.table(Access::Write);
                break;
            }
            local |= self.cur.take(Kw::LOCAL);
            self.cur.next();
        }
        self.effects |= if local { Effects::LOCAL_INFILE } else { Effects::SERVER_FILE };
        self.body();
        if self.effects.contains(Effects::READ_USER_VARIABLE) {
            // Fields may be read into user variables.
            self.effects |= Effects::SET_USER_VARIABLE;
        }
    }

    /// `HANDLER t OPEN | READ … | CLOSE`.
    pub(super) fn handler(&mut self) {
        self.verb = Verb::Handler;
        self.effects |= Effects::HANDLER;
        self.table(Access::Read);
        self.body();
    }

    /// `CALL p(…)`: what the procedure does is not known; arguments may be set.
    pub(super) fn call_statement(&mut self) {
        self.verb = Verb::Call;
        self.effects |= Effects::CALL;
        match self.name() {
            Some(Name { schema, name }) => {
                let whole = schema.map_or_else(|| name.to_string(), |schema| format!("{schema}.{name}"));
                self.facts.procedure = Some(whole.to_lowercase().into());
            }
            None => self.doubt("a CALL without a name"),
        }
        self.body();
        if self.effects.contains(Effects::READ_USER_VARIABLE) {
            self.effects |= Effects::SET_USER_VARIABLE;
        }
    }

    /// `DO expr, …`.
    pub(super) fn do_statement(&mut self) {
        self.verb = Verb::Do;
        self.effects |= Effects::CONSTANT;
        self.body();
    }

    /// Walks to the end of the statement without looking.
    pub(super) fn skip(&mut self) {
        while !self.cur.at_end() {
            self.cur.next();
        }
    }

    /// The statement must be over.
    pub(super) fn over(&mut self, why: &'static str) {
        if !self.cur.at_end() {
            self.doubt(why);
            self.skip();
        }
    }

    /// Takes any name or literal: what identifies a savepoint, a statement, a format. All literals are alike here, for
    /// they are alike in the digest.
    pub(super) fn any_name(&mut self) -> bool {
        let literal = |kind| matches!(kind, TokenKind::String | TokenKind::Number | TokenKind::Param);
        let is = self.cur.peek().is_some_and(|item| item.is_name() || literal(item.kind));
        if is {
            self.cur.next();
        }
        is
    }
}
