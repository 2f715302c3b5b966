//! Operations out of bytes: the first says which, those that follow say the rest. What brings an upload further comes
//! oftener than what ends it.

use arbitrary::{Arbitrary, Result, Unstructured};

use super::operation::{CONNECTIONS, Mode, Operation, Outcome, Place, Setting, Size};

impl<'a> Arbitrary<'a> for Setting {
    fn arbitrary(bytes: &mut Unstructured<'a>) -> Result<Self> {
        let flags: u8 = bytes.arbitrary()?;
        Ok(Self {
            size: bytes.arbitrary()?,
            max_file_size: if flags & 1 > 0 { bytes.arbitrary()? } else { Size::Unknown },
            is_named: flags & 2 == 0,
            small_step: flags & 4 > 0,
            of_boot: flags & 8 > 0,
            syncs_at_last: flags & 16 == 0,
            keeps_empty: flags & 32 > 0,
        })
    }
}

impl<'a> Arbitrary<'a> for Size {
    fn arbitrary(bytes: &mut Unstructured<'a>) -> Result<Self> {
        let kind: u8 = bytes.arbitrary()?;
        Ok(match kind % 8 {
            0 | 1 => Self::Unknown,
            2 => Self::Nothing,
            3 => Self::Few(bytes.arbitrary()?),
            4 => Self::Huge(bytes.arbitrary()?),
            _ => Self::Groups(kind / 8, bytes.arbitrary()?),
        })
    }
}

impl<'a> Arbitrary<'a> for Place {
    fn arbitrary(bytes: &mut Unstructured<'a>) -> Result<Self> {
        let kind: u8 = bytes.arbitrary()?;
        Ok(match kind % 4 {
            0 => Self::At(bytes.arbitrary()?),
            _ => Self::Missing(kind / 4),
        })
    }
}

impl<'a> Arbitrary<'a> for Outcome {
    fn arbitrary(bytes: &mut Unstructured<'a>) -> Result<Self> {
        let kind: u8 = bytes.arbitrary()?;
        Ok(match kind % 8 {
            0 => Self::Refused,
            1 => Self::Lost,
            2 => Self::Mismatched,
            _ => Self::Well,
        })
    }
}

impl<'a> Arbitrary<'a> for Operation {
    fn arbitrary(bytes: &mut Unstructured<'a>) -> Result<Self> {
        let kind: u8 = bytes.arbitrary()?;
        // Which connection, and a choice of two.
        let (which, is_other) = (kind / 32 % CONNECTIONS, kind >= 128);
        Ok(match kind % 32 {
            0..=2 => {
                let choice: u8 = bytes.arbitrary()?;
                let mode = match choice % 4 {
                    0 | 1 => Mode::TakeOver,
                    2 => Mode::Join,
                    _ => Mode::Restart,
                };
                Self::Offer { which, mode, run: choice / 4 % 3, is_same: choice < 230 }
            }
            3..=5 => Self::Body {
                which,
                at: bytes.arbitrary()?,
                length: bytes.arbitrary()?,
                checked: is_other,
            },
            6..=9 => Self::Claim { which, length: bytes.arbitrary()?, reserves: is_other },
            10..=12 => Self::Wrote { which, part: bytes.arbitrary()? },
            13 => Self::WriteFailed { which },
            14 => Self::Pause { which },
            15 => Self::EndBody { which },
            16 => Self::EndChecked { which, is_right: is_other },
            17 => Self::SetSize { which, size: bytes.arbitrary()? },
            18 | 19 => Self::Keep { which },
            20 | 21 => Self::Commit { which, size: bytes.arbitrary()?, is_right: is_other },
            22 => Self::Leave { which },
            23 => Self::Discard { which },
            24 if is_other => Self::Abandon,
            24 => Self::DiscardUnheld,
            25 if is_other => Self::Settle,
            25 => Self::Fail { which },
            26 if is_other => Self::FailAll,
            26 | 27 => Self::Due { later_ms: bytes.arbitrary()? },
            _ => Self::Done(bytes.arbitrary()?),
        })
    }
}
