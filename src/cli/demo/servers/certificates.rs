//! Throw-away certificates for tests: an authority, a server certificate for loopback names, and a client certificate.
//!
//! [`super::Options`] gives them to a server. Each set is made anew and removed when it is dropped; nothing trusts it
//! but who is given its files.

use super::place::RunDir;
use super::{Result, ServerError, at};
use rcgen::{
    BasicConstraints, CertificateParams, CertifiedIssuer, DnType, ExtendedKeyUsagePurpose, IsCa, KeyPair,
    KeyUsagePurpose,
};
use std::path::PathBuf;

/// A set of PEM files, removed when dropped.
#[derive(Debug)]
pub struct Certificates {
    dir: RunDir,
}

impl Certificates {
    /// Makes a new authority and, signed by it, a server certificate for `localhost`, `127.0.0.1` and `::1`, and a client
    /// certificate. Two sets do not trust each other.
    pub fn new() -> Result<Self> {
        Certificates::for_names(&["localhost", "127.0.0.1", "::1"])
    }

    /// The same with other names in the server certificate, to be refused where names are checked.
    pub fn for_names(names: &[&str]) -> Result<Self> {
        let set = Certificates { dir: RunDir::new()? };
        set.write(names)?;
        Ok(set)
    }

    fn write(&self, names: &[&str]) -> Result<()> {
        let failed = |error: rcgen::Error| ServerError::Certificates(error.to_string());
        let mut params = named("switchboard test authority");
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        params.key_usages = vec![KeyUsagePurpose::KeyCertSign, KeyUsagePurpose::CrlSign];
        let authority = CertifiedIssuer::self_signed(params, KeyPair::generate().map_err(failed)?).map_err(failed)?;
        self.put("ca.pem", &authority.pem())?;

        let mut params = named("switchboard test server");
        for name in names {
            let name = (*name).to_owned();
            params.subject_alt_names.push(match name.parse() {
                Ok(address) => rcgen::SanType::IpAddress(address),
                Err(_) => rcgen::SanType::DnsName(name.try_into().map_err(failed)?),
            });
        }
        params.extended_key_usages = vec![ExtendedKeyUsagePurpose::ServerAuth];
        self.put_pair("server", params, &authority).map_err(failed)??;

        let mut params = named("switchboard test client");
        params.extended_key_usages = vec![ExtendedKeyUsagePurpose::ClientAuth];
        self.put_pair("client", params, &authority).map_err(failed)?
    }

    fn put_pair(
        &self,
        name: &str,
        params: CertificateParams,
        authority: &CertifiedIssuer<'_, KeyPair>,
    ) -> std::result::Result<Result<()>, rcgen::Error> {
        let key = KeyPair::generate()?;
        let certificate = params.signed_by(&key, authority)?;
        let written = self.put(&format!("{name}.pem"), &certificate.pem());
        Ok(written.and_then(|()| self.put(&format!("{name}.key"), &key.serialize_pem())))
    }

    fn put(&self, name: &str, pem: &str) -> Result<()> {
        let path = self.dir.path().join(name);
        std::fs::write(&path, pem).map_err(at("write", &path))
    }

    /// The authority's certificate.
    pub fn ca(&self) -> PathBuf {
        self.dir.path().join("ca.pem")
    }

    /// The server's certificate.
    pub fn server_certificate(&self) -> PathBuf {
        self.dir.path().join("server.pem")
    }

    /// The server's key.
    pub fn server_key(&self) -> PathBuf {
        self.dir.path().join("server.key")
    }

    /// The client's certificate.
    pub fn client_certificate(&self) -> PathBuf {
        self.dir.path().join("client.pem")
    }

    /// The client's key.
    pub fn client_key(&self) -> PathBuf {
        self.dir.path().join("client.key")
    }
}

/// Parameters with a common name and ten years to live.
fn named(name: &str) -> CertificateParams {
    let mut params = CertificateParams::default();
    params.distinguished_name.push(DnType::CommonName, name);
    params
}
