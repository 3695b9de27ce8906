//! COM_STMT_PREPARE: a text is prepared on a server of its route, and is the session's statement from then on.
//!
//! Preparing runs nothing, so that it is tried again elsewhere where a backend fails. What is done with the statement is in
//! [`crate::session::prepared`].

use crate::protocol::command::Command;
use crate::protocol::tracker::Expect;
use crate::rules::{Plan, Route};
use crate::session::error::{SessionEnd, StatementError};
use crate::session::holdings::Hold;
use crate::session::link::Link;
use crate::session::link::relay::Outcome;
use crate::session::link::text::{Text, Told};
use crate::session::parts::Session;
use crate::session::parts::left::has_own;
use crate::session::parts::request::{Delivered, Failed, Request};
use crate::session::parts::statements::Statement;
use crate::session::state::pins::Pins;
use crate::session::statement::flight::may_prepare_elsewhere;
use crate::session::supply::{Supply, Tried};
use crate::session::worker::Current;
use crate::sql::effects::{Effects, Verb};
use std::collections::BTreeMap;
use std::rc::Rc;
use std::sync::Arc;

impl Session {
    /// COM_STMT_PREPARE.
    pub(in crate::session) async fn prepare(&mut self) -> Result<(), SessionEnd> {
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
        snapshot: &Rc<Current>,
        plan: Rc<Plan>,
        route: &Rc<Route>,
        mut request: Request,
        id: u32,
        text: Rc<[u8]>,
    ) -> Result<(), SessionEnd> {
        let (number, known) = self.text_number(&self.state, &self.keyed(&plan, &text), id);
        let limit = snapshot.settings.max_statements_per_connection;
        let mut tried = Tried::default();
        let effects = plan.facts.effects;
        loop {
            let is_held =
                self.holdings.home().is_some_and(|home| home.pins().intersects(Pins::EVERYTHING) || !route.reader_safe);
            let home = if is_held { self.holdings.take_home() } else { None };
            let mut hold = match home {
                Some(mut home) => {
                    // A USE or a SET that the router answered has not reached it yet.
                    let made_ready = self.worker.bring(&mut home.link, &self.state).await;
                    self.if_ready(home, made_ready)?
                }
                None => Hold::pooled(self.link_to_prepare((route, effects), snapshot, &mut tried).await?),
            };
            let may_move = may_prepare_elsewhere(route, snapshot, &hold);
            let link = &mut *hold.link;
            self.make_room(link, number, limit).await;
            self.worker.stats.counters.behind.prepare.inc();
            self.put_own(&plan.facts, Command::Prepare, &text, &mut request, link);
            match self.exchange(link, &request, may_move).await {
                Ok(outcome) => {
                    let has_own = has_own(&outcome);
                    if has_own {
                        self.claim_diagnostics(link);
                        self.note_prepare(link, &outcome);
                    }
                    if let Some((remote, columns, parameters)) = outcome.prepared {
                        if !has_own {
                            self.left.prepared(effects);
                        }
                        link.remember(remote, number, &known);
                        let made = Made { id, number, known, columns, parameters };
                        self.keep_statement(made, plan, text);
                    }
                    self.settle_prepared(hold, effects, id, has_own);
                    return Ok(());
                }
                Err(Failed::Client(end)) => {
                    // The session ends with its client.
                    self.lose(hold).untold();
                    return Err(end);
                }
                Err(Failed::Backend(failure)) => {
                    let (backend, at_home) = (Arc::clone(hold.link.backend()), hold.is_home());
                    self.note_broken(&hold, &failure.why);
                    let lost = self.lose(hold).told(&failure.why);
                    if failure.delivered != Delivered::Nothing {
                        return Err(SessionEnd::HalfAnswered { backend: backend.name.to_string(), why: failure.why });
                    }
                    if at_home {
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

    /// An answer has left diagnostics. One that prepared something leaves the counts as they were.
    fn note_prepare(&mut self, link: &Link, outcome: &Outcome) {
        let engine = link.backend().engine();
        if outcome.prepared.is_some() {
            self.left.warned(engine, outcome.warnings);
            self.previous.diagnosed_on(link.serial);
        } else {
            let keeps = self.left.note(engine, Verb::Prepare, Effects::empty(), outcome);
            self.previous.ran_on(link.serial, keeps);
        }
    }

    /// A link to one of the route's hostgroups.
    async fn link_to_prepare(
        &mut self,
        (route, effects): (&Route, Effects),
        snapshot: &Rc<Current>,
        tried: &mut Tried,
    ) -> Result<Box<Link>, StatementError> {
        let mut snapshot = Rc::clone(snapshot);
        loop {
            // What the session has made a moment ago may not be on a reader yet.
            let token = self.token.clone();
            let (tiers, needs) = self.where_to_prepare(route, token.as_deref(), &snapshot);
            if tried.backends.is_empty()
                && let Some(link) = (Supply { needs: &needs, ..self.supply() }).ready(&self.state, tiers, &snapshot)
            {
                return Ok(link);
            }
            let needs_writer = tiers.contains(&route.writer);
            match self.obtain_with(effects, tiers, needs, &snapshot, tried).await {
                Err(error)
                    if needs_writer && error.may_pass() && self.supply().wait_out(tiers, &snapshot, tried).await =>
                {
                    snapshot = self.worker.snapshot();
                }
                obtained => return obtained,
            }
        }
    }

    /// A server has prepared a text: it is the session's statement.
    fn keep_statement(&mut self, made: Made, plan: Rc<Plan>, text: Rc<[u8]>) {
        let Made { id, number, known, columns, parameters } = made;
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

    /// Gives back the link on which a statement with these effects has been prepared, or keeps it for what the server had to say. To
    /// prepare an assignment makes the variable, which another session would find.
    fn settle_prepared(&mut self, mut hold: Hold, effects: Effects, id: u32, has_own: bool) {
        let names_variables = effects.contains(Effects::SET_USER_VARIABLE);
        if hold.is_home() {
            self.put_back(hold);
            if names_variables {
                self.note_things(Effects::SET_USER_VARIABLE, Some(id), false);
                self.holdings.pin_things();
            }
        } else if has_own {
            // MySQL sets a variable to NULL where an assignment to it is prepared: the link is reset before others have it.
            let sets = if names_variables { Pins::USER_VARIABLE } else { Pins::empty() };
            let settled = self.holdings.settle(hold, Pins::empty(), Pins::WARNINGS | sets);
            self.keep_or_release(settled);
        } else if names_variables {
            hold.pin(Pins::USER_VARIABLE);
            self.give_up(hold);
        } else {
            self.release(hold.link);
        }
    }
}

/// What a server has prepared, and under which numbers.
struct Made {
    /// The client's number.
    id: u32,
    /// The number of the text.
    number: u64,
    known: Rc<Text>,
    columns: u16,
    parameters: u16,
}

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
