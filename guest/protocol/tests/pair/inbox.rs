//! An inbox in memory that insists on its contract.

use std::collections::{BTreeMap, BTreeSet, VecDeque};

use sandport_protocol::receiver::Opened;
use sandport_protocol::{
    Digest, EntryKind, Extent, Millis, Offer, Receipt, Refusal, RefusalCode, UploadId,
};

/// Stands for BLAKE3, of which the machines know no more than its length.
pub fn digest_of(content: &[u8]) -> Digest {
    let mut state = [0xcbf2_9ce4_8422_2325_u64, 1, 2, content.len() as u64];
    for (index, &byte) in content.iter().enumerate() {
        let word = &mut state[index % 4];
        *word = (*word ^ u64::from(byte)).wrapping_mul(0x0100_0000_01b3).rotate_left(23);
    }
    let mut bytes = [0; 32];
    for (chunk, word) in bytes.chunks_mut(8).zip(state) {
        chunk.copy_from_slice(&word.to_be_bytes());
    }
    Digest::Blake3(bytes)
}

struct Upload {
    offer: Offer,
    content: Vec<u8>,
    /// The extent of the living body.
    body: Option<Extent>,
    fault: Option<Refusal>,
}

/// Files under their names, uploads on their way, commits under way.
#[derive(Default)]
pub struct Inbox {
    pub published: BTreeMap<String, Vec<u8>>,
    pub directories: BTreeSet<String>,
    /// How long a commit takes.
    pub commit_ms: Millis,
    /// Names whose offers are refused.
    pub refused: BTreeMap<String, Refusal>,
    /// The body fails once an upload has more bytes than this.
    pub fault_at: Option<usize>,
    /// The body of an upload cannot be opened.
    pub no_body: bool,
    /// How many commits were asked for.
    pub asked_to_commit: usize,
    uploads: BTreeMap<UploadId, Upload>,
    pending: VecDeque<(Millis, UploadId, Result<Receipt, Refusal>)>,
    made_up: usize,
}

impl Inbox {
    pub fn open(&mut self, id: UploadId, offer: Offer) -> Result<Opened, Refusal> {
        assert!(!self.uploads.contains_key(&id), "upload {id} is open already");
        let name = offer.name.clone().unwrap_or_default();
        if let Some(refusal) = self.refused.get(&name) {
            return Err(refusal.clone());
        }
        if offer.kind == EntryKind::Directory {
            self.directories.insert(name.clone());
            return Ok(Opened::Stored(receipt(name, &[])));
        }
        if let Some(content) = self.published.get(&name) {
            match (offer.digest, offer.size) {
                (Some(digest), _) if digest == digest_of(content) => {
                    return Ok(Opened::Stored(receipt(name, content)));
                }
                (None, Some(size)) if size == content.len() as u64 => {
                    return Ok(Opened::DigestFirst);
                }
                _ => {}
            }
        }
        let missing = match offer.size {
            Some(0) => vec![],
            length => vec![Extent { offset: 0, length }],
        };
        self.uploads.insert(id, Upload { offer, content: vec![], body: None, fault: None });
        Ok(Opened::Accepted(missing))
    }

    /// # Errors
    /// The fault that has to be reported.
    pub fn body(&mut self, id: UploadId, extent: Extent) -> Result<(), Refusal> {
        let no_body = self.no_body;
        let upload = self.upload(id);
        assert!(upload.body.is_none(), "upload {id} has a body with room");
        assert_eq!(extent.offset, upload.content.len() as u64, "the body goes on");
        let end = extent.length.map(|length| extent.offset + length);
        assert!(upload.offer.size.is_none() || end <= upload.offer.size, "beyond the size");
        if no_body {
            return Err(Refusal::new(RefusalCode::Io, "no body can be opened"));
        }
        upload.body = Some(extent);
        Ok(())
    }

    /// # Errors
    /// The fault that has to be reported, once.
    pub fn write(&mut self, id: UploadId, bytes: &[u8]) -> Result<(), Refusal> {
        let fault_at = self.fault_at.unwrap_or(usize::MAX);
        let upload = self.upload(id);
        if upload.fault.is_some() {
            return Ok(());
        }
        let body = upload.body.as_ref().expect("a body before the first write");
        upload.content.extend_from_slice(bytes);
        let end = body.length.map(|length| body.offset + length);
        assert!(end.is_none_or(|end| upload.content.len() as u64 <= end), "beyond the body");
        if upload.content.len() > fault_at {
            let fault = Refusal::new(RefusalCode::InsufficientSpace, "the disk is full");
            upload.fault = Some(fault.clone());
            return Err(fault);
        }
        Ok(())
    }

    pub fn is_open(&self, id: UploadId) -> bool {
        self.uploads.contains_key(&id)
    }

    pub fn open_uploads(&self) -> usize {
        self.uploads.len()
    }

    pub fn discard(&mut self, id: UploadId) {
        assert!(self.uploads.remove(&id).is_some(), "discard of upload {id}, which is not open");
    }

    pub fn commit(&mut self, now: Millis, id: UploadId, size: u64, digest: Option<Digest>) {
        self.asked_to_commit += 1;
        let upload = self.uploads.remove(&id).expect("commit of an open upload");
        let digests = [digest, upload.offer.digest];
        let outcome = if let Some(fault) = upload.fault {
            Err(fault)
        } else if upload.content.len() as u64 != size
            || digests.iter().flatten().any(|&digest| digest != digest_of(&upload.content))
        {
            Err(RefusalCode::DigestMismatch.into())
        } else {
            let name = upload.offer.name.unwrap_or_else(|| {
                self.made_up += 1;
                format!("unnamed-{}", self.made_up)
            });
            let receipt = receipt(name.clone(), &upload.content);
            self.published.insert(name, upload.content);
            Ok(receipt)
        };
        self.pending.push_back((now + self.commit_ms, id, outcome));
    }

    pub fn commits(&self) -> usize {
        self.pending.len()
    }

    pub fn commit_due(&self) -> Option<Millis> {
        self.pending.front().map(|(due, ..)| *due)
    }

    pub fn next_committed(&mut self, now: Millis) -> Option<(UploadId, Result<Receipt, Refusal>)> {
        if self.commit_due()? > now {
            return None;
        }
        self.pending.pop_front().map(|(_, id, outcome)| (id, outcome))
    }

    fn upload(&mut self, id: UploadId) -> &mut Upload {
        self.uploads.get_mut(&id).expect("an open upload")
    }
}

fn receipt(name: String, content: &[u8]) -> Receipt {
    Receipt { name, size: content.len() as u64, digest: digest_of(content), proof: None }
}
