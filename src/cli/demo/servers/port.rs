//! Loopback ports that stay ours while a server is down.
//!
//! A port found by binding port 0 is free only until somebody's outgoing connection takes it, which under parallel tests
//! does happen. These come from below the range that the kernel hands out, and each is claimed by a socket with an abstract name
//! (unix(7)), so that processes running side by side never share one, wherever they keep their files. Such a name belongs to one
//! network namespace, as a port does, and is gone with its process.

use super::{Result, ServerError};
use std::net::{Ipv4Addr, SocketAddr, TcpListener};
use std::os::linux::net::SocketAddrExt;
use std::os::unix::net;
use std::sync::atomic::{AtomicU16, Ordering};

/// The first port that may be taken.
const FIRST: u16 = 20_000;
/// The last port that may be taken: below 32768, where ephemeral ports start.
const LAST: u16 = 31_999;

/// A loopback port, ours until this is dropped.
#[derive(Debug)]
pub struct Port {
    number: u16,
    _claim: net::UnixDatagram,
}

impl Port {
    /// Takes a port on which nothing listens.
    pub fn take() -> Result<Self> {
        static NEXT: AtomicU16 = AtomicU16::new(0);
        let span = u32::from(LAST - FIRST) + 1;
        let start = std::process::id().wrapping_mul(131);
        for _ in 0..span {
            let step = u32::from(NEXT.fetch_add(1, Ordering::Relaxed));
            let offset = start.wrapping_add(step) % span;
            let number = FIRST + u16::try_from(offset).unwrap_or(0);
            if let Some(port) = Port::try_take(number) {
                return Ok(port);
            }
        }
        Err(ServerError::NoPort { first: FIRST, last: LAST })
    }

    fn try_take(number: u16) -> Option<Self> {
        let name = net::SocketAddr::from_abstract_name(format!("switchboard-port-{number}")).ok()?;
        let claim = net::UnixDatagram::bind_addr(&name).ok()?;
        TcpListener::bind((Ipv4Addr::LOCALHOST, number)).ok()?;
        Some(Port { number, _claim: claim })
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_port_is_taken_once_until_it_is_dropped() {
        // Below the span, so that no other test takes it meanwhile.
        let port = (1..FIRST).rev().find_map(Port::try_take).unwrap();
        assert!(Port::try_take(port.number()).is_none());
        let number = port.number();
        drop(port);
        assert_eq!(Port::try_take(number).map(|port| port.number()), Some(number));
    }
}
