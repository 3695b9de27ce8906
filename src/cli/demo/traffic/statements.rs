//! The statements of the demo's traffic, and what right answers to them are.
//!
//! [`super`] sends them and [`crate::cli::demo::ledger`] enters them in its book under their class. Each carries a mark
//! by which it is found again in the servers' logs. Where a statement must run follows from its class, which
//! [`crate::cli::demo::verify`] judges.

use crate::cli::demo::ledger::Class;
use crate::cli::demo::load::{Fact, Facts, ORGS};
use crate::cli::demo::random::Random;
use jiff::civil::Date;
use mysql_async::Value;

/// What an answer is held against.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Check {
    /// Any answer will do.
    Nothing,
    /// So many rows.
    Rows(usize),
    /// This text in that column of the first row.
    Value(usize, String),
}

/// A statement to be sent.
#[derive(Debug, Clone)]
pub struct Question {
    /// Its kind.
    pub class: Class,
    /// Its text, without its mark.
    text: String,
    /// The values to bind, if it is to be prepared.
    params: Option<Vec<Value>>,
    /// True if the mark is the first value to bind; else it is a comment.
    mark_is_bound: bool,
    /// What the answer is held against.
    pub check: Check,
}

impl Question {
    fn text(class: Class, text: impl Into<String>) -> Self {
        Question { class, text: text.into(), params: None, mark_is_bound: false, check: Check::Nothing }
    }

    /// Prepared, the mark in a comment: a new text every time.
    fn prepared(class: Class, text: &str, params: Vec<Value>) -> Self {
        Question { params: Some(params), ..Question::text(class, text) }
    }

    /// Prepared, the mark bound to the first `?`: the same text every time, so that it is prepared once and run often.
    fn bound(class: Class, text: &str, params: Vec<Value>) -> Self {
        Question { mark_is_bound: true, ..Question::prepared(class, text, params) }
    }

    fn expecting(mut self, check: Check) -> Self {
        self.check = check;
        self
    }

    /// The text to send, and the values to bind to it.
    pub fn marked(&self, mark: &str) -> (String, Option<Vec<Value>>) {
        if !self.mark_is_bound {
            return (format!("{} /* {mark} */", self.text), self.params.clone());
        }
        let mut params = vec![Value::from(mark)];
        params.extend(self.params.iter().flatten().cloned());
        (self.text.clone(), Some(params))
    }
}

/// A call that begins now.
#[derive(Debug)]
pub struct NewCall {
    org: u64,
    call_id: String,
    line: u64,
}

impl NewCall {
    /// Of some organisation.
    pub fn new(random: &mut Random) -> Self {
        NewCall { org: 1 + random.below(ORGS), call_id: random.uuid(), line: random.below(100) }
    }

    /// Records it.
    pub fn insert(&self) -> Question {
        let NewCall { org, call_id, line } = self;
        Question::text(
            Class::Insert,
            format!(
                "INSERT INTO call_records (call_id, org_id, direction, from_number, to_number, start_time, disposition) VALUES \
                 ('{call_id}', {org}, 'inbound', '+4420794600{line:02}', '+442079460000', NOW(3), 'in_progress')"
            ),
        )
    }

    /// Records an event of it.
    pub fn event(&self, id: u64, kind: &str) -> Question {
        let org = self.org;
        let text = format!(
            "INSERT INTO call_events (call_record_id, org_id, event_type, event_time) VALUES ({id}, {org}, '{kind}', NOW(3))"
        );
        Question::text(Class::Insert, text)
    }

    /// Locks its row, outside a transaction.
    pub fn lock(&self, id: u64) -> Question {
        let text = format!("SELECT id, disposition FROM call_records WHERE id = {id} FOR UPDATE");
        Question::text(Class::LockingRead, text).expecting(Check::Rows(1))
    }

    /// Ends it: one transaction, with a locking read, a plain read, and writes to three tables.
    pub fn end(&self, id: u64) -> Vec<Question> {
        let org = self.org;
        let of = |text: String| Question::text(Class::Transaction, text);
        vec![
            of("BEGIN".into()),
            of(format!("SELECT disposition FROM call_records WHERE id = {id} FOR UPDATE")).expecting(Check::Rows(1)),
            of(format!(
                "UPDATE call_records SET disposition = 'answered', answer_time = NOW(3), end_time = NOW(3), duration_s = 42, \
                 cost = 0.5754 WHERE id = {id}"
            )),
            of(format!("SELECT disposition FROM call_records WHERE id = {id}"))
                .expecting(Check::Value(0, "answered".into())),
            of(format!(
                "INSERT INTO call_events (call_record_id, org_id, event_type, event_time) VALUES ({id}, {org}, 'ended', NOW(3))"
            )),
            of(format!(
                "INSERT INTO analytics_hourly (org_id, hour, calls, answered, talk_s) VALUES ({org}, DATE_FORMAT(NOW(), \
                 '%Y-%m-%d %H:00:00'), 1, 1, 42) ON DUPLICATE KEY UPDATE calls = calls + 1, answered = answered + 1, talk_s = talk_s + 42"
            )),
            of("COMMIT".into()),
        ]
    }

    /// Writes to its JSON, prepared.
    pub fn annotate(&self, id: u64) -> Question {
        let details = format!(r#"{{"queue": "sales", "agent": {}, "tags": ["été", null, 1.5]}}"#, self.line);
        Question::prepared(
            Class::Update,
            "UPDATE call_records SET details = ? WHERE id = ?",
            vec![details.into(), id.into()],
        )
    }

    /// Records a recording of it, prepared, with binary data.
    pub fn recording(&self, id: u64, checksum: u64) -> Question {
        let key = format!("org/{}/{}.opus", self.org, self.call_id);
        Question::prepared(
            Class::Insert,
            "INSERT INTO call_recordings (call_record_id, org_id, storage_key, size_bytes, checksum, created_at) VALUES \
             (?, ?, ?, ?, ?, NOW(3))",
            vec![id.into(), self.org.into(), key.into(), 336_000.into(), Value::Bytes(checksum.to_be_bytes().to_vec())],
        )
    }
}

/// The id that the session's last INSERT made, asked for in SQL.
pub fn last_insert_id(id: u64) -> Question {
    Question::text(Class::ReadBack, "SELECT LAST_INSERT_ID()").expecting(Check::Value(0, id.to_string()))
}

/// A row that the session has just written, by id alone, as applications ask for it.
pub fn read_back(id: u64, disposition: &str) -> Question {
    let text = format!("SELECT disposition FROM call_records WHERE id = {id}");
    Question::text(Class::ReadBack, text).expecting(Check::Value(0, disposition.into()))
}

/// One of the questions about the last 90 days.
pub fn current(random: &mut Random, facts: &Facts) -> Question {
    let org = 1 + random.below(ORGS);
    let of = |text: String| Question::text(Class::CurrentText, text);
    let fact = pick(random, &facts.recent);
    match (random.below(7), fact) {
        (0, Some(fact)) => count(Class::CurrentText, fact),
        (1 | 2, Some(fact)) => count_prepared(Class::CurrentPrepared, fact),
        (3, _) => Question::bound(
            Class::CurrentPrepared,
            "SELECT ? AS mark, event_type, COUNT(*) FROM call_events WHERE org_id = ? AND event_time >= NOW() - INTERVAL ? DAY \
             GROUP BY event_type",
            vec![org.into(), (1 + random.below(30)).into()],
        ),
        (4, _) => of(format!(
            "SELECT event_type, COUNT(*) FROM call_events WHERE org_id = {org} AND event_time > DATE_SUB(NOW(), INTERVAL 2 HOUR) \
             GROUP BY event_type"
        )),
        (5, _) => of(format!(
            "SELECT r.storage_key, c.duration_s FROM call_recordings r JOIN call_records c ON c.id = r.call_record_id WHERE \
             r.org_id = {org} AND r.created_at >= CURDATE() - INTERVAL 30 DAY AND c.start_time >= CURDATE() - INTERVAL 31 DAY \
             ORDER BY r.created_at DESC LIMIT 10"
        )),
        _ => of(format!(
            "SELECT id, from_number, to_number, disposition FROM call_records WHERE org_id = {org} AND start_time >= \
             NOW() - INTERVAL 1 DAY ORDER BY start_time DESC LIMIT 20"
        )),
    }
}

/// One of the questions that look back further, or nobody knows how far.
pub fn historical(random: &mut Random, facts: &Facts) -> Question {
    let org = 1 + random.below(ORGS);
    let of = |text: String| Question::text(Class::HistoricalText, text);
    let fact = pick(random, &facts.historical);
    let call = pick(random, &facts.old_calls);
    match (random.below(7), fact, call) {
        (0, Some(fact), _) => count(Class::HistoricalText, fact),
        (1 | 2, Some(fact), _) => count_prepared(Class::HistoricalPrepared, fact),
        (3 | 4, _, Some(call)) => {
            let text = format!("SELECT org_id, start_time, duration_s FROM call_records WHERE call_id = '{call}'");
            Question::text(Class::Lookup, text).expecting(Check::Rows(1))
        }
        (5, ..) => of(format!(
            "SELECT day, calls, answered FROM analytics_daily WHERE org_id = {org} AND day BETWEEN CURDATE() - INTERVAL 1 YEAR AND \
             CURDATE() - INTERVAL 6 MONTH ORDER BY day"
        )),
        _ => of(format!(
            "SELECT COUNT(*), SUM(duration_s) FROM call_records WHERE org_id = {org} AND start_time < DATE_SUB(NOW(), INTERVAL 180 DAY)"
        )),
    }
}

fn count(class: Class, Fact { org, from, to, calls }: &Fact) -> Question {
    let text = format!(
        "SELECT COUNT(*) FROM call_records WHERE org_id = {org} AND start_time >= '{from}' AND start_time < '{to}'"
    );
    Question::text(class, text).expecting(Check::Value(0, calls.to_string()))
}

fn count_prepared(class: Class, Fact { org, from, to, calls }: &Fact) -> Question {
    let text = "SELECT ? AS mark, COUNT(*) FROM call_records WHERE org_id = ? AND start_time >= ? AND start_time < ?";
    Question::bound(class, text, vec![(*org).into(), moment(*from), moment(*to)])
        .expecting(Check::Value(1, calls.to_string()))
}

fn moment(day: Date) -> Value {
    let part = |number: i8| u8::try_from(number).unwrap_or(1);
    Value::Date(u16::try_from(day.year()).unwrap_or(0), part(day.month()), part(day.day()), 0, 0, 0, 0)
}

fn pick<'a, T>(random: &mut Random, list: &'a [T]) -> Option<&'a T> {
    list.get(usize::try_from(random.below(list.len() as u64)).unwrap_or(0))
}

/// A statement of a class, for the router to explain. None for what cannot be explained by itself: a prepared statement
/// is what its values make it.
pub fn sample(class: Class, facts: &Facts) -> Option<String> {
    let mut random = Random::new(1);
    let call = NewCall::new(&mut random);
    let question = match class {
        Class::Insert => Some(call.insert()),
        Class::Update | Class::Transaction => call.end(1).into_iter().nth(2),
        Class::LockingRead => Some(call.lock(1)),
        Class::ReadBack => Some(last_insert_id(1)),
        Class::CurrentText => (0..100).map(|_| current(&mut random, facts)).find(|question| question.class == class),
        Class::HistoricalText | Class::Lookup => {
            (0..100).map(|_| historical(&mut random, facts)).find(|question| question.class == class)
        }
        Class::CurrentPrepared | Class::HistoricalPrepared => None,
    };
    question.map(|question| question.text)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn facts() -> Facts {
        let fact = Fact { org: 3, from: "2026-09-01".parse().unwrap(), to: "2026-10-01".parse().unwrap(), calls: 7 };
        Facts { historical: vec![fact.clone()], recent: vec![fact], old_calls: vec!["c".into()], ..Facts::default() }
    }

    #[test]
    fn every_class_is_asked_and_every_mark_is_there() {
        let (mut random, facts) = (Random::new(3), facts());
        let mut questions: Vec<Question> =
            (0..200).flat_map(|_| [current(&mut random, &facts), historical(&mut random, &facts)]).collect();
        let call = NewCall::new(&mut random);
        questions.extend([
            call.insert(),
            call.annotate(1),
            call.lock(1),
            call.recording(1, 2),
            last_insert_id(1),
            read_back(1, "x"),
        ]);
        questions.extend(call.end(1));
        for class in Class::ALL {
            assert!(questions.iter().any(|question| question.class == class), "{class:?}");
        }
        for question in questions {
            let (text, params) = question.marked("demo:5:");
            let values = params.unwrap_or_default();
            let marks =
                text.matches("demo:5:").count() + values.iter().filter(|v| **v == Value::from("demo:5:")).count();
            assert_eq!(marks, 1, "{text}");
            assert_eq!(text.matches('?').count(), values.len(), "{text}");
        }
    }
}
