//! The differential test of sessions: what several sessions see through the router is what they see without it.
//!
//! `state_support` has the instrument; docs/testing.md says how to run it for longer, from another seed, and how to read what it finds.

mod common;
mod state_support;
mod traffic_support;

use state_support::bench::{Lane, Mode, Twins};
use state_support::environment::{Environment, Profile};
use state_support::generate::{OFF, Shape, VARIABLES_OFF};
use state_support::search::{Outcome, Search, block_on};
use state_support::shrink::Found;
use state_support::table::{Row, rows};
use std::time::Duration;
use switchboard::cli::demo::servers::Engine;

/// A number that the environment may say otherwise.
fn setting(name: &str, otherwise: u64) -> u64 {
    match std::env::var(name) {
        Ok(text) => text.parse().unwrap_or_else(|_| panic!("{name} is no number: {text:?}")),
        Err(_) => otherwise,
    }
}

fn search(engine: Engine, mode: Mode, seconds: u64, programs: u64) -> (Search, Outcome) {
    let search = Search {
        engine,
        mode,
        seed: setting("SWITCHBOARD_STATE_SEED", 1),
        time: Duration::from_secs(seconds),
        programs: setting("SWITCHBOARD_STATE_PROGRAMS", programs),
        most: setting("SWITCHBOARD_STATE_DIFFERENCES", 3) as usize,
        shape: Shape {
            sessions: setting("SWITCHBOARD_STATE_SESSIONS", 4) as usize,
            turns: setting("SWITCHBOARD_STATE_TURNS", 100) as usize,
            all: setting("SWITCHBOARD_STATE_ALL", 0) == 1,
            on: std::env::var("SWITCHBOARD_STATE_ON").unwrap_or_default().leak(),
        },
    };
    let outcome = search.run();
    let minutes = outcome.took.as_secs_f64() / 60.0;
    println!(
        "{}: {} programs in {:.1} minutes ({:.0} a minute), {} kinds of differences; {} kinds of steps and {} variables are off",
        engine.name(),
        outcome.plays,
        minutes,
        outcome.plays as f64 / minutes,
        outcome.found.len(),
        if search.shape.all { 0 } else { OFF.len() },
        if search.shape.all { 0 } else { VARIABLES_OFF.len() },
    );
    (search, outcome)
}

#[track_caller]
fn must_find_nothing(test: &str, (search, outcome): (Search, Outcome)) {
    let mut also = if search.shape.all { "SWITCHBOARD_STATE_ALL=1 ".to_owned() } else { String::new() };
    if !search.shape.on.is_empty() {
        also.push_str(&format!("SWITCHBOARD_STATE_ON={} ", search.shape.on));
    }
    let report = |(seed, found): &(u64, Found)| {
        format!(
            "seed {seed}, which {also}SWITCHBOARD_STATE_SEED={seed} SWITCHBOARD_STATE_SECONDS=0 cargo test --test state {test} \
             plays again; shrunk:\n{}",
            found.report()
        )
    };
    let reports: Vec<String> = outcome.found.iter().map(report).collect();
    assert!(reports.is_empty(), "{} differ:\n\n{}", search.engine.name(), reports.join("\n"));
}

/// Programs of an ordinary run: the same seeds on a fast machine and on a slow one. A longer run says how many
/// (`SWITCHBOARD_STATE_PROGRAMS`) and for how long.
const MARIADB_PROGRAMS: u64 = 24;
const MYSQL_PROGRAMS: u64 = 10;
const DIRECT_PROGRAMS: u64 = 8;

/// For each engine; both are played at once.
fn seconds() -> u64 {
    setting("SWITCHBOARD_STATE_SECONDS", 40)
}

#[test]
fn sessions_on_mariadb_see_what_they_see_without_the_router() {
    must_find_nothing("on_mariadb", search(Engine::MariaDb, Mode::Router, seconds(), MARIADB_PROGRAMS));
}

#[test]
fn sessions_on_mysql_see_what_they_see_without_the_router() {
    must_find_nothing("on_mysql", search(Engine::MySql, Mode::Router, seconds(), MYSQL_PROGRAMS));
}

/// The instrument itself: what differs between two servers without a router is its own fault.
#[test]
fn the_instrument_finds_no_difference_between_two_direct_connections() {
    for engine in [Engine::MariaDb, Engine::MySql] {
        must_find_nothing(
            "the_instrument",
            search(engine, Mode::Nothing, setting("SWITCHBOARD_STATE_DIRECT_SECONDS", 10), DIRECT_PROGRAMS),
        );
    }
}

/// What differs of a small program, in any of its environments.
async fn differs(row: &Row, engine: Engine, lane: &mut Lane<'_>) -> Option<Found> {
    let environments = Environment::of_tables(engine, row.pool);
    for environment in environments.into_iter().filter(|environment| row.readers || !environment.readers) {
        if let Some(difference) = lane.play(&environment, &row.steps, &row.timeouts).await {
            return Some(Found { environment, steps: row.steps.clone(), difference });
        }
    }
    None
}

/// Every small program of the table is the same as directly where the table says so, and differs where it says that.
async fn table_of(twins: &Twins) {
    let engine = twins.engine;
    let mut lane = twins.lane().await;
    lane.set_globals(Profile::Latin1).await;
    let mut faults = Vec::new();
    let mut open = 0;
    let only = std::env::var("SWITCHBOARD_STATE_ONLY").unwrap_or_default();
    for row in rows().iter().filter(|row| row.engines.contains(&engine) && row.title.contains(&only)) {
        let holds = row.holds.contains(&engine);
        match differs(row, engine, &mut lane).await {
            Some(found) if row.sometimes => println!("{} (seen this time)\n{}", row.title, found.report()),
            None if row.sometimes => println!("{} (not seen this time)", row.title),
            Some(found) if holds => faults.push(format!("{}\n{}", row.title, found.report())),
            Some(found) => {
                open += 1;
                println!("{} (known)\n{}", row.title, found.report());
            }
            None if !holds => {
                faults.push(format!("{}\n    holds now on {}: mark it so in found.txt", row.title, engine.name()));
            }
            None => {}
        }
    }
    println!("{}: {open} of the table's programs are known to differ", engine.name());
    assert!(faults.is_empty(), "{}:\n\n{}", engine.name(), faults.join("\n\n"));
}

#[test]
fn the_table_of_small_programs_on_mariadb() {
    block_on(table_of(&Twins::of(Engine::MariaDb)));
}

#[test]
fn the_table_of_small_programs_on_mysql() {
    block_on(table_of(&Twins::of(Engine::MySql)));
}
