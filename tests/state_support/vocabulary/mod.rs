//! What programs are made of: kinds of steps, each with a weight, the engines that have it, and the lines to choose from.
//!
//! A kind is a row of a table in one of the files below; to add one, add a row. A line is a step as `program` has it, without its
//! session, and several that belong together are parted by ` ;; `. In a line `{n}` is the session's number, `{k}` a number
//! from 1 to 5, `{t}` a text with characters beyond ASCII; `{a}`, `{s2}`, `{me}` are filled in when it is played. What lines cannot say is a
//! function.
//!
//! A step must say the same thing on two servers of a kind: no times, no numbers of connections, an order for rows. And a session must not wait
//! for another one: it writes tables of its own (`t{n}`), and reads everybody's.

mod asking;
mod data;
mod prepared;
mod routines;
mod sessions;
mod settings;
mod transactions;

use super::program::{Op, Step};
use super::random::Random;
use super::variables::Variables;

/// The engines that have a kind.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Has {
    Both,
    MariaDb,
    MySql,
}

/// How a kind's steps come about.
pub enum Make {
    /// One of these lines.
    Lines(&'static [&'static str]),
    Call(fn(&mut Maker<'_>)),
}

/// A kind of steps.
pub struct Kind {
    pub name: &'static str,
    pub weight: usize,
    pub has: Has,
    pub make: Make,
}

/// All kinds.
pub fn kinds() -> impl Iterator<Item = &'static Kind> {
    let tables = [
        settings::KINDS,
        transactions::KINDS,
        data::KINDS,
        routines::KINDS,
        prepared::KINDS,
        asking::KINDS,
        sessions::KINDS,
    ];
    tables.into_iter().flatten()
}

/// Makes the steps of one session's turn.
pub struct Maker<'a> {
    pub random: &'a mut Random,
    /// Whose turn it is, from 1.
    pub session: usize,
    pub sessions: usize,
    /// The variables that this program is about.
    pub variables: &'a Variables,
    pub steps: Vec<Step>,
}

/// Characters of two, three and four bytes, of latin1 and beyond it, and bytes that are none in UTF-8.
const TEXTS: [&str; 8] = ["é", "é€", "ÄÖ ß", "дом", "\\xE9\\x80", "😀", "a\\xA4", "plain"];

impl Maker<'_> {
    /// Takes a turn with a kind.
    pub fn make(&mut self, kind: &Kind) {
        match kind.make {
            Make::Lines(lines) => {
                let line = *self.random.pick(lines);
                self.say(line);
            }
            Make::Call(make) => make(self),
        }
    }

    /// Adds a line, or several of them.
    pub fn say(&mut self, lines: &str) {
        for line in lines.split(" ;; ") {
            let mut text = line.replace("{n}", &self.session.to_string());
            while text.contains("{k}") {
                let number = 1 + self.random.below(5);
                text = text.replacen("{k}", &number.to_string(), 1);
            }
            while text.contains("{t}") {
                let characters = *self.random.pick(&TEXTS);
                text = text.replacen("{t}", characters, 1);
            }
            let step = Step::read(&format!("{}: {text}", self.session));
            self.steps.push(step.unwrap_or_else(|fault| panic!("a line of the vocabulary: {fault}")));
        }
    }

    /// Adds a step.
    pub fn op(&mut self, op: Op) {
        self.steps.push(Step { session: self.session, op });
    }

    /// Another session.
    pub fn other(&mut self) -> usize {
        let other = 1 + self.random.below(self.sessions);
        if other == self.session { other % self.sessions + 1 } else { other }
    }
}

#[test]
fn every_line_can_be_read_and_every_kind_has_a_name_of_its_own() {
    let mut names = std::collections::BTreeSet::new();
    for kind in kinds() {
        assert!(names.insert(kind.name), "{} is there twice", kind.name);
        if let Make::Lines(lines) = kind.make {
            let variables = Variables::default();
            for line in lines {
                let mut random = Random::new(1);
                Maker { random: &mut random, session: 1, sessions: 2, variables: &variables, steps: Vec::new() }
                    .say(line);
            }
        }
    }
}
