//! Making the content of staged files durable.

use rustix::io::Errno;
use sandport_protocol::Refusal;

use super::file::FileWork;
use crate::Core;
use crate::disk::Step;

/// From how many files on their content is synced by one `syncfs` and not file by file. Each `fsync`
/// of a new file is a journal commit of its own; `syncfs` is one for all, but also waits for what
/// others write to the same disk.
const SYNC_ALL_FILES_MIN: usize = 8;

/// From which size on the content of a file is made durable before it comes into a batch, by a thread that nobody else
/// waits for. Bytes. It takes a tenth of a second on a slow disk, for which small files would wait.
const LARGE_BYTES_MIN: u64 = 8 * 1024 * 1024;

/// Whether a file is large enough to be [made durable ahead](sync_ahead).
pub(crate) fn is_large(core: &Core, file: &FileWork) -> bool {
    core.options.durability.syncs_commits() && file.record.size >= LARGE_BYTES_MIN
}

/// Makes the content of a large file durable, so that the batch that it comes into has little left to do.
///
/// # Errors
/// The refusal that the file is answered with.
pub(crate) fn sync_ahead(core: &Core, file: &mut FileWork) -> Result<(), Refusal> {
    match file.staged.descriptor() {
        Some(_) => sync_file(core, file, Sync::Itself),
        // Only a sync of everything tells, and that is the batch's.
        None => Ok(()),
    }
}

/// How a file is made durable.
#[derive(Clone, Copy)]
enum Sync {
    Itself,
    /// By a sync of everything, which came to this.
    Everything(rustix::io::Result<()>),
}

fn sync_file(core: &Core, file: &mut FileWork, how: Sync) -> Result<(), Refusal> {
    let result = match how {
        Sync::Itself => Ok(()),
        Sync::Everything(result) => result,
    };
    // Such a failure is told once: where it was told for others, only a descriptor of its own knows
    // of a file that is as old as that.
    let told_before = result.is_ok() && file.staged.may_have_failed();
    let is_by_itself = matches!(how, Sync::Itself);
    let synced = match file.staged.descriptor() {
        Some(descriptor) if is_by_itself || told_before => {
            core.disk.sync(Step::SyncFile, descriptor)
        }
        None if told_before => Err(Errno::IO),
        _ => result,
    };
    synced.map_err(|errno| {
        let refusal = core.refusal("make a file durable", errno);
        file.staged.lost(&refusal);
        refusal
    })
}

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
    let how = if all { Sync::Everything(core.sync_all()) } else { Sync::Itself };
    let sync = |file: &mut FileWork| {
        let synced = sync_file(core, file, how);
        file.staged.close();
        file.is_synced = synced.is_ok();
        synced
    };
    files.into_iter().map(sync).collect()
}
