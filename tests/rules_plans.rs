//! Plans and their cache, on real statements: what is kept, for whom, how long, and that it never changes a route.

mod rules_support;

use jiff::{Timestamp, tz::TimeZone};
use rules_support::{hostgroups, now, route, route_in, rule, set, writers};
use std::cell::Cell;
use std::net::IpAddr;
use std::rc::Rc;
use switchboard::rules::pattern::{AddressPattern, TablePattern};
use switchboard::rules::{
    CacheLimits, Execution, Horizon, HorizonKind, PlanCache, Reason, RuleSet, RuleSetSettings, RuleSettings, Subject,
    TableSettings,
};
use switchboard::sql::LexMode;
use switchboard::sql::digest::Digest;
use switchboard::sql::effects::Effects;
use switchboard::sql::predicate::{BoundValue, TimeColumn, TimeUnit};

fn apply(rule: RuleSettings) -> RuleSettings {
    RuleSettings { apply: true, ..rule }
}

fn by_effect() -> RuleSet {
    RuleSet::build(RuleSet::by_effect(10, &[20])).unwrap()
}

#[test]
fn by_effect_reads_go_to_the_reader_and_the_rest_to_the_writer() {
    let rules = by_effect();
    let app = Subject::new("app");
    for (sql, tiers) in [
        ("SELECT * FROM t WHERE id = 1", &[20, 10][..]),
        ("SHOW TABLES", &[20, 10]),
        ("SELECT 1", &[20, 10]),
        ("SELECT * FROM t FOR UPDATE", &[10]),
        ("SELECT * FROM t LOCK IN SHARE MODE", &[10]),
        ("WITH a AS (SELECT 1) DELETE FROM t", &[10]),
        ("INSERT INTO t VALUES (1)", &[10]),
        ("SELECT GET_LOCK('a', 1)", &[10]),
        ("SELECT my_function(1)", &[10]),
        ("SET @a = 1", &[10]),
        ("BEGIN", &[10]),
        ("SELECT 1; DELETE FROM t", &[10]),
        ("SELECT * FROM t /*! FOR UPDATE */", &[10]),
        ("SELECT 'open", &[10]),
    ] {
        assert_eq!(&*route(&rules, &app, sql).tiers, tiers, "{sql}");
    }
}

#[test]
fn rules_by_effect_and_by_table() {
    let ddl = RuleSettings { effect: Some(Effects::DDL), error_msg: Some("not here".into()), ..rule(1, &[]) };
    let table = |id, name: &str, to| RuleSettings {
        tables: vec![TablePattern::parse(name).unwrap()],
        ..apply(rule(id, &[to]))
    };
    let rules = set(
        writers(),
        vec![
            ddl,
            table(2, "cdr.call_records", 2),
            table(3, "call_events", 3),
            table(4, "org.*", 4),
            table(5, "*.tmp_*", 5),
        ],
    );
    let at = |schema: Option<&str>| Subject::new("app").with_schema(schema);
    assert_eq!(route(&rules, &at(None), "DROP TABLE x").refusal.as_deref(), Some("not here"));
    for (schema, sql, to) in [
        (None, "SELECT * FROM cdr.call_records", 2),
        (Some("cdr"), "SELECT * FROM call_records", 2),
        (Some("CDR"), "SELECT * FROM `CALL_RECORDS` r", 2),
        (Some("org"), "SELECT * FROM call_records", 4),
        (None, "SELECT * FROM call_records", 0),
        (None, "SELECT * FROM x.call_events", 3),
        (None, "DELETE FROM call_events", 3),
        (None, "SELECT * FROM a JOIN org.users u ON u.id = a.id", 4),
        (Some("q"), "SELECT 1 FROM tmp_1", 5),
        (None, "SELECT 1", 0),
    ] {
        assert_eq!(*route(&rules, &at(schema), sql).tiers, [to], "{schema:?} {sql}");
    }
}

#[test]
fn hints_belong_to_the_statement_and_not_to_its_neighbour() {
    let tagged = RuleSettings { hint: Some(("report".into(), Some("yes".into()))), ..apply(rule(1, &[30])) };
    let rules = set(hostgroups(), vec![tagged, apply(rule(2, &[20]))]);
    let mut cache = PlanCache::new(CacheLimits::default());
    let app = Subject::new("app");
    for _ in 0..3 {
        let mut tiers = |sql| route_in(&mut cache, &rules, &app, sql).tiers.to_vec();
        assert_eq!(tiers("SELECT * FROM t WHERE id = 1"), [20]);
        assert_eq!(tiers("/* switchboard: report=yes */ SELECT * FROM t WHERE id = 1"), [30]);
        assert_eq!(tiers("/* switchboard: report=no */ SELECT * FROM t WHERE id = 1"), [20]);
        assert_eq!(tiers("/* switchboard: route=writer */ SELECT * FROM t WHERE id = 1"), [10]);
        assert_eq!(tiers("/* plain */ SELECT * FROM t WHERE id = 1"), [20]);
    }
}

#[test]
fn functions_that_the_operator_vouches_for_are_safe() {
    let settings =
        RuleSetSettings { safe_functions: vec!["cdr.Cost".into(), "initials".into()], ..RuleSet::by_effect(10, &[20]) };
    let rules = RuleSet::build(settings).unwrap();
    let at = |schema: Option<&str>| Subject::new("app").with_schema(schema);
    for (schema, sql, safe) in [
        (None, "SELECT cdr.cost(1)", true),
        (None, "SELECT cost(1)", false),
        (Some("cdr"), "SELECT cost(1)", true),
        (Some("org"), "SELECT cost(1)", false),
        (None, "SELECT initials('a'), INITIALS('b')", true),
        (None, "SELECT initials('a'), other('b')", false),
        (None, "SELECT cdr.cost(1) FOR UPDATE", false),
    ] {
        assert_eq!(route(&rules, &at(schema), sql).reader_safe, safe, "{schema:?} {sql}");
    }
}

/// 30 keeps 90 days; historical reads have a rule.
fn with_horizon() -> RuleSet {
    let mut groups = hostgroups();
    groups[2].horizon = Some(Horizon::days(90));
    let historical = RuleSettings { horizon: vec![HorizonKind::Historical], ..apply(rule(1, &[20])) };
    let columns = vec![TimeColumn { column: "start_time".into(), unit: TimeUnit::DateTime }];
    let settings = RuleSetSettings {
        hostgroups: groups,
        rules: vec![historical, apply(rule(2, &[30, 20]))],
        tables: vec![TableSettings { schema: Some("cdr".into()), name: "call_records".into(), columns }],
        ..RuleSetSettings::default()
    };
    RuleSet::build(settings).unwrap()
}

#[test]
fn the_same_digest_goes_elsewhere_as_its_literals_and_the_clock_say() {
    let rules = with_horizon();
    let mut cache = PlanCache::new(CacheLimits::default());
    let cdr = Subject::new("app").with_schema(Some("cdr"));
    let mut tiers = |day: &str, clock: &str| {
        let sql = format!("SELECT * FROM call_records WHERE start_time >= '{day}'");
        let moment: Timestamp = clock.parse().unwrap();
        let (_, route) = cache.route(&cdr, sql.as_bytes(), &rules, &|| moment, &TimeZone::UTC);
        (route.tiers.to_vec(), route.rule_id)
    };
    for _ in 0..3 {
        assert_eq!(tiers("2026-11-01", "2026-11-22T12:00:00Z"), (vec![30, 20], Some(2)));
        assert_eq!(tiers("2026-01-01", "2026-11-22T12:00:00Z"), (vec![20], Some(1)));
        // A year later the same text reaches too far: no cache may remember otherwise.
        assert_eq!(tiers("2026-11-01", "2027-11-22T12:00:00Z"), (vec![20], Some(1)));
    }
    assert_eq!(cache.len(), 1);
}

#[test]
fn nothing_is_recent_to_a_session_with_a_clock_of_its_own() {
    let rules = with_horizon();
    let cdr = Subject::new("app").with_schema(Some("cdr"));
    for bound in [
        "NOW() - INTERVAL 7 DAY",
        "NOW()",
        "CURDATE()",
        "NOW() + INTERVAL 3 YEAR",
        "DATE_SUB(NOW(), INTERVAL -1 DAY)",
        "FROM_UNIXTIME(UNIX_TIMESTAMP() - 5)",
        "'2026-11-20'",
    ] {
        let sql = format!("SELECT * FROM call_records WHERE start_time >= {bound}");
        let tiers = |clock: Timestamp| {
            let mut cache = PlanCache::new(CacheLimits::default());
            let (_, route) = cache.route(&cdr, sql.as_bytes(), &rules, &|| clock, &TimeZone::UTC);
            route.tiers.to_vec()
        };
        assert_eq!(tiers(now()), [30, 20], "{bound}");
        assert_eq!(tiers(Timestamp::MAX), [20], "{bound}");
    }
}

#[test]
fn the_clock_is_asked_only_where_time_matters_and_once() {
    let rules = with_horizon();
    let mut cache = PlanCache::new(CacheLimits::default());
    let asked = Cell::new(0);
    let mut count = |schema: &str, sql: &str| {
        asked.set(0);
        let subject = Subject::new("app").with_schema(Some(schema));
        let clock = || {
            asked.set(asked.get() + 1);
            now()
        };
        cache.route(&subject, sql.as_bytes(), &rules, &clock, &TimeZone::UTC);
        asked.get()
    };
    assert_eq!(count("cdr", "SELECT * FROM call_records WHERE start_time >= '2026-11-01'"), 1);
    assert_eq!(count("cdr", "SELECT * FROM other WHERE start_time >= '2026-11-01'"), 0);
    assert_eq!(count("org", "SELECT * FROM call_records WHERE start_time >= '2026-11-01'"), 0);
    assert_eq!(count("cdr", "INSERT INTO call_records VALUES (1)"), 0);
}

#[test]
fn bound_values_decide_for_prepared_statements() {
    let rules = with_horizon();
    let cdr = Subject::new("app").with_schema(Some("cdr"));
    let sql = b"SELECT * FROM call_records WHERE start_time >= ?";
    let mut digest = Digest::default();
    digest.read(sql, LexMode::default());
    let plan = rules.plan(sql, &digest, &cdr);
    let tiers = |params: &[BoundValue<'_>]| {
        let execution = Execution { sql, digest: &digest, params, clock: &now, time_zone: &TimeZone::UTC };
        plan.route(&execution).tiers.to_vec()
    };
    assert_eq!(tiers(&[BoundValue::DateTime(2026, 11, 1, 0, 0, 0, 0)]), [30, 20]);
    assert_eq!(tiers(&[BoundValue::Bytes(b"2026-01-01")]), [20]);
    assert_eq!(tiers(&[BoundValue::Opaque]), [20]);
    assert_eq!(tiers(&[]), [20]);
}

#[test]
fn plans_are_shared_where_no_rule_asks_and_kept_apart_where_one_does() {
    let ip = |text: &str| Some(text.parse::<IpAddr>().unwrap());
    let vip = RuleSettings { username: Some("vip".into()), ..apply(rule(1, &[1])) };
    let office = RuleSettings { client_addr: Some(AddressPattern::parse("10.%").unwrap()), ..apply(rule(2, &[2])) };
    let rules = set(writers(), vec![vip, office]);
    let mut cache = PlanCache::new(CacheLimits::default());
    let mut to = |user: &str, schema, client| {
        let subject = Subject::new(user).with_schema(schema).with_addresses(client, None, 0);
        route_in(&mut cache, &rules, &subject, "SELECT 1").tiers.to_vec()
    };
    assert_eq!(to("a", Some("x"), ip("1.1.1.1")), [0]);
    assert_eq!(to("b", Some("y"), ip("1.1.1.2")), [0]);
    assert_eq!(to("b", None, ip("10.1.1.2")), [2]);
    assert_eq!(to("c", None, ip("10.1.1.3")), [2]);
    assert_eq!(to("vip", None, ip("10.1.1.3")), [1]);
    assert_eq!(to("vip", None, ip("1.1.1.3")), [1]);
    assert_eq!(cache.len(), 4);
}

#[test]
fn a_subject_that_changes_gets_other_plans() {
    let rules = set(
        writers(),
        vec![RuleSettings { schemaname: Some("cdr".into()), ..apply(rule(1, &[1])) }, {
            RuleSettings { username: Some("vip".into()), ..apply(rule(2, &[2])) }
        }],
    );
    let mut cache = PlanCache::new(CacheLimits::default());
    let mut subject = Subject::new("app");
    let mut to = |subject: &Subject| route_in(&mut cache, &rules, subject, "SELECT 1").tiers[0];
    assert_eq!(to(&subject), 0);
    subject.set_schema(Some("cdr"));
    assert_eq!(to(&subject), 1);
    subject.set_schema(None);
    assert_eq!(to(&subject), 0);
    subject.set_user("vip");
    assert_eq!(to(&subject), 2);
    let copy = subject.clone();
    subject.set_user("app");
    assert_eq!((to(&subject), to(&copy)), (0, 2));
}

#[test]
fn the_sql_mode_is_part_of_what_a_text_means() {
    let rules = by_effect();
    let mut cache = PlanCache::new(CacheLimits::default());
    let mut subject = Subject::new("app");
    // A string with a quote in it; or a string, a lock and a comment.
    let sql = r"SELECT '\' FOR UPDATE -- '";
    for _ in 0..3 {
        subject.set_mode(LexMode::default());
        assert_eq!(*route_in(&mut cache, &rules, &subject, sql).tiers, [20, 10]);
        subject.set_mode(LexMode::from_sql_mode("NO_BACKSLASH_ESCAPES"));
        assert_eq!(*route_in(&mut cache, &rules, &subject, sql).tiers, [10]);
    }
}

#[test]
fn a_reload_is_seen_at_once_and_old_plans_are_not() {
    let old = set(writers(), vec![apply(rule(1, &[1]))]);
    let new = set(writers(), vec![apply(rule(1, &[2]))]);
    assert_ne!(old.version(), new.version());
    let mut cache = PlanCache::new(CacheLimits::default());
    let subject = Subject::new("app");
    for _ in 0..3 {
        assert_eq!(*route_in(&mut cache, &old, &subject, "SELECT 1").tiers, [1]);
        assert_eq!(*route_in(&mut cache, &new, &subject, "SELECT 1").tiers, [2]);
    }
    let plan = Rc::clone(&cache.lookup(&subject, b"SELECT 1", &new).plan);
    assert!(plan.is_of(&new) && !plan.is_of(&old));
}

#[test]
fn the_cache_stays_within_its_bounds() {
    let rules = by_effect();
    let limits = CacheLimits { plans: 50, texts: 8, ..CacheLimits::default() };
    let mut cache = PlanCache::new(limits);
    let subject = Subject::new("app");
    let hot = "SELECT a FROM hot WHERE id = 1";
    for i in 0..2_000 {
        // A table for each: a digest for each.
        assert_eq!(route_in(&mut cache, &rules, &subject, &format!("SELECT a FROM t{i}")).tiers[0], 20);
        assert_eq!(route_in(&mut cache, &rules, &subject, &format!("DELETE FROM t{i}")).tiers[0], 10);
        route_in(&mut cache, &rules, &subject, hot);
        assert!(cache.len() <= 50);
    }
    let counters = cache.counters();
    assert!(counters.evicted > 3_000, "{counters:?}");
    // What is used all the time was never dropped.
    assert!(counters.text_hits + counters.digest_hits >= 1_999, "{counters:?}");

    let small = CacheLimits { plan_bytes: 20_000, ..CacheLimits::default() };
    let mut cache = PlanCache::new(small);
    for i in 0..500 {
        route_in(&mut cache, &rules, &subject, &format!("SELECT a FROM t{i}"));
    }
    assert!(cache.len() > 2 && cache.len() < 60, "{}", cache.len());
}

#[test]
fn what_is_too_long_is_routed_and_not_kept() {
    let rules = by_effect();
    let limits = CacheLimits { digest_bytes: 300, text_bytes: 100, ..CacheLimits::default() };
    let mut cache = PlanCache::new(limits);
    let subject = Subject::new("app");
    let columns: Vec<String> = (0..100).map(|i| format!("c{i}")).collect();
    let long = format!("SELECT {} FROM t", columns.join(","));
    for _ in 0..3 {
        assert_eq!(*route_in(&mut cache, &rules, &subject, &long).tiers, [20, 10]);
    }
    assert_eq!((cache.len(), cache.counters().misses), (0, 3));
    // Nothing kept at all is a cache too.
    let mut none = PlanCache::new(CacheLimits { plans: 0, texts: 0, ..limits });
    for _ in 0..3 {
        assert_eq!(*route_in(&mut none, &rules, &subject, "SELECT 1").tiers, [20, 10]);
    }
    assert!(none.is_empty());
}

#[test]
fn subjects_are_bounded_and_never_mixed_up() {
    let users: Vec<RuleSettings> =
        (0..50).map(|i| RuleSettings { username: Some(format!("u{i}").into()), ..apply(rule(i + 1, &[i])) }).collect();
    let rules = set(writers(), users);
    let mut cache = PlanCache::new(CacheLimits { subjects: 4, ..CacheLimits::default() });
    let subjects: Vec<Subject> = (0..50).map(|i| Subject::new(&format!("u{i}"))).collect();
    for _ in 0..3 {
        for (i, subject) in subjects.iter().enumerate() {
            assert_eq!(*route_in(&mut cache, &rules, subject, "SELECT 1").tiers, [i as u32]);
        }
    }
}

#[test]
fn a_subject_that_met_two_caches_is_known_to_both() {
    let rules = set(writers(), vec![RuleSettings { username: Some("vip".into()), ..apply(rule(1, &[1])) }]);
    let (mut one, mut two) = (PlanCache::new(CacheLimits::default()), PlanCache::new(CacheLimits::default()));
    let (vip, app) = (Subject::new("vip"), Subject::new("app"));
    for _ in 0..3 {
        assert_eq!(*route_in(&mut one, &rules, &vip, "SELECT 1").tiers, [1]);
        assert_eq!(*route_in(&mut two, &rules, &app, "SELECT 1").tiers, [0]);
        assert_eq!(*route_in(&mut one, &rules, &app, "SELECT 1").tiers, [0]);
        assert_eq!(*route_in(&mut two, &rules, &vip, "SELECT 1").tiers, [1]);
    }
}

#[test]
fn unproven_statements_keep_their_reason() {
    let rules = set(hostgroups(), vec![apply(rule(1, &[20]))]);
    let mut cache = PlanCache::new(CacheLimits::default());
    let subject = Subject::new("app");
    let found = cache.lookup(&subject, b"SELECT 'open", &rules);
    assert!(!found.plan.facts.unproven.is_empty());
    let route = found.route.unwrap();
    assert!(
        matches!(&route.reason, Reason::UnsafeOnReader { rule: Some(1), why } if why.contains(found.plan.facts.unproven))
    );
    assert!(cache.plans().any(|p| p.facts.effects.contains(Effects::UNPROVEN)));
}
