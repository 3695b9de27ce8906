//! `[[server_tls]]`: which certificates are used towards a server, for all users or for one: ProxySQL's
//! `mysql_servers_ssl_params`.
//!
//! Whether TLS is wanted, and whether a server's name is checked, stays with the `[[backend]]`.

use super::backends::BackendSettings;
use super::reader::Section;
use crate::backend::connect::Address;
use crate::net::tls::{ClientIdentity, TlsMode, TlsVersions, client_config_of};
use std::path::PathBuf;

/// One entry.
#[derive(Clone, Debug)]
pub(super) struct ServerTls {
    address: Address,
    /// The name behind; none: everybody who has no entry of his own.
    pub username: Option<Box<str>>,
    ca: Option<PathBuf>,
    cert: Option<PathBuf>,
    key: Option<PathBuf>,
    versions: TlsVersions,
}

impl ServerTls {
    /// True if both are for the same connections.
    pub fn is_for_same(&self, other: &Self) -> bool {
        self.address == other.address && self.username == other.username
    }
}

/// Reads one.
pub(super) fn read(section: &Section<'_>) -> Option<ServerTls> {
    let address = section.parsed("address", super::topology::address);
    if !section.contains("address") {
        section.fault("", "address is missing: that of a [[backend]]");
    }
    let file = |key| section.text(key).filter(|text| !text.is_empty()).and_then(|_| section.path(key));
    let read = ServerTls {
        address: address?,
        username: section.text("username").filter(|name| !name.is_empty()).map(Into::into),
        ca: file("ca"),
        cert: file("cert"),
        key: file("key"),
        versions: section.parsed("tls_version", versions).unwrap_or_default(),
    };
    section.text("comment");
    section.kept();
    section.finish(&[
        ("ssl_ca", "is spelled `ca` here"),
        ("ssl_cert", "is spelled `cert` here"),
        ("ssl_key", "is spelled `key` here"),
    ]);
    if read.cert.is_some() != read.key.is_some() {
        section.fault(if read.cert.is_some() { "cert" } else { "key" }, "cert and key go together");
        return None;
    }
    Some(read)
}

/// Puts an entry in the place of what its backends say of certificates.
pub(super) fn apply<'a>(
    own: &ServerTls,
    section: &Section<'_>,
    backends: impl Iterator<Item = &'a mut BackendSettings>,
) {
    let mut there = false;
    for backend in backends.filter(|backend| backend.target.address == own.address) {
        there = true;
        let mode = match (backend.target.tls_mode, &own.ca) {
            (TlsMode::Disabled, _) => {
                section.warn("address", "its [[backend]] has no TLS: this is without effect");
                continue;
            }
            (TlsMode::VerifyIdentity, _) => TlsMode::VerifyIdentity,
            // Who names an authority wants it to be asked.
            (_, Some(_)) | (TlsMode::VerifyCa, None) => TlsMode::VerifyCa,
            (mode, None) => mode,
        };
        let identity = own.cert.as_deref().zip(own.key.as_deref());
        let identity = identity.map(|(certificate, key)| ClientIdentity { certificate, key });
        match (client_config_of(mode, own.ca.as_deref(), identity, own.versions), &own.username) {
            (Ok(Some(config)), Some(user)) => backend.target.tls_of_users.push((user.clone(), config)),
            (Ok(config), _) => backend.target.tls = config,
            (Err(error), _) => {
                section.fault("", error.to_string());
                return;
            }
        }
    }
    if !there {
        section.warn("address", "no [[backend]] has this address");
    }
}

/// `TLSv1.2`, `TLSv1.3`, or both, separated by commas; nothing is both.
fn versions(text: &str) -> Result<TlsVersions, String> {
    let mut versions = TlsVersions { v1_2: false, v1_3: false };
    for word in text.split(',').map(str::trim).filter(|word| !word.is_empty()) {
        match word.to_ascii_lowercase().as_str() {
            "tlsv1.2" => versions.v1_2 = true,
            "tlsv1.3" => versions.v1_3 = true,
            _ => return Err(format!("`{word}` is no version that is spoken here: write TLSv1.2, TLSv1.3, or both")),
        }
    }
    Ok(if versions == (TlsVersions { v1_2: false, v1_3: false }) { TlsVersions::default() } else { versions })
}
