//! Up to which moment a server has each writer's writes: its watermarks.
//!
//! Three states are told apart for each writer. The server is *fresh* if it lacks no heartbeat, or only the youngest; *behind* if it
//! lacks older ones; and its freshness is *unknown* if its row could not be read, is not there, or was read too long ago. What is unknown
//! proves nothing: its watermark is 0, and no session that has written reads there.
//!
//! Written by [`super::task`]; the statement path reads a watermark by the writer's row ([`super::Beats::epoch`]).

use super::beats::Beats;
use super::marks::Beat;
use super::table::Row;
use super::{Feed, Wants};
use arc_swap::ArcSwap;
use std::sync::{Arc, Mutex, PoisonError};

/// A server's watermarks.
#[derive(Debug)]
pub struct Watermarks {
    /// What the statement path reads.
    to: ArcSwap<Vec<Watermark>>,
    /// Those that want to know soon whether they have moved.
    pub wants: Wants,
    /// Cold: touched by the server's task and by those who look.
    seen: Mutex<Vec<Seen>>,
}

impl Default for Watermarks {
    fn default() -> Self {
        Self { to: ArcSwap::from_pointee(Vec::new()), wants: Wants::default(), seen: Mutex::default() }
    }
}

/// A watermark, as the statement path reads it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Watermark {
    /// The writer's row.
    epoch: u64,
    /// The server has the writes that were answered before this moment.
    to: u64,
    /// It has the writes that precede this heartbeat.
    seq: u64,
    /// What the latest heartbeat took at least to come, in milliseconds.
    took: Option<u64>,
}

/// How far a server is with the writes of one writer.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Seen {
    /// The writer's row.
    pub epoch: u64,
    /// The writer, for people.
    pub writer: Box<str>,
    /// The latest heartbeat that it had; none: none was found.
    pub seq: Option<u64>,
    /// The one before that, as far as it was seen.
    before: Option<u64>,
    /// Its watermark, a moment; 0: nothing is known to be there.
    pub to: u64,
    /// The moment of the oldest heartbeat that it lacks.
    pub lacks_since: Option<u64>,
    /// The moment of the last look that succeeded.
    pub read_at: Option<u64>,
    /// What its latest heartbeat took at least to come here, in milliseconds.
    pub took: Option<u64>,
    /// Why its freshness is unknown, if it is.
    pub unknown: Option<String>,
    /// What of the row did not come as it was written.
    pub distortion: Option<String>,
}

/// How fresh a server is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Freshness {
    /// It lacks nothing that is older than a few heartbeats.
    Fresh,
    /// It lacks writes since so many milliseconds.
    Behind(u64),
    /// It is not known, and why.
    Unknown(String),
}

impl Freshness {
    /// The names of all of them.
    pub const NAMES: [&'static str; 3] = ["fresh", "behind", "unknown"];

    /// Its name.
    pub fn name(&self) -> &'static str {
        let [fresh, behind, unknown] = Self::NAMES;
        match self {
            Freshness::Fresh => fresh,
            Freshness::Behind(_) => behind,
            Freshness::Unknown(_) => unknown,
        }
    }
}

impl std::fmt::Display for Freshness {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Freshness::Fresh => f.write_str("fresh"),
            Freshness::Behind(ms) => write!(f, "{ms} ms behind"),
            Freshness::Unknown(why) => write!(f, "unknown: {why}"),
        }
    }
}

/// A server that lacks nothing older than this counts as fresh, in milliseconds.
const FRESH: u64 = 1_000;
/// What was read longer ago than this is not known any more, in milliseconds.
const READ_LONG_AGO: u64 = 3_000;

impl Seen {
    fn new(epoch: u64, writer: &str) -> Self {
        Self {
            epoch,
            writer: writer.into(),
            seq: None,
            before: None,
            to: 0,
            lacks_since: None,
            read_at: None,
            took: None,
            unknown: None,
            distortion: None,
        }
    }

    /// How fresh the server is now.
    pub fn freshness(&self, now: u64) -> Freshness {
        let age = self.read_at.map(|at| now.saturating_sub(at));
        match (&self.unknown, age, self.lacks_since) {
            (Some(why), ..) => Freshness::Unknown(why.clone()),
            (None, None, _) => Freshness::Unknown("its heartbeat has not been read yet".to_owned()),
            (None, Some(age), _) if age > READ_LONG_AGO => {
                Freshness::Unknown(format!("its heartbeat was read {age} ms ago"))
            }
            (None, _, Some(since)) if now.saturating_sub(since) > FRESH => Freshness::Behind(now.saturating_sub(since)),
            _ => Freshness::Fresh,
        }
    }

    fn doubt(&mut self, why: &str) {
        self.unknown = Some(why.to_owned());
        (self.to, self.seq, self.before, self.took) = (0, None, None, None);
    }

    /// The heartbeat that counts: of one whose batch may not be whole, the one before.
    fn counts(&self, feed: Feed) -> Option<u64> {
        if feed.is_in_batches() { self.before } else { self.seq }
    }

    /// Takes a heartbeat that was found there by a look that began at `now`.
    fn take(&mut self, row: &Row, beats: &Beats, feed: Feed, now: u64) {
        let Some(seq) = row.beat.as_ref().map(|beat| beat.seq) else { return };
        let previous_look = self.read_at.replace(now);
        self.unknown = None;
        self.distortion = row.distortion();
        if self.seq.is_some_and(|known| seq < known) {
            // It was put back to an older state.
            (self.to, self.before) = (0, None);
        } else if self.seq.is_some_and(|known| seq > known) {
            self.before = self.seq;
        }
        let moved = self.seq != Some(seq);
        self.seq = Some(seq);
        let Some((reached, _)) = self.counts(feed).and_then(|seq| beats.reached(Beat { epoch: self.epoch, seq }))
        else {
            self.lacks_since.get_or_insert(now);
            return;
        };
        self.to = self.to.max(reached.to);
        self.lacks_since = reached.lacks_since;
        if moved && let Some((_, Some(sent))) = beats.reached(Beat { epoch: self.epoch, seq }) {
            // At the look before it was not there.
            self.took = Some(previous_look.unwrap_or(sent).saturating_sub(sent));
        }
    }
}

impl Watermarks {
    /// The watermark for the writes of the writer with this row, a moment; 0: nothing is known to be here.
    #[inline]
    pub fn to(&self, epoch: u64) -> u64 {
        self.to.load().iter().find(|of| of.epoch == epoch).map_or(0, |of| of.to)
    }

    /// True if the writes are known to be here that precede this heartbeat.
    #[inline]
    pub fn have(&self, beat: Beat) -> bool {
        self.to.load().iter().any(|of| of.epoch == beat.epoch && of.seq >= beat.seq)
    }

    /// Takes what a look that began at `now` has found: the rows, or why there are none. `writers`: the writers' names and their heartbeats.
    pub fn observe<'a>(
        &self,
        found: Result<&[Row], &str>,
        writers: impl Iterator<Item = (&'a str, &'a Beats)>,
        feed: Feed,
        now: u64,
    ) {
        let mut all = self.lock();
        let mut kept = Vec::new();
        for (name, beats) in writers {
            let epoch = beats.epoch();
            if epoch == 0 {
                continue;
            }
            let known = all.iter().position(|seen| seen.epoch == epoch);
            let mut seen = known.map_or_else(|| Seen::new(epoch, name), |place| all.swap_remove(place));
            let before = seen.seq;
            match found {
                Ok(rows) => match rows.iter().find(|row| row.beat.as_ref().is_some_and(|beat| beat.epoch == epoch)) {
                    Some(row) => seen.take(row, beats, feed, now),
                    None => seen.doubt("no heartbeat of that writer has come here"),
                },
                Err(why) => seen.doubt(why),
            }
            kept.push((seen, (beats, before)));
        }
        let to = kept.iter().map(|(seen, _)| Watermark {
            epoch: seen.epoch,
            to: seen.to,
            seq: seen.counts(feed).unwrap_or_default(),
            took: seen.took,
        });
        let to = to.collect();
        self.to.store(Arc::new(to));
        for (seen, (beats, before)) in &kept {
            if seen.seq != *before {
                beats.moved.notify_waiters();
            }
        }
        *all = kept.into_iter().map(|(seen, _)| seen).collect();
    }

    /// What is known, writer by writer.
    pub fn seen(&self) -> Vec<Seen> {
        self.lock().clone()
    }

    /// What the latest heartbeat of that row took at least to come here, in milliseconds.
    pub fn took(&self, epoch: u64) -> Option<u64> {
        self.to.load().iter().find(|of| of.epoch == epoch).and_then(|of| of.took)
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, Vec<Seen>> {
        self.seen.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::super::beats::By;
    use super::*;

    const EPOCH: u64 = 9;

    fn beats(marks: &[(u64, u64)]) -> Beats {
        let beats = Beats::default();
        for (seq, at) in marks {
            beats.note(Beat { epoch: EPOCH, seq: *seq }, *at, By::Us);
        }
        beats
    }

    fn row(seq: u64) -> Row {
        Row::as_written(Beat { epoch: EPOCH, seq })
    }

    fn look(marks: &Watermarks, beats: &Beats, found: Result<&[Row], &str>, feed: Feed, now: u64) -> (u64, Freshness) {
        marks.observe(found, std::iter::once(("w", beats)), feed, now);
        (marks.to(EPOCH), marks.seen()[0].freshness(now))
    }

    #[test]
    fn it_moves_with_the_heartbeats_that_come() {
        let (marks, beats) = (Watermarks::default(), beats(&[(1, 1_000), (2, 2_000), (3, 3_000)]));
        let look = |seq, now| look(&marks, &beats, Ok(&[row(seq)]), Feed::Replication, now);
        assert_eq!(look(1, 3_100), (1_000, Freshness::Behind(1_100)));
        assert_eq!(look(2, 3_200), (2_000, Freshness::Fresh));
        assert_eq!(look(3, 9_000), (3_000, Freshness::Fresh), "the writer has stopped: nothing is lacking");
        assert_eq!(marks.to(8), 0, "another row's");
        let has = |epoch, seq| marks.have(Beat { epoch, seq });
        assert!(has(EPOCH, 3) && has(EPOCH, 1) && !has(EPOCH, 4) && !has(8, 1));
    }

    #[test]
    fn behind_batches_the_heartbeat_before_counts() {
        let (marks, beats) = (Watermarks::default(), beats(&[(1, 1_000), (2, 2_000), (3, 3_000), (4, 4_000)]));
        let look = |seq, now| look(&marks, &beats, Ok(&[row(seq)]), Feed::DmsBatch, now).0;
        assert_eq!(look(1, 4_100), 0, "its batch may not be whole");
        assert_eq!(look(1, 4_200), 0, "the same batch");
        assert_eq!(look(3, 4_300), 1_000, "the one before was 1");
        assert_eq!(look(3, 4_400), 1_000);
        assert_eq!(look(4, 4_500), 3_000);
    }

    #[test]
    fn what_cannot_be_read_proves_nothing() {
        let (marks, beats) = (Watermarks::default(), beats(&[(1, 1_000), (2, 2_000)]));
        let look = |found: Result<&[Row], &str>| look(&marks, &beats, found, Feed::Replication, 2_100);
        assert_eq!(look(Ok(&[])).1.name(), "unknown");
        assert_eq!(look(Ok(&[row(2)])), (2_000, Freshness::Fresh));
        assert_eq!(look(Err("denied")), (0, Freshness::Unknown("denied".into())));
        assert_eq!(look(Ok(&[row(1)])).0, 1_000);
        assert_eq!(look(Ok(&[])).0, 0, "its row is gone");
    }

    #[test]
    fn a_server_that_was_put_back_loses_its_watermark() {
        let (marks, beats) = (Watermarks::default(), beats(&[(1, 1_000), (2, 2_000)]));
        let look = |seq| look(&marks, &beats, Ok(&[row(seq)]), Feed::Replication, 2_100).0;
        assert_eq!((look(2), look(1), look(2)), (2_000, 1_000, 2_000));
    }

    #[test]
    fn a_look_of_long_ago_is_no_knowledge() {
        let (marks, beats) = (Watermarks::default(), beats(&[(1, 1_000)]));
        assert_eq!(look(&marks, &beats, Ok(&[row(1)]), Feed::Replication, 1_100).1, Freshness::Fresh);
        assert_eq!(marks.seen()[0].freshness(1_100 + READ_LONG_AGO + 1).name(), "unknown");
    }
}
