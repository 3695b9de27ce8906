//! What the sockets of one thread send at the end of a turn of its event loop: all of it with one system call.
//!
//! A message that is sent wakes whoever waits for it, and on a busy core that one then runs at once, in the sender's place. A
//! thread that sends twenty messages in a turn is put off its core up to twenty times, and comes back to cold caches. Handed
//! over together, by io_uring, they cost one system call and at most one such change. See `docs/adr/0015`.
//!
//! ```text
//!            post                    the turn ends                    taken in full
//!   clear ─────────▶ queued ───────────────────────────────────────────────────────▶ clear
//!                      │  a write to the same socket, or its end,       │
//!                      └─ sends the batch before its time               └─▶ owing ──poll_settle──▶ clear
//!                                                                  (the socket was full, or broke)
//! ```
//!
//! A thread has an outbox while [`serve`] runs on it. Where there is none, because io_uring cannot be had or is not wanted,
//! nothing is taken, and callers write as they always did: what is posted here is never needed for anything to be right.
//! It refuses long messages, which are worth a system call of their own, and a second one for a socket that
//! still has one here: order is kept by sending the first.

mod ring;

use super::write::{WriteError, poll_write_all};
use nix::errno::Errno;
use nix::sys::socket::{MsgFlags, send};
use ring::Ring;
use std::cell::{Cell, RefCell};
use std::convert::Infallible;
use std::future::poll_fn;
use std::io;
use std::os::fd::RawFd;
use std::task::{Context, Poll, Waker};
use tokio::io::AsyncWrite;

/// Bytes of the longest message that is taken. Copying one costs less than what is saved.
pub const LONGEST: usize = 16 << 10;
/// Most messages of a batch.
const MESSAGES: usize = 64;
/// Most bytes of a batch.
const BYTES: usize = 256 << 10;
/// Sent at once or not at all, and no signal where the peer has gone.
const FLAGS: MsgFlags = MsgFlags::MSG_DONTWAIT.union(MsgFlags::MSG_NOSIGNAL);

thread_local! {
    static OUTBOX: RefCell<Option<Outbox>> = const { RefCell::new(None) };
    /// The first number that a new outbox may give; 0 is none's. A number never means two messages of a thread.
    static FIRST: Cell<u64> = const { Cell::new(1) };
}

struct Outbox {
    /// None once it has failed: from then on nothing is taken.
    ring: Option<Ring>,
    /// The messages' bytes, one after the other.
    bytes: Vec<u8>,
    messages: Vec<Message>,
    /// What became of each.
    results: Vec<ring::Sent>,
    /// The number of the first of them; those before it have been sent.
    first: u64,
    /// Messages that were not taken in full.
    debts: Vec<Debt>,
    /// Whoever sends the batch at the end of the turn.
    sender: Option<Waker>,
    counts: Counts,
}

/// What a thread has sent together: how much that spares.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Counts {
    /// System calls that sent more than one message.
    pub batches: u64,
    /// The messages that they sent.
    pub messages: u64,
}

struct Message {
    descriptor: RawFd,
    start: usize,
    length: usize,
    /// To be woken if it is not taken in full.
    waker: Waker,
}

/// What came of posting a message.
enum Taken {
    /// It is taken, and has this number.
    As(u64),
    /// There is no room before the batch is sent.
    Full,
    /// None is taken any more, or none yet.
    Not,
}

struct Debt {
    number: u64,
    /// The message; nothing where there is an error.
    message: Vec<u8>,
    /// How much of it the socket has taken.
    written: usize,
    error: Option<io::Error>,
}

/// What a socket has in the outbox of its thread: one message, or none.
///
/// Dropping it sends the message. It must go before its socket does: the descriptor may be another's a moment later.
#[derive(Debug, Default)]
pub struct Posted {
    /// The message's number; 0 for none.
    number: Cell<u64>,
}

/// Sends, at the end of each turn of this thread's event loop, what was posted in it. For ever; dropped, it sends what is there,
/// and from then on nothing is taken.
///
/// # Errors
/// Those of setting up io_uring: it does not exist here, or a sandbox forbids it.
pub async fn serve() -> io::Result<Infallible> {
    /// Ends the outbox with the future that served it.
    struct Service;
    impl Drop for Service {
        fn drop(&mut self) {
            flush();
            if let Some(ended) = OUTBOX.with(|outbox| outbox.borrow_mut().take()) {
                FIRST.set(ended.first);
            }
        }
    }
    let outbox = Outbox::new()?;
    OUTBOX.with(|place| *place.borrow_mut() = Some(outbox));
    let _service = Service;
    poll_fn(|cx| {
        flush();
        with(|outbox| outbox.sender.get_or_insert_with(|| cx.waker().clone()).clone_from(cx.waker()));
        Poll::Pending
    })
    .await
}

/// Calls `use_it` with the thread's outbox, if it has one. Nothing that others wrote may run in it: it is borrowed.
fn with<R>(use_it: impl FnOnce(&mut Outbox) -> R) -> Option<R> {
    OUTBOX.try_with(|outbox| outbox.borrow_mut().as_mut().map(use_it)).ok().flatten()
}

/// What this thread's outbox has sent together so far; nothing where it has none.
pub fn counts() -> Counts {
    with(|outbox| outbox.counts).unwrap_or_default()
}

/// Sends the batch.
fn flush() {
    let Some((mut messages, wake)) = with(Outbox::send) else { return };
    // A waker may be the last that holds a task, and a task may hold sockets that come back here when they are dropped: so
    // nobody is woken and none is dropped before the outbox is free again.
    for waker in wake {
        waker.wake();
    }
    messages.clear();
    with(|outbox| {
        if outbox.messages.capacity() == 0 {
            outbox.messages = messages;
        }
    });
}

impl Posted {
    /// Takes a message for the socket with that descriptor, to be sent at the end of this turn. False: it is not taken, and
    /// has to be written. Once it is, the task is woken if the socket does not take it in full ([`Posted::is_owing`]).
    #[inline]
    pub fn post(&self, descriptor: RawFd, message: &[u8], cx: &Context<'_>) -> bool {
        if message.len() > LONGEST {
            return false;
        }
        if self.is_some() {
            self.send();
            if self.is_some() {
                return false;
            }
        }
        let take = || with(|outbox| outbox.take(descriptor, message, cx));
        let taken = match take() {
            Some(Taken::Full) => {
                flush();
                take()
            }
            taken => taken,
        };
        let Some(Taken::As(number)) = taken else { return false };
        self.number.set(number);
        true
    }

    /// True if a message was posted of which it is not known that all of it has been taken.
    pub fn is_some(&self) -> bool {
        self.number.get() != 0
    }

    /// True if a message has been sent and was not taken in full.
    #[inline]
    pub fn is_owing(&self) -> bool {
        let number = self.number.get();
        if number == 0 {
            return false;
        }
        let (is_queued, is_owing) =
            with(|outbox| (number >= outbox.first, outbox.owes(number))).unwrap_or((false, false));
        if !is_queued && !is_owing {
            self.number.set(0);
        }
        is_owing
    }

    /// Sends the message, if it has not been.
    fn send(&self) {
        let number = self.number.get();
        if with(|outbox| number >= outbox.first) == Some(true) {
            flush();
        }
        self.is_owing();
    }

    /// Sends the message if it has not been, and then writes to `socket` what that did not take.
    ///
    /// # Errors
    /// [`WriteError`], with what had been taken of the message; after it, nothing is posted.
    pub fn poll_settle(
        &self,
        cx: &mut Context<'_>,
        socket: &mut (impl AsyncWrite + Unpin),
    ) -> Poll<Result<(), WriteError>> {
        if !self.is_some() {
            return Poll::Ready(Ok(()));
        }
        self.send();
        let Some(mut debt) = with(|outbox| outbox.forgive(self.number.get())).flatten() else {
            self.number.set(0);
            return Poll::Ready(Ok(()));
        };
        let paid = match debt.error.take() {
            Some(source) => Poll::Ready(Err(WriteError { written: debt.written, source })),
            None => poll_write_all(socket, cx, &debt.message, &mut debt.written),
        };
        if paid.is_pending() {
            with(|outbox| outbox.debts.push(debt));
        } else {
            self.number.set(0);
        }
        paid
    }
}

impl Drop for Posted {
    fn drop(&mut self) {
        if self.is_some() {
            self.send();
            drop(with(|outbox| outbox.forgive(self.number.get())));
        }
    }
}

impl Debt {
    fn new(number: u64, message: &[u8], sent: nix::Result<usize>) -> Self {
        let (written, error) = match sent {
            Ok(written) => (written, None),
            Err(Errno::EAGAIN) => (0, None),
            // It may be on its way: nobody may take it for unsent.
            Err(ring::LOST) => (message.len(), Some(ring::LOST.into())),
            Err(error) => (0, Some(error.into())),
        };
        let message = if error.is_none() { message.to_vec() } else { Vec::new() };
        Self { number, message, written, error }
    }
}

impl Outbox {
    fn new() -> io::Result<Self> {
        Ok(Self {
            ring: Some(Ring::new(MESSAGES)?),
            bytes: Vec::with_capacity(BYTES),
            messages: Vec::with_capacity(MESSAGES),
            results: Vec::with_capacity(MESSAGES),
            first: FIRST.get(),
            debts: Vec::new(),
            sender: None,
            counts: Counts::default(),
        })
    }

    fn take(&mut self, descriptor: RawFd, message: &[u8], cx: &Context<'_>) -> Taken {
        if self.messages.len() == MESSAGES || self.bytes.len() + message.len() > BYTES {
            return Taken::Full;
        }
        let (Some(sender), Some(_)) = (&self.sender, &self.ring) else { return Taken::Not };
        if self.messages.is_empty() {
            // Its turn comes after that of all tasks that are ready now.
            sender.wake_by_ref();
        }
        let number = self.first + self.messages.len() as u64;
        let start = self.bytes.len();
        self.bytes.extend_from_slice(message);
        self.messages.push(Message { descriptor, start, length: message.len(), waker: cx.waker().clone() });
        Taken::As(number)
    }

    fn owes(&self, number: u64) -> bool {
        !self.debts.is_empty() && self.debts.iter().any(|debt| debt.number == number)
    }

    fn forgive(&mut self, number: u64) -> Option<Debt> {
        let place = self.debts.iter().position(|debt| debt.number == number)?;
        Some(self.debts.swap_remove(place))
    }

    /// Sends the batch. Gives back its messages, whose wakers are still to be dropped, and those who must be woken.
    fn send(&mut self) -> (Vec<Message>, Vec<Waker>) {
        let Self { bytes, messages, results, first, debts, .. } = self;
        let messages = std::mem::take(messages);
        results.clear();
        results.resize(messages.len(), None);
        // One alone is sent as ever: that costs less.
        if messages.len() > 1
            && let Some(ring) = &mut self.ring
        {
            self.counts.batches += 1;
            self.counts.messages += messages.len() as u64;
            if let Err(error) = ring.send(messages.iter().map(|m| (m.descriptor, m.of(bytes))), FLAGS.bits(), results) {
                tracing::warn!(%error, "io_uring has failed: messages are sent one by one from now on");
                self.ring = None;
            }
        }
        let mut wake = Vec::new();
        for (message, result) in messages.iter().zip(results) {
            let message_bytes = message.of(bytes);
            let sent = result.unwrap_or_else(|| send(message.descriptor, message_bytes, FLAGS));
            if sent != Ok(message_bytes.len()) {
                debts.push(Debt::new(*first, message_bytes, sent));
                wake.push(message.waker.clone());
            }
            *first += 1;
        }
        bytes.clear();
        (messages, wake)
    }
}

impl Message {
    #[expect(
        clippy::indexing_slicing,
        reason = "a message's place is noted when its bytes are appended, and both are cleared together"
    )]
    fn of<'a>(&self, bytes: &'a [u8]) -> &'a [u8] {
        &bytes[self.start..self.start + self.length]
    }
}

#[cfg(test)]
mod tests;
