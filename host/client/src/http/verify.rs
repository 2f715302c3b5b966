//! Whether a server has stored what was sent.

use std::io;

use sandport_protocol::sender::http::Said;
use sandport_protocol::{Algorithm, ContentDigest, Digest};
use sha2::{Digest as _, Sha256, Sha512};

use super::payload::Payload;
use crate::FileError;
use crate::file_reader::{self, Content};
use crate::shared::Shared;

/// What is found.
pub(super) enum DigestMatch {
    /// It has what was sent: the digest of that.
    Same(Digest),
    /// It gave no digest that can be compared.
    Unknown,
    /// It has something else.
    Different,
}

/// Compares what a server says of a file of `size` bytes with what was sent.
///
/// # Errors
/// The file cannot be read again, or has changed.
pub(super) async fn verify(
    said: &Said,
    size: u64,
    payload: &Shared<Payload>,
) -> Result<DigestMatch, FileError> {
    if said.size.is_some_and(|said| said != size) {
        return Ok(DigestMatch::Different);
    }
    let given = [Algorithm::Blake3, Algorithm::Sha256, Algorithm::Sha512]
        .iter()
        .find_map(|wanted| said.digests.iter().find(|digest| digest.algorithm == *wanted));
    let Some(given) = given else { return Ok(DigestMatch::Unknown) };
    let known = payload.lock().digest();
    let own = match known {
        Some(own) => own,
        None => {
            let Some(content) = payload.lock().again() else { return Ok(DigestMatch::Unknown) };
            blocking(move || file_reader::hash(content)).await?
        }
    };
    let is_same = if given.algorithm == Algorithm::Blake3 {
        given.value == own.as_bytes()
    } else {
        let Some(content) = payload.lock().again() else { return Ok(DigestMatch::Unknown) };
        let algorithm = given.algorithm;
        blocking(move || hash(content, algorithm)).await?.as_ref() == Some(given)
    };
    Ok(if is_same { DigestMatch::Same(own) } else { DigestMatch::Different })
}

/// The digest of a file by another algorithm than BLAKE3.
fn hash(content: Content, algorithm: Algorithm) -> Result<Option<ContentDigest>, FileError> {
    let value = match algorithm {
        Algorithm::Sha256 => {
            let mut hasher = Sha256::new();
            file_reader::read_through(content, |bytes| hasher.update(bytes))?;
            hasher.finalize().to_vec()
        }
        Algorithm::Sha512 => {
            let mut hasher = Sha512::new();
            file_reader::read_through(content, |bytes| hasher.update(bytes))?;
            hasher.finalize().to_vec()
        }
        _ => return Ok(None),
    };
    Ok(Some(ContentDigest { algorithm, value }))
}

async fn blocking<T: Send + 'static>(
    work: impl FnOnce() -> Result<T, FileError> + Send + 'static,
) -> Result<T, FileError> {
    let done = tokio::task::spawn_blocking(work).await;
    done.unwrap_or_else(|error| Err(FileError::Read(io::Error::other(error))))
}
