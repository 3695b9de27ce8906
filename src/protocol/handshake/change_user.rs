//! The payload of COM_CHANGE_USER, by which a client signs in anew on a connection that is open.
//!
//! It is decoded for clients and encoded for servers. What follows it is the same exchange as at sign-in
//! ([`super::AuthRequest`]). Passwords are judged in `auth`.

use super::{Attributes, HandshakeError};
use crate::protocol::capabilities::Capabilities;
use crate::protocol::codec::{Reader, put_lenenc_bytes};

/// First byte of the command.
const COMMAND: u8 = 0x11;

/// The command's payload.
///
/// Source: MySQL manual "COM_CHANGE_USER"; the fields after the schema are missing from old clients.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ChangeUser<'a> {
    /// User name.
    pub user: &'a [u8],
    /// The plugin's first answer, made with the connection's scramble.
    pub auth: &'a [u8],
    /// The schema, if one is named. Without one the session has none afterwards.
    pub schema: Option<&'a [u8]>,
    /// The client's collation; `None` if not said.
    pub collation: Option<u16>,
    /// The plugin that the answer is for.
    pub plugin: Option<&'a [u8]>,
    /// Connection attributes.
    pub attributes: Attributes<'a>,
}

impl<'a> ChangeUser<'a> {
    /// Decodes the whole payload, command byte included; `capabilities` are those agreed at sign-in.
    ///
    /// # Errors
    /// [`HandshakeError::Unexpected`] if it is another command, [`HandshakeError::Truncated`].
    pub fn decode(payload: &'a [u8], capabilities: Capabilities) -> Result<Self, HandshakeError> {
        let mut r = Reader::new(payload);
        match r.u8()? {
            COMMAND => {}
            other => return Err(HandshakeError::Unexpected(other)),
        }
        let user = r.nul_bytes()?;
        let auth = if capabilities.contains(Capabilities::SECURE_CONNECTION) {
            let length = r.u8()?;
            r.bytes(usize::from(length))?
        } else {
            r.nul_bytes()?
        };
        let schema = Some(r.nul_or_rest()).filter(|s| !s.is_empty());
        let collation = if r.is_empty() { None } else { Some(r.u16()?) };
        let plugin = match capabilities.contains(Capabilities::PLUGIN_AUTH) && !r.is_empty() {
            true => Some(r.nul_or_rest()),
            false => None,
        };
        let attributes = match capabilities.contains(Capabilities::CONNECT_ATTRS) && !r.is_empty() {
            true => Attributes(r.lenenc_bytes()?),
            false => Attributes::default(),
        };
        Ok(Self { user, auth, schema, collation, plugin, attributes })
    }

    /// Appends the whole payload. An answer of more than 255 bytes cannot be said and is cut.
    pub fn encode(&self, out: &mut Vec<u8>, capabilities: Capabilities) {
        out.push(COMMAND);
        out.extend_from_slice(self.user);
        out.push(0);
        if capabilities.contains(Capabilities::SECURE_CONNECTION) {
            let auth = self.auth.get(..255).unwrap_or(self.auth);
            out.push(auth.len() as u8);
            out.extend_from_slice(auth);
        } else {
            out.extend_from_slice(self.auth);
            out.push(0);
        }
        out.extend_from_slice(self.schema.unwrap_or_default());
        out.push(0);
        let Some(collation) = self.collation else { return };
        out.extend_from_slice(&collation.to_le_bytes());
        // What comes after is left out where there is nothing to say: an empty plugin name is not the same as none.
        if self.plugin.is_none() && self.attributes.0.is_empty() {
            return;
        }
        if capabilities.contains(Capabilities::PLUGIN_AUTH) {
            out.extend_from_slice(self.plugin.unwrap_or_default());
            out.push(0);
        }
        if capabilities.contains(Capabilities::CONNECT_ATTRS) {
            put_lenenc_bytes(out, self.attributes.0);
        }
    }
}
