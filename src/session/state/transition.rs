//! The way of a connection from the state it is in to the one that is wanted, on its server.
//!
//! Everything goes by value. What a connection loses goes back to what it began with; where nobody knows what that was, a
//! reset is the way. It refuses to run anything: the statements are sent by the room above.

use super::base::Base;
use super::value::{Value, clause, default_of, same_on, wide_clause};
use super::variable::{self, CHARACTER_SETS, CLIENT_COLLATION, RESULTS_COLLATION, VARIABLES, companions};
use super::{CLIENT, State};
use crate::backend::Engine;
use std::borrow::Cow;
use std::rc::Rc;

/// How a connection gets from one state to another.
#[derive(Debug, PartialEq, Eq)]
pub enum Way {
    /// By these steps; none where the two differ in name alone.
    Steps(Steps),
    /// By a new life first.
    Reset,
    /// Not at all: a schema that was chosen cannot be un-chosen. It stays for sessions that want it as it is.
    None,
}

/// The steps from one state to another.
#[derive(Debug, Default, PartialEq, Eq)]
pub struct Steps {
    /// The schema to change to.
    pub schema: Option<Box<str>>,
    /// The SET statement to run.
    pub set: Option<String>,
}

impl Way {
    /// How much there is to do: the fewer, the better a connection fits. None where there is no way.
    pub fn cost(&self) -> Option<u32> {
        match self {
            Way::Steps(steps) => Some(u32::from(steps.schema.is_some()) + u32::from(steps.set.is_some())),
            Way::Reset => Some(4),
            Way::None => None,
        }
    }
}

/// The way from `from` to `to` for a connection that began with `there` on a server of this engine.
pub fn way(from: &State, there: &Base, to: &State, engine: Engine) -> Way {
    let mut steps = Steps::default();
    if from.values.schema != to.values.schema {
        match &to.values.schema {
            Some(schema) => steps.schema = Some(schema.clone()),
            None => return Way::None,
        }
    }
    match differences(from, there, to, engine) {
        Some(clauses) if clauses.is_empty() => {}
        Some(clauses) => steps.set = Some(format!("SET {}", clauses.join(","))),
        None => return Way::Reset,
    }
    Way::Steps(steps)
}

/// Character sets in which letters of ASCII are not one byte.
const WIDE: [&str; 3] = ["ucs2_", "utf16", "utf32_"];

/// The clauses that bring the variables of `from` to those of `to`; none where one must go back to a value that nobody knows.
fn differences(from: &State, there: &Base, to: &State, engine: Engine) -> Option<Vec<String>> {
    let mut clauses = Vec::new();
    let mut dragged: Vec<&str> = Vec::new();
    let names = names(from, to);
    // Literals are read before the first clause takes effect.
    let collation = value_on(from, "collation_connection", there);
    let is_wide = collation.is_some_and(|it| WIDE.iter().any(|set| it.text().starts_with(set)));
    if names.iter().any(|name| CHARACTER_SETS.contains(name)) {
        character_sets(from, there, to, &mut clauses);
    }
    for name in names.into_iter().filter(|name| !CHARACTER_SETS.contains(name)) {
        let has = value_on(from, name, there);
        let wants = value_on(to, name, there);
        let wants = match wants {
            Some(wants) => wants,
            None if has.is_none() => continue,
            None => Cow::Owned(default_of(name)?),
        };
        let same = has.is_some_and(|has| same_on(name, &has, &wants, engine));
        if !same || dragged.contains(&name) {
            let put = if is_wide { wide_clause } else { clause };
            clauses.push(put(name, &wants, engine));
            dragged.extend(companions(name));
        }
    }
    Some(clauses)
}

/// The clauses that bring the character sets. The collation of the connection brings the connection's set along; the collations
/// of results and of the client go by `NAMES` alone, which sets all of them.
fn character_sets(from: &State, there: &Base, to: &State, clauses: &mut Vec<String>) {
    let of = |state, name| value_on(state, name, there).map(Cow::into_owned);
    let results = |state| (of(state, "character_set_results"), of(state, RESULTS_COLLATION));
    let client = |state| (of(state, CLIENT), of(state, CLIENT_COLLATION));
    let mut has = (results(from), client(from), of(from, "collation_connection"));
    let wants = (results(to), client(to), of(to, "collation_connection"));
    let named = [(&has.0, &wants.0), (&has.1, &wants.1)].into_iter().find_map(|(has, wants)| match wants {
        (Some(Value::Text(set)), Some(Value::Text(collation))) if has != wants && !collation.is_empty() => {
            Some((set, collation))
        }
        _ => None,
    });
    if let Some((set, collation)) = named {
        clauses.push(format!("NAMES '{set}' COLLATE '{collation}'"));
        let both = (Some(Value::Text(set.clone())), Some(Value::Text(collation.clone())));
        has = (both.clone(), both.clone(), both.1);
    }
    let mut set = |name: &str, wants: Option<Value>| {
        clauses.extend(wants.map(|wants| clause(name, &wants, Engine::Unknown)));
    };
    if has.0 != wants.0 {
        set("character_set_results", wants.0.0);
    }
    if has.1 != wants.1 {
        set(CLIENT, wants.1.0);
    }
    if has.2 != wants.2 {
        set("collation_connection", wants.2);
    }
}

/// The variables in which two states may differ, in the order in which they are to be set.
fn names<'a>(from: &'a State, to: &'a State) -> Vec<&'a str> {
    let (from, to) = (&from.values, &to.values);
    let same_base = Rc::ptr_eq(&from.base, &to.base);
    let is_set = |name: &str| from.own.contains_key(name) || to.own.contains_key(name);
    let drags = |name: &str| name == "sql_big_selects" && is_set("max_join_size");
    let known = VARIABLES.iter().map(|v| v.name).filter(|name| !same_base || is_set(name) || drags(name));
    let mut all: Vec<&str> = known.collect();
    let others = from.own.keys().chain(to.own.keys()).map(|name| &**name);
    for name in others.filter(|name| variable::find(name).is_none()) {
        if !all.contains(&name) {
            all.push(name);
        }
    }
    all
}

/// The value that a variable has on a connection in a state: what the session set, what its home begins with where answers
/// depend on that and the server has such a variable, and else what the connection began with.
fn value_on<'a>(state: &'a State, name: &str, there: &'a Base) -> Option<Cow<'a, Value>> {
    let values = &state.values;
    let said = values.own.get(name).or_else(|| values.value(name).filter(|_| there.value(name).is_some()));
    match said {
        Some(zone) if name == "time_zone" => Some(Cow::Owned(values.base.zone_there(zone, there))),
        Some(value) => Some(Cow::Borrowed(value)),
        None => there.value(name).map(Cow::Borrowed),
    }
}

#[cfg(test)]
mod tests {
    use super::super::{Interner, Values};
    use super::*;

    struct Scene {
        interner: Interner,
        home: Rc<Base>,
    }

    impl Scene {
        fn new() -> Self {
            let interner = Interner::default();
            let home = interner.base(Base::of(
                &[
                    ("sql_mode", "STRICT_TRANS_TABLES"),
                    ("time_zone", "SYSTEM"),
                    ("character_set_client", "latin1"),
                    ("character_set_connection", "latin1"),
                    ("collation_connection", "latin1_swedish_ci"),
                    ("max_join_size", "18446744073709551615"),
                    ("sql_big_selects", "1"),
                    ("wait_timeout", "28800"),
                ],
                "UTC",
            ));
            Self { interner, home }
        }

        fn state(&self, schema: Option<&str>, own: &[(&str, &str)]) -> Rc<State> {
            let mut values = Values::new(schema.map(Into::into), Rc::clone(&self.home));
            own.iter().for_each(|(name, said)| values.set(name, Value::read(name, said)));
            self.interner.intern(values)
        }

        fn way(&self, from: &State, to: &State) -> Way {
            way(from, &self.home, to, Engine::MariaDb)
        }
    }

    fn set(clauses: &str) -> Way {
        Way::Steps(Steps { schema: None, set: (!clauses.is_empty()).then(|| format!("SET {clauses}")) })
    }

    #[test]
    fn only_what_differs_is_brought_and_goes_back_by_value() {
        let scene = Scene::new();
        let plain = scene.state(Some("a"), &[]);
        let other = scene.state(Some("b"), &[("sql_mode", "ANSI"), ("wait_timeout", "5")]);
        let there = scene.way(&plain, &other);
        let want = Steps { schema: Some("b".into()), set: Some("SET sql_mode='ANSI',wait_timeout=5".into()) };
        assert_eq!(there, Way::Steps(want));
        let back = scene.way(&other, &plain);
        let set = "SET sql_mode='STRICT_TRANS_TABLES',wait_timeout=28800";
        assert_eq!(back, Way::Steps(Steps { schema: Some("a".into()), set: Some(set.into()) }));
        assert_eq!(scene.way(&other, &other).cost(), Some(0));
    }

    #[test]
    fn a_value_that_nobody_knows_is_lost_by_a_reset() {
        let scene = Scene::new();
        let (plain, strange) = (scene.state(None, &[]), scene.state(None, &[("lc_messages", "de_DE")]));
        assert_eq!(scene.way(&plain, &strange), set("lc_messages='de_DE'"));
        assert_eq!(scene.way(&strange, &plain), Way::Reset);
        let dated = scene.state(None, &[("timestamp", "100.500000")]);
        assert_eq!(scene.way(&dated, &plain), set("timestamp=DEFAULT"));
        assert_eq!(scene.way(&scene.state(Some("a"), &[]), &plain), Way::None, "a schema cannot be un-chosen");
    }

    #[test]
    fn what_a_variable_changes_beside_itself_is_set_again() {
        let scene = Scene::new();
        let (plain, limited) = (scene.state(None, &[]), scene.state(None, &[("max_join_size", "10")]));
        assert_eq!(scene.way(&plain, &limited), set("max_join_size=10,sql_big_selects='ON'"));
        let named =
            scene.state(None, &[("character_set_connection", "utf8mb4"), ("collation_connection", "utf8mb4_bin")]);
        assert_eq!(scene.way(&plain, &named), set("collation_connection='utf8mb4_bin'"));
        assert_eq!(scene.way(&named, &plain), set("collation_connection='latin1_swedish_ci'"));
    }

    #[test]
    fn the_collation_of_results_goes_by_names_alone() {
        let scene = Scene::new();
        let names = |collation: &str, own: &[(&str, &str)]| {
            let mut all = vec![
                ("character_set_client", "utf8mb4"),
                ("character_set_connection", "utf8mb4"),
                ("character_set_results", "utf8mb4"),
                ("collation_connection", "utf8mb4_bin"),
                (RESULTS_COLLATION, collation),
                (CLIENT_COLLATION, collation),
            ];
            all.extend(own);
            scene.state(None, &all)
        };
        let plain = scene.state(None, &[]);
        let (bin, default) = (names("utf8mb4_bin", &[]), names("", &[]));
        assert_eq!(scene.way(&plain, &bin), set("NAMES 'utf8mb4' COLLATE 'utf8mb4_bin'"));
        assert_eq!(scene.way(&default, &bin), set("NAMES 'utf8mb4' COLLATE 'utf8mb4_bin'"));
        assert_eq!(scene.way(&bin, &default), set("character_set_results='utf8mb4',character_set_client='utf8mb4'"));
        let client = names("utf8mb4_bin", &[("character_set_client", "latin1"), (CLIENT_COLLATION, "")]);
        assert_eq!(
            scene.way(&plain, &client),
            set("NAMES 'utf8mb4' COLLATE 'utf8mb4_bin',character_set_client='latin1'")
        );
    }

    #[test]
    fn a_server_with_other_globals_is_brought_to_the_home() {
        let scene = Scene::new();
        let reader = scene.interner.base(Base::of(
            &[("sql_mode", "ONLY_FULL_GROUP_BY"), ("time_zone", "SYSTEM"), ("wait_timeout", "100")],
            "CET",
        ));
        let begun = scene.interner.intern(Values::new(None, Rc::clone(&reader)));
        let session = scene.state(None, &[]);
        let there = way(&begun, &reader, &session, Engine::MySql);
        let Way::Steps(Steps { set: Some(statement), .. }) = &there else { panic!("{there:?}") };
        assert!(statement.contains("sql_mode='STRICT_TRANS_TABLES'") && statement.contains("time_zone='+00:00'"));
        assert!(!statement.contains("wait_timeout"), "a server's own affair: {statement}");
        let set_it = scene.state(None, &[("wait_timeout", "5")]);
        assert_eq!(way(&session, &reader, &set_it, Engine::MySql), set("wait_timeout=5"));
        assert_eq!(way(&set_it, &reader, &session, Engine::MySql), set("wait_timeout=100"), "back to its own");
    }
}
