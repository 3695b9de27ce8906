//! Makes a program that differs as small as it can be while the same thing still differs.
//!
//! The same thing: the same field of the answer to a statement that begins alike ([`Difference::kind`]), so that shrinking does not slip from
//! a rare cause to a common one. First all behind the difference goes, then whole sessions, then pieces of halving size, and at last the
//! environment is made plainer. Each try is a play of its own, with new schemas and a new router.

use super::bench::{Difference, Lane};
use super::environment::{Environment, Profile};
use super::program::Step;

/// The most plays that one program may cost.
const TRIES: usize = 200;

/// A program that differs.
#[derive(Clone, Debug)]
pub struct Found {
    pub environment: Environment,
    pub steps: Vec<Step>,
    pub difference: Difference,
}

struct Shrinker<'a, 'b> {
    lane: &'a mut Lane<'b>,
    timeouts: &'a str,
    kind: String,
    found: Found,
    tries: usize,
}

/// Shrinks a program that was found to differ. One that does not differ when it is played again stays as it is.
pub async fn shrink(lane: &mut Lane<'_>, mut found: Found, timeouts: &str) -> Found {
    let kind = found.difference.kind(&found.steps);
    let again = lane.play(&found.environment, &found.steps, timeouts).await;
    if again.is_none_or(|difference| difference.kind(&found.steps) != kind) {
        found.difference.what.push_str("\n    (not seen when it was played again)");
        return found;
    }
    let mut shrinker = Shrinker { lane, timeouts, kind, found, tries: 0 };
    if let Some(at) = shrinker.found.difference.step {
        let steps = shrinker.found.steps[..=at].to_vec();
        shrinker.attempt(steps, shrinker.found.environment).await;
    }
    shrinker.drop_sessions().await;
    shrinker.drop_pieces().await;
    shrinker.plainer().await;
    shrinker.drop_pieces().await;
    shrinker.found
}

impl Shrinker<'_, '_> {
    /// Plays a smaller program; takes it if the same thing differs.
    async fn attempt(&mut self, steps: Vec<Step>, environment: Environment) -> bool {
        if self.tries >= TRIES || steps.is_empty() {
            return false;
        }
        self.tries += 1;
        let Some(difference) = self.lane.play(&environment, &steps, self.timeouts).await else { return false };
        if difference.kind(&steps) != self.kind {
            return false;
        }
        self.found = Found { environment, steps, difference };
        true
    }

    async fn drop_sessions(&mut self) {
        let mut sessions: Vec<usize> = self.found.steps.iter().map(|step| step.session).collect();
        sessions.sort_unstable();
        sessions.dedup();
        for session in sessions {
            let fewer = self.found.steps.iter().filter(|step| step.session != session).cloned().collect();
            self.attempt(fewer, self.found.environment).await;
        }
    }

    async fn drop_pieces(&mut self) {
        let mut size = (self.found.steps.len() / 2).max(1);
        loop {
            let mut at = 0;
            let mut dropped = false;
            while at < self.found.steps.len() {
                let mut fewer = self.found.steps.clone();
                fewer.drain(at..(at + size).min(fewer.len()));
                if self.attempt(fewer, self.found.environment).await {
                    dropped = true;
                } else {
                    at += size;
                }
            }
            if size == 1 && !dropped || self.tries >= TRIES {
                return;
            }
            size = (size / 2).max(1);
        }
    }

    /// Tries what is plainer about the environment, one thing at a time. Globals stay, since others may be playing.
    async fn plainer(&mut self) {
        let now = self.found.environment;
        let tries = [
            Environment { readers: false, ..now },
            Environment { other_readers: false, ..now },
            Environment { collation: 45, ..now },
            Environment { capabilities: "modern", ..now },
        ];
        for plainer in tries {
            let now = self.found.environment;
            let next = Environment {
                readers: now.readers && plainer.readers,
                other_readers: now.other_readers && plainer.other_readers,
                collation: if plainer.collation == 45 { 45 } else { now.collation },
                capabilities: if plainer.capabilities == "modern" { "modern" } else { now.capabilities },
                ..now
            };
            if next != now {
                self.attempt(self.found.steps.clone(), next).await;
            }
        }
    }
}

impl Found {
    /// The program for people, with both answers.
    pub fn report(&self) -> String {
        let Found { environment, steps, difference } = self;
        let at = difference.step.map_or("at the end".to_owned(), |at| format!("at step {}", at + 1));
        let profile = if environment.profile == Profile::Plain { "" } else { " (not the engine's own globals)" };
        format!(
            "{environment}{profile}\n{}  {at}: {}\n  direct: {}\n  routed: {}\n",
            super::program::listing(steps),
            difference.what,
            difference.direct,
            difference.routed
        )
    }
}
