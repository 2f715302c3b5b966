//! What one connection has of an upload.

use sandport_protocol::receiver::Committed;
use sandport_protocol::{Algorithm, ContentDigest, Digest, Extent, Receipt, Refusal, RefusalCode};

use crate::http_answers::digest_of;

use super::state::{Kept, Shared, refusal};

/// A session of an upload. Dropping it releases.
#[derive(Debug)]
pub struct Upload {
    pub(super) key: Vec<u8>,
    pub(super) session: u64,
    pub(super) body: Option<Body>,
    pub(super) told: u64,
    pub(super) is_faulted: bool,
    pub(super) state: Shared,
}

#[derive(Debug)]
pub struct Body {
    at: u64,
    end: Option<u64>,
    check: Option<Algorithm>,
    /// What is not checked yet.
    staged: Vec<u8>,
}

pub struct Commit(Option<Result<Committed, Refusal>>);

impl Upload {
    fn with<T>(&self, what: impl FnOnce(&mut Kept) -> T) -> Option<T> {
        let mut inbox = self.state.borrow_mut();
        let kept = inbox.kept.get_mut(&self.key);
        kept.filter(|kept| kept.holder == Some(self.session)).map(what)
    }

    pub fn fault(&mut self) -> Option<Refusal> {
        let fault = match self.state.borrow().kept.get(&self.key) {
            Some(kept) => kept.faults.get(&self.session).cloned(),
            None => Some(refusal(RefusalCode::Cancelled)),
        };
        self.is_faulted |= fault.is_some();
        fault
    }

    pub fn has_news(&self) -> bool {
        !self.is_faulted
    }

    pub fn has_body(&self) -> bool {
        self.body.is_some()
    }

    pub fn progress(&mut self) -> Option<u64> {
        let durable = self.with(|kept| kept.durable as u64)?;
        (durable > self.told).then(|| {
            self.told = durable;
            durable
        })
    }

    pub fn body(&mut self, extent: Extent, check: Option<Algorithm>) -> Result<(), Refusal> {
        let end = extent.length.map(|length| extent.offset + length);
        let begins = self.with(|kept| {
            let is_within = end.is_none_or(|end| kept.size.is_none_or(|size| end <= size));
            // As the inbox, which takes no body where nothing is missing.
            extent.offset == kept.content.len() as u64
                && is_within
                && kept.size != Some(extent.offset)
        });
        assert_eq!(begins, Some(true), "{extent:?}");
        if check.is_some() && extent.length.is_some_and(|length| length > 256 * 1024 * 1024) {
            return Err(refusal(RefusalCode::TooLarge));
        }
        self.body = Some(Body { at: extent.offset, end, check, staged: vec![] });
        Ok(())
    }

    pub fn write(&mut self, bytes: &[u8]) {
        let Some(body) = &mut self.body else { return };
        let at = body.at + (body.staged.len() as u64);
        let end = at + bytes.len() as u64;
        assert!(body.end.is_none_or(|most| end <= most), "more than the extent");
        let is_checked = body.check.is_some();
        if is_checked {
            body.staged.extend_from_slice(bytes);
        } else {
            body.at = end;
        }
        let (fault_at, syncs) = {
            let inbox = self.state.borrow();
            (inbox.fault_at, inbox.syncs_always)
        };
        let session = self.session;
        self.with(|kept| {
            if kept.faults.contains_key(&session) || is_checked {
                return;
            }
            if kept.size.is_some_and(|size| end > size) {
                kept.faults.insert(session, refusal(RefusalCode::OffsetMismatch));
                return;
            }
            kept.content.extend_from_slice(bytes);
            if syncs {
                kept.durable = kept.content.len();
            }
            if fault_at.is_some_and(|most| kept.content.len() > most) {
                kept.faults.insert(session, refusal(RefusalCode::InsufficientSpace));
            }
        });
    }

    pub(super) fn keep(&mut self) -> Result<(), Refusal> {
        let refused = self.state.borrow().refuse_keeps.clone();
        self.state.borrow_mut().keeps += 1;
        if let Some(refusal) = refused {
            return Err(refusal);
        }
        let kept = self.with(|kept| kept.durable = kept.content.len());
        kept.ok_or_else(|| refusal(RefusalCode::Locked))
    }

    pub(super) fn finish(&mut self, expect: &ContentDigest) -> Result<(), Refusal> {
        let body = self.body.take().expect("a body");
        assert_eq!(body.check, Some(expect.algorithm));
        assert!(body.end.is_none_or(|end| end == body.at + body.staged.len() as u64));
        if digest_of(expect.algorithm, &body.staged) != *expect {
            return Err(refusal(RefusalCode::DigestMismatch));
        }
        let brought = self.with(|kept| kept.content.extend_from_slice(&body.staged));
        brought.ok_or_else(|| refusal(RefusalCode::Locked))
    }

    pub fn set_size(&mut self, size: u64) -> Result<(), Refusal> {
        let set = self.with(|kept| {
            if kept.size.is_some_and(|known| known != size) {
                return Err(refusal(RefusalCode::InvalidState));
            }
            if kept.content.len() as u64 > size {
                return Err(refusal(RefusalCode::OffsetMismatch));
            }
            kept.size = Some(size);
            Ok(())
        });
        set.unwrap_or_else(|| Err(refusal(RefusalCode::Locked)))
    }

    pub fn discard(self) {
        let removed = self.with(|_| ()).is_some();
        if removed {
            self.state.borrow_mut().kept.remove(&self.key);
        }
    }

    pub fn commit(self, size: u64, digests: &[ContentDigest]) -> Commit {
        let refused = self.state.borrow().refuse_commits.clone();
        let made_up = format!("unnamed-{}", self.session);
        let fault = self
            .state
            .borrow()
            .kept
            .get(&self.key)
            .and_then(|kept| kept.faults.get(&self.session).cloned());
        let outcome = self.with(|kept| {
            if let Some(refusal) = fault.or(refused) {
                return Err(refusal);
            }
            let claimed = digests.iter().chain(&kept.wishes.digests);
            let mut algorithms = vec![];
            for digest in claimed {
                algorithms.push(digest.algorithm);
                if digest_of(digest.algorithm, &kept.content) != *digest {
                    return Err(refusal(RefusalCode::DigestMismatch));
                }
            }
            assert_eq!(kept.content.len() as u64, size, "all of it is here");
            assert!(kept.size.is_none_or(|known| known == size));
            let name = kept.offer.name.clone().unwrap_or(made_up);
            let digest = Digest::Blake3(*blake3::hash(&kept.content).as_bytes());
            let receipt = Receipt { name, size, digest, proof: None };
            algorithms.extend(&kept.wishes.want);
            algorithms.sort();
            algorithms.dedup();
            let others = algorithms.iter().filter(|one| **one != Algorithm::Blake3);
            let digests = others.map(|one| digest_of(*one, &kept.content)).collect();
            kept.holder = None;
            kept.durable = kept.content.len();
            kept.outcome = Some(Ok(receipt.clone()));
            Ok((Committed { receipt, digests }, kept.content.clone()))
        });
        let outcome = outcome.unwrap_or_else(|| Err(refusal(RefusalCode::Locked)));
        if outcome.as_ref().is_err_and(|refusal| refusal.code == RefusalCode::DigestMismatch) {
            let mut inbox = self.state.borrow_mut();
            let removed = Some(Err(refusal(RefusalCode::DigestMismatch)));
            inbox.kept.get_mut(&self.key).expect("it is here").outcome = removed;
        }
        Commit(Some(outcome.map(|(committed, content)| {
            let name = committed.receipt.name.clone();
            self.state.borrow_mut().published.insert(name, content);
            committed
        })))
    }
}

impl Commit {
    pub fn outcome(&mut self) -> Option<Result<Committed, Refusal>> {
        self.0.take()
    }
}

impl Drop for Upload {
    fn drop(&mut self) {
        self.with(|kept| kept.holder = None);
    }
}
