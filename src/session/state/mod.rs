//! What a session has set, as typed variables with values; what holds it to a connection; and how a connection is brought to
//! the one and freed of the other. Pure: no sockets, no waiting.
//!
//! | file | what it holds |
//! |---|---|
//! | [`variable`] | the session variables that are known, under one name each |
//! | [`value`] | a value, and the clause that sets it in each engine's words |
//! | [`base`] | what a connection begins with |
//! | [`assignment`] | what a SET statement assigns, by its text |
//! | [`change`] | what an answer did to a session's state |
//! | [`transition`] | from one state to another, on a server |
//! | [`pins`] | why a session must keep a connection |
//! | [`things`] | named things on a connection: what makes pins, and what lifts them |
//!
//! The server's own word counts: session tracking reports every variable that a statement changed, with its value, whether
//! the statement's text shows it or a routine did it. The text is read for what no report says: what is meant for one
//! transaction alone, and what cannot be carried.
//!
//! States are interned per worker: sessions and connections hold an `Rc`, and "nothing to do" is one pointer compared.

pub mod assignment;
pub mod base;
pub mod change;
pub mod pins;
pub mod things;
pub mod transition;
pub mod value;
pub mod variable;

use crate::backend::server::BackendId;
use crate::sql::LexMode;
use base::{Base, SYSTEM};
use hashbrown::{Equivalent, HashSet};
use jiff::tz::TimeZone;
use pins::Pins;
use std::cell::RefCell;
use std::collections::BTreeMap;
use std::rc::Rc;
use value::Value;
use variable::Scope;

/// The content of a state.
#[derive(Clone, Debug)]
#[cfg_attr(test, derive(Default))]
pub struct Values {
    /// The default schema.
    pub schema: Option<Box<str>>,
    /// What the session began with: its home's. Interned, and compared as such.
    pub base: Rc<Base>,
    /// What it has set since, by the variables' one names, as far as that differs from what it began with.
    own: BTreeMap<Box<str>, Value>,
}

/// What values are compared and found by.
#[derive(PartialEq, Eq, Hash)]
struct Content<'a> {
    schema: Option<&'a str>,
    base: *const Base,
    own: &'a BTreeMap<Box<str>, Value>,
}

/// What a session has set that has set nothing.
static NOTHING: BTreeMap<Box<str>, Value> = BTreeMap::new();

impl Values {
    fn content(&self) -> Content<'_> {
        Content { schema: self.schema.as_deref(), base: Rc::as_ptr(&self.base), own: &self.own }
    }
}

impl PartialEq for Values {
    fn eq(&self, other: &Self) -> bool {
        self.content() == other.content()
    }
}

impl Eq for Values {}

impl Values {
    /// What a session with this schema begins with.
    pub fn new(schema: Option<Box<str>>, base: Rc<Base>) -> Self {
        Self { schema, base, own: BTreeMap::new() }
    }

    /// The value of a variable, by its one name, as far as it is the session's to say: what it has set, and else what it began
    /// with where answers depend on that.
    pub fn value(&self, name: &str) -> Option<&Value> {
        let began_with = || {
            let counts = variable::find(name).is_some_and(|known| known.scope == Scope::Answers);
            self.base.value(name).filter(|_| counts)
        };
        self.own.get(name).or_else(began_with)
    }

    /// True if a server reads this name, which is in UTF-8, as it is: it takes names to be in the client's character set, which is
    /// that of `there` where these values say none.
    pub fn reads_name(&self, name: &str, there: &Base) -> bool {
        let client = self.value(CLIENT).or_else(|| there.value(CLIENT)).map_or("", Value::text);
        name.is_ascii() || client.starts_with("utf8") || client == "binary"
    }

    /// What the session has set.
    pub fn own(&self) -> impl Iterator<Item = (&str, &Value)> {
        self.own.iter().map(|(name, value)| (&**name, value))
    }

    /// The session has set this variable.
    pub fn set(&mut self, name: &str, value: Value) {
        let counts = variable::find(name).is_some_and(|known| known.scope == Scope::Answers);
        if counts && self.base.value(name) == Some(&value) {
            self.own.remove(name);
        } else {
            self.own.insert(name.into(), value);
        }
    }

    /// The session has it as it began with it.
    pub fn unset(&mut self, name: &str) {
        self.own.remove(name);
    }

    /// The same settings in another schema.
    pub fn in_schema(&self, schema: Option<Box<str>>) -> Self {
        Self { schema, ..self.clone() }
    }

    /// The same settings over what another home begins with.
    pub fn over(&self, base: Rc<Base>) -> Self {
        let mut values = Self::new(self.schema.clone(), base);
        for (name, value) in &self.own {
            values.set(name, value.clone());
        }
        values
    }
}

/// The character set that a client's statements and names are in.
pub const CLIENT: &str = "character_set_client";

/// An interned [`Values`], with what follows from it.
#[derive(Debug)]
pub struct State {
    /// The state itself.
    pub values: Values,
    /// How the session's statements are to be read.
    pub lex_mode: LexMode,
    /// The session's time zone, where it has one that can be named here.
    pub time_zone: Option<TimeZone>,
    /// What of it holds a session to one connection.
    pub pins: Pins,
    /// True if every statement commits by itself.
    pub autocommit: bool,
    /// False where no server has said yet what the session begins with.
    pub has_base: bool,
    /// Servers that refused it.
    refused: RefCell<Vec<Refusal>>,
}

/// A server's answer to the SET that would bring a connection to a state.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Refusal {
    /// Who refused.
    pub backend: BackendId,
    /// The tick at which.
    pub at: u32,
    /// The code of the error.
    pub code: u16,
    /// Its SQLSTATE.
    pub sqlstate: [u8; 5],
    /// Its text.
    pub message: String,
}

/// Ticks for which a server's refusal is believed.
const REFUSAL_HOLDS: u32 = 10;

/// Errors of servers that say "there is no such thing here": unknown variable, value, collation, character set, time zone,
/// read-only variable.
const NOT_HERE: [u16; 6] = [1193, 1231, 1273, 1115, 1238, 1298];

impl State {
    fn new(values: Values) -> Self {
        let set = |name: &str| values.value(name);
        let client = set("character_set_client");
        let lex_mode = LexMode {
            foreign_charset: client.is_some_and(|v| LexMode::is_foreign_charset(v.text())),
            foreign_marks: client.is_some_and(|v| LexMode::has_foreign_marks(v.text())),
            ..LexMode::from_sql_mode(set("sql_mode").map_or("", Value::text))
        };
        let time_zone = set("time_zone").and_then(|zone| read_time_zone(zone.text()));
        let autocommit = !set("autocommit").is_some_and(Value::is_off);
        let pins = pins_of(&values);
        let has_base = !values.base.is_unknown();
        Self { lex_mode, time_zone, pins, autocommit, has_base, values, refused: RefCell::default() }
    }

    /// A server refused to bring a connection to it. Remembered for a while, if asking again would change nothing.
    pub fn refuse(&self, refusal: Refusal) {
        let mut refused = self.refused.borrow_mut();
        refused.retain(|old| old.backend != refusal.backend && refusal.at.wrapping_sub(old.at) < REFUSAL_HOLDS);
        if NOT_HERE.contains(&refusal.code) {
            refused.push(refusal);
        }
    }

    /// What that server answered when it refused it a moment ago.
    pub fn refused_by(&self, backend: BackendId, now: u32) -> Option<Refusal> {
        let refused = self.refused.borrow();
        refused.iter().find(|r| r.backend == backend && now.wrapping_sub(r.at) < REFUSAL_HOLDS).cloned()
    }

    /// True if the session has said the same of its transactions.
    pub fn has_transactions_of(&self, other: &Self) -> bool {
        let same = |name: &str| self.values.own.get(name) == other.values.own.get(name);
        same("transaction_isolation") && same("transaction_read_only")
    }

    /// True if `WHERE id IS NULL` finds the row that was inserted last.
    pub fn is_null_an_id(&self) -> bool {
        is_null_an_id(&self.values)
    }

    /// True if what NOW() means for the session is not ours to know: it has set its own `timestamp`, or has a time zone that
    /// cannot be read here.
    pub fn has_own_clock(&self) -> bool {
        let unread = |zone: &Value| self.time_zone.is_none() && !zone.text().eq_ignore_ascii_case(SYSTEM);
        self.values.own.contains_key("timestamp") || self.values.value("time_zone").is_some_and(unread)
    }
}

fn is_null_an_id(values: &Values) -> bool {
    values.own.get("sql_auto_is_null").is_some_and(Value::is_on)
}

/// Settings under which a statement's answer hangs on what its own connection did before.
fn pins_of(values: &Values) -> Pins {
    let mut pins = if is_null_an_id(values) { Pins::HISTORY } else { Pins::empty() };
    for name in RECORDERS {
        pins |= values.own.get(name).map_or(Pins::empty(), |value| recorded_by(name, value));
    }
    pins
}

/// Settings under which a server records a session's statements.
const RECORDERS: [&str; 2] = ["profiling", "optimizer_trace"];

/// The pins of a session that has given a variable this value.
fn recorded_by(name: &str, value: &Value) -> Pins {
    let is_on = match name {
        "profiling" => value.is_on(),
        "optimizer_trace" => value.text().starts_with("enabled=on"),
        _ => false,
    };
    if is_on { Pins::HISTORY | Pins::RECORDED } else { Pins::empty() }
}

/// A `time_zone` value: `+02:00`, or a name of the time zone database. `SYSTEM` is not ours to know.
fn read_time_zone(value: &str) -> Option<TimeZone> {
    let offset = |sign: i32, rest: &str| {
        let (hours, minutes) = rest.split_once(':')?;
        let seconds =
            hours.parse::<i32>().ok()?.checked_mul(3600)?.checked_add(minutes.parse::<i32>().ok()?.checked_mul(60)?)?;
        jiff::tz::Offset::from_seconds(sign * seconds).ok().map(TimeZone::fixed)
    };
    match (value.strip_prefix('+'), value.strip_prefix('-')) {
        (Some(ahead), _) => offset(1, ahead),
        (_, Some(behind)) => offset(-1, behind),
        _ => TimeZone::get(value).ok(),
    }
}

/// The states and bases that a worker's sessions and connections are in.
#[derive(Debug, Default)]
pub struct Interner {
    states: RefCell<HashSet<Key, foldhash::fast::FixedState>>,
    bases: RefCell<HashSet<Rc<Base>, foldhash::fast::FixedState>>,
    /// The one base of which nothing is known.
    unknown: Rc<Base>,
}

#[derive(Debug, Clone)]
struct Key(Rc<State>);

impl PartialEq for Key {
    fn eq(&self, other: &Self) -> bool {
        self.0.values == other.0.values
    }
}
impl Eq for Key {}
impl std::hash::Hash for Key {
    fn hash<H: std::hash::Hasher>(&self, hasher: &mut H) {
        self.0.values.content().hash(hasher);
    }
}
impl Equivalent<Key> for Content<'_> {
    fn equivalent(&self, key: &Key) -> bool {
        *self == key.0.values.content()
    }
}

/// What nobody is in is let go once there are this many.
const SWEEP_AT: usize = 1024;

impl Interner {
    /// The one `Rc` for this state.
    pub fn intern(&self, values: Values) -> Rc<State> {
        let mut states = self.states.borrow_mut();
        if let Some(known) = states.get(&values.content()) {
            return Rc::clone(&known.0);
        }
        if states.len() >= SWEEP_AT && states.len().is_power_of_two() {
            states.retain(|key| Rc::strong_count(&key.0) > 1);
        }
        let state = Rc::new(State::new(values));
        states.insert(Key(Rc::clone(&state)));
        state
    }

    /// The one `Rc` for the state with this schema over this base in which nothing has been set: what sessions begin in.
    pub fn begun(&self, schema: Option<&str>, base: &Rc<Base>) -> Rc<State> {
        let content = Content { schema, base: Rc::as_ptr(base), own: &NOTHING };
        if let Some(known) = self.states.borrow().get(&content) {
            return Rc::clone(&known.0);
        }
        self.intern(Values::new(schema.map(Into::into), Rc::clone(base)))
    }

    /// The same, where nobody has said yet what it begins with.
    pub fn unmet(&self, schema: Option<&str>) -> Rc<State> {
        self.begun(schema, &self.unknown)
    }

    /// The one `Rc` for what these values are over another base.
    pub fn over(&self, values: &Values, base: Rc<Base>) -> Rc<State> {
        match values.own.is_empty() {
            true => self.begun(values.schema.as_deref(), &base),
            false => self.intern(values.over(base)),
        }
    }

    /// The one `Rc` for the base of which nothing is known.
    pub fn unknown(&self) -> Rc<Base> {
        Rc::clone(&self.unknown)
    }

    /// The one `Rc` for this base.
    pub fn base(&self, base: Base) -> Rc<Base> {
        let mut bases = self.bases.borrow_mut();
        if let Some(known) = bases.get(&base) {
            return Rc::clone(known);
        }
        if bases.len() >= SWEEP_AT && bases.len().is_power_of_two() {
            bases.retain(|base| Rc::strong_count(base) > 1);
        }
        let base = Rc::new(base);
        bases.insert(Rc::clone(&base));
        base
    }
}

#[cfg(test)]
mod tests;
