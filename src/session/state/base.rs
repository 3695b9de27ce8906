//! What a connection begins with, by value: the variables of [`super::variable`], as its server had them when the
//! connection's life began, and the server's own time zone.
//!
//! A session begins with the base of its home. A connection to another server is brought to it where the two differ, and a
//! connection that loses what a session has set goes back to its own. Equal bases are one `Rc` for each worker
//! ([`super::Interner`]).

use super::value::Value;
use super::variable::{BEFORE, CHARACTER_SETS, CLIENT_COLLATION, RESULTS_COLLATION, SEPARATOR, Scope, VARIABLES};
use crate::backend::Engine;
use std::collections::BTreeMap;

/// What a connection begins with. Empty where nobody has asked yet.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash)]
pub struct Base {
    values: BTreeMap<&'static str, Value>,
    zone: Zone,
}

/// How a connection's life began.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Born {
    /// By signing in: character sets are what was agreed then.
    BySignIn,
    /// By COM_RESET_CONNECTION: all is what the server's globals say, on MySQL the character sets too.
    ByReset,
}

/// A server's own time zone: what `SYSTEM` means there.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash)]
pub struct Zone {
    /// Its name, mostly an abbreviation (`CET`), as the server found it when it was started.
    name: Box<str>,
    /// Minutes from UTC when the server was asked, where `SYSTEM` was in force then.
    offset: Option<i32>,
}

impl Zone {
    /// True if `SYSTEM` means the same on both servers, as far as can be told: they have one name for it, or one distance from
    /// UTC (servers that were started in summer and in winter name the same zone by two abbreviations).
    fn is_same(&self, other: &Zone) -> bool {
        self.name == other.name || self.offset.is_some() && self.offset == other.offset
    }

    fn is_utc(&self) -> bool {
        ["UTC", "GMT", "UCT", "ZULU", "UNIVERSAL", "ETC/UTC"].iter().any(|name| self.name.eq_ignore_ascii_case(name))
    }
}

impl Base {
    /// Reads a server's answer to [`super::variable::Opening::ask`], where these were asked for; none if it is no such answer.
    pub fn read(asked: &[&'static str], answer: &str, born: Born, engine: Engine) -> Option<Self> {
        let mut said = answer.split(SEPARATOR);
        let (zone, offset) = (said.next()?, said.next()?);
        let mut values: BTreeMap<_, _> =
            asked.iter().zip(&mut said).map(|(name, said)| (*name, Value::read(name, said))).collect();
        if asked.len() + BEFORE != answer.split(SEPARATOR).count() {
            return None;
        }
        let named = match born {
            // MySQL takes its globals, as if SET had said them; MariaDB keeps what was agreed.
            Born::ByReset if engine == Engine::MySql => Some(Value::Text("".into())),
            Born::BySignIn | Born::ByReset => values.get("collation_connection").cloned(),
        };
        for name in [RESULTS_COLLATION, CLIENT_COLLATION] {
            values.extend(named.clone().map(|collation| (name, collation)));
        }
        let is_system = values.get("time_zone").is_some_and(|zone: &Value| zone.text() == SYSTEM);
        let offset = offset.parse().ok().filter(|_| is_system);
        Some(Self { values, zone: Zone { name: zone.into(), offset } })
    }

    /// What a sign-in begins with now, if `earlier` and `later` are what resets began with: globals have changed by that. What a
    /// client signs in with stays as it is.
    pub fn moved(&self, earlier: &Base, later: &Base) -> Self {
        let mut moved = self.clone();
        for (name, value) in &later.values {
            if earlier.value(name) != Some(value) && !CHARACTER_SETS.contains(name) {
                moved.values.insert(name, value.clone());
            }
        }
        moved
    }

    /// The value of the variable of this name; none where it was not asked for.
    pub fn value(&self, name: &str) -> Option<&Value> {
        self.values.get(name)
    }

    /// True if nobody has asked yet.
    pub fn is_unknown(&self) -> bool {
        self.values.is_empty()
    }

    /// The variables that answers depend on, with their values.
    pub fn answers(&self) -> impl Iterator<Item = (&'static str, &Value)> {
        let of_answers = VARIABLES.iter().filter(|variable| variable.scope == Scope::Answers);
        of_answers.filter_map(|variable| Some((variable.name, self.values.get(variable.name)?)))
    }

    /// What a `time_zone` of a session whose home has this base is on a server of base `there`: `SYSTEM` means the home's.
    pub fn zone_there(&self, value: &Value, there: &Base) -> Value {
        if value.text() != SYSTEM || self.zone.is_same(&there.zone) {
            return value.clone();
        }
        if self.zone.is_utc() { Value::Text("+00:00".into()) } else { Value::Text(self.zone.name.clone()) }
    }

    #[cfg(test)]
    pub(super) fn of(values: &[(&'static str, &str)], zone: &str) -> Self {
        let values = values.iter().map(|(name, said)| (*name, Value::read(name, said))).collect();
        Self { values, zone: Zone { name: zone.into(), offset: None } }
    }
}

/// The value of `time_zone` that stands for the server's own.
pub const SYSTEM: &str = "SYSTEM";

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_answer_is_read_by_what_was_asked() {
        let base = Base::read(&["sql_mode", "autocommit"], "UTC\u{1f}0\u{1f}ANSI\u{1f}1", Born::ByReset, Engine::MySql)
            .unwrap();
        assert_eq!(base.value("sql_mode"), Some(&Value::Text("ANSI".into())));
        assert!(base.value("autocommit").unwrap().is_on());
        assert_eq!(base.value("time_zone"), None);
        assert_eq!(Base::read(&["sql_mode"], "UTC\u{1f}0", Born::BySignIn, Engine::MySql), None);
        assert_eq!(Base::read(&["sql_mode"], "UTC\u{1f}0\u{1f}a\u{1f}b", Born::BySignIn, Engine::MySql), None);
        assert_eq!(Base::read(&[], "", Born::BySignIn, Engine::MySql), None);
    }

    #[test]
    fn globals_that_change_are_what_the_next_sign_in_begins_with() {
        let at_sign_in =
            Base::of(&[("sql_mode", "A"), ("wait_timeout", "1"), ("character_set_client", "utf8mb4")], "UTC");
        let earlier = Base::of(&[("sql_mode", "A"), ("wait_timeout", "9"), ("character_set_client", "latin1")], "UTC");
        let later = Base::of(&[("sql_mode", "B"), ("wait_timeout", "9"), ("character_set_client", "sjis")], "UTC");
        let moved = at_sign_in.moved(&earlier, &later);
        let said = |name: &str| moved.value(name).map(Value::text);
        assert_eq!((said("sql_mode"), said("wait_timeout")), (Some("B"), Some("1")), "init_connect set what differed");
        assert_eq!(said("character_set_client"), Some("utf8mb4"));
    }

    #[test]
    fn the_homes_zone_is_said_where_another_server_has_another() {
        let (system, set) = (Value::Text(SYSTEM.into()), Value::Text("+02:00".into()));
        let [utc, cet, cest] = ["UTC", "CET", "CEST"].map(|zone| Base::of(&[], zone));
        assert_eq!(utc.zone_there(&system, &utc), system);
        assert_eq!(utc.zone_there(&system, &cet), Value::Text("+00:00".into()));
        assert_eq!(cet.zone_there(&system, &utc), Value::Text("CET".into()));
        assert_eq!(cet.zone_there(&set, &utc), set);
        let at = |base: &Base, offset| Base { zone: Zone { offset, ..base.zone.clone() }, ..base.clone() };
        assert_eq!(at(&cet, Some(60)).zone_there(&system, &at(&cest, Some(60))), system);
    }
}
