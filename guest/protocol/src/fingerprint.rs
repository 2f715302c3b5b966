//! What stands for a certificate: a digest of it, as people compare and copy it.

use core::fmt;
use core::str::FromStr;

/// The length of a fingerprint in bytes: that of SHA-256.
pub const FINGERPRINT_BYTES: usize = 32;

/// The SHA-256 digest of a certificate in DER.
///
/// Written as 64 hexadecimal digits. `openssl x509 -fingerprint -sha256` writes colons between pairs, and capitals;
/// these are understood too.
///
/// ```
/// # fn main() -> Result<(), Box<dyn std::error::Error>> {
/// use sandport_protocol::Fingerprint;
///
/// let fingerprint = Fingerprint([0xab; 32]);
/// assert_eq!(fingerprint.to_string(), "ab".repeat(32));
/// let pairs = vec!["AB"; 32].join(":");
/// assert_eq!(pairs.parse::<Fingerprint>()?, fingerprint);
/// # Ok(())
/// # }
/// ```
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
pub struct Fingerprint(pub [u8; FINGERPRINT_BYTES]);

/// A text is no [`Fingerprint`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("a fingerprint of a certificate is 64 hexadecimal digits: its SHA-256 digest")]
pub struct FingerprintError;

impl FromStr for Fingerprint {
    type Err = FingerprintError;

    fn from_str(text: &str) -> Result<Self, FingerprintError> {
        let mut digest = [0; FINGERPRINT_BYTES];
        let mut rest = text;
        for (number, byte) in digest.iter_mut().enumerate() {
            if number > 0 {
                rest = rest.strip_prefix(':').unwrap_or(rest);
            }
            let (pair, behind) = rest.split_at_checked(2).ok_or(FingerprintError)?;
            if !pair.bytes().all(|digit| digit.is_ascii_hexdigit()) {
                return Err(FingerprintError);
            }
            *byte = u8::from_str_radix(pair, 16).map_err(|_| FingerprintError)?;
            rest = behind;
        }
        if rest.is_empty() { Ok(Self(digest)) } else { Err(FingerprintError) }
    }
}

impl fmt::Display for Fingerprint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.iter().try_for_each(|byte| write!(f, "{byte:02x}"))
    }
}

impl fmt::Debug for Fingerprint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

#[cfg(test)]
mod tests {
    use alloc::format;
    use alloc::string::ToString;

    use super::*;

    #[test]
    fn a_fingerprint_is_64_digits_with_or_without_colons() {
        let mut digest = [0; FINGERPRINT_BYTES];
        for (number, byte) in digest.iter_mut().enumerate() {
            *byte = number as u8 * 7;
        }
        let fingerprint = Fingerprint(digest);
        let text = fingerprint.to_string();
        assert_eq!(text.parse(), Ok(fingerprint));
        assert_eq!(text.to_uppercase().parse(), Ok(fingerprint));
        for wrong in
            ["", "ab", &text[1..], &format!("{text}0"), &format!("{text}:"), &format!(":{text}")]
        {
            assert_eq!(wrong.parse::<Fingerprint>(), Err(FingerprintError), "{wrong}");
        }
        let signed = format!("+1{}", &text[2..]);
        assert_eq!(signed.parse::<Fingerprint>(), Err(FingerprintError));
        let wide = format!("\u{e4}{}", &text[2..]);
        assert_eq!(wide.parse::<Fingerprint>(), Err(FingerprintError));
    }
}
