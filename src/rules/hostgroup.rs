//! Hostgroups as the routing decision sees them: whether they are writers or readers, how much of the past they hold,
//! and who is whose writer.
//!
//! [`super::decide`] asks here whether a hostgroup may serve what a statement reaches. Which backends are in a
//! hostgroup and which of them are up is known in `backend`, not here.

use super::route::{Holds, HostgroupId};
use crate::sql::predicate::Reach;
use jiff::{Span, Timestamp, tz::TimeZone};
use std::fmt;

/// What a hostgroup's backends may be asked to do.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Role {
    /// Takes everything. Its word is the truth.
    Writer,
    /// Takes only what is proven to change, lock and need nothing.
    Reader,
}

impl fmt::Display for Role {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Role::Writer => "writer",
            Role::Reader => "reader",
        })
    }
}

/// How much of the past a hostgroup holds, counted back from now.
///
/// Days are calendar days in the session's time zone, as `NOW() - INTERVAL 90 DAY` counts them; the rest is exact.
/// The order is by length, a day taken as 24 hours.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Horizon {
    /// Whole days.
    pub days: u32,
    /// Seconds beside the days.
    pub seconds: u32,
}

/// No clock change is longer: outside of this margin around a day count, exact arithmetic decides the same.
const ZONE_MARGIN: i64 = 2 * 86_400;

impl Horizon {
    /// A horizon of whole days.
    pub const fn days(days: u32) -> Self {
        Self { days, seconds: 0 }
    }

    /// Its length in seconds, a day taken as 24 hours.
    pub const fn length(self) -> i64 {
        self.days as i64 * 86_400 + self.seconds as i64
    }

    /// True if `moment` lies within the horizon, seen from `now` in `zone`, to the second.
    ///
    /// What calendar arithmetic cannot answer (years beyond 9999) lies outside.
    pub fn holds(self, moment: Timestamp, now: Timestamp, zone: &TimeZone) -> bool {
        let exact = now.as_second().saturating_sub(self.length());
        let moment_second = moment.as_second();
        if moment_second > exact.saturating_add(ZONE_MARGIN) {
            return true;
        }
        if moment_second < exact.saturating_sub(ZONE_MARGIN) {
            return false;
        }
        let Ok(span) = Span::new().try_days(self.days).and_then(|s| s.try_seconds(self.seconds)) else { return false };
        match now.to_zoned(zone.clone()).checked_sub(span) {
            // `NOW()` knows no fractions of a second: without this, `NOW() - INTERVAL 90 DAY` would lie just outside of 90
            // days.
            Ok(cutoff) => moment_second >= cutoff.timestamp().as_second(),
            Err(_) => false,
        }
    }
}

impl fmt::Display for Horizon {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match (self.days, self.seconds) {
            (1, 0) => f.write_str("1 day"),
            (days, 0) => write!(f, "{days} days"),
            (0, seconds) if seconds % 3600 == 0 => write!(f, "{} hours", seconds / 3600),
            (0, seconds) => write!(f, "{seconds} seconds"),
            (days, seconds) => write!(f, "{days} days and {seconds} seconds"),
        }
    }
}

/// A hostgroup as the configuration gives it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Hostgroup {
    /// Its number.
    pub id: HostgroupId,
    /// Its name, for people; may be empty.
    pub name: Box<str>,
    /// What it may be asked.
    pub role: Role,
    /// How much of the past it holds, if its old rows are purged. None: it holds everything.
    pub horizon: Option<Horizon>,
    /// For a reader: the writer that what it may not serve goes to. None: the set's first writer.
    pub writer: Option<HostgroupId>,
}

impl Hostgroup {
    /// A writer that holds everything.
    pub fn writer(id: HostgroupId, name: &str) -> Self {
        Self { id, name: name.into(), role: Role::Writer, horizon: None, writer: None }
    }

    /// A reader that holds everything.
    pub fn reader(id: HostgroupId, name: &str) -> Self {
        Self { id, name: name.into(), role: Role::Reader, horizon: None, writer: None }
    }
}

/// How far back an execution reaches, as a step on the ladder of all horizons that hostgroups and rules declare.
///
/// There are few steps, so a plan can keep one route for each.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct ReachClass(u8);

impl ReachClass {
    /// Names no table with a time column.
    pub const TIMELESS: ReachClass = ReachClass(0);
    /// No bound is proven.
    pub const UNKNOWN: ReachClass = ReachClass(1);
    const FIRST_BOUND: u8 = 2;

    /// A place for it in a table of [`Hostgroups::classes`] places.
    pub fn index(self) -> usize {
        usize::from(self.0)
    }
}

/// The most different horizons that one configuration may declare.
pub const MAX_HORIZONS: usize = 200;

/// All hostgroups of a rule set, and the ladder of horizons.
#[derive(Clone, Debug, Default)]
pub struct Hostgroups {
    /// By number, ascending.
    groups: Box<[Hostgroup]>,
    /// Every horizon that a hostgroup or a rule declares, shortest first, each once. At most [`MAX_HORIZONS`].
    horizons: Box<[Horizon]>,
    first_writer: HostgroupId,
}

impl Hostgroups {
    /// Takes the hostgroups and the horizons that rules declare beside theirs.
    pub fn new(mut groups: Vec<Hostgroup>, rule_horizons: impl IntoIterator<Item = Horizon>) -> Self {
        groups.sort_by_key(|g| g.id);
        let mut horizons: Vec<Horizon> = groups.iter().filter_map(|g| g.horizon).chain(rule_horizons).collect();
        horizons.sort_by_key(|h| (h.length(), h.days));
        horizons.dedup();
        horizons.truncate(MAX_HORIZONS);
        let first_writer = groups.iter().find(|g| g.role == Role::Writer).map_or(0, |g| g.id);
        Self { groups: groups.into(), horizons: horizons.into(), first_writer }
    }

    /// The hostgroup of that number.
    pub fn get(&self, id: HostgroupId) -> Option<&Hostgroup> {
        self.groups.binary_search_by_key(&id, |g| g.id).ok().and_then(|at| self.groups.get(at))
    }

    /// All of them, by number.
    pub fn iter(&self) -> impl Iterator<Item = &Hostgroup> {
        self.groups.iter()
    }

    /// True if that hostgroup is known, and a reader.
    pub fn is_reader(&self, id: HostgroupId) -> bool {
        self.get(id).is_some_and(|g| g.role == Role::Reader)
    }

    /// True if that hostgroup is known, and a writer.
    pub fn is_writer(&self, id: HostgroupId) -> bool {
        self.get(id).is_some_and(|g| g.role == Role::Writer)
    }

    /// The writer that stands behind a list of tiers: the first that the list names, else the one that its first
    /// reader declares, else the user's default hostgroup if that is a writer, else the set's first.
    pub fn writer_for(&self, tiers: &[HostgroupId], default: Option<HostgroupId>) -> HostgroupId {
        if let Some(&named) = tiers.iter().find(|&&id| self.is_writer(id)) {
            return named;
        }
        let declared = tiers.first().and_then(|&id| self.get(id)).and_then(|g| g.writer);
        declared
            .or_else(|| default.filter(|&id| self.is_writer(id)))
            .filter(|&id| self.is_writer(id))
            .unwrap_or(self.first_writer)
    }

    /// True if any hostgroup or rule declares a horizon.
    pub fn has_horizons(&self) -> bool {
        !self.horizons.is_empty()
    }

    /// How many classes of reach there are.
    pub fn classes(&self) -> usize {
        usize::from(ReachClass::FIRST_BOUND) + self.horizons.len() + 1
    }

    /// All classes of reach that a statement with time columns can have.
    pub fn bounded_classes(&self) -> impl Iterator<Item = ReachClass> {
        (ReachClass::UNKNOWN.0..=u8::try_from(self.classes() - 1).unwrap_or(u8::MAX)).map(ReachClass)
    }

    /// The class of a reach, at `now` in the session's time zone.
    pub fn class(&self, reach: Reach, now: Timestamp, zone: &TimeZone) -> ReachClass {
        let moment = match reach {
            Reach::Timeless => return ReachClass::TIMELESS,
            Reach::Unknown => return ReachClass::UNKNOWN,
            Reach::Since(moment) => moment,
        };
        // From the longest down, so that a step says that every longer horizon holds it too: calendar days and seconds
        // may overtake each other by an hour where clocks change.
        let outside = self.horizons.iter().rposition(|h| !h.holds(moment, now, zone));
        let step = outside.map_or(0, |last| last + 1);
        ReachClass(ReachClass::FIRST_BOUND.saturating_add(u8::try_from(step).unwrap_or(u8::MAX)))
    }

    /// Where a statement of this class stands to a horizon.
    pub fn stands(&self, class: ReachClass, horizon: Horizon) -> Standing {
        match class {
            ReachClass::TIMELESS => Standing::Timeless,
            ReachClass::UNKNOWN => Standing::Unknown,
            ReachClass(step) => {
                let step = usize::from(step - ReachClass::FIRST_BOUND);
                match self.horizons.iter().position(|&h| h == horizon) {
                    Some(place) if step <= place => Standing::Recent,
                    _ => Standing::Historical,
                }
            }
        }
    }

    /// Whether the hostgroup holds every row that a statement of this class can touch.
    pub fn holds(&self, id: HostgroupId, class: ReachClass) -> Holds {
        let Some(horizon) = self.get(id).and_then(|g| g.horizon) else { return Holds::Yes };
        match self.stands(class, horizon) {
            Standing::Recent | Standing::Timeless => Holds::Yes,
            Standing::Historical => Holds::No,
            Standing::Unknown => Holds::Unknown,
        }
    }
}

/// Where an execution stands to a horizon.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Standing {
    /// It names no table with a time column.
    Timeless,
    /// Proven to stay inside.
    Recent,
    /// Its bounds reach beyond.
    Historical,
    /// Nothing is proven.
    Unknown,
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(text: &str) -> Timestamp {
        text.parse().unwrap()
    }

    #[test]
    fn holds_counts_calendar_days_in_the_zone() {
        let london = TimeZone::get("Europe/London").unwrap();
        let now = at("2026-11-22T12:00:00Z");
        // 90 days before noon in winter time is noon in summer time: 11:00 UTC.
        let table = [
            ("2026-08-24T11:00:00Z", true),
            ("2026-08-24T10:59:59.999Z", false),
            ("2026-11-22T12:00:00Z", true),
            ("2027-01-01T00:00:00Z", true),
            ("1970-01-01T00:00:00Z", false),
        ];
        for (moment, held) in table {
            assert_eq!(Horizon::days(90).holds(at(moment), now, &london), held, "{moment}");
        }
        let fraction = at("2026-11-22T12:00:00.7Z");
        assert!(Horizon::days(90).holds(at("2026-08-24T11:00:00Z"), fraction, &london));
        assert!(!Horizon::days(90).holds(at("2026-08-24T10:59:59Z"), fraction, &london));
        assert!(!Horizon::days(90).holds(at("2026-08-24T11:00:00Z"), now, &TimeZone::UTC));
        assert!(!Horizon::days(90).holds(Timestamp::MIN, now, &TimeZone::UTC));
        assert!(Horizon::days(u32::MAX).holds(Timestamp::MIN, now, &TimeZone::UTC));
    }

    #[test]
    fn classes_are_steps_between_horizons() {
        let mut hot = Hostgroup::reader(30, "hot");
        hot.horizon = Some(Horizon::days(7));
        let mut warm = Hostgroup::reader(20, "warm");
        warm.horizon = Some(Horizon::days(90));
        let groups = Hostgroups::new(vec![Hostgroup::writer(10, "w"), hot, warm], [Horizon::days(30)]);
        assert_eq!(groups.classes(), 6);
        let now = at("2026-11-22T12:00:00Z");
        let class = |reach| groups.class(reach, now, &TimeZone::UTC);
        let cases = [
            (Reach::Timeless, [true, true, true]),
            (Reach::Unknown, [true, false, false]),
            (Reach::Since(at("2026-11-20T00:00:00Z")), [true, true, true]),
            (Reach::Since(at("2026-11-01T00:00:00Z")), [true, true, false]),
            (Reach::Since(at("2026-10-01T00:00:00Z")), [true, true, false]),
            (Reach::Since(at("2026-01-01T00:00:00Z")), [true, false, false]),
            (Reach::Since(Timestamp::MIN), [true, false, false]),
        ];
        for (reach, expected) in cases {
            let class = class(reach);
            assert!(class.index() < groups.classes());
            assert_eq!([10, 20, 30].map(|id| groups.holds(id, class) == Holds::Yes), expected, "{reach:?}");
        }
        assert_eq!(
            groups.stands(class(Reach::Since(at("2026-10-01T00:00:00Z"))), Horizon::days(30)),
            Standing::Historical
        );
        assert_eq!(groups.stands(class(Reach::Since(at("2026-11-01T00:00:00Z"))), Horizon::days(30)), Standing::Recent);
        assert_eq!(groups.bounded_classes().count() + 1, groups.classes());
    }

    #[test]
    fn writer_for_prefers_what_is_named() {
        let mut reader = Hostgroup::reader(40, "r2");
        reader.writer = Some(30);
        let groups = Hostgroups::new(
            vec![Hostgroup::writer(10, "a"), Hostgroup::reader(20, "r"), Hostgroup::writer(30, "b"), reader],
            [],
        );
        assert_eq!(groups.writer_for(&[20, 30], None), 30);
        assert_eq!(groups.writer_for(&[40], Some(10)), 30);
        assert_eq!(groups.writer_for(&[20], Some(30)), 30);
        assert_eq!(groups.writer_for(&[20], Some(20)), 10);
        assert_eq!(groups.writer_for(&[], None), 10);
    }
}
