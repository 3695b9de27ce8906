//! One version of all rules, hostgroups and tables with time columns, checked as a whole and shared by all workers.
//!
//! `config` builds it from settings; a build that finds a fault gives all its faults and no rule set. It makes a
//! [`Plan`] of a digest for a subject: it asks the classifier, the predicate compiler and the rules, each once. It is
//! never changed afterwards; another configuration is another rule set.

use super::decide::Grounds;
use super::fast::{FastRoute, FastRoutes};
use super::hostgroup::{Horizon, Hostgroup, Hostgroups, MAX_HORIZONS, ReachClass, Role, Standing};
use super::matcher::{Index, reachable};
use super::pattern::AddressPattern;
use super::plan::{Decision, PerExecution, Plan, search};
use super::route::HostgroupId;
use super::rule::{Known, Rule, RuleSettings};
use super::subject::{Subject, SubjectKey};
use crate::sql::classify::classify;
use crate::sql::definitions::Definitions;
use crate::sql::digest::Digest;
use crate::sql::effects::{Effects, Facts};
use crate::sql::predicate::{TimeColumn, TimeColumns, TimeProgram};
use foldhash::fast::FixedState;
use std::collections::{HashMap, HashSet};
use std::rc::Rc;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

/// A table's time columns, as the configuration declares them.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TableSettings {
    /// The schema; none means a table of that name in any schema.
    pub schema: Option<Box<str>>,
    /// The table's name.
    pub name: Box<str>,
    /// The columns that say when a row's event was.
    pub columns: Vec<TimeColumn>,
}

/// Everything that routing depends on.
#[derive(Clone, Debug, Default)]
pub struct RuleSetSettings {
    /// The hostgroups; at least one is a writer.
    pub hostgroups: Vec<Hostgroup>,
    /// The rules, in any order.
    pub rules: Vec<RuleSettings>,
    /// Where users' statements in a schema go if the rules leave it open.
    pub fast_routes: Vec<FastRoute>,
    /// Tables with time columns.
    pub tables: Vec<TableSettings>,
    /// Users' default hostgroups, for statements that no rule sends anywhere. Who is not here has the first writer.
    pub default_hostgroups: Vec<(Box<str>, HostgroupId)>,
    /// Stored functions (`f` or `schema.f`) that the operator vouches for: they change and lock nothing.
    pub safe_functions: Vec<Box<str>>,
    /// Statements' own hints are ignored.
    pub ignore_hints: bool,
}

/// What a [`BuildFault`] is about, by its place in the settings.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Item {
    /// `settings.hostgroups[i]`
    Hostgroup(usize),
    /// `settings.rules[i]`
    Rule(usize),
    /// `settings.fast_routes[i]`
    FastRoute(usize),
    /// `settings.default_hostgroups[i]`
    DefaultHostgroup(usize),
    /// The settings as a whole.
    Whole,
}

/// Something that keeps settings from being a rule set.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{field}: {reason}")]
pub struct BuildFault {
    /// Where.
    pub item: Item,
    /// Which column of it; empty where it is about the whole of it.
    pub field: &'static str,
    /// What is wrong, in one line.
    pub reason: String,
}

/// The next version. No two rule sets of a process have the same, so that what is kept for one is never taken for another's.
static VERSIONS: AtomicU64 = AtomicU64::new(1);

type Names = HashMap<Box<str>, Vec<TableSettings>, FixedState>;

/// One version of the rules, and of what the servers' definitions do. Immutable; shared between workers.
#[derive(Debug)]
pub struct RuleSet {
    version: u64,
    compiled: Arc<Compiled>,
    definitions: Arc<Definitions>,
}

/// What the settings say.
#[derive(Debug)]
struct Compiled {
    hostgroups: Arc<Hostgroups>,
    rules: Vec<Arc<Rule>>,
    index: Index,
    fast: FastRoutes,
    /// By name in lower case.
    tables: Names,
    defaults: HashMap<Box<str>, HostgroupId, FixedState>,
    safe_functions: HashSet<Box<str>, FixedState>,
    hints: bool,
    reads: SubjectReads,
}

/// What of a subject the rules look at.
#[derive(Debug, Default)]
struct SubjectReads {
    users: HashSet<Box<str>, FixedState>,
    schema: bool,
    addresses: Vec<AddressPattern>,
    proxy_addr: bool,
    proxy_port: bool,
}

impl Plan {
    /// True if the plan was made by these rules. A plan that is kept beside the cache (with a prepared statement, and the
    /// subject that it was made for) must be asked this before each use, and looked up again where the answer is no.
    pub fn is_of(&self, rules: &RuleSet) -> bool {
        self.version == rules.version
    }
}

impl RuleSet {
    /// Checks the settings and compiles them. All faults are reported, not just the first.
    pub fn build(settings: RuleSetSettings) -> Result<Self, Vec<BuildFault>> {
        let mut faults = check(&settings);
        let declared: HashSet<Horizon> = settings.hostgroups.iter().filter_map(|g| g.horizon).collect();
        let default_horizon = if declared.len() == 1 { declared.into_iter().next() } else { None };
        let mut rules = Vec::with_capacity(settings.rules.len());
        for (i, rule) in settings.rules.into_iter().enumerate() {
            match Rule::compile(rule, default_horizon) {
                Ok(rule) => rules.push(Arc::new(rule)),
                Err(reasons) => faults.extend(reasons.into_iter().map(|(field, reason)| BuildFault {
                    item: Item::Rule(i),
                    field,
                    reason,
                })),
            }
        }
        if !faults.is_empty() {
            return Err(faults);
        }
        rules.retain(|r| r.settings.active);
        rules.sort_by_key(|r| r.settings.rule_id);
        let hostgroups = Hostgroups::new(settings.hostgroups, rules.iter().filter_map(|r| r.horizon));
        let mut tables = Names::default();
        for table in settings.tables {
            tables.entry(table.name.to_lowercase().into()).or_default().push(table);
        }
        let safe_functions: HashSet<Box<str>, FixedState> =
            settings.safe_functions.iter().map(|f| f.to_lowercase().into()).collect();
        let reads = SubjectReads::new(&rules, &tables, &safe_functions);
        let compiled = Compiled {
            hostgroups: Arc::new(hostgroups),
            index: Index::new(&rules),
            fast: FastRoutes::new(settings.fast_routes),
            rules,
            tables,
            defaults: settings.default_hostgroups.into_iter().collect(),
            safe_functions,
            hints: !settings.ignore_hints,
            reads,
        };
        Ok(Self::of(Arc::new(compiled), Arc::default()))
    }

    fn of(compiled: Arc<Compiled>, definitions: Arc<Definitions>) -> Self {
        Self { version: VERSIONS.fetch_add(1, Ordering::Relaxed), compiled, definitions }
    }

    /// The same rules, by which statements are planned as these definitions say. A version of its own.
    pub fn with_definitions(&self, definitions: Arc<Definitions>) -> Self {
        Self::of(Arc::clone(&self.compiled), definitions)
    }

    /// What the servers' triggers, views and routines do, as far as it is known.
    pub fn definitions(&self) -> &Arc<Definitions> {
        &self.definitions
    }

    /// The rules that need no configuration: what is proven safe goes to `readers`, then to `writer`; the rest to `writer`.
    pub fn by_effect(writer: HostgroupId, readers: &[HostgroupId]) -> RuleSetSettings {
        let mut hostgroups = vec![Hostgroup::writer(writer, "writer")];
        hostgroups.extend(readers.iter().map(|&id| Hostgroup::reader(id, "reader")));
        let mut rules = Vec::new();
        if !readers.is_empty() {
            let mut reads = RuleSettings::new(1);
            reads.reader_safe = Some(true);
            reads.destination = readers.iter().copied().chain([writer]).collect();
            reads.apply = true;
            reads.comment = "what is proven safe on a reader goes to one".into();
            rules.push(reads);
        }
        let mut rest = RuleSettings::new(2);
        rest.destination = vec![writer];
        rest.apply = true;
        rest.comment = "everything else goes to the writer".into();
        rules.push(rest);
        RuleSetSettings { hostgroups, rules, ..RuleSetSettings::default() }
    }

    /// This version's number. No two rule sets of a process share one.
    pub fn version(&self) -> u64 {
        self.version
    }

    /// The hostgroups.
    pub fn hostgroups(&self) -> &Hostgroups {
        &self.compiled.hostgroups
    }

    /// The active rules, in the order in which they are tried.
    pub fn rules(&self) -> impl ExactSizeIterator<Item = &RuleSettings> {
        self.compiled.rules.iter().map(|r| &r.settings)
    }

    /// The fast route for a subject's statements that the rules left with this flag.
    pub(super) fn fast_route(&self, subject: &Subject, flag: u32) -> Option<&FastRoute> {
        self.compiled.fast.row(subject.user(), subject.schema().unwrap_or_default(), flag)
    }

    /// All fast routes.
    pub fn fast_routes(&self) -> impl ExactSizeIterator<Item = &FastRoute> {
        self.compiled.fast.rows()
    }

    /// The hostgroup for a user's statements that no rule sends anywhere, if the configuration gives it one.
    pub fn default_hostgroup(&self, user: &str) -> Option<HostgroupId> {
        self.compiled.defaults.get(user).copied()
    }

    /// True if hostgroups, time columns and hints are the same: what decides beside the rules.
    pub(super) fn same_ground(&self, other: &Self) -> bool {
        self.compiled.hostgroups.iter().eq(other.compiled.hostgroups.iter())
            && self.compiled.tables == other.compiled.tables
            && self.compiled.hints == other.compiled.hints
    }

    /// Makes the plan of `sql`, of which `digest` is the digest under the subject's `sql_mode` bits.
    ///
    /// Takes microseconds and memory; [`super::PlanCache`] calls it once per digest and subject.
    pub fn plan(&self, sql: &[u8], digest: &Digest, subject: &Subject) -> Plan {
        let mode = subject.mode();
        let columns = Columns { tables: &self.compiled.tables, schema: subject.schema() };
        let time = TimeProgram::compile(sql, digest, mode, &columns);
        self.plan_of(classify(sql, mode), time, digest, subject)
    }

    /// The plan of a statement of which these are the facts and the time predicates.
    fn plan_of(&self, mut facts: Facts, time: TimeProgram, digest: &Digest, subject: &Subject) -> Plan {
        self.definitions.expand_views(&mut facts);
        self.vouch(&mut facts, subject);
        self.definitions.find_hidden_state(&mut facts);
        let grounds = Grounds {
            hostgroups: Arc::clone(&self.compiled.hostgroups),
            default: self.default_hostgroup(subject.user()),
            fast: self.compiled.fast.of(subject.user(), subject.schema().unwrap_or_default()),
            hints: self.compiled.hints,
        };
        let known = Known { subject, digest: &digest.text, hash: digest.hash, facts: &facts };
        let timeless = time.is_timeless();
        let conditional = |rule: &Rule| rule.reads_text() || (rule.horizon.is_some() && !timeless);
        let rules = reachable(self.matching(&known, timeless), conditional);
        let decision = self.settle(rules, timeless, &facts, &grounds);
        Plan {
            version: self.version,
            digest: digest.text.as_slice().into(),
            hash: digest.hash,
            facts,
            time,
            mode: subject.mode(),
            grounds,
            decision,
        }
    }

    /// The rules whose known conditions match, in order.
    pub(super) fn matching(&self, known: &Known<'_>, timeless: bool) -> impl Iterator<Item = Arc<Rule>> {
        self.compiled
            .index
            .candidates(known)
            .filter_map(|place| self.compiled.rules.get(place as usize))
            .filter(move |rule| !timeless || rule.horizon.is_none() || rule.matches_standing(Standing::Timeless))
            .filter(|rule| rule.matches_known(known))
            .cloned()
    }

    fn settle(&self, rules: Vec<Arc<Rule>>, timeless: bool, facts: &Facts, grounds: &Grounds) -> Decision {
        let reads_time = !timeless && self.compiled.hostgroups.has_horizons();
        let open = |rule: &Arc<Rule>| rule.reads_text() || (reads_time && rule.horizon.is_some());
        if !rules.iter().any(open) {
            let route = |class| {
                let found = search(&rules, &[], class, grounds, |_| {});
                grounds.decide(facts, found.outcome(&rules, grounds), class)
            };
            let first = route(if timeless { ReachClass::TIMELESS } else { ReachClass::UNKNOWN });
            if !reads_time || self.compiled.hostgroups.bounded_classes().all(|class| route(class) == first) {
                return Decision::Settled(Rc::new(first));
            }
        }
        Decision::PerExecution(PerExecution::new(rules, reads_time))
    }

    /// Takes the unknown functions out of the facts where the operator vouches for every one of them.
    fn vouch(&self, facts: &mut Facts, subject: &Subject) {
        if self.compiled.safe_functions.is_empty() || facts.functions.is_empty() {
            return;
        }
        let vouched = |name: &str| {
            self.compiled.safe_functions.contains(name)
                || (!name.contains('.')
                    && subject.schema().is_some_and(|s| {
                        self.compiled.safe_functions.contains(&*format!("{}.{name}", s.to_lowercase()))
                    }))
        };
        if facts.functions.iter().all(|f| vouched(f)) {
            facts.effects.remove(Effects::UNKNOWN_FUNCTION);
        }
    }

    /// What of the subject can change a plan.
    pub(super) fn project(&self, subject: &Subject) -> SubjectKey {
        let bit = |(i, pattern): (usize, &AddressPattern)| u64::from(pattern.matches(subject.client_addr())) << i;
        let word = |patterns: &[AddressPattern]| patterns.iter().enumerate().map(bit).fold(0, |all, bit| all | bit);
        let addresses = self.compiled.reads.addresses.chunks(64).map(word);
        SubjectKey {
            user: self.compiled.reads.users.contains(subject.user()).then(|| subject.shared_user()),
            default_hostgroup: self.default_hostgroup(subject.user()),
            schema: if self.compiled.reads.schema { subject.shared_schema() } else { None },
            fast: self.compiled.fast.of(subject.user(), subject.schema().unwrap_or_default()),
            addresses: addresses.collect(),
            proxy_addr: subject.proxy_addr().filter(|_| self.compiled.reads.proxy_addr),
            proxy_port: self.compiled.reads.proxy_port.then(|| subject.proxy_port()),
            mode: subject.mode(),
        }
    }
}

impl SubjectReads {
    fn new(rules: &[Arc<Rule>], tables: &Names, safe_functions: &HashSet<Box<str>, FixedState>) -> Self {
        let mut reads = Self {
            schema: tables.values().flatten().any(|t| t.schema.is_some())
                || safe_functions.iter().any(|f| f.contains('.')),
            ..Self::default()
        };
        for s in rules.iter().map(|r| &r.settings) {
            reads.users.extend(s.username.clone());
            reads.schema |= s.schemaname.is_some() || s.tables.iter().any(|t| t.names_schema());
            reads.proxy_addr |= s.proxy_addr.is_some();
            reads.proxy_port |= s.proxy_port.is_some();
            if let Some(address) = &s.client_addr
                && !reads.addresses.contains(address)
            {
                reads.addresses.push(address.clone());
            }
        }
        reads
    }
}

/// The time columns as a statement of one session sees them.
struct Columns<'a> {
    tables: &'a Names,
    schema: Option<&'a str>,
}

impl TimeColumns for Columns<'_> {
    fn of(&self, schema: Option<&str>, table: &str) -> &[TimeColumn] {
        let Some(declared) = self.tables.get(&*table.to_lowercase()) else { return &[] };
        let schema = schema.or(self.schema);
        // Where the schema is not known, any table of the name is taken for the declared one: a horizon that is asked for
        // in vain costs a detour, one that is not costs rows.
        let fits = |t: &&TableSettings| match (&t.schema, schema) {
            (Some(declared), Some(schema)) => declared.eq_ignore_ascii_case(schema),
            _ => true,
        };
        declared.iter().find(fits).map(|t| t.columns.as_slice()).unwrap_or_default()
    }
}

fn check(settings: &RuleSetSettings) -> Vec<BuildFault> {
    let mut faults = Vec::new();
    let mut fault = |item, field, reason: String| faults.push(BuildFault { item, field, reason });
    let groups = Hostgroups::new(settings.hostgroups.clone(), []);
    let known = |id: HostgroupId| groups.get(id).is_some();
    let mut seen = HashSet::new();
    for (i, group) in settings.hostgroups.iter().enumerate() {
        if !seen.insert(group.id) {
            fault(Item::Hostgroup(i), "id", format!("hostgroup {} is declared twice", group.id));
        }
        if let Some(writer) = group.writer.filter(|&w| !groups.is_writer(w)) {
            let what = if known(writer) { "is a reader" } else { "is not declared" };
            fault(Item::Hostgroup(i), "writer", format!("hostgroup {writer} {what}: a writer is needed here"));
        }
    }
    if !settings.hostgroups.iter().any(|g| g.role == Role::Writer) {
        let reason = "no hostgroup has role = \"writer\": what is not proven safe on a reader could go nowhere";
        fault(Item::Whole, "", reason.to_owned());
    }
    let mut seen = HashSet::new();
    let mut horizons: HashSet<Horizon> = settings.hostgroups.iter().filter_map(|g| g.horizon).collect();
    for (i, rule) in settings.rules.iter().enumerate() {
        if !seen.insert(rule.rule_id) {
            fault(Item::Rule(i), "rule_id", format!("rule_id {} is used twice", rule.rule_id));
        }
        for &id in rule.destination.iter().filter(|&&id| !known(id)) {
            fault(Item::Rule(i), "destination_hostgroup", format!("hostgroup {id} is not declared"));
        }
        if let Some(reason) = reader_only(rule, &groups) {
            fault(Item::Rule(i), "destination_hostgroup", reason);
        }
        horizons.extend(rule.older_than);
    }
    let mut seen = HashSet::new();
    for (i, route) in settings.fast_routes.iter().enumerate() {
        if !seen.insert((&route.username, &route.schemaname, route.flag_in)) {
            fault(Item::FastRoute(i), "username", "the user, schema and flagIN have a fast route already".to_owned());
        }
        if !known(route.destination) {
            let reason = format!("hostgroup {} is not declared", route.destination);
            fault(Item::FastRoute(i), "destination_hostgroup", reason);
        }
    }
    if horizons.len() > MAX_HORIZONS {
        fault(Item::Whole, "", format!("more than {MAX_HORIZONS} different horizons are declared"));
    }
    for (i, (user, id)) in settings.default_hostgroups.iter().enumerate().filter(|(_, (_, id))| !known(*id)) {
        let reason = format!("hostgroup {id}, the default of user {user}, is not declared");
        fault(Item::DefaultHostgroup(i), "default_hostgroup", reason);
    }
    faults
}

/// A rule for what no reader may run, that names only readers, never does what it says.
fn reader_only(rule: &RuleSettings, groups: &Hostgroups) -> Option<String> {
    if rule.effect == Some(Effects::BEGIN_READ_ONLY) {
        return None;
    }
    let unsafe_by_effect = rule.effect.is_some_and(|e| e.intersection(Effects::READER_SAFE).is_empty());
    if rule.reader_safe != Some(false) && !unsafe_by_effect {
        return None;
    }
    if rule.destination.is_empty() || !rule.destination.iter().all(|&id| groups.is_reader(id)) {
        return None;
    }
    Some("it names readers alone, and is for statements that no reader may run: name a writer".to_owned())
}
