//! Prepared statements as a session keeps them: by its own numbers, with what their texts mean and what was sent ahead.
//!
//! What is done with them is in [`crate::session::prepared`]. They refuse to know which server has them: a link knows that.

use crate::rules::{Plan, Route, Subject};
use crate::session::link::text::Text;
use crate::session::state::State;
use crate::session::worker::memory::Share;
use hashbrown::HashMap;
use std::collections::BTreeMap;
use std::rc::Rc;

/// One of a session's prepared statements.
pub struct Statement {
    /// Its text.
    pub(in crate::session) text: Rc<[u8]>,
    /// The number by which links know it; good while `known` lives.
    pub(in crate::session) number: u64,
    pub(in crate::session) known: Rc<Text>,
    /// What the session had set when it was prepared: names in it resolve by that.
    pub(in crate::session) state: Rc<State>,
    /// Whom and under what it is planned for: the session as it was then. Boxed: needed once for each version of the rules.
    pub(in crate::session) subject: Box<Subject>,
    pub(in crate::session) parameters: u16,
    /// The types of the last execution that sent some; the same allocation for all statements of this text that agree.
    pub(in crate::session) types: Option<Rc<[u8]>>,
    /// Parameters sent ahead, by their place: all pieces of each.
    pub(in crate::session) long_data: BTreeMap<u16, Vec<u8>>,
    pub(in crate::session) plan: Rc<Plan>,
    /// The route, where the text alone decides it.
    pub(in crate::session) settled: Option<Rc<Route>>,
}

/// A session's prepared statements.
#[derive(Default)]
pub struct Statements {
    pub(in crate::session) by_id: HashMap<u32, Statement, foldhash::fast::FixedState>,
    pub(in crate::session) last_id: u32,
    pub(in crate::session) long_data_bytes: usize,
    /// What they have taken of the process's memory.
    pub(in crate::session) long_data_share: Option<Box<Share>>,
}

/// An execution that is about to run.
#[derive(Clone, Copy)]
pub(in crate::session) struct Executing {
    /// The client's number.
    pub id: u32,
    /// It brings its parameters' types, or there are none to bring.
    pub(in crate::session) brings_types: bool,
    /// Some of its parameters were sent ahead.
    pub long_data: bool,
    /// It asks for a cursor.
    pub cursor: bool,
}
