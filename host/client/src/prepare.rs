//! Finding, opening and reading what is sent, on a blocking thread ahead of the connection.
//!
//! Small files are read whole and hashed here, and travel in batches: handing a file from thread to
//! thread costs more than reading it.

use std::fs::{File, Metadata};
use std::io::Read;
use std::path::{Path, PathBuf};

use bytes::Bytes;
use sandport_protocol::journal::GROUP_BYTES;
use sandport_protocol::{Digest, EntryKind};
use tokio::sync::mpsc;

use super::inboxes::Arrivals;
use super::keys::{Key, Keys};
use super::walk::{self, Found};
use super::{FileError, Selection, SendFile, SkipReason, Source, platform, source};

/// Files of up to this size are read whole, and may be sent ahead of their verdict. As much as a
/// receiver reads in one go while it expects messages: more would not spare it a call. Bytes.
pub(super) const SMALL_BYTES_MAX: u64 = 64 * 1024;

/// From which size on a file has a resume key. Bytes. As of this size an inbox keeps a journal; what is
/// shorter is sent again in little more time than it takes to ask what is missing.
const RESUMABLE_BYTES_MIN: u64 = GROUP_BYTES + 1;

/// A batch is handed over when it holds this much content: one large write to the connection. Bytes.
const BATCH_BYTES: usize = 256 * 1024;

/// Or when it holds this many entries, however small.
const BATCH_ENTRIES: usize = 128;

/// Batches that wait for the connection. Two keep both sides busy; memory stays under a megabyte.
const BATCHES_AHEAD: usize = 2;

/// Whether contents are read here.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Contents {
    /// Read and hash small files.
    ReadSmall,
    /// Leave them: every file is [`Item::Large`]. Of files that are said to be empty it is looked whether
    /// they are.
    Leave,
}

/// One thing to send or to report, in the order in which it was found.
pub(super) enum Item {
    Directory(SendFile),
    /// A file, read whole.
    Small {
        file: SendFile,
        content: Bytes,
        digest: Digest,
        links: Links,
    },
    /// A file that could be opened; to be opened again when its turn comes, so that none of the many
    /// that wait holds a descriptor. Without a size, the system tells none: it has to be read to its end.
    Large {
        file: SendFile,
        links: Links,
        key: Option<Key>,
    },
    Stream {
        file: SendFile,
        reader: Box<dyn Read + Send>,
        key: Option<Key>,
    },
    Skipped {
        path: PathBuf,
        reason: SkipReason,
    },
    Failed {
        path: PathBuf,
        error: FileError,
    },
}

/// Whether opening a path may go through a link in its last part.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Links {
    /// The path was named by the caller, or links are followed.
    Follow,
    /// The path was found in a tree, where it was no link.
    Refuse,
}

/// Prepares all sources in order. The receiver ends when there is no more.
pub(super) fn start(
    sources: Vec<Source>,
    selection: Selection,
    contents: Contents,
    keys: Option<Keys>,
) -> mpsc::Receiver<Vec<Item>> {
    let (batches, prepared) = mpsc::channel(BATCHES_AHEAD);
    tokio::task::spawn_blocking(move || {
        let (items, content) = (Vec::new(), Vec::new());
        let arrivals = Arrivals::of(&sources);
        let mut batch = Batch { batches, selection, arrivals, contents, keys, items, content };
        for source in sources {
            if !batch.add_source(source) {
                return;
            }
        }
        batch.hand_over();
    });
    prepared
}

/// The batch that is being filled.
struct Batch {
    batches: mpsc::Sender<Vec<Item>>,
    selection: Selection,
    arrivals: Arrivals,
    contents: Contents,
    /// Where uploads are to be resumed.
    keys: Option<Keys>,
    items: Vec<Pending>,
    /// The content of all small files in `items`, one after another.
    content: Vec<u8>,
}

/// An item, or a small file whose content is still a part of the batch's.
enum Pending {
    Item(Item),
    Small { file: SendFile, start: usize, end: usize, digest: Digest, links: Links },
}

/// What every method that adds returns: whether anyone still wants more.
type GoOn = bool;

impl Batch {
    fn add_source(&mut self, source: Source) -> GoOn {
        match source {
            Source::Reader { reader, path, name } => {
                let file = SendFile {
                    number: 0,
                    path,
                    name,
                    kind: EntryKind::File,
                    size: None,
                    modified_ns: None,
                    modified_omitted: false,
                    executable: false,
                };
                let key = self.keys.as_ref().and_then(Keys::of_stream);
                self.add(Item::Stream { file, reader, key })
            }
            Source::Path { path, name } => {
                let named = name.map_or_else(|| source::own_name(&path), Ok);
                // Whether it is there and what it is; opening a pipe only to look would disturb it.
                let kind = path.metadata().map_err(FileError::Open);
                match named.and_then(|name| Ok((name, kind?))) {
                    Err(error) => self.add(Item::Failed { path, error }),
                    Ok((name, metadata)) if metadata.is_dir() => self.add_tree(&path, &name),
                    Ok((name, metadata)) if metadata.is_file() => {
                        self.add_file(path, name, Links::Follow)
                    }
                    Ok(_) => self.add(Item::Failed { path, error: FileError::Special }),
                }
            }
        }
    }

    fn add_tree(&mut self, root: &Path, name: &str) -> GoOn {
        let mut go_on = true;
        let (selection, arrivals) = (self.selection.clone(), self.arrivals.clone());
        let links = if selection.follow_links { Links::Follow } else { Links::Refuse };
        walk::walk(root, name, &selection, &arrivals, |found| {
            go_on = match found {
                Found::File { path, name } => self.add_file(path, name, links),
                Found::Directory(file) => self.add(Item::Directory(file)),
                Found::Skipped { path, reason } => self.add(Item::Skipped { path, reason }),
                Found::Failed { path, error } => self.add(Item::Failed { path, error }),
            };
            go_on
        });
        go_on
    }

    fn add_file(&mut self, path: PathBuf, name: String, links: Links) -> GoOn {
        match self.read_small(&path, name, links) {
            Ok(pending) => self.push(pending),
            Err(error) => self.add(Item::Failed { path, error }),
        }
    }

    fn read_small(
        &mut self,
        path: &Path,
        name: String,
        links: Links,
    ) -> Result<Pending, FileError> {
        let (opened, metadata) = open(path, links)?;
        let mut file = walk::describe(path, Some(name), EntryKind::File, &metadata);
        if metadata.len() > SMALL_BYTES_MAX {
            let keys = self.keys.as_ref().filter(|_| metadata.len() >= RESUMABLE_BYTES_MIN);
            let key = keys.and_then(|keys| keys.of_file(&file, &metadata));
            return Ok(Pending::Item(Item::Large { file, links, key }));
        }
        if self.contents == Contents::Leave {
            if metadata.len() == 0 && has_content(&opened)? {
                file.size = None;
            }
            return Ok(Pending::Item(Item::Large { file, links, key: None }));
        }
        let start = self.content.len();
        let read = self.read_content(&opened, &metadata);
        let length = (self.content.len() - start) as u64;
        if read.is_err() || length > SMALL_BYTES_MAX {
            self.content.truncate(start);
        }
        read?;
        if length > SMALL_BYTES_MAX {
            file.size = None;
            return Ok(Pending::Item(Item::Large { file, links, key: None }));
        }
        file.size = Some(length);
        let end = self.content.len();
        let digest = Digest::Blake3(*blake3::hash(&self.content[start..end]).as_bytes());
        Ok(Pending::Small { file, start, end, digest, links })
    }

    /// Appends the content of a file to that of the batch: all of it, or at least as much of it as shows that
    /// it is no small file. That may be more or less than the size that `metadata` has, as with the files
    /// of procfs and sysfs, but only where the file has not changed.
    fn read_content(&mut self, opened: &File, metadata: &Metadata) -> Result<(), FileError> {
        let start = self.content.len();
        // One read into room for more than the file has tells whether it has grown.
        if self.content.capacity() == 0 {
            self.content.reserve_exact(BATCH_BYTES + SMALL_BYTES_MAX as usize + 1);
        }
        loop {
            let count = platform::read_once(opened, &mut self.content).map_err(FileError::Read)?;
            let length = (self.content.len() - start) as u64;
            // A short read of a regular file is its end, where that is where its size says.
            if count == 0 || length == metadata.len() || length > SMALL_BYTES_MAX {
                break;
            }
        }
        if (self.content.len() - start) as u64 == metadata.len() {
            return Ok(());
        }
        let now = opened.metadata().map_err(FileError::Read)?;
        if is_unchanged(metadata, &now) { Ok(()) } else { Err(FileError::Changed) }
    }

    fn add(&mut self, item: Item) -> GoOn {
        self.push(Pending::Item(item))
    }

    fn push(&mut self, pending: Pending) -> GoOn {
        self.items.push(pending);
        if self.items.len() >= BATCH_ENTRIES || self.content.len() >= BATCH_BYTES {
            return self.hand_over();
        }
        true
    }

    fn hand_over(&mut self) -> GoOn {
        let content = Bytes::from(std::mem::take(&mut self.content));
        let items: Vec<Item> = self
            .items
            .drain(..)
            .map(|pending| match pending {
                Pending::Item(item) => item,
                Pending::Small { file, start, end, digest, links } => {
                    Item::Small { file, content: content.slice(start..end), digest, links }
                }
            })
            .collect();
        items.is_empty() || self.batches.blocking_send(items).is_ok()
    }
}

/// Whether a file has any content, whatever size the system tells.
fn has_content(file: &File) -> Result<bool, FileError> {
    let mut first = [0; 1];
    let mut file = file;
    file.read(&mut first).map(|count| count > 0).map_err(FileError::Read)
}

/// Whether nobody has written to a file in between.
pub(super) fn is_unchanged(before: &Metadata, now: &Metadata) -> bool {
    let modified = walk::modified_total_ns;
    before.len() == now.len() && modified(before) == modified(now)
}

/// Opens a regular file and nothing else, without waiting for the other end of a pipe, and says what it is.
///
/// # Errors
/// [`FileError::Open`], [`FileError::Special`].
pub(super) fn open(path: &Path, links: Links) -> Result<(File, Metadata), FileError> {
    let file = platform::open(path, links == Links::Follow).map_err(FileError::Open)?;
    let metadata = file.metadata().map_err(FileError::Open)?;
    if metadata.is_file() { Ok((file, metadata)) } else { Err(FileError::Special) }
}
