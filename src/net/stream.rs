//! One byte stream, whatever carries it: TCP, a unix socket, or TLS over either.
//!
//! The relay speaks to this type alone. What is posted to a plain socket goes out with what others have posted
//! ([`super::outbox`]).

use super::socket::Socket;
use super::write::{WriteError, poll_write_all};
use std::future::poll_fn;
use std::io;
use std::os::fd::AsRawFd;
use std::pin::Pin;
use std::task::{Context, Poll};
use tokio::io::{AsyncRead, AsyncWrite, Interest, ReadBuf};
use tokio::net::{TcpStream, UnixStream};

/// A connected byte stream.
#[derive(Debug)]
pub enum Stream {
    /// Plain TCP, with `TCP_NODELAY`.
    Tcp(Socket<TcpStream>),
    /// A unix domain socket.
    Unix(Socket<UnixStream>),
    /// TLS, we being the server. Boxed: a TLS state is a hundred times the size of a socket.
    TlsServer(Box<tokio_rustls::server::TlsStream<Plain>>),
    /// TLS, we being the client.
    TlsClient(Box<tokio_rustls::client::TlsStream<Plain>>),
}

/// What TLS can run over.
#[derive(Debug)]
pub enum Plain {
    /// Plain TCP.
    Tcp(TcpStream),
    /// A unix domain socket.
    Unix(UnixStream),
}

macro_rules! each_stream {
    ($self:expr, $s:ident => $e:expr) => {
        match $self.get_mut() {
            Stream::Tcp($s) => $e,
            Stream::Unix($s) => $e,
            Stream::TlsServer($s) => $e,
            Stream::TlsClient($s) => $e,
        }
    };
}

macro_rules! each_plain {
    ($self:expr, $s:ident => $e:expr) => {
        match $self.get_mut() {
            Plain::Tcp($s) => $e,
            Plain::Unix($s) => $e,
        }
    };
}

impl AsyncRead for Stream {
    fn poll_read(self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        each_stream!(self, s => Pin::new(s).poll_read(cx, buf))
    }
}

impl AsyncWrite for Stream {
    fn poll_write(self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &[u8]) -> Poll<io::Result<usize>> {
        each_stream!(self, s => Pin::new(s).poll_write(cx, buf))
    }
    fn poll_flush(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        each_stream!(self, s => Pin::new(s).poll_flush(cx))
    }
    fn poll_shutdown(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        each_stream!(self, s => Pin::new(s).poll_shutdown(cx))
    }
}

impl AsyncRead for Plain {
    fn poll_read(self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        each_plain!(self, s => Pin::new(s).poll_read(cx, buf))
    }
}

impl AsyncWrite for Plain {
    fn poll_write(self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &[u8]) -> Poll<io::Result<usize>> {
        each_plain!(self, s => Pin::new(s).poll_write(cx, buf))
    }
    fn poll_flush(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        each_plain!(self, s => Pin::new(s).poll_flush(cx))
    }
    fn poll_shutdown(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        each_plain!(self, s => Pin::new(s).poll_shutdown(cx))
    }
}

impl Stream {
    /// True if the bytes are protected on their way: TLS, or a socket that never leaves the machine.
    pub fn is_secure(&self) -> bool {
        !matches!(self, Stream::Tcp(_))
    }

    /// The number of the socket below, for people.
    pub fn descriptor(&self) -> i32 {
        match self {
            Stream::Tcp(s) => s.as_raw_fd(),
            Stream::Unix(s) => s.as_raw_fd(),
            Stream::TlsServer(s) => s.get_ref().0.descriptor(),
            Stream::TlsClient(s) => s.get_ref().0.descriptor(),
        }
    }

    /// The socket below has something to read, or is closed; asks the event loop, not the system.
    pub fn poll_socket_ready(&self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        match self {
            Stream::Tcp(s) => s.poll_read_ready(cx),
            Stream::Unix(s) => s.poll_read_ready(cx),
            Stream::TlsServer(s) => s.get_ref().0.poll_socket_ready(cx),
            Stream::TlsClient(s) => s.get_ref().0.poll_socket_ready(cx),
        }
    }

    /// True if the socket below has something to read, or is closed, as far as the event loop has seen.
    pub fn is_socket_ready(&self) -> bool {
        // Done on a socket that is ready, and left alone on one that is not; no system call either way.
        let seen = || Ok(());
        match self {
            Stream::Tcp(s) => s.try_io(Interest::READABLE, seen).is_ok(),
            Stream::Unix(s) => s.try_io(Interest::READABLE, seen).is_ok(),
            Stream::TlsServer(s) => s.get_ref().0.is_socket_ready(),
            Stream::TlsClient(s) => s.get_ref().0.is_socket_ready(),
        }
    }

    /// True if the peer has closed its side, as far as can be seen without taking bytes off the socket. Costs a system
    /// call; to be asked once [`Stream::poll_socket_ready`] says that there is something.
    pub fn is_closed_by_peer(&self) -> bool {
        let mut byte = [std::mem::MaybeUninit::uninit()];
        let peeked = match self {
            Stream::Tcp(s) => socket2::SockRef::from(&**s).peek(&mut byte),
            Stream::Unix(s) => socket2::SockRef::from(&**s).peek(&mut byte),
            Stream::TlsServer(s) => s.get_ref().0.peek(&mut byte),
            Stream::TlsClient(s) => s.get_ref().0.peek(&mut byte),
        };
        match peeked {
            Ok(n) => n == 0,
            Err(e) => e.kind() != io::ErrorKind::WouldBlock,
        }
    }

    /// Takes a message to be sent at the end of the event loop's turn, together with those of other sockets of the thread. False:
    /// it is not taken, and has to be written. The task is woken if the socket does not take it in full ([`Stream::is_owing`]).
    #[inline]
    pub fn post(&self, message: &[u8], cx: &Context<'_>) -> bool {
        match self {
            Stream::Tcp(s) => s.post(message, cx),
            Stream::Unix(s) => s.post(message, cx),
            Stream::TlsServer(_) | Stream::TlsClient(_) => false,
        }
    }

    /// Sends a message: posts it where that can be done, and else writes all of it. Not cancel safe.
    ///
    /// # Errors
    /// Those of writing. Of a message that was posted, whoever waits for its answer has to ask what became of it ([`Stream::is_owing`]).
    pub async fn send(&mut self, message: &[u8]) -> Result<(), WriteError> {
        let mut written = 0;
        poll_fn(|cx| match written == 0 && self.post(message, cx) {
            true => Poll::Ready(Ok(())),
            false => poll_write_all(self, cx, message, &mut written),
        })
        .await
    }

    /// True if a message that was posted has not been taken in full: [`Stream::poll_settle`] says what became of it.
    #[inline]
    pub fn is_owing(&self) -> bool {
        match self {
            Stream::Tcp(s) => s.is_owing(),
            Stream::Unix(s) => s.is_owing(),
            Stream::TlsServer(_) | Stream::TlsClient(_) => false,
        }
    }

    /// Sends what was posted, all of it.
    ///
    /// # Errors
    /// [`WriteError`], with how much of the message had left.
    pub fn poll_settle(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), WriteError>> {
        match self {
            Stream::Tcp(s) => s.poll_settle(cx),
            Stream::Unix(s) => s.poll_settle(cx),
            Stream::TlsServer(_) | Stream::TlsClient(_) => Poll::Ready(Ok(())),
        }
    }

    /// True for TLS.
    pub fn is_tls(&self) -> bool {
        matches!(self, Stream::TlsServer(_) | Stream::TlsClient(_))
    }
}

impl Plain {
    /// An accepted socket is taken for readable, which spares a wait where clients speak first. Here they do not: whatever comes is heard
    /// of by the event loop, and a read before that would be in vain.
    pub fn expect_silence(&self) {
        let silent = || Err::<(), _>(io::ErrorKind::WouldBlock.into());
        let _ = match self {
            Plain::Tcp(s) => s.try_io(Interest::READABLE, silent),
            Plain::Unix(s) => s.try_io(Interest::READABLE, silent),
        };
    }

    fn descriptor(&self) -> i32 {
        match self {
            Plain::Tcp(s) => s.as_raw_fd(),
            Plain::Unix(s) => s.as_raw_fd(),
        }
    }

    fn is_socket_ready(&self) -> bool {
        let seen = || Ok(());
        match self {
            Plain::Tcp(s) => s.try_io(Interest::READABLE, seen).is_ok(),
            Plain::Unix(s) => s.try_io(Interest::READABLE, seen).is_ok(),
        }
    }

    fn poll_socket_ready(&self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        match self {
            Plain::Tcp(s) => s.poll_read_ready(cx),
            Plain::Unix(s) => s.poll_read_ready(cx),
        }
    }

    fn peek(&self, byte: &mut [std::mem::MaybeUninit<u8>]) -> io::Result<usize> {
        match self {
            Plain::Tcp(s) => socket2::SockRef::from(s).peek(byte),
            Plain::Unix(s) => socket2::SockRef::from(s).peek(byte),
        }
    }
}

impl From<Plain> for Stream {
    fn from(plain: Plain) -> Self {
        match plain {
            Plain::Tcp(s) => Stream::Tcp(s.into()),
            Plain::Unix(s) => Stream::Unix(s.into()),
        }
    }
}
