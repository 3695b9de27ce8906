//! TLS towards servers, where the router is the client: the modes of verification, the router's own certificate, and
//! the handshake.
//!
//! It does not ask whether a server offers TLS, or what to do if it does not: `backend::connect` does that. Roots,
//! certificates and keys are read by [`super`].

use super::{TlsError, certificates, private_key, provider, roots};
use crate::net::Stream;
use crate::net::stream::Plain;
use rustls::client::WebPkiServerVerifier;
use rustls::client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier};
use rustls::crypto::CryptoProvider;
use rustls::pki_types::{CertificateDer, ServerName, UnixTime};
use rustls::{CertificateError, ClientConfig, DigitallySignedStruct, Error, SignatureScheme};
use std::io;
use std::path::Path;
use std::sync::Arc;
use tokio_rustls::TlsConnector;

/// How much TLS is wanted towards a server; MySQL's own words.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub enum TlsMode {
    /// None.
    Disabled,
    /// TLS if the server has it, whoever the server is. The traffic is hidden from listeners, not from impostors.
    #[default]
    Preferred,
    /// TLS or nothing, whoever the server is.
    Required,
    /// TLS, and a certificate that a known authority signed, for whatever name.
    VerifyCa,
    /// TLS, and a certificate that a known authority signed for the name that we connect to.
    VerifyIdentity,
}

/// Who we are, for servers that ask for a certificate.
#[derive(Clone, Copy, Debug)]
pub struct ClientIdentity<'a> {
    /// PEM file with our certificate, and those that it was signed with.
    pub certificate: &'a Path,
    /// PEM file with its private key.
    pub key: &'a Path,
}

/// Versions of TLS that are spoken.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[allow(missing_docs)]
pub struct TlsVersions {
    pub v1_2: bool,
    pub v1_3: bool,
}

impl Default for TlsVersions {
    fn default() -> Self {
        TlsVersions { v1_2: true, v1_3: true }
    }
}

/// Builds the configuration for a mode; `None` for [`TlsMode::Disabled`].
///
/// # Errors
/// [`TlsError`]; [`TlsError::NoAuthority`] if a mode that verifies has nothing to verify by.
pub fn client_config(
    mode: TlsMode,
    authority: Option<&Path>,
    identity: Option<ClientIdentity<'_>>,
) -> Result<Option<Arc<ClientConfig>>, TlsError> {
    client_config_of(mode, authority, identity, TlsVersions::default())
}

/// The same, with these versions.
///
/// # Errors
/// As [`client_config`].
pub fn client_config_of(
    mode: TlsMode,
    authority: Option<&Path>,
    identity: Option<ClientIdentity<'_>>,
    versions: TlsVersions,
) -> Result<Option<Arc<ClientConfig>>, TlsError> {
    let verifier: Arc<dyn ServerCertVerifier> = match mode {
        TlsMode::Disabled => return Ok(None),
        TlsMode::Preferred | TlsMode::Required => Arc::new(Anybody(provider())),
        TlsMode::VerifyCa => Arc::new(AnyName(web_pki(authority)?)),
        TlsMode::VerifyIdentity => web_pki(authority)?,
    };
    let TlsVersions { v1_2, v1_3 } = versions;
    let spoken = [(v1_2, &rustls::version::TLS12), (v1_3, &rustls::version::TLS13)];
    let spoken: Vec<_> = spoken.into_iter().filter(|(is, _)| *is).map(|(_, version)| version).collect();
    let builder = ClientConfig::builder_with_provider(provider())
        .with_protocol_versions(&spoken)?
        .dangerous()
        .with_custom_certificate_verifier(verifier);
    let config = match identity {
        Some(ClientIdentity { certificate, key }) => {
            builder.with_client_auth_cert(certificates(certificate)?, private_key(key)?)?
        }
        None => builder.with_no_client_auth(),
    };
    Ok(Some(Arc::new(config)))
}

fn web_pki(authority: Option<&Path>) -> Result<Arc<WebPkiServerVerifier>, TlsError> {
    let roots = roots(authority.ok_or(TlsError::NoAuthority)?)?;
    Ok(WebPkiServerVerifier::builder_with_provider(roots, provider()).build()?)
}

/// Puts TLS around a server's stream. `host` is the name or address that we connected to.
///
/// # Errors
/// Those of the stream; `InvalidData` with a [`rustls::Error`] inside if the peers do not agree or the certificate is not
/// accepted; `InvalidInput` if `host` is neither a name nor an address.
pub async fn connect(plain: Plain, config: &Arc<ClientConfig>, host: &str) -> io::Result<Stream> {
    let name = ServerName::try_from(host.to_owned())
        .map_err(|_| io::Error::new(io::ErrorKind::InvalidInput, "no host name or address to verify"))?;
    let stream = TlsConnector::from(Arc::clone(config)).connect(name, plain).await?;
    Ok(Stream::TlsClient(Box::new(stream)))
}

/// Accepts any certificate, even such that webpki cannot read: X.509 version 1 comes with old MariaDB and MySQL servers that
/// made their own.
#[derive(Debug)]
struct Anybody(Arc<CryptoProvider>);

impl ServerCertVerifier for Anybody {
    fn verify_server_cert(
        &self,
        _: &CertificateDer<'_>,
        _: &[CertificateDer<'_>],
        _: &ServerName<'_>,
        _: &[u8],
        _: UnixTime,
    ) -> Result<ServerCertVerified, Error> {
        Ok(ServerCertVerified::assertion())
    }

    fn verify_tls12_signature(
        &self,
        _: &[u8],
        _: &CertificateDer<'_>,
        _: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        // Whoever may show any certificate may show one whose key they have: checking the signature proves nothing.
        Ok(HandshakeSignatureValid::assertion())
    }

    fn verify_tls13_signature(
        &self,
        _: &[u8],
        _: &CertificateDer<'_>,
        _: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        Ok(HandshakeSignatureValid::assertion())
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.0.signature_verification_algorithms.supported_schemes()
    }
}

/// Accepts a certificate that a known authority signed, whatever name it is for.
#[derive(Debug)]
struct AnyName(Arc<WebPkiServerVerifier>);

impl ServerCertVerifier for AnyName {
    fn verify_server_cert(
        &self,
        end_entity: &CertificateDer<'_>,
        intermediates: &[CertificateDer<'_>],
        server_name: &ServerName<'_>,
        ocsp_response: &[u8],
        now: UnixTime,
    ) -> Result<ServerCertVerified, Error> {
        // The name is the last thing that is checked, so this error says that all else was good.
        match self.0.verify_server_cert(end_entity, intermediates, server_name, ocsp_response, now) {
            Err(Error::InvalidCertificate(
                CertificateError::NotValidForName | CertificateError::NotValidForNameContext { .. },
            )) => Ok(ServerCertVerified::assertion()),
            other => other,
        }
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        dss: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        self.0.verify_tls12_signature(message, certificate, dss)
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        dss: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        self.0.verify_tls13_signature(message, certificate, dss)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.0.supported_verify_schemes()
    }
}
