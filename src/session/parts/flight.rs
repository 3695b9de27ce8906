//! A statement with its plan, and a statement on its way over a link.
//!
//! Both ways of a statement hand these on, the short one ([`crate::session::statement::flight`]) and the long one
//! ([`crate::session::statement::long`]). They decide nothing.

use crate::rules::{Plan, Route};
use crate::session::holdings::Hold;
use crate::session::parts::place::{Place, Why};
use crate::session::parts::request::Request;
use crate::session::parts::statements::Executing;
use crate::session::parts::writing::Writing;
use crate::session::worker::Current;
use std::rc::Rc;

/// Where a statement goes before its session has been asked: nowhere yet.
pub(in crate::session) const UNPLACED: (Place, Why) = (Place::Refuse, Why::Route);

/// A statement with its plan.
pub(in crate::session) struct Planned {
    pub snapshot: Rc<Current>,
    pub plan: Rc<Plan>,
    pub route: Rc<Route>,
    pub request: Request,
    /// It executes a prepared statement.
    pub executing: Option<Executing>,
    /// Where it goes, and why, once the session's state has had its say.
    pub placed: (Place, Why),
}

/// A statement on its way over a link.
pub(in crate::session) struct Flight {
    /// The link that it goes over, with what stands on it.
    pub hold: Hold,
    pub planned: Planned,
    pub writing: Option<Writing>,
}

/// How far a command got at once. The session keeps it, so that its loop has nothing to keep.
#[derive(Default)]
pub(in crate::session) enum Departure {
    /// To a link; the answer is to be waited for.
    Gone(Flight),
    /// To a plan. Some link may be at hand that has to be made ready.
    Held(Planned, Option<Hold>),
    /// Nowhere: the router drains, and it comes too late.
    Late,
    /// Nowhere.
    #[default]
    Other,
}
