//! Packets to and from a client that is not signed in yet.
//!
//! It checks sequence numbers and bounds the size of what a client may send, tells the client an error, and closes the
//! connection in order. [`super::drive`] uses it for all of a sign-in; what the packets mean is decided there. The time
//! limit is the caller's.

use super::{LoginError, MAX_PACKET};
use crate::auth::server::Channel;
use crate::net::Stream;
use crate::net::frame::{PacketReader, put_packet};
use std::borrow::BorrowMut;
use std::io;
use std::pin::Pin;
use std::task::{Context, Poll, ready};
use std::time::Duration;
use tokio::io::{AsyncRead, AsyncWriteExt, ReadBuf};

/// How long a client that is being turned away may take to hear it.
const LAST_WORD: Duration = Duration::from_secs(1);

/// A conversation with a client.
pub struct Talk<S> {
    /// `None` while TLS is coming about, and at the end.
    stream: Option<S>,
    reader: PacketReader,
    /// The number that the next packet has, whoever sends it.
    sequence: u8,
}

impl<S: BorrowMut<Stream>> Talk<S> {
    /// Starts with the given sequence number.
    pub fn new(stream: S, sequence: u8) -> Self {
        Talk { stream: Some(stream), reader: PacketReader::new(), sequence }
    }

    /// What the client's packets travel over.
    pub fn channel(&self) -> Channel {
        match self.stream.as_ref().map(|s| s.borrow()) {
            Some(stream) if stream.is_tls() => Channel::Tls,
            Some(Stream::Unix(_)) => Channel::Local,
            _ => Channel::Plain,
        }
    }

    fn stream(&mut self) -> Result<&mut Stream, LoginError> {
        self.stream.as_mut().map(|s| s.borrow_mut()).ok_or_else(not_connected)
    }

    /// Sends a packet: at the end of this turn, with what others send ([`Stream::send`]).
    pub async fn send(&mut self, payload: &[u8]) -> Result<(), LoginError> {
        let mut out = Vec::with_capacity(payload.len() + 4);
        self.sequence = put_packet(&mut out, payload, self.sequence);
        self.stream()?.send(&out).await.map_err(|error| LoginError::Io(error.source))
    }

    /// Reads a packet.
    pub async fn read(&mut self) -> Result<Vec<u8>, LoginError> {
        let Talk { stream, reader, sequence } = self;
        let stream = stream.as_mut().ok_or_else(not_connected)?.borrow_mut();
        let incoming = reader.read(&mut Debtor(stream), MAX_PACKET).await.map_err(|e| match e.kind() {
            io::ErrorKind::InvalidData => LoginError::TooLarge,
            _ => LoginError::Io(e),
        })?;
        if incoming.sequence != *sequence {
            return Err(LoginError::Protocol("packets out of order"));
        }
        *sequence = sequence.wrapping_add(1);
        Ok(incoming.payload.to_vec())
    }

    /// Takes the stream out, with what was read beyond the last packet, to put another around it.
    pub fn take(&mut self) -> Option<(S, PacketReader)> {
        let reader = std::mem::take(&mut self.reader);
        self.stream.take().map(|stream| (stream, reader))
    }

    /// Puts a stream back.
    pub fn put(&mut self, stream: S) {
        self.stream = Some(stream);
    }

    /// Ends the conversation; gives the stream and the next sequence number. A client that has sent something we did not ask
    /// for breaks the protocol: its bytes would be taken for a command.
    pub fn finish(&mut self) -> Result<(S, u8), LoginError> {
        if !self.reader.rest().is_empty() {
            return Err(LoginError::Protocol("bytes sent before the sign-in was complete"));
        }
        self.stream.take().map(|stream| (stream, self.sequence)).ok_or_else(not_connected)
    }

    /// Tells the client why it cannot come in, as far as it can hear, and hands the error on.
    pub async fn tell(&mut self, error: LoginError) -> LoginError {
        if let Some(packet) = error.packet()
            && self.stream.is_some()
        {
            let mut payload = Vec::with_capacity(128);
            packet.encode(&mut payload);
            // Nobody is helped by an error about an error.
            let told = async {
                self.send(&payload).await?;
                self.stream()?.flush().await.map_err(LoginError::Io)
            };
            let _ = tokio::time::timeout(LAST_WORD, told).await;
        }
        error
    }

    /// Closes in order, so that a TLS client hears that it is the end and what was told is not lost.
    pub async fn close(mut self) {
        if let Some(stream) = self.stream.as_mut() {
            let _ = tokio::time::timeout(LAST_WORD, stream.borrow_mut().shutdown()).await;
        }
    }
}

/// A stream that sees to what it owes before it is read from: the client answers to what was sent.
struct Debtor<'a>(&'a mut Stream);

impl AsyncRead for Debtor<'_> {
    fn poll_read(mut self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        if self.0.is_owing() {
            ready!(self.0.poll_settle(cx)).map_err(|error| error.source)?;
        }
        Pin::new(&mut *self.0).poll_read(cx, buf)
    }
}

fn not_connected() -> LoginError {
    LoginError::Io(io::ErrorKind::NotConnected.into())
}
