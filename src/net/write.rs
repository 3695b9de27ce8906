//! Writing to a stream, with an account of how many bytes had left if the write fails.
//!
//! The session needs that account, because a statement of which a byte has left is never sent a second time. Nothing
//! here repeats a write that failed, and nothing here has a timeout; the callers bound their waits.

use std::future::poll_fn;
use std::io;
use std::pin::Pin;
use std::task::{Context, Poll, ready};
use tokio::io::AsyncWrite;

/// A write that failed.
#[derive(Debug, thiserror::Error)]
#[error("{source} after {written} bytes")]
pub struct WriteError {
    /// Bytes that the socket had taken. With 0, the peer has seen nothing.
    pub written: usize,
    /// Why.
    pub source: io::Error,
}

/// Writes what the socket takes without waiting; returns how much that was.
#[expect(clippy::indexing_slicing, reason = "the loop's condition compares the index with the length")]
pub fn poll_write_now(stream: &mut (impl AsyncWrite + Unpin), cx: &mut Context<'_>, bytes: &[u8]) -> io::Result<usize> {
    let mut written = 0;
    while written < bytes.len() {
        match Pin::new(&mut *stream).poll_write(cx, &bytes[written..]) {
            Poll::Ready(Ok(0)) => return Err(io::ErrorKind::WriteZero.into()),
            Poll::Ready(Ok(n)) => written += n,
            Poll::Ready(Err(e)) => return Err(e),
            Poll::Pending => break,
        }
    }
    Ok(written)
}

/// Writes what is left of `bytes` behind the first `written`, and what TLS holds back.
///
/// # Errors
/// Those of the stream, with the number of bytes that had left before.
#[expect(clippy::indexing_slicing, reason = "the loop's condition compares the index with the length")]
pub fn poll_write_all(
    stream: &mut (impl AsyncWrite + Unpin),
    cx: &mut Context<'_>,
    bytes: &[u8],
    written: &mut usize,
) -> Poll<Result<(), WriteError>> {
    let error = |source, written| Poll::Ready(Err(WriteError { written, source }));
    while *written < bytes.len() {
        match ready!(Pin::new(&mut *stream).poll_write(cx, &bytes[*written..])) {
            Ok(0) => return error(io::ErrorKind::WriteZero.into(), *written),
            Ok(n) => *written += n,
            Err(e) => return error(e, *written),
        }
    }
    Pin::new(stream).poll_flush(cx).map_err(|source| WriteError { written: *written, source })
}

/// Writes all of `bytes`, and what TLS holds back. Not cancel safe.
///
/// # Errors
/// See [`poll_write_all`].
pub async fn write_all(stream: &mut (impl AsyncWrite + Unpin), bytes: &[u8]) -> Result<(), WriteError> {
    let mut written = 0;
    poll_fn(|cx| poll_write_all(stream, cx, bytes, &mut written)).await
}
