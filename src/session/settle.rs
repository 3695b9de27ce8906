//! What a response changed: the session's state, its pins, and who keeps the link.

use super::Session;
use super::echo::{Asked, Echo};
use super::error::{SessionEnd, StatementError};
use super::flight::Planned;
use super::link::Link;
use super::link::conversation::TalkError;
use super::link::relay::{Changes, Outcome};
use super::snapshot::Snapshot;
use super::state::State;
use super::state::assignment::{Assignment, read_set, read_sets};
use super::state::change::{Report, apply, unsaid};
use super::state::pins::Pins;
use super::state::things;
use super::state::variable::name_on;
use super::statement::{From, gone};
use crate::backend::Engine;
use crate::protocol::command::Command;
use crate::protocol::status::Status;
use crate::rules::{Plan, Route};
use crate::sql::effects::{Effects, Verb};
use std::rc::Rc;

/// Effects after whose failure the ERR packet does not tell whether a transaction is open: the server is asked.
const UNCERTAIN_AFTER_ERROR: Effects = Effects::CALL
    .union(Effects::MULTI)
    .union(Effects::UNPROVEN)
    .union(Effects::TEXT_PREPARE)
    .union(Effects::XA)
    .union(Effects::BEGIN)
    .union(Effects::SET_SESSION)
    .union(Effects::UNTRACKED_STATE);

/// Statements that may set what their text does not show.
const OUT_OF_SIGHT: Effects =
    Effects::CALL.union(Effects::UNKNOWN_FUNCTION).union(Effects::UNPROVEN).union(Effects::TEXT_PREPARE);

/// Statements that write, or may: after them the session reads its own writes.
pub(super) const MAY_WRITE: Effects = Effects::WRITE
    .union(Effects::DDL)
    .union(Effects::CALL)
    .union(Effects::UNKNOWN_FUNCTION)
    .union(Effects::UNPROVEN)
    .union(Effects::TEXT_PREPARE)
    .union(Effects::XA)
    .union(Effects::SET_GLOBAL)
    .union(Effects::ADMIN);

/// Effects of statements that run in a transaction, and open one where none is open.
const IN_TRANSACTION_ONLY: Effects = Effects::READ_TABLE
    .union(Effects::WRITE)
    .union(Effects::LOCK_ROWS)
    .union(Effects::LOCK_TABLES)
    .union(Effects::METADATA)
    .union(Effects::CALL)
    .union(Effects::UNKNOWN_FUNCTION)
    .union(Effects::UNPROVEN)
    .union(Effects::TEXT_PREPARE)
    .union(Effects::HANDLER)
    .union(Effects::BEGIN);

/// Effects of statements after which none is open, unless they opened another.
const ENDS_TRANSACTION: Effects =
    Effects::COMMIT.union(Effects::ROLLBACK).union(Effects::IMPLICIT_COMMIT).union(Effects::DDL);

/// Effects of statements that make or drop named things.
const TELL_OF_THINGS: Effects = Effects::TEXT_PREPARE
    .union(Effects::TEMPORARY_TABLE)
    .union(Effects::USER_LOCK)
    .union(Effects::HANDLER)
    .union(Effects::SET_USER_VARIABLE);

/// How statements begin that end an XA transaction.
const XA_ENDS: [&[u8]; 2] = [b"XA COMMIT", b"XA ROLLBACK"];

/// ER_PARSE_ERROR.
const PARSE_ERROR: u16 = 1064;

impl Session {
    /// True if a server must be asked before a response can be settled: what it has changed, or whether a transaction is open.
    #[inline]
    pub(super) fn must_ask(&self, effects: Effects, outcome: &Outcome, link: &Link) -> bool {
        keeps_its_report(effects, outcome, link)
            || is_uncertain(effects, outcome)
            || outcome.changes.as_deref().is_some_and(|c| c.unreported || !unsaid(&c.variables).is_empty())
    }

    /// Asks it.
    pub(super) async fn ask_server(&mut self, effects: Effects, outcome: &mut Outcome, link: &mut Link) {
        let uncertain = is_uncertain(effects, outcome);
        if keeps_its_report(effects, outcome, link) || uncertain {
            Box::pin(self.hear_changes(link, outcome, uncertain)).await;
        }
        if outcome.changes.as_deref().is_some_and(|c| c.unreported && link.backend().engine() == Engine::MariaDb) {
            Box::pin(self.flush_report(link, outcome)).await;
        }
        let unsaid = outcome.changes.as_deref().map(|c| unsaid(&c.variables)).unwrap_or_default();
        if !unsaid.is_empty() {
            Box::pin(self.ask_unsaid(link, outcome, &unsaid)).await;
        }
    }

    /// Brings the session up to date after a response, and gives the link to whoever keeps it.
    pub(super) fn settle_link(
        &mut self,
        mut link: Box<Link>,
        from: From,
        plan: &Plan,
        executing: Option<u32>,
        outcome: &Outcome,
    ) {
        let effects = plan.facts.effects;
        if let Some(status) = outcome.status {
            self.status = status;
            link.status = status;
        }
        if outcome.warnings > 0 || outcome.error.is_some() {
            link.diagnostics = self.serial;
        }
        self.left.note(plan.facts.verb == Verb::Show, effects, outcome);
        self.previous = link.serial;
        self.previous_at_home = from == From::Home;
        if outcome.error.is_none() {
            link.backend().health.passive_success();
        }
        let simple = Effects::READER_SAFE.contains(effects) && outcome.changes.is_none();
        let applied = if simple { Pins::empty() } else { self.apply_state(&mut link, plan, executing, outcome) };
        if effects.intersects(TELL_OF_THINGS) && !has_done_nothing(effects, outcome) {
            self.note_things(effects, executing);
        }
        if effects.contains(Effects::SET_GLOBAL) {
            link.backend().globals_changed();
        }
        self.note_write(effects, outcome, &link);
        let lasting = self.lasting_pins(from, plan, outcome, applied) | self.cursor_pin(&link) | self.state.pins;
        let fleeting = fleeting_pins(effects, outcome, simple);
        self.keep_or_release(link, from, lasting, fleeting);
    }

    /// Asks by a ping what a statement has changed and not told, and (`uncertain`) whether a transaction is open: MySQL keeps
    /// its report for the next OK packet where an EOF or ERR packet ended the statement, and that would be another
    /// statement's, or another session's.
    async fn hear_changes(&mut self, link: &mut Link, outcome: &mut Outcome, uncertain: bool) {
        match self.worker.talk().ask(link, Command::Ping, b"").await {
            Ok(reply) => {
                if uncertain {
                    outcome.status = Some(reply.summary.status);
                }
                note_changes(outcome, reply.changes);
            }
            // The next statement finds out what is wrong with the link; until then nobody else gets it.
            Err(_) => note_changes(outcome, Changes { unreported: true, ..Changes::default() }),
        }
    }

    /// MariaDB says in an EOF packet that something changed, and keeps what it was until another variable is set: so one is,
    /// to the value that it has.
    async fn flush_report(&mut self, link: &mut Link, outcome: &mut Outcome) {
        let Ok(reply) = self.worker.talk().query(link, "SET sql_warnings=@@sql_warnings").await else { return };
        note_changes(outcome, Changes { state_changed: false, ..reply.changes });
    }

    /// Asks for variables that may have changed beside a reported one.
    async fn ask_unsaid(&mut self, link: &mut Link, outcome: &mut Outcome, unsaid: &[&str]) {
        let engine = link.backend().engine();
        let names: Vec<String> = unsaid.iter().map(|name| format!("@@session.{}", name_on(name, engine))).collect();
        let reply = self.worker.talk().query(link, &format!("SELECT {}", names.join(","))).await;
        let row = reply.ok().and_then(|reply| reply.text_rows().pop());
        let changes = outcome.changes.get_or_insert_default();
        match row {
            Some(row) if row.len() == unsaid.len() => {
                let said = unsaid.iter().zip(row).map(|(name, value)| ((*name).to_owned(), value.unwrap_or_default()));
                changes.variables.extend(said);
            }
            _ => changes.unreported = true,
        }
    }

    /// What the statement set: brings the session's state up to it, as far as it can be carried. Gives the pins for the rest.
    fn apply_state(&mut self, link: &mut Link, plan: &Plan, executing: Option<u32>, outcome: &Outcome) -> Pins {
        let effects = plan.facts.effects;
        let is_set = effects.contains(Effects::SET_SESSION) && outcome.error.is_none();
        // Several statements of which every one can be read: what they set is in their texts.
        let is_read = effects.contains(Effects::MULTI) && !effects.intersects(OUT_OF_SIGHT | Effects::DDL);
        let text = || match executing {
            Some(id) => self.statement_of(id),
            None => self.statement_text(),
        };
        let assignments = match plan.facts.verb {
            Verb::Set if is_set && !effects.contains(Effects::MULTI) => read_set(text(), self.subject.mode()),
            _ if is_set && is_read => read_sets(text(), self.subject.mode()),
            _ => Vec::new(),
        };
        let mut pins = Pins::empty();
        if is_set && assignments.is_empty() && !effects.contains(Effects::MULTI) {
            pins |= Pins::UNTRACKED_STATE;
        }
        let Some(changes) = outcome.changes.as_deref() else {
            if !assignments.is_empty() {
                pins |= apply(&mut self.state.values.clone(), &assignments, Report::default());
            }
            return pins;
        };
        let mut values = self.state.values.clone();
        let report = Report { variables: &changes.variables, schema: changes.schema.as_deref() };
        pins |= apply(&mut values, &assignments, report);
        if is_unexplained(plan, changes, is_read && outcome.error.is_none()) {
            pins |= Pins::UNTRACKED_STATE;
        }
        // A session whose schema is gone may have been served by a connection that has none.
        let schema = match changes.schema {
            Some(_) => values.schema.clone(),
            None => link.state.values.schema.clone(),
        };
        link.state = self.worker.states.intern(values.in_schema(schema));
        let before = Rc::clone(&self.state);
        if values != before.values {
            self.enter(values);
        }
        let repeats = is_set && executing.is_none() && assignments.iter().all(Assignment::is_repeatable);
        if repeats && !assignments.is_empty() && pins.is_empty() && outcome.warnings == 0 && changes.schema.is_none() {
            self.keep_echo(&before, link, changes);
        }
        pins
    }

    /// Takes down what a statement did to named things.
    fn note_things(&mut self, effects: Effects, executing: Option<u32>) {
        let text = match executing {
            Some(id) => self.statement_of(id),
            None => self.statement_text(),
        };
        for event in things::read(text, self.subject.mode(), effects) {
            self.things.note(event);
        }
    }

    /// Remembers what a server answered to a SET, for the next that is the same.
    fn keep_echo(&self, before: &Rc<State>, link: &Link, changes: &Changes) {
        let is_free = self.home.is_none() && !self.status.contains(Status::IN_TRANSACTION);
        if !is_free || !link.writer || !self.state.pins.is_empty() {
            return;
        }
        let asked = Asked { account: self.account_number, hostgroup: link.hostgroup, text: self.statement_text() };
        let reported = changes.variables.as_slice().into();
        let echo = Echo { to: Rc::clone(&self.state), status: self.status, reported };
        self.worker.echoes.keep(before, asked, echo, self.worker.ticks());
    }

    /// Answers a SET as a server did a moment ago, where one did: the state is brought to a connection when one is next
    /// needed. None where it has to be asked.
    pub(super) async fn answer_by_echo(&mut self, planned: &Planned) -> Option<Result<(), SessionEnd>> {
        let nothing_held = self.home.is_none() && self.last.is_none();
        if !nothing_held || planned.executing.is_some() {
            return None;
        }
        let hostgroup = *planned.route.tiers.first()?;
        let asked = Asked { account: self.account_number, hostgroup, text: self.statement_text() };
        let echo = self.worker.echoes.get(&self.state, asked)?;
        self.enter(echo.to.values.clone());
        self.status = echo.status;
        self.previous = 0;
        self.tally_answered(&planned.plan, &planned.route);
        Some(self.send_ok_with(b"", &echo.reported, None).await)
    }

    /// The text of the present COM_QUERY.
    fn statement_text(&self) -> &[u8] {
        self.inbox.payload().get(1..).unwrap_or_default()
    }

    /// Remembers that the session wrote, for its reads' sake.
    fn note_write(&mut self, effects: Effects, outcome: &Outcome, link: &Link) {
        let in_transaction = self.status.contains(Status::IN_TRANSACTION);
        if effects.intersects(MAY_WRITE) && link.writer {
            self.transaction_wrote = true;
        }
        if self.transaction_wrote && !in_transaction {
            self.transaction_wrote = false;
            self.wrote_at = Some(self.worker.now_ms());
        } else if self.wrote_at.is_some() && !effects.intersects(MAY_WRITE) && outcome.error.is_none() {
            let window = self.worker.snapshot().settings.read_your_writes.as_millis();
            let now = self.worker.ms_at(self.began);
            if self.wrote_at.is_some_and(|at| u128::from(now.saturating_sub(at)) >= window) {
                self.wrote_at = None;
            }
        }
    }

    /// The pins that hold from now on.
    fn lasting_pins(&self, from: From, plan: &Plan, outcome: &Outcome, applied: Pins) -> Pins {
        let effects = plan.facts.effects;
        let kept = self.home_pins - Pins::UNTIL_NEXT - Pins::CURSOR - Pins::OF_THINGS;
        let mut pins = if from == From::Home { kept | self.things.pins() } else { Pins::empty() };
        let in_transaction = self.status.contains(Status::IN_TRANSACTION);
        pins.set(Pins::TRANSACTION, in_transaction);
        pins.set(Pins::AUTOCOMMIT_OFF, self.may_have_begun(pins, effects, outcome));
        let consumed = effects.intersects(IN_TRANSACTION_ONLY | ENDS_TRANSACTION) && outcome.error.is_none();
        if consumed && !in_transaction {
            pins.remove(Pins::NEXT_TRANSACTION);
        }
        // A result of rows (RETURNING) has no room for the id, and a procedure may have inserted.
        let unsaid = effects.contains(Effects::WRITE) && outcome.rows > 0 || effects.contains(Effects::CALL);
        if outcome.insert_id != 0 || unsaid || effects.contains(Effects::SETS_INSERT_ID) {
            pins |= Pins::INSERT_ID;
        }
        pins |= applied;
        if has_done_nothing(effects, outcome) {
            return pins;
        }
        pins |= self.things.pins();
        if effects.contains(Effects::SET_NEXT_TRANSACTION) {
            pins |= Pins::NEXT_TRANSACTION;
        }
        const BY_EFFECT: [(Effects, Pins); 6] = [
            (Effects::LOCK_TABLES, Pins::LOCK_TABLES),
            (Effects::SEQUENCE, Pins::SEQUENCE),
            (Effects::UNTRACKED_STATE, Pins::UNTRACKED_STATE),
            (Effects::XA, Pins::XA),
            (Effects::CALL, Pins::ROUTINE),
            (Effects::UNKNOWN_FUNCTION, Pins::ROUTINE),
        ];
        for (effect, pin) in BY_EFFECT {
            if effects.contains(effect) {
                pins |= pin;
            }
        }
        if outcome.error.is_none() && XA_ENDS.iter().any(|end| plan.digest.starts_with(end)) {
            pins -= Pins::XA;
        }
        if effects.intersects(Effects::UNLOCK_TABLES) && !effects.contains(Effects::LOCK_TABLES) {
            pins -= Pins::LOCK_TABLES;
        }
        pins
    }

    /// True if a transaction may have begun that no status flag shows: with autocommit off, a statement that uses a table of an
    /// engine without transactions keeps its locks on definitions until the next COMMIT.
    fn may_have_begun(&self, pins: Pins, effects: Effects, outcome: &Outcome) -> bool {
        if self.status.contains(Status::AUTOCOMMIT) {
            return false;
        }
        let ended = effects.intersects(ENDS_TRANSACTION) && outcome.error.is_none();
        let begun = pins.contains(Pins::AUTOCOMMIT_OFF) && !ended;
        begun || effects.intersects(IN_TRANSACTION_ONLY)
    }

    fn cursor_pin(&self, link: &Link) -> Pins {
        if self.has_cursor(link.serial) { Pins::CURSOR } else { Pins::empty() }
    }

    fn keep_or_release(&mut self, link: Box<Link>, from: From, lasting: Pins, fleeting: Pins) {
        match from {
            // A cursor alone makes no home: it would draw statements to where they do not belong.
            _ if lasting == Pins::CURSOR => {
                if from == From::Home {
                    self.home_pins = Pins::empty();
                }
                self.park(link);
            }
            // A read that left something on a reader, out of sight (a view that calls a function, and so on). Variables are
            // carried; what is left cannot be, and would keep the session's writes from the writer.
            From::Pool if !link.writer && lasting == Pins::UNTRACKED_STATE => {
                tracing::warn!(backend = &*link.backend().name, "a read left state behind that cannot be carried");
                self.discard(link);
            }
            _ if !lasting.is_empty() && (from == From::Home || self.home.is_none()) => {
                self.home = Some(link);
                self.home_pins = lasting | fleeting;
                self.previous_at_home = true;
            }
            From::Pool | From::Last if !lasting.is_empty() => {
                // A second connection with lasting state: only a server whose defaults open transactions by themselves
                // does that to a harmless read. Closing it ends what it began.
                tracing::warn!(backend = &*link.backend().name, pins = lasting.names(), "a read left state behind");
                self.discard(link);
            }
            _ if !fleeting.is_empty() => {
                self.last = Some(link);
                self.last_pins = fleeting;
                self.home_pins = if from == From::Home { Pins::empty() } else { self.home_pins };
            }
            _ => {
                if from == From::Home {
                    self.home_pins = Pins::empty();
                }
                self.release(link);
            }
        }
    }

    /// Gives back the connection of the statement before, where that is not the session's home.
    pub(super) fn give_back_last(&mut self) {
        if let Some(link) = self.last.take() {
            self.last_pins = Pins::empty();
            self.release(link);
        }
    }

    /// A statement came that asks nothing of the one before: what was kept for that is given back.
    pub(super) fn end_until_next(&mut self) {
        self.give_back_last();
        if self.home.is_some() {
            self.home_pins -= Pins::UNTIL_NEXT;
            if self.home_pins.is_empty()
                && let Some(link) = self.home.take()
            {
                self.release(link);
            }
        }
    }

    /// True if the session holds a connection just for what the client may ask next.
    pub(super) fn holds_for_a_while(&self) -> bool {
        self.held_for_a_while().is_some()
    }

    /// The connection that it holds just for that.
    pub(super) fn held_for_a_while(&self) -> Option<&Link> {
        let soft = Pins::UNTIL_NEXT | Pins::INSERT_ID;
        let home = self.home.as_deref().filter(|_| soft.contains(self.home_pins));
        self.last.as_deref().or(home)
    }

    /// The client has been silent for so long that such a connection goes back. `LAST_INSERT_ID()` is remembered first.
    pub(super) async fn let_go(&mut self) {
        self.give_back_last();
        let soft = Pins::UNTIL_NEXT | Pins::INSERT_ID;
        if !soft.contains(self.home_pins) {
            return;
        }
        let Some(mut link) = self.home.take() else { return };
        let keeps_id = self.home_pins.contains(Pins::INSERT_ID);
        self.home_pins = Pins::empty();
        self.previous_at_home = false;
        if keeps_id {
            match self.read_insert_id(&mut link).await {
                Some(id) => self.insert_id = Some(id),
                None => {
                    self.discard(link);
                    return;
                }
            }
        }
        self.previous = 0;
        self.release(link);
    }

    async fn read_insert_id(&self, link: &mut Link) -> Option<u64> {
        let reply = self.worker.talk().query(link, "SELECT LAST_INSERT_ID()").await.ok()?;
        reply.last_value()?.parse().ok()
    }

    /// Makes `LAST_INSERT_ID()` on a link say what it must say for this session: what it remembers, or 0, whatever the
    /// link's last user left there.
    ///
    /// # Errors
    /// [`TalkError`]; the link must be dropped, if it is of no more use.
    pub(super) async fn clean_insert_id(&self, effects: Effects, link: &mut Link) -> Result<(), TalkError> {
        if !effects.contains(Effects::NEEDS_INSERT_ID) || self.home_pins.contains(Pins::INSERT_ID) {
            return Ok(());
        }
        let statement = format!("SET last_insert_id={}", self.insert_id.unwrap_or(0));
        self.worker.talk().query(link, &statement).await.map(drop)
    }

    /// The link of the previous statement, if nobody has used it since; a clean one, if there was no previous statement.
    pub(super) async fn previous_link(
        &mut self,
        effects: Effects,
        snapshot: &Snapshot,
        route: &Route,
        tried: &mut super::checkout::Tried,
    ) -> Result<(Box<Link>, From), SessionEnd> {
        if self.previous != 0 {
            let (serial, owner) = (self.previous, self.serial);
            let mine = |link: &Link| link.serial == serial && link.owner == owner && !link.is_disturbed();
            let link = match self.unpark(|link| link.serial == serial) {
                Some(parked) => Some(parked),
                None => self.worker.pool.borrow_mut().take_where(|link| mine(link)),
            };
            return match link {
                Some(mut link) => {
                    link.set_busy(true);
                    self.agree_on_option(&mut link).await?;
                    let not_ours = link.diagnostics != 0 && link.diagnostics != self.serial;
                    if not_ours && effects.contains(Effects::NEEDS_WARNINGS) {
                        self.make_fresh(&mut link).await?;
                    }
                    Ok((link, From::Pool))
                }
                // Somebody else has used it since; what the statement left may be known all the same.
                None => match self.left.recreation(effects) {
                    Some(statement) => {
                        let link = self.fresh_link(snapshot, route, tried, &statement).await?;
                        Ok((link, From::Pool))
                    }
                    None => Err(gone(effects).into()),
                },
            };
        }
        Ok((self.fresh_link(snapshot, route, tried, "").await?, From::Pool))
    }

    /// A link to the route's writer as a new session would find it, after this statement (if any).
    async fn fresh_link(
        &self,
        snapshot: &Snapshot,
        route: &Route,
        tried: &mut super::checkout::Tried,
        statement: &str,
    ) -> Result<Box<Link>, StatementError> {
        let mut link = self.obtain(&self.state, &[route.writer], snapshot, tried).await?;
        self.make_fresh(&mut link).await?;
        // A reset does not take back how many rows were found on every engine.
        let statements: &[&str] = if statement.is_empty() { &["SELECT 1 LIMIT 0", "DO 0"] } else { &[statement] };
        for statement in statements {
            let said = self.worker.talk().query(&mut link, statement).await;
            said.map_err(|error| self.talk_failed(&link, error))?;
        }
        Ok(link)
    }

    /// A link as a new session would find it, but for the session's own state.
    async fn make_fresh(&self, link: &mut Link) -> Result<(), StatementError> {
        let fresh = async {
            self.worker.reset(link).await?;
            self.worker.bring(link, &self.state).await
        };
        fresh.await.map_err(|error| self.talk_failed(link, error))
    }

    /// Commits the READ ONLY transaction on the reader that the session holds, and lets it go.
    pub(super) async fn end_read_only(&mut self) -> Result<(), StatementError> {
        let Some(mut link) = self.home.take() else { return Ok(()) };
        self.home_pins = Pins::empty();
        match self.worker.talk().query(&mut link, "COMMIT").await {
            Ok(reply) => {
                self.status = reply.summary.status;
                if self.has_cursor(link.serial) {
                    self.park(link)
                } else {
                    self.release(link)
                }
                Ok(())
            }
            Err(error) => {
                let error = self.talk_failed(&link, error);
                self.discard(link);
                Err(error)
            }
        }
    }
}

/// Statements whose text shows what of a session's state they change.
const IN_SIGHT: Effects = Effects::SET_SESSION
    .union(Effects::SET_USER_VARIABLE)
    .union(Effects::TEMPORARY_TABLE)
    .union(Effects::TEXT_PREPARE)
    .union(Effects::SET_SCHEMA)
    .union(Effects::SET_AUTOCOMMIT)
    .union(Effects::SETS_INSERT_ID)
    .union(Effects::UNTRACKED_STATE);

/// True if a statement that failed has done nothing: one that was not understood, or a plain SET. Others may have gone half
/// their way.
fn has_done_nothing(effects: Effects, outcome: &Outcome) -> bool {
    let dynamic = Effects::MULTI | Effects::CALL | Effects::TEXT_PREPARE | Effects::UNKNOWN_FUNCTION;
    match outcome.error {
        Some(PARSE_ERROR) => !effects.intersects(dynamic),
        Some(_) => !effects.intersects(dynamic | Effects::READ | Effects::UNPROVEN),
        None => false,
    }
}

/// True if a server says that state changed which is no variable and no schema (a user variable, a temporary table, a
/// prepared statement), and the statement's text does not show it: a routine, a trigger or a view did it.
fn is_unexplained(plan: &Plan, changes: &Changes, is_read: bool) -> bool {
    let effects = plan.facts.effects;
    let out_of_sight = effects.intersects(OUT_OF_SIGHT) || effects.contains(Effects::MULTI) && !is_read;
    if !(changes.state_changed || changes.unreported) {
        return false;
    }
    // MariaDB's SET STATEMENT sets variables, and sets them back.
    let around = plan.digest.get(..AROUND.len()).is_some_and(|head| head.eq_ignore_ascii_case(AROUND));
    out_of_sight || !(effects.intersects(IN_SIGHT) || around || changes.schema.is_some())
}

/// How a statement begins that sets variables for itself alone.
const AROUND: &[u8] = b"SET STATEMENT";

/// Adds what was heard of changes after an answer.
fn note_changes(outcome: &mut Outcome, changes: Changes) {
    if changes == Changes::default() {
        return;
    }
    let heard = outcome.changes.get_or_insert_default();
    heard.variables.extend(changes.variables);
    heard.schema = changes.schema.or_else(|| heard.schema.take());
    heard.state_changed |= changes.state_changed;
    heard.unreported |= changes.unreported;
}

/// True if a server keeps back what a statement has changed: an EOF packet has no room for it.
fn keeps_its_report(effects: Effects, outcome: &Outcome, link: &Link) -> bool {
    outcome.ended_by_eof && effects.intersects(OUT_OF_SIGHT) && link.backend().engine() != Engine::MariaDb
}

/// True if an error does not tell whether a transaction is open.
fn is_uncertain(effects: Effects, outcome: &Outcome) -> bool {
    outcome.error.is_some() && effects.intersects(UNCERTAIN_AFTER_ERROR)
}

/// What the next statement may ask of this one's connection.
fn fleeting_pins(effects: Effects, outcome: &Outcome, simple: bool) -> Pins {
    let mut pins = Pins::empty();
    if outcome.warnings > 0 || outcome.error.is_some() {
        pins |= Pins::WARNINGS;
    }
    if effects.contains(Effects::LEAVES_FOUND_ROWS) {
        pins |= Pins::FOUND_ROWS;
    }
    if !simple && effects.intersects(Effects::WRITE | Effects::CALL | Effects::UNPROVEN | Effects::TEXT_PREPARE) {
        pins |= Pins::ROW_COUNT;
    }
    // A statement that reads what the previous left must not lose it for the next that does.
    if effects.intersects(Effects::NEEDS_WARNINGS) {
        pins |= Pins::WARNINGS;
    }
    pins
}
