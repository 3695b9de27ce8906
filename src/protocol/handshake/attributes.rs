//! Connection attributes: names and values by which a client describes itself at sign-in (`program_name`,
//! `_client_name`, …).
//!
//! [`super::HandshakeResponse`] and [`super::ChangeUser`] carry them as one block of bytes. The block is read only when
//! somebody asks for a value, and nothing that a client says in it is believed or interpreted here.

use crate::protocol::codec::{Reader, put_lenenc_bytes};

/// Connection attributes, as the bytes they came in: pairs of length-encoded strings.
///
/// Nothing is checked when they arrive; [`Attributes::iter`] stops at the first pair that is cut short.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Attributes<'a>(pub &'a [u8]);

impl<'a> Attributes<'a> {
    /// The pairs, in their order.
    pub fn iter(self) -> impl Iterator<Item = (&'a [u8], &'a [u8])> {
        let mut reader = Reader::new(self.0);
        std::iter::from_fn(move || {
            let pair = (reader.lenenc_bytes().ok()?, reader.lenenc_bytes().ok()?);
            Some(pair)
        })
    }

    /// The value of the first attribute of that name.
    pub fn get(self, name: &[u8]) -> Option<&'a [u8]> {
        self.iter().find(|(n, _)| *n == name).map(|(_, value)| value)
    }
}

/// Appends one attribute to an attribute block under construction.
pub fn put_attribute(block: &mut Vec<u8>, name: &[u8], value: &[u8]) {
    put_lenenc_bytes(block, name);
    put_lenenc_bytes(block, value);
}
