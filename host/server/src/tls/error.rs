//! Why a certificate cannot be shown.

use std::io;
use std::path::PathBuf;

use sandport_inbox::InboxError;

use crate::error_kind::ServerErrorKind;

/// Why a certificate cannot be shown.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum TlsError {
    /// A file cannot be read.
    #[error("cannot read {}: {source}", path.display())]
    Read {
        /// Which.
        path: PathBuf,
        /// What the system said.
        source: io::Error,
    },
    /// There is no certificate in what should be one.
    #[error("the certificate file has no certificate in PEM")]
    NoCertificate,
    /// There is no private key in what should be one.
    #[error(
        "the key file has no private key in PEM (PKCS #8, PKCS #1 or SEC 1) that is not encrypted"
    )]
    NoKey,
    /// The key belongs to another certificate.
    #[error("the private key does not belong to the certificate")]
    Mismatch,
    /// Its time is over.
    #[error("the certificate has expired")]
    Expired,
    /// It is none that can be used.
    #[error("the certificate or its key cannot be used: {0}")]
    Unusable(String),
    /// One could not be made.
    #[error("cannot make a certificate: {0}")]
    Make(String),
    /// It cannot be kept in the inbox, or read there.
    #[error(transparent)]
    Inbox(#[from] InboxError),
}

impl TlsError {
    /// What kind of failure it is.
    pub fn kind(&self) -> ServerErrorKind {
        match self {
            Self::Inbox(error) => error.kind().into(),
            Self::Read { .. } | Self::Make(_) => ServerErrorKind::Local,
            _ => ServerErrorKind::Usage,
        }
    }

    /// A stable word for the condition.
    pub fn code(&self) -> &'static str {
        match self {
            Self::Read { .. } => "tls-read",
            Self::NoCertificate => "tls-no-certificate",
            Self::NoKey => "tls-no-key",
            Self::Mismatch => "tls-mismatch",
            Self::Expired => "tls-expired",
            Self::Unusable(_) => "tls-unusable",
            Self::Make(_) => "tls-make",
            Self::Inbox(error) => error.code(),
        }
    }
}
