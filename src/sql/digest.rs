//! A statement with its literals out, in one pass.

use super::LexMode;

/// One literal that the digest replaced, and where it stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Literal {
    /// Which `?` of the digest it belongs to, counted from 0. A folded list shares one slot.
    pub slot: u32,
    /// Byte offset of its first byte (a quote included).
    pub start: u32,
    /// Byte offset after its last byte.
    pub end: u32,
}

/// A digest and its literals, in buffers that are used again for every statement: no allocation in the steady state.
#[derive(Clone, Debug, Default)]
pub struct Digest {
    /// The digest's text.
    pub text: Vec<u8>,
    /// The literals that went out, in the order of the text. Parameters (`?`) of prepared statements are slots too.
    pub literals: Vec<Literal>,
    /// 64-bit hash of `text`. The same text has the same hash in every process and version (operators write it in rules).
    pub hash: u64,
}

impl Digest {
    /// Makes the digest of `sql`, replacing what was here.
    pub fn read(&mut self, _sql: &[u8], _mode: LexMode) {
        self.text.clear();
        self.literals.clear();
    }
}
