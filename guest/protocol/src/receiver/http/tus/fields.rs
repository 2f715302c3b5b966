//! The fields of tus 1.0.0 that are more than a word.

use alloc::borrow::ToOwned;
use alloc::format;
use alloc::string::String;
use alloc::vec::Vec;

use crate::http::base64;
use crate::receiver::http::fields::Fields;
use crate::{Algorithm, ContentDigest, Refusal, RefusalCode};

/// Longest `Upload-Metadata`. Bytes: it is kept with the upload, beside what else is
/// ([`METADATA_BYTES_MAX`](crate::METADATA_BYTES_MAX)). The longest name fits, in base64.
pub(super) const UPLOAD_METADATA_BYTES_MAX: usize = 3 * 1_024;

/// How long the upload will be, as its creation says.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Length {
    /// So many bytes: `Upload-Length`.
    Known(u64),
    /// A later `PATCH` says: `Upload-Defer-Length`.
    Deferred,
}

/// What a client says of the file: `Upload-Metadata`.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Metadata {
    /// As it came, to be told again.
    pub(super) text: String,
    pairs: Vec<(String, Vec<u8>)>,
}

/// A number of bytes. `None`: there is no such field.
///
/// # Errors
/// `malformed`: it is there twice, or is anything but digits, or more than 64 bits hold.
pub(super) fn number(fields: &Fields, name: &str) -> Result<Option<u64>, Refusal> {
    let Some(text) = fields.single(name)? else { return Ok(None) };
    let number = (!text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit()))
        .then(|| text.parse().ok())
        .flatten();
    let words = || malformed(format!("the field {name} is not a number of bytes"));
    number.map(Some).ok_or_else(words)
}

/// How long the upload will be. `None`: neither field is there.
///
/// # Errors
/// `malformed`: both are there, or one is not what it has to be.
pub(super) fn length(fields: &Fields) -> Result<Option<Length>, Refusal> {
    let known = number(fields, "upload-length")?;
    match (known, fields.single("upload-defer-length")?) {
        (Some(length), None) => Ok(Some(Length::Known(length))),
        (None, Some("1")) => Ok(Some(Length::Deferred)),
        (None, Some(_)) => Err(malformed("the field upload-defer-length is 1, or not there")),
        (Some(_), Some(_)) => Err(malformed("an upload has a length or will be told it, not both")),
        (None, None) => Ok(None),
    }
}

/// The digest of the content of one request. `known`: what can be computed here. `None`: there is no such field.
///
/// # Errors
/// `malformed`: of another form, or of another length than the algorithm gives. `unsupported-version`: of an algorithm
/// that is not known.
pub(super) fn checksum(
    fields: &Fields,
    known: &[Algorithm],
) -> Result<Option<ContentDigest>, Refusal> {
    let Some(text) = fields.single("upload-checksum")? else { return Ok(None) };
    let Some((name, value)) = text.split_once(' ') else {
        return Err(malformed("the field upload-checksum is an algorithm, a space and base64"));
    };
    let algorithm = known.iter().copied().find(|one| algorithm_name(*one) == name);
    let Some(algorithm) = algorithm else {
        let words = "no checksum of this algorithm is computed here";
        return Err(Refusal::new(RefusalCode::UnsupportedVersion, words));
    };
    match base64::decode(value) {
        Some(value) if value.len() == algorithm.digest_bytes() => {
            Ok(Some(ContentDigest { algorithm, value }))
        }
        Some(_) => Err(malformed("the checksum has another length than its algorithm gives")),
        None => Err(malformed("the checksum is not base64")),
    }
}

/// What clients of tus call an algorithm.
pub(super) const fn algorithm_name(algorithm: Algorithm) -> &'static str {
    match algorithm {
        Algorithm::Blake3 => "blake3",
        Algorithm::Sha256 => "sha256",
        Algorithm::Sha512 => "sha512",
        Algorithm::Sha1 => "sha1",
        Algorithm::Md5 => "md5",
        Algorithm::Crc32 => "crc32",
    }
}

impl Metadata {
    /// What the fields of a request tell.
    ///
    /// # Errors
    /// `malformed`: a key that is empty, not ASCII, or comes twice; a value that is not base64. `too-large`.
    pub(super) fn of(fields: &Fields) -> Result<Self, Refusal> {
        let text = match fields.single("upload-metadata")? {
            // What a client sends that has nothing to say.
            None | Some("") => return Ok(Self::default()),
            Some(text) => text,
        };
        if text.len() > UPLOAD_METADATA_BYTES_MAX {
            let words =
                format!("the field upload-metadata has {UPLOAD_METADATA_BYTES_MAX} bytes at most");
            return Err(Refusal::new(RefusalCode::TooLarge, words));
        }
        let mut pairs: Vec<(String, Vec<u8>)> = Vec::new();
        for pair in text.split(',') {
            let pair = pair.trim_ascii();
            let (key, value) = pair.split_once(' ').unwrap_or((pair, ""));
            let is_key = !key.is_empty() && key.bytes().all(|byte| byte.is_ascii_graphic());
            if !is_key {
                return Err(malformed("a key in upload-metadata is empty or not ASCII"));
            }
            if pairs.iter().any(|(known, _)| known == key) {
                return Err(malformed("a key in upload-metadata is there twice"));
            }
            let Some(value) = base64::decode(value) else {
                return Err(malformed("a value in upload-metadata is not base64"));
            };
            pairs.push((key.to_owned(), value));
        }
        Ok(Self { text: text.to_owned(), pairs })
    }

    fn value(&self, key: &str) -> Option<&[u8]> {
        let pair = self.pairs.iter().find(|(known, _)| known == key);
        pair.map(|(_, value)| value.as_slice()).filter(|value| !value.is_empty())
    }

    /// The name of the file: the first there is of `relativePath`, `filename` and `name`. `None`: the client has
    /// not said. It is not checked here.
    ///
    /// The path of a dropped directory begins with `/` where a browser's `FileSystemEntry.fullPath` was sent, which is
    /// relative to what was dropped; and a client that has none may send the text `null`.
    ///
    /// # Errors
    /// `name-invalid`: it is not UTF-8.
    pub(super) fn name(&self) -> Result<Option<String>, Refusal> {
        let path = self.value("relativePath").filter(|path| *path != b"null");
        let path = path.map(|path| path.strip_prefix(b"/").unwrap_or(path));
        let name = path.or_else(|| self.value("filename")).or_else(|| self.value("name"));
        let Some(name) = name else { return Ok(None) };
        match core::str::from_utf8(name) {
            Ok(name) => Ok(Some(name.to_owned())),
            Err(_) => Err(Refusal::new(RefusalCode::NameInvalid, "the name is not UTF-8")),
        }
    }

    /// When the file was modified, in nanoseconds since 1970-01-01T00:00:00Z. Browsers give it in milliseconds. `None`:
    /// it is not said, or not in a way that is understood.
    pub(super) fn modified_ns(&self) -> Option<i64> {
        let text = core::str::from_utf8(self.value("lastModified")?).ok()?;
        text.parse::<i64>().ok()?.checked_mul(1_000_000)
    }
}

pub(super) fn malformed(words: impl Into<String>) -> Refusal {
    Refusal::new(RefusalCode::Malformed, words)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn fields(lines: &[(&str, &str)]) -> Fields {
        let mut fields = Fields::default();
        lines.iter().for_each(|(name, value)| fields.push(name, value.as_bytes()));
        fields
    }

    fn code<T>(outcome: Result<T, Refusal>) -> Option<RefusalCode> {
        outcome.err().map(|refusal| refusal.code)
    }

    #[test]
    fn a_number_is_digits_and_there_once() {
        for (text, number_is) in [("0", 0), ("007", 7), ("18446744073709551615", u64::MAX)] {
            let fields = fields(&[("Upload-Offset", text)]);
            assert_eq!(number(&fields, "upload-offset"), Ok(Some(number_is)), "{text}");
        }
        assert_eq!(number(&fields(&[]), "upload-offset"), Ok(None));
        for text in
            ["", "-1", "+1", "1.0", "1e3", "0x1", "18446744073709551616", "1 2", "1,1", "\u{661}"]
        {
            let fields = fields(&[("Upload-Offset", text)]);
            let found = code(number(&fields, "upload-offset"));
            assert_eq!(found, Some(RefusalCode::Malformed), "{text:?}");
        }
        let twice = fields(&[("Upload-Offset", "1"), ("upload-offset", "1")]);
        assert_eq!(code(number(&twice, "upload-offset")), Some(RefusalCode::Malformed));
    }

    #[test]
    fn a_length_is_known_or_deferred() {
        let of = |lines: &[(&str, &str)]| length(&fields(lines));
        assert_eq!(of(&[("Upload-Length", "5")]), Ok(Some(Length::Known(5))));
        assert_eq!(of(&[("Upload-Defer-Length", "1")]), Ok(Some(Length::Deferred)));
        assert_eq!(of(&[]), Ok(None));
        for bad in [
            &[("Upload-Length", "5"), ("Upload-Defer-Length", "1")][..],
            &[("Upload-Defer-Length", "0")],
            &[("Upload-Defer-Length", "2")],
            &[("Upload-Defer-Length", "")],
            &[("Upload-Defer-Length", "1"), ("Upload-Defer-Length", "1")],
            &[("Upload-Length", "-5")],
        ] {
            assert_eq!(code(of(bad)), Some(RefusalCode::Malformed), "{bad:?}");
        }
    }

    #[test]
    fn checksums_are_of_algorithms_that_are_known() {
        let of = |text| checksum(&fields(&[("Upload-Checksum", text)]), &[Algorithm::Sha1]);
        let found = of("sha1 Kq5sNclPz7QV2+lfQIuc6R7oRu0=").ok().flatten();
        assert_eq!(found.map(|digest| digest.algorithm), Some(Algorithm::Sha1));
        assert_eq!(
            code(of("md5 Kq5sNclPz7QV2+lfQIuc6R7oRu0=")),
            Some(RefusalCode::UnsupportedVersion)
        );
        assert_eq!(
            code(of("SHA1 Kq5sNclPz7QV2+lfQIuc6R7oRu0=")),
            Some(RefusalCode::UnsupportedVersion)
        );
        for bad in
            ["", "sha1", "sha1 ", "sha1 Kq5s", "sha1 !", "sha1  Kq5sNclPz7QV2+lfQIuc6R7oRu0="]
        {
            assert_eq!(code(of(bad)), Some(RefusalCode::Malformed), "{bad:?}");
        }
    }

    #[test]
    fn metadata_is_parsed_and_kept_as_it_came() {
        let of = |text: &str| Metadata::of(&fields(&[("Upload-Metadata", text)]));
        let text = "filename d29ybGRfZG9taW5hdGlvbl9wbGFuLnBkZg==,is_confidential";
        let metadata = of(text).unwrap_or_default();
        assert_eq!(metadata.text, text);
        assert_eq!(metadata.name(), Ok(Some("world_domination_plan.pdf".to_owned())));
        assert_eq!(metadata.value("is_confidential"), None);
        assert_eq!(of("a ,b Yg==, c Yw").map(|metadata| metadata.pairs.len()), Ok(3));
        assert_eq!(of(""), Ok(Metadata::default()));
        for bad in [",", "a,", "a YQ==,a YQ==", "a !", " ,b", "\u{e4} YQ==", "a Y", "a YQ==  Yg=="]
        {
            assert_eq!(code(of(bad)), Some(RefusalCode::Malformed), "{bad:?}");
        }
        let long = format!("a {}", "YWFh".repeat(UPLOAD_METADATA_BYTES_MAX / 4));
        assert_eq!(code(of(&long)), Some(RefusalCode::TooLarge));
    }

    #[test]
    fn a_name_is_the_first_that_is_said() {
        let of = |pairs: &[(&str, &str)]| {
            let pairs = pairs
                .iter()
                .map(|(key, value)| format!("{key} {}", base64::encode(value.as_bytes())));
            let text = pairs.collect::<Vec<_>>().join(",");
            Metadata::of(&fields(&[("Upload-Metadata", &text)]))
                .and_then(|metadata| metadata.name())
        };
        let is = |name: &str| Ok(Some(name.to_owned()));
        assert_eq!(of(&[("name", "c"), ("filename", "b"), ("relativePath", "a/b")]), is("a/b"));
        assert_eq!(of(&[("relativePath", "/a/b"), ("filename", "b")]), is("a/b"));
        assert_eq!(of(&[("relativePath", "null"), ("name", "c"), ("filename", "b")]), is("b"));
        assert_eq!(of(&[("relativePath", ""), ("filename", ""), ("name", "c")]), is("c"));
        assert_eq!(of(&[("filename", "null")]), is("null"));
        assert_eq!(of(&[("filetype", "text/plain")]), Ok(None));
        let text = fields(&[("Upload-Metadata", "filename /w==")]);
        let name = Metadata::of(&text).and_then(|metadata| metadata.name());
        assert_eq!(code(name), Some(RefusalCode::NameInvalid));
    }
}
