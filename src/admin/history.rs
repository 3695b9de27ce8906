//! Versions: the configuration in effect, what the files said last, and what was in effect before.
//!
//! The control thread writes, the admin thread reads. The lock is held for as long as it takes to copy a pointer.

use super::diff;
use super::orders::Source;
use crate::config::{Document, Loaded};
use std::collections::{HashSet, VecDeque};
use std::sync::{Arc, Mutex, MutexGuard, OnceLock, PoisonError};
use std::time::SystemTime;

/// A version that was in effect.
#[derive(Clone, Debug)]
pub struct Entry {
    /// Its number.
    pub version: u64,
    /// When it took effect.
    pub at: SystemTime,
    /// Whose work it is.
    pub author: String,
    /// Where it came from.
    pub source: Source,
    /// What was changed, in a few words.
    pub change: String,
    /// Its texts.
    pub documents: Arc<[Document]>,
    /// Those of the version before; none for the first.
    before: Option<Arc<[Document]>>,
    diff: OnceLock<String>,
}

impl Entry {
    /// What differs from the version before, as a unified diff without secrets. Made when somebody asks first, by who asks.
    pub fn diff(&self) -> &str {
        self.diff.get_or_init(|| match &self.before {
            Some(before) => diff::documents(before, &self.documents),
            None => String::new(),
        })
    }
}

/// The most bytes of texts that are kept; what two versions have in common counts once. The latest two are always kept.
const MOST_BYTES: usize = 64 << 20;

/// All that is known of versions.
pub struct Versions(Mutex<State>);

struct State {
    version: u64,
    runtime: Arc<Loaded>,
    disk: Arc<[Document]>,
    history: VecDeque<Arc<Entry>>,
    keep: usize,
}

/// Bytes of texts, each counted once.
fn bytes(history: &VecDeque<Arc<Entry>>) -> usize {
    let mut seen: HashSet<*const u8> = HashSet::new();
    let texts = history.iter().flat_map(|entry| entry.documents.iter());
    texts.filter(|document| seen.insert(document.text.as_ptr())).map(|document| document.text.len()).sum()
}

/// A new version, as it is written down.
#[derive(Debug)]
pub struct News {
    /// Its number.
    pub version: u64,
    /// It.
    pub loaded: Arc<Loaded>,
    /// Whose work it is.
    pub author: String,
    /// Where it came from.
    pub source: Source,
    /// What was changed, in a few words.
    pub change: String,
}

impl Versions {
    /// The first version. `keep` is how many are kept.
    pub fn new(first: News, keep: usize) -> Self {
        let documents = Arc::clone(&first.loaded.documents);
        let state = State {
            version: first.version,
            runtime: Arc::clone(&first.loaded),
            disk: Arc::clone(&documents),
            history: VecDeque::new(),
            keep: keep.max(1),
        };
        let versions = Versions(Mutex::new(state));
        versions.remember(first, None);
        versions
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The version in effect.
    pub fn runtime(&self) -> (u64, Arc<Loaded>) {
        let state = self.state();
        (state.version, Arc::clone(&state.runtime))
    }

    /// What the files said when they were read or written last.
    pub fn disk(&self) -> Arc<[Document]> {
        Arc::clone(&self.state().disk)
    }

    /// The files say this now, by our own hand.
    pub fn saved(&self, documents: Arc<[Document]>) {
        self.state().disk = documents;
    }

    /// A version took effect.
    pub fn published(&self, news: News) {
        let before = {
            let mut state = self.state();
            let before = Arc::clone(&state.runtime);
            state.version = news.version;
            state.runtime = Arc::clone(&news.loaded);
            if news.source == Source::Files {
                state.disk = Arc::clone(&news.loaded.documents);
            }
            before
        };
        self.remember(news, Some(&before.documents));
    }

    fn remember(&self, news: News, before: Option<&Arc<[Document]>>) {
        let News { version, loaded, author, source, change } = news;
        let mut state = self.state();
        // A text that did not change is the one that is kept already.
        let known = state.history.back().map(|entry| Arc::clone(&entry.documents));
        let kept = |new: &Document| known.iter().flat_map(|d| d.iter()).find(|old| *old == new).unwrap_or(new).clone();
        let documents: Arc<[Document]> = loaded.documents.iter().map(kept).collect();
        let before = known.as_ref().or(before).map(Arc::clone);
        let (at, diff) = (SystemTime::now(), OnceLock::new());
        let entry = Entry { version, at, author, source, change, documents, before, diff };
        state.history.push_back(Arc::new(entry));
        while state.history.len() > state.keep || (state.history.len() > 2 && bytes(&state.history) > MOST_BYTES) {
            state.history.pop_front();
        }
    }

    /// The versions that are kept, oldest first.
    pub fn history(&self) -> Vec<Arc<Entry>> {
        self.state().history.iter().map(Arc::clone).collect()
    }

    /// Where what is in effect is not what the files say: the version, and whose it is.
    pub fn unsaved(&self) -> Option<(u64, String)> {
        let state = self.state();
        if state.runtime.documents == state.disk {
            return None;
        }
        let by_hand = state.history.iter().rev().find(|entry| entry.source == Source::Port)?;
        Some((by_hand.version, by_hand.author.clone()))
    }
}
