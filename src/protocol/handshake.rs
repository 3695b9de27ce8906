//! Sign-in packets: the greeting, the client's answer, and what is said until the first OK.
//!
//! ```text
//! server                                   client
//!   Greeting                      ──▶
//!                                 ◀──      SslRequest, then TLS          (if the client wants TLS)
//!                                 ◀──      HandshakeResponse
//!   AuthSwitchRequest             ──▶                                    (another plugin, at most once)
//!                                 ◀──      raw answer
//!   AuthMoreData                  ──▶                                    (as the plugin needs)
//!                                 ◀──      raw answer
//!   OK or ERR                     ──▶
//! ```
//!
//! Bytes to types and back, no more: who may come in is decided in `auth`. Refused here: protocol 9 greetings and the
//! answers of clients older than MySQL 4.1. Decoding borrows from the payload where it can, and cannot panic.
//! Sources: MariaDB Knowledge Base "Connecting to a server", MySQL manual "Connection Phase".

mod attributes;
mod change_user;
mod exchange;
mod greeting;
mod reply;
#[cfg(test)]
mod tests;

pub use attributes::{Attributes, put_attribute};
pub use change_user::ChangeUser;
pub use exchange::{AuthRequest, put_auth_more, put_auth_switch};
pub use greeting::Greeting;
pub use reply::{HandshakeResponse, Reply, SslRequest};

use super::codec::Truncated;

/// A sign-in packet that cannot be used.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum HandshakeError {
    /// The packet ends inside one of its fields.
    #[error("sign-in packet is shorter than its fields")]
    Truncated,
    /// A greeting of another protocol version than 10.
    #[error("greeting has protocol version {0}, not 10")]
    ProtocolVersion(u8),
    /// The client does not speak the 4.1 protocol.
    #[error("client speaks a protocol older than MySQL 4.1")]
    TooOld,
    /// A packet of another kind than the exchange allows here; its first byte is given.
    #[error("unexpected packet 0x{0:02x} during sign-in")]
    Unexpected(u8),
}

impl From<Truncated> for HandshakeError {
    fn from(_: Truncated) -> Self {
        HandshakeError::Truncated
    }
}
