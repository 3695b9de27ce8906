//! The rows of tables that ProxySQL does not have: where routes lead now, which were taken, what was not proven, and
//! how fresh servers are.
//!
//! [`super::Seen`] returns them to the admin port. They are put together from the snapshot and the workers' tallies;
//! nothing is asked of a server.

use crate::admin::tables::servers::place_of;
use crate::admin::tables::values::{Hash, Row, row};
use crate::app::view::View;
use crate::backend::heartbeat::beats::{BeatsSeen, By};
use crate::backend::heartbeat::watermarks::Freshness;
use crate::backend::{Backend, Hostgroup};
use crate::rules::{HostgroupId, Role};
use crate::session::statement::tally::REASON_NAMES;
use crate::session::worker::snapshot::Snapshot;
use crate::telemetry::routes::{RouteTaken, Sightings, Unproven, UnprovenLabel};
use rusqlite::types::Value;
use std::collections::{BTreeMap, BTreeSet};
use std::time::{Duration, Instant};

fn role(writer: bool) -> &'static str {
    if writer { "writer" } else { "reader" }
}

/// The routes of rules, of fast routes (hostgroup by hostgroup: there may be very many) and of users, tier by tier.
pub fn tiers(view: &View) -> Vec<Row> {
    let snapshot = view.snapshot();
    let rules = &snapshot.rules;
    let mut rows = Vec::new();
    for rule in rules.rules().filter(|rule| !rule.destination.is_empty()) {
        let head = row!["rule", rule.rule_id, None::<&str>];
        rows.extend(route(&snapshot, &head, &rule.destination));
    }
    let fast: BTreeSet<HostgroupId> = rules.fast_routes().map(|fast| fast.destination).collect();
    for destination in fast {
        let head = row!["fast_route", None::<u32>, None::<&str>];
        rows.extend(route(&snapshot, &head, &[destination]));
    }
    let mut users: Vec<&str> = snapshot.accounts.iter().map(|account| account.name()).collect();
    users.sort_unstable();
    for user in users {
        let head = row!["default", None::<u32>, user];
        let default = rules.default_hostgroup(user).unwrap_or_else(|| rules.hostgroups().writer_for(&[], None));
        rows.extend(route(&snapshot, &head, &[default]));
    }
    rows
}

/// One route's tiers as they are now. `head`: whose route it is.
fn route(snapshot: &Snapshot, head: &[Value], destination: &[HostgroupId]) -> Vec<Row> {
    let groups = snapshot.rules.hostgroups();
    let writer = groups.writer_for(destination, None);
    let (mut rows, mut taken) = (Vec::new(), false);
    for (place, id) in destination.iter().enumerate() {
        let group = groups.get(*id);
        let (mut servers, mut ready, mut lagging) = (0u64, 0u64, 0u64);
        if let Some(hostgroup) = snapshot.topology.hostgroup(*id) {
            servers = hostgroup.members.len() as u64;
            for member in &hostgroup.members {
                ready += u64::from(hostgroup.takes(&member.backend));
                lagging += u64::from(hostgroup.is_too_far_behind(&member.backend));
            }
        }
        let name = group.map(|g| g.name.to_string()).unwrap_or_default();
        let horizon = group.and_then(|g| g.horizon).map(|horizon| horizon.to_string());
        let state = match (servers, ready) {
            (0, _) => "empty",
            (_, 0) => "out",
            _ if ready < servers => "degraded",
            _ => "serving",
        };
        // The first that would take a statement now.
        let takes = ready > 0 && !taken;
        taken |= takes;
        let mut row = head.to_vec();
        row.extend(row![place as u64 + 1, *id, name, role(group.is_some_and(|g| g.role == Role::Writer)), horizon]);
        row.extend(row![writer, servers, ready, lagging, state, takes]);
        rows.push(row);
    }
    rows
}

/// The ways that statements took.
pub fn routes(view: &View) -> Vec<Row> {
    let row = |(taken, seen): (RouteTaken, Sightings)| {
        let reason = REASON_NAMES.get(usize::from(taken.reason)).copied().unwrap_or_default();
        let fallback = taken.tier.is_some_and(|tier| tier > 1);
        let mut row = row![taken.hostgroup, taken.rule, reason, taken.tier, fallback];
        row.extend(row![seen.count.get(), seen.first_seen.get(), seen.last_seen.get()]);
        row
    };
    view.routes().into_iter().map(row).collect()
}

/// Statements of which something is not proven.
pub fn unproven(view: &View) -> Vec<Row> {
    // In this order: what is counted in between is then among the digests' counts and not among those that did not fit.
    let sums = view.unproven();
    let (digests, folded) = view.unproven_digests();
    unproven_rows(if folded { sums } else { BTreeMap::new() }, digests)
}

/// Rows by digest, and for each reason one for those of its `sums` whose digests did not fit.
fn unproven_rows(sums: BTreeMap<Unproven, u64>, digests: Vec<(UnprovenLabel, Sightings)>) -> Vec<Row> {
    let (mut rows, mut missing) = (Vec::new(), sums);
    for (UnprovenLabel { unproven, digest }, seen) in digests {
        let count = seen.count.get();
        if let Some(sum) = missing.get_mut(&unproven) {
            *sum = sum.saturating_sub(count);
        }
        let mut row = row![unproven.doubt.name(), unproven.reason, digest.hostgroup, digest.schema, digest.user];
        row.extend(row![Hash(digest.digest), digest.text, count, seen.first_seen.get(), seen.last_seen.get()]);
        rows.push(row);
    }
    let missing = missing.into_iter().filter(|(_, count)| *count > 0);
    let (number, word) = (None::<i64>, None::<&str>);
    rows.extend(missing.map(|(Unproven { doubt, reason }, count)| {
        let mut row = row![doubt.name(), reason, number, word, word, word, "(digests that did not fit)"];
        row.extend(row![count, number, number]);
        row
    }));
    rows
}

/// How fresh each server is, hostgroup by hostgroup.
pub fn freshness(view: &View) -> Vec<Row> {
    let (snapshot, now) = (view.snapshot(), Instant::now());
    let millis = |duration: Duration| u64::try_from(duration.as_millis()).unwrap_or(u64::MAX);
    let mut rows = Vec::new();
    for hostgroup in snapshot.topology.hostgroups() {
        for backend in hostgroup.members.iter().map(|member| &member.backend) {
            let (host, port) = place_of(backend);
            let seen = backend.lag.seen();
            let applied = seen.applied.unwrap_or_default();
            let signal = seen.reading.as_ref().map_or("not_asked", |reading| reading.name());
            let position = Some(applied.position).filter(|text| !text.is_empty());
            let gtid = Some(applied.gtid).filter(|text| !text.is_empty());
            let asked_ms_ago = seen.asked.map(|at| millis(now.saturating_duration_since(at)));
            let why = hostgroup.left_out().find(|(out, _)| out.id == backend.id).map(|(_, why)| why);
            // For how long after a write of its own a session does not read here.
            let own_writes = (!hostgroup.writer).then(|| millis(snapshot.settings.read_your_writes));
            let mut row = row![hostgroup.id, host, port, role(hostgroup.writer), signal, seen.seconds, seen.limit];
            row.extend(row![position, gtid, asked_ms_ago, hostgroup.takes(backend), why, own_writes]);
            row.extend(by_heartbeat(&snapshot, hostgroup, backend, millis(view.uptime())));
            rows.push(row);
        }
    }
    rows
}

/// What heartbeats say of a server in a hostgroup at a moment: of a writer, its own; of a reader, with which of its writers' it is
/// the least far. Nothing where there are none.
fn by_heartbeat(snapshot: &Snapshot, hostgroup: &Hostgroup, backend: &Backend, now: u64) -> Row {
    let (word, number) = (None::<&str>, None::<u64>);
    if snapshot.heartbeat.is_none() {
        return row![word, word, number, number, number, number, word, word];
    }
    let ago = |moment: u64| now.saturating_sub(moment);
    if hostgroup.writer {
        let BeatsSeen { latest, by, trouble, .. } = backend.beats.seen();
        let state = if trouble.is_some() || latest.is_none() { "no_heartbeat" } else { "writer" };
        let by = by.map(|by| if by == By::Us { "written by this router" } else { "written by another router" });
        let (seq, at) = latest.unzip();
        let mut row = row![word, state, number, at.map(ago), seq, number];
        row.extend(row![trouble.or(by.map(str::to_owned)), word]);
        return row;
    }
    let writer = snapshot.rules.hostgroups().writer_for(&[hostgroup.id], None);
    let writers: Vec<u64> = snapshot.topology.members_of(&[writer]).map(|m| m.backend.beats.epoch()).collect();
    let seen = backend.watermarks.seen().into_iter().filter(|seen| writers.contains(&seen.epoch));
    let Some(seen) = seen.min_by_key(|seen| seen.to) else {
        let mut row = row![hostgroup.feed.name(), "unknown", number, number, number, number];
        row.extend(row!["its writer has no heartbeat yet", word]);
        return row;
    };
    let freshness = seen.freshness(now);
    let (behind, why) = match &freshness {
        Freshness::Fresh => (Some(0), None),
        Freshness::Behind(ms) => (Some(*ms), None),
        Freshness::Unknown(why) => (None, Some(why.clone())),
    };
    let watermark = Some(seen.to).filter(|to| *to > 0).map(ago);
    let mut row = row![hostgroup.feed.name(), freshness.name(), behind, watermark, seen.seq, seen.took];
    row.extend(row![why, seen.distortion]);
    row
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::admin::tables::values::Cell;
    use crate::telemetry::routes::Doubt;
    use crate::telemetry::stats::{DigestKey, DigestLabel, Recorder, StatsLimits, WorkerStats};
    use std::sync::Arc;

    #[test]
    fn sums_by_reason_stay_whole_where_digests_do_not_fit() {
        let limits = StatsLimits { unproven: 2, ..StatsLimits::default() };
        let stats = Arc::new(WorkerStats::new(limits));
        let mut recorder = Recorder::new(Arc::clone(&stats));
        let [far, unknown] =
            [(Doubt::Horizon, "far"), (Doubt::Effects, "unknown")].map(|(doubt, reason)| Unproven { doubt, reason });
        for digest in 0..10 {
            let key = DigestKey { digest, user: 1, schema: 1, hostgroup: 20 };
            let label = |_| DigestLabel {
                hostgroup: 20,
                schema: "s".into(),
                user: "u".into(),
                digest,
                text: format!("SELECT {digest}").into(),
            };
            recorder.unproven(far, key, 1, label);
            recorder.unproven(unknown, key, 1, label);
        }
        let sums = stats.unproven.read().entries.iter().map(|e| (e.label, e.tally.0.get())).collect();
        let reading = stats.unproven_digests.read();
        assert_eq!((reading.entries.len(), reading.rest.is_some()), (2, true));
        let seen = |tally: &Sightings| {
            let own = Sightings::default();
            crate::telemetry::ledger::Tally::absorb(&own, tally);
            own
        };
        let digests = reading.entries.iter().map(|e| (e.label.clone(), seen(&e.tally))).collect();
        let rows = unproven_rows(sums, digests);
        let count = |row: &Row| if let Value::Integer(count) = row[7] { count } else { 0 };
        let sum = |what: &str| rows.iter().filter(|row| row[0] == what.cell()).map(count).sum::<i64>();
        assert_eq!((sum("horizon"), sum("effects")), (10, 10), "{rows:?}");
        assert_eq!(rows.iter().filter(|row| row[5] == Value::Null).count(), 2, "{rows:?}");
        assert_eq!(stats.counters.unproven.get(), 10, "what reaches too far is no unproven statement");
    }
}
