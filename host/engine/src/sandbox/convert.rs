//! Between the types that `bindgen!` generated and those of the protocol crate.

use sandport_protocol as protocol;
use sandport_protocol::{Refusal, RefusalCode};

use super::bindings::sandport::upload::types;

pub(super) fn offer(offer: types::Offer) -> Result<protocol::Offer, Refusal> {
    Ok(protocol::Offer {
        name: offer.name,
        kind: match offer.kind {
            types::EntryKind::File => protocol::EntryKind::File,
            types::EntryKind::Directory => protocol::EntryKind::Directory,
        },
        size: offer.size,
        digest: offer.digest.map(digest).transpose()?,
        modified_ns: offer.modified_ns,
        executable: offer.executable,
        resume: offer.resume.map(resume).transpose()?,
    })
}

fn resume(resume: types::Resume) -> Result<protocol::Resume, Refusal> {
    let key = resume
        .key
        .try_into()
        .map_err(|_| Refusal::new(RefusalCode::Malformed, "a resume key has 32 bytes"))?;
    let mode = match resume.mode {
        types::ResumeMode::TakeOver => protocol::ResumeMode::TakeOver,
        types::ResumeMode::Join => protocol::ResumeMode::Join,
        types::ResumeMode::Restart => protocol::ResumeMode::Restart,
    };
    Ok(protocol::Resume { key, epoch: resume.epoch, mode })
}

pub(super) fn digest(digest: types::Digest) -> Result<protocol::Digest, Refusal> {
    let types::Digest::Blake3(bytes) = digest;
    bytes
        .try_into()
        .map(protocol::Digest::Blake3)
        .map_err(|_| Refusal::new(RefusalCode::Malformed, "a BLAKE3 digest has 32 bytes"))
}

pub(super) fn extent(extent: types::Extent) -> protocol::Extent {
    protocol::Extent { offset: extent.offset, length: extent.length }
}

pub(super) fn to_extent(extent: protocol::Extent) -> types::Extent {
    types::Extent { offset: extent.offset, length: extent.length }
}

pub(super) fn to_receipt(receipt: protocol::Receipt) -> types::Receipt {
    types::Receipt {
        name: receipt.name,
        size: receipt.size,
        digest: types::Digest::Blake3(receipt.digest.as_bytes().to_vec()),
        proof: receipt.proof,
    }
}

pub(super) fn refusal(refusal: types::Refusal) -> Refusal {
    use types::RefusalCode as From;
    let code = match refusal.code {
        From::Malformed => RefusalCode::Malformed,
        From::UnsupportedVersion => RefusalCode::UnsupportedVersion,
        From::NotPermitted => RefusalCode::NotPermitted,
        From::NameInvalid => RefusalCode::NameInvalid,
        From::Exists => RefusalCode::Exists,
        From::TooLarge => RefusalCode::TooLarge,
        From::QuotaExceeded => RefusalCode::QuotaExceeded,
        From::TooMany => RefusalCode::TooMany,
        From::OffsetMismatch => RefusalCode::OffsetMismatch,
        From::DigestMismatch => RefusalCode::DigestMismatch,
        From::Locked => RefusalCode::Locked,
        From::Cancelled => RefusalCode::Cancelled,
        From::Timeout => RefusalCode::Timeout,
        From::InsufficientSpace => RefusalCode::InsufficientSpace,
        From::Io => RefusalCode::Io,
        From::InvalidState => RefusalCode::InvalidState,
        From::Other => RefusalCode::Other,
    };
    Refusal { code, detail: refusal.detail }
}

pub(super) fn to_refusal(refusal: Refusal) -> types::Refusal {
    use types::RefusalCode as To;
    let code = match refusal.code {
        RefusalCode::Malformed => To::Malformed,
        RefusalCode::UnsupportedVersion => To::UnsupportedVersion,
        RefusalCode::NotPermitted => To::NotPermitted,
        RefusalCode::NameInvalid => To::NameInvalid,
        RefusalCode::Exists => To::Exists,
        RefusalCode::TooLarge => To::TooLarge,
        RefusalCode::QuotaExceeded => To::QuotaExceeded,
        RefusalCode::TooMany => To::TooMany,
        RefusalCode::OffsetMismatch => To::OffsetMismatch,
        RefusalCode::DigestMismatch => To::DigestMismatch,
        RefusalCode::Locked => To::Locked,
        RefusalCode::Cancelled => To::Cancelled,
        RefusalCode::Timeout => To::Timeout,
        RefusalCode::InsufficientSpace => To::InsufficientSpace,
        RefusalCode::Io => To::Io,
        RefusalCode::InvalidState => To::InvalidState,
        _ => To::Other,
    };
    types::Refusal { code, detail: refusal.detail }
}
