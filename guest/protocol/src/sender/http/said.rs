//! What a server says of a file that it has stored.

use alloc::borrow::ToOwned;
use alloc::string::String;
use alloc::vec::Vec;

use serde_json::Value;

use super::answer::HttpAnswer;
use crate::http::digest_name;
use crate::http::structured::{self, Bare};
use crate::{Algorithm, ContentDigest};

/// What a server says of a file that it has stored: nothing, where it is none of ours and speaks no RFC 9530.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Said {
    /// The name under which it is stored; not sanitized.
    pub name: Option<String>,
    /// It was there already.
    pub was_there: bool,
    /// Its size in bytes.
    pub size: Option<u64>,
    /// Digests of it, each of the right length.
    pub digests: Vec<ContentDigest>,
}

impl Said {
    /// What the last answer says.
    pub(super) fn of(answer: &HttpAnswer) -> Self {
        let mut said = Self { digests: repr_digests(answer), ..Self::default() };
        if answer.media_type() == "application/json"
            && let Ok(Value::Object(result)) = serde_json::from_slice(&answer.content)
            && let Some(what @ ("stored" | "already-stored")) =
                result.get("result").and_then(Value::as_str)
        {
            said.was_there = what == "already-stored";
            said.name = result.get("name").and_then(Value::as_str).map(str::to_owned);
            said.size = result.get("size").and_then(Value::as_u64);
            let digest = result.get("digest").and_then(Value::as_str).and_then(blake3);
            said.digests.extend(digest);
        }
        said
    }
}

/// The digests of the field `Repr-Digest` (RFC 9530). What does not parse says nothing.
fn repr_digests(answer: &HttpAnswer) -> Vec<ContentDigest> {
    let members = answer.list("repr-digest");
    let members = members.and_then(|list| structured::dictionary(list.as_bytes()));
    let digests = members.unwrap_or_default().into_iter().filter_map(|(key, value)| {
        let algorithm = digest_name::algorithm(&key)?;
        let Bare::Bytes(value) = value else { return None };
        (value.len() == algorithm.digest_bytes()).then_some(ContentDigest { algorithm, value })
    });
    digests.collect()
}

/// `blake3:` and hexadecimal digits.
fn blake3(text: &str) -> Option<ContentDigest> {
    let hash = ::blake3::Hash::from_hex(text.strip_prefix("blake3:")?).ok()?;
    Some(ContentDigest { algorithm: Algorithm::Blake3, value: hash.as_bytes().to_vec() })
}

#[cfg(test)]
mod tests {
    use alloc::format;
    use alloc::vec;

    use super::*;

    fn answer(fields: &[(&str, &str)], content: &str) -> HttpAnswer {
        let fields = fields.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned()));
        HttpAnswer { status: 201, fields: fields.collect(), content: content.as_bytes().to_vec() }
    }

    #[test]
    fn results_of_ours_and_digests_of_others_are_understood() {
        let zeros = "00".repeat(32);
        let content = format!(
            r#"{{"result":"already-stored","name":"a","size":1,"digest":"blake3:{zeros}"}}"#
        );
        let said = Said::of(&answer(&[("content-type", "application/json")], &content));
        assert_eq!((said.name.as_deref(), said.was_there, said.size), (Some("a"), true, Some(1)));
        assert_eq!(
            said.digests,
            [ContentDigest { algorithm: Algorithm::Blake3, value: vec![0; 32] }]
        );

        let zeros = "A".repeat(43);
        let said = Said::of(&answer(
            &[("repr-digest", &format!("sha-256=:{zeros}=:, unknown=:AA==:"))],
            "",
        ));
        assert_eq!(
            said.digests,
            [ContentDigest { algorithm: Algorithm::Sha256, value: vec![0; 32] }]
        );
    }

    #[test]
    fn what_is_none_of_these_says_nothing() {
        for (fields, content) in [
            (&[("content-type", "application/json")][..], r#"{"name":"a","result":"refused"}"#),
            (&[("content-type", "application/json")], "{"),
            (&[("content-type", "text/html")], r#"{"result":"stored"}"#),
            (&[("repr-digest", "sha-256=:AAAA:")], ""),
            (&[("repr-digest", "sha-256=1")], ""),
        ] {
            assert_eq!(Said::of(&answer(fields, content)), Said::default(), "{fields:?}");
        }
    }
}
