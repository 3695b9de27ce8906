//! Giving a server the router's credentials. No sockets here.
//!
//! ```text
//!   SignIn::begin ─▶ plugin and first answer, for the HandshakeResponse
//!        │
//!        ▼ each packet from the server
//!   SignIn::packet ─▶ Send      another plugin, the password, a wish for the key, the encrypted password
//!                  ─▶ Wait      caching_sha2 said that its fast path was enough; OK follows
//!                  ─▶ Done      OK
//!                  ─▶ Err       refused by the server, or not possible with what we have
//! ```
//!
//! What is refused: sending a password in clear over plain TCP, in any wrapping but RSA; a server's key over plain TCP where
//! the settings do not allow it; a second switch of plugins; plugins that are not ours.

use super::credentials::{Credentials, Password};
use super::plugin::Plugin;
use super::rsa::RsaPublicKey;
use super::scramble::{self, Scramble};
use super::server::Channel;
use crate::protocol::handshake::{AuthRequest, HandshakeError};
use crate::protocol::response::ErrPacket;
use std::sync::Arc;

#[cfg(test)]
mod tests;

const FAST_OK: &[u8] = &[3];
const FULL: &[u8] = &[4];
/// A wish for the key, to `caching_sha2_password`.
const WANT_KEY: u8 = 2;
/// A wish for the key, to `sha256_password`.
const WANT_KEY_SHA256: u8 = 1;

/// How the RSA key of `caching_sha2_password` is come by on plain TCP.
#[derive(Clone, Debug)]
pub enum ServerKey {
    /// Not at all: the password is sent over TLS or a unix socket, or not sent.
    Forbidden,
    /// Whatever key the server sends is used. Somebody between us and the server could put their own in its place.
    Ask,
    /// This one.
    Known(Arc<RsaPublicKey>),
}

/// A sign-in that did not come to its end.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum SignInError {
    /// The server refused.
    #[error("server refused the sign-in: {0}")]
    Refused(ErrPacket<'static>),
    /// The server wants a plugin that the router does not have.
    #[error("server wants the authentication plugin {0:?}, which Switchboard does not support")]
    UnknownPlugin(String),
    /// The plugin needs the password, and only its native hash is known.
    #[error(
        "server wants {0}, which needs the password itself, and only its mysql_native_password hash is known: \
         set the account's backend password"
    )]
    PasswordNotKnown(Plugin),
    /// The plugin needs a safe channel.
    #[error("server wants the password in clear ({0}) over plain TCP: use TLS towards this server{1}")]
    Insecure(Plugin, &'static str),
    /// The server sent a key that cannot be used, or one too small for the password.
    #[error("server's RSA key cannot be used: {0}")]
    Key(super::RsaError),
    /// A packet that makes no sense here.
    #[error("server sent a packet that makes no sense during sign-in: {0}")]
    Packet(#[from] HandshakeError),
    /// A packet that makes sense, but not in this state.
    #[error("server broke the sign-in protocol: {0}")]
    OutOfPlace(&'static str),
}

/// What to do with the packet just handed in.
#[derive(Debug, PartialEq, Eq)]
pub enum Reaction {
    /// Send this payload, then read the next packet.
    Send(Vec<u8>),
    /// Read the next packet.
    Wait,
    /// Signed in; the packet was the OK.
    Done,
}

/// Signing in, from our first answer to the server's verdict.
#[derive(Debug)]
pub struct SignIn<'a> {
    credentials: &'a Credentials,
    channel: Channel,
    key: &'a ServerKey,
    scramble: Scramble,
    plugin: Option<Plugin>,
    switched: bool,
    state: State,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum State {
    /// The plugin's answer has been sent.
    Answered,
    /// The fast path was enough.
    FastOk,
    /// The key has been asked for.
    WantKey,
    /// The password has been sent.
    PasswordSent,
}

impl<'a> SignIn<'a> {
    /// Starts with a greeting's plugin and scramble; gives the machine, and the plugin name and answer to send.
    ///
    /// A plugin that is none of ours, or that we cannot use, is no error yet: what matters is the account's plugin, and the
    /// server will switch to that one.
    ///
    /// # Errors
    /// [`SignInError::OutOfPlace`] if the scramble is not twenty bytes long.
    pub fn begin(
        credentials: &'a Credentials,
        channel: Channel,
        key: &'a ServerKey,
        plugin: &[u8],
        scramble: &[u8],
    ) -> Result<(Self, &'static str, Vec<u8>), SignInError> {
        let scramble = Scramble::from_wire(scramble)
            .ok_or(SignInError::OutOfPlace("the greeting's scramble is not 20 bytes long"))?;
        let offered = match plugin {
            b"" => Some(Plugin::Native),
            name => Plugin::from_name(name),
        };
        let mut sign_in =
            SignIn { credentials, channel, key, scramble, plugin: offered, switched: false, state: State::Answered };
        let answer = match offered {
            // The greeting's plugin is the server's default, not the account's: nothing in clear before it is asked for.
            Some(Plugin::Clear | Plugin::Sha256) | None => None,
            Some(plugin) => sign_in.answer(plugin).ok().map(|a| (plugin, a)),
        };
        let (plugin, answer) = answer.unwrap_or_else(|| {
            // The name must be one that we know; an empty answer under it makes the server switch.
            let plugin = match &credentials.password {
                Password::NativeSha1(_) => Plugin::Native,
                _ => Plugin::CachingSha2,
            };
            (plugin, sign_in.answer(plugin).unwrap_or_default())
        });
        sign_in.plugin = Some(plugin);
        Ok((sign_in, plugin.name(), answer))
    }

    /// Takes a packet of the server.
    ///
    /// # Errors
    /// See [`SignInError`]. Nothing can be sent after one.
    pub fn packet(&mut self, payload: &[u8]) -> Result<Reaction, SignInError> {
        match AuthRequest::decode(payload)? {
            AuthRequest::Ok(_) => Ok(Reaction::Done),
            AuthRequest::Err(payload) => {
                let err = ErrPacket::decode(payload).map_err(HandshakeError::from)?;
                Err(SignInError::Refused(err.into_owned()))
            }
            AuthRequest::SwitchToOld => Err(SignInError::UnknownPlugin("mysql_old_password".into())),
            AuthRequest::Switch { plugin, data } => self.switch(plugin, data).map(Reaction::Send),
            AuthRequest::More(data) => self.more(data),
        }
    }

    fn switch(&mut self, name: &[u8], data: &[u8]) -> Result<Vec<u8>, SignInError> {
        if self.switched || self.state != State::Answered {
            return Err(SignInError::OutOfPlace("it switched plugins twice"));
        }
        let unknown = || SignInError::UnknownPlugin(String::from_utf8_lossy(name).into_owned());
        let plugin = Plugin::from_name(name).ok_or_else(unknown)?;
        if plugin != Plugin::Clear {
            self.scramble = Scramble::from_wire(data)
                .ok_or(SignInError::OutOfPlace("its switch request has no scramble of 20 bytes"))?;
        }
        self.switched = true;
        self.plugin = Some(plugin);
        if plugin == Plugin::Sha256 {
            return self.whole_password(plugin, self.channel == Channel::Tls, WANT_KEY_SHA256);
        }
        self.answer(plugin)
    }

    /// The plugin's first answer.
    fn answer(&self, plugin: Plugin) -> Result<Vec<u8>, SignInError> {
        match (plugin, &self.credentials.password) {
            (Plugin::Native | Plugin::CachingSha2, Password::None) => Ok(Vec::new()),
            (Plugin::Native, Password::NativeSha1(once)) => Ok(scramble::native_answer(&self.scramble, once).to_vec()),
            (Plugin::Native, Password::Clear(password)) => {
                let once = scramble::sha1(&[password.expose()]);
                Ok(scramble::native_answer(&self.scramble, &once).to_vec())
            }
            (Plugin::CachingSha2, Password::Clear(password)) => {
                Ok(scramble::fast_answer(&self.scramble, password.expose()).to_vec())
            }
            (Plugin::Clear, _) if self.channel != Channel::Tls => Err(SignInError::Insecure(plugin, "")),
            (Plugin::Sha256, _) => Err(SignInError::OutOfPlace("it never asked for sha256_password")),
            (Plugin::Clear, Password::None) => Ok(vec![0]),
            (Plugin::Clear, Password::Clear(password)) => Ok([password.expose(), &[0]].concat()),
            (Plugin::CachingSha2 | Plugin::Clear, Password::NativeSha1(_)) => {
                Err(SignInError::PasswordNotKnown(plugin))
            }
        }
    }

    fn more(&mut self, data: &[u8]) -> Result<Reaction, SignInError> {
        match (self.plugin, self.state, data) {
            (Some(Plugin::CachingSha2), State::Answered, FAST_OK) => {
                self.state = State::FastOk;
                Ok(Reaction::Wait)
            }
            (Some(Plugin::CachingSha2), State::Answered, FULL) => {
                self.whole_password(Plugin::CachingSha2, self.channel.is_secure(), WANT_KEY).map(Reaction::Send)
            }
            (Some(Plugin::CachingSha2 | Plugin::Sha256), State::WantKey, pem) => {
                let key = RsaPublicKey::from_pem(pem).map_err(SignInError::Key)?;
                self.encrypted(&key).map(Reaction::Send)
            }
            _ => Err(SignInError::OutOfPlace("it asked for more where the plugin has no more to say")),
        }
    }

    /// The password itself, or what has to come before it: a wish for the key. `secure` if the plugin takes it in clear.
    fn whole_password(&mut self, plugin: Plugin, secure: bool, want_key: u8) -> Result<Vec<u8>, SignInError> {
        let password = match &self.credentials.password {
            Password::Clear(password) => password.expose(),
            Password::None => b"",
            Password::NativeSha1(_) => return Err(SignInError::PasswordNotKnown(plugin)),
        };
        if secure || password.is_empty() {
            self.state = State::PasswordSent;
            return Ok([password, &[0]].concat());
        }
        match self.key {
            ServerKey::Known(key) => self.encrypted(key),
            ServerKey::Ask => {
                self.state = State::WantKey;
                Ok(vec![want_key])
            }
            ServerKey::Forbidden => {
                Err(SignInError::Insecure(plugin, ", or give its public key, or allow asking for the key"))
            }
        }
    }

    fn encrypted(&mut self, key: &RsaPublicKey) -> Result<Vec<u8>, SignInError> {
        let Password::Clear(password) = &self.credentials.password else {
            return Err(SignInError::OutOfPlace("it asked for a password that does not exist"));
        };
        self.state = State::PasswordSent;
        key.encrypt(&self.scramble, password.expose()).map_err(SignInError::Key)
    }
}
