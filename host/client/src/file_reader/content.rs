//! What is read, and whether it still is what was offered.

use std::fs::{File, Metadata};
use std::io::{self, Read};
use std::path::PathBuf;

use crate::prepare::{self, Links};
use crate::{FileError, SendFile, platform, walk};

/// What is read.
pub(crate) enum Content {
    /// The file at a path, as it was described in the offer. Without a size it is read to its end.
    Path { path: PathBuf, links: Links, size: Option<u64>, modified_ns: Option<i64> },
    /// A file that nobody else changes.
    File { file: File, size: u64 },
    /// A stream up to its end.
    Reader(Box<dyn Read + Send>),
}

impl Content {
    /// The content of a file that was found, by its description.
    pub(crate) fn of(file: &SendFile, links: Links) -> Self {
        Self::Path {
            path: file.path.clone(),
            links,
            size: file.size,
            modified_ns: file.modified_ns,
        }
    }
}

/// Opened content.
pub(super) struct Opened {
    reader: Box<dyn Read>,
    /// The size that was offered.
    pub(super) size: Option<u64>,
    /// A stream has ended. A terminal would begin again after its end.
    at_end: bool,
    /// To be compared at the end.
    pub(super) watched: Option<Watched>,
}

/// A file that others may write to.
pub(super) struct Watched {
    pub(super) file: File,
    /// As it was when it was opened.
    metadata: Metadata,
}

/// Opens what is to be read.
///
/// # Errors
/// [`FileError::Changed`], where it is not what was offered, and those of opening it.
pub(super) fn open(content: Content) -> Result<Opened, FileError> {
    match content {
        Content::Reader(reader) => Ok(Opened { reader, size: None, at_end: false, watched: None }),
        Content::File { file, size } => {
            Ok(Opened { reader: Box::new(file), size: Some(size), at_end: false, watched: None })
        }
        Content::Path { path, links, size, modified_ns } => {
            let (file, metadata) = prepare::open(&path, links)?;
            // Small files were read before they were offered: their sizes are those of their contents,
            // which the system need not tell.
            let is_told = size.is_some_and(|size| size > prepare::SMALL_BYTES_MAX);
            let is_other = is_told && Some(metadata.len()) != size;
            if is_other || walk::modified_ns(&metadata) != modified_ns {
                return Err(FileError::Changed);
            }
            platform::advise_sequential(&file);
            let watched = Watched { file: file.try_clone().map_err(FileError::Open)?, metadata };
            let reader = Box::new(file);
            Ok(Opened { reader, size, at_end: false, watched: Some(watched) })
        }
    }
}

impl Opened {
    /// Fills `buffer` as far as the content goes; 0 at its end.
    pub(super) fn read(&mut self, buffer: &mut [u8], position: u64) -> Result<usize, FileError> {
        let room = match self.size {
            Some(size) => usize::try_from(size - position).unwrap_or(usize::MAX).min(buffer.len()),
            None => buffer.len(),
        };
        let mut filled = 0;
        while filled < room && !self.at_end {
            match self.reader.read(&mut buffer[filled..room]) {
                Ok(0) if self.size.is_some() => return Err(self.too_short()),
                Ok(0) => self.at_end = true,
                Ok(count) => filled += count,
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) => return Err(FileError::Read(error)),
            }
        }
        Ok(filled)
    }

    /// Whether the file is still what was offered, at its end.
    pub(super) fn check_unchanged(&mut self) -> Result<(), FileError> {
        let Some(watched) = &self.watched else { return Ok(()) };
        // Where the size is none that the system tells, only reading shows whether this is the end.
        let may_go_on = self.size.is_some_and(|size| size != watched.metadata.len());
        if !watched.is_unchanged()? || (may_go_on && self.reads_on()?) {
            return Err(FileError::Changed);
        }
        Ok(())
    }

    fn reads_on(&mut self) -> Result<bool, FileError> {
        self.reader.read(&mut [0; 1]).map(|count| count > 0).map_err(FileError::Read)
    }

    /// Why the content has ended before the size that was offered.
    pub(super) fn too_short(&self) -> FileError {
        match self.watched.as_ref().map(Watched::is_unchanged) {
            Some(Ok(true)) => FileError::WrongSize,
            Some(Err(error)) => error,
            Some(Ok(false)) | None => FileError::Changed,
        }
    }
}

impl Watched {
    /// Whether nobody has written to it since it was opened.
    fn is_unchanged(&self) -> Result<bool, FileError> {
        let now = self.file.metadata().map_err(FileError::Read)?;
        Ok(prepare::is_unchanged(&self.metadata, &now))
    }
}
