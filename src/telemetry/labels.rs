//! The labels of tallies: which statements a count is about.
//!
//! A label is kept beside its tally in a [`super::ledger`], so that whoever reads counts can name them.
//! [`super::routes`] has those of routes.

use std::sync::Arc;

/// Which statements a [`DigestTally`](super::stats::DigestTally) counts.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DigestLabel {
    /// Where they ran; -1 for those that the router answered itself.
    pub hostgroup: i64,
    /// The session's default schema.
    pub schema: Arc<str>,
    /// The user in front.
    pub user: Arc<str>,
    /// The digest's hash.
    pub digest: u64,
    /// Its text.
    pub text: Arc<str>,
}
