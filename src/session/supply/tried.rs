//! What a statement has tried in vain, and its place among those that wait for a server.
//!
//! [`super`] fills it while it looks for a link, [`super::outage`] empties it behind a wait. It decides nothing.

use crate::backend::Backend;
use crate::backend::server::BackendId;
use crate::session::error::StatementError;
use std::sync::Arc;
use tokio::time::Instant;

/// Backends that a statement has tried in vain, and what the last of them said.
#[derive(Default)]
pub struct Tried {
    /// Their numbers.
    pub backends: Vec<BackendId>,
    /// What stood in the way of the last.
    pub why: String,
    /// An error of a server about the session's own state or sign-in, better than "no backend" if nothing else helps.
    pub refusal: Option<StatementError>,
    /// What stood in the way of one of them does not pass by itself.
    pub(super) is_lasting: bool,
    /// The last, where it has refused the statement for being read-only: nothing of it has run.
    pub refused_by: Option<Arc<Backend>>,
    /// The client gets such a refusal now: it has waited for as long as it may.
    pub takes_refusal: bool,
    /// The statement's place among those that wait for a server.
    pub(super) turn: Option<Turn>,
}

/// A statement's place among those that wait.
#[derive(Clone, Copy, Debug)]
pub(super) struct Turn {
    /// Its number, in the order of arrival.
    pub number: u64,
    /// It is given up then.
    pub until: Instant,
    /// How often it has been called.
    pub calls: u32,
}
