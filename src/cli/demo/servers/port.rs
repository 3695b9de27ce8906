//! Loopback ports that stay ours while a server is down.
//!
//! A port found by binding port 0 is free only until somebody's outgoing connection takes it, which under parallel tests
//! does happen. These come from below the range that the kernel hands out, and each is held by a lock file, so that
//! processes running side by side never share one.

use super::place::{base, private_dir};
use super::{Result, ServerError};
use std::fs::File;
use std::net::{Ipv4Addr, SocketAddr, TcpListener};
use std::sync::atomic::{AtomicU16, Ordering};

/// The first port that may be taken.
const FIRST: u16 = 20_000;
/// The last port that may be taken: below 32768, where ephemeral ports start.
const LAST: u16 = 31_999;

/// A loopback port, ours until this is dropped.
#[derive(Debug)]
pub struct Port {
    number: u16,
    _lock: File,
}

impl Port {
    /// Takes a port on which nothing listens.
    pub fn take() -> Result<Self> {
        static NEXT: AtomicU16 = AtomicU16::new(0);
        let locks = base()?.join("ports");
        private_dir(&locks)?;
        let span = u32::from(LAST - FIRST) + 1;
        let start = std::process::id().wrapping_mul(131);
        for _ in 0..span {
            let step = u32::from(NEXT.fetch_add(1, Ordering::Relaxed));
            let offset = start.wrapping_add(step) % span;
            let number = FIRST + u16::try_from(offset).unwrap_or(0);
            if let Some(port) = Port::try_take(number, &locks.join(number.to_string())) {
                return Ok(port);
            }
        }
        Err(ServerError::NoPort { first: FIRST, last: LAST })
    }

    fn try_take(number: u16, path: &std::path::Path) -> Option<Self> {
        let lock = File::options().create(true).append(true).open(path).ok()?;
        lock.try_lock().ok()?;
        TcpListener::bind((Ipv4Addr::LOCALHOST, number)).ok()?;
        Some(Port { number, _lock: lock })
    }

    /// The port's number.
    pub fn number(&self) -> u16 {
        self.number
    }

    /// `127.0.0.1` with this port.
    pub fn address(&self) -> SocketAddr {
        (Ipv4Addr::LOCALHOST, self.number).into()
    }
}
