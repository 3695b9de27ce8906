//! A bounded table of tallies with one writer and any number of readers.
//!
//! The writer (a worker) finds its entry in an index of its own and counts with plain stores; it takes the lock only to
//! show a new entry to readers, and where a reader has it, it does that later instead of waiting. When the table is full the
//! entries that were used least lately are folded into one, so that totals stay right. Readers see whole entries, and may
//! start the table anew: from then on counts begin at 0.
//!
//! It refuses to grow past its bound, and to make the writer wait.

use hashbrown::HashMap;
use std::hash::Hash;
use std::sync::atomic::{AtomicU32, Ordering::Relaxed};
use std::sync::{Arc, Mutex, PoisonError};

/// The bound of tables whose size follows from the configuration or the code.
pub(super) const MANY: usize = 100_000;

/// What an entry counts.
pub trait Tally: Default {
    /// Adds what `other` has counted.
    fn absorb(&self, other: &Self);
}

/// One line of a ledger.
#[derive(Debug)]
pub struct Entry<L, V> {
    /// What is counted.
    pub label: L,
    /// The counts.
    pub tally: V,
}

/// What a reader gets.
#[derive(Debug)]
pub struct Reading<L, V> {
    /// The entries, in no order.
    pub entries: Vec<Arc<Entry<L, V>>>,
    /// What was folded, if anything was.
    pub rest: Option<Arc<V>>,
}

#[derive(Debug)]
struct Shown<L, V> {
    /// By the writer's slots.
    slots: Vec<Option<Arc<Entry<L, V>>>>,
    rest: Option<Arc<V>>,
}

/// The readers' side.
#[derive(Debug)]
pub struct Ledger<L, V> {
    limit: usize,
    generation: AtomicU32,
    shown: Mutex<Shown<L, V>>,
}

impl<L, V: Tally> Ledger<L, V> {
    /// An empty ledger of at most `limit` entries.
    pub fn new(limit: usize) -> Self {
        let shown = Shown { slots: Vec::new(), rest: None };
        Self { limit: limit.max(1), generation: AtomicU32::new(0), shown: Mutex::new(shown) }
    }

    /// All entries, as they are now.
    pub fn read(&self) -> Reading<L, V> {
        let shown = self.shown.lock().unwrap_or_else(PoisonError::into_inner);
        Reading { entries: shown.slots.iter().flatten().map(Arc::clone).collect(), rest: shown.rest.clone() }
    }

    /// All entries, and the table begins anew. What the writer is counting at that very moment may be in neither.
    pub fn take(&self) -> Reading<L, V> {
        let mut shown = self.shown.lock().unwrap_or_else(PoisonError::into_inner);
        self.generation.fetch_add(1, Relaxed);
        let entries = std::mem::take(&mut shown.slots).into_iter().flatten().collect();
        Reading { entries, rest: shown.rest.take() }
    }
}

struct Slot<K, L, V> {
    key: K,
    used: bool,
    entry: Arc<Entry<L, V>>,
}

/// The writer's side: one for each ledger.
pub struct Writer<K, L, V> {
    ledger: Arc<Ledger<L, V>>,
    generation: u32,
    index: HashMap<K, u32, foldhash::fast::FixedState>,
    slots: Vec<Slot<K, L, V>>,
    /// The slot that was asked for last.
    last: usize,
    rest: Option<Arc<V>>,
    hand: usize,
    /// Slots that readers have not been shown yet.
    unshown: Vec<u32>,
}

impl<K: Copy + Eq + Hash, L, V: Tally> Writer<K, L, V> {
    /// The writer of a ledger that has none yet.
    pub fn new(ledger: Arc<Ledger<L, V>>) -> Self {
        Self {
            ledger,
            generation: 0,
            index: HashMap::default(),
            slots: Vec::new(),
            last: 0,
            rest: None,
            hand: 0,
            unshown: Vec::new(),
        }
    }

    /// The tally for `key`; `label` is asked for where it is new.
    #[inline]
    #[expect(
        clippy::indexing_slicing,
        reason = "the index and `last` name slots that there are: slots go all at once, and the index with them"
    )]
    pub fn tally(&mut self, key: K, label: impl FnOnce() -> L) -> &V {
        if self.generation != self.ledger.generation.load(Relaxed) {
            self.begin_anew();
        }
        // What is counted comes in runs: a comparison spares most lookups.
        let again = self.slots.get(self.last).is_some_and(|slot| slot.key == key);
        let known = if again { Some(self.last) } else { self.index.get(&key).map(|at| *at as usize) };
        self.last = match known {
            Some(at) => {
                self.slots[at].used = true;
                at
            }
            None => self.add(key, label()),
        };
        &self.slots[self.last].entry.tally
    }

    #[cold]
    fn begin_anew(&mut self) {
        self.generation = self.ledger.generation.load(Relaxed);
        self.index.clear();
        self.slots.clear();
        self.unshown.clear();
        self.rest = None;
        self.hand = 0;
    }

    #[cold]
    #[expect(clippy::indexing_slicing, reason = "`fold_one` returns the place of a slot that there is")]
    fn add(&mut self, key: K, label: L) -> usize {
        let entry = Arc::new(Entry { label, tally: V::default() });
        // What never comes again is the first to go.
        let slot = Slot { key, used: false, entry };
        let at = if self.slots.len() < self.ledger.limit {
            self.slots.push(slot);
            self.slots.len() - 1
        } else {
            let at = self.fold_one();
            self.slots[at] = slot;
            at
        };
        // Bounded by the ledger's limit, which no configuration lets reach 2^32.
        let number = u32::try_from(at).unwrap_or(u32::MAX);
        self.index.insert(key, number);
        self.unshown.push(number);
        self.show();
        at
    }

    /// Folds the first entry that was not used since the hand came by last into the rest; its place is free.
    #[expect(
        clippy::indexing_slicing,
        reason = "it is called when the slots are full, so there is one, and a remainder is less than their number"
    )]
    fn fold_one(&mut self) -> usize {
        loop {
            let at = self.hand % self.slots.len();
            self.hand = at + 1;
            if std::mem::take(&mut self.slots[at].used) {
                continue;
            }
            let slot = &self.slots[at];
            self.index.remove(&slot.key);
            self.rest.get_or_insert_default().absorb(&slot.entry.tally);
            return at;
        }
    }

    /// Shows new entries to readers, unless one is reading just now.
    #[expect(clippy::indexing_slicing, reason = "the list is made long enough first")]
    fn show(&mut self) {
        let Ok(mut shown) = self.ledger.shown.try_lock() else { return };
        if self.generation != self.ledger.generation.load(Relaxed) {
            return;
        }
        for at in self.unshown.drain(..) {
            let at = at as usize;
            if shown.slots.len() <= at {
                shown.slots.resize_with(at + 1, || None);
            }
            shown.slots[at] = self.slots.get(at).map(|slot| Arc::clone(&slot.entry));
        }
        shown.rest.clone_from(&self.rest);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::telemetry::Counter;

    #[derive(Debug, Default)]
    struct Count(Counter);

    impl Tally for Count {
        fn absorb(&self, other: &Self) {
            self.0.add(other.0.get());
        }
    }

    fn totals(reading: &Reading<String, Count>) -> Vec<(&str, u64)> {
        let mut all: Vec<_> = reading.entries.iter().map(|e| (&*e.label, e.tally.0.get())).collect();
        all.extend(reading.rest.iter().map(|rest| ("(rest)", rest.0.get())));
        all.sort_unstable();
        all
    }

    #[test]
    fn counts_by_key_and_begins_anew() {
        let ledger = Arc::new(Ledger::<String, Count>::new(8));
        let mut writer = Writer::new(Arc::clone(&ledger));
        for key in [1, 2, 1, 1u32] {
            writer.tally(key, || format!("k{key}")).0.inc();
        }
        assert_eq!(totals(&ledger.read()), [("k1", 3), ("k2", 1)]);
        assert_eq!(totals(&ledger.take()), [("k1", 3), ("k2", 1)]);
        assert!(ledger.read().entries.is_empty());
        writer.tally(1, || "k1".to_owned()).0.inc();
        assert_eq!(totals(&ledger.read()), [("k1", 1)]);
    }

    #[test]
    fn a_full_table_folds_what_is_used_least() {
        let ledger = Arc::new(Ledger::<String, Count>::new(3));
        let mut writer = Writer::new(Arc::clone(&ledger));
        for key in 0..100u32 {
            writer.tally(7777, || "often".to_owned()).0.inc();
            writer.tally(key, || format!("k{key}")).0.inc();
        }
        let reading = ledger.read();
        let totals = totals(&reading);
        assert_eq!(reading.entries.len(), 3);
        assert_eq!(totals.iter().map(|(_, n)| n).sum::<u64>(), 200, "nothing is lost: {totals:?}");
        assert!(totals.contains(&("often", 100)), "{totals:?}");
    }

    #[test]
    fn a_reader_does_not_make_the_writer_wait() {
        let ledger = Arc::new(Ledger::<String, Count>::new(8));
        let mut writer = Writer::new(Arc::clone(&ledger));
        let reading = ledger.shown.lock().unwrap();
        writer.tally(1u32, || "a".to_owned()).0.inc();
        drop(reading);
        assert!(ledger.read().entries.is_empty(), "not shown yet");
        writer.tally(2, || "b".to_owned()).0.inc();
        assert_eq!(totals(&ledger.read()), [("a", 1), ("b", 1)]);
    }
}
