//! The ERR packet: reading one that a server sent, and writing one of our own.
//!
//! It carries a code, a SQLSTATE and a text, and chooses none of them: the modules that refuse something say which
//! error it is, each in one file of its own.

use crate::protocol::codec::{Reader, Truncated};
use std::borrow::Cow;

/// An error as MySQL says it.
///
/// Wire: `ff`, code (2 bytes), and for 4.1 clients `#` and five bytes of SQLSTATE, then the text to the end. An error in
/// place of a greeting has no SQLSTATE, because nothing is agreed yet. Source: MySQL manual "Protocol::ERR_Packet".
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ErrPacket<'a> {
    /// Error code.
    pub code: u16,
    /// SQLSTATE; `None` if the packet has none.
    pub state: Option<[u8; 5]>,
    /// Text, as sent.
    pub message: Cow<'a, [u8]>,
}

impl<'a> ErrPacket<'a> {
    /// An error of our own.
    pub fn new(code: u16, state: &[u8; 5], message: impl Into<String>) -> ErrPacket<'static> {
        ErrPacket { code, state: Some(*state), message: Cow::Owned(message.into().into_bytes()) }
    }

    /// Decodes an ERR packet, first byte included. The first byte itself is not looked at.
    ///
    /// # Errors
    /// [`Truncated`] if there is no room for a code.
    pub fn decode(payload: &'a [u8]) -> Result<Self, Truncated> {
        let mut r = Reader::new(payload);
        r.u8()?;
        let code = r.u16()?;
        let rest = r.rest();
        let (state, message) = match rest {
            [b'#', a, b, c, d, e, message @ ..] => (Some([*a, *b, *c, *d, *e]), message),
            _ => (None, rest),
        };
        Ok(Self { code, state, message: Cow::Borrowed(message) })
    }

    /// Appends the packet; the SQLSTATE only if there is one.
    pub fn encode(&self, out: &mut Vec<u8>) {
        out.push(0xff);
        out.extend_from_slice(&self.code.to_le_bytes());
        if let Some(state) = self.state {
            out.push(b'#');
            out.extend_from_slice(&state);
        }
        out.extend_from_slice(&self.message);
    }

    /// The text for a log or for another error's text; bytes that are no UTF-8 are replaced.
    pub fn text(&self) -> Cow<'_, str> {
        String::from_utf8_lossy(&self.message)
    }

    /// The same error, owning its text.
    pub fn into_owned(self) -> ErrPacket<'static> {
        ErrPacket { code: self.code, state: self.state, message: Cow::Owned(self.message.into_owned()) }
    }
}

impl std::fmt::Display for ErrPacket<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let state = self.state.unwrap_or(*b"HY000");
        write!(f, "{} ({}): {}", self.code, String::from_utf8_lossy(&state), self.text())
    }
}
