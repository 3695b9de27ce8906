//! Reads `[[hostgroup]]` and `[[backend]]`: once for the routing decision, and once for the connections.
//!
//! The results are types of `rules`, of `backend` and of [`super::backends`]. It opens certificates and keys, but
//! connects to nothing. Entries that name each other are checked in [`super::load`].

use super::backends::{AdminStatus, BackendSettings, HostgroupSettings, Policy};
use super::reader::Section;
use crate::auth::RsaPublicKey;
use crate::auth::client::ServerKey;
use crate::backend::attributes::Attributes;
use crate::backend::connect::{Address, Target};
use crate::backend::heartbeat::Feed;
use crate::net::tls::{ClientIdentity, TlsMode, client_config};
use crate::rules::{Hostgroup, Role};
use crate::sql::LexMode;
use crate::sql::classify::classify;
use crate::sql::effects::Effects;
use std::path::Path;
use std::sync::Arc;

/// MySQL's port.
const DEFAULT_PORT: u16 = 3306;

/// Reads one `[[hostgroup]]`: for the rules, and for the backends.
pub(super) fn hostgroup(section: &Section<'_>) -> Option<(Hostgroup, HostgroupSettings)> {
    let id = section.small("id", 0..=u32::MAX);
    if !section.contains("id") {
        section.fault("", "id is missing");
    }
    let role = section.choice("role", &[("writer", Role::Writer), ("reader", Role::Reader)]);
    if !section.contains("role") {
        section.fault("", "role is missing: \"writer\" or \"reader\"");
    }
    let name: Box<str> = section.text("name").unwrap_or_default().into();
    let policy = section.choice("policy", &Policy::NAMES).unwrap_or_default();
    let horizon = section.horizon("horizon");
    let writer = section.small("writer", 0..=u32::MAX);
    let check_read_only = section.flag("check_read_only");
    let feed = section.choice("feed", &Feed::NAMES);
    let attributes = section.section("attributes").map(|table| attributes(&table)).unwrap_or_default();
    section.kept();
    section.finish(&[]);
    // What is wrong was said; that rules name a hostgroup that is not there would be said for nothing.
    let (id, role) = (id?, role.unwrap_or(Role::Writer));
    if role == Role::Writer && writer.is_some() {
        section.fault("writer", "is for readers: who is their writer");
    }
    if role == Role::Reader && check_read_only.is_some() {
        section.fault("check_read_only", "is for writers: a reader that is read-only is as it should be");
    }
    if role == Role::Writer && feed.is_some() {
        section.fault("feed", "is for readers: what brings the writer's rows to them");
    }
    let (writes, feed) = (role == Role::Writer, feed.unwrap_or_default());
    let settings =
        HostgroupSettings { id, name: name.clone(), writer: writes, check_read_only, policy, attributes, feed };
    Some((Hostgroup { id, name, role, horizon, writer }, settings))
}

/// Reads a hostgroup's `attributes`. Their defaults are ProxySQL's: a hostgroup without any is held to nothing.
fn attributes(section: &Section<'_>) -> Attributes {
    /// As many servers, and as many connections a second, as nobody has.
    const ALL: u32 = 1_000_000;
    let limit = |key, least| section.small(key, least..=ALL).filter(|number| *number < ALL);
    let attributes = Attributes {
        max_online: limit("max_num_online_servers", 0),
        free_pct: Some(section.small("free_connections_pct", 0..=100).unwrap_or(10)),
        init_connect: section.text("init_connect").filter(|text| !text.is_empty()).map(Into::into),
        connects_per_second: limit("throttle_connections_per_sec", 1),
    };
    if let Some(Err(reason)) = attributes.init_connect.as_deref().map(may_init) {
        section.fault("init_connect", reason);
    }
    section.text("comment");
    section.kept();
    section.finish(&[]);
    attributes
}

/// What the router itself keeps of a session and brings to connections: it cannot be settled behind its back.
const KEPT_BY_ROUTER: [&str; 11] = [
    "names",
    "sql_mode",
    "autocommit",
    "character_set_client",
    "character_set_connection",
    "character_set_results",
    "collation_connection",
    "session_track_schema",
    "session_track_system_variables",
    "session_track_state_change",
    "session_track_transaction_info",
];

/// Whether a statement may be what connections begin with.
fn may_init(text: &str) -> Result<(), String> {
    let facts = classify(text.as_bytes(), LexMode::default());
    if let Some(name) = facts.variables.iter().find(|name| KEPT_BY_ROUTER.contains(&&***name)) {
        return Err(format!("`{name}` is kept for each session by the router, and not to be set for all"));
    }
    const MAY: Effects = Effects::SET_SESSION
        .union(Effects::SET_USER_VARIABLE)
        .union(Effects::READ_USER_VARIABLE)
        .union(Effects::UNTRACKED_STATE)
        .union(Effects::CALL)
        .union(Effects::UNKNOWN_FUNCTION)
        .union(Effects::SERVER_BOUND)
        .union(Effects::WRITE)
        .union(Effects::READER_SAFE)
        .difference(Effects::MULTI);
    match facts.effects.difference(MAY).names().next() {
        None => Ok(()),
        Some(effect) => Err(format!("connections cannot begin with this: its effect is {effect}")),
    }
}

/// Reads one `[[backend]]`.
pub(super) fn backend(section: &Section<'_>) -> Option<BackendSettings> {
    let several = section.numbers("hostgroups");
    let one = section.numbers("hostgroup");
    if several.is_some() && one.is_some() {
        section.fault("hostgroup", "hostgroups is given too: one of them is enough");
    }
    let hostgroups = several.or(one).unwrap_or_default();
    if hostgroups.is_empty() {
        section.fault("hostgroup", "a backend belongs to a hostgroup: hostgroup = 10, or hostgroups = [10, 20]");
    }
    let address = section.parsed("address", address);
    if !section.contains("address") {
        section.fault("", "address is missing: \"host:port\" or the path of a unix socket");
    }
    let (tls_mode, tls) = tls(section);
    let settings = BackendSettings {
        hostgroups,
        target: Target {
            address: address.clone().unwrap_or(Address::Unix(Default::default())),
            tls_mode,
            tls,
            tls_of_users: Vec::new(),
            server_key: server_key(section),
        },
        weight: section.small("weight", 0..=10_000_000).unwrap_or(1),
        max_connections: section.small("max_connections", 1..=1_000_000).unwrap_or(1_000),
        max_replication_lag: section.small("max_replication_lag", 0..=126_144_000).unwrap_or(0),
        zone: section.text("zone").map(Into::into),
        status: section.choice("status", &AdminStatus::NAMES).unwrap_or_default(),
        comment: section.text("comment").unwrap_or_default().into(),
    };
    section.kept();
    section.finish(&[
        ("hostname", "is part of `address` here: \"host:port\""),
        ("port", "is part of `address` here: \"host:port\""),
        ("hostgroup_id", "is spelled `hostgroup` here"),
        ("use_ssl", "is spelled `tls` here"),
        ("compression", "is not supported yet"),
    ]);
    address.map(|_| settings)
}

const TLS_MODES: [(&str, TlsMode); 5] = [
    ("disabled", TlsMode::Disabled),
    ("preferred", TlsMode::Preferred),
    ("required", TlsMode::Required),
    ("verify_ca", TlsMode::VerifyCa),
    ("verify_identity", TlsMode::VerifyIdentity),
];

/// `tls = "required"`, or a table with the mode and the files.
fn tls(section: &Section<'_>) -> (TlsMode, Option<Arc<rustls::ClientConfig>>) {
    let table = if section.is_table("tls") { section.section("tls") } else { None };
    let Some(table) = table else {
        let mode = section.choice("tls", &TLS_MODES).unwrap_or_default();
        return (mode, client_tls(section, "tls", mode, None, None));
    };
    let mode = table.choice("mode", &TLS_MODES).unwrap_or(TlsMode::Required);
    let (ca, cert, key) = (table.path("ca"), table.path("cert"), table.path("key"));
    table.finish(&[]);
    let identity = match (&cert, &key) {
        (Some(certificate), Some(key)) => Some(ClientIdentity { certificate, key }),
        (None, None) => None,
        _ => {
            table.fault(if cert.is_some() { "cert" } else { "key" }, "cert and key go together");
            return (mode, None);
        }
    };
    (mode, client_tls(&table, "", mode, ca.as_deref(), identity))
}

fn client_tls(
    section: &Section<'_>,
    key: &str,
    mode: TlsMode,
    ca: Option<&Path>,
    identity: Option<ClientIdentity<'_>>,
) -> Option<Arc<rustls::ClientConfig>> {
    client_config(mode, ca, identity).unwrap_or_else(|error| {
        section.fault(key, error.to_string());
        None
    })
}

/// `server_public_key`: `"ask"`, `"never"`, or the path of a PEM file.
fn server_key(section: &Section<'_>) -> ServerKey {
    let Some(text) = section.text("server_public_key") else { return ServerKey::Ask };
    match text.as_str() {
        "ask" => ServerKey::Ask,
        "never" => ServerKey::Forbidden,
        _ => {
            let Some(path) = section.path("server_public_key") else { return ServerKey::Forbidden };
            let read = std::fs::read(&path).map_err(|e| e.to_string());
            match read.and_then(|pem| RsaPublicKey::from_pem(&pem).map_err(|e| e.to_string())) {
                Ok(key) => ServerKey::Known(Arc::new(key)),
                Err(reason) => {
                    section.fault("server_public_key", format!("{}: {reason}", path.display()));
                    ServerKey::Forbidden
                }
            }
        }
    }
}

/// Reads `host:port`, `host`, `[::1]:3306`, `/path/of.sock`, `unix:/path/of.sock`.
pub(super) fn address(text: &str) -> Result<Address, String> {
    let bad = || format!("`{text}` is no address: write host:port, [IPv6]:port, or the path of a unix socket");
    if let Some(path) = text.strip_prefix("unix:").or_else(|| text.starts_with('/').then_some(text)) {
        return if path.is_empty() { Err(bad()) } else { Ok(Address::Unix(path.into())) };
    }
    let (host, port) = match text.strip_prefix('[') {
        Some(rest) => {
            let (host, after) = rest.split_once(']').ok_or_else(bad)?;
            host.parse::<std::net::Ipv6Addr>().map_err(|_| bad())?;
            (host, after.strip_prefix(':').or_else(|| after.is_empty().then_some("")).ok_or_else(bad)?)
        }
        None => match text.rsplit_once(':') {
            Some((host, _)) if host.contains(':') => return Err(bad()),
            Some((host, port)) => (host, port),
            None => (text, ""),
        },
    };
    let named = |c: char| c.is_ascii_alphanumeric() || matches!(c, '.' | '-' | '_' | ':');
    if host.is_empty() || !host.chars().all(named) || text.ends_with(':') {
        return Err(bad());
    }
    let port = if port.is_empty() { DEFAULT_PORT } else { port.parse().map_err(|_| bad())? };
    if port == 0 { Err(bad()) } else { Ok(Address::Tcp(host.into(), port)) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addresses() {
        let good = [
            ("db1:3307", "db1:3307"),
            ("db1", "db1:3306"),
            ("10.0.0.1:3306", "10.0.0.1:3306"),
            ("[::1]:3307", "[::1]:3307"),
            ("[fd00::2]", "[fd00::2]:3306"),
            ("/run/mysqld/mysqld.sock", "/run/mysqld/mysqld.sock"),
            ("unix:/tmp/a.sock", "/tmp/a.sock"),
        ];
        for (text, shown) in good {
            assert_eq!(address(text).map(|a| a.to_string()).as_deref(), Ok(shown), "{text}");
        }
        for bad in
            ["", ":3306", "db1:", "db1:0", "db1:x", "db1:70000", "::1", "[::1", "[x]:1", "[::1]x", "a b:1", "unix:"]
        {
            assert!(address(bad).is_err(), "{bad}");
        }
    }
}
