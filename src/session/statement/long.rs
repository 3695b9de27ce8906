//! Statements that may have to wait: for a link, for a link to be made ready, for another server. [`super::flight`] is the short
//! way, which most take; whatever it meets is taken up here, in the same order of steps. Which link is meant is said in
//! [`super::links`]. It refuses to send a statement again that may have written.

use crate::backend::health::Cause;
use crate::protocol::tracker::Expect;
use crate::rules::Route;
use crate::session::error::{SessionEnd, StatementError};
use crate::session::holdings::{From, Hold};
use crate::session::link::relay::Outcome;
use crate::session::link::{Fate, Link};
use crate::session::parts::flight::{Flight, Planned, UNPLACED};
use crate::session::parts::request::{Delivered, Failure, Request, Unready};
use crate::session::parts::statements::Executing;
use crate::session::parts::{Session, micros_since};
use crate::session::prepared::FLAGS;
use crate::session::statement::flight::may_move;
use crate::session::supply::Tried;
use crate::sql::effects::{Effects, Verb};
use std::sync::Arc;
use std::time::Instant;

impl Session {
    /// Runs a statement that did not get away at once: answers it if that is the router's to do, and else has it run. A link
    /// may be at hand, if only it were ready.
    pub(in crate::session) async fn run_planned(
        &mut self,
        mut planned: Planned,
        at_hand: Option<Hold>,
    ) -> Result<(), SessionEnd> {
        if at_hand.is_none() && planned.placed == UNPLACED {
            if self.must_carry(planned.request.effects) {
                Box::pin(self.carry_aside()).await?;
            }
            if self.must_find_diagnostics(planned.request.effects) {
                Box::pin(self.find_diagnostics()).await;
            }
            if self.is_answered(&planned.route) {
                return Box::pin(self.answered_by_rule(&planned.plan, &planned.route)).await;
            }
            let facts = &planned.plan.facts;
            let names_variable = facts.verb == Verb::Set || facts.effects.contains(Effects::SERVER_BOUND);
            if planned.executing.is_none()
                && names_variable
                && let Some(answered) = Box::pin(self.answer_token()).await
            {
                self.tally_answered(&planned.plan, &planned.route);
                return answered;
            }
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
    pub(in crate::session) async fn run_with(
        &mut self,
        mut planned: Planned,
        mut at_hand: Option<Hold>,
        mut tried: Tried,
    ) -> Result<(), SessionEnd> {
        loop {
            if tried.refused_by.is_some() {
                planned = Box::pin(self.wait_until_writable(planned, &mut tried)).await;
            }
            let mut flight = self.board(planned, at_hand.take(), &mut tried).await?;
            let Flight { hold, planned: Planned { request, .. }, writing } = &mut flight;
            if self.is_beside_transaction(hold) {
                hold.link.relay.show(self.own_status());
            }
            let flown = self.see_through(&mut hold.link, request, writing).await;
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
        mut at_hand: Option<Hold>,
        tried: &mut Tried,
    ) -> Result<Flight, SessionEnd> {
        loop {
            let mut hold = match at_hand.take().or_else(|| self.look_for_link(&planned, tried)) {
                Some(at_hand) => at_hand,
                None => {
                    let from = Instant::now();
                    match Box::pin(self.link_for(&planned, tried)).await {
                        Ok(hold) => {
                            self.waited += micros_since(from);
                            hold
                        }
                        Err(end) => {
                            planned = Box::pin(self.wait_for_server(planned, tried, end)).await?;
                            self.waited += micros_since(from);
                            continue;
                        }
                    }
                }
            };
            let (verb, effects) = (planned.plan.facts.verb, planned.request.effects);
            if self.lacks_found_rows(verb, effects, &hold.link) {
                hold = Box::pin(self.with_found_rows(hold)).await?;
            }
            if self.has_old_diagnostics(verb, effects, &hold.link) {
                hold = Box::pin(self.without_old_diagnostics(verb, effects, hold)).await?;
            }
            let Some(executing) = planned.executing else {
                self.put_own_query(&planned.plan.facts, &mut planned.request, &hold.link);
                return Ok(self.take_off(hold, planned, !tried.takes_refusal));
            };
            if self.is_ready(&mut hold.link, &executing, &mut planned.request) {
                return Ok(self.take_off(hold, planned, !tried.takes_refusal));
            }
            if may_move(&hold, &planned) {
                self.runs_on(&hold.link);
                self.ticket.may_move(true);
            }
            let made_ready = self.ready_timed(&mut hold.link, &executing, &mut planned.request).await;
            self.ticket.rests();
            match made_ready {
                Ok(()) => return Ok(self.take_off(hold, planned, !tried.takes_refusal)),
                // Nothing of the execution has left: a link that broke while it was made ready is no verdict on it.
                Err(Unready::Broken(why)) => {
                    let failure = Failure { sent: false, delivered: Delivered::Nothing, why, is_refusal: false };
                    self.after_failure(hold, (&planned.route, planned.request.effects), failure, tried)?;
                }
                Err(Unready::Refused(error)) => {
                    self.note_refusal(&mut hold.link, &planned, &error);
                    self.put_back_refused(hold);
                    return Err(error.into());
                }
            }
        }
    }

    /// A server has refused to prepare there what is to be executed: that error is the execution's, as far as the session can see.
    fn note_refusal(&mut self, link: &mut Link, planned: &Planned, error: &StatementError) {
        let StatementError::State { code, .. } = error else { return };
        let outcome = Outcome { error: Some(*code), ..Outcome::default() };
        self.claim_diagnostics(link);
        let engine = link.backend().engine();
        let keeps = self.left.note(engine, planned.plan.facts.verb, planned.request.effects, &outcome);
        self.previous.ran_on(link.serial, keeps);
    }

    /// [`Session::ready_execution`], and the time that it takes.
    async fn ready_timed(
        &mut self,
        link: &mut Link,
        executing: &Executing,
        request: &mut Request,
    ) -> Result<(), Unready> {
        let from = Instant::now();
        let result = Box::pin(self.ready_execution(link, executing, request)).await;
        self.readied += micros_since(from);
        result
    }

    /// A connection has broken under what was sent over it. If that was given up at a silent server, that is told to end it, once it hears
    /// again; whether it is down is for its checks to say.
    pub(in crate::session) fn note_broken(&self, hold: &Hold, why: &str) {
        if self.ticket.was_cut() {
            hold.link.fate.set(Fate::Killed);
        } else {
            hold.link.backend().failed(Cause::Connection(why.to_owned()));
        }
    }

    /// A backend failed during a request. `Ok` means: try the next one.
    pub(in crate::session) fn after_failure(
        &mut self,
        hold: Hold,
        (route, effects): (&Route, Effects),
        failure: Failure,
        tried: &mut Tried,
    ) -> Result<(), SessionEnd> {
        if failure.is_refusal {
            self.refused(hold, failure.why, tried);
            return Ok(());
        }
        let backend = Arc::clone(hold.link.backend());
        self.note_broken(&hold, &failure.why);
        let from = hold.from();
        let lost = self.lose(hold).told(&failure.why);
        if failure.delivered == Delivered::Part {
            return Err(SessionEnd::HalfAnswered { backend: backend.name.to_string(), why: failure.why });
        }
        let may_repeat = route.reader_safe || !failure.sent || begins_anew(effects);
        if from == From::Pool && failure.delivered == Delivered::Nothing && may_repeat {
            // A pooled connection may have died of age: the same backend gets another chance if it still serves, once.
            if tried.backends.contains(&backend.id) || !backend.is_usable() || tried.why == failure.why {
                tried.backends.push(backend.id);
            }
            tried.why = failure.why;
            self.worker.stats.counters.retries.inc();
            return Ok(());
        }
        Err(self.tally_unserved(route, lost.into()))
    }
}

/// True for a statement that may be sent again although it may have run: what it has done went with its connection, and was the
/// session's alone. On a connection from the pool there is no transaction that it could have ended.
fn begins_anew(effects: Effects) -> bool {
    const ALONE: Effects = Effects::BEGIN
        .union(Effects::BEGIN_READ_ONLY)
        .union(Effects::SET_SESSION)
        .union(Effects::SET_AUTOCOMMIT)
        .union(Effects::SET_SCHEMA);
    // Of a statement without effects nothing is known.
    !effects.is_empty() && ALONE.contains(effects)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_may_be_sent_again_although_it_may_have_run() {
        let set = Effects::SET_SESSION;
        for (effects, want) in [
            (Effects::BEGIN, true),
            (set | Effects::SET_AUTOCOMMIT, true),
            (Effects::empty(), false),
            (set | Effects::SET_GLOBAL, false),
            (set | Effects::UNKNOWN_FUNCTION, false),
            (Effects::BEGIN | Effects::CHAIN, false),
            (Effects::WRITE, false),
        ] {
            assert_eq!(begins_anew(effects), want, "{effects:?}");
        }
    }
}
