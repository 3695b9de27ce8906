//! The greeting, the first packet that a server sends, with its version, its capabilities and the scramble.
//!
//! It is decoded when the router connects to a backend and encoded for its own clients. Which capabilities are offered,
//! and what is done about those that a server lacks, is decided by the callers.

use super::HandshakeError;
use crate::protocol::capabilities::Capabilities;
use crate::protocol::codec::Reader;
use crate::protocol::status::Status;

/// Bytes of the scramble that come before the capability flags.
const PART_ONE: usize = 8;

/// Initial handshake packet, protocol version 10.
///
/// Source: MySQL manual "Protocol::HandshakeV10"; MariaDB Knowledge Base "Initial Handshake Packet".
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Greeting<'a> {
    /// Version text as sent, with the `5.5.5-` that MariaDB's servers put before theirs. It is what some clients know them by.
    pub version: &'a [u8],
    /// The server's id of this connection.
    pub thread_id: u32,
    /// The plugin's data: the scramble, without its closing zero byte. Twenty bytes from every server in use.
    pub scramble: Vec<u8>,
    /// What the server can do. MariaDB's extended flags are in the upper half.
    pub capabilities: Capabilities,
    /// The low byte of the server's default collation.
    pub collation: u8,
    /// Status flags.
    pub status: Status,
    /// The plugin that made the scramble; empty if the server names none.
    pub plugin: &'a [u8],
}

impl<'a> Greeting<'a> {
    /// Decodes a greeting.
    ///
    /// # Errors
    /// [`HandshakeError::ProtocolVersion`] if it is not version 10, [`HandshakeError::Truncated`].
    pub fn decode(payload: &'a [u8]) -> Result<Self, HandshakeError> {
        let mut r = Reader::new(payload);
        let protocol = r.u8()?;
        if protocol != 10 {
            return Err(HandshakeError::ProtocolVersion(protocol));
        }
        let version = r.nul_bytes()?;
        let thread_id = r.u32()?;
        let mut scramble = r.bytes(PART_ONE)?.to_vec();
        r.u8()?;
        let lower = u64::from(r.u16()?);
        let collation = r.u8()?;
        let status = Status::from_bits_retain(r.u16()?);
        let mut capabilities = Capabilities::from_bits_retain(lower | u64::from(r.u16()?) << 16);
        let mut data_length = usize::from(r.u8()?);
        if !capabilities.contains(Capabilities::PLUGIN_AUTH) {
            // The byte means nothing then.
            data_length = 0;
        }
        r.bytes(6)?;
        let extended = u64::from(r.u32()?);
        if !capabilities.contains(Capabilities::LONG_PASSWORD) {
            capabilities |= Capabilities::from_bits_retain(extended << 32);
        }
        if capabilities.contains(Capabilities::SECURE_CONNECTION) {
            let part_two = data_length.saturating_sub(PART_ONE).max(13);
            scramble.extend_from_slice(r.bytes(part_two)?);
        }
        if scramble.last() == Some(&0) {
            scramble.pop();
        }
        let plugin = match capabilities.contains(Capabilities::PLUGIN_AUTH) {
            // MySQL 5.5.7 to 5.5.9 left the closing zero out.
            true => r.nul_bytes().unwrap_or(r.rest()),
            false => b"",
        };
        Ok(Self { version, thread_id, scramble, capabilities, collation, status, plugin })
    }

    /// Appends the greeting. Data beyond 247 bytes cannot be said and is cut.
    pub fn encode(&self, out: &mut Vec<u8>) {
        let bits = self.capabilities.bits();
        let (one, two) = self.scramble.split_at(self.scramble.len().min(PART_ONE));
        let two = two.get(..246).unwrap_or(two);
        out.push(10);
        out.extend_from_slice(self.version);
        out.push(0);
        out.extend_from_slice(&self.thread_id.to_le_bytes());
        out.extend_from_slice(one);
        out.resize(out.len() + PART_ONE - one.len(), 0);
        out.push(0);
        out.extend_from_slice(&(bits as u16).to_le_bytes());
        out.push(self.collation);
        out.extend_from_slice(&self.status.bits().to_le_bytes());
        out.extend_from_slice(&((bits >> 16) as u16).to_le_bytes());
        match self.capabilities.contains(Capabilities::PLUGIN_AUTH) {
            true => out.push((PART_ONE + two.len() + 1) as u8),
            false => out.push(0),
        }
        out.extend_from_slice(&[0; 6]);
        // Where the flag is set, a MySQL server keeps zeros here, and so must we.
        let extended = if self.capabilities.contains(Capabilities::LONG_PASSWORD) { 0 } else { (bits >> 32) as u32 };
        out.extend_from_slice(&extended.to_le_bytes());
        if self.capabilities.contains(Capabilities::SECURE_CONNECTION) {
            out.extend_from_slice(two);
            out.resize(out.len() + 13usize.saturating_sub(two.len()).max(1), 0);
        }
        if self.capabilities.contains(Capabilities::PLUGIN_AUTH) {
            out.extend_from_slice(self.plugin);
            out.push(0);
        }
    }

    /// True if the server is MariaDB: its flags or its version say so.
    pub fn is_mariadb(&self) -> bool {
        !self.capabilities.contains(Capabilities::LONG_PASSWORD) || contains_mariadb(self.version)
    }
}

fn contains_mariadb(version: &[u8]) -> bool {
    version.windows(7).any(|w| w.eq_ignore_ascii_case(b"mariadb"))
}
