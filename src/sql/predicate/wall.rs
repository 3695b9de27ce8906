//! Wall-clock arithmetic: what a clock on the wall shows, as a server computes with it.
//!
//! A [`Wall`] has no time zone. `DATETIME` columns, quoted times and `NOW()` are wall times, and `NOW() - INTERVAL 1 DAY`
//! is the same hour of the day before whatever daylight saving did between them; only at the very end does the session's
//! time zone make an instant of it. What is no date (`2026-02-30`), or falls outside the years 1 to 9999, is none.
//!
//! Reads the forms of quoted times that every server reads alike, and no more of the many that some accept.

/// Microseconds on a wall clock since 1970-01-01 00:00:00.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Wall(pub i64);

pub(super) const SECOND: i64 = 1_000_000;
pub(super) const DAY: i64 = 86_400 * SECOND;

/// 0001-01-01 00:00:00.
const FIRST: i64 = -719_162 * DAY;
/// 9999-12-31 23:59:59.999999.
const LAST: i64 = 2_932_897 * DAY - 1;

/// A date of the Gregorian calendar.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Date {
    pub year: i64,
    pub month: i64,
    pub day: i64,
}

impl Date {
    /// Days since 1970-01-01.
    fn days(self) -> i64 {
        // The year begins in March here, so that the leap day is its last.
        let year = if self.month <= 2 { self.year - 1 } else { self.year };
        let (era, of_era) = (year.div_euclid(400), year.rem_euclid(400));
        let of_year = (153 * ((self.month + 9) % 12) + 2) / 5 + self.day - 1;
        era * 146_097 + of_era * 365 + of_era / 4 - of_era / 100 + of_year - 719_468
    }

    /// The date so many days after 1970-01-01.
    fn from_days(days: i64) -> Self {
        let days = days + 719_468;
        let (era, of_era) = (days.div_euclid(146_097), days.rem_euclid(146_097));
        let year = (of_era - of_era / 1_460 + of_era / 36_524 - of_era / 146_096) / 365;
        let of_year = of_era - (365 * year + year / 4 - year / 100);
        let month = (5 * of_year + 2) / 153;
        let day = of_year - (153 * month + 2) / 5 + 1;
        let (month, later) = if month < 10 { (month + 3, 0) } else { (month - 9, 1) };
        Date { year: era * 400 + year + later, month, day }
    }

    /// True for a date that exists, in the years 1 to 9999.
    fn exists(self) -> bool {
        (1..=9999).contains(&self.year)
            && (1..=12).contains(&self.month)
            && (1..=days_in_month(self.year, self.month)).contains(&self.day)
    }
}

fn days_in_month(year: i64, month: i64) -> i64 {
    match month {
        4 | 6 | 9 | 11 => 30,
        2 if year % 4 == 0 && (year % 100 != 0 || year % 400 == 0) => 29,
        2 => 28,
        _ => 31,
    }
}

/// How much of a time stays when small units are cut off.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Cut {
    Year,
    Month,
    Day,
    Hour,
    Minute,
    Second,
}

impl Wall {
    /// A wall time from its parts; none if there is no such time.
    pub fn new(date: Date, hour: i64, minute: i64, second: i64, micros: i64) -> Option<Self> {
        let fits = date.exists()
            && (0..24).contains(&hour)
            && (0..60).contains(&minute)
            && (0..60).contains(&second)
            && (0..SECOND).contains(&micros);
        fits.then(|| Wall(date.days() * DAY + ((hour * 60 + minute) * 60 + second) * SECOND + micros))
    }

    /// A wall time that servers can hold.
    pub fn within(micros: i64) -> Option<Self> {
        (FIRST..=LAST).contains(&micros).then_some(Wall(micros))
    }

    /// The date.
    pub fn date(self) -> Date {
        Date::from_days(self.0.div_euclid(DAY))
    }

    /// Microseconds since midnight.
    fn of_day(self) -> i64 {
        self.0.rem_euclid(DAY)
    }

    /// The earlier time that has no smaller units.
    pub fn cut(self, to: Cut) -> Self {
        let whole = |unit: i64| Wall(self.0 - self.0.rem_euclid(unit));
        match to {
            Cut::Second => whole(SECOND),
            Cut::Minute => whole(60 * SECOND),
            Cut::Hour => whole(3_600 * SECOND),
            Cut::Day => whole(DAY),
            Cut::Month => Wall(Date { day: 1, ..self.date() }.days() * DAY),
            Cut::Year => Wall(Date { day: 1, month: 1, ..self.date() }.days() * DAY),
        }
    }

    /// Midnight of the month's last day.
    pub fn last_day(self) -> Self {
        let date = self.date();
        Wall(Date { day: days_in_month(date.year, date.month), ..date }.days() * DAY)
    }

    /// So many microseconds later.
    pub fn plus(self, micros: i64) -> Option<Self> {
        Wall::within(self.0.checked_add(micros)?)
    }

    /// So many months later, on the month's last day where it has no such day.
    pub fn plus_months(self, months: i64) -> Option<Self> {
        let date = self.date();
        let months = (date.year * 12 + date.month - 1).checked_add(months)?;
        let (year, month) = (months.div_euclid(12), months.rem_euclid(12) + 1);
        let day = date.day.min(days_in_month(year, month));
        let date = Date { year, month, day };
        date.exists().then(|| Wall(date.days() * DAY + self.of_day()))
    }

    /// `20260131` and `20260131235959`, as a number or quoted. Every other number of digits is read in ways of its own.
    pub fn from_number(number: i64) -> Option<Self> {
        const DATES: std::ops::RangeInclusive<i64> = 10_000_101..=99_991_231;
        let (date, time) = if DATES.contains(&number) { (number, 0) } else { (number / 1_000_000, number % 1_000_000) };
        if !DATES.contains(&date) {
            return None;
        }
        let date = Date { year: date / 10_000, month: date / 100 % 100, day: date % 100 };
        Wall::new(date, time / 10_000, time / 100 % 100, time % 100, 0)
    }

    /// A quoted time: `2026-01-31`, `2026-1-5 9:30`, `2026-01-31T23:59:59.999999`, `/` for `-`, and fourteen digits.
    pub fn from_text(text: &[u8]) -> Option<Self> {
        if text.len() == 14 && text.iter().all(u8::is_ascii_digit) {
            return Wall::from_number(digits(text)?);
        }
        let (date, rest) = leading_date(text)?;
        let Some((&separator, time)) = rest.split_first() else { return Wall::new(date, 0, 0, 0, 0) };
        if separator != b' ' && separator != b'T' {
            return None;
        }
        time_of_day(date, time)
    }

    /// `2026-01-31` and nothing else: what `DATE'…'` takes.
    pub fn from_date_text(text: &[u8]) -> Option<Self> {
        let (date, rest) = leading_date(text)?;
        if rest.is_empty() { Wall::new(date, 0, 0, 0, 0) } else { None }
    }

    /// A date and a time: what `TIMESTAMP'…'` takes.
    pub fn from_timestamp_text(text: &[u8]) -> Option<Self> {
        if text.len() > 10 { Wall::from_text(text) } else { None }
    }
}

/// `2026-01-31` or `2026/1/31` at the start of a text, and what follows.
fn leading_date(text: &[u8]) -> Option<(Date, &[u8])> {
    let (year, rest) = text.split_at_checked(4)?;
    let (&separator, rest) = rest.split_first()?;
    if separator != b'-' && separator != b'/' {
        return None;
    }
    let (month, rest) = one_or_two(rest)?;
    let rest = rest.strip_prefix(&[separator])?;
    let (day, rest) = one_or_two(rest)?;
    let date = Date { year: digits(year)?, month, day };
    // Servers read the years before 1000 too; nobody means them.
    (date.year >= 1000 && date.exists()).then_some((date, rest))
}

/// `9:30`, `09:30:15`, `09:30:15.123456`, to the end.
fn time_of_day(date: Date, text: &[u8]) -> Option<Wall> {
    let (hour, rest) = one_or_two(text)?;
    let (minute, rest) = one_or_two(rest.strip_prefix(b":")?)?;
    if rest.is_empty() {
        return Wall::new(date, hour, minute, 0, 0);
    }
    let (second, rest) = one_or_two(rest.strip_prefix(b":")?)?;
    if rest.is_empty() {
        return Wall::new(date, hour, minute, second, 0);
    }
    let fraction = rest.strip_prefix(b".")?;
    if fraction.len() > 6 {
        return None;
    }
    let micros = match fraction {
        b"" => 0,
        _ => digits(fraction)? * 10_i64.pow(6 - fraction.len() as u32),
    };
    Wall::new(date, hour, minute, second, micros)
}

/// One or two digits at the start of a text, and what follows.
fn one_or_two(text: &[u8]) -> Option<(i64, &[u8])> {
    let length = text.iter().take(2).take_while(|byte| byte.is_ascii_digit()).count();
    let (number, rest) = text.split_at_checked(length)?;
    Some((digits(number)?, rest))
}

/// One to eighteen digits and nothing else.
pub(super) fn digits(text: &[u8]) -> Option<i64> {
    if text.is_empty() || text.len() > 18 {
        return None;
    }
    text.iter().try_fold(0_i64, |number, byte| byte.is_ascii_digit().then(|| number * 10 + i64::from(byte - b'0')))
}
