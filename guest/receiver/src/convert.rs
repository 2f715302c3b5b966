//! Between the types that wit-bindgen generated and those of the protocol crate.

use alloc::vec::Vec;

use sandport_protocol as protocol;
use sandport_protocol::receiver::LogLevel;

use crate::bindings::sandport::upload::{gate, log, types};

const NS_PER_S: i64 = 1_000_000_000;

pub(crate) fn limits(limits: gate::Limits) -> protocol::Limits {
    protocol::Limits {
        classic: limits.classic,
        http: limits.http,
        http_origins: limits.http_origins,
        hosts: limits.hosts,
        settle_ms: limits.settle_ms,
        idle_timeout_ms: limits.idle_timeout_ms,
        size_max: limits.size_max,
        uploads_ahead_max: limits.uploads_ahead_max,
        bytes_ahead_max: limits.bytes_ahead_max,
        append_max: limits.append_max,
        expires_s: limits.expires_s,
        algorithms: limits.algorithms.into_iter().map(algorithm).collect(),
    }
}

fn algorithm(algorithm: types::Algorithm) -> protocol::Algorithm {
    match algorithm {
        types::Algorithm::Blake3 => protocol::Algorithm::Blake3,
        types::Algorithm::Sha256 => protocol::Algorithm::Sha256,
        types::Algorithm::Sha512 => protocol::Algorithm::Sha512,
        types::Algorithm::Sha1 => protocol::Algorithm::Sha1,
        types::Algorithm::Md5 => protocol::Algorithm::Md5,
        types::Algorithm::Crc32 => protocol::Algorithm::Crc32,
    }
}

pub(crate) fn offer(offer: protocol::Offer) -> types::Offer {
    types::Offer {
        name: offer.name,
        kind: match offer.kind {
            protocol::EntryKind::Directory => types::EntryKind::Directory,
            _ => types::EntryKind::File,
        },
        size: offer.size,
        modified: offer.modified_ns.map(timestamp),
        executable: offer.executable,
        lifetime: match offer.resume {
            Some(key) => types::Lifetime::Key(resume(key)),
            None => types::Lifetime::Connection,
        },
        digests: offer.digest.into_iter().map(digest).collect(),
        want: Vec::new(),
        metadata: Vec::new(),
    }
}

fn timestamp(ns: i64) -> types::Timestamp {
    types::Timestamp {
        seconds: ns.div_euclid(NS_PER_S),
        nanoseconds: ns.rem_euclid(NS_PER_S) as u32,
    }
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

pub(crate) fn digest(digest: protocol::Digest) -> types::Digest {
    types::Digest { algorithm: types::Algorithm::Blake3, value: digest.as_bytes().to_vec() }
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

pub(crate) fn from_identity(identity: types::Identity) -> protocol::Identity {
    protocol::Identity { name: identity.name }
}
