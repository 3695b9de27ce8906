//! What is known of a digest for one subject under one version of the rules, and the routes of its executions.
//!
//! [`super::ruleset`] makes plans and [`super::cache`] keeps them. Where the rules that can match look at literals or
//! at the text, each execution is searched anew; the routes that come of it are remembered, up to a limit. A plan says
//! nothing of a session's state, such as an open transaction.

use super::decide::{Grounds, Outcome};
use super::hostgroup::ReachClass;
use super::route::{HostgroupId, Route};
use super::rule::Rule;
use crate::sql::LexMode;
use crate::sql::digest::Digest;
use crate::sql::effects::Facts;
use crate::sql::predicate::{BoundValue, Reach, TimeEnv, TimeProgram};
use jiff::{Timestamp, tz::TimeZone};
use std::cell::RefCell;
use std::rc::Rc;
use std::sync::Arc;

/// The most routes that a plan remembers. A plan with more outcomes makes the others anew each time.
const MEMO_LIMIT: usize = 64;

/// One execution of a plan: what may differ from the last one.
pub struct Execution<'a> {
    /// The statement's text.
    pub sql: &'a [u8],
    /// Its digest; the literals in it point into `sql`.
    pub digest: &'a Digest,
    /// Bound values, by parameter number; empty for a text statement.
    pub params: &'a [BoundValue<'a>],
    /// The present moment. Called at most once, and only where a time predicate is looked at. [`Timestamp::MAX`] is for a
    /// session whose `NOW()` is not the present (it has set its own): nothing is then proven recent.
    pub clock: &'a dyn Fn() -> Timestamp,
    /// The session's time zone.
    pub time_zone: &'a TimeZone,
}

/// What is known of a digest, for one subject under one version of the rules.
#[derive(Debug)]
pub struct Plan {
    pub(super) version: u64,
    /// The digest's text.
    pub digest: Box<[u8]>,
    /// The digest's hash, as rules and statistics name it.
    pub hash: u64,
    /// What the statement does. [`Facts::unproven`] is why nothing is proven, where nothing is.
    pub facts: Facts,
    /// Its time predicates.
    pub time: TimeProgram,
    pub(super) mode: LexMode,
    pub(super) grounds: Grounds,
    pub(super) decision: Decision,
}

/// How a plan comes to a route.
#[derive(Debug)]
pub(super) enum Decision {
    /// Every execution has the same.
    Settled(Rc<Route>),
    /// The text or the literals of each execution have a say.
    PerExecution(PerExecution),
}

/// The rules that an execution can still reach, and the routes that were asked for so far.
#[derive(Debug)]
pub(super) struct PerExecution {
    /// Their known conditions match; in order.
    pub rules: Box<[Arc<Rule>]>,
    /// How far back the execution reaches is looked at.
    pub reads_time: bool,
    memo: RefCell<Vec<(MemoKey, Rc<Route>)>>,
}

impl PerExecution {
    pub fn new(rules: Vec<Arc<Rule>>, reads_time: bool) -> Self {
        Self { rules: rules.into(), reads_time, memo: RefCell::default() }
    }
}

/// All that a plan's routes differ by: the deciding rule's place, the fast route's destination, whether to log, and the class of
/// reach.
type MemoKey = (Option<usize>, Option<HostgroupId>, bool, ReachClass);

impl Plan {
    /// The route of an execution. No allocation once its outcome has been seen.
    ///
    /// Answers nothing about the session's state: a transaction or a pin may know better.
    pub fn route(&self, execution: &Execution<'_>) -> Rc<Route> {
        match &self.decision {
            Decision::Settled(route) => Rc::clone(route),
            Decision::PerExecution(open) => self.route_open(open, execution),
        }
    }

    fn route_open(&self, open: &PerExecution, execution: &Execution<'_>) -> Rc<Route> {
        let class = if open.reads_time {
            self.class(execution)
        } else if self.time.is_timeless() {
            ReachClass::TIMELESS
        } else {
            ReachClass::UNKNOWN
        };
        let found = search(&open.rules, execution.sql, class, &self.grounds, |_| {});
        let outcome = found.outcome(&open.rules, &self.grounds);
        let key = (found.decider, outcome.fast, found.log, class);
        if let Some((_, route)) = open.memo.borrow().iter().find(|(k, _)| *k == key) {
            return Rc::clone(route);
        }
        let route = Rc::new(self.grounds.decide(&self.facts, outcome, class));
        let mut memo = open.memo.borrow_mut();
        if memo.len() < MEMO_LIMIT {
            memo.push((key, Rc::clone(&route)));
        }
        route
    }

    fn class(&self, execution: &Execution<'_>) -> ReachClass {
        let now = (execution.clock)();
        self.grounds.hostgroups.class(self.reach(execution, now), now, execution.time_zone)
    }

    /// The earliest moment that an execution can touch; `now` as [`Execution::clock`] has it.
    pub fn reach(&self, execution: &Execution<'_>, now: Timestamp) -> Reach {
        // Where `NOW()` may be anything, a bound relative to it may lie anywhere: as far back as can be.
        let now = if now == Timestamp::MAX { Timestamp::MIN } else { now };
        self.time.reach(&TimeEnv {
            sql: execution.sql,
            digest: execution.digest,
            params: execution.params,
            now,
            time_zone: execution.time_zone,
            mode: self.mode,
        })
    }

    /// The route, where every execution has the same.
    pub fn settled(&self) -> Option<&Rc<Route>> {
        match &self.decision {
            Decision::Settled(route) => Some(route),
            Decision::PerExecution(_) => None,
        }
    }

    /// True if the route follows from the text alone: the same text has the same route at any time.
    pub fn follows_from_text(&self) -> bool {
        match &self.decision {
            Decision::Settled(_) => true,
            Decision::PerExecution(open) => !open.reads_time,
        }
    }

    /// About how many bytes the plan takes, for the cache's bound.
    pub(super) fn weight(&self) -> usize {
        let tables: usize = self.facts.tables.iter().map(|t| 48 + t.name.len()).sum();
        let rules = match &self.decision {
            Decision::Settled(_) => 0,
            Decision::PerExecution(open) => {
                open.rules.len() * size_of::<Arc<Rule>>() + 4 * size_of::<(MemoKey, Route)>()
            }
        };
        size_of::<Self>() + size_of::<Route>() + 2 * self.digest.len() + tables + rules
    }
}

/// What a search through the rules came to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Found {
    /// Place of the rule that named the destination last, or that answers.
    pub decider: Option<usize>,
    /// A rule that matched asks for the log.
    pub log: bool,
    /// The flag that the statement is left with; none where a rule ended the search.
    pub left_with: Option<u32>,
}

impl Found {
    /// What that says of a destination: as in ProxySQL, a fast route has the last word unless a rule with `apply` had it.
    pub fn outcome<'a>(&self, rules: &'a [Arc<Rule>], grounds: &Grounds) -> Outcome<'a> {
        let fast = self.left_with.and_then(|flag| grounds.fast.at(flag));
        let rule = self.decider.filter(|_| fast.is_none()).and_then(|at| rules.get(at)).map(|r| &**r);
        Outcome { rule, fast, log: self.log }
    }
}

/// Tries the rules in order as ProxySQL does: a flag is carried forward, a destination stays until it is replaced, `apply`
/// ends. `seen` is told every rule that matched.
pub(super) fn search(
    rules: &[Arc<Rule>],
    sql: &[u8],
    class: ReachClass,
    grounds: &Grounds,
    mut seen: impl FnMut(&Rule),
) -> Found {
    let mut found = Found { decider: None, log: false, left_with: None };
    let mut flag = 0;
    for (place, rule) in rules.iter().enumerate() {
        if rule.settings.flag_in != flag {
            continue;
        }
        if let Some(horizon) = rule.horizon
            && !rule.matches_standing(grounds.hostgroups.stands(class, horizon))
        {
            continue;
        }
        if !rule.matches_text(sql) {
            continue;
        }
        seen(rule);
        found.log |= rule.settings.log;
        if rule.answers() {
            found.decider = Some(place);
            return found;
        }
        if rule.destination.is_some() {
            found.decider = Some(place);
        }
        if rule.settings.apply {
            return found;
        }
        flag = rule.settings.flag_out.unwrap_or(flag);
    }
    found.left_with = Some(flag);
    found
}
