//! Plans by statement text and by digest: one cache per worker, without locks, bounded in entries and in bytes.
//!
//! Two layers. The first knows exact texts whose route follows from the text alone, and saves reading the digest; a text
//! gets in when it is seen a second time, so that texts that never come again cost nothing but a look. The second knows
//! digests. Both compare the whole text: a forged hash must not borrow another statement's verdict. Both are keyed by
//! [`Subject`], whose number also stands for the version of the rules and the `sql_mode` bits: after a reload old entries are
//! never found again, and go as the space is needed. Nothing is emptied at once, so that no statement waits for it.
//!
//! In the steady state nothing here allocates.

use super::plan::{Execution, Plan};
use super::route::Route;
use super::ruleset::RuleSet;
use super::subject::{Stamp, Subject, SubjectId, SubjectKey};
use crate::sql::digest::Digest;
use foldhash::fast::FixedState;
use hashbrown::{HashMap, HashTable};
use jiff::{Timestamp, tz::TimeZone};
use std::hash::BuildHasher;
use std::rc::Rc;
use std::sync::atomic::{AtomicU64, Ordering};

/// The bounds of a [`PlanCache`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct CacheLimits {
    /// Plans kept.
    pub plans: usize,
    /// Bytes that they may take, about.
    pub plan_bytes: usize,
    /// Digests longer than this are planned anew each time, in bytes.
    pub digest_bytes: usize,
    /// Exact texts kept; rounded up to a power of two. 0 turns the first layer off.
    pub texts: usize,
    /// Texts longer than this are not kept, in bytes.
    pub text_bytes: usize,
    /// Subjects (user, schema, address as far as the rules look at them) that share plans.
    pub subjects: usize,
}

impl Default for CacheLimits {
    fn default() -> Self {
        Self {
            plans: 10_000,
            plan_bytes: 32 << 20,
            digest_bytes: 64 << 10,
            texts: 4_096,
            text_bytes: 512,
            subjects: 10_000,
        }
    }
}

/// Counters of a [`PlanCache`]. They only grow.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct CacheCounters {
    /// Found by exact text.
    pub text_hits: u64,
    /// Found by digest.
    pub digest_hits: u64,
    /// Planned.
    pub misses: u64,
    /// Plans that went to make room.
    pub evicted: u64,
}

/// What a lookup found.
#[derive(Debug)]
pub struct Lookup<'a> {
    /// The plan.
    pub plan: Rc<Plan>,
    /// The route, where it is known without looking at literals.
    pub route: Option<Rc<Route>>,
    /// The statement's digest with its literals, where it was read; good until the next lookup. It was if `route` is none.
    pub digest: Option<&'a Digest>,
}

static CACHES: AtomicU64 = AtomicU64::new(1);

/// Plans by text and digest. One per worker.
#[derive(Debug)]
pub struct PlanCache {
    number: u64,
    limits: CacheLimits,
    hasher: FixedState,
    subjects: HashMap<SubjectKey, SubjectId, FixedState>,
    subjects_version: u64,
    next_subject: u64,
    texts: Box<[TextSlot]>,
    plans: Plans,
    digest: Digest,
    counters: CacheCounters,
}

/// One place for a text. Two texts that fall on the same place take turns.
#[derive(Debug, Default)]
struct TextSlot {
    /// The hash of the last text that was not found here: it gets in when it comes again.
    waiting: u64,
    hash: u64,
    subject: Option<SubjectId>,
    text: Vec<u8>,
    kept: Option<(Rc<Plan>, Rc<Route>)>,
}

impl PlanCache {
    /// An empty cache. The first layer's places are made at once (about 100 bytes each), all else as it is needed.
    pub fn new(limits: CacheLimits) -> Self {
        let places = if limits.texts == 0 { 0 } else { limits.texts.clamp(1, 1 << 24).next_power_of_two() };
        Self {
            number: CACHES.fetch_add(1, Ordering::Relaxed),
            limits,
            hasher: FixedState::default(),
            subjects: HashMap::default(),
            subjects_version: 0,
            next_subject: 1,
            texts: std::iter::repeat_with(TextSlot::default).take(places).collect(),
            plans: Plans::default(),
            digest: Digest::default(),
            counters: CacheCounters::default(),
        }
    }

    /// The counters.
    pub fn counters(&self) -> CacheCounters {
        self.counters
    }

    /// Plans kept now.
    pub fn len(&self) -> usize {
        self.plans.index.len()
    }

    /// True if no plan is kept.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// The plans that are kept now, in no order, stale ones of older versions included: for lists of what is unproven.
    pub fn plans(&self) -> impl Iterator<Item = &Rc<Plan>> {
        self.plans.entries.iter().flatten().map(|e| &e.plan)
    }

    /// The plan of a statement's text, and its route where the text alone says it.
    pub fn lookup(&mut self, subject: &Subject, sql: &[u8], rules: &RuleSet) -> Lookup<'_> {
        let id = self.subject_id(subject, rules);
        let slot = self.text_place(id, sql);
        let Some((place, hash)) = slot else { return self.lookup_digest(id, subject, sql, rules, None) };
        let same = |s: &&TextSlot| s.hash == hash && s.subject == Some(id) && s.text == sql;
        match self.texts.get(place).filter(same).and_then(|s| s.kept.clone()) {
            Some((plan, route)) => {
                self.counters.text_hits += 1;
                Lookup { plan, route: Some(route), digest: None }
            }
            None => self.lookup_digest(id, subject, sql, rules, slot),
        }
    }

    /// The plan and the route of a text statement that is executed now.
    pub fn route(
        &mut self,
        subject: &Subject,
        sql: &[u8],
        rules: &RuleSet,
        clock: &dyn Fn() -> Timestamp,
        time_zone: &TimeZone,
    ) -> (Rc<Plan>, Rc<Route>) {
        let found = self.lookup(subject, sql, rules);
        let route = match (found.route, found.digest) {
            (Some(route), _) => route,
            (None, Some(digest)) => found.plan.route(&Execution { sql, digest, params: &[], clock, time_zone }),
            // `lookup` reads the digest wherever it gives no route; reading it here again would still be right.
            (None, None) => {
                let mut digest = Digest::default();
                digest.read(sql, subject.mode());
                found.plan.route(&Execution { sql, digest: &digest, params: &[], clock, time_zone })
            }
        };
        (found.plan, route)
    }

    fn subject_id(&mut self, subject: &Subject, rules: &RuleSet) -> SubjectId {
        if let Some(stamp) = subject.stamp()
            && stamp.version == rules.version()
            && stamp.cache == self.number
        {
            return stamp.id;
        }
        if self.subjects_version != rules.version() || self.subjects.len() >= self.limits.subjects.max(1) {
            // Sessions that have a number keep it; others get new ones. Numbers are not used again.
            self.subjects.clear();
            self.subjects_version = rules.version();
        }
        let next = SubjectId(self.next_subject);
        let id = *self.subjects.entry(rules.project(subject)).or_insert(next);
        if id == next {
            self.next_subject += 1;
        }
        subject.set_stamp(Stamp { cache: self.number, version: rules.version(), id });
        id
    }

    fn text_place(&self, id: SubjectId, sql: &[u8]) -> Option<(usize, u64)> {
        if self.texts.is_empty() || sql.len() > self.limits.text_bytes {
            return None;
        }
        let hash = self.hasher.hash_one(sql) ^ id.0.wrapping_mul(0x9E37_79B9_7F4A_7C15);
        // The table's length is a power of two, and a hash of 0 is what an empty place waits for.
        let place = usize::try_from(hash & (self.texts.len() as u64 - 1)).ok()?;
        Some((place, hash | 1))
    }

    fn lookup_digest(
        &mut self,
        id: SubjectId,
        subject: &Subject,
        sql: &[u8],
        rules: &RuleSet,
        slot: Option<(usize, u64)>,
    ) -> Lookup<'_> {
        self.digest.read(sql, subject.mode());
        let plan = match self.plans.find(id, &self.digest) {
            Some(plan) => {
                self.counters.digest_hits += 1;
                plan
            }
            None => {
                self.counters.misses += 1;
                let plan = Rc::new(rules.plan(sql, &self.digest, subject));
                if plan.digest.len() <= self.limits.digest_bytes && self.limits.plans > 0 {
                    self.plans.insert(id, Rc::clone(&plan), &self.limits, &mut self.counters);
                }
                plan
            }
        };
        if let Some((place, hash)) = slot
            && let Some(slot) = self.texts.get_mut(place)
        {
            slot.offer(hash, id, sql, &plan, &self.digest);
        }
        let route = plan.settled().map(Rc::clone);
        Lookup { plan, route, digest: Some(&self.digest) }
    }
}

impl TextSlot {
    /// Keeps the text if it was here before and its route follows from it.
    fn offer(&mut self, hash: u64, id: SubjectId, sql: &[u8], plan: &Rc<Plan>, digest: &Digest) {
        if self.waiting != hash {
            self.waiting = hash;
            return;
        }
        if !plan.follows_from_text() {
            return;
        }
        let never = || Timestamp::UNIX_EPOCH;
        let execution = Execution { sql, digest, params: &[], clock: &never, time_zone: &TimeZone::UTC };
        let route = plan.route(&execution);
        self.hash = hash;
        self.subject = Some(id);
        self.text.clear();
        self.text.extend_from_slice(sql);
        self.kept = Some((Rc::clone(plan), route));
    }
}

/// The second layer: a table of places, and a clock hand that goes round them.
#[derive(Debug, Default)]
struct Plans {
    index: HashTable<u32>,
    entries: Vec<Option<Entry>>,
    free: Vec<u32>,
    bytes: usize,
    hand: usize,
}

#[derive(Debug)]
struct Entry {
    key: u64,
    subject: SubjectId,
    plan: Rc<Plan>,
    weight: usize,
    /// Found since the hand came by.
    used: bool,
}

fn key_of(id: SubjectId, hash: u64) -> u64 {
    (hash ^ id.0.rotate_left(32)).wrapping_mul(0x9E37_79B9_7F4A_7C15)
}

impl Plans {
    fn find(&mut self, id: SubjectId, digest: &Digest) -> Option<Rc<Plan>> {
        let key = key_of(id, digest.hash);
        let entries = &self.entries;
        let same = |&at: &u32| {
            entries
                .get(at as usize)
                .and_then(Option::as_ref)
                .is_some_and(|e| e.key == key && e.subject == id && *e.plan.digest == *digest.text)
        };
        let at = *self.index.find(key, same)?;
        let entry = self.entries.get_mut(at as usize)?.as_mut()?;
        entry.used = true;
        Some(Rc::clone(&entry.plan))
    }

    fn insert(&mut self, id: SubjectId, plan: Rc<Plan>, limits: &CacheLimits, counters: &mut CacheCounters) {
        let weight = plan.weight();
        while !self.index.is_empty()
            && (self.index.len() >= limits.plans || self.bytes.saturating_add(weight) > limits.plan_bytes)
        {
            self.evict_one();
            counters.evicted += 1;
        }
        let key = key_of(id, plan.hash);
        let entry = Entry { key, subject: id, plan, weight, used: false };
        self.bytes += weight;
        let at = match self.free.pop() {
            Some(at) => at,
            None => {
                self.entries.push(None);
                // As many entries as `limits.plans` at most; one that did not fit 32 bits would be out of memory first.
                u32::try_from(self.entries.len() - 1).unwrap_or(u32::MAX)
            }
        };
        if let Some(place) = self.entries.get_mut(at as usize) {
            *place = Some(entry);
        }
        let entries = &self.entries;
        let rehash = |&at: &u32| entries.get(at as usize).and_then(Option::as_ref).map_or(0, |e| e.key);
        self.index.insert_unique(key, at, rehash);
    }

    /// Moves the hand on to the first entry that was not used since it came by last, and drops that. Ends: each entry is
    /// passed at most once before its mark is gone.
    fn evict_one(&mut self) {
        for _ in 0..=self.entries.len().saturating_mul(2) {
            let at = self.hand;
            self.hand = if at + 1 < self.entries.len() { at + 1 } else { 0 };
            let Some(Some(entry)) = self.entries.get_mut(at) else { continue };
            if std::mem::take(&mut entry.used) {
                continue;
            }
            let (key, weight) = (entry.key, entry.weight);
            if let Ok(found) = self.index.find_entry(key, |&other| other as usize == at) {
                found.remove();
            }
            self.bytes = self.bytes.saturating_sub(weight);
            if let Some(place) = self.entries.get_mut(at) {
                *place = None;
            }
            // Fits: it came out of a table of u32.
            self.free.extend(u32::try_from(at));
            return;
        }
    }
}
