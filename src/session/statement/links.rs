//! The link that a statement's place means: one that is at hand, or one that has to be waited for.
//!
//! What cannot be had becomes an error that says which hostgroups were tried and which were left out. Getting a link from the
//! pool or a new one is [`crate::session::supply`]'s.

use crate::backend::Engine;
use crate::rules::{Holds, Plan, Route};
use crate::session::error::{SessionEnd, StatementError};
use crate::session::link::Link;
use crate::session::link::conversation::TalkError;
use crate::session::parts::Session;
use crate::session::parts::flight::{From, Planned};
use crate::session::parts::place::Place;
use crate::session::supply::{Tried, name_hostgroups};
use crate::session::worker::snapshot::Snapshot;
use crate::sql::effects::{Effects, Verb};
use std::rc::Rc;

impl Session {
    /// A link that is there and needs no talk, though it may not be the first that is tried.
    pub(super) fn look_for_link(&mut self, planned: &Planned, tried: &Tried) -> Option<(Box<Link>, From)> {
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

    /// The link that a place means.
    pub(super) async fn link_for(
        &mut self,
        planned: &Planned,
        tried: &mut Tried,
    ) -> Result<(Box<Link>, From), SessionEnd> {
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
    fn home_not_ready(&mut self, link: Box<Link>, error: TalkError) -> StatementError {
        let mut lost = self.talk_failed(&link, error);
        if let StatementError::Lost { pins, .. } = &mut lost {
            *pins = std::mem::take(&mut self.home_pins);
            self.discard(link);
        } else {
            self.home = Some(link);
        }
        lost
    }
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
    let StatementError::NoBackend { tiers, why, .. } = error else { return error };
    let mut note = format!("; route: {}", route.reason);
    if !route.excluded.is_empty() {
        let excluded = name_hostgroups(&route.excluded, snapshot);
        note.push_str(&format!("; hostgroup {excluded} is not proven to hold all rows that it reaches"));
    }
    StatementError::NoBackend { tiers, why, note }
}

/// True for a statement that does nothing where no statement was prepared by name.
fn names_prepared(plan: &Plan) -> bool {
    matches!(plan.facts.verb, Verb::Execute | Verb::Deallocate)
        && !plan.facts.effects.intersects(Effects::MARIADB_ONLY | Effects::MULTI | Effects::UNKNOWN_FUNCTION)
}
