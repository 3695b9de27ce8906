//! What goes wrong in a session, and the ERR packet that says so to the client: the one place where an error gets its
//! code, its SQLSTATE and its text. Texts name rules and hostgroups, never passwords and never literals of a statement.

use super::state::pins::Pins;
use crate::protocol::response::ErrPacket;
use std::io;
use std::time::Duration;

/// Why a statement was not served. The session goes on unless [`StatementError::ends_session`].
#[derive(Debug, thiserror::Error)]
pub enum StatementError {
    /// A rule's own error text, or a horizon's.
    #[error("{0}")]
    Refused(String),
    /// No backend of the route can take it.
    #[error("Switchboard: no backend of hostgroup {tiers} can serve this statement ({why}){note}")]
    NoBackend {
        /// The hostgroups that were tried, in order.
        tiers: String,
        /// What stood in the way of the last.
        why: String,
        /// What else the operator should know (hostgroups that a horizon excluded, the rule).
        note: String,
        /// One of them may serve again by itself: it was not their configuration or an account that stood in the way.
        may_pass: bool,
    },
    /// No connection became free in time.
    #[error("Switchboard: no connection to hostgroup {hostgroup} became free within {} ms", .waited.as_millis())]
    PoolTimeout {
        /// The hostgroup.
        hostgroup: u32,
        /// How long the statement waited.
        waited: Duration,
    },
    /// The backend was lost before it answered.
    #[error("Switchboard: lost connection to backend {backend} of hostgroup {hostgroup} during query ({why})")]
    Lost {
        /// The backend.
        backend: String,
        /// Its hostgroup.
        hostgroup: u32,
        /// What happened.
        why: String,
        /// What was lost with it.
        pins: Pins,
    },
    /// The session's state could not be brought to a connection; the server's own words.
    #[error("{message}")]
    State {
        /// The server's code.
        code: u16,
        /// The server's SQLSTATE.
        sqlstate: [u8; 5],
        /// The server's text.
        message: String,
    },
    /// What the statement asks for was left on a connection that the session no longer has.
    #[error(
        "Switchboard: the connection of the previous statement has served another session since; {0} is not known any more"
    )]
    ResultGone(&'static str),
    /// What the statement asks for went with a connection that was lost.
    #[error("Switchboard: the connection that had it was lost; {0} is not known any more")]
    ResultLost(&'static str),
    /// The statement may change something, and the session is in a READ ONLY transaction on a reader.
    /// MySQL ends the sentence with a full stop, MariaDB does not.
    #[error("Cannot execute statement in a READ ONLY transaction{0}")]
    ReadOnlyTransaction(&'static str),
    /// The statement must not run where the session is held.
    #[error("Switchboard: this statement needs hostgroup {wanted}, but the session is held on hostgroup {held} by {}", .pins.names())]
    Pinned {
        /// Where it should go.
        wanted: String,
        /// Where the session is.
        held: u32,
        /// Why.
        pins: Pins,
    },
    /// A statement id that the session never had, or has closed.
    #[error("Unknown prepared statement handler ({0}) given to {1}")]
    UnknownStatement(u32, &'static str),
    /// A variable of the router's own cannot have that value (ER_WRONG_VALUE_FOR_VAR, as servers word it).
    #[error("Variable '{name}' can't be set to the value of '{value}'")]
    WrongValue {
        /// The variable.
        name: &'static str,
        /// The value.
        value: String,
    },
    /// A command that the router does not carry.
    #[error("Unknown command")]
    UnknownCommand,
    /// A packet that does not say what its command needs.
    #[error("Malformed communication packet")]
    Malformed,
    /// The session has too many prepared statements.
    #[error("Switchboard: more than {0} prepared statements in one session")]
    TooManyStatements(usize),
    /// All clients together are sending more than the router keeps.
    #[error("Switchboard: no memory for so large a request within {} ms: all clients together have {limit} bytes", .waited.as_millis())]
    NoMemory {
        /// What all may take, in bytes.
        limit: usize,
        /// How long the request waited.
        waited: Duration,
    },
    /// The session has killed itself.
    #[error("Connection was killed")]
    Killed,
    /// The router is shutting down.
    #[error("Server shutdown in progress")]
    Shutdown,
}

impl StatementError {
    /// Code and SQLSTATE.
    ///
    /// Where a server has a code of its own for it, that one; where only a router knows the error, ProxySQL's 9001 for
    /// "no backend" (alerts look for it) and 1105 (unknown error) for the rest.
    pub fn code(&self) -> (u16, [u8; 5]) {
        match self {
            StatementError::Refused(_) => (1148, *b"42000"),
            StatementError::NoBackend { .. } | StatementError::PoolTimeout { .. } => (9001, *b"HY000"),
            StatementError::Lost { .. } => (2013, *b"HY000"),
            StatementError::State { code, sqlstate, .. } => (*code, *sqlstate),
            StatementError::ResultGone(_) | StatementError::ResultLost(_) | StatementError::Pinned { .. } => {
                (1105, *b"HY000")
            }
            StatementError::WrongValue { .. } => (1231, *b"42000"),
            StatementError::ReadOnlyTransaction(_) => (1792, *b"25006"),
            StatementError::UnknownStatement(..) => (1243, *b"HY000"),
            StatementError::UnknownCommand => (1047, *b"08S01"),
            StatementError::Malformed => (1835, *b"HY000"),
            StatementError::TooManyStatements(_) => (1461, *b"42000"),
            StatementError::NoMemory { .. } => (1041, *b"HY000"),
            // MariaDB's; MySQL calls it an interrupted query, which a client may take for one that can be tried again.
            StatementError::Killed => (1927, *b"70100"),
            StatementError::Shutdown => (1053, *b"08S01"),
        }
    }

    /// True if the session cannot go on: what it had built up on its connection is gone, and statements that follow would
    /// run as if it had never been.
    pub fn ends_session(&self) -> bool {
        match self {
            StatementError::Lost { pins, .. } => pins.intersects(Pins::LOST_WITH_CONNECTION),
            StatementError::Killed | StatementError::Shutdown | StatementError::NoMemory { .. } => true,
            _ => false,
        }
    }

    /// True if the same statement may be served in a moment, without anybody's doing.
    pub fn may_pass(&self) -> bool {
        matches!(self, StatementError::NoBackend { may_pass: true, .. })
    }

    /// The ERR packet's payload.
    pub fn packet(&self) -> ErrPacket<'static> {
        let (code, state) = self.code();
        ErrPacket::new(code, &state, self.to_string())
    }
}

/// Why a session ended.
#[derive(Debug, thiserror::Error)]
pub enum SessionEnd {
    /// The client said goodbye, or closed between two commands.
    #[error("the client left")]
    Left,
    /// The client's connection broke.
    #[error("the client's connection broke: {0}")]
    ClientBroke(#[source] io::Error),
    /// The client broke the protocol.
    #[error("the client broke the protocol: {0}")]
    Misbehaved(&'static str),
    /// A statement's error that the session cannot outlive.
    #[error(transparent)]
    Statement(#[from] StatementError),
    /// A response could not be ended properly: part of it had already gone to the client.
    #[error("backend {backend} was lost in the middle of a response: {why}")]
    HalfAnswered {
        /// The backend.
        backend: String,
        /// What happened.
        why: String,
    },
}
