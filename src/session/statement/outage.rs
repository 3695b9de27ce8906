//! Statements that no server takes just now: a failover, a restart, a writer that is read-only. They wait, in the order in which they
//! came, for `writer_wait` at most ([`crate::session::supply::outage`]).
//!
//! ```text
//!   no server is to be had ────────────▶ wait_for_server ──────┐
//!   a server says that it is read-only ─▶ refused ─▶            ├─▶ planned_again ─▶ a link, as at first
//!                                        wait_until_writable ──┘
//!   waited in vain ─▶ the error; a server's own where it has one
//! ```
//!
//! A server that refuses a statement for being read-only (1290, 1836) has run nothing of it. That holds for a statement by itself: in a
//! transaction, a routine or several statements at once, others may have run before. It refuses to keep such a refusal from the client.

use crate::protocol::command::Command;
use crate::protocol::status::Status;
use crate::session::error::SessionEnd;
use crate::session::holdings::Hold;
use crate::session::link::Link;
use crate::session::link::relay::Outcome;
use crate::session::parts::Session;
use crate::session::parts::flight::Planned;
use crate::session::parts::place::Place;
use crate::session::state::pins::Pins;
use crate::session::supply::Tried;
use crate::sql::effects::Effects;
use std::rc::Rc;
use std::sync::Arc;

/// Statements of which a part may have run before a server refuses the rest.
const IN_PARTS: Effects = Effects::MULTI
    .union(Effects::OUT_OF_SIGHT)
    .union(Effects::LOCAL_INFILE)
    .union(Effects::EXECUTABLE_COMMENT)
    .union(Effects::COMMIT)
    .union(Effects::BEGIN);

impl Session {
    /// No link could be had for a statement. If that may pass by itself, and the statement needs the writer, it waits; then it is planned
    /// again, for the configuration may be another.
    ///
    /// # Errors
    /// The one that is handed in, where it does not wait or has waited in vain.
    pub(super) async fn wait_for_server(
        &mut self,
        planned: Planned,
        tried: &mut Tried,
        end: SessionEnd,
    ) -> Result<Planned, SessionEnd> {
        let may_pass = matches!(&end, SessionEnd::Statement(error) if error.may_pass());
        let route = Rc::clone(&planned.route);
        let by_route = planned.placed.0 == Place::Route;
        let tiers = if by_route { &*route.tiers } else { std::slice::from_ref(&route.writer) };
        if may_pass && tiers.contains(&route.writer) && self.supply().wait_out(tiers, &planned.snapshot, tried).await {
            return Ok(self.planned_again(planned));
        }
        Err(self.tally_unserved(&route, end))
    }

    /// True for a statement that may wait, and run elsewhere, if its server says that it is read-only.
    pub(super) fn outlasts_refusal(&self, hold: &Hold, planned: &Planned) -> bool {
        let stands_alone = !hold.pins().intersects(Pins::LOST_WITH_CONNECTION)
            && self.state.autocommit
            && !self.status.contains(Status::IN_TRANSACTION);
        hold.link.writer
            && stands_alone
            && !planned.request.effects.intersects(IN_PARTS)
            && !planned.snapshot.settings.writer_wait.is_zero()
            && !hold.link.backend().refusals.has(self.account.name())
    }

    /// A server has refused a statement for being read-only. Its link is well, and has the error's diagnostics.
    pub(super) fn refused(&mut self, mut hold: Hold, why: String, tried: &mut Tried) {
        let link = &mut *hold.link;
        link.relay.finish(&self.worker.buffers);
        self.claim_diagnostics(link);
        self.previous.forget(link.serial);
        let backend = link.backend();
        if backend.read_only.is_asked() {
            backend.look_for();
        }
        tried.refused_by = Some(Arc::clone(backend));
        tried.why = why;
        self.put_back(hold);
        self.worker.stats.counters.retries.inc();
    }

    /// Waits until a server may take a statement that one has refused for being read-only. After a wait in vain the statement is sent once
    /// more, and its client gets what the server says.
    pub(super) async fn wait_until_writable(&mut self, planned: Planned, tried: &mut Tried) -> Planned {
        // The next server may be another than the one that the session holds just for what its client may ask.
        self.let_go().await;
        let refuser = tried.refused_by.take();
        if !self.supply().wait_out(&[planned.route.writer], &planned.snapshot, tried).await {
            tried.takes_refusal = true;
            if let Some(backend) = refuser {
                backend.refusals.note(self.account.name());
            }
        }
        self.planned_again(planned)
    }

    /// A server has taken a write: whoever it refuses from now on is kept waiting again.
    #[inline]
    pub(super) fn note_writable(&self, outcome: &Outcome, link: &Link) {
        if outcome.error.is_none() {
            link.backend().refusals.forget(self.account.name());
        }
    }

    /// The statement with a plan of the present configuration, and the place that it has now.
    fn planned_again(&mut self, planned: Planned) -> Planned {
        let is_other = planned.snapshot.version != self.worker.snapshot().version;
        let is_query = self.inbox.payload().first() == Some(&(Command::Query as u8));
        let newer = match planned.executing {
            Some(executing) if is_other => self.plan_with_values(executing).ok(),
            None if is_other && is_query => self.plan_query(),
            _ => None,
        };
        // What a new rule answers or refuses was let pass when it came.
        let mut planned = newer.filter(|newer| !self.is_answered(&newer.route)).unwrap_or(planned);
        self.locate(&mut planned);
        planned
    }
}
