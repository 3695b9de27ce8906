//! The 64-bit number by which operators name a digest.
//!
//! It is computed from the bytes of the digest's text alone, which [`super`] makes. It is no proof that two digests are
//! equal: whoever must not confuse two of them compares their texts.

/// The digest's hash of a digest's text: the same in every process and version of Switchboard.
///
/// Two multiplications for 16 bytes, each folded to its 64 bits: fast, well spread, not secret.
pub fn hash(text: &[u8]) -> u64 {
    const A: u64 = 0x9e37_79b9_7f4a_7c15;
    const B: u64 = 0xd6e8_feb8_6659_fd93;
    #[inline]
    fn fold(a: u64, b: u64) -> u64 {
        let product = u128::from(a) * u128::from(b);
        (product as u64) ^ (product >> 64) as u64
    }
    #[inline]
    fn pair(block: &[u8; 16]) -> (u64, u64) {
        let both = u128::from_le_bytes(*block);
        (both as u64, (both >> 64) as u64)
    }
    let mut state = A ^ (text.len() as u64);
    let (low, high) = if let Some(last) = text.last_chunk::<16>() {
        // All blocks but the last, which may overlap the one before it.
        #[expect(clippy::indexing_slicing, reason = "the text has 16 bytes or more")]
        let (blocks, _) = text[..text.len() - 1].as_chunks::<16>();
        for block in blocks {
            let (low, high) = pair(block);
            state = fold(state ^ low, B ^ high);
        }
        pair(last)
    } else if let (Some(first), Some(last)) = (text.first_chunk::<8>(), text.last_chunk::<8>()) {
        (u64::from_le_bytes(*first), u64::from_le_bytes(*last))
    } else {
        (text.iter().fold(0, |word, &byte| word << 8 | u64::from(byte)), 0)
    };
    fold(fold(state ^ low, B ^ high), A)
}
