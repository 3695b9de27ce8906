//! A small mutation fuzzer for the ordinary test run: no instrumentation, the same inputs in the same order every time.
//!
//! A target is a function over bytes that panics if a promise is broken. The targets under `fuzz/` call the same
//! functions under cargo-fuzz. `SWITCHBOARD_FUZZ_SECONDS` sets how long each target runs (5 if unset),
//! `SWITCHBOARD_FUZZ_SEED` where it begins.
#![allow(dead_code)]

#[path = "random.rs"]
pub mod random;

use self::random::Random;
use std::panic::{AssertUnwindSafe, catch_unwind, resume_unwind};
use std::time::{Duration, Instant};

/// How long a target runs.
pub fn seconds() -> Duration {
    let seconds = std::env::var("SWITCHBOARD_FUZZ_SECONDS").ok().and_then(|text| text.parse().ok()).unwrap_or(5.0);
    Duration::from_secs_f64(seconds)
}

/// Inputs never grow beyond this.
const LONGEST: usize = 4096;

/// Runs `target` on the seeds as they are, then on mutations of them made with words of `dictionary`, until the time is
/// up. An input that makes it panic is printed before the panic goes on.
pub fn run(name: &str, seeds: &[Vec<u8>], dictionary: &[&[u8]], mut target: impl FnMut(&[u8])) {
    assert!(!seeds.is_empty() && !dictionary.is_empty(), "nothing to mutate");
    let seed = std::env::var("SWITCHBOARD_FUZZ_SEED").ok().and_then(|text| text.parse().ok()).unwrap_or(1);
    let mut rng = Random::new(seed);
    let mut once = |input: &[u8]| {
        if let Err(panic) = catch_unwind(AssertUnwindSafe(|| target(input))) {
            eprintln!("{name}: the input is b\"{}\"", input.escape_ascii());
            resume_unwind(panic);
        }
    };
    seeds.iter().for_each(|input| once(input));
    let begun = Instant::now();
    let mut inputs = 0u64;
    while begun.elapsed() < seconds() {
        for _ in 0..64 {
            let mut input = rng.pick(seeds).clone();
            for _ in 0..=rng.below(6) {
                mutate(&mut rng, &mut input, seeds, dictionary);
            }
            input.truncate(LONGEST);
            once(&input);
            inputs += 1;
        }
    }
    println!("{name}: {inputs} inputs in {:.1} s", begun.elapsed().as_secs_f32());
}

/// One change somewhere in `input`.
pub fn mutate(rng: &mut Random, input: &mut Vec<u8>, seeds: &[Vec<u8>], dictionary: &[&[u8]]) {
    let at = rng.below(input.len() + 1);
    let end = at + rng.below(input.len() - at + 1).min(32);
    match rng.below(9) {
        0 if at < input.len() => input[at] ^= 1 << rng.below(8),
        1 if at < input.len() => input[at] = rng.next() as u8,
        2 => {
            input.drain(at..end);
        }
        3 => {
            let part = input[at..end].to_vec();
            let to = rng.below(input.len() + 1);
            input.splice(to..to, part);
        }
        4 => input.truncate(at),
        5 => {
            let other = rng.pick(seeds);
            let from = rng.below(other.len() + 1);
            input.truncate(at);
            input.extend_from_slice(&other[from..]);
        }
        6 => {
            input.splice(at..end, rng.pick(dictionary).iter().copied());
        }
        _ => {
            input.splice(at..at, rng.pick(dictionary).iter().copied());
        }
    }
}
