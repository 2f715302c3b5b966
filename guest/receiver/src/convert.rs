//! Between the types that wit-bindgen generated and those of the protocol crate.

use alloc::vec::Vec;

use sandport_protocol as protocol;
use sandport_protocol::receiver::{Lifetime, LogLevel, Status, Wishes};

use crate::bindings::sandport::upload::{gate, inbox, log, types};

const NS_PER_S: i64 = 1_000_000_000;

pub(crate) fn limits(limits: gate::Limits) -> protocol::Limits {
    protocol::Limits {
        classic: limits.classic,
        http: limits.http,
        http_origins: limits.http_origins,
        hosts: limits.hosts,
        settle_ms: limits.settle_ms,
        idle_timeout_ms: limits.idle_timeout_ms,
        max_file_size: limits.size_max,
        max_uploads_ahead: limits.uploads_ahead_max,
        max_bytes_ahead: limits.bytes_ahead_max,
        max_append_size: limits.append_max,
        expires_s: limits.expires_s,
        algorithms: limits.algorithms.into_iter().map(from_algorithm).collect(),
    }
}

pub(crate) fn offer(offer: protocol::Offer, wishes: Wishes) -> types::Offer {
    types::Offer {
        name: offer.name,
        kind: match offer.kind {
            protocol::EntryKind::Directory => types::EntryKind::Directory,
            _ => types::EntryKind::File,
        },
        size: offer.size,
        modified: offer.modified_ns.map(timestamp),
        executable: offer.executable,
        lifetime: match (wishes.lifetime, offer.resume) {
            (Lifetime::NewKey, _) => types::Lifetime::NewKey,
            (Lifetime::Existing(key), _) => types::Lifetime::Existing(taken_over(key)),
            (Lifetime::AsOffered, Some(key)) => types::Lifetime::Key(resume(key)),
            (Lifetime::AsOffered, None) => types::Lifetime::Connection,
        },
        digests: {
            let of_the_offer = offer.digest.map(protocol::ContentDigest::from);
            of_the_offer.iter().chain(&wishes.digests).map(content_digest).collect()
        },
        want: wishes.want.into_iter().map(algorithm).collect(),
        metadata: wishes.metadata,
    }
}

fn timestamp(ns: i64) -> types::Timestamp {
    types::Timestamp {
        seconds: ns.div_euclid(NS_PER_S),
        nanoseconds: ns.rem_euclid(NS_PER_S) as u32,
    }
}

/// Requests have no runs: the one that arrives last has the upload.
fn taken_over(key: Vec<u8>) -> types::Resume {
    types::Resume { key, run: 0, mode: types::ResumeMode::TakeOver }
}

fn resume(resume: protocol::Resume) -> types::Resume {
    types::Resume {
        key: resume.key.to_vec(),
        run: resume.epoch,
        mode: match resume.mode {
            protocol::ResumeMode::Join => types::ResumeMode::Join,
            protocol::ResumeMode::Restart => types::ResumeMode::Restart,
            _ => types::ResumeMode::TakeOver,
        },
    }
}

pub(crate) fn algorithm(algorithm: protocol::Algorithm) -> types::Algorithm {
    use protocol::Algorithm as From;
    use types::Algorithm as To;
    match algorithm {
        From::Sha256 => To::Sha256,
        From::Sha512 => To::Sha512,
        From::Sha1 => To::Sha1,
        From::Md5 => To::Md5,
        From::Crc32 => To::Crc32,
        _ => To::Blake3,
    }
}

fn from_algorithm(algorithm: types::Algorithm) -> protocol::Algorithm {
    use protocol::Algorithm as To;
    use types::Algorithm as From;
    match algorithm {
        From::Blake3 => To::Blake3,
        From::Sha256 => To::Sha256,
        From::Sha512 => To::Sha512,
        From::Sha1 => To::Sha1,
        From::Md5 => To::Md5,
        From::Crc32 => To::Crc32,
    }
}

pub(crate) fn content_digest(digest: &protocol::ContentDigest) -> types::Digest {
    types::Digest { algorithm: algorithm(digest.algorithm), value: digest.value.clone() }
}

/// A digest besides the one of BLAKE3, which a receipt has of its own.
pub(crate) fn from_digest(digest: &types::Digest) -> Option<protocol::ContentDigest> {
    let algorithm = from_algorithm(digest.algorithm);
    (algorithm != protocol::Algorithm::Blake3)
        .then(|| protocol::ContentDigest { algorithm, value: digest.value.clone() })
}

/// # Errors
/// As of [`from_receipt`].
pub(crate) fn from_status(status: inbox::Status) -> Result<Status, protocol::Refusal> {
    let outcome = match status.outcome {
        Some(Ok(receipt)) => Some(Ok(from_receipt(receipt)?)),
        Some(Err(refusal)) => Some(Err(from_refusal(refusal))),
        None => None,
    };
    Ok(Status {
        size: status.size,
        received: status.received,
        durable: status.durable,
        missing: from_extents(status.missing),
        outcome,
        expires_in_s: status.expires_in_s,
        metadata: status.metadata,
    })
}

pub(crate) fn extent(extent: protocol::Extent) -> types::Extent {
    types::Extent { offset: extent.offset, length: extent.length }
}

pub(crate) fn credential(credential: protocol::Credential) -> Option<gate::Credential> {
    match credential {
        protocol::Credential::Proof(proof) => Some(gate::Credential::Proof(proof)),
        protocol::Credential::Bearer(token) => Some(gate::Credential::Bearer(token)),
        _ => None,
    }
}

pub(crate) fn level(level: LogLevel) -> log::Level {
    match level {
        LogLevel::Debug => log::Level::Debug,
        LogLevel::Info => log::Level::Info,
        LogLevel::Warn => log::Level::Warn,
        LogLevel::Error => log::Level::Error,
    }
}

pub(crate) fn refusal(refusal: protocol::Refusal) -> types::Refusal {
    use protocol::RefusalCode as From;
    use types::RefusalCode as To;
    let code = match refusal.code {
        From::Malformed => To::Malformed,
        From::UnsupportedVersion => To::UnsupportedVersion,
        From::NotPermitted => To::NotPermitted,
        From::NameInvalid => To::NameInvalid,
        From::Exists => To::Exists,
        From::TooLarge => To::TooLarge,
        From::QuotaExceeded => To::QuotaExceeded,
        From::TooMany => To::TooMany,
        From::OffsetMismatch => To::OffsetMismatch,
        From::DigestMismatch => To::DigestMismatch,
        From::Locked => To::Locked,
        From::Cancelled => To::Cancelled,
        From::Timeout => To::Timeout,
        From::InsufficientSpace => To::InsufficientSpace,
        From::Io => To::Io,
        From::InvalidState => To::InvalidState,
        _ => To::Other,
    };
    types::Refusal { code, temporary: refusal.code.is_temporary(), detail: refusal.detail }
}

pub(crate) fn from_refusal(refusal: types::Refusal) -> protocol::Refusal {
    use protocol::RefusalCode as To;
    use types::RefusalCode as From;
    let code = match refusal.code {
        From::Malformed => To::Malformed,
        From::UnsupportedVersion => To::UnsupportedVersion,
        From::NotPermitted => To::NotPermitted,
        From::NameInvalid => To::NameInvalid,
        From::Exists => To::Exists,
        From::TooLarge => To::TooLarge,
        From::QuotaExceeded => To::QuotaExceeded,
        From::TooMany => To::TooMany,
        From::OffsetMismatch => To::OffsetMismatch,
        From::DigestMismatch => To::DigestMismatch,
        From::Locked => To::Locked,
        From::Cancelled => To::Cancelled,
        From::Timeout => To::Timeout,
        From::InsufficientSpace => To::InsufficientSpace,
        From::Io => To::Io,
        From::InvalidState => To::InvalidState,
        From::Other => To::Other,
    };
    protocol::Refusal { code, detail: refusal.detail }
}

pub(crate) fn from_extents(extents: Vec<types::Extent>) -> Vec<protocol::Extent> {
    extents
        .into_iter()
        .map(|extent| protocol::Extent { offset: extent.offset, length: extent.length })
        .collect()
}

/// A host that gives no BLAKE3 digest, or one of another length, is at fault; its receipt is not passed on.
pub(crate) fn from_receipt(
    receipt: types::Receipt,
) -> Result<protocol::Receipt, protocol::Refusal> {
    let digest = receipt.digests.into_iter().find(|it| it.algorithm == types::Algorithm::Blake3);
    let Some(bytes) = digest.and_then(|digest| digest.value.try_into().ok()) else {
        return Err(protocol::Refusal::new(
            protocol::RefusalCode::Other,
            "the inbox gave no BLAKE3 digest of 32 bytes",
        ));
    };
    Ok(protocol::Receipt {
        name: receipt.name,
        size: receipt.size,
        digest: protocol::Digest::Blake3(bytes),
        proof: receipt.proof,
    })
}

pub(crate) fn from_identity(identity: types::Identity) -> protocol::Authenticated {
    protocol::Authenticated { name: identity.name }
}
