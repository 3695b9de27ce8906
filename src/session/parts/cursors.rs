//! The cursors that a session has open, and the links that are kept for them alone.
//!
//! They are opened, fetched from and closed in [`crate::session::prepared::cursor`]; a session has no list of them before its
//! first prepared statement.

use crate::session::link::Link;

/// Connections that one session may have parked.
pub const MAX_PARKED: usize = 8;

/// One open cursor.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::session) struct Cursor {
    /// The client's number of its statement.
    pub(in crate::session) id: u32,
    /// The number of its text.
    pub(in crate::session) number: u64,
    /// The link that it is open on.
    pub(in crate::session) link: u64,
}

/// A session's open cursors.
#[derive(Default)]
pub struct Cursors {
    pub(in crate::session) open: Vec<Cursor>,
    /// Links that are kept for cursors alone. Boxed, as they are in every other place that they move to.
    #[allow(clippy::vec_box)]
    pub(in crate::session) parked: Vec<Box<Link>>,
}

impl Cursors {
    /// True if none is open.
    pub fn is_empty(&self) -> bool {
        self.open.is_empty()
    }

    /// True if the cursor of another statement than `id` is open under this number.
    pub fn holds(&self, number: u64, id: u32) -> bool {
        self.open.iter().any(|c| c.number == number && c.id != id)
    }

    /// The open cursor of a statement.
    pub(in crate::session) fn of(&self, id: u32) -> Option<Cursor> {
        self.open.iter().find(|c| c.id == id).copied()
    }

    /// True if one is open on the link of that serial number.
    pub(in crate::session) fn on(&self, link: u64) -> bool {
        self.open.iter().any(|c| c.link == link)
    }
}
