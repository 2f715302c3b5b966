//! The certificate that a server makes for itself.

use rcgen::{CertificateParams, DistinguishedName, DnType, KeyPair};

use super::TlsError;

/// What it is called. Nobody goes by it: a sender compares the fingerprint.
const NAME: &str = "Sandport";

/// A key and a certificate that it has signed, in PEM.
///
/// It never expires: there is nobody who would sign the next one, and a sender who knows the fingerprint does not
/// look at the dates. Its name is no host's, so that nobody takes it for the certificate of one.
pub(super) fn make() -> Result<String, TlsError> {
    let failed = |error: rcgen::Error| TlsError::Make(error.to_string());
    let key = KeyPair::generate().map_err(failed)?;
    let mut params = CertificateParams::new(vec![String::from("localhost")]).map_err(failed)?;
    params.distinguished_name = DistinguishedName::new();
    params.distinguished_name.push(DnType::CommonName, NAME);
    let certificate = params.self_signed(&key).map_err(failed)?;
    Ok(format!("{}{}", key.serialize_pem(), certificate.pem()))
}
