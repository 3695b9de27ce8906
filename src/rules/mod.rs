//! The routing decision: from what a statement does, and who sends it, to an ordered list of hostgroups and a reason.
//!
//! Pure. It knows nothing of sockets, pools or health: a [`Route`] says where a statement may go, in which order; which
//! backend of those is up is `backend`'s knowledge, and what the session's own state demands is `session`'s.
//! It refuses to send a statement that is not proven safe to a hostgroup that is a reader, whatever a rule says.
//!
//! The way through: a [`RuleSet`] (one version of all rules) makes a [`Plan`] of a digest, once; the plan gives a
//! [`Route`] for each execution, usually the same one, made beforehand. [`PlanCache`] keeps plans, per worker.
//!
//! | file | what it holds |
//! |---|---|
//! | [`rule`] | one rule as the configuration gives it, and compiled |
//! | [`pattern`] | the patterns that rules are made of: regular expressions, addresses, table names |
//! | [`fast`] | where a user's statements in a schema go if the rules leave it open |
//! | `literal` | what a text must contain for a pattern to match it |
//! | [`matcher`] | which rules can match, found without looking at all of them |
//! | [`hostgroup`] | hostgroups: role, horizon, and who is whose writer |
//! | [`ruleset`] | the whole, checked; makes plans |
//! | [`plan`] | what is known of a digest; routes executions |
//! | [`decide`] | what no rule can override: safety on readers, horizons, hints |
//! | [`subject`] | who sends a statement, as far as rules ask |
//! | [`cache`] | plans by text and digest |
//! | [`explain`] | the same engine, with its reasons in words |
//! | [`compare`] | two versions of the rules: whose statements would go elsewhere |

pub mod cache;
pub mod compare;
pub mod coverage;
pub mod decide;
pub mod explain;
pub mod fast;
pub mod hostgroup;
mod literal;
pub mod matcher;
pub mod pattern;
pub mod plan;
pub mod route;
pub mod rule;
pub mod ruleset;
pub mod subject;

pub use cache::{CacheLimits, Lookup, PlanCache};
pub use compare::{Difference, compare};
pub use explain::{Explanation, explain};
pub use fast::FastRoute;
pub use hostgroup::{Horizon, Hostgroup, Role};
pub use plan::{Execution, Plan};
pub use route::{Holds, HostgroupId, Reason, Route};
pub use rule::{HorizonKind, RuleSettings};
pub use ruleset::{BuildFault, Item, RuleSet, RuleSetSettings, TableSettings};
pub use subject::Subject;
