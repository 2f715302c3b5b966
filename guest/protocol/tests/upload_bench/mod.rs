//! An upload and who runs it, for the tests of the machine.

#![allow(dead_code, reason = "each test file uses some of it")]

use sandport_protocol::journal::{GROUP_BYTES, Kept};
use sandport_protocol::upload::{
    Admission, BodyId, Claimant, Done, Effect, Ending, Grant, Held, KeepId, Options, SessionId,
    Upload, Work,
};
use sandport_protocol::{Digest, Extent, Millis, Refusal, RefusalCode, ResumeMode};

/// Of the whole file from a byte on.
pub(crate) fn from(offset: u64) -> Extent {
    Extent { offset, length: None }
}

/// An offer of the first run.
pub(crate) fn offer(mode: ResumeMode) -> Claimant {
    Claimant { run: 1, mode, is_same: true, digest: None }
}

pub(crate) fn io() -> Refusal {
    RefusalCode::Io.into()
}

/// An upload, what it has told, and a clock.
pub(crate) struct Bench {
    pub(crate) upload: Upload,
    pub(crate) now: Millis,
    pub(crate) told: Vec<Effect>,
}

impl Bench {
    /// Of a file of three groups and a byte.
    pub(crate) fn sized() -> Self {
        Self::new(Options { size: Some(3 * GROUP_BYTES + 1), ..Options::default() })
    }

    /// Of a file whose size is not known.
    pub(crate) fn stream() -> Self {
        Self::new(Options::default())
    }

    pub(crate) fn new(options: Options) -> Self {
        Self { upload: Upload::begin(options), now: 0, told: Vec::new() }
    }

    /// A session that has to be admitted.
    pub(crate) fn session(&mut self, mode: ResumeMode) -> SessionId {
        match self.upload.offer(&offer(mode), self.now) {
            Admission::Holds(session) => session,
            other => panic!("the offer got {other:?}"),
        }
    }

    pub(crate) fn body(&mut self, session: SessionId, offset: u64) -> BodyId {
        self.upload.body(session, from(offset)).unwrap()
    }

    pub(crate) fn grant(&mut self, body: BodyId, length: u64) -> Grant {
        self.upload.claim(body, length, self.now).expect("bytes are missing there")
    }

    /// Brings so many zeros: what of it was written.
    pub(crate) fn bring(&mut self, body: BodyId, length: u64) -> u64 {
        let zeros = vec![0; GROUP_BYTES as usize];
        let (mut left, mut written) = (length, 0);
        while left > 0 {
            let mut grant = self.grant(body, left);
            let most = grant.length().min(left);
            left -= most;
            if let Some(write) = grant.bring(&zeros[..most as usize]) {
                let held = write.held.map_or(0, |held| held.bytes.len());
                written += (held + write.bytes.len()) as u64;
            }
            self.upload.wrote(grant, self.now);
        }
        written
    }

    pub(crate) fn commit(&mut self, session: SessionId, size: u64) {
        self.upload.commit(session, size, [], self.now).unwrap();
    }

    pub(crate) fn release(&mut self, session: SessionId) {
        self.upload.release(session, self.now);
    }

    pub(crate) fn done(&mut self, done: Done) {
        self.upload.done(done, self.now);
    }

    /// Lets time pass.
    pub(crate) fn pass(&mut self, time: Millis) {
        self.now += time;
        self.upload.due(self.now);
    }

    /// The work that it wants, which has to be one.
    pub(crate) fn work(&mut self) -> Work {
        self.upload.poll_work().expect("it has work")
    }

    /// The same, where that is a watermark.
    pub(crate) fn keep(&mut self) -> (Option<Held>, Vec<Kept>) {
        match self.work() {
            Work::Checkpoint { held, entries, .. } => (held, entries),
            other => panic!("it wants {other:?}"),
        }
    }

    pub(crate) fn is_idle(&mut self) -> bool {
        self.upload.poll_work().is_none()
    }

    /// What it has told since.
    pub(crate) fn told(&mut self) -> Vec<Effect> {
        std::iter::from_fn(|| self.upload.poll_effect()).collect()
    }

    /// The faults that it has told since.
    pub(crate) fn faults(&mut self) -> Vec<(SessionId, RefusalCode)> {
        let fault = |effect| match effect {
            Effect::Fault { session, refusal } => Some((session, refusal.code)),
            _ => None,
        };
        self.told().into_iter().filter_map(fault).collect()
    }

    /// The refusals of commits that it has told since.
    pub(crate) fn refusals(&mut self) -> Vec<RefusalCode> {
        let refusal = |effect| match effect {
            Effect::Refuse(refusal) => Some(refusal.code),
            _ => None,
        };
        self.told().into_iter().filter_map(refusal).collect()
    }

    /// How the keeps have ended of which it has told since.
    pub(crate) fn kept(&mut self) -> Vec<(KeepId, Result<(), RefusalCode>)> {
        let kept = |effect| match effect {
            Effect::Kept { keep, outcome } => Some((keep, outcome.map_err(|it| it.code))),
            _ => None,
        };
        self.told().into_iter().filter_map(kept).collect()
    }

    /// How it has ended, if it has told that since.
    pub(crate) fn ending(&mut self) -> Option<Ending> {
        self.told().into_iter().find_map(|effect| match effect {
            Effect::Gone(ending) => Some(ending),
            _ => None,
        })
    }

    pub(crate) fn is_gone(&mut self) -> bool {
        self.told().iter().any(|effect| matches!(effect, Effect::Gone(_)))
    }
}

/// The digest of so many zeros.
pub(crate) fn digest_of_zeros(length: u64) -> Digest {
    let mut hasher = blake3::Hasher::new();
    let zeros = vec![0; 64 * 1024];
    let mut left = length as usize;
    while left > 0 {
        let some = left.min(zeros.len());
        hasher.update(&zeros[..some]);
        left -= some;
    }
    Digest::Blake3(*hasher.finalize().as_bytes())
}
