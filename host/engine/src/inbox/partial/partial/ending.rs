//! How an upload ends: published, or discarded.

use std::sync::Arc;

use blake3::hazmat::HasherExt;
use sandport_protocol::journal::GROUP_BYTES;
use sandport_protocol::{Digest, Refusal, RefusalCode};

use super::Partial;
use crate::inbox::Durability;
use crate::inbox::commit::{Job, Pending, Ticket, Work};
use crate::inbox::error::refusal;
use crate::inbox::partial::holder::Commit;
use crate::inbox::partial::keeper::Request;
use crate::inbox::partial::store;
use crate::inbox::publish::FileWork;
use crate::inbox::receipts;
use crate::inbox::stage::StagedFile;

impl Partial {
    /// Ends it and removes what is here.
    pub(in crate::inbox::partial) fn discard(&self, why: &str) {
        self.evict(&Refusal::new(RefusalCode::Cancelled, why));
        self.remove();
    }

    pub(super) fn remove(&self) {
        let journal = self.journal();
        let mut state = self.state();
        if std::mem::replace(&mut state.ended, true) {
            return;
        }
        let on_disk = state.data.take().is_some() || journal.exists();
        // Not when the last handle is gone: the keeper has one until its next turn.
        state.reservation = None;
        drop(state);
        if let Some(partials) = self.partials.upgrade() {
            partials.forget(self);
        }
        if on_disk {
            store::remove(&self.core, self.id);
        }
    }

    /// A holder is through. It is published when all are.
    pub(in crate::inbox::partial) fn commit(&self, holder: u64, commit: Commit) -> Pending {
        self.seal(holder);
        let mut state = self.state();
        state.holders.remove(&holder);
        let pending = match &mut state.commit {
            Some((pending, _, commits)) => {
                commits.push(commit);
                pending.clone()
            }
            none => {
                let (ticket, pending) = Ticket::new();
                *none = Some((pending.clone(), Some(ticket), vec![commit]));
                pending
            }
        };
        let committable = state.is_committable();
        drop(state);
        if committable {
            self.conclude();
        }
        pending
    }

    /// Checks what is here and hands it over to be published.
    pub(super) fn conclude(&self) {
        let taken = {
            let mut state = self.state();
            state.commit.as_mut().and_then(|(_, ticket, commits)| {
                ticket.take().map(|ticket| (ticket, std::mem::take(commits)))
            })
        };
        let Some((ticket, mut commits)) = taken else { return };
        let Some(me) = commits.first().map(|commit| Arc::clone(&commit.partial)) else { return };
        let work = match self.finish(&me, &commits) {
            Ok(work) => Work::File(work),
            Err(refusal) => {
                if refusal.code == RefusalCode::DigestMismatch {
                    self.discard("it was not what its digest said");
                }
                self.uncommit();
                Work::Refused(refusal)
            }
        };
        if let Some(last) = commits.pop() {
            last.inbox.submit(Job { work, ticket });
        }
    }

    pub(super) fn finish(&self, me: &Arc<Self>, commits: &[Commit]) -> Result<FileWork, Refusal> {
        let failed = |errno| refusal("finish a file", errno);
        let Some(Commit { size, .. }) = commits.first() else {
            return Err(RefusalCode::InvalidState.into());
        };
        let size = *size;
        let mismatch = |words: String| Err(Refusal::new(RefusalCode::DigestMismatch, words));
        if commits.iter().any(|commit| commit.size != size)
            || self.size.is_some_and(|announced| announced != size)
        {
            return mismatch(format!(
                "{size} bytes were finished of {}",
                self.size.unwrap_or(size)
            ));
        }
        let data = self.data().map_err(failed)?;
        {
            let mut state = self.state();
            if state.ended {
                return Err(store::lost());
            }
            // The last group of a stream is whole when the stream is.
            let last = size / GROUP_BYTES;
            if let Some((length, hasher)) = state.begun.remove(&last) {
                if last * GROUP_BYTES + length == size {
                    state.add_group(last, size, hasher.finalize_non_root());
                } else {
                    state.begun.insert(last, (length, hasher));
                }
            }
            if !state.whole.is_whole(size) || !state.begun.is_empty() {
                let bytes = state.whole.bytes();
                if state.joined {
                    let words = "a connection left the upload before it had brought its part";
                    return Err(Refusal::new(RefusalCode::Cancelled, words));
                }
                return mismatch(format!("{bytes} bytes arrived of {size}"));
            }
        }
        let root = self.state().tree.root(size);
        let computed = match root {
            Some(root) => root,
            None => {
                let hashed = store::hash_short(&self.core, &data, size);
                Digest::Blake3(hashed.map_err(|_| store::lost())?)
            }
        };
        if commits
            .iter()
            .flat_map(|commit| [commit.digest, commit.offered])
            .flatten()
            .any(|expected| expected != computed)
        {
            return mismatch("what arrived is not what the digest was computed of".to_owned());
        }
        // A server that was killed may have written more of a stream than it kept.
        let length = rustix::fs::fstat(&data).map_err(failed)?.st_size;
        if u64::try_from(length) != Ok(size) {
            self.core.disk.cut(&data, size).map_err(failed)?;
        }
        if !self.named {
            // It says the name to a sender that does not hear the receipt.
            self.keep_always();
        }
        let last = commits.last().map(|commit| (commit.modified_ns, commit.executable));
        let (modified_ns, executable) = last.unwrap_or_default();
        let file = rustix::io::fcntl_dupfd_cloexec(&data, 0).map_err(failed)?;
        let mut staged = StagedFile::of_partial(store::data_name(self.id), file, me);
        let executable = executable && self.core.options.allow_executable;
        let stat = staged.finish(modified_ns, executable).map_err(failed)?;
        let record = receipts::describe(*computed.as_bytes(), &stat);
        let reservation = match self.state().reservation.take() {
            // It was given to an earlier commit, which failed.
            None => self.core.reserve(Some(size))?,
            reservation => reservation,
        };
        Ok(FileWork { name: self.name.clone(), staged, record, reservation })
    }

    /// Writes the journal if there is none, also where nothing is to be kept.
    pub(super) fn keep_always(&self) {
        let mut journal = self.journal();
        self.keep_with(&mut journal);
        if !journal.exists() {
            let full = self.core.options.durability == Durability::Full;
            let begun = || self.begun();
            if let Err(errno) = journal.append(&self.core, self.id, begun, |_, _| {}, full) {
                tracing::warn!(id = %self.id, error = %errno, "could not write a journal");
            }
        }
    }

    /// A commit has failed: what is here stays for the next try.
    pub(in crate::inbox) fn uncommit(&self) {
        self.state().commit = None;
        let _ = self.keeper.send(Request::Left(self.partials.clone(), self.id));
    }

    /// The file has its name.
    pub(in crate::inbox) fn published(&self) {
        let _journal = self.journal();
        let mut state = self.state();
        state.ended = true;
        state.commit = None;
        state.data = None;
        drop(state);
        if self.named {
            store::remove_journal(&self.core, self.id);
        }
        if let Some(partials) = self.partials.upgrade() {
            partials.forget(self);
        }
    }
}
