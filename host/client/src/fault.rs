//! Why a server is not believed.

use sandport_protocol::Fingerprint;

/// Why no encrypted connection came about, though somebody was there.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum TlsFault {
    /// No authority that is believed has signed the certificate.
    #[error("no authority that is trusted here has signed its certificate")]
    UnknownIssuer,
    /// The time of the certificate is over.
    #[error("its certificate has expired")]
    Expired,
    /// The time of the certificate has not begun, or the clock of this machine is wrong.
    #[error("its certificate is not valid yet, by the clock of this machine")]
    NotYetValid,
    /// The certificate is that of another host.
    #[error("its certificate is for another host name")]
    WrongName,
    /// The certificate is not the one that was named.
    #[error("its certificate has another fingerprint: {found}")]
    WrongPin {
        /// That of the certificate that the server has shown.
        found: Fingerprint,
    },
    /// The certificate is unfit in another way.
    #[error("its certificate is not accepted: {0}")]
    Certificate(String),
    /// What answers is no TLS.
    #[error("it does not speak TLS")]
    NotTls,
    /// The two sides have no version or no cipher in common, or one breaks the protocol.
    #[error("{0}")]
    Handshake(String),
    /// This machine knows no authority at all.
    #[error("no certificates of authorities were found on this machine")]
    NoAuthorities,
    /// What should be certificates of authorities is not.
    #[error("there is no certificate of an authority in PEM that could be used")]
    BadAuthorities,
    /// This build has nothing to encrypt with.
    #[error("this program was built without TLS")]
    Absent,
}

impl TlsFault {
    /// A stable word for the condition.
    pub fn code(&self) -> &'static str {
        match self {
            Self::UnknownIssuer => "tls-unknown-issuer",
            Self::Expired => "tls-expired",
            Self::NotYetValid => "tls-not-yet-valid",
            Self::WrongName => "tls-wrong-name",
            Self::WrongPin { .. } => "tls-wrong-fingerprint",
            Self::Certificate(_) => "tls-certificate",
            Self::NotTls => "not-tls",
            Self::Handshake(_) => "tls-handshake",
            Self::NoAuthorities => "tls-no-authorities",
            Self::BadAuthorities => "tls-bad-authorities",
            Self::Absent => "tls-absent",
        }
    }
}
