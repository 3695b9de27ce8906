//! What triggers, views and stored routines a server has: the definitions in its catalogue, read by the health checks.
//!
//! A statement may leave something on its connection by a trigger, a view or a routine, out of sight. Which do follows from
//! their definitions (`sql::definitions` reads them). Until a server's are known, any statement on a table may have left
//! something there.
//!
//! ```text
//!            read by a check            its meaning is in effect
//!  unknown ───────────────▶ read ──────────────────────────────▶ known
//!     ▲                                                            │
//!     └──── not readable any more, or changed by a statement ◀─────┘
//! ```
//!
//! Definitions that are changed by a statement through this router are read anew at once, others within an interval. It takes
//! SELECT, SHOW VIEW and TRIGGER on `*.*`: with less, a server shows a part, and does not say so. It refuses to know
//! what a definition means, and to keep a statement waiting.

use super::connect::Connected;
use super::query::{Answer, Bounds, rows, strange, value};
use std::collections::HashMap;
use std::io;
use std::sync::atomic::{AtomicBool, AtomicU32, Ordering::Relaxed};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};
use tokio::sync::Notify;

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

/// What a server answered.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Reading {
    /// All its definitions.
    Whole(Vec<Entry>),
    /// It does not show all of them, or could not be asked; and why.
    Unreadable(String),
}

/// What an observation changed, for the log.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Turn {
    /// They are known for the first time, or again.
    Readable(usize),
    /// They are not, and why.
    Unreadable(String),
}

/// A server's definitions, as far as they have been read.
#[derive(Debug, Default)]
pub struct Catalogue {
    /// What the statement path reads.
    is_known: AtomicBool,
    /// The configuration says to do as if there were no definition that leaves anything.
    is_trusted: AtomicBool,
    /// How often a statement through this router has changed definitions.
    changes: AtomicU32,
    /// Wakes the checks.
    changed: Notify,
    /// Cold: touched by checks and by those who look.
    latest: Mutex<Latest>,
}

/// What was read last.
#[derive(Debug, Default)]
struct Latest {
    /// None before the first whole reading.
    entries: Option<Arc<Vec<Entry>>>,
    /// Why the latest reading was not whole.
    why_not: Option<String>,
    /// When the latest reading began, and the count of changes at that moment.
    began: Option<(Instant, u32)>,
}

/// A moment in a server's definitions: the count of changes at it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Moment(u32);

impl Catalogue {
    /// True if a statement's plan says all that the statement may have left on its connection.
    #[inline]
    pub fn is_known(&self) -> bool {
        self.is_known.load(Relaxed)
    }

    /// What a configuration says: that what is not known is taken for harmless.
    pub fn reconfigure(&self, trusts: bool) {
        if self.is_trusted.swap(trusts, Relaxed) != trusts {
            let latest = self.latest();
            self.is_known.store(trusts || self.is_whole(&latest), Relaxed);
        }
    }

    fn is_whole(&self, latest: &Latest) -> bool {
        let is_newest = latest.began.is_some_and(|(_, changes)| changes == self.changes.load(Relaxed));
        is_newest && latest.entries.is_some() && latest.why_not.is_none()
    }

    /// A statement has changed definitions: they are read anew.
    pub fn changed(&self) {
        self.changes.fetch_add(1, Relaxed);
        self.is_known.store(self.is_trusted.load(Relaxed), Relaxed);
        self.changed.notify_one();
    }

    /// Waits until definitions have changed.
    pub async fn wait_for_change(&self) {
        self.changed.notified().await;
    }

    /// The moment, if they are to be read now: never read, changed since, or read an `interval` ago.
    pub fn is_due(&self, interval: Duration) -> Option<Moment> {
        let changes = self.changes.load(Relaxed);
        let is_fresh = self.latest().began.is_some_and(|(at, seen)| seen == changes && at.elapsed() < interval);
        (!is_fresh).then_some(Moment(changes))
    }

    /// Takes a reading that began at a moment. It is in effect once [`Catalogue::take_effect`] says so.
    pub fn observe(&self, moment: Moment, reading: Reading) -> Option<Turn> {
        let mut latest = self.latest();
        let is_first = latest.began.replace((Instant::now(), moment.0)).is_none();
        let before = latest.why_not.take();
        match reading {
            Reading::Whole(entries) => {
                let count = entries.len();
                if latest.entries.as_deref() != Some(&entries) {
                    latest.entries = Some(Arc::new(entries));
                }
                (is_first || before.is_some()).then_some(Turn::Readable(count))
            }
            Reading::Unreadable(why) => {
                self.is_known.store(self.is_trusted.load(Relaxed), Relaxed);
                let is_news = before.is_none();
                latest.why_not = Some(why.clone());
                is_news.then_some(Turn::Unreadable(why))
            }
        }
    }

    /// What was read last, and at which moment; none while nothing has been.
    pub fn read(&self) -> Option<(Arc<Vec<Entry>>, Moment)> {
        let latest = self.latest();
        let entries = latest.entries.clone()?;
        latest.began.map(|(_, changes)| (entries, Moment(changes)))
    }

    /// What was read at a moment is in effect: statements are planned by it.
    pub fn take_effect(&self, moment: Moment) {
        let latest = self.latest();
        if latest.began.is_some_and(|(_, changes)| changes == moment.0) && self.is_whole(&latest) {
            self.is_known.store(true, Relaxed);
        }
    }

    /// Why they are not known; none if they are, or nobody has asked yet.
    pub fn why_not(&self) -> Option<String> {
        self.latest().why_not.clone()
    }

    fn latest(&self) -> std::sync::MutexGuard<'_, Latest> {
        self.latest.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// More than that is no catalogue that is read.
const LARGE: Bounds = Bounds { rows: 100_000, packet: 16 << 20, bytes: 64 << 20 };

/// Schemas of the servers' own. What they hold sets nothing.
const NOT_SYSTEM: &str = "NOT IN ('information_schema', 'mysql', 'performance_schema', 'sys')";

/// What it takes to be shown all of them, on `*.*`.
const RIGHTS: [&str; 3] = ["SELECT", "SHOW VIEW", "TRIGGER"];

/// Reads a server's definitions. After an error the connection is of no more use.
///
/// # Errors
/// Those of the connection, and `InvalidData` for what is no answer. Not cancel safe.
pub async fn ask(connected: &mut Connected) -> io::Result<Reading> {
    match read(connected).await {
        Ok(entries) => Ok(Reading::Whole(entries)),
        Err(NotRead::Shown(why)) => Ok(Reading::Unreadable(why)),
        Err(NotRead::Broken(error)) => Err(error),
    }
}

/// Why definitions were not read.
enum NotRead {
    /// The server does not show them all.
    Shown(String),
    /// The connection is of no more use.
    Broken(io::Error),
}

impl From<io::Error> for NotRead {
    fn from(error: io::Error) -> Self {
        Self::Broken(error)
    }
}

async fn read(connected: &mut Connected) -> Result<Vec<Entry>, NotRead> {
    // Rights that come by a role are not listed.
    let granted = table(
        connected,
        "SELECT PRIVILEGE_TYPE FROM information_schema.USER_PRIVILEGES \
         WHERE GRANTEE = CONCAT('''', REPLACE(CURRENT_USER(), '@', '''@'''), '''')",
        1,
    )
    .await?;
    let has = |right: &str| granted.iter().any(|row| row[0].as_deref() == Some(right));
    let missing: Vec<&str> = RIGHTS.into_iter().filter(|right| !has(right)).collect();
    if !missing.is_empty() {
        let why = format!("the account of [health] lacks {} on *.*", missing.join(", "));
        return Err(NotRead::Shown(why));
    }
    let mut entries = Vec::new();
    let triggers = format!(
        "SELECT EVENT_OBJECT_TABLE, ACTION_STATEMENT, SQL_MODE FROM information_schema.TRIGGERS \
         WHERE TRIGGER_SCHEMA {NOT_SYSTEM}"
    );
    let views =
        format!("SELECT TABLE_NAME, VIEW_DEFINITION, '' FROM information_schema.VIEWS WHERE TABLE_SCHEMA {NOT_SYSTEM}");
    for (kind, question) in [(Kind::Trigger, triggers), (Kind::View, views)] {
        for row in table(connected, &question, 3).await? {
            let mut values = row.into_iter();
            let mut next = || values.next().flatten();
            entries.push(entry(kind, [next(), next(), next()], Vec::new()));
        }
    }
    let parameters = format!(
        "SELECT SPECIFIC_SCHEMA, SPECIFIC_NAME, PARAMETER_NAME FROM information_schema.PARAMETERS \
         WHERE PARAMETER_NAME IS NOT NULL AND SPECIFIC_SCHEMA {NOT_SYSTEM}"
    );
    let mut of_routines: HashMap<(Option<String>, Option<String>), Vec<String>> = HashMap::new();
    for row in table(connected, &parameters, 3).await? {
        if let [schema, routine, Some(name)] = row.as_slice() {
            of_routines.entry((schema.clone(), routine.clone())).or_default().push(name.clone());
        }
    }
    let routines = format!(
        "SELECT ROUTINE_SCHEMA, SPECIFIC_NAME, ROUTINE_NAME, ROUTINE_DEFINITION, SQL_MODE \
         FROM information_schema.ROUTINES WHERE ROUTINE_BODY = 'SQL' AND ROUTINE_SCHEMA {NOT_SYSTEM}"
    );
    for row in table(connected, &routines, 5).await? {
        let mut values = row.into_iter();
        let mut next = || values.next().flatten();
        let parameters = of_routines.remove(&(next(), next())).unwrap_or_default();
        entries.push(entry(Kind::Routine, [next(), next(), next()], parameters));
    }
    Ok(entries)
}

fn entry(kind: Kind, values: [Option<String>; 3], parameters: Vec<String>) -> Entry {
    let [name, body, sql_mode] = values.map(Option::unwrap_or_default);
    Entry { kind, name, body, parameters, sql_mode }
}

/// The answer to a question, `width` columns wide.
async fn table(connected: &mut Connected, question: &str, width: usize) -> Result<Vec<Vec<Option<String>>>, NotRead> {
    match rows(connected, question, LARGE).await? {
        Answer::Rows { columns, rows } if columns.len() == width => {
            let text = |row: &Vec<u8>, place| {
                let bytes = value(row, place).map_err(|_| strange())?;
                Ok(bytes.map(|bytes| String::from_utf8_lossy(bytes).into_owned()))
            };
            let read = |row: &Vec<u8>| (0..width).map(|place| text(row, place)).collect();
            rows.iter().map(read).collect::<io::Result<_>>().map_err(NotRead::Broken)
        }
        Answer::Rows { .. } => Err(strange().into()),
        Answer::Refused { text, .. } => Err(NotRead::Shown(format!("the server said: {text}"))),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn entries(names: &[&str]) -> Reading {
        let entry = |name: &&str| Entry {
            kind: Kind::View,
            name: (*name).to_owned(),
            body: "select 1".to_owned(),
            parameters: Vec::new(),
            sql_mode: String::new(),
        };
        Reading::Whole(names.iter().map(entry).collect())
    }

    const HOUR: Duration = Duration::from_secs(3600);

    #[test]
    fn they_are_known_once_what_was_read_is_in_effect() {
        let catalogue = Catalogue::default();
        assert!(!catalogue.is_known());
        let moment = catalogue.is_due(HOUR).expect("never read");
        assert_eq!(catalogue.observe(moment, entries(&["a", "b"])), Some(Turn::Readable(2)));
        assert!(!catalogue.is_known() && catalogue.is_due(HOUR).is_none());
        let (read, moment) = catalogue.read().unwrap();
        assert_eq!(read.len(), 2);
        catalogue.take_effect(moment);
        assert!(catalogue.is_known());
        assert!(catalogue.is_due(Duration::ZERO).is_some(), "an interval later they are read again");
    }

    #[test]
    fn a_change_meanwhile_is_not_known_yet() {
        let catalogue = Catalogue::default();
        let moment = catalogue.is_due(HOUR).unwrap();
        catalogue.changed();
        catalogue.observe(moment, entries(&["a"]));
        catalogue.take_effect(moment);
        assert!(!catalogue.is_known());
        let moment = catalogue.is_due(HOUR).expect("changed since");
        catalogue.observe(moment, entries(&["a"]));
        let (_, moment) = catalogue.read().unwrap();
        catalogue.changed();
        catalogue.take_effect(moment);
        assert!(!catalogue.is_known());
    }

    #[test]
    fn what_cannot_be_read_is_said_once() {
        let catalogue = Catalogue::default();
        let moment = catalogue.is_due(HOUR).unwrap();
        let no = || Reading::Unreadable("no right".to_owned());
        assert_eq!(catalogue.observe(moment, no()), Some(Turn::Unreadable("no right".to_owned())));
        assert_eq!(catalogue.observe(moment, no()), None);
        assert_eq!(catalogue.why_not().as_deref(), Some("no right"));
        assert_eq!(catalogue.observe(moment, entries(&[])), Some(Turn::Readable(0)));
        catalogue.take_effect(moment);
        assert!(catalogue.is_known());
        assert!(catalogue.observe(moment, no()).is_some() && !catalogue.is_known());
    }

    #[test]
    fn who_is_trusted_is_known() {
        let catalogue = Catalogue::default();
        catalogue.reconfigure(true);
        assert!(catalogue.is_known());
        catalogue.changed();
        assert!(catalogue.is_known());
        catalogue.reconfigure(false);
        assert!(!catalogue.is_known());
    }
}
