//! A plain TCP or unix socket whose bytes go out in the order in which they were given, whether they were posted or
//! written.
//!
//! A message that is posted goes out with those of other sockets at the end of the worker's turn ([`super::outbox`]); a
//! write waits until what was posted before it has gone. [`super::stream::Stream`] is made of such sockets. TLS has no
//! part here.

use super::outbox::Posted;
use super::write::WriteError;
use std::io;
use std::ops::Deref;
use std::os::fd::AsRawFd;
use std::pin::Pin;
use std::task::{Context, Poll, ready};
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::net::{TcpStream, UnixStream};

/// A plain socket. Its bytes go out in the order in which they were given, posted or written.
#[derive(Debug)]
pub struct Socket<S> {
    // Dropped first: what is posted goes out before the socket is closed.
    posted: Posted,
    inner: S,
}

/// A socket that can be written to without asking who is to be woken.
pub trait WriteNow: AsyncRead + AsyncWrite + AsRawFd + Unpin {
    /// Writes what the socket takes at once.
    ///
    /// # Errors
    /// Those of the socket; `WouldBlock` if it takes nothing now.
    fn write_now(&self, bytes: &[u8]) -> io::Result<usize>;
}

impl WriteNow for TcpStream {
    fn write_now(&self, bytes: &[u8]) -> io::Result<usize> {
        self.try_write(bytes)
    }
}

impl WriteNow for UnixStream {
    fn write_now(&self, bytes: &[u8]) -> io::Result<usize> {
        self.try_write(bytes)
    }
}

impl<S> From<S> for Socket<S> {
    fn from(inner: S) -> Self {
        Self { posted: Posted::default(), inner }
    }
}

impl<S> Deref for Socket<S> {
    type Target = S;

    fn deref(&self) -> &S {
        &self.inner
    }
}

impl<S> Socket<S> {
    /// The socket alone. What was posted has been sent, as far as the socket took it.
    pub fn into_inner(self) -> S {
        drop(self.posted);
        self.inner
    }
}

impl<S: WriteNow> Socket<S> {
    /// See [`Posted::post`].
    #[inline]
    pub fn post(&self, message: &[u8], cx: &Context<'_>) -> bool {
        self.posted.post(self.inner.as_raw_fd(), message, cx)
    }

    /// See [`Posted::is_owing`].
    #[inline]
    pub fn is_owing(&self) -> bool {
        self.posted.is_owing()
    }

    /// See [`Posted::poll_settle`].
    pub fn poll_settle(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), WriteError>> {
        let Self { posted, inner } = self;
        posted.poll_settle(cx, inner)
    }

    fn poll_in_order(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        match self.posted.is_some() {
            false => Poll::Ready(Ok(())),
            true => self.poll_settle(cx).map_err(|error| error.source),
        }
    }
}

impl<S: WriteNow> AsyncRead for Socket<S> {
    fn poll_read(mut self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.inner).poll_read(cx, buf)
    }
}

impl<S: WriteNow> AsyncWrite for Socket<S> {
    fn poll_write(mut self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &[u8]) -> Poll<io::Result<usize>> {
        ready!(self.poll_in_order(cx))?;
        // A socket nearly always takes what it is given; who wants to be woken is asked only where it does not.
        match self.inner.write_now(buf) {
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => Pin::new(&mut self.inner).poll_write(cx, buf),
            done => Poll::Ready(done),
        }
    }
    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        ready!(self.poll_in_order(cx))?;
        Pin::new(&mut self.inner).poll_flush(cx)
    }
    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        ready!(self.poll_in_order(cx))?;
        Pin::new(&mut self.inner).poll_shutdown(cx)
    }
}
