//! One upload that can be resumed: which of its bytes are here, which are kept, and who holds it.

use std::collections::{BTreeMap, BTreeSet};
use std::os::fd::OwnedFd;
use std::sync::mpsc::Sender;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, Weak};
use std::time::{Duration, Instant, SystemTime};

use blake3::Hasher;
use blake3::hazmat::HasherExt;
use rustix::fs::AtFlags;
use sandport_protocol::journal::{
    Begun, ChainingValue, Entry, GROUP_BYTES, GROUPS_PER_ENTRY_MAX, Kept, Ranges, Tail, Tree,
    group_hasher,
};
use sandport_protocol::{Digest, EntryName, Extent, Refusal, RefusalCode};

use super::holder::{Commit, Holder, Signals};
use super::keeper::Request;
use super::lane::LaneState;
use super::store::{self, Journal, Loaded};
use super::{Id, Partials};
use crate::inbox::commit::{Job, Pending, Ticket, Work};
use crate::inbox::disk::Step;
use crate::inbox::error::refusal;
use crate::inbox::publish::FileWork;
use crate::inbox::receipts;
use crate::inbox::space::FLOOR_STEP_BYTES;
use crate::inbox::stage::StagedFile;
use crate::inbox::upload::Plan;
use crate::inbox::usage::{Reservation, Usage};
use crate::inbox::{Core, Durability};

/// Most separate ranges that an upload may consist of: what is missing between them has to fit one
/// message to the sender.
const RANGES_MAX: usize = 1_024;

/// An upload under a resume key.
pub(in crate::inbox) struct Partial {
    core: Arc<Core>,
    partials: Weak<Partials>,
    keeper: Sender<Request>,
    id: Id,
    name: EntryName,
    /// Whether the sender chose the name.
    named: bool,
    size: Option<u64>,
    begun_s: i64,
    state: Mutex<State>,
    /// Held while the journal is written or the upload is ended.
    journal: Mutex<Journal>,
}

/// What is here.
struct State {
    /// Made with the first byte.
    data: Option<Arc<OwnedFd>>,
    /// Its part of the quota, where there is one.
    reservation: Option<Reservation>,
    /// Up to which byte the free space was looked at, where a floor is kept.
    floor_checked_at: u64,
    tree: Tree,
    /// The bytes of the groups that are whole.
    whole: Ranges,
    /// Groups that are begun and that nobody goes on with: how many bytes, and their hash so far.
    begun: BTreeMap<u64, (u64, Hasher)>,
    /// Groups that a lane goes on with.
    claimed: BTreeSet<u64>,
    /// Whole groups that the journal does not know.
    unkept: BTreeMap<u64, ChainingValue>,
    /// The begun group that the journal knows: its number, and how many bytes.
    kept_tail: Option<(u64, u64)>,
    /// The bytes that the journal knows.
    kept: Ranges,
    /// When the watermark was last moved.
    kept_at: Option<Instant>,
    /// Bytes since the keeper was last asked.
    unasked_bytes: u64,
    /// Whether the keeper was asked to come when it is time.
    asked: bool,
    holders: BTreeMap<u64, Arc<Signals>>,
    holders_made: u64,
    /// Several connections held it at once.
    joined: bool,
    lanes: BTreeMap<u64, (u64, Arc<Mutex<LaneState>>)>,
    lanes_made: u64,
    /// Commits that wait for the other holders, or for their outcome.
    commit: Option<(Pending, Option<Ticket>, Vec<Commit>)>,
    /// It was discarded or published.
    ended: bool,
}

impl Partial {
    /// Begins an upload. Nothing is on the disk before its first byte.
    pub(super) fn begin(
        core: &Arc<Core>,
        partials: &Arc<Partials>,
        keeper: &Sender<Request>,
        id: Id,
        plan: &Plan,
        named: bool,
    ) -> Result<Arc<Self>, Refusal> {
        let (name, size) = (plan.name.clone(), plan.size);
        let state = State::new(core.reserve(size)?);
        Ok(Self::new(core, partials, keeper, id, (name, named, size), state, Journal::new()))
    }

    /// Goes on with one that was found.
    pub(super) fn resume(
        core: &Arc<Core>,
        partials: &Arc<Partials>,
        keeper: &Sender<Request>,
        id: Id,
        loaded: Loaded,
        named: bool,
    ) -> Result<Arc<Self>, Refusal> {
        let Loaded { name, size, data, tree, whole, tail, journal } = loaded;
        let reserved = size.unwrap_or_else(|| whole.end());
        let reserve = |usage: &Arc<Usage>| usage.reserve_waiting(&store::data_name(id), reserved);
        let mut state = State::new(core.usage.as_ref().map(reserve).transpose()?);
        state.kept = whole.clone();
        if let Some((group, length, hasher)) = tail {
            let start = group * GROUP_BYTES;
            state.kept.insert(start, start + length);
            state.kept_tail = Some((group, length));
            state.begun.insert(group, (length, hasher));
        }
        (state.data, state.tree, state.whole) = (Some(Arc::new(data)), tree, whole);
        Ok(Self::new(core, partials, keeper, id, (name, named, size), state, journal))
    }

    fn new(
        core: &Arc<Core>,
        partials: &Arc<Partials>,
        keeper: &Sender<Request>,
        id: Id,
        (name, named, size): (EntryName, bool, Option<u64>),
        state: State,
        journal: Journal,
    ) -> Arc<Self> {
        Arc::new(Self {
            core: Arc::clone(core),
            partials: Arc::downgrade(partials),
            keeper: keeper.clone(),
            id,
            name,
            named,
            size,
            begun_s: now_s(),
            state: Mutex::new(state),
            journal: Mutex::new(journal),
        })
    }

    pub(super) fn id(&self) -> Id {
        self.id
    }

    pub(in crate::inbox) fn core(&self) -> &Arc<Core> {
        &self.core
    }

    pub(super) fn name(&self) -> &EntryName {
        &self.name
    }

    pub(super) fn size(&self) -> Option<u64> {
        self.size
    }

    /// The commit that is under way and waits for no other holder.
    pub(super) fn committing(&self) -> Option<Pending> {
        match &self.state().commit {
            Some((pending, None, _)) => Some(pending.clone()),
            _ => None,
        }
    }

    /// Whether a connection holds it, or waits for its commit.
    pub(super) fn is_held(&self) -> bool {
        let state = self.state();
        !state.holders.is_empty() || state.commit.is_some()
    }

    /// Whether nobody holds it and nothing waits to be kept.
    pub(super) fn is_idle(&self) -> bool {
        let state = self.state();
        state.holders.is_empty() && state.commit.is_none() && state.unkept.is_empty()
    }

    // ---------------------------------------------------------------- holders

    /// Lets a connection hold it; `None`: it has ended, or its end is under way.
    pub(super) fn hold(self: &Arc<Self>, plan: &Plan) -> Option<Holder> {
        let mut state = self.state();
        if state.ended || matches!(state.commit, Some((_, None, _))) {
            return None;
        }
        state.holders_made += 1;
        let number = state.holders_made;
        let signals = Arc::new(Signals::new(state.kept.prefix()));
        state.joined |= !state.holders.is_empty() || state.commit.is_some();
        state.holders.insert(number, Arc::clone(&signals));
        Some(Holder::new(Arc::clone(self), number, signals, plan))
    }

    /// Ends what other connections hold of it. What they brought stays.
    pub(super) fn take_over(&self) {
        let words = "another connection took the upload over";
        self.evict(&Refusal::new(RefusalCode::Locked, words));
    }

    fn evict(&self, fault: &Refusal) {
        let holders: Vec<_> = self.state().holders.clone().into_iter().collect();
        for (number, signals) in holders {
            signals.fail(fault.clone());
            self.release(number);
        }
    }

    /// A holder is gone. Whoever waits for it to commit waits no longer.
    pub(super) fn release(&self, number: u64) {
        self.seal(number);
        let mut state = self.state();
        let was_there = state.holders.remove(&number).is_some();
        let left = state.holders.is_empty();
        let committable = state.is_committable();
        drop(state);
        if was_there && committable {
            self.conclude();
        } else if was_there && left {
            let _ = self.keeper.send(Request::Left(self.partials.clone(), self.id));
        }
    }

    /// Ends the bodies of a holder. A write that is under way is waited for.
    pub(super) fn seal(&self, holder: u64) {
        let lanes: Vec<_> = self
            .state()
            .lanes
            .iter()
            .filter(|(_, (owner, _))| *owner == holder)
            .map(|(&number, (_, lane))| (number, Arc::clone(lane)))
            .collect();
        for (number, lane) in lanes {
            self.leave(number, &lane);
        }
    }

    // ------------------------------------------------------------------ lanes

    /// Begins a body.
    pub(super) fn enter(&self, holder: u64, lane: LaneState) -> (u64, Arc<Mutex<LaneState>>) {
        let lane = Arc::new(Mutex::new(lane));
        let mut state = self.state();
        state.lanes_made += 1;
        let number = state.lanes_made;
        state.lanes.insert(number, (holder, Arc::clone(&lane)));
        (number, lane)
    }

    /// Ends a body; the group that it was at stays begun.
    pub(super) fn leave(&self, number: u64, lane: &Mutex<LaneState>) {
        let begun = lane.lock().unwrap_or_else(PoisonError::into_inner).seal();
        let mut state = self.state();
        state.lanes.remove(&number);
        if let Some((group, length, hasher)) = begun {
            state.give_back(group, length, hasher);
        }
    }

    /// Takes the group that the byte at `position` is in: how many bytes of it are here, and their hash.
    ///
    /// # Errors
    /// `offset-mismatch`: it is here, or another body brings it, or its beginning is missing.
    pub(super) fn claim(&self, position: u64) -> Result<(u64, u64, Hasher), Refusal> {
        let group = position / GROUP_BYTES;
        let start = group * GROUP_BYTES;
        let mut state = self.state();
        if state.whole.contains(start) {
            return Err(mismatch("nothing is missing there"));
        }
        if state.claimed.contains(&group) {
            return Err(mismatch("another connection brings these bytes"));
        }
        let length = state.begun.get(&group).map_or(0, |(length, _)| *length);
        if start + length != position {
            return Err(mismatch(
                "bytes have to begin where some are missing, or at a chunk group within",
            ));
        }
        let hasher = match state.begun.remove(&group) {
            Some((_, hasher)) => hasher,
            None => group_hasher(group),
        };
        if state.whole.count() + state.claimed.len() + state.begun.len() >= RANGES_MAX {
            state.give_back(group, length, hasher);
            let words = "the upload is in too many pieces";
            return Err(Refusal::new(RefusalCode::TooMany, words));
        }
        state.claimed.insert(group);
        Ok((group, length, hasher))
    }

    /// Whether there may be bytes up to `end`.
    ///
    /// # Errors
    /// `quota-exceeded`, `insufficient-space`.
    pub(super) fn check_room(&self, end: u64) -> Result<(), Refusal> {
        let mut state = self.state();
        if let Some(reservation) = &mut state.reservation {
            reservation.grow(end)?;
        }
        if self.core.options.free_min > 0 && end.abs_diff(state.floor_checked_at) > FLOOR_STEP_BYTES
        {
            self.core.check_floor()?;
            state.floor_checked_at = end;
        }
        Ok(())
    }

    /// Where the bytes go.
    pub(super) fn data(&self) -> rustix::io::Result<Arc<OwnedFd>> {
        let mut state = self.state();
        if let Some(data) = &state.data {
            return Ok(Arc::clone(data));
        }
        let data = Arc::new(store::create_data(&self.core, self.id)?);
        state.data = Some(Arc::clone(&data));
        Ok(data)
    }

    /// Bytes were written: the journal should hear of them some time.
    pub(super) fn wrote(self: &Arc<Self>, count: u64) {
        let mut state = self.state();
        state.unasked_bytes += count;
        let first = !std::mem::replace(&mut state.asked, true);
        let many = state.unasked_bytes >= self.core.options.watermark_bytes;
        if many {
            state.unasked_bytes = 0;
        }
        drop(state);
        // It fails only when the inbox ends.
        if first {
            let _ = self.keeper.send(Request::Soon(Arc::clone(self)));
        }
        if many {
            let _ = self.keeper.send(Request::Now(Arc::clone(self)));
        }
    }

    /// A group is whole.
    pub(super) fn complete(&self, group: u64, end: u64, value: ChainingValue) {
        let mut state = self.state();
        state.claimed.remove(&group);
        state.add_group(group, end, value);
    }

    // ------------------------------------------------------------------- what is here

    /// What nobody has brought and nobody is bringing.
    pub(super) fn missing(&self) -> Vec<Extent> {
        let state = self.state();
        let mut here = state.whole.clone();
        for (group, (length, _)) in &state.begun {
            here.insert(group * GROUP_BYTES, group * GROUP_BYTES + length);
        }
        for group in &state.claimed {
            here.insert(group * GROUP_BYTES, (group + 1) * GROUP_BYTES);
        }
        here.gaps(self.size)
    }

    /// How many bytes are here.
    pub(super) fn bytes(&self) -> u64 {
        self.state().whole.bytes()
    }

    // ---------------------------------------------------------------- keeping

    /// It is time to move the watermark; `false`: it was moved within the last `interval`, and there is
    /// news, so that it has to be in a while.
    pub(super) fn keep_in_time(&self, interval: Duration) -> bool {
        let mut state = self.state();
        if state.kept_at.is_some_and(|at| at.elapsed() < interval) {
            return false;
        }
        state.asked = false;
        drop(state);
        self.keep();
        true
    }

    /// Moves the watermark: makes durable what is here, and writes down that it is.
    pub(super) fn keep(&self) {
        let mut journal = self.journal();
        // What is being committed is synced there.
        if self.committing().is_none() {
            self.keep_with(&mut journal);
        }
    }

    fn keep_with(&self, journal: &mut Journal) {
        // The begun groups first: a group that becomes whole meanwhile is among the whole ones then.
        let tail = self.lowest_tail();
        let (data, groups, known_tail) = {
            let mut state = self.state();
            if state.ended {
                return;
            }
            let Some(data) = state.data.clone() else { return };
            state.kept_at = Some(Instant::now());
            state.unasked_bytes = 0;
            (data, std::mem::take(&mut state.unkept), state.kept_tail)
        };
        let tail = tail.filter(|tail| !groups.contains_key(&tail.group));
        let news = tail.is_some_and(|tail| Some((tail.group, tail.length)) != known_tail);
        if groups.is_empty() && !news {
            return;
        }
        let full = self.core.options.durability == Durability::Full;
        if full && let Err(errno) = self.core.disk.sync(Step::SyncPartial, &data) {
            // What the system could not write it may have given up: nothing since the last watermark
            // is to be relied on.
            self.give_up(&refusal("make a partial file durable", errno));
            return;
        }
        let boot = (!full).then_some(self.core.boot);
        let entries = entries(&groups, tail, boot);
        let push = |writer: &mut sandport_protocol::journal::Writer, bytes: &mut Vec<u8>| {
            for entry in entries {
                writer.push(bytes, &Entry::Kept(entry));
            }
        };
        let appended = journal.append(&self.core, self.id, || self.begun(), push, full);
        let mut state = self.state();
        if let Err(errno) = appended {
            // The bytes are here all the same. The next watermark tries again.
            tracing::warn!(id = %self.id, error = %errno, "could not write the journal of a partial file");
            state.unkept.extend(groups);
            return;
        }
        for &group in groups.keys() {
            let (start, end) = self.group_range(group);
            state.kept.insert(start, end);
        }
        if let Some(tail) = tail {
            let start = tail.group * GROUP_BYTES;
            state.kept.insert(start, start + tail.length);
            state.kept_tail = Some((tail.group, tail.length));
        }
        let durable = state.kept.prefix();
        state.holders.values().for_each(|signals| signals.advance(durable));
    }

    /// The first group that is begun. One is enough for an upload that comes in order; of others, less
    /// than a group each is sent again.
    fn lowest_tail(&self) -> Option<Tail> {
        let (lanes, lowest) = {
            let state = self.state();
            let lanes: Vec<_> = state.lanes.values().map(|(_, lane)| Arc::clone(lane)).collect();
            let lowest = state.begun.iter().next();
            (lanes, lowest.map(|(&group, (length, hasher))| tail(group, *length, hasher)))
        };
        let carried = lanes.iter().filter_map(|lane| {
            let lane = lane.lock().unwrap_or_else(PoisonError::into_inner);
            lane.begun().map(|(group, length, hasher)| tail(group, length, hasher))
        });
        carried.chain(lowest).min_by_key(|tail| tail.group)
    }

    fn begun(&self) -> Begun {
        Begun {
            name: self.name.as_str().to_owned(),
            size: self.size,
            identity: None,
            begun_s: self.begun_s,
        }
    }

    fn group_range(&self, group: u64) -> (u64, u64) {
        let start = group * GROUP_BYTES;
        let end = start + GROUP_BYTES;
        (start, self.size.map_or(end, |size| end.min(size)))
    }

    /// The disk failed: whoever holds it is told, and the next one begins at the last watermark.
    fn give_up(&self, fault: &Refusal) {
        self.state().ended = true;
        self.evict(fault);
        self.wait();
        if let Some(partials) = self.partials.upgrade() {
            partials.forget(self);
        }
    }

    /// Nobody has it open any more: what is on the disk counts towards the quota until someone takes it
    /// up again.
    pub(super) fn wait(&self) {
        let Some(usage) = &self.core.usage else { return };
        let name = store::data_name(self.id);
        let stat = rustix::fs::statat(&self.core.layout.partials, &name, AtFlags::SYMLINK_NOFOLLOW);
        if let Ok(stat) = stat {
            usage.waits(name, u64::try_from(stat.st_size).unwrap_or(0));
        }
        self.state().reservation = None;
    }

    // ----------------------------------------------------------------- ending

    /// Ends it and removes what is here.
    pub(super) fn discard(&self, why: &str) {
        self.evict(&Refusal::new(RefusalCode::Cancelled, why));
        self.remove();
    }

    fn remove(&self) {
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
    pub(super) fn commit(&self, holder: u64, commit: Commit) -> Pending {
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
    fn conclude(&self) {
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

    fn finish(&self, me: &Arc<Self>, commits: &[Commit]) -> Result<FileWork, Refusal> {
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
    fn keep_always(&self) {
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

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn journal(&self) -> MutexGuard<'_, Journal> {
        self.journal.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl State {
    fn new(reservation: Option<Reservation>) -> Self {
        Self {
            data: None,
            reservation,
            floor_checked_at: 0,
            tree: Tree::default(),
            whole: Ranges::default(),
            begun: BTreeMap::new(),
            claimed: BTreeSet::new(),
            unkept: BTreeMap::new(),
            kept_tail: None,
            kept: Ranges::default(),
            kept_at: None,
            unasked_bytes: 0,
            asked: false,
            holders: BTreeMap::new(),
            holders_made: 0,
            joined: false,
            lanes: BTreeMap::new(),
            lanes_made: 0,
            commit: None,
            ended: false,
        }
    }

    /// Whether a commit waits and nobody else holds the upload.
    fn is_committable(&self) -> bool {
        self.holders.is_empty() && matches!(self.commit, Some((_, Some(_), _)))
    }

    fn give_back(&mut self, group: u64, length: u64, hasher: Hasher) {
        self.claimed.remove(&group);
        if length > 0 {
            self.begun.insert(group, (length, hasher));
        }
    }

    fn add_group(&mut self, group: u64, end: u64, value: ChainingValue) {
        self.whole.insert(group * GROUP_BYTES, end);
        self.tree.insert(group, value);
        self.unkept.insert(group, value);
    }
}

/// Seconds since 1970; 0 for a clock that is before.
fn now_s() -> i64 {
    let since = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default();
    i64::try_from(since.as_secs()).unwrap_or(i64::MAX)
}

fn tail(group: u64, length: u64, hasher: &Hasher) -> Tail {
    Tail { group, length, value: hasher.finalize_non_root() }
}

fn mismatch(words: &str) -> Refusal {
    Refusal::new(RefusalCode::OffsetMismatch, words)
}

/// What is to be written down of these groups.
fn entries(
    groups: &BTreeMap<u64, ChainingValue>,
    tail: Option<Tail>,
    boot: Option<u64>,
) -> Vec<Kept> {
    let mut entries: Vec<Kept> = Vec::new();
    for (&group, &value) in groups {
        match entries.last_mut() {
            Some(last)
                if last.first + last.groups.len() as u64 == group
                    && last.groups.len() < GROUPS_PER_ENTRY_MAX =>
            {
                last.groups.push(value);
            }
            _ => entries.push(Kept { boot, first: group, groups: vec![value], tail: None }),
        }
    }
    match entries.last_mut() {
        Some(last) => last.tail = tail,
        None => entries.push(Kept { boot, tail, ..Kept::default() }),
    }
    entries
}
