//! The laws of routing as tables: made-up facts, every kind of hostgroup, every class of reach. Whether texts have such facts is
//! tested in `tests/sql_*.rs`.

use super::*;
use crate::rules::hostgroup::{Horizon, Hostgroup};
use crate::rules::rule::RuleSettings;
use crate::sql::effects::{Access, TableUse};
use crate::sql::predicate::Reach;
use jiff::{Timestamp, tz::TimeZone};

/// 10 is a writer that keeps 90 days, 20 a reader that keeps all, 30 a reader that keeps 90 days, 40 a writer that keeps all.
fn grounds() -> Grounds {
    let mut master = Hostgroup::writer(10, "master");
    master.horizon = Some(Horizon::days(90));
    let mut replica = Hostgroup::reader(30, "replica");
    replica.horizon = Some(Horizon::days(90));
    let groups = vec![master, Hostgroup::reader(20, "aurora"), replica, Hostgroup::writer(40, "archive")];
    Grounds {
        hostgroups: Arc::new(Hostgroups::new(groups, [])),
        default: Some(10),
        fast: FastOf::default(),
        hints: true,
    }
}

fn facts(effects: Effects) -> Facts {
    let table = TableUse { schema: None, name: "call_records".into(), access: Access::Read };
    let tables = if effects.contains(Effects::READ_TABLE) { vec![table] } else { vec![] };
    Facts { effects, tables, ..Facts::default() }
}

fn hinted(effects: Effects, hints: &[(&str, &str)]) -> Facts {
    let hints = hints.iter().map(|(k, v)| RouteHint { key: (*k).into(), value: (*v).into() }).collect();
    Facts { hints, ..facts(effects) }
}

type Ids = &'static [HostgroupId];
type Hints = &'static [(&'static str, &'static str)];

const READ: Effects = Effects::READ.union(Effects::READ_TABLE);

#[derive(Clone, Copy, Debug)]
enum Class {
    Timeless,
    Recent,
    Historical,
    Endless,
    Unknown,
}
use Class::*;

fn decide(facts: &Facts, tiers: &[HostgroupId], class: Class) -> Route {
    let grounds = grounds();
    let now: Timestamp = "2026-11-22T12:00:00Z".parse().unwrap();
    let reach = match class {
        Timeless => Reach::Timeless,
        Recent => Reach::Since("2026-11-01T00:00:00Z".parse().unwrap()),
        Historical => Reach::Since("2025-01-01T00:00:00Z".parse().unwrap()),
        Endless => Reach::Since(Timestamp::MIN),
        Unknown => Reach::Unknown,
    };
    let class = grounds.hostgroups.class(reach, now, &TimeZone::UTC);
    let settings = RuleSettings { destination: tiers.to_vec(), ..RuleSettings::new(7) };
    let rule = Rule::compile(settings, None).unwrap();
    let outcome = Outcome { rule: (!tiers.is_empty()).then_some(&rule), ..Outcome::default() };
    grounds.decide(facts, outcome, class)
}

#[test]
fn nothing_unsafe_stays_on_a_reader() {
    let mut all = Effects::all().iter().collect::<Vec<_>>();
    all.push(Effects::empty());
    for effect in all {
        for with in [Effects::empty(), Effects::READ, READ] {
            let facts = facts(effect | with);
            for tiers in [&[20][..], &[20, 30], &[30, 10], &[10, 20], &[20, 40], &[]] {
                for class in [Timeless, Recent, Historical, Endless, Unknown] {
                    let route = decide(&facts, tiers, class);
                    let reads = route.tiers.iter().any(|&id| id == 20 || id == 30);
                    assert!(facts.reader_safe() || !reads, "{:?} {tiers:?} {class:?}: {route:?}", facts.effects);
                    assert!(!route.tiers.is_empty() || route.refusal.is_some(), "{route:?}");
                    assert_eq!(route.reader_safe, facts.reader_safe());
                }
            }
        }
    }
}

#[test]
fn unsafe_statements_and_the_writer_behind_the_route() {
    let write = facts(Effects::WRITE);
    let table: [(Ids, Ids, Option<u32>, bool); 6] = [
        (&[10], &[10], Some(7), false),
        (&[10, 20], &[10], Some(7), false),
        (&[20], &[10], Some(7), true),
        (&[20, 40], &[40], Some(7), true),
        (&[40, 10], &[40, 10], Some(7), false),
        (&[], &[10], None, false),
    ];
    for (tiers, expected, rule, demoted) in table {
        let route = decide(&write, tiers, Timeless);
        assert_eq!((&*route.tiers, route.rule_id), (expected, rule), "{tiers:?}");
        assert_eq!(matches!(route.reason, Reason::UnsafeOnReader { .. }), demoted, "{tiers:?}: {:?}", route.reason);
    }
    let route = decide(&write, &[20], Timeless);
    assert_eq!(route.reason.to_string(), "rule 7 names a reader, but it writes rows: the writer takes it");
}

#[test]
fn reads_go_only_where_their_rows_are() {
    let read = facts(READ);
    let table: [(Ids, Class, Ids, Ids); 13] = [
        (&[20, 30], Recent, &[20, 30], &[]),
        (&[20, 30], Historical, &[20], &[30]),
        (&[20, 30], Endless, &[20], &[30]),
        (&[20, 30], Unknown, &[20], &[30]),
        (&[20, 30], Timeless, &[20, 30], &[]),
        (&[30, 20], Unknown, &[20], &[30]),
        (&[30], Recent, &[30], &[]),
        (&[30], Historical, &[], &[30]),
        (&[30, 10], Unknown, &[], &[30, 10]),
        (&[10], Recent, &[10], &[]),
        (&[10], Unknown, &[], &[10]),
        (&[], Historical, &[], &[10]),
        (&[40, 10], Historical, &[40], &[10]),
    ];
    for (tiers, class, expected, excluded) in table {
        let route = decide(&read, tiers, class);
        assert_eq!((&*route.tiers, &*route.excluded), (expected, excluded), "{tiers:?} {class:?}");
        assert_eq!(route.refusal.is_some(), expected.is_empty(), "{tiers:?} {class:?}");
        assert_eq!(matches!(route.reason, Reason::BeyondHorizon { .. }), expected.is_empty());
    }
    let refusal = |tiers: &[HostgroupId], class| decide(&read, tiers, class).refusal.unwrap().to_string();
    assert_eq!(
        refusal(&[30, 10], Unknown),
        "Switchboard: rule 7 names hostgroup 30 replica (holds the last 90 days), hostgroup 10 master (holds the last 90 \
         days), and the statement has no proven lower bound on time: an answer could lack rows of call_records \
         (/* switchboard: horizon=any */ accepts that)"
    );
    assert_eq!(
        refusal(&[], Historical),
        "Switchboard: the default is hostgroup 10 master (holds the last 90 days), and the statement reaches further back: \
         its answer would lack rows of call_records (/* switchboard: horizon=any */ accepts that)"
    );
}

#[test]
fn a_horizon_does_not_stop_what_is_the_writers_business() {
    for effects in [
        Effects::WRITE,
        READ | Effects::WRITE,
        READ | Effects::LOCK_ROWS,
        Effects::DDL | Effects::IMPLICIT_COMMIT,
        Effects::BEGIN,
        Effects::COMMIT,
        Effects::UNPROVEN,
        READ | Effects::UNPROVEN,
        Effects::CALL,
        READ | Effects::HANDLER,
    ] {
        for class in [Recent, Historical, Unknown] {
            let route = decide(&facts(effects), &[20, 10], class);
            assert_eq!((&*route.tiers, &*route.excluded), (&[10][..], &[][..]), "{effects:?} {class:?}");
            assert_eq!(route.writer_holds, Holds::Yes);
        }
    }
}

#[test]
fn a_read_that_only_the_writer_may_run_is_refused_where_the_writer_lacks_rows() {
    for effects in [Effects::UNKNOWN_FUNCTION, Effects::SERVER_FILE, Effects::SET_USER_VARIABLE, Effects::USER_LOCK] {
        let mut facts = facts(READ | effects);
        facts.functions = vec!["cdr.cost".into()];
        let refused = decide(&facts, &[20], Unknown);
        assert!(refused.tiers.is_empty(), "{effects:?}");
        assert_eq!(&*refused.excluded, [10], "{effects:?}");
        assert_eq!(&*decide(&facts, &[20], Recent).tiers, [10], "{effects:?}");
        assert_eq!(&*decide(&facts, &[40], Unknown).tiers, [40], "{effects:?}");
    }
    let mut unknown = facts(READ | Effects::UNKNOWN_FUNCTION);
    unknown.functions = vec!["cdr.cost".into()];
    let refusal = decide(&unknown, &[20], Unknown).refusal.unwrap();
    assert!(refusal.contains("calls cdr.cost") && refusal.contains("only on hostgroup 10"), "{refusal}");
}

#[test]
fn statements_that_answer_from_no_rows_have_no_horizon() {
    for effects in
        [Effects::READ, Effects::READ | Effects::CONSTANT, Effects::READ | Effects::METADATA, Effects::SET_SESSION]
    {
        let route = decide(&facts(effects), &[10], Unknown);
        assert_eq!((&*route.tiers, route.writer_holds), (&[10][..], Holds::Yes), "{effects:?}");
    }
}

#[test]
fn whether_the_writer_holds_it_is_said() {
    let read = facts(READ);
    for (class, holds) in [
        (Timeless, Holds::Yes),
        (Recent, Holds::Yes),
        (Historical, Holds::No),
        (Endless, Holds::No),
        (Unknown, Holds::Unknown),
    ] {
        let route = decide(&read, &[20], class);
        assert_eq!((route.writer, route.writer_holds), (10, holds), "{class:?}");
        assert_eq!(route.allows(10), holds == Holds::Yes);
        assert!(route.allows(20));
        assert_eq!(decide(&read, &[40], class).writer_holds, Holds::Yes);
    }
}

#[test]
fn hints_choose_and_never_promote() {
    let table: [(Hints, Effects, Class, Ids, Option<&str>); 14] = [
        (&[("route", "writer")], READ, Recent, &[10], Some("route=writer")),
        (&[("route", "reader")], READ, Recent, &[20], Some("route=reader")),
        (&[("hostgroup", "30")], READ, Recent, &[30], Some("hostgroup=30")),
        (&[("hostgroup", "40")], READ, Recent, &[40], Some("hostgroup=40")),
        // Not known, or not understood: as if it were not there.
        (&[("hostgroup", "99")], READ, Recent, &[20, 10], None),
        (&[("hostgroup", "x")], READ, Recent, &[20, 10], None),
        (&[("route", "elsewhere")], READ, Recent, &[20, 10], None),
        (&[("hostgroup", "99"), ("hostgroup", "30")], READ, Recent, &[30], Some("hostgroup=30")),
        // Safety and horizons come after.
        (&[("hostgroup", "20")], Effects::WRITE, Recent, &[10], None),
        (&[("route", "reader")], Effects::WRITE, Recent, &[10], None),
        (&[("hostgroup", "40")], Effects::WRITE, Recent, &[40], Some("hostgroup=40")),
        (&[("hostgroup", "30")], READ, Historical, &[], None),
        (&[("hostgroup", "30"), ("horizon", "any")], READ, Historical, &[30], Some("hostgroup=30")),
        (&[("route", "writer"), ("horizon", "any")], READ, Unknown, &[10], Some("route=writer")),
    ];
    for (hints, effects, class, tiers, hint) in table {
        let route = decide(&hinted(effects, hints), &[20, 10], class);
        assert_eq!(&*route.tiers, tiers, "{hints:?} {effects:?} {class:?}");
        let followed = match &route.reason {
            Reason::Hint(text) => Some(&**text),
            _ => None,
        };
        assert_eq!(followed, hint, "{hints:?} {effects:?} {class:?}");
    }
}

#[test]
fn route_reader_finds_readers_that_no_rule_names() {
    let route = decide(&hinted(READ, &[("route", "reader")]), &[10], Recent);
    assert_eq!(&*route.tiers, [20, 30]);
    // 40 is no reader's writer here.
    let route = decide(&hinted(READ, &[("route", "reader")]), &[40], Recent);
    assert_eq!((&*route.tiers, &route.reason), (&[40][..], &Reason::Rule(7)));
}

#[test]
fn every_effect_that_is_not_safe_has_words() {
    for effect in Effects::all().iter().filter(|e| !Effects::READER_SAFE.contains(*e)) {
        let why = why_unsafe(&facts(effect));
        assert!(!why.is_empty() && !why.contains("not known to be harmless"), "{effect:?}: {why}");
    }
    let unproven = Facts { unproven: "an open comment", ..facts(Effects::UNPROVEN) };
    assert_eq!(why_unsafe(&unproven), "nothing is proven about it (an open comment)");
    assert_eq!(why_unsafe(&facts(Effects::empty())), "it is not known to be a read");
}

#[test]
fn a_read_only_transaction_goes_to_a_reader_where_a_rule_asks_for_just_that() {
    let begin = Effects::BEGIN | Effects::BEGIN_READ_ONLY;
    let routed = |effects: Effects, asked: Option<Effects>| {
        let settings = RuleSettings { destination: vec![20], effect: asked, ..RuleSettings::new(7) };
        let rule = Rule::compile(settings, None).unwrap();
        let outcome = Outcome { rule: Some(&rule), ..Outcome::default() };
        grounds().decide(&facts(effects), outcome, ReachClass::TIMELESS)
    };
    let route = routed(begin, Some(Effects::BEGIN_READ_ONLY));
    assert_eq!((&*route.tiers, route.reader_safe, &route.reason), (&[20][..], false, &Reason::Rule(7)));
    for (effects, asked) in [
        (begin, None),
        (begin, Some(begin)),
        (Effects::BEGIN, Some(Effects::BEGIN_READ_ONLY)),
        (begin | Effects::MULTI | Effects::WRITE, Some(Effects::BEGIN_READ_ONLY)),
    ] {
        assert_eq!(&*routed(effects, asked).tiers, [10], "{effects:?} {asked:?}");
    }
}
