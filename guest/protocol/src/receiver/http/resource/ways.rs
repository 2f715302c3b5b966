//! What a request to an upload does when something has happened.

use alloc::vec::Vec;

use super::exchange::{After, Resource, SETTLING_MS, Stage, UPLOAD};
use super::fit::{exceeds_append, misfit, too_much};
use super::{Append, Check, Ends, Goal, Role, Standing, Trouble};
use crate::receiver::io::Io;
use crate::receiver::{Committed, Lifetime, Opened, Output, Status, Wishes};
use crate::{Extent, Offer, Refusal, RefusalCode};

impl Resource {
    /// Asks the inbox the first thing.
    pub(super) fn start(&mut self, io: &mut Io) {
        let settles = match &self.goal {
            Goal::Create(creation, append) => {
                if let Some(trouble) = too_much(append, io) {
                    return self.fail(trouble);
                }
                if let (Role::Final(parts), None) = (&creation.role, &self.parts) {
                    let parts = parts.clone();
                    return self.join(io, parts);
                }
                let size = append.size.or_else(|| self.parts.as_ref()?.size);
                let offer = Offer {
                    name: creation.name.clone(),
                    size,
                    modified_ns: creation.modified_ns,
                    ..nameless()
                };
                let (digests, want) = append.for_offer();
                let notes = creation.notes.clone().with_modified_ns(creation.modified_ns);
                let metadata = notes.clone().pairs();
                let wishes = Wishes { lifetime: Lifetime::NewKey, digests, want, metadata };
                self.standing.size = size;
                self.standing.notes = notes;
                self.standing.expires_in_s = io.limits.expires_s;
                io.out.push(Output::Open { id: UPLOAD, offer, wishes });
                self.stage = Stage::Opening;
                return;
            }
            Goal::Append(_, append) => {
                if let Some(most) = exceeds_append(append, io) {
                    return self.fail(Trouble::AppendTooLarge(most));
                }
                true
            }
            Goal::Look { settles, .. } => *settles,
            Goal::Cancel(_) => return self.abandon(io, None),
        };
        self.look(io, settles);
    }

    /// Asks how far the upload is.
    pub(super) fn look(&mut self, io: &mut Io, settles: bool) {
        io.out.push(Output::Look { key: self.standing.key.clone(), settle: settles });
        self.stage = Stage::Looking;
        self.until = Some(io.now.saturating_add(SETTLING_MS));
    }

    /// How far the upload is, is known.
    pub(super) fn looked(&mut self, io: &mut Io, mut status: Status) {
        self.received = status.received;
        let durable = status.durable;
        let outcome = status.outcome.take();
        self.standing = Standing::of(&self.standing.key, status, io.limits.expires_s);
        let role = self.speech.role(&self.standing);
        match outcome {
            Some(Ok(_))
                if matches!(role, Role::Final(_)) && matches!(self.goal, Goal::Append(..)) =>
            {
                return self.fail(Trouble::Final);
            }
            Some(Ok(receipt)) => {
                self.standing.offset = receipt.size;
                self.standing.size = Some(receipt.size);
                self.standing.expires_in_s = None;
                self.stage = Stage::Done;
                self.answer = Some(match self.append() {
                    Some(append) => self.speech.was_complete(&self.standing, &receipt, append),
                    None => self.speech.found(&self.standing, true),
                });
                return;
            }
            Some(Err(refusal)) => return self.fail(Trouble::Ended(refusal)),
            None => {}
        }
        match (role, &mut self.goal) {
            (Role::Final(_), Goal::Append(..)) => return self.fail(Trouble::Final),
            // Who asks is told that it is complete, if its parts are, and so it has to be.
            (Role::Final(parts), Goal::Look { settles: true, .. }) => return self.join(io, parts),
            (Role::Part, Goal::Append(_, append)) => append.ends = Ends::Later,
            (Role::Part, Goal::Look { .. }) if durable == self.received => {
                return self.conclude(io, After::Standing);
            }
            (Role::Part, Goal::Look { settles: true, .. }) => {
                return self.reopen(io, After::Standing);
            }
            _ => {}
        }
        if let Goal::Append(_, append) = &mut self.goal {
            self.speech.recall(&self.standing, append, &io.limits.algorithms);
        }
        let failure = match &self.goal {
            Goal::Append(_, append) if self.speech.owns(&self.standing) => {
                match misfit(append, &self.standing, self.received) {
                    Some(Trouble::Excess) if self.speech.discards_excess() => {
                        return self.abandon(io, Some(Trouble::Excess));
                    }
                    Some(trouble) => trouble,
                    None => return self.open(io),
                }
            }
            Goal::Append(..) => return self.fail(Trouble::Foreign),
            // Who asks is told that it is complete, and so it has to be.
            Goal::Look { settles: true, .. }
                if self.standing.size == Some(self.received)
                    && self.speech.ends_at_size()
                    && self.speech.owns(&self.standing) =>
            {
                return self.open(io);
            }
            Goal::Look { settles: true, .. } if durable < self.received => {
                return self.reopen(io, After::Standing);
            }
            _ => return self.conclude(io, After::Standing),
        };
        match failure {
            Trouble::Offset { .. } if durable < self.received => {
                self.reopen(io, After::Failed(failure));
            }
            _ => self.fail(failure),
        }
    }

    /// Takes the upload, whose offset is right.
    pub(super) fn open(&mut self, io: &mut Io) {
        self.push_existing(io);
        self.stage = Stage::Opening;
    }

    /// Takes the upload to have kept what is here.
    fn reopen(&mut self, io: &mut Io, after: After) {
        self.push_existing(io);
        self.stage = Stage::Reopening(after);
    }

    fn push_existing(&mut self, io: &mut Io) {
        let (digests, want) = self.append().map(Append::for_offer).unwrap_or_default();
        let lifetime = Lifetime::Existing(self.standing.key.clone());
        let wishes = Wishes { lifetime, digests, want, metadata: Vec::new() };
        let offer = Offer { modified_ns: self.standing.notes.modified_ns(), ..nameless() };
        io.out.push(Output::Open { id: UPLOAD, offer, wishes });
    }

    /// The inbox has answered who wants to bring content.
    pub(super) fn opened(&mut self, io: &mut Io, opened: Result<Opened, Refusal>) {
        match (opened, &self.goal) {
            (Ok(Opened::Begun { key }), Goal::Create(..)) => {
                self.standing.key = key;
                if let Some(interim) = self.speech.announced(&self.standing) {
                    self.interims.push_back(interim);
                    self.is_told = true;
                }
                match self.parts {
                    Some(_) => self.begin_joining(io),
                    None => self.take_content(io),
                }
            }
            (Ok(Opened::Accepted(_)), Goal::Create(..)) if self.is_plain => self.take_content(io),
            (Ok(Opened::Accepted(_)), Goal::Look { .. }) if self.parts.is_some() => {
                self.begin_joining(io);
            }
            (Ok(Opened::Accepted(missing)), Goal::Append(..) | Goal::Look { .. }) => {
                self.accepted(io, &missing);
            }
            (Ok(Opened::Begun { .. } | Opened::Accepted(_)), _) => {
                io.out.push(Output::Discard { id: UPLOAD, reason: None });
                self.fail(Trouble::Refused(strange()));
            }
            // Since it was looked at another request has begun to commit it. What comes of that is the answer.
            (Ok(Opened::DigestFirst), Goal::Append(..) | Goal::Look { .. }) => self.look(io, true),
            (Ok(Opened::Stored(_) | Opened::DigestFirst), _) => {
                self.fail(Trouble::Refused(strange()));
            }
            // A whole file is stored also where nothing goes on.
            (Err(refusal), Goal::Create(creation, append))
                if refusal.code == RefusalCode::InvalidState
                    && append.ends == Ends::Here
                    && !self.is_plain =>
            {
                let (digests, want) = append.for_offer();
                let wishes = Wishes { digests, want, ..Wishes::default() };
                // Without a size: the inbox would rather compare than receive.
                let offer = Offer {
                    name: creation.name.clone(),
                    modified_ns: creation.modified_ns,
                    ..nameless()
                };
                io.out.push(Output::Open { id: UPLOAD, offer, wishes });
                self.is_plain = true;
                self.stage = Stage::Opening;
            }
            // Since it was looked at it has ended, and how is remembered.
            (Err(refusal), Goal::Append(..) | Goal::Look { .. })
                if refusal.code == RefusalCode::InvalidState =>
            {
                match core::mem::replace(&mut self.looks_again, false) {
                    true => self.look(io, true),
                    false => self.fail(Trouble::Unknown),
                }
            }
            (Err(refusal), _) => self.fail(Trouble::Refused(refusal)),
        }
    }

    fn accepted(&mut self, io: &mut Io, missing: &[Extent]) {
        let here = missing.first().map_or(self.standing.size, |extent| Some(extent.offset));
        if here.is_some_and(|here| here != self.received) {
            // Somebody was faster. What they have brought is kept before it is told.
            self.received = here.unwrap_or_default();
            io.out.push(Output::Keep { id: UPLOAD });
            self.stage = Stage::Rekeeping(match self.append() {
                Some(append) => After::Failed(Trouble::Offset { provided: append.offset }),
                None => After::Standing,
            });
            return;
        }
        match self.append() {
            None => self.commit(io, self.received),
            Some(Append { size: Some(size), .. }) if self.standing.size.is_none() => {
                io.out.push(Output::SetSize { id: UPLOAD, size: *size });
                self.stage = Stage::Sizing;
            }
            Some(_) => self.take_content(io),
        }
    }

    /// The upload is open, and its content is to come.
    pub(super) fn take_content(&mut self, io: &mut Io) {
        let Some(append) = self.append() else { return };
        // Where all of the file is here the inbox takes no body, not even for nothing.
        let is_open = append.content != Some(0) && self.standing.size != Some(append.offset);
        if is_open {
            let check = match &append.check {
                Check::No => None,
                Check::Digest(digest) => Some(digest.algorithm),
                Check::Trailer(algorithm) => Some(*algorithm),
            };
            io.out.push(Output::Body { id: UPLOAD, extent: append.extent(), check });
        }
        self.stage = Stage::Body { is_open };
    }

    /// How many bytes of the upload are here when all that came is.
    pub(super) fn end(&self) -> u64 {
        self.append().map_or(self.received, |append| append.offset.saturating_add(self.moved))
    }

    /// All of the content is here, and is what it should be.
    pub(super) fn content_is_here(&mut self, io: &mut Io) {
        let Some(append) = self.append() else { return };
        let (end, size) = (self.end(), self.standing.size);
        let completes = append.completes(size, end);
        let is_short = append.ends == Ends::Here && size.is_some_and(|size| size != end);
        if is_short && self.is_plain {
            self.give_up(io, Trouble::Length);
        } else if is_short {
            io.out.push(Output::Keep { id: UPLOAD });
            self.stage = Stage::Keeping(After::Failed(Trouble::Length));
        } else if completes {
            self.commit(io, end);
        } else if matches!(self.goal, Goal::Create(..)) && self.moved == 0 {
            // It is kept from its beginning.
            io.out.push(Output::Release { id: UPLOAD });
            self.conclude(io, After::Standing);
        } else {
            io.out.push(Output::Keep { id: UPLOAD });
            self.stage = Stage::Keeping(After::Standing);
        }
    }

    pub(super) fn commit(&mut self, io: &mut Io, size: u64) {
        let digest = self.append().and_then(Append::for_commit);
        io.out.push(Output::Commit { id: UPLOAD, size, digest, digests: Vec::new() });
        self.stage = Stage::Committing;
    }

    /// The commit has ended.
    pub(super) fn committed(&mut self, io: &mut Io, outcome: Result<Committed, Refusal>) {
        self.stage = Stage::Done;
        match outcome {
            Ok(committed) => {
                self.standing.offset = committed.receipt.size;
                self.standing.size = Some(committed.receipt.size);
                self.standing.expires_in_s = None;
                let is_new = matches!(self.goal, Goal::Create(..));
                let answer = match self.append() {
                    Some(_) => self.speech.completed(&self.standing, &committed, is_new),
                    None => self.speech.found(&self.standing, true),
                };
                self.clear(io, answer);
            }
            // Nobody can come for it, and its parts are here.
            Err(refusal) if self.parts.is_some() && !self.is_told => {
                self.abandon(io, Some(Trouble::Uncommitted(refusal)));
            }
            Err(refusal) => self.fail(Trouble::Uncommitted(refusal)),
        }
    }

    /// More has come than the upload is long.
    pub(super) fn exceed(&mut self, io: &mut Io) {
        if self.speech.discards_excess() {
            io.out.push(Output::Discard { id: UPLOAD, reason: None });
            self.fail(Trouble::Excess);
        } else {
            self.give_up(io, Trouble::Excess);
        }
    }

    /// Lets the upload go, and says why.
    pub(super) fn give_up(&mut self, io: &mut Io, trouble: Trouble) {
        self.let_go(io);
        self.fail(trouble);
    }

    /// Lets the upload go: what came is kept if somebody can come for it.
    pub(super) fn let_go(&mut self, io: &mut Io) {
        io.out.push(match self.is_told {
            true => Output::Release { id: UPLOAD },
            false => Output::Discard { id: UPLOAD, reason: None },
        });
    }

    /// Ends the upload. `trouble`: what is said then; `None`: that it is gone.
    pub(super) fn abandon(&mut self, io: &mut Io, trouble: Option<Trouble>) {
        io.out.push(Output::Abandon { key: self.standing.key.clone() });
        self.stage = Stage::Cancelling(trouble);
        self.until = Some(io.now.saturating_add(SETTLING_MS));
    }

    /// What is here is durable, as far as it can be.
    pub(super) fn conclude(&mut self, io: &Io, after: After) {
        self.stage = Stage::Done;
        self.standing.expires_unix_s = self
            .standing
            .expires_in_s
            .and_then(|seconds| io.unix_s()?.checked_add_unsigned(seconds));
        match after {
            After::Failed(trouble) => self.fail(trouble),
            After::Standing => {
                self.answer = Some(match self.goal {
                    Goal::Create(..) => self.speech.created(&self.standing),
                    Goal::Append(..) => self.speech.appended(&self.standing),
                    Goal::Look { .. } | Goal::Cancel(_) => self.speech.found(&self.standing, false),
                });
            }
        }
    }

    pub(super) fn fail(&mut self, trouble: Trouble) {
        self.stage = Stage::Done;
        let is_here = self.is_told
            && !matches!(trouble, Trouble::Unknown | Trouble::Ended(_) | Trouble::Busy)
            && !self.standing.key.is_empty();
        let standing = is_here.then_some(&self.standing);
        self.answer = Some(self.speech.failed(trouble, standing));
    }
}

/// An offer that says nothing: of an upload that is there.
fn nameless() -> Offer {
    Offer::of_file(None, None)
}

fn strange() -> Refusal {
    let words = "the inbox gave an upload another way than it was asked for";
    Refusal::new(RefusalCode::Other, words)
}
