//! Asking the inbox, and waiting for its answers.

use crate::bindings::exports::sandport::upload::receiver::OutputStream;
use crate::bindings::sandport::upload::inbox::{self, Answer, Body, Committing, Opened, Upload};
use crate::bindings::sandport::upload::types::{
    EntryKind, Extent, Lifetime, Offer, Receipt, Refusal,
};

pub(crate) fn offer(name: &str, kind: EntryKind, size: Option<u64>) -> Offer {
    Offer {
        name: Some(name.to_owned()),
        kind,
        size,
        modified: None,
        executable: false,
        lifetime: Lifetime::Connection,
        digests: Vec::new(),
        want: Vec::new(),
        metadata: Vec::new(),
    }
}

/// The answer to an offer.
pub(crate) fn answer(offer: &Offer) -> Result<Answer, Refusal> {
    let opening = match inbox::open(offer) {
        Opened::Answered(answer) => return answer,
        Opened::Opening(opening) => opening,
    };
    loop {
        if let Some(answer) = opening.take() {
            return answer;
        }
        opening.subscribe().block();
    }
}

/// The outcome of a commit.
pub(crate) fn outcome(committing: &Committing) -> Result<Receipt, Refusal> {
    loop {
        if let Some(outcome) = committing.take() {
            return outcome;
        }
        committing.subscribe().block();
    }
}

/// A body with its stream.
pub(crate) fn body(upload: &Upload, extent: Extent) -> Result<(Body, OutputStream), Refusal> {
    let body = upload.body(extent, None)?;
    let sink = body.sink().map_err(|()| crate::refusal::malformed(Some("no stream")))?;
    Ok((body, sink))
}
