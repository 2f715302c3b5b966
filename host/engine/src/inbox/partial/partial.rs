//! One upload that can be resumed: which of its bytes are here, which are kept, and who holds it.

use std::collections::{BTreeMap, BTreeSet};
use std::os::fd::OwnedFd;
use std::sync::mpsc::Sender;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, Weak};
use std::time::{Instant, SystemTime};

use blake3::Hasher;
use blake3::hazmat::HasherExt;
use sandport_protocol::journal::{
    ChainingValue, GROUP_BYTES, GROUPS_PER_ENTRY_MAX, Kept, Ranges, Tail, Tree, group_hasher,
};
use sandport_protocol::{EntryName, Extent, Refusal, RefusalCode};
use tokio::sync::Notify;

use super::holder::{Commit, Signals};
use super::keeper::Request;
use super::lane::LaneState;
use super::store::{self, Journal, Loaded};
use super::{Id, Partials};
use crate::Identity;
use crate::inbox::Core;
use crate::inbox::commit::{Pending, Ticket};
use crate::inbox::space::{Claim, FLOOR_STEP_BYTES};
use crate::inbox::upload::Plan;
use crate::inbox::usage::{Reservation, Usage};

mod ending;
mod holding;
mod intake;
mod keeping;

use intake::Intake;

/// Most separate ranges that an upload may consist of: what is missing between them has to fit one
/// message to the sender.
const RANGES_MAX: usize = 1_024;

/// Most groups of an upload that may be begun: each has the state of a hash, of 2 KiB. Twice as many as one
/// sender's connections.
const BEGUN_MAX: usize = 128;

/// An upload under a resume key.
pub(in crate::inbox) struct Partial {
    core: Arc<Core>,
    partials: Weak<Partials>,
    keeper: Sender<Request>,
    id: Id,
    /// Who sends it.
    identity: Identity,
    name: EntryName,
    /// Whether the sender chose the name.
    named: bool,
    size: Option<u64>,
    begun_s: i64,
    state: Mutex<State>,
    /// Held while the journal is written or the upload is ended.
    journal: Mutex<Journal>,
    /// Told when there may be room for bodies that found none.
    room: Notify,
}

/// What is here.
pub(super) struct State {
    /// Made with the first byte.
    data: Option<Arc<OwnedFd>>,
    /// Its part of the quota, where there is one.
    reservation: Option<Reservation>,
    /// What it is still to bring of the free space, while somebody holds it.
    claim: Weak<Claim>,
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
    intake: Intake,
    /// Whether the keeper was asked to come when it is time.
    asked: bool,
    holders: BTreeMap<u64, Arc<Signals>>,
    holders_made: u64,
    /// Which run of the sender they are of.
    epoch: u64,
    /// Other connections may have more to bring than the last one was told.
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
        let state = State::new(core.reserve(&plan.identity, size)?);
        let what = (plan.identity.clone(), name, named, size);
        Ok(Self::new(core, partials, keeper, id, what, state, Journal::new()))
    }

    /// Goes on with one that was found.
    pub(super) fn resume(
        core: &Arc<Core>,
        partials: &Arc<Partials>,
        keeper: &Sender<Request>,
        id: Id,
        loaded: Loaded,
        plan: &Plan,
        named: bool,
    ) -> Result<Arc<Self>, Refusal> {
        let Loaded { name, size, data, tree, whole, tail, journal } = loaded;
        let reserved = size.unwrap_or_else(|| whole.end());
        let (sender, data_name) = (&plan.identity, store::data_name(id));
        let reserve = |usage: &Arc<Usage>| usage.reserve_waiting(sender, &data_name, reserved);
        let mut state = State::new(core.usage.as_ref().map(reserve).transpose()?);
        state.kept = whole.clone();
        if let Some((group, length, hasher)) = tail {
            let start = group * GROUP_BYTES;
            state.kept.insert(start, start + length);
            state.kept_tail = Some((group, length));
            state.begun.insert(group, (length, hasher));
        }
        (state.data, state.tree, state.whole) = (Some(Arc::new(data)), tree, whole);
        let what = (plan.identity.clone(), name, named, size);
        Ok(Self::new(core, partials, keeper, id, what, state, journal))
    }

    fn new(
        core: &Arc<Core>,
        partials: &Arc<Partials>,
        keeper: &Sender<Request>,
        id: Id,
        (identity, name, named, size): (Identity, EntryName, bool, Option<u64>),
        state: State,
        journal: Journal,
    ) -> Arc<Self> {
        Arc::new(Self {
            core: Arc::clone(core),
            partials: Arc::downgrade(partials),
            keeper: keeper.clone(),
            id,
            identity,
            name,
            named,
            size,
            begun_s: now_s(),
            state: Mutex::new(state),
            journal: Mutex::new(journal),
            room: Notify::new(),
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

    // ------------------------------------------------------------------ lanes

    /// Begins a body; `None`: the holder has lost the upload just now.
    pub(super) fn enter(
        &self,
        holder: u64,
        lane: LaneState,
    ) -> Option<(u64, Arc<Mutex<LaneState>>)> {
        let lane = Arc::new(Mutex::new(lane));
        let mut state = self.state();
        state.holders.contains_key(&holder).then_some(())?;
        state.lanes_made += 1;
        let number = state.lanes_made;
        state.lanes.insert(number, (holder, Arc::clone(&lane)));
        Some((number, lane))
    }

    /// Ends a body; the group that it was at stays begun.
    pub(super) fn leave(&self, number: u64, lane: &Mutex<LaneState>) {
        // Until its group is given back: whoever seals it a second time must find that done.
        let mut lane = lane.lock().unwrap_or_else(PoisonError::into_inner);
        let begun = lane.seal();
        let mut state = self.state();
        state.lanes.remove(&number);
        if let Some((group, length, hasher)) = begun {
            state.give_back(group, length, hasher);
        }
        drop(state);
        self.room_changed();
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
        let begun = state.claimed.len() + state.begun.len();
        if begun >= BEGUN_MAX || state.whole.count() + begun >= RANGES_MAX {
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
        let floor_is_due = self.core.options.free_min > 0
            && end.abs_diff(state.floor_checked_at) > FLOOR_STEP_BYTES;
        if floor_is_due {
            state.floor_checked_at = end;
        }
        drop(state);
        if floor_is_due { self.core.check_floor() } else { Ok(()) }
    }

    /// Where the bytes go.
    ///
    /// # Errors
    /// Those of making it.
    pub(super) fn data(&self) -> Result<Arc<OwnedFd>, Refusal> {
        let mut state = self.state();
        if let Some(data) = &state.data {
            return Ok(Arc::clone(data));
        }
        let data = Arc::new(store::create_data(&self.core, self.id)?);
        state.data = Some(Arc::clone(&data));
        Ok(data)
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

    pub(super) fn state(&self) -> MutexGuard<'_, State> {
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
            claim: Weak::new(),
            floor_checked_at: 0,
            tree: Tree::default(),
            whole: Ranges::default(),
            begun: BTreeMap::new(),
            claimed: BTreeSet::new(),
            unkept: BTreeMap::new(),
            kept_tail: None,
            kept: Ranges::default(),
            kept_at: None,
            intake: Intake::default(),
            asked: false,
            holders: BTreeMap::new(),
            holders_made: 0,
            epoch: 0,
            joined: false,
            lanes: BTreeMap::new(),
            lanes_made: 0,
            commit: None,
            ended: false,
        }
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
