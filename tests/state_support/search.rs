//! Plays seeds one after the other until the time is over, on as many threads as the machine has cores for, and shrinks what differs.

use super::bench::{Lane, Mode, Twins};
use super::environment::{BLOCK, Environment};
use super::generate::{Shape, program};
use super::shrink::{Found, shrink};
use std::collections::BTreeSet;
use std::sync::Mutex;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};
use switchboard::cli::demo::servers::Engine;

/// What to play.
#[derive(Clone, Copy, Debug)]
pub struct Search {
    pub engine: Engine,
    pub mode: Mode,
    /// The first seed; the others follow it.
    pub seed: u64,
    /// No program is begun after this; one is played in any case.
    pub time: Duration,
    /// No program is begun after so many either.
    pub programs: u64,
    /// The search is over when so many programs of different kinds were found to differ.
    pub most: usize,
    pub shape: Shape,
}

/// What came of it.
#[derive(Debug, Default)]
pub struct Outcome {
    pub plays: u64,
    /// With their seeds, shrunk.
    pub found: Vec<(u64, Found)>,
    pub took: Duration,
}

/// Programs that are played at once.
const LANES: usize = 2;

impl Search {
    pub fn run(&self) -> Outcome {
        let twins = Twins::of(self.engine);
        let begun = Instant::now();
        let state = State {
            search: *self,
            twins: &twins,
            next: AtomicU64::new(self.seed),
            plays: AtomicU64::new(0),
            seen: Mutex::default(),
            found: Mutex::default(),
            deadline: begun + self.time,
        };
        // A block of seeds has the same globals. The first one may be the end of its block.
        let mut first = self.seed;
        let last = self.seed.saturating_add(self.programs);
        while first == self.seed || first < last && Instant::now() < state.deadline && state.wanted() {
            let end = (first / BLOCK + 1) * BLOCK;
            state.next.store(first, Ordering::Relaxed);
            let profile = Environment::of_seed(first, self.engine, self.shape.sessions, self.shape.all).profile;
            block_on(async { twins.lane().await.set_globals(profile).await });
            std::thread::scope(|scope| {
                for _ in 0..LANES {
                    scope.spawn(|| block_on(state.block(end)));
                }
            });
            first = end;
        }
        let found = std::mem::take(&mut *lock(&state.found));
        Outcome { plays: state.plays.load(Ordering::Relaxed), found, took: begun.elapsed() }
    }
}

struct State<'a> {
    search: Search,
    twins: &'a Twins,
    next: AtomicU64,
    plays: AtomicU64,
    /// The kinds of differences that somebody shrinks, or has shrunk.
    seen: Mutex<BTreeSet<String>>,
    found: Mutex<Vec<(u64, Found)>>,
    deadline: Instant,
}

impl State<'_> {
    fn wanted(&self) -> bool {
        lock(&self.found).len() < self.search.most
    }

    /// Plays the seeds below `end`.
    async fn block(&self, end: u64) {
        let mut lane = self.twins.lane().await;
        lane.mode = self.search.mode;
        lane.lenient = !self.search.shape.all;
        loop {
            let seed = self.next.fetch_add(1, Ordering::Relaxed);
            let enough = seed >= self.search.seed.saturating_add(self.search.programs);
            let late = (enough || Instant::now() >= self.deadline) && seed != self.search.seed;
            if seed >= end || late || !self.wanted() {
                return;
            }
            self.seed(seed, &mut lane).await;
        }
    }

    async fn seed(&self, seed: u64, lane: &mut Lane<'_>) {
        let Search { engine, shape, .. } = self.search;
        let environment = Environment::of_seed(seed, engine, shape.sessions, shape.all);
        let steps = program(seed, engine, &self.twins.variables, shape);
        self.plays.fetch_add(1, Ordering::Relaxed);
        let Some(difference) = lane.play(&environment, &steps, "").await else { return };
        let found = Found { environment, steps, difference };
        if !lock(&self.seen).insert(found.difference.kind(&found.steps)) {
            return;
        }
        let found = shrink(lane, found, "").await;
        println!("seed {seed}: {}", found.report());
        lock(&self.found).push((seed, found));
    }
}

fn lock<T>(mutex: &Mutex<T>) -> std::sync::MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(std::sync::PoisonError::into_inner)
}

/// Runs a future on this thread.
pub fn block_on<T>(future: impl Future<Output = T>) -> T {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
    runtime.expect("a runtime").block_on(future)
}
