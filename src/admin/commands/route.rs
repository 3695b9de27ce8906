//! EXPLAIN ROUTE: where a statement would go by the configuration in effect, and why, one row for each fact.
//!
//! [`crate::rules::explain`] finds the facts; the servers that take nothing new are added here. It runs nothing, and
//! knows no client's session: an open transaction or a pin may keep a session elsewhere.

use crate::admin::desk::Desk;
use crate::admin::wire::Answer;
use crate::rules::{Subject, explain};
use jiff::Timestamp;

impl Desk {
    /// One row for each fact.
    pub(in crate::admin) fn explain_route(&self, statement: &str, who: Option<&(String, Option<String>)>) -> Answer {
        let snapshot = self.parts.published.load();
        let (user, schema) = who.map_or(("", None), |(user, schema)| (user.as_str(), schema.as_deref()));
        let account = snapshot.accounts.get(user);
        let schema = schema.or_else(|| account.and_then(|a| a.spec().default_schema.as_deref()));
        let subject = Subject::new(user).with_schema(schema);
        let zone = &snapshot.settings.time_zone;
        let found = explain(&snapshot.rules, &subject, statement.as_bytes(), &[], Timestamp::now(), zone);
        let left_out = snapshot.topology.left_out(found.hostgroups());
        let facts = found.facts().into_iter().chain(left_out.into_iter().map(|out| ("left_out", out)));
        Answer::table(&["fact", "value"], facts.map(|(fact, value)| vec![fact.to_owned(), value]).collect())
    }
}
