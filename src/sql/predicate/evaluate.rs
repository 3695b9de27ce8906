//! Evaluates what bounds a statement's references, for one execution.
//!
//! No allocation, no panic, every sum checked. Whatever cannot be computed exactly as the server would, or rounded to the
//! earlier side, has no value, and a conjunct without a value bounds nothing.

use super::super::digest::Literal;
use super::expression::{Expr, Unit};
use super::program::{Bound, BoundValue, Least, Reference, TimeEnv, TimeUnit};
use super::wall::{Cut, Date, SECOND, Wall, digits};
use jiff::{Timestamp, tz::Offset};

/// The last second that every server's `UNIX_TIMESTAMP()` and `TIMESTAMP` know, 2038-01-19 03:14:07 UTC.
const LAST_EPOCH: i64 = i32::MAX as i64;

/// The earliest moment that any of the references reaches; none if one of them is not bounded.
pub(super) fn earliest(references: &[Reference], env: &TimeEnv<'_>) -> Option<Timestamp> {
    if env.digest.truncated {
        return None;
    }
    let mut earliest: Option<Timestamp> = None;
    for reference in references {
        let moment = reference_since(reference, env)?;
        earliest = Some(earliest.map_or(moment, |known| known.min(moment)));
    }
    earliest
}

/// Where one reference begins: of several columns that are bounded, at the earliest.
fn reference_since(reference: &Reference, env: &TimeEnv<'_>) -> Option<Timestamp> {
    // The bounds stand in the order of their columns.
    let columns = reference.bounds.chunk_by(|one, other| one.column == other.column);
    columns.filter_map(|bounds| column_since(bounds, env)).min()
}

/// Where the bounds of one column let rows begin: at the latest of them.
///
/// But where the column must equal something, only that counts, and it must be known. MySQL puts the value in the
/// column's place in the other conjuncts and may then compare two texts: `d = '24-02-26' AND d >= '2024-02-27'` finds
/// rows.
fn column_since(bounds: &[Bound], env: &TimeEnv<'_>) -> Option<Timestamp> {
    let mut latest: Option<Timestamp> = None;
    let mut equal: Option<Timestamp> = None;
    for bound in bounds {
        let moment = bound_since(bound, env);
        if bound.equal {
            let moment = moment?;
            equal = Some(equal.map_or(moment, |known| known.min(moment)));
        } else {
            latest = latest.max(moment);
        }
    }
    equal.or(latest)
}

fn bound_since(bound: &Bound, env: &TimeEnv<'_>) -> Option<Timestamp> {
    match &bound.least {
        Least::Value(expr) => env.moment(env.value(expr)?, bound.unit),
        Least::Between(low, high) => {
            let (low, high) = (env.value(low)?, env.value(high)?);
            match bound.unit {
                // Where one of three values is a bare number, servers may compare all of them as numbers.
                TimeUnit::DateTime if matches!((low, high), (Value::Number(_), _) | (_, Value::Number(_))) => {
                    return None;
                }
                TimeUnit::DateTime => high.wall().map(drop),
                TimeUnit::EpochSeconds | TimeUnit::EpochMillis => high.floor().map(drop),
            }?;
            env.moment(low, bound.unit)
        }
        Least::AnyOf(list) => {
            let mut earliest: Option<Timestamp> = None;
            let mut add = |value| {
                let moment = env.moment(value, bound.unit)?;
                earliest = Some(earliest.map_or(moment, |known| known.min(moment)));
                Some(())
            };
            for expr in list {
                match expr {
                    // A folded list: however many literals this execution has in it.
                    Expr::Slot(slot) => {
                        let from = env.first_of(*slot)?;
                        let of_slot = env.digest.literals.iter().skip(from).take_while(|literal| literal.slot == *slot);
                        for (index, _) in of_slot.enumerate() {
                            add(env.literal(from + index)?)?;
                        }
                    }
                    expr => add(env.value(expr)?)?,
                }
            }
            earliest
        }
    }
}

/// A number as it was written or bound.
#[derive(Clone, Copy, Debug)]
struct Number {
    /// The whole number at or below it.
    floor: i64,
    /// It is that number.
    exact: bool,
    /// Every server reads it as a date where a date is wanted.
    dates: bool,
}

/// What an expression comes to.
#[derive(Clone, Copy, Debug)]
enum Value<'a> {
    /// A computed wall time.
    Wall(Wall),
    /// A computed whole number, or one rounded down where it follows the clock.
    Whole(i64),
    /// A number in the text or bound.
    Number(Number),
    /// A string in the text or bound, without its quotes.
    Text(&'a [u8]),
}

impl Value<'_> {
    fn wall(self) -> Option<Wall> {
        match self {
            Value::Wall(wall) => Some(wall),
            Value::Whole(_) => None,
            Value::Number(number) => {
                if number.dates {
                    Wall::from_number(number.floor)
                } else {
                    None
                }
            }
            Value::Text(text) => Wall::from_text(text),
        }
    }

    /// A whole number, exactly.
    fn whole(self) -> Option<i64> {
        match self {
            Value::Wall(_) => None,
            Value::Whole(number) => Some(number),
            Value::Number(number) => number.exact.then_some(number.floor),
            Value::Text(text) => read_number(text).filter(|number| number.exact).map(|number| number.floor),
        }
    }

    /// The whole number at or below it.
    fn floor(self) -> Option<i64> {
        match self {
            Value::Number(number) => Some(number.floor),
            Value::Text(text) => read_number(text).map(|number| number.floor),
            value => value.whole(),
        }
    }
}

impl<'a> TimeEnv<'a> {
    /// The first literal of a slot. The slots of rows that the digest folded come again and again, but no program looks
    /// at those: all before the slot's literals are smaller, and all behind are larger.
    fn first_of(&self, slot: u32) -> Option<usize> {
        let literals = &self.digest.literals;
        let is_of_slot = |at: usize| literals.get(at).is_some_and(|literal| literal.slot == slot);
        let starts = |at: usize| is_of_slot(at) && !at.checked_sub(1).is_some_and(is_of_slot);
        // Where no list was folded before it, a slot's number is its literal's.
        if starts(slot as usize) {
            return Some(slot as usize);
        }
        let at = literals.partition_point(|literal| literal.slot < slot);
        starts(at).then_some(at)
    }

    /// The only literal of a slot.
    fn only(&self, slot: u32) -> Option<Value<'a>> {
        let at = self.first_of(slot)?;
        if self.digest.literals.get(at + 1).is_some_and(|next| next.slot == slot) {
            return None;
        }
        self.literal(at)
    }

    /// The value of one literal, or of the parameter that stands there.
    fn literal(&self, at: usize) -> Option<Value<'a>> {
        let text = self.digest.literals.get(at)?.text(self.sql);
        match text {
            b"?" => self.parameter(at),
            [quote @ (b'\'' | b'"'), text @ .., last] if quote == last => {
                // A quote or a backslash inside is no part of a time.
                let plain = !text.iter().any(|byte| byte == quote || *byte == b'\\');
                plain.then_some(Value::Text(text))
            }
            _ => read_number(text).map(Value::Number),
        }
    }

    /// The value that is bound to the parameter at a literal's place.
    fn parameter(&self, at: usize) -> Option<Value<'a>> {
        let literals = &self.digest.literals;
        // The last byte, for a sign may stand before it. No other literal ends so.
        let is_parameter = |literal: &&Literal| literal.text(self.sql).ends_with(b"?");
        // Most prepared statements have parameters alone.
        let number = if self.params.len() == literals.len() {
            at
        } else {
            literals.iter().take(at).filter(is_parameter).count()
        };
        match *self.params.get(number)? {
            BoundValue::Int(number) => Some(Value::Number(Number { floor: number, exact: true, dates: true })),
            BoundValue::UInt(number) => {
                Some(Value::Number(Number { floor: i64::try_from(number).ok()?, exact: true, dates: true }))
            }
            BoundValue::Double(number) => {
                // Every whole number up to 2^53 is a double.
                let floor = number.floor();
                let fits = floor.abs() <= 9_007_199_254_740_992.0;
                fits.then_some(Value::Number(Number { floor: floor as i64, exact: floor == number, dates: false }))
            }
            BoundValue::Bytes(text) => Some(Value::Text(text)),
            BoundValue::DateTime(year, month, day, hour, minute, second, micros) => {
                let date = Date { year: year.into(), month: month.into(), day: day.into() };
                Wall::new(date, hour.into(), minute.into(), second.into(), micros.into()).map(Value::Wall)
            }
            BoundValue::Null | BoundValue::Opaque => None,
        }
    }

    /// The moment that a value means in a time column.
    fn moment(&self, value: Value<'_>, unit: TimeUnit) -> Option<Timestamp> {
        match unit {
            // MySQL stores a number as the column's type before it compares: it loses its time of day to a DATE.
            TimeUnit::DateTime if matches!(value, Value::Number(_)) => self.instant(value.wall()?.cut(Cut::Day)),
            // A column without decimals may be compared with a value that lost its own.
            TimeUnit::DateTime => self.instant(value.wall()?.cut(Cut::Second)),
            TimeUnit::EpochSeconds => instant_of(value.floor()?, 0),
            TimeUnit::EpochMillis => {
                let millis = value.floor()?;
                instant_of(millis.div_euclid(1_000), millis.rem_euclid(1_000) * 1_000_000)
            }
        }
    }

    /// The earliest instant at which the session's clock shows a time, or has passed it.
    fn instant(&self, wall: Wall) -> Option<Timestamp> {
        let (seconds, micros) = (wall.0.div_euclid(SECOND), wall.0.rem_euclid(SECOND));
        let shown = Offset::UTC.to_datetime(instant_of(seconds, micros * 1_000)?);
        self.time_zone.to_ambiguous_timestamp(shown).earlier().ok()
    }

    /// What the session's clock shows at an instant, to the second.
    fn shown(&self, instant: Timestamp) -> Option<Wall> {
        let offset = i64::from(self.time_zone.to_offset(instant).seconds());
        let seconds = instant.as_microsecond().div_euclid(SECOND).checked_add(offset)?;
        Wall::within(seconds.checked_mul(SECOND)?)
    }

    fn wall(&self, expr: &Expr) -> Option<Wall> {
        self.value(expr)?.wall()
    }

    fn whole(&self, expr: &Expr) -> Option<i64> {
        self.value(expr)?.whole()
    }

    /// The value of an expression. As deep as expressions are read, and no deeper.
    fn value(&self, expr: &Expr) -> Option<Value<'a>> {
        Some(match expr {
            Expr::Slot(slot) => return self.only(*slot),
            Expr::Now => Value::Wall(self.shown(self.now)?),
            Expr::UtcNow => Value::Wall(Wall::within(self.now.as_microsecond())?.cut(Cut::Second)),
            Expr::Shift { moment, amount, unit, back } => {
                let moment = self.wall(moment)?;
                Value::Wall(shifted(moment, self.value(amount)?, *unit, *back)?)
            }
            Expr::Midnight(x) => Value::Wall(self.wall(x)?.cut(Cut::Day)),
            Expr::DateTime(x) => Value::Wall(self.wall(x)?),
            Expr::LastDay(x) => Value::Wall(self.wall(x)?.last_day()),
            Expr::DateLiteral(slot) => match self.only(*slot)? {
                Value::Text(text) => Value::Wall(Wall::from_date_text(text)?),
                _ => return None,
            },
            Expr::TimestampLiteral(slot) => match self.only(*slot)? {
                Value::Text(text) => Value::Wall(Wall::from_timestamp_text(text)?),
                _ => return None,
            },
            Expr::Format(x, format) => match self.only(*format)? {
                Value::Text(format) => Value::Wall(self.wall(x)?.cut(cut_of_format(format)?)),
                _ => return None,
            },
            Expr::UnixNow => Value::Whole(epoch(self.now)?),
            Expr::UnixTimestamp(x) => Value::Whole(epoch(self.instant(self.wall(x)?)?)?),
            Expr::FromUnixTime(x) => {
                let seconds = self.value(x)?.floor().filter(|seconds| (0..=LAST_EPOCH).contains(seconds))?;
                Value::Wall(self.shown(instant_of(seconds, 0)?)?)
            }
            Expr::Whole { number, exact: true } => Value::Whole(self.whole(number)?),
            Expr::Whole { number, exact: false } => Value::Whole(self.value(number)?.floor()?),
            Expr::Negative(x) => Value::Whole(self.whole(x)?.checked_neg()?),
            Expr::Sum(x, y) => Value::Whole(self.whole(x)?.checked_add(self.whole(y)?)?),
            Expr::Difference(x, y) => Value::Whole(self.whole(x)?.checked_sub(self.whole(y)?)?),
            Expr::Product { left, right, clock } => {
                let (left, right) = (self.whole(left)?, self.whole(right)?);
                if *clock && (left < 0 || right < 0) {
                    return None;
                }
                Value::Whole(left.checked_mul(right)?)
            }
            Expr::Opaque => return None,
        })
    }
}

/// So many seconds and nanoseconds after 1970, unless that is near the ends of what a [`Timestamp`] holds, from where a
/// time zone leads outside: making the error allocates.
fn instant_of(seconds: i64, nanos: i64) -> Option<Timestamp> {
    const MARGIN: i64 = 2 * 86_400;
    let held = Timestamp::MIN.as_second() + MARGIN..Timestamp::MAX.as_second() - MARGIN;
    if !held.contains(&seconds) {
        return None;
    }
    Timestamp::new(seconds, i32::try_from(nanos).ok()?).ok()
}

/// Seconds since 1970. Outside of what servers know, they answer 0 or NULL.
fn epoch(instant: Timestamp) -> Option<i64> {
    Some(instant.as_microsecond().div_euclid(SECOND)).filter(|seconds| (0..=LAST_EPOCH).contains(seconds))
}

/// A time moved by an interval.
fn shifted(moment: Wall, amount: Value<'_>, unit: Unit, back: bool) -> Option<Wall> {
    let signed = |number: i64| if back { number.checked_neg() } else { Some(number) };
    match unit {
        Unit::Micros(each) => moment.plus(signed(amount.whole()?.checked_mul(each)?)?),
        Unit::Months(each) => moment.plus_months(signed(amount.whole()?.checked_mul(each)?)?),
        Unit::YearMonth => moment.plus_months(signed(parts(amount, &[12, 1])?)?),
        Unit::Parts(sizes) => moment.plus(signed(parts(amount, sizes)?)?),
    }
}

/// `'1 10:30'` by the sizes of its parts. Servers guess what a shorter one means; it has no value here.
fn parts(amount: Value<'_>, sizes: &[i64]) -> Option<i64> {
    let Value::Text(text) = amount else { return None };
    let (negative, text) = match text.strip_prefix(b"-") {
        Some(text) => (true, text),
        None => (false, text),
    };
    let mut numbers = text.split(|byte| b" :-".contains(byte));
    let mut total = 0_i64;
    for size in sizes {
        total = total.checked_add(digits(numbers.next()?)?.checked_mul(*size)?)?;
    }
    if numbers.next().is_some() {
        return None;
    }
    if negative { total.checked_neg() } else { Some(total) }
}

/// How much of a time a format keeps: `%Y-%m-01`, `%Y-%m-%d %H:00:00` and their like, which round down.
fn cut_of_format(format: &[u8]) -> Option<Cut> {
    let mut halves = format.splitn(2, |&byte| byte == b' ');
    let date = halves.next()?;
    let time = halves.next().unwrap_or(b"00:00:00");
    let date = match date {
        b"%Y-01-01" => Cut::Year,
        b"%Y-%m-01" => Cut::Month,
        b"%Y-%m-%d" => Cut::Day,
        _ => return None,
    };
    match time {
        b"00:00:00" | b"00:00" => Some(date),
        _ if date != Cut::Day => None,
        b"%H:00:00" | b"%H:00" => Some(Cut::Hour),
        b"%H:%i:00" | b"%H:%i" => Some(Cut::Minute),
        b"%H:%i:%s" | b"%H:%i:%S" | b"%T" => Some(Cut::Second),
        _ => None,
    }
}

/// A number in decimal digits, with a sign and a fraction or without.
fn read_number(text: &[u8]) -> Option<Number> {
    let (negative, text) = match text {
        [b'-', rest @ ..] => (true, rest.trim_ascii_start()),
        [b'+', rest @ ..] => (false, rest.trim_ascii_start()),
        _ => (false, text),
    };
    let point = text.iter().position(|&byte| byte == b'.');
    let (whole, fraction) = text.split_at(point.unwrap_or(text.len()));
    let fraction = fraction.get(1..).unwrap_or_default();
    if !fraction.iter().all(u8::is_ascii_digit) {
        return None;
    }
    let exact = fraction.iter().all(|&digit| digit == b'0');
    let whole = digits(whole)?;
    let floor = match (negative, exact) {
        (false, _) => whole,
        (true, true) => -whole,
        (true, false) => -whole - 1,
    };
    Some(Number { floor, exact, dates: point.is_none() })
}
