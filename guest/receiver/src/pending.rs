//! What the host has been asked for and has not answered, and how it is waited for.
//!
//! Each pollable is subscribed when it is first waited for, because most answers are there before; and it is declared
//! before what it belongs to, so that it is dropped first.

use alloc::vec::Vec;

use sandport_protocol::driver::Reply;
use sandport_protocol::receiver::Committed;
use sandport_protocol::{Authenticated, Refusal, RefusalCode};

use crate::bindings::sandport::upload::{gate, inbox, types};
use crate::bindings::wasi::io::poll::Pollable;
use crate::convert;

/// A commit.
pub(crate) enum Commit {
    /// It is under way.
    Pending { ready: Option<Pollable>, committing: inbox::Committing },
    /// It ended at once.
    Ended(Option<Result<Committed, Refusal>>),
}

/// An offer.
pub(crate) struct Opening {
    pub(crate) offered: Offered,
    /// Whether it can be resumed.
    pub(crate) is_resumable: bool,
    /// Whether the host makes up its key.
    pub(crate) has_new_key: bool,
    pub(crate) size: Option<u64>,
}

/// What has become of an offer.
pub(crate) enum Offered {
    /// The inbox considers it.
    Considered { ready: Option<Pollable>, opening: inbox::Opening },
    /// It was answered at once.
    Answered(Option<Result<inbox::Answer, types::Refusal>>),
}

/// A credential that is being checked.
pub(crate) enum Authenticating {
    Asked {
        ready: Option<Pollable>,
        authenticating: gate::Authenticating,
    },
    /// Of a kind that this program does not know.
    Unknown,
}

/// A question about an upload that the inbox looks into.
pub(crate) struct Asking {
    ready: Option<Pollable>,
    question: Question,
}

enum Question {
    Looking(inbox::Looking),
    Abandoning(inbox::Abandoning),
    Keeping(inbox::Finishing),
    Concatenating(inbox::Finishing),
    Finishing(inbox::Finishing),
    /// It could not be asked.
    Refused(Option<Refusal>),
}

impl Commit {
    pub(crate) fn pending(committing: inbox::Committing) -> Self {
        Self::Pending { ready: None, committing }
    }

    pub(crate) fn ended(outcome: Result<types::Receipt, types::Refusal>) -> Self {
        Self::Ended(Some(committed(outcome)))
    }

    /// Prepares to be waited for.
    pub(crate) fn subscribe(&mut self) {
        if let Self::Pending { ready, committing } = self {
            ready.get_or_insert_with(|| committing.subscribe());
        }
    }

    /// What to poll, once it is prepared.
    pub(crate) fn ready(&self) -> Option<&Pollable> {
        match self {
            Self::Pending { ready, .. } => ready.as_ref(),
            Self::Ended(_) => None,
        }
    }

    /// The outcome, once.
    pub(crate) fn take(&mut self) -> Option<Result<Committed, Refusal>> {
        match self {
            Self::Pending { committing, .. } => committing.take().map(committed),
            Self::Ended(outcome) => outcome.take(),
        }
    }
}

impl Offered {
    pub(crate) fn new(opened: inbox::Opened) -> Self {
        match opened {
            inbox::Opened::Answered(answer) => Self::Answered(Some(answer)),
            inbox::Opened::Opening(opening) => Self::Considered { ready: None, opening },
        }
    }

    /// Prepares to be waited for.
    pub(crate) fn subscribe(&mut self) {
        if let Self::Considered { ready, opening } = self {
            ready.get_or_insert_with(|| opening.subscribe());
        }
    }

    /// What to poll, once it is prepared.
    pub(crate) fn ready(&self) -> Option<&Pollable> {
        match self {
            Self::Considered { ready, .. } => ready.as_ref(),
            Self::Answered(_) => None,
        }
    }

    /// The answer, once.
    pub(crate) fn take(&mut self) -> Option<Result<inbox::Answer, types::Refusal>> {
        match self {
            Self::Considered { opening, .. } => opening.take(),
            Self::Answered(answer) => answer.take(),
        }
    }
}

impl Authenticating {
    /// Prepares to be waited for.
    pub(crate) fn subscribe(&mut self) {
        if let Self::Asked { ready, authenticating } = self {
            ready.get_or_insert_with(|| authenticating.subscribe());
        }
    }

    /// What to poll, once it is prepared.
    pub(crate) fn ready(&self) -> Option<&Pollable> {
        match self {
            Self::Asked { ready, .. } => ready.as_ref(),
            Self::Unknown => None,
        }
    }

    pub(crate) fn take(&mut self) -> Option<Result<Authenticated, Refusal>> {
        match self {
            Self::Asked { authenticating, .. } => authenticating
                .take()
                .map(|outcome| outcome.map(convert::from_identity).map_err(convert::from_refusal)),
            Self::Unknown => Some(Err(RefusalCode::NotPermitted.into())),
        }
    }
}

impl Asking {
    pub(crate) fn looking(looking: inbox::Looking) -> Self {
        Self { ready: None, question: Question::Looking(looking) }
    }

    pub(crate) fn abandoning(abandoning: inbox::Abandoning) -> Self {
        Self { ready: None, question: Question::Abandoning(abandoning) }
    }

    pub(crate) fn keeping(keeping: inbox::Finishing) -> Self {
        Self { ready: None, question: Question::Keeping(keeping) }
    }

    pub(crate) fn concatenating(concatenating: inbox::Finishing) -> Self {
        Self { ready: None, question: Question::Concatenating(concatenating) }
    }

    pub(crate) fn finishing(finishing: inbox::Finishing) -> Self {
        Self { ready: None, question: Question::Finishing(finishing) }
    }

    /// There is no body to be finished.
    pub(crate) fn refused(refusal: Refusal) -> Self {
        Self { ready: None, question: Question::Refused(Some(refusal)) }
    }

    /// The reply, once.
    pub(crate) fn take(&mut self) -> Option<Reply> {
        let done = |outcome: Result<(), types::Refusal>| outcome.map_err(convert::from_refusal);
        match &mut self.question {
            Question::Looking(looking) => looking.take().map(|looked| {
                let looked = looked.map_err(convert::from_refusal);
                Reply::Looked(looked.and_then(|found| found.map(convert::from_status).transpose()))
            }),
            Question::Abandoning(abandoning) => abandoning
                .take()
                .map(|outcome| Reply::Abandoned(outcome.map_err(convert::from_refusal))),
            Question::Keeping(keeping) => keeping.take().map(|kept| Reply::Kept(done(kept))),
            Question::Concatenating(concatenating) => {
                concatenating.take().map(|it| Reply::Concatenated(done(it)))
            }
            Question::Finishing(finishing) => {
                finishing.take().map(|finished| Reply::Finished(done(finished)))
            }
            Question::Refused(refusal) => refusal.take().map(|it| Reply::Finished(Err(it))),
        }
    }

    /// What to poll, once it is prepared.
    pub(crate) fn ready(&self) -> Option<&Pollable> {
        self.ready.as_ref()
    }

    /// Prepares to be waited for.
    pub(crate) fn subscribe(&mut self) {
        let question = &self.question;
        if self.ready.is_none() {
            self.ready = match question {
                Question::Looking(looking) => Some(looking.subscribe()),
                Question::Abandoning(abandoning) => Some(abandoning.subscribe()),
                Question::Keeping(it) | Question::Concatenating(it) | Question::Finishing(it) => {
                    Some(it.subscribe())
                }
                Question::Refused(_) => None,
            };
        }
    }
}

fn committed(outcome: Result<types::Receipt, types::Refusal>) -> Result<Committed, Refusal> {
    let receipt = outcome.map_err(convert::from_refusal)?;
    let digests: Vec<_> = receipt.digests.iter().filter_map(convert::from_digest).collect();
    Ok(Committed { receipt: convert::from_receipt(receipt)?, digests })
}
