//! The decision itself.

use std::sync::Arc;

/// A hostgroup's number, ProxySQL's word and range.
pub type HostgroupId = u32;

/// Why a route is what it is, before the session's state has its say. The `Display` text is what operators read.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Reason {
    /// A rule matched and named the hostgroups.
    Rule(u32),
    /// No rule matched: the user's default hostgroup.
    DefaultHostgroup,
    /// A rule (or a default) named a reader for a statement that is not proven safe there; the writer took it.
    UnsafeOnReader {
        /// The rule that named the reader, if it was one.
        rule: Option<u32>,
        /// The effect that forbids it, or the classifier's words for why nothing is proven.
        why: Box<str>,
    },
    /// A comment hint of the statement named the hostgroup.
    Hint(Box<str>),
}

/// Where a statement may go, and why.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Route {
    /// Hostgroups in order of preference. Never empty unless `refusal` is set.
    pub tiers: Arc<[HostgroupId]>,
    /// Hostgroups that the rule named but that a horizon took out, for the error text and `EXPLAIN ROUTE`.
    pub excluded: Arc<[HostgroupId]>,
    /// Why.
    pub reason: Reason,
    /// The rule that decided, if one did.
    pub rule_id: Option<u32>,
    /// A rule's `error_msg`: the statement is answered with this text and goes nowhere.
    pub refusal: Option<Arc<str>>,
    /// True if the statement is proven safe on a reader (decides about retries, and about reads after writes).
    pub reader_safe: bool,
}
