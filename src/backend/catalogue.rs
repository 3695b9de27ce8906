//! What triggers, views and stored routines a server has: the definitions in its catalogue.
//!
//! A statement may leave something on its connection by a trigger, a view or a routine, out of sight. Which do follows from
//! their definitions (`sql::definitions` reads them). Until a server's are known, any statement on a table may have left
//! something there.
//!
//! ```text
//!            read                its meaning is in effect
//!  unknown ────────▶ read ──────────────────────────────▶ known to everybody, or to some accounts
//!     ▲                                                       │
//!     └── not shown any more, or changed by a statement ◀─────┘
//! ```
//!
//! A server shows an account what it has rights on, and does not say whether that is all. Who has SELECT, SHOW VIEW and TRIGGER
//! on `*.*` sees all. Another sees what may meet its own statements, if it has TRIGGER wherever it may write ([`rights`]). So the
//! account of the health checks is asked first, and where it does not see all, the accounts of the traffic, each for itself
//! ([`follow`]). What is listed without its text is taken to do anything. What is not looked for: triggers that a routine, a trigger or
//! a view meets by the rights of its definer, on tables that its user has no rights on.
//!
//! Definitions that are changed by a statement through this router are read anew at once, others within an interval. This
//! module refuses to know what a definition means, and to keep a statement waiting.

use std::sync::atomic::{AtomicBool, AtomicU32, Ordering::Relaxed};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};
use tokio::sync::Notify;

pub mod follow;
mod read;
mod rights;

/// What kind of thing an entry of a catalogue defines.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// A trigger.
    Trigger,
    /// A view.
    View,
    /// A stored function or procedure.
    Routine,
}

/// One definition.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Entry {
    /// What it defines.
    pub kind: Kind,
    /// The name of the view or routine, or of the trigger's table, without its schema.
    pub name: String,
    /// The statement of a trigger or routine, the query of a view. Empty where the server does not show it: that of a view whose
    /// tables are gone, for instance.
    pub body: String,
    /// The names of a routine's parameters.
    pub parameters: Vec<String>,
    /// The `sql_mode` that it was written under.
    pub sql_mode: String,
}

/// Whose statements meet nothing but what was read.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Sight {
    /// Everybody's: all was read.
    Everybody,
    /// Those of these accounts.
    Accounts(Vec<String>),
    /// Nobody's, and why not.
    Nobody(String),
}

/// What was read of a server.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Reading {
    /// The definitions.
    pub entries: Vec<Entry>,
    /// For whom they are all.
    pub sight: Sight,
}

/// A server's definitions, as far as they have been read.
#[derive(Debug, Default)]
pub struct Catalogue {
    /// What the statement path reads: they are known to everybody.
    is_known: AtomicBool,
    /// Counts up whenever it changes to whom they are known.
    generation: AtomicU32,
    /// The configuration says to do as if there were no definition that leaves anything.
    is_trusted: AtomicBool,
    /// How often a statement through this router has changed definitions.
    changes: AtomicU32,
    /// Wakes who reads them.
    changed: Notify,
    /// Cold: touched by who reads them, and by those who look.
    latest: Mutex<Latest>,
}

/// What was read last.
#[derive(Debug, Default)]
struct Latest {
    reading: Option<(Arc<Vec<Entry>>, Sight)>,
    /// When it was read, and the count of changes before.
    read: Option<(Instant, u32)>,
    /// The same as is in effect.
    in_effect: bool,
}

/// A moment in a server's definitions: the count of changes at it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Moment(u32);

impl Catalogue {
    /// True if a statement's plan says all that the statement may have left on its connection, whosever it is.
    #[inline]
    pub fn is_known(&self) -> bool {
        self.is_known.load(Relaxed)
    }

    /// Counts up whenever the answer to [`Catalogue::is_known_to`] may be another.
    #[inline]
    pub fn generation(&self) -> u32 {
        self.generation.load(Relaxed)
    }

    /// The same as [`Catalogue::is_known`] for the statements of one account.
    pub fn is_known_to(&self, account: &str) -> bool {
        let latest = self.latest();
        self.is_known() || self.is_newest(&latest) && latest.is_for(account)
    }

    /// What a configuration says: that what is not known is taken for harmless.
    pub fn reconfigure(&self, trusts: bool) {
        if self.is_trusted.swap(trusts, Relaxed) != trusts {
            self.settle(&self.latest());
        }
    }

    /// A statement has changed definitions: they are read anew.
    pub fn changed(&self) {
        let latest = self.latest();
        self.changes.fetch_add(1, Relaxed);
        self.settle(&latest);
        self.changed.notify_one();
    }

    /// Waits until definitions have changed.
    pub async fn wait_for_change(&self) {
        self.changed.notified().await;
    }

    /// The moment, if they are to be read now: never read, changed since, or read an `interval` ago.
    pub fn is_due(&self, interval: Duration) -> Option<Moment> {
        let changes = self.changes.load(Relaxed);
        let is_fresh = self.latest().read.is_some_and(|(at, seen)| seen == changes && at.elapsed() < interval);
        (!is_fresh).then_some(Moment(changes))
    }

    /// Takes a reading that began at a moment. It is in effect once [`Catalogue::take_effect`] says so. True if it is another than
    /// before for somebody: worth a line in the log.
    pub fn observe(&self, moment: Moment, reading: Reading) -> bool {
        let mut latest = self.latest();
        let Reading { entries, sight } = reading;
        latest.read = Some((Instant::now(), moment.0));
        let (before, is_news) = match latest.reading.take() {
            Some((before, seen)) => (Some(before), seen != sight),
            None => (None, true),
        };
        let entries = match before {
            Some(before) if *before == entries => before,
            _ => {
                latest.in_effect = false;
                Arc::new(entries)
            }
        };
        latest.reading = Some((entries, sight));
        self.settle(&latest);
        is_news
    }

    /// What was read last; none while nothing has been.
    pub fn read(&self) -> Option<Arc<Vec<Entry>>> {
        self.latest().reading.as_ref().map(|(entries, _)| Arc::clone(entries))
    }

    /// What was read is in effect: statements are planned by it.
    pub fn take_effect(&self, entries: &Arc<Vec<Entry>>) {
        let mut latest = self.latest();
        if latest.reading.as_ref().is_some_and(|(read, _)| Arc::ptr_eq(read, entries)) && !latest.in_effect {
            latest.in_effect = true;
            self.settle(&latest);
        }
    }

    /// For whom all that was read is all; none before the first reading.
    pub fn sight(&self) -> Option<Sight> {
        self.latest().reading.as_ref().map(|(_, sight)| sight.clone())
    }

    /// True if nothing has changed since what is in effect was read.
    fn is_newest(&self, latest: &Latest) -> bool {
        latest.in_effect && latest.read.is_some_and(|(_, changes)| changes == self.changes.load(Relaxed))
    }

    /// Brings what the statement path reads up to date.
    fn settle(&self, latest: &Latest) {
        let of_all = matches!(latest.reading, Some((_, Sight::Everybody)));
        self.is_known.store(self.is_trusted.load(Relaxed) || of_all && self.is_newest(latest), Relaxed);
        self.generation.fetch_add(1, Relaxed);
    }

    fn latest(&self) -> std::sync::MutexGuard<'_, Latest> {
        self.latest.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Latest {
    fn is_for(&self, account: &str) -> bool {
        match &self.reading {
            Some((_, Sight::Everybody)) => true,
            Some((_, Sight::Accounts(names))) => names.iter().any(|name| name == account),
            Some((_, Sight::Nobody(_))) | None => false,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn reading(names: &[&str], sight: Sight) -> Reading {
        let entry = |name: &&str| Entry {
            kind: Kind::View,
            name: (*name).to_owned(),
            body: "select 1".to_owned(),
            parameters: Vec::new(),
            sql_mode: String::new(),
        };
        Reading { entries: names.iter().map(entry).collect(), sight }
    }

    const HOUR: Duration = Duration::from_secs(3600);

    fn take_effect(catalogue: &Catalogue) {
        catalogue.take_effect(&catalogue.read().unwrap());
    }

    #[test]
    fn they_are_known_once_what_was_read_is_in_effect() {
        let catalogue = Catalogue::default();
        assert!(!catalogue.is_known());
        let moment = catalogue.is_due(HOUR).expect("never read");
        assert!(catalogue.observe(moment, reading(&["a", "b"], Sight::Everybody)));
        assert!(!catalogue.is_known() && catalogue.is_due(HOUR).is_none());
        take_effect(&catalogue);
        assert!(catalogue.is_known());
        let moment = catalogue.is_due(Duration::ZERO).expect("an interval later they are read again");
        assert!(!catalogue.observe(moment, reading(&["a", "b"], Sight::Everybody)), "no news");
        assert!(catalogue.is_known(), "what is in effect is the same");
        catalogue.observe(moment, reading(&["a"], Sight::Everybody));
        assert!(!catalogue.is_known());
    }

    #[test]
    fn a_change_meanwhile_is_not_known_yet() {
        let catalogue = Catalogue::default();
        let moment = catalogue.is_due(HOUR).unwrap();
        catalogue.changed();
        catalogue.observe(moment, reading(&["a"], Sight::Everybody));
        take_effect(&catalogue);
        assert!(!catalogue.is_known());
        let moment = catalogue.is_due(HOUR).expect("changed since");
        catalogue.observe(moment, reading(&["a"], Sight::Everybody));
        assert!(catalogue.is_known(), "what is in effect is what was read");
        catalogue.changed();
        assert!(!catalogue.is_known());
    }

    #[test]
    fn what_some_see_is_known_to_them() {
        let catalogue = Catalogue::default();
        let moment = catalogue.is_due(HOUR).unwrap();
        let some = Sight::Accounts(vec!["app".to_owned()]);
        assert!(catalogue.observe(moment, reading(&["a"], some)));
        assert!(!catalogue.is_known_to("app"));
        let before = catalogue.generation();
        take_effect(&catalogue);
        assert!(catalogue.generation() != before);
        assert!(catalogue.is_known_to("app") && !catalogue.is_known_to("other") && !catalogue.is_known());
        catalogue.changed();
        assert!(!catalogue.is_known_to("app"));
    }

    #[test]
    fn what_nobody_sees_is_known_to_nobody_unless_it_is_trusted() {
        let catalogue = Catalogue::default();
        let moment = catalogue.is_due(HOUR).unwrap();
        let no = || reading(&[], Sight::Nobody("no right".to_owned()));
        assert!(catalogue.observe(moment, no()));
        assert!(!catalogue.observe(moment, no()), "it is said once");
        take_effect(&catalogue);
        assert!(!catalogue.is_known() && !catalogue.is_known_to("app"));
        catalogue.reconfigure(true);
        assert!(catalogue.is_known());
        catalogue.changed();
        assert!(catalogue.is_known() && catalogue.is_known_to("app"));
        catalogue.reconfigure(false);
        assert!(!catalogue.is_known());
    }
}
