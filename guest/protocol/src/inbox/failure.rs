//! What a sender is told when the disk fails.

use alloc::format;

use crate::{Refusal, RefusalCode};

/// How a disk failed, as far as it makes a difference to a sender.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Failure {
    /// It is full, or a quota of the system is.
    Full,
    /// It does not take the name.
    Name,
    /// It does not take files of the size.
    FileTooLarge,
    /// The process has too many files open.
    TooManyOpen,
    /// Anything else.
    Other,
}

impl Failure {
    /// The refusal for an inbox that could not `doing`, where the system says `error`. The words carry
    /// no path of the host.
    pub fn refusal(self, doing: &str, error: &dyn core::fmt::Display) -> Refusal {
        let (code, words) = match self {
            Self::Full => (RefusalCode::InsufficientSpace, "the disk of the inbox is full"),
            Self::Name => {
                (RefusalCode::NameInvalid, "the file system of the inbox does not take the name")
            }
            Self::FileTooLarge => (
                RefusalCode::TooLarge,
                "the file is larger than the file system of the inbox takes",
            ),
            Self::TooManyOpen => (RefusalCode::TooMany, "the inbox has too many files open"),
            Self::Other => {
                let words = format!("the inbox could not {doing}: {error}");
                return Refusal::new(RefusalCode::Io, words);
            }
        };
        Refusal::new(code, words)
    }
}
