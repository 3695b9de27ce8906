//! Signing a client in: the greeting, TLS if it wants it, the questions of `auth::server`, and the client's place among its
//! account's sessions.
//!
//! ```text
//! greeting ─▶ first packet ─┬─ SslRequest ─▶ TLS ─▶ answer ─┐
//!                           └─ answer ────────────────────┴─▶ questions ─▶ proved ─▶ a seat ─▶ Login
//! ```
//!
//! A [`Login`] is not the end: the OK is still to be sent, because the session may have to refuse (an unknown schema, no
//! backend). [`Login::accept`] and [`Login::refuse`] say it with the right sequence number. Errors before that are said to
//! the client here, once, where it can hear them.
//!
//! Refused: packets over 64 KiB, wrong sequence numbers, clients older than 4.1, bytes sent before we answered.
//! Neighbours: `auth` judges, `net` carries, the session goes on from here.

mod drive;
mod error;
mod talk;

pub use drive::{ChangedUser, change_user, login};
pub use error::{Fault, LoginError};

use crate::auth::{Account, Accounts, GuessLimits, Guesses, Host, Offload, Plugin, RsaKey, Scramble, Seat};
use crate::net::Stream;
use crate::net::frame;
use crate::net::stream::Plain;
use crate::protocol::capabilities::Capabilities;
use crate::protocol::response::{ErrPacket, OkPacket};
use crate::protocol::status::Status;
use std::io;
use std::sync::Arc;
use std::time::Duration;
use tokio::io::AsyncWriteExt;

/// The largest packet that a client may send before it is signed in, in bytes.
pub const MAX_PACKET: usize = 64 * 1024;

/// What a sign-in needs to know.
#[derive(Clone, Copy, Debug)]
pub struct LoginContext<'a> {
    /// This connection's id, which the client is told.
    pub connection_id: u32,
    /// Where the client comes from: what error 1045 names.
    pub host: Host,
    /// The version that the client is told.
    pub server_version: &'a str,
    /// What the client is offered. SSL is added or taken out by `tls`.
    pub capabilities: Capabilities,
    /// The status flags of the greeting.
    pub status: Status,
    /// Default collation; the greeting holds its low byte.
    pub collation: u16,
    /// Who may come in.
    pub accounts: &'a Accounts,
    /// Key for passwords over plain TCP.
    pub rsa: &'a Arc<RsaKey>,
    /// TLS, if there is any.
    pub tls: Option<&'a Arc<rustls::ServerConfig>>,
    /// Turn away whoever comes over plain TCP, before a password is asked for.
    pub require_secure: bool,
    /// The plugin that the greeting names.
    pub plugin: Plugin,
    /// Where slow arithmetic runs.
    pub offload: &'a Offload,
    /// Who has given wrong passwords, and what such are held to.
    pub guesses: (&'a Guesses, GuessLimits),
    /// The longest that all of it may take.
    pub timeout: Duration,
}

/// A client that has proved who it is, and has not been told so yet.
#[derive(Debug)]
pub struct Login {
    /// The connection, inside TLS if the client wanted that.
    pub stream: Stream,
    /// Who it is.
    pub account: Arc<Account>,
    /// Its place among the account's sessions. Keep it as long as the session lives.
    pub seat: Seat,
    /// The schema that it named, or its account's; not checked.
    pub schema: Option<String>,
    /// What client and router agreed on.
    pub capabilities: Capabilities,
    /// The collation that it asked for; not checked.
    pub collation: u16,
    /// Connection attributes, as sent (see [`Attributes`](crate::protocol::handshake::Attributes)).
    pub attributes: Box<[u8]>,
    /// The largest packet that it says it takes, in bytes.
    pub max_packet: u32,
    /// The scramble that it saw last; [`change_user`] needs it.
    pub scramble: Scramble,
    /// The sequence number of our next packet: of `before_ok` if there is one, of the OK otherwise.
    pub sequence: u8,
    /// A packet that goes before the OK, if the plugin wants one.
    pub before_ok: Option<Vec<u8>>,
}

impl Login {
    /// Tells the client that it is signed in. Not cancel safe.
    ///
    /// # Errors
    /// Those of the stream.
    pub async fn accept(&mut self, ok: &OkPacket<'_>) -> io::Result<()> {
        let out = verdict(self.before_ok.take(), self.sequence, |out| ok.encode(out, self.capabilities));
        self.stream.write_all(&out).await?;
        self.stream.flush().await
    }

    /// Tells the client that it may not come in after all, and closes.
    ///
    /// # Errors
    /// Those of the stream.
    pub async fn refuse(mut self, err: &ErrPacket<'_>) -> io::Result<()> {
        // An error may come at any moment of the exchange, so nothing has to go before it.
        let out = verdict(None, self.sequence, |out| err.encode(out));
        self.stream.write_all(&out).await?;
        self.stream.shutdown().await
    }
}

/// The bytes of a verdict, after what has to come before it.
fn verdict(before: Option<Vec<u8>>, mut sequence: u8, encode: impl FnOnce(&mut Vec<u8>)) -> Vec<u8> {
    let mut payload = Vec::with_capacity(64);
    encode(&mut payload);
    let mut out = Vec::with_capacity(payload.len() + 16);
    if let Some(before) = before {
        sequence = frame::put_packet(&mut out, &before, sequence);
    }
    frame::put_packet(&mut out, &payload, sequence);
    out
}

/// Turns a client away in place of a greeting: no more connections, or a shutdown. The error goes without its SQLSTATE, as
/// clients expect it where nothing has been agreed yet.
///
/// # Errors
/// Those of the socket.
pub async fn turn_away(plain: Plain, err: &ErrPacket<'_>) -> io::Result<()> {
    let bare = ErrPacket { state: None, ..err.clone() };
    let mut stream = Stream::from(plain);
    stream.write_all(&verdict(None, 0, |out| bare.encode(out))).await?;
    stream.shutdown().await
}
