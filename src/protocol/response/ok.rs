//! The OK and EOF packets: reading those of a server, writing our own, and rewriting an OK packet for a client that did
//! not ask for session tracking.
//!
//! The session state changes in an OK packet stay undecoded here; [`StateChanges`] reads them. Whether a packet is an
//! OK or an EOF at all is decided by [`crate::protocol::tracker`], not here.

use super::StateChanges;
use crate::protocol::capabilities::Capabilities;
use crate::protocol::codec::{Reader, Truncated, put_lenenc, put_lenenc_bytes};
use crate::protocol::status::Status;

/// An OK packet, decoded.
///
/// Wire: `00` (or `fe` at the end of rows), affected rows, last insert id (both length-encoded), status, warnings, then the
/// info text, and with SESSION_TRACK the state changes if the status says that there are some. The manual has the info
/// text run to the end where there is no SESSION_TRACK; MySQL and MariaDB write its length there too, and clients read
/// it so. Source: MySQL manual "Protocol::OK_Packet", both servers seen.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct OkPacket<'a> {
    /// First byte: `0x00`, or `0xfe` where an OK takes the place of an EOF.
    pub header: u8,
    /// Rows that the statement changed (or found).
    pub affected_rows: u64,
    /// Last AUTO_INCREMENT value, or 0.
    pub last_insert_id: u64,
    /// Status flags.
    pub status: Status,
    /// Number of warnings.
    pub warnings: u16,
    /// Text for people.
    pub info: &'a [u8],
    /// Session state changes, undecoded; empty if there are none.
    pub state: &'a [u8],
}

impl Default for OkPacket<'_> {
    fn default() -> Self {
        Self {
            header: 0,
            affected_rows: 0,
            last_insert_id: 0,
            status: Status::AUTOCOMMIT,
            warnings: 0,
            info: b"",
            state: b"",
        }
    }
}

impl<'a> OkPacket<'a> {
    /// Decodes an OK packet, first byte included; `capabilities` are those of the connection it came on. The first byte
    /// is kept and not checked.
    ///
    /// # Errors
    /// [`Truncated`] if a field is cut short.
    pub fn decode(payload: &'a [u8], capabilities: Capabilities) -> Result<Self, Truncated> {
        let mut r = Reader::new(payload);
        let header = r.u8()?;
        let affected_rows = r.lenenc()?;
        let last_insert_id = r.lenenc()?;
        let status = Status::from_bits_retain(r.u16()?);
        let warnings = r.u16()?;
        let mut ok = Self { header, affected_rows, last_insert_id, status, warnings, info: b"", state: b"" };
        if !capabilities.contains(Capabilities::SESSION_TRACK) {
            ok.info = r.rest();
            // Servers write a length here too, whatever the manual says; take the rest as it is if that does not fit.
            if let Ok(info) = r.lenenc_bytes()
                && r.is_empty()
            {
                ok.info = info;
            }
            return Ok(ok);
        }
        if !r.is_empty() {
            ok.info = r.lenenc_bytes()?;
        }
        if status.contains(Status::SESSION_STATE_CHANGED) && !r.is_empty() {
            ok.state = r.lenenc_bytes()?;
        }
        Ok(ok)
    }

    /// Appends the packet as a peer with `capabilities` expects it. State changes are said only if both the status flag is
    /// set and the peer has SESSION_TRACK; without the latter the flag is taken out.
    pub fn encode(&self, out: &mut Vec<u8>, capabilities: Capabilities) {
        let track = capabilities.contains(Capabilities::SESSION_TRACK);
        let status = if track { self.status } else { self.status.difference(Status::SESSION_STATE_CHANGED) };
        out.push(self.header);
        put_lenenc(out, self.affected_rows);
        put_lenenc(out, self.last_insert_id);
        out.extend_from_slice(&status.bits().to_le_bytes());
        out.extend_from_slice(&self.warnings.to_le_bytes());
        let changed = status.contains(Status::SESSION_STATE_CHANGED);
        if !self.info.is_empty() || changed {
            put_lenenc_bytes(out, self.info);
        }
        if changed {
            put_lenenc_bytes(out, self.state);
        }
    }

    /// The session state changes.
    pub fn changes(&self) -> StateChanges<'a> {
        StateChanges::new(self.state)
    }
}

/// Appends to `out` the OK packet `payload`, which came with SESSION_TRACK, as a client without SESSION_TRACK expects it:
/// no state changes, and no flag that says there are some. Nothing else differs.
///
/// # Errors
/// [`Truncated`] if `payload` is cut short; `out` is unchanged then.
pub fn without_session_track(payload: &[u8], out: &mut Vec<u8>) -> Result<(), Truncated> {
    let ok = OkPacket::decode(payload, Capabilities::SESSION_TRACK)?;
    ok.encode(out, Capabilities::empty());
    Ok(())
}

/// Gives an OK or EOF packet the lasting flags of `status` in the place of its own.
///
/// # Errors
/// [`Truncated`].
pub fn replace_lasting_flags(payload: &mut [u8], status: Status) -> Result<(), Truncated> {
    let mut r = Reader::new(payload);
    r.u8()?;
    if is_eof(payload) {
        // The number of warnings.
        r.u16()?;
    } else {
        r.lenenc()?;
        r.lenenc()?;
    }
    let at = payload.len() - r.rest().len();
    let own = Status::from_bits_retain(r.u16()?);
    let shown = (own - Status::LASTING) | (status & Status::LASTING);
    payload.get_mut(at..at + 2).ok_or(Truncated)?.copy_from_slice(&shown.bits().to_le_bytes());
    Ok(())
}

/// True for an EOF packet: one that begins as an OK packet behind rows does, and is as short as no such packet.
pub fn is_eof(payload: &[u8]) -> bool {
    payload.len() == 5 && payload.first() == Some(&0xfe)
}

/// An EOF packet. Wire: `fe`, warnings, status. Source: MySQL manual "Protocol::EOF_Packet".
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct EofPacket {
    /// Number of warnings.
    pub warnings: u16,
    /// Status flags.
    pub status: Status,
}

impl EofPacket {
    /// Decodes an EOF packet, first byte included and not checked.
    ///
    /// # Errors
    /// [`Truncated`].
    pub fn decode(payload: &[u8]) -> Result<Self, Truncated> {
        let mut r = Reader::new(payload);
        r.u8()?;
        Ok(Self { warnings: r.u16()?, status: Status::from_bits_retain(r.u16()?) })
    }

    /// Appends the packet.
    pub fn encode(&self, out: &mut Vec<u8>) {
        out.push(0xfe);
        out.extend_from_slice(&self.warnings.to_le_bytes());
        out.extend_from_slice(&self.status.bits().to_le_bytes());
    }
}
