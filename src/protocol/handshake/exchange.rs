//! The packets that a server sends between the client's answer and the final OK or ERR: a request to switch plugins,
//! and further data for a plugin.
//!
//! `auth::server` writes them to clients, and `auth::client` reads those of servers. OK and ERR packets are only
//! recognised here; [`crate::protocol::response`] decodes them. A plugin's data is passed on as bytes.

use super::HandshakeError;
use crate::protocol::codec::Reader;

/// First byte of an authentication switch request.
const SWITCH: u8 = 0xfe;
/// First byte of further data for the plugin.
const MORE: u8 = 0x01;

/// A packet from a server while a client is signing in.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum AuthRequest<'a> {
    /// Sign in with another plugin. Source: MySQL manual "Protocol::AuthSwitchRequest".
    Switch {
        /// The plugin's name.
        plugin: &'a [u8],
        /// The plugin's data (a new scramble), without its closing zero byte.
        data: &'a [u8],
    },
    /// The old switch request, a single byte: sign in with the password hash of MySQL 4.0.
    SwitchToOld,
    /// Data for the plugin in use. Source: MySQL manual "Protocol::AuthMoreData".
    More(&'a [u8]),
    /// The whole OK packet.
    Ok(&'a [u8]),
    /// The whole ERR packet.
    Err(&'a [u8]),
}

impl<'a> AuthRequest<'a> {
    /// Decodes a packet.
    ///
    /// # Errors
    /// [`HandshakeError::Unexpected`] for a first byte that has no meaning here, [`HandshakeError::Truncated`].
    pub fn decode(payload: &'a [u8]) -> Result<Self, HandshakeError> {
        let mut r = Reader::new(payload);
        match r.u8()? {
            0x00 => Ok(AuthRequest::Ok(payload)),
            0xff => Ok(AuthRequest::Err(payload)),
            MORE => Ok(AuthRequest::More(r.rest())),
            SWITCH if r.is_empty() => Ok(AuthRequest::SwitchToOld),
            SWITCH => {
                let plugin = r.nul_bytes()?;
                let data = r.rest();
                Ok(AuthRequest::Switch { plugin, data: data.strip_suffix(&[0]).unwrap_or(data) })
            }
            other => Err(HandshakeError::Unexpected(other)),
        }
    }
}

/// Appends a switch request; `data` gets the closing zero byte that every client expects.
pub fn put_auth_switch(out: &mut Vec<u8>, plugin: &[u8], data: &[u8]) {
    out.push(SWITCH);
    out.extend_from_slice(plugin);
    out.push(0);
    out.extend_from_slice(data);
    out.push(0);
}

/// Appends further data for the plugin in use.
pub fn put_auth_more(out: &mut Vec<u8>, data: &[u8]) {
    out.push(MORE);
    out.extend_from_slice(data);
}
