//! Statements that may have to wait: for a link, for a link to be made ready, for another server. [`super::flight`] is the short
//! way, which most take; whatever it meets is taken up here, in the same order of steps.

use super::Session;
use super::checkout::{Tried, name_hostgroups};
use super::error::{SessionEnd, StatementError};
use super::exchange::{Delivered, Failure, Request};
use super::flight::{Flight, Planned};
use super::link::Link;
use super::link::conversation::TalkError;
use super::place::{Held, Place, Standing, Why};
use super::prepared::{Executing, FLAGS};
use super::snapshot::Snapshot;
use super::state::pins::Pins;
use crate::backend::Engine;
use crate::backend::health::Cause;
use crate::protocol::codec::HEADER;
use crate::protocol::command::Command;
use crate::protocol::tracker::Expect;
use crate::rules::{Holds, Plan, Reason, Route};
use crate::sql::effects::{Effects, Verb};
use std::rc::Rc;
use std::time::Instant;

/// Where a statement goes before its session has been asked: nowhere yet.
pub(super) const UNPLACED: (Place, Why) = (Place::Refuse, Why::Route);

/// Where a link for a request came from.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum From {
    /// The pool, or new.
    Pool,
    /// The session's home.
    Home,
    /// The previous statement's connection.
    Last,
}

impl Session {
    /// The plan of a COM_QUERY; none for one that asks what a plan would be.
    #[inline]
    pub(super) fn plan_query(&self) -> Option<Planned> {
        let text = self.inbox.payload().get(1..).unwrap_or_default();
        if super::explain::is_explain_route(text) {
            return None;
        }
        let snapshot = self.worker.snapshot();
        let (plan, route) = self.plan(&snapshot, text);
        let request = self.as_it_came(Expect::Results, plan.facts.effects);
        Some(Planned { snapshot, plan, route, request, executing: None, placed: UNPLACED })
    }

    /// The client's request as it came.
    #[inline]
    pub(super) fn as_it_came(&self, expect: Expect, effects: Effects) -> Request {
        Request { frames: Vec::new(), sequence: self.inbox.sequence(), expect, statement_id: None, effects }
    }

    /// The plan and the route of a statement as text.
    pub(super) fn plan(&self, snapshot: &Snapshot, text: &[u8]) -> (Rc<Plan>, Rc<Route>) {
        let mut plans = self.worker.plans.borrow_mut();
        plans.route(&self.subject, text, &snapshot.rules, &|| self.now(), self.time_zone(snapshot))
    }

    /// What NOW() is for this session. One that has set its own `timestamp` gets the end of time, so that no bound
    /// relative to NOW() is ever proven recent.
    pub(super) fn now(&self) -> jiff::Timestamp {
        if self.state.has_own_clock() { jiff::Timestamp::MAX } else { jiff::Timestamp::now() }
    }

    /// The session's time zone, or the servers' where it has set none.
    pub(super) fn time_zone<'a>(&'a self, snapshot: &'a Snapshot) -> &'a jiff::tz::TimeZone {
        self.state.time_zone.as_ref().unwrap_or(&snapshot.settings.time_zone)
    }

    /// True if the route answers the statement instead of sending it on. What is refused because no hostgroup is proven to
    /// hold all its rows may still run where an open transaction (or another pin that holds all) has the session anyway.
    pub(super) fn is_answered(&self, route: &Route) -> bool {
        route.is_answered()
            && !(matches!(route.reason, Reason::BeyondHorizon { .. })
                && route.writer_holds == Holds::Unknown
                && self.home.is_some()
                && self.home_pins.intersects(Pins::EVERYTHING))
    }

    /// A rule's own answer.
    pub(super) async fn answered_by_rule(&mut self, plan: &Plan, route: &Route) -> Result<(), SessionEnd> {
        self.tally_answered(plan, route);
        match (&route.refusal, &route.ok_msg) {
            (Some(text), _) => Err(StatementError::Refused(text.to_string()).into()),
            (None, Some(text)) => self.send_ok(text.as_bytes()).await,
            (None, None) => self.send_ok(b"").await,
        }
    }

    /// What of this session decides about the place of a statement with this route.
    pub(super) fn standing(&self, snapshot: &Snapshot, route: &Route) -> Standing {
        let held = |link: &Link, pins| Held { hostgroup: link.hostgroup, writer: link.writer, pins };
        Standing {
            home: self.home.as_deref().map(|l| held(l, self.home_pins)),
            last: self.last.as_deref().map(|l| held(l, self.last_pins)),
            previous_at_home: self.previous_at_home,
            wrote_lately: self.wrote_lately(snapshot, route.writer),
            autocommit_off: !self.state.autocommit,
        }
    }

    /// Runs a statement that did not get away at once: answers it if that is the router's to do, and else has it run. A link
    /// may be at hand, if only it were ready.
    pub(super) async fn run_planned(
        &mut self,
        mut planned: Planned,
        at_hand: Option<(Box<Link>, From)>,
    ) -> Result<(), SessionEnd> {
        if at_hand.is_none() && planned.placed == UNPLACED {
            if self.is_answered(&planned.route) {
                return Box::pin(self.answered_by_rule(&planned.plan, &planned.route)).await;
            }
            let facts = &planned.plan.facts;
            if planned.executing.is_none() && facts.verb == Verb::Kill {
                return Box::pin(self.kill()).await;
            }
            if planned.executing.is_none() && facts.verb == Verb::Use && Box::pin(self.use_schema()).await? {
                self.tally_answered(&planned.plan, &planned.route);
                return Ok(());
            }
            if facts.verb == Verb::Set
                && let Some(answered) = Box::pin(self.answer_by_echo(&planned)).await
            {
                return answered;
            }
            if let Some(executing) = planned.executing.as_mut().filter(|e| e.cursor)
                && !Box::pin(self.may_open_cursor(facts.effects)).await
            {
                // A server, too, may answer with all rows at once.
                self.inbox.patch(FLAGS, &[0]);
                executing.cursor = false;
                planned.request.expect = Expect::Results;
            }
            self.locate(&mut planned);
        }
        self.run_with(planned, at_hand, Tried::default()).await
    }

    /// Finds a link for a statement, runs it there, and settles what it did; and again elsewhere, where that is safe.
    pub(super) async fn run_with(
        &mut self,
        mut planned: Planned,
        mut at_hand: Option<(Box<Link>, From)>,
        mut tried: Tried,
    ) -> Result<(), SessionEnd> {
        loop {
            let mut flight = self.board(planned, at_hand.take(), &mut tried).await?;
            let Flight { link, planned: Planned { request, .. }, writing, .. } = &mut flight;
            let flown = self.see_through(link, request, writing).await;
            match self.conclude(flight, flown, &mut tried).await? {
                Some(again) => planned = again,
                None => return Ok(()),
            }
        }
    }

    /// Finds a link for a statement and makes it ready.
    async fn board(
        &mut self,
        mut planned: Planned,
        mut at_hand: Option<(Box<Link>, From)>,
        tried: &mut Tried,
    ) -> Result<Flight, SessionEnd> {
        loop {
            let (mut link, from) = match at_hand.take().or_else(|| self.look_for_link(&planned, tried)) {
                Some(at_hand) => at_hand,
                None => {
                    let from = Instant::now();
                    let link = Box::pin(self.link_for(&planned, tried)).await;
                    let link = link.map_err(|end| self.tally_unserved(&planned.route, end))?;
                    self.waited += from.elapsed();
                    link
                }
            };
            let Some(executing) = planned.executing else {
                self.put_own_query(&planned.plan.facts, &mut planned.request, &link);
                return Ok(self.take_off(link, from, planned));
            };
            if self.is_ready(&mut link, &executing, &mut planned.request) {
                return Ok(self.take_off(link, from, planned));
            }
            match self.ready_timed(&mut link, &executing, &mut planned.request).await {
                Ok(()) => return Ok(self.take_off(link, from, planned)),
                // Nothing of the execution has left: a link that broke while it was made ready is no verdict on it.
                Err(SessionEnd::Statement(StatementError::Lost { why, .. })) => {
                    let failure = Failure { sent: false, delivered: Delivered::Nothing, why };
                    self.after_failure(link, from, &planned.route, failure, tried)?;
                }
                Err(end) => return Err(self.give_back(link, from, end)),
            }
        }
    }

    /// A link that is there and needs no talk, though it may not be the first that is tried.
    fn look_for_link(&mut self, planned: &Planned, tried: &Tried) -> Option<(Box<Link>, From)> {
        let Planned { snapshot, route, request, executing, placed: (place, _), .. } = planned;
        let is_first = tried.backends.is_empty();
        let parked =
            if is_first && executing.is_some_and(|e| e.cursor) { self.parked_for(*place, route) } else { None };
        let at_home = *place == Place::Home;
        parked.or_else(|| {
            (is_first || at_home).then(|| self.link_at_hand(*place, request.effects, route, snapshot)).flatten()
        })
    }

    /// The link that a place means, where it needs no talk and no wait: the way of nearly every statement.
    pub(super) fn link_at_hand(
        &mut self,
        place: Place,
        effects: Effects,
        route: &Route,
        snapshot: &Snapshot,
    ) -> Option<(Box<Link>, From)> {
        let unclean = effects.intersects(Effects::NEEDS_INSERT_ID);
        match place {
            Place::Route if !effects.intersects(ONE_ENGINE) => {
                self.ready_link(&route.tiers, snapshot).map(|link| (link, From::Pool))
            }
            Place::Writer if !unclean => self.ready_link(&[route.writer], snapshot).map(|link| (link, From::Pool)),
            Place::Home if !unclean => {
                let is_ready = self.home.as_ref().is_some_and(|link| Rc::ptr_eq(&link.state, &self.state));
                if is_ready { self.home.take().map(|link| (link, From::Home)) } else { None }
            }
            _ => None,
        }
    }

    /// [`Session::ready_execution`], and the time that it takes.
    async fn ready_timed(
        &mut self,
        link: &mut Link,
        executing: &Executing,
        request: &mut Request,
    ) -> Result<(), SessionEnd> {
        let from = Instant::now();
        let result = Box::pin(self.ready_execution(link, executing, request)).await;
        self.readied += from.elapsed();
        result
    }

    /// A link on which the request could not even be begun: back to where it came from, if it is in order.
    fn give_back(&mut self, link: Box<Link>, from: From, end: SessionEnd) -> SessionEnd {
        match from {
            From::Home => self.home = Some(link),
            _ => self.discard(link),
        }
        end
    }

    /// The link that a place means.
    async fn link_for(&mut self, planned: &Planned, tried: &mut Tried) -> Result<(Box<Link>, From), SessionEnd> {
        let Planned { snapshot, plan, route, .. } = planned;
        match planned.placed.0 {
            Place::Home => {
                let mut link = self.home.take().ok_or(StatementError::ResultGone("its state"))?;
                let made_ready = match self.worker.bring(&mut link, &self.state).await {
                    Ok(()) => self.clean_insert_id(plan.facts.effects, &mut link).await,
                    refused => refused,
                };
                match made_ready {
                    Ok(()) => Ok((link, From::Home)),
                    Err(error) => Err(self.home_not_ready(link, error).into()),
                }
            }
            Place::Last => self.last.take().map(|l| (l, From::Last)).ok_or_else(|| gone(plan.facts.effects).into()),
            Place::Previous => self.previous_link(plan.facts.effects, snapshot, route, tried).await,
            Place::Writer => {
                let mut link = self.obtain(&self.state, &[route.writer], snapshot, tried).await?;
                let cleaned = self.clean_insert_id(plan.facts.effects, &mut link).await;
                cleaned.map_err(|error| self.talk_failed(&link, error))?;
                Ok((link, From::Pool))
            }
            Place::Route if plan.facts.effects.intersects(ONE_ENGINE) => {
                let tiers = speakers(plan.facts.effects, route, snapshot, tried);
                match self.obtain(&self.state, &tiers, snapshot, tried).await {
                    Ok(link) => Ok((link, From::Pool)),
                    Err(error) => Err(explain_refusal(error, route, snapshot).into()),
                }
            }
            Place::Route => match self.obtain(&self.state, &route.tiers, snapshot, tried).await {
                Ok(link) => Ok((link, From::Pool)),
                Err(StatementError::State { code: UNKNOWN_SCHEMA, .. })
                    if !plan.facts.effects.intersects(NAMES_TABLES) =>
                {
                    // Its default schema is gone. What needs none goes on.
                    let adrift = self.worker.states.intern(self.state.values.in_schema(None));
                    let link = self.obtain(&adrift, &route.tiers, snapshot, &mut Tried::default()).await?;
                    Ok((link, From::Pool))
                }
                Err(error) => Err(explain_refusal(error, route, snapshot).into()),
            },
            Place::EndReadOnly => {
                self.end_read_only().await?;
                let link = self.obtain(&self.state, &route.tiers, snapshot, tried).await?;
                Ok((link, From::Pool))
            }
            Place::Refuse => Err(StatementError::Pinned {
                wanted: name_hostgroups(&route.tiers, snapshot),
                held: self.home.as_ref().map_or(0, |l| l.hostgroup),
                pins: self.home_pins,
            }
            .into()),
            // A session that holds a reader has prepared nothing by name: the server says so.
            Place::ReadOnlyTransaction if names_prepared(plan) => match self.home.take() {
                Some(link) => Ok((link, From::Home)),
                None => Err(StatementError::ReadOnlyTransaction.into()),
            },
            Place::ReadOnlyTransaction => Err(StatementError::ReadOnlyTransaction.into()),
        }
    }

    /// The session's home could not be made ready for a statement. If it is lost, so is all that it was held for.
    pub(super) fn home_not_ready(&mut self, link: Box<Link>, error: TalkError) -> StatementError {
        let mut lost = self.talk_failed(&link, error);
        if let StatementError::Lost { pins, .. } = &mut lost {
            *pins = std::mem::take(&mut self.home_pins);
            self.discard(link);
        } else {
            self.home = Some(link);
        }
        lost
    }

    /// A backend failed during a request. `Ok` means: try the next one.
    pub(super) fn after_failure(
        &mut self,
        link: Box<Link>,
        from: From,
        route: &Route,
        failure: Failure,
        tried: &mut Tried,
    ) -> Result<(), SessionEnd> {
        let backend = std::sync::Arc::clone(link.backend());
        backend.failed(Cause::Connection(failure.why.clone()));
        let mut lost = self.lost(&link, &failure.why);
        self.discard(link);
        if failure.delivered == Delivered::Part {
            return Err(SessionEnd::HalfAnswered { backend: backend.name.to_string(), why: failure.why });
        }
        if from == From::Pool && failure.delivered == Delivered::Nothing && (route.reader_safe || !failure.sent) {
            // A pooled connection may have died of age: the same backend gets another chance if it still serves, once.
            if tried.backends.contains(&backend.id) || !backend.is_usable() || tried.why == failure.why {
                tried.backends.push(backend.id);
            }
            tried.why = failure.why;
            self.worker.stats.counters.retries.inc();
            return Ok(());
        }
        if let StatementError::Lost { pins, .. } = &mut lost
            && from == From::Home
        {
            *pins = std::mem::take(&mut self.home_pins);
        }
        Err(self.tally_unserved(route, lost.into()))
    }
}

/// True for a statement that does nothing where no statement was prepared by name.
fn names_prepared(plan: &Plan) -> bool {
    matches!(plan.facts.verb, Verb::Execute | Verb::Deallocate)
        && !plan.facts.effects.intersects(Effects::MARIADB_ONLY | Effects::MULTI | Effects::UNKNOWN_FUNCTION)
}

/// ER_BAD_DB_ERROR.
const UNKNOWN_SCHEMA: u16 = 1049;

/// Effects of statements that may name tables without their schema.
const NAMES_TABLES: Effects = Effects::READ_TABLE
    .union(Effects::WRITE)
    .union(Effects::DDL)
    .union(Effects::LOCK_TABLES)
    .union(Effects::CALL)
    .union(Effects::UNKNOWN_FUNCTION)
    .union(Effects::UNPROVEN)
    .union(Effects::METADATA)
    .union(Effects::TEXT_PREPARE)
    .union(Effects::HANDLER);

/// Statements that one engine alone understands.
const ONE_ENGINE: Effects = Effects::MARIADB_ONLY.union(Effects::MYSQL_ONLY);

/// The route's hostgroups for a statement that one engine alone understands, and its writer after them where that holds all
/// its rows. Backends that are known to be of the other engine count as tried.
fn speakers(effects: Effects, route: &Route, snapshot: &Snapshot, tried: &mut Tried) -> Vec<u32> {
    let foreign = if effects.contains(Effects::MARIADB_ONLY) { Engine::MySql } else { Engine::MariaDb };
    let mut tiers = route.tiers.to_vec();
    if route.writer_holds == Holds::Yes && !tiers.contains(&route.writer) {
        tiers.push(route.writer);
    }
    let known = tiers.iter().filter_map(|id| snapshot.topology.hostgroup(*id)).flat_map(|h| &h.members);
    if known.map(|member| member.backend.engine()).all(|engine| engine == foreign) {
        // Nobody on its way understands it: the writer says so in its own words.
        return vec![route.writer];
    }
    for backend in snapshot.topology.backends() {
        if backend.engine() == foreign && !tried.backends.contains(&backend.id) {
            tried.backends.push(backend.id);
            tried.why = format!("{} is of an engine that does not have what the statement uses", backend.name);
        }
    }
    tiers
}

/// The error for a result that is no more.
pub(super) fn gone(effects: Effects) -> StatementError {
    StatementError::ResultGone(if effects.contains(Effects::NEEDS_FOUND_ROWS) {
        "FOUND_ROWS()"
    } else if effects.contains(Effects::NEEDS_ROW_COUNT) {
        "ROW_COUNT()"
    } else {
        "its diagnostics"
    })
}

/// Adds to a "no backend" error what the route knows: the rule, and the hostgroups that a horizon took out.
fn explain_refusal(error: StatementError, route: &Route, snapshot: &Snapshot) -> StatementError {
    let StatementError::NoBackend { tiers, why, .. } = error else { return error };
    let mut note = format!("; route: {}", route.reason);
    if !route.excluded.is_empty() {
        let excluded = name_hostgroups(&route.excluded, snapshot);
        note.push_str(&format!("; hostgroup {excluded} is not proven to hold all rows that it reaches"));
    }
    StatementError::NoBackend { tiers, why, note }
}

/// One command as a frame.
pub(super) fn command_frame(command: Command, argument: &[u8]) -> Vec<u8> {
    let mut payload = Vec::with_capacity(argument.len() + 1);
    payload.push(command as u8);
    payload.extend_from_slice(argument);
    let mut out = Vec::with_capacity(payload.len() + HEADER);
    crate::protocol::codec::put_packet(&mut out, &payload, 0);
    out
}
