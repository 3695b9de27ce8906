//! The cursors that a session has open, and which link each is open on.
//!
//! A session has no list of them before its first. [`super::Holdings`] alone changes it; what is fetched and when a cursor ends is
//! [`crate::session::prepared`]'s. It refuses to talk to a server.

use super::hold::Hold;

/// One open cursor.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::session) struct Cursor {
    /// The client's number of its statement.
    pub id: u32,
    /// The number of its text.
    pub number: u64,
    /// The link that it is open on.
    pub link: u64,
}

/// A session's open cursors.
#[derive(Default)]
pub(super) struct Cursors {
    pub open: Vec<Cursor>,
    /// Links that are kept for cursors alone.
    pub parked: Vec<Hold>,
}

impl Cursors {
    /// The open cursor of a statement.
    pub fn of(&self, id: u32) -> Option<Cursor> {
        self.open.iter().find(|cursor| cursor.id == id).copied()
    }

    /// True if the cursor of another statement than `id` is open under this number.
    pub fn take_number(&self, number: u64, id: u32) -> bool {
        self.open.iter().any(|cursor| cursor.number == number && cursor.id != id)
    }

    /// True if one is open on the link of that serial number.
    pub fn stand_on(&self, link: u64) -> bool {
        self.open.iter().any(|cursor| cursor.link == link)
    }
}
