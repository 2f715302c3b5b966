//! TLS on the port where everything else is: which certificate the server has, and who has to encrypt.
//!
//! A connection whose first byte is that of a TLS record is decrypted, and what comes out of it goes the way of
//! everything else: into a sandbox. Of what is sent without TLS the server reads that byte, and of what is sent
//! with it rustls reads the handshake; no more is parsed outside.

mod certificate;
mod error;
mod files;
mod handshake;
mod plaintext;
mod rule;
mod self_signed;

use std::path::Path;
use std::sync::{Arc, Mutex, PoisonError};

use rustls::ServerConfig;
use rustls::server::{ClientHello, ResolvesServerCert};
use rustls::sign::CertifiedKey;
use sandport_inbox::Inbox;
use sandport_protocol::Fingerprint;

use crate::event::{EventSink, ServerEvent};
use certificate::Certificate;
use files::{Files, Reread};

pub use error::TlsError;
pub(crate) use handshake::{Rules, secure};
pub use rule::TlsRule;

/// What is spoken within TLS: RFC 7301. A client that names neither, and one that names none, is told apart by the
/// first byte that it sends.
const PROTOCOLS: [&[u8]; 2] = [b"http/1.1", b"sandport"];

/// The certificate of a server, and how it is shown. Made by [`Tls::from_files`], [`Tls::from_pem`] or
/// [`Tls::self_signed`], for [`ServerBuilder::tls`](crate::ServerBuilder::tls).
#[derive(Debug)]
pub struct Tls {
    current: Arc<Current>,
    config: Arc<ServerConfig>,
    files: Option<Files>,
    is_self_signed: bool,
}

/// The certificate that is shown now.
#[derive(Debug)]
struct Current(Mutex<Certificate>);

impl Tls {
    /// The certificate in `certificate`, with those of the authorities between it and the root behind it, and its
    /// private key in `key`, both in PEM. The files may be one and the same. They are read again when they change.
    ///
    /// # Errors
    /// [`TlsError`]: among others where they cannot be read, do not belong together, or have expired.
    pub fn from_files(certificate: &Path, key: &Path) -> Result<Self, TlsError> {
        let (files, first) = Files::read(certificate, key)?;
        let tls = Self::of(first)?;
        Ok(Self { files: Some(files), ..tls })
    }

    /// A certificate and its key, in PEM.
    ///
    /// # Errors
    /// As of [`Self::from_files`].
    pub fn from_pem(certificate: &[u8], key: &[u8]) -> Result<Self, TlsError> {
        Self::of(Certificate::from_pem(certificate, key)?)
    }

    /// A certificate that the server has signed itself. It is made once, and kept in the inbox. No client knows who
    /// has signed it: who wants to know whom it talks to compares the [fingerprint](Self::fingerprint).
    ///
    /// # Errors
    /// [`TlsError`]: it cannot be made, read or kept.
    pub fn self_signed(inbox: &Inbox) -> Result<Self, TlsError> {
        let pem = inbox.tls_identity(self_signed::make)?;
        let tls = Self::from_pem(pem.as_bytes(), pem.as_bytes())?;
        Ok(Self { is_self_signed: true, ..tls })
    }

    fn of(certificate: Certificate) -> Result<Self, TlsError> {
        let current = Arc::new(Current(Mutex::new(certificate)));
        let provider = Arc::new(rustls::crypto::ring::default_provider());
        let mut config = ServerConfig::builder_with_provider(provider)
            .with_protocol_versions(&[&rustls::version::TLS13, &rustls::version::TLS12])
            .map_err(|error| TlsError::Unusable(error.to_string()))?
            .with_no_client_auth()
            .with_cert_resolver(Arc::clone(&current) as Arc<dyn ResolvesServerCert>);
        config.alpn_protocols = PROTOCOLS.iter().map(|name| name.to_vec()).collect();
        Ok(Self { current, config: Arc::new(config), files: None, is_self_signed: false })
    }

    /// The SHA-256 digest of the certificate that is shown now.
    pub fn fingerprint(&self) -> Fingerprint {
        self.current.with(|certificate| certificate.fingerprint)
    }

    /// Whether it is the server's own, which no authority has signed: see [`Self::self_signed`].
    pub fn is_self_signed(&self) -> bool {
        self.is_self_signed
    }

    /// Reads the files again, where they have changed and were not looked at just now. One that cannot be used is
    /// told, and what was shown before is shown on.
    async fn refresh(&self, events: &EventSink) {
        let Some(files) = &self.files else { return };
        match files.reread().await {
            Reread::Same => {}
            Reread::Changed(certificate) => {
                let fingerprint = certificate.fingerprint;
                self.current.set(*certificate);
                events.emit(ServerEvent::CertificateChanged { fingerprint });
            }
            Reread::Failed(error) => events.emit(ServerEvent::CertificateKept {
                code: error.code(),
                reason: error.to_string(),
            }),
        }
    }
}

impl Current {
    fn with<T>(&self, look: impl FnOnce(&Certificate) -> T) -> T {
        look(&self.0.lock().unwrap_or_else(PoisonError::into_inner))
    }

    fn set(&self, certificate: Certificate) {
        *self.0.lock().unwrap_or_else(PoisonError::into_inner) = certificate;
    }
}

impl ResolvesServerCert for Current {
    fn resolve(&self, _: ClientHello<'_>) -> Option<Arc<CertifiedKey>> {
        // Whatever name the client asks for: it knows what to make of another one.
        Some(self.with(|certificate| Arc::clone(&certificate.key)))
    }
}
