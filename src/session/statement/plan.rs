//! The plan of a statement as text, what the router answers itself, and what of the session decides about a place.
//!
//! It refuses to decide where a statement goes: the rules say that, and then [`super::place`].

use crate::protocol::tracker::Expect;
use crate::rules::{Holds, Plan, Reason, Route};
use crate::session::error::{SessionEnd, StatementError};
use crate::session::holdings::Hold;
use crate::session::parts::Session;
use crate::session::parts::flight::{Planned, UNPLACED};
use crate::session::parts::request::Request;
use crate::session::state::pins::Pins;
use crate::session::statement::explain::is_explain_route;
use crate::session::statement::place::{Held, Standing};
use crate::session::worker::snapshot::Snapshot;
use crate::sql::effects::Effects;
use std::rc::Rc;

impl Session {
    /// The plan of a COM_QUERY; none for one that asks what a plan would be.
    #[inline]
    pub(in crate::session) fn plan_query(&self) -> Option<Planned> {
        let text = self.inbox.payload().get(1..).unwrap_or_default();
        if is_explain_route(text) {
            return None;
        }
        let snapshot = self.worker.snapshot();
        let (plan, route) = self.plan(&snapshot, text);
        let request = self.as_it_came(Expect::Results, plan.facts.effects);
        Some(Planned { snapshot, plan, route, request, executing: None, placed: UNPLACED })
    }

    /// The client's request as it came.
    #[inline]
    pub(in crate::session) fn as_it_came(&self, expect: Expect, effects: Effects) -> Request {
        Request { frames: Vec::new(), sequence: self.inbox.sequence(), expect, statement_id: None, effects }
    }

    /// The plan and the route of a statement as text.
    pub(super) fn plan(&self, snapshot: &Snapshot, text: &[u8]) -> (Rc<Plan>, Rc<Route>) {
        let mut plans = self.worker.plans.borrow_mut();
        plans.route(&self.subject, text, &snapshot.rules, &|| self.now(), self.time_zone(snapshot))
    }

    /// True if the route answers the statement instead of sending it on. What is refused because no hostgroup is proven to
    /// hold all its rows may still run where an open transaction (or another pin that holds all) has the session anyway.
    pub(in crate::session) fn is_answered(&self, route: &Route) -> bool {
        route.is_answered()
            && !(matches!(route.reason, Reason::BeyondHorizon { .. })
                && route.writer_holds == Holds::Unknown
                && self.holdings.home_pins().intersects(Pins::EVERYTHING))
    }

    /// A rule's own answer.
    pub(in crate::session) async fn answered_by_rule(&mut self, plan: &Plan, route: &Route) -> Result<(), SessionEnd> {
        self.tally_answered(plan, route);
        match (&route.refusal, &route.ok_msg) {
            (Some(text), _) => Err(StatementError::Refused(text.to_string()).into()),
            (None, Some(text)) => self.send_ok(text.as_bytes()).await,
            (None, None) => self.send_ok(b"").await,
        }
    }

    /// What of this session decides about the place of a statement with this route.
    pub(in crate::session) fn standing(&self, snapshot: &Snapshot, route: &Route, effects: Effects) -> Standing {
        let asked = self.previous.asked_by(effects);
        let is_asked = |hold: &&Hold| hold.link.serial == asked;
        let held = |hold: &Hold| Held { hostgroup: hold.link.hostgroup, writer: hold.link.writer, pins: hold.pins() };
        Standing {
            home: self.holdings.home().map(held),
            last: self.holdings.last().filter(is_asked).map(held),
            previous_at_home: self.holdings.home().is_some_and(|home| is_asked(&home)),
            wrote_lately: self.wrote_lately(snapshot, route.writer),
            by_watermark: self.by_watermark(snapshot, route.writer),
            autocommit_off: !self.state.autocommit,
        }
    }
}
