//! What statements do to the named things of a session, read in their texts: what EXECUTE runs, what PREPARE and others make, and
//! which user variables are set.
//!
//! [`super::settle`] asks it when a statement has been answered. How texts are read is in [`crate::session::state::things`]. It refuses to
//! guess what a text does that is not known: such an EXECUTE holds its session.

use crate::rules::Plan;
use crate::session::parts::Session;
use crate::session::state::things;
use crate::session::state::things::{Event, Executed, Kind};
use crate::sql::effects::{Effects, Verb};

/// Effects that leave nothing on a connection but results for the next statement to ask for. An EXECUTE of a text with these alone does
/// not hold its session.
const PLAIN: Effects = Effects::READER_SAFE
    .union(Effects::WRITE)
    .union(Effects::LOCK_ROWS)
    .union(Effects::DDL)
    .union(Effects::IMPLICIT_COMMIT)
    .union(Effects::LEAVES_FOUND_ROWS)
    .union(Effects::FED_BY_QUERY)
    .union(Effects::SETS_INSERT_ID)
    .union(Effects::READ_USER_VARIABLE);

impl Session {
    /// The effects of a statement that has run. For an EXECUTE whose text is known and harmless, that text's effects are added, and
    /// [`Effects::UNTRACKED_STATE`] is taken away.
    #[inline]
    pub(in crate::session) fn effects_of(&self, plan: &Plan, executing: Option<u32>) -> Effects {
        let effects = plan.facts.effects;
        if plan.facts.verb != Verb::Execute || effects.intersects(Effects::MULTI | Effects::EXECUTABLE_COMMENT) {
            return effects;
        }
        match self.effects_executed(executing) {
            Some(inner) if PLAIN.contains(inner) => effects.difference(Effects::UNTRACKED_STATE) | inner,
            _ => effects,
        }
    }

    #[cold]
    fn effects_executed(&self, executing: Option<u32>) -> Option<Effects> {
        let mode = self.subject.mode();
        let (immediate, held);
        let text = match things::executed(self.text_of(executing), mode)? {
            Executed::Immediate(text) => {
                immediate = text;
                &immediate
            }
            Executed::Named(name) => {
                held = self.holdings.prepared_text(&name)?;
                held
            }
        };
        let is_read_alike = text.mode == mode;
        is_read_alike.then(|| self.plan(&self.worker.snapshot(), &text.sql).0.facts.effects)
    }

    /// The effects of the text that a PREPARE has given; none where it is not written out.
    #[cold]
    pub(super) fn effects_prepared(&self, effects: Effects, executing: Option<u32>) -> Option<Effects> {
        let events = things::read(self.text_of(executing), self.subject.mode(), effects);
        let text = events.into_iter().find_map(|event| match event {
            Event::Prepared(_, text) => Some(text),
            _ => None,
        })?;
        Some(self.plan(&self.worker.snapshot(), &text.sql).0.facts.effects)
    }

    /// Takes down what a statement did to named things.
    pub(in crate::session) fn note_things(&mut self, effects: Effects, executing: Option<u32>, failed: bool) {
        for event in things::read(self.text_of(executing), self.subject.mode(), effects) {
            self.holdings.note_thing(match event {
                // One that was refused may have left the statement of before under its name.
                Event::Prepared(name, _) if failed => Event::Made(Kind::Prepared, name),
                event => event,
            });
        }
    }

    /// The names of the user variables that a statement sets.
    pub(in crate::session) fn variables_set(&self, effects: Effects, executing: Option<u32>) -> Vec<Box<str>> {
        let events = things::read(self.text_of(executing), self.subject.mode(), effects);
        let named = events.into_iter().filter_map(|event| match event {
            Event::Made(_, name) | Event::Prepared(name, _) | Event::Gone(_, name) => Some(name),
            Event::AllGone(_) | Event::Unnamed(_) => None,
        });
        named.collect()
    }

    /// The text of the statement that is executing, or of the present COM_QUERY.
    pub(super) fn text_of(&self, executing: Option<u32>) -> &[u8] {
        executing.map_or_else(|| self.statement_text(), |id| self.statement_of(id))
    }

    /// The text of the present COM_QUERY.
    pub(super) fn statement_text(&self) -> &[u8] {
        self.inbox.payload().get(1..).unwrap_or_default()
    }
}
