//! Commands off the client's socket.
//!
//! A whole request is kept in one buffer, headers included, because that is how it goes on to a backend. While the client
//! is silent there is no buffer at all.

use super::Session;
use super::error::{SessionEnd, StatementError};
use super::link::buffers::Buffers;
use super::memory::{self, FREE, Memory, Share};
use crate::protocol::codec::{HEADER, Header, MAX_FRAME};
use crate::protocol::command::Command;
use crate::telemetry::WorkerCounters;
use std::future::poll_fn;
use std::io;
use std::ops::Range;
use std::rc::Rc;
use std::sync::Arc;
use std::task::{Context, Poll, ready};
use std::time::Duration;

/// The request that is being served, and what the client sent after it.
#[derive(Default)]
pub struct Inbox {
    /// One request, its frames as they came; then bytes of later requests, if the client did not wait.
    bytes: Vec<u8>,
    /// Where the request ends in `bytes`.
    end: usize,
    /// The payload without the headers between its frames; empty where there is one frame.
    joined: Vec<u8>,
    sequence: u8,
    /// What a large request has taken of the process's memory.
    share: Option<Box<Share>>,
}

/// What the bytes at hand amount to.
enum Progress {
    /// Not a request yet.
    More,
    /// A request; it ends there, in so many frames.
    Whole { end: usize, frames: u8 },
    /// The client breaks the protocol.
    Bad(&'static str),
}

/// What the client wants next.
pub(super) enum Next {
    /// This; `None` for a command byte that means nothing here, and for none at all.
    Command(Option<Command>),
    /// It has not said all of it.
    More,
    /// It breaks the protocol.
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
        &self.bytes[..self.end]
    }

    /// Puts `bytes` in the place of what the payload has at `at`. Places beyond the first frame are left alone: what has to
    /// be patched stands at a payload's front.
    pub fn patch(&mut self, at: usize, bytes: &[u8]) {
        let end = self.end;
        let frame = self.bytes.get_mut(..end).unwrap_or_default();
        for (place, start) in [(frame, HEADER + at), (&mut self.joined[..], at)] {
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
    fn look(&self, limit: impl Fn() -> usize) -> Progress {
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

    fn accept(&mut self, end: usize, frames: u8) {
        self.end = end;
        self.sequence = frames.wrapping_sub(1);
        if frames > 1 {
            let mut at = 0;
            while at < end {
                let Some(header) = Header::read(&self.bytes[at..]) else { break };
                let payload: Range<usize> = at + HEADER..at + HEADER + header.length;
                at = payload.end;
                self.joined.extend_from_slice(&self.bytes[payload]);
            }
        }
    }
}

impl Session {
    /// The client's next command, if all of it has come.
    pub(super) fn command_at_hand(&mut self) -> Next {
        if self.inbox.is_empty() {
            return Next::More;
        }
        match self.inbox.look(|| self.worker.snapshot().settings.max_allowed_packet) {
            Progress::Whole { end, frames } => {
                self.inbox.accept(end, frames);
                Next::Command(self.inbox.payload().first().and_then(|byte| Command::from_byte(*byte)))
            }
            Progress::More => Next::More,
            Progress::Bad(why) => Next::Bad(why),
        }
    }

    /// Tells a client that breaks the protocol, once, before it is cut off.
    pub(super) async fn turn_away(&mut self, why: &'static str) -> SessionEnd {
        let (code, state) = if why.contains("max_allowed_packet") { (1153, b"08S01") } else { (1156, b"08S01") };
        let text = if code == 1153 {
            "Got a packet bigger than 'max_allowed_packet' bytes"
        } else {
            "Got packets out of order"
        };
        let packet = crate::protocol::response::ErrPacket::new(code, state, text);
        match self.send_packet(|out| packet.encode(out), 1).await {
            Ok(()) => SessionEnd::Misbehaved(why),
            Err(end) => end,
        }
    }

    /// Tells a client that there is no memory for what it is sending.
    pub(super) async fn turn_away_unread(&mut self, why: StatementError) -> SessionEnd {
        match self.send_error(&why, 1).await {
            Ok(()) => why.into(),
            Err(end) => end,
        }
    }

    /// How long the session may keep what it holds just for what the client may ask next; none if it holds nothing such.
    pub(super) fn patience(&self) -> Option<Duration> {
        self.holds_for_a_while().then(|| self.worker.snapshot().settings.hold_results)
    }

    /// Reads once from the client.
    pub(super) fn poll_read_more(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), SessionEnd>> {
        if self.client.is_owing() {
            ready!(self.poll_deliver(cx))?;
        }
        let Self { worker, inbox, client, .. } = self;
        let read = ready!(worker.buffers.poll_read(cx, client, |bytes, _| {
            worker.buffers.fill(&mut inbox.bytes).extend_from_slice(bytes);
            bytes.len()
        }));
        Poll::Ready(came(read, &worker.stats.counters))
    }

    /// Sends what the client's socket has not taken of the last answer. The session is not at rest before that.
    #[cold]
    fn poll_deliver(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), SessionEnd>> {
        self.ticket.begins(self.worker.ticks());
        let delivered = ready!(self.client.poll_settle(cx));
        self.rest();
        Poll::Ready(delivered.map_err(|error| lost(error.source)))
    }

    /// The same, for so long, or until somebody waits for a connection such as the session holds; then gives it back.
    pub(super) async fn read_for(&mut self, patience: Duration) -> Result<(), SessionEnd> {
        let Some(backend) = self.held_for_a_while().map(|link| Arc::clone(link.backend())) else { return Ok(()) };
        let worker = Rc::clone(&self.worker);
        let mut ticket = None;
        let read = poll_fn(|cx| {
            if let Poll::Ready(read) = self.poll_read_more(cx) {
                return Poll::Ready(Some(read));
            }
            let mut pool = worker.pool.borrow_mut();
            match ticket {
                // Woken and no longer among the holders: called.
                Some(held) if !pool.keep(backend.id, held) => return Poll::Ready(None),
                None if backend.waiting() > 0 => return Poll::Ready(None),
                _ => {}
            }
            ticket = Some(pool.hold(backend.id, cx.waker().clone()));
            Poll::Pending
        });
        let read = tokio::time::timeout(patience, read).await;
        if let Some(ticket) = ticket {
            worker.pool.borrow_mut().keep(backend.id, ticket);
        }
        match read {
            Ok(Some(read)) => read,
            Ok(None) | Err(_) => {
                Box::pin(self.let_go()).await;
                Ok(())
            }
        }
    }
}

fn came(read: io::Result<usize>, counters: &WorkerCounters) -> Result<(), SessionEnd> {
    match read {
        Ok(0) => Err(SessionEnd::Left),
        Ok(bytes) => {
            counters.client_bytes_received.add(bytes as u64);
            Ok(())
        }
        Err(e) => Err(lost(e)),
    }
}

/// How a client leaves whose connection breaks between two commands.
fn lost(error: io::Error) -> SessionEnd {
    match error.kind() {
        io::ErrorKind::ConnectionReset | io::ErrorKind::BrokenPipe => SessionEnd::Left,
        _ => SessionEnd::ClientBroke(error),
    }
}
