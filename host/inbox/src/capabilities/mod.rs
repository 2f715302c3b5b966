//! What the file system of an inbox can do, as far as it differs from what the inbox would like: found out at
//! the start ([`probe`]), used from then on, and told to the operator ([`Limitation`]).

mod probe;

use std::fmt;
use std::path::PathBuf;

pub(super) use probe::{are_inodes_stable, has_exactly, mounts, probe};

use super::disk::FreeName;

/// What was found out.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Capabilities {
    /// How a name is taken only if it is free.
    pub(super) free_name: FreeName,
    /// Whether a file keeps its inode number and modification time for as long as nobody changes it.
    pub(super) attributes_stable: bool,
    /// Whether files keep the modification time that they are given, to the microsecond.
    pub(super) times_exact: bool,
    /// Whether two names that differ, in case for one, can be of the same file.
    pub(super) names_folded: bool,
    /// Whether a name is listed as it was given. Where not, as in NTFS by `lowntfs-3g` with `ignore_case`, nothing
    /// tells how a file was called.
    pub(super) names_kept: bool,
    /// Whether there are names that it does not take though they are not too long.
    pub(super) names_restricted: bool,
    /// Longest part of a name. Bytes.
    pub(super) part_bytes_max: usize,
}

/// How much of a path is shown. Characters. The longest that the system takes.
const PATH_CHARS_MAX: usize = 4_096;

/// Something that the file system of an inbox does not do, which users or operators may notice.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Limitation {
    /// It cannot rename without replacing; links are used in place of that.
    NoRenameWithoutReplacing,
    /// It can neither rename without replacing nor link: the inbox looks whether a name is free, then renames. A
    /// file that another program gives the same name in that moment is replaced.
    NoAtomicNames,
    /// Inode numbers or times change by themselves.
    UnstableAttributes,
    /// Modification times are rounded or not kept.
    InexactTimes,
    /// Names that differ in case are of the same file.
    CaseInsensitiveNames,
    /// Some names are not taken.
    RestrictedNames,
    /// Names are shorter than usual.
    ShortNames {
        /// The longest part. Bytes.
        max_bytes: usize,
    },
    /// Directories of the inbox are on other file systems.
    Mounts {
        /// Their paths, from the inbox on.
        directories: Vec<PathBuf>,
    },
}

impl Limitation {
    /// A stable word for it.
    pub fn code(&self) -> &'static str {
        match self {
            Self::NoRenameWithoutReplacing => "no-rename-without-replacing",
            Self::NoAtomicNames => "no-atomic-names",
            Self::UnstableAttributes => "unstable-attributes",
            Self::InexactTimes => "inexact-times",
            Self::CaseInsensitiveNames => "case-insensitive-names",
            Self::RestrictedNames => "restricted-names",
            Self::ShortNames { .. } => "short-names",
            Self::Mounts { .. } => "mounts",
        }
    }
}

impl fmt::Display for Limitation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::NoRenameWithoutReplacing => {
                "no rename without replacing: links are used instead"
            }
            Self::NoAtomicNames => {
                "no rename without replacing, and no links: a file that another program gives the same name in \
                 the same moment is replaced"
            }
            Self::UnstableAttributes => {
                "inode numbers or times change by themselves: stored files are recognised by size and content"
            }
            Self::InexactTimes => "modification times are rounded, or not kept",
            Self::CaseInsensitiveNames => "names are case-insensitive",
            Self::RestrictedNames => "some names are not allowed: their files are refused (name-invalid)",
            Self::ShortNames { max_bytes } => {
                return write!(
                    f,
                    "names have at most {max_bytes} bytes: files with longer ones are refused (name-invalid)"
                );
            }
            Self::Mounts { directories } => {
                f.write_str("these directories are on other file systems, so complete files are copied there:")?;
                return directories.iter().try_for_each(|path| {
                    let path = path.to_string_lossy();
                    write!(f, " {}", sandport_protocol::text::sanitize(&path, PATH_CHARS_MAX))
                });
            }
        })
    }
}

impl Capabilities {
    /// What of it limits something. `mounts`: directories of the inbox that are on other file systems.
    pub(super) fn limitations(&self, mounts: Vec<PathBuf>) -> Vec<Limitation> {
        let name = match self.free_name {
            FreeName::Rename => None,
            FreeName::Link => Some(Limitation::NoRenameWithoutReplacing),
            FreeName::Look => Some(Limitation::NoAtomicNames),
        };
        let when = |limited: bool, limitation| limited.then_some(limitation);
        let max_bytes = self.part_bytes_max;
        [
            name,
            when(!self.attributes_stable, Limitation::UnstableAttributes),
            when(!self.times_exact, Limitation::InexactTimes),
            when(self.names_folded || !self.names_kept, Limitation::CaseInsensitiveNames),
            when(self.names_restricted, Limitation::RestrictedNames),
            when(
                max_bytes < sandport_protocol::PART_BYTES_MAX,
                Limitation::ShortNames { max_bytes },
            ),
            when(!mounts.is_empty(), Limitation::Mounts { directories: mounts }),
        ]
        .into_iter()
        .flatten()
        .collect()
    }
}

#[cfg(test)]
mod tests;
