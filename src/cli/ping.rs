//! `switchboard ping`: is a server of the MySQL protocol there, and does it greet? For health checks of containers, where
//! no shell and no client is at hand. It signs in nowhere; it refuses whatever is not a whole greeting in time.
//!
//! Neighbours: [`crate::protocol::handshake`] reads the greeting.

use super::CliError;
use crate::protocol::codec::{HEADER, Header};
use crate::protocol::handshake::Greeting;
use crate::protocol::response::ErrPacket;
use clap::Args;
use std::io::{Read, Write};
use std::net::{TcpStream, ToSocketAddrs};
use std::time::{Duration, Instant};

/// A greeting is some 80 bytes; what claims to be longer than this is none.
const LONGEST: usize = 4096;

#[derive(Debug, Args)]
#[command(after_help = "\
Reads the server's greeting, and ends with 0 if there is one, with 1 if not. Signs in nowhere.

Example:
  switchboard ping 127.0.0.1:6033 --timeout 500")]
pub(super) struct PingArgs {
    /// The server's address
    #[arg(value_name = "ADDR:PORT", default_value = "127.0.0.1:6033")]
    address: String,
    /// Milliseconds that it may take, all in all
    #[arg(long, value_name = "MS", default_value_t = 3000, value_parser = clap::value_parser!(u64).range(1..=600_000))]
    timeout: u64,
}

pub(super) fn ping(args: &PingArgs) -> Result<(), CliError> {
    let address = &args.address;
    let version = greeting(address, Instant::now() + Duration::from_millis(args.timeout))
        .map_err(|why| CliError::Failed(format!("{address}: {why}")))?;
    writeln!(std::io::stdout(), "{address} greets: {version}")?;
    Ok(())
}

/// The version that the server names, or what is wrong, in words.
fn greeting(address: &str, deadline: Instant) -> Result<String, String> {
    let mut last = "the name has no address".to_owned();
    for socket in address.to_socket_addrs().map_err(|error| error.to_string())? {
        match TcpStream::connect_timeout(&socket, left(deadline)?) {
            Ok(stream) => return read(stream, deadline),
            Err(error) => last = error.to_string(),
        }
    }
    Err(last)
}

/// The time until the deadline; never zero, which sockets take for no limit.
fn left(deadline: Instant) -> Result<Duration, String> {
    let left = deadline.saturating_duration_since(Instant::now());
    if left.is_zero() { Err("no greeting in time".to_owned()) } else { Ok(left) }
}

fn read(mut stream: TcpStream, deadline: Instant) -> Result<String, String> {
    let mut head = [0; HEADER];
    fill(&mut stream, &mut head, deadline)?;
    let length = Header::read(&head).map_or(0, |header| header.length);
    if !(1..=LONGEST).contains(&length) {
        return Err("what answers there does not speak the MySQL protocol".to_owned());
    }
    let mut payload = vec![0; length];
    fill(&mut stream, &mut payload, deadline)?;
    if payload.first() == Some(&0xff) {
        let refusal = ErrPacket::decode(&payload).map_err(|error| error.to_string())?;
        return Err(format!("the server refuses: {} ({})", refusal.text(), refusal.code));
    }
    let greeting = Greeting::decode(&payload)
        .map_err(|error| format!("what answers there does not speak the MySQL protocol: {error}"))?;
    Ok(String::from_utf8_lossy(greeting.version).into_owned())
}

/// Fills the buffer; each read gets no more than the time that is left.
fn fill(stream: &mut TcpStream, buffer: &mut [u8], deadline: Instant) -> Result<(), String> {
    let mut filled = 0;
    while let Some(rest) = buffer.get_mut(filled..).filter(|rest| !rest.is_empty()) {
        stream.set_read_timeout(Some(left(deadline)?)).map_err(|error| error.to_string())?;
        match stream.read(rest) {
            Ok(0) => return Err("the connection was closed before a greeting".to_owned()),
            Ok(n) => filled += n,
            Err(error) if matches!(error.kind(), std::io::ErrorKind::WouldBlock | std::io::ErrorKind::TimedOut) => {
                return Err("no greeting in time".to_owned());
            }
            Err(error) if error.kind() == std::io::ErrorKind::Interrupted => {}
            Err(error) => return Err(error.to_string()),
        }
    }
    Ok(())
}
