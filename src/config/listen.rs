//! The type of the settings for the side that clients see: addresses, TLS, limits.
//!
//! `config::server` fills it in from `[listen]`, and `app` binds the sockets. The only parsing here is that of an
//! address to listen on.

use crate::auth::{GuessLimits, RsaKey};
use std::net::SocketAddr;
use std::path::PathBuf;
use std::sync::Arc;

/// Where and how clients are received.
#[derive(Clone, Debug)]
pub struct FrontendSettings {
    /// TCP addresses.
    pub addresses: Vec<SocketAddr>,
    /// The unix socket.
    pub socket: Option<PathBuf>,
    /// TLS. None: not offered.
    pub tls: Option<Arc<rustls::ServerConfig>>,
    /// Clients without TLS (and not on the unix socket) are refused, whoever they are.
    pub require_tls: bool,
    /// Our RSA key, for passwords over plain TCP. None: one that is made when first needed.
    pub rsa_key: Option<Arc<RsaKey>>,
    /// The version text of the greeting. None: the writer's.
    pub server_version: Option<Box<str>>,
    /// The collation of the greeting, by number. None: the writer's.
    pub server_collation: Option<u8>,
    /// Clients at a time; more get error 1040.
    pub max_clients: u32,
    /// What those who give wrong passwords are held to.
    pub guesses: GuessLimits,
    /// Connections that the system may hold for us before they are accepted.
    pub backlog: u32,
}

impl Default for FrontendSettings {
    fn default() -> Self {
        Self {
            addresses: vec![SocketAddr::from(([127, 0, 0, 1], 6033))],
            socket: None,
            tls: None,
            require_tls: false,
            rsa_key: None,
            server_version: None,
            server_collation: None,
            max_clients: 100_000,
            guesses: GuessLimits::default(),
            backlog: 4_096,
        }
    }
}

/// `127.0.0.1:6033`, `[::]:6033`, `:6033` for every address, `localhost:6033`.
pub(super) fn socket_address(text: &str) -> Result<SocketAddr, String> {
    let text = text.trim();
    let full = match text.strip_prefix(':') {
        Some(port) => format!("0.0.0.0:{port}"),
        None => text.strip_prefix("localhost:").map_or_else(|| text.to_owned(), |port| format!("127.0.0.1:{port}")),
    };
    full.parse()
        .map_err(|_| format!("`{text}` is no address to listen on: write 127.0.0.1:6033, [::1]:6033, or :6033 for all"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addresses_to_listen_on() {
        for (text, shown) in [(":6033", "0.0.0.0:6033"), ("localhost:1", "127.0.0.1:1"), ("[::1]:6033", "[::1]:6033")] {
            assert_eq!(socket_address(text).map(|a| a.to_string()).as_deref(), Ok(shown));
        }
        assert!(socket_address("6033").is_err());
    }
}
