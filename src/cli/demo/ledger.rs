//! The book of the demo's statements: what each was, what came back, and in which servers' logs it stands.
//!
//! Every statement carries its number, as a plain comment or as a value, so that the servers' own logs say where it ran.

use super::estate::Place;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

/// What kind of statement, in the order that the screen shows.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Class {
    /// INSERTs, text and prepared, outside transactions.
    Insert,
    /// UPDATEs, text and prepared, outside transactions.
    Update,
    /// Everything from BEGIN to COMMIT, reads included.
    Transaction,
    /// SELECT … FOR UPDATE outside transactions.
    LockingRead,
    /// What a session has just written, read back by it.
    ReadBack,
    /// Reads of the last 90 days, text.
    CurrentText,
    /// Reads of the last 90 days, prepared: the bound values say how far back they reach.
    CurrentPrepared,
    /// Reads that reach further back, text.
    HistoricalText,
    /// Reads that reach further back, prepared.
    HistoricalPrepared,
    /// Reads by id: nothing says how far back the row is.
    Lookup,
}

/// Where a class of statements belongs.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Home {
    /// On the master, exactly once.
    Master,
    /// On Aurora, or on the replica while Aurora is down.
    Readers,
    /// On Aurora; refused with a clear error while it is down.
    AuroraOnly,
}

impl Class {
    /// All of them.
    pub const ALL: [Class; 10] = [
        Class::Insert,
        Class::Update,
        Class::Transaction,
        Class::LockingRead,
        Class::ReadBack,
        Class::CurrentText,
        Class::CurrentPrepared,
        Class::HistoricalText,
        Class::HistoricalPrepared,
        Class::Lookup,
    ];

    /// What people call it.
    pub fn name(self) -> &'static str {
        match self {
            Class::Insert => "insert",
            Class::Update => "update",
            Class::Transaction => "transaction",
            Class::LockingRead => "locking read",
            Class::ReadBack => "read own write",
            Class::CurrentText => "current read",
            Class::CurrentPrepared => "current, prepared",
            Class::HistoricalText => "historical read",
            Class::HistoricalPrepared => "historical, prep.",
            Class::Lookup => "lookup by id",
        }
    }

    /// Where it belongs.
    pub fn home(self) -> Home {
        match self {
            Class::Insert | Class::Update | Class::Transaction | Class::LockingRead | Class::ReadBack => Home::Master,
            Class::CurrentText | Class::CurrentPrepared => Home::Readers,
            Class::HistoricalText | Class::HistoricalPrepared | Class::Lookup => Home::AuroraOnly,
        }
    }
}

/// What came back.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Outcome {
    /// Nothing yet.
    Open,
    /// The right answer.
    Right,
    /// An answer, and a wrong one.
    Wrong(String),
    /// A MySQL error; the session goes on.
    Refused {
        /// Its code.
        code: u16,
        /// Its text.
        text: String,
    },
    /// No answer: the connection was closed, could not be made, or stayed silent.
    Lost(String),
}

/// One statement.
#[derive(Debug, Clone)]
pub struct Entry {
    /// What kind it is.
    pub class: Class,
    /// When it was sent, since the book was opened.
    pub sent: Duration,
    /// When its answer was whole.
    pub answered: Option<Duration>,
    /// What came back.
    pub outcome: Outcome,
    /// How often it stands in the log of each server, in the order of [`Place::ALL`].
    pub seen: [u32; 3],
}

/// What the screen shows of a class.
#[derive(Debug, Clone, Default)]
pub struct Summary {
    /// Statements sent.
    pub sent: usize,
    /// Of those, in the last seconds: [`RECENT`].
    pub recent: usize,
    /// Statements in each server's log.
    pub seen: [usize; 3],
    /// Errors of any kind.
    pub errors: usize,
    /// The median and the 95th percentile of the latest answers' times.
    pub median: Duration,
    /// See `median`.
    pub p95: Duration,
}

/// What counts as recent.
pub const RECENT: Duration = Duration::from_secs(3);
/// How many answers the percentiles are taken over.
const LATEST: usize = 400;

/// The book. Shared by the traffic, the readers of the logs, the screen and the judge.
#[derive(Debug)]
pub struct Ledger {
    opened: Instant,
    entries: Mutex<Vec<Entry>>,
}

impl Default for Ledger {
    fn default() -> Self {
        Ledger { opened: Instant::now(), entries: Mutex::default() }
    }
}

impl Ledger {
    fn entries(&self) -> MutexGuard<'_, Vec<Entry>> {
        self.entries.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The time since the book was opened.
    pub fn now(&self) -> Duration {
        self.opened.elapsed()
    }

    /// Enters a statement that is about to be sent. Gives its mark, to be put into its text.
    pub fn open(&self, class: Class) -> Mark {
        let mut entries = self.entries();
        entries.push(Entry { class, sent: self.now(), answered: None, outcome: Outcome::Open, seen: [0; 3] });
        Mark(entries.len() - 1)
    }

    /// Enters what came back.
    pub fn close(&self, mark: Mark, outcome: Outcome) {
        let now = self.now();
        if let Some(entry) = self.entries().get_mut(mark.0) {
            entry.answered = Some(now);
            entry.outcome = outcome;
        }
    }

    /// Enters that a statement stands in a server's log, if the text has a mark.
    pub fn seen(&self, place: Place, text: &str) {
        let Some(mark) = Mark::find(text) else { return };
        if let Some(entry) = self.entries().get_mut(mark.0) {
            *place.of_mut(&mut entry.seen) += 1;
        }
    }

    /// True if a statement that was sent after `moment` stands in that server's log.
    pub fn ran_since(&self, place: Place, moment: Duration) -> bool {
        self.entries().iter().rev().take_while(|entry| entry.sent > moment).any(|entry| *place.of(&entry.seen) > 0)
    }

    /// All entries so far.
    pub fn all(&self) -> Vec<Entry> {
        self.entries().clone()
    }

    /// What the screen shows of a class.
    pub fn summary(&self, class: Class) -> Summary {
        let now = self.now();
        let entries = self.entries();
        let mut summary = Summary::default();
        let mut times = Vec::new();
        for entry in entries.iter().rev().filter(|entry| entry.class == class) {
            summary.sent += 1;
            summary.recent += usize::from(now.saturating_sub(entry.sent) < RECENT);
            summary.errors += usize::from(!matches!(entry.outcome, Outcome::Open | Outcome::Right));
            for (sum, seen) in summary.seen.iter_mut().zip(entry.seen) {
                *sum += seen as usize;
            }
            if let Some(answered) = entry.answered.filter(|_| times.len() < LATEST && entry.outcome == Outcome::Right) {
                times.push(answered.saturating_sub(entry.sent));
            }
        }
        times.sort_unstable();
        summary.median = times.get(times.len() / 2).copied().unwrap_or_default();
        summary.p95 = times.get(times.len() * 95 / 100).copied().unwrap_or_default();
        summary
    }
}

/// A statement's number.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Mark(usize);

impl Mark {
    /// The text to put into the statement: nothing that SQL could take for anything but a comment's or a string's text.
    pub fn text(self) -> String {
        format!("demo:{}:", self.0)
    }

    fn find(text: &str) -> Option<Self> {
        let (_, rest) = text.rsplit_once("demo:")?;
        let (number, _) = rest.split_once(':')?;
        number.parse().ok().map(Mark)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn marks_are_found_where_they_were_put() {
        let ledger = Ledger::default();
        let (first, second) = (ledger.open(Class::Insert), ledger.open(Class::Lookup));
        ledger.seen(Place::Master, &format!("INSERT INTO t VALUES ('demo:') /* {} */", first.text()));
        ledger.seen(Place::Aurora, &format!("SELECT '{}' AS mark", second.text()));
        ledger.seen(Place::Aurora, "SELECT 'demo:77777:'");
        ledger.seen(Place::Aurora, "SELECT 1");
        let all = ledger.all();
        assert_eq!((all[0].seen, all[1].seen), ([1, 0, 0], [0, 0, 1]));
    }

    #[test]
    fn a_summary_counts_its_class_alone() {
        let ledger = Ledger::default();
        for outcome in [Outcome::Right, Outcome::Wrong("x".into()), Outcome::Open] {
            let mark = ledger.open(Class::Update);
            ledger.close(mark, outcome);
        }
        ledger.open(Class::Insert);
        let summary = ledger.summary(Class::Update);
        assert_eq!((summary.sent, summary.recent, summary.errors), (3, 3, 1));
        assert_eq!(Class::ALL.map(|class| class as usize), std::array::from_fn(|i| i), "ALL is in the enum's order");
    }
}
