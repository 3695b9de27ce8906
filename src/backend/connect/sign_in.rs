//! The conversation with a server from its greeting to its OK: capabilities, TLS, and the proof of who we are.
//!
//! [`super::dial`] opens the socket, [`crate::auth::client`] answers the server's questions, and this file carries the
//! packets. It goes on without TLS only where the settings allow it, and it closes a connection whose server says
//! anything unexpected. It does not try again.

use super::{Address, ConnectError, ConnectOptions, Connected, Phase, ServerInfo, Target, Trouble, dial};
use crate::auth::Credentials;
use crate::auth::client::{Reaction, SignIn};
use crate::auth::server::Channel;
use crate::net::Stream;
use crate::net::frame::{PacketReader, put_packet};
use crate::net::stream::Plain;
use crate::net::tls::{self, TlsMode};
use crate::protocol::capabilities::Capabilities;
use crate::protocol::collation;
use crate::protocol::handshake::{Attributes, Greeting, HandshakeError, HandshakeResponse, SslRequest, put_attribute};
use crate::protocol::response::{ErrPacket, OkPacket};
use std::io;
use std::pin::Pin;
use tokio::io::{AsyncRead, AsyncWrite, AsyncWriteExt};

/// The largest packet that a server may send before its OK, in bytes.
const MAX_PACKET: usize = 64 * 1024;

/// What a sign-in needs of a server, and of us.
const NEEDED: Capabilities = Capabilities::PROTOCOL_41.union(Capabilities::SECURE_CONNECTION);

/// What we ask for besides, where the server has it.
const ALWAYS: Capabilities = NEEDED
    .union(Capabilities::LONG_FLAG)
    .union(Capabilities::TRANSACTIONS)
    .union(Capabilities::PLUGIN_AUTH)
    .union(Capabilities::PLUGIN_AUTH_LENENC)
    .union(Capabilities::CONNECT_ATTRS);

/// MariaDB's extended flags: the upper half.
const EXTENDED: Capabilities = Capabilities::from_bits_retain(!0 << 32);

/// What the conversation must decide by itself, or cannot do.
const NEVER: Capabilities = Capabilities::SSL
    .union(Capabilities::CONNECT_WITH_DB)
    .union(Capabilities::COMPRESS)
    .union(Capabilities::ZSTD_COMPRESSION)
    .union(Capabilities::MULTI_FACTOR_AUTHENTICATION)
    .union(Capabilities::LONG_PASSWORD);

/// Connects to a server and signs in. The future is a pointer; what it needs while it runs is on the heap. Dropping it closes
/// the connection.
///
/// # Errors
/// [`ConnectError`], with the server's name, the phase and the cause.
pub fn connect<'a>(
    target: &'a Target,
    credentials: &'a Credentials,
    options: &'a ConnectOptions<'a>,
) -> Pin<Box<dyn Future<Output = Result<Connected, ConnectError>> + Send + 'a>> {
    Box::pin(async move {
        let mut phase = Phase::Resolve;
        let mut server = None;
        let run = run(target, credentials, options, &mut phase, &mut server);
        let result = match tokio::time::timeout(options.timeout, run).await {
            Ok(result) => result,
            Err(_elapsed) => Err(Trouble::TimedOut),
        };
        result.map_err(|trouble| ConnectError { address: target.address.clone(), phase, server, trouble })
    })
}

async fn run(
    target: &Target,
    credentials: &Credentials,
    options: &ConnectOptions<'_>,
    phase: &mut Phase,
    server: &mut Option<Box<ServerInfo>>,
) -> Result<Connected, Trouble> {
    let mut plain = dial::dial(&target.address, phase).await?;
    *phase = Phase::Greeting;
    let mut reader = PacketReader::new();
    let payload = read(&mut plain, &mut reader, 0).await?;
    let greeting = read_greeting(&payload)?;
    *server = Some(Box::new(ServerInfo::new(&greeting)));
    if !reader.rest().is_empty() {
        // Whoever put them there wants them taken for the server's words inside TLS.
        return Err(Trouble::Protocol("bytes follow its greeting"));
    }
    let (capabilities, collation) = agree(&greeting, options)?;
    let wanted = Wanted { options, credentials, capabilities, collation };
    *phase = Phase::Tls;
    let config = tls_config(target, &credentials.username, &greeting)?;
    *phase = Phase::SignIn;
    let Some((config, host)) = config else {
        let channel = if matches!(plain, Plain::Unix(_)) { Channel::Local } else { Channel::Plain };
        return wanted.sign_in(Stream::from(plain), channel, target, &greeting, 1).await;
    };
    *phase = Phase::Tls;
    let request = SslRequest { capabilities: capabilities | Capabilities::SSL, ..wanted.request() };
    let mut payload = Vec::with_capacity(32);
    request.encode(&mut payload);
    let sequence = write(&mut plain, &payload, 1).await?;
    let stream = tls::connect(plain, config, host).await.map_err(Trouble::Tls)?;
    *phase = Phase::SignIn;
    let wanted = Wanted { capabilities: capabilities | Capabilities::SSL, ..wanted };
    wanted.sign_in(stream, Channel::Tls, target, &greeting, sequence).await
}

impl ServerInfo {
    fn new(greeting: &Greeting<'_>) -> Self {
        Self {
            version: String::from_utf8_lossy(greeting.version).into_owned(),
            is_mariadb: greeting.is_mariadb(),
            thread_id: greeting.thread_id,
            capabilities: greeting.capabilities,
            collation: greeting.collation,
        }
    }
}

/// Decodes a greeting, or the error that a server sends in its place.
fn read_greeting(payload: &[u8]) -> Result<Greeting<'_>, Trouble> {
    match Greeting::decode(payload) {
        Err(HandshakeError::ProtocolVersion(0xff)) => {
            let err = ErrPacket::decode(payload).map_err(HandshakeError::from)?;
            Err(Trouble::TurnedAway(err.into_owned()))
        }
        Err(e) => Err(e.into()),
        Ok(greeting) if !greeting.capabilities.contains(NEEDED) => Err(Trouble::Lacks("the 4.1 protocol")),
        Ok(greeting) => Ok(greeting),
    }
}

/// The flags and the collation to sign in with.
fn agree(greeting: &Greeting<'_>, options: &ConnectOptions<'_>) -> Result<(Capabilities, u16), Trouble> {
    let mut capabilities = (options.capabilities | ALWAYS).difference(NEVER) & greeting.capabilities;
    // MariaDB reads extended flags only from a client that leaves LONG_PASSWORD out; MySQL wants it set.
    if !greeting.is_mariadb() || !capabilities.intersects(EXTENDED) {
        capabilities |= Capabilities::LONG_PASSWORD;
    }
    if options.schema.is_some() {
        capabilities |= Capabilities::CONNECT_WITH_DB;
    }
    // Another character set would give the client's bytes another meaning, so there is nothing to fall back on.
    let collation = collation::for_sign_in(options.collation, greeting.is_mariadb())
        .ok_or(Trouble::Collation(options.collation))?;
    Ok((capabilities, collation))
}

/// The TLS configuration to use, with the name to verify; `None` for none.
fn tls_config<'t>(
    target: &'t Target,
    username: &str,
    greeting: &Greeting<'_>,
) -> Result<Option<(&'t std::sync::Arc<rustls::ClientConfig>, &'t str)>, Trouble> {
    let Address::Tcp(host, _) = &target.address else { return Ok(None) };
    match (target.tls_mode, greeting.capabilities.contains(Capabilities::SSL)) {
        (TlsMode::Disabled, _) | (TlsMode::Preferred, false) => Ok(None),
        (_, false) => Err(Trouble::NoTls),
        (_, true) => match target.tls_for(username) {
            Some(config) => Ok(Some((config, host))),
            None => Err(Trouble::Settings("TLS is wanted, and there is no TLS configuration")),
        },
    }
}

/// What we ask the server for.
struct Wanted<'a> {
    options: &'a ConnectOptions<'a>,
    credentials: &'a Credentials,
    capabilities: Capabilities,
    collation: u16,
}

impl Wanted<'_> {
    fn request(&self) -> SslRequest {
        let Wanted { capabilities, collation, options, .. } = *self;
        SslRequest { capabilities, max_packet: options.max_packet, collation }
    }

    async fn sign_in(
        self,
        mut stream: Stream,
        channel: Channel,
        target: &Target,
        greeting: &Greeting<'_>,
        sequence: u8,
    ) -> Result<Connected, Trouble> {
        let key = &target.server_key;
        let (mut sign_in, plugin, answer) =
            SignIn::begin(self.credentials, channel, key, greeting.plugin, &greeting.scramble)?;
        let mut reader = PacketReader::new();
        let mut sequence = write(&mut stream, &self.response(plugin, &answer), sequence).await?;
        loop {
            let payload = read(&mut stream, &mut reader, sequence).await?;
            sequence = sequence.wrapping_add(1);
            match sign_in.packet(&payload)? {
                Reaction::Send(answer) => sequence = write(&mut stream, &answer, sequence).await?,
                Reaction::Wait => {}
                Reaction::Done => {
                    let ok = OkPacket::decode(&payload, self.capabilities).map_err(HandshakeError::from)?;
                    if !reader.rest().is_empty() {
                        return Err(Trouble::Protocol("bytes follow its OK"));
                    }
                    return Ok(self.connected(stream, greeting, &ok));
                }
            }
        }
    }

    fn response(&self, plugin: &str, answer: &[u8]) -> Vec<u8> {
        let mut attributes = Vec::new();
        for (name, value) in self.options.attributes {
            put_attribute(&mut attributes, name.as_bytes(), value.as_bytes());
        }
        let response = HandshakeResponse {
            capabilities: self.capabilities,
            max_packet: self.options.max_packet,
            collation: self.collation,
            user: self.credentials.username.as_bytes(),
            auth: answer,
            schema: self.options.schema.map(str::as_bytes),
            plugin: Some(plugin.as_bytes()),
            attributes: Attributes(&attributes),
            zstd_level: None,
        };
        let mut payload = Vec::with_capacity(256);
        response.encode(&mut payload);
        payload
    }

    fn connected(self, stream: Stream, greeting: &Greeting<'_>, ok: &OkPacket<'_>) -> Connected {
        Connected {
            stream,
            server: ServerInfo::new(greeting),
            capabilities: self.capabilities,
            collation: self.collation,
            status: ok.status,
        }
    }
}

async fn read<S: AsyncRead + Unpin>(
    stream: &mut S,
    reader: &mut PacketReader,
    sequence: u8,
) -> Result<Vec<u8>, Trouble> {
    let incoming = reader.read(stream, MAX_PACKET).await.map_err(|e| match e.kind() {
        io::ErrorKind::InvalidData => Trouble::Protocol("a packet of more than 64 KiB before its OK"),
        io::ErrorKind::ConnectionAborted => Trouble::Io(io::Error::new(e.kind(), "the server closed the connection")),
        io::ErrorKind::UnexpectedEof => Trouble::Io(io::Error::new(e.kind(), "the server closed in mid-packet")),
        _ => Trouble::Io(e),
    })?;
    if incoming.sequence != sequence && incoming.payload.first() != Some(&0xff) {
        return Err(Trouble::Protocol("packets out of order"));
    }
    Ok(incoming.payload.to_vec())
}

async fn write<S: AsyncWrite + Unpin>(stream: &mut S, payload: &[u8], sequence: u8) -> Result<u8, Trouble> {
    let mut out = Vec::with_capacity(payload.len() + 4);
    let next = put_packet(&mut out, payload, sequence);
    stream.write_all(&out).await.map_err(Trouble::Io)?;
    stream.flush().await.map_err(Trouble::Io)?;
    Ok(next)
}
