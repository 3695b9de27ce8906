//! Guesses of passwords, slowed down: who has given several wrong ones in a row waits before the next is looked at.
//!
//! Two counts for each attempt: one for the user's name from that address, and one, with ten times the allowance, for the address whatever
//! the names. The wait stands before a password is judged, so that hanging up early gains nothing, and it is taken in turns: a hundred
//! connections at once guess no faster than one. A sign-in that succeeds clears its name's count, and for a while keeps that name at that
//! address out of the address's own count: those who sign in there every day do not wait because somebody beside them guesses.
//!
//! Bounded: two tables of fixed size without a lock. Where a set of places is full, who has guessed least gives way. An address of IPv6
//! stands for its /64. Neighbours: `frontend::login` waits and reports.

use super::host::Host;
use std::hash::{BuildHasher, RandomState};
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::time::{Duration, Instant};

/// What guesses are held to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct GuessLimits {
    /// Wrong passwords of a name from an address in a row that cost nothing; 0: none ever does.
    pub free: u32,
    /// The longest wait before the next is looked at. The first is a thirty-second of it, and each doubles it.
    pub longest: Duration,
}

impl Default for GuessLimits {
    fn default() -> Self {
        Self { free: 10, longest: Duration::from_secs(2) }
    }
}

/// What an attempt has to do first.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Turn {
    /// Nothing.
    Now,
    /// To wait.
    After(Duration),
    /// To come again later: too many wait already.
    Refused,
}

/// Who tries.
#[derive(Clone, Copy, Debug)]
pub struct Attempt {
    name: u64,
    address: u64,
}

/// Sets of places in each table, and places in a set.
const SETS: usize = 1_024;
const WAYS: usize = 4;
/// How many times as much an address may try as one name from it.
const ADDRESS_SHARE: u32 = 10;
/// Waits that may stand in line for one name or address, in units of the longest.
const LINE: u32 = 4;
/// After so long without a failure all is forgotten; and so long a name that signed in is known.
const MEMORY: Duration = Duration::from_secs(60);
/// The first wait is this fraction of the longest, as a power of two.
const STEPS: u32 = 5;

/// What is known of names and addresses, for a whole process.
#[derive(Debug)]
pub struct Guesses {
    names: Table,
    addresses: Table,
    key: RandomState,
    started: Instant,
    /// Attempts that had to wait, and those that were refused.
    slowed: AtomicU64,
}

impl Default for Guesses {
    fn default() -> Self {
        Self {
            names: Table::new(),
            addresses: Table::new(),
            key: RandomState::new(),
            started: Instant::now(),
            slowed: AtomicU64::new(0),
        }
    }
}

impl Guesses {
    /// An attempt at a user's name from a client's host.
    pub fn attempt(&self, host: Host, user: &[u8]) -> Attempt {
        let address = self.key.hash_one(host.network());
        Attempt { name: self.key.hash_one((address, user)), address }
    }

    /// What an attempt has to do before its password is looked at.
    pub fn turn(&self, attempt: Attempt, limits: GuessLimits) -> Turn {
        self.turn_at(attempt, limits, self.now())
    }

    /// Its password was wrong.
    pub fn failed(&self, attempt: Attempt) {
        self.failed_at(attempt, self.now());
    }

    /// It signed in.
    pub fn succeeded(&self, attempt: Attempt) {
        self.succeeded_at(attempt, self.now());
    }

    /// Attempts that had to wait, or were refused, since the start.
    pub fn slowed(&self) -> u64 {
        self.slowed.load(Relaxed)
    }

    fn now(&self) -> u32 {
        // 1,193 hours in milliseconds; one that runs longer forgets once.
        self.started.elapsed().as_millis() as u32
    }

    fn turn_at(&self, attempt: Attempt, limits: GuessLimits, now: u32) -> Turn {
        if limits.free == 0 || limits.longest.is_zero() {
            return Turn::Now;
        }
        let own = self.names.line_up(attempt.name, limits, limits.free, now);
        let shared = match self.names.is_good(attempt.name, now) {
            true => Some(0),
            false => self.addresses.line_up(attempt.address, limits, limits.free.saturating_mul(ADDRESS_SHARE), now),
        };
        let turn = match (own, shared) {
            (Some(0), Some(0)) => return Turn::Now,
            (Some(own), Some(shared)) => Turn::After(Duration::from_millis(own.max(shared).into())),
            _ => Turn::Refused,
        };
        self.slowed.fetch_add(1, Relaxed);
        turn
    }

    fn failed_at(&self, attempt: Attempt, now: u32) {
        self.names.count(attempt.name, now);
        self.addresses.count(attempt.address, now);
    }

    fn succeeded_at(&self, attempt: Attempt, now: u32) {
        self.names.clear(attempt.name, now);
    }
}

/// Places by hash, each one atomic word: a tag, failures, and a moment. For failures the moment is when the next attempt may be looked
/// at; for none it is when the name last signed in.
#[derive(Debug)]
struct Table(Box<[AtomicU64]>);

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Seen {
    tag: u16,
    failures: u16,
    at: u32,
}

impl Seen {
    fn unpack(word: u64) -> Seen {
        let [a, b, c, d, rest @ ..] = word.to_be_bytes();
        Seen { tag: u16::from_be_bytes([a, b]), failures: u16::from_be_bytes([c, d]), at: u32::from_be_bytes(rest) }
    }

    fn pack(self) -> u64 {
        u64::from(self.tag) << 48 | u64::from(self.failures) << 32 | u64::from(self.at)
    }

    /// How long ago its moment was; none for one that is still to come.
    fn age(self, now: u32) -> Option<u32> {
        let age = now.wrapping_sub(self.at);
        (age < u32::MAX / 2).then_some(age)
    }

    fn is_old(self, now: u32) -> bool {
        self.age(now).is_some_and(|age| u128::from(age) > MEMORY.as_millis())
    }
}

impl Table {
    fn new() -> Self {
        Self((0..SETS * WAYS).map(|_| AtomicU64::new(0)).collect())
    }

    /// The set of places of a hash, and what marks it there. 0 marks an empty place.
    fn set(&self, hash: u64) -> (&[AtomicU64], u16) {
        let set = hash as usize % SETS;
        (self.0.get(set * WAYS..(set + 1) * WAYS).unwrap_or_default(), ((hash >> 48) as u16).max(1))
    }

    /// The place of a hash and what is known of it; where nothing is, none.
    fn find(&self, hash: u64, now: u32) -> Option<(&AtomicU64, Seen)> {
        let (set, tag) = self.set(hash);
        let seen = set.iter().map(|place| (place, Seen::unpack(place.load(Relaxed))));
        seen.into_iter().find(|(_, seen)| seen.tag == tag && !seen.is_old(now))
    }

    /// Takes a place for a hash of which nothing is known: an empty or old one, or that of who has guessed least.
    fn put(&self, hash: u64, failures: u16, now: u32) {
        let (set, tag) = self.set(hash);
        let rank = |word: u64| {
            let seen = Seen::unpack(word);
            if seen.tag == tag {
                (0, 0)
            } else if seen.tag == 0 || seen.is_old(now) {
                (1, 0)
            } else {
                (2, seen.failures)
            }
        };
        if let Some(place) = set.iter().min_by_key(|place| rank(place.load(Relaxed))) {
            place.store(Seen { tag, failures, at: now }.pack(), Relaxed);
        }
    }

    fn count(&self, hash: u64, now: u32) {
        match self.find(hash, now) {
            Some((place, seen)) => {
                let failures = seen.failures.saturating_add(1);
                // A moment that is still to come stays: others stand in line for it.
                let at = if seen.age(now).is_some() { now } else { seen.at };
                place.store(Seen { failures, at, ..seen }.pack(), Relaxed);
            }
            None => self.put(hash, 1, now),
        }
    }

    fn clear(&self, hash: u64, now: u32) {
        match self.find(hash, now) {
            // Those who sign in all the time write nothing.
            Some((_, seen))
                if seen.failures == 0 && seen.age(now).is_some_and(|age| u128::from(age) < MEMORY.as_millis() / 2) => {}
            Some((place, seen)) => place.store(Seen { failures: 0, at: now, ..seen }.pack(), Relaxed),
            None => self.put(hash, 0, now),
        }
    }

    fn is_good(&self, hash: u64, now: u32) -> bool {
        self.find(hash, now).is_some_and(|(_, seen)| seen.failures == 0)
    }

    /// Takes the next turn of a hash: how many milliseconds it has to wait; none if the line is full.
    fn line_up(&self, hash: u64, limits: GuessLimits, free: u32, now: u32) -> Option<u32> {
        loop {
            let Some((place, seen)) = self.find(hash, now) else { return Some(0) };
            let over = u32::from(seen.failures).checked_sub(free);
            let Some(over) = over else { return Some(0) };
            let longest = u32::try_from(limits.longest.as_millis()).unwrap_or(u32::MAX / 16).min(u32::MAX / 16);
            let step = (longest >> STEPS.saturating_sub(over.min(STEPS))).max(1);
            let start = if seen.age(now).is_some() { now } else { seen.at };
            let at = start.wrapping_add(step);
            let wait = at.wrapping_sub(now);
            if wait > longest.saturating_mul(LINE) {
                return None;
            }
            let next = Seen { at, ..seen }.pack();
            if place.compare_exchange(seen.pack(), next, Relaxed, Relaxed).is_ok() {
                return Some(wait);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const LIMITS: GuessLimits = GuessLimits { free: 3, longest: Duration::from_millis(3_200) };

    fn host(address: &str) -> Host {
        address.parse::<std::net::IpAddr>().unwrap().into()
    }

    fn wait(turn: Turn) -> u128 {
        match turn {
            Turn::Now => 0,
            Turn::After(wait) => wait.as_millis(),
            Turn::Refused => u128::MAX,
        }
    }

    #[test]
    fn waits_grow_and_end_with_a_success() {
        let guesses = Guesses::default();
        let who = guesses.attempt(host("10.0.0.1"), b"app");
        let (mut now, mut waits) = (1_000, Vec::new());
        for _ in 0..12 {
            let waited = wait(guesses.turn_at(who, LIMITS, now));
            waits.push(waited);
            now += waited as u32;
            guesses.failed_at(who, now);
        }
        assert_eq!(waits, [0, 0, 0, 100, 200, 400, 800, 1_600, 3_200, 3_200, 3_200, 3_200]);
        for (at, user) in [("10.0.0.1", "other"), ("10.0.0.2", "app")] {
            let other = guesses.attempt(host(at), user.as_bytes());
            assert_eq!(guesses.turn_at(other, LIMITS, now), Turn::Now, "{user}@{at} has not guessed");
        }
        guesses.succeeded_at(who, now);
        assert_eq!(guesses.turn_at(who, LIMITS, now), Turn::Now);
        assert_eq!(guesses.slowed(), 9);
    }

    #[test]
    fn many_at_once_are_no_faster_than_one() {
        let guesses = Guesses::default();
        let who = guesses.attempt(host("10.0.0.1"), b"app");
        (0..20).for_each(|_| guesses.failed_at(who, 5));
        let waits: Vec<u128> = (0..6).map(|_| wait(guesses.turn_at(who, LIMITS, 10))).collect();
        assert_eq!(waits, [3_200, 6_400, 9_600, 12_800, u128::MAX, u128::MAX]);
    }

    #[test]
    fn an_address_that_tries_many_names_waits_and_those_who_sign_in_there_do_not() {
        let guesses = Guesses::default();
        let regular = guesses.attempt(host("10.0.0.1"), b"app");
        guesses.succeeded_at(regular, 1);
        for n in 0..40u32 {
            let name = format!("user{n}");
            guesses.failed_at(guesses.attempt(host("10.0.0.1"), name.as_bytes()), 2);
        }
        assert_ne!(guesses.turn_at(guesses.attempt(host("10.0.0.1"), b"user77"), LIMITS, 3), Turn::Now);
        assert_eq!(guesses.turn_at(regular, LIMITS, 3), Turn::Now);
        assert_eq!(guesses.turn_at(guesses.attempt(host("10.0.0.9"), b"user77"), LIMITS, 3), Turn::Now);
    }

    #[test]
    fn it_forgets_and_can_be_turned_off() {
        let guesses = Guesses::default();
        let who = guesses.attempt(host("::1"), b"app");
        (0..20).for_each(|_| guesses.failed_at(who, 5));
        assert_eq!(guesses.turn_at(who, GuessLimits { free: 0, ..LIMITS }, 6), Turn::Now);
        assert_ne!(guesses.turn_at(who, LIMITS, 6), Turn::Now);
        assert_eq!(guesses.turn_at(who, LIMITS, 80_000), Turn::Now);
    }

    #[test]
    fn a_network_of_ipv6_is_one_address() {
        let guesses = Guesses::default();
        let address = |at| guesses.attempt(host(at), b"app").address;
        assert_eq!(address("2001:db8::1"), address("2001:db8::ffff:2"));
        assert_ne!(address("2001:db8::1"), address("2001:db8:0:1::1"));
        assert_ne!(address("::ffff:10.0.0.1"), address("::ffff:10.0.0.2"));
        assert_eq!(address("::ffff:10.0.0.1"), address("10.0.0.1"));
        assert_ne!(guesses.attempt(Host::default(), b"app").address, address("127.0.0.1"));
    }

    /// A flood of names neither grows the tables nor makes them forget who has guessed a lot.
    #[test]
    fn a_flood_of_names_does_not_wash_a_guesser_away() {
        let guesses = Guesses::default();
        let who = guesses.attempt(host("10.0.0.1"), b"root");
        (0..20).for_each(|_| guesses.failed_at(who, 5));
        for n in 0..100_000u32 {
            guesses.failed_at(guesses.attempt(host("10.0.0.2"), &n.to_be_bytes()), 6);
        }
        assert_ne!(guesses.turn_at(who, LIMITS, 7), Turn::Now);
    }
}
