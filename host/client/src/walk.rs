//! Walking directory trees: which entries there are, and what they are called at the server.

use std::fs::Metadata;
use std::io;
use std::path::{Path, PathBuf};
use std::time::SystemTime;

use sandport_protocol::EntryKind;
use tokio::sync::mpsc;
use walkdir::WalkDir;

use super::inboxes::Arrivals;
use super::{FileError, Selection, SendFile, SkipReason, Source, platform};

/// One thing that a tree holds.
pub(super) enum Found {
    /// A regular file, not opened yet.
    File {
        path: PathBuf,
        name: String,
    },
    /// A directory that nothing else would create at the server.
    Directory(SendFile),
    Skipped {
        path: PathBuf,
        reason: SkipReason,
    },
    Failed {
        path: PathBuf,
        error: FileError,
    },
}

/// A directory whose entries are being listed.
struct Open {
    path: PathBuf,
    depth: usize,
    /// Whether an entry beneath it makes it appear at the server, or it could not be listed.
    settled: bool,
}

/// Finds what is sent of the directory `root`, which is called `name` at the server. `found` returns
/// whether to go on.
///
/// `root` itself may be a link in any case. `arrivals` are those of the whole run.
pub(super) fn walk(
    root: &Path,
    name: &str,
    selection: &Selection,
    arrivals: &Arrivals,
    mut found: impl FnMut(Found) -> bool,
) {
    let mut parents: Vec<Open> = Vec::new();
    let mut entries = WalkDir::new(root).follow_links(selection.follow_links).into_iter();
    while let Some(entry) = entries.next() {
        // An error about listing a directory comes after that directory and with its depth; any
        // other with the depth of the entry that it is about.
        let depth = match &entry {
            Ok(entry) => entry.depth(),
            Err(error) if is_about_last(error, &parents) => error.depth() + 1,
            Err(error) => error.depth(),
        };
        while let Some(directory) = parents.pop_if(|last| last.depth >= depth) {
            if !leave(root, name, directory, &mut parents, &mut found) {
                return;
            }
        }
        let left_out = entry.as_ref().ok().and_then(|entry| {
            let is_directory = entry.file_type().is_dir();
            if selection.exclude.matches(beneath(root, entry.path()), is_directory) {
                return Some(SkipReason::Excluded);
            }
            // What is named by itself is sent in any case.
            (depth > 0).then(|| arrivals.leave_out(entry.path(), is_directory)).flatten()
        });
        let go_on = match entry {
            Err(error) => {
                let listing = error.path().is_none() || is_about_last(&error, &parents);
                let path = error.path().unwrap_or_else(|| last_path(&parents, root)).to_owned();
                if !listing && selection.exclude.matches(beneath(root, &path), false) {
                    found(Found::Skipped { path, reason: SkipReason::Excluded })
                } else {
                    settle(&mut parents);
                    found(Found::Failed { path, error: into_file_error(error, listing) })
                }
            }
            Ok(entry) if let Some(reason) = left_out => {
                if entry.file_type().is_dir() {
                    entries.skip_current_dir();
                }
                found(Found::Skipped { path: entry.into_path(), reason })
            }
            // The root may be a link to a directory, which was named.
            Ok(entry) if entry.file_type().is_dir() || depth == 0 => {
                parents.push(Open { path: entry.into_path(), depth, settled: false });
                true
            }
            Ok(entry) if entry.file_type().is_symlink() => {
                found(Found::Skipped { path: entry.into_path(), reason: SkipReason::SymbolicLink })
            }
            Ok(entry) => {
                settle(&mut parents);
                let is_file = entry.file_type().is_file();
                let path = entry.into_path();
                found(match name_beneath(root, name, &path) {
                    Ok(name) if is_file => Found::File { path, name },
                    Ok(_) => Found::Failed { path, error: FileError::Special },
                    Err(error) => Found::Failed { path, error },
                })
            }
        };
        if !go_on {
            return;
        }
    }
    while let Some(directory) = parents.pop() {
        if !leave(root, name, directory, &mut parents, &mut found) {
            return;
        }
    }
}

/// Whether an error is about the directory that was found last: it could not be listed.
fn is_about_last(error: &walkdir::Error, parents: &[Open]) -> bool {
    parents.last().is_some_and(|last| error.path() == Some(last.path.as_path()))
}

fn last_path<'a>(parents: &'a [Open], root: &'a Path) -> &'a Path {
    parents.last().map_or(root, |last| &last.path)
}

/// The path of an entry from the top of its tree.
fn beneath<'a>(root: &Path, path: &'a Path) -> &'a Path {
    path.strip_prefix(root).unwrap_or(path)
}

/// All entries of `directory` were seen: it is sent where none of them was.
fn leave(
    root: &Path,
    name: &str,
    directory: Open,
    parents: &mut [Open],
    found: &mut impl FnMut(Found) -> bool,
) -> bool {
    settle(parents);
    if directory.settled {
        return true;
    }
    let path = directory.path;
    let described = name_beneath(root, name, &path).and_then(|name| {
        let metadata = path.metadata().map_err(FileError::Open)?;
        Ok(describe(&path, Some(name), EntryKind::Directory, &metadata))
    });
    found(match described {
        Ok(file) => Found::Directory(file),
        Err(error) => Found::Failed { path, error },
    })
}

fn settle(parents: &mut [Open]) {
    if let Some(parent) = parents.last_mut() {
        parent.settled = true;
    }
}

/// The name of `path` at the server: `name` for the root itself, `name/a/b` beneath it.
fn name_beneath(root: &Path, name: &str, path: &Path) -> Result<String, FileError> {
    let relative = path.strip_prefix(root).map_err(|_| FileError::NoName)?;
    let mut whole = name.to_owned();
    // Between the parts there is a slash, whatever this system has there.
    for part in relative {
        whole.push('/');
        whole.push_str(part.to_str().ok_or(FileError::NameNotUtf8)?);
    }
    Ok(whole)
}

/// What a file or a directory is offered with.
pub(super) fn describe(
    path: &Path,
    name: Option<String>,
    kind: EntryKind,
    metadata: &Metadata,
) -> SendFile {
    SendFile {
        number: 0,
        path: path.to_owned(),
        name,
        kind,
        size: (kind == EntryKind::File).then_some(metadata.len()),
        modified_ns: modified_ns(metadata),
        modified_omitted: modified_ns(metadata).is_none(),
        executable: kind == EntryKind::File && platform::is_executable(metadata),
    }
}

/// Modification time in nanoseconds since the epoch, where it fits.
pub(super) fn modified_ns(metadata: &Metadata) -> Option<i64> {
    modified_total_ns(metadata).and_then(|total| i64::try_from(total).ok())
}

/// The same, of any time. `None`: the system does not tell.
pub(super) fn modified_total_ns(metadata: &Metadata) -> Option<i128> {
    let modified = metadata.modified().ok()?;
    let (length, is_before) = match modified.duration_since(SystemTime::UNIX_EPOCH) {
        Ok(since) => (since, false),
        Err(error) => (error.duration(), true),
    };
    let total = i128::try_from(length.as_nanos()).ok()?;
    Some(if is_before { -total } else { total })
}

fn into_file_error(error: walkdir::Error, listing: bool) -> FileError {
    if error.loop_ancestor().is_some() {
        return FileError::LinkLoop;
    }
    // The path is reported beside the error: the system's own words are enough.
    let system = match error.io_error().and_then(io::Error::raw_os_error) {
        Some(code) => io::Error::from_raw_os_error(code),
        None => error.into(),
    };
    if listing { FileError::List(system) } else { FileError::Open(system) }
}

/// What was counted, when it is: the number of files and their bytes.
pub(super) type Totals = mpsc::Receiver<(u64, u64)>;

/// Counts the files of all sources and their bytes on a blocking thread; `None` where there are
/// streams alone.
pub(super) fn count_in_background(sources: &[Source], selection: &Selection) -> Option<Totals> {
    let arrivals = Arrivals::of(sources);
    let paths: Vec<PathBuf> = sources
        .iter()
        .filter_map(|source| match source {
            Source::Path { path, .. } => Some(path.clone()),
            Source::Reader { .. } => None,
        })
        .collect();
    if paths.is_empty() {
        return None;
    }
    let selection = selection.clone();
    let (counted, totals) = mpsc::channel(1);
    tokio::task::spawn_blocking(move || {
        let (mut files, mut bytes) = (0u64, 0u64);
        let mut count = |path: &Path| {
            if let Ok(metadata) = path.metadata()
                && metadata.is_file()
            {
                files += 1;
                bytes += metadata.len();
            }
        };
        for root in &paths {
            if !root.is_dir() {
                count(root);
                continue;
            }
            walk(root, "", &selection, &arrivals, |found| {
                if let Found::File { path, .. } = found {
                    count(&path);
                }
                !counted.is_closed()
            });
        }
        // Nobody listens any more if everything was sent in the meantime.
        let _ = counted.blocking_send((files, bytes));
    });
    Some(totals)
}
