//! What the machine of an upload wants done where the bytes lie, one thing at a time.

use std::sync::Arc;

use sandport_protocol::upload::{Done, Work};
use sandport_protocol::{Digest, Refusal, RefusalCode};

use super::cell::ResumableUpload;
use super::volume::Publication;
use crate::partial_files::data_name;
use crate::stage::PublishEnd;
use crate::usage::Reservation;

impl ResumableUpload {
    /// Does it, and tells the machine how that has ended, whatever happens.
    pub(super) fn perform(self: &Arc<Self>, work: Work) {
        let (blob, facts) = (self.blob(), self.facts());
        let answer = Answer::to(self, &work);
        let done = match work {
            Work::Checkpoint { held, size, entries, is_synced } => {
                blob.keep(facts, held.as_ref(), size, entries, is_synced)
            }
            Work::Write(held) => Done::Written(blob.write(facts, held.at, &held.bytes)),
            Work::Hash { size } => Done::Hashed(blob.hash(facts, size)),
            Work::Publish { size, digest } => return self.publish(answer, size, digest),
            Work::Remove => {
                self.release_quota();
                // Not when the last session is gone: one that was cut off has not noticed yet.
                let claim = self.state().claim.upgrade();
                claim.inspect(|claim| claim.release());
                blob.remove(facts);
                Done::Removed
            }
            Work::Park { kept_bytes, dirty, is_starved } => {
                let place = self.reservation().as_ref().and_then(Reservation::place);
                blob.park(facts, &dirty, kept_bytes, is_starved);
                if let (Some(usage), Some(place)) = (self.usage(), place) {
                    usage.waits_at(&data_name(facts.id), place);
                }
                self.release_quota();
                Done::Parked
            }
        };
        answer.is(done);
    }

    fn publish(self: &Arc<Self>, answer: Answer, size: u64, digest: Digest) {
        let end = Box::new(Publishing(Some(answer)));
        let (commit, claim) = {
            let mut state = self.state();
            (state.commit.take(), state.claim.upgrade())
        };
        let Some(commit) = commit else { return };
        let owner = Arc::downgrade(self);
        let reservation = self.reservation().take().map(|reservation| {
            reservation.returning_to(move |reservation| {
                // Where it is gone, that is given up.
                if let Some(owner) = owner.upgrade() {
                    owner.take_back(reservation);
                }
            })
        });
        // A stream claims what it would bring next.
        let claim = claim.filter(|_| self.facts().size.is_some());
        let publication = Publication { size, digest, commit, reservation, claim, end };
        self.blob().publish(self.facts(), publication);
    }
}

/// The duty to say how a work has ended. One that panics has ended too: else the upload waits for it for ever, and with
/// it whoever wants the upload.
struct Answer {
    resumable: Arc<ResumableUpload>,
    /// What is said where nobody says anything else.
    done: Option<Done>,
}

impl Answer {
    fn to(resumable: &Arc<ResumableUpload>, work: &Work) -> Self {
        let failed = || Refusal::new(RefusalCode::Io, "a work of the inbox was not finished");
        let done = match work {
            // Nobody knows what of it is there.
            Work::Checkpoint { .. } => Done::Unsynced(failed()),
            Work::Write(_) => Done::Written(Err(failed())),
            Work::Hash { .. } => Done::Hashed(Err(failed())),
            Work::Publish { .. } => Done::NotPublished,
            Work::Remove => Done::Removed,
            Work::Park { .. } => Done::Parked,
        };
        Self { resumable: Arc::clone(resumable), done: Some(done) }
    }

    fn is(mut self, done: Done) {
        self.done = Some(done);
    }
}

impl Drop for Answer {
    fn drop(&mut self) {
        if let Some(done) = self.done.take() {
            self.resumable.act(|state, now| state.upload.done(done, now));
        }
    }
}

/// That of a publication.
struct Publishing(Option<Answer>);

impl PublishEnd for Publishing {
    fn is_decided(&mut self) {
        if let Some(Answer { resumable, done }) = &mut self.0 {
            *done = Some(Done::Published);
            resumable.state().is_decided = true;
            resumable.blob().close();
        }
    }

    fn published(mut self: Box<Self>) {
        self.is_decided();
        if let Some(answer) = self.0.take() {
            let runtime = Arc::clone(answer.resumable.runtime());
            // Not here: it removes the journal, and other files are being published.
            runtime.remove(Box::new(move || {
                answer.resumable.blob().published(answer.resumable.facts());
                answer.is(Done::Published);
            }));
        }
    }

    fn mismatched(mut self: Box<Self>, refusal: &Refusal) {
        if let Some(answer) = self.0.take() {
            answer.is(Done::Mismatched(refusal.clone()));
        }
    }

    fn lost(mut self: Box<Self>, fault: &Refusal) {
        if let Some(answer) = self.0.take() {
            answer.is(Done::Lost(fault.clone()));
        }
    }
}
