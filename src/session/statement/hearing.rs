//! What a server says of a session's state after an answer, and what the router makes of it: the state is brought up to it, and
//! what cannot be carried is a pin.
//!
//! Most of it is in the answer itself. What a server keeps back is asked for, before anybody else may have the connection. The
//! rules of what follows from a report are pure and in [`crate::session::state::change`]; who keeps the connection is
//! [`super::settle`]'s to say.

use crate::backend::Engine;
use crate::protocol::capabilities::Capabilities;
use crate::protocol::command::Command;
use crate::protocol::status::Status;
use crate::rules::Plan;
use crate::session::error::SessionEnd;
use crate::session::home::name_used;
use crate::session::link::relay::{Changes, Outcome};
use crate::session::link::{Fate, Link, OF_ROUTER};
use crate::session::parts::Session;
use crate::session::parts::flight::Planned;
use crate::session::parts::left::{counts_nothing, has_own};
use crate::session::state::State;
use crate::session::state::assignment::{Assignment, read_set, read_sets};
use crate::session::state::change::{Report, apply, unsaid, unsaid_by_text};
use crate::session::state::pins::Pins;
use crate::session::state::variable::{is_needed_report, name_on};
use crate::session::worker::echo::{Asked, Echo};
use crate::sql::effects::{Effects, Verb};
use std::rc::Rc;

/// Effects after whose failure the ERR packet does not tell whether a transaction is open: the server is asked.
const UNCERTAIN_AFTER_ERROR: Effects = Effects::CALL
    .union(Effects::MULTI)
    .union(Effects::UNPROVEN)
    .union(Effects::TEXT_PREPARE)
    .union(Effects::XA)
    .union(Effects::BEGIN)
    .union(Effects::COMMIT)
    .union(Effects::ROLLBACK)
    .union(Effects::DDL)
    .union(Effects::IMPLICIT_COMMIT)
    .union(Effects::SET_SESSION)
    .union(Effects::UNTRACKED_STATE);

/// The bound on the conditions that a statement leaves, as high as it goes: a SET that sets it, run again, would leave no more than it
/// says.
const UNBOUND_CONDITIONS: &str = "SET max_error_count=65535";

/// Statements that may set what their text does not show.
const MAY_SET: Effects = Effects::OUT_OF_SIGHT.union(Effects::HIDDEN_STATE);

impl Session {
    /// True if a server must be asked before a response can be settled: what it has changed, or whether a transaction is open.
    #[inline]
    pub(in crate::session) fn must_ask(&self, planned: &Planned, outcome: &Outcome, link: &Link) -> bool {
        let effects = planned.plan.facts.effects;
        self.may_say_nothing(planned, outcome, link)
            || keeps_its_report(effects, outcome, link)
            || self.is_uncertain(effects, outcome)
            || outcome.changes.as_deref().is_some_and(|c| c.unreported || !unsaid(&c.variables).is_empty())
    }

    /// True for a SET of which MariaDB may have reported nothing: it names a variable with `@@`.
    fn may_say_nothing(&self, planned: &Planned, outcome: &Outcome, link: &Link) -> bool {
        let effects = planned.plan.facts.effects;
        effects.contains(Effects::SET_SESSION)
            && !effects.contains(Effects::MULTI)
            && outcome.error.is_none()
            && link.backend().engine() == Engine::MariaDb
            && self.text_of(planned.executing.map(|e| e.id)).windows(2).any(|mark| mark == b"@@")
    }

    /// True if an error does not tell whether a transaction is open. Without autocommit any statement may have opened one.
    fn is_uncertain(&self, effects: Effects, outcome: &Outcome) -> bool {
        outcome.error.is_some() && (effects.intersects(UNCERTAIN_AFTER_ERROR) || !self.state.autocommit)
    }

    /// Asks it.
    pub(in crate::session) async fn ask_server(&mut self, planned: &Planned, outcome: &mut Outcome, link: &mut Link) {
        let effects = planned.plan.facts.effects;
        if self.may_say_nothing(planned, outcome, link) {
            let assignments = read_set(self.text_of(planned.executing.map(|e| e.id)), self.subject.mode());
            let said = outcome.changes.as_deref().map(|c| c.variables.as_slice()).unwrap_or_default();
            let unsaid = unsaid_by_text(&assignments, said);
            if !unsaid.is_empty() {
                Box::pin(self.ask_unsaid(link, outcome, &unsaid)).await;
            }
        }
        let uncertain = self.is_uncertain(effects, outcome);
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
        let is_mysql = link.backend().engine() == Engine::MySql;
        let are_gone = link.diagnostics == OF_ROUTER || is_mysql && !unsaid.is_empty();
        if are_gone && has_own(outcome) {
            Box::pin(self.set_again(link, planned)).await;
        }
    }

    /// The router's own question has overwritten the warnings of the client's SET. The same SET, run again, brings the same
    /// warnings back.
    async fn set_again(&mut self, link: &mut Link, planned: &Planned) {
        let text = self.text_of(planned.executing.map(|e| e.id));
        let assignments = read_set(text, self.subject.mode());
        let is_repeatable = !assignments.is_empty() && Assignment::are_repeatable_at_once(&assignments);
        let sets_bound = assignments.iter().any(|assignment| assignment.sets("max_error_count"));
        let text = text.to_vec();
        // The next statement finds out what is wrong with a broken link.
        link.diagnostics = OF_ROUTER;
        if !is_repeatable || sets_bound && self.worker.talk().query(link, UNBOUND_CONDITIONS).await.is_err() {
            return;
        }
        if self.worker.talk().ask(link, Command::Query, &text).await.is_ok() {
            link.diagnostics = self.serial;
        }
    }

    /// Asks by a ping what a statement has changed and not told, and (`uncertain`) whether a transaction is open: MySQL keeps
    /// its report for the next OK packet where an EOF or ERR packet ended the statement, and that would be another
    /// statement's, or another session's.
    async fn hear_changes(&mut self, link: &mut Link, outcome: &mut Outcome, uncertain: bool) {
        match self.worker.talk().ask(link, Command::Ping, b"").await {
            Ok(reply) => {
                note_changes(outcome, reply.changes);
                if uncertain {
                    outcome.status = Some(reply.summary.status);
                }
                self.uncount_rows(link, outcome).await;
            }
            // The next statement finds out what is wrong with the link; until then nobody else gets it.
            Err(_) => note_changes(outcome, Changes { unreported: true, ..Changes::default() }),
        }
    }

    /// After rows and after an error `ROW_COUNT()` is -1, and after a ping or a SET 0: it is made -1 again, by a command that sets what is set.
    async fn uncount_rows(&mut self, link: &mut Link, outcome: &Outcome) {
        if !counts_nothing(outcome) {
            return;
        }
        let is_on = link.key.shape.contains(Capabilities::MULTI_STATEMENTS);
        // The next statement finds out what is wrong with a broken link.
        let _ = self.worker.talk().ask(link, Command::SetOption, &u16::from(!is_on).to_le_bytes()).await;
    }

    /// MariaDB says in an EOF packet that something changed, and keeps what it was until another variable is set: so one is,
    /// to the value that it has.
    async fn flush_report(&mut self, link: &mut Link, outcome: &mut Outcome) {
        let Ok(reply) = self.worker.talk().query(link, "SET sql_warnings=@@sql_warnings").await else { return };
        note_changes(outcome, Changes { state_changed: false, ..reply.changes });
        self.uncount_rows(link, outcome).await;
    }

    /// Asks for variables that may have changed beside a reported one: they are set to what they are, which the server reports. A SELECT
    /// would change what `ROW_COUNT()` and `FOUND_ROWS()` say.
    async fn ask_unsaid(&mut self, link: &mut Link, outcome: &mut Outcome, unsaid: &[&str]) {
        let engine = link.backend().engine();
        let set: Vec<String> = unsaid.iter().map(|name| name_on(name, engine)).map(|n| format!("{n}=@@{n}")).collect();
        let reply = self.worker.talk().query(link, &format!("SET {}", set.join(","))).await;
        let said = reply.map(|reply| reply.changes.variables).unwrap_or_default();
        let changes = outcome.changes.get_or_insert_default();
        // Whatever is missing is not known.
        changes.unreported |= !unsaid.iter().all(|name| said.iter().any(|(said, _)| *said == name_on(name, engine)));
        changes.variables.extend(said);
    }

    /// What the statement set: brings the session's state up to it, as far as it can be carried. Gives the pins for the rest.
    pub(in crate::session) fn apply_state(
        &mut self,
        link: &mut Link,
        plan: &Plan,
        executing: Option<u32>,
        outcome: &Outcome,
    ) -> Pins {
        let effects = plan.facts.effects;
        let is_set = effects.contains(Effects::SET_SESSION) && outcome.error.is_none();
        // Several statements of which every one can be read: what they set is in their texts.
        let is_read = effects.contains(Effects::MULTI) && !effects.intersects(MAY_SET | Effects::DDL);
        let assignments = match plan.facts.verb {
            Verb::Set if is_set && !effects.contains(Effects::MULTI) => {
                read_set(self.text_of(executing), self.subject.mode())
            }
            _ if is_set && is_read => read_sets(self.text_of(executing), self.subject.mode()),
            _ => Vec::new(),
        };
        let mut pins = Pins::empty();
        if is_set && assignments.is_empty() && !effects.contains(Effects::MULTI) {
            pins |= Pins::UNTRACKED_STATE;
        }
        let reports_schema = outcome.changes.as_deref().is_some_and(|changes| changes.schema.is_some());
        if effects.contains(Effects::SET_SCHEMA) && outcome.error.is_none() && !reports_schema {
            self.note_unreported_schema(link, executing);
        }
        let Some(changes) = outcome.changes.as_deref() else {
            if !assignments.is_empty() {
                pins |= apply(&mut self.state.values.clone(), &assignments, Report::default());
            }
            return pins;
        };
        let mut values = self.state.values.clone();
        // What stood around a statement is set back behind it, which MariaDB does not always report.
        let is_set_back = is_around(plan) && !effects.contains(Effects::UNTRACKED_STATE);
        let variables = if is_set_back { &[] } else { changes.variables.as_slice() };
        let report = Report { variables, schema: changes.schema.as_deref() };
        pins |= apply(&mut values, &assignments, report);
        if changes.variables.iter().any(|(name, said)| is_needed_report(name) && said != "ON") {
            // What it does from now on is not reported, to whichever schema it goes: nobody else gets the connection.
            link.fate.set(Fate::Closed);
        }
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
            self.enter(self.worker.states.intern(values));
        }
        let repeats = is_set && executing.is_none() && assignments.iter().all(Assignment::is_repeatable);
        if repeats && !assignments.is_empty() && pins.is_empty() && outcome.warnings == 0 && changes.schema.is_none() {
            self.keep_echo(&before, link, changes);
        }
        pins
    }

    /// A USE has succeeded and the server did not report it, because the session has switched that report off. The schema is noted by
    /// the text.
    #[cold]
    fn note_unreported_schema(&mut self, link: &mut Link, executing: Option<u32>) {
        let used: Option<String> = match self.inbox.payload().split_first() {
            Some((&command, name)) if command == Command::InitDb as u8 => String::from_utf8(name.to_vec()).ok(),
            _ => name_used(self.text_of(executing), self.subject.mode()),
        };
        let Some(name) = used else { return };
        let state = self.worker.states.intern(self.state.values.in_schema(Some(name.into())));
        link.state = Rc::clone(&state);
        self.enter(state);
    }

    /// Remembers what a server answered to a SET, for the next that is the same.
    fn keep_echo(&self, before: &Rc<State>, link: &Link, changes: &Changes) {
        let is_free = self.holdings.home().is_none() && !self.status.contains(Status::IN_TRANSACTION);
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
    pub(in crate::session) async fn answer_by_echo(&mut self, planned: &Planned) -> Option<Result<(), SessionEnd>> {
        let nothing_held = self.holdings.is_free() && !self.left.outlasts(Verb::Set, planned.request.effects);
        if !nothing_held || planned.executing.is_some() {
            return None;
        }
        let hostgroup = *planned.route.tiers.first()?;
        let asked = Asked { account: self.account_number, hostgroup, text: self.statement_text() };
        let echo = self.worker.echoes.get(&self.state, asked)?;
        self.enter(Rc::clone(&echo.to));
        self.status = echo.status;
        self.answered();
        self.tally_answered(&planned.plan, &planned.route);
        Some(self.send_ok_with(b"", &echo.reported, None).await)
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

/// True if a server says that state changed which is no variable and no schema (a user variable, a temporary table, a
/// prepared statement), and the statement's text does not show it: a routine, a trigger or a view did it.
fn is_unexplained(plan: &Plan, changes: &Changes, is_read: bool) -> bool {
    let effects = plan.facts.effects;
    // PREPARE and DEALLOCATE run nothing.
    let prepares = matches!(plan.facts.verb, Verb::Prepare | Verb::Deallocate) && !effects.contains(Effects::MULTI);
    let out_of_sight = !prepares && effects.intersects(MAY_SET) || effects.contains(Effects::MULTI) && !is_read;
    if !(changes.state_changed || changes.unreported) {
        return false;
    }
    out_of_sight || !(effects.intersects(IN_SIGHT) || is_around(plan) || has_set_var(plan) || changes.schema.is_some())
}

/// True for a read with MySQL's optimizer hint SET_VAR, which sets a variable for the statement alone: the server says that state
/// changed, and names nothing.
fn has_set_var(plan: &Plan) -> bool {
    if !Effects::READER_SAFE.contains(plan.facts.effects) {
        return false;
    }
    let has = |text: &[u8]| plan.digest.windows(text.len()).any(|part| part.eq_ignore_ascii_case(text));
    has(b"/*+") && has(b"SET_VAR")
}

/// True for MariaDB's SET STATEMENT, which sets variables, and sets them back.
pub(super) fn is_around(plan: &Plan) -> bool {
    plan.digest.get(..AROUND.len()).is_some_and(|head| head.eq_ignore_ascii_case(AROUND))
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
    outcome.ended_by_eof && effects.intersects(MAY_SET) && link.backend().engine() != Engine::MariaDb
}
