//! Whether an account is shown all definitions, by its rights.
//!
//! A server leaves out what an account may not see, without a word: that nothing was shown does not mean that nothing is there.
//! [`super::read`] reads the rights with the definitions. It refuses to guess: rights that are not listed, those of
//! roles, count for nothing.

use std::collections::HashMap;

/// A right of an account's.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Granted {
    /// What it is for: nothing for all, a schema, or a schema and a table with a dot between them.
    pub on: String,
    /// Its name.
    pub right: String,
}

/// In the place of a right: the account has rights by a role, which are not listed.
pub(super) const ROLE: &str = "(role)";

/// How much of a server's definitions an account is shown.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Scope {
    /// All.
    All,
    /// All that may meet statements of its own.
    Own,
    /// Not even that, for this reason.
    Part(String),
}

/// What it takes, everywhere, to be shown all definitions.
const SHOW_ALL: [&str; 3] = ["SELECT", "SHOW VIEW", "TRIGGER"];

/// What lets an account meet triggers, which it is shown by the right TRIGGER alone. Views and routines that it may use it is shown
/// in any case, though not always what stands in them.
const WRITE: [&str; 3] = ["DELETE", "INSERT", "UPDATE"];

/// How much an account with these rights is shown.
pub(super) fn scope(granted: &[Granted]) -> Scope {
    let mut by_place: HashMap<&str, Vec<&str>> = HashMap::new();
    for Granted { on, right } in granted {
        by_place.entry(on).or_default().push(right);
    }
    let everywhere = by_place.get("").cloned().unwrap_or_default();
    if SHOW_ALL.iter().all(|right| everywhere.contains(right)) {
        return Scope::All;
    }
    if everywhere.contains(&ROLE) {
        return Scope::Part("it has rights by a role, which are not listed".to_owned());
    }
    let has = |place: &str, right| by_place.get(place).is_some_and(|rights| rights.contains(&right));
    let is_shown = |place: &str| {
        let schema = place.split('.').next().unwrap_or(place);
        ["", schema, place].into_iter().any(|place| has(place, "TRIGGER"))
    };
    let mut written: Vec<&str> =
        by_place.keys().copied().filter(|on| WRITE.iter().any(|right| has(on, right))).collect();
    written.sort_unstable();
    match written.into_iter().find(|place| !is_shown(place)) {
        Some("") => Scope::Part("it lacks TRIGGER on *.*".to_owned()),
        Some(place) => Scope::Part(format!("it lacks TRIGGER on {place}")),
        None => Scope::Own,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn who_sees_what() {
        let part = |why: &str| Scope::Part(why.to_owned());
        for (rights, want) in [
            (&[("", "SELECT, SHOW VIEW, TRIGGER")][..], Scope::All),
            (&[("", "SELECT, SHOW VIEW, TRIGGER, (role)")], Scope::All),
            (&[("", "USAGE")], Scope::Own),
            (&[("", "SELECT")], Scope::Own),
            (&[("", "REPLICATION CLIENT"), ("cdr", "SELECT, INSERT, TRIGGER")], Scope::Own),
            (&[("", "USAGE"), ("cdr", "SELECT, INSERT")], part("it lacks TRIGGER on cdr")),
            (&[("", "INSERT"), ("cdr", "SHOW VIEW, TRIGGER")], part("it lacks TRIGGER on *.*")),
            (
                &[("", "USAGE, (role)"), ("cdr", "SELECT, TRIGGER")],
                part("it has rights by a role, which are not listed"),
            ),
            (&[("cdr", "SELECT, TRIGGER"), ("cdr.t", "INSERT")], Scope::Own),
            (&[("cdr.t", "SELECT, INSERT")], part("it lacks TRIGGER on cdr.t")),
            (&[("", "TRIGGER"), ("cdr", "UPDATE")], Scope::Own),
        ] {
            let granted: Vec<Granted> = rights
                .iter()
                .flat_map(|(on, rights)| {
                    rights.split(", ").map(|right| Granted { on: (*on).to_owned(), right: right.to_owned() })
                })
                .collect();
            assert_eq!(scope(&granted), want, "{rights:?}");
        }
    }
}
