//! Commands off the client's socket: reading them, waiting for them, and turning away whoever breaks the protocol.
//!
//! The bytes are kept by the [inbox](crate::session::parts::inbox). While a client is silent, a connection that is kept just for what
//! it may ask next goes back after a while, or once somebody else waits for one. It refuses to know what a command does.

use crate::protocol::command::Command;
use crate::session::error::SessionEnd;
use crate::session::parts::Session;
use crate::session::parts::inbox::Progress;
use crate::telemetry::WorkerCounters;
use std::future::poll_fn;
use std::io;
use std::rc::Rc;
use std::sync::Arc;
use std::task::{Context, Poll, ready};
use std::time::Duration;

/// What the client wants next.
pub(in crate::session) enum Next {
    /// This; `None` for a command byte that means nothing here, and for none at all.
    Command(Option<Command>),
    /// It has not said all of it.
    More,
    /// It breaks the protocol.
    Bad(&'static str),
}

impl Session {
    /// The client's next command, if all of it has come.
    pub(in crate::session) fn command_at_hand(&mut self) -> Next {
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
    pub(in crate::session) async fn turn_away(&mut self, why: &'static str) -> SessionEnd {
        let (code, state) = if why.contains("max_allowed_packet") { (1153, b"08S01") } else { (1156, b"08S01") };
        let text = if code == 1153 {
            "Got a packet bigger than 'max_allowed_packet' bytes"
        } else {
            "Got packets out of order"
        };
        let packet = crate::protocol::response::ErrPacket::new(code, state, text);
        match self.send_now(&packet, 1).await {
            Ok(()) => SessionEnd::Misbehaved(why),
            Err(end) => end,
        }
    }

    /// How long the session may keep what it holds just for what the client may ask next; none if it holds nothing such.
    pub(in crate::session) fn patience(&self) -> Option<Duration> {
        self.holdings.for_a_while().map(|_| self.worker.snapshot().settings.hold_results)
    }

    /// Reads once from the client.
    pub(in crate::session) fn poll_read_more(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), SessionEnd>> {
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
    pub(in crate::session) async fn read_for(&mut self, patience: Duration) -> Result<(), SessionEnd> {
        let Some(backend) = self.holdings.for_a_while().map(|link| Arc::clone(link.backend())) else { return Ok(()) };
        let worker = Rc::clone(&self.worker);
        let mut ticket = None;
        let read = poll_fn(|cx| {
            if let Poll::Ready(read) = self.poll_read_more(cx) {
                return Poll::Ready(Some(read));
            }
            let lines = &mut worker.pool.borrow_mut().lines;
            match ticket {
                // Woken and no longer among the holders: called.
                Some(held) if !lines.keep(backend.id, held) => return Poll::Ready(None),
                None if backend.waiting() > 0 => return Poll::Ready(None),
                _ => {}
            }
            ticket = Some(lines.hold(backend.id, cx.waker().clone()));
            Poll::Pending
        });
        let read = tokio::time::timeout(patience, read).await;
        if let Some(ticket) = ticket {
            worker.pool.borrow_mut().lines.keep(backend.id, ticket);
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
