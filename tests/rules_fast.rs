//! Fast routes: what ProxySQL's `mysql_query_rules_fast_routing` does, under the laws that no table overrides.

mod rules_support;

use jiff::tz::TimeZone;
use rules_support::{hostgroups, now, route, route_in, rule, writers};
use switchboard::rules::{
    CacheLimits, FastRoute, Hostgroup, PlanCache, Reason, RuleSet, RuleSetSettings, RuleSettings, Subject, explain,
};

fn fast(username: &str, schemaname: &str, flag_in: u32, destination: u32) -> FastRoute {
    FastRoute {
        username: username.into(),
        schemaname: schemaname.into(),
        flag_in,
        destination,
        comment: format!("to {destination}").into(),
    }
}

fn settings(hostgroups: Vec<Hostgroup>, rules: Vec<RuleSettings>, fast_routes: Vec<FastRoute>) -> RuleSetSettings {
    RuleSetSettings { hostgroups, rules, fast_routes, ..RuleSetSettings::default() }
}

fn set(rules: Vec<RuleSettings>, fast_routes: Vec<FastRoute>) -> RuleSet {
    RuleSet::build(settings(writers(), rules, fast_routes)).unwrap()
}

fn at(user: &str, schema: &str) -> Subject {
    Subject::new(user).with_schema(Some(schema).filter(|s| !s.is_empty()))
}

fn apply(rule: RuleSettings) -> RuleSettings {
    RuleSettings { apply: true, ..rule }
}

fn pattern(rule_id: u32, text: &str, rule: RuleSettings) -> RuleSettings {
    RuleSettings { rule_id, match_pattern: Some(text.into()), ..rule }
}

/// Every set of rows over two users, two schemas and two flags, against a reading of the table row by row.
#[test]
fn user_schema_and_flag_name_the_row_and_then_any_user_with_them() {
    let users = ["", "a", "b"];
    let schemas = ["", "s"];
    let owner = |i: usize| (users[i % 3], schemas[i / 3 % 2], if i / 6 == 0 { 0 } else { 7 });
    // The rule that sets the flag does so for statements of that text alone.
    let flags = RuleSettings { flag_out: Some(7), ..rule(1, &[]) };
    for chosen in 0..1_u32 << 12 {
        let rows: Vec<FastRoute> = (0..12)
            .filter(|i| chosen >> i & 1 == 1)
            .map(|i| {
                let (user, schema, flag) = owner(i);
                fast(user, schema, flag, 50 + i as u32)
            })
            .collect();
        let rules = set(vec![pattern(1, "seven", flags.clone())], rows.clone());
        let mut cache = PlanCache::new(CacheLimits { texts: 0, ..CacheLimits::default() });
        for (user, schema, sql, flag) in users[1..]
            .iter()
            .flat_map(|user| schemas.iter().map(move |schema| (*user, *schema)))
            .flat_map(|(user, schema)| [(user, schema, "SELECT 'zero'", 0), (user, schema, "SELECT 'seven'", 7)])
        {
            let of = |user: &str| {
                let fits = |r: &&FastRoute| *r.username == *user && *r.schemaname == *schema && r.flag_in == flag;
                rows.iter().find(fits).map(|r| r.destination)
            };
            let want = of(user).or_else(|| of(""));
            let route = route_in(&mut cache, &rules, &at(user, schema), sql);
            assert_eq!(*route.tiers, [want.unwrap_or(0)], "{user}@{schema} {sql} {rows:?}");
            assert_eq!(route.reason == Reason::FastRoute, want.is_some());
            assert_eq!(route.rule_id, None);
        }
    }
}

#[test]
fn names_are_exact() {
    let rules = set(vec![], vec![fast("app", "cdr", 0, 5)]);
    for (user, schema, to) in
        [("app", "cdr", 5), ("App", "cdr", 0), ("app", "CDR", 0), ("app", "", 0), ("", "cdr", 0), ("appcdr", "", 0)]
    {
        assert_eq!(*route(&rules, &at(user, schema), "SELECT 1").tiers, [to], "{user}@{schema}");
    }
}

#[test]
fn a_rule_that_applies_has_the_last_word_and_no_other() {
    let row = || vec![fast("", "cdr", 0, 5)];
    let to = |rules: Vec<RuleSettings>| {
        let route = route(&set(rules, row()), &at("app", "cdr"), "SELECT 1");
        (route.tiers.to_vec(), route.reason)
    };
    assert_eq!(to(vec![apply(rule(1, &[3]))]), (vec![3], Reason::Rule(1)));
    assert_eq!(to(vec![rule(1, &[3])]), (vec![5], Reason::FastRoute), "without apply it is replaced");
    assert_eq!(to(vec![apply(rule(1, &[]))]), (vec![0], Reason::DefaultHostgroup), "applied, to nowhere");
    assert_eq!(to(vec![apply(pattern(1, "UPDATE", rule(1, &[3])))]), (vec![5], Reason::FastRoute), "not matched");
    assert_eq!(to(vec![RuleSettings { flag_out: Some(1), ..rule(1, &[3]) }]), (vec![3], Reason::Rule(1)));
    assert_eq!(to(vec![RuleSettings { log: true, ..rule(1, &[]) }]), (vec![5], Reason::FastRoute));
    let error = RuleSettings { error_msg: Some("no".into()), ..rule(1, &[]) };
    assert_eq!(to(vec![error]), (vec![], Reason::Answered(1)));
    let inactive = RuleSettings { active: false, ..apply(rule(1, &[3])) };
    assert_eq!(to(vec![inactive]), (vec![5], Reason::FastRoute));
}

#[test]
fn what_is_kept_of_a_digest_tells_flags_apart() {
    let one = RuleSettings { flag_out: Some(1), ..rule(1, &[]) };
    let two = RuleSettings { flag_out: Some(2), ..rule(2, &[]) };
    let rules = set(
        vec![pattern(1, "'one'", one), pattern(2, "'two'", two), apply(pattern(3, "'end'", rule(3, &[9])))],
        vec![fast("", "cdr", 0, 5), fast("", "cdr", 1, 6), fast("app", "cdr", 2, 7)],
    );
    let mut cache = PlanCache::new(CacheLimits { texts: 0, ..CacheLimits::default() });
    let app = at("app", "cdr");
    for _ in 0..3 {
        for (text, to) in [("none", 5), ("one", 6), ("two", 7), ("end", 9)] {
            assert_eq!(*route_in(&mut cache, &rules, &app, &format!("SELECT '{text}'")).tiers, [to], "{text}");
        }
    }
    assert_eq!(cache.counters().misses, 1);
}

#[test]
fn a_fast_route_sends_nothing_unsafe_to_a_reader() {
    let rules = RuleSet::build(settings(hostgroups(), vec![], vec![fast("", "cdr", 0, 20)])).unwrap();
    let app = at("app", "cdr");
    for (sql, to) in [
        ("SELECT * FROM t", 20),
        ("SELECT * FROM t FOR UPDATE", 10),
        ("UPDATE t SET a = 1", 10),
        ("START TRANSACTION READ ONLY", 10),
        ("SELECT /* switchboard: route=writer */ 1", 10),
        ("SELECT /* switchboard: hostgroup=30 */ 1", 30),
    ] {
        assert_eq!(*route(&rules, &app, sql).tiers, [to], "{sql}");
    }
}

#[test]
fn tenants_of_one_shard_share_plans() {
    let tenants = 1_000;
    let rows = (0..tenants).map(|i| fast("", &format!("tenant_{i}"), 0, 10 + i % 3));
    let rules = set(vec![], rows.collect());
    let mut cache = PlanCache::new(CacheLimits::default());
    for round in 0..2 {
        for i in 0..tenants {
            let tenant = at("app", &format!("tenant_{i}"));
            let (_, route) = cache.route(&tenant, b"SELECT 1", &rules, &now, &TimeZone::UTC);
            assert_eq!(*route.tiers, [10 + i % 3], "round {round}, tenant {i}");
        }
    }
    assert_eq!(cache.counters().misses, 3);
}

#[test]
fn explaining_names_the_row() {
    let flag = RuleSettings { flag_out: Some(4), ..rule(1, &[3]) };
    let rules = set(
        vec![pattern(1, "four", flag)],
        vec![fast("app", "cdr", 0, 5), fast("", "cdr", 4, 5), fast("app", "", 0, 6)],
    );
    for (schema, sql, matched, words) in [
        ("cdr", "SELECT 1", &[][..], "the fast route of app in schema cdr (to 5)"),
        ("cdr", "SELECT 'four'", &[1], "the fast route of any user in schema cdr, flagIN 4 (to 5)"),
        ("", "SELECT 1", &[], "the fast route of app without a schema (to 6)"),
        ("other", "SELECT 1", &[], "no rule names a hostgroup for it: the user's default hostgroup"),
    ] {
        let explained = explain(&rules, &at("app", schema), sql.as_bytes(), &[], now(), &TimeZone::UTC);
        assert_eq!((explained.reason.as_str(), &*explained.matched), (words, matched), "{schema}: {sql}");
    }
}

#[test]
fn rows_that_cannot_be_are_refused() {
    let faults = |rows| {
        let faults = RuleSet::build(settings(hostgroups(), vec![], rows)).unwrap_err();
        faults.iter().map(ToString::to_string).collect::<Vec<_>>()
    };
    assert_eq!(
        faults(vec![fast("a", "s", 0, 10), fast("a", "s", 1, 10), fast("a", "s", 0, 20), fast("", "s", 0, 77)]),
        [
            "username: the user, schema and flagIN have a fast route already",
            "destination_hostgroup: hostgroup 77 is not declared"
        ]
    );
}
