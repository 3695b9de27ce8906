//! What the admin port shows of the router that runs, out of what can be seen of it.

mod estate;
mod held;
mod status;

use super::metrics;
use super::view::{Then, View};
use crate::admin::feed::estate::{FreshnessRow, RouteRow, TierRow, UnprovenRow};
use crate::admin::feed::held::{FreeRow, PreparedRow};
use crate::admin::feed::{
    CheckKind, CheckRow, CommandRow, DigestRow, ErrorRow, Feed, Figure, HealthRow, PoolRow, ProcessRow, RuleHitRow,
    UserRow, figure,
};
use crate::admin::tables::servers::{place_of, status_in};
use crate::backend::record::Asked;
use crate::config::address_of;
use crate::session::display::Look;
use crate::session::registry::{Activity, Glimpse};
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
}

impl Feed for Seen {
    fn connection_pool(&self, reset: bool) -> Vec<PoolRow> {
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
            let since = |i: usize| now[i].saturating_sub(before[i]);
            // What is open and not idle is in use; it is looked at just after, so there may be fewer.
            let open = backend.open();
            let free = idle.get(&backend.id).copied().unwrap_or(0).min(open);
            rows.push(PoolRow {
                hostgroup: place.hostgroup.id,
                host,
                port,
                status: status_in(place.hostgroup, backend),
                used: (open - free).into(),
                free: free.into(),
                ok: since(3),
                errors: since(4),
                max_used: max_used.into(),
                queries: since(2),
                bytes_sent: since(0),
                bytes_received: since(1),
                latency_us: backend.record.latency_us(),
            });
            if reset {
                forgotten.insert(key, now);
            }
        });
        rows
    }

    fn users(&self) -> Vec<UserRow> {
        let snapshot = self.view.snapshot();
        let row = |account: &std::sync::Arc<crate::auth::Account>| UserRow {
            username: account.name().to_owned(),
            connections: account.sessions().into(),
            max_connections: account.spec().max_connections.unwrap_or(0).into(),
        };
        let mut rows: Vec<UserRow> = snapshot.accounts.iter().map(row).collect();
        rows.sort_by(|a, b| a.username.cmp(&b.username));
        rows
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

    fn processlist(&self) -> Vec<ProcessRow> {
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
            let extended = serde_json::json!({ "pins": s.pins.names(), "digest": format!("0x{:016X}", s.digest) });
            ProcessRow {
                thread: worker as u64,
                session: s.connection_id.into(),
                user: s.user.map(String::from).unwrap_or_default(),
                schema: s.schema.map(|schema| schema.to_string()),
                client: Some(s.client.map_or_else(|| "localhost".to_owned(), |(ip, _)| ip.to_string())),
                client_port: s.client.map(|(_, port)| port),
                hostgroup: s.hostgroup,
                local: None,
                server: running.map(|backend| place_of(backend)),
                command: command.into(),
                time_ms: now.saturating_sub(s.since.into()) * 1_000,
                info: texts.get(&s.digest).cloned().filter(|_| s.activity == Activity::Busy),
                status_flags: 0,
                extended: Some(extended.to_string()),
            }
        };
        sessions.into_iter().map(row).collect()
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

    fn commands(&self) -> Vec<CommandRow> {
        let row = |(verb, sum): (&Verb, super::view::CommandSum)| CommandRow {
            command: verb.name().into(),
            total_us: sum.sum_us,
            total: sum.count,
            buckets: sum.buckets,
        };
        Verb::ALL.iter().zip(self.view.commands()).map(row).collect()
    }

    fn rule_hits(&self) -> Vec<RuleHitRow> {
        let hits = self.view.rule_hits();
        let snapshot = self.view.snapshot();
        // As ProxySQL has it: the rules in effect, those without a hit too.
        let row = |rule_id: u32| RuleHitRow { rule_id, hits: hits.get(&rule_id).copied().unwrap_or(0) };
        snapshot.rules.rules().map(|rule| row(rule.rule_id)).collect()
    }

    fn errors(&self, reset: bool) -> Vec<ErrorRow> {
        let row = |sum: super::view::ErrorSum| {
            let (host, port) = Self::place(&sum.label.backend);
            ErrorRow {
                hostgroup: sum.label.hostgroup,
                host,
                port,
                user: sum.label.user.to_string(),
                client: sum.label.client.to_string(),
                schema: sum.label.schema.to_string(),
                code: sum.label.code,
                count: sum.count,
                first_seen: sum.first_seen,
                last_seen: sum.last_seen,
                text: sum.last_text,
            }
        };
        self.view.errors(if reset { Then::Reset } else { Then::Keep }).into_iter().map(row).collect()
    }

    fn checks(&self) -> Vec<CheckRow> {
        let mut rows = Vec::new();
        for backend in self.view.snapshot().topology.backends() {
            let (host, port) = place_of(&backend);
            rows.extend(backend.record.checks().into_iter().map(|check| CheckRow {
                host: host.clone(),
                port,
                at: check.at,
                kind: match check.asked {
                    Asked::Connect => CheckKind::Connect,
                    Asked::Ping => CheckKind::Ping,
                    Asked::Lag => CheckKind::ReplicationLag,
                    Asked::ReadOnly => CheckKind::ReadOnly,
                },
                took_us: if check.error.is_some() {
                    0
                } else {
                    u64::try_from(check.took.as_micros()).unwrap_or(u64::MAX)
                },
                value: check.value.map(i64::from),
                error: check.error,
            }));
        }
        rows
    }

    fn health(&self) -> Vec<HealthRow> {
        let mut rows = Vec::new();
        for backend in self.view.snapshot().topology.backends() {
            let (host, port) = place_of(&backend);
            rows.extend(backend.health.history().into_iter().map(|change| HealthRow {
                host: host.clone(),
                port,
                at: change.at,
                from: change.from,
                to: change.to,
                cause: change.cause,
            }));
        }
        rows
    }

    fn free_connections(&self) -> Vec<FreeRow> {
        held::free(&self.view)
    }

    fn prepared(&self) -> Vec<PreparedRow> {
        held::prepared(&self.view)
    }

    fn tiers(&self) -> Vec<TierRow> {
        estate::tiers(&self.view)
    }

    fn routes(&self) -> Vec<RouteRow> {
        estate::routes(&self.view)
    }

    fn unproven(&self) -> Vec<UnprovenRow> {
        estate::unproven(&self.view)
    }

    fn freshness(&self) -> Vec<FreshnessRow> {
        estate::freshness(&self.view)
    }

    fn metrics(&self) -> Option<String> {
        Some(metrics::page(&self.view))
    }
}
