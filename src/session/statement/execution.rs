//! The plan of an execution (COM_STMT_EXECUTE): that of its text, for its values, as the session was when it was prepared.
//!
//! What a server must have for it is in [`crate::session::prepared`].

use crate::protocol::prepared::Value;
use crate::protocol::prepared::{Execute, read_values};
use crate::protocol::tracker::Expect;
use crate::rules::{Execution, Plan, Route, Subject};
use crate::session::error::{SessionEnd, StatementError};
use crate::session::parts::Session;
use crate::session::parts::flight::{Planned, UNPLACED};
use crate::session::parts::statements::Executing;
use crate::session::worker::snapshot::Snapshot;
use crate::sql::digest::Digest;
use crate::sql::predicate::BoundValue;
use std::rc::Rc;

impl Session {
    /// COM_STMT_EXECUTE, with whatever stands beside it. What was sent ahead for it is used up, served or not: a client that tries again sends it again.
    pub(in crate::session) async fn execute(&mut self) -> Result<(), SessionEnd> {
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
        if self.holdings.has_cursors() {
            Box::pin(self.make_way(id)).await?;
        }
        let planned = self.plan_with_values(executing)?;
        self.run_planned(planned, None).await
    }

    /// The plan of a COM_STMT_EXECUTE that has nothing beside it: nothing was sent ahead, no cursor is open. None for others, and
    /// for those that are wrong: [`Session::execute`] says what is.
    #[inline]
    pub(in crate::session) fn plan_plain_execution(&mut self) -> Option<Planned> {
        let statements = self.prepared.as_ref()?;
        if statements.long_data_bytes > 0 || self.holdings.has_cursors() {
            return None;
        }
        let executing = self.keep_types(self.requested_id().ok()?).ok()?;
        let planned = self.plan_with_values(executing).ok()?;
        self.worker.stats.counters.front.execute.inc();
        Some(planned)
    }

    pub(super) fn plan_with_values(&mut self, executing: Executing) -> Result<Planned, StatementError> {
        let snapshot = self.worker.snapshot();
        let (plan, route) = self.plan_execution(&snapshot, executing.id)?;
        let expect = if executing.cursor { Expect::Cursor } else { Expect::Results };
        let request = self.as_it_came(expect, plan.facts.effects);
        Ok(Planned { snapshot, plan, route, request, executing: Some(executing), placed: UNPLACED })
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

    /// The plan and the route of a prepared statement, for these values.
    pub(in crate::session) fn plan_prepared(
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
