//! Where a statement would go and why, in words, for `switchboard explain` and `EXPLAIN ROUTE`.
//!
//! It uses the same plans and the same search as the traffic ([`super::plan`], [`super::decide`]), and puts what they
//! found into sentences. It sends nothing, and it knows neither a session's state nor which backends are up.

use super::decide::why_unsafe;
use super::fast::FastRoute;
use super::hostgroup::Hostgroups;
use super::plan::{Execution, Plan, search};
use super::route::{HostgroupId, Reason, Route};
use super::rule::Known;
use super::ruleset::RuleSet;
use super::subject::Subject;
use crate::sql::digest::Digest;
use crate::sql::effects::{Access, Effects};
use crate::sql::predicate::{BoundValue, Reach};
use jiff::{Timestamp, tz::TimeZone};

/// A statement's route, and everything that led to it.
#[derive(Clone, Debug)]
pub struct Explanation {
    /// The digest's text; bytes that are no UTF-8 are replaced.
    pub digest: String,
    /// The digest's hash.
    pub hash: u64,
    /// True only if the statement may run on a reader.
    pub reader_safe: bool,
    /// The effects' names.
    pub effects: Vec<String>,
    /// The tables, `schema.table` where the statement names the schema, with what is done to them.
    pub tables: Vec<(String, Access)>,
    /// Functions that are no known built-ins.
    pub functions: Vec<String>,
    /// Why a session that runs this must keep its backend afterwards.
    pub pins: Vec<&'static str>,
    /// Rules that matched, in order: the last one need not be the one that named the hostgroups.
    pub matched: Vec<u32>,
    /// How far back the statement reaches.
    pub reach: Reach,
    /// Where that is unknown: what stands in the way of a proof.
    pub reach_unknown: Option<String>,
    /// The route.
    pub route: Route,
    /// Why, in words, with what the deciding rule's comment says.
    pub reason: String,
    /// Why nothing is proven, where nothing is; else empty.
    pub unproven: &'static str,
}

impl Explanation {
    /// The number of the rule that decided.
    pub fn rule(&self) -> Option<u32> {
        self.route.rule_id
    }

    /// The hostgroups, in order of preference.
    pub fn hostgroups(&self) -> &[HostgroupId] {
        &self.route.tiers
    }

    /// All of it as names and values, for `EXPLAIN ROUTE` wherever it is asked. Empty lists are empty texts.
    pub fn facts(&self) -> Vec<(&'static str, String)> {
        let list = |numbers: &[u32]| numbers.iter().map(u32::to_string).collect::<Vec<_>>().join(", ");
        let tables = self.tables.iter().map(|(name, access)| format!("{name} ({access:?})").to_lowercase());
        let mut facts = vec![
            ("digest", self.digest.clone()),
            ("digest_hash", format!("0x{:016X}", self.hash)),
            ("reader_safe", self.reader_safe.to_string()),
            ("effects", self.effects.join(", ")),
            ("tables", tables.collect::<Vec<_>>().join(", ")),
            ("earliest", self.reach_words()),
            ("matched_rules", list(&self.matched)),
            ("rule", self.rule().map_or_else(|| "none".to_owned(), |rule| rule.to_string())),
            ("hostgroups", list(self.hostgroups())),
            ("excluded_by_horizon", list(&self.route.excluded)),
            ("would_pin", self.pins.join(", ")),
            ("reason", self.reason.clone()),
        ];
        if !self.unproven.is_empty() {
            facts.push(("unproven", self.unproven.to_owned()));
        }
        if let Some(refusal) = &self.route.refusal {
            facts.push(("refusal", refusal.to_string()));
        }
        facts
    }

    /// The earliest moment that the statement can touch, where one is proven.
    pub fn earliest(&self) -> Option<Timestamp> {
        match self.reach {
            Reach::Since(moment) if moment != Timestamp::MIN => Some(moment),
            _ => None,
        }
    }

    /// How far back the statement reaches, in words.
    pub fn reach_words(&self) -> String {
        match self.reach {
            Reach::Timeless => "names no table with a time column".to_owned(),
            Reach::Unknown => match &self.reach_unknown {
                Some(why) => format!("no lower bound on time is proven: {why}"),
                None => "no lower bound on time is proven".to_owned(),
            },
            Reach::Since(moment) if moment == Timestamp::MIN => "without a lower bound".to_owned(),
            Reach::Since(moment) => moment.to_string(),
        }
    }
}

/// What a statement that pins leaves on its connection. The names are those that a session's pins have.
const PINS: [(Effects, &str); 8] = [
    (Effects::SET_USER_VARIABLE, "user variable"),
    (Effects::TEMPORARY_TABLE, "temporary table"),
    (Effects::USER_LOCK, "named lock"),
    (Effects::LOCK_TABLES, "locked tables"),
    (Effects::TEXT_PREPARE, "text-prepared statement"),
    (Effects::HANDLER, "open handler"),
    (Effects::UNTRACKED_STATE, "state that is not tracked"),
    (Effects::BEGIN, "transaction"),
];

/// Routes `sql` as a session of `subject` would be routed now, outside of a transaction, without running it.
pub fn explain(
    rules: &RuleSet,
    subject: &Subject,
    sql: &[u8],
    params: &[BoundValue<'_>],
    now: Timestamp,
    time_zone: &TimeZone,
) -> Explanation {
    let mut digest = Digest::default();
    digest.read(sql, subject.mode());
    let plan = rules.plan(sql, &digest, subject);
    let clock = || now;
    let execution = Execution { sql, digest: &digest, params, clock: &clock, time_zone };
    let route = Route::clone(&plan.route(&execution));
    let reach = plan.reach(&execution, now);
    let facts = &plan.facts;
    let (matched, left_with) = matched(rules, subject, &plan, &execution, reach);
    let fast = left_with.and_then(|flag| rules.fast_route(subject, flag));
    Explanation {
        digest: String::from_utf8_lossy(&plan.digest).into_owned(),
        hash: plan.hash,
        reader_safe: facts.reader_safe(),
        effects: facts.effects.names().collect(),
        tables: facts.tables.iter().map(|t| (qualified(t.schema.as_deref(), &t.name), t.access)).collect(),
        functions: facts.functions.iter().map(|f| f.to_string()).collect(),
        pins: PINS.iter().filter(|(e, _)| facts.effects.intersects(*e)).map(|&(_, name)| name).collect(),
        matched,
        reach,
        reach_unknown: plan.time.unknown_because().map(str::to_owned),
        reason: reason(rules, &plan, &route, fast),
        unproven: facts.unproven,
        route,
    }
}

fn qualified(schema: Option<&str>, name: &str) -> String {
    schema.map_or_else(|| name.to_owned(), |schema| format!("{schema}.{name}"))
}

/// All rules that match on the way, those too that a plan leaves out because they change nothing; and the flag that they leave
/// the statement with.
fn matched(
    rules: &RuleSet,
    subject: &Subject,
    plan: &Plan,
    execution: &Execution<'_>,
    reach: Reach,
) -> (Vec<u32>, Option<u32>) {
    let known = Known { subject, digest: &plan.digest, hash: plan.hash, facts: &plan.facts };
    let candidates: Vec<_> = rules.matching(&known, plan.time.is_timeless()).collect();
    let class = plan.grounds.hostgroups.class(reach, (execution.clock)(), execution.time_zone);
    let mut ids = Vec::new();
    let found = search(&candidates, execution.sql, class, &plan.grounds, |rule| ids.push(rule.settings.rule_id));
    (ids, found.left_with)
}

fn reason(rules: &RuleSet, plan: &Plan, route: &Route, fast: Option<&FastRoute>) -> String {
    let (mut words, named_by) = match (&route.reason, &route.refusal) {
        (Reason::BeyondHorizon { rule }, Some(refusal)) => {
            let refusal = refusal.strip_prefix("Switchboard: ").unwrap_or(refusal);
            (format!("refused: {refusal}"), *rule)
        }
        (reason @ (Reason::Rule(id) | Reason::Answered(id)), _) => (reason.to_string(), Some(*id)),
        (reason @ Reason::UnsafeOnReader { rule, .. }, _) => (reason.to_string(), *rule),
        (Reason::FastRoute, _) => (fast_words(fast), None),
        (reason @ (Reason::Hint(_) | Reason::DefaultHostgroup | Reason::BeyondHorizon { .. }), _) => {
            (reason.to_string(), None)
        }
    };
    if let Some(rule) = named_by.and_then(|id| rules.rules().find(|r| r.rule_id == id))
        && !rule.comment.is_empty()
    {
        words.push_str(&format!(" ({})", rule.comment));
    }
    if let (Reason::Answered(_), Some(refusal)) = (&route.reason, &route.refusal) {
        words.push_str(&format!(": {refusal}"));
    } else if route.refusal.is_none() && !route.excluded.is_empty() {
        let names: Vec<String> = route.excluded.iter().map(|&id| holding(rules.hostgroups(), id)).collect();
        words
            .push_str(&format!("; left out, because it is not proven to hold every row reached: {}", names.join(", ")));
    }
    // Why the writer, where a rule that asks for just that named it.
    if !route.reader_safe && !route.is_answered() && matches!(route.reason, Reason::Rule(_) | Reason::FastRoute) {
        words.push_str(&format!("; {}", why_unsafe(&plan.facts)));
    }
    words
}

fn fast_words(fast: Option<&FastRoute>) -> String {
    let Some(row) = fast else { return Reason::FastRoute.to_string() };
    let user = if row.username.is_empty() { "any user" } else { &row.username };
    let mut words = match &*row.schemaname {
        "" => format!("the fast route of {user} without a schema"),
        schema => format!("the fast route of {user} in schema {schema}"),
    };
    if row.flag_in != 0 {
        words.push_str(&format!(", flagIN {}", row.flag_in));
    }
    if !row.comment.is_empty() {
        words.push_str(&format!(" ({})", row.comment));
    }
    words
}

fn holding(groups: &Hostgroups, id: HostgroupId) -> String {
    match groups.get(id).and_then(|g| g.horizon) {
        Some(horizon) => format!("hostgroup {id} (holds the last {horizon})"),
        None => format!("hostgroup {id}"),
    }
}
