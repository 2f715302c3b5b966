//! Names that the file system of an inbox does not take, or takes for others.

use std::os::fd::AsFd;

use rustix::fs::{IFlags, Stat};
use rustix::io::Errno;
use sandport_protocol::inbox::Failure;
use sandport_protocol::{EntryName, Refusal};

use super::capabilities::has_exactly;
use super::tree::{self, Directory, Obstacle};
use super::{Conflict, Core};

impl Core {
    /// Refuses a name of which the file system does not take a part.
    pub(super) fn check_name(&self, name: &EntryName) -> Result<(), Refusal> {
        let capabilities = &self.capabilities;
        let refused = |errno: Errno| Failure::Name.refusal("take the name", &errno);
        for part in name.parts() {
            if part.len() > capabilities.part_bytes_max {
                return Err(refused(Errno::NAMETOOLONG));
            }
            if capabilities.names_restricted && is_suspicious(part) {
                match self.disk.try_name(self.layout.staging.as_fd(), part) {
                    Ok(()) => {}
                    // That says nothing of the name.
                    Err(
                        errno @ (Errno::NOSPC
                        | Errno::DQUOT
                        | Errno::IO
                        | Errno::ROFS
                        | Errno::MFILE
                        | Errno::NFILE),
                    ) => return Err(self.refusal("make a file", errno)),
                    Err(errno) => return Err(refused(errno)),
                }
            }
        }
        Ok(())
    }

    /// Whether a file in `directory` would be replaced by one of this name that is called differently: where names are
    /// case-insensitive, and files are replaced.
    pub(super) fn replaces_another_name(
        &self,
        name: &EntryName,
        directory: &Directory<'_>,
    ) -> Result<bool, Obstacle> {
        if self.options.conflict != Conflict::Replace {
            return Ok(false);
        }
        match tree::look(directory, name.leaf())? {
            Some(stat) => self.is_other_name(name, &stat),
            None => Ok(false),
        }
    }

    /// The same, of what has the name. What was stored under exactly this name may be replaced.
    pub(super) fn is_other_name(&self, name: &EntryName, stat: &Stat) -> Result<bool, Obstacle> {
        if self.options.conflict != Conflict::Replace || self.owner(name, stat).is_some() {
            return Ok(false);
        }
        self.is_another_name(name)
    }

    /// Whether a file has `name`, but under one that is written differently, or may be: where names are
    /// case-insensitive.
    fn is_another_name(&self, name: &EntryName) -> Result<bool, Obstacle> {
        if !self.capabilities.names_kept {
            return Ok(true);
        }
        let mut directory = Directory::Root(self.layout.root.as_fd());
        let mut walked = 0;
        for part in name.parts() {
            let failed = Obstacle::Failed;
            if self.is_folding(&directory) && !has_exactly(&directory, part).map_err(failed)? {
                return Ok(true);
            }
            walked += part.len();
            if walked < name.as_str().len() {
                let path = &name.as_str()[..walked];
                match tree::open_directory(self.layout.root.as_fd(), Some(path))? {
                    Some(next) => directory = next,
                    None => return Ok(false),
                }
            }
            walked += 1;
        }
        Ok(false)
    }

    /// Whether names in a directory are case-insensitive. ext4, f2fs and tmpfs know that of single directories.
    fn is_folding(&self, directory: &Directory<'_>) -> bool {
        self.capabilities.names_folded
            || rustix::fs::ioctl_getflags(directory)
                .is_ok_and(|flags| flags.contains(IFlags::from_bits_retain(CASEFOLD)))
    }
}

/// `FS_CASEFOLD_FL`, of linux/fs.h.
const CASEFOLD: u32 = 0x4000_0000;

/// Whether it is worth while to try a part of a name where some are not taken: by Windows and what follows its
/// rules (<https://learn.microsoft.com/windows/win32/fileio/naming-a-file>), or where text is not kept as
/// Unicode.
fn is_suspicious(part: &str) -> bool {
    /// Devices, with any extension.
    const DEVICES: [&str; 8] = ["con", "prn", "aux", "nul", "conin$", "conout$", "com", "lpt"];
    let stem = part.split('.').next().unwrap_or(part).trim_end().to_ascii_lowercase();
    !part.is_ascii()
        || part.contains(['"', '*', ':', '<', '>', '?', '\\', '|'])
        || part.ends_with(['.', ' '])
        || part.starts_with(' ')
        || DEVICES.contains(&stem.trim_end_matches(|c: char| c.is_ascii_digit()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_that_windows_forbids_are_tried() {
        for name in ["a:b", "what?", "con", "COM1.txt", "nul", "end.", "end ", "\\", "größe"] {
            assert!(is_suspicious(name), "{name}");
        }
        for name in ["report.pdf", "console.log", "comic.cbz", "a b", ".bashrc", "nullable"] {
            assert!(!is_suspicious(name), "{name}");
        }
    }
}
