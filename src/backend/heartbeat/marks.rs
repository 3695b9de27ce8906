//! Which moment belongs to which heartbeat of a writer.
//!
//! A *mark* is a heartbeat and a moment: every write that was answered before that moment precedes that heartbeat. This router may note
//! one in two ways. It has sent the write of the heartbeat itself: the moment is when it was sent. Or it has found heartbeat 7 on the
//! writer, whoever wrote it: then 8 is not committed yet when the look begins, and the mark is heartbeat 8 at that moment.
//!
//! Pure: moments are handed in. It refuses to know servers.

use std::collections::VecDeque;

/// A heartbeat.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Beat {
    /// The row's own number, drawn when the row was made: a row that was made anew counts from the beginning.
    pub epoch: u64,
    /// Which write of the row it is.
    pub seq: u64,
}

/// Up to where a server is that has a heartbeat.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Reached {
    /// It has all writes that were answered before this moment; 0: of none is it known.
    pub to: u64,
    /// The moment of the oldest heartbeat that it is known to lack: since then it may lack writes. None: it lacks none.
    pub lacks_since: Option<u64>,
}

/// The marks of a writer, the oldest first.
#[derive(Debug, Default)]
pub struct Marks {
    epoch: u64,
    marks: VecDeque<(u64, u64)>,
}

/// How many marks are kept: more than an hour, at the usual four a second.
const MOST: usize = 16_384;

impl Marks {
    /// Notes a mark. False, and all marks forgotten, if the heartbeat is older than the latest: somebody has put the row back.
    pub fn note(&mut self, beat: Beat, at: u64) -> bool {
        if beat.epoch != self.epoch {
            *self = Self { epoch: beat.epoch, marks: VecDeque::new() };
        }
        match self.marks.back_mut() {
            Some((seq, _)) if beat.seq < *seq => {
                *self = Self::default();
                return false;
            }
            Some((seq, latest)) if beat.seq == *seq => *latest = at.max(*latest),
            _ => {
                if self.marks.len() == MOST {
                    self.marks.pop_front();
                }
                self.marks.push_back((beat.seq, at));
            }
        }
        true
    }

    /// The row that they are of; 0: there are none.
    pub fn epoch(&self) -> u64 {
        self.epoch
    }

    /// The latest heartbeat, and its moment.
    pub fn latest(&self) -> Option<(u64, u64)> {
        self.marks.back().copied()
    }

    /// The first heartbeat that every write precedes which was answered up to this moment.
    pub fn first_after(&self, moment: u64) -> Option<Beat> {
        let place = self.marks.partition_point(|(_, at)| *at <= moment);
        self.marks.get(place).map(|(seq, _)| Beat { epoch: self.epoch, seq: *seq })
    }

    /// The moment of this very heartbeat, if there is a mark of it.
    pub fn moment_of(&self, seq: u64) -> Option<u64> {
        let place = self.marks.binary_search_by_key(&seq, |(seq, _)| *seq).ok()?;
        self.marks.get(place).map(|(_, at)| *at)
    }

    /// Up to where a server is whose latest heartbeat is this. None: it is one of another row.
    pub fn reached(&self, beat: Beat) -> Option<Reached> {
        if beat.epoch != self.epoch || self.epoch == 0 {
            return None;
        }
        let lacks = self.marks.partition_point(|(seq, _)| *seq <= beat.seq);
        let to = lacks.checked_sub(1).and_then(|has| self.marks.get(has)).map_or(0, |(_, at)| *at);
        Some(Reached { to, lacks_since: self.marks.get(lacks).map(|(_, at)| *at) })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn beat(seq: u64) -> Beat {
        Beat { epoch: 9, seq }
    }

    #[test]
    fn a_server_is_as_far_as_the_latest_mark_that_it_has() {
        let mut marks = Marks::default();
        assert_eq!(marks.reached(Beat { epoch: 0, seq: 0 }), None);
        for (seq, at) in [(5, 100), (6, 350), (9, 600)] {
            assert!(marks.note(beat(seq), at));
        }
        for (seq, to, lacks_since) in [
            (4, 0, Some(100)),
            (5, 100, Some(350)),
            (6, 350, Some(600)),
            (8, 350, Some(600)),
            (9, 600, None),
            // Written by another router, of which this one has not heard yet.
            (10, 600, None),
        ] {
            assert_eq!(marks.reached(beat(seq)), Some(Reached { to, lacks_since }), "{seq}");
        }
        assert_eq!(marks.reached(Beat { epoch: 8, seq: 9 }), None, "of another row");
        for (moment, first) in [(99, Some(5)), (100, Some(6)), (599, Some(9)), (600, None)] {
            assert_eq!(marks.first_after(moment), first.map(beat), "{moment}");
        }
        assert_eq!((marks.moment_of(6), marks.moment_of(7), marks.latest()), (Some(350), None, Some((9, 600))));
    }

    #[test]
    fn the_later_moment_of_one_heartbeat_counts() {
        let mut marks = Marks::default();
        // Twice the writer had heartbeat 4: the fifth comes after both looks.
        marks.note(beat(5), 100);
        marks.note(beat(5), 200);
        assert_eq!(marks.reached(beat(5)).unwrap().to, 200);
        marks.note(beat(5), 150);
        assert_eq!(marks.reached(beat(5)).unwrap().to, 200);
    }

    #[test]
    fn a_row_that_was_put_back_or_made_anew_proves_nothing_of_before() {
        let mut marks = Marks::default();
        marks.note(beat(5), 100);
        marks.note(Beat { epoch: 7, seq: 1 }, 200);
        assert_eq!(marks.reached(beat(5)), None);
        assert_eq!(marks.reached(Beat { epoch: 7, seq: 1 }).unwrap().to, 200);
        assert!(!marks.note(Beat { epoch: 7, seq: 0 }, 300));
        assert_eq!((marks.epoch(), marks.reached(Beat { epoch: 7, seq: 1 })), (0, None));
    }

    #[test]
    fn the_oldest_give_way() {
        let mut marks = Marks::default();
        for seq in 0..=MOST as u64 {
            marks.note(beat(seq), seq * 10);
        }
        assert_eq!(marks.reached(beat(0)), Some(Reached { to: 0, lacks_since: Some(10) }));
        assert_eq!(marks.reached(beat(1)).unwrap().to, 10);
    }
}
