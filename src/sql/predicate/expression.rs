//! Expressions that a time column may be compared with: literals, the clock, date arithmetic, sums of numbers.
//!
//! Never a column. What a server would compute and we would not (a stored function, a user variable, a format) becomes
//! [`Expr::Opaque`]: its shape is understood, its value is not. What has another shape is no expression at all.
//!
//! Every understood expression grows with the clock or does not depend on it, so that a value computed here, a moment
//! before the server computes its own, is never the later of the two. Where that would not hold (`5 - UNIX_TIMESTAMP()`)
//! the value is opaque.

use super::tokens::{Key, Tokens};
use super::wall::{DAY, SECOND};

/// Brackets, signs and functions inside each other, at most.
const MAX_DEPTH: u32 = 24;

/// An expression.
#[derive(Clone, Debug, PartialEq)]
pub(super) enum Expr {
    /// A literal or a bound value: the digest's slot.
    Slot(u32),
    /// `DATE'…'`, `{d '…'}`: a slot that must hold a date alone.
    DateLiteral(u32),
    /// `TIMESTAMP'…'`, `{ts '…'}`: a slot that must hold a date and a time.
    TimestampLiteral(u32),
    /// `NOW()`, to the second, on the session's clock.
    Now,
    /// `UTC_TIMESTAMP()`.
    UtcNow,
    /// `DATE(x)`, `CAST(x AS DATE)`: its midnight. `CURDATE()` is that of [`Expr::Now`].
    Midnight(Box<Expr>),
    /// `CAST(x AS DATETIME)`, `TIMESTAMP(x)`.
    DateTime(Box<Expr>),
    /// `LAST_DAY(x)`: midnight of the month's last day.
    LastDay(Box<Expr>),
    /// `DATE_FORMAT(x, format)`, where the format only cuts small units off.
    Format(Box<Expr>, u32),
    /// `x ± INTERVAL amount unit`.
    Shift { moment: Box<Expr>, amount: Box<Expr>, unit: Unit, back: bool },
    /// `UNIX_TIMESTAMP()`.
    UnixNow,
    /// `UNIX_TIMESTAMP(x)`.
    UnixTimestamp(Box<Expr>),
    /// `FROM_UNIXTIME(x)`.
    FromUnixTime(Box<Expr>),
    /// `FLOOR(x)`, and `CAST(x AS SIGNED)` where `exact`.
    Whole { number: Box<Expr>, exact: bool },
    /// `-x`.
    Negative(Box<Expr>),
    /// `x + y`.
    Sum(Box<Expr>, Box<Expr>),
    /// `x - y`.
    Difference(Box<Expr>, Box<Expr>),
    /// `x * y`; neither may be negative where one of them is the clock's.
    Product { left: Box<Expr>, right: Box<Expr>, clock: bool },
    /// A value that is known to the server alone.
    Opaque,
}

/// The unit of an interval.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Unit {
    /// So many microseconds each.
    Micros(i64),
    /// So many months each.
    Months(i64),
    /// `'1-6' YEAR_MONTH`.
    YearMonth,
    /// `'1 10:30' DAY_MINUTE`: whole numbers of these sizes in microseconds, exactly so many of them.
    Parts(&'static [i64]),
}

const MINUTE: i64 = 60 * SECOND;
const HOUR: i64 = 60 * MINUTE;

impl Unit {
    /// The unit that a word names.
    fn of(word: &[u8]) -> Option<Self> {
        const UNITS: [(&[u8], Unit); 16] = [
            (b"MICROSECOND", Unit::Micros(1)),
            (b"SECOND", Unit::Micros(SECOND)),
            (b"MINUTE", Unit::Micros(MINUTE)),
            (b"HOUR", Unit::Micros(HOUR)),
            (b"DAY", Unit::Micros(DAY)),
            (b"WEEK", Unit::Micros(7 * DAY)),
            (b"MONTH", Unit::Months(1)),
            (b"QUARTER", Unit::Months(3)),
            (b"YEAR", Unit::Months(12)),
            (b"YEAR_MONTH", Unit::YearMonth),
            (b"DAY_HOUR", Unit::Parts(&[DAY, HOUR])),
            (b"DAY_MINUTE", Unit::Parts(&[DAY, HOUR, MINUTE])),
            (b"DAY_SECOND", Unit::Parts(&[DAY, HOUR, MINUTE, SECOND])),
            (b"HOUR_MINUTE", Unit::Parts(&[HOUR, MINUTE])),
            (b"HOUR_SECOND", Unit::Parts(&[HOUR, MINUTE, SECOND])),
            (b"MINUTE_SECOND", Unit::Parts(&[MINUTE, SECOND])),
        ];
        UNITS.iter().find(|(name, _)| word.eq_ignore_ascii_case(name)).map(|&(_, unit)| unit)
    }
}

/// True if an unquoted word is the unit of an interval.
pub(super) fn is_unit(tokens: &Tokens<'_>, at: usize) -> bool {
    const FURTHER: [&[u8]; 4] = [b"DAY_MICROSECOND", b"HOUR_MICROSECOND", b"MINUTE_MICROSECOND", b"SECOND_MICROSECOND"];
    let word = tokens.text(at);
    tokens.is_word(at) && (Unit::of(word).is_some() || FURTHER.iter().any(|name| word.eq_ignore_ascii_case(name)))
}

impl Expr {
    fn boxed(self) -> Box<Expr> {
        Box::new(self)
    }

    /// True if the value moves with the clock.
    fn follows_clock(&self) -> bool {
        match self {
            Expr::Now | Expr::UtcNow | Expr::UnixNow => true,
            Expr::Slot(_) | Expr::DateLiteral(_) | Expr::TimestampLiteral(_) | Expr::Opaque => false,
            Expr::Midnight(x) | Expr::DateTime(x) | Expr::LastDay(x) | Expr::Format(x, _) => x.follows_clock(),
            Expr::UnixTimestamp(x) | Expr::FromUnixTime(x) | Expr::Negative(x) => x.follows_clock(),
            Expr::Whole { number, .. } => number.follows_clock(),
            Expr::Shift { moment, .. } => moment.follows_clock(),
            Expr::Sum(x, y) | Expr::Difference(x, y) => x.follows_clock() || y.follows_clock(),
            Expr::Product { clock, .. } => *clock,
        }
    }

    /// True if the value may be rounded down on the way, so that it must not be turned around.
    fn is_exact(&self) -> bool {
        match self {
            Expr::Slot(_) => true,
            Expr::Negative(x) | Expr::Whole { number: x, .. } => x.is_exact(),
            Expr::Sum(x, y) | Expr::Difference(x, y) | Expr::Product { left: x, right: y, .. } => {
                x.is_exact() && y.is_exact()
            }
            _ => false,
        }
    }
}

/// Reads expressions from a range of tokens.
pub(super) struct Reader<'t, 'a> {
    tokens: &'t Tokens<'a>,
    /// Where the next token stands.
    pub at: usize,
    end: usize,
    depth: u32,
}

impl<'t, 'a> Reader<'t, 'a> {
    /// A reader of the tokens from `at` up to `end`.
    pub fn new(tokens: &'t Tokens<'a>, at: usize, end: usize) -> Self {
        Self { tokens, at, end, depth: 0 }
    }

    /// True if everything was read.
    pub fn is_done(&self) -> bool {
        self.at >= self.end
    }

    fn mark(&self) -> &'a [u8] {
        if self.is_done() { b"" } else { self.tokens.mark(self.at) }
    }

    fn key(&self) -> Key {
        if self.is_done() { Key::Other } else { self.tokens.key(self.at) }
    }

    /// The unquoted word at the cursor; nothing for other tokens.
    fn word(&self) -> &'a [u8] {
        if !self.is_done() && self.tokens.is_word(self.at) { self.tokens.text(self.at) } else { b"" }
    }

    /// Goes past a mark if it is next.
    pub fn take(&mut self, mark: &[u8]) -> bool {
        let found = self.mark() == mark;
        self.at += usize::from(found);
        found
    }

    /// Goes past a keyword if it is next.
    pub fn take_key(&mut self, key: Key) -> bool {
        let found = self.key() == key;
        self.at += usize::from(found);
        found
    }

    fn take_word(&mut self, word: &[u8]) -> bool {
        let found = self.word().eq_ignore_ascii_case(word);
        self.at += usize::from(found);
        found
    }

    fn slot(&mut self) -> Option<u32> {
        let slot = if self.is_done() { None } else { self.tokens.slot(self.at) }?;
        self.at += 1;
        Some(slot)
    }

    /// An expression, as far as it goes. None if there is none, or if it holds a column or anything else not known here.
    pub fn expr(&mut self) -> Option<Expr> {
        self.depth += 1;
        if self.depth > MAX_DEPTH {
            return None;
        }
        let expr = self.sum();
        self.depth -= 1;
        expr
    }

    fn sum(&mut self) -> Option<Expr> {
        if self.key() == Key::Interval {
            return self.interval_first();
        }
        let mut left = self.product()?;
        loop {
            let back = match self.mark() {
                b"+" => false,
                b"-" => true,
                _ => return Some(left),
            };
            self.at += 1;
            left = if self.take_key(Key::Interval) {
                let (amount, unit) = self.interval()?;
                shift(left, amount, unit, back)
            } else {
                let right = self.product()?;
                match back {
                    false => Expr::Sum(left.boxed(), right.boxed()),
                    true if right.is_exact() => Expr::Difference(left.boxed(), right.boxed()),
                    true => Expr::Opaque,
                }
            };
        }
    }

    /// `INTERVAL amount unit + x`. What follows is left to the caller: versions group a longer sum differently.
    fn interval_first(&mut self) -> Option<Expr> {
        self.at += 1;
        let (amount, unit) = self.interval()?;
        if !self.take(b"+") {
            return None;
        }
        let moment = self.product()?;
        Some(shift(moment, amount, unit, false))
    }

    /// What follows the word INTERVAL: an amount and a unit.
    pub fn interval(&mut self) -> Option<(Expr, Unit)> {
        let amount = self.expr()?;
        let unit = Unit::of(self.word())?;
        self.at += 1;
        Some((amount, unit))
    }

    fn product(&mut self) -> Option<Expr> {
        let mut left = self.signed()?;
        while self.take(b"*") {
            let right = self.signed()?;
            left = if left.follows_clock() && right.follows_clock() {
                Expr::Opaque
            } else {
                let clock = !(left.is_exact() && right.is_exact());
                Expr::Product { left: left.boxed(), right: right.boxed(), clock }
            };
        }
        Some(left)
    }

    fn signed(&mut self) -> Option<Expr> {
        if self.take(b"+") {
            return self.nested(Self::signed);
        }
        if !self.take(b"-") {
            return self.primary();
        }
        let number = self.nested(Self::signed)?;
        Some(if number.is_exact() { Expr::Negative(number.boxed()) } else { Expr::Opaque })
    }

    fn nested(&mut self, read: fn(&mut Self) -> Option<Expr>) -> Option<Expr> {
        self.depth += 1;
        if self.depth > MAX_DEPTH {
            return None;
        }
        let expr = read(self);
        self.depth -= 1;
        expr
    }

    fn primary(&mut self) -> Option<Expr> {
        if self.is_done() {
            return None;
        }
        if let Some(slot) = self.slot() {
            return Some(Expr::Slot(slot));
        }
        if self.tokens.is_variable(self.at) {
            self.at += 1;
            return Some(Expr::Opaque);
        }
        if self.take(b"(") {
            let expr = self.expr()?;
            return self.take(b")").then_some(expr);
        }
        if self.take(b"{") {
            return self.odbc();
        }
        let word = self.word();
        if word.is_empty() {
            return None;
        }
        self.at += 1;
        if self.take(b"(") {
            return self.call(word);
        }
        if self.mark() == b"." {
            return None;
        }
        match () {
            () if is(word, &[b"CURRENT_TIMESTAMP", b"LOCALTIME", b"LOCALTIMESTAMP"]) => Some(Expr::Now),
            () if is(word, &[b"CURRENT_DATE"]) => Some(Expr::Midnight(Expr::Now.boxed())),
            () if is(word, &[b"UTC_TIMESTAMP"]) => Some(Expr::UtcNow),
            () if is(word, &[b"UTC_DATE"]) => Some(Expr::Midnight(Expr::UtcNow.boxed())),
            () if is(word, &[b"DATE"]) => self.slot().map(Expr::DateLiteral),
            () if is(word, &[b"TIMESTAMP"]) => self.slot().map(Expr::TimestampLiteral),
            () => None,
        }
    }

    /// `{d '…'}` and `{ts '…'}`, behind the brace.
    fn odbc(&mut self) -> Option<Expr> {
        let literal = match () {
            () if self.take_word(b"d") => Expr::DateLiteral,
            () if self.take_word(b"ts") => Expr::TimestampLiteral,
            () => return None,
        };
        let slot = self.slot()?;
        self.take(b"}").then_some(literal(slot))
    }

    /// A call, behind its opening bracket.
    fn call(&mut self, name: &[u8]) -> Option<Expr> {
        match () {
            () if is(name, &[b"DATE_ADD", b"ADDDATE"]) => self.date_add(false),
            () if is(name, &[b"DATE_SUB", b"SUBDATE"]) => self.date_add(true),
            () if is(name, &[b"TIMESTAMPADD"]) => self.timestamp_add(),
            () if is(name, &[b"CAST"]) => self.cast(),
            () if is(name, &[b"CONVERT"]) => self.convert(),
            () => {
                let mut arguments = self.arguments()?;
                let (first, second) = match arguments.len() {
                    0 => (None, None),
                    1 => (arguments.pop(), None),
                    2 => (Some(arguments.swap_remove(0)), arguments.pop()),
                    _ => return Some(Expr::Opaque),
                };
                Some(function(name, first, second))
            }
        }
    }

    /// A list of expressions and the bracket that closes it. A slot in the list may stand for many literals: the digest
    /// folds them (`?,?,?,...`). Where it folded anything else (`(NOW() - INTERVAL ? DAY),...`), there is no list.
    pub fn arguments(&mut self) -> Option<Vec<Expr>> {
        let mut list = Vec::new();
        if self.take(b")") {
            return Some(list);
        }
        loop {
            list.push(self.expr()?);
            if self.mark() == b"," && self.is_fold(self.at + 1) {
                if !matches!(list.last(), Some(Expr::Slot(_))) {
                    return None;
                }
                self.at += 4;
            }
            if self.take(b")") {
                return Some(list);
            }
            if !self.take(b",") {
                return None;
            }
        }
    }

    /// True for `...`.
    fn is_fold(&self, at: usize) -> bool {
        at + 3 <= self.end && (at..at + 3).all(|at| self.tokens.mark(at) == b".")
    }

    /// `x, INTERVAL amount unit)`, or `x, days)`.
    fn date_add(&mut self, back: bool) -> Option<Expr> {
        let moment = self.expr()?;
        if !self.take(b",") {
            return None;
        }
        let (amount, unit) =
            if self.take_key(Key::Interval) { self.interval()? } else { (self.expr()?, Unit::Micros(DAY)) };
        self.take(b")").then(|| shift(moment, amount, unit, back))
    }

    /// `unit, amount, x)`.
    fn timestamp_add(&mut self) -> Option<Expr> {
        let word = self.word();
        let name = match word.split_at_checked(8) {
            Some((prefix, name)) if prefix.eq_ignore_ascii_case(b"SQL_TSI_") => name,
            _ => word,
        };
        let unit = Unit::of(name).filter(|unit| matches!(unit, Unit::Micros(_) | Unit::Months(_)))?;
        self.at += 1;
        if !self.take(b",") {
            return None;
        }
        let amount = self.expr()?;
        if !self.take(b",") {
            return None;
        }
        let moment = self.expr()?;
        self.take(b")").then(|| shift(moment, amount, unit, false))
    }

    /// `x AS type)`.
    fn cast(&mut self) -> Option<Expr> {
        let value = self.expr()?;
        if !self.take_key(Key::As) {
            return None;
        }
        let cast = self.cast_to(value)?;
        self.take(b")").then_some(cast)
    }

    /// `x, type)`.
    fn convert(&mut self) -> Option<Expr> {
        let value = self.expr()?;
        if !self.take(b",") {
            return None;
        }
        let cast = self.cast_to(value)?;
        self.take(b")").then_some(cast)
    }

    fn cast_to(&mut self, value: Expr) -> Option<Expr> {
        if self.take_word(b"DATE") {
            return Some(Expr::Midnight(value.boxed()));
        }
        if self.take_word(b"DATETIME") {
            if self.take(b"(") && !(self.slot().is_some() && self.take(b")")) {
                return None;
            }
            return Some(Expr::DateTime(value.boxed()));
        }
        if self.take_word(b"SIGNED") {
            self.take_word(b"INTEGER");
            return Some(Expr::Whole { number: value.boxed(), exact: true });
        }
        None
    }
}

/// A call of a function by name with its first two arguments.
fn function(name: &[u8], first: Option<Expr>, second: Option<Expr>) -> Expr {
    match (first, second) {
        // The argument of NOW is a number of decimals.
        (None | Some(Expr::Slot(_)), None)
            if is(name, &[b"NOW", b"CURRENT_TIMESTAMP", b"LOCALTIME", b"LOCALTIMESTAMP", b"SYSDATE"]) =>
        {
            Expr::Now
        }
        (None | Some(Expr::Slot(_)), None) if is(name, &[b"UTC_TIMESTAMP"]) => Expr::UtcNow,
        (None, None) if is(name, &[b"CURDATE", b"CURRENT_DATE"]) => Expr::Midnight(Expr::Now.boxed()),
        (None, None) if is(name, &[b"UTC_DATE"]) => Expr::Midnight(Expr::UtcNow.boxed()),
        (None, None) if is(name, &[b"UNIX_TIMESTAMP"]) => Expr::UnixNow,
        (Some(x), None) if is(name, &[b"UNIX_TIMESTAMP"]) => Expr::UnixTimestamp(x.boxed()),
        (Some(x), None) if is(name, &[b"FROM_UNIXTIME"]) => Expr::FromUnixTime(x.boxed()),
        (Some(x), None) if is(name, &[b"DATE"]) => Expr::Midnight(x.boxed()),
        (Some(x), None) if is(name, &[b"TIMESTAMP"]) => Expr::DateTime(x.boxed()),
        (Some(x), None) if is(name, &[b"LAST_DAY"]) => Expr::LastDay(x.boxed()),
        (Some(x), None) if is(name, &[b"FLOOR"]) => Expr::Whole { number: x.boxed(), exact: false },
        (Some(x), Some(Expr::Slot(format))) if is(name, &[b"DATE_FORMAT"]) => Expr::Format(x.boxed(), format),
        _ => Expr::Opaque,
    }
}

fn shift(moment: Expr, amount: Expr, unit: Unit, back: bool) -> Expr {
    if amount.is_exact() {
        Expr::Shift { moment: moment.boxed(), amount: amount.boxed(), unit, back }
    } else {
        Expr::Opaque
    }
}

fn is(word: &[u8], names: &[&[u8]]) -> bool {
    names.iter().any(|name| word.eq_ignore_ascii_case(name))
}
