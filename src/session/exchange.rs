//! One request over a link, and its answer: the part of a statement in which there is nothing to do but to wait.
//!
//! The bytes are [`super::relay`]'s. What is here knows the session beside: what to send, who is to hear of a write between the
//! request and its answer, and what a broken connection means for the client. It refuses to choose a link, and to try
//! another ([`super::statement`]).

use super::Session;
use super::error::SessionEnd;
use super::inbox::Inbox;
use super::link::buffers::Buffers;
use super::link::relay::{BackendFault, Manner, Outcome, RelayError};
use super::link::{Fate, Link};
use super::writing::Writing;
use crate::net::Stream;
use crate::net::write::WriteError;
use crate::protocol::capabilities::Capabilities;
use crate::protocol::tracker::{Expect, Tracker};
use crate::sql::effects::Effects;
use std::future::poll_fn;
use std::task::{Context, Poll, ready};

/// A request ready to be run: what to send, and what is known of it.
pub(super) struct Request {
    /// The bytes, headers included; empty where they are the client's own, as they came.
    pub frames: Vec<u8>,
    /// The sequence number of the last frame.
    pub sequence: u8,
    /// How it is answered.
    pub expect: Expect,
    /// How the answer is passed on.
    pub statement_id: Option<u32>,
    /// What it does.
    pub effects: Effects,
}

/// Why an exchange failed.
pub(super) enum Failed {
    /// The client's side.
    Client(SessionEnd),
    /// The backend's side.
    Backend(Failure),
}

/// What a client has got of an answer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Delivered {
    /// Nothing: another backend may still answer, and so may the router.
    Nothing,
    /// All up to the server's request for a file, and the file has been taken from the client: the router may still answer, no
    /// other backend.
    File,
    /// A part. Nobody can answer any more.
    Part,
}

/// What a backend's failure left.
#[derive(Debug)]
pub(super) struct Failure {
    /// At least one byte of the request had left.
    pub sent: bool,
    /// What of the answer had gone to the client.
    pub delivered: Delivered,
    /// What happened.
    pub why: String,
}

/// Where an exchange broke.
pub(super) enum Broken {
    /// On the way to the server.
    Unsent(WriteError),
    /// On the way back.
    Relay(RelayError),
}

/// The client's end of an exchange.
pub(super) struct Ends<'a> {
    pub inbox: &'a Inbox,
    pub client: &'a mut Stream,
    pub buffers: &'a Buffers,
}

impl Ends<'_> {
    /// Sends the request and carries the answer; between the two, a write that others are to see is announced to them.
    /// Ready once the answer has ended, and where the server asks for a file.
    #[inline]
    pub fn poll(
        self,
        cx: &mut Context<'_>,
        link: &mut Link,
        request: &Request,
        writing: &mut Option<Writing>,
    ) -> Poll<Result<(), Broken>> {
        let Link { relay, stream, .. } = link;
        let frames = if request.frames.is_empty() { self.inbox.frames() } else { &request.frames };
        ready!(relay.poll_send(cx, frames, stream)).map_err(Broken::Unsent)?;
        if let Some(writing) = writing {
            ready!(writing.poll_answer(cx, stream, self.client));
        }
        relay.poll_answer(cx, stream, self.client, self.buffers).map_err(Broken::Relay)
    }
}

impl Session {
    /// Begins an exchange; [`Ends::poll`] carries it on.
    #[inline]
    pub(super) fn launch(&mut self, link: &mut Link, request: &Request) {
        let tracker = Tracker::new(request.expect, link.deprecate_eof, request.sequence);
        let client_tracks = self.capabilities.contains(Capabilities::SESSION_TRACK);
        link.relay.begin(tracker, Manner { client_tracks, statement_id: request.statement_id, shown: None });
        self.ticket.runs(link.backend().id, link.thread_id, link.hostgroup, link.stream.descriptor());
    }

    fn poll_exchange(
        &mut self,
        cx: &mut Context<'_>,
        link: &mut Link,
        request: &Request,
        writing: &mut Option<Writing>,
    ) -> Poll<Result<(), Failed>> {
        let ends = Ends { inbox: &self.inbox, client: &mut self.client, buffers: &self.worker.buffers };
        match ready!(ends.poll(cx, link, request, writing)) {
            Ok(()) => Poll::Ready(Ok(())),
            Err(error) => Poll::Ready(Err(self.failed(link, error))),
        }
    }

    /// Waits for the end of an exchange that has been launched, files and all.
    pub(super) async fn see_through(
        &mut self,
        link: &mut Link,
        request: &Request,
        writing: &mut Option<Writing>,
    ) -> Result<(), Failed> {
        loop {
            if link.relay.wants_file() {
                let sent = Box::pin(self.pass_file(link)).await?;
                link.relay.file_sent(sent);
            }
            poll_fn(|cx| self.poll_exchange(cx, link, request, writing)).await?;
            if !link.relay.wants_file() {
                return Ok(());
            }
        }
    }

    /// What an exchange that has ended well brought.
    #[inline]
    pub(super) fn outcome(&self, link: &mut Link) -> Outcome {
        self.ticket.rests();
        if self.ticket.is_condemned(link.thread_id) {
            link.fate.set(Fate::Closed);
        }
        let outcome = link.relay.finish(&self.worker.buffers);
        self.worker.stats.counters.client_bytes_sent.add(outcome.bytes);
        outcome
    }

    /// An exchange from its beginning to its end.
    pub(super) async fn exchange(&mut self, link: &mut Link, request: &Request) -> Result<Outcome, Failed> {
        self.launch(link, request);
        self.see_through(link, request, &mut None).await?;
        Ok(self.outcome(link))
    }

    /// What a broken exchange means.
    #[cold]
    pub(super) fn failed(&self, link: &Link, error: Broken) -> Failed {
        match error {
            Broken::Unsent(error) => self.not_sent(&error),
            Broken::Relay(error) => self.broke(link, error),
        }
    }

    fn not_sent(&self, error: &WriteError) -> Failed {
        self.ticket.rests();
        let (sent, why) = (error.written > 0, error.source.to_string());
        Failed::Backend(Failure { sent, delivered: Delivered::Nothing, why })
    }

    fn broke(&self, link: &Link, error: RelayError) -> Failed {
        self.ticket.rests();
        self.worker.stats.counters.client_bytes_sent.add(link.relay.sent());
        match error {
            RelayError::Client(error) => {
                link.fate.set(Fate::Killed);
                Failed::Client(SessionEnd::ClientBroke(error))
            }
            RelayError::Backend { why, delivered: any } => {
                let delivered = match any {
                    true => Delivered::Part,
                    false if link.relay.had_file() => Delivered::File,
                    false => Delivered::Nothing,
                };
                let desync = matches!(why, BackendFault::Desync(_));
                let why = why.to_string();
                if desync {
                    tracing::error!(backend = &*link.backend().name, why, "a backend broke the protocol");
                }
                Failed::Backend(Failure { sent: true, delivered, why })
            }
        }
    }
}
