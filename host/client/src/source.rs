//! What is sent: files, trees and streams.

use std::fmt;
use std::io::Read;
use std::path::{Path, PathBuf};

use super::{FileError, SendError};

/// Something to send.
///
/// ```
/// use sandport_client::Source;
///
/// let tree = Source::path("photos");
/// let stream = Source::reader("-", std::io::stdin()).named("backup.tar");
/// ```
#[non_exhaustive]
pub enum Source {
    /// A file, or a directory with all that is in it.
    #[non_exhaustive]
    Path {
        /// Where it is. A symbolic link here is followed; within a directory where
        /// [`ClientBuilder::follow_links`](super::ClientBuilder::follow_links) says so.
        path: PathBuf,
        /// The name to send it under; `None`: its own.
        name: Option<String>,
    },
    /// A stream whose end is not known before it comes.
    #[non_exhaustive]
    Reader {
        /// What to read, on a blocking thread.
        reader: Box<dyn Read + Send>,
        /// What to call it in events: `-` for standard input, say.
        path: PathBuf,
        /// The name to send it under; `None`: the server makes one up.
        name: Option<String>,
    },
}

impl Source {
    /// A file or a directory, under its own name.
    pub fn path(path: impl Into<PathBuf>) -> Self {
        Self::Path { path: path.into(), name: None }
    }

    /// A stream that events call `path`; the server makes a name up.
    pub fn reader(path: impl Into<PathBuf>, reader: impl Read + Send + 'static) -> Self {
        Self::Reader { reader: Box::new(reader), path: path.into(), name: None }
    }

    /// The same under another name.
    #[must_use]
    pub fn named(self, new_name: impl Into<String>) -> Self {
        let name = Some(new_name.into());
        match self {
            Self::Path { path, .. } => Self::Path { path, name },
            Self::Reader { reader, path, .. } => Self::Reader { reader, path, name },
        }
    }
}

impl fmt::Debug for Source {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (kind, path, name) = match self {
            Self::Path { path, name } => ("Path", path, name),
            Self::Reader { path, name, .. } => ("Reader", path, name),
        };
        f.debug_struct(kind).field("path", path).field("name", name).finish_non_exhaustive()
    }
}

/// The name that a file or a directory is sent under: its last part.
///
/// # Errors
/// [`FileError::NoName`] for a path like `/`, [`FileError::NameNotUtf8`].
pub(super) fn own_name(path: &Path) -> Result<String, FileError> {
    // `.` and `tree/..` have a name too, only not in the path itself.
    let resolved;
    let last = match path.file_name() {
        Some(last) => last,
        None => {
            resolved = path.canonicalize().map_err(FileError::Open)?;
            resolved.file_name().ok_or(FileError::NoName)?
        }
    };
    last.to_str().map(str::to_owned).ok_or(FileError::NameNotUtf8)
}

/// The classic dialect has no names, so no trees.
///
/// # Errors
/// [`SendError::ClassicDirectory`].
pub(super) fn require_files(sources: &[Source]) -> Result<(), SendError> {
    for source in sources {
        if let Source::Path { path, .. } = source
            && path.is_dir()
        {
            return Err(SendError::ClassicDirectory(path.clone()));
        }
    }
    Ok(())
}
