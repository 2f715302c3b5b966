//! An upload, those who are at it, and what was seen of it.

use sandport_protocol::journal::{GROUP_BYTES, Kept, Ranges, Tree};
use sandport_protocol::upload::{
    Admission, BodyId, Claimant, Done, Effect, Ending, Found, Grant, KeepId, Options, SessionId,
    Upload, Work,
};
use sandport_protocol::{Digest, Extent, Millis, Refusal, RefusalCode, ResumeMode};

use super::content::{digest, hasher, value, with_zeros};
use super::operation::{CONNECTIONS, Mode, Operation, Outcome, Place, Size};

/// How many works it takes at most until an upload is gone that everybody has left.
const WORKS_TO_END_MAX: usize = 32;

/// Longest time for which nothing happens. Milliseconds: longer than any interval of an upload.
const LONG_MS: Millis = 200_000;

#[derive(Default)]
struct Connection {
    session: Option<SessionId>,
    body: Option<Bringing>,
    is_faulted: bool,
    run: u64,
    commits: bool,
    /// What it commits is not what it says.
    is_wrong: bool,
}

/// A body, and a grant of it that is out.
struct Bringing {
    id: BodyId,
    is_checked: bool,
    /// What a checked body has brought.
    checked: Ranges,
    grant: Option<Grant>,
}

pub(crate) struct World {
    options: Options,
    upload: Upload,
    connections: [Connection; CONNECTIONS as usize],
    /// Grants of bodies whose connection has left.
    left: Vec<(Grant, bool)>,
    work: Option<Work>,
    now: Millis,
    /// What was brought, as far as it counts.
    written: Ranges,
    /// What the journal knows: whole groups, and the last begun one.
    groups: Ranges,
    tail: Option<(u64, u64)>,
    size: Option<u64>,
    told: u64,
    keeps: Vec<(KeepId, Ranges)>,
    ending: Option<Ending>,
    runs: usize,
}

impl World {
    pub(crate) fn new(options: Options) -> Self {
        let size = options.size;
        Self {
            upload: Upload::begin(options.clone()),
            options,
            connections: Default::default(),
            left: vec![],
            work: None,
            now: 0,
            written: Ranges::default(),
            groups: Ranges::default(),
            tail: None,
            size,
            told: 0,
            keeps: vec![],
            ending: None,
            runs: 0,
        }
    }

    /// What is kept: whole groups, and the begun one.
    fn kept(&self) -> Ranges {
        let mut kept = self.groups.clone();
        if let Some((start, end)) = self.tail {
            kept.insert(start, end);
        }
        kept
    }

    pub(crate) fn step(&mut self, operation: Operation) {
        let now = self.now;
        match operation {
            Operation::Offer { which, mode, run, is_same } => self.offer(which, mode, run, is_same),
            Operation::Body { which, at, length, checked } => self.body(which, at, length, checked),
            Operation::Claim { which, length, reserves } => self.claim(which, length, reserves),
            Operation::Wrote { which, part } => self.wrote(which, part),
            Operation::WriteFailed { which } => {
                if let Some((mut grant, _)) = self.take_grant(which) {
                    // It was hashed, and the disk has refused it.
                    with_zeros(grant.length(), |zeros| {
                        let _ = grant.bring(zeros);
                    });
                    self.upload.failed(grant, &io(), now);
                }
            }
            Operation::Pause { which } => {
                if let Some(body) = &self.at(which).body {
                    let id = body.id;
                    self.upload.pause(id, now);
                }
            }
            Operation::EndBody { which } => {
                if let Some(body) = self.at(which).body.take_if(|body| body.grant.is_none()) {
                    self.upload.end_body(body.id, now);
                }
            }
            Operation::EndChecked { which, is_right } => self.end_checked(which, is_right),
            Operation::SetSize { which, size } => {
                let (session, Some(size)) = (self.at(which).session, size.bytes()) else { return };
                let Some(session) = session else { return };
                if self.upload.set_size(session, size, now).is_ok() {
                    assert!(self.size.is_none_or(|known| known == size), "another size");
                    assert!(self.written.end() <= size, "more is here than that");
                    self.size = Some(size);
                }
            }
            Operation::Keep { which } => {
                let Some(session) = self.at(which).session else { return };
                let here = self.written.clone();
                if let Ok(keep) = self.upload.keep(session, now) {
                    self.keeps.push((keep, here));
                }
            }
            Operation::Commit { which, size, is_right } => self.commit(which, size, is_right),
            Operation::Leave { which } => {
                if let Some(session) = self.leave(which) {
                    self.upload.release(session, now);
                }
            }
            Operation::Discard { which } => {
                if let Some(session) = self.leave(which) {
                    self.upload.discard(session, now);
                }
            }
            Operation::Abandon => self.upload.abandon(now),
            Operation::DiscardUnheld => self.upload.discard_parked(now),
            Operation::Settle => self.upload.settle(now),
            Operation::Fail { which } => {
                if let Some(session) = self.at(which).session {
                    self.upload.fail(session, &io(), now);
                }
            }
            Operation::FailAll => self.upload.fail_all(&io(), now),
            Operation::Done(outcome) => self.done(outcome),
            Operation::Due { later_ms } => {
                self.now += Millis::from(later_ms);
                self.upload.due(self.now);
            }
        }
        self.look();
    }

    fn at(&mut self, which: u8) -> &mut Connection {
        &mut self.connections[usize::from(which % CONNECTIONS)]
    }

    fn offer(&mut self, which: u8, mode: Mode, run: u8, is_same: bool) {
        let connection = self.at(which);
        if connection.session.is_some() || connection.commits || self.ending.is_some() {
            return;
        }
        let mode = match mode {
            Mode::TakeOver => ResumeMode::TakeOver,
            Mode::Join => ResumeMode::Join,
            Mode::Restart => ResumeMode::Restart,
        };
        let claimant = Claimant { run: u64::from(run % 3), mode, is_same, digest: None };
        match self.upload.offer(&claimant, self.now) {
            Admission::Holds(session) => {
                let run = claimant.run;
                *self.at(which) =
                    Connection { session: Some(session), run, ..Connection::default() };
                let holds =
                    |it: &&Connection| it.session.is_some_and(|known| self.upload.holds(known));
                let mut runs = self.connections.iter().filter(holds).map(|it| it.run);
                assert!(runs.all(|other| other == run), "two runs hold it");
            }
            Admission::Commits => {
                assert!(self.connections.iter().any(|it| it.commits), "nobody commits");
                assert!(is_same, "it is answered by the commit of another file");
            }
            _ => {}
        }
    }

    fn body(&mut self, which: u8, at: Place, length: Size, is_checked: bool) {
        let missing = self.upload.missing();
        let offset = match at {
            Place::Missing(number) if missing.is_empty() => u64::from(number),
            Place::Missing(number) => missing[usize::from(number) % missing.len()].offset,
            Place::At(size) => size.bytes().unwrap_or(0),
        };
        let connection = self.at(which);
        let (Some(session), None) = (connection.session, &connection.body) else { return };
        let extent = Extent { offset, length: length.bytes() };
        let body = match is_checked {
            true => self.upload.body_checked(session, extent),
            false => self.upload.body(session, extent),
        };
        if let Ok(id) = body {
            assert!(!self.at(which).is_faulted, "who has lost it begins nothing");
            let checked = Ranges::default();
            self.at(which).body = Some(Bringing { id, is_checked, checked, grant: None });
        }
    }

    fn claim(&mut self, which: u8, length: Size, reserves: bool) {
        let now = self.now;
        let is_settled = self.upload.is_settled();
        let connection = self.at(which);
        let is_faulted = connection.is_faulted;
        let Some(body) = connection.body.as_ref().filter(|body| body.grant.is_none()) else {
            return;
        };
        let (id, most) = (body.id, length.bytes().unwrap_or(GROUP_BYTES));
        let length = match reserves {
            true => self.upload.reserve(id, most, now),
            false => most,
        };
        if length == 0 {
            return;
        }
        let Some(grant) = self.upload.claim(id, length, now) else { return };
        assert!(is_settled && !is_faulted, "a grant for who has lost it, or before it has settled");
        assert!((1..=length.min(GROUP_BYTES)).contains(&grant.length()), "{}", grant.length());
        let (start, end) = (grant.at(), grant.at() + grant.length());
        assert_eq!(start / GROUP_BYTES, (end - 1) / GROUP_BYTES, "of one group");
        assert!(self.size.is_none_or(|size| end <= size), "beyond the file");
        assert!(self.options.max_file_size.is_none_or(|most| end <= most), "beyond the limit");
        assert!(!self.written.overlaps(start, end), "what is here is brought again");
        let of_others = self.connections.iter().filter_map(|it| it.body.as_ref()?.grant.as_ref());
        for other in of_others.chain(self.left.iter().map(|(grant, _)| grant)) {
            assert_ne!(other.at() / GROUP_BYTES, start / GROUP_BYTES, "a group is lent twice");
        }
        if let Some(body) = &mut self.at(which).body {
            body.grant = Some(grant);
        }
    }

    /// A grant that is out: of this connection, or else of one that has left. With whether it counts at once.
    fn take_grant(&mut self, which: u8) -> Option<(Grant, bool)> {
        let connection = self.at(which);
        let body = connection.body.as_mut();
        match body.and_then(|body| Some((body.grant.take()?, body.is_checked))) {
            Some(grant) => Some(grant),
            None => self.left.pop(),
        }
    }

    fn wrote(&mut self, which: u8, part: u8) {
        let Some((mut grant, is_checked)) = self.take_grant(which) else { return };
        let start = grant.at();
        let length = grant.length() * u64::from(part) / 255;
        with_zeros(length, |zeros| {
            if let Some(write) = grant.bring(zeros) {
                assert_eq!((write.at, write.bytes.len() as u64), (start, length));
                if let Some(held) = write.held {
                    assert_eq!(held.at + held.bytes.len() as u64, start);
                    assert!(held.bytes.len() <= 1_024);
                }
            }
        });
        match is_checked {
            true => {
                if let Some(body) = &mut self.at(which).body {
                    body.checked.insert(start, start + length);
                }
            }
            false => self.written.insert(start, start + length),
        }
        self.upload.wrote(grant, self.now);
    }

    fn end_checked(&mut self, which: u8, is_right: bool) {
        let now = self.now;
        let Some(body) = self.at(which).body.take_if(|it| it.is_checked && it.grant.is_none())
        else {
            return;
        };
        if self.upload.end_checked(body.id, is_right, true, now).is_ok() {
            assert!(is_right, "what was wrong counts");
            body.checked.iter().for_each(|(start, end)| self.written.insert(start, end));
        }
    }

    fn commit(&mut self, which: u8, size: Size, is_right: bool) {
        let here = self.written.end();
        let Some(session) = self.leave(which) else { return };
        let size = size.bytes().unwrap_or(here);
        let claimed = match is_right && size <= 4 * GROUP_BYTES {
            true => digest(size),
            false => Digest::Blake3([1; 32]),
        };
        let commits = self.upload.commit(session, size, [claimed], self.now).is_ok();
        let is_wrong = claimed == Digest::Blake3([1; 32]);
        let connection = self.at(which);
        (connection.commits, connection.is_wrong) = (commits, is_wrong);
    }

    /// A connection leaves; what it has lent goes on.
    fn leave(&mut self, which: u8) -> Option<SessionId> {
        let connection = self.at(which);
        let session = connection.session.take()?;
        connection.is_faulted = false;
        if let Some(body) = connection.body.take()
            && let Some(grant) = body.grant
        {
            self.left.push((grant, body.is_checked));
        }
        Some(session)
    }

    fn done(&mut self, outcome: Outcome) {
        let Some(work) = self.work.take() else { return };
        let is_well = matches!(outcome, Outcome::Well);
        // Whoever publishes tells its outcome; where the data was lost, the upload does as well.
        let ends_commits =
            matches!(work, Work::Publish { .. }) && !matches!(outcome, Outcome::Lost);
        let done = match (work, outcome) {
            (Work::Checkpoint { entries, is_synced, .. }, Outcome::Well) => {
                assert!(is_synced || self.options.boot.is_some(), "entries that outlive nothing");
                entries.iter().for_each(|entry| self.keep(entry));
                Done::Checkpointed
            }
            (Work::Checkpoint { .. }, Outcome::Lost) => {
                self.written = self.kept();
                Done::Unsynced(io())
            }
            (Work::Checkpoint { .. }, _) => Done::Unwritten(io()),
            (Work::Write(_), _) => Done::Written(if is_well { Ok(()) } else { Err(io()) }),
            (Work::Hash { size }, _) => {
                Done::Hashed(if is_well { Ok(digest(size)) } else { Err(io()) })
            }
            (Work::Publish { .. }, Outcome::Well) => Done::Published,
            (Work::Publish { .. }, Outcome::Refused) => Done::NotPublished,
            (Work::Publish { .. }, Outcome::Lost) => Done::Lost(io()),
            (Work::Publish { .. }, Outcome::Mismatched) => {
                Done::Mismatched(RefusalCode::DigestMismatch.into())
            }
            (Work::Remove, _) => Done::Removed,
            (Work::Park { .. }, _) => Done::Parked,
        };
        if ends_commits {
            self.connections.iter_mut().for_each(|connection| connection.commits = false);
        }
        self.upload.done(done, self.now);
    }

    /// An entry is in the journal.
    fn keep(&mut self, entry: &Kept) {
        let end_of = |group: u64| {
            let end = (group + 1) * GROUP_BYTES;
            self.size.map_or(end, |size| end.min(size))
        };
        for (group, found) in (entry.first..).zip(&entry.groups) {
            let (start, end) = (group * GROUP_BYTES, end_of(group));
            assert!(self.written.gaps_within((start, end)).is_empty(), "a group that is not here");
            assert_eq!(*found, value(group, end - start), "the hash of something else");
            assert!(!self.groups.contains(start), "a group is kept twice");
            self.groups.insert(start, end);
        }
        if let Some(tail) = entry.tail {
            let start = tail.group * GROUP_BYTES;
            let end = start + tail.length;
            assert!(self.written.gaps_within((start, end)).is_empty(), "bytes that are not here");
            assert_eq!(tail.value, value(tail.group, tail.length), "the hash of something else");
            self.tail = Some((start, end));
        }
    }

    /// What the upload tells and wants, and whether it may.
    fn look(&mut self) {
        while let Some(effect) = self.upload.poll_effect() {
            assert!(self.ending.is_none(), "{effect:?} of an upload that is gone");
            match effect {
                Effect::Fault { session, .. } => {
                    for connection in &mut self.connections {
                        connection.is_faulted |= connection.session == Some(session);
                    }
                }
                Effect::Durable(bytes) => {
                    assert!(bytes >= self.told, "fewer bytes are durable than before");
                    assert!(bytes <= self.kept().prefix(), "{bytes} bytes are durable");
                    self.told = bytes;
                }
                Effect::Refuse(_) => {
                    let commit = |it: &mut Connection| std::mem::take(&mut it.commits);
                    let waited = self.connections.iter_mut().map(commit).filter(|it| *it).count();
                    assert!(waited > 0, "a commit is refused that nobody waits for");
                }
                Effect::Gone(ending) => self.ending = Some(ending),
                Effect::Kept { keep, outcome } => {
                    let at = self.keeps.iter().position(|(known, _)| *known == keep);
                    let (_, here) = self.keeps.remove(at.expect("somebody waits for it"));
                    let kept = self.kept();
                    let is_published = self.size_when_whole().is_some();
                    let is_kept = |range| kept.gaps_within(range).is_empty();
                    if outcome.is_ok() && !is_published {
                        assert!(here.iter().all(is_kept), "bytes are told to be kept");
                    }
                }
                Effect::Room | Effect::Changed | Effect::Wake(_) => {}
            }
        }
        let progress = self.upload.progress();
        assert!(self.upload.is_ending() || progress.received <= self.written.prefix());
        let Some(work) = self.upload.poll_work() else { return };
        assert!(self.ending.is_none(), "{work:?} of an upload that is gone");
        assert!(self.work.is_none(), "two works are under way");
        let lent = |it: &Connection| it.body.as_ref().is_some_and(|body| body.grant.is_some());
        let are_lent = !self.left.is_empty() || self.connections.iter().any(lent);
        match &work {
            Work::Park { .. } | Work::Remove => assert!(!are_lent, "it does not wait for a grant"),
            Work::Publish { size, digest: found } => {
                assert!(!are_lent, "it does not wait for a grant");
                assert!(self.written.is_whole(*size), "a file is published that is not whole");
                assert_eq!(*found, digest(*size), "the digest of something else");
                let holds =
                    |it: &Connection| it.session.is_some_and(|session| self.upload.holds(session));
                assert!(!self.connections.iter().any(holds), "somebody holds what is published");
                let mut commits = self.connections.iter().filter(|it| it.commits);
                assert!(commits.clone().next().is_some(), "nobody commits");
                assert!(!commits.any(|it| it.is_wrong), "it is not what was to be sent");
            }
            _ => {}
        }
        self.work = Some(work);
    }

    fn size_when_whole(&self) -> Option<u64> {
        let size = self.size.unwrap_or(self.written.end());
        self.written.is_whole(size).then_some(size)
    }

    /// Lets everybody leave, and all works end well: it is gone then, and who waits has been answered.
    pub(crate) fn drain(mut self) {
        for which in 0..CONNECTIONS {
            self.step(Operation::Wrote { which, part: 255 });
            self.step(Operation::Leave { which });
        }
        while !self.left.is_empty() {
            self.step(Operation::Wrote { which: 0, part: 255 });
        }
        for _ in 0..WORKS_TO_END_MAX {
            if self.ending.is_some() {
                break;
            }
            self.step(Operation::Done(Outcome::Well));
            self.now += LONG_MS;
            self.upload.due(self.now);
            self.look();
        }
        let ending = self.ending.take().expect("it is gone");
        assert!(!self.connections.iter().any(|it| it.commits), "a commit is never answered");
        assert!(self.keeps.is_empty(), "a keep is never answered");
        if ending == Ending::Parked && self.runs == 0 {
            self.resume();
        }
    }

    /// Goes on with what the journal knows, until the file is whole.
    fn resume(self) {
        let mut tree = Tree::default();
        let ranges: Vec<_> = self.groups.iter().collect();
        for (start, end) in ranges {
            for group in start / GROUP_BYTES..end.div_ceil(GROUP_BYTES) {
                let length = GROUP_BYTES.min(end - group * GROUP_BYTES);
                tree.insert(group, value(group, length));
            }
        }
        let tail = self.tail.filter(|(start, _)| !self.groups.contains(*start));
        let tail = tail.map(|(start, end)| {
            let group = start / GROUP_BYTES;
            (group, end - start, hasher(group, end - start))
        });
        let found = Found { tree, whole: self.groups.clone(), tail };
        let options = Options { size: self.size, ..self.options.clone() };
        let mut again = Self::new(options.clone());
        again.upload = Upload::resume(options, found);
        (again.written, again.groups, again.tail) = (self.kept(), self.groups.clone(), self.tail);
        (again.size, again.runs) = (self.size, 1);
        again.step(Operation::Offer { which: 0, mode: Mode::TakeOver, run: 1, is_same: true });
        // As much as fits a test; a file that is longer stays as it is.
        for _ in 0..16 {
            again.step(Operation::Body {
                which: 0,
                at: Place::Missing(0),
                length: Size::Unknown,
                checked: false,
            });
            again.step(Operation::Claim { which: 0, length: Size::Unknown, reserves: true });
            again.step(Operation::Wrote { which: 0, part: 255 });
            again.step(Operation::Done(Outcome::Well));
            again.step(Operation::EndBody { which: 0 });
        }
        again.step(Operation::Commit { which: 0, size: Size::Unknown, is_right: true });
        again.drain();
    }
}

fn io() -> Refusal {
    RefusalCode::Io.into()
}
