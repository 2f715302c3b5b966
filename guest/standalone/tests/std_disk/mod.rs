//! A file system for the inbox, by std and by path. What WASI's does is tested end to end.

use std::cell::Cell;
use std::fs::{self, FileTimes, OpenOptions};
use std::io;
use std::os::unix::fs::{FileExt, MetadataExt};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, SystemTime};

use sandport_protocol::inbox::Failure;
use sandport_standalone::inbox::{Ambient, Directory, DiskError, File, Kind, Look, Trouble};

thread_local! {
    /// Whether the disk of this thread has no room for names.
    pub(crate) static LINKS_FAIL: Cell<bool> = const { Cell::new(false) };
}

thread_local! {
    /// What the clock of this thread shows. Milliseconds.
    pub(crate) static NOW_MS: Cell<u64> = const { Cell::new(0) };
}

/// Clocks that stand still, and numbers that differ in both halves.
pub(crate) fn ambient() -> Ambient {
    fn wall_s() -> u64 {
        let now = SystemTime::UNIX_EPOCH.elapsed().unwrap();
        now.as_secs() + NOW_MS.get() / 1_000
    }
    fn chance() -> u64 {
        static LAST: AtomicU64 = AtomicU64::new(0);
        LAST.fetch_add(0x9e37_79b9_7f4a_7c15, Ordering::Relaxed)
    }
    Ambient { chance, now: || NOW_MS.get(), wall_s }
}

/// What befalls the steps of a disk, each call that changes something being one.
#[allow(dead_code, reason = "not every test tries it")]
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Trial {
    /// The step of this number fails, and all others work.
    Fails,
    /// The program is killed before it: nothing works from then on.
    Dies,
}

thread_local! {
    /// What befalls the disk of this thread, and after how many steps.
    pub(crate) static TRIAL: Cell<Option<(Trial, u64)>> = const { Cell::new(None) };
}

/// Counts a step.
fn step() -> Result<(), DiskError> {
    match TRIAL.get() {
        Some((trial, 0)) => {
            if trial == Trial::Fails {
                TRIAL.set(None);
            }
            Err(error(io::ErrorKind::StorageFull.into()))
        }
        Some((trial, left)) => {
            TRIAL.set(Some((trial, left - 1)));
            Ok(())
        }
        None => Ok(()),
    }
}

/// A directory.
#[derive(Clone, Debug)]
pub(crate) struct StdDirectory(PathBuf);

/// A file.
pub(crate) struct StdFile(fs::File);

impl StdDirectory {
    pub(crate) fn new(path: &Path) -> Self {
        Self(path.to_owned())
    }

    fn at(&self, name: &str) -> PathBuf {
        assert!(!name.is_empty() && name != ".." && !name.contains('/'), "{name:?} is no part");
        self.0.join(name)
    }
}

impl Directory for StdDirectory {
    type File = StdFile;

    fn directory(&self, name: &str) -> Result<Self, DiskError> {
        match self.look(name)? {
            Some(Look { kind: Kind::Directory, .. }) => Ok(Self(self.at(name))),
            Some(_) => Err(error(io::ErrorKind::NotADirectory.into())),
            None => Err(error(io::ErrorKind::NotFound.into())),
        }
    }

    fn make_directory(&self, name: &str) -> Result<(), DiskError> {
        step()?;
        fs::create_dir(self.at(name)).map_err(error)
    }

    fn look(&self, name: &str) -> Result<Option<Look>, DiskError> {
        let metadata = match fs::symlink_metadata(self.at(name)) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
            metadata => metadata.map_err(error)?,
        };
        let kind = match metadata.file_type() {
            kind if kind.is_file() => Kind::File,
            kind if kind.is_dir() => Kind::Directory,
            _ => Kind::Other,
        };
        Ok(Some(Look {
            kind,
            size: metadata.len(),
            identity: metadata.ino(),
            modified: (metadata.mtime(), metadata.mtime_nsec() as u32),
        }))
    }

    fn create(&self, name: &str) -> Result<StdFile, DiskError> {
        step()?;
        let mut options = OpenOptions::new();
        options.read(true).write(true).create_new(true);
        options.open(self.at(name)).map(StdFile).map_err(error)
    }

    fn open(&self, name: &str) -> Result<StdFile, DiskError> {
        step()?;
        let mut options = OpenOptions::new();
        options.read(true).write(true).create(true).truncate(false);
        options.open(self.at(name)).map(StdFile).map_err(error)
    }

    fn find(&self, name: &str) -> Result<Option<StdFile>, DiskError> {
        if self.look(name)?.is_none_or(|look| look.kind != Kind::File) {
            return Ok(None);
        }
        let opened = OpenOptions::new().read(true).write(true).open(self.at(name));
        opened.map(|file| Some(StdFile(file))).map_err(error)
    }

    fn names(&self) -> Result<Vec<String>, DiskError> {
        let entries = fs::read_dir(&self.0).map_err(error)?;
        entries.map(|it| Ok(it.map_err(error)?.file_name().into_string().unwrap())).collect()
    }

    fn link(&self, name: &str, to: &Self, new: &str) -> Result<(), DiskError> {
        step()?;
        if LINKS_FAIL.get() {
            return Err(error(io::ErrorKind::StorageFull.into()));
        }
        fs::hard_link(self.at(name), to.at(new)).map_err(error)
    }

    fn rename(&self, name: &str, to: &Self, new: &str) -> Result<(), DiskError> {
        step()?;
        fs::rename(self.at(name), to.at(new)).map_err(error)
    }

    fn remove(&self, name: &str) -> Result<(), DiskError> {
        step()?;
        fs::remove_file(self.at(name)).map_err(error)
    }

    fn sync(&self) -> Result<(), DiskError> {
        step()?;
        fs::File::open(&self.0).and_then(|directory| directory.sync_all()).map_err(error)
    }
}

impl File for StdFile {
    fn read(&mut self, offset: u64, max: usize) -> Result<Vec<u8>, DiskError> {
        let mut bytes = vec![0; max];
        let mut filled = 0;
        while filled < max {
            match self.0.read_at(&mut bytes[filled..], offset + filled as u64).map_err(error)? {
                0 => break,
                count => filled += count,
            }
        }
        bytes.truncate(filled);
        Ok(bytes)
    }

    fn write(&mut self, bytes: &[u8], offset: u64) -> Result<(), DiskError> {
        step()?;
        self.0.write_all_at(bytes, offset).map_err(error)
    }

    fn truncate(&mut self, size: u64) -> Result<(), DiskError> {
        step()?;
        self.0.set_len(size).map_err(error)
    }

    fn set_modified(&mut self, modified_ns: i64) -> Result<(), DiskError> {
        step()?;
        let since = Duration::from_nanos(modified_ns.unsigned_abs());
        let time = SystemTime::UNIX_EPOCH.checked_add(since).unwrap();
        self.0.set_times(FileTimes::new().set_modified(time)).map_err(error)
    }

    fn sync(&mut self) -> Result<(), DiskError> {
        step()?;
        self.0.sync_all().map_err(error)
    }
}

fn error(error: io::Error) -> DiskError {
    let trouble = match error.kind() {
        io::ErrorKind::NotFound => Trouble::NotFound,
        io::ErrorKind::AlreadyExists => Trouble::Exists,
        io::ErrorKind::NotADirectory => Trouble::NotADirectory,
        io::ErrorKind::IsADirectory => Trouble::IsDirectory,
        io::ErrorKind::StorageFull => Trouble::Failure(Failure::Full),
        _ => Trouble::Failure(Failure::Other),
    };
    DiskError { trouble, words: error.to_string() }
}
