//! What the admin port shows of the router that runs: the rows of `stats` and `monitor`.
//!
//! It is the admin port's [`Feed`] over what [`super::view`] can see, and runs on the admin port's thread. It only
//! reads; what it is asked to reset is forgotten here, while the workers' counters go on. The files below hold figures
//! that ProxySQL has no table for, what workers hold, and `stats_mysql_global`.

mod estate;
mod held;
mod status;

use super::metrics;
use super::view::{Then, View};
use crate::admin::feed::{DigestRow, Feed, Figure, figure};
use crate::admin::tables::servers::{place_of, status_in};
use crate::admin::tables::values::{Cell, Hash, Row, row};
use crate::backend::record::Asked;
use crate::backend::server::BackendId;
use crate::config::address_of;
use crate::session::worker::display::Look;
use crate::session::worker::registry::{Activity, Glimpse};
use crate::sql::effects::Verb;
use crate::telemetry::stats::DigestTally;
use std::collections::{HashMap, HashSet};
use std::sync::{Mutex, PoisonError};

/// Sent, received, statements; connections made and failed.
type PoolCounts = [u64; 5];

/// The feed of the router that runs.
pub(super) struct Seen {
    view: View,
    /// What the pool's counters were when they were reset last: the page for metrics keeps counting from the start.
    forgotten: Mutex<HashMap<(u32, u32), PoolCounts>>,
}

impl Seen {
    pub(super) fn new(view: View) -> Self {
        Self { view, forgotten: Mutex::default() }
    }

    /// The texts of what sessions run, by digest. What runs for the first time was not counted yet: its worker knows it.
    fn texts(&self, sessions: &[(usize, Glimpse)]) -> HashMap<u64, String> {
        let busy = sessions.iter().filter(|(_, s)| s.activity == Activity::Busy);
        let mut wanted: HashSet<u64> = busy.map(|(_, s)| s.digest).filter(|digest| *digest != 0).collect();
        let mut texts = HashMap::new();
        for digest in self.view.digests(Then::Keep).0 {
            if wanted.remove(&digest.label.digest) {
                texts.insert(digest.label.digest, digest.label.text.to_string());
            }
        }
        if !wanted.is_empty() {
            let look = Look::Digests(wanted.into_iter().collect());
            texts.extend(self.view.look(look).into_iter().flat_map(|(_, shown)| shown.digests));
        }
        texts
    }

    /// Host and port of a backend by its name.
    fn place(name: &str) -> (String, u16) {
        use crate::backend::connect::Address;
        match address_of(name) {
            Ok(Address::Tcp(host, port)) => (host, port),
            _ => (name.to_owned(), 0),
        }
    }

    fn connection_pool(&self, reset: bool) -> Vec<Row> {
        let snapshot = self.view.snapshot();
        let mut forgotten = self.forgotten.lock().unwrap_or_else(PoisonError::into_inner);
        let idle = self.view.idle();
        let mut rows = Vec::new();
        self.view.places(&snapshot, |place| {
            let backend = &place.member.backend;
            let (host, port) = place_of(backend);
            let (made, failed, max_used) = backend.record.counts();
            let tally = &place.tally;
            let now = [tally.bytes_sent.get(), tally.bytes_received.get(), tally.statements.get(), made, failed];
            let key = (place.hostgroup.id, backend.id.0);
            let before = forgotten.get(&key).copied().unwrap_or_default();
            // What is open and not idle is in use; it is looked at just after, so there may be fewer.
            let open = backend.open();
            let free = idle.get(&backend.id).copied().unwrap_or(0).min(open);
            let mut before = before.into_iter();
            let since = now.map(|now| now.saturating_sub(before.next().unwrap_or(0)));
            let [sent, received, queries, ok, errors] = since;
            let (status, latency) = (status_in(place.hostgroup, backend), backend.record.latency_us());
            let mut row =
                row![place.hostgroup.id, host, port, status, open - free, free, ok, errors, max_used, queries];
            // GTIDs of readers are not followed.
            row.extend(row![0, sent, received, latency]);
            rows.push(row);
            if reset {
                forgotten.insert(key, now);
            }
        });
        rows
    }

    fn users(&self) -> Vec<Row> {
        let snapshot = self.view.snapshot();
        let mut accounts: Vec<_> = snapshot.accounts.iter().collect();
        accounts.sort_by_key(|account| account.name());
        let most = |account: &crate::auth::Account| account.spec().max_connections.unwrap_or(0);
        accounts.into_iter().map(|account| row![account.name(), account.sessions(), most(account)]).collect()
    }

    fn processlist(&self) -> Vec<Row> {
        let snapshot = self.view.snapshot();
        let backends = snapshot.topology.backends();
        let sessions = self.view.sessions();
        let texts = self.texts(&sessions);
        let now = self.view.uptime().as_secs();
        let row = |(worker, s): (usize, Glimpse)| {
            let command = match s.activity {
                Activity::SigningIn => "Connect",
                Activity::Idle | Activity::Holding => "Sleep",
                Activity::Busy => "Query",
            };
            let running = s.running.and_then(|(id, _)| backends.iter().find(|b| b.id == id));
            let (host, port) = running.map(|backend| place_of(backend)).unzip();
            let client = s.client.map_or_else(|| "localhost".to_owned(), |(ip, _)| ip.to_string());
            let extended = serde_json::json!({ "pins": s.pins.names(), "digest": format!("0x{:016X}", s.digest) });
            let info = texts.get(&s.digest).cloned().filter(|_| s.activity == Activity::Busy);
            let time_ms = now.saturating_sub(s.since.into()) * 1_000;
            let mut row = row![worker as u64, s.connection_id, s.user.map(String::from).unwrap_or_default(), s.schema];
            // Our end of the connection to the server is not known here.
            let (no_host, no_port) = (None::<String>, None::<u16>);
            row.extend(row![client, s.client.map(|(_, port)| port), s.hostgroup, no_host, no_port, host, port]);
            row.extend(row![command, time_ms, info, 0, extended.to_string()]);
            row
        };
        sessions.into_iter().map(row).collect()
    }

    fn commands(&self) -> Vec<Row> {
        let row = |(verb, sum): (&Verb, super::view::CommandSum)| {
            let mut row = row![verb.name(), sum.sum_us, sum.count];
            row.extend(sum.buckets.into_iter().map(Cell::cell));
            row
        };
        Verb::ALL.iter().zip(self.view.commands()).map(row).collect()
    }

    fn rule_hits(&self) -> Vec<Row> {
        let hits = self.view.rule_hits();
        let snapshot = self.view.snapshot();
        // As ProxySQL has it: the rules in effect, those without a hit too.
        let row = |id: u32| row![id, hits.get(&id).copied().unwrap_or(0)];
        snapshot.rules.rules().map(|rule| row(rule.rule_id)).collect()
    }

    fn errors(&self, reset: bool) -> Vec<Row> {
        let row = |sum: super::view::ErrorSum| {
            let (label, (host, port)) = (&sum.label, Self::place(&sum.label.backend));
            let (user, client, schema) = (label.user.to_string(), label.client.to_string(), label.schema.to_string());
            let mut row = row![label.hostgroup, host, port, user, client, schema, label.code];
            let text = without_statement(label.code, sum.last_text);
            row.extend(row![sum.count, sum.first_seen, sum.last_seen, text]);
            row
        };
        self.view.errors(if reset { Then::Reset } else { Then::Keep }).into_iter().map(row).collect()
    }

    /// A log of checks; with what a check found, where it looks for something.
    fn checks(&self, asked: Asked) -> Vec<Row> {
        let mut rows = Vec::new();
        for backend in self.view.snapshot().topology.backends() {
            let (host, port) = place_of(&backend);
            rows.extend(backend.record.checks().into_iter().filter(|check| check.asked == asked).map(|check| {
                let micros = u64::try_from(check.took.as_micros()).unwrap_or(u64::MAX);
                let took = if check.error.is_some() { 0 } else { micros };
                let mut row = row![host.clone(), port, check.at, took];
                if matches!(asked, Asked::Lag | Asked::ReadOnly) {
                    row.push(check.value.map(i64::from).cell());
                }
                row.push(check.error.cell());
                row
            }));
        }
        rows
    }

    fn health(&self) -> Vec<Row> {
        let mut rows = Vec::new();
        for backend in self.view.snapshot().topology.backends() {
            let (host, port) = place_of(&backend);
            let changes = backend.health.history().into_iter();
            rows.extend(changes.map(|c| row![host.clone(), port, c.at, c.from, c.to, c.cause]));
        }
        rows
    }
}

fn digest_row(d: DigestRow) -> Row {
    let mut row = row![d.hostgroup, d.schema, d.user, d.client, Hash(d.digest), d.text];
    row.extend(row![d.count, d.first_seen, d.last_seen, d.sum_us, d.min_us, d.max_us, d.rows_affected, d.rows_sent]);
    row
}

fn figures(figures: Vec<Figure>) -> Vec<Row> {
    figures.into_iter().map(|(name, value)| row![name, value]).collect()
}

/// A syntax error, as the server has it, ends in a piece of the statement: a password may stand there.
fn without_statement(code: u16, mut error: String) -> String {
    if code == SYNTAX
        && let Some(quote) = error.find('\'')
    {
        error.truncate(quote);
        error.push('…');
    }
    error
}

/// ER_PARSE_ERROR.
const SYNTAX: u16 = 1064;

impl Feed for Seen {
    fn rows(&self, table: &str, reset: bool) -> Option<Vec<Row>> {
        Some(match table {
            "stats_mysql_connection_pool" => self.connection_pool(reset),
            "stats_mysql_global" => figures(self.global_status()),
            "stats_memory_metrics" => figures(self.memory()),
            "stats_mysql_users" => self.users(),
            "stats_mysql_query_rules" => self.rule_hits(),
            "stats_mysql_query_digest" => self.digests(reset).into_iter().map(digest_row).collect(),
            "stats_mysql_commands_counters" => self.commands(),
            "stats_mysql_processlist" => self.processlist(),
            "stats_mysql_errors" => self.errors(reset),
            "stats_mysql_free_connections" => held::free(&self.view),
            "stats_mysql_prepared_statements_info" => held::prepared(&self.view),
            "switchboard_tiers" => estate::tiers(&self.view),
            "switchboard_routes" => estate::routes(&self.view),
            "switchboard_unproven" => estate::unproven(&self.view),
            "switchboard_freshness" => estate::freshness(&self.view),
            "mysql_server_connect_log" => self.checks(Asked::Connect),
            "mysql_server_ping_log" => self.checks(Asked::Ping),
            "mysql_server_read_only_log" => self.checks(Asked::ReadOnly),
            "mysql_server_replication_lag_log" => self.checks(Asked::Lag),
            "switchboard_health_log" => self.health(),
            _ => return None,
        })
    }

    fn global_status(&self) -> Vec<Figure> {
        status::figures(&self.view)
    }

    fn memory(&self) -> Vec<Figure> {
        // Linux tells a process in pages: size, resident, shared …
        let Ok(text) = std::fs::read_to_string("/proc/self/status") else { return Vec::new() };
        let bytes = |key: &str| -> Option<u64> {
            let line = text.lines().find_map(|line| line.strip_prefix(key))?;
            line.split_whitespace().next()?.parse::<u64>().ok().map(|kib| kib * 1_024)
        };
        let known =
            [("process_resident", "VmRSS:"), ("process_resident_peak", "VmHWM:"), ("process_virtual", "VmSize:")];
        known.iter().filter_map(|(name, key)| Some(figure(name, bytes(key)?))).collect()
    }

    fn processor_ticks(&self) -> Option<[u64; 2]> {
        let text = std::fs::read_to_string("/proc/self/stat").ok()?;
        // What stands before the last `)` is the program's name. proc_pid_stat(5) counts utime and stime as 14 and 15.
        let mut fields = text.rsplit_once(')')?.1.split_whitespace().skip(11).map(|field| field.parse().ok());
        Some([fields.next()??, fields.next()??])
    }

    fn digests(&self, reset: bool) -> Vec<DigestRow> {
        let (sums, rest) = self.view.digests(if reset { Then::Reset } else { Then::Keep });
        let counted = |tally: &DigestTally| DigestRow {
            count: tally.count.get(),
            first_seen: tally.first_seen.get(),
            last_seen: tally.last_seen.get(),
            sum_us: tally.sum_us.get(),
            min_us: tally.min_us.get(),
            max_us: tally.max_us.get(),
            rows_affected: tally.rows_affected.get(),
            rows_sent: tally.rows_sent.get(),
            ..DigestRow::default()
        };
        let row = |sum: super::view::DigestSum| DigestRow {
            hostgroup: sum.label.hostgroup,
            schema: sum.label.schema.to_string(),
            user: sum.label.user.to_string(),
            digest: sum.label.digest,
            text: sum.label.text.to_string(),
            ..counted(&sum.tally)
        };
        let folded = rest.map(|tally| DigestRow {
            hostgroup: -1,
            text: "(digests that did not fit)".to_owned(),
            ..counted(&tally)
        });
        sums.into_iter().map(row).chain(folded).collect()
    }

    fn idle(&self) -> HashMap<BackendId, u32> {
        self.view.idle()
    }

    fn metrics(&self) -> Option<String> {
        Some(metrics::page(&self.view))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_syntax_error_is_shown_without_the_statement() {
        let error = "for the right syntax to use near ''hunter2' AND it's' at line 1".to_owned();
        assert_eq!(without_statement(SYNTAX, error), "for the right syntax to use near …");
        let other = "Table 'nowhere.nothing' doesn't exist";
        assert_eq!(without_statement(1146, other.to_owned()), other);
    }
}
