//! How an upload ends: published, or discarded.

use std::convert::Infallible;
use std::os::fd::OwnedFd;
use std::sync::Arc;

use blake3::hazmat::HasherExt;
use sandport_protocol::journal::GROUP_BYTES;
use sandport_protocol::{Digest, Refusal, RefusalCode, Resume};

use super::holding::Evicted;
use super::{Partial, State};
use crate::inbox::Durability;
use crate::inbox::commit::{Job, Pending, Ticket, Work};
use crate::inbox::partial::holder::Commit;
use crate::inbox::partial::keeper::Request;
use crate::inbox::partial::store;
use crate::inbox::publish::FileWork;
use crate::inbox::receipts;
use crate::inbox::stage::StagedFile;

/// An upload of which all is here.
struct Whole {
    size: u64,
    data: Option<Arc<OwnedFd>>,
}

impl Partial {
    /// Ends it and removes what is here, where the sender of this offer may do that. `false`: a commit of it
    /// is under way.
    ///
    /// # Errors
    /// `locked`: a later run holds it.
    pub(in crate::inbox::partial) fn discard_for(&self, resume: &Resume) -> Result<bool, Refusal> {
        let discarded = self.discard(|state| match state.commit {
            Some((_, None, _)) => Err(None),
            _ => state.make_way(resume).map_err(Some),
        });
        match discarded {
            Ok(_) => Ok(true),
            Err(None) => Ok(false),
            Err(Some(refusal)) => Err(refusal),
        }
    }

    /// Ends it and removes what is here, where this holder has it still.
    pub(in crate::inbox::partial) fn discard_by(&self, holder: u64, why: &str) {
        let why = Refusal::new(RefusalCode::Cancelled, why);
        let holds = |state: &mut State| match state.holders.contains_key(&holder) {
            true => Ok(state.evict(why)),
            false => Err(()),
        };
        // Whoever has it now knows better.
        let _ = self.discard(holds);
    }

    /// Ends it and removes what is here, where nobody has it; whether something was.
    pub(in crate::inbox::partial) fn discard_unheld(&self) -> bool {
        self.discard_if(|state| !state.is_held())
    }

    /// The same, where nobody has had it after this holder.
    pub(in crate::inbox::partial) fn discard_after(&self, holder: u64) {
        self.discard_if(|state| !state.is_held() && state.holders_made == holder);
    }

    fn discard_if(&self, is_unwanted: impl FnOnce(&State) -> bool) -> bool {
        let why = Refusal::new(RefusalCode::Cancelled, "nobody needs it any more");
        let discarded = self.discard(|state| match is_unwanted(state) {
            true => Ok(state.evict(why)),
            false => Err(()),
        });
        // Whoever has it goes on.
        discarded.unwrap_or(false)
    }

    /// Ends it and removes what is here, if `evict` lets it; whether there was data.
    fn discard<E>(&self, evict: impl FnOnce(&mut State) -> Result<Evicted, E>) -> Result<bool, E> {
        let journal = self.journal();
        let mut state = self.state();
        if state.ended {
            return Ok(false);
        }
        let evicted = evict(&mut state)?;
        state.ended = true;
        drop(state);
        // First, or one of them could make the file once more.
        self.dismiss(evicted);
        let mut state = self.state();
        let on_disk = state.data.take().is_some() || journal.exists();
        // Not when the last handle is gone: the keeper has one until its next turn.
        state.reservation = None;
        // Nor when the last holder is: one that was cut off has not noticed yet.
        let claim = state.claim.upgrade();
        drop(state);
        claim.inspect(|claim| claim.release());
        // Before it is forgotten: then somebody else may make the files anew.
        let is_removed = on_disk && store::remove(&self.core, self.id);
        if let Some(partials) = self.partials.upgrade() {
            partials.forget(self);
        }
        Ok(is_removed)
    }

    /// A holder is through. It is published when all are; `None`: the holder has lost the upload just now.
    pub(in crate::inbox::partial) fn commit(&self, holder: u64, commit: Commit) -> Option<Pending> {
        self.seal(holder);
        let mut state = self.state();
        state.holders.remove(&holder)?;
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
        drop(state);
        self.conclude();
        Some(pending)
    }

    /// Where a commit waits for nobody any more, checks what is here and hands it over to be published.
    pub(super) fn conclude(&self) {
        let (pending, ticket, mut commits, whole, goes_on) = {
            let mut state = self.state();
            if !state.is_committable() {
                return;
            }
            let Some((pending, ticket, commits)) = &mut state.commit else { return };
            let Some(ticket) = ticket.take() else { return };
            let (pending, commits) = (pending.clone(), std::mem::take(commits));
            // Together with taking it: who comes just now is not to wait for a commit that cannot be.
            let whole = self.check_whole(&mut state, &commits);
            let goes_on =
                matches!(&whole, Err(refusal) if refusal.code != RefusalCode::DigestMismatch);
            if goes_on {
                state.commit = None;
            }
            (pending, ticket, commits, whole, goes_on)
        };
        let Some(me) = commits.first().map(|commit| Arc::clone(&commit.partial)) else { return };
        let work = match whole.and_then(|whole| self.finish(&me, &pending, &commits, whole)) {
            Ok(work) => Work::File(work),
            Err(refusal) => {
                if refusal.code == RefusalCode::DigestMismatch {
                    let Ok(_) =
                        self.discard(|state| Ok::<_, Infallible>(state.evict(refusal.clone())));
                }
                match goes_on {
                    true => self.left(),
                    false => self.uncommit(&pending),
                }
                Work::Refused(refusal)
            }
        };
        if let Some(last) = commits.pop() {
            last.inbox.submit(Job { work, ticket });
        }
    }

    /// The size of the file, of which all is here, and its data, where that was made.
    ///
    /// # Errors
    /// `digest-mismatch`: it is not, and will not be. `cancelled`: a connection that joined has left early.
    fn check_whole(&self, state: &mut State, commits: &[Commit]) -> Result<Whole, Refusal> {
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
        Ok(Whole { size, data: state.data.clone() })
    }

    fn finish(
        &self,
        me: &Arc<Self>,
        pending: &Pending,
        commits: &[Commit],
        Whole { size, data }: Whole,
    ) -> Result<FileWork, Refusal> {
        let failed = |errno| self.core.refusal("finish a file", errno);
        let mismatch = |words: String| Err(Refusal::new(RefusalCode::DigestMismatch, words));
        let data = match data {
            Some(data) => data,
            // An empty stream had no first byte to be made with.
            None if size == 0 => self.data()?,
            None => return Err(store::lost()),
        };
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
        let data_name = store::data_name(self.id);
        let mut staged = StagedFile::of_partial(data_name, data, me, pending.clone());
        let executable = executable && self.core.options.allow_executable;
        let stat = staged.finish(modified_ns, executable).map_err(failed)?;
        let record = receipts::describe(*computed.as_bytes(), &stat);
        let reservation = match self.state().reservation.take() {
            // It was given to an earlier commit, which failed.
            None => self.core.reserve(&self.identity, Some(size))?,
            reservation => reservation,
        };
        let (identity, name) = (self.identity.clone(), self.name.clone());
        let mut file = FileWork::new(identity, name, staged, record, reservation);
        // The connection that brought the last of it gives it up now. A stream claims what it would bring next.
        file.claim = self.state().claim.upgrade().filter(|_| self.size.is_some());
        Ok(file)
    }

    /// Writes the journal if there is none, also where nothing is to be kept.
    pub(super) fn keep_always(&self) {
        let mut journal = self.journal();
        // What it could not write, nobody waits for: all bodies have ended.
        let _ = self.keep_with(&mut journal);
        // Where the disk failed just now, nothing is left to be found.
        if !journal.exists() && !self.state().ended {
            let full = self.core.options.durability == Durability::Full;
            let begun = || self.begun();
            if let Err(errno) = journal.append(&self.core, self.id, begun, |_, _| {}, full) {
                tracing::warn!(id = %self.id, error = %errno, "could not write a journal");
            }
        }
    }

    /// This commit has failed: what is here stays for the next try.
    pub(in crate::inbox) fn uncommit(&self, failed: &Pending) {
        let mut state = self.state();
        // Somebody may have begun to commit it anew.
        if state.commit.as_ref().is_some_and(|(pending, ..)| pending.is(failed)) {
            state.commit = None;
        }
        drop(state);
        self.left();
    }

    /// Nobody may hold it now: the keeper looks.
    pub(super) fn left(&self) {
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
