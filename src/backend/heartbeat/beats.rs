//! What is known of a writer's heartbeats: their marks, who writes them, and what stands in their way.
//!
//! Written by [`super::task`] on the control thread. The statement path reads whether there are any, and of which row they are.

use super::Wants;
use super::marks::{Beat, Marks, Reached};
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering::Relaxed};
use std::sync::{Mutex, PoisonError};
use tokio::sync::Notify;

/// A writer's heartbeats.
#[derive(Debug, Default)]
pub struct Beats {
    /// Its writes count as not known to be elsewhere while there are none.
    required: AtomicBool,
    /// The row that they are of; 0: there are none.
    epoch: AtomicU64,
    /// Those that want the next one soon.
    pub wants: Wants,
    /// There is a mark more, or a server has come further with them.
    pub moved: Notify,
    /// Cold: touched by the heartbeats' tasks and by those who look.
    kept: Mutex<Kept>,
}

#[derive(Debug, Default)]
struct Kept {
    marks: Marks,
    by: Option<By>,
    trouble: Option<String>,
    written: u64,
}

/// Who writes them.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum By {
    /// This router.
    Us,
    /// Another, who has the lock.
    Another,
}

/// What is known of them, for those who look.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct BeatsSeen {
    /// The latest sequence number, and the moment that belongs to it.
    pub latest: Option<(u64, u64)>,
    /// Who writes them; none before the first.
    pub by: Option<By>,
    /// Why the next one could not be written, if it could not.
    pub trouble: Option<String>,
    /// How many this router has written.
    pub written: u64,
}

impl Beats {
    /// What a configuration says. Where there are to be none, what was known is forgotten.
    pub fn reconfigure(&self, wanted: bool, required: bool) {
        self.required.store(wanted && required, Relaxed);
        if !wanted {
            self.epoch.store(0, Relaxed);
            *self.kept() = Kept::default();
        }
    }

    /// True if watermarks say where this writer's writes are; otherwise the window does.
    #[inline]
    pub fn are_on(&self) -> bool {
        self.epoch() != 0 || self.required.load(Relaxed)
    }

    /// The row that they are of; 0: there are none.
    #[inline]
    pub fn epoch(&self) -> u64 {
        self.epoch.load(Relaxed)
    }

    /// Notes a mark ([`Marks::note`]), and who has written it.
    pub fn note(&self, beat: Beat, at: u64, by: By) -> bool {
        let mut kept = self.kept();
        let goes_on = kept.marks.note(beat, at);
        kept.by = Some(by);
        kept.trouble = None;
        kept.written += u64::from(by == By::Us);
        self.epoch.store(kept.marks.epoch(), Relaxed);
        drop(kept);
        self.moved.notify_waiters();
        goes_on
    }

    /// One could not be written. True if that is news.
    pub fn fail(&self, why: String) -> bool {
        let mut kept = self.kept();
        let is_news = kept.trouble.as_ref() != Some(&why);
        kept.trouble = Some(why);
        is_news
    }

    /// The first heartbeat that every write precedes which was answered up to this moment ([`Marks::first_after`]).
    pub fn first_after(&self, moment: u64) -> Option<Beat> {
        self.kept().marks.first_after(moment)
    }

    /// Up to where a server is whose latest heartbeat is this ([`Marks::reached`]), and the moment of that very heartbeat.
    pub fn reached(&self, beat: Beat) -> Option<(Reached, Option<u64>)> {
        let kept = self.kept();
        kept.marks.reached(beat).map(|reached| (reached, kept.marks.moment_of(beat.seq)))
    }

    /// What is known.
    pub fn seen(&self) -> BeatsSeen {
        let kept = self.kept();
        BeatsSeen { latest: kept.marks.latest(), by: kept.by, trouble: kept.trouble.clone(), written: kept.written }
    }

    fn kept(&self) -> std::sync::MutexGuard<'_, Kept> {
        self.kept.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
