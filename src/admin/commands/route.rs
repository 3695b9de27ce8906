//! EXPLAIN ROUTE: where a statement would go by the configuration in effect, and why. Runs nothing.

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
        let list = |numbers: &[u32]| numbers.iter().map(u32::to_string).collect::<Vec<_>>().join(", ");
        let tables = found.tables.iter().map(|(name, access)| format!("{name} ({access:?})").to_lowercase());
        let mut facts: Vec<(&str, String)> = vec![
            ("digest", found.digest.clone()),
            ("digest_hash", format!("0x{:016X}", found.hash)),
            ("reader_safe", found.reader_safe.to_string()),
            ("effects", found.effects.join(", ")),
            ("tables", tables.collect::<Vec<_>>().join(", ")),
            ("earliest", found.reach_words()),
            ("matched_rules", list(&found.matched)),
            ("rule", found.rule().map_or_else(|| "none".to_owned(), |rule| rule.to_string())),
            ("hostgroups", list(found.hostgroups())),
            ("excluded_by_horizon", list(&found.route.excluded)),
            ("would_pin", found.pins.join(", ")),
            ("reason", found.reason.clone()),
        ];
        if !found.unproven.is_empty() {
            facts.push(("unproven", found.unproven.to_owned()));
        }
        if let Some(refusal) = &found.route.refusal {
            facts.push(("refusal", refusal.to_string()));
        }
        Answer::table(&["fact", "value"], facts.into_iter().map(|(fact, value)| vec![fact.to_owned(), value]).collect())
    }
}
