//! Faults that tests put into the machine on purpose, to see that they would be noticed.
//!
//! Each is a rule broken at one place, and most are faults that were made once. Without the feature `mutants`, which
//! only tests switch on, there are none, and nothing of this is left in the program.

use super::work::Done;

/// A fault.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Mutant {
    /// A phase goes on while grants are out.
    SettlesWithoutWaiting,
    /// A session goes on while grants of those who have lost the upload are out.
    AdmitsUnsettled,
    /// Bytes count as durable when their keep begins.
    TellsBeforeKept,
    /// A keep that has failed counts as done.
    CountsFailedKeeps,
    /// Data that could not be made durable counts as kept.
    TrustsLostBytes,
    /// A publication that was lost leaves all as it was.
    ForgetsLoss,
    /// An upload that is gone asks for work.
    WorksWhenGone,
    /// An offer that is refused leaves what was opened for it.
    LeavesRefusedOpen,
    /// A watermark is put off for as long as bytes come.
    StarvesWatermarks,
    /// The last watermark is not tried again.
    NeverTriesAgain,
    /// The last watermark is tried for ever.
    NeverGivesUp,
    /// Each drop of a drip is an entry in the journal.
    KeepsDrips,
    /// An offer is answered by the commit of another file.
    AnswersOtherOffers,
    /// An upload that is begun anew resumes with the old bytes.
    RestartsOnOldBytes,
    /// What was written into the journal is written again.
    KeepsTwice,
    /// Whoever waits for room is not woken.
    ForgetsToWake,
    /// Room that a body has taken and does not need is not given back.
    HoardsRoom,
    /// A commit does not wait for the other sessions.
    CommitsEarly,
    /// An earlier run takes over from a later one.
    ForgetsRuns,
    /// Entries that were not synced count after a power cut.
    TrustsOtherBoots,
    /// A grant has to come back twice.
    CountsGrantsTwice,
    /// An upload that is gone takes its part of the quota along.
    HoardsQuota,
    /// A file is published that is not what its digest says.
    PublishesMismatches,
    /// A file is published of which parts are missing.
    PublishesHoles,
    /// A commit that fails is never answered.
    ForgetsRefusals,
    /// Two bodies bring the same group.
    LendsTwice,
    /// A write that has failed counts as done.
    CountsFailedWrites,
    /// The journal says bytes that were held back and not written.
    LosesHeldBytes,
    /// Bodies find room whatever is not kept.
    IgnoresStep,
    /// Bodies wait for as long as keeps fail.
    StarvesWaiters,
    /// A stream that has met a fault stays.
    LeavesFaultyStreams,
    /// Who has lost an upload goes on writing.
    LetsLosersWrite,
    /// Whoever waits for a keep is answered when it begins.
    AnswersKeepsEarly,
    /// Whoever waits for a keep that fails is never answered.
    ForgetsKeeps,
    /// Each drop is an entry in the journal, where somebody waits for it.
    KeepsEveryDrop,
    /// An upload whose key was told is gone when nothing of it came.
    ForgetsEmpty,
    /// The journal is not told a size that was set late.
    ForgetsSizes,
    /// An upload that was given up stays, where that was said while it was busy.
    AbandonsHalf,
    /// Whoever looks does not wait for those who have lost the upload.
    LooksUnsettled,
    /// What was begun since is discarded by who waited for something else to be.
    RestartsAgain,
    /// Bytes that are to be checked count before they are.
    CountsUnchecked,
    /// Bytes count that are not what they should be.
    TrustsChecks,
    /// What a checked body was at is not given back.
    HoardsChecked,
    /// A part is copied while some of it is in memory alone.
    CopiesUnkept,
    /// Parts are copied from where the upload is, and not from where they are.
    MisplacesCopies,
    /// A part is copied that is not whole.
    JoinsUnfinished,
}

impl Mutant {
    /// All of them.
    pub const ALL: [Self; 46] = [
        Self::SettlesWithoutWaiting,
        Self::AdmitsUnsettled,
        Self::TellsBeforeKept,
        Self::CountsFailedKeeps,
        Self::TrustsLostBytes,
        Self::ForgetsLoss,
        Self::WorksWhenGone,
        Self::LeavesRefusedOpen,
        Self::StarvesWatermarks,
        Self::NeverTriesAgain,
        Self::NeverGivesUp,
        Self::KeepsDrips,
        Self::AnswersOtherOffers,
        Self::RestartsOnOldBytes,
        Self::KeepsTwice,
        Self::ForgetsToWake,
        Self::HoardsRoom,
        Self::CommitsEarly,
        Self::ForgetsRuns,
        Self::TrustsOtherBoots,
        Self::CountsGrantsTwice,
        Self::HoardsQuota,
        Self::PublishesMismatches,
        Self::PublishesHoles,
        Self::ForgetsRefusals,
        Self::LendsTwice,
        Self::CountsFailedWrites,
        Self::LosesHeldBytes,
        Self::IgnoresStep,
        Self::StarvesWaiters,
        Self::LeavesFaultyStreams,
        Self::LetsLosersWrite,
        Self::AnswersKeepsEarly,
        Self::ForgetsKeeps,
        Self::KeepsEveryDrop,
        Self::ForgetsEmpty,
        Self::ForgetsSizes,
        Self::AbandonsHalf,
        Self::LooksUnsettled,
        Self::RestartsAgain,
        Self::CountsUnchecked,
        Self::TrustsChecks,
        Self::HoardsChecked,
        Self::CopiesUnkept,
        Self::MisplacesCopies,
        Self::JoinsUnfinished,
    ];
}

#[cfg(feature = "mutants")]
std::thread_local! {
    static MUTANT: core::cell::Cell<Option<Mutant>> = const { core::cell::Cell::new(None) };
}

/// Puts a fault into all machines that this thread drives, in place of the last; `None`: there is none.
#[cfg(feature = "mutants")]
pub fn set(mutant: Option<Mutant>) {
    MUTANT.set(mutant);
}

/// Whether a fault is to be made.
#[cfg(feature = "mutants")]
pub fn is(mutant: Mutant) -> bool {
    MUTANT.get() == Some(mutant)
}

/// Whether a fault is to be made: none is.
#[cfg(not(feature = "mutants"))]
pub const fn is(_: Mutant) -> bool {
    false
}

/// What is heard of how a work has ended.
pub(super) fn heard(done: Done) -> Done {
    match done {
        Done::Unwritten(_) if is(Mutant::CountsFailedKeeps) => Done::Checkpointed,
        Done::Unsynced(_) if is(Mutant::TrustsLostBytes) => Done::Checkpointed,
        Done::Lost(_) if is(Mutant::ForgetsLoss) => Done::NotPublished,
        done => done,
    }
}
