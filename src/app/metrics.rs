//! The metrics page: the view as Prometheus text.
//!
//! Everything is read when the page is asked for, events that were recorded elsewhere ([`crate::telemetry::events`]) as well;
//! nothing is kept here. Labels are bounded by the configuration (hostgroups,
//! backends, rules), by the protocol (commands, error codes) or by the code (reasons): never by what clients send.

use super::view::{Then, View};
use crate::backend::health::State;
use crate::backend::heartbeat::watermarks::Freshness;
use crate::backend::lag::Reading;
use crate::session::state::pins::Pins;
use crate::session::statement::tally::REASON_NAMES;
use crate::session::worker::registry::Activity;
use crate::sql::effects::Verb;
use crate::telemetry::events::{self, Family};
use crate::telemetry::routes::Doubt;
use crate::telemetry::stats::BUCKETS_US;
use crate::telemetry::{Counter, WorkerCounters};
use prometheus_client::collector::Collector;
use prometheus_client::encoding::text::encode;
use prometheus_client::encoding::{DescriptorEncoder, EncodeLabel, EncodeMetric, NoLabelSet};
use prometheus_client::metrics::MetricType;
use prometheus_client::metrics::counter::ConstCounter;
use prometheus_client::metrics::gauge::ConstGauge;
use prometheus_client::registry::Registry;
use std::collections::BTreeMap;
use std::fmt::{Debug, Error, Write as _};

/// The content type of [`page`].
pub const CONTENT_TYPE: &str = "text/plain; version=0.0.4; charset=utf-8";

/// The page.
pub fn page(view: &View) -> String {
    let mut registry = Registry::with_prefix("switchboard");
    registry.register_collector(Box::new(Page { view: view.clone() }));
    let mut out = String::with_capacity(16 << 10);
    // Writing to a String cannot fail.
    let _ = encode(&mut out, &registry);
    classic(&out)
}

/// OpenMetrics as Prometheus's own text format, which every tool reads: there a counter is described by its full name, with
/// `_total`, and nothing marks the end.
fn classic(open: &str) -> String {
    let mut out = String::with_capacity(open.len() + 1024);
    let mut lines = open.lines().peekable();
    while let Some(line) = lines.next() {
        let mut words = line.splitn(4, ' ');
        match (words.next(), words.next(), words.next(), words.next()) {
            (Some("#"), Some("EOF"), ..) => {}
            (Some("#"), Some("HELP"), Some(name), Some(help)) => {
                let counts = lines.peek().is_some_and(|next| next.ends_with(" counter"));
                let total = if counts { "_total" } else { "" };
                let _ = writeln!(out, "# HELP {name}{total} {help}");
            }
            (Some("#"), Some("TYPE"), Some(name), Some("counter")) => {
                let _ = writeln!(out, "# TYPE {name}_total counter");
            }
            _ => {
                out.push_str(line);
                out.push('\n');
            }
        }
    }
    out
}

struct Page {
    view: View,
}

impl std::fmt::Debug for Page {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Page")
    }
}

type Labels = Vec<(&'static str, String)>;

/// Counters of the workers that need no label.
const PLAIN: [(&str, &str, fn(&WorkerCounters) -> &Counter); 22] = [
    ("sign_ins", "Clients that signed in", |c| &c.sign_ins),
    ("sign_in_failures", "Clients that were turned away", |c| &c.sign_in_failures),
    ("statements", "Statements, executions and other commands received", |c| &c.statements),
    ("unproven_statements", "Statements of which nothing is proven, sent to a writer", |c| &c.unproven),
    ("own_errors", "Statements answered with an error of the router's own", |c| &c.errors),
    ("retries", "Statements tried again on another connection or backend", |c| &c.retries),
    ("fallbacks", "Statements that a later hostgroup of their route served", |c| &c.fallbacks),
    ("backend_connects", "Connections made to backends", |c| &c.connects),
    ("session_syncs", "Times that a connection was brought to a session's state", |c| &c.syncs),
    ("pool_waits", "Times that a statement waited for room at a backend", |c| &c.pool_waits),
    ("pool_timeouts", "Statements that waited for room in vain", |c| &c.pool_timeouts),
    ("writer_waits", "Statements that waited for a server while none served", |c| &c.writer_waits),
    ("writer_wait_timeouts", "Statements that waited for a server in vain", |c| &c.writer_wait_timeouts),
    ("moved_reads", "Reads that were given up at a silent server, and run elsewhere", |c| &c.moved_reads),
    ("freshness_waits", "Reads that waited until a reader had a write that they were to see", |c| &c.freshness_waits),
    ("freshness_wait_timeouts", "Reads that waited for that in vain", |c| &c.freshness_wait_timeouts),
    ("plan_text_hits", "Plans found by exact text", |c| &c.plan_text_hits),
    ("plan_digest_hits", "Plans found by digest", |c| &c.plan_digest_hits),
    ("plan_misses", "Statements planned anew", |c| &c.plan_misses),
    ("plan_evictions", "Plans that went to make room", |c| &c.plan_evicted),
    ("batches", "System calls that sent more than one message", |c| &c.batches),
    ("batched_messages", "Messages to clients and servers that went out together with others", |c| &c.batched_messages),
];

impl Collector for Page {
    fn encode(&self, mut encoder: DescriptorEncoder<'_>) -> Result<(), Error> {
        let out = &mut encoder;
        self.process(out)?;
        for (name, help, which) in PLAIN {
            counters(out, name, help, [(vec![], self.view.count(which))])?;
        }
        self.sessions(out)?;
        self.statements(out)?;
        self.backends(out)?;
        events(out, &events::ADMIN_SIGN_INS)?;
        events(out, &events::HEALTH_CHECKS)
    }
}

/// What was counted off the statement path, by this process.
fn events<const N: usize>(out: &mut DescriptorEncoder<'_>, events: &Family<N>) -> Result<(), Error> {
    counters(out, events.name, events.help, events.read())
}

impl Page {
    fn process(&self, out: &mut DescriptorEncoder<'_>) -> Result<(), Error> {
        let view = &self.view;
        let version = vec![("version", env!("CARGO_PKG_VERSION").to_owned())];
        gauges(out, "build_info", "The version that runs", [(version, 1.0)])?;
        gauges(out, "uptime_seconds", "Seconds since the start", [(vec![], view.uptime().as_secs_f64())])?;
        gauges(out, "workers", "Worker threads", [(vec![], view.workers() as f64)])?;
        gauges(out, "ready", "1 if the router can do its work", [(vec![], flag(view.why_not_ready().is_empty()))])?;
        gauges(out, "config_version", "The configuration in force", [(vec![], view.snapshot().version as f64)])?;
        let (published, refused) = view.reloads();
        let result = |name: &str| vec![("result", name.to_owned())];
        let reloads = [(result("published"), u64::from(published)), (result("refused"), u64::from(refused))];
        counters(out, "config_reloads", "Configurations read again, by what became of them", reloads)?;
        let slowed = [(vec![], view.sign_ins_slowed())];
        counters(out, "sign_ins_slowed", "Sign-ins that waited, or were refused, after wrong passwords", slowed)?;
        let memory = view.request_memory();
        let taken = [(vec![], memory.taken() as f64)];
        gauges(out, "request_memory_bytes", "Memory that large requests of clients take", taken)?;
        let waits = [(vec![], memory.waits())];
        counters(out, "request_memory_waits", "Large requests that waited for memory", waits)?;
        let refusals = [(vec![], memory.refusals())];
        counters(out, "request_memory_refusals", "Large requests that waited for memory in vain", refusals)?;
        gauges(out, "plans", "Plans kept", [(vec![], view.count(|c| &c.plans) as f64)])?;
        gauges(
            out,
            "pool_idle_connections",
            "Idle backend connections",
            [(vec![], view.count(|c| &c.pool_idle) as f64)],
        )
    }

    fn sessions(&self, out: &mut DescriptorEncoder<'_>) -> Result<(), Error> {
        let sessions = self.view.sessions();
        gauges(out, "clients", "Clients connected", [(vec![], self.view.clients() as f64)])?;
        let states = [
            (Activity::SigningIn, "signing_in"),
            (Activity::Idle, "idle"),
            (Activity::Holding, "holding"),
            (Activity::Busy, "busy"),
        ];
        let by_state = states.map(|(activity, name)| {
            let count = sessions.iter().filter(|(_, s)| s.activity == activity).count();
            (vec![("state", name.to_owned())], count as f64)
        });
        gauges(out, "sessions", "Sessions by what they are doing", by_state)?;
        let by_pin = Pins::all().iter_names().map(|(name, pin)| {
            let count = sessions.iter().filter(|(_, s)| s.pins.contains(pin)).count();
            (vec![("pin", name.to_ascii_lowercase())], count as f64)
        });
        gauges(out, "pinned_sessions", "Sessions that must keep a connection, by why", by_pin)
    }

    fn statements(&self, out: &mut DescriptorEncoder<'_>) -> Result<(), Error> {
        let mut family = out.encode_descriptor(
            "statement_duration_seconds",
            "Time from a statement's arrival to the end of its answer",
            None,
            MetricType::Histogram,
        )?;
        for (verb, sum) in Verb::ALL.iter().zip(self.view.commands()).filter(|(_, sum)| sum.count > 0) {
            let labels: Labels = vec![("command", verb.name().to_ascii_lowercase())];
            let ends = BUCKETS_US.iter().map(|us| *us as f64 / 1e6).chain([f64::INFINITY]);
            let buckets: Vec<(f64, u64)> = ends.zip(sum.buckets).collect();
            let total = sum.buckets.iter().sum();
            family.encode_family(&labels)?.encode_histogram::<NoLabelSet>(
                sum.sum_us as f64 / 1e6,
                total,
                &buckets,
                None,
            )?;
        }
        let reasons = REASON_NAMES.iter().zip(self.view.reasons());
        let reasons = reasons.map(|(name, count)| (vec![("reason", (*name).to_owned())], count));
        counters(out, "routes", "Statements by why they went where they went", reasons)?;
        let hits = self.view.rule_hits().into_iter().map(|(rule, hits)| (vec![("rule", rule.to_string())], hits));
        counters(out, "rule_hits", "Statements by the rule that decided", hits)?;
        let unproven = self.view.unproven().into_iter().filter(|(what, _)| what.doubt == Doubt::Effects);
        let unproven = unproven.map(|(what, count)| (vec![("why", what.reason.to_owned())], count));
        counters(out, "unproven", "Statements of which nothing is proven, by the classifier's words", unproven)?;
        let mut errors: BTreeMap<(i64, u16), u64> = BTreeMap::new();
        for error in self.view.errors(Then::Keep) {
            *errors.entry((error.label.hostgroup, error.label.code)).or_default() += error.count;
        }
        let errors = errors.into_iter().map(|((hostgroup, code), count)| {
            let hostgroup = if hostgroup < 0 { "router".to_owned() } else { hostgroup.to_string() };
            (vec![("hostgroup", hostgroup), ("code", code.to_string())], count)
        });
        counters(out, "errors", "Errors that clients got, by where they came from and code", errors)
    }

    /// Lag of those whose configuration asks for it.
    fn lag(&self, out: &mut DescriptorEncoder<'_>) -> Result<(), Error> {
        let (mut seconds, mut signals, mut lagging) = (vec![], vec![], vec![]);
        for backend in self.view.snapshot().topology.backends() {
            let seen = backend.lag.seen();
            let Some(reading) = seen.reading.filter(|_| seen.limit > 0) else { continue };
            let labels = || vec![("backend", backend.name.to_string())];
            if let Reading::Behind(behind) = reading {
                seconds.push((labels(), f64::from(behind)));
            }
            for name in Reading::NAMES {
                let mut labels = labels();
                labels.push(("signal", name.to_owned()));
                signals.push((labels, flag(reading.name() == name)));
            }
            lagging.push((labels(), flag(seen.out.is_some())));
        }
        gauges(out, "backend_replication_lag_seconds", "Seconds that a replica says it is behind", seconds)?;
        gauges(out, "backend_replication_lag_signal", "1 for what is known of a backend's lag", signals)?;
        gauges(out, "backend_lagging", "1 while a reader takes no new reads for its lag", lagging)
    }

    /// What heartbeats say.
    fn freshness(&self, out: &mut DescriptorEncoder<'_>) -> Result<(), Error> {
        let snapshot = self.view.snapshot();
        if snapshot.heartbeat.is_none() {
            return Ok(());
        }
        let now = u64::try_from(self.view.uptime().as_millis()).unwrap_or(u64::MAX);
        let (mut written, mut states, mut behind, mut distorted) = (vec![], vec![], vec![], vec![]);
        for backend in snapshot.topology.backends() {
            if snapshot.writers().any(|writer| writer.id == backend.id) {
                written.push((vec![("backend", backend.name.to_string())], backend.beats.seen().written));
            }
            for seen in backend.watermarks.seen() {
                let labels = || vec![("backend", backend.name.to_string()), ("writer", seen.writer.to_string())];
                let freshness = seen.freshness(now);
                for state in Freshness::NAMES {
                    let mut labels = labels();
                    labels.push(("state", state.to_owned()));
                    states.push((labels, flag(freshness.name() == state)));
                }
                if let Freshness::Fresh | Freshness::Behind(_) = freshness {
                    let lacks = seen.lacks_since.map_or(0, |since| now.saturating_sub(since));
                    behind.push((labels(), lacks as f64 / 1e3));
                }
                distorted.push((labels(), flag(seen.distortion.is_some())));
            }
        }
        counters(out, "heartbeats", "Heartbeats that this router has written", written)?;
        gauges(out, "backend_freshness", "1 for how fresh a backend is with a writer's writes", states)?;
        let help = "Age of the oldest heartbeat of a writer that a backend lacks";
        gauges(out, "backend_freshness_lag_seconds", help, behind)?;
        gauges(out, "backend_distorted", "1 while a feed changes values on their way to a backend", distorted)
    }

    fn backends(&self, out: &mut DescriptorEncoder<'_>) -> Result<(), Error> {
        let snapshot = self.view.snapshot();
        let (mut states, mut statements, mut sent, mut received, mut time) = (vec![], vec![], vec![], vec![], vec![]);
        let mut read_only = vec![];
        self.view.places(&snapshot, |place| {
            let backend = &place.member.backend;
            let labels = || vec![("hostgroup", place.hostgroup.id.to_string()), ("backend", backend.name.to_string())];
            for state in [State::Up, State::Suspect, State::Down, State::Draining, State::Disabled] {
                let mut labels = labels();
                labels.push(("state", state.name().to_owned()));
                states.push((labels, flag(backend.health.state() == state)));
            }
            if place.hostgroup.checks_read_only {
                read_only.push((labels(), flag(backend.read_only.is_on())));
            }
            statements.push((labels(), place.tally.statements.get()));
            sent.push((labels(), place.tally.bytes_sent.get()));
            received.push((labels(), place.tally.bytes_received.get()));
            time.push((labels(), place.tally.sum_us.get() as f64 / 1e6));
        });
        gauges(out, "backend_state", "1 for the state that a backend is in", states)?;
        gauges(out, "backend_read_only", "1 for a writer that says it is read-only, and takes no writes", read_only)?;
        counters(out, "backend_statements", "Statements that a backend answered", statements)?;
        counters(out, "backend_sent_bytes", "Bytes of statements sent to a backend", sent)?;
        counters(out, "backend_received_bytes", "Bytes of answers that went from a backend to clients", received)?;
        counters(out, "backend_statement_seconds", "Time that statements took which a backend answered", time)?;
        let backends = snapshot.topology.backends();
        let each = |value: &dyn Fn(&crate::backend::Backend) -> f64| -> Vec<(Labels, f64)> {
            backends.iter().map(|b| (vec![("backend", b.name.to_string())], value(b))).collect()
        };
        gauges(out, "backend_connections", "Open connections to a backend", each(&|b| b.open().into()))?;
        gauges(out, "backend_max_connections", "The most that may be open", each(&|b| b.max_connections().into()))?;
        gauges(out, "backend_waiting_sessions", "Sessions that wait for room", each(&|b| b.waiting().into()))?;
        self.lag(out)?;
        self.freshness(out)?;
        let changes = backends.iter().map(|b| (vec![("backend", b.name.to_string())], b.health.changes()));
        counters(out, "backend_state_changes", "Changes of a backend's state", changes.collect::<Vec<_>>())
    }
}

fn flag(on: bool) -> f64 {
    if on { 1.0 } else { 0.0 }
}

fn gauges(
    out: &mut DescriptorEncoder<'_>,
    name: &str,
    help: &str,
    values: impl IntoIterator<Item = (Labels, f64)>,
) -> Result<(), Error> {
    let values = values.into_iter().map(|(labels, value)| (labels, ConstGauge::new(value)));
    family(out, name, help, MetricType::Gauge, values)
}

fn counters<N>(
    out: &mut DescriptorEncoder<'_>,
    name: &str,
    help: &str,
    values: impl IntoIterator<Item = (Labels, N)>,
) -> Result<(), Error>
where
    ConstCounter<N>: EncodeMetric,
{
    let values = values.into_iter().map(|(labels, value)| (labels, ConstCounter::new(value)));
    family(out, name, help, MetricType::Counter, values)
}

fn family<M: EncodeMetric, L: EncodeLabel + Debug>(
    out: &mut DescriptorEncoder<'_>,
    name: &str,
    help: &str,
    kind: MetricType,
    values: impl Iterator<Item = (Vec<L>, M)>,
) -> Result<(), Error> {
    let mut family = out.encode_descriptor(name, help, None, kind)?;
    for (labels, value) in values {
        // A value without labels is the only one of its family.
        if labels.is_empty() {
            return value.encode(family);
        }
        value.encode(family.encode_family(&labels)?)?;
    }
    Ok(())
}
