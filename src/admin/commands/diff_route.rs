//! DIFF ROUTE FROM RUNTIME TO MEMORY: which statements of the last hour would go elsewhere if what is edited were loaded.
//!
//! What is edited is checked as LOAD checks it, and published to nobody. The comparison itself is the rules' own
//! ([`crate::rules::compare`]). It refuses what LOAD would refuse, with LOAD's words.

use super::load::refused;
use crate::admin::desk::{Desk, DeskError};
use crate::admin::feed::DigestRow;
use crate::admin::model;
use crate::admin::tables::Unit;
use crate::admin::wire::Answer;
use crate::rules::{Route, RuleSet, Subject, compare};
use crate::sql::digest::hash;
use crate::telemetry::unix_seconds;
use std::collections::HashMap;
use std::time::{Duration, Instant};

/// How long ago a digest may have been seen last.
const WINDOW: Duration = Duration::from_secs(3_600);

const COLUMNS: [&str; 11] = [
    "digest",
    "digest_text",
    "username",
    "schemaname",
    "share",
    "count_star",
    "from",
    "to",
    "from_rule",
    "to_rule",
    "note",
];

/// Statements of one digest, user and schema, wherever they ran.
struct Seen {
    row: DigestRow,
    /// No server ever got one.
    answered_here: bool,
}

impl Desk {
    /// One row for each digest, user and schema that would go elsewhere.
    pub(in crate::admin) fn diff_route(&self, warnings: &mut Vec<String>) -> Result<Answer, DeskError> {
        self.sync()?;
        self.no_conflict(&Unit::ALL)?;
        let (_, runtime) = self.parts.versions.runtime();
        let documents = model::apply(&runtime, &self.edited(&Unit::ALL)?, &Unit::ALL, &self.engine.vault)?;
        if documents[..] == runtime.documents[..] {
            return Ok(Answer::table(&COLUMNS, Vec::new()));
        }
        let edited = self.checked(&documents, &runtime)?;
        warnings.extend(by_address(&runtime.rules, &edited.rules));
        let seen = self.seen_lately();
        let total: u64 = seen.iter().map(|s| s.row.count).sum();
        let begun = Instant::now();
        let (mut rows, mut bytes) = (Vec::new(), 0);
        for digest in &seen {
            if begun.elapsed() > self.bounds.time {
                return Err(refused("there are too many digests for statement_timeout"));
            }
            let Some(row) = line(digest, total, &runtime.rules, &edited.rules) else { continue };
            bytes += row.iter().map(String::len).sum::<usize>();
            if bytes > self.bounds.bytes {
                return Err(refused("the answer is larger than max_result"));
            }
            rows.push(row);
        }
        Ok(Answer::table(&COLUMNS, rows))
    }

    /// What was seen in the last hour, the most frequent first.
    fn seen_lately(&self) -> Vec<Seen> {
        let since = unix_seconds().saturating_sub(WINDOW.as_secs());
        let mut sums: HashMap<(u64, String, String, String), Seen> = HashMap::new();
        for row in self.parts.feed.digests(false).into_iter().filter(|row| row.last_seen >= since) {
            let key = (row.digest, row.text.clone(), row.user.clone(), row.schema.clone());
            let here = row.hostgroup < 0;
            match sums.get_mut(&key) {
                Some(sum) => {
                    sum.row.count += row.count;
                    sum.answered_here &= here;
                }
                None => drop(sums.insert(key, Seen { row, answered_here: here })),
            }
        }
        let mut all: Vec<Seen> = sums.into_values().collect();
        let order = |s: &Seen| (std::cmp::Reverse(s.row.count), s.row.digest, s.row.user.clone(), s.row.schema.clone());
        all.sort_by_cached_key(order);
        all
    }
}

/// A digest's row, if it has one.
fn line(seen: &Seen, total: u64, runtime: &RuleSet, edited: &RuleSet) -> Option<Vec<String>> {
    let row = &seen.row;
    let (mut outcome, mut notes) = (<[String; 4]>::default(), Vec::new());
    if hash(row.text.as_bytes()) == row.digest {
        let subject = Subject::new(&row.user).with_schema(Some(&*row.schema).filter(|schema| !schema.is_empty()));
        let found = compare(runtime, edited, &subject, row.text.as_bytes(), row.digest)?;
        let rule = |route: &Route| route.rule_id.map_or_else(|| "none".to_owned(), |id| id.to_string());
        outcome =
            [joined(&found.from, place), joined(&found.to, place), joined(&found.from, rule), joined(&found.to, rule)];
        if seen.answered_here && !found.from.iter().any(Route::is_answered) {
            notes.push("no server was asked so far: the router answered it itself, or could not".to_owned());
        }
        notes.extend(found.open);
    } else {
        notes.push("not judged: its text is not kept whole".to_owned());
    }
    let [from, to, from_rule, to_rule] = outcome;
    #[allow(clippy::cast_precision_loss)]
    let share = 100.0 * row.count as f64 / total.max(1) as f64;
    Some(vec![
        format!("0x{:016X}", row.digest),
        row.text.clone(),
        row.user.clone(),
        row.schema.clone(),
        format!("{share:.2}"),
        row.count.to_string(),
        from,
        to,
        from_rule,
        to_rule,
        notes.join("; "),
    ])
}

/// Where a route leads, in words.
fn place(route: &Route) -> String {
    match (&route.refusal, &route.ok_msg) {
        (Some(text), _) => format!("error: {text}"),
        (None, Some(text)) => format!("OK: {text}"),
        (None, None) => route.tiers.iter().map(u32::to_string).collect::<Vec<_>>().join(", "),
    }
}

fn joined(routes: &[Route], words: impl Fn(&Route) -> String) -> String {
    routes.iter().map(words).collect::<Vec<_>>().join(" | ")
}

/// What is not known of a digest's clients and is asked for.
fn by_address(runtime: &RuleSet, edited: &RuleSet) -> Option<String> {
    let rules = runtime.rules().chain(edited.rules());
    let asks = rules.filter(|r| r.client_addr.is_some() || r.proxy_addr.is_some() || r.proxy_port.is_some());
    let mut ids: Vec<u32> = asks.map(|rule| rule.rule_id).collect();
    ids.sort_unstable();
    ids.dedup();
    let named = ids.iter().map(u32::to_string).collect::<Vec<_>>().join(", ");
    (!ids.is_empty()).then(|| {
        format!(
            "rules for addresses or ports, asked as for a client on the unix socket: {named}; addresses are not counted"
        )
    })
}
