//! Between the types that `bindgen!` generated and those of the protocol crate.

use sandport_protocol as protocol;
use sandport_protocol::inbox::split_digests;
use sandport_protocol::{ContentDigest, Refusal, RefusalCode};

use super::bindings::sandport::upload::{inbox, types};
use super::handles::Told;
use sandport_inbox::{OfferOptions, UploadStatus};

const NS_PER_S: i64 = 1_000_000_000;

/// The offer, and what is wanted beyond it.
pub(super) fn offer(offer: types::Offer) -> Result<(protocol::Offer, OfferOptions), Refusal> {
    let (digest, digests) = digests(offer.digests)?;
    let want = offer.want.into_iter().map(algorithm).collect();
    let mut options = OfferOptions::default();
    options.digests = digests;
    options.want = want;
    let resume = match offer.lifetime {
        types::Lifetime::Connection => None,
        types::Lifetime::Key(key) => Some(resume(key)?),
        types::Lifetime::NewKey => {
            options.new_key = true;
            None
        }
        types::Lifetime::Existing(key) => {
            options.existing = true;
            Some(resume(key)?)
        }
    };
    options.metadata = protocol::Metadata::new(offer.metadata)?;
    let offer = protocol::Offer {
        name: offer.name,
        kind: match offer.kind {
            types::EntryKind::File => protocol::EntryKind::File,
            types::EntryKind::Directory => protocol::EntryKind::Directory,
        },
        size: offer.size,
        digest,
        modified_ns: offer.modified.map(nanoseconds).transpose()?,
        executable: offer.executable,
        resume,
    };
    Ok((offer, options))
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

/// The digest of BLAKE3, where there is one, and the others.
pub(super) fn digests(
    digests: Vec<types::Digest>,
) -> Result<(Option<protocol::Digest>, Vec<ContentDigest>), Refusal> {
    split_digests(digests.into_iter().map(|digest| ContentDigest {
        algorithm: algorithm(digest.algorithm),
        value: digest.value,
    }))
}

/// One digest of any algorithm.
pub(super) fn digest(digest: types::Digest) -> Result<ContentDigest, Refusal> {
    let (blake3, others) = digests(vec![digest])?;
    let one = blake3.map(ContentDigest::from).or_else(|| others.into_iter().next());
    one.ok_or_else(|| RefusalCode::Malformed.into())
}

pub(super) fn algorithm(algorithm: types::Algorithm) -> protocol::Algorithm {
    use types::Algorithm as From;
    match algorithm {
        From::Blake3 => protocol::Algorithm::Blake3,
        From::Sha256 => protocol::Algorithm::Sha256,
        From::Sha512 => protocol::Algorithm::Sha512,
        From::Sha1 => protocol::Algorithm::Sha1,
        From::Md5 => protocol::Algorithm::Md5,
        From::Crc32 => protocol::Algorithm::Crc32,
    }
}

/// What inboxes compute; `None`: the WIT package has no word for it.
pub(super) fn to_algorithm(algorithm: protocol::Algorithm) -> Option<types::Algorithm> {
    use types::Algorithm as To;
    Some(match algorithm {
        protocol::Algorithm::Blake3 => To::Blake3,
        protocol::Algorithm::Sha256 => To::Sha256,
        protocol::Algorithm::Sha512 => To::Sha512,
        protocol::Algorithm::Sha1 => To::Sha1,
        protocol::Algorithm::Md5 => To::Md5,
        protocol::Algorithm::Crc32 => To::Crc32,
        _ => return None,
    })
}

fn to_digest(digest: ContentDigest) -> Option<types::Digest> {
    Some(types::Digest { algorithm: to_algorithm(digest.algorithm)?, value: digest.value })
}

pub(super) fn extent(extent: types::Extent) -> protocol::Extent {
    protocol::Extent { offset: extent.offset, length: extent.length }
}

pub(super) fn to_extent(extent: protocol::Extent) -> types::Extent {
    types::Extent { offset: extent.offset, length: extent.length }
}

pub(super) fn to_status(status: UploadStatus) -> inbox::Status {
    // Of whoever asks, only the name under which the file is stored is known.
    let stored = |receipt: protocol::Receipt| {
        let (digests, kind) = (Vec::new(), protocol::EntryKind::File);
        let offered = Some(receipt.name.clone());
        to_receipt(Told { receipt, digests, kind, offered })
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

pub(super) fn to_receipt(told: Told) -> types::Receipt {
    let Told { receipt, digests, kind, offered } = told;
    types::Receipt {
        renamed: offered.as_ref() != Some(&receipt.name),
        name: receipt.name,
        kind: match kind {
            protocol::EntryKind::Directory => types::EntryKind::Directory,
            _ => types::EntryKind::File,
        },
        size: receipt.size,
        digests: std::iter::once(receipt.digest.into())
            .chain(digests)
            .filter_map(to_digest)
            .collect(),
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
