//! Where a read goes that must see a write, where the writer has heartbeats: to a server that is known to have that write.
//!
//! ```text
//!  a server of the route has it ─────────────────────────▶ there
//!  none has it ─┬─ it may come within read_your_writes_wait ─▶ wait ─┬─ it came ─▶ there
//!               └─ it will not, or was waited for in vain ──────────┴─ it did not ─▶ the writer, where that is proven to hold the
//!                                                                                     rows; otherwise the route, as without a write
//! ```
//!
//! A write counts however long it takes to come: there is no window. Who is known to have it is said by watermarks
//! ([`crate::backend::heartbeat`]). [`super::place`] settles that a read must see a write at all.

use crate::backend::heartbeat::token::Token;
use crate::backend::hostgroup::Needs;
use crate::backend::{Backend, Hostgroup};
use crate::rules::Route;
use crate::session::error::SessionEnd;
use crate::session::holdings::Hold;
use crate::session::parts::Session;
use crate::session::parts::flight::Planned;
use crate::session::statement::place::Wrote;
use crate::session::supply::{Supply, Tried};
use crate::session::worker::Current;
use crate::session::worker::snapshot::Snapshot;
use crate::sql::effects::Effects;
use std::rc::Rc;
use std::time::Duration;
use tokio::time::{Instant, timeout_at};

/// Where such a read goes.
#[derive(Clone, Copy, Debug)]
pub(super) enum Follows<'a> {
    /// To a server of the route that has this.
    Readers(Needs<'a>),
    /// Nowhere yet: a server may have it soon.
    Soon(Needs<'a>),
    /// To the writer.
    Writer,
    /// Where it would go without the write: the writer is not proven to hold the rows.
    Route,
}

/// What a client has carried here from another connection.
type Carried<'a> = Option<&'a Token>;

impl Session {
    /// Where a statement of [`super::place::Place::Fresh`] goes now.
    pub(super) fn follows<'a>(
        &self,
        route: &Route,
        effects: Effects,
        token: Carried<'a>,
        snapshot: &'a Snapshot,
    ) -> Follows<'a> {
        let (after, wrote) = self.latest_write(snapshot, route.writer);
        let Some(writers) = snapshot.topology.hostgroup(route.writer).filter(|_| wrote != Wrote::Nobody) else {
            return Follows::Route;
        };
        let needs = Needs::writes_of(writers, after, token.map_or(&[], Token::beats));
        let needs = needs.of_write_on(self.wrote_on.filter(|_| self.wrote_at.is_some()));
        // The writer stands first on the way, and has all of it.
        let leads_to_writer = || route.tiers.first() == Some(&route.writer) && writers.has_taker();
        if leads_to_writer() || readers(route, snapshot).any(|backend| needs.are_met_by(backend)) {
            return Follows::Readers(needs);
        }
        let patience = snapshot.settings.read_your_writes_wait;
        let waits = !patience.is_zero() && self.vain_wait != Some(after.unwrap_or_default());
        if waits && readers(route, snapshot).any(|backend| may_come_within(patience, backend, needs)) {
            return Follows::Soon(needs);
        }
        without_readers(wrote, route, effects)
    }

    /// The hostgroups where a statement with this route is prepared, and what their servers must have: those that have what the session has
    /// just made.
    pub(in crate::session) fn where_to_prepare<'a>(
        &self,
        route: &'a Route,
        token: Carried<'a>,
        snapshot: &'a Snapshot,
    ) -> (&'a [u32], Needs<'a>) {
        let wrote = self.wrote_lately(snapshot, route.writer);
        let is_late = route.reader_safe && wrote != Wrote::Nobody && route.tiers.first() != Some(&route.writer);
        let follows = match self.by_watermark(snapshot, route.writer) {
            _ if !is_late => Follows::Route,
            true => self.follows(route, Effects::empty(), token, snapshot),
            false => Follows::Writer,
        };
        match follows {
            Follows::Readers(needs) => (&route.tiers, needs),
            Follows::Soon(_) | Follows::Writer if wrote.takes_read(route.writer_holds) => {
                (std::slice::from_ref(&route.writer), Needs::NOTHING)
            }
            _ => (&route.tiers, Needs::NOTHING),
        }
    }

    /// A link for such a statement that is at hand.
    #[inline]
    pub(super) fn following_link_at_hand(
        &mut self,
        route: &Route,
        effects: Effects,
        snapshot: &Snapshot,
    ) -> Option<Hold> {
        let token = self.token.clone();
        match self.follows(route, effects, token.as_deref(), snapshot) {
            Follows::Readers(needs) => {
                Supply { needs: &needs, ..self.supply() }.ready(&self.state, &route.tiers, snapshot).map(Hold::pooled)
            }
            Follows::Soon(_) => None,
            Follows::Writer if self.is_home_at(route.writer) => None,
            Follows::Writer => self.supply().ready(&self.state, &[route.writer], snapshot).map(Hold::pooled),
            Follows::Route => self.supply().ready(&self.state, &route.tiers, snapshot).map(Hold::pooled),
        }
    }

    /// A link for such a statement, after a wait if need be. `tiers`: the route's hostgroups that may run it.
    pub(super) async fn following_link(
        &mut self,
        planned: &Planned,
        tiers: &[u32],
        tried: &mut Tried,
    ) -> Result<Hold, SessionEnd> {
        let Planned { snapshot, plan, route, request, .. } = planned;
        let effects = plan.facts.effects;
        let token = self.token.clone();
        let mut follows = self.follows(route, request.effects, token.as_deref(), snapshot);
        if let Follows::Soon(needs) = follows {
            self.wait_until_fresh(needs, route, snapshot).await;
            follows = self.follows(route, request.effects, token.as_deref(), snapshot);
        }
        if let Follows::Readers(needs) = follows {
            match self.obtain_with(effects, tiers, needs, snapshot, tried).await {
                Ok(link) => return Ok(Hold::pooled(link)),
                // Whoever has it cannot be had.
                Err(error) if error.may_pass() => {
                    let wrote = self.wrote_lately(snapshot, route.writer);
                    follows = without_readers(wrote, route, request.effects);
                }
                Err(error) => return Err(error.into()),
            }
        }
        match follows {
            Follows::Writer if self.is_home_at(route.writer) => self.home_link(effects).await,
            Follows::Writer => {
                let link = self.obtain_with(effects, &[route.writer], Needs::NOTHING, snapshot, tried).await?;
                Ok(Hold::pooled(link))
            }
            _ => {
                let link = self.obtain_with(effects, tiers, Needs::NOTHING, snapshot, tried).await?;
                Ok(Hold::pooled(link))
            }
        }
    }

    /// True if the session's home is at the writer: a second connection there is not needed.
    fn is_home_at(&self, writer: u32) -> bool {
        self.holdings.home().is_some_and(|home| home.link.writer && home.link.hostgroup == writer)
    }

    /// Waits until a server of the route has what is needed, for `read_your_writes_wait` at most. Heartbeats are written and read more
    /// often meanwhile.
    async fn wait_until_fresh(&mut self, needs: Needs<'_>, route: &Route, snapshot: &Rc<Current>) {
        let until = Instant::now() + snapshot.settings.read_your_writes_wait;
        self.worker.stats.counters.freshness_waits.inc();
        let all = || readers(route, snapshot);
        let mut wants: Vec<_> = all().map(|reader| reader.watermarks.wants.want()).collect();
        wants.extend(all().filter_map(|reader| needs.missing_writer(reader)).map(|writer| writer.beats.wants.want()));
        loop {
            // From before the look, so that no move is missed.
            let missing = all().find_map(|reader| needs.missing_writer(reader));
            let moved = missing.map(|writer| writer.beats.moved.notified());
            if all().any(|reader| needs.are_met_by(reader)) {
                return;
            }
            let Some(moved) = moved else { break };
            if timeout_at(until, moved).await.is_err() {
                break;
            }
        }
        self.worker.stats.counters.freshness_wait_timeouts.inc();
        self.vain_wait = Some(self.latest_write(snapshot, route.writer).0.unwrap_or_default());
    }
}

/// Where a statement goes that no reader can serve with the write.
fn without_readers<'a>(wrote: Wrote, route: &Route, effects: Effects) -> Follows<'a> {
    let at_writer = match effects.contains(Effects::BEGIN_READ_ONLY) {
        true => wrote.takes_transaction(),
        false => wrote.takes_read(route.writer_holds),
    };
    if at_writer { Follows::Writer } else { Follows::Route }
}

/// The servers of a route that take statements and are not silent, those of its writer left out.
fn readers<'a>(route: &'a Route, snapshot: &'a Snapshot) -> impl Iterator<Item = &'a Backend> {
    let tiers = route.tiers.iter().filter(|tier| **tier != route.writer);
    let hostgroups = tiers.filter_map(|tier| snapshot.topology.hostgroup(*tier));
    hostgroups.flat_map(|hostgroup: &Hostgroup| {
        let members = hostgroup.members.iter().map(|member| &*member.backend);
        members.filter(move |backend| hostgroup.takes(backend) && !backend.is_silent())
    })
}

/// True if what is needed may come to this server in that time, going by what the last heartbeat took at least.
fn may_come_within(patience: Duration, backend: &Backend, needs: Needs<'_>) -> bool {
    needs.missing_writer(backend).is_some_and(|writer| {
        let took = backend.watermarks.took(writer.beats.epoch());
        took.is_some_and(|took| u128::from(took) < patience.as_millis())
    })
}
