//! Two versions of the rules, and the statements of a digest: where would they go by the one, and by the other?
//!
//! A digest is known without its literals and without the text that it was made of. Where a route asks for either (a
//! `match_pattern`, a horizon) every route that some execution can have is weighed, and [`Difference::open`] says what
//! stood open. Nothing is left out on a guess: a digest has no [`Difference`] only where every execution's destination is
//! proven to be the same.
//!
//! It refuses to guess what a digest does not keep: who is asked as a client on a unix socket, under the default
//! `sql_mode`. Neighbours: [`super::ruleset`] makes the plans, [`super::explain`] has the whole reason for one statement.

use super::hostgroup::ReachClass;
use super::plan::{Decision, Found, PerExecution, Plan};
use super::route::Route;
use super::rule::{Rule, RuleSettings};
use super::ruleset::RuleSet;
use super::subject::Subject;
use crate::sql::LexMode;
use crate::sql::digest::Digest;
use crate::sql::lexer::Lexer;
use std::sync::Arc;

/// The most ways through the rules that are followed for one digest. Where there are more, only equal rules are proven to
/// send it to the same place.
const MOST_WAYS: usize = 64;

/// Statements of a digest that would go elsewhere, or of which it is not proven that they would not.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Difference {
    /// Where they go by the first rules: one route, or all that are possible.
    pub from: Vec<Route>,
    /// The same by the other rules.
    pub to: Vec<Route>,
    /// What an execution decides for itself, in words; empty where every execution goes the same way.
    pub open: Vec<String>,
}

/// Compares where the statements of a digest go. `digest` is its whole text, as [`Digest::read`] makes it, and `hash` that
/// text's. None: to the same hostgroups in the same order, or to the same answer, whatever the literals.
pub fn compare(before: &RuleSet, after: &RuleSet, subject: &Subject, digest: &[u8], hash: u64) -> Option<Difference> {
    let statement = unfolded(digest, subject.mode());
    let mut read = Digest::default();
    read.read(&statement, subject.mode());
    // What was folded was part of the digest: rules are asked about that.
    read.text = digest.to_vec();
    read.hash = hash;
    let plans = [before.plan(&statement, &read, subject), after.plan(&statement, &read, subject)];
    let [from, to] = plans.each_ref().map(Outlook::of);
    let covered = |some: &Outlook, all: &Outlook| some.routes.iter().all(|r| all.routes.iter().any(|o| alike(r, o)));
    let same_places = !from.more && !to.more && covered(&from, &to) && covered(&to, &from);
    let one_place = from.routes.iter().all(|route| from.routes.first().is_some_and(|first| alike(first, route)));
    if (same_places && one_place) || (before.same_ground(after) && same_conditions(&plans[0], &plans[1])) {
        return None;
    }
    let mut open = from.open;
    open.extend(to.open.into_iter().filter(|words| !open.contains(words)).collect::<Vec<_>>());
    Some(Difference { from: from.routes, to: to.routes, open })
}

/// True for the same hostgroups in the same order, or the same answer.
fn alike(one: &Route, other: &Route) -> bool {
    one.tiers == other.tiers && one.refusal == other.refusal && one.ok_msg == other.ok_msg
}

/// The digest without the `,...` that stand for more of what is before them: a statement that does the same.
fn unfolded(digest: &[u8], mode: LexMode) -> Vec<u8> {
    let folds = Lexer::new(digest, mode)
        .map(|token| token.start as usize)
        .filter(|&at| at > 0 && digest.get(at - 1..).is_some_and(|rest| rest.starts_with(b",...")));
    let mut statement = Vec::with_capacity(digest.len());
    let mut done = 0;
    for fold in folds {
        statement.extend_from_slice(digest.get(done..fold - 1).unwrap_or_default());
        done = fold + 3;
    }
    statement.extend_from_slice(digest.get(done..).unwrap_or_default());
    statement
}

/// Every route that an execution of a plan can have.
struct Outlook {
    routes: Vec<Route>,
    open: Vec<String>,
    /// There are more than were followed.
    more: bool,
}

impl Outlook {
    fn of(plan: &Plan) -> Self {
        let open = match &plan.decision {
            Decision::Settled(route) => {
                return Self { routes: vec![Route::clone(route)], open: Vec::new(), more: false };
            }
            Decision::PerExecution(open) => open,
        };
        let mut outlook = Self { routes: Vec::new(), open: Vec::new(), more: false };
        let classes = classes(plan, open);
        for &class in &classes {
            let (ends, more) = ends(plan, open, class);
            outlook.more |= more;
            for end in ends {
                let route = plan.grounds.decide(&plan.facts, end.outcome(&open.rules, &plan.grounds), class);
                if !outlook.routes.iter().any(|known| alike(known, &route) && known.rule_id == route.rule_id) {
                    outlook.routes.push(route);
                }
            }
        }
        let readers: Vec<String> =
            open.rules.iter().filter(|r| r.reads_text()).map(|r| r.settings.rule_id.to_string()).collect();
        if !readers.is_empty() {
            outlook
                .open
                .push(format!("match_pattern of rule {} is asked of each statement's text", readers.join(", ")));
        }
        if classes.len() > 1 {
            outlook.open.push("how far back a statement reaches depends on its literals".to_owned());
        }
        if outlook.more {
            outlook.open.push("there are more outcomes than are shown".to_owned());
        }
        outlook
    }
}

/// The classes of reach that an execution can have.
fn classes(plan: &Plan, open: &PerExecution) -> Vec<ReachClass> {
    if plan.time.is_timeless() {
        vec![ReachClass::TIMELESS]
    } else if open.reads_time && plan.time.unknown_because().is_none() {
        plan.grounds.hostgroups.bounded_classes().collect()
    } else {
        vec![ReachClass::UNKNOWN]
    }
}

/// All that a search through the rules can come to, as [`super::plan::search`] goes through them: a rule that asks for the
/// text may match and may not. True beside them if there are more.
fn ends(plan: &Plan, open: &PerExecution, class: ReachClass) -> (Vec<Found>, bool) {
    // Flag, and who decides so far.
    let mut ways: Vec<(u32, Option<usize>)> = vec![(0, None)];
    let mut ended: Vec<Found> = Vec::new();
    let mut more = false;
    for (place, rule) in open.rules.iter().enumerate() {
        let stands = |horizon| rule.matches_standing(plan.grounds.hostgroups.stands(class, horizon));
        if !rule.horizon.is_none_or(stands) {
            continue;
        }
        let mut next = Vec::with_capacity(ways.len());
        for way in ways {
            let (flag, decider) = way;
            let reached = rule.settings.flag_in == flag;
            if (!reached || rule.reads_text()) && !next.contains(&way) {
                next.push(way);
            }
            if !reached {
                continue;
            }
            let decider = if rule.answers() || rule.destination.is_some() { Some(place) } else { decider };
            let after = (rule.settings.flag_out.unwrap_or(flag), decider);
            let end = Found { decider, log: false, left_with: None };
            if rule.ends() && !ended.contains(&end) {
                ended.push(end);
            } else if !rule.ends() && !next.contains(&after) {
                next.push(after);
            }
        }
        more |= next.len() > MOST_WAYS || ended.len() > MOST_WAYS;
        next.truncate(MOST_WAYS);
        ended.truncate(MOST_WAYS);
        ways = next;
    }
    for (flag, decider) in ways {
        let end = Found { decider, log: false, left_with: Some(flag) };
        if !ended.contains(&end) {
            ended.push(end);
        }
    }
    (ended, more)
}

/// True if both plans ask each execution the same, and come to the same from the answers.
fn same_conditions(one: &Plan, other: &Plan) -> bool {
    let (Decision::PerExecution(a), Decision::PerExecution(b)) = (&one.decision, &other.decision) else {
        return false;
    };
    // Numbers, comments and the log send nothing elsewhere.
    let asked = |rule: &Arc<Rule>| {
        let settings = RuleSettings { rule_id: 0, comment: Box::default(), log: false, ..rule.settings.clone() };
        (settings, rule.horizon)
    };
    one.grounds.default == other.grounds.default
        && one.grounds.fast == other.grounds.fast
        && one.facts.effects == other.facts.effects
        && a.rules.iter().map(asked).eq(b.rules.iter().map(asked))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::rules::route::HostgroupId;
    use crate::rules::{FastRoute, Horizon, Hostgroup, RuleSetSettings, TableSettings};
    use crate::sql::predicate::{TimeColumn, TimeUnit};

    fn set(change: impl FnOnce(&mut RuleSetSettings)) -> RuleSet {
        let mut settings = RuleSet::by_effect(10, &[20]);
        settings.tables = vec![TableSettings {
            schema: None,
            name: "calls".into(),
            columns: vec![TimeColumn { column: "at".into(), unit: TimeUnit::DateTime }],
        }];
        change(&mut settings);
        RuleSet::build(settings).unwrap()
    }

    fn differs(before: &RuleSet, after: &RuleSet, statement: &str) -> Option<Difference> {
        let mut digest = Digest::default();
        digest.read(statement.as_bytes(), LexMode::default());
        compare(before, after, &Subject::new("app"), &digest.text, digest.hash)
    }

    #[test]
    fn a_fold_is_no_part_of_the_statement() {
        let plain = |digest: &str| String::from_utf8(unfolded(digest.as_bytes(), LexMode::default())).unwrap();
        assert_eq!(plain("SELECT a IN (?,?,?,...),b"), "SELECT a IN (?,?,?),b");
        assert_eq!(plain("INSERT INTO t VALUES (?,NOW()),..."), "INSERT INTO t VALUES (?,NOW())");
        assert_eq!(plain("SELECT `a,...` FROM t"), "SELECT `a,...` FROM t");
        let writer = set(|s| s.rules[0].destination = vec![10]);
        let found = differs(&set(|_| {}), &writer, "SELECT 1 IN (1, 2, 3, 4, 5, 6)").unwrap();
        assert_eq!((&*found.from[0].tiers, &*found.to[0].tiers), (&[20, 10][..], &[10][..]));
    }

    #[test]
    fn literals_leave_it_open_where_they_decide_and_only_there() {
        let purged = |s: &mut RuleSetSettings| {
            s.hostgroups[1] = Hostgroup { horizon: Some(Horizon::days(90)), ..Hostgroup::reader(20, "r") }
        };
        let (whole, purged) = (set(|_| {}), set(purged));
        let found = differs(&whole, &purged, "SELECT * FROM calls WHERE at > '2026-01-01'").unwrap();
        assert_eq!((found.from.len(), found.to.len(), found.open.len()), (1, 2, 1), "{found:?}");
        // No literal bounds this one: there is one outcome, and nothing is open.
        let found = differs(&whole, &purged, "SELECT * FROM calls WHERE id = 5").unwrap();
        assert_eq!((&*found.to[0].tiers, found.to.len(), found.open.len()), (&[10][..], 1, 0), "{found:?}");
        for same in ["SELECT * FROM others WHERE id = 5", "INSERT INTO calls VALUES (1)"] {
            assert_eq!(differs(&whole, &purged, same), None, "{same}");
        }
        let recent = "SELECT * FROM calls WHERE at > '2026-01-01'";
        assert_eq!(differs(&purged, &purged, recent), None, "open, and the same");
    }

    #[test]
    fn fast_routes_are_part_of_the_way() {
        let with = |destination: HostgroupId, asks: bool| {
            set(|s| {
                // Nothing with `apply` stands in the way of a fast route.
                s.rules.iter_mut().for_each(|rule| rule.apply = false);
                if asks {
                    s.rules.push(RuleSettings { match_pattern: Some("a".into()), ..RuleSettings::new(0) });
                }
                s.fast_routes = vec![FastRoute { username: "app".into(), destination, ..FastRoute::default() }];
            })
        };
        for asks in [false, true] {
            assert_eq!(differs(&with(20, asks), &with(20, asks), "SELECT 1"), None);
            let found = differs(&with(20, asks), &with(10, asks), "SELECT 1").unwrap();
            assert_eq!((&*found.from[0].tiers, &*found.to[0].tiers), (&[20][..], &[10][..]));
        }
    }

    #[test]
    fn a_condition_on_the_text_that_changes_is_a_difference_though_the_outcomes_are_the_same() {
        let asks = |pattern: &str, comment: &str| {
            let mut rule = RuleSettings::new(0);
            rule.match_pattern = Some(pattern.into());
            rule.destination = vec![10];
            rule.apply = true;
            rule.comment = comment.into();
            set(|s| s.rules.push(rule))
        };
        assert_eq!(differs(&asks("a", "one"), &asks("a", "other"), "SELECT 1"), None);
        let found = differs(&asks("a", ""), &asks("b", ""), "SELECT 1").unwrap();
        assert_eq!((found.from.len(), found.to.len()), (2, 2));
        assert_eq!(differs(&asks("a", ""), &asks("b", ""), "INSERT INTO t VALUES (1)"), None, "the writer either way");
    }
}
