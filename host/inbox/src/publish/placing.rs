//! How a file of a batch gets its name.

use std::os::fd::{AsFd, OwnedFd};

use rustix::fs::{FileType, Mode, OFlags};
use rustix::io::Errno;
use sandport_protocol::inbox::{taken_by_directory, taken_by_other_name};

use super::batch::{Batch, Choice, State};
use super::copy::Way;
use super::file::FileWork;
use crate::Identity;
use crate::directories::Directories;
use crate::disk::Publish;
use crate::tree::{self, Directory};
use crate::{Conflict, Core};

/// From which size on a file that is replaced is freed by threads that nobody waits for. Bytes. Less is freed in no
/// time.
const FREED_ELSEWHERE_BYTES_MIN: u64 = 1024 * 1024;

/// A file that had the name of another before.
struct Replaced {
    /// Whose it was, where that is known.
    owner: Option<Identity>,
    bytes: u64,
}

impl Batch<'_> {
    /// Tries to give a file the name that was chosen for it.
    pub(super) fn place(&mut self, index: usize) {
        let replaced = match &self.slots[index].state {
            State::Named(file, choice) if self.core.options.conflict == Conflict::Replace => {
                self.replaced(file, choice)
            }
            _ => None,
        };
        let state = &mut self.slots[index].state;
        *state = match std::mem::replace(state, State::SameAs(index)) {
            State::Named(file, choice) => {
                // Where it fails, the name is not kept for it.
                self.chosen.remove(choice.name.as_str());
                let name = self.durable.then(|| choice.name.clone());
                let placed = place(self.core, &mut self.directories, file, choice, replaced);
                if let (Some(name), false) = (name, matches!(placed, State::Placed { .. })) {
                    self.missed.push(name);
                }
                placed
            }
            other => other,
        };
    }

    /// What is about to be replaced by `file`, where the inbox counts what it holds.
    fn replaced(&self, file: &FileWork, choice: &Choice) -> Option<Replaced> {
        file.reservation.as_ref()?;
        let root = self.core.layout.root.as_fd();
        let stat = tree::look_up(root, &choice.name).ok().flatten()?;
        let placed = self.slots.iter().rev().find_map(|slot| match &slot.state {
            State::Placed { identity, choice: other, .. } if other.name == choice.name => {
                Some(identity.clone())
            }
            _ => None,
        });
        let owner = placed.or_else(|| self.core.owner(&choice.name, &stat));
        Some(Replaced { owner, bytes: u64::try_from(stat.st_size).unwrap_or(0) })
    }
}

/// Gives `file` the name `choice`; the state after that.
fn place(
    core: &Core,
    directories: &mut Directories<'_>,
    mut file: Box<FileWork>,
    choice: Choice,
    replaced: Option<Replaced>,
) -> State {
    let parent = choice.name.parent();
    let directory = match directories.make(parent) {
        Ok(directory) => directory,
        Err(obstacle) => return State::Done(Err(core.refusal_of_path(obstacle))),
    };
    let how = match core.options.conflict {
        Conflict::Replace => Publish::Replace,
        Conflict::Rename | Conflict::Refuse => Publish::NoReplace,
    };
    let leaf = choice.name.leaf();
    // Once more: another file of the batch may have it by now.
    match core.replaces_another_name(&choice.name, &directory) {
        Ok(false) => {}
        Ok(true) => return State::Done(Err(taken_by_other_name())),
        Err(obstacle) => return State::Done(Err(core.refusal_of_path(obstacle))),
    }
    match &file.way {
        Way::Copied(copy) if copy.is_in(&directory) => {}
        Way::Move => {}
        // Also where the directory is another one by now.
        Way::Copy | Way::Copied(_) => return leave(file, &directory),
    }
    let old = (how == Publish::Replace).then(|| large(&directory, leaf)).flatten();
    let placed = give_name(core, &mut file, replaced.as_ref(), |file| match &mut file.way {
        Way::Copied(copy) => {
            copy.publish(how, leaf)?;
            file.staged.is_superfluous();
            Ok(())
        }
        Way::Move | Way::Copy => file.staged.publish(how, &directory, leaf),
    });
    if let Some(old) = old {
        // Where it was replaced, this frees it.
        core.remove_later(move || drop(old));
    }
    match placed {
        Ok(()) => {
            directories.changed(parent.unwrap_or_default(), &directory);
            let FileWork { identity, name: offered, record, way: _way, .. } = *file;
            State::Placed { identity, offered, record, choice, _way }
        }
        Err(Errno::EXIST | Errno::ISDIR | Errno::NOTEMPTY) if how == Publish::Replace => {
            State::Done(Err(taken_by_directory()))
        }
        Err(Errno::EXIST) => State::Unnamed(file),
        // This tells, whatever was known before.
        Err(Errno::XDEV) if matches!(file.way, Way::Move) => leave(file, &directory),
        // The directory was removed after it was opened.
        Err(Errno::NOENT) => {
            directories.forget();
            State::Unnamed(file)
        }
        Err(errno) => State::Done(Err(core.refusal_of_name("publish a file", errno))),
    }
}

/// A large file that has this name. As long as it is held, to replace it frees nothing.
fn large(directory: &Directory<'_>, leaf: &str) -> Option<OwnedFd> {
    let flags = OFlags::PATH | OFlags::NOFOLLOW | OFlags::CLOEXEC;
    let old = rustix::fs::openat(directory, leaf, flags, Mode::empty()).ok()?;
    let stat = rustix::fs::fstat(&old).ok()?;
    let is_file = FileType::from_raw_mode(stat.st_mode) == FileType::RegularFile;
    let bytes = u64::try_from(stat.st_size).unwrap_or(0);
    (is_file && bytes >= FREED_ELSEWHERE_BYTES_MIN).then_some(old)
}

/// The state of a file that leaves the batch to be copied.
fn leave(mut file: Box<FileWork>, directory: &Directory<'_>) -> State {
    // A copy in another directory goes.
    file.way = Way::Copy;
    State::uncopied(file, directory)
}

/// Has a file given its name by `give`, and counts it, where it is counted what the inbox holds.
fn give_name(
    core: &Core,
    file: &mut FileWork,
    replaced: Option<&Replaced>,
    give: impl FnOnce(&mut FileWork) -> rustix::io::Result<()>,
) -> rustix::io::Result<()> {
    let Some(reservation) = file.reservation.take() else {
        return give(file);
    };
    let inode = file.record.inode;
    reservation.publishing(inode);
    if let Err(errno) = give(file) {
        reservation.not_published(inode);
        file.reservation = Some(reservation);
        return Err(errno);
    }
    reservation.settle(inode, file.record.size);
    if let (Some(usage), Some(replaced)) = (&core.usage, replaced) {
        usage.replaced(replaced.owner.as_ref(), replaced.bytes);
    }
    Ok(())
}
