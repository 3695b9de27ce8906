//! `[[hostgroup]]` and `[[backend]]`.

use super::backends::{AdminStatus, BackendAddress, BackendSettings, BackendTls, HostgroupSettings, Policy, TlsMode};
use super::reader::Section;
use crate::rules::{Hostgroup, Role};

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
    section.finish(&[]);
    let (id, role) = (id?, role?);
    if role == Role::Writer && writer.is_some() {
        section.fault("writer", "is for readers: who is their writer");
    }
    let settings = HostgroupSettings { id, name: name.clone(), writer: role == Role::Writer, policy };
    Some((Hostgroup { id, name, role, horizon, writer }, settings))
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
    let settings = BackendSettings {
        hostgroups,
        address: address.clone().unwrap_or(BackendAddress::Unix(Default::default())),
        weight: section.small("weight", 0..=10_000_000).unwrap_or(1),
        max_connections: section.small("max_connections", 1..=1_000_000).unwrap_or(1_000),
        zone: section.text("zone").map(Into::into),
        status: section.choice("status", &AdminStatus::NAMES).unwrap_or_default(),
        tls: tls(section),
        comment: section.text("comment").unwrap_or_default().into(),
    };
    section.finish(&[
        ("hostname", "is part of `address` here: \"host:port\""),
        ("port", "is part of `address` here: \"host:port\""),
        ("hostgroup_id", "is spelled `hostgroup` here"),
        ("use_ssl", "is spelled `tls` here"),
        ("max_replication_lag", "is not supported yet"),
        ("compression", "is not supported yet"),
    ]);
    address.map(|_| settings)
}

/// `tls = "required"`, or a table with the mode and the files.
fn tls(section: &Section<'_>) -> BackendTls {
    if !section.is_table("tls") {
        return BackendTls {
            mode: section.choice("tls", &TlsMode::NAMES).unwrap_or_default(),
            ..BackendTls::default()
        };
    }
    let Some(table) = section.section("tls") else { return BackendTls::default() };
    let tls = BackendTls {
        mode: table.choice("mode", &TlsMode::NAMES).unwrap_or(TlsMode::Required),
        ca: table.path("ca"),
        cert: table.path("cert"),
        key: table.path("key"),
        server_name: table.text("server_name").map(Into::into),
    };
    table.finish(&[]);
    for (key, path) in [("ca", &tls.ca), ("cert", &tls.cert), ("key", &tls.key)] {
        if let Some(path) = path.as_ref().filter(|p| !p.is_file()) {
            table.fault(key, format!("{} is not there", path.display()));
        }
    }
    if tls.cert.is_some() != tls.key.is_some() {
        table.fault(if tls.cert.is_some() { "cert" } else { "key" }, "cert and key go together");
    }
    tls
}

/// Reads `host:port`, `host`, `[::1]:3306`, `/path/of.sock`, `unix:/path/of.sock`.
pub(super) fn address(text: &str) -> Result<BackendAddress, String> {
    let bad = || format!("`{text}` is no address: write host:port, [IPv6]:port, or the path of a unix socket");
    if let Some(path) = text.strip_prefix("unix:").or_else(|| text.starts_with('/').then_some(text)) {
        return if path.is_empty() { Err(bad()) } else { Ok(BackendAddress::Unix(path.into())) };
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
    if port == 0 { Err(bad()) } else { Ok(BackendAddress::Tcp { host: host.into(), port }) }
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
