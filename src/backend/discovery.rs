//! Which server of a writer hostgroup takes writes: who says of itself that it is read-only does not.
//!
//! A failover moves a server's role before any configuration says so; a hostgroup that holds both servers follows by this.
//! Three answers are told apart, as with [`super::lag`]: *writable*, *read-only*, and *no answer*, which is neither: what
//! serves goes on, and what is out stays out. There are no thresholds: either answer is a server's own word, not a symptom.
//!
//! It refuses to move a server from one hostgroup to another, and to ask who replicates from whom: a server is where the
//! configuration puts it, in both hostgroups of a pair if it may be either.

use super::connect::Connected;
use super::query::{Answer, SMALL, rows, value};
use std::collections::BTreeSet;
use std::io;
use std::sync::atomic::{AtomicBool, Ordering::Relaxed};
use std::sync::{Mutex, PoisonError};

/// What both engines have, and need no rights for. `super_read_only` sets `read_only` too; on Aurora a reader says so by
/// `innodb_read_only` alone.
const QUESTION: &str = "SELECT @@global.read_only, @@global.innodb_read_only";

/// What a server says of itself.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Reading {
    /// It takes writes.
    Writable,
    /// It takes none; by which of its variables.
    ReadOnly(&'static str),
    /// It could not be asked, and why.
    Unreadable(String),
}

/// Whether a server takes writes, as far as it has said so.
#[derive(Debug, Default)]
pub struct ReadOnly {
    /// What the statement path reads.
    is_on: AtomicBool,
    asked: AtomicBool,
    /// Cold: touched by checks and by those who look.
    latest: Mutex<Option<Reading>>,
}

/// What an observation changed, for the log and the record of changes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Turn {
    /// It takes no writes any more, and why.
    ReadOnly(String),
    /// It takes writes again.
    Writable,
    /// It counts as before, but does not say so any more, and why.
    Silent(String),
}

impl ReadOnly {
    /// What a configuration says: whether it is asked. Who is not asked any more takes writes.
    pub fn reconfigure(&self, asked: bool) {
        if self.asked.swap(asked, Relaxed) && !asked {
            *self.latest() = None;
            self.is_on.store(false, Relaxed);
        }
    }

    /// True if its configuration wants it to be asked.
    pub fn is_asked(&self) -> bool {
        self.asked.load(Relaxed)
    }

    /// True while it is known to be read-only.
    #[inline]
    pub fn is_on(&self) -> bool {
        self.is_on.load(Relaxed)
    }

    /// The latest answer; none before the first.
    pub fn seen(&self) -> Option<Reading> {
        self.latest().clone()
    }

    /// Takes a reading.
    pub fn observe(&self, reading: Reading) -> Option<Turn> {
        if !self.is_asked() {
            return None;
        }
        let before = self.latest().replace(reading.clone());
        match reading {
            Reading::ReadOnly(variable) if !self.is_on.swap(true, Relaxed) => {
                Some(Turn::ReadOnly(format!("it is read-only ({variable})")))
            }
            Reading::Writable if self.is_on.swap(false, Relaxed) => Some(Turn::Writable),
            Reading::Unreadable(why) if !matches!(before, Some(Reading::Unreadable(_))) => Some(Turn::Silent(why)),
            _ => None,
        }
    }

    fn latest(&self) -> std::sync::MutexGuard<'_, Option<Reading>> {
        self.latest.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Accounts whose writes a server has refused for being read-only, for as long as a statement waits. It may be so for good, and for these
/// alone: the next of theirs is not kept waiting, until the server takes one.
#[derive(Debug, Default)]
pub struct Refusals {
    /// True if there are any: the statement path reads this alone.
    is_any: AtomicBool,
    accounts: Mutex<BTreeSet<Box<str>>>,
}

impl Refusals {
    /// True if this account's writes are refused.
    #[inline]
    pub fn has(&self, account: &str) -> bool {
        self.is_any.load(Relaxed) && self.accounts().contains(account)
    }

    /// This account's writes have been refused for as long as a statement waits.
    pub fn note(&self, account: &str) {
        self.accounts().insert(account.into());
        self.is_any.store(true, Relaxed);
    }

    /// The server has taken a write of this account's.
    #[inline]
    pub fn forget(&self, account: &str) {
        if self.is_any.load(Relaxed) {
            let mut accounts = self.accounts();
            accounts.remove(account);
            self.is_any.store(!accounts.is_empty(), Relaxed);
        }
    }

    fn accounts(&self) -> std::sync::MutexGuard<'_, BTreeSet<Box<str>>> {
        self.accounts.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// What the server says now. After an error the connection is of no more use.
///
/// # Errors
/// Those of the connection, and `InvalidData` for what is no answer. Not cancel safe.
pub async fn ask(connected: &mut Connected) -> io::Result<Reading> {
    match rows(connected, QUESTION, SMALL).await? {
        Answer::Rows { rows, .. } => read(&rows),
        Answer::Refused { text, .. } => Ok(Reading::Unreadable(format!("the server said: {text}"))),
    }
}

fn read(rows: &[Vec<u8>]) -> io::Result<Reading> {
    let strange = || io::Error::new(io::ErrorKind::InvalidData, "a strange answer to the question for read_only");
    let [row] = rows else { return Err(strange()) };
    for (place, variable) in ["read_only", "innodb_read_only"].into_iter().enumerate() {
        match value(row, place).map_err(|_| strange())? {
            Some(b"0" | b"OFF") => {}
            // Newer MariaDBs know degrees of it, by name.
            Some(text) if !text.is_empty() => return Ok(Reading::ReadOnly(variable)),
            _ => return Err(strange()),
        }
    }
    Ok(Reading::Writable)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn refused() -> Reading {
        Reading::Unreadable("access denied".into())
    }

    fn asked() -> ReadOnly {
        let read_only = ReadOnly::default();
        read_only.reconfigure(true);
        read_only
    }

    #[test]
    fn its_word_counts_at_once_both_ways() {
        let server = asked();
        assert_eq!(server.observe(Reading::Writable), None);
        assert!(matches!(server.observe(Reading::ReadOnly("read_only")), Some(Turn::ReadOnly(_))));
        assert_eq!(server.observe(Reading::ReadOnly("read_only")), None, "it is said once");
        assert!(server.is_on());
        assert_eq!(server.observe(Reading::Writable), Some(Turn::Writable));
        assert!(!server.is_on());
    }

    #[test]
    fn no_answer_takes_nobody_out_and_brings_nobody_back() {
        let server = asked();
        assert!(matches!(server.observe(refused()), Some(Turn::Silent(_))));
        assert_eq!(server.observe(refused()), None, "it is said once");
        assert!(!server.is_on());
        server.observe(Reading::ReadOnly("read_only"));
        server.observe(refused());
        assert!(server.is_on());
    }

    #[test]
    fn refusals_are_each_accounts_own() {
        let refusals = Refusals::default();
        assert!(!refusals.has("a"));
        refusals.note("a");
        refusals.note("b");
        refusals.forget("a");
        assert!(!refusals.has("a") && refusals.has("b"));
        refusals.forget("b");
        assert!(!refusals.has("b") && !refusals.is_any.load(Relaxed));
    }

    #[test]
    fn who_is_not_asked_takes_writes() {
        let server = asked();
        server.observe(Reading::ReadOnly("read_only"));
        server.reconfigure(false);
        assert!(!server.is_on());
        assert_eq!(server.observe(Reading::ReadOnly("read_only")), None);
        assert!(!server.is_on());
    }

    #[test]
    fn answers() {
        for (row, want) in [
            (&b"\x010\x010"[..], Some(Reading::Writable)),
            (b"\x03OFF\x010", Some(Reading::Writable)),
            (b"\x011\x010", Some(Reading::ReadOnly("read_only"))),
            (b"\x07NO_LOCK\x010", Some(Reading::ReadOnly("read_only"))),
            (b"\x010\x011", Some(Reading::ReadOnly("innodb_read_only"))),
            (b"\xfb\x010", None),
            (b"\x00\x010", None),
            (b"\x010", None),
        ] {
            assert_eq!(read(&[row.to_vec()]).ok(), want, "{row:?}");
        }
        assert!(read(&[]).is_err());
    }
}
