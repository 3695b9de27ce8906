//! Whole packets from and to a stream, for the places that are not in a hurry: sign-in, health checks, the admin port.
//!
//! The relay does not come here: it never waits for a whole packet.

use super::Stream;
use std::io;
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWriteExt};

#[cfg(test)]
mod tests;

/// The largest payload of one frame; a packet of this size or more continues in the next frame.
pub const MAX_FRAME: usize = 0xff_ff_ff;

/// Reads one packet (all its frames) into `payload`, replacing what was there, and returns its last sequence number.
///
/// # Errors
/// `UnexpectedEof` if the peer closed, `InvalidData` if the packet is larger than `limit` (nothing of that size is
/// allocated first) or its frames are out of sequence. Not cancel safe: a packet that was half read is lost.
pub async fn read_packet(stream: &mut Stream, payload: &mut Vec<u8>, limit: usize) -> io::Result<u8> {
    payload.clear();
    let mut expected: Option<u8> = None;
    loop {
        let mut header = [0u8; 4];
        stream.read_exact(&mut header).await?;
        let length = u32::from_le_bytes([header[0], header[1], header[2], 0]) as usize;
        let sequence = header[3];
        if expected.is_some_and(|e| e != sequence) {
            return Err(io::Error::new(io::ErrorKind::InvalidData, "packet frames out of sequence"));
        }
        if payload.len().saturating_add(length) > limit {
            return Err(io::Error::new(io::ErrorKind::InvalidData, "packet larger than allowed"));
        }
        let read = (&mut *stream).take(length as u64).read_to_end(payload).await?;
        if read < length {
            return Err(io::ErrorKind::UnexpectedEof.into());
        }
        if length < MAX_FRAME {
            return Ok(sequence);
        }
        expected = Some(sequence.wrapping_add(1));
    }
}

/// Appends `payload` to `out` as frames, the first with `sequence`; returns the sequence number that comes next.
pub fn put_packet(out: &mut Vec<u8>, payload: &[u8], mut sequence: u8) -> u8 {
    let mut rest = payload;
    loop {
        let (frame, tail) = rest.split_at(rest.len().min(MAX_FRAME));
        let length = (frame.len() as u32).to_le_bytes();
        out.extend_from_slice(&[length[0], length[1], length[2], sequence]);
        out.extend_from_slice(frame);
        sequence = sequence.wrapping_add(1);
        rest = tail;
        if frame.len() < MAX_FRAME {
            return sequence;
        }
    }
}

/// Writes one packet and flushes; returns the sequence number that comes next. Not cancel safe.
///
/// # Errors
/// Those of the stream.
pub async fn write_packet(stream: &mut Stream, payload: &[u8], sequence: u8) -> io::Result<u8> {
    let mut out = Vec::with_capacity(payload.len() + 4);
    let next = put_packet(&mut out, payload, sequence);
    stream.write_all(&out).await?;
    stream.flush().await?;
    Ok(next)
}

/// Room that a [`PacketReader`] starts with: most sign-in packets fit.
const FIRST_READ: usize = 512;

/// Reads small packets with one system call each, as a rule, by taking whatever is there.
///
/// What it read beyond a packet stays inside, so a stream must be read through the same reader until [`PacketReader::rest`]
/// is empty, or the rest be taken along. Holds one packet at most, and no more room than its limit.
#[derive(Debug, Default)]
pub struct PacketReader {
    buffer: Vec<u8>,
    /// Where the next packet starts.
    next: usize,
}

/// A packet that a [`PacketReader`] has read.
#[derive(Debug)]
pub struct Incoming<'a> {
    /// Its sequence number.
    pub sequence: u8,
    /// Its payload.
    pub payload: &'a [u8],
}

impl PacketReader {
    /// A reader that has read nothing.
    pub fn new() -> Self {
        Self::default()
    }

    /// Reads the next packet, of one frame and at most `limit` bytes. Not cancel safe, unless the reader is dropped too.
    ///
    /// # Errors
    /// `UnexpectedEof` if the peer closed; `ConnectionAborted` if it closed without a single byte of a packet;
    /// `InvalidData` if the packet is longer than `limit`.
    pub async fn read<S: AsyncRead + Unpin>(&mut self, stream: &mut S, limit: usize) -> io::Result<Incoming<'_>> {
        self.buffer.drain(..self.next);
        self.next = 0;
        let mut want = 4;
        loop {
            if let [a, b, c, sequence, payload @ ..] = self.buffer.as_slice() {
                let length = u32::from_le_bytes([*a, *b, *c, 0]) as usize;
                if length > limit.min(MAX_FRAME - 1) {
                    return Err(io::Error::new(io::ErrorKind::InvalidData, "packet larger than allowed"));
                }
                want = 4 + length;
                if payload.len() >= length {
                    let sequence = *sequence;
                    self.next = want;
                    #[expect(
                        clippy::indexing_slicing,
                        reason = "the buffer holds four bytes of header and the payload, as was just seen"
                    )]
                    return Ok(Incoming { sequence, payload: &self.buffer[4..want] });
                }
            }
            self.buffer.reserve(FIRST_READ.max(want.saturating_sub(self.buffer.len())));
            if stream.read_buf(&mut self.buffer).await? == 0 {
                let kind = match self.buffer.is_empty() {
                    true => io::ErrorKind::ConnectionAborted,
                    false => io::ErrorKind::UnexpectedEof,
                };
                return Err(kind.into());
            }
        }
    }

    /// What has been read beyond the last packet.
    #[expect(clippy::indexing_slicing, reason = "`next` is where a packet ends that the buffer holds")]
    pub fn rest(&self) -> &[u8] {
        &self.buffer[self.next..]
    }
}
