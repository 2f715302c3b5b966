//! An inbox in memory for uploads with keys. What a connection brings is received at once and durable when it is
//! kept, and an upload has one holder.

use std::collections::BTreeMap;
use std::rc::Rc;

use sandport_protocol::driver::{Answer, Question, Reply};
use sandport_protocol::receiver::{Lifetime, Wishes};
use sandport_protocol::{Digest, Extent, Metadata, Offer, Receipt, Refusal, RefusalCode};

use super::session::Upload;
use super::state::{Kept, Meanwhile, Shared, refusal};

/// A question.
pub enum Asking {
    Known(Option<Reply>),
    Look { key: Vec<u8>, settle: bool },
    Abandon { key: Vec<u8> },
    Concatenate { upload: Vec<u8>, session: u64, parts: Vec<Vec<u8>> },
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
            let meanwhile = inbox.committed_meanwhile.take();
            let Some(kept) = inbox.kept.get_mut(key).filter(|kept| kept.outcome.is_none()) else {
                return Err(refusal(RefusalCode::InvalidState));
            };
            if let Some(Meanwhile { rest, is_over }) = meanwhile {
                kept.content.extend(rest);
                let (name, size) = (String::from("meanwhile"), kept.content.len() as u64);
                let digest = Digest::Blake3(*blake3::hash(&kept.content).as_bytes());
                kept.durable = kept.content.len();
                kept.outcome = Some(Ok(Receipt { name, size, digest, proof: None }));
                return match is_over {
                    true => Err(refusal(RefusalCode::InvalidState)),
                    false => Ok(Answer::DigestFirst),
                };
            }
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
        Question::Concatenate { upload, parts } => {
            Asking::Concatenate { upload: upload.key.clone(), session: upload.session, parts }
        }
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
        Asking::Concatenate { upload, session, parts } => {
            Some(Reply::Concatenated(inbox.concatenate(&upload, session, &parts)))
        }
        Asking::Known(reply) => reply,
    }
}
