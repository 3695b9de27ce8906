//! What the tests of rules share: small rule sets, and the route of a statement.

#![allow(dead_code, reason = "each test program uses a part")]

use jiff::{Timestamp, tz::TimeZone};
use switchboard::rules::{CacheLimits, Hostgroup, PlanCache, Route, RuleSet, RuleSetSettings, RuleSettings, Subject};

/// The moment that all tests take for now.
pub fn now() -> Timestamp {
    "2026-11-22T12:00:00Z".parse().unwrap()
}

/// A rule with that number and destination.
pub fn rule(rule_id: u32, destination: &[u32]) -> RuleSettings {
    RuleSettings { destination: destination.to_vec(), ..RuleSettings::new(rule_id) }
}

/// Hostgroups 10 (a writer), 20 and 30 (readers).
pub fn hostgroups() -> Vec<Hostgroup> {
    vec![Hostgroup::writer(10, "master"), Hostgroup::reader(20, "aurora"), Hostgroup::reader(30, "replica")]
}

/// Hostgroups 0 to 99, all writers: what a rule says is what happens, as in ProxySQL.
pub fn writers() -> Vec<Hostgroup> {
    (0..100).map(|id| Hostgroup::writer(id, "")).collect()
}

/// A rule set of these hostgroups and rules.
pub fn set(hostgroups: Vec<Hostgroup>, rules: Vec<RuleSettings>) -> RuleSet {
    RuleSet::build(RuleSetSettings { hostgroups, rules, ..RuleSetSettings::default() }).unwrap()
}

/// The route of a text statement, through a fresh cache.
pub fn route(rules: &RuleSet, subject: &Subject, sql: &str) -> Route {
    let limits = CacheLimits { texts: 16, ..CacheLimits::default() };
    route_in(&mut PlanCache::new(limits), rules, subject, sql)
}

/// The route of a text statement through that cache.
pub fn route_in(cache: &mut PlanCache, rules: &RuleSet, subject: &Subject, sql: &str) -> Route {
    let (_, route) = cache.route(subject, sql.as_bytes(), rules, &now, &TimeZone::UTC);
    Route::clone(&route)
}
