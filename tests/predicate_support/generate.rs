//! Random statements about time: conjuncts that bound, conjuncts that only look so, and everything around them.

use jiff::tz::TimeZone;
use jiff::{SignedDuration, Timestamp};
use mysql_async::Value;
use switchboard::sql::predicate::TimeUnit;

/// A small random number generator: the same seed gives the same statements everywhere.
pub struct Dice(u64);

impl Dice {
    /// From a seed.
    pub fn new(seed: u64) -> Self {
        Dice(seed.wrapping_mul(0x9e37_79b9_7f4a_7c15) | 1)
    }

    fn next(&mut self) -> u64 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        self.0.wrapping_mul(0x2545_f491_4f6c_dd1d) >> 16
    }

    /// Below `n`.
    pub fn below(&mut self, n: usize) -> usize {
        (self.next() % n as u64) as usize
    }

    /// True in so many of a hundred cases.
    pub fn percent(&mut self, n: usize) -> bool {
        self.below(100) < n
    }

    /// One of a list.
    pub fn one<'a, T: ?Sized>(&mut self, list: &[&'a T]) -> &'a T {
        list[self.below(list.len())]
    }
}

/// A table to ask about.
#[derive(Clone, Copy, Debug)]
pub struct Table {
    /// Its name; its time column is `t`.
    pub name: &'static str,
    /// How the column stores its moment.
    pub unit: TimeUnit,
    /// The column's type.
    pub sql_type: &'static str,
}

/// A literal that may be bound instead of written.
struct Literal {
    text: String,
    value: Value,
}

/// Makes statements.
pub struct Generator<'g> {
    /// Chance.
    pub dice: Dice,
    /// The session's zone.
    pub zone: &'g TimeZone,
    /// Now.
    pub now: Timestamp,
    /// The moments that matter.
    pub horizons: &'g [Timestamp],
    /// The tables with a time column.
    pub tables: &'g [Table],
    /// Equality only with plainly written times. MySQL puts what a DATE equals in the column's place in other conjuncts,
    /// in other blocks too, and compares two texts there: it then returns rows that its own condition excludes.
    pub plain_equality: bool,
    literals: Vec<Literal>,
}

/// A statement, and what is bound to its parameters.
#[derive(Debug)]
pub struct Statement {
    /// Its text.
    pub sql: String,
    /// Bound values, in order.
    pub params: Vec<Value>,
}

const SIMPLE_UNITS: [(&str, i64); 6] =
    [("SECOND", 1), ("MINUTE", 60), ("HOUR", 3_600), ("DAY", 86_400), ("WEEK", 604_800), ("MONTH", 2_629_800)];

impl<'g> Generator<'g> {
    /// A generator.
    pub fn new(seed: u64, zone: &'g TimeZone, now: Timestamp, horizons: &'g [Timestamp], tables: &'g [Table]) -> Self {
        Self { dice: Dice::new(seed), zone, now, horizons, tables, plain_equality: false, literals: Vec::new() }
    }

    /// A statement; with parameters in the place of some of its literals, if `bind`.
    pub fn statement(&mut self, bind: bool) -> Statement {
        self.literals.clear();
        let marked = self.query();
        let mut sql = String::new();
        let mut params = Vec::new();
        let mut parts = marked.split('\u{1}');
        sql += parts.next().unwrap_or_default();
        for part in parts {
            let (number, rest) = part.split_once('\u{2}').expect("a mark has two ends");
            let literal = &self.literals[number.parse::<usize>().expect("a number")];
            if bind && self.dice.percent(70) {
                params.push(literal.value.clone());
                sql.push('?');
            } else {
                sql += &literal.text;
            }
            sql += rest;
        }
        Statement { sql, params }
    }

    /// A literal, as a mark that [`Self::statement`] replaces.
    fn literal(&mut self, text: String, value: Value) -> String {
        self.literals.push(Literal { text, value });
        format!("\u{1}{}\u{2}", self.literals.len() - 1)
    }

    fn quoted(&mut self, text: &str) -> String {
        self.literal(format!("'{text}'"), Value::Bytes(text.into()))
    }

    fn number(&mut self, number: i64) -> String {
        let value = if self.dice.percent(20) { Value::Double(number as f64) } else { Value::Int(number) };
        self.literal(number.to_string(), value)
    }

    /// A moment at or near one of the horizons.
    fn moment(&mut self) -> Timestamp {
        let horizon = self.horizons[self.dice.below(self.horizons.len())];
        let micros = [0, 1, 1_000, 500_000, 1_000_000, 60_000_000, 3_600_000_000, 43_200_000_000, 86_400_000_000];
        let jitter = micros[self.dice.below(micros.len())];
        let jitter = if self.dice.percent(30) { -jitter } else { jitter };
        horizon.saturating_add(SignedDuration::from_micros(jitter)).expect("near")
    }

    /// A moment, written.
    fn time_literal(&mut self) -> String {
        let moment = self.moment();
        let wall = self.zone.to_datetime(moment);
        let show = |format: &str| wall.strftime(format).to_string();
        let micros = format!("{:06}", wall.subsec_nanosecond() / 1_000);
        match self.dice.below(34) {
            0..=5 => self.quoted(&show("%Y-%m-%d %H:%M:%S")),
            6..=8 => self.quoted(&show("%Y-%m-%d")),
            9 => self.quoted(&(show("%Y-%m-%d %H:%M:%S.") + &micros)),
            10 => self.quoted(&show("%Y-%m-%dT%H:%M:%S")),
            11 => self.quoted(&show("%Y/%m/%d %H:%M")),
            12 => self.quoted(&show("%Y-%-m-%-d %-H:%-M:%-S")),
            13 => {
                let number = show("%Y%m%d%H%M%S");
                let value = Value::Int(number.parse().expect("digits"));
                self.literal(number, value)
            }
            14 | 15 => {
                let number = show("%Y%m%d");
                let value = Value::Int(number.parse().expect("digits"));
                self.literal(number, value)
            }
            16 => self.quoted(&show("%Y%m%d%H%M%S")),
            17 => self.quoted(&show("%Y%m%d")),
            18 => show("DATE'%Y-%m-%d'"),
            19 => show("TIMESTAMP'%Y-%m-%d %H:%M:%S'"),
            20 => show("{ts '%Y-%m-%d %H:%M:%S'}"),
            21 | 22 => {
                let text = show("'%Y-%m-%d %H:%M:%S'");
                let (date, time) = (wall.date(), wall.time());
                let small = |n: i8| n.unsigned_abs();
                let value = Value::Date(
                    date.year().unsigned_abs(),
                    small(date.month()),
                    small(date.day()),
                    small(time.hour()),
                    small(time.minute()),
                    small(time.second()),
                    0,
                );
                self.literal(text, value)
            }
            _ => {
                let text = show("%Y-%m-%d");
                let odd = [
                    show("'%y-%m-%d'"),
                    show("'%Y-%m'"),
                    show("'%Y'"),
                    show("%Y"),
                    show("%y%m%d"),
                    show("%Y%m%d.0"),
                    show("%Y%m%d.5"),
                    show("%Y%m%de0"),
                    show("0+%Y%m%d"),
                    show("' %Y-%m-%d '"),
                    show("'%Y-%m-%d x'"),
                    show("'%Y-%m-%d 25:00:00'"),
                    show("'%Y-%m-%d %H:%M:%S+05:00'"),
                    show("'%Y-%m-%d %H:%M:%S Z'"),
                    show("'%Y.%m.%d'"),
                    show("'%Y-%m-%d %H'"),
                    show("'%Y-02-30'"),
                    show("'%Y-%m-%d' COLLATE utf8mb4_bin"),
                    show("BINARY '%Y-%m-%d'"),
                    show("N'%Y-%m-%d'"),
                    show("-'%Y-%m-%d'"),
                    show("'%Y-' '%m-%d'"),
                    format!("x'{}'", text.bytes().map(|byte| format!("{byte:02x}")).collect::<String>()),
                ];
                let fixed = [
                    "NULL",
                    "0",
                    "1",
                    "-1",
                    "TRUE",
                    "''",
                    "'x'",
                    "'0000-00-00'",
                    "'0000-00-00 00:00:00'",
                    "'2050-01-01'",
                    "'9999-12-31 23:59:59'",
                    "'1960-01-01'",
                    "'1970-01-01'",
                    "20380119031408",
                    "t",
                    "k",
                    "NOW() - 7",
                    "NOW() + 0",
                    "CURTIME()",
                    "TIME'10:00:00'",
                    "@unset",
                    "PI()",
                    "'2038-01-19 23:00:00'",
                ];
                let at = self.dice.below(odd.len() + fixed.len());
                odd.get(at).cloned().unwrap_or_else(|| fixed[at - odd.len()].to_owned())
            }
        }
    }

    /// An amount and a unit that lead from now to about one of the horizons.
    fn age(&mut self) -> (String, &'static str) {
        let seconds = self.now.duration_since(self.moment()).as_secs();
        let (unit, size) = SIMPLE_UNITS[self.dice.below(SIMPLE_UNITS.len())];
        let amount = seconds / size - self.dice.below(3) as i64;
        let text = match self.dice.below(12) {
            0 => self.quoted(&amount.to_string()),
            1 => format!("({amount})"),
            2 => format!("{amount} + 1"),
            3 => format!("{} * 7", amount / 7),
            4 if self.dice.percent(30) => "k".into(),
            5 if self.dice.percent(30) => format!("{amount}.5"),
            6 if self.dice.percent(30) => "NULL".into(),
            7 if self.dice.percent(30) => format!("'{amount} x'"),
            _ => self.number(amount),
        };
        (text, unit)
    }

    fn time(&mut self, depth: u32) -> String {
        if depth == 0 || self.dice.percent(40) {
            return self.time_literal();
        }
        let (amount, unit) = self.age();
        match self.dice.below(30) {
            0..=4 => format!("NOW() - INTERVAL {amount} {unit}"),
            5 => format!("DATE_SUB(NOW(6), INTERVAL {amount} {unit})"),
            6 => format!("CURDATE() - INTERVAL {amount} {unit}"),
            7 => format!("UTC_TIMESTAMP() - INTERVAL {amount} {unit}"),
            8 => format!("TIMESTAMPADD({unit}, -({amount}), CURRENT_TIMESTAMP)"),
            9 => format!("INTERVAL -({amount}) {unit} + NOW()"),
            10 => format!("SUBDATE(CURRENT_DATE, {amount})"),
            11 => format!("DATE_ADD(LOCALTIME(), INTERVAL -({amount}) {unit})"),
            12 => format!("({})", self.time(depth - 1)),
            13 => format!("{} + INTERVAL 1 DAY", self.time(depth - 1)),
            14 => format!("{} - INTERVAL 1 MONTH", self.time(depth - 1)),
            15 => format!("{} + INTERVAL '1 2:3' DAY_MINUTE", self.time(depth - 1)),
            16 => format!("DATE({})", self.time(depth - 1)),
            17 => format!("CAST({} AS DATETIME)", self.time(depth - 1)),
            18 => format!("CAST({} AS DATE)", self.time(depth - 1)),
            19 => format!("LAST_DAY({})", self.time(depth - 1)),
            20 => format!("TIMESTAMP({})", self.time(depth - 1)),
            21 => format!("FROM_UNIXTIME({})", self.epoch(depth - 1, 1)),
            22 => {
                let formats = [
                    "%Y-%m-01",
                    "%Y-%m-%d",
                    "%Y-%m-%d %H:00:00",
                    "%Y-01-01",
                    "%Y-%m-%d %T",
                    "%d.%m.%Y",
                    "%Y-%d-%m",
                    "%H",
                ];
                format!("DATE_FORMAT({}, '{}')", self.time(depth - 1), self.dice.one(&formats))
            }
            23 => format!("COALESCE({}, NOW())", self.time(depth - 1)),
            24 => format!("(SELECT {})", self.time(depth - 1)),
            25 => format!("{} + 0", self.time(depth - 1)),
            26 => format!("CAST({} AS CHAR)", self.time(depth - 1)),
            27 => format!("GREATEST({}, {})", self.time(depth - 1), self.time(depth - 1)),
            28 => self.epoch(depth - 1, 1),
            _ => format!("STR_TO_DATE({}, '%Y-%m-%d')", self.time(depth - 1)),
        }
    }

    /// A number of seconds (or of so many parts of one).
    fn epoch(&mut self, depth: u32, parts: i64) -> String {
        let number = self.moment().as_second() * parts;
        if depth == 0 || self.dice.percent(50) {
            return match self.dice.below(12) {
                0 => self.quoted(&number.to_string()),
                1 => format!("{number}.5"),
                2 => format!("'{number}.7'"),
                3 => format!("{number}e0"),
                4 => format!("{} + {parts}", number - parts),
                5 if self.dice.percent(40) => self.time_literal(),
                6 if self.dice.percent(40) => {
                    let odd =
                        ["NULL", "0", "-1", "'x'", "''", "'5x'", "TRUE", "t", "0x10", "18446744073709551615", "@unset"];
                    self.dice.one(&odd).to_owned()
                }
                _ => self.number(number),
            };
        }
        let age = self.now.as_second() - number / parts;
        let scale = |text: String| if parts == 1 { text } else { format!("({text}) * {parts}") };
        match self.dice.below(10) {
            0 | 1 => scale(format!("UNIX_TIMESTAMP() - {age}")),
            2 => scale(format!("UNIX_TIMESTAMP() - {}*86400", age / 86_400)),
            3 => scale(format!("UNIX_TIMESTAMP(NOW() - INTERVAL {} HOUR)", age / 3_600)),
            4 => scale(format!("UNIX_TIMESTAMP({})", self.time(depth - 1))),
            5 => format!("{parts} * UNIX_TIMESTAMP(NOW(6)) - {}", age * parts),
            6 => format!("FLOOR(UNIX_TIMESTAMP(NOW(3)) * {parts}) - {}", age * parts),
            7 => format!("({})", self.epoch(depth - 1, parts)),
            8 => format!("CAST({} AS SIGNED)", self.epoch(depth - 1, parts)),
            _ => format!("{} - {} * {parts}", self.epoch(depth - 1, parts), self.dice.below(5)),
        }
    }

    /// Something to compare a table's column with.
    fn value(&mut self, unit: TimeUnit) -> String {
        let unit = if self.dice.percent(3) { TimeUnit::EpochSeconds } else { unit };
        match unit {
            TimeUnit::DateTime => self.time(2),
            TimeUnit::EpochSeconds => self.epoch(2, 1),
            TimeUnit::EpochMillis => self.epoch(2, 1_000),
        }
    }

    /// Something that a column is to equal.
    fn equal(&mut self, unit: TimeUnit) -> String {
        if self.plain_equality { self.plain(unit) } else { self.value(unit) }
    }

    /// A plainly written moment.
    fn plain(&mut self, unit: TimeUnit) -> String {
        let moment = self.moment();
        match unit {
            TimeUnit::DateTime => {
                let wall = self.zone.to_datetime(moment).strftime("%Y-%m-%d %H:%M:%S").to_string();
                self.quoted(&wall)
            }
            TimeUnit::EpochSeconds => self.number(moment.as_second()),
            TimeUnit::EpochMillis => self.number(moment.as_millisecond()),
        }
    }

    /// A conjunct about a time column.
    fn about_time(&mut self, column: &str, unit: TimeUnit) -> String {
        let x = self.value(unit);
        let e = self.equal(unit);
        match self.dice.below(28) {
            0..=5 => format!("{column} {} {x}", self.dice.one(&[">=", ">", ">="])),
            6 | 7 => format!("{column} {} {e}", self.dice.one(&["=", "<=>"])),
            8 | 9 => format!("{column} {} {x}", self.dice.one(&["<", "<=", "<>", "!="])),
            10 => format!("{x} {} {column}", self.dice.one(&["<", "<=", ">", ">="])),
            11 => format!("{e} {} {column}", self.dice.one(&["=", "<=>"])),
            12..=14 => format!("{column} BETWEEN {x} AND {}", self.value(unit)),
            15 => format!("{column} NOT BETWEEN {x} AND {}", self.value(unit)),
            16 | 17 => format!("{column} IN ({e}, {})", self.equal(unit)),
            18 => {
                let list: Vec<String> = (0..3 + self.dice.below(6)).map(|_| self.equal(unit)).collect();
                format!("{column} {} ({})", self.dice.one(&["IN", "IN", "NOT IN"]), list.join(", "))
            }
            19 => {
                let plain = self.plain_equality;
                let literals: Vec<String> = (0..3 + self.dice.below(6))
                    .map(|_| if plain { self.plain(unit) } else { self.time_literal() })
                    .collect();
                format!("{column} IN ({})", literals.join(", "))
            }
            20 => format!("({column}) >= ({x})"),
            21 => format!("DATE({column}) >= {x}"),
            22 => format!("{column} + 0 >= {x}"),
            23 => format!("{column} >= {x} IS FALSE"),
            24 => format!("({column} >= {x}) = {}", self.dice.below(2)),
            25 => format!("({column}, k) {} ({e}, 2)", self.dice.one(&[">=", "=", ">"])),
            26 => format!("{column} {} ({x})", self.dice.one(&[">= ALL", "> ANY", "LIKE", "IS NOT NULL AND"])),
            _ => format!("IF({column} >= {x}, 1, {})", self.dice.below(2)),
        }
    }

    fn other(&mut self, alias: &str) -> String {
        let conjuncts = [
            "k = 1",
            "k > 2",
            "n IS NULL",
            "n <> 3",
            "k IN (1, 2, 3)",
            "k BETWEEN 1 AND 3",
            "n NOT BETWEEN 2 AND 3",
            "1",
            "0",
            "NOT k",
            "id % 2 = 0",
            "k LIKE '%1%'",
            "(k = 1 OR n = 2)",
            "CASE WHEN k AND n THEN 1 ELSE 0 END",
        ];
        let text = self.dice.one(&conjuncts);
        if alias.is_empty() { text.to_owned() } else { text.replace('k', &format!("{alias}.k")) }
    }

    /// A condition on some of the block's tables: the names of their columns, and how those are stored.
    fn condition(&mut self, columns: &[(String, TimeUnit)], depth: u32) -> String {
        let count = 1 + self.dice.below(3);
        let mut conjuncts: Vec<String> = Vec::new();
        for _ in 0..count {
            let (column, unit) = columns[self.dice.below(columns.len())].clone();
            conjuncts.push(match self.dice.below(20) {
                0..=11 => self.about_time(&column, unit),
                12..=15 => {
                    let alias = column.rsplit_once('.').map_or("", |(alias, _)| alias);
                    self.other(alias).replace("LIKE", "LIKE ")
                }
                16 if depth > 0 => format!("({})", self.condition(columns, depth - 1)),
                17 if depth > 0 => format!("NOT ({})", self.condition(columns, depth - 1)),
                18 if depth > 0 => self.subquery(depth - 1, &column),
                _ => self.about_time(&column, unit),
            });
        }
        // Often something that is surely a bound, or most statements would have none.
        for (column, unit) in columns {
            if self.dice.percent(45) {
                let x = self.plain(*unit);
                let at = self.dice.below(conjuncts.len() + 1);
                conjuncts.insert(at, format!("{column} >= {x}"));
            }
        }
        let mut text = conjuncts.remove(0);
        for conjunct in conjuncts {
            let joint = match self.dice.below(24) {
                0 => "OR",
                1 => "XOR",
                2 => "||",
                3 => "&&",
                _ => "AND",
            };
            text = format!("{text} {joint} {conjunct}");
        }
        text
    }

    /// A conjunct with a block of its own.
    fn subquery(&mut self, depth: u32, outer: &str) -> String {
        let table = self.table();
        let column = if self.dice.percent(50) { "i.t" } else { "t" };
        let condition = self.condition(&[(column.to_owned(), table.unit)], depth);
        let name = table.name;
        match self.dice.below(5) {
            0 => format!("EXISTS (SELECT 1 FROM {name} i WHERE {condition})"),
            1 => format!("id NOT IN (SELECT i.id FROM {name} i WHERE {condition})"),
            2 => format!("id IN (SELECT i.id FROM {name} i WHERE {condition})"),
            3 => format!("NOT EXISTS (SELECT 1 FROM {name} i WHERE {outer} >= i.t AND {condition})"),
            _ => format!("n < (SELECT COUNT(*) FROM {name} i WHERE {condition})"),
        }
    }

    fn table(&mut self) -> Table {
        self.tables[self.dice.below(self.tables.len())]
    }

    fn query(&mut self) -> String {
        let (a, b) = (self.table(), self.table());
        let (x, y) = (a.name, b.name);
        let of = |name: &str, unit| (name.to_owned(), unit);
        let (at, bt) = (of("a.t", a.unit), of("b.t", b.unit));
        let both = [at.clone(), bt.clone()];
        match self.dice.below(22) {
            0..=5 => format!("SELECT id, t FROM {x} WHERE {}", self.condition(&[of("t", a.unit)], 2)),
            6 => format!("SELECT COUNT(*), MIN(t), MAX(k) FROM {x} AS a WHERE {}", self.condition(&[at], 2)),
            7 => format!(
                "SELECT k, COUNT(*) FROM {x} a WHERE {} GROUP BY k HAVING COUNT(*) > 1 OR MIN(id) > 3",
                self.condition(&[at], 1)
            ),
            8 => format!(
                "SELECT COUNT(*), SUM(a.id), SUM(b.id) FROM {x} a JOIN {y} b ON a.k = b.k AND {} WHERE {}",
                self.condition(&both, 1),
                self.condition(&both, 1)
            ),
            9 | 10 => {
                let kind = self.dice.one(&["LEFT", "RIGHT", "LEFT OUTER"]);
                format!(
                    "SELECT COUNT(*), SUM(a.id), SUM(b.id) FROM {x} a {kind} JOIN {y} b ON a.k = b.k AND {} WHERE {}",
                    self.condition(&both, 1),
                    self.condition(&both, 1)
                )
            }
            11 => {
                let kind = self.dice.one(&["LEFT", "RIGHT", "INNER"]);
                format!(
                    "SELECT COUNT(*), SUM(c.id), SUM(b.id) FROM agents c {kind} JOIN {y} b ON c.k = b.k AND {}",
                    self.condition(&[bt], 1)
                )
            }
            12 => format!(
                "SELECT COUNT(*), SUM(a.id) FROM agents c LEFT JOIN ({x} a JOIN {y} b ON a.k = b.k AND {}) ON c.k = a.k AND {}",
                self.condition(&both, 1),
                self.condition(&both, 1)
            ),
            13 => format!(
                "SELECT COUNT(*), SUM(a.id) FROM ({x} a LEFT JOIN {y} b ON a.k = b.k AND {}) JOIN agents c ON c.k = a.k AND {}",
                self.condition(&both, 1),
                self.condition(&both, 1)
            ),
            14 => format!(
                "SELECT id FROM {x} WHERE {} UNION ALL SELECT id FROM {y} WHERE {}",
                self.condition(&[of("t", a.unit)], 1),
                self.condition(&[of("t", b.unit)], 1)
            ),
            15 => format!(
                "SELECT * FROM (SELECT id, t FROM {x} WHERE {}) d WHERE {}",
                self.condition(&[of("t", a.unit)], 1),
                self.condition(&[of("t", a.unit)], 0)
            ),
            16 => format!(
                "WITH c AS (SELECT id, k, t FROM {x} WHERE {}) SELECT COUNT(*), SUM(a.id) FROM c JOIN {x} a ON a.k = c.k WHERE {}",
                self.condition(&[of("t", a.unit)], 1),
                self.condition(&[at], 1)
            ),
            17 => format!("SELECT id, (SELECT COUNT(*) FROM {y} b WHERE {}) FROM agents", self.condition(&[bt], 1)),
            18 => format!(
                "SELECT COUNT(*), SUM(a.id) FROM {x} a JOIN {y} b USING ({}) WHERE {}",
                self.dice.one(&["k", "t", "k, t"]),
                self.condition(&[of("t", a.unit), at], 1)
            ),
            19 => format!(
                "SELECT COUNT(*) FROM {x} a NATURAL {} JOIN agents WHERE {}",
                self.dice.one(&["", "LEFT", "RIGHT"]),
                self.condition(&[of("t", a.unit)], 1)
            ),
            20 => {
                format!("SELECT COUNT(*), SUM(a.id) FROM {x} a, {y} b WHERE a.k = b.k AND {}", self.condition(&both, 1))
            }
            _ => format!(
                "SELECT id FROM {x} WHERE EXISTS (SELECT 1 FROM {y} b WHERE b.k = {x}.k AND {}) AND {}",
                self.condition(&[bt], 1),
                self.condition(&[of("t", a.unit)], 1)
            ),
        }
    }
}
