//! Where a statement goes, and why, in words.
//!
//! [`crate::session::statement::place`] decides, [`crate::session::statement::links`] finds the link that is meant, and what is
//! counted and logged names the reason. It refuses to decide anything itself.

/// Where to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Place {
    /// The route's hostgroups, in order.
    Route,
    /// The route's hostgroups, in order, but only servers that have the write that the statement must see
    /// ([`crate::session::statement::follow`]); where none has it, the route's writer.
    Fresh,
    /// The route's writer.
    Writer,
    /// The home connection.
    Home,
    /// The previous statement's connection.
    Last,
    /// To where the previous statement ran, if it is still ours: nothing is held, so its connection went back to the pool.
    Previous,
    /// To where the previous statement ran, which becomes the home: what holds the present home is carried.
    PreviousAsHome,
    /// The transaction on the home connection (a READ ONLY one, on a reader) must be committed there; then anew.
    EndReadOnly,
    /// Not at all: not while held there.
    Refuse,
    /// Not at all: it may write, in a READ ONLY transaction on a reader.
    ReadOnlyTransaction,
}

/// Why there, in words for `EXPLAIN ROUTE` and the counters.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Why {
    /// The route decided alone.
    Route,
    /// An open transaction, or another pin that holds everything.
    Pinned,
    /// It needs what an earlier statement left.
    NeedsPrevious,
    /// It is not safe on a reader and the session holds a writer.
    Unsafe,
    /// The session wrote a moment ago.
    ReadYourWrites,
    /// Another session of its user did.
    ReadUserWrites,
    /// A READ ONLY transaction on a reader is in the way.
    ReadOnly,
    /// It opens a transaction, since `autocommit` is off.
    OpensTransaction,
}

impl Why {
    /// The words.
    pub fn text(self) -> &'static str {
        match self {
            Why::Route => "the route",
            Why::Pinned => "the session is pinned",
            Why::NeedsPrevious => "it asks for what an earlier statement left on its connection",
            Why::Unsafe => "not safe on a reader, and the session holds a connection to the writer",
            Why::ReadYourWrites => "the session wrote a moment ago: it reads its own writes",
            Why::ReadUserWrites => "another session of its user wrote a moment ago: it reads that write",
            Why::ReadOnly => "a READ ONLY transaction on a reader is open",
            Why::OpensTransaction => "autocommit is off: the statement opens a transaction",
        }
    }
}
