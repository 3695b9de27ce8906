//! Why a client was not signed in, what it is told, and whose fault it is.
//!
//! This is the one file that turns a failed sign-in into an ERR packet. The client's text says no more than a MySQL
//! server's would; the log has the reason. [`super::drive`] returns these errors, and `app` counts and logs them.

use crate::auth::Host;
use crate::auth::server::Reason;
use crate::protocol::response::ErrPacket;
use std::io;

/// A sign-in that failed.
#[derive(Debug, thiserror::Error)]
pub enum LoginError {
    /// The client closed before it said anything: a port scan, or a load balancer's health check.
    #[error("client closed before it said anything")]
    Silent,
    /// The client closed, or its connection broke, in the middle.
    #[error("client's connection ended during sign-in: {0}")]
    Io(#[source] io::Error),
    /// The client took too long.
    #[error("client took too long to sign in")]
    TimedOut,
    /// TLS did not come about: no common version or cipher, a client certificate that is not accepted, or a client that does
    /// not accept ours.
    #[error("TLS with the client failed: {0}")]
    Tls(#[source] io::Error),
    /// The client said something that is not the protocol.
    #[error("client broke the protocol during sign-in: {0}")]
    Protocol(&'static str),
    /// The client's packet is larger than anybody needs for a sign-in.
    #[error("client sent a packet of more than {} bytes during sign-in", super::MAX_PACKET)]
    TooLarge,
    /// The client speaks a protocol from before MySQL 4.1.
    #[error("client speaks a protocol older than MySQL 4.1")]
    TooOld,
    /// The client says that it compresses. It was not offered; most clients then leave it be, and PHP's mysqlnd compresses all
    /// the same, and would wait for ever for an answer to a packet that nobody can read.
    #[error("client compresses, which is not offered")]
    Compression,
    /// The client came over plain TCP, which is not let in.
    #[error("client came without TLS, and TLS is required")]
    Insecure,
    /// The client was refused.
    #[error("access denied for '{user}'@'{host}' (using password: {}): {reason}", yes_no(*using_password))]
    Denied {
        /// The name that it gave.
        user: String,
        /// Where it came from.
        host: Host,
        /// It sent a password.
        using_password: bool,
        /// Why; for the log.
        reason: Reason,
    },
    /// The client has given too many wrong passwords, and too many of its kind wait already.
    #[error("too many wrong passwords for '{user}'@'{host}'")]
    TooManyGuesses {
        /// The name that it gave.
        user: String,
        /// Where it came from.
        host: Host,
    },
    /// The account has all the sessions that it may have.
    #[error("'{user}' already has the {limit} sessions that it may have")]
    TooManySessions {
        /// The account.
        user: String,
        /// Its limit.
        limit: u32,
    },
    /// The slow arithmetic was not done: the process is shutting down.
    #[error("the router is shutting down")]
    Stopping,
}

/// Whose fault a failed sign-in is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Fault {
    /// Nobody's; not worth a line in the log.
    Nobody,
    /// The client cannot do what is asked of it, or its network cannot.
    Client,
    /// The client may not come in: worth counting by user and address.
    Refusal,
    /// Ours.
    Router,
}

impl LoginError {
    /// Whose fault it is.
    pub fn fault(&self) -> Fault {
        match self {
            LoginError::Silent => Fault::Nobody,
            LoginError::Denied { .. } | LoginError::TooManyGuesses { .. } | LoginError::TooManySessions { .. } => {
                Fault::Refusal
            }
            LoginError::Stopping => Fault::Router,
            LoginError::Io(_)
            | LoginError::TimedOut
            | LoginError::Tls(_)
            | LoginError::Protocol(_)
            | LoginError::TooLarge
            | LoginError::TooOld
            | LoginError::Compression
            | LoginError::Insecure => Fault::Client,
        }
    }

    /// What the client is told, where it can still hear.
    pub(super) fn packet(&self) -> Option<ErrPacket<'static>> {
        let packet = match self {
            LoginError::Silent | LoginError::Io(_) | LoginError::Tls(_) => return None,
            LoginError::TimedOut => {
                ErrPacket::new(1159, b"08S01", "Got timeout reading communication packets: the sign-in took too long")
            }
            LoginError::Protocol(what) => ErrPacket::new(1043, b"08S01", format!("Bad handshake: {what}")),
            LoginError::TooLarge => {
                ErrPacket::new(1153, b"08S01", "Got a packet bigger than 65536 bytes before the sign-in was complete")
            }
            LoginError::TooOld => ErrPacket {
                state: None,
                ..ErrPacket::new(1251, b"08004", "Client does not support the 4.1 protocol; upgrade the MySQL client")
            },
            // ER_WRONG_COMPRESSION_ALGORITHM_CLIENT of MySQL.
            LoginError::Compression => ErrPacket::new(
                3922,
                b"HY000",
                "Switchboard does not offer compression: connect without it (PHP: without MYSQLI_CLIENT_COMPRESS)",
            ),
            LoginError::Insecure => ErrPacket::new(
                3159,
                b"08004",
                "Connections using insecure transport are prohibited: connect with TLS, or over the unix socket",
            ),
            LoginError::Denied { user, host, reason: Reason::TlsRequired, .. } => ErrPacket::new(
                1045,
                b"28000",
                format!("Access denied for user '{user}'@'{host}': this account may be used over TLS only"),
            ),
            LoginError::Denied { reason: Reason::NoCommonPlugin, .. } => ErrPacket::new(
                1251,
                b"08004",
                "Client does not support authentication protocol requested by server; consider upgrading MySQL client",
            ),
            LoginError::Denied { user, host, using_password, .. } => ErrPacket::new(
                1045,
                b"28000",
                format!("Access denied for user '{user}'@'{host}' (using password: {})", yes_no(*using_password)),
            ),
            LoginError::TooManyGuesses { user, host } => ErrPacket::new(
                1129,
                b"HY000",
                format!("Switchboard: too many wrong passwords for user '{user}'@'{host}': try again in a while"),
            ),
            LoginError::TooManySessions { user, limit } => ErrPacket::new(
                1226,
                b"42000",
                format!("User '{user}' has exceeded the 'max_user_connections' resource (current value: {limit})"),
            ),
            LoginError::Stopping => ErrPacket::new(1053, b"08S01", "Server shutdown in progress"),
        };
        Some(packet)
    }
}

fn yes_no(yes: bool) -> &'static str {
    if yes { "YES" } else { "NO" }
}
