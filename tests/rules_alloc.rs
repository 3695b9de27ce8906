//! In the steady state, routing a statement allocates nothing: digest, plan, rules, horizons and all.

#![allow(unsafe_code, reason = "a counting allocator is an allocator, and that trait is unsafe")]

mod rules_support;

use jiff::{Timestamp, tz::TimeZone};
use rules_support::{hostgroups, rule, set};
use std::alloc::{GlobalAlloc, Layout, System};
use std::cell::Cell;
use switchboard::rules::{
    CacheLimits, FastRoute, Horizon, HorizonKind, Hostgroup, PlanCache, RuleSet, RuleSetSettings, RuleSettings,
    Subject, TableSettings,
};
use switchboard::sql::predicate::{TimeColumn, TimeUnit};

struct Counting;

thread_local! {
    static COUNT: Cell<u64> = const { Cell::new(0) };
}

// SAFETY: every call goes to the system's allocator unchanged; counting touches a thread-local without a destructor, which
// does not allocate.
unsafe impl GlobalAlloc for Counting {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        COUNT.with(|c| c.set(c.get() + 1));
        unsafe { System.alloc(layout) }
    }

    unsafe fn dealloc(&self, ptr: *mut u8, layout: Layout) {
        unsafe { System.dealloc(ptr, layout) }
    }

    unsafe fn realloc(&self, ptr: *mut u8, layout: Layout, size: usize) -> *mut u8 {
        COUNT.with(|c| c.set(c.get() + 1));
        unsafe { System.realloc(ptr, layout, size) }
    }
}

#[global_allocator]
static ALLOCATOR: Counting = Counting;

fn allocations(work: impl FnOnce()) -> u64 {
    let before = COUNT.with(Cell::get);
    work();
    COUNT.with(Cell::get) - before
}

/// Every text once to warm up (twice, so that the exact texts are kept), then many rounds that are counted.
fn steady(rules: &RuleSet, texts: &[String], clock: &dyn Fn() -> Timestamp) -> u64 {
    let mut cache = PlanCache::new(CacheLimits::default());
    let subject = Subject::new("app").with_schema(Some("cdr"));
    let round = |cache: &mut PlanCache| {
        for text in texts {
            let (plan, route) = cache.route(&subject, text.as_bytes(), rules, clock, &TimeZone::UTC);
            assert!(!route.tiers.is_empty() || route.refusal.is_some());
            assert!(!plan.digest.is_empty());
        }
    };
    (0..3).for_each(|_| round(&mut cache));
    allocations(|| (0..50).for_each(|_| round(&mut cache)))
}

fn now() -> Timestamp {
    rules_support::now()
}

fn points() -> Vec<String> {
    (0..200).map(|id| format!("SELECT c FROM sbtest{} WHERE id={}", id % 4, id * 7919)).collect()
}

#[test]
fn the_counter_counts() {
    assert!(allocations(|| drop(std::hint::black_box(vec![1u8; 100]))) > 0);
}

#[test]
fn settled_plans() {
    let rules = RuleSet::build(RuleSet::by_effect(10, &[20])).unwrap();
    assert_eq!(steady(&rules, &points(), &now), 0);
}

#[test]
fn texts_that_never_come_again() {
    let rules = RuleSet::build(RuleSet::by_effect(10, &[20])).unwrap();
    let mut cache = PlanCache::new(CacheLimits::default());
    let subject = Subject::new("app");
    let mut text = Vec::with_capacity(256);
    let mut one = |cache: &mut PlanCache, id: u32| {
        use std::io::Write;
        text.clear();
        write!(text, "SELECT c FROM sbtest1 WHERE id={id}").unwrap();
        let _ = cache.route(&subject, &text, &rules, &now, &TimeZone::UTC);
    };
    (0..100).for_each(|id| one(&mut cache, id));
    let count = allocations(|| (1_000..50_000).for_each(|id| one(&mut cache, id)));
    assert_eq!(count, 0);
}

#[test]
fn rules_that_look_at_the_text() {
    let pattern =
        |id, text: &str, to| RuleSettings { match_pattern: Some(text.into()), apply: true, ..rule(id, &[to]) };
    let rules = set(
        hostgroups(),
        vec![
            pattern(1, "^INSERT|^UPDATE|^DELETE", 10),
            pattern(2, "WHERE.*date.*<.*DATE_SUB", 20),
            pattern(3, "^SELECT", 20),
        ],
    );
    assert_eq!(steady(&rules, &points(), &now), 0);
}

#[test]
fn rules_and_hostgroups_with_horizons() {
    let mut groups = hostgroups();
    groups[2].horizon = Some(Horizon::days(90));
    groups.push(Hostgroup { horizon: Some(Horizon::days(7)), ..Hostgroup::reader(40, "hot") });
    let historical = RuleSettings {
        horizon: vec![HorizonKind::Historical],
        older_than: Some(Horizon::days(90)),
        apply: true,
        ..rule(1, &[20])
    };
    let columns = vec![TimeColumn { column: "start_time".into(), unit: TimeUnit::DateTime }];
    let settings = RuleSetSettings {
        hostgroups: groups,
        rules: vec![historical, RuleSettings { apply: true, ..rule(2, &[40, 30, 20]) }],
        tables: vec![TableSettings { schema: Some("cdr".into()), name: "call_records".into(), columns }],
        ..RuleSetSettings::default()
    };
    let rules = RuleSet::build(settings).unwrap();
    let texts: Vec<String> = (0..200)
        .map(|i| match i % 4 {
            0 => format!("SELECT a FROM call_records WHERE start_time >= '2026-11-{:02} 00:00:00'", 1 + i % 20),
            1 => format!("SELECT a FROM call_records WHERE start_time >= NOW() - INTERVAL {i} DAY AND org = {i}"),
            2 => format!("SELECT a FROM call_records WHERE start_time < '2026-{:02}-01'", 1 + i % 10),
            _ => format!("SELECT a FROM call_records WHERE call_id = 'c{i}'"),
        })
        .collect();
    assert_eq!(steady(&rules, &texts, &now), 0);
}

#[test]
fn fast_routes_that_each_execution_decides_about_allocate_nothing() {
    let flag = RuleSettings { match_pattern: Some("id=7".into()), flag_out: Some(1), ..rule(1, &[]) };
    let to = |schemaname: &str, flag_in, destination| FastRoute {
        schemaname: schemaname.into(),
        flag_in,
        destination,
        ..FastRoute::default()
    };
    let settings = RuleSetSettings {
        hostgroups: hostgroups(),
        rules: vec![flag],
        fast_routes: vec![to("cdr", 0, 20), to("cdr", 1, 30), to("other", 0, 10)],
        ..RuleSetSettings::default()
    };
    assert_eq!(steady(&RuleSet::build(settings).unwrap(), &points(), &now), 0);
}
