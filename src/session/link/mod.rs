//! A link: a backend connection in the service of sessions, and what is known to be on it.
//!
//! | file | what it does |
//! |---|---|
//! | [`buffers`] | the buffers of a worker |
//! | [`relay`] | a client's request to the server, and the answer back, byte for byte |
//! | [`conversation`] | what the router itself says to the server |
//! | [`life`] | a connection's life: how it begins, how it begins anew, how it is brought to a state |
//! | [`text`] | texts of prepared statements, as links and sessions know them |
//!
//! This room knows no session. What a session has set it knows as a [`State`] alone.

pub mod buffers;
pub mod conversation;
pub mod life;
pub mod relay;
pub mod text;

use super::state::State;
use super::state::base::Base;
use crate::backend::pool::Key;
use crate::backend::server::{Backend, Lease};
use crate::net::Stream;
use crate::protocol::status::Status;
use hashbrown::HashMap;
use relay::Relay;
use std::cell::Cell;
use std::rc::Rc;
use std::sync::Arc;
use text::Text;

/// A statement that the server of a link has prepared.
#[derive(Clone, Debug)]
pub struct Remote {
    /// The server's number.
    pub id: u32,
    /// The parameter types that the server has in mind for it: those of its last execution.
    pub types: Option<Rc<[u8]>>,
    /// When it was last used, in the link's own count.
    pub used: u64,
    /// Counts it among the servers' of its text.
    _on_server: Rc<()>,
}

/// The value of [`Link::diagnostics`] where they come from the router's own statements.
pub const OF_ROUTER: u64 = u64::MAX;

/// The value of [`Link::diagnostics`] where the router has left a marker before a routine ran.
pub const MARKED: u64 = u64::MAX - 1;

/// What becomes of a link that its session does not need any more.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Fate {
    /// Another session may have it.
    #[default]
    Shared,
    /// It is closed: a KILL QUERY was sent to it, and may hit whatever runs there next; or its server has recorded statements there, or
    /// reports no more what they change.
    Closed,
    /// It is closed, and its server is told to give up what still runs there for a client that has gone.
    Killed,
}

/// A backend connection, signed in and in a known state.
pub struct Link {
    /// The connection.
    pub stream: Stream,
    /// The request that is on its way over it, if one is.
    pub relay: Relay,
    /// Its room at the backend; given back when the link is dropped.
    pub lease: Lease,
    /// Counts it among the worker's.
    pub counted: Rc<()>,
    /// Whom it is fit for.
    pub key: Key,
    /// The hostgroup that it was taken for.
    pub hostgroup: u32,
    /// True if that hostgroup is a writer.
    pub writer: bool,
    /// A number of its own.
    pub serial: u64,
    /// The server's number for it, for KILL.
    pub thread_id: u64,
    /// What its life began with.
    pub base: Rc<Base>,
    /// The state that it is in.
    pub state: Rc<State>,
    /// Statements prepared on it, by the worker's number of their text.
    pub prepared: HashMap<u64, Remote, foldhash::fast::FixedState>,
    /// Counts uses of prepared statements, to know the least recently used.
    pub uses: u64,
    /// The session that ran the last statement on it; 0 where nothing there is anybody's.
    pub owner: u64,
    /// The session whose warnings or error may still be in its diagnostics; 0 for none, [`OF_ROUTER`] for those of what the router
    /// itself asked, [`MARKED`] for a marker. A server clears them only when a statement uses a table or has something to say itself.
    pub diagnostics: u64,
    /// The session that had it last has run a statement there that may have left something which is not known: it is reset
    /// before another session has it.
    pub is_doubtful: bool,
    /// It was given an insert id that a session remembers, for a question: that is taken away before another session has it.
    pub has_given_id: bool,
    /// Whether the server's definitions are known to the link's account, as of a generation of them.
    pub knows: (u32, bool),
    /// True if the capability was agreed: the tracker must know.
    pub deprecate_eof: bool,
    /// The tick at which it was made.
    pub born: u32,
    /// The status flags of its last answer.
    pub status: Status,
    /// What becomes of it when its session has no more use for it.
    pub fate: Cell<Fate>,
    /// A session has it: counted among the backend's busy ones.
    pub busy: bool,
}

impl Drop for Link {
    fn drop(&mut self) {
        self.set_busy(false);
    }
}

impl Link {
    /// The server at the other end.
    pub fn backend(&self) -> &Arc<Backend> {
        self.lease.backend()
    }

    /// Notes that its server has the text of this number prepared, as `remote`.
    pub fn remember(&mut self, remote: u32, number: u64, text: &Text) {
        self.uses += 1;
        let (used, _on_server) = (self.uses, text.on_server());
        self.prepared.insert(number, Remote { id: remote, types: None, used, _on_server });
    }

    /// True if a session may have it as it is: nothing unknown is on it, or nothing but the session's own.
    #[inline]
    pub fn is_clean_for(&self, session: u64) -> bool {
        !self.is_doubtful || self.owner == session
    }

    /// A session takes it, or gives it back.
    pub fn set_busy(&mut self, busy: bool) {
        if self.busy != busy {
            self.busy = busy;
            if busy { self.backend().begin() } else { self.backend().end() }
        }
    }

    /// True if an idle link has something to read: the server has closed it, or said something that nobody asked for.
    /// Either way it is of no more use. Costs no system call: readiness is what the event loop has seen.
    pub fn is_disturbed(&self) -> bool {
        self.stream.is_socket_ready()
    }
}
