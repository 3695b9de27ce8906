//! The way of nearly every statement: planned, sent over a link that is at hand, answered, settled.
//!
//! ```text
//!  set_out ─┬─▶ Gone ──(the loop waits for the answer)─┬─▶ land
//!           │                                          └─▶ divert: a file, a failure, a server to be asked ──┐
//!           ├─▶ Held: an answer of the router's own, a link to be had or made ready first ───────────────────┼─▶ long
//!           └─▶ Other: no statement, or one with something beside it ──▶ obey                                ┘
//! ```
//!
//! Plain functions, and one wait, which the session's loop does itself. The long way ([`super::long`]) waits in many
//! places, and each async function between the loop and a wait is one more state to be found again when the answer comes, in
//! memory that other sessions have pushed out of the caches meanwhile. Both do the same in the same order: what does
//! not fit here goes on there from where it is.

use crate::protocol::command::Command;
use crate::rules::Route;
use crate::session::error::SessionEnd;
use crate::session::exchange::{Broken, Ends};
use crate::session::holdings::{From, Hold};
use crate::session::link::relay::Outcome;
use crate::session::parts::Session;
use crate::session::parts::flight::{Departure, Flight, Planned};
use crate::session::parts::left::{clears_diagnostics, counts_nothing, has_own};
use crate::session::parts::place::{Place, Why};
use crate::session::parts::request::Failed;
use crate::session::statement::place::place;
use crate::session::statement::settle::MAY_WRITE;
use crate::session::statement::tally::Decided;
use crate::session::supply::Tried;
use crate::session::worker::drain::is_too_late;
use crate::session::worker::settings::Scope;
use crate::session::worker::snapshot::Snapshot;
use crate::sql::effects::{Effects, Verb};
use std::task::{Context, Poll, ready};

impl Session {
    /// Takes a command as far as it goes without a wait. True if its answer is all that is to be waited for.
    pub(in crate::session) fn set_out(&mut self, command: Option<Command>) -> bool {
        let planned = match command {
            Some(Command::Query) => self.plan_query(),
            Some(Command::Execute) => self.plan_plain_execution(),
            _ => None,
        };
        if self.worker.drains() && self.comes_too_late(command, planned.as_ref()) {
            self.departure = Departure::Late;
        } else if let Some(planned) = planned {
            self.departure = self.depart(planned);
        }
        matches!(self.departure, Departure::Gone(_))
    }

    #[inline]
    fn depart(&mut self, mut planned: Planned) -> Departure {
        if !self.is_ordinary(&planned) {
            return Departure::Held(planned, None);
        }
        self.locate(&mut planned);
        let Planned { snapshot, plan, route, request, placed, .. } = &planned;
        let verb = plan.facts.verb;
        let Some(mut hold) = self.link_at_hand(placed.0, request.effects, route, snapshot) else {
            return Departure::Held(planned, None);
        };
        if self.has_old_diagnostics(verb, request.effects, &hold.link)
            || self.lacks_found_rows(verb, request.effects, &hold.link)
        {
            return Departure::Held(planned, Some(hold));
        }
        if let Some(executing) = planned.executing
            && !self.is_ready(&mut hold.link, &executing, &mut planned.request)
        {
            return Departure::Held(planned, Some(hold));
        }
        Departure::Gone(self.take_off(hold, planned, true))
    }

    /// True if a statement is neither the router's to answer nor asks for a connection of its own.
    fn is_ordinary(&self, planned: &Planned) -> bool {
        let facts = &planned.plan.facts;
        let ours = match planned.executing {
            Some(executing) => executing.cursor,
            None => {
                matches!(facts.verb, Verb::Kill | Verb::Set | Verb::Use)
                    || facts.effects.contains(Effects::SERVER_BOUND)
            }
        };
        let effects = planned.request.effects;
        !ours && !self.is_answered(&planned.route) && !self.must_carry(effects) && !self.must_find_diagnostics(effects)
    }

    /// Settles where a statement goes, and gives back what the session held for another that has not come.
    pub(in crate::session) fn locate(&mut self, planned: &mut Planned) {
        self.ticket.set_digest(planned.plan.hash);
        let effects = planned.request.effects;
        if !self.holdings.is_free() && !effects.intersects(Effects::NEEDS_PREVIOUS) {
            self.lose_closed();
        }
        let has_written = self.wrote_at.is_some() || self.token.is_some();
        let stands_alone = self.holdings.is_free() && !has_written && self.state.autocommit;
        planned.placed = if stands_alone && planned.snapshot.settings.read_your_writes_scope == Scope::Session {
            simple_place(effects)
        } else {
            place(&planned.route, effects, &self.standing(&planned.snapshot, &planned.route, effects))
        };
        let verb = planned.plan.facts.verb;
        let is_read = planned.route.reader_safe;
        if self.left.is_kept() && !is_read && self.stays_with_last(planned.placed.0, &planned.route, verb, effects) {
            planned.placed.0 = Place::Last;
        } else if !effects.intersects(Effects::NEEDS_PREVIOUS) && !self.left.draws(verb, effects) {
            self.give_back_last();
            if planned.placed.0 != Place::Home {
                self.end_until_next();
            }
        }
    }

    /// True for a statement that MariaDB's diagnostics may outlast, and that may run where they are: then they are not parted from
    /// what the session does next. Reads go where they belong.
    #[cold]
    fn stays_with_last(&self, place: Place, route: &Route, verb: Verb, effects: Effects) -> bool {
        let hostgroup = match place {
            Place::Route => route.tiers.first().copied(),
            Place::Writer => Some(route.writer),
            _ => None,
        };
        self.left.draws(verb, effects)
            && self.holdings.home().is_none()
            && self.holdings.last().is_some_and(|last| last.link.writer && Some(last.link.hostgroup) == hostgroup)
    }

    /// A statement whose link is ready. If it may be sent again, and `may_wait`, the client is not to hear of a server that is read-only.
    #[inline]
    pub(in crate::session) fn take_off(&mut self, mut hold: Hold, planned: Planned, may_wait: bool) -> Flight {
        self.launch(&mut hold.link, &planned.request);
        if may_move(&hold, &planned) {
            self.ticket.may_move(true);
        }
        if may_wait && !planned.route.reader_safe && self.outlasts_refusal(&hold, &planned) {
            hold.link.relay.keep_refusal();
        }
        let writing = self.writing(&planned.snapshot, planned.request.effects, &hold.link);
        Flight { hold, planned, writing }
    }

    /// Waits for the answer of the statement that is under way.
    pub(in crate::session) fn poll_flight(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), Failed>> {
        let Self { departure: Departure::Gone(flight), inbox, client, worker, ticket, .. } = self else {
            return Poll::Ready(Ok(()));
        };
        let Flight { hold, planned, writing } = flight;
        let ends = Ends { inbox, client, buffers: &worker.buffers, card: ticket };
        match ready!(ends.poll(cx, &mut hold.link, &planned.request, writing)) {
            Ok(()) => Poll::Ready(Ok(())),
            Err(error) => Poll::Ready(Err(self.flight_failed(error))),
        }
    }

    #[cold]
    fn flight_failed(&self, error: Broken) -> Failed {
        match &self.departure {
            Departure::Gone(flight) => self.failed(&flight.hold.link, error),
            _ => Failed::Client(SessionEnd::Left),
        }
    }

    /// True if it has been answered in full, and nothing more has to be asked of the server.
    pub(in crate::session) fn may_land(&self) -> bool {
        let Departure::Gone(flight) = &self.departure else { return true };
        let link = &flight.hold.link;
        !link.relay.wants_file() && !self.must_ask(&flight.planned, link.relay.so_far(), link)
    }

    /// Counts and settles such a statement.
    pub(in crate::session) fn land(&mut self) {
        let Departure::Gone(mut flight) = std::mem::take(&mut self.departure) else { return };
        let outcome = self.outcome(&mut flight.hold.link);
        self.record(&mut flight, &outcome);
        self.settle(flight, &outcome);
    }

    /// Goes on with a statement that cannot simply be settled.
    pub(in crate::session) async fn divert(&mut self, flown: Result<(), Failed>) -> Result<(), SessionEnd> {
        let Departure::Gone(mut flight) = std::mem::take(&mut self.departure) else { return Ok(()) };
        let flown = match flown {
            Ok(()) if flight.hold.link.relay.wants_file() => {
                let Flight { hold, planned, writing } = &mut flight;
                self.see_through(&mut hold.link, &planned.request, writing).await
            }
            flown => flown,
        };
        let mut tried = Tried::default();
        match self.conclude(flight, flown, &mut tried).await? {
            Some(again) => self.run_with(again, None, tried).await,
            None => Ok(()),
        }
    }

    /// Counts and settles a statement, or sees whether it may be tried elsewhere: then it is given back.
    pub(in crate::session) async fn conclude(
        &mut self,
        mut flight: Flight,
        flown: Result<(), Failed>,
        tried: &mut Tried,
    ) -> Result<Option<Planned>, SessionEnd> {
        match flown {
            Ok(()) => {
                let mut outcome = self.outcome(&mut flight.hold.link);
                self.record(&mut flight, &outcome);
                let is_asked = self.must_ask(&flight.planned, &outcome, &flight.hold.link);
                self.ask_server(&flight.planned, &mut outcome, &mut flight.hold.link).await;
                let link = flight.hold.link.serial;
                self.settle(flight, &outcome);
                if is_asked && outcome.affected_rows > 0 && !counts_nothing(&outcome) {
                    // What the server was asked has counted none.
                    self.previous.was_set_on(link, true);
                }
                Ok(None)
            }
            Err(Failed::Client(end)) => {
                // The session ends with its client.
                self.lose(flight.hold).untold();
                Err(end)
            }
            Err(Failed::Backend(failure)) => {
                let Flight { hold, planned, writing } = flight;
                // Writes that a dead writer does not take must not send it all the user's reads.
                if let Some(writing) = writing {
                    writing.end(false);
                }
                // It may have been done all the same: what the session reads next is to say so.
                if failure.sent && planned.request.effects.intersects(MAY_WRITE) && planned.snapshot.heartbeat.is_some()
                {
                    self.wrote_at = Some(self.worker.now_ms());
                    self.wrote_on = Some(hold.link.backend().id);
                }
                self.after_failure(hold, (&planned.route, planned.request.effects), failure, tried)?;
                Ok(Some(planned))
            }
        }
    }

    /// Counts a statement that has been answered, and notes whose diagnostics its link has now: before the router asks the server more.
    fn record(&mut self, flight: &mut Flight, outcome: &Outcome) {
        let Flight { hold, planned, .. } = flight;
        let (link, Planned { snapshot, plan, route, request, executing, placed }) = (&mut *hold.link, planned);
        if has_own(outcome) {
            link.diagnostics = self.serial;
        } else if link.diagnostics != 0 && clears_diagnostics(link.backend().engine(), plan.facts.effects) {
            link.diagnostics = 0;
        }
        if let Some(executing) = executing {
            self.note_execution(executing, link, outcome);
        }
        let sent = if request.frames.is_empty() { self.inbox.frames() } else { &request.frames };
        self.tally(snapshot, Decided { plan, route, why: placed.1 }, link, outcome, sent.len());
    }

    fn settle(&mut self, flight: Flight, outcome: &Outcome) {
        let Flight { hold, planned, writing } = flight;
        self.settle_link(hold, &planned.plan, planned.executing.map(|e| e.id), outcome);
        if let Some(writing) = writing {
            writing.end(!self.transaction_wrote);
        }
    }

    /// True if the router drains and does not serve this command any more. `planned` is its plan, where it is a plain statement.
    #[cold]
    pub(in crate::session) fn comes_too_late(&self, command: Option<Command>, planned: Option<&Planned>) -> bool {
        let asks = match command {
            Some(Command::Query | Command::Execute) => {
                planned.map_or(Effects::empty(), |planned| planned.request.effects)
            }
            Some(Command::InitDb | Command::FieldList | Command::Prepare | Command::ChangeUser) => Effects::empty(),
            // What is not answered, what only puts away, and what the router answers itself.
            _ => return false,
        };
        is_too_late(self.ticket.pins(), asks, self.worker.drains_for())
    }
}

/// True for a read that another server could take as well.
#[inline]
pub(super) fn may_move(hold: &Hold, planned: &Planned) -> bool {
    let Planned { route, snapshot, placed, .. } = planned;
    // What follows a write may go on to the writer.
    let others = || placed.0 == Place::Fresh || has_others(route, snapshot, hold);
    route.reader_safe && may_leave(hold) && others()
}

/// True if what is prepared on this link could be prepared on another server of the route.
pub(in crate::session) fn may_prepare_elsewhere(route: &Route, snapshot: &Snapshot, hold: &Hold) -> bool {
    may_leave(hold) && has_others(route, snapshot, hold)
}

/// True for a connection to a reader that the session holds for nothing. Who was given a link to a silent server has no other.
#[inline]
fn may_leave(hold: &Hold) -> bool {
    !hold.link.writer && hold.from() == From::Pool && !hold.link.backend().is_silent()
}

/// True if others than this link's server can serve the route.
#[inline]
fn has_others(route: &Route, snapshot: &Snapshot, hold: &Hold) -> bool {
    let has_siblings = || snapshot.topology.hostgroup(hold.link.hostgroup).is_some_and(|h| h.members.len() > 1);
    route.tiers.len() > 1 || has_siblings()
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
