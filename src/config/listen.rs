//! The settings of the side that clients see, as the configuration gives them.

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
    /// The version text of the greeting. None: what the first writer that answers says of itself.
    pub server_version: Option<Box<str>>,
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
            max_clients: 100_000,
            guesses: GuessLimits::default(),
            backlog: 4_096,
        }
    }
}
