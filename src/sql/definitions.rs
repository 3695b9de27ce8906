//! What triggers, views and stored routines do on the connection of whoever uses them.
//!
//! The text of an INSERT does not show that a trigger of its table takes a lock, and the text of a SELECT does not show that
//! its table is a view of a function that sets a user variable. The definitions' own texts do. This module reads them
//! ([`body`]), follows them where they use one another, and adds to a statement's [`Facts`] what follows from the names in it:
//!
//! - the effects of the views that it reads, as if their text stood in the statement's;
//! - [`Effects::HIDDEN_STATE`] where something may be left on the connection that no server reports.
//!
//! Names are compared without their schemas and without case: two things of one name are taken for one that does what either
//! does. It refuses to ask servers (`backend::catalogue` does), and to say what is to be done with a connection (`session`).

use super::LexMode;
use super::classify::classify;
use super::effects::{Access, Effects, Facts, Verb};
use body::Body;
pub use definition::{Definition, Kind};
use foldhash::fast::FixedState;
use std::collections::{HashMap, HashSet};

mod body;
mod definition;

type Map<V> = HashMap<Box<str>, V, FixedState>;
type Set = HashSet<Box<str>, FixedState>;

/// What is known of a view that does more than to read.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
struct View {
    /// Whoever reads it may have something left on its connection.
    leaves: bool,
    /// Whoever writes through it may: a table below it has such a trigger.
    leaves_when_written: bool,
    /// What it does that a plain read does not.
    effects: Effects,
    /// Functions in it that are no known built-ins.
    functions: Vec<Box<str>>,
}

/// What follows from all definitions of all servers. Immutable.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Definitions {
    /// Tables whose triggers may leave something on the connection of whoever writes to them.
    tables: Set,
    /// Views that do more than to read.
    views: Map<View>,
    /// Routines, and whether they may leave something on the connection of whoever calls them.
    routines: Map<bool>,
}

/// Effects of a view's text that its readers do not have for that: what is harmless, and what asks for the statement before
/// (a statement that does so is put into other words, and a view's cannot be).
const NOT_OF_READERS: Effects = Effects::READER_SAFE.union(Effects::NEEDS_PREVIOUS);

impl Definitions {
    /// Reads all definitions.
    pub fn new<'a>(definitions: impl IntoIterator<Item = &'a Definition>) -> Self {
        let definitions: Vec<&Definition> = definitions.into_iter().collect();
        let bodies: Vec<Body> = definitions.iter().map(|definition| Body::read(definition)).collect();
        let mut all = Self::default();
        for (definition, body) in definitions.iter().zip(&bodies) {
            let name = definition.name.to_lowercase().into_boxed_str();
            match definition.kind {
                Kind::Trigger if body.leaves => {
                    all.tables.insert(name);
                }
                Kind::Trigger => {}
                Kind::View => {
                    let facts = classify(definition.body.as_bytes(), LexMode::default());
                    let view = all.views.entry(name).or_default();
                    view.leaves |= body.leaves;
                    view.take(facts.effects - NOT_OF_READERS, &facts.functions);
                }
                Kind::Routine => *all.routines.entry(name).or_default() |= body.leaves,
            }
        }
        while definitions.iter().zip(&bodies).any(|(definition, body)| all.follow(definition, body)) {}
        all.views.retain(|_, view| *view != View::default());
        all
    }

    /// Takes over what follows from the things that a definition uses. True if something new did.
    fn follow(&mut self, definition: &Definition, body: &Body) -> bool {
        let name = definition.name.to_lowercase();
        let calls = body.calls.iter().any(|name| self.routines.get(name) == Some(&true));
        let views = || body.names.iter().filter_map(|name| self.views.get(name));
        let reads = calls || views().any(|view| view.leaves);
        let writes =
            body.names.iter().any(|name| self.tables.contains(name)) || views().any(|view| view.leaves_when_written);
        match definition.kind {
            Kind::Trigger => (reads || writes) && self.tables.insert(name.into()),
            Kind::Routine => {
                let leaves = self.routines.entry(name.into()).or_default();
                !std::mem::replace(leaves, *leaves || reads || writes) && *leaves
            }
            Kind::View => {
                let below: Vec<View> = views().cloned().collect();
                let Some(view) = self.views.get_mut(name.as_str()) else { return false };
                let before = view.clone();
                view.leaves |= reads;
                view.leaves_when_written |= writes;
                below.iter().for_each(|other| view.take(other.effects, &other.functions));
                *view != before
            }
        }
    }

    /// Adds to a statement's facts what the views that it names do.
    pub fn expand_views(&self, facts: &mut Facts) {
        if self.views.is_empty() {
            return;
        }
        for table in &facts.tables {
            let Some(view) = self.views.get(table.name.to_lowercase().as_str()) else { continue };
            facts.effects |= view.effects;
            if view.effects.contains(Effects::UNPROVEN) && facts.unproven.is_empty() {
                facts.unproven = "a view whose definition is not proven";
            }
            for function in &view.functions {
                if !facts.functions.contains(function) {
                    facts.functions.push(function.clone());
                }
            }
        }
    }

    /// Adds [`Effects::HIDDEN_STATE`] to the facts of a statement that may leave something on its connection which neither its
    /// text nor a server's report shows.
    pub fn find_hidden_state(&self, facts: &mut Facts) {
        let calls = facts.effects.intersects(Effects::CALL | Effects::UNKNOWN_FUNCTION);
        // What was defined a moment ago is not known yet.
        let defines = facts.effects.contains(Effects::STORED_DEFINITION) && facts.verb == Verb::Create;
        if calls && !self.knows_all_called(facts) || defines || self.leaves_by_table(facts) {
            facts.effects |= Effects::HIDDEN_STATE;
        }
    }

    fn leaves_by_table(&self, facts: &Facts) -> bool {
        if self.tables.is_empty() && self.views.is_empty() {
            return false;
        }
        facts.tables.iter().any(|table| {
            let name = table.name.to_lowercase();
            let writes = table.access == Access::Write;
            let view = self.views.get(name.as_str());
            view.is_some_and(|view| view.leaves || writes && view.leaves_when_written)
                || writes && self.tables.contains(name.as_str())
        })
    }

    /// True if all that a statement calls is known, and leaves nothing. Where there is more than one reading of a text, or more
    /// than one statement in it, not all that it calls has a name here.
    fn knows_all_called(&self, facts: &Facts) -> bool {
        let is_plain = !facts.effects.intersects(Effects::MULTI | Effects::EXECUTABLE_COMMENT | Effects::UNPROVEN);
        let has_names = !facts.effects.contains(Effects::CALL) || facts.procedure.is_some();
        let harmless = |name: &str| {
            let name = name.rsplit('.').next().unwrap_or(name);
            self.routines.get(name) == Some(&false)
        };
        is_plain && has_names && facts.procedure.iter().chain(&facts.functions).all(|name| harmless(name))
    }

    /// How many tables have triggers that leave something, how many views do more than to read, how many routines leave
    /// something: for people.
    pub fn counts(&self) -> (usize, usize, usize) {
        (self.tables.len(), self.views.len(), self.routines.values().filter(|leaves| **leaves).count())
    }
}

impl View {
    /// It does this, too.
    fn take(&mut self, effects: Effects, functions: &[Box<str>]) {
        self.effects |= effects;
        for function in functions {
            if !self.functions.contains(function) {
                self.functions.push(function.clone());
            }
        }
    }
}

#[cfg(test)]
mod tests;
