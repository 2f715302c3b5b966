//! Making the content of staged files durable.

use rustix::io::Errno;
use sandport_protocol::Refusal;

use super::FileWork;
use crate::inbox::Core;
use crate::inbox::disk::Step;

/// From how many files on their content is synced by one `syncfs` and not file by file. Each `fsync`
/// of a new file is a journal commit of its own; `syncfs` is one for all, but also waits for what
/// others write to the same disk.
const SYNC_ALL_FILES_MIN: usize = 8;

/// Makes the content of these files durable, and gives up their descriptors; what came of each.
pub(super) fn sync_files(core: &Core, files: Vec<&mut FileWork>) -> Vec<Result<(), Refusal>> {
    if files.is_empty() {
        return Vec::new();
    }
    // A file that was closed between writes is left to `syncfs` too. That reports the failed
    // write of any file of the file system since the descriptor it is called with was opened
    // (Linux 5.8), and this one is open since before the first write; the descriptor of a file
    // that is opened again may miss an error from before.
    let all = files.len() >= SYNC_ALL_FILES_MIN
        || files.iter().any(|file| file.staged.descriptor().is_none());
    let result = if all { core.sync_all() } else { Ok(()) };
    let sync = |file: &mut FileWork| {
        // Such a failure is told once: where it was told for others, only a descriptor of its own knows
        // of a file that is as old as that.
        let told_before = result.is_ok() && file.staged.may_have_failed();
        let synced = match file.staged.descriptor() {
            Some(descriptor) if !all || told_before => core.disk.sync(Step::SyncFile, descriptor),
            None if told_before => Err(Errno::IO),
            _ => result,
        };
        file.staged.close();
        let sound = |()| if file.staged.is_sound() { Ok(()) } else { Err(Errno::IO) };
        synced.and_then(sound).map_err(|errno| {
            let refusal = core.refusal("make a file durable", errno);
            file.staged.lost(&refusal);
            refusal
        })?;
        file.is_synced = true;
        Ok(())
    };
    files.into_iter().map(sync).collect()
}
