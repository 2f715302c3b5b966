//! Making connections encrypted, all those of one run in the same way.

use std::io;
use std::net::IpAddr;
use std::sync::Arc;

use rustls::{CertificateError, ClientConfig, Error, RootCertStore};
use rustls_pki_types::pem::PemObject as _;
use rustls_pki_types::{CertificateDer, ServerName};
use tokio::net::TcpStream;
use tokio_rustls::TlsConnector;

use super::pin::{OtherCertificate, Pinned};
use super::{Protocol, TlsStream, Trust};
use crate::{SendError, TlsFault};

/// A name that is no host's: one that is believed by its fingerprint is not asked for by a name.
const NOBODY: &str = "sandport.invalid";

/// How the connections of a run are encrypted.
pub(crate) struct Connector {
    tls: TlsConnector,
    /// Whether the name of the host says nothing.
    is_pinned: bool,
}

impl Connector {
    /// To speak this with servers that are believed so. It reads the authorities that the system knows.
    ///
    /// # Errors
    /// [`SendError::Tls`], where there is nobody to believe.
    pub(crate) async fn new(to: &str, trust: Trust, protocol: Protocol) -> Result<Self, SendError> {
        let failed = |fault| SendError::Tls { to: to.to_owned(), fault };
        let is_pinned = matches!(trust, Trust::Pin(_));
        let provider = Arc::new(rustls::crypto::ring::default_provider());
        let builder = ClientConfig::builder_with_provider(Arc::clone(&provider))
            .with_protocol_versions(&[&rustls::version::TLS13, &rustls::version::TLS12])
            .map_err(|error| failed(TlsFault::Handshake(error.to_string())))?;
        let config = match trust {
            Trust::Pin(to) => {
                let verifier = Arc::new(Pinned { to, provider });
                builder.dangerous().with_custom_certificate_verifier(verifier)
            }
            Trust::Authorities(own) => {
                let roots = match own {
                    Some(pem) => roots_in(&pem).map_err(failed)?,
                    None => system_roots().await.map_err(failed)?,
                };
                builder.with_root_certificates(roots)
            }
        };
        let mut config = config.with_no_client_auth();
        config.alpn_protocols = match protocol {
            Protocol::Native => vec![b"sandport".to_vec()],
            Protocol::Http => vec![b"http/1.1".to_vec()],
            Protocol::Classic => Vec::new(),
        };
        Ok(Self { tls: TlsConnector::from(Arc::new(config)), is_pinned })
    }

    /// Encrypts a connection. `host`: the name that the certificate has to be for.
    ///
    /// # Errors
    /// [`SendError::Tls`], and [`SendError::Cut`] where the connection has ended.
    pub(crate) async fn connect(
        &self,
        stream: TcpStream,
        host: &str,
        to: &str,
    ) -> Result<TlsStream, SendError> {
        let failed = |fault| SendError::Tls { to: to.to_owned(), fault };
        let name = match name_of(host) {
            Some(name) => name,
            None if self.is_pinned => ServerName::try_from(NOBODY)
                .map_err(|error| failed(TlsFault::Handshake(error.to_string())))?,
            None => return Err(failed(TlsFault::WrongName)),
        };
        match self.tls.connect(name, stream).await {
            Ok(stream) => Ok(TlsStream::new(stream)),
            Err(error) => Err(fault_of(&error).map_or(SendError::Cut, failed)),
        }
    }
}

/// What a certificate calls the host. `None`: none can be for it.
fn name_of(host: &str) -> Option<ServerName<'static>> {
    // The zone of a link-local address is a matter of this machine.
    let host = host.split('%').next().unwrap_or(host);
    match host.parse::<IpAddr>() {
        Ok(ip) => Some(ServerName::from(ip)),
        Err(_) => ServerName::try_from(host.to_owned()).ok(),
    }
}

/// The certificates in a file of them.
fn roots_in(pem: &[u8]) -> Result<RootCertStore, TlsFault> {
    let mut roots = RootCertStore::empty();
    for certificate in CertificateDer::pem_slice_iter(pem) {
        let certificate = certificate.map_err(|_| TlsFault::BadAuthorities)?;
        roots.add(certificate).map_err(|_| TlsFault::BadAuthorities)?;
    }
    if roots.is_empty() { Err(TlsFault::BadAuthorities) } else { Ok(roots) }
}

/// Those that the system has. What of them cannot be used is left out, as by other programs.
async fn system_roots() -> Result<RootCertStore, TlsFault> {
    // Files of some hundred KiB.
    let found = tokio::task::spawn_blocking(rustls_native_certs::load_native_certs).await;
    let found = found.map_err(|_| TlsFault::NoAuthorities)?;
    for error in &found.errors {
        tracing::debug!(%error, "cannot read certificates of authorities");
    }
    let mut roots = RootCertStore::empty();
    roots.add_parsable_certificates(found.certs);
    if roots.is_empty() { Err(TlsFault::NoAuthorities) } else { Ok(roots) }
}

/// What is wrong with the server; `None`: the connection was cut.
fn fault_of(error: &io::Error) -> Option<TlsFault> {
    let error = error.get_ref()?.downcast_ref::<Error>()?;
    Some(match error {
        Error::InvalidCertificate(error) => match error {
            CertificateError::Expired | CertificateError::ExpiredContext { .. } => {
                TlsFault::Expired
            }
            CertificateError::NotValidYet | CertificateError::NotValidYetContext { .. } => {
                TlsFault::NotYetValid
            }
            CertificateError::UnknownIssuer => TlsFault::UnknownIssuer,
            CertificateError::NotValidForName | CertificateError::NotValidForNameContext { .. } => {
                TlsFault::WrongName
            }
            CertificateError::Other(other) => match other.0.downcast_ref::<OtherCertificate>() {
                Some(OtherCertificate(found)) => TlsFault::WrongPin { found: *found },
                None => TlsFault::Certificate(other.to_string()),
            },
            error => TlsFault::Certificate(format!("{error:?}")),
        },
        Error::InvalidMessage(_) => TlsFault::NotTls,
        error => TlsFault::Handshake(error.to_string()),
    })
}
