//! TLS towards clients, where the router is the server: the router's certificate, the check of a client's certificate,
//! and the handshake.
//!
//! It does not decide which clients must use TLS; accounts and listeners say that, and the sign-in holds clients to it.
//! Certificates and keys are read by [`super`].

use super::{TlsError, certificates, private_key, provider, roots};
use crate::net::Stream;
use crate::net::stream::Plain;
use rustls::ServerConfig;
use rustls::pki_types::{PrivateKeyDer, PrivatePkcs8KeyDer};
use rustls::server::WebPkiClientVerifier;
use std::io;
use std::path::Path;
use std::sync::Arc;
use tokio_rustls::TlsAcceptor;

/// Where our certificate comes from.
#[derive(Clone, Copy, Debug)]
pub enum ServerIdentity<'a> {
    /// PEM files.
    Files {
        /// The certificate, and those that it was signed with.
        certificate: &'a Path,
        /// Its private key.
        key: &'a Path,
    },
    /// One made now, signed by itself, for `localhost`: good against listeners, not against impostors.
    SelfSigned,
}

/// Builds the configuration. With `client_authority`, a client must show a certificate that these authorities signed.
///
/// # Errors
/// [`TlsError`].
pub fn server_config(
    identity: ServerIdentity<'_>,
    client_authority: Option<&Path>,
) -> Result<Arc<ServerConfig>, TlsError> {
    let (chain, key) = match identity {
        ServerIdentity::Files { certificate, key } => (certificates(certificate)?, private_key(key)?),
        ServerIdentity::SelfSigned => {
            let made = rcgen::generate_simple_self_signed(["localhost".to_owned()])?;
            let key = PrivatePkcs8KeyDer::from(made.signing_key.serialize_der());
            (vec![made.cert.der().clone()], PrivateKeyDer::Pkcs8(key))
        }
    };
    let builder = ServerConfig::builder_with_provider(provider()).with_safe_default_protocol_versions()?;
    let builder = match client_authority {
        Some(path) => {
            let verifier = WebPkiClientVerifier::builder_with_provider(roots(path)?, provider()).build()?;
            builder.with_client_cert_verifier(verifier)
        }
        None => builder.with_no_client_auth(),
    };
    let mut config = builder.with_single_cert(chain, key)?;
    // A ticket is an extra write for every client, and MySQL clients do not resume sessions.
    config.send_tls13_tickets = 0;
    Ok(Arc::new(config))
}

/// Puts TLS around a client's stream; `early` is what was already read of the client's TLS bytes.
///
/// # Errors
/// Those of the stream; `InvalidData` with a [`rustls::Error`] inside if the peers do not agree.
pub async fn accept(plain: Plain, config: &Arc<ServerConfig>, mut early: &[u8]) -> io::Result<Stream> {
    let mut broken = None;
    let acceptor = TlsAcceptor::from(Arc::clone(config));
    let accept = acceptor.accept_with(plain, |session| {
        while !early.is_empty() && broken.is_none() {
            broken = match session.read_tls(&mut early) {
                // After a closing alert nothing more is taken.
                Ok(0) => Some(io::ErrorKind::UnexpectedEof.into()),
                Ok(_) => session.process_new_packets().err().map(|e| io::Error::new(io::ErrorKind::InvalidData, e)),
                Err(error) => Some(error),
            };
        }
    });
    // The handshake would wait for more bytes before it looked at these again.
    match broken {
        Some(error) => Err(error),
        None => accept.await.map(|stream| Stream::TlsServer(Box::new(stream))),
    }
}
