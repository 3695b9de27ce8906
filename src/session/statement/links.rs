//! The link that a statement's place means: one that is at hand, or one that has to be waited for.
//!
//! What cannot be had becomes an error that says which hostgroups were tried and which were left out. Getting a link from the
//! pool or a new one is [`crate::session::supply`]'s.

use crate::backend::Engine;
use crate::backend::hostgroup::Needs;
use crate::rules::{Holds, Plan, Route};
use crate::session::error::{SessionEnd, StatementError};
use crate::session::holdings::Hold;
use crate::session::link::Link;
use crate::session::link::conversation::TalkError;
use crate::session::parts::Session;
use crate::session::parts::flight::Planned;
use crate::session::parts::place::Place;
use crate::session::supply::{Tried, name_hostgroups};
use crate::session::worker::snapshot::Snapshot;
use crate::sql::effects::{Effects, Verb};
use std::rc::Rc;

impl Session {
    /// A link that is there and needs no talk, though it may not be the first that is tried.
    pub(super) fn look_for_link(&mut self, planned: &Planned, tried: &Tried) -> Option<Hold> {
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
    pub(in crate::session) fn link_at_hand(
        &mut self,
        place: Place,
        effects: Effects,
        route: &Route,
        snapshot: &Snapshot,
    ) -> Option<Hold> {
        let needs_talk = effects.contains(Effects::NEEDS_INSERT_ID) || effects.is_about_counters();
        match place {
            Place::Route if !effects.intersects(ONE_ENGINE) && !effects.is_about_counters() => {
                self.supply().ready(&self.state, &route.tiers, snapshot).map(Hold::pooled)
            }
            Place::Fresh if !effects.intersects(ONE_ENGINE) && !effects.is_about_counters() => {
                self.following_link_at_hand(route, effects, snapshot)
            }
            Place::Writer if !needs_talk => {
                self.supply().ready(&self.state, &[route.writer], snapshot).map(Hold::pooled)
            }
            Place::Home if !effects.contains(Effects::NEEDS_INSERT_ID) && !self.home_lacks_insert_id(effects) => {
                let home = &self.holdings.home()?.link;
                let is_ready = Rc::ptr_eq(&home.state, &self.state) && !self.must_join_counts(effects, home);
                is_ready.then(|| self.holdings.take_home()).flatten()
            }
            _ => None,
        }
    }

    /// The link that a place means.
    pub(super) async fn link_for(&mut self, planned: &Planned, tried: &mut Tried) -> Result<Hold, SessionEnd> {
        let Planned { snapshot, plan, route, .. } = planned;
        match planned.placed.0 {
            Place::Route | Place::Fresh | Place::Writer
                if planned.request.effects.is_about_counters()
                    && let Some(hold) = self.link_of_counters() =>
            {
                Ok(self.brought_up(hold).await?)
            }
            Place::Home => self.home_link(plan.facts.effects).await,
            Place::Last => {
                let last = self.holdings.take_last().ok_or_else(|| gone(plan.facts.effects))?;
                Ok(self.made_to_answer(plan.facts.effects, last).await?)
            }
            Place::Previous => Ok(self.previous_link(plan.facts.effects, snapshot, route, tried).await?),
            Place::PreviousAsHome => {
                if let Some(home) = self.let_home_go().await {
                    self.previous.forget(home);
                }
                let may_be_home = self.holdings.last().is_some_and(|last| last.link.writer);
                let last = if may_be_home { self.holdings.take_last() } else { None };
                match last {
                    Some(last) => Ok(self.made_to_answer(plan.facts.effects, last).await?),
                    None => Ok(self.previous_link(plan.facts.effects, snapshot, route, tried).await?),
                }
            }
            Place::Writer => {
                let link = self.obtain_for(plan.facts.effects, &[route.writer], snapshot, tried).await?;
                Ok(self.with_insert_id(plan.facts.effects, Hold::pooled(link)).await?)
            }
            Place::Fresh => {
                let effects = plan.facts.effects;
                let tiers = effects.intersects(ONE_ENGINE).then(|| speakers(effects, route, snapshot, tried));
                let tiers = tiers.as_deref().unwrap_or(&route.tiers);
                match self.following_link(planned, tiers, tried).await {
                    Err(SessionEnd::Statement(error)) => Err(explain_refusal(error, route, snapshot).into()),
                    link => link,
                }
            }
            Place::Route if plan.facts.effects.intersects(ONE_ENGINE) => {
                let tiers = speakers(plan.facts.effects, route, snapshot, tried);
                match self.obtain_for(plan.facts.effects, &tiers, snapshot, tried).await {
                    Ok(link) => Ok(Hold::pooled(link)),
                    Err(error) => Err(explain_refusal(error, route, snapshot).into()),
                }
            }
            Place::Route => match self.obtain_for(plan.facts.effects, &route.tiers, snapshot, tried).await {
                Ok(link) => Ok(Hold::pooled(link)),
                Err(error) => Err(explain_refusal(error, route, snapshot).into()),
            },
            Place::EndReadOnly => {
                self.end_read_only().await?;
                let link = self.obtain_for(plan.facts.effects, &route.tiers, snapshot, tried).await?;
                Ok(Hold::pooled(link))
            }
            Place::Refuse => Err(StatementError::Pinned {
                wanted: name_hostgroups(&route.tiers, snapshot),
                held: self.holdings.home().map_or(0, |home| home.link.hostgroup),
                pins: self.holdings.home_pins(),
            }
            .into()),
            // A session that holds a reader has prepared nothing by name: the server says so.
            Place::ReadOnlyTransaction if names_prepared(plan) => {
                self.holdings.take_home().ok_or_else(|| self.read_only_transaction().into())
            }
            Place::ReadOnlyTransaction => Err(self.read_only_transaction().into()),
        }
    }

    /// The home connection, ready for a statement with these effects.
    pub(super) async fn home_link(&mut self, effects: Effects) -> Result<Hold, SessionEnd> {
        let lacks_insert_id = self.home_lacks_insert_id(effects);
        let mut home = self.holdings.take_home().ok_or(StatementError::ResultGone("its state"))?;
        if lacks_insert_id {
            home = self.with_remembered_insert_id(home).await?;
        }
        Ok(self.made_to_answer(effects, home).await?)
    }

    /// A link for a statement with these effects, in the session's state. Where the session's default schema is gone, what needs none goes
    /// on.
    pub(in crate::session) async fn obtain_for(
        &mut self,
        effects: Effects,
        tiers: &[u32],
        snapshot: &Snapshot,
        tried: &mut Tried,
    ) -> Result<Box<Link>, StatementError> {
        self.obtain_with(effects, tiers, Needs::NOTHING, snapshot, tried).await
    }

    /// The same from a server that has what is needed.
    pub(in crate::session) async fn obtain_with(
        &mut self,
        effects: Effects,
        tiers: &[u32],
        needs: Needs<'_>,
        snapshot: &Snapshot,
        tried: &mut Tried,
    ) -> Result<Box<Link>, StatementError> {
        match self.obtain_from(&Rc::clone(&self.state), tiers, needs, snapshot, tried).await {
            Err(StatementError::State { code: UNKNOWN_SCHEMA, .. }) if !effects.intersects(NAMES_TABLES) => {
                let adrift = self.worker.states.intern(self.state.values.in_schema(None));
                self.obtain_from(&adrift, tiers, needs, snapshot, &mut Tried::default()).await
            }
            obtained => obtained,
        }
    }

    /// The link of the statement before, if nobody has used it since; else the home, where there is one.
    fn link_of_counters(&mut self) -> Option<Hold> {
        let previous = self.take_untouched(self.previous.asked_by(Effects::empty()), |_| true);
        previous.or_else(|| self.holdings.take_home())
    }

    /// The error for what must not run in the READ ONLY transaction that the session has, as its server words it.
    fn read_only_transaction(&self) -> StatementError {
        let is_mysql = self.holdings.home().is_some_and(|home| home.link.backend().engine() == Engine::MySql);
        StatementError::ReadOnlyTransaction(if is_mysql { "." } else { "" })
    }

    /// A link that the session holds, in the session's state, on which all that a statement with these effects asks of the one before is
    /// what it must be. Where it has what has been set elsewhere since, and nothing is asked, this says nothing to the server.
    async fn made_to_answer(&mut self, effects: Effects, hold: Hold) -> Result<Hold, StatementError> {
        let hold = self.with_insert_id(effects, hold).await?;
        self.join_counts(effects, hold).await
    }

    /// A link in the session's state, on which `LAST_INSERT_ID()` says what it must say for this session.
    pub(super) async fn with_insert_id(&mut self, effects: Effects, mut hold: Hold) -> Result<Hold, StatementError> {
        let brought = match self.worker.bring(&mut hold.link, &self.state).await {
            Err(TalkError::Refused { code: UNKNOWN_SCHEMA, .. }) if !effects.intersects(NAMES_TABLES) => {
                // Its default schema is gone. What needs none goes on where the link is.
                let schema = hold.link.state.values.schema.clone();
                let near = self.worker.states.intern(self.state.values.in_schema(schema));
                self.worker.bring(&mut hold.link, &near).await
            }
            brought => brought,
        };
        let made_ready = match brought {
            Ok(()) => self.clean_insert_id(effects, &mut hold).await,
            Err(error) => Err(error),
        };
        match made_ready {
            Ok(true) => Ok(hold),
            Ok(false) => {
                self.put_back(hold);
                Err(StatementError::ResultLost("LAST_INSERT_ID()"))
            }
            Err(error) => Err(self.talk_failed(hold, error)),
        }
    }
}

/// ER_BAD_DB_ERROR.
const UNKNOWN_SCHEMA: u16 = 1049;

/// Effects of statements that may name tables without their schema.
const NAMES_TABLES: Effects = Effects::READ_TABLE
    .union(Effects::WRITE)
    .union(Effects::DDL)
    .union(Effects::LOCK_TABLES)
    .union(Effects::METADATA)
    .union(Effects::OUT_OF_SIGHT)
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
    if snapshot.topology.members_of(&tiers).all(|member| member.backend.engine() == foreign) {
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
pub(in crate::session) fn gone(effects: Effects) -> StatementError {
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
    let StatementError::NoBackend { tiers, why, may_pass, .. } = error else { return error };
    let mut note = format!("; route: {}", route.reason);
    if !route.excluded.is_empty() {
        let excluded = name_hostgroups(&route.excluded, snapshot);
        note.push_str(&format!("; hostgroup {excluded} is not proven to hold all rows that it reaches"));
    }
    StatementError::NoBackend { tiers, why, note, may_pass }
}

/// True for a statement that does nothing where no statement was prepared by name.
fn names_prepared(plan: &Plan) -> bool {
    matches!(plan.facts.verb, Verb::Execute | Verb::Deallocate)
        && !plan.facts.effects.intersects(Effects::MARIADB_ONLY | Effects::MULTI | Effects::UNKNOWN_FUNCTION)
}
