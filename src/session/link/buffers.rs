//! The buffers of a worker: one that every read goes into, and spare ones for what has to be kept.
//!
//! A session that waits for its client holds no buffer at all. A read goes into the worker's one scratch buffer and is dealt
//! with before the task gives up its turn; only what could not be dealt with (half a packet, a slow reader's answer) is
//! copied into a buffer from the spares, which goes back when it is empty.

use crate::net::Stream;
use std::cell::RefCell;
use std::future::poll_fn;
use std::io;
use std::pin::Pin;
use std::task::{Context, Poll, ready};
use tokio::io::{AsyncRead, ReadBuf};

/// Bytes that one read may bring.
pub const SCRATCH: usize = 64 << 10;
/// Spare buffers larger than this are given back to the allocator.
const SPARE_CAPACITY: usize = 64 << 10;
/// Spare buffers that a worker keeps.
const SPARES: usize = 256;

/// A worker's buffers.
pub struct Buffers {
    scratch: RefCell<Box<[u8]>>,
    spare: RefCell<Vec<Vec<u8>>>,
}

impl Default for Buffers {
    fn default() -> Self {
        Self {
            scratch: RefCell::new(vec![0; SCRATCH].into_boxed_slice()),
            spare: RefCell::new(Vec::with_capacity(SPARES)),
        }
    }
}

impl Buffers {
    /// An empty buffer.
    pub fn take(&self) -> Vec<u8> {
        self.spare.borrow_mut().pop().unwrap_or_default()
    }

    /// Gives a buffer back. Its content is forgotten.
    pub fn give(&self, mut buffer: Vec<u8>) {
        let mut spare = self.spare.borrow_mut();
        if buffer.capacity() > 0 && buffer.capacity() <= SPARE_CAPACITY && spare.len() < SPARES {
            buffer.clear();
            spare.push(buffer);
        }
    }

    /// Bytes of the scratch buffer and of all spares.
    pub fn bytes(&self) -> usize {
        SCRATCH + self.spare.borrow().iter().map(Vec::capacity).sum::<usize>()
    }

    /// Makes sure that `buffer` has room of its own from the spares before something is kept in it.
    pub fn fill<'a>(&self, buffer: &'a mut Vec<u8>) -> &'a mut Vec<u8> {
        if buffer.capacity() == 0 {
            *buffer = self.take();
        }
        buffer
    }

    /// Lets go of an empty buffer; one that holds something stays.
    pub fn release(&self, buffer: &mut Vec<u8>) {
        if buffer.is_empty() && buffer.capacity() > 0 {
            self.give(std::mem::take(buffer));
        }
    }

    /// Polls one read into the scratch buffer and hands what came to `use_it`, within the same turn.
    /// No bytes means that the peer closed.
    pub fn poll_read<R>(
        &self,
        cx: &mut Context<'_>,
        stream: &mut Stream,
        use_it: impl FnOnce(&[u8], &mut Context<'_>) -> R,
    ) -> Poll<io::Result<R>> {
        let mut scratch = self.scratch.borrow_mut();
        let mut buffer = ReadBuf::new(&mut scratch);
        ready!(Pin::new(stream).poll_read(cx, &mut buffer))?;
        Poll::Ready(Ok(use_it(buffer.filled(), cx)))
    }

    /// Reads once; see [`Buffers::poll_read`]. Cancel safe: bytes are either used or not read.
    pub async fn read<R>(&self, stream: &mut Stream, use_it: impl FnOnce(&[u8]) -> R) -> io::Result<R> {
        let mut use_it = Some(use_it);
        poll_fn(|cx| {
            self.poll_read(cx, stream, |bytes, _| match use_it.take() {
                Some(use_it) => Ok(use_it(bytes)),
                None => Err(io::Error::other("read polled after it was done")),
            })
        })
        .await?
    }
}
