//! Frames and primitive types of the wire.
//!
//! A frame is a header of four bytes (payload length, three bytes little-endian; sequence number, one byte) and a payload
//! of at most 2^24-1 bytes; a packet whose payload is that long or longer goes on in the next frame.
//! Source: MariaDB Knowledge Base "0 - Packet", MySQL manual "Protocol Basics".

/// Bytes of a frame's header.
pub const HEADER: usize = 4;
/// The largest payload of one frame. A frame this long is followed by another of the same packet.
pub const MAX_FRAME: usize = 0xff_ff_ff;

/// A decoded frame header.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Header {
    /// Payload bytes in this frame.
    pub length: usize,
    /// Sequence number.
    pub sequence: u8,
}

impl Header {
    /// Reads a header from the first four bytes; `None` if there are fewer.
    #[inline]
    pub fn read(bytes: &[u8]) -> Option<Header> {
        match *bytes {
            [a, b, c, sequence, ..] => Some(Header { length: u32::from_le_bytes([a, b, c, 0]) as usize, sequence }),
            _ => None,
        }
    }

    /// The header's four bytes. Lengths over [`MAX_FRAME`] cannot be said and are cut to it.
    #[inline]
    pub fn bytes(self) -> [u8; HEADER] {
        let [a, b, c, _] = (self.length.min(MAX_FRAME) as u32).to_le_bytes();
        [a, b, c, self.sequence]
    }
}

/// Appends `payload` to `out` as one packet, in as many frames as it needs; returns the sequence number after it.
pub fn put_packet(out: &mut Vec<u8>, payload: &[u8], mut sequence: u8) -> u8 {
    let mut rest = payload;
    loop {
        let (frame, tail) = rest.split_at(rest.len().min(MAX_FRAME));
        out.extend_from_slice(&Header { length: frame.len(), sequence }.bytes());
        out.extend_from_slice(frame);
        sequence = sequence.wrapping_add(1);
        rest = tail;
        if frame.len() < MAX_FRAME {
            return sequence;
        }
    }
}

/// Appends a length-encoded integer.
pub fn put_lenenc(out: &mut Vec<u8>, value: u64) {
    match value {
        0..=250 => out.push(value as u8),
        251..=0xffff => {
            out.push(0xfc);
            out.extend_from_slice(&(value as u16).to_le_bytes());
        }
        0x1_0000..=0xff_ffff => {
            out.push(0xfd);
            out.extend_from_slice(&(value as u32).to_le_bytes()[..3]);
        }
        _ => {
            out.push(0xfe);
            out.extend_from_slice(&value.to_le_bytes());
        }
    }
}

/// Appends a length-encoded string.
pub fn put_lenenc_bytes(out: &mut Vec<u8>, value: &[u8]) {
    put_lenenc(out, value.len() as u64);
    out.extend_from_slice(value);
}

/// A payload is shorter than its own fields say.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("packet is shorter than its fields")]
pub struct Truncated;

/// Reads primitive types off the front of a payload. Never panics, never reads past the end.
#[derive(Clone, Copy, Debug)]
pub struct Reader<'a> {
    rest: &'a [u8],
}

impl<'a> Reader<'a> {
    /// A reader at the front of `payload`.
    #[inline]
    pub fn new(payload: &'a [u8]) -> Self {
        Self { rest: payload }
    }

    /// What has not been read yet.
    #[inline]
    pub fn rest(&self) -> &'a [u8] {
        self.rest
    }

    /// True if everything has been read.
    #[inline]
    pub fn is_empty(&self) -> bool {
        self.rest.is_empty()
    }

    /// The next `n` bytes.
    #[inline]
    pub fn bytes(&mut self, n: usize) -> Result<&'a [u8], Truncated> {
        let (head, tail) = self.rest.split_at_checked(n).ok_or(Truncated)?;
        self.rest = tail;
        Ok(head)
    }

    #[inline]
    fn array<const N: usize>(&mut self) -> Result<[u8; N], Truncated> {
        let (head, tail) = self.rest.split_first_chunk::<N>().ok_or(Truncated)?;
        self.rest = tail;
        Ok(*head)
    }

    /// One byte.
    #[inline]
    pub fn u8(&mut self) -> Result<u8, Truncated> {
        self.array::<1>().map(|[b]| b)
    }

    /// Two bytes, little-endian.
    #[inline]
    pub fn u16(&mut self) -> Result<u16, Truncated> {
        self.array().map(u16::from_le_bytes)
    }

    /// Four bytes, little-endian.
    #[inline]
    pub fn u32(&mut self) -> Result<u32, Truncated> {
        self.array().map(u32::from_le_bytes)
    }

    /// Eight bytes, little-endian.
    #[inline]
    pub fn u64(&mut self) -> Result<u64, Truncated> {
        self.array().map(u64::from_le_bytes)
    }

    /// A length-encoded integer. The bytes 0xfb (NULL) and 0xff (ERR) are no integers and count as truncated.
    #[inline]
    pub fn lenenc(&mut self) -> Result<u64, Truncated> {
        match self.u8()? {
            n @ 0..=0xfa => Ok(u64::from(n)),
            0xfc => self.u16().map(u64::from),
            0xfd => self.array::<3>().map(|[a, b, c]| u64::from(u32::from_le_bytes([a, b, c, 0]))),
            0xfe => self.u64(),
            0xfb | 0xff => Err(Truncated),
        }
    }

    /// A length-encoded string.
    #[inline]
    pub fn lenenc_bytes(&mut self) -> Result<&'a [u8], Truncated> {
        let n = self.lenenc()?;
        self.bytes(usize::try_from(n).map_err(|_| Truncated)?)
    }

    /// A string that ends with a zero byte; the zero is consumed and not returned.
    #[inline]
    pub fn nul_bytes(&mut self) -> Result<&'a [u8], Truncated> {
        let end = memchr::memchr(0, self.rest).ok_or(Truncated)?;
        let head = self.bytes(end)?;
        self.bytes(1)?;
        Ok(head)
    }

    /// A string that ends with a zero byte, or with the payload where the zero was left out.
    #[inline]
    pub fn nul_or_rest(&mut self) -> &'a [u8] {
        self.nul_bytes().unwrap_or_else(|Truncated| std::mem::take(&mut self.rest))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn length_encoded_integers_round_trip() {
        for value in [0, 1, 250, 251, 252, 255, 256, 0xffff, 0x1_0000, 0xff_ffff, 0x100_0000, u64::MAX] {
            let mut out = Vec::new();
            put_lenenc(&mut out, value);
            let mut reader = Reader::new(&out);
            assert_eq!(reader.lenenc(), Ok(value));
            assert!(reader.is_empty());
            for cut in 0..out.len() {
                assert_eq!(Reader::new(&out[..cut]).lenenc(), Err(Truncated), "{value} cut at {cut}");
            }
        }
    }

    #[test]
    fn a_length_beyond_the_end_is_truncated_not_a_panic() {
        for bytes in
            [&b"\xfe\xff\xff\xff\xff\xff\xff\xff\xffabc"[..], b"\xfd\xff\xff\xff", b"\x05abcd", b"\xfb", b"\xff"]
        {
            assert_eq!(Reader::new(bytes).lenenc_bytes(), Err(Truncated));
        }
        assert_eq!(Reader::new(b"abc").nul_bytes(), Err(Truncated));
    }

    #[test]
    fn packets_are_cut_into_frames_and_an_exact_multiple_gets_an_empty_one() {
        for (payload, frames) in [(0, 1), (1, 1), (MAX_FRAME - 1, 1), (MAX_FRAME, 2), (MAX_FRAME + 1, 2)] {
            let mut out = Vec::new();
            let next = put_packet(&mut out, &vec![7; payload], 254);
            assert_eq!(next, 254u8.wrapping_add(frames));
            assert_eq!(out.len(), payload + usize::from(frames) * HEADER);
        }
    }
}
