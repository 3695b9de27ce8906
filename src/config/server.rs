//! The parts of the configuration that stand once: `[listen]`, `[limits]`, `[timeouts]`, `[cache]`, `[health]`,
//! `[heartbeat]` and what is above all tables.

use super::backends::{HealthCheck, HeartbeatSettings, UnknownCatalogue, UnknownLag};
use super::listen::{FrontendSettings, socket_address};
use super::process::ProcessSettings;
use super::reader::Section;
use crate::auth::RsaKey;
use crate::net::tls::{ServerIdentity, server_config};
use crate::rules::CacheLimits;
use crate::rules::coverage::Needs;
use crate::session::worker::settings::{Scope, SessionSettings};
use jiff::tz::TimeZone;
use std::sync::Arc;
use std::time::Duration;

/// What stands once. Several files may each give a part; no key may be given twice.
#[derive(Clone, Debug, Default)]
pub(super) struct Server {
    pub process: ProcessSettings,
    pub listen: FrontendSettings,
    pub session: SessionSettings,
    pub cache: CacheLimits,
    pub health: HealthCheck,
    pub heartbeat: Option<HeartbeatSettings>,
    pub ignore_hints: bool,
    pub safe_functions: Vec<Box<str>>,
}

/// Puts a value that was given in the place of a default.
fn set<T>(place: &mut T, given: Option<T>) {
    if let Some(value) = given {
        *place = value;
    }
}

/// Which routes must have somebody: by a word, or by their hostgroups.
fn ready(section: &Section<'_>) -> Option<Needs> {
    const WORDS: [(&str, u8); 3] = [("writes", 0), ("all", 1), ("any", 2)];
    let (word, hostgroups) = (section.choice("ready", &WORDS), section.numbers("ready_hostgroups"));
    if word.is_some() && hostgroups.is_some() {
        section.fault("ready_hostgroups", "ready is given too: one of them is enough");
    }
    match (word, hostgroups) {
        (_, Some(hostgroups)) => Some(Needs::Hostgroups(hostgroups)),
        (Some(word), None) => Some([Needs::Writes, Needs::All, Needs::Any].into_iter().nth(word.into())?),
        (None, None) => None,
    }
}

impl Server {
    /// Reads what a file says of it. `root` is the file's top table; [[tables]] in it are not looked at here.
    pub fn read(&mut self, root: &Section<'_>) {
        set(&mut self.process.workers, root.small("workers", 1..=1_024).map(|n| usize::try_from(n).ok()));
        set(&mut self.process.io_uring, root.flag("io_uring"));
        set(&mut self.process.pid_file, root.path("pid_file").map(Some));
        set(&mut self.listen.server_version, root.parsed("server_version", server_version).map(Some));
        set(&mut self.listen.server_collation, root.small("server_collation", 1..=255).map(|n| u8::try_from(n).ok()));
        set(&mut self.session.read_your_writes, root.duration("read_your_writes"));
        set(&mut self.session.read_your_writes_wait, root.duration("read_your_writes_wait"));
        set(&mut self.session.read_your_writes_scope, root.choice("read_your_writes_scope", &Scope::NAMES));
        set(&mut self.session.time_zone, root.parsed("time_zone", time_zone));
        if let Some(section) = root.section("admin") {
            super::admin::read(&section, self.process.admin.get_or_insert_default());
        }
        if let Some(section) = root.section("http") {
            set(&mut self.process.http, section.parsed("address", socket_address).map(Some));
            set(&mut self.process.http_password, super::users::password_of(&section).map(Some));
            set(&mut self.process.ready, ready(&section));
            section.finish(&[]);
        }
        if let Some(section) = root.section("log") {
            set(&mut self.process.log_level, section.text("level").map(Into::into));
            set(&mut self.process.log_json, section.choice("format", &[("text", false), ("json", true)]));
            let slow = section.duration("slow_statement");
            set(&mut self.session.slow_statement, slow.map(|limit| Some(limit).filter(|l| !l.is_zero())));
            section.finish(&[]);
        }
        if let Some(section) = root.section("listen") {
            self.listen(&section);
        }
        if let Some(section) = root.section("limits") {
            self.limits(&section);
        }
        if let Some(section) = root.section("timeouts") {
            self.timeouts(&section);
        }
        if let Some(section) = root.section("cache") {
            self.cache(&section);
        }
        if let Some(section) = root.section("health") {
            self.health(&section);
        }
        if let Some(section) = root.section("heartbeat") {
            heartbeat(&section, self.heartbeat.get_or_insert_default());
        }
        if let Some(section) = root.section("routing") {
            set(&mut self.ignore_hints, section.flag("hints").map(|on| !on));
            let name =
                |t: &str| if t.is_empty() { Err("a function's name is needed here".to_owned()) } else { Ok(t.into()) };
            set(&mut self.safe_functions, section.list("safe_functions", name));
            section.finish(&[]);
        }
    }

    fn listen(&mut self, section: &Section<'_>) {
        set(&mut self.listen.addresses, section.list("addresses", socket_address));
        set(&mut self.listen.socket, section.path("socket").map(Some));
        set(&mut self.listen.backlog, section.small("backlog", 1..=65_535));
        if let Some(tls) = section.section("tls") {
            self.tls(&tls);
        }
        if let Some(path) = section.path("rsa_key") {
            let read = std::fs::read(&path).map_err(|e| e.to_string());
            match read.and_then(|pem| RsaKey::from_pem(&pem).map_err(|e| e.to_string())) {
                Ok(key) => self.listen.rsa_key = Some(Arc::new(key)),
                Err(reason) => section.fault("rsa_key", format!("{}: {reason}", path.display())),
            }
        }
        section.finish(&[("address", "is spelled `addresses` here: a list")]);
        if section.is_empty_list("addresses") && self.listen.socket.is_none() {
            section.fault("addresses", "the router listens nowhere: name an address, or a socket");
        }
    }

    fn tls(&mut self, section: &Section<'_>) {
        let self_signed = section.flag("self_signed").unwrap_or(false);
        let (cert, key, client_ca) = (section.path("cert"), section.path("key"), section.path("client_ca"));
        let required = section.flag("required").unwrap_or(false);
        section.finish(&[("ca", "is spelled `client_ca` here: whose certificates clients must show")]);
        let identity = match (&cert, &key) {
            (Some(certificate), Some(key)) if !self_signed => ServerIdentity::Files { certificate, key },
            (None, None) if self_signed => ServerIdentity::SelfSigned,
            _ => {
                section.fault("", "cert and key (paths of PEM files) are needed, or self_signed = true, and not both");
                return;
            }
        };
        match server_config(identity, client_ca.as_deref()) {
            Ok(config) => {
                self.listen.tls = Some(config);
                self.listen.require_tls = required;
            }
            Err(error) => section.fault(if cert.is_some() { "cert" } else { "" }, error.to_string()),
        }
    }

    fn limits(&mut self, section: &Section<'_>) {
        set(&mut self.listen.max_clients, section.small("max_clients", 1..=10_000_000));
        set(&mut self.session.max_allowed_packet, section.size("max_allowed_packet", 1_024..=1 << 30));
        set(&mut self.session.request_memory, section.size("request_memory", 1 << 20..=1 << 40).map(Some));
        if self.session.request_memory.is_some_and(|bytes| bytes < self.session.least_request_memory()) {
            let reason =
                "must be more than twice max_allowed_packet: the largest request is kept twice while it is served";
            section.fault("request_memory", reason);
        }
        let count = |key, most| section.small(key, 1..=most).and_then(|n| usize::try_from(n).ok());
        set(&mut self.session.max_statements, count("max_statements", 1_000_000));
        set(&mut self.session.max_statements_per_connection, count("max_statements_per_connection", 1_000_000));
        set(&mut self.session.max_waiting_for_writer, count("max_waiting_for_writer", 10_000_000));
        set(&mut self.session.local_infile, section.flag("local_infile"));
        set(&mut self.listen.guesses.free, section.small("wrong_passwords", 0..=10_000));
        section.finish(&[]);
    }

    fn timeouts(&mut self, section: &Section<'_>) {
        let positive = |key| {
            section.duration(key).filter(|d| {
                let some = !d.is_zero();
                if !some {
                    section.fault(key, "must be more than 0");
                }
                some
            })
        };
        set(&mut self.session.wait_timeout, positive("client_idle"));
        set(&mut self.session.sign_in_timeout, positive("sign_in"));
        set(&mut self.session.connect_timeout, positive("connect"));
        set(&mut self.session.pool_wait, positive("pool_wait"));
        set(&mut self.session.writer_wait, section.duration("writer_wait"));
        set(&mut self.session.pool_idle, section.duration("pool_idle"));
        set(&mut self.session.pool_lifetime, positive("pool_lifetime"));
        set(&mut self.session.hold_results, section.duration("hold_results"));
        set(&mut self.process.drain_timeout, section.duration("drain"));
        set(&mut self.listen.guesses.longest, section.duration("wrong_password"));
        section.finish(&[("wait_timeout", "is spelled `client_idle` here"), ("login", "is spelled `sign_in` here")]);
    }

    fn cache(&mut self, section: &Section<'_>) {
        let count = |key, most: u32| section.small(key, 0..=most).and_then(|n| usize::try_from(n).ok());
        set(&mut self.cache.plans, count("plans", 10_000_000));
        set(&mut self.cache.plan_bytes, section.size("plan_bytes", 1 << 16..=1 << 40));
        set(&mut self.cache.digest_bytes, section.size("digest_bytes", 256..=1 << 30));
        set(&mut self.cache.texts, count("texts", 1 << 20));
        set(&mut self.cache.text_bytes, section.size("text_bytes", 16..=1 << 20));
        set(&mut self.cache.subjects, count("subjects", 10_000_000));
        section.finish(&[]);
    }

    fn health(&mut self, section: &Section<'_>) {
        let health = &mut self.health;
        set(&mut health.timing.interval, section.duration("interval"));
        set(&mut health.timing.retry_interval, section.duration("retry_interval"));
        set(&mut health.timing.timeout, section.duration("timeout"));
        set(&mut health.timing.silence, section.duration("silence"));
        if !health.timing.silence.is_zero() && health.timing.silence < Duration::from_millis(50) {
            section.fault("silence", "50ms is the least; 0 turns it off");
        }
        set(&mut self.session.moved_reads, section.small("moved_reads", 0..=100));
        set(&mut health.timing.catalogue_interval, section.duration("catalogue_interval"));
        set(&mut health.timing.fall, section.small("fall", 1..=1_000));
        set(&mut health.timing.rise, section.small("rise", 1..=1_000));
        set(&mut health.username, section.text("username").map(Some));
        set(&mut health.password, super::users::password_of(section).map(Some));
        set(&mut health.unknown_lag, section.choice("unknown_lag", &UnknownLag::NAMES));
        set(&mut health.unknown_catalogue, section.choice("unknown_catalogue", &UnknownCatalogue::NAMES));
        let least = Duration::from_millis(10);
        for (key, value) in [
            ("interval", health.timing.interval),
            ("retry_interval", health.timing.retry_interval),
            ("timeout", health.timing.timeout),
            ("catalogue_interval", health.timing.catalogue_interval),
        ] {
            if value < least {
                section.fault(key, "10ms is the least");
            }
        }
        if health.password.is_some() && health.username.is_none() {
            section.fault("", "a password is given, but no username");
        }
        section.finish(&[]);
    }
}

fn heartbeat(section: &Section<'_>, heartbeat: &mut HeartbeatSettings) {
    set(&mut heartbeat.enabled, section.flag("enabled"));
    set(&mut heartbeat.schema, section.parsed("schema", schema));
    set(&mut heartbeat.interval, section.duration("interval"));
    set(&mut heartbeat.create, section.flag("create"));
    set(&mut heartbeat.required, section.flag("required"));
    set(&mut heartbeat.username, section.text("username").map(Some));
    set(&mut heartbeat.password, super::users::password_of(section).map(Some));
    if !(Duration::from_millis(50)..=Duration::from_secs(10)).contains(&heartbeat.interval) {
        section.fault("interval", "50ms is the least, and 10s the most");
    }
    if heartbeat.password.is_some() && heartbeat.username.is_none() {
        section.fault("", "a password is given, but no username");
    }
    section.finish(&[]);
}

/// A schema's name.
fn schema(text: &str) -> Result<Box<str>, String> {
    let fits = (1..=64).contains(&text.chars().count()) && !text.contains(['\0', '/', '\\']) && !text.ends_with(' ');
    if fits { Ok(text.into()) } else { Err(format!("`{text}` is no name of a schema")) }
}

/// An IANA name, or an offset as MySQL writes it.
fn time_zone(text: &str) -> Result<TimeZone, String> {
    let bad = || format!("`{text}` is no time zone: write UTC, Europe/London, or an offset such as +02:00");
    let (sign, digits) = match (text.strip_prefix('+'), text.strip_prefix('-')) {
        (Some(digits), _) => (1, digits),
        (_, Some(digits)) => (-1, digits),
        _ => return TimeZone::get(text).map_err(|_| bad()),
    };
    let (hours, minutes) = digits.split_once(':').ok_or_else(bad)?;
    let (hours, minutes): (i32, i32) = (hours.parse().map_err(|_| bad())?, minutes.parse().map_err(|_| bad())?);
    if !(0..=14).contains(&hours) || !(0..60).contains(&minutes) {
        return Err(bad());
    }
    let offset = jiff::tz::Offset::from_seconds(sign * (hours * 3_600 + minutes * 60)).map_err(|_| bad())?;
    Ok(TimeZone::fixed(offset))
}

/// Drivers read digits from its start; it stands in the greeting, ended by a NUL.
fn server_version(text: &str) -> Result<Box<str>, String> {
    let plain = text.bytes().all(|b| (0x20..0x7f).contains(&b));
    if plain && text.len() <= 64 && text.starts_with(|c: char| c.is_ascii_digit()) {
        return Ok(text.into());
    }
    Err(format!(
        "`{text}` is no version: it begins with a digit and has at most 64 plain characters, as 10.11.6-MariaDB"
    ))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn zones_and_versions() {
        for good in ["UTC", "Europe/London", "+00:00", "-05:30", "+14:00"] {
            assert!(time_zone(good).is_ok(), "{good}");
        }
        for bad in ["", "Mars/Phobos", "+2", "+15:00", "+02:60", "-x:00", "SYSTEM "] {
            assert!(time_zone(bad).is_err(), "{bad}");
        }
        assert!(server_version("8.0.36-Switchboard").is_ok());
        for bad in ["", "MariaDB", "8.0\n", "8é"] {
            assert!(server_version(bad).is_err(), "{bad}");
        }
    }
}
