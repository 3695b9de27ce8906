//! Whole packets from and to a stream, for the places that are not in a hurry: sign-in, health checks, the admin port.
//!
//! The relay does not come here: it never waits for a whole packet.

use super::Stream;
use std::io;
use tokio::io::{AsyncReadExt, AsyncWriteExt};

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
