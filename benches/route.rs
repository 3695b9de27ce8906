//! What it costs to classify and route a statement whose digest is known, and whether that grows with the rules.
//!
//! `cargo bench --bench route` prints nanoseconds per statement, the best of many interleaved rounds, and the ratio between
//! 10,000 rules and 10; and what the first statement takes that meets 10,000 new patterns. `cargo bench --bench route -- --check`
//! fails where a point select takes more than 400 ns, or 10,000 rules more than 5% above 10.

use jiff::{Timestamp, tz::TimeZone};
use std::hint::black_box;
use std::process::ExitCode;
use std::time::{Duration, Instant};
use switchboard::rules::pattern::TablePattern;
use switchboard::rules::{
    CacheLimits, Horizon, HorizonKind, Hostgroup, PlanCache, RuleSet, RuleSetSettings, RuleSettings, Subject,
    TableSettings,
};
use switchboard::sql::effects::Effects;
use switchboard::sql::predicate::{TimeColumn, TimeUnit};

/// Statements in one round of one case.
const BATCH: usize = 20_000;
const ROUNDS: usize = 60;

/// The most nanoseconds that a point select of a known digest may take.
const MOST_NANOS: f64 = 400.0;
/// The most that 10,000 rules may take of what 10 take.
const MOST_GROWTH: f64 = 1.05;

struct Case {
    name: &'static str,
    rules: RuleSet,
    cache: PlanCache,
    texts: Vec<String>,
    best: f64,
}

impl Case {
    fn new(name: &'static str, rules: RuleSetSettings, limits: CacheLimits, texts: Vec<String>) -> Self {
        let rules = RuleSet::build(rules).unwrap_or_else(|faults| panic!("{name}: {faults:?}"));
        Self { name, rules, cache: PlanCache::new(limits), texts, best: f64::INFINITY }
    }

    fn round(&mut self, subject: &Subject) {
        let clock = || Timestamp::from_second(1_795_000_000).unwrap_or_default();
        let start = Instant::now();
        for text in self.texts.iter().cycle().take(BATCH) {
            black_box(self.cache.route(subject, black_box(text.as_bytes()), &self.rules, &clock, &TimeZone::UTC));
        }
        self.best = self.best.min(start.elapsed().as_nanos() as f64 / BATCH as f64);
    }
}

/// Without the layer of exact texts: what is measured is the digest, the lookup and the route.
fn digests_only() -> CacheLimits {
    CacheLimits { texts: 0, ..CacheLimits::default() }
}

fn points() -> Vec<String> {
    (0..5_000).map(|i| format!("SELECT c FROM sbtest{} WHERE id={}", 1 + i % 8, 7_919 * i)).collect()
}

fn rule(id: u32, destination: u32) -> RuleSettings {
    RuleSettings { destination: vec![destination], apply: true, ..RuleSettings::new(id) }
}

/// So many rules, each by `what`, none of which matches, and one at the end for everything.
fn many(count: u32, what: impl Fn(u32, &mut RuleSettings)) -> RuleSetSettings {
    let mut rules: Vec<RuleSettings> = (1..count)
        .map(|id| {
            let mut rule = rule(id, 10);
            what(id, &mut rule);
            rule
        })
        .collect();
    rules.push(rule(count, 20));
    RuleSetSettings {
        hostgroups: vec![Hostgroup::writer(10, "w"), Hostgroup::reader(20, "r")],
        rules,
        ..RuleSetSettings::default()
    }
}

fn horizons() -> RuleSetSettings {
    let columns = vec![TimeColumn { column: "start_time".into(), unit: TimeUnit::DateTime }];
    let historical = RuleSettings { horizon: vec![HorizonKind::Historical], ..rule(1, 20) };
    let recent = RuleSettings { destination: vec![20, 30], ..rule(2, 20) };
    let replica = Hostgroup { horizon: Some(Horizon::days(90)), ..Hostgroup::reader(30, "replica") };
    RuleSetSettings {
        hostgroups: vec![Hostgroup::writer(10, "w"), Hostgroup::reader(20, "r"), replica],
        rules: vec![historical, recent],
        tables: vec![TableSettings { schema: None, name: "call_records".into(), columns }],
        ..RuleSetSettings::default()
    }
}

fn patterns() -> RuleSetSettings {
    let pattern = |id, text: &str, to| RuleSettings { match_pattern: Some(text.into()), ..rule(id, to) };
    RuleSetSettings {
        rules: vec![
            pattern(1, "^INSERT|^UPDATE|^DELETE", 10),
            pattern(2, "WHERE.*date.*<.*DATE_SUB", 20),
            pattern(3, "^SELECT", 20),
        ],
        ..horizons()
    }
}

/// How long the first statement after a load takes to be planned: 10,000 rules by `match_digest`, none of which matches.
fn first_statement() -> Duration {
    let rules = many(10_000, |id, r| r.match_digest = Some(format!("^SELECT .* FROM archive_{id} ").into()));
    let rules = RuleSet::build(rules).unwrap_or_else(|faults| panic!("{faults:?}"));
    let (mut cache, subject) = (PlanCache::new(CacheLimits::default()), Subject::new("app"));
    let start = Instant::now();
    black_box(cache.route(&subject, b"SELECT c FROM sbtest1 WHERE id=1", &rules, &Timestamp::now, &TimeZone::UTC));
    start.elapsed()
}

type Filler = fn(u32, &mut RuleSettings);

const KINDS: [(&str, &str, Filler); 4] = [
    ("by digest, 10 rules", "by digest, 10,000 rules", |id, r| r.digest = Some(u64::from(id) << 20 | 1)),
    ("by table, 10 rules", "by table, 10,000 rules", |id, r| r.tables.extend(TablePattern::parse(&format!("t{id}")))),
    ("by user, 10 rules", "by user, 10,000 rules", |id, r| r.username = Some(format!("u{id}").into())),
    ("by effect, 10 rules", "by effect, 10,000 rules", |_, r| r.effect = Some(Effects::CALL)),
];

fn main() -> ExitCode {
    let check = std::env::args().any(|a| a == "--check");
    let historical = (0..5_000).map(|i| {
        format!(
            "SELECT a, b FROM call_records WHERE org_id = {i} AND start_time >= '2026-11-{:02} 00:00:00'",
            1 + i % 20
        )
    });
    let mut cases = vec![
        Case::new("point select, 5,000 texts", RuleSet::by_effect(10, &[20]), CacheLimits::default(), points()),
        Case::new("the same without exact texts", RuleSet::by_effect(10, &[20]), digests_only(), points()),
        Case::new(
            "point select, known text",
            RuleSet::by_effect(10, &[20]),
            CacheLimits::default(),
            points()[..500].to_vec(),
        ),
        Case::new("read with a time bound, horizons", horizons(), digests_only(), historical.collect()),
        Case::new("three rules on the text", patterns(), digests_only(), points()),
    ];
    let plain = cases.len();
    for (few, lots, filler) in KINDS {
        cases.push(Case::new(few, many(10, filler), digests_only(), points()));
        cases.push(Case::new(lots, many(10_000, filler), digests_only(), points()));
    }
    let subject = Subject::new("app").with_schema(Some("cdr"));
    for _ in 0..ROUNDS {
        cases.iter_mut().for_each(|case| case.round(&subject));
    }
    println!("{:<40} {:7.1?}", "first statement, 10,000 new patterns", first_statement());
    let mut right = true;
    for case in &cases {
        println!("{:<40} {:7.1} ns", case.name, case.best);
    }
    for pair in cases[plain..].chunks(2) {
        let ratio = pair[1].best / pair[0].best;
        println!("{:<40} {ratio:7.3}", format!("{} against 10", pair[1].name));
        right &= ratio <= MOST_GROWTH;
    }
    right &= cases[0].best <= MOST_NANOS && cases[1].best <= MOST_NANOS;
    if check && !right { ExitCode::FAILURE } else { ExitCode::SUCCESS }
}
