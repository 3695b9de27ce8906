//! The judge: holds every statement against where it belongs. The evidence is the servers' own logs and the answers that
//! clients got; the router's word counts for nothing here.

use super::DemoError;
use super::estate::{Estate, Place};
use super::ledger::{Class, Entry, Home, Outcome};
use super::load::HORIZON_DAYS;
use std::fmt;
use std::time::Duration;

/// When what was true of Aurora, on the ledger's clock.
#[derive(Debug, Clone, Copy, Default)]
pub struct Timeline {
    /// Just before it was stopped.
    pub stopped: Option<Duration>,
    /// When it took connections again.
    pub back: Option<Duration>,
    /// When traffic had come back to it.
    pub settled: Option<Duration>,
}

/// What is wrong with a statement.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Fault {
    /// It ran where it must not, or not where it must, or too often.
    WrongServer,
    /// It failed, and should not have.
    Failed,
    /// Its answer was wrong.
    WrongAnswer,
    /// It was rightly refused, but the error does not say what is missing.
    UnclearError,
}

/// The judge's findings.
#[derive(Debug, Default)]
pub struct Verdict {
    /// Statements judged.
    pub statements: usize,
    /// What is wrong, statement by statement.
    pub faults: Vec<(Fault, Entry)>,
    /// What is wrong otherwise.
    pub others: Vec<String>,
}

impl Verdict {
    /// True if nothing is wrong.
    pub fn clean(&self) -> bool {
        self.faults.is_empty() && self.others.is_empty()
    }
}

impl fmt::Display for Verdict {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.clean() {
            return write!(
                f,
                "PASSED: {} statements; by the servers' own logs each ran where it belongs, and every answer was right.",
                self.statements
            );
        }
        writeln!(f, "FAILED: {} of {} statements at fault.", self.faults.len(), self.statements)?;
        for (fault, entry) in self.faults.iter().take(10) {
            let places: Vec<String> =
                Place::ALL.iter().map(|p| format!("{} {}", p.name(), p.of(&entry.seen))).collect();
            writeln!(
                f,
                "  {:?}: {}, sent at {:.2} s, in the logs of: {}; came back: {:?}",
                fault,
                entry.class.name(),
                entry.sent.as_secs_f64(),
                places.join(", "),
                entry.outcome
            )?;
        }
        if self.faults.len() > 10 {
            writeln!(f, "  … and {} more", self.faults.len() - 10)?;
        }
        self.others.iter().try_for_each(|other| writeln!(f, "  {other}"))
    }
}

impl Timeline {
    /// True if Aurora was away, or on its way back, while the statement was under way.
    fn disturbed(&self, entry: &Entry) -> bool {
        let begun = self.stopped.is_some_and(|stopped| entry.answered.is_none_or(|answered| answered >= stopped));
        begun && self.settled.is_none_or(|settled| entry.sent <= settled)
    }

    /// True if Aurora was down from before the statement was sent until its answer.
    fn down(&self, entry: &Entry) -> bool {
        let (Some(stopped), back) = (self.stopped, self.back.unwrap_or(Duration::MAX)) else { return false };
        entry.sent > stopped && entry.answered.is_some_and(|answered| answered < back)
    }
}

/// Judges one statement.
fn judge(entry: &Entry, timeline: &Timeline) -> Result<(), Fault> {
    let disturbed = timeline.disturbed(entry);
    let [master, replica, aurora] = entry.seen;
    let place_is_right = match (entry.class.home(), disturbed) {
        (Home::Master, _) => entry.seen == [1, 0, 0],
        (Home::Readers | Home::AuroraOnly, false) => entry.seen == [0, 0, 1],
        // A read that got no answer is asked again elsewhere.
        (Home::Readers, true) => master == 0 && replica + aurora >= 1,
        (Home::AuroraOnly, true) => master + replica == 0,
    };
    if let Outcome::Wrong(_) = entry.outcome {
        return Err(Fault::WrongAnswer);
    }
    if !place_is_right {
        return Err(Fault::WrongServer);
    }
    match &entry.outcome {
        Outcome::Right => Ok(()),
        Outcome::Refused { text, .. } if disturbed && entry.class.home() == Home::AuroraOnly => {
            if text.contains("hostgroup 20") { Ok(()) } else { Err(Fault::UnclearError) }
        }
        _ => Err(Fault::Failed),
    }
}

/// Judges all statements. Also wants evidence that there was something to see: fallback, refusal, return.
pub fn verdict(entries: Vec<Entry>, timeline: &Timeline) -> Verdict {
    let mut verdict = Verdict { statements: entries.len(), ..Verdict::default() };
    let count = |home: Home, which: &dyn Fn(&Entry) -> bool| {
        entries.iter().filter(|e| e.class.home() == home && which(e)).count()
    };
    let settled = timeline.settled.unwrap_or(Duration::MAX);
    let evidence = [
        ("no current read fell back to the replica", count(Home::Readers, &|e| timeline.down(e) && e.seen[1] > 0)),
        (
            "no historical read was refused while Aurora was down",
            count(Home::AuroraOnly, &|e| timeline.down(e) && matches!(e.outcome, Outcome::Refused { .. })),
        ),
        ("no current read came back to Aurora", count(Home::Readers, &|e| e.sent > settled && e.seen[2] > 0)),
        (
            "no historical read was answered after Aurora's return",
            count(Home::AuroraOnly, &|e| e.sent > settled && e.seen[2] > 0),
        ),
    ];
    verdict.others.extend(evidence.iter().filter(|(_, count)| *count == 0).map(|(what, _)| (*what).to_owned()));
    for class in Class::ALL {
        if !entries.iter().any(|entry| entry.class == class) {
            verdict.others.push(format!("no statement of the class \"{}\" was sent", class.name()));
        }
    }
    for entry in entries {
        if let Err(fault) = judge(&entry, timeline) {
            verdict.faults.push((fault, entry));
        }
    }
    verdict
}

/// Tables with the columns that both engines print alike, and the one that says when.
const COMPARED: [(&str, &str, &str); 5] = [
    (
        "call_records",
        "start_time",
        "id, call_id, org_id, direction, from_number, to_number, start_time, answer_time, end_time, duration_s, disposition, cost, \
         modified, JSON_UNQUOTE(JSON_EXTRACT(details, '$.tags[0]'))",
    ),
    ("call_recordings", "created_at", "id, call_record_id, org_id, storage_key, size_bytes, HEX(checksum), created_at"),
    ("call_events", "event_time", "id, call_record_id, org_id, event_type, event_time"),
    ("analytics_hourly", "hour", "org_id, hour, calls, answered, talk_s"),
    ("analytics_daily", "day", "org_id, day, calls, answered, talk_s"),
];

/// Compares what the master keeps with what the change applier made of it on Aurora. Blocks. Gives what differs.
pub fn compare(estate: &Estate) -> Result<Vec<String>, DemoError> {
    let mut differences = Vec::new();
    for (table, time, columns) in COMPARED {
        let question = format!(
            "SELECT COUNT(*), COALESCE(SUM(CRC32(CONCAT_WS('|', {columns}))), 0) FROM cdr.{table} WHERE {time} >= CURDATE() - INTERVAL \
             {HORIZON_DAYS} DAY"
        );
        let [master, aurora] = [estate.master.sql(&question)?, estate.aurora.sql(&question)?];
        if master != aurora {
            differences
                .push(format!("{table} differs: count and checksum {master:?} on the master, {aurora:?} on Aurora"));
        }
    }
    Ok(differences)
}

#[cfg(test)]
mod tests {
    use super::*;

    const TIMELINE: Timeline = Timeline {
        stopped: Some(Duration::from_secs(10)),
        back: Some(Duration::from_secs(20)),
        settled: Some(Duration::from_secs(25)),
    };

    fn entry(class: Class, second: u64, outcome: Outcome, seen: [u32; 3]) -> Entry {
        let sent = Duration::from_secs(second);
        Entry { class, sent, answered: Some(sent + Duration::from_millis(5)), outcome, seen }
    }

    fn refused(text: &str) -> Outcome {
        Outcome::Refused { code: 9001, text: text.into() }
    }

    #[test]
    fn statements_are_judged_by_class_place_and_time() {
        use Class::{CurrentText, HistoricalText, Insert, Lookup, ReadBack};
        use Fault::{Failed, UnclearError, WrongAnswer, WrongServer};
        let clear = "hostgroup 20 (aurora) is down";
        let cases = [
            (entry(Insert, 1, Outcome::Right, [1, 0, 0]), Ok(())),
            (entry(Insert, 15, Outcome::Right, [1, 0, 0]), Ok(())),
            // Twice, nowhere, elsewhere too.
            (entry(Insert, 1, Outcome::Right, [2, 0, 0]), Err(WrongServer)),
            (entry(Insert, 1, Outcome::Right, [0, 0, 0]), Err(WrongServer)),
            (entry(Insert, 1, Outcome::Right, [1, 0, 1]), Err(WrongServer)),
            (entry(Insert, 1, refused(clear), [1, 0, 0]), Err(Failed)),
            (entry(ReadBack, 1, Outcome::Right, [0, 0, 1]), Err(WrongServer)),
            (entry(ReadBack, 1, Outcome::Wrong("stale".into()), [0, 0, 1]), Err(WrongAnswer)),
            (entry(CurrentText, 1, Outcome::Right, [0, 0, 1]), Ok(())),
            (entry(CurrentText, 1, Outcome::Right, [0, 1, 0]), Err(WrongServer)),
            (entry(CurrentText, 1, Outcome::Right, [1, 0, 0]), Err(WrongServer)),
            (entry(CurrentText, 15, Outcome::Right, [0, 1, 0]), Ok(())),
            (entry(CurrentText, 10, Outcome::Right, [0, 1, 1]), Ok(())),
            (entry(CurrentText, 15, refused(clear), [0, 1, 0]), Err(Failed)),
            (entry(CurrentText, 15, Outcome::Right, [1, 0, 0]), Err(WrongServer)),
            (entry(CurrentText, 26, Outcome::Right, [0, 1, 0]), Err(WrongServer)),
            (entry(HistoricalText, 1, Outcome::Right, [0, 0, 1]), Ok(())),
            (entry(HistoricalText, 1, refused(clear), [0, 0, 1]), Err(Failed)),
            (entry(HistoricalText, 15, refused(clear), [0, 0, 0]), Ok(())),
            (entry(HistoricalText, 15, refused("no"), [0, 0, 0]), Err(UnclearError)),
            (entry(HistoricalText, 15, Outcome::Lost("closed".into()), [0, 0, 0]), Err(Failed)),
            (entry(HistoricalText, 15, Outcome::Right, [0, 1, 0]), Err(WrongServer)),
            (entry(Lookup, 22, Outcome::Right, [0, 0, 1]), Ok(())),
            (entry(Lookup, 26, refused(clear), [0, 0, 0]), Err(WrongServer)),
        ];
        for (entry, want) in cases {
            assert_eq!(judge(&entry, &TIMELINE), want, "{entry:?}");
        }
    }

    #[test]
    fn without_evidence_there_is_no_pass() {
        let quiet = verdict(vec![entry(Class::Insert, 1, Outcome::Right, [1, 0, 0])], &TIMELINE);
        assert!(!quiet.clean() && quiet.faults.is_empty());
        assert!(quiet.to_string().contains("no current read fell back"), "{quiet}");
    }
}
