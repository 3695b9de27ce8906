//! TLS settings, both ways, and the handshakes.
//!
//! rustls with the aws-lc-rs provider, TLS 1.2 and 1.3. Configurations are built once and shared; a reload builds new ones,
//! and connections that are open keep theirs. Refused: SSL 3, TLS 1.0 and 1.1, RSA key exchange without forward secrecy.

mod client;
mod server;

pub use client::{ClientIdentity, TlsMode, TlsVersions, client_config, client_config_of, connect};
pub use server::{ServerIdentity, accept, server_config};

use rustls::crypto::CryptoProvider;
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use std::path::{Path, PathBuf};
use std::sync::{Arc, OnceLock};

/// A TLS setting that cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum TlsError {
    /// A file cannot be read, or holds no PEM of the wanted kind.
    #[error("cannot read {what} from {}: {source}", path.display())]
    File {
        /// What was looked for.
        what: &'static str,
        /// The file.
        path: PathBuf,
        /// Why not.
        source: rustls::pki_types::pem::Error,
    },
    /// A file holds no certificate.
    #[error("{} holds no certificate", .0.display())]
    NoCertificate(PathBuf),
    /// rustls does not accept the certificate, the key, or both together.
    #[error("certificate or key cannot be used: {0}")]
    Rustls(#[from] rustls::Error),
    /// The certificate authority's certificates cannot be used to verify anybody.
    #[error("certificate authority cannot be used: {0}")]
    Authority(#[from] rustls::server::VerifierBuilderError),
    /// No certificate could be made.
    #[error("cannot make a certificate: {0}")]
    Generate(#[from] rcgen::Error),
    /// Verifying a server needs something to verify it by.
    #[error("verifying a server's certificate needs a file of certificate authorities")]
    NoAuthority,
}

fn provider() -> Arc<CryptoProvider> {
    static PROVIDER: OnceLock<Arc<CryptoProvider>> = OnceLock::new();
    Arc::clone(PROVIDER.get_or_init(|| Arc::new(rustls::crypto::aws_lc_rs::default_provider())))
}

fn certificates(path: &Path) -> Result<Vec<CertificateDer<'static>>, TlsError> {
    let file = |source| TlsError::File { what: "certificates", path: path.to_owned(), source };
    let all = CertificateDer::pem_file_iter(path).map_err(file)?.collect::<Result<Vec<_>, _>>().map_err(file)?;
    match all.is_empty() {
        true => Err(TlsError::NoCertificate(path.to_owned())),
        false => Ok(all),
    }
}

fn private_key(path: &Path) -> Result<PrivateKeyDer<'static>, TlsError> {
    let file = |source| TlsError::File { what: "a private key", path: path.to_owned(), source };
    PrivateKeyDer::from_pem_file(path).map_err(file)
}

fn roots(path: &Path) -> Result<Arc<rustls::RootCertStore>, TlsError> {
    let mut store = rustls::RootCertStore::empty();
    for certificate in certificates(path)? {
        store.add(certificate)?;
    }
    Ok(Arc::new(store))
}
