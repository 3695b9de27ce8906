//! Prepared statements. They belong to the session: a client's statement number is the session's own, and the statement is
//! prepared on a backend when it is first needed there.
//!
//! A link remembers what its server has prepared by the number of the text (and of what the text's meaning depends on), so
//! sessions that share links share their statements too. Parameter types are kept and sent again where a link's server
//! has others in mind; long data is kept until the next execution, whatever becomes of that. What a text means (which tables
//! its names are, how its quotes are read) is settled when the client prepares it: [`remote`](super::remote) prepares it
//! again under the same schema and modes, and it is planned as the session was then. Cursors are in [`cursor`](super::cursor).

use super::Session;
use super::cursor::Cursors;
use super::error::{SessionEnd, StatementError};
use super::exchange::{Delivered, Failed, Request};
use super::flight::Planned;
use super::link::Link;
use super::link::relay::Outcome;
use super::link::text::{Text, Told};
use super::memory::Share;
use super::snapshot::Snapshot;
use super::state::State;
use super::state::pins::Pins;
use super::statement::UNPLACED;
use crate::protocol::codec::{HEADER, put_packet};
use crate::protocol::command::Command;
use crate::protocol::prepared::{CURSOR_FLAGS, Execute, STATEMENT_ID, Value, read_values};
use crate::protocol::tracker::Expect;
use crate::rules::{Execution, Plan, Route, Subject};
use crate::sql::digest::Digest;
use crate::sql::effects::Effects;
use crate::sql::predicate::BoundValue;
use hashbrown::HashMap;
use std::collections::BTreeMap;
use std::rc::Rc;

/// One of a session's prepared statements.
pub struct Statement {
    /// Its text.
    pub(super) text: Rc<[u8]>,
    /// The number by which links know it; good while `known` lives.
    pub(super) number: u64,
    pub(super) known: Rc<Text>,
    /// What the session had set when it was prepared: names in it resolve by that.
    pub(super) state: Rc<State>,
    /// Whom and under what it is planned for: the session as it was then. Boxed: needed once for each version of the rules.
    subject: Box<Subject>,
    parameters: u16,
    /// The types of the last execution that sent some; the same allocation for all statements of this text that agree.
    types: Option<Rc<[u8]>>,
    /// Parameters sent ahead, by their place: all pieces of each.
    pub(super) long_data: BTreeMap<u16, Vec<u8>>,
    pub(super) plan: Rc<Plan>,
    /// The route, where the text alone decides it.
    settled: Option<Rc<Route>>,
}

/// A session's prepared statements.
#[derive(Default)]
pub struct Statements {
    pub(super) by_id: HashMap<u32, Statement, foldhash::fast::FixedState>,
    last_id: u32,
    pub(super) long_data_bytes: usize,
    /// What they have taken of the process's memory.
    pub(super) long_data_share: Option<Box<Share>>,
    /// Open cursors, and the connections that are kept for them alone.
    pub(super) cursors: Cursors,
}

/// An execution that is about to run.
#[derive(Clone, Copy)]
pub(super) struct Executing {
    /// The client's number.
    pub id: u32,
    /// It brings its parameters' types, or there are none to bring.
    brings_types: bool,
    /// Some of its parameters were sent ahead.
    pub long_data: bool,
    /// It asks for a cursor.
    pub cursor: bool,
}

impl Session {
    pub(super) fn statement(&self, id: u32, command: &'static str) -> Result<&Statement, StatementError> {
        self.prepared.as_ref().and_then(|p| p.by_id.get(&id)).ok_or(StatementError::UnknownStatement(id, command))
    }

    /// The text of a prepared statement; empty where there is none.
    pub(super) fn statement_of(&self, id: u32) -> &[u8] {
        self.prepared.as_ref().and_then(|p| p.by_id.get(&id)).map_or(&[], |statement| &statement.text)
    }

    /// The statement number in the present request.
    pub(super) fn requested_id(&self) -> Result<u32, StatementError> {
        match self.inbox.payload().get(STATEMENT_ID..STATEMENT_ID + 4) {
            Some(&[a, b, c, d]) => Ok(u32::from_le_bytes([a, b, c, d])),
            _ => Err(StatementError::Malformed),
        }
    }

    /// COM_STMT_PREPARE.
    pub(super) async fn prepare(&mut self) -> Result<(), SessionEnd> {
        self.worker.stats.counters.front.prepare.inc();
        let snapshot = self.worker.snapshot();
        let statements = self.prepared.get_or_insert_default();
        let limit = snapshot.settings.max_statements;
        if statements.by_id.len() >= limit {
            return Err(StatementError::TooManyStatements(limit).into());
        }
        statements.last_id = statements.last_id.wrapping_add(1).max(1);
        while statements.by_id.contains_key(&statements.last_id) {
            statements.last_id = statements.last_id.wrapping_add(1).max(1);
        }
        let id = statements.last_id;
        let text: Rc<[u8]> = self.inbox.payload().get(1..).unwrap_or_default().into();
        let (plan, route) = self.plan_prepared(&snapshot, &self.subject, &text, &[]);
        if self.is_answered(&route) && route.ok_msg.is_none() && route.rule_id.is_some() && route.tiers.is_empty() {
            // Refused by a rule of its own: at once, as the statement would be. What only the values can decide waits.
            if !plan.follows_from_text() {
                tracing::debug!("a route that depends on values is decided at execution");
            } else {
                return Err(StatementError::Refused(route.refusal.as_deref().unwrap_or_default().to_owned()).into());
            }
        }
        let route = prepare_route(&route);
        // Preparing runs nothing: it needs no previous result and opens no transaction.
        let request = Request {
            frames: Vec::new(),
            sequence: self.inbox.sequence(),
            expect: Expect::Prepare,
            statement_id: Some(id),
            effects: if route.reader_safe { Effects::READ } else { Effects::WRITE },
        };
        self.run_prepare(&snapshot, plan, &route, request, id, text).await
    }

    async fn run_prepare(
        &mut self,
        snapshot: &Snapshot,
        plan: Rc<Plan>,
        route: &Rc<Route>,
        mut request: Request,
        id: u32,
        text: Rc<[u8]>,
    ) -> Result<(), SessionEnd> {
        let (number, known) = self.text_number(&self.state, &self.keyed(&plan, &text), id);
        let limit = snapshot.settings.max_statements_per_connection;
        let mut tried = super::checkout::Tried::default();
        let effects = plan.facts.effects;
        loop {
            let held = self.home.is_some() && (self.home_pins.intersects(Pins::EVERYTHING) || !route.reader_safe);
            let mut link = if held {
                self.home.take().ok_or(StatementError::Malformed)?
            } else {
                match self.ready_link(&route.tiers, snapshot).filter(|_| tried.backends.is_empty()) {
                    Some(link) => link,
                    None => self.obtain(&self.state, &route.tiers, snapshot, &mut tried).await?,
                }
            };
            self.make_room(&mut link, number, limit).await;
            self.worker.stats.counters.behind.prepare.inc();
            self.put_own(&plan.facts, Command::Prepare, &text, &mut request, &link);
            match self.exchange(&mut link, &request).await {
                Ok(outcome) => {
                    if outcome.warnings > 0 || outcome.error.is_some() {
                        link.diagnostics = self.serial;
                        self.left.note(link.backend().engine(), false, Effects::empty(), &outcome);
                        self.previous = link.serial;
                    }
                    if let Some((remote, columns, parameters)) = outcome.prepared {
                        link.remember(remote, number, &known);
                        known.tell(|| Told {
                            schema: self.state.values.schema.clone().unwrap_or_default(),
                            user: self.account.name().into(),
                            digest: plan.hash,
                            columns,
                            parameters,
                            text: Rc::clone(&text),
                        });
                        let settled = plan.settled().cloned();
                        let statement = Statement {
                            text,
                            number,
                            known,
                            state: Rc::clone(&self.state),
                            subject: Box::new(self.subject.clone()),
                            parameters,
                            types: None,
                            long_data: BTreeMap::new(),
                            plan,
                            settled,
                        };
                        self.prepared.get_or_insert_default().by_id.insert(id, statement);
                    }
                    let names_variables = effects.contains(Effects::SET_USER_VARIABLE);
                    if held {
                        self.home = Some(link);
                        if names_variables {
                            self.note_things(Effects::SET_USER_VARIABLE, Some(id));
                            self.home_pins |= self.things.pins();
                        }
                    } else if names_variables {
                        // To prepare an assignment makes the variable, which another session would find.
                        self.give_up_stained(link);
                    } else {
                        self.release(link)
                    }
                    return Ok(());
                }
                Err(Failed::Client(end)) => {
                    self.discard(link);
                    return Err(end);
                }
                Err(Failed::Backend(failure)) => {
                    let backend = std::sync::Arc::clone(link.backend());
                    backend.failed(crate::backend::health::Cause::Connection(failure.why.clone()));
                    let mut lost = self.lost(&link, &failure.why);
                    self.discard(link);
                    if failure.delivered != Delivered::Nothing {
                        return Err(SessionEnd::HalfAnswered { backend: backend.name.to_string(), why: failure.why });
                    }
                    if held {
                        if let StatementError::Lost { pins, .. } = &mut lost {
                            *pins = std::mem::take(&mut self.home_pins);
                        }
                        return Err(lost.into());
                    }
                    // Nothing ran: preparing again elsewhere is always safe.
                    if tried.why == failure.why {
                        tried.backends.push(backend.id);
                    }
                    tried.why = failure.why;
                }
            }
        }
    }

    /// The plan and the route of a prepared statement, for these values.
    fn plan_prepared(
        &self,
        snapshot: &Snapshot,
        subject: &Subject,
        text: &[u8],
        params: &[BoundValue<'_>],
    ) -> (Rc<Plan>, Rc<Route>) {
        let mut plans = self.worker.plans.borrow_mut();
        let found = plans.lookup(subject, text, &snapshot.rules);
        let route = match (found.route, found.digest) {
            (Some(route), _) => route,
            (None, digest) => {
                let mut own = Digest::default();
                let digest = match digest {
                    Some(digest) => digest,
                    None => {
                        own.read(text, subject.mode());
                        &own
                    }
                };
                let time_zone = self.time_zone(snapshot);
                found.plan.route(&Execution { sql: text, digest, params, clock: &|| self.now(), time_zone })
            }
        };
        (found.plan, route)
    }

    /// COM_STMT_EXECUTE, with whatever stands beside it. What was sent ahead for it is used up, served or not: a client that tries again sends it again.
    pub(super) async fn execute(&mut self) -> Result<(), SessionEnd> {
        self.worker.stats.counters.front.execute.inc();
        let id = self.requested_id()?;
        let result = self.execute_statement(id).await;
        if self.prepared.as_ref().is_some_and(|p| p.long_data_bytes > 0) {
            self.forget_long_data(id);
        }
        result
    }

    async fn execute_statement(&mut self, id: u32) -> Result<(), SessionEnd> {
        let executing = self.keep_types(id)?;
        if self.prepared.as_ref().is_some_and(|p| !p.cursors.is_empty()) {
            Box::pin(self.make_way(id)).await?;
        }
        let planned = self.plan_with_values(executing)?;
        self.run_planned(planned, None).await
    }

    /// The plan of a COM_STMT_EXECUTE that has nothing beside it: nothing was sent ahead, no cursor is open. None for others, and
    /// for those that are wrong: [`Session::execute`] says what is.
    #[inline]
    pub(super) fn plan_plain_execution(&mut self) -> Option<Planned> {
        let statements = self.prepared.as_ref()?;
        if statements.long_data_bytes > 0 || !statements.cursors.is_empty() {
            return None;
        }
        let executing = self.keep_types(self.requested_id().ok()?).ok()?;
        let planned = self.plan_with_values(executing).ok()?;
        self.worker.stats.counters.front.execute.inc();
        Some(planned)
    }

    fn plan_with_values(&mut self, executing: Executing) -> Result<Planned, StatementError> {
        let snapshot = self.worker.snapshot();
        let (plan, route) = self.plan_execution(&snapshot, executing.id)?;
        let expect = if executing.cursor { Expect::Cursor } else { Expect::Results };
        let request = self.as_it_came(expect, plan.facts.effects);
        Ok(Planned { snapshot, plan, route, request, executing: Some(executing), placed: UNPLACED })
    }

    /// Keeps the types that an execution brings.
    fn keep_types(&mut self, id: u32) -> Result<Executing, StatementError> {
        let statement = self
            .prepared
            .as_mut()
            .and_then(|p| p.by_id.get_mut(&id))
            .ok_or(StatementError::UnknownStatement(id, "mysqld_stmt_execute"))?;
        let execute =
            Execute::read(self.inbox.payload(), statement.parameters).map_err(|_| StatementError::Malformed)?;
        match (execute.types, &statement.types) {
            (Some(new), Some(old)) if **old == *new => {}
            (Some(new), _) => statement.types = Some(statement.known.types(new)),
            (None, None) if statement.parameters > 0 => return Err(StatementError::Malformed),
            (None, _) => {}
        }
        let brings_types = execute.types.is_some() || statement.parameters == 0;
        let cursor = execute.flags & CURSOR_FLAGS != 0;
        Ok(Executing { id, brings_types, long_data: !statement.long_data.is_empty(), cursor })
    }

    /// The route of an execution: the statement's own, or one for these values.
    fn plan_execution(&mut self, snapshot: &Snapshot, id: u32) -> Result<(Rc<Plan>, Rc<Route>), StatementError> {
        let statement = self.statement(id, "mysqld_stmt_execute")?;
        if let Some(route) = &statement.settled
            && statement.plan.is_of(&snapshot.rules)
        {
            return Ok((Rc::clone(&statement.plan), Rc::clone(route)));
        }
        let execute =
            Execute::read(self.inbox.payload(), statement.parameters).map_err(|_| StatementError::Malformed)?;
        let mut values = Vec::new();
        let long = |index: usize| u16::try_from(index).is_ok_and(|index| statement.long_data.contains_key(&index));
        let types = statement.types.as_deref().unwrap_or_default();
        read_values(&execute, types, long, &mut values).map_err(|_| StatementError::Malformed)?;
        let params: Vec<BoundValue<'_>> = values.iter().map(bound).collect();
        let (plan, route) = self.plan_prepared(snapshot, &statement.subject, &statement.text, &params);
        if let Some(statement) = self.prepared.as_mut().and_then(|p| p.by_id.get_mut(&id)) {
            statement.settled = plan.settled().cloned();
            statement.plan = Rc::clone(&plan);
        }
        Ok((plan, route))
    }

    /// Writes the server's own number into the request, where its server has the statement prepared and knows the types:
    /// the way of nearly every execution. False if there is more to do.
    pub(super) fn is_ready(&mut self, link: &mut Link, executing: &Executing, request: &mut Request) -> bool {
        let Some(statement) = self.prepared.as_ref().and_then(|p| p.by_id.get(&executing.id)) else { return false };
        let Some(remote) = link.prepared.get_mut(&statement.number) else { return false };
        if remote.types != statement.types {
            if !executing.brings_types {
                return false;
            }
            remote.types.clone_from(&statement.types);
        }
        if executing.long_data {
            return false;
        }
        link.uses += 1;
        remote.used = link.uses;
        self.inbox.patch(STATEMENT_ID, &remote.id.to_le_bytes());
        request.frames.clear();
        true
    }

    /// Makes a link ready for an execution, and the request with the server's own number in it.
    pub(super) async fn ready_execution(
        &mut self,
        link: &mut Link,
        executing: &Executing,
        request: &mut Request,
    ) -> Result<(), SessionEnd> {
        let number = self.statement(executing.id, "mysqld_stmt_execute")?.number;
        if !link.prepared.contains_key(&number) {
            let limit = self.worker.snapshot().settings.max_statements_per_connection;
            self.prepare_on(link, executing.id, limit).await?;
        }
        let statement = self.statement(executing.id, "mysqld_stmt_execute")?;
        let Some(remote) = link.prepared.get_mut(&number) else { return Err(StatementError::Malformed.into()) };
        link.uses += 1;
        remote.used = link.uses;
        let remote_id = remote.id;
        let has_types = executing.brings_types || remote.types == statement.types;
        remote.types.clone_from(&statement.types);
        if has_types {
            self.inbox.patch(STATEMENT_ID, &remote_id.to_le_bytes());
            request.frames.clear();
        } else {
            let payload = self.inbox.payload();
            let execute = Execute::read(payload, statement.parameters).map_err(|_| StatementError::Malformed)?;
            let types = statement.types.as_deref().unwrap_or_default();
            let (frames, sequence) = with_types(payload, &execute, types, remote_id);
            request.frames = frames;
            request.sequence = sequence;
        }
        if executing.long_data {
            self.replay_long_data(link, executing.id, remote_id).await?;
        }
        Ok(())
    }

    /// An execution has been answered: notes the cursor that it opened. After an error the server may not have come as far
    /// as the types: they are sent again next time, and a statement that it does not know any more is prepared again.
    pub(super) fn note_execution(&mut self, executing: &Executing, link: &mut Link, outcome: &Outcome) {
        self.worker.stats.counters.behind.execute.inc();
        if executing.cursor {
            self.note_cursor(executing.id, link.serial, outcome);
        }
        let Some(code) = outcome.error else { return };
        let Ok(number) = self.statement(executing.id, "mysqld_stmt_execute").map(|s| s.number) else { return };
        if code == UNKNOWN_STATEMENT {
            link.prepared.remove(&number);
        } else if let Some(remote) = link.prepared.get_mut(&number) {
            remote.types = None;
        }
    }

    /// Forgets a statement.
    pub(super) fn remove_statement(&mut self, id: u32) {
        self.forget_long_data(id);
        if let Some(statement) = self.prepared.as_mut().and_then(|p| p.by_id.remove(&id)) {
            drop(statement.known);
        }
    }

    /// The number by which links know a text prepared in this state. A text whose cursor is open is left to that: the same
    /// text under another statement number gets a number of its own, and so is prepared beside it.
    pub(super) fn text_number(&self, state: &State, text: &[u8], id: u32) -> (u64, Rc<Text>) {
        let mut key = super::remote::text_key(state, text);
        let (number, known) = self.worker.text_number(&key);
        if !self.prepared.as_ref().is_some_and(|p| p.cursors.holds(number, id)) {
            return (number, known);
        }
        key.push(0);
        key.extend_from_slice(&self.serial.to_le_bytes());
        key.extend_from_slice(&id.to_le_bytes());
        self.worker.text_number(&key)
    }

    /// Gives a statement a number of its own where its text's is taken by another's cursor.
    pub(super) fn renumber(&mut self, id: u32) -> Result<(), StatementError> {
        let statement = self.statement(id, "mysqld_stmt_execute")?;
        let key = self.keyed(&statement.plan, &statement.text);
        let (number, known) = self.text_number(&statement.state, &key, id);
        if let Some(statement) = self.prepared.as_mut().and_then(|p| p.by_id.get_mut(&id)) {
            (statement.number, statement.known) = (number, known);
        }
        Ok(())
    }
}

/// ER_UNKNOWN_STMT_HANDLER: a server has no prepared statement of that number, or of that name.
pub(super) const UNKNOWN_STATEMENT: u16 = 1243;
/// Where an execution's payload has its cursor flags.
pub(super) const FLAGS: usize = STATEMENT_ID + 4;

/// Preparing runs nothing: it needs a server that knows the tables, and any hostgroup of the route does, those too that a
/// horizon takes out until the values are known, and the writer last. What may not run on a reader is prepared on the
/// writer, where it will run.
fn prepare_route(route: &Rc<Route>) -> Rc<Route> {
    let mut own = (**route).clone();
    let mut tiers: Vec<u32> = route.tiers.to_vec();
    if route.reader_safe {
        tiers.extend(route.excluded.iter().chain([&route.writer]));
    } else if tiers.is_empty() {
        tiers.push(route.writer);
    }
    own.tiers = tiers.into();
    own.refusal = None;
    Rc::new(own)
}

/// The execution with the server's number and with types; frames, and the last one's sequence number.
fn with_types(payload: &[u8], execute: &Execute<'_>, types: &[u8], remote: u32) -> (Vec<u8>, u8) {
    let at = execute.types_at.unwrap_or(payload.len());
    let mut out = Vec::with_capacity(payload.len() + types.len());
    out.extend_from_slice(&payload[..at]);
    out[STATEMENT_ID..STATEMENT_ID + 4].copy_from_slice(&remote.to_le_bytes());
    out.push(1);
    out.extend_from_slice(types);
    out.extend_from_slice(execute.values);
    let mut frames = Vec::with_capacity(out.len() + HEADER);
    let next = put_packet(&mut frames, &out, 0);
    (frames, next.wrapping_sub(1))
}

fn bound<'a>(value: &Value<'a>) -> BoundValue<'a> {
    match *value {
        Value::Null => BoundValue::Null,
        Value::Int(v) => BoundValue::Int(v),
        Value::UInt(v) => BoundValue::UInt(v),
        Value::Double(v) => BoundValue::Double(v),
        Value::Bytes(v) => BoundValue::Bytes(v),
        Value::DateTime(y, mo, d, h, mi, s, us) => BoundValue::DateTime(y, mo, d, h, mi, s, us),
        Value::Opaque => BoundValue::Opaque,
    }
}
