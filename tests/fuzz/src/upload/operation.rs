//! What an upload is begun as, and what happens to it then.

use sandport_protocol::journal::GROUP_BYTES;

/// How many connections there are.
pub(crate) const CONNECTIONS: u8 = 3;

/// What an upload is begun as.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Setting {
    pub(crate) size: Size,
    pub(crate) max_file_size: Size,
    pub(crate) is_named: bool,
    pub(crate) small_step: bool,
    pub(crate) of_boot: bool,
    pub(crate) syncs_at_last: bool,
    pub(crate) keeps_empty: bool,
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
