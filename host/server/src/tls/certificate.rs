//! One certificate with its key, checked as far as that goes without a client.

use std::sync::Arc;

use rustls::client::verify_server_cert_signed_by_trust_anchor;
use rustls::server::ParsedCertificate;
use rustls::sign::CertifiedKey;
use rustls::{CertificateError, Error, InconsistentKeys, RootCertStore};
use rustls_pki_types::pem::PemObject as _;
use rustls_pki_types::{CertificateDer, PrivateKeyDer, UnixTime};
use sandport_protocol::Fingerprint;
use sha2::{Digest as _, Sha256};

use super::TlsError;

/// A certificate that can be shown.
#[derive(Clone, Debug)]
pub(super) struct Certificate {
    pub(super) key: Arc<CertifiedKey>,
    pub(super) fingerprint: Fingerprint,
}

impl Certificate {
    /// From PEM, with what stands between it and the root behind it.
    pub(super) fn from_pem(certificate: &[u8], key: &[u8]) -> Result<Self, TlsError> {
        let chain: Vec<CertificateDer<'static>> = CertificateDer::pem_slice_iter(certificate)
            .collect::<Result<_, _>>()
            .map_err(|error| TlsError::Unusable(error.to_string()))?;
        let first = chain.first().ok_or(TlsError::NoCertificate)?;
        let fingerprint = Fingerprint(Sha256::digest(first).into());
        check_time(first)?;
        let key = PrivateKeyDer::from_pem_slice(key).map_err(|_| TlsError::NoKey)?;
        let provider = rustls::crypto::ring::default_provider();
        let key = CertifiedKey::from_der(chain, key, &provider).map_err(|error| match error {
            Error::InconsistentKeys(InconsistentKeys::KeyMismatch) => TlsError::Mismatch,
            error => TlsError::Unusable(error.to_string()),
        })?;
        Ok(Self { key: Arc::new(key), fingerprint })
    }
}

/// Clients refuse what has expired, each with words of its own: better the operator hears it.
///
/// Checked as a client does that knows no authority but the certificate itself: the dates come first, and what else
/// such a client says is no matter here.
fn check_time(certificate: &CertificateDer<'_>) -> Result<(), TlsError> {
    let unusable = |error: Error| TlsError::Unusable(error.to_string());
    let parsed = ParsedCertificate::try_from(certificate).map_err(unusable)?;
    let mut itself = RootCertStore::empty();
    itself.add(certificate.clone().into_owned()).map_err(unusable)?;
    let algorithms = rustls::crypto::ring::default_provider().signature_verification_algorithms;
    let now = UnixTime::now();
    match verify_server_cert_signed_by_trust_anchor(&parsed, &itself, &[], now, algorithms.all) {
        Err(Error::InvalidCertificate(
            CertificateError::Expired | CertificateError::ExpiredContext { .. },
        )) => Err(TlsError::Expired),
        Err(Error::InvalidCertificate(
            CertificateError::NotValidYet | CertificateError::NotValidYetContext { .. },
        )) => {
            // Where the clock of this machine is wrong, nothing is wrong with the certificate.
            tracing::warn!("the certificate is not valid yet, by the clock of this machine");
            Ok(())
        }
        _ => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use rcgen::{CertificateParams, KeyPair};

    use super::*;

    fn made(change: impl FnOnce(&mut CertificateParams)) -> (String, String) {
        let key = KeyPair::generate().unwrap();
        let mut params = CertificateParams::new(vec![String::from("localhost")]).unwrap();
        change(&mut params);
        (params.self_signed(&key).unwrap().pem(), key.serialize_pem())
    }

    fn code(certificate: &str, key: &str) -> &'static str {
        Certificate::from_pem(certificate.as_bytes(), key.as_bytes()).unwrap_err().code()
    }

    #[test]
    fn a_certificate_has_the_fingerprint_of_its_der() {
        let (certificate, key) = made(|_| {});
        let der = CertificateDer::from_pem_slice(certificate.as_bytes()).unwrap();
        let read = Certificate::from_pem(certificate.as_bytes(), key.as_bytes()).unwrap();
        assert_eq!(read.fingerprint, Fingerprint(Sha256::digest(der).into()));
        let both = format!("{key}{certificate}");
        let one_file = Certificate::from_pem(both.as_bytes(), both.as_bytes()).unwrap();
        assert_eq!(one_file.fingerprint, read.fingerprint);
    }

    #[test]
    fn each_fault_of_a_certificate_has_a_word_of_its_own() {
        let (certificate, key) = made(|_| {});
        let (_, stranger) = made(|_| {});
        let (expired, its_key) = made(|params| params.not_after = rcgen::date_time_ymd(2020, 1, 1));
        assert_eq!(code(&certificate, &stranger), "tls-mismatch");
        assert_eq!(code(&expired, &its_key), "tls-expired");
        assert_eq!(code(&key, &key), "tls-no-certificate");
        assert_eq!(code(&certificate, &certificate), "tls-no-key");
        assert_eq!(code("", ""), "tls-no-certificate");
        let torn = certificate.replace("END CERTIFICATE", "");
        assert_eq!(code(&torn, &key), "tls-unusable");
        let damaged = "-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n";
        assert_eq!(code(damaged, &key), "tls-unusable");
    }

    #[test]
    fn one_whose_time_has_not_begun_is_shown_all_the_same() {
        let (early, key) = made(|params| params.not_before = rcgen::date_time_ymd(3000, 1, 1));
        assert!(Certificate::from_pem(early.as_bytes(), key.as_bytes()).is_ok());
    }
}
