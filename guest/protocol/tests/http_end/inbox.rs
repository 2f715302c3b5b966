//! An inbox in memory that insists on its contract, for one connection.

use std::collections::BTreeMap;

use sandport_protocol::driver::{Answer, Question, Reply};
use sandport_protocol::receiver::{Committed, Wishes};
use sandport_protocol::{
    Algorithm, ContentDigest, Digest, Extent, Millis, Offer, Receipt, Refusal, RefusalCode,
};

use crate::http_answers::digest_of;

pub fn blake3(content: &[u8]) -> Digest {
    Digest::Blake3(*blake3::hash(content).as_bytes())
}

/// An open upload.
#[derive(Debug)]
pub struct Upload {
    pub offer: Offer,
    pub wishes: Wishes,
    content: Vec<u8>,
    body: Option<Extent>,
    fault: Option<Refusal>,
    is_told: bool,
}

/// A commit, with its outcome once it is there.
#[derive(Debug)]
pub struct Commit(Option<Result<Committed, Refusal>>);

/// A question with its answer.
pub type Asking = Option<Reply>;

#[derive(Default)]
pub struct Inbox {
    pub published: BTreeMap<String, Vec<u8>>,
    /// Names whose offers are refused. The empty one stands for each.
    pub refused: BTreeMap<String, Refusal>,
    /// Anonymous senders may do nothing.
    pub wants_identity: bool,
    pub is_known: bool,
    /// How many times it is waited for, for each answer and each outcome.
    pub slowness: usize,
    /// A body fails once an upload has more bytes than this.
    pub fault_at: Option<usize>,
    /// The body of an upload cannot be begun.
    pub no_body: bool,
    /// No commit has an outcome before this moment.
    pub commits_end_at: Millis,
    /// The outcome of every commit.
    pub commit_fails: Option<Refusal>,
    /// A name that is taken gets this suffix.
    pub renames: Option<String>,
    /// The offers that came, also those that were refused.
    pub offers: Vec<(Offer, Wishes)>,
    pub discarded: Vec<Option<Refusal>>,
    /// The most uploads that were open or being committed at once.
    pub most_at_once: usize,
    pub opened: usize,
    pub considering: usize,
    pub waits: usize,
    open: usize,
    commits: usize,
    made_up: usize,
}

impl Upload {
    pub fn has_news(&self) -> bool {
        self.fault.is_some() && !self.is_told
    }

    pub fn has_body(&self) -> bool {
        self.body.is_some()
    }

    pub fn fault(&mut self) -> Option<Refusal> {
        let fault = self.fault.clone();
        self.is_told |= fault.is_some();
        fault
    }
}

impl Inbox {
    pub fn open(&mut self, offer: Offer, wishes: Wishes) -> Result<Answer<Upload>, Refusal> {
        self.opened += 1;
        self.offers.push((offer.clone(), wishes.clone()));
        if self.wants_identity && !self.is_known {
            return Err(RefusalCode::NotPermitted.into());
        }
        let name = offer.name.clone().unwrap_or_default();
        let for_all = self.refused.get("");
        if let Some(refusal) = self.refused.get(&name).or(for_all) {
            return Err(refusal.clone());
        }
        if let Some(content) = self.published.get(&name) {
            match (offer.digest, offer.size) {
                (Some(digest), _) if digest == blake3(content) => {
                    return Ok(Answer::Stored(receipt(name, content)));
                }
                (None, Some(size)) if size == content.len() as u64 => {
                    return Ok(Answer::DigestFirst);
                }
                _ => {}
            }
        }
        let missing = match offer.size {
            Some(0) => vec![],
            length => vec![Extent { offset: 0, length }],
        };
        self.open += 1;
        self.most_at_once = self.most_at_once.max(self.open + self.commits);
        let upload =
            Upload { offer, wishes, content: vec![], body: None, fault: None, is_told: false };
        Ok(Answer::Accepted(upload, missing))
    }

    pub fn ask(&mut self, question: Question<'_, Upload>) -> Asking {
        match question {
            // Whoever asks for an upload by its key finds none.
            Question::Look { .. } => Some(Reply::Looked(Ok(None))),
            Question::Abandon { .. } => Some(Reply::Abandoned(Ok(false))),
            other => panic!("no one asks {other:?}"),
        }
    }

    pub fn set_size(&mut self, _: &mut Upload, size: u64) -> Result<(), Refusal> {
        panic!("no one says {size}")
    }

    pub fn body(
        &mut self,
        upload: &mut Upload,
        extent: Extent,
        check: Option<Algorithm>,
    ) -> Result<(), Refusal> {
        assert_eq!(check, None, "only uploads with a key are checked");
        if self.no_body {
            return Err(Refusal::new(RefusalCode::Io, "no body can be begun"));
        }
        assert!(upload.body.is_none(), "a body with room");
        assert_eq!(extent.offset, 0);
        assert!(upload.offer.size.is_none() || extent.length == upload.offer.size);
        upload.body = Some(extent);
        Ok(())
    }

    pub fn write(&mut self, upload: &mut Upload, bytes: &[u8]) {
        if upload.fault.is_some() {
            return;
        }
        let body = upload.body.expect("a body before the first write");
        upload.content.extend_from_slice(bytes);
        assert!(body.length.is_none_or(|length| upload.content.len() as u64 <= length), "too much");
        if self.fault_at.is_some_and(|at| upload.content.len() > at) {
            upload.fault = Some(Refusal::new(RefusalCode::InsufficientSpace, "the disk is full"));
        }
    }

    pub fn discard(&mut self, upload: Upload, reason: Option<Refusal>) {
        drop(upload);
        self.open -= 1;
        self.discarded.push(reason);
    }

    pub fn commit(&mut self, upload: Upload, size: u64, digests: &[ContentDigest]) -> Commit {
        self.open -= 1;
        self.commits += 1;
        self.waits += self.slowness;
        Commit(Some(self.committed(upload, size, digests)))
    }

    fn committed(
        &mut self,
        upload: Upload,
        size: u64,
        digests: &[ContentDigest],
    ) -> Result<Committed, Refusal> {
        let Upload { offer, wishes, content, fault, .. } = upload;
        if let Some(fault) = self.commit_fails.clone().or(fault) {
            return Err(fault);
        }
        assert!(offer.size.is_none_or(|offered| offered == size));
        assert_eq!(content.len() as u64, size, "all of it came");
        let mut algorithms: Vec<Algorithm> = vec![];
        let claimed: Vec<_> = digests.iter().chain(&wishes.digests).cloned().collect();
        let of_offer = offer.digest.map(ContentDigest::from);
        for digest in claimed.iter().chain(of_offer.iter()) {
            assert!(!algorithms.contains(&digest.algorithm), "two digests of one algorithm");
            algorithms.push(digest.algorithm);
            if *digest != digest_of(digest.algorithm, &content) {
                return Err(RefusalCode::DigestMismatch.into());
            }
        }
        let mut name = offer.name.unwrap_or_else(|| {
            self.made_up += 1;
            format!("unnamed-{}", self.made_up)
        });
        if let (true, Some(suffix)) = (self.published.contains_key(&name), &self.renames) {
            name += suffix;
        }
        let receipt = receipt(name.clone(), &content);
        let others = wishes.want.iter().chain(&algorithms);
        let mut others: Vec<_> = others.filter(|one| **one != Algorithm::Blake3).copied().collect();
        others.sort();
        others.dedup();
        let digests = others.into_iter().map(|one| digest_of(one, &content)).collect();
        self.published.insert(name, content);
        Ok(Committed { receipt, digests })
    }

    pub fn outcome(
        &mut self,
        commit: &mut Commit,
        now: Millis,
    ) -> Option<Result<Committed, Refusal>> {
        if self.waits > 0 || now < self.commits_end_at {
            return None;
        }
        self.commits -= usize::from(commit.0.is_some());
        commit.0.take()
    }

    /// Lets time pass for what is waited for. Says whether anything is.
    pub fn pass_time(&mut self) -> bool {
        let waits = self.waits > 0;
        self.waits = self.waits.saturating_sub(1);
        waits
    }

    /// How many uploads are open.
    pub fn take_open(&mut self) -> usize {
        self.opened = 0;
        self.is_known = false;
        self.commits = 0;
        self.waits = 0;
        core::mem::take(&mut self.open)
    }
}

fn receipt(name: String, content: &[u8]) -> Receipt {
    Receipt { name, size: content.len() as u64, digest: blake3(content), proof: None }
}
