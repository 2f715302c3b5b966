//! The directories that a batch of commits works in: opened once, made where they are missing, and synced
//! together at its end.

use std::collections::HashMap;
use std::os::fd::AsFd;
use std::sync::Arc;
use std::sync::atomic::Ordering;

use rustix::io::Errno;

use super::Core;
use super::disk::Step;
use super::tree::{self, Directory, Obstacle};
use super::whereabouts::Place;

/// Most directories that are synced one by one; with more, one `syncfs` does it.
const DIRECTORY_SYNCS_MAX: usize = 8;

pub(super) struct Directories<'a> {
    core: &'a Core,
    /// Whether new entries are going to be synced.
    durable: bool,
    open: HashMap<String, Directory<'a>>,
    /// Directories with entries that are not durable yet, by path.
    changed: HashMap<String, Directory<'a>>,
    /// There were too many of those to remember.
    many_changed: bool,
    /// The same on other disks, of which a sync of all that the disk of the inbox has knows nothing.
    changed_elsewhere: HashMap<String, Directory<'a>>,
    /// Why some of those could not be synced when there were too many of them.
    failure: Option<Errno>,
}

impl<'a> Directories<'a> {
    pub(super) fn new(core: &'a Core, durable: bool) -> Self {
        Self {
            core,
            durable,
            open: HashMap::new(),
            changed: HashMap::new(),
            many_changed: false,
            changed_elsewhere: HashMap::new(),
            failure: None,
        }
    }

    /// The directory at `path` (`None`: the inbox itself), made if it is missing.
    pub(super) fn make(&mut self, path: Option<&str>) -> Result<Directory<'a>, Obstacle> {
        let root = self.core.layout.root.as_fd();
        let Some(path) = path else {
            return Ok(Directory::Root(root));
        };
        if let Some(directory) = self.open.get(path) {
            return Ok(directory.clone());
        }
        if !self.durable
            && let Some(directory) = self.core.recent_directories.get(path)
        {
            return Ok(Directory::Below(directory));
        }
        // Before any of them is made; held until those are counted which were.
        let _reserved = match &self.core.usage {
            Some(usage) => match tree::missing(root, Some(path))? {
                0 => None,
                missing => Some(usage.reserve_directories(missing).map_err(Obstacle::Refused)?),
            },
            None => None,
        };
        let making = self.core.usage.as_ref().map(|usage| usage.making_directories());
        let mut made = Vec::new();
        let directory =
            tree::make_directory(&self.core.disk, root, Some(path), |above, directory| {
                made.push((above.to_owned(), directory.clone()));
            })?;
        for (above, changed) in &made {
            if let Some(making) = &making
                && let Some(leaf) = path.strip_prefix(above.as_str()).and_then(first_part)
                && let Some(stat) = tree::look(changed, leaf)?
            {
                making.made(stat.st_ino);
            }
            self.changed(above, changed);
        }
        drop(making);
        if self.durable {
            if self.open.len() >= self.core.options.max_kept_directories() {
                self.open.clear();
            }
            self.open.insert(path.to_owned(), directory.clone());
        } else if let Directory::Below(directory) = &directory {
            self.core.recent_directories.set(path, Arc::clone(directory));
        }
        Ok(directory)
    }

    /// Notes that the directory at `path` has a new entry.
    pub(super) fn changed(&mut self, path: &str, directory: &Directory<'a>) {
        let is_known = |directories: &HashMap<_, _>| directories.contains_key(path);
        if !self.durable || is_known(&self.changed) || is_known(&self.changed_elsewhere) {
            return;
        }
        if self.core.place(directory) == Place::OtherDisk {
            if self.changed_elsewhere.len() >= self.core.options.max_kept_directories() {
                let synced = self.sync_each();
                self.failure = self.failure.or(synced.err());
            }
            self.changed_elsewhere.insert(path.to_owned(), directory.clone());
            return;
        }
        if self.many_changed {
            return;
        }
        if self.changed.len() == DIRECTORY_SYNCS_MAX {
            self.many_changed = true;
            self.changed.clear();
            return;
        }
        self.changed.insert(path.to_owned(), directory.clone());
    }

    /// Opens all directories anew from here on.
    pub(super) fn forget(&mut self) {
        self.open.clear();
        self.core.recent_directories.forget();
    }

    /// Makes all new entries durable, and those of earlier batches where that failed.
    pub(super) fn sync(&mut self) -> rustix::io::Result<()> {
        let here = if self.many_changed || self.core.unsynced.load(Ordering::Relaxed) {
            self.changed.clear();
            self.core.sync_all()
        } else {
            Ok(())
        };
        let synced = here.and(self.sync_each()).and(self.failure.map_or(Ok(()), Err));
        self.core.unsynced.store(synced.is_err(), Ordering::Relaxed);
        synced
    }

    /// Makes the entries durable of each directory that is remembered, and forgets them.
    fn sync_each(&mut self) -> rustix::io::Result<()> {
        let directories = self.changed.drain().chain(self.changed_elsewhere.drain());
        let mut synced = Ok(());
        for (_, directory) in directories {
            synced = synced.and(self.core.disk.sync(Step::SyncDir, directory));
        }
        synced
    }
}

/// The first part of what follows the path of a directory.
fn first_part(rest: &str) -> Option<&str> {
    rest.trim_start_matches('/').split('/').next()
}
