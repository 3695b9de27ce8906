//! What is counted of a statement, and of what the router answers itself.
//!
//! Plain stores into the worker's own tables ([`crate::telemetry::stats`]); nothing is allocated once a digest is known. It
//! refuses to decide anything.

use crate::rules::{Plan, Reason, Route};
use crate::session::error::{SessionEnd, StatementError};
use crate::session::link::Link;
use crate::session::link::relay::Outcome;
use crate::session::parts::place::Why;
use crate::session::parts::{Session, micros_since};
use crate::session::worker::snapshot::Snapshot;
use crate::sql::effects::{Effects, Verb};
use crate::telemetry::log::Spend;
use crate::telemetry::routes::{Doubt, Unproven};
use crate::telemetry::stats::{DigestKey, DigestLabel, ErrorLabel, Recorder, Sample};
use std::net::IpAddr;
use std::time::Duration;
use std::time::Instant;

/// Why statements went where they went: the names of [`Sample::reason`]'s numbers.
pub const REASON_NAMES: [&str; 13] = [
    "rule",
    "default_hostgroup",
    "unsafe_on_reader",
    "hint",
    "beyond_horizon",
    "answered",
    "pinned",
    "needs_previous",
    "session_holds_writer",
    "read_your_writes",
    "read_only_transaction",
    "fast_route",
    "unserved",
];

/// The number of `unserved`.
const UNSERVED: u8 = 12;

/// Bytes of a digest that a line of the log shows.
const LOGGED: usize = 1_024;

/// Milliseconds, with three places.
fn ms(us: u64) -> f64 {
    us as f64 / 1_000.0
}

/// The hostgroup of what the router answers itself.
pub const NOWHERE: i64 = -1;

fn reason_number(reason: &Reason, why: Why) -> u8 {
    match (why, reason) {
        (Why::Pinned | Why::OpensTransaction, _) => 6,
        (Why::NeedsPrevious, _) => 7,
        (Why::Unsafe, _) => 8,
        (Why::ReadYourWrites | Why::ReadUserWrites, _) => 9,
        (Why::ReadOnly, _) => 10,
        (Why::Route, Reason::Rule(_)) => 0,
        (Why::Route, Reason::DefaultHostgroup) => 1,
        (Why::Route, Reason::UnsafeOnReader { .. }) => 2,
        (Why::Route, Reason::Hint(_)) => 3,
        (Why::Route, Reason::BeyondHorizon { .. }) => 4,
        (Why::Route, Reason::Answered(_)) => 5,
        (Why::Route, Reason::FastRoute) => 11,
    }
}

/// The hostgroup's place in the route's order, from 1, where the route chose it.
#[inline]
fn tier(route: &Route, why: Why, hostgroup: u32) -> Option<u8> {
    let place = route.tiers.iter().position(|id| *id == hostgroup).filter(|_| why == Why::Route)?;
    u8::try_from(place + 1).ok()
}

/// Effects of which something may not be proven.
const IN_DOUBT: Effects = Effects::UNPROVEN.union(Effects::UNKNOWN_FUNCTION);
/// What is not proven of a function that only the servers know.
const FUNCTION: Unproven =
    Unproven { doubt: Doubt::Function, reason: "it calls a function that is no known built-in one, which may write" };
/// What is not proven of a statement without a bound on time.
const HORIZON: Unproven = Unproven {
    doubt: Doubt::Horizon,
    reason: "no lower bound on time is proven: hostgroups that hold only part of time were left out",
};

/// What was decided about a statement.
#[derive(Clone, Copy)]
pub(in crate::session) struct Decided<'a> {
    pub plan: &'a Plan,
    pub route: &'a Route,
    pub why: Why,
}

/// Counts the SETs that operators look for.
fn count_set(recorder: &Recorder, plan: &Plan) {
    if plan.facts.verb == Verb::Set {
        let front = &recorder.stats.counters.front;
        front.set_names.add(plan.facts.variables.iter().any(|name| &**name == "names").into());
        front.set_autocommit.add(plan.facts.effects.contains(Effects::SET_AUTOCOMMIT).into());
    }
}

impl Session {
    fn digest_key(&self, digest: u64, hostgroup: i64) -> DigestKey {
        DigestKey { digest, user: self.names.0, schema: self.names.1, hostgroup }
    }

    fn digest_label(&self, plan: &Plan, hostgroup: i64, most: usize) -> DigestLabel {
        let text = String::from_utf8_lossy(plan.digest.get(..most).unwrap_or(&plan.digest));
        DigestLabel {
            hostgroup,
            schema: self.state.values.schema.as_deref().unwrap_or_default().into(),
            user: self.account.name().into(),
            digest: plan.hash,
            text: text.into(),
        }
    }

    fn elapsed_us(&self) -> u64 {
        micros_since(self.began)
    }

    /// Counts a statement that a backend answered, and logs it where it was slow or a rule says so.
    pub(in crate::session) fn tally(
        &self,
        snapshot: &Snapshot,
        decided: Decided<'_>,
        link: &Link,
        outcome: &Outcome,
        sent: usize,
    ) {
        let Decided { plan, route, why } = decided;
        let elapsed_us = self.elapsed_us();
        let hostgroup = i64::from(link.hostgroup);
        let sample = Sample {
            elapsed_us,
            rows_affected: outcome.affected_rows,
            rows_sent: outcome.rows,
            error: outcome.error.unwrap_or(0),
            now_s: self.worker.ticks().into(),
            command: plan.facts.verb as usize,
            reason: reason_number(&route.reason, why),
            rule: route.rule_id,
            tier: tier(route, why, link.hostgroup),
        };
        let mut recorder = self.worker.recorder.borrow_mut();
        let key = self.digest_key(plan.hash, hostgroup);
        recorder.statement(key, &sample, |most| self.digest_label(plan, hostgroup, most));
        let backend = link.backend();
        recorder.traffic(link.hostgroup, backend.id.0, &backend.name, sent as u64, outcome.bytes, elapsed_us);
        if why == Why::Route && route.tiers.first().is_some_and(|first| *first != link.hostgroup) {
            recorder.stats.counters.fallbacks.inc();
        }
        if route.unbounded || plan.facts.effects.intersects(IN_DOUBT) {
            self.doubt(&mut recorder, plan, route, key);
        }
        if let Some(code) = outcome.error {
            recorder.error(key, code, sample.now_s, &outcome.error_text, || {
                self.error_label(hostgroup, &backend.name, code)
            });
        }
        count_set(&recorder, plan);
        drop(recorder);
        let is_slow = snapshot.settings.slow_statement.is_some_and(|limit| u128::from(elapsed_us) >= limit.as_micros());
        if is_slow {
            self.worker.stats.counters.slow.inc();
        }
        if is_slow || route.log {
            self.log_statement(decided, link, &sample, outcome.began);
        }
    }

    /// One line for a statement, without its literals. Its stages add up to its time in all.
    #[cold]
    fn log_statement(&self, decided: Decided<'_>, link: &Link, sample: &Sample, answer_began: Option<Instant>) {
        let Decided { plan, route, why } = decided;
        let Spend::Log { kept_back } = self.worker.log_budget.spend(self.worker.ticks()) else { return };
        let reason = if why == Why::Route { route.reason.to_string() } else { why.text().to_owned() };
        let us = |time: Duration| u64::try_from(time.as_micros()).unwrap_or(u64::MAX);
        let (waited, readied) = (self.waited, self.readied);
        let first = answer_began.map_or(sample.elapsed_us, |at| us(at.saturating_duration_since(self.began)));
        tracing::info!(
            target: "switchboard::statement",
            connection_id = self.connection_id,
            user = self.account.name(),
            schema = self.state.values.schema.as_deref().unwrap_or_default(),
            hostgroup = link.hostgroup,
            backend = &*link.backend().name,
            rule = route.rule_id,
            reason,
            route = ?route.tiers,
            total_ms = ms(sample.elapsed_us),
            waited_ms = ms(waited),
            prepare_ms = ms(readied),
            server_ms = ms(first.saturating_sub(waited).saturating_sub(readied)),
            answer_ms = ms(sample.elapsed_us.saturating_sub(first)),
            rows_sent = sample.rows_sent,
            rows_affected = sample.rows_affected,
            error = sample.error,
            digest = format_args!("0x{:016X}", plan.hash),
            kept_back,
            "{}",
            String::from_utf8_lossy(plan.digest.get(..LOGGED).unwrap_or(&plan.digest))
        );
    }

    /// Counts a statement that a rule answered.
    pub(in crate::session) fn tally_answered(&self, plan: &Plan, route: &Route) {
        let sample = Sample {
            elapsed_us: self.elapsed_us(),
            rows_affected: 0,
            rows_sent: 0,
            error: 0,
            now_s: self.worker.ticks().into(),
            command: plan.facts.verb as usize,
            reason: reason_number(&route.reason, Why::Route),
            rule: route.rule_id,
            tier: None,
        };
        let (key, mut recorder) = (self.digest_key(plan.hash, NOWHERE), self.worker.recorder.borrow_mut());
        recorder.statement(key, &sample, |most| self.digest_label(plan, NOWHERE, most));
        count_set(&recorder, plan);
        if route.unbounded {
            self.doubt(&mut recorder, plan, route, key);
        }
    }

    /// Counts a statement that no backend answered, by the rule that decided about it.
    #[cold]
    pub(in crate::session) fn tally_unserved(&self, route: &Route, end: SessionEnd) -> SessionEnd {
        if matches!(end, SessionEnd::Statement(_)) {
            self.worker.recorder.borrow_mut().unserved(route.rule_id, UNSERVED, self.worker.ticks().into());
        }
        end
    }

    /// Counts a statement of which something is not proven, by what.
    fn doubt(&self, recorder: &mut Recorder, plan: &Plan, route: &Route, key: DigestKey) {
        let effects = plan.facts.effects;
        let does = if effects.contains(Effects::UNPROVEN) {
            Some(Unproven { doubt: Doubt::Effects, reason: plan.facts.unproven })
        } else {
            // Where something else keeps it from readers, the function changes nothing.
            let function = effects.contains(Effects::UNKNOWN_FUNCTION)
                && effects.difference(Effects::UNKNOWN_FUNCTION | Effects::HIDDEN_STATE).reader_safe();
            function.then_some(FUNCTION)
        };
        for unproven in does.into_iter().chain(route.unbounded.then_some(HORIZON)) {
            let now = self.worker.ticks().into();
            recorder.unproven(unproven, key, now, |most| self.digest_label(plan, key.hostgroup, most));
        }
    }

    /// Counts an error of the router's own.
    pub(in crate::session) fn tally_own_error(&self, error: &StatementError) {
        self.worker.stats.counters.errors.inc();
        let (code, _) = error.code();
        let key = self.digest_key(0, NOWHERE);
        let now = self.worker.ticks().into();
        let label = || self.error_label(NOWHERE, "", code);
        self.worker.recorder.borrow_mut().error(key, code, now, &error.to_string(), label);
    }

    fn error_label(&self, hostgroup: i64, backend: &str, code: u16) -> ErrorLabel {
        ErrorLabel {
            hostgroup,
            backend: backend.into(),
            user: self.account.name().into(),
            client: self.subject.client_addr().map_or_else(|| "localhost".into(), |ip: IpAddr| ip.to_string().into()),
            schema: self.state.values.schema.as_deref().unwrap_or_default().into(),
            code,
        }
    }
}
