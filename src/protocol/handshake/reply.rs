//! The client's answer to the greeting: its wish for TLS, or its whole sign-in.
//!
//! It is decoded for the router's clients and encoded towards servers. It refuses clients from before MySQL 4.1
//! ([`HandshakeError::TooOld`]). Whether the user may sign in is judged in `auth`.

use super::{Attributes, HandshakeError};
use crate::protocol::capabilities::Capabilities;
use crate::protocol::codec::{Reader, put_lenenc, put_lenenc_bytes};

/// Bytes of the fixed part that an [`SslRequest`] and a [`HandshakeResponse`] share.
const FIXED: usize = 32;

/// A client's wish for TLS: the first 32 bytes of a [`HandshakeResponse`], sent in the clear before it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct SslRequest {
    /// What the client wants. It says so again inside TLS; only that counts.
    pub capabilities: Capabilities,
    /// The largest packet the client takes, in bytes.
    pub max_packet: u32,
    /// The client's collation.
    pub collation: u16,
}

/// The client's answer: who it is and what it wants.
///
/// Source: MySQL manual "Protocol::HandshakeResponse41"; MariaDB Knowledge Base "Handshake Response Packet".
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct HandshakeResponse<'a> {
    /// What the client wants; MariaDB's extended flags are in the upper half.
    pub capabilities: Capabilities,
    /// The largest packet the client takes, in bytes.
    pub max_packet: u32,
    /// The client's collation. Ids above 255 are carried in the byte after it, which older clients leave zero.
    pub collation: u16,
    /// User name, in the client's character set.
    pub user: &'a [u8],
    /// The plugin's first answer.
    pub auth: &'a [u8],
    /// The schema, if one is named.
    pub schema: Option<&'a [u8]>,
    /// The plugin that the answer is for; `None` for clients that know of no plugins.
    pub plugin: Option<&'a [u8]>,
    /// Connection attributes.
    pub attributes: Attributes<'a>,
    /// zstd compression level, where that was agreed.
    pub zstd_level: Option<u8>,
}

/// What a client's first packet is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Reply<'a> {
    /// It wants TLS first.
    Ssl(SslRequest),
    /// It signs in.
    Response(HandshakeResponse<'a>),
}

impl<'a> Reply<'a> {
    /// Decodes a client's first packet. A packet is an [`SslRequest`] if it has the SSL flag and nothing but the fixed
    /// part; a full answer with the SSL flag is what a client sends inside TLS.
    ///
    /// # Errors
    /// As for [`HandshakeResponse::decode`].
    pub fn decode(payload: &'a [u8]) -> Result<Self, HandshakeError> {
        let fixed = Fixed::read(&mut Reader::new(payload))?;
        if payload.len() == FIXED && fixed.0.capabilities.contains(Capabilities::SSL) {
            return Ok(Reply::Ssl(fixed.0));
        }
        HandshakeResponse::decode(payload).map(Reply::Response)
    }
}

struct Fixed(SslRequest);

impl Fixed {
    fn read(r: &mut Reader<'_>) -> Result<Fixed, HandshakeError> {
        // Clients before 4.1 have two bytes of flags and none of bit 9.
        let lower = u64::from(r.u16()?);
        if !Capabilities::from_bits_retain(lower).contains(Capabilities::PROTOCOL_41) {
            return Err(HandshakeError::TooOld);
        }
        let mut bits = lower | u64::from(r.u16()?) << 16;
        let max_packet = r.u32()?;
        let collation = r.u16()?;
        r.bytes(18)?;
        let extended = u64::from(r.u32()?);
        if !Capabilities::from_bits_retain(bits).contains(Capabilities::LONG_PASSWORD) {
            bits |= extended << 32;
        }
        Ok(Fixed(SslRequest { capabilities: Capabilities::from_bits_retain(bits), max_packet, collation }))
    }
}

impl SslRequest {
    /// Appends the 32 bytes.
    pub fn encode(&self, out: &mut Vec<u8>) {
        let bits = self.capabilities.bits();
        out.extend_from_slice(&(bits as u32).to_le_bytes());
        out.extend_from_slice(&self.max_packet.to_le_bytes());
        out.extend_from_slice(&self.collation.to_le_bytes());
        out.extend_from_slice(&[0; 18]);
        let extended = if self.capabilities.contains(Capabilities::LONG_PASSWORD) { 0 } else { (bits >> 32) as u32 };
        out.extend_from_slice(&extended.to_le_bytes());
    }
}

impl<'a> HandshakeResponse<'a> {
    /// Decodes a full answer.
    ///
    /// # Errors
    /// [`HandshakeError::TooOld`] without the 4.1 flag, [`HandshakeError::Truncated`].
    pub fn decode(payload: &'a [u8]) -> Result<Self, HandshakeError> {
        let mut r = Reader::new(payload);
        let Fixed(SslRequest { capabilities, max_packet, collation }) = Fixed::read(&mut r)?;
        let user = r.nul_bytes()?;
        let auth = if capabilities.contains(Capabilities::PLUGIN_AUTH_LENENC) {
            r.lenenc_bytes()?
        } else if capabilities.contains(Capabilities::SECURE_CONNECTION) {
            let length = r.u8()?;
            r.bytes(usize::from(length))?
        } else {
            r.nul_bytes()?
        };
        let schema = match capabilities.contains(Capabilities::CONNECT_WITH_DB) {
            // Some clients set the flag and send nothing; some leave the closing zero out.
            true => Some(r.nul_or_rest()).filter(|s| !s.is_empty()),
            false => None,
        };
        let plugin = match capabilities.contains(Capabilities::PLUGIN_AUTH) {
            true => Some(r.nul_or_rest()),
            false => None,
        };
        let attributes = match capabilities.contains(Capabilities::CONNECT_ATTRS) && !r.is_empty() {
            true => Attributes(r.lenenc_bytes()?),
            false => Attributes::default(),
        };
        let zstd_level = match capabilities.contains(Capabilities::ZSTD_COMPRESSION) {
            true => r.u8().ok(),
            false => None,
        };
        Ok(Self { capabilities, max_packet, collation, user, auth, schema, plugin, attributes, zstd_level })
    }

    /// Appends the answer. The flags decide which fields are written: a schema without CONNECT_WITH_DB is left out.
    pub fn encode(&self, out: &mut Vec<u8>) {
        let Self { capabilities, max_packet, collation, .. } = *self;
        SslRequest { capabilities, max_packet, collation }.encode(out);
        out.extend_from_slice(self.user);
        out.push(0);
        if capabilities.contains(Capabilities::PLUGIN_AUTH_LENENC) {
            put_lenenc_bytes(out, self.auth);
        } else if capabilities.contains(Capabilities::SECURE_CONNECTION) {
            let auth = self.auth.get(..255).unwrap_or(self.auth);
            out.push(auth.len() as u8);
            out.extend_from_slice(auth);
        } else {
            out.extend_from_slice(self.auth);
            out.push(0);
        }
        if capabilities.contains(Capabilities::CONNECT_WITH_DB) {
            out.extend_from_slice(self.schema.unwrap_or_default());
            out.push(0);
        }
        if capabilities.contains(Capabilities::PLUGIN_AUTH) {
            out.extend_from_slice(self.plugin.unwrap_or_default());
            out.push(0);
        }
        if capabilities.contains(Capabilities::CONNECT_ATTRS) {
            put_lenenc(out, self.attributes.0.len() as u64);
            out.extend_from_slice(self.attributes.0);
        }
        if capabilities.contains(Capabilities::ZSTD_COMPRESSION) {
            out.push(self.zstd_level.unwrap_or(3));
        }
    }
}
