//! The routing decision: from what a statement does, and who sends it, to an ordered list of hostgroups and a reason.
//!
//! Pure. It knows nothing of sockets, pools or health: a [`Route`] says where a statement may go, in which order; which
//! backend of those is up is `backend`'s knowledge, and what the session's own state demands is `session`'s.
//! It refuses to send a statement that is not proven safe to a hostgroup that is a reader, whatever a rule says.

pub mod cache;
pub mod matcher;
pub mod plan;
pub mod route;
pub mod rule;

pub use route::{HostgroupId, Reason, Route};
