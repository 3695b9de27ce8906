//! A request to a server: what is sent, and in what ways that may fail.
//!
//! [`crate::session::exchange`] sends it. It refuses to know where it is sent.

use crate::protocol::codec::HEADER;
use crate::protocol::command::Command;
use crate::protocol::tracker::Expect;
use crate::session::error::SessionEnd;
use crate::session::error::StatementError;
use crate::session::link::conversation::TalkError;
use crate::sql::effects::Effects;

/// A request ready to be run: what to send, and what is known of it.
pub(in crate::session) struct Request {
    /// The bytes, headers included; empty where they are the client's own, as they came.
    pub frames: Vec<u8>,
    /// The sequence number of the last frame.
    pub sequence: u8,
    /// How it is answered.
    pub expect: Expect,
    /// How the answer is passed on.
    pub statement_id: Option<u32>,
    /// What it does.
    pub effects: Effects,
}

/// Why an exchange failed.
pub(in crate::session) enum Failed {
    /// The client's side.
    Client(SessionEnd),
    /// The backend's side.
    Backend(Failure),
}

/// What a client has got of an answer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::session) enum Delivered {
    /// Nothing: another backend may still answer, and so may the router.
    Nothing,
    /// All up to the server's request for a file, and the file has been taken from the client: the router may still answer, no
    /// other backend.
    File,
    /// A part. Nobody can answer any more.
    Part,
}

/// What a backend's failure left.
#[derive(Debug)]
pub(in crate::session) struct Failure {
    /// At least one byte of the request had left.
    pub sent: bool,
    /// What of the answer had gone to the client.
    pub delivered: Delivered,
    /// What happened.
    pub why: String,
    /// The server is read-only, and has refused the statement before anything was done: the link is as good as before.
    pub is_refusal: bool,
}

/// Why a link could not be made ready for an execution. Nothing of the execution has left.
pub(in crate::session) enum Unready {
    /// The link is of no more use, for this reason.
    Broken(String),
    /// It cannot be run there.
    Refused(StatementError),
}

impl From<StatementError> for Unready {
    fn from(error: StatementError) -> Self {
        Self::Refused(error)
    }
}

impl From<TalkError> for Unready {
    fn from(error: TalkError) -> Self {
        match error {
            TalkError::Broken(why) => Self::Broken(why.to_string()),
            TalkError::Refused { code, sqlstate, message } => {
                Self::Refused(StatementError::State { code, sqlstate, message })
            }
        }
    }
}

/// One command as a frame.
pub(in crate::session) fn command_frame(command: Command, argument: &[u8]) -> Vec<u8> {
    let mut payload = Vec::with_capacity(argument.len() + 1);
    payload.push(command as u8);
    payload.extend_from_slice(argument);
    let mut out = Vec::with_capacity(payload.len() + HEADER);
    crate::protocol::codec::put_packet(&mut out, &payload, 0);
    out
}
