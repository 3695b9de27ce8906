//! Versions: the configuration in effect, what the files said last, and what was in effect before.
//!
//! The control thread writes, the admin thread reads. The lock is held for as long as it takes to copy a pointer.

use super::diff;
use super::orders::Source;
use crate::config::{Document, Loaded};
use std::collections::VecDeque;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
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
    /// What differs from the version before, as a unified diff without secrets.
    pub diff: String,
    /// Its texts.
    pub documents: Arc<[Document]>,
}

/// All that is known of versions.
pub struct Versions(Mutex<State>);

struct State {
    version: u64,
    runtime: Arc<Loaded>,
    disk: Arc<[Document]>,
    history: VecDeque<Arc<Entry>>,
    keep: usize,
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
        versions.remember(first, &[]);
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
        self.remember(news, &before.documents);
    }

    fn remember(&self, news: News, before: &[Document]) {
        let News { version, loaded, author, source, change } = news;
        // Outside of the lock: it may take a while.
        let diff = if before.is_empty() { String::new() } else { diff::documents(before, &loaded.documents) };
        let documents = Arc::clone(&loaded.documents);
        let entry = Entry { version, at: SystemTime::now(), author, source, change, diff, documents };
        let mut state = self.state();
        while state.history.len() >= state.keep {
            state.history.pop_front();
        }
        state.history.push_back(Arc::new(entry));
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
