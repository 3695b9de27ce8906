//! One rule: as the configuration gives it ([`RuleSettings`]), and compiled ([`Rule`]).
//!
//! The names and meanings are ProxySQL's `mysql_query_rules` wherever it has the column; the rest is ours. Every condition
//! that is given must hold; a rule without conditions matches everything.

use super::hostgroup::{Horizon, Standing};
use super::pattern::{AddressPattern, Modifiers, Pattern, TablePattern};
use super::route::HostgroupId;
use super::subject::Subject;
use crate::sql::effects::{Effects, Facts};
use std::net::IpAddr;
use std::sync::Arc;

/// What a rule can ask of a statement's horizon.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum HorizonKind {
    /// Proven to stay inside.
    Recent,
    /// Bounded, and the bounds reach beyond.
    Historical,
    /// No bound is proven: a lookup by id, an expression on the column, an OR.
    Unknown,
    /// It names no table that has a time column.
    Timeless,
}

impl HorizonKind {
    /// All of them, by the names that rules use.
    pub const NAMES: [(&'static str, HorizonKind); 4] = [
        ("recent", HorizonKind::Recent),
        ("historical", HorizonKind::Historical),
        ("unknown", HorizonKind::Unknown),
        ("timeless", HorizonKind::Timeless),
    ];

    /// Reads one of the names.
    pub fn parse(name: &str) -> Option<Self> {
        Self::NAMES.iter().find(|(n, _)| *n == name).map(|&(_, kind)| kind)
    }

    fn meets(self, standing: Standing) -> bool {
        matches!(
            (self, standing),
            (Self::Recent, Standing::Recent)
                | (Self::Historical, Standing::Historical)
                | (Self::Unknown, Standing::Unknown)
                | (Self::Timeless, Standing::Timeless)
        )
    }
}

/// Names for groups of effects, as `effect = […]` in a rule may say beside the effects' own names.
pub const EFFECT_GROUPS: [(&str, Effects); 10] = [
    ("read", Effects::READ),
    ("write", Effects::WRITE),
    ("ddl", Effects::DDL),
    ("lock", Effects::LOCK_ROWS.union(Effects::LOCK_TABLES).union(Effects::UNLOCK_TABLES).union(Effects::USER_LOCK)),
    (
        "transaction",
        Effects::BEGIN
            .union(Effects::COMMIT)
            .union(Effects::ROLLBACK)
            .union(Effects::SAVEPOINT)
            .union(Effects::XA)
            .union(Effects::SET_NEXT_TRANSACTION)
            .union(Effects::SET_AUTOCOMMIT),
    ),
    (
        "session",
        Effects::SET_SCHEMA
            .union(Effects::SET_SESSION)
            .union(Effects::SET_USER_VARIABLE)
            .union(Effects::READ_USER_VARIABLE)
            .union(Effects::TEMPORARY_TABLE)
            .union(Effects::TEXT_PREPARE)
            .union(Effects::HANDLER)
            .union(Effects::UNTRACKED_STATE),
    ),
    ("routine", Effects::CALL.union(Effects::UNKNOWN_FUNCTION)),
    ("file", Effects::SERVER_FILE.union(Effects::LOCAL_INFILE)),
    ("admin", Effects::ADMIN.union(Effects::SET_GLOBAL)),
    ("needs_previous", Effects::NEEDS_PREVIOUS),
];

/// The effects that a name in a rule stands for: a group's name, or an effect's own in lower case.
pub fn effects_named(name: &str) -> Option<Effects> {
    EFFECT_GROUPS
        .iter()
        .find(|(group, _)| *group == name)
        .map(|&(_, effects)| effects)
        .or_else(|| Effects::from_name(&name.to_ascii_uppercase()).filter(|_| name == name.to_ascii_lowercase()))
}

/// A rule as the configuration gives it. Field names in the files are those of the columns, in ProxySQL's spelling.
#[derive(Clone, Debug, PartialEq, Eq, Default)]
pub struct RuleSettings {
    /// Its number: rules are tried in ascending order.
    pub rule_id: u32,
    /// An inactive rule is read and checked, and never matches.
    pub active: bool,
    /// The user who signed in. Exact.
    pub username: Option<Box<str>>,
    /// The session's default schema. Exact.
    pub schemaname: Option<Box<str>>,
    /// The rule is tried only while the statement carries this flag; every statement starts with 0.
    pub flag_in: u32,
    /// Where the client comes from.
    pub client_addr: Option<AddressPattern>,
    /// The local address that the client connected to.
    pub proxy_addr: Option<IpAddr>,
    /// The local port that the client connected to.
    pub proxy_port: Option<u16>,
    /// The digest's hash.
    pub digest: Option<u64>,
    /// Found in the digest's text.
    pub match_digest: Option<Box<str>>,
    /// Found in the statement's own text. Looked at for every execution.
    pub match_pattern: Option<Box<str>>,
    /// The two patterns above must *not* be found.
    pub negate_match_pattern: bool,
    /// How the two patterns are read.
    pub re_modifiers: Modifiers,
    /// On a match the statement carries this flag from here on.
    pub flag_out: Option<u32>,
    /// Where matching statements go, in order of preference: `destination_hostgroups`, or `destination_hostgroup` alone.
    pub destination: Vec<HostgroupId>,
    /// On a match no later rule is tried.
    pub apply: bool,
    /// Matching statements are refused with this text.
    pub error_msg: Option<Box<str>>,
    /// Matching statements are answered with an OK packet of this text.
    pub ok_msg: Option<Box<str>>,
    /// Matching statements are logged.
    pub log: bool,
    /// For people.
    pub comment: Box<str>,
    /// The statement has at least one of these effects.
    pub effect: Option<Effects>,
    /// The statement is (or is not) proven safe on a reader.
    pub reader_safe: Option<bool>,
    /// The statement names at least one of these tables.
    pub tables: Vec<TablePattern>,
    /// The statement's horizon is one of these. Looked at for every execution that has time predicates.
    pub horizon: Vec<HorizonKind>,
    /// The horizon that is meant. None: the one that the hostgroups declare, if they declare just one.
    pub older_than: Option<Horizon>,
    /// The statement carries this hint: a key, and its value if one is given.
    pub hint: Option<(Box<str>, Option<Box<str>>)>,
}

impl RuleSettings {
    /// An active rule with that number and nothing else said.
    pub fn new(rule_id: u32) -> Self {
        Self { rule_id, active: true, ..Self::default() }
    }
}

/// What a plan knows when it asks which rules match: all that does not change from execution to execution.
pub(super) struct Known<'a> {
    pub subject: &'a Subject,
    pub digest: &'a [u8],
    pub hash: u64,
    pub facts: &'a Facts,
}

/// A rule, compiled.
#[derive(Debug)]
pub struct Rule {
    /// What it was made from.
    pub settings: RuleSettings,
    /// Its destination, to be shared by routes.
    pub(super) destination: Option<Arc<[HostgroupId]>>,
    pub(super) refusal: Option<Arc<str>>,
    pub(super) ok_msg: Option<Arc<str>>,
    match_digest: Option<Pattern>,
    match_pattern: Option<Pattern>,
    /// The horizon that `settings.horizon` is about. Set if and only if the rule asks for one.
    pub(super) horizon: Option<Horizon>,
}

impl Rule {
    /// Compiles it. `default_horizon` is what a rule means that asks for a horizon and names none.
    ///
    /// Errors are pairs of the column's name and the reason.
    pub(super) fn compile(
        settings: RuleSettings,
        default_horizon: Option<Horizon>,
    ) -> Result<Self, Vec<(&'static str, String)>> {
        let mut faults = Vec::new();
        let mut pattern = |field: &'static str, text: &Option<Box<str>>| {
            let compiled = Pattern::compile(text.as_deref()?, settings.re_modifiers);
            compiled.map_err(|reason| faults.push((field, reason))).ok()
        };
        let match_digest = pattern("match_digest", &settings.match_digest);
        let match_pattern = pattern("match_pattern", &settings.match_pattern);
        let horizon = if settings.horizon.is_empty() { None } else { settings.older_than.or(default_horizon) };
        if horizon.is_none() && !settings.horizon.is_empty() {
            let reason =
                "which horizon is meant? Say older_than = \"90d\" in the rule: the hostgroups do not declare just one";
            faults.push(("horizon", reason.to_owned()));
        }
        if !faults.is_empty() {
            return Err(faults);
        }
        Ok(Self {
            destination: (!settings.destination.is_empty()).then(|| settings.destination.as_slice().into()),
            refusal: settings.error_msg.as_deref().map(Into::into),
            ok_msg: settings.ok_msg.as_deref().map(Into::into),
            match_digest,
            match_pattern,
            horizon,
            settings,
        })
    }

    /// True if everything that does not change between executions matches.
    pub(super) fn matches_known(&self, known: &Known<'_>) -> bool {
        let s = &self.settings;
        let subject = known.subject;
        // Cheap ones first.
        s.digest.is_none_or(|d| d == known.hash)
            && s.effect.is_none_or(|e| known.facts.effects.intersects(e))
            && s.reader_safe.is_none_or(|safe| known.facts.reader_safe() == safe)
            && s.proxy_port.is_none_or(|p| p == subject.proxy_port())
            && s.username.as_deref().is_none_or(|u| u == subject.user())
            && s.schemaname.as_deref().is_none_or(|name| Some(name) == subject.schema())
            && s.proxy_addr.is_none_or(|a| Some(a.to_canonical()) == subject.proxy_addr().map(|p| p.to_canonical()))
            && s.client_addr.as_ref().is_none_or(|a| a.matches(subject.client_addr()))
            && self.matches_hint(known.facts)
            && self.matches_tables(known)
            && self.match_digest.as_ref().is_none_or(|p| p.is_match(known.digest) != s.negate_match_pattern)
    }

    fn matches_tables(&self, known: &Known<'_>) -> bool {
        let patterns = &self.settings.tables;
        patterns.is_empty()
            || known.facts.tables.iter().any(|used| {
                let schema = used.schema.as_deref().or(known.subject.schema());
                patterns.iter().any(|p| p.matches(schema, &used.name))
            })
    }

    fn matches_hint(&self, facts: &Facts) -> bool {
        self.settings.hint.as_ref().is_none_or(|(key, value)| {
            let fits = |v: &str| value.as_deref().is_none_or(|wanted| wanted == v);
            facts.hints.iter().any(|hint| hint.key == *key && fits(&hint.value))
        })
    }

    /// True if the rule looks at the statement's own text.
    pub(super) fn reads_text(&self) -> bool {
        self.match_pattern.is_some()
    }

    /// True if the statement's own text is what the rule asks for.
    pub(super) fn matches_text(&self, sql: &[u8]) -> bool {
        self.match_pattern.as_ref().is_none_or(|p| p.is_match(sql) != self.settings.negate_match_pattern)
    }

    /// True if a statement that stands so to the rule's horizon is what the rule asks for.
    pub(super) fn matches_standing(&self, standing: Standing) -> bool {
        self.settings.horizon.is_empty() || self.settings.horizon.iter().any(|kind| kind.meets(standing))
    }

    /// True if the rule ends the search: it applies, or answers the statement itself.
    pub(super) fn ends(&self) -> bool {
        self.settings.apply || self.answers()
    }

    /// True if the rule answers the statement itself.
    pub(super) fn answers(&self) -> bool {
        self.refusal.is_some() || self.ok_msg.is_some()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn effects_by_group_and_by_name() {
        assert_eq!(effects_named("write"), Some(Effects::WRITE));
        assert_eq!(effects_named("lock_rows"), Some(Effects::LOCK_ROWS));
        assert_eq!(effects_named("unproven"), Some(Effects::UNPROVEN));
        assert!(effects_named("lock").unwrap().contains(Effects::USER_LOCK));
        assert_eq!(effects_named("WRITE"), None);
        assert_eq!(effects_named("wrote"), None);
    }
}
