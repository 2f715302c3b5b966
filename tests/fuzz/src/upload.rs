//! The life of a resumable upload: any list of operations, through the machine and nothing else.
//!
//! What `guest/protocol/src/upload/worlds.rs` goes through whole for two connections and few operations, this goes
//! through by chance for more of both, and with real bytes: the digest of what is published has to be that of a file
//! of zeros, and an upload that is parked is resumed by what its journal knows.

mod content;
mod reading;
mod world;

use arbitrary::{Arbitrary as _, Unstructured};
use sandport_protocol::journal::GROUP_BYTES;
use sandport_protocol::upload::Options;

use crate::pair::rng::Rng;
use world::World;

/// Most operations of one input.
const OPERATIONS_MAX: usize = 60;

/// How long a seed is: enough for most operations. Bytes.
const SEED_BYTES: usize = 300;

/// How many connections there are.
pub(crate) const CONNECTIONS: u8 = 3;

/// What an upload is begun as.
#[derive(Clone, Copy, Debug)]
struct Setting {
    size: Size,
    size_max: Size,
    is_named: bool,
    small_step: bool,
    of_boot: bool,
    syncs_at_last: bool,
    keeps_empty: bool,
}

/// How long something is.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Size {
    Unknown,
    Nothing,
    Few(u8),
    /// So many groups, and a few bytes more or less.
    Groups(u8, i8),
    /// Beyond any disk.
    Huge(u64),
}

impl Size {
    pub(crate) fn bytes(self) -> Option<u64> {
        match self {
            Self::Unknown => None,
            Self::Nothing => Some(0),
            Self::Few(bytes) => Some(u64::from(bytes)),
            Self::Groups(groups, more) => {
                let bytes = u64::from(groups % 4) * GROUP_BYTES;
                Some(bytes.saturating_add_signed(i64::from(more)))
            }
            Self::Huge(bytes) => Some(bytes),
        }
    }
}

/// Something that happens.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Operation {
    Offer {
        which: u8,
        mode: Mode,
        run: u8,
        is_same: bool,
    },
    Body {
        which: u8,
        at: Place,
        length: Size,
        checked: bool,
    },
    Claim {
        which: u8,
        length: Size,
        reserves: bool,
    },
    /// The write of a grant has ended: so many 255ths of it came.
    Wrote {
        which: u8,
        part: u8,
    },
    WriteFailed {
        which: u8,
    },
    Pause {
        which: u8,
    },
    EndBody {
        which: u8,
    },
    EndChecked {
        which: u8,
        is_right: bool,
    },
    SetSize {
        which: u8,
        size: Size,
    },
    Keep {
        which: u8,
    },
    Commit {
        which: u8,
        size: Size,
        is_right: bool,
    },
    Leave {
        which: u8,
    },
    Discard {
        which: u8,
    },
    Abandon,
    DiscardUnheld,
    Settle,
    Fail {
        which: u8,
    },
    FailAll,
    Done(Outcome),
    Due {
        later_ms: u16,
    },
}

#[derive(Clone, Copy, Debug)]
pub(crate) enum Mode {
    TakeOver,
    Join,
    Restart,
}

/// Where a body begins.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Place {
    /// Where something is missing.
    Missing(u8),
    At(Size),
}

/// How the work under way has ended.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Outcome {
    Well,
    Refused,
    Lost,
    Mismatched,
}

pub(crate) fn run(data: &[u8]) {
    let mut bytes = Unstructured::new(data);
    let Ok(setting) = Setting::arbitrary(&mut bytes) else { return };
    let mut world = World::new(Options {
        size: setting.size.bytes(),
        size_max: setting.size_max.bytes(),
        is_named: setting.is_named,
        step_bytes: if setting.small_step { GROUP_BYTES } else { 64 * GROUP_BYTES },
        interval_ms: 2_000,
        boot: setting.of_boot.then_some(content::BOOT),
        syncs_at_last: setting.syncs_at_last,
        keeps_empty: setting.keeps_empty,
    });
    for _ in 0..OPERATIONS_MAX {
        let Ok(operation) = Operation::arbitrary(&mut bytes) else { break };
        world.step(operation);
        if bytes.is_empty() {
            break;
        }
    }
    world.drain();
}

pub(crate) fn seeds() -> Vec<Vec<u8>> {
    // Groups, and a byte more.
    let groups = |count: u8| [5 + 8 * count, 1];
    let offer = |which: u8, mode: u8| vec![32 * which, mode];
    let body = |which: u8, missing: u8| vec![3 + 32 * which, 1 + 4 * missing, 0];
    let bring = |which: u8| vec![6 + 32 * which, 0, 10 + 32 * which, 255];
    let well = vec![31, 7];
    let commit = |which: u8| vec![128 + 20 + 32 * which, 0];
    let lists: [Vec<Vec<u8>>; 5] = [
        // One connection, a file of two groups and a byte.
        vec![
            vec![0],
            groups(2).to_vec(),
            offer(0, 0),
            body(0, 0),
            bring(0),
            bring(0),
            well.clone(),
            bring(0),
            well.clone(),
            vec![15],
            well.clone(),
            commit(0),
            well.clone(),
            well.clone(),
        ],
        // Two that join, one of which leaves.
        vec![
            vec![4],
            groups(3).to_vec(),
            offer(0, 2),
            offer(1, 2),
            body(0, 0),
            body(1, 1),
            bring(0),
            bring(1),
            well.clone(),
            bring(0),
            vec![22],
            commit(1),
            well.clone(),
        ],
        // A stream that is parked, by a journal that is not synced.
        vec![
            vec![8 + 32],
            vec![0],
            offer(0, 0),
            body(0, 0),
            bring(0),
            vec![18],
            well.clone(),
            bring(0),
            vec![22],
            well.clone(),
            well.clone(),
        ],
        // A checked body, right and wrong.
        vec![
            vec![2],
            groups(1).to_vec(),
            offer(0, 0),
            vec![128 + 3, 1, 0],
            bring(0),
            vec![16],
            vec![128 + 3, 1, 0],
            bring(0),
            vec![128 + 16],
            well.clone(),
        ],
        // Taken over, with a write under way, and given up.
        vec![
            vec![0],
            groups(2).to_vec(),
            offer(0, 0),
            body(0, 0),
            vec![6, 0],
            offer(1, 4),
            vec![10, 100],
            body(1, 0),
            bring(1),
            vec![31, 1],
            vec![23 + 32],
            well,
        ],
    ];
    let mut seeds: Vec<Vec<u8>> = lists.iter().map(|list| list.concat()).collect();
    seeds.extend((1..=8).map(|seed| Rng::new(seed).bytes(SEED_BYTES)));
    seeds
}
