//! Between the types that `bindgen!` generated and those of the protocol crate.

use sandport_protocol as protocol;
use sandport_protocol::{Refusal, RefusalCode};

use super::bindings::sandport::upload::{inbox, types};
use crate::inbox::{Status, Wishes};

const NS_PER_S: i64 = 1_000_000_000;

/// The offer, and what is wanted beyond it.
pub(super) fn offer(offer: types::Offer) -> Result<(protocol::Offer, Wishes), Refusal> {
    if offer.want.iter().any(|algorithm| *algorithm != types::Algorithm::Blake3) {
        return Err(not_computed());
    }
    let mut wishes = Wishes::default();
    let resume = match offer.lifetime {
        types::Lifetime::Connection => None,
        types::Lifetime::Key(key) => Some(resume(key)?),
        types::Lifetime::NewKey => {
            wishes.new_key = true;
            None
        }
        types::Lifetime::Existing(key) => {
            wishes.existing = true;
            Some(resume(key)?)
        }
    };
    wishes.metadata = protocol::Metadata::new(offer.metadata)?;
    let offer = protocol::Offer {
        name: offer.name,
        kind: match offer.kind {
            types::EntryKind::File => protocol::EntryKind::File,
            types::EntryKind::Directory => protocol::EntryKind::Directory,
        },
        size: offer.size,
        digest: digests(offer.digests)?,
        modified_ns: offer.modified.map(nanoseconds).transpose()?,
        executable: offer.executable,
        resume,
    };
    Ok((offer, wishes))
}

fn nanoseconds(time: types::Timestamp) -> Result<i64, Refusal> {
    let malformed = |words| Refusal::new(RefusalCode::Malformed, words);
    if time.nanoseconds >= NS_PER_S as u32 {
        return Err(malformed("a second has fewer nanoseconds than that"));
    }
    let nanoseconds = time.seconds.checked_mul(NS_PER_S);
    nanoseconds
        .and_then(|ns| ns.checked_add(time.nanoseconds.into()))
        .ok_or_else(|| malformed("a modification time lies between the years 1678 and 2261"))
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
    Ok(protocol::Resume { key, epoch: resume.run, mode })
}

/// The one digest that an inbox checks, where there is one.
pub(super) fn digests(digests: Vec<types::Digest>) -> Result<Option<protocol::Digest>, Refusal> {
    let mut checked = None;
    for one in digests {
        if checked.replace(digest(one)?).is_some() {
            let words = "a digest of each algorithm comes once";
            return Err(Refusal::new(RefusalCode::Malformed, words));
        }
    }
    Ok(checked)
}

pub(super) fn digest(digest: types::Digest) -> Result<protocol::Digest, Refusal> {
    if digest.algorithm != types::Algorithm::Blake3 {
        return Err(not_computed());
    }
    let bytes = digest.value.try_into();
    bytes
        .map(protocol::Digest::Blake3)
        .map_err(|_| Refusal::new(RefusalCode::Malformed, "a BLAKE3 digest has 32 bytes"))
}

/// A digest of an algorithm that is none of `gate.limits.algorithms`.
pub(super) fn not_computed() -> Refusal {
    Refusal::new(RefusalCode::UnsupportedVersion, "this inbox computes no digests of that kind")
}

pub(super) fn extent(extent: types::Extent) -> protocol::Extent {
    protocol::Extent { offset: extent.offset, length: extent.length }
}

pub(super) fn to_extent(extent: protocol::Extent) -> types::Extent {
    types::Extent { offset: extent.offset, length: extent.length }
}

pub(super) fn to_status(status: Status) -> inbox::Status {
    // Of whoever asks, only the name under which the file is stored is known.
    let stored = |receipt: protocol::Receipt| {
        let name = receipt.name.clone();
        to_receipt(receipt, protocol::EntryKind::File, Some(&name))
    };
    inbox::Status {
        size: status.size,
        received: status.received,
        durable: status.durable,
        missing: status.missing.into_iter().map(to_extent).collect(),
        outcome: status.outcome.map(|outcome| outcome.map(stored).map_err(to_refusal)),
        expires_in_s: status.expires_in_s,
        metadata: status.metadata.pairs().to_vec(),
    }
}

/// `offered`: the name in the offer.
pub(super) fn to_receipt(
    receipt: protocol::Receipt,
    kind: protocol::EntryKind,
    offered: Option<&str>,
) -> types::Receipt {
    types::Receipt {
        renamed: offered != Some(&receipt.name),
        name: receipt.name,
        kind: match kind {
            protocol::EntryKind::Directory => types::EntryKind::Directory,
            _ => types::EntryKind::File,
        },
        size: receipt.size,
        digests: vec![types::Digest {
            algorithm: types::Algorithm::Blake3,
            value: receipt.digest.as_bytes().to_vec(),
        }],
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
    types::Refusal { code, temporary: refusal.code.is_temporary(), detail: refusal.detail }
}
