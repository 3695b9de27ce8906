//! Where a client comes from, as accounts, errors and logs name it: its address without the port.
//!
//! [`super::guesses`] counts failed sign-ins by it, with its network. It refuses to ask a name server: a host is an address, or
//! `localhost` on a unix socket.

use std::fmt;
use std::net::IpAddr;

/// A client's host. On a unix socket, `localhost`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Host(Option<IpAddr>);

impl From<Option<IpAddr>> for Host {
    fn from(address: Option<IpAddr>) -> Self {
        Self(address)
    }
}

impl From<IpAddr> for Host {
    fn from(address: IpAddr) -> Self {
        Some(address).into()
    }
}

impl fmt::Display for Host {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.0 {
            Some(address) => address.fmt(f),
            None => f.write_str("localhost"),
        }
    }
}

impl Host {
    /// Whom it stands for where guesses are counted: an address of IPv4, a /64 of IPv6, the machine itself.
    pub(super) fn network(self) -> Network {
        match self.0.map(|address| address.to_canonical()) {
            Some(IpAddr::V4(address)) => Network::V4(address.octets()),
            Some(IpAddr::V6(address)) => {
                let [a, b, c, d, ..] = address.segments();
                Network::V6([a, b, c, d])
            }
            None => Network::Here,
        }
    }
}

/// See [`Host::network`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(super) enum Network {
    V4([u8; 4]),
    V6([u16; 4]),
    Here,
}
