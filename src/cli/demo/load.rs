//! The demo's data: two years of plausible call records that end now, all of them for Aurora, and the last 90 days for
//! the master.
//!
//! They are made by `super::random` from a seed, and loaded before the traffic begins. It also notes facts about the
//! data that [`super::traffic`] holds answers against. Nothing is deleted.

use super::DemoError;
use super::random::Random;
use jiff::civil::{Date, DateTime, Time};
use jiff::{Timestamp, ToSpan, Unit};
use mysql_async::{Conn, Opts, prelude::Queryable};
use std::collections::BTreeMap;
use std::fmt::Write as _;

/// How far back Aurora goes, days.
const HISTORY_DAYS: i64 = 730;
/// What the on-premise servers keep, days.
pub const HORIZON_DAYS: i64 = 90;
/// How much longer than that the rows stay on premise: a statement that reaches exactly 90 days back must find all.
const MARGIN_DAYS: i64 = 1;
/// Customers.
pub const ORGS: u64 = 8;
/// Rows in one INSERT.
const ROWS_PER_INSERT: usize = 1000;

/// The calls of an organisation in a span of whole days: what a count must give, for as long as nobody deletes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Fact {
    /// The organisation.
    pub org: u64,
    /// The first day.
    pub from: Date,
    /// The day after the last.
    pub to: Date,
    /// Its calls.
    pub calls: u64,
}

/// What is known of the data after it was loaded.
#[derive(Debug, Clone, Default)]
pub struct Facts {
    /// Months that lie before the horizon.
    pub historical: Vec<Fact>,
    /// Days within the horizon, none of them so young that traffic touches it.
    pub recent: Vec<Fact>,
    /// Ids of calls before the horizon (`call_id`).
    pub old_calls: Vec<String>,
    /// Rows loaded on Aurora.
    pub rows: usize,
    /// Rows loaded on the master.
    pub rows_on_premise: usize,
}

/// A table's rows as SQL, with the moment that decides whether they are kept on premise.
#[derive(Default)]
struct Rows(Vec<(DateTime, String)>);

/// All tables' rows.
#[derive(Default)]
struct Data {
    calls: Rows,
    recordings: Rows,
    events: Rows,
    hourly: BTreeMap<(u64, DateTime), Totals>,
    daily: BTreeMap<(u64, Date), Totals>,
    old_calls: Vec<String>,
}

/// The sums of an hour or a day.
#[derive(Default, Clone, Copy)]
struct Totals {
    calls: u64,
    answered: u64,
    talk_s: u64,
}

impl Totals {
    fn add(&mut self, answered: bool, talk_s: u64) {
        self.calls += 1;
        self.answered += u64::from(answered);
        self.talk_s += talk_s;
    }

    fn sql(self, org: u64, when: impl std::fmt::Display) -> String {
        format!("({org},'{when}',{},{},{})", self.calls, self.answered, self.talk_s)
    }
}

/// The tables and their columns, in the order of [`Data::tables`]. Ids are given, for the servers hold different parts and
/// must agree on which row is which.
const COLUMNS: [&str; 5] = [
    "call_records (id, call_id, org_id, direction, from_number, to_number, start_time, answer_time, end_time, duration_s, \
     disposition, cost, details, modified)",
    "call_recordings (id, call_record_id, org_id, storage_key, size_bytes, checksum, created_at)",
    "call_events (id, call_record_id, org_id, event_type, event_time)",
    "analytics_hourly (org_id, hour, calls, answered, talk_s)",
    "analytics_daily (org_id, day, calls, answered, talk_s)",
];

/// Makes the data, and loads it on both servers side by side.
pub async fn load(master: Opts, aurora: Opts) -> Result<Facts, DemoError> {
    let now = Timestamp::now().to_zoned(jiff::tz::TimeZone::UTC).datetime().round(Unit::Millisecond)?;
    let data = generate(now)?;
    let kept_from = now.date().checked_sub((HORIZON_DAYS + MARGIN_DAYS).days())?.to_datetime(Time::midnight());
    let mut facts = data.facts(now.date())?;
    facts.old_calls = data.old_calls.clone();
    let tables = data.tables();
    let (all, recent) = tokio::join!(load_one(aurora, &tables, DateTime::MIN), load_one(master, &tables, kept_from));
    facts.rows = all?;
    facts.rows_on_premise = recent?;
    Ok(facts)
}

async fn load_one(server: Opts, tables: &[Rows; 5], from: DateTime) -> Result<usize, DemoError> {
    let mut conn = Conn::new(server).await?;
    let mut loaded = 0;
    for (rows, columns) in tables.iter().zip(COLUMNS) {
        let kept: Vec<&str> = rows.0.iter().filter(|(when, _)| *when >= from).map(|(_, sql)| sql.as_str()).collect();
        for piece in kept.chunks(ROWS_PER_INSERT) {
            conn.query_drop(format!("INSERT INTO {columns} VALUES {}", piece.join(","))).await?;
        }
        loaded += kept.len();
    }
    conn.disconnect().await?;
    Ok(loaded)
}

fn generate(now: DateTime) -> Result<Data, DemoError> {
    let mut random = Random::new(2);
    let mut data = Data::default();
    let (mut day, today) = (now.date().checked_sub(HISTORY_DAYS.days())?, now.date());
    let horizon = now.checked_sub(HORIZON_DAYS.days())?;
    let mut id = 0;
    while day <= today {
        for _ in 0..calls_of(day, &mut random) {
            let start = moment_of(day, &mut random)?;
            if start < now {
                id += 1;
                data.call(id, start, now, start < horizon, &mut random)?;
            }
        }
        day = day.tomorrow()?;
    }
    Ok(data)
}

/// Business days are busy, weekends are not, and the company grows.
fn calls_of(day: Date, random: &mut Random) -> u64 {
    let base = if day.weekday().to_monday_zero_offset() < 5 { 60 } else { 14 };
    let growth = u64::try_from(day.year().saturating_sub(2020)).unwrap_or(0) * 2;
    base + growth + random.below(base / 3)
}

/// Mostly in office hours.
fn moment_of(day: Date, random: &mut Random) -> Result<DateTime, DemoError> {
    let hour = if random.chance(88) { 8 + random.below(10) } else { random.below(24) };
    let millis = hour * 3_600_000 + random.below(3_600_000);
    Ok(day.to_datetime(Time::midnight()).checked_add(i64::try_from(millis).unwrap_or(0).milliseconds())?)
}

impl Data {
    fn call(
        &mut self,
        id: u64,
        start: DateTime,
        now: DateTime,
        old: bool,
        random: &mut Random,
    ) -> Result<(), DemoError> {
        let org = 1 + random.below(ORGS);
        let outcomes = [("answered", 74), ("no_answer", 15), ("busy", 7), ("failed", 4)];
        let disposition = random.weighted(&outcomes).unwrap_or("failed");
        let direction = random.weighted(&[("inbound", 55), ("outbound", 35), ("internal", 10)]).unwrap_or("inbound");
        let ringing = 1000 + random.below(20_000);
        let answered = disposition == "answered";
        let talk_s = if answered { 5 + random.below(30) * random.below(40) } else { 0 };
        let answer = start.checked_add(i64::try_from(ringing).unwrap_or(0).milliseconds())?.min(now);
        let end = answer.checked_add(i64::try_from(talk_s).unwrap_or(0).seconds())?.min(now);
        let call_id = random.uuid();
        let mut sql = format!("({id},'{call_id}',{org},'{direction}','{}','{}'", number(random), number(random));
        let answer_sql = if answered { format!("'{}'", text(answer)) } else { "NULL".into() };
        let cost = talk_s * 137;
        let _ = write!(
            sql,
            ",'{}',{answer_sql},'{}',{talk_s},'{disposition}',{}.{:04},{},'{}')",
            text(start),
            text(end),
            cost / 10_000,
            cost % 10_000,
            if random.chance(20) { r#"'{"queue": "sales", "wrap": [1, 2.5, null]}'"# } else { "NULL" },
            text(end)
        );
        self.calls.0.push((start, sql));
        if old && random.chance(2) {
            self.old_calls.push(call_id);
        }
        self.events_of(id, org, start, answered.then_some(answer), end);
        if answered && random.chance(45) {
            let size = talk_s * 8000 + random.below(4000);
            let key = format!("org/{org}/{}/{id}.opus", start.date());
            let checksum = random.bits();
            let own = self.recordings.0.len() + 1;
            self.recordings
                .0
                .push((end, format!("({own},{id},{org},'{key}',{size},x'{checksum:016x}','{}')", text(end))));
        }
        let hour = start.date().at(start.hour(), 0, 0, 0);
        self.hourly.entry((org, hour)).or_default().add(answered, talk_s);
        self.daily.entry((org, start.date())).or_default().add(answered, talk_s);
        Ok(())
    }

    fn events_of(&mut self, id: u64, org: u64, start: DateTime, answer: Option<DateTime>, end: DateTime) {
        let mut event = |kind: &str, when: DateTime| {
            let own = self.events.0.len() + 1;
            self.events.0.push((when, format!("({own},{id},{org},'{kind}','{}')", text(when))));
        };
        event("initiated", start);
        event("ringing", start);
        if let Some(answer) = answer {
            event("answered", answer);
        }
        event("ended", end);
    }

    /// What counts must give.
    fn facts(&self, today: Date) -> Result<Facts, DemoError> {
        facts(self.daily.iter().map(|((org, day), totals)| (*org, *day, totals.calls)), today)
    }

    fn tables(self) -> [Rows; 5] {
        let hourly = self.hourly.into_iter().map(|((org, hour), t)| (hour, t.sql(org, text(hour))));
        let daily = self.daily.into_iter().map(|((org, day), t)| (day.to_datetime(Time::midnight()), t.sql(org, day)));
        [self.calls, self.recordings, self.events, Rows(hourly.collect()), Rows(daily.collect())]
    }
}

/// What counts must give, from the calls of each organisation and day.
fn facts(daily: impl Iterator<Item = (u64, Date, u64)>, today: Date) -> Result<Facts, DemoError> {
    let mut facts = Facts::default();
    let horizon = today.checked_sub(HORIZON_DAYS.days())?;
    let mut months: BTreeMap<(u64, Date), u64> = BTreeMap::new();
    for (org, day, calls) in daily {
        *months.entry((org, day.first_of_month())).or_default() += calls;
        if day > horizon.checked_add(3.days())? && day < today.checked_sub(3.days())? {
            facts.recent.push(Fact { org, from: day, to: day.tomorrow()?, calls });
        }
    }
    let first = today.checked_sub(HISTORY_DAYS.days())?;
    for ((org, from), calls) in months {
        let to = from.last_of_month().tomorrow()?;
        // Whole months only, and only those that end before the horizon.
        if from >= first && to < horizon {
            facts.historical.push(Fact { org, from, to, calls });
        }
    }
    Ok(facts)
}

/// The facts of data that an earlier process loaded, from the daily sums that came with it: traffic writes no such rows.
pub async fn known(server: Opts) -> Result<Facts, DemoError> {
    let today = Timestamp::now().to_zoned(jiff::tz::TimeZone::UTC).date();
    let mut conn = Conn::new(server).await?;
    let days: Vec<(u64, String, u64)> =
        conn.query("SELECT org_id, CAST(day AS CHAR), calls FROM analytics_daily ORDER BY org_id, day").await?;
    let mut daily = Vec::new();
    for (org, day, calls) in days {
        daily.push((org, day.parse()?, calls));
    }
    let mut facts = facts(daily.into_iter(), today)?;
    let horizon = today.checked_sub(HORIZON_DAYS.days())?;
    let old = format!("SELECT call_id FROM call_records WHERE start_time < '{horizon}' ORDER BY id LIMIT 500");
    facts.old_calls = conn.query(old).await?;
    conn.disconnect().await?;
    Ok(facts)
}

/// A telephone number that belongs to nobody: Ofcom's range for drama.
fn number(random: &mut Random) -> String {
    format!("+4420794600{:02}", random.below(100))
}

/// A moment as SQL has it, without quotes, to the millisecond.
pub fn text(when: DateTime) -> String {
    when.strftime("%Y-%m-%d %H:%M:%S%.3f").to_string()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn two_years_end_now_and_the_facts_count_them() {
        let now: DateTime = "2026-11-22T15:30:00".parse().unwrap();
        let data = generate(now).unwrap();
        let calls = data.calls.0.len();
        assert!((30_000..80_000).contains(&calls), "{calls}");
        let (first, last) =
            (data.calls.0.iter().map(|r| r.0).min().unwrap(), data.calls.0.iter().map(|r| r.0).max().unwrap());
        assert!(first.date() <= "2024-11-23".parse().unwrap() && last <= now && last.date() == now.date());
        assert!(data.events.0.iter().all(|(when, _)| *when <= now));
        let facts = data.facts(now.date()).unwrap();
        let fact = facts.historical.iter().find(|f| f.org == 3).unwrap();
        let tables = data.tables();
        let counted = tables[0].0.iter().filter(|(when, sql)| {
            when.date() >= fact.from && when.date() < fact.to && sql.split(',').nth(2) == Some("3")
        });
        assert_eq!(counted.count() as u64, fact.calls);
        assert!(facts.historical.iter().all(|f| f.to < "2026-08-24".parse().unwrap()));
        assert!(facts.recent.iter().all(|f| f.from > "2026-08-24".parse().unwrap()));
    }
}
