//! Writes a program from a seed.
//!
//! Each program is about a part of the vocabulary only, about half of its kinds and a handful of variables: so it does often what it
//! does, and programs differ more from each other than if all were about everything. Turns go to sessions at random, with a
//! liking for the one that had the last.
//!
//! Kinds in which the router is known to differ are in [`OFF`], and are left out unless all are asked for: what is not
//! listed there must be without a difference.

use super::program::Step;
use super::random::Random;
use super::variables::{Variable, Variables};
use super::vocabulary::{Has, Kind, Maker, kinds};
use switchboard::cli::demo::servers::Engine;

/// Kinds that are off, each with the number that found.txt has for its cause.
pub const OFF: &[(&str, &str)] = &[
    ("ask_profile", "11: what the router itself asks is profiled too"),
    ("ask_status", "11: a server counts for each connection, and a session has many"),
    (
        "ask_connection_otherwise",
        "11: a server's list of its connections has the numbers of its own connections, not the clients'",
    ),
    ("see_tracking", "not named: SHOW VARIABLES has what the router sets for itself"),
];

/// Kinds that are off on MySQL alone.
pub const OFF_ON_MYSQL: &[(&str, &str)] = &[];

/// Variables that are off, in the same way, by what their names hold.
pub const VARIABLES_OFF: &[(&str, &str)] = &[(
    "enable_cascade_triggers",
    "MySQL 9.7's own: on a connection that was reset, foreign keys are the engine's affair again, and the warning about this variable says so",
)];

/// How programs are made.
#[derive(Clone, Copy, Debug)]
pub struct Shape {
    pub sessions: usize,
    pub turns: usize,
    /// Take in what is off.
    pub all: bool,
    /// Names of kinds, parted by commas, that every program has, even if they are off.
    pub on: &'static str,
}

/// The program of a seed.
pub fn program(seed: u64, engine: Engine, variables: &Variables, shape: Shape) -> Vec<Step> {
    let mut random = Random::new(seed);
    let mut chosen = choose_kinds(&mut random, engine, shape);
    let mut variables = choose_variables(&mut random, variables, shape.all);
    if engine == Engine::MySql && chosen.iter().any(|kind| kind.name == "set_insert_id") && !shape.all {
        // Behind an id that was given, MySQL goes on by the increment that its open table was last asked for, by whomever.
        variables.all.retain(|variable| !variable.name.starts_with("auto_increment"));
    }
    if engine == Engine::MySql && !shape.all && chosen.iter().any(|kind| kind.name == "ask_trace") {
        // MySQL's traces outlast a reset and a change of user. The router gives the session another connection, which has none.
        chosen.retain(|kind| kind.name != "reset" && !kind.name.starts_with("change_user"));
    }
    let total: usize = chosen.iter().map(|kind| kind.weight).sum();
    let mut session = 1;
    let mut steps = Vec::new();
    for _ in 0..shape.turns {
        if random.chance(60) {
            session = 1 + random.below(shape.sessions);
        }
        let mut at = random.below(total);
        let kind = chosen.iter().find(|kind| {
            let here = at < kind.weight;
            at = at.saturating_sub(kind.weight);
            here
        });
        let Some(kind) = kind else { continue };
        let mut maker = Maker {
            random: &mut random,
            session,
            sessions: shape.sessions,
            variables: &variables,
            steps: std::mem::take(&mut steps),
        };
        maker.make(kind);
        steps = maker.steps;
    }
    steps
}

fn choose_kinds(random: &mut Random, engine: Engine, shape: Shape) -> Vec<&'static Kind> {
    let has = if engine == Engine::MariaDb { Has::MariaDb } else { Has::MySql };
    let here = if engine == Engine::MySql { OFF_ON_MYSQL } else { &[] };
    let wanted = |kind: &Kind| shape.on.split(',').any(|name| name == kind.name);
    let off = |kind: &Kind| !shape.all && !wanted(kind) && OFF.iter().chain(here).any(|(name, _)| *name == kind.name);
    let usable = kinds().filter(|kind| (kind.has == Has::Both || kind.has == has) && !off(kind));
    let share = *random.pick(&[25, 50, 50, 80]);
    // Reads and writes are in every program: they carry sessions from connection to connection.
    usable.filter(|kind| random.chance(share) || wanted(kind) || ["read", "write"].contains(&kind.name)).collect()
}

fn choose_variables(random: &mut Random, variables: &Variables, all: bool) -> Variables {
    let usable: Vec<&Variable> = variables
        .all
        .iter()
        .filter(|variable| all || !VARIABLES_OFF.iter().any(|(name, _)| variable.name.contains(name)))
        .collect();
    let mut chosen = Vec::new();
    if !usable.is_empty() {
        for _ in 0..2 + random.below(5) {
            chosen.push((*random.pick(&usable)).clone());
        }
        // What nearly every application sets.
        for name in ["sql_mode", "time_zone"] {
            if random.chance(30) {
                chosen.extend(usable.iter().find(|variable| variable.name == name).map(|v| (*v).clone()));
            }
        }
    }
    Variables { all: chosen, unlike: variables.unlike.clone() }
}

#[test]
fn a_seed_gives_one_program() {
    let variables = Variables {
        all: vec![Variable { name: "sql_mode".into(), values: vec!["''".into(), "'ANSI'".into()] }],
        unlike: "''".into(),
    };
    let shape = Shape { sessions: 3, turns: 40, all: true, on: "" };
    let write = |seed| super::program::listing(&program(seed, Engine::MariaDb, &variables, shape));
    assert_eq!(write(7), write(7));
    assert_ne!(write(7), write(8));
    for name in OFF.iter().chain(OFF_ON_MYSQL).map(|(name, _)| name) {
        assert!(kinds().any(|kind| kind.name == *name), "no kind is called {name}");
    }
}
