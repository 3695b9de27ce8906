//! One request over a link, and its answer: the part of a statement in which there is nothing to do but to wait.
//!
//! The bytes are [`crate::session::link::relay`]'s. What is here knows the session beside: what to send, who is to hear of a write between the
//! request and its answer, and what a broken connection means for the client. It refuses to choose a link, and to try
//! another ([`crate::session::statement`]). [`own`] puts a request into other words where it asks for what the router knows.

pub mod own;

use crate::net::Stream;
use crate::net::write::WriteError;
use crate::protocol::capabilities::Capabilities;
use crate::protocol::tracker::Tracker;
use crate::session::error::SessionEnd;
use crate::session::link::buffers::Buffers;
use crate::session::link::relay::{BackendFault, Manner, Outcome, RelayError};
use crate::session::link::{Fate, Link};
use crate::session::parts::Session;
use crate::session::parts::inbox::Inbox;
use crate::session::parts::request::{Delivered, Failed, Failure, Request};
use crate::session::parts::writing::Writing;
use crate::session::worker::registry::Card;
use std::future::poll_fn;
use std::task::{Context, Poll, ready};

/// The client's end of an exchange.
pub(super) struct Ends<'a> {
    pub inbox: &'a Inbox,
    pub client: &'a mut Stream,
    pub buffers: &'a Buffers,
    /// What others see of the session: whether the request may be given up.
    pub card: &'a Card,
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
        let answer = relay.poll_answer(cx, stream, self.client, self.buffers).map_err(Broken::Relay);
        if answer.is_pending() && relay.sent() > 0 {
            // The client has a part of it, which no other server can go on with.
            self.card.may_move(false);
        }
        answer
    }
}

impl Session {
    /// Begins an exchange; [`Ends::poll`] carries it on.
    #[inline]
    pub(super) fn launch(&mut self, link: &mut Link, request: &Request) {
        let tracker = Tracker::new(request.expect, link.deprecate_eof, request.sequence);
        let client_tracks = self.capabilities.contains(Capabilities::SESSION_TRACK);
        link.relay.begin(tracker, Manner { client_tracks, statement_id: request.statement_id, ..Manner::default() });
        self.runs_on(link);
    }

    /// Shows that something runs for the session over this link.
    #[inline]
    pub(super) fn runs_on(&self, link: &Link) {
        self.ticket.runs(link.backend().id, link.thread_id, link.hostgroup, link.stream.descriptor());
    }

    fn poll_exchange(
        &mut self,
        cx: &mut Context<'_>,
        link: &mut Link,
        request: &Request,
        writing: &mut Option<Writing>,
    ) -> Poll<Result<(), Failed>> {
        let Self { inbox, client, worker, ticket, .. } = self;
        let ends = Ends { inbox, client, buffers: &worker.buffers, card: ticket };
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

    /// An exchange from its beginning to its end. At a silent server it may be given up, if `may_move`: then it has failed.
    pub(super) async fn exchange(
        &mut self,
        link: &mut Link,
        request: &Request,
        may_move: bool,
    ) -> Result<Outcome, Failed> {
        self.launch(link, request);
        self.ticket.may_move(may_move);
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
        Failed::Backend(Failure { sent, delivered: Delivered::Nothing, why, is_refusal: false })
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
                let is_refusal = matches!(why, BackendFault::ReadOnly(_));
                let why = why.to_string();
                if desync {
                    tracing::error!(backend = &*link.backend().name, why, "a backend broke the protocol");
                }
                Failed::Backend(Failure { sent: true, delivered, why, is_refusal })
            }
        }
    }
}

/// Where an exchange broke.
pub(super) enum Broken {
    /// On the way to the server.
    Unsent(WriteError),
    /// On the way back.
    Relay(RelayError),
}
