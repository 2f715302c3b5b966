//! What the inbox in memory has.

use std::cell::RefCell;
use std::collections::BTreeMap;
use std::rc::Rc;

use sandport_protocol::receiver::{Status, Wishes};
use sandport_protocol::{CONCATENATED_MAX, Offer, Receipt, Refusal, RefusalCode};

pub type Shared = Rc<RefCell<State>>;

/// What somebody else brings of an upload, and commits.
pub struct Meanwhile {
    pub rest: Vec<u8>,
    /// It is stored when it is opened; `false`: it is about to be.
    pub is_over: bool,
}

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
    pub concatenations: usize,
    pub refuse_concatenations: Option<Refusal>,
    pub refuse_offers: Option<Refusal>,
    pub refuse_commits: Option<Refusal>,
    pub refuse_keeps: Option<Refusal>,
    /// Uploads end with their connections.
    pub has_no_keys: bool,
    /// A body fails when the upload has more bytes than this.
    pub fault_at: Option<usize>,
    /// Questions and commits are not answered.
    pub is_busy: bool,
    /// Somebody else commits an upload when it is opened again.
    pub committed_meanwhile: Option<Meanwhile>,
    /// What is received is durable at once.
    pub syncs_always: bool,
    pub(super) sessions: u64,
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

impl State {
    /// As the inbox: parts that are here and whole, in their order.
    pub(super) fn concatenate(
        &mut self,
        key: &[u8],
        session: u64,
        parts: &[Vec<u8>],
    ) -> Result<(), Refusal> {
        assert!(parts.len() <= CONCATENATED_MAX);
        self.concatenations += 1;
        if let Some(refusal) = self.refuse_concatenations.clone() {
            return Err(refusal);
        }
        let mut content = vec![];
        for part in parts {
            let part = self.kept.get(part).ok_or_else(|| refusal(RefusalCode::InvalidState))?;
            if part.outcome.is_some() || part.size != Some(part.content.len() as u64) {
                return Err(refusal(RefusalCode::InvalidState));
            }
            content.extend_from_slice(&part.content);
        }
        let kept = self.kept.get_mut(key).filter(|kept| kept.holder == Some(session));
        let kept = kept.ok_or_else(|| refusal(RefusalCode::Locked))?;
        assert!(kept.size.is_none_or(|size| size == content.len() as u64), "another size");
        assert!(content.starts_with(&kept.content), "what was here is the same");
        kept.size = Some(content.len() as u64);
        kept.content = content;
        Ok(())
    }
}

impl Kept {
    pub(super) fn lose(&mut self, code: RefusalCode) {
        if let Some(session) = self.holder.take() {
            self.faults.insert(session, refusal(code));
        }
    }

    pub(super) fn status(&self) -> Status {
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

pub(super) fn refusal(code: RefusalCode) -> Refusal {
    code.into()
}
