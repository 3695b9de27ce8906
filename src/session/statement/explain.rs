//! `EXPLAIN ROUTE <statement>`: where a statement would go, from this session and now, and why. Runs
//! nothing. The place is decided by [`super::place`], as for the statement itself.

use crate::rules::explain;
use crate::session::error::SessionEnd;
use crate::session::parts::Session;
use crate::session::statement::place::place;
use crate::session::worker::snapshot::Snapshot;

/// True for `EXPLAIN ROUTE …`, which no server has.
#[inline]
pub fn is_explain_route(text: &[u8]) -> bool {
    matches!(text.first(), Some(b'e' | b'E')) && statement_of(text).is_some()
}

/// The statement that is to be explained.
fn statement_of(text: &[u8]) -> Option<&[u8]> {
    let rest = strip_word(text, b"EXPLAIN")?;
    strip_word(rest, b"ROUTE")
}

fn strip_word<'a>(text: &'a [u8], word: &[u8]) -> Option<&'a [u8]> {
    let text = text.trim_ascii_start();
    let (head, rest) = text.split_at_checked(word.len())?;
    (head.eq_ignore_ascii_case(word) && rest.first().is_some_and(u8::is_ascii_whitespace))
        .then(|| rest.trim_ascii_start())
}

impl Session {
    /// Answers `EXPLAIN ROUTE` with one row per fact.
    pub(in crate::session) async fn explain_route(&mut self) -> Result<(), SessionEnd> {
        let snapshot = self.worker.snapshot();
        let payload = self.inbox.payload().get(1..).unwrap_or_default().to_vec();
        let sql = statement_of(&payload).unwrap_or_default();
        let why = explain(&snapshot.rules, &self.subject, sql, &[], self.now(), self.time_zone(&snapshot));
        let effects = crate::sql::classify::classify(sql, self.subject.mode()).effects;
        let (place, reason) = place(&why.route, effects, &self.standing(&snapshot, &why.route, effects));
        let mut rows = why.facts();
        // What this session adds stands before the notes that not every statement has.
        let notes = rows.iter().position(|(fact, _)| *fact == "reason").map_or(rows.len(), |at| at + 1);
        rows.splice(
            notes..notes,
            [
                ("session_pins", self.holdings.pins().names()),
                ("session_place", format!("{place:?}: {}", reason.text()).to_lowercase()),
            ],
        );
        rows.extend(snapshot.topology.left_out(why.hostgroups()).into_iter().map(|out| ("left_out", out)));
        if self.by_watermark(&snapshot, why.route.writer) {
            let now = self.worker.ms_at(self.began);
            rows.extend(freshness(&snapshot, why.hostgroups(), now).into_iter().map(|text| ("freshness", text)));
        }
        let rows: Vec<_> = rows.into_iter().map(|(k, v)| vec![Some(k.to_owned()), Some(v)]).collect();
        self.send_rows(&["fact", "value"], &rows).await
    }
}

/// How fresh the servers of these hostgroups are at a moment: `20: db2:3306, from db1:3306: 1300 ms behind`.
fn freshness(snapshot: &Snapshot, hostgroups: &[u32], now: u64) -> Vec<String> {
    let mut texts = Vec::new();
    for hostgroup in hostgroups.iter().filter_map(|id| snapshot.topology.hostgroup(*id)) {
        for backend in hostgroup.members.iter().map(|member| &member.backend) {
            for seen in backend.watermarks.seen() {
                let freshness = seen.freshness(now);
                texts.push(format!("{}: {}, from {}: {freshness}", hostgroup.id, backend.name, seen.writer));
            }
        }
    }
    texts
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_explain_route_is_ours() {
        assert_eq!(statement_of(b"EXPLAIN ROUTE SELECT 1"), Some(&b"SELECT 1"[..]));
        assert_eq!(statement_of(b"explain\n route\tselect 1"), Some(&b"select 1"[..]));
        for other in ["EXPLAIN SELECT 1", "EXPLAIN ROUTE", "EXPLAIN ROUTES SELECT 1", "SELECT 1", "EXPLAINROUTE x"] {
            assert!(!is_explain_route(other.as_bytes()), "{other}");
        }
    }
}
