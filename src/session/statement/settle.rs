//! What a response changed: the session's state, its pins, and who keeps the link.
//!
//! What servers say of state is heard in [`super::hearing`]; links are given back by [`crate::session::keeping`]. It refuses to
//! ask a server anything.

use crate::backend::Engine;
use crate::protocol::status::Status;
use crate::rules::Plan;
use crate::session::holdings::{From, Hold, Settled};
use crate::session::link::relay::Outcome;
use crate::session::link::{Link, MARKED, OF_ROUTER};
use crate::session::parts::Session;
use crate::session::parts::left::has_own;
use crate::session::prepared::UNKNOWN_STATEMENT;
use crate::session::state::pins::Pins;
use crate::session::statement::hearing::is_around;
use crate::session::statement::place::{ASKS_LAST, Beside, beside};
use crate::sql::effects::{Effects, Verb};
use std::rc::Rc;

/// Statements that write, or may: after them the session reads its own writes.
pub(in crate::session) const MAY_WRITE: Effects = Effects::WRITE
    .union(Effects::DDL)
    .union(Effects::OUT_OF_SIGHT)
    .union(Effects::XA)
    .union(Effects::SET_GLOBAL)
    .union(Effects::ADMIN);

/// Effects of statements that run in a transaction, and open one where none is open.
const IN_TRANSACTION_ONLY: Effects = Effects::READ_TABLE
    .union(Effects::WRITE)
    .union(Effects::LOCK_ROWS)
    .union(Effects::LOCK_TABLES)
    .union(Effects::METADATA)
    .union(Effects::OUT_OF_SIGHT)
    .union(Effects::HANDLER)
    .union(Effects::BEGIN);

/// Effects of statements that may use triggers, views or routines, of which the server's catalogue alone tells what they do.
const USES_DEFINITIONS: Effects =
    Effects::READ_TABLE.union(Effects::WRITE).union(Effects::LOCK_ROWS).union(Effects::OUT_OF_SIGHT);

/// Effects of statements after which none is open, unless they opened another.
const ENDS_TRANSACTION: Effects =
    Effects::COMMIT.union(Effects::ROLLBACK).union(Effects::IMPLICIT_COMMIT).union(Effects::DDL);

/// Effects of statements that make or drop named things.
const TELL_OF_THINGS: Effects = Effects::TEXT_PREPARE
    .union(Effects::TEMPORARY_TABLE)
    .union(Effects::USER_LOCK)
    .union(Effects::HANDLER)
    .union(Effects::SET_USER_VARIABLE);

/// Effects that pin by themselves, or lift such a pin.
const PIN_BY_THEMSELVES: Effects = Effects::SET_NEXT_TRANSACTION
    .union(Effects::LOCK_TABLES)
    .union(Effects::UNLOCK_TABLES)
    .union(Effects::SEQUENCE)
    .union(Effects::UNTRACKED_STATE)
    .union(Effects::XA)
    .union(Effects::HIDDEN_STATE);

/// How statements begin that end an XA transaction.
const XA_ENDS: [&[u8]; 2] = [b"XA COMMIT", b"XA ROLLBACK"];

/// Errors that a row of an INSERT may meet behind rows that went in: duplicates, values that do not fit, foreign keys, checks,
/// a trigger's SIGNAL. Others come before the first row. Source: both engines' error references.
const ERRORS_OF_ROWS: [u16; 15] =
    [1022, 1048, 1062, 1169, 1264, 1292, 1364, 1366, 1406, 1452, 1526, 1586, 1644, 3819, 4025];

/// ER_PARSE_ERROR.
const PARSE_ERROR: u16 = 1064;
/// ER_INVALID_CHARACTER_STRING: MariaDB's for a text with bytes that are no characters.
const NO_CHARACTERS: u16 = 1300;

/// How a connection and its session were before a statement.
#[derive(Clone, Copy)]
struct Before {
    /// The status flags of the connection's answer before.
    status: Status,
    /// Every statement committed by itself.
    autocommit: bool,
}

impl Session {
    /// Brings the session up to date after a response, and gives the link to whoever keeps it.
    pub(in crate::session) fn settle_link(
        &mut self,
        mut hold: Hold,
        plan: &Plan,
        executing: Option<u32>,
        outcome: &Outcome,
    ) {
        let effects = self.effects_of(plan, executing);
        let before = Before { status: hold.link.status, autocommit: self.state.autocommit };
        let is_beside = self.is_beside_transaction(&hold);
        let link = &mut *hold.link;
        if let Some(mut status) = outcome.status {
            let of_mode = Status::NO_BACKSLASH_ESCAPES;
            if (status ^ before.status).contains(of_mode) && is_around(plan) {
                // A mode that stood around the statement is gone with it.
                status.toggle(of_mode);
            }
            if !is_beside {
                self.status = status;
            }
            link.status = status;
        }
        self.claim(link);
        let engine = link.backend().engine();
        let mut keeps = self.left.note(engine, plan.facts.verb, effects, outcome);
        if plan.facts.verb == Verb::Prepare && keeps.diagnostics {
            // To prepare what uses tables takes MariaDB's diagnostics away.
            self.left.prepared(self.effects_prepared(effects, executing).unwrap_or_default());
            keeps.diagnostics = !self.left.has_no_diagnostics();
        }
        let previous = self.previous;
        self.previous.ran_on(link.serial, keeps);
        self.note_marker(link, previous);
        if outcome.error.is_none() {
            link.backend().health.passive_success();
        }
        let simple = Effects::READER_SAFE.contains(effects) && outcome.changes.is_none();
        let applied = if simple { Pins::empty() } else { self.apply_state_in(before, link, plan, executing, outcome) };
        let aside = self.set_aside(&hold, effects, executing);
        if aside.is_none() && effects.intersects(TELL_OF_THINGS) && !has_done_nothing(effects, outcome) {
            self.note_things(effects, executing, outcome.error.is_some());
        }
        if effects.contains(Effects::HIDDEN_STATE) {
            self.holdings.forget_texts();
        }
        let link = &mut *hold.link;
        if effects.intersects(Effects::SET_GLOBAL | Effects::STORED_DEFINITION) {
            note_change_of_server(effects, link);
        }
        if effects.intersects(USES_DEFINITIONS) && !link.backend().catalogue.is_known() {
            self.note_doubt(link);
        }
        self.note_write(effects, outcome, link);
        let cursor = if self.holdings.has_cursor_on(link.serial) { Pins::CURSOR } else { Pins::empty() };
        let lasting =
            self.lasting_pins(&hold, before, plan, effects, outcome, applied) | cursor | self.pins_of_state(&hold);
        let mut fleeting = fleeting_pins(effects, outcome, simple);
        if keeps.diagnostics && self.previous.asked_by(Effects::NEEDS_WARNINGS) == hold.link.serial {
            // What came before may still be asked for there.
            fleeting |= Pins::WARNINGS;
        }
        let settled = match aside {
            Some(names) if lasting.is_empty() => self.holdings.settle_aside(hold, fleeting, names),
            _ => self.holdings.settle(hold, lasting, fleeting),
        };
        self.keep_or_release(settled);
    }

    /// [`Session::apply_state`]. What MySQL is told of a session's transactions while one is open is in force once one has ended by its own
    /// statement: that connection alone knows.
    fn apply_state_in(
        &mut self,
        before: Before,
        link: &mut Link,
        plan: &Plan,
        executing: Option<u32>,
        outcome: &Outcome,
    ) -> Pins {
        let was_in_one = before.status.contains(Status::IN_TRANSACTION);
        if !was_in_one || link.backend().engine() != Engine::MySql {
            return self.apply_state(link, plan, executing, outcome);
        }
        let state = Rc::clone(&self.state);
        let mut pins = self.apply_state(link, plan, executing, outcome);
        if !self.state.has_transactions_of(&state) {
            pins |= Pins::NEXT_TRANSACTION;
        }
        pins
    }

    /// A statement of the session has run on a link. Where another session has used it since, what this one had left there is gone.
    #[inline]
    pub(in crate::session) fn claim(&mut self, link: &mut Link) {
        if link.owner != self.serial {
            self.previous.forget(link.serial);
            link.owner = self.serial;
            if link.diagnostics == MARKED {
                link.diagnostics = OF_ROUTER;
            }
        }
    }

    /// The same, for what has left diagnostics there.
    pub(in crate::session) fn claim_diagnostics(&mut self, link: &mut Link) {
        self.claim(link);
        link.diagnostics = self.serial;
    }

    /// Pins that follow from the session's variables. They stand on the home: where there is one, no other link gets them.
    fn pins_of_state(&self, hold: &Hold) -> Pins {
        if !hold.is_home() && self.holdings.home().is_some() { Pins::empty() } else { self.state.pins }
    }

    /// True if the statement runs on the link of the statement before while a transaction is open on the home: its status flags say
    /// nothing about that transaction.
    pub(in crate::session) fn is_beside_transaction(&self, hold: &Hold) -> bool {
        hold.from() == From::Last && self.holdings.home_pins().contains(Pins::TRANSACTION)
    }

    /// A statement has run of which it may not be known what it left on its connection.
    #[cold]
    fn note_doubt(&mut self, link: &mut Link) {
        let generation = link.backend().catalogue.generation();
        if link.knows.0 != generation {
            let account = self.worker.account_name(link.key.account).unwrap_or_default();
            link.knows = (generation, link.backend().catalogue.is_known_to(&account));
        }
        if !link.knows.1 {
            link.is_doubtful = true;
            self.leaves_doubt = true;
        }
    }

    /// Remembers that the session wrote, for its reads' sake.
    fn note_write(&mut self, effects: Effects, outcome: &Outcome, link: &Link) {
        let in_transaction = self.status.contains(Status::IN_TRANSACTION);
        if effects.intersects(MAY_WRITE) && link.writer {
            self.note_writable(outcome, link);
            self.transaction_wrote = true;
        }
        if self.transaction_wrote && !in_transaction {
            self.transaction_wrote = false;
            self.wrote_at = Some(self.worker.now_ms());
            self.wrote_on = Some(link.backend().id);
        } else if self.wrote_at.is_some() && !effects.intersects(MAY_WRITE) && outcome.error.is_none() {
            let snapshot = self.worker.snapshot();
            let window = snapshot.settings.read_your_writes.as_millis();
            let now = self.worker.ms_at(self.began);
            // With heartbeats it counts until it is known to be where a read goes, which may be any reader.
            let is_over = snapshot.heartbeat.is_none()
                && self.wrote_at.is_some_and(|at| u128::from(now.saturating_sub(at)) >= window);
            if is_over {
                self.wrote_at = None;
            }
        }
    }

    /// The pins that hold from now on.
    fn lasting_pins(
        &self,
        hold: &Hold,
        before: Before,
        plan: &Plan,
        effects: Effects,
        outcome: &Outcome,
        applied: Pins,
    ) -> Pins {
        let kept = hold.pins() - Pins::UNTIL_NEXT - Pins::CURSOR - Pins::OF_THINGS;
        let mut pins = if hold.is_home() { kept | self.holdings.things() } else { Pins::empty() };
        let in_transaction = self.status.contains(Status::IN_TRANSACTION) && !self.is_beside_transaction(hold);
        pins.set(Pins::TRANSACTION, in_transaction);
        pins.set(Pins::AUTOCOMMIT_OFF, self.may_have_begun(pins, effects, outcome));
        // Whether a statement of its own began a transaction, its table's engine alone knows. The end of one is certain.
        let was_in_one = hold.pins().contains(Pins::TRANSACTION);
        let ended = effects.intersects(ENDS_TRANSACTION) && outcome.error.is_none();
        let by_autocommit = was_in_one && !before.autocommit && self.state.autocommit;
        if by_autocommit {
            // What was said of that transaction alone stays in force on its connection until the next one has ended.
            if before.status.contains(Status::IN_TRANSACTION_READ_ONLY) {
                pins |= Pins::NEXT_TRANSACTION;
            }
        } else if !in_transaction && (ended || was_in_one) {
            pins.remove(Pins::NEXT_TRANSACTION);
        }
        // A result of rows (RETURNING) and an error in a later row have no room for the id, and a procedure may have inserted.
        let verb = plan.facts.verb;
        let is_unknown =
            verb == Verb::Execute && effects.contains(Effects::UNTRACKED_STATE) && !has_done_nothing(effects, outcome);
        let may_insert =
            matches!(verb, Verb::Insert | Verb::Replace) || verb == Verb::Execute && effects.contains(Effects::WRITE);
        let in_a_row = outcome.error.is_some_and(|code| ERRORS_OF_ROWS.contains(&code));
        let unsaid = may_insert && (outcome.rows > 0 || in_a_row) || effects.contains(Effects::CALL) || is_unknown;
        if outcome.insert_id != 0 || unsaid || effects.contains(Effects::SETS_INSERT_ID) {
            pins |= Pins::INSERT_ID;
        }
        pins |= applied;
        if has_done_nothing(effects, outcome) {
            return pins;
        }
        // Things are at home, or on the connection that this statement makes the home.
        if hold.is_home() || self.holdings.home().is_none() {
            pins |= self.holdings.things();
        }
        if !effects.intersects(PIN_BY_THEMSELVES) {
            return pins;
        }
        if effects.contains(Effects::SET_NEXT_TRANSACTION) {
            pins |= Pins::NEXT_TRANSACTION;
        }
        const BY_EFFECT: [(Effects, Pins); 5] = [
            (Effects::LOCK_TABLES, Pins::LOCK_TABLES),
            (Effects::SEQUENCE, Pins::SEQUENCE),
            (Effects::UNTRACKED_STATE, Pins::UNTRACKED_STATE),
            (Effects::XA, Pins::XA),
            (Effects::HIDDEN_STATE, Pins::ROUTINE),
        ];
        for (effect, pin) in BY_EFFECT {
            if effects.contains(effect) {
                pins |= pin;
            }
        }
        if outcome.error.is_none() && XA_ENDS.iter().any(|end| plan.digest.starts_with(end)) {
            pins -= Pins::XA;
        }
        if effects.intersects(Effects::UNLOCK_TABLES) && !effects.contains(Effects::LOCK_TABLES) {
            pins -= Pins::LOCK_TABLES;
        }
        pins
    }

    /// True if a transaction may have begun that no status flag shows: with autocommit off, a statement that uses a table of an
    /// engine without transactions keeps its locks on definitions until the next COMMIT.
    fn may_have_begun(&self, pins: Pins, effects: Effects, outcome: &Outcome) -> bool {
        // Not by the flag: MySQL sets it in sessions that begin without autocommit, until they set the variable.
        if self.state.autocommit {
            return false;
        }
        let ended = effects.intersects(ENDS_TRANSACTION) && outcome.error.is_none();
        let begun = pins.contains(Pins::AUTOCOMMIT_OFF) && !ended;
        // A savepoint is kept from then on, though no flag shows it.
        begun || effects.intersects(IN_TRANSACTION_ONLY.union(Effects::SAVEPOINT))
    }

    /// User variables that a question about the statement before has set on that one's connection, which is not to be the
    /// home: they are carried there once the next statement comes ([`super::aside`]). None where that is no matter.
    fn set_aside(&self, hold: &Hold, effects: Effects, executing: Option<u32>) -> Option<Vec<Box<str>>> {
        let may_be_home = hold.link.writer && self.holdings.home().is_none();
        if hold.is_home() || may_be_home || !effects.intersects(ASKS_LAST) {
            return None;
        }
        match beside(effects) {
            Beside::Variables => Some(self.variables_set(effects, executing)),
            Beside::Nothing if hold.pins().contains(Pins::USER_VARIABLE) => Some(Vec::new()),
            _ => None,
        }
    }

    pub(in crate::session) fn keep_or_release(&mut self, settled: Settled) {
        match settled {
            Settled::Home | Settled::Held(None) => {}
            Settled::Held(Some(hold)) => self.give_up(hold),
            Settled::Free(link) => self.release(link),
            Settled::Stained(hold) => {
                tracing::warn!(
                    backend = &*hold.link.backend().name,
                    pins = hold.pins().names(),
                    "a read left state behind"
                );
                self.discard(hold.link);
            }
        }
    }
}

/// Remembers what a statement has changed for all connections to its server.
#[cold]
fn note_change_of_server(effects: Effects, link: &Link) {
    if effects.contains(Effects::SET_GLOBAL) {
        link.backend().globals_changed();
    }
    if effects.contains(Effects::STORED_DEFINITION) {
        link.backend().catalogue.changed();
    }
}

/// True if a statement that failed has done nothing: one that was not understood, or a plain SET. Others may have gone half
/// their way.
fn has_done_nothing(effects: Effects, outcome: &Outcome) -> bool {
    let dynamic = Effects::MULTI | Effects::CALL | Effects::TEXT_PREPARE | Effects::UNKNOWN_FUNCTION;
    match outcome.error {
        Some(PARSE_ERROR | NO_CHARACTERS) => !effects.intersects(dynamic),
        Some(UNKNOWN_STATEMENT) => !effects.intersects(Effects::MULTI | Effects::CALL | Effects::UNKNOWN_FUNCTION),
        Some(_) => !effects.intersects(dynamic | Effects::READ | Effects::UNPROVEN),
        None => false,
    }
}

/// What the next statement may ask of this one's connection.
fn fleeting_pins(effects: Effects, outcome: &Outcome, simple: bool) -> Pins {
    let mut pins = Pins::empty();
    if has_own(outcome) {
        pins |= Pins::WARNINGS;
    }
    if effects.intersects(Effects::LEAVES_FOUND_ROWS.union(Effects::FED_BY_QUERY)) {
        pins |= Pins::FOUND_ROWS;
    }
    if !simple && effects.intersects(Effects::WRITE.union(Effects::OUT_OF_SIGHT)) {
        pins |= Pins::ROW_COUNT;
    }
    // A statement that reads what the previous left must not lose it for the next that does.
    if effects.intersects(Effects::NEEDS_WARNINGS) {
        pins |= Pins::WARNINGS;
    }
    pins
}
