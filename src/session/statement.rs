//! COM_QUERY: plan it, place it, run it; and again elsewhere, where that is safe.

use super::Session;
use super::buffers::write_all;
use super::checkout::{Tried, name_hostgroups};
use super::error::{SessionEnd, StatementError};
use super::link::Link;
use super::pin::Pins;
use super::place::{Held, Place, Standing, Why, place};
use super::prepared::Executing;
use super::relay::{Manner, Outcome, Relay, RelayError};
use super::settings::Scope;
use super::snapshot::Snapshot;
use super::tally::Decided;
use super::writing::Writing;
use crate::backend::Engine;
use crate::backend::health::Cause;
use crate::protocol::capabilities::Capabilities;
use crate::protocol::codec::HEADER;
use crate::protocol::command::Command;
use crate::protocol::tracker::{Expect, Tracker};
use crate::rules::{Holds, Plan, Reason, Route};
use crate::sql::effects::{Effects, Verb};
use std::rc::Rc;
use std::time::Instant;

/// A request ready to be run: what to send, and what is known of it.
pub(super) struct Request {
    /// The bytes, headers included.
    pub frames: Vec<u8>,
    /// The sequence number of the last frame.
    pub sequence: u8,
    /// How it is answered.
    pub expect: Expect,
    /// How the answer is passed on.
    pub statement_id: Option<u32>,
    /// What it does.
    pub effects: Effects,
}

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
    /// COM_QUERY.
    pub(super) async fn query(&mut self) -> Result<(), SessionEnd> {
        let payload = self.inbox.payload();
        let text = payload.get(1..).unwrap_or_default();
        if super::explain::is_explain_route(text) {
            return Box::pin(self.explain_route()).await;
        }
        let snapshot = self.worker.snapshot();
        let (plan, route) = self.plan(&snapshot, text);
        if self.is_answered(&route) {
            return Box::pin(self.answered_by_rule(&plan, &route)).await;
        }
        if plan.facts.verb == Verb::Kill {
            return Box::pin(self.kill()).await;
        }
        if plan.facts.effects.contains(Effects::SERVER_BOUND) && super::kill::asks_connection_id(&plan.digest) {
            return Box::pin(self.tell_connection_id()).await;
        }
        let expect = Expect::Results;
        let sequence = self.inbox.sequence();
        let request = Request { frames: Vec::new(), sequence, expect, statement_id: None, effects: plan.facts.effects };
        self.run_request(&snapshot, &plan, &route, request).await
    }

    /// The plan and the route of a statement as text.
    fn plan(&self, snapshot: &Snapshot, text: &[u8]) -> (Rc<Plan>, Rc<Route>) {
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
        }
    }

    /// Runs a request that is no execution.
    pub(super) async fn run_request(
        &mut self,
        snapshot: &Snapshot,
        plan: &Rc<Plan>,
        route: &Rc<Route>,
        request: Request,
    ) -> Result<(), SessionEnd> {
        self.run_with(snapshot, plan, route, request, None).await
    }

    /// Finds a link for the request, runs it there, and settles what it did.
    pub(super) async fn run_with(
        &mut self,
        snapshot: &Snapshot,
        plan: &Rc<Plan>,
        route: &Rc<Route>,
        mut request: Request,
        executing: Option<Executing>,
    ) -> Result<(), SessionEnd> {
        self.ticket.set_digest(plan.hash);
        let effects = request.effects;
        let stands_alone = self.home.is_none() && self.last.is_none() && self.wrote_at.is_none();
        let (place, why) = if stands_alone && snapshot.settings.read_your_writes_scope == Scope::Session {
            simple_place(effects)
        } else {
            place(route, effects, &self.standing(snapshot, route))
        };
        if !effects.intersects(Effects::NEEDS_PREVIOUS) && place != Place::Home {
            self.end_until_next();
        }
        let cursor = executing.is_some_and(|e| e.cursor);
        let mut tried = Tried::default();
        loop {
            let parked = if cursor && tried.backends.is_empty() { self.parked_for(place, route) } else { None };
            let at_hand = parked.or_else(|| self.link_at_hand(place, effects, route, snapshot, &tried));
            let (mut link, from) = match at_hand {
                Some(at_hand) => at_hand,
                None => {
                    let from = Instant::now();
                    let link = Box::pin(self.link_for(place, snapshot, plan, route, &mut tried)).await;
                    let link = link.map_err(|end| self.tally_unserved(route, end))?;
                    self.waited += from.elapsed();
                    link
                }
            };
            if let Some(executing) = &executing
                && !self.is_ready(&mut link, executing, &mut request)
                && let Err(end) = self.ready_timed(&mut link, executing, &mut request).await
            {
                // Nothing of the execution has left: a link that broke while it was made ready is no verdict on it.
                if let SessionEnd::Statement(StatementError::Lost { why, .. }) = end {
                    let failure = Failure { sent: false, delivered: Delivered::Nothing, why };
                    Box::pin(self.after_failure(link, from, route, failure, &mut tried)).await?;
                    continue;
                }
                return Err(self.give_back(link, from, end));
            }
            let mut writing = self.writing(snapshot, effects, &link);
            match self.exchange(&mut link, &request, &mut writing).await {
                Ok(outcome) => {
                    if let Some(executing) = &executing {
                        self.note_execution(executing, &mut link, &outcome);
                    }
                    let sent = if request.frames.is_empty() { self.inbox.frames() } else { &request.frames };
                    self.tally(snapshot, Decided { plan, route, why }, &link, &outcome, sent.len());
                    let settled = self.settle(link, from, plan, outcome).await;
                    if let Some(writing) = writing {
                        writing.end(!self.transaction_wrote);
                    }
                    return settled;
                }
                Err(Failed::Client(end)) => {
                    self.discard(link);
                    return Err(end);
                }
                Err(Failed::Backend(failure)) => {
                    // Writes that a dead writer does not take must not send it all the user's reads.
                    if let Some(writing) = writing {
                        writing.end(false);
                    }
                    Box::pin(self.after_failure(link, from, route, failure, &mut tried)).await?;
                }
            }
        }
    }

    /// The link that a place means, where it needs no talk and no wait: the way of nearly every statement.
    fn link_at_hand(
        &mut self,
        place: Place,
        effects: Effects,
        route: &Route,
        snapshot: &Snapshot,
        tried: &Tried,
    ) -> Option<(Box<Link>, From)> {
        let unclean = effects.intersects(Effects::NEEDS_INSERT_ID);
        match place {
            Place::Route if tried.backends.is_empty() && !effects.intersects(ONE_ENGINE) => {
                self.ready_link(&route.tiers, snapshot).map(|link| (link, From::Pool))
            }
            Place::Writer if tried.backends.is_empty() && !unclean => {
                self.ready_link(&[route.writer], snapshot).map(|link| (link, From::Pool))
            }
            Place::Home if !unclean => self.home.take().map(|link| (link, From::Home)),
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
    async fn link_for(
        &mut self,
        place: Place,
        snapshot: &Snapshot,
        plan: &Rc<Plan>,
        route: &Rc<Route>,
        tried: &mut Tried,
    ) -> Result<(Box<Link>, From), SessionEnd> {
        match place {
            Place::Home => {
                let mut link = self.home.take().ok_or(StatementError::ResultGone("its state"))?;
                self.clean_insert_id(plan.facts.effects, &mut link).await?;
                Ok((link, From::Home))
            }
            Place::Last => self.last.take().map(|l| (l, From::Last)).ok_or_else(|| gone(plan.facts.effects).into()),
            Place::Previous => self.previous_link(plan.facts.effects, snapshot, route, tried).await,
            Place::Writer => {
                let mut link = self.obtain(&[route.writer], snapshot, tried).await?;
                self.clean_insert_id(plan.facts.effects, &mut link).await?;
                Ok((link, From::Pool))
            }
            Place::Route if plan.facts.effects.intersects(ONE_ENGINE) => {
                let tiers = speakers(plan.facts.effects, route, snapshot, tried);
                match self.obtain(&tiers, snapshot, tried).await {
                    Ok(link) => Ok((link, From::Pool)),
                    Err(error) => Err(explain_refusal(error, route, snapshot).into()),
                }
            }
            Place::Route => match self.obtain(&route.tiers, snapshot, tried).await {
                Ok(link) => Ok((link, From::Pool)),
                Err(error) => Err(explain_refusal(error, route, snapshot).into()),
            },
            Place::EndReadOnly => {
                self.end_read_only().await?;
                let link = self.obtain(&route.tiers, snapshot, tried).await?;
                Ok((link, From::Pool))
            }
            Place::Refuse => Err(StatementError::Pinned {
                wanted: name_hostgroups(&route.tiers, snapshot),
                held: self.home.as_ref().map_or(0, |l| l.hostgroup),
                pins: self.home_pins,
            }
            .into()),
            Place::ReadOnlyTransaction => Err(StatementError::ReadOnlyTransaction.into()),
        }
    }

    /// Sends the request and carries the answer; between the two, a write that others are to see is announced to them.
    pub(super) async fn exchange(
        &mut self,
        link: &mut Link,
        request: &Request,
        writing: &mut Option<Writing>,
    ) -> Result<Outcome, Failed> {
        let frames = if request.frames.is_empty() { self.inbox.frames() } else { &request.frames };
        if let Err(error) = write_all(&mut link.stream, frames).await {
            return Err(Failed::Backend(Failure {
                sent: error.written > 0,
                delivered: Delivered::Nothing,
                why: error.source.to_string(),
            }));
        }
        let tracker = Tracker::new(request.expect, link.deprecate_eof, request.sequence);
        let manner = Manner {
            client_tracks: self.capabilities.contains(Capabilities::SESSION_TRACK),
            statement_id: request.statement_id,
        };
        let worker = Rc::clone(&self.worker);
        self.ticket.runs(link.backend().id, link.thread_id, link.hostgroup);
        if let Some(writing) = writing {
            writing.wait_for_answer(link, &self.client).await;
        }
        let mut relay = Relay::new(&worker.buffers, tracker, manner);
        loop {
            match relay.run(link, &mut self.client).await {
                Ok(()) if relay.wants_file() => {
                    let sent = Box::pin(self.pass_file(link)).await?;
                    relay.file_sent(sent);
                }
                Ok(()) => {
                    self.ticket.rests();
                    let outcome = relay.finish();
                    worker.stats.counters.client_bytes_sent.add(outcome.bytes);
                    return Ok(outcome);
                }
                Err(RelayError::Client(error)) => {
                    worker.stats.counters.client_bytes_sent.add(relay.sent());
                    super::kill::end_query(&worker, link.backend(), link.thread_id, self.account.credentials());
                    return Err(Failed::Client(SessionEnd::ClientBroke(error)));
                }
                Err(RelayError::Backend { why, delivered: any }) => {
                    worker.stats.counters.client_bytes_sent.add(relay.sent());
                    let delivered = match any {
                        true => Delivered::Part,
                        false if relay.had_file() => Delivered::File,
                        false => Delivered::Nothing,
                    };
                    let desync = matches!(why, super::relay::BackendFault::Desync(_));
                    let why = why.to_string();
                    if desync {
                        tracing::error!(backend = &*link.backend().name, why, "a backend broke the protocol");
                    }
                    return Err(Failed::Backend(Failure { sent: true, delivered, why }));
                }
            }
        }
    }

    /// A backend failed during a request. `Ok` means: try the next one.
    async fn after_failure(
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

/// Statements that one engine alone understands.
const ONE_ENGINE: Effects = Effects::MARIADB_ONLY.union(Effects::MYSQL_ONLY);

/// The route's hostgroups for a statement that one engine alone understands, and its writer after them where that holds all
/// its rows. Backends that are known to be of the other engine count as tried.
fn speakers(effects: Effects, route: &Route, snapshot: &Snapshot, tried: &mut Tried) -> Vec<u32> {
    let foreign = if effects.contains(Effects::MARIADB_ONLY) { Engine::MySql } else { Engine::MariaDb };
    for backend in snapshot.topology.backends() {
        if backend.engine() == foreign && !tried.backends.contains(&backend.id) {
            tried.backends.push(backend.id);
            tried.why = format!("{} is of an engine that does not have what the statement uses", backend.name);
        }
    }
    let mut tiers = route.tiers.to_vec();
    if route.writer_holds == Holds::Yes && !tiers.contains(&route.writer) {
        tiers.push(route.writer);
    }
    tiers
}

/// Why an exchange failed.
pub(super) enum Failed {
    /// The client's side.
    Client(SessionEnd),
    /// The backend's side.
    Backend(Failure),
}

/// What a client has got of an answer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Delivered {
    /// Nothing: another backend may still answer, and so may the router.
    Nothing,
    /// All up to the server's request for a file, and the file has been taken from the client: the router may still answer, no
    /// other backend.
    File,
    /// A part. Nobody can answer any more.
    Part,
}

/// What a backend's failure left.
#[derive(Debug)]
pub(super) struct Failure {
    /// At least one byte of the request had left.
    pub sent: bool,
    /// What of the answer had gone to the client.
    pub delivered: Delivered,
    /// What happened.
    pub why: String,
}

/// [`place`] for a session that holds nothing and has not written: two outcomes, no state to gather.
#[inline]
fn simple_place(effects: Effects) -> (Place, Why) {
    if !effects.intersects(Effects::NEEDS_PREVIOUS) {
        (Place::Route, Why::Route)
    } else if (effects & Effects::NEEDS_PREVIOUS) == Effects::NEEDS_INSERT_ID {
        (Place::Writer, Why::NeedsPrevious)
    } else {
        (Place::Previous, Why::NeedsPrevious)
    }
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
