//! The decision itself: [`Route`], which has the hostgroups in order, and [`Reason`], which says why.
//!
//! [`super::decide`] makes routes; the session, the logs and `EXPLAIN ROUTE` read them. A route says where a statement
//! may go. It does not say which of those backends is up, or what the session's state demands.

use std::fmt;
use std::sync::Arc;

/// A hostgroup's number, ProxySQL's word and range.
pub type HostgroupId = u32;

/// Why a route is what it is, before the session's state has its say. The `Display` text is what operators read.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Reason {
    /// A rule matched and named the hostgroups.
    Rule(u32),
    /// The rules left it open (nothing with `apply` matched), and a fast route of the user and schema named the hostgroup.
    FastRoute,
    /// No rule matched (or none that did named a hostgroup): the user's default hostgroup.
    DefaultHostgroup,
    /// A rule (or a default, or a hint) named a reader for a statement that is not proven safe there; the writer took it.
    UnsafeOnReader {
        /// The rule that named the reader, if it was one.
        rule: Option<u32>,
        /// The effect that forbids it, or the classifier's words for why nothing is proven.
        why: Box<str>,
    },
    /// A comment hint of the statement named the hostgroup.
    Hint(Box<str>),
    /// No hostgroup of the route is known to hold every row that the statement reaches; it is refused.
    BeyondHorizon {
        /// The rule that named the hostgroups, if it was one (and no default, and no hint).
        rule: Option<u32>,
    },
    /// The rule's `error_msg` refuses the statement, or its `OK_msg` answers it.
    Answered(u32),
}

impl fmt::Display for Reason {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Reason::Rule(id) => write!(f, "rule {id}"),
            Reason::FastRoute => f.write_str("a fast route for the user and schema"),
            Reason::DefaultHostgroup => f.write_str("no rule names a hostgroup for it: the user's default hostgroup"),
            Reason::UnsafeOnReader { rule: Some(id), why } => {
                write!(f, "rule {id} names a reader, but {why}: the writer takes it")
            }
            Reason::UnsafeOnReader { rule: None, why } => {
                write!(f, "a reader was asked for, but {why}: the writer takes it")
            }
            Reason::Hint(hint) => write!(f, "the statement's hint {hint}"),
            Reason::BeyondHorizon { rule: Some(id) } => {
                write!(f, "rule {id}: none of its hostgroups is proven to hold every row that the statement reaches")
            }
            Reason::BeyondHorizon { rule: None } => {
                f.write_str("no hostgroup that was asked for is proven to hold every row that the statement reaches")
            }
            Reason::Answered(id) => write!(f, "rule {id} answers it itself"),
        }
    }
}

/// Whether a hostgroup holds every row that an execution can touch.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Holds {
    /// It does: it holds everything, or the execution is proven to stay inside its horizon, or answers from no rows that a
    /// horizon is about.
    Yes,
    /// The execution's bounds reach beyond its horizon.
    No,
    /// Nothing is proven: it declares a horizon, and the execution has no lower bound on time.
    Unknown,
}

/// Where a statement may go, and why.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Route {
    /// Hostgroups in order of preference. Never empty unless `refusal` or `ok_msg` is set.
    pub tiers: Arc<[HostgroupId]>,
    /// Hostgroups that the rule named but that a horizon took out, for the error text and `EXPLAIN ROUTE`.
    pub excluded: Arc<[HostgroupId]>,
    /// They were taken out because no lower bound on time is proven, not because one is and reaches too far back.
    pub unbounded: bool,
    /// Why.
    pub reason: Reason,
    /// The rule that decided, if one did.
    pub rule_id: Option<u32>,
    /// The statement is answered with this error text and goes nowhere: a rule's `error_msg`, or
    /// [`Reason::BeyondHorizon`].
    ///
    /// The second says that *outside of a transaction* no hostgroup could answer in full. In a transaction that is bound
    /// to a backend, the session may run it there, as MySQL would: the transaction's own view is what it asked for.
    pub refusal: Option<Arc<str>>,
    /// A rule's `OK_msg`: the statement is answered with an OK packet of this text and goes nowhere.
    pub ok_msg: Option<Arc<str>>,
    /// True if the statement is proven safe on a reader (decides about retries, and about reads after writes).
    pub reader_safe: bool,
    /// The writer that stands behind this route: where the session goes when its own state asks for the writer.
    pub writer: HostgroupId,
    /// Whether that writer holds every row that this execution can touch. A session that would move a read to the writer
    /// (it has just written) must not where this is [`Holds::No`]: the answer would lack rows without a word.
    pub writer_holds: Holds,
    /// The deciding rule asks for this statement to be logged.
    pub log: bool,
}

impl Route {
    /// True if nothing is to be sent to a backend for this execution.
    pub fn is_answered(&self) -> bool {
        self.refusal.is_some() || self.ok_msg.is_some()
    }

    /// True if the route lets the statement run on that hostgroup, at any tier, or on its writer if that holds all it needs.
    pub fn allows(&self, hostgroup: HostgroupId) -> bool {
        self.tiers.contains(&hostgroup) || (hostgroup == self.writer && self.writer_holds == Holds::Yes)
    }
}
