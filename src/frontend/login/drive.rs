//! Signs a client in, by carrying packets between the client and the judge in [`crate::auth::server`].
//!
//! It sends the greeting, makes TLS if the client asks for it, and refuses clients that compress or that come without
//! TLS where it is required. Slow arithmetic runs on other threads. Whether a password is right is never decided here.
//! [`super::talk`] reads and writes the packets.

use super::talk::Talk;
use super::{Login, LoginContext, LoginError};
use crate::auth::server::{self, Accepted, Opening, Step};
use crate::auth::{Account, Offload, Plugin, Scramble, Seat, Turn};
use crate::net::Stream;
use crate::net::stream::Plain;
use crate::net::tls;
use crate::protocol::capabilities::Capabilities;
use crate::protocol::handshake::{ChangeUser, Greeting, HandshakeError, HandshakeResponse, Reply};
use std::borrow::BorrowMut;
use std::io;
use std::pin::Pin;
use std::sync::Arc;

/// How much of a user name is repeated, in characters. MySQL's own names have at most 32.
const LONGEST_SHOWN: usize = 80;

/// What a client says that is going to compress its packets.
const COMPRESSION: Capabilities = Capabilities::COMPRESS.union(Capabilities::ZSTD_COMPRESSION);

/// Greets a client and signs it in; see the module's page. The future is a pointer: what it needs while it runs is on the
/// heap, and gone when it ends. Dropping it closes the connection.
///
/// # Errors
/// [`LoginError`]; the client has been told whatever it can be told.
pub fn login<'a>(
    plain: Plain,
    context: &'a LoginContext<'a>,
) -> Pin<Box<dyn Future<Output = Result<Login, LoginError>> + Send + 'a>> {
    Box::pin(async move {
        let mut talk = Talk::new(Stream::from(plain), 0);
        let result = tokio::time::timeout(context.timeout, come_in(&mut talk, context)).await;
        let error = match result.unwrap_or(Err(LoginError::TimedOut)) {
            Ok(entry) => match talk.finish() {
                Ok((stream, sequence)) => return Ok(entry.into_login(stream, sequence)),
                Err(error) => error,
            },
            Err(error) => error,
        };
        let error = talk.tell(error).await;
        talk.close().await;
        Err(error)
    })
}

/// What is known of a client that has proved who it is.
struct Entry {
    accepted: Accepted,
    seat: Seat,
    schema: Option<String>,
    capabilities: Capabilities,
    collation: u16,
    attributes: Box<[u8]>,
    max_packet: u32,
}

impl Entry {
    fn into_login(self, stream: Stream, sequence: u8) -> Login {
        let Entry { accepted, seat, schema, capabilities, collation, attributes, max_packet } = self;
        let Accepted { account, before_ok, scramble } = accepted;
        Login {
            stream,
            account,
            seat,
            schema,
            capabilities,
            collation,
            attributes,
            max_packet,
            scramble,
            sequence,
            before_ok,
        }
    }
}

async fn come_in(talk: &mut Talk<Stream>, context: &LoginContext<'_>) -> Result<Entry, LoginError> {
    let scramble = Scramble::random();
    let offered = match context.tls {
        Some(_) => context.capabilities | Capabilities::SSL,
        None => context.capabilities.difference(Capabilities::SSL),
    };
    talk.send(&greeting(context, offered, &scramble)).await.map_err(silence)?;
    let first = talk.read().await.map_err(silence)?;
    let second;
    let response = match Reply::decode(&first).map_err(unreadable)? {
        Reply::Response(response) => response,
        Reply::Ssl(_) => {
            let config = context.tls.ok_or(LoginError::Protocol("TLS was not offered"))?;
            start_tls(talk, config).await?;
            second = talk.read().await?;
            match Reply::decode(&second).map_err(unreadable)? {
                Reply::Response(response) => response,
                Reply::Ssl(_) => return Err(LoginError::Protocol("TLS asked for twice")),
            }
        }
    };
    if response.capabilities.intersects(COMPRESSION) {
        return Err(LoginError::Compression);
    }
    if context.require_secure && !talk.channel().is_secure() {
        return Err(LoginError::Insecure);
    }
    prove(talk, context, &response, offered, scramble).await
}

async fn prove(
    talk: &mut Talk<Stream>,
    context: &LoginContext<'_>,
    response: &HandshakeResponse<'_>,
    offered: Capabilities,
    scramble: Scramble,
) -> Result<Entry, LoginError> {
    let opening = Opening {
        user: response.user,
        plugin: response.plugin,
        answer: response.auth,
        scramble,
        channel: talk.channel(),
        greeted: greeted(context),
        uncertain_scramble: false,
    };
    let accepted = ask(talk, context, &opening).await?;
    let seat = sit(&accepted.account)?;
    let schema = schema(response.schema).or_else(|| accepted.account.spec().default_schema.clone());
    Ok(Entry {
        seat,
        schema,
        capabilities: response.capabilities & offered,
        // Some clients say 0 for "yours".
        collation: if response.collation == 0 { context.collation } else { response.collation },
        attributes: response.attributes.0.into(),
        max_packet: response.max_packet,
        accepted,
    })
}

/// The plugin that the greeting names. Never one that would make clients send their passwords in clear.
fn greeted(context: &LoginContext<'_>) -> Plugin {
    match context.plugin {
        Plugin::Native => Plugin::Native,
        Plugin::CachingSha2 | Plugin::Clear | Plugin::Sha256 => Plugin::CachingSha2,
    }
}

fn greeting(context: &LoginContext<'_>, offered: Capabilities, scramble: &Scramble) -> Vec<u8> {
    let greeting = Greeting {
        version: context.server_version.as_bytes(),
        thread_id: context.connection_id,
        scramble: scramble.bytes().to_vec(),
        capabilities: offered,
        collation: context.collation as u8,
        status: context.status,
        plugin: greeted(context).name().as_bytes(),
    };
    let mut payload = Vec::with_capacity(128);
    greeting.encode(&mut payload);
    payload
}

/// Puts TLS around the client's stream. A client may send its hello together with its wish for TLS.
async fn start_tls(talk: &mut Talk<Stream>, config: &Arc<rustls::ServerConfig>) -> Result<(), LoginError> {
    let (stream, reader) = talk.take().ok_or(LoginError::Protocol("no connection"))?;
    let plain = match stream {
        Stream::Tcp(socket) => Plain::Tcp(socket.into_inner()),
        Stream::Unix(socket) => Plain::Unix(socket.into_inner()),
        Stream::TlsServer(_) | Stream::TlsClient(_) => return Err(LoginError::Protocol("TLS asked for inside TLS")),
    };
    let stream = tls::accept(plain, config, reader.rest()).await.map_err(LoginError::Tls)?;
    talk.put(stream);
    Ok(())
}

/// Asks the client what `auth::server` wants to know, until the verdict.
async fn ask<S: BorrowMut<Stream>>(
    talk: &mut Talk<S>,
    context: &LoginContext<'_>,
    opening: &Opening<'_>,
) -> Result<Accepted, LoginError> {
    let (guesses, limits) = context.guesses;
    let attempt = guesses.attempt(context.host, opening.user);
    // Each answer is judged in the moment that it is looked at: so each waits, and none is looked at first.
    let take_turn = async || match guesses.turn(attempt, limits) {
        Turn::Now => Ok(()),
        Turn::After(wait) => {
            tokio::time::sleep(wait).await;
            Ok(())
        }
        Turn::Refused => Err(LoginError::TooManyGuesses { user: shown(opening.user), host: context.host }),
    };
    take_turn().await?;
    let mut step = server::begin(context.accounts, context.rsa, opening);
    loop {
        step = match step {
            Step::Ask(payload, exchange) => {
                talk.send(&payload).await?;
                let answer = talk.read().await?;
                take_turn().await?;
                exchange.answer(&answer)
            }
            Step::Work(work) => run_elsewhere(context.offload, work).await?,
            Step::Accepted(accepted) => {
                guesses.succeeded(attempt);
                return Ok(accepted);
            }
            Step::Denied(denied) => {
                if denied.reason.is_guess() {
                    guesses.failed(attempt);
                }
                return Err(LoginError::Denied {
                    user: shown(opening.user),
                    host: context.host,
                    using_password: denied.using_password,
                    reason: denied.reason,
                });
            }
        };
    }
}

/// A name as it may stand in an error and a log: what a client sends may be long, and may hold line feeds.
fn shown(user: &[u8]) -> String {
    let text = String::from_utf8_lossy(user.get(..4 * LONGEST_SHOWN).unwrap_or(user));
    let visible = |c: char| if c.is_control() { '?' } else { c };
    text.chars().take(LONGEST_SHOWN).map(visible).collect()
}

async fn run_elsewhere(offload: &Offload, work: server::Work) -> Result<Step, LoginError> {
    offload.run(move || work.run()).await.ok_or(LoginError::Stopping)
}

fn sit(account: &Account) -> Result<Seat, LoginError> {
    account.sit().map_err(|limit| LoginError::TooManySessions { user: account.name().to_owned(), limit })
}

fn schema(named: Option<&[u8]>) -> Option<String> {
    named.map(|s| String::from_utf8_lossy(s).into_owned())
}

fn unreadable(error: HandshakeError) -> LoginError {
    match error {
        HandshakeError::TooOld => LoginError::TooOld,
        _ => LoginError::Protocol("the first packet is no sign-in"),
    }
}

/// A connection that ended without a byte from the client: nobody tried to sign in.
fn silence(error: LoginError) -> LoginError {
    use io::ErrorKind::{BrokenPipe, ConnectionAborted, ConnectionReset};
    match error {
        LoginError::Io(e) if matches!(e.kind(), BrokenPipe | ConnectionAborted | ConnectionReset) => LoginError::Silent,
        other => other,
    }
}

/// What COM_CHANGE_USER made of a session.
#[derive(Debug)]
pub struct ChangedUser {
    /// Who the client is now.
    pub account: Arc<Account>,
    /// Its place among the account's sessions; drop the old one.
    pub seat: Seat,
    /// The schema that it named, or its account's; not checked.
    pub schema: Option<String>,
    /// The collation that it asked for, if it did.
    pub collation: Option<u16>,
    /// Connection attributes, as sent.
    pub attributes: Box<[u8]>,
    /// The scramble that it saw last.
    pub scramble: Scramble,
    /// The sequence number of our next packet.
    pub sequence: u8,
    /// A packet that goes before the OK, if the plugin wants one.
    pub before_ok: Option<Vec<u8>>,
}

/// Signs a client in anew. `command` is the whole payload of its COM_CHANGE_USER, which had the sequence number 0; `scramble`
/// the one that it saw last; `capabilities` those agreed on.
///
/// Send the OK with [`ChangedUser::sequence`], after `before_ok` if there is one. Not cancel safe.
///
/// # Errors
/// [`LoginError`]; the client has been told. Close the connection then: servers do so, and clients expect it.
pub fn change_user<'a>(
    stream: &'a mut Stream,
    command: &'a [u8],
    capabilities: Capabilities,
    scramble: Scramble,
    context: &'a LoginContext<'a>,
) -> Pin<Box<dyn Future<Output = Result<ChangedUser, LoginError>> + Send + 'a>> {
    Box::pin(async move {
        let mut talk = Talk::new(stream, 1);
        let change = change(&mut talk, command, capabilities, scramble, context);
        let result = tokio::time::timeout(context.timeout, change).await.unwrap_or(Err(LoginError::TimedOut));
        let error = match result {
            Ok(mut changed) => match talk.finish() {
                Ok((_, sequence)) => {
                    changed.sequence = sequence;
                    return Ok(changed);
                }
                Err(error) => error,
            },
            Err(error) => error,
        };
        Err(talk.tell(error).await)
    })
}

async fn change(
    talk: &mut Talk<&mut Stream>,
    command: &[u8],
    capabilities: Capabilities,
    scramble: Scramble,
    context: &LoginContext<'_>,
) -> Result<ChangedUser, LoginError> {
    let command = ChangeUser::decode(command, capabilities)
        .map_err(|_| LoginError::Protocol("COM_CHANGE_USER is shorter than its fields"))?;
    let opening = Opening {
        user: command.user,
        plugin: command.plugin,
        answer: command.auth,
        scramble,
        channel: talk.channel(),
        greeted: greeted(context),
        uncertain_scramble: true,
    };
    let Accepted { account, before_ok, scramble } = ask(talk, context, &opening).await?;
    let seat = sit(&account)?;
    Ok(ChangedUser {
        seat,
        schema: schema(command.schema).or_else(|| account.spec().default_schema.clone()),
        collation: command.collation,
        attributes: command.attributes.0.into(),
        scramble,
        sequence: 0,
        before_ok,
        account,
    })
}
