//! Digests in fields (RFC 9530): what a client claims of its content, and what it would like to hear.

use alloc::format;
use alloc::string::String;
use alloc::vec::Vec;

use super::fields::Fields;
use super::problem::Problem;
use crate::http::digest_name;
use crate::http::structured::{self, Bare};
use crate::{Algorithm, ContentDigest, RefusalCode};

/// The highest preference in `Want-Repr-Digest` (RFC 9530, section 4).
const PREFERENCE_MAX: i64 = 10;

/// The digests that `Content-Digest` and `Repr-Digest` claim, of the algorithms that are computed here. For content
/// that is stored as it comes both mean the same. Other algorithms are passed over (RFC 9530, section 2).
///
/// # Errors
/// The answer to a field that does not parse: who claims something wants it to be checked. Also to two digests of one
/// algorithm that differ.
pub(in crate::receiver::http) fn claimed(
    fields: &Fields,
    computed: &[Algorithm],
) -> Result<Vec<ContentDigest>, Problem> {
    let mut digests: Vec<ContentDigest> = Vec::new();
    for name in ["content-digest", "repr-digest"] {
        for digest in of_field(fields, name, computed)? {
            add(&mut digests, digest)?;
        }
    }
    Ok(digests)
}

/// Adds a digest to others of the same content.
///
/// # Errors
/// The answer to one that contradicts them.
pub(in crate::receiver::http) fn add(
    digests: &mut Vec<ContentDigest>,
    digest: ContentDigest,
) -> Result<(), Problem> {
    match digests.iter().find(|one| one.algorithm == digest.algorithm) {
        Some(one) if *one == digest => Ok(()),
        Some(one) => {
            let detail = format!("two {} digests of the same content differ", one.algorithm.name());
            Err(Problem::new(400, RefusalCode::DigestMismatch, detail))
        }
        None => {
            digests.push(digest);
            Ok(())
        }
    }
}

/// The digests of one field, of the algorithms that are computed here.
///
/// # Errors
/// The answer to a field that does not parse.
pub(in crate::receiver::http) fn of_field(
    fields: &Fields,
    name: &str,
    computed: &[Algorithm],
) -> Result<Vec<ContentDigest>, Problem> {
    if !fields.has(name) {
        return Ok(Vec::new());
    }
    let members = fields.list(name).and_then(|list| structured::dictionary(list.as_bytes()));
    let Some(members) = members else {
        return Err(malformed(&format!("the field {name} does not parse")));
    };
    let mut digests = Vec::new();
    for (key, value) in members {
        let Some(algorithm) = digest_name::algorithm(&key) else { continue };
        let Bare::Bytes(value) = value else {
            return Err(malformed(&format!("a digest in the field {name} is not in Base64")));
        };
        if value.len() != algorithm.digest_bytes() {
            let detail = format!("a {} digest has another length", algorithm.name());
            return Err(malformed(&detail));
        }
        if computed.contains(&algorithm) {
            digests.push(ContentDigest { algorithm, value });
        }
    }
    Ok(digests)
}

/// The algorithm that `Want-Repr-Digest` prefers among those that are computed here. A field that does not parse, as
/// well as what is not computed, is passed over: it is a wish.
pub(in crate::receiver::http) fn wanted(
    fields: &Fields,
    computed: &[Algorithm],
) -> Option<Algorithm> {
    let members = structured::dictionary(fields.list("want-repr-digest")?.as_bytes())?;
    let mut best: Option<(i64, Algorithm)> = None;
    for (key, value) in members {
        let (Some(algorithm), Bare::Integer(preference)) = (digest_name::algorithm(&key), value)
        else {
            continue;
        };
        if (1..=PREFERENCE_MAX).contains(&preference)
            && computed.contains(&algorithm)
            && best.is_none_or(|(most, _)| preference > most)
        {
            best = Some((preference, algorithm));
        }
    }
    best.map(|(_, algorithm)| algorithm)
}

/// A field of digests. Algorithms without a name in such fields are left out.
pub(in crate::receiver::http) fn write(digests: &[ContentDigest]) -> String {
    let members = digests
        .iter()
        .filter_map(|digest| Some((digest_name::of(digest.algorithm)?, digest.value.as_slice())));
    structured::write_bytes(members)
}

/// A field that wants digests of these algorithms: what [`wanted`] reads.
pub(in crate::receiver::http) fn write_wanted(algorithms: &[Algorithm]) -> String {
    structured::write_integers(algorithms.iter().filter_map(|algorithm| {
        Some((digest_name::of(*algorithm)?, PREFERENCE_MAX.unsigned_abs()))
    }))
}

fn malformed(detail: &str) -> Problem {
    Problem::new(400, RefusalCode::Malformed, detail)
}
