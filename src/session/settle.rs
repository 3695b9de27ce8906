//! What a response changed: the session's state, its pins, and who keeps the link.

use super::Session;
use super::error::{SessionEnd, StatementError};
use super::link::Link;
use super::pin::Pins;
use super::relay::{Changes, Outcome};
use super::snapshot::Snapshot;
use super::statement::{From, gone};
use super::sync::talk;
use super::variables::{Applied, apply, read_set, read_sets};
use crate::backend::Engine;
use crate::protocol::codec::{HEADER, Reader};
use crate::protocol::command::Command;
use crate::protocol::status::Status;
use crate::rules::{Plan, Route};
use crate::sql::effects::{Effects, Verb};
use std::rc::Rc;
use std::time::Duration;

/// How long the router's own clean-up of a connection may take.
const CLEAN_UP: Duration = Duration::from_secs(2);

/// Effects after whose failure the ERR packet does not tell whether a transaction is open: the server is asked.
const UNCERTAIN_AFTER_ERROR: Effects = Effects::CALL
    .union(Effects::MULTI)
    .union(Effects::UNPROVEN)
    .union(Effects::TEXT_PREPARE)
    .union(Effects::XA)
    .union(Effects::BEGIN)
    .union(Effects::SET_SESSION)
    .union(Effects::UNTRACKED_STATE);

/// Statements that may set what their text does not show.
const OUT_OF_SIGHT: Effects =
    Effects::CALL.union(Effects::UNKNOWN_FUNCTION).union(Effects::UNPROVEN).union(Effects::TEXT_PREPARE);

/// Statements that write, or may: after them the session reads its own writes.
pub(super) const MAY_WRITE: Effects = Effects::WRITE
    .union(Effects::DDL)
    .union(Effects::CALL)
    .union(Effects::UNKNOWN_FUNCTION)
    .union(Effects::UNPROVEN)
    .union(Effects::TEXT_PREPARE)
    .union(Effects::XA)
    .union(Effects::SET_GLOBAL)
    .union(Effects::ADMIN);

impl Session {
    /// True if a server must be asked before a response can be settled: what it has changed, or whether a transaction is open.
    #[inline]
    pub(super) fn must_ask(&self, effects: Effects, outcome: &Outcome, link: &Link) -> bool {
        has_more_to_tell(effects, outcome, link) || is_uncertain(effects, outcome)
    }

    /// Asks it.
    pub(super) async fn ask_server(&mut self, effects: Effects, outcome: &mut Outcome, link: &mut Link) {
        if has_more_to_tell(effects, outcome, link) {
            Box::pin(self.hear_changes(link, outcome)).await;
        }
        if is_uncertain(effects, outcome)
            && let Ok(reply) = Box::pin(talk(&self.worker.buffers, link, Command::Ping, b"")).await
        {
            outcome.status = Some(reply.summary.status);
        }
    }

    /// Brings the session up to date after a response, and gives the link to whoever keeps it.
    pub(super) fn settle_link(&mut self, mut link: Box<Link>, from: From, plan: &Plan, outcome: &Outcome) {
        let effects = plan.facts.effects;
        if let Some(status) = outcome.status {
            self.status = status;
            link.status = status;
        }
        if outcome.warnings > 0 || outcome.error.is_some() {
            link.diagnostics = self.serial;
        }
        self.previous = link.serial;
        self.previous_at_home = from == From::Home;
        if outcome.error.is_none() {
            link.backend().health.passive_success();
        }
        let simple = Effects::READER_SAFE.contains(effects) && outcome.changes.is_none();
        let applied = if simple { Applied::default() } else { self.apply_state(&mut link, plan, outcome) };
        self.note_write(effects, outcome, &link);
        let lasting = self.lasting_pins(from, effects, outcome, applied) | self.cursor_pin(&link);
        let fleeting = fleeting_pins(effects, outcome, simple);
        self.keep_or_release(link, from, lasting, fleeting);
    }

    /// Asks what a statement has changed that ended with an EOF packet: MySQL keeps its report for the next OK packet, which
    /// would be another statement's, or another session's.
    async fn hear_changes(&mut self, link: &mut Link, outcome: &mut Outcome) {
        let changes = match talk(&self.worker.buffers, link, Command::Ping, b"").await {
            Ok(reply) => reply.changes,
            // The next statement finds out what is wrong with the link; until then nobody else gets it.
            Err(_) => Changes { unreported: true, ..Changes::default() },
        };
        if changes == Changes::default() {
            return;
        }
        let heard = outcome.changes.get_or_insert_default();
        heard.variables.extend(changes.variables);
        heard.schema = changes.schema.or_else(|| heard.schema.take());
        heard.state_changed |= changes.state_changed;
        heard.unreported |= changes.unreported;
    }

    /// What the statement set, as far as it can be carried.
    fn apply_state(&mut self, link: &mut Link, plan: &Plan, outcome: &Outcome) -> Applied {
        let effects = plan.facts.effects;
        let mode = self.subject.mode();
        let is_set = effects.contains(Effects::SET_SESSION) && outcome.error.is_none();
        // Several statements of which every one can be read: what they set is in their texts.
        let is_read = effects.contains(Effects::MULTI) && !effects.intersects(OUT_OF_SIGHT | Effects::DDL);
        let targets = match plan.facts.verb {
            Verb::Set if is_set && !effects.contains(Effects::MULTI) => read_set(self.statement_text(), mode),
            _ if is_set && is_read => read_sets(self.statement_text(), mode),
            _ => Vec::new(),
        };
        let set_elsewhere = is_set && targets.is_empty();
        let changes = outcome.changes.as_deref();
        if targets.is_empty() && changes.is_none() {
            return Applied { pinned: set_elsewhere, one_shot: false };
        }
        let mut portable = self.state.portable.clone();
        let reported = changes.map(|c| c.variables.as_slice()).unwrap_or_default();
        let mut applied = apply(&mut portable, &targets, reported, changes.and_then(|c| c.schema.as_deref()));
        if portable != self.state.portable {
            self.enter(portable);
        }
        link.state = Rc::clone(&self.state);
        // The server says that state changed, and neither the text nor the report explains it.
        let explained = !effects.intersects(OUT_OF_SIGHT | Effects::MULTI) || is_read && outcome.error.is_none();
        if changes.is_some_and(|c| c.unreported || c.state_changed && !explained) {
            applied.pinned = true;
        }
        applied.pinned |= set_elsewhere && !effects.contains(Effects::MULTI);
        applied
    }

    /// The text of the present COM_QUERY.
    fn statement_text(&self) -> &[u8] {
        self.inbox.payload().get(1..).unwrap_or_default()
    }

    /// Remembers that the session wrote, for its reads' sake.
    fn note_write(&mut self, effects: Effects, outcome: &Outcome, link: &Link) {
        let in_transaction = self.status.contains(Status::IN_TRANSACTION);
        if effects.intersects(MAY_WRITE) && link.writer {
            self.transaction_wrote = true;
        }
        if self.transaction_wrote && !in_transaction {
            self.transaction_wrote = false;
            self.wrote_at = Some(self.worker.now_ms());
        } else if self.wrote_at.is_some() && !effects.intersects(MAY_WRITE) && outcome.error.is_none() {
            let window = self.worker.snapshot().settings.read_your_writes.as_millis();
            let now = self.worker.ms_at(self.began);
            if self.wrote_at.is_some_and(|at| u128::from(now.saturating_sub(at)) >= window) {
                self.wrote_at = None;
            }
        }
    }

    /// The pins that hold from now on.
    fn lasting_pins(&self, from: From, effects: Effects, outcome: &Outcome, applied: Applied) -> Pins {
        let kept = self.home_pins - Pins::UNTIL_NEXT - Pins::CURSOR;
        let mut pins = if from == From::Home { kept } else { Pins::empty() };
        pins.set(Pins::TRANSACTION, self.status.contains(Status::IN_TRANSACTION));
        pins.set(Pins::AUTOCOMMIT_OFF, !self.status.contains(Status::AUTOCOMMIT));
        if !pins.contains(Pins::TRANSACTION) && !effects.contains(Effects::SET_NEXT_TRANSACTION) {
            pins.remove(Pins::NEXT_TRANSACTION);
        }
        if outcome.insert_id != 0 || effects.contains(Effects::SETS_INSERT_ID) {
            pins |= Pins::INSERT_ID;
        }
        if applied.pinned {
            pins |= Pins::UNTRACKED_STATE;
        }
        // A plain SET that failed has set nothing; other statements may have gone half their way.
        let failed = outcome.error.is_some();
        let nothing_done =
            failed && !effects.intersects(Effects::MULTI | Effects::CALL | Effects::READ | Effects::UNPROVEN);
        if nothing_done {
            return pins;
        }
        if applied.one_shot {
            pins |= if effects.contains(Effects::SET_NEXT_TRANSACTION) {
                Pins::NEXT_TRANSACTION
            } else {
                Pins::UNTRACKED_STATE
            };
        }
        const BY_EFFECT: [(Effects, Pins); 8] = [
            (Effects::SET_USER_VARIABLE, Pins::USER_VARIABLE),
            (Effects::TEMPORARY_TABLE, Pins::TEMPORARY_TABLE),
            (Effects::USER_LOCK, Pins::USER_LOCK),
            (Effects::LOCK_TABLES, Pins::LOCK_TABLES),
            (Effects::TEXT_PREPARE, Pins::TEXT_PREPARE),
            (Effects::HANDLER, Pins::HANDLER),
            (Effects::UNTRACKED_STATE, Pins::UNTRACKED_STATE),
            (Effects::XA, Pins::XA),
        ];
        for (effect, pin) in BY_EFFECT {
            if effects.contains(effect) {
                pins |= pin;
            }
        }
        if effects.intersects(Effects::UNLOCK_TABLES) && !effects.contains(Effects::LOCK_TABLES) {
            pins -= Pins::LOCK_TABLES;
        }
        pins
    }

    fn cursor_pin(&self, link: &Link) -> Pins {
        if self.has_cursor(link.serial) { Pins::CURSOR } else { Pins::empty() }
    }

    fn keep_or_release(&mut self, link: Box<Link>, from: From, lasting: Pins, fleeting: Pins) {
        match from {
            // A cursor alone makes no home: it would draw statements to where they do not belong.
            _ if lasting == Pins::CURSOR => {
                if from == From::Home {
                    self.home_pins = Pins::empty();
                }
                self.park(link);
            }
            _ if !lasting.is_empty() && (from == From::Home || self.home.is_none()) => {
                self.home = Some(link);
                self.home_pins = lasting | fleeting;
                self.previous_at_home = true;
            }
            From::Pool | From::Last if !lasting.is_empty() => {
                // A second connection with lasting state: only a server whose defaults open transactions by themselves
                // does that to a harmless read. Closing it ends what it began.
                tracing::warn!(backend = &*link.backend().name, pins = lasting.names(), "a read left state behind");
                self.discard(link);
            }
            _ if !fleeting.is_empty() => {
                self.last = Some(link);
                self.last_pins = fleeting;
                self.home_pins = if from == From::Home { Pins::empty() } else { self.home_pins };
            }
            _ => {
                if from == From::Home {
                    self.home_pins = Pins::empty();
                }
                self.release(link);
            }
        }
    }

    /// A statement came that asks nothing of the one before: what was kept for that is given back.
    pub(super) fn end_until_next(&mut self) {
        if let Some(link) = self.last.take() {
            self.last_pins = Pins::empty();
            self.release(link);
        }
        if self.home.is_some() {
            self.home_pins -= Pins::UNTIL_NEXT;
            if self.home_pins.is_empty()
                && let Some(link) = self.home.take()
            {
                self.release(link);
            }
        }
    }

    /// True if the session holds a connection just for what the client may ask next.
    pub(super) fn holds_for_a_while(&self) -> bool {
        let soft = Pins::UNTIL_NEXT | Pins::INSERT_ID;
        self.last.is_some() || (self.home.is_some() && (soft.contains(self.home_pins)))
    }

    /// The client has been silent for so long that such a connection goes back. `LAST_INSERT_ID()` is remembered first.
    pub(super) async fn let_go(&mut self) {
        if let Some(link) = self.last.take() {
            self.last_pins = Pins::empty();
            self.release(link);
        }
        let soft = Pins::UNTIL_NEXT | Pins::INSERT_ID;
        if !soft.contains(self.home_pins) {
            return;
        }
        let Some(mut link) = self.home.take() else { return };
        let keeps_id = self.home_pins.contains(Pins::INSERT_ID);
        self.home_pins = Pins::empty();
        self.previous_at_home = false;
        if keeps_id {
            match tokio::time::timeout(CLEAN_UP, self.read_insert_id(&mut link)).await {
                Ok(Some(id)) => self.insert_id = Some(id),
                _ => {
                    self.discard(link);
                    return;
                }
            }
        }
        self.previous = 0;
        self.release(link);
    }

    async fn read_insert_id(&self, link: &mut Link) -> Option<u64> {
        let reply = talk(&self.worker.buffers, link, Command::Query, b"SELECT LAST_INSERT_ID()").await.ok()?;
        last_text_value(&reply.rows)?.parse().ok()
    }

    /// Makes `LAST_INSERT_ID()` on a link say what it must say for this session: what it remembers, or 0, whatever the
    /// link's last user left there.
    pub(super) async fn clean_insert_id(&mut self, effects: Effects, link: &mut Link) -> Result<(), SessionEnd> {
        if !effects.contains(Effects::NEEDS_INSERT_ID) || self.home_pins.contains(Pins::INSERT_ID) {
            return Ok(());
        }
        let statement = format!("SET last_insert_id={}", self.insert_id.unwrap_or(0));
        match talk(&self.worker.buffers, link, Command::Query, statement.as_bytes()).await {
            Ok(_) => Ok(()),
            Err(error) => Err(self.talk_failed(link, error).into()),
        }
    }

    /// The link of the previous statement, if nobody has used it since; a clean one, if there was no previous statement.
    pub(super) async fn previous_link(
        &mut self,
        effects: Effects,
        snapshot: &Snapshot,
        route: &Route,
        tried: &mut super::checkout::Tried,
    ) -> Result<(Box<Link>, From), SessionEnd> {
        if self.previous != 0 {
            let (serial, owner) = (self.previous, self.serial);
            let mine = |link: &Link| link.serial == serial && link.owner == owner && !link.is_disturbed();
            let link = match self.unpark(|link| link.serial == serial) {
                Some(parked) => Some(parked),
                None => self.worker.pool.borrow_mut().take_where(|link| mine(link)),
            };
            return match link {
                Some(mut link) => {
                    link.set_busy(true);
                    self.agree_on_option(&mut link).await?;
                    let not_ours = link.diagnostics != 0 && link.diagnostics != self.serial;
                    if not_ours && effects.contains(Effects::NEEDS_WARNINGS) {
                        self.make_fresh(&mut link).await?;
                    }
                    Ok((link, From::Pool))
                }
                None => Err(gone(effects).into()),
            };
        }
        let mut link = self.obtain(&[route.writer], snapshot, tried).await?;
        self.make_fresh(&mut link).await?;
        Ok((link, From::Pool))
    }

    /// A link as a new session would find it, but for the session's own state.
    async fn make_fresh(&self, link: &mut Link) -> Result<(), StatementError> {
        let fresh = async {
            super::checkout::reset(&self.worker, link).await?;
            self.sync_link(link).await
        };
        fresh.await.map_err(|error| self.talk_failed(link, error))
    }

    /// Commits the READ ONLY transaction on the reader that the session holds, and lets it go.
    pub(super) async fn end_read_only(&mut self) -> Result<(), StatementError> {
        let Some(mut link) = self.home.take() else { return Ok(()) };
        self.home_pins = Pins::empty();
        match talk(&self.worker.buffers, &mut link, Command::Query, b"COMMIT").await {
            Ok(reply) => {
                self.status = reply.summary.status;
                if self.has_cursor(link.serial) {
                    self.park(link)
                } else {
                    self.release(link)
                }
                Ok(())
            }
            Err(error) => {
                let error = self.talk_failed(&link, error);
                self.discard(link);
                Err(error)
            }
        }
    }
}

/// True if a server keeps back what a statement has changed: an EOF packet has no room for it.
fn has_more_to_tell(effects: Effects, outcome: &Outcome, link: &Link) -> bool {
    outcome.ended_by_eof && effects.intersects(OUT_OF_SIGHT) && link.backend().engine() != Engine::MariaDb
}

/// True if an error does not tell whether a transaction is open.
fn is_uncertain(effects: Effects, outcome: &Outcome) -> bool {
    outcome.error.is_some() && effects.intersects(UNCERTAIN_AFTER_ERROR)
}

/// What the next statement may ask of this one's connection.
fn fleeting_pins(effects: Effects, outcome: &Outcome, simple: bool) -> Pins {
    let mut pins = Pins::empty();
    if outcome.warnings > 0 || outcome.error.is_some() {
        pins |= Pins::WARNINGS;
    }
    if effects.contains(Effects::LEAVES_FOUND_ROWS) {
        pins |= Pins::FOUND_ROWS;
    }
    if !simple && effects.intersects(Effects::WRITE | Effects::CALL | Effects::UNPROVEN | Effects::TEXT_PREPARE) {
        pins |= Pins::ROW_COUNT;
    }
    // A statement that reads what the previous left must not lose it for the next that does.
    if effects.intersects(Effects::NEEDS_WARNINGS) {
        pins |= Pins::WARNINGS;
    }
    pins
}

/// The first value of the last row of a text result that `talk` collected.
pub(super) fn last_text_value(rows: &[u8]) -> Option<String> {
    let mut rest = rows;
    let mut last = None;
    while let Some(header) = crate::protocol::codec::Header::read(rest) {
        let payload = rest.get(HEADER..HEADER + header.length)?;
        last = Some(payload);
        rest = &rest[HEADER + header.length..];
    }
    let text = Reader::new(last?).lenenc_bytes().ok()?;
    Some(String::from_utf8_lossy(text).into_owned())
}
