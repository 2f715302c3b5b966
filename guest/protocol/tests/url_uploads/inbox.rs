//! An inbox in memory for uploads with keys. What a connection brings is received at once and durable when it is
//! kept, and an upload has one holder.

use std::cell::RefCell;
use std::collections::BTreeMap;
use std::rc::Rc;

use sandport_protocol::driver::{Answer, Question, Reply};
use sandport_protocol::receiver::{Lifetime, Status, Wishes};
use sandport_protocol::{Extent, Metadata, Offer, Receipt, Refusal, RefusalCode};

use super::session::Upload;

pub type Shared = Rc<RefCell<State>>;

/// All that the inbox has.
#[derive(Default)]
pub struct State {
    pub published: BTreeMap<String, Vec<u8>>,
    /// By key.
    pub kept: BTreeMap<Vec<u8>, Kept>,
    pub offers: Vec<(Offer, Wishes)>,
    /// How each upload was asked for that was not begun.
    pub looks: Vec<bool>,
    pub keeps: usize,
    pub refuse_offers: Option<Refusal>,
    pub refuse_commits: Option<Refusal>,
    pub refuse_keeps: Option<Refusal>,
    /// Uploads end with their connections.
    pub has_no_keys: bool,
    /// A body fails when the upload has more bytes than this.
    pub fault_at: Option<usize>,
    /// Questions and commits are not answered.
    pub is_busy: bool,
    /// What is received is durable at once.
    pub syncs_always: bool,
    sessions: u64,
}

/// An upload.
#[derive(Clone, Debug)]
pub struct Kept {
    pub offer: Offer,
    pub wishes: Wishes,
    pub size: Option<u64>,
    pub content: Vec<u8>,
    pub durable: usize,
    pub expires_in_s: Option<u64>,
    pub outcome: Option<Result<Receipt, Refusal>>,
    pub(super) holder: Option<u64>,
    /// Why those have lost it who had it.
    pub(super) faults: BTreeMap<u64, Refusal>,
}

impl std::fmt::Debug for State {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("State").finish_non_exhaustive()
    }
}

/// A question.
pub enum Asking {
    Known(Option<Reply>),
    Look { key: Vec<u8>, settle: bool },
    Abandon { key: Vec<u8> },
}

pub(super) fn refusal(code: RefusalCode) -> Refusal {
    code.into()
}

pub fn open(state: &Shared, offer: &Offer, wishes: &Wishes) -> Result<Answer<Upload>, Refusal> {
    let mut inbox = state.borrow_mut();
    inbox.offers.push((offer.clone(), wishes.clone()));
    inbox.sessions += 1;
    let session = inbox.sessions;
    let handle = |key: &[u8], durable: usize| Upload {
        key: key.to_vec(),
        session,
        body: None,
        told: durable as u64,
        is_faulted: false,
        state: Rc::clone(state),
    };
    match &wishes.lifetime {
        Lifetime::Existing(key) => {
            let Some(kept) = inbox.kept.get_mut(key).filter(|kept| kept.outcome.is_none()) else {
                return Err(refusal(RefusalCode::InvalidState));
            };
            kept.lose(RefusalCode::Locked);
            kept.holder = Some(session);
            kept.wishes.digests.clone_from(&wishes.digests);
            kept.wishes.want.clone_from(&wishes.want);
            let here = kept.content.len() as u64;
            let missing = match kept.size {
                Some(size) if size == here => vec![],
                size => vec![Extent { offset: here, length: size.map(|size| size - here) }],
            };
            Ok(Answer::Accepted(handle(key, kept.durable), missing))
        }
        lifetime => {
            if let Some(refusal) = inbox.refuse_offers.clone() {
                return Err(refusal);
            }
            Metadata::new(wishes.metadata.clone())?;
            assert!(offer.resume.is_none());
            let is_new = *lifetime == Lifetime::NewKey;
            if is_new && inbox.has_no_keys {
                return Err(refusal(RefusalCode::InvalidState));
            }
            assert!(!is_new || offer.digest.is_none(), "nothing is compared");
            let mut key = vec![0xfb; 32];
            key[..8].copy_from_slice(&session.to_be_bytes());
            let kept = Kept {
                offer: offer.clone(),
                wishes: wishes.clone(),
                size: offer.size,
                content: vec![],
                durable: 0,
                expires_in_s: None,
                outcome: None,
                holder: Some(session),
                faults: BTreeMap::new(),
            };
            inbox.kept.insert(key.clone(), kept);
            let upload = handle(&key, 0);
            let missing = vec![Extent { offset: 0, length: offer.size }];
            Ok(if is_new { Answer::Begun(upload, key) } else { Answer::Accepted(upload, missing) })
        }
    }
}

pub fn ask(state: &Shared, question: Question<'_, Upload>) -> Asking {
    match question {
        Question::Look { key, settle } => {
            state.borrow_mut().looks.push(settle);
            Asking::Look { key, settle }
        }
        Question::Abandon { key } => Asking::Abandon { key },
        Question::Keep { upload } => Asking::Known(Some(Reply::Kept(upload.keep()))),
        Question::Finish { upload, expect } => {
            Asking::Known(Some(Reply::Finished(upload.finish(&expect))))
        }
    }
}

pub fn replied(state: &Shared, asking: &mut Asking) -> Option<Reply> {
    if let Asking::Known(reply) = asking {
        return reply.take();
    }
    let mut inbox = state.borrow_mut();
    if inbox.is_busy {
        return None;
    }
    match core::mem::replace(asking, Asking::Known(None)) {
        Asking::Look { key, settle } => {
            let status = inbox.kept.get_mut(&key).map(|kept| {
                if settle && kept.outcome.is_none() {
                    kept.lose(RefusalCode::Locked);
                }
                kept.status()
            });
            Some(Reply::Looked(Ok(status)))
        }
        Asking::Abandon { key } => {
            let mut kept = inbox.kept.remove(&key);
            if let Some(kept) = &mut kept {
                kept.lose(RefusalCode::Cancelled);
            }
            Some(Reply::Abandoned(Ok(kept.is_some())))
        }
        Asking::Known(reply) => reply,
    }
}

impl Kept {
    fn lose(&mut self, code: RefusalCode) {
        if let Some(session) = self.holder.take() {
            self.faults.insert(session, refusal(code));
        }
    }

    fn status(&self) -> Status {
        let here = self.outcome.as_ref().map(|outcome| match outcome {
            Ok(receipt) => receipt.size,
            Err(_) => 0,
        });
        Status {
            size: self.size,
            received: here.unwrap_or(self.content.len() as u64),
            durable: here.unwrap_or(self.durable as u64),
            missing: vec![],
            outcome: self.outcome.clone(),
            expires_in_s: self.expires_in_s,
            metadata: self.wishes.metadata.clone(),
        }
    }
}
