//! Signing in to a server: the socket, TLS as far as it is wanted, the answers of `auth::client`.
//!
//! ```text
//! resolve ─▶ socket ─▶ greeting ─┬──────────────▶ answer ─▶ questions ─▶ OK ─▶ Connected
//!                                └─ TLS ─────────┘
//! ```
//!
//! One deadline covers all of it. Every error names the server and the phase it ended in, and tells wrong credentials from
//! a server that cannot be reached: health checks and logs treat them differently. Nothing is retried here.
//!
//! Refused: going on in clear where TLS is required and the server has none; a server that speaks before it is asked,
//! packets out of sequence, packets over 64 KiB before the OK.

mod dial;
mod error;
mod sign_in;

pub use error::{ConnectError, Phase, Trouble};
pub use sign_in::connect;

use crate::auth::client::ServerKey;
use crate::net::Stream;
use crate::net::tls::TlsMode;
use crate::protocol::capabilities::Capabilities;
use crate::protocol::collation;
use crate::protocol::status::Status;
use std::fmt;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

/// Where a server is, and how it is spoken to.
#[derive(Clone, Debug)]
pub struct Target {
    /// Where it is.
    pub address: Address,
    /// How much TLS is wanted. Never over a unix socket.
    pub tls_mode: TlsMode,
    /// The TLS configuration for that mode; must be there unless the mode is disabled.
    pub tls: Option<Arc<rustls::ClientConfig>>,
    /// The same for some users behind, each of whom has his own.
    pub tls_of_users: Vec<(Box<str>, Arc<rustls::ClientConfig>)>,
    /// How the server's RSA key is come by, where a password has to travel over plain TCP.
    pub server_key: ServerKey,
}

/// Where a server is.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum Address {
    /// A host name or address, and a port. Names are resolved for every connection.
    Tcp(String, u16),
    /// A unix socket.
    Unix(PathBuf),
}

impl fmt::Display for Address {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Address::Tcp(host, port) if host.contains(':') => write!(f, "[{host}]:{port}"),
            Address::Tcp(host, port) => write!(f, "{host}:{port}"),
            Address::Unix(path) => write!(f, "{}", path.display()),
        }
    }
}

impl Target {
    /// A server on plain TCP, whose key may be asked for.
    pub fn tcp(host: impl Into<String>, port: u16) -> Self {
        Target {
            address: Address::Tcp(host.into(), port),
            tls_mode: TlsMode::Disabled,
            tls: None,
            tls_of_users: Vec::new(),
            server_key: ServerKey::Ask,
        }
    }

    /// The TLS configuration for who signs in as this user.
    pub fn tls_for(&self, username: &str) -> Option<&Arc<rustls::ClientConfig>> {
        let own = self.tls_of_users.iter().find(|(user, _)| &**user == username);
        own.map(|(_, config)| config).or(self.tls.as_ref())
    }

    /// A server on a unix socket.
    pub fn unix(path: impl Into<PathBuf>) -> Self {
        Target { address: Address::Unix(path.into()), ..Target::tcp("", 0) }
    }
}

/// What a connection is to be like.
#[derive(Clone, Copy, Debug)]
pub struct ConnectOptions<'a> {
    /// Flags to ask for. What sign-in itself needs is added; what the server does not have is left out, and the result tells.
    pub capabilities: Capabilities,
    /// The collation to start with; brought to one that the server knows (see `protocol::collation`).
    pub collation: u16,
    /// Schema to start in.
    pub schema: Option<&'a str>,
    /// Connection attributes: names and values.
    pub attributes: &'a [(&'a str, &'a str)],
    /// The largest packet that we say we take, in bytes.
    pub max_packet: u32,
    /// The longest that all of it may take, name resolution included.
    pub timeout: Duration,
}

impl Default for ConnectOptions<'_> {
    fn default() -> Self {
        ConnectOptions {
            capabilities: Capabilities::MULTI_RESULTS
                | Capabilities::PS_MULTI_RESULTS
                | Capabilities::SESSION_TRACK
                | Capabilities::DEPRECATE_EOF,
            collation: collation::UTF8MB4_GENERAL_CI,
            schema: None,
            attributes: &[("program_name", "switchboard")],
            max_packet: 1 << 30,
            timeout: Duration::from_secs(10),
        }
    }
}

/// A connection that is signed in, with nothing under way: the next command has sequence number 0.
#[derive(Debug)]
pub struct Connected {
    /// The connection.
    pub stream: Stream,
    /// What the server said of itself.
    pub server: ServerInfo,
    /// The flags in force: those asked for that the server has.
    pub capabilities: Capabilities,
    /// The collation in force. Where it is not the one asked for, the server does not know that one, or its id is too large
    /// for a sign-in; set it by statement if the server may know it.
    pub collation: u16,
    /// Status flags of the OK.
    pub status: Status,
}

/// What a server says of itself in its greeting.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ServerInfo {
    /// Its version as sent: MariaDB's begins with `5.5.5-`, which `SELECT VERSION()` leaves out.
    pub version: String,
    /// It is MariaDB.
    pub is_mariadb: bool,
    /// Its id of this connection: what KILL wants.
    pub thread_id: u32,
    /// What it can do.
    pub capabilities: Capabilities,
    /// The low byte of its default collation.
    pub collation: u8,
}
