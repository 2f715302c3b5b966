//! Names of uploaded files: parsed, not filtered. A name either is an [`EntryName`] or is refused
//! with a reason; nothing is replaced, trimmed or normalised on the way.

use alloc::format;
use alloc::string::String;
use core::fmt;

use unicode_normalization::UnicodeNormalization;

use crate::deceptive::{self, is_invisible};
use crate::{Refusal, RefusalCode};

/// Longest whole name of a stored file. Bytes. A legitimate path is far shorter; 2 KiB keeps it well inside
/// `PATH_MAX` (4,096) together with the longest inbox directory that anyone uses, and inside one frame.
pub const NAME_BYTES_MAX: usize = 2_048;

/// How much longer the highest number of the conflict rule makes a name, with its hyphen. Bytes. It fits what
/// [`PART_BYTES_MAX`] leaves of the 255 bytes of a file system.
pub const CONFLICT_SUFFIX_BYTES_MAX: usize = 7;

/// Longest whole name that is offered. Bytes. The rest is room for the suffix that the conflict rule adds.
pub const OFFERED_NAME_BYTES_MAX: usize = NAME_BYTES_MAX - CONFLICT_SUFFIX_BYTES_MAX;

/// Longest part of a name that is offered. Bytes. File systems allow 255; the rest is room for the suffix that
/// the conflict rule adds.
pub const PART_BYTES_MAX: usize = 240;

/// Most parts of a name: 63 directories and a file. Each costs system calls, and tools that walk a tree
/// recursively have to survive it.
pub const NAME_DEPTH_MAX: usize = 64;

/// The directory inside an inbox that holds what is not published. No part of a name may be it, in any
/// case or Unicode form: some file systems take several forms for the same name.
pub const RESERVED_NAME: &str = ".sandport";

/// A relative path that an inbox takes: parts separated by `/`, as the sender wrote them.
///
/// What holds for each value: it is not empty, not absolute, at most [`OFFERED_NAME_BYTES_MAX`] bytes long
/// and [`NAME_DEPTH_MAX`] deep; no part is empty, consists of dots only, is longer than
/// [`PART_BYTES_MAX`] or is the reserved name; no character is a control character, a line or
/// paragraph separator, or an invisible one that changes nothing where it stands: a joiner is accepted
/// between the letters that it joins, a variation selector behind what it varies.
///
/// A name that the conflict rule made ([`EntryName::renamed`]) is longer by
/// [`CONFLICT_SUFFIX_BYTES_MAX`] bytes at most, as is its last part.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct EntryName(String);

impl EntryName {
    /// Parses what a sender sent.
    ///
    /// # Errors
    ///
    /// The first rule that the name breaks.
    pub fn parse(text: &str) -> Result<Self, NameError> {
        Self::parse_within(text, OFFERED_NAME_BYTES_MAX, PART_BYTES_MAX)
    }

    /// Parses the name of a stored file, which the conflict rule may have made.
    ///
    /// # Errors
    ///
    /// The first rule that the name breaks.
    pub fn parse_stored(text: &str) -> Result<Self, NameError> {
        Self::parse_within(text, NAME_BYTES_MAX, PART_BYTES_MAX + CONFLICT_SUFFIX_BYTES_MAX)
    }

    fn parse_within(
        text: &str,
        name_bytes_max: usize,
        part_bytes_max: usize,
    ) -> Result<Self, NameError> {
        if text.is_empty() {
            return Err(NameError::Empty);
        }
        // Lengths first: all that follows is then bounded work.
        if text.len() > name_bytes_max {
            return Err(NameError::TooLong { bytes: text.len() });
        }
        if text.starts_with('/') {
            return Err(NameError::Absolute);
        }
        if let Some(character) = deceptive::first(text) {
            return Err(NameError::Character(character));
        }
        let mut depth = 0;
        for part in text.split('/') {
            depth += 1;
            if depth > NAME_DEPTH_MAX {
                return Err(NameError::TooDeep);
            }
            check_part(part, part_bytes_max)?;
        }
        Ok(Self(String::from(text)))
    }

    /// A name that needs no check because it was derived from one that had it.
    pub(crate) fn derived(text: String) -> Self {
        Self(text)
    }

    /// The name as the sender wrote it.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// The parts, from the inbox down. There is at least one.
    pub fn parts(&self) -> impl DoubleEndedIterator<Item = &str> {
        self.0.split('/')
    }

    /// The directories above the last part, as a path; `None`: the name has one part.
    pub fn parent(&self) -> Option<&str> {
        self.0.rsplit_once('/').map(|(parent, _)| parent)
    }

    /// The last part.
    pub fn leaf(&self) -> &str {
        self.0.rsplit_once('/').map_or(self.as_str(), |(_, leaf)| leaf)
    }
}

impl fmt::Display for EntryName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl fmt::Debug for EntryName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Debug::fmt(&self.0, f)
    }
}

/// The rule that a name breaks.
///
/// The text repeats no character of the name, so that it can be shown anywhere.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum NameError {
    /// No name at all.
    #[error("the name is empty")]
    Empty,
    /// It begins with `/`.
    #[error("the name begins with '/'")]
    Absolute,
    /// More than [`OFFERED_NAME_BYTES_MAX`].
    #[error("the name has {bytes} bytes, more than {OFFERED_NAME_BYTES_MAX}")]
    TooLong {
        /// How many it has.
        bytes: usize,
    },
    /// More parts than [`NAME_DEPTH_MAX`].
    #[error("the name has more than {NAME_DEPTH_MAX} parts")]
    TooDeep,
    /// Two `/` in a row, or one at the end.
    #[error("the name has an empty part")]
    EmptyPart,
    /// `.`, `..`, `...` and so on.
    #[error("the name has a part of dots only")]
    DotPart,
    /// A part with more than [`PART_BYTES_MAX`].
    #[error("the name has a part of {bytes} bytes, more than {PART_BYTES_MAX}")]
    PartTooLong {
        /// How many it has.
        bytes: usize,
    },
    /// A character that no name may have.
    #[error("the name has the character U+{:04X}", u32::from(*.0))]
    Character(char),
    /// A part is [`RESERVED_NAME`], in one of its forms.
    #[error("the name has the reserved part {RESERVED_NAME}")]
    Reserved,
}

impl From<NameError> for Refusal {
    fn from(error: NameError) -> Self {
        Self::new(RefusalCode::NameInvalid, format!("{error}"))
    }
}

fn check_part(part: &str, bytes_max: usize) -> Result<(), NameError> {
    if part.is_empty() {
        return Err(NameError::EmptyPart);
    }
    if part.len() > bytes_max {
        return Err(NameError::PartTooLong { bytes: part.len() });
    }
    if part.bytes().all(|byte| byte == b'.') {
        return Err(NameError::DotPart);
    }
    if is_reserved(part) {
        return Err(NameError::Reserved);
    }
    Ok(())
}

/// Whether some file system could take `part` for [`RESERVED_NAME`].
fn is_reserved(part: &str) -> bool {
    if part.is_ascii() {
        return trimmed(part).eq_ignore_ascii_case(RESERVED_NAME);
    }
    // Some file systems (HFS+) leave invisible characters out when they compare names. NFKC undoes full-width and other
    // compatibility forms (the long s among them). For a target of ASCII letters, lower-casing what is left is the same
    // as case folding.
    let folded: String =
        part.nfkc().filter(|&c| !is_invisible(c)).flat_map(char::to_lowercase).collect();
    trimmed(&folded) == RESERVED_NAME
}

/// Without the trailing dots and spaces that FAT file systems drop from a name.
fn trimmed(part: &str) -> &str {
    part.trim_end_matches(['.', ' '])
}

#[cfg(test)]
mod tests;
