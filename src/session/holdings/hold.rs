//! A link with what stands on it, and the loss of one.
//!
//! A statement gets a link as a [`Hold`] and must bring it to an end; a [`Lost`] must be told, or said to be nobody's affair.

use crate::session::error::StatementError;
use crate::session::link::Link;
use crate::session::state::pins::Pins;

/// Where a link for a request came from.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::session) enum From {
    /// The pool, or new; or it was kept for its cursors alone.
    Pool,
    /// The session's home.
    Home,
    /// The previous statement's connection.
    Last,
}

/// A link with what stands on it, held by the session or in the hands of its statement.
#[must_use = "a link is put back, settled, or lost"]
pub(in crate::session) struct Hold {
    /// The link.
    pub link: Box<Link>,
    pub(super) pins: Pins,
    pub(super) from: From,
}

impl Hold {
    /// A link that is the session's for one statement: nothing stands on it.
    pub fn pooled(link: Box<Link>) -> Self {
        Self { link, pins: Pins::empty(), from: From::Pool }
    }

    /// What stands on it.
    pub fn pins(&self) -> Pins {
        self.pins
    }

    /// Where it came from.
    pub fn from(&self) -> From {
        self.from
    }

    /// These stand on it from now on.
    pub fn pin(&mut self, pins: Pins) {
        self.pins |= pins;
    }

    /// These pins are gone from it.
    pub fn lift(&mut self, pins: Pins) {
        self.pins -= pins;
    }

    /// True for the session's home.
    pub fn is_home(&self) -> bool {
        self.from == From::Home
    }
}

/// What stood on a link that is lost.
#[must_use = "the client must hear of what is gone, or it goes on as if nothing had been"]
#[derive(Debug)]
pub(in crate::session) struct Lost {
    backend: String,
    hostgroup: u32,
    pins: Pins,
}

impl Lost {
    /// What stood on this link, which is lost.
    pub(super) fn of(hold: &Hold) -> Self {
        let (link, pins) = (&hold.link, hold.pins);
        Self { backend: link.backend().name.to_string(), hostgroup: link.hostgroup, pins }
    }

    /// The loss, told to the client as its statement's error; where it cannot go on without what is gone, the session ends with it.
    pub fn told(self, why: &str) -> StatementError {
        let Self { backend, hostgroup, pins } = self;
        StatementError::Lost { backend, hostgroup, why: why.to_owned(), pins }
    }

    /// Nobody has to hear of it: the session ends, or what stood there was only to be asked for, and is missed when it is.
    pub fn untold(self) {}
}
