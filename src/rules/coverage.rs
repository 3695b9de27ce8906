//! Which routes have nobody left: what "ready" means.
//!
//! A route is an ordered list of hostgroups, and serves as long as one of them does. The rules' destinations, the fast routes and the users'
//! default hostgroups give two routes each: that of reads, as it stands, and that of everything else, which leads to writers alone. Routes that
//! no statement can come to are left out: the defaults and fast routes behind a rule without conditions.
//!
//! Refused: any word about servers. Whether a hostgroup serves is the caller's to say.

use super::route::HostgroupId;
use super::rule::RuleSettings;
use super::ruleset::RuleSet;
use std::collections::{BTreeMap, BTreeSet};

/// The routes that have to have somebody.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub enum Needs {
    /// Those that writes take.
    #[default]
    Writes,
    /// Every one.
    All,
    /// One of them at least.
    Any,
    /// Those that lead to one of these hostgroups.
    Hostgroups(Vec<HostgroupId>),
}

/// A route that has nobody left.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Unserved {
    /// Its hostgroups, in order.
    pub tiers: Vec<HostgroupId>,
    /// Whose it is, in words; of several one.
    pub whose: String,
}

/// What is known of a route.
struct Found {
    whose: String,
    writes: bool,
}

/// The routes that matter and have nobody left. `users` are those who may sign in; `serves` says of a hostgroup whether it would take a
/// statement now.
pub fn unserved<'a>(
    rules: &RuleSet,
    users: impl Iterator<Item = &'a str>,
    needs: &Needs,
    serves: impl Fn(HostgroupId) -> bool,
) -> Vec<Unserved> {
    let routes = routes(rules, users);
    let is_out = |tiers: &Vec<HostgroupId>| !tiers.iter().any(|id| serves(*id));
    if *needs == Needs::Any && !routes.keys().all(is_out) {
        return Vec::new();
    }
    let matters = |tiers: &Vec<HostgroupId>, found: &Found| match needs {
        Needs::Writes => found.writes,
        Needs::All | Needs::Any => true,
        Needs::Hostgroups(named) => tiers.iter().any(|id| named.contains(id)),
    };
    let out = routes.into_iter().filter(|(tiers, found)| matters(tiers, found) && is_out(tiers));
    out.map(|(tiers, Found { whose, .. })| Unserved { tiers, whose }).collect()
}

/// All routes, each once.
fn routes<'a>(rules: &RuleSet, users: impl Iterator<Item = &'a str>) -> BTreeMap<Vec<HostgroupId>, Found> {
    let groups = rules.hostgroups();
    let mut routes: BTreeMap<Vec<HostgroupId>, Found> = BTreeMap::new();
    let mut add = |tiers: &[HostgroupId], safe: Option<bool>, whose: &dyn Fn() -> String| {
        let mut put = |tiers: Vec<HostgroupId>, writes: bool| {
            routes.entry(tiers).or_insert_with(|| Found { whose: whose(), writes: false }).writes |= writes;
        };
        if safe != Some(false) {
            put(tiers.to_vec(), false);
        }
        if safe != Some(true) {
            let mut writers: Vec<_> = tiers.iter().copied().filter(|id| groups.is_writer(*id)).collect();
            if writers.is_empty() {
                writers.push(groups.writer_for(tiers, None));
            }
            put(writers, true);
        }
    };
    let mut open = true;
    for rule in rules.rules() {
        if !rule.destination.is_empty() && rule.error_msg.is_none() && rule.ok_msg.is_none() {
            add(&rule.destination, rule.reader_safe, &|| format!("rule {}", rule.rule_id));
        }
        if takes_everything(rule) {
            open = false;
            break;
        }
    }
    if open {
        let fast: BTreeSet<HostgroupId> = rules.fast_routes().map(|fast| fast.destination).collect();
        for destination in fast {
            add(&[destination], None, &|| "a fast route".to_owned());
        }
        for user in users {
            let default = rules.default_hostgroup(user).unwrap_or_else(|| groups.writer_for(&[], None));
            add(&[default], None, &|| format!("the default of user '{user}'"));
        }
    }
    routes
}

/// True if every statement that comes to the rule ends there.
fn takes_everything(rule: &RuleSettings) -> bool {
    let answers = rule.error_msg.is_some() || rule.ok_msg.is_some();
    let bare = RuleSettings {
        rule_id: rule.rule_id,
        active: rule.active,
        negate_match_pattern: rule.negate_match_pattern,
        re_modifiers: rule.re_modifiers,
        flag_out: rule.flag_out,
        destination: rule.destination.clone(),
        apply: rule.apply,
        error_msg: rule.error_msg.clone(),
        ok_msg: rule.ok_msg.clone(),
        log: rule.log,
        comment: rule.comment.clone(),
        older_than: rule.older_than,
        ..RuleSettings::default()
    };
    bare == *rule && (answers || rule.apply && !rule.destination.is_empty())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::rules::{Hostgroup, RuleSetSettings};

    fn rule(id: u32, destination: &[HostgroupId]) -> RuleSettings {
        RuleSettings { destination: destination.to_vec(), apply: true, ..RuleSettings::new(id) }
    }

    /// Two writers, a reader, and these rules; `out` are the hostgroups that do not serve.
    fn why(rules: Vec<RuleSettings>, needs: &Needs, out: &[HostgroupId]) -> Vec<Vec<HostgroupId>> {
        let hostgroups = vec![Hostgroup::writer(10, "a"), Hostgroup::writer(11, "b"), Hostgroup::reader(20, "r")];
        let rules = RuleSet::build(RuleSetSettings { hostgroups, rules, ..RuleSetSettings::default() }).unwrap();
        let found = unserved(&rules, ["app"].into_iter(), needs, |id| !out.contains(&id));
        found.into_iter().map(|unserved| unserved.tiers).collect()
    }

    #[test]
    fn a_route_is_out_when_all_its_hostgroups_are() {
        let both = || vec![rule(1, &[10, 11])];
        for (out, want) in [(&[10][..], vec![]), (&[11], vec![]), (&[20], vec![]), (&[10, 11], vec![vec![10, 11]])] {
            assert_eq!(why(both(), &Needs::Writes, out), want, "{out:?}");
        }
    }

    #[test]
    fn what_no_rule_takes_goes_to_the_default() {
        let some = || vec![RuleSettings { schemaname: Some("b".into()), ..rule(1, &[11]) }];
        assert_eq!(why(some(), &Needs::Writes, &[10]), [[10]]);
        assert_eq!(why(some(), &Needs::Writes, &[11]), [[11]]);
        assert_eq!(why(vec![rule(1, &[11])], &Needs::Writes, &[10]), [[0; 0]; 0], "nothing comes to the default");
    }

    #[test]
    fn reads_matter_where_that_is_said() {
        let estate = || vec![RuleSettings { reader_safe: Some(true), ..rule(1, &[20]) }, rule(2, &[10])];
        assert_eq!(why(estate(), &Needs::Writes, &[20]), [[0; 0]; 0]);
        assert_eq!(why(estate(), &Needs::All, &[20]), [[20]]);
        assert_eq!(why(estate(), &Needs::Hostgroups(vec![20]), &[10]), [[0; 0]; 0]);
        assert_eq!(why(estate(), &Needs::Hostgroups(vec![20]), &[20]), [[20]]);
        assert_eq!(why(estate(), &Needs::Any, &[10]), [[0; 0]; 0]);
        assert_eq!(why(estate(), &Needs::Any, &[10, 20]), [[10], [20]]);
        // What may not run on a reader goes to its writer, whatever the rule names.
        assert_eq!(why(vec![rule(1, &[20])], &Needs::Writes, &[10]), [[10]]);
    }
}
