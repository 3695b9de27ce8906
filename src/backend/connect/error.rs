//! Why a server could not be signed in to: which server, in which phase, and what went wrong.
//!
//! [`super::sign_in`] makes these errors. Health checks and the session ask them whether the server is out of reach or
//! refuses the credentials. Nothing here says what is done about it.

use super::{Address, ServerInfo};
use crate::auth::client::SignInError;
use crate::protocol::handshake::HandshakeError;
use crate::protocol::response::ErrPacket;
use std::fmt;
use std::io;

/// How far it got.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Phase {
    /// Finding the address of a name.
    Resolve,
    /// Opening the socket.
    Dial,
    /// Waiting for the greeting.
    Greeting,
    /// Making TLS.
    Tls,
    /// Proving who we are.
    SignIn,
}

impl fmt::Display for Phase {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Phase::Resolve => "resolving its name",
            Phase::Dial => "connecting",
            Phase::Greeting => "waiting for its greeting",
            Phase::Tls => "setting up TLS",
            Phase::SignIn => "signing in",
        })
    }
}

/// A server that could not be signed in to.
#[derive(Debug, thiserror::Error)]
#[error("{address}: {trouble} (while {phase})")]
pub struct ConnectError {
    /// The server.
    pub address: Address,
    /// How far it got.
    pub phase: Phase,
    /// What the server had said of itself by then.
    pub server: Option<Box<ServerInfo>>,
    /// What went wrong.
    #[source]
    pub trouble: Trouble,
}

/// What went wrong.
#[derive(Debug, thiserror::Error)]
pub enum Trouble {
    /// The socket failed, or the server closed it.
    #[error("{0}")]
    Io(#[source] io::Error),
    /// The deadline passed.
    #[error("no answer in time")]
    TimedOut,
    /// The name has no address.
    #[error("the name has no address")]
    NoAddress,
    /// TLS is required, and the server does not offer it.
    #[error(
        "the server offers no TLS, and TLS is required: give it a certificate, or set TLS to preferred or disabled"
    )]
    NoTls,
    /// TLS did not come about.
    #[error("{0}")]
    Tls(#[source] io::Error),
    /// The server answered with an error in place of a greeting, such as 1040 (too many connections) or 1129 (host blocked).
    #[error("the server turned us away: {0}")]
    TurnedAway(ErrPacket<'static>),
    /// The server is too old, or no MySQL server at all.
    #[error("not a server that can be spoken to: {0}")]
    Handshake(#[from] HandshakeError),
    /// The server lacks something that we cannot do without.
    #[error("the server does not have {0}")]
    Lacks(&'static str),
    /// The session's collation belongs to a character set that the server does not have.
    #[error("the server does not have the character set of collation {0}, which the client asked for")]
    Collation(u16),
    /// The server broke the protocol.
    #[error("the server broke the protocol: {0}")]
    Protocol(&'static str),
    /// The sign-in was refused, or cannot be done with what we have.
    #[error("{0}")]
    SignIn(#[from] SignInError),
    /// The settings contradict each other.
    #[error("{0}")]
    Settings(&'static str),
}

impl ConnectError {
    /// True if the server is there and the credentials are not good for it: nothing is wrong with the server, and trying
    /// again will not help until somebody changes a password or a grant.
    pub fn is_credentials(&self) -> bool {
        match &self.trouble {
            Trouble::SignIn(SignInError::Refused(err)) => {
                // Access denied, in its kinds; unknown schema is the caller's own wish.
                matches!(err.code, 1044 | 1045 | 1130 | 1251 | 1524 | 1698 | 1862 | 1820 | 3118 | 3159 | 4151)
            }
            Trouble::SignIn(e) => !matches!(e, SignInError::Packet(_) | SignInError::OutOfPlace(_)),
            Trouble::TurnedAway(err) => err.code == 1130,
            _ => false,
        }
    }

    /// True if the server is there but has no room: error 1040, or 1203 and 1226 for one account's share.
    pub fn is_full(&self) -> bool {
        self.server_error().is_some_and(|e| matches!(e.code, 1040 | 1203 | 1226))
    }

    /// True if it speaks against the server: it could not be spoken to, or spoke nonsense. Health counts it.
    pub fn says_unwell(&self) -> bool {
        match &self.trouble {
            Trouble::Io(_)
            | Trouble::TimedOut
            | Trouble::NoAddress
            | Trouble::Handshake(_)
            | Trouble::Lacks(_)
            | Trouble::Protocol(_) => true,
            Trouble::SignIn(SignInError::Packet(_) | SignInError::OutOfPlace(_)) => true,
            Trouble::TurnedAway(_)
            | Trouble::NoTls
            | Trouble::Tls(_)
            | Trouble::Collation(_)
            | Trouble::SignIn(_)
            | Trouble::Settings(_) => false,
        }
    }

    /// The server's own error, if it sent one.
    pub fn server_error(&self) -> Option<&ErrPacket<'static>> {
        match &self.trouble {
            Trouble::TurnedAway(err) | Trouble::SignIn(SignInError::Refused(err)) => Some(err),
            _ => None,
        }
    }
}
