//! Opens a TCP or unix socket to a server, and sets its options.
//!
//! A name is resolved anew for each connection, and its addresses are tried one after the other. [`super::sign_in`] is
//! its only caller, and bounds it by the deadline for the whole sign-in; [`Phase`] says how far it got if that passes.

use super::{Address, Phase, Trouble};
use crate::net::stream::Plain;
use socket2::{SockRef, TcpKeepalive};
use std::io;
use std::net::SocketAddr;
use std::time::Duration;
use tokio::net::{TcpStream, UnixStream};

/// How long a connection may be silent before the kernel asks whether the other side is still there.
const KEEPALIVE_IDLE: Duration = Duration::from_secs(60);
/// How often it asks.
const KEEPALIVE_INTERVAL: Duration = Duration::from_secs(10);
/// How many addresses of one name are tried.
const MAX_ADDRESSES: usize = 8;

/// Opens a socket. Notes in `phase` how far it got, which survives when the future is dropped by a timeout.
pub async fn dial(address: &Address, phase: &mut Phase) -> Result<Plain, Trouble> {
    let (host, port) = match address {
        Address::Unix(path) => {
            *phase = Phase::Dial;
            return UnixStream::connect(path).await.map(Plain::Unix).map_err(Trouble::Io);
        }
        Address::Tcp(host, port) => (host, *port),
    };
    let mut last = None;
    for address in resolve(host, port).await? {
        *phase = Phase::Dial;
        match TcpStream::connect(address).await {
            Ok(stream) => {
                tune(&stream).map_err(Trouble::Io)?;
                return Ok(Plain::Tcp(stream));
            }
            Err(e) => last = Some(e),
        }
    }
    Err(last.map_or(Trouble::NoAddress, Trouble::Io))
}

async fn resolve(host: &str, port: u16) -> Result<Vec<SocketAddr>, Trouble> {
    if let Ok(ip) = host.parse() {
        return Ok(vec![SocketAddr::new(ip, port)]);
    }
    let found = tokio::net::lookup_host((host, port)).await.map_err(Trouble::Io)?;
    Ok(found.take(MAX_ADDRESSES).collect())
}

fn tune(stream: &TcpStream) -> io::Result<()> {
    stream.set_nodelay(true)?;
    let keepalive = TcpKeepalive::new().with_time(KEEPALIVE_IDLE).with_interval(KEEPALIVE_INTERVAL);
    SockRef::from(stream).set_tcp_keepalive(&keepalive)
}
