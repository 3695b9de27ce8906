//! Requests off the client's socket, as bytes.
//!
//! A whole request is kept in one buffer, headers included, because that is how it goes on to a backend. While the client
//! is silent there is no buffer at all. It refuses to read by itself ([`crate::session::client::requests`] does), and to
//! keep more than memory was taken for ([`crate::session::client::memory`]).

use crate::protocol::codec::{HEADER, Header, MAX_FRAME};
use crate::session::link::buffers::Buffers;
use crate::session::worker::memory;
use crate::session::worker::memory::{FREE, Memory, Share};
use std::ops::Range;
use std::sync::Arc;

/// The request that is being served, and what the client sent after it.
#[derive(Default)]
pub struct Inbox {
    /// One request, its frames as they came; then bytes of later requests, if the client did not wait.
    pub(in crate::session) bytes: Vec<u8>,
    /// Where the request ends in `bytes`.
    end: usize,
    /// The payload without the headers between its frames; empty where there is one frame.
    joined: Vec<u8>,
    sequence: u8,
    /// What a large request has taken of the process's memory.
    share: Option<Box<Share>>,
}

/// What the bytes at hand amount to.
pub(in crate::session) enum Progress {
    /// Not a request yet.
    More,
    /// A request; it ends there, in so many frames.
    Whole { end: usize, frames: u8 },
    /// The client breaks the protocol.
    Bad(&'static str),
}

/// The lowest that `max_allowed_packet` can be set to.
const LEAST_LIMIT: usize = 1_024;

impl Inbox {
    /// The sequence number of the client's last frame.
    pub fn sequence(&self) -> u8 {
        self.sequence
    }

    /// The client has gone on to this sequence number: it sent a file after its request.
    pub fn went_on(&mut self, sequence: u8) {
        self.sequence = sequence;
    }

    /// The request as it came, headers included.
    pub fn frames(&self) -> &[u8] {
        self.bytes.get(..self.end).unwrap_or_default()
    }

    /// Puts `bytes` in the place of what the payload has at `at`. Places beyond the first frame are left alone: what has to
    /// be patched stands at a payload's front.
    pub fn patch(&mut self, at: usize, bytes: &[u8]) {
        let end = self.end;
        let frame = self.bytes.get_mut(..end).unwrap_or_default();
        for (place, start) in [(frame, HEADER + at), (self.joined.as_mut_slice(), at)] {
            if let Some(place) = place.get_mut(start..start + bytes.len()) {
                place.copy_from_slice(bytes);
            }
        }
    }

    /// The request's payload, the command byte first.
    pub fn payload(&self) -> &[u8] {
        if self.joined.is_empty() { self.bytes.get(HEADER..self.end).unwrap_or_default() } else { &self.joined }
    }

    /// The request is done with. What came after it stays.
    pub fn done(&mut self, buffers: &Buffers) {
        if self.end == self.bytes.len() {
            buffers.give(std::mem::take(&mut self.bytes));
        } else {
            self.bytes.drain(..self.end);
        }
        self.end = 0;
        if !self.joined.is_empty() {
            self.joined = Vec::new();
        }
        if self.share.is_some() {
            // What comes after it is counted anew, and has no more room than it needs.
            self.bytes.shrink_to_fit();
            self.share = None;
        }
    }

    /// True if what has come is more than memory was taken for.
    #[inline]
    pub fn lacks_memory(&self) -> bool {
        self.bytes.len() > FREE && memory::cost(self.announced()) > self.share.as_ref().map_or(0, |share| share.bytes())
    }

    /// Bytes that there will be when the frame that is coming has come. Of a request of one frame that is all of it: one that
    /// has begun to take memory has all that it needs, and does not wait for others that wait for it.
    fn announced(&self) -> usize {
        let mut at = 0;
        while let Some(header) = self.bytes.get(at..).and_then(Header::read) {
            at += HEADER + header.length;
            if header.length < MAX_FRAME {
                break;
            }
        }
        at.max(self.bytes.len())
    }

    /// What the request needs, and what it has taken; to be put back by [`Inbox::put_share`].
    pub fn share(&mut self, memory: &Arc<Memory>) -> (usize, Box<Share>) {
        let share = self.share.take().unwrap_or_else(|| Box::new(Share::new(memory)));
        (memory::cost(self.announced()), share)
    }

    /// Keeps what [`Inbox::share`] gave out.
    pub fn put_share(&mut self, share: Box<Share>) {
        self.share = Some(share);
    }

    /// True if the client has sent nothing that is not served yet.
    pub fn is_empty(&self) -> bool {
        self.bytes.is_empty()
    }

    /// Looks whether the bytes at hand are a request.
    pub(in crate::session) fn look(&self, limit: impl Fn() -> usize) -> Progress {
        let (mut at, mut total, mut frames) = (0usize, 0usize, 0u8);
        loop {
            let Some(header) = self.bytes.get(at..).and_then(Header::read) else { return Progress::More };
            if header.sequence != frames {
                return Progress::Bad("packet out of order");
            }
            total = total.saturating_add(header.length);
            // The limit is never lower than that, and seldom worth a look.
            if total > LEAST_LIMIT && total > limit() {
                return Progress::Bad("packet larger than max_allowed_packet");
            }
            at += HEADER + header.length;
            frames = frames.wrapping_add(1);
            if header.length < MAX_FRAME {
                break;
            }
        }
        if at > self.bytes.len() { Progress::More } else { Progress::Whole { end: at, frames } }
    }

    /// Makes the bytes up to `end` the request that is served.
    pub(in crate::session) fn accept(&mut self, end: usize, frames: u8) {
        self.end = end;
        self.sequence = frames.wrapping_sub(1);
        if frames > 1 {
            let mut at = 0;
            while at < end {
                let Some(header) = self.bytes.get(at..).and_then(Header::read) else { break };
                let payload: Range<usize> = at + HEADER..at + HEADER + header.length;
                at = payload.end;
                self.joined.extend_from_slice(self.bytes.get(payload).unwrap_or_default());
            }
        }
    }
}
