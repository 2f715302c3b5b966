//! Walking directory trees: which entries there are, and what they are called at the server.

use std::fs::Metadata;
use std::io;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};

use sandport_protocol::EntryKind;
use tokio::sync::mpsc;
use walkdir::WalkDir;

use super::{FileError, SendFile, SkipReason, Source, Totals};

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

/// Finds what is in the tree at `root`, which is called `name` at the server. `found` returns whether
/// to go on.
///
/// Links are not followed, except `root` itself.
pub(super) fn walk(root: &Path, name: &str, mut found: impl FnMut(Found) -> bool) {
    let mut parents: Vec<Open> = Vec::new();
    for entry in WalkDir::new(root) {
        let depth = entry.as_ref().map_or_else(walkdir::Error::depth, walkdir::DirEntry::depth);
        // An error about listing a directory comes with that directory's depth.
        let leaves_above = if entry.is_err() { depth + 1 } else { depth };
        while let Some(directory) = parents.pop_if(|last| last.depth >= leaves_above) {
            if !leave(root, name, directory, &mut parents, &mut found) {
                return;
            }
        }
        let go_on = match entry {
            Err(error) => {
                settle(&mut parents);
                let path = error.path().unwrap_or(root).to_owned();
                found(Found::Failed { path, error: FileError::List(into_io(error)) })
            }
            Ok(entry) if entry.file_type().is_dir() => {
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
    let relative = relative.to_str().ok_or(FileError::NameNotUtf8)?;
    Ok(if relative.is_empty() { name.to_owned() } else { format!("{name}/{relative}") })
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
        executable: kind == EntryKind::File && metadata.mode() & 0o100 != 0,
    }
}

/// Modification time in nanoseconds since the epoch, where it fits.
pub(super) fn modified_ns(metadata: &Metadata) -> Option<i64> {
    metadata.mtime().checked_mul(1_000_000_000)?.checked_add(metadata.mtime_nsec())
}

fn into_io(error: walkdir::Error) -> io::Error {
    // The path is reported beside the error: the system's own words are enough.
    match error.io_error().and_then(io::Error::raw_os_error) {
        Some(code) => io::Error::from_raw_os_error(code),
        None => error.into(),
    }
}

/// Counts the files of all sources and their bytes on a blocking thread; `None` where there are
/// streams alone.
pub(super) fn count_in_background(sources: &[Source]) -> Option<Totals> {
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
    let (counted, totals) = mpsc::channel(1);
    tokio::task::spawn_blocking(move || {
        let (mut files, mut bytes) = (0u64, 0u64);
        for entry in paths.iter().flat_map(WalkDir::new).filter_map(Result::ok) {
            if counted.is_closed() {
                return;
            }
            // A link is followed where it is named itself.
            let metadata = if entry.depth() == 0 {
                entry.path().metadata().ok()
            } else {
                entry.metadata().ok()
            };
            if let Some(metadata) = metadata.filter(Metadata::is_file) {
                files += 1;
                bytes += metadata.len();
            }
        }
        // Nobody listens any more if everything was sent in the meantime.
        let _ = counted.blocking_send((files, bytes));
    });
    Some(totals)
}
