//! From the configuration to what the threads run on.

use crate::rules::CacheLimits;
use std::net::SocketAddr;
use std::path::PathBuf;

/// What is settled when the router starts, and cannot be reloaded.
#[derive(Clone, Debug)]
pub struct Setup {
    /// TCP addresses.
    pub listen: Vec<SocketAddr>,
    /// The unix socket.
    pub socket: Option<PathBuf>,
    /// Worker threads.
    pub workers: usize,
    /// Connections that the system may hold before they are accepted.
    pub backlog: i32,
    /// Bounds of the plan caches.
    pub caches: CacheLimits,
}
