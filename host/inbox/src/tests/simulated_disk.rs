//! A disk that loses its power: what was synced is kept, and of the rest whatever is worst.
//!
//! The inbox works on a real directory. Beside it is written down what each sync made certain: the content of
//! a file, or the entries of a directory, and nothing else that a real file system may do along with it. Of
//! that and of what was there at the moment, images are made of what may be found after the power cut.
//! An image is put into the same directory, made of the same files, since receipts know inodes.
//!
//! Each directory may be found as it was at another moment since it was made certain: what happened in one is not
//! kept before what happened in another later.
//!
//! Assumed of a file system: a rename is one step, also after a power cut, and what happens in one directory is kept in
//! order.

mod history;

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::ffi::OsString;
use std::os::fd::{AsRawFd, BorrowedFd};
use std::os::unix::fs::MetadataExt;
use std::panic::Location;
use std::sync::{Mutex, MutexGuard};
use std::time::SystemTime;

use super::*;
use crate::disk::Step;
use history::History;

/// Where a sync stands in the code: file and line.
pub(super) type Site = (&'static str, u32);

/// The disk: a directory for the one of an inbox, and what is certain of it.
pub(super) struct SimulatedDisk<P> {
    directory: TempDir,
    state: Arc<Mutex<State<P>>>,
}

struct State<P> {
    /// It is as if the code had no sync there.
    omitted: Option<Site>,
    sites: BTreeSet<Site>,
    certain: Picture,
    history: History,
    cuts: Vec<Cut<P>>,
    /// What the inbox has promised so far.
    promised: P,
    /// The last content that was seen of each file, so that equal pictures share it.
    seen: HashMap<u64, File>,
}

/// Directories and files by inode.
#[derive(Clone, Default)]
struct Picture {
    directories: Inodes,
    files: HashMap<u64, File>,
}

#[derive(Clone, Copy, PartialEq, Eq)]
struct Entry {
    inode: u64,
    is_directory: bool,
}

#[derive(Clone)]
struct File {
    content: Arc<Vec<u8>>,
    /// `None`: not certain.
    modified: Option<SystemTime>,
}

type Entries = BTreeMap<OsString, Entry>;
type Inodes = HashMap<u64, Entries>;

/// A moment at which the power may be cut.
pub(super) struct Cut<P> {
    /// Before which step.
    pub(super) at: String,
    pub(super) promised: P,
    /// The inode of the directory that all others are in.
    top: u64,
    current: Picture,
    certain: Picture,
    history: History,
}

/// What is found of the names after a cut.
#[derive(Clone, Copy, Debug)]
enum Names {
    Synced,
    Current,
    /// Of each directory as of another moment, by the numbers that begin with this one.
    Mixed(u64),
}

/// What is found of the content of a file.
#[derive(Clone, Copy, Debug)]
enum Content {
    Synced,
    /// The length is another thing to a file system than what is in it.
    Zeros,
    Torn,
    Current,
    /// Of each file another of these.
    Mixed,
}

/// A choice of what is found.
#[derive(Clone, Copy, Debug)]
pub(super) struct Image(Names, Content);

pub(super) const IMAGES: [Image; 12] = [
    Image(Names::Synced, Content::Synced),
    Image(Names::Synced, Content::Mixed),
    Image(Names::Synced, Content::Current),
    Image(Names::Current, Content::Synced),
    Image(Names::Current, Content::Zeros),
    Image(Names::Current, Content::Torn),
    Image(Names::Current, Content::Mixed),
    Image(Names::Current, Content::Current),
    // The content makes no difference to what the order of names does, but where none is kept.
    Image(Names::Mixed(1), Content::Synced),
    Image(Names::Mixed(2), Content::Synced),
    Image(Names::Mixed(3), Content::Mixed),
    Image(Names::Mixed(4), Content::Current),
];

impl<P: Clone + Default + Send + 'static> SimulatedDisk<P> {
    pub(super) fn without(omitted: Option<Site>) -> Self {
        let directory = tempfile::tempdir_in("/dev/shm").or_else(|_| tempfile::tempdir()).unwrap();
        fs::create_dir(directory.path().join("disk")).unwrap();
        fs::create_dir(directory.path().join("files")).unwrap();
        let state = State {
            omitted,
            sites: BTreeSet::new(),
            certain: Picture::default(),
            history: History::default(),
            cuts: Vec::new(),
            promised: P::default(),
            seen: HashMap::new(),
        };
        let disk = Self { directory, state: Arc::new(Mutex::new(state)) };
        disk.is_all_certain();
        disk
    }

    pub(super) fn dir(&self) -> PathBuf {
        self.directory.path().join("disk/inbox")
    }

    /// Starts a server whose every step may be the last one.
    pub(super) fn start(&self, options: InboxOptions) -> Inbox {
        let disk = Disk::default();
        let (state, top) = (Arc::clone(&self.state), self.directory.path().to_path_buf());
        disk.watch(Box::new(move |step| {
            lock(&state).cut(&top, format!("{step:?}"));
            Ok(())
        }));
        let (state, top) = (Arc::clone(&self.state), self.directory.path().to_path_buf());
        disk.watch_syncs(Box::new(move |step, at, file| {
            lock(&state).synced(&top, step, at, file);
        }));
        Inbox::open_on(disk, &self.dir(), options).unwrap()
    }

    /// The inbox has made a promise.
    pub(super) fn promise(&self, make: impl FnOnce(&mut P)) {
        let mut state = lock(&self.state);
        make(&mut state.promised);
        state.cut(self.directory.path(), "a promise".to_owned());
    }

    /// Lets no step of the disk be done meanwhile.
    pub(super) fn hold(&self, meanwhile: impl FnOnce()) {
        let _held = lock(&self.state);
        meanwhile();
    }

    /// Everything that is there now is on the disk, and the power has not been cut before.
    pub(super) fn is_all_certain(&self) {
        let mut state = lock(&self.state);
        state.certain = state.picture(self.directory.path());
        state.history = History::default();
        let current = state.certain.directories.clone();
        state.history.see(&current);
        state.cuts.clear();
    }

    /// Where syncs were made.
    pub(super) fn sites(&self) -> BTreeSet<Site> {
        lock(&self.state).sites.clone()
    }

    pub(super) fn take_cuts(&self) -> Vec<Cut<P>> {
        std::mem::take(&mut lock(&self.state).cuts)
    }

    /// Puts there what may be found after a power cut.
    pub(super) fn restore(&self, cut: &Cut<P>, Image(names, content): Image, random: &mut u64) {
        let disk = self.directory.path().join("disk");
        fs::remove_dir_all(&disk).unwrap();
        let directories = match names {
            Names::Synced => cut.certain.directories.clone(),
            Names::Current => cut.current.directories.clone(),
            Names::Mixed(seed) => cut.history.mixed(&mut seed.clone()),
        };
        let directories = &directories;
        let mut find = |inode| cut.content(inode, content, random);
        self.put(&disk, directories, cut.top, &mut find);
    }

    fn put(
        &self,
        path: &Path,
        directories: &Inodes,
        inode: u64,
        find: &mut impl FnMut(u64) -> File,
    ) {
        fs::create_dir(path).unwrap();
        for (name, entry) in directories.get(&inode).into_iter().flatten() {
            let path = path.join(name);
            if entry.is_directory {
                self.put(&path, directories, entry.inode, find);
                continue;
            }
            fs::hard_link(self.directory.path().join(format!("files/{}", entry.inode)), &path)
                .unwrap();
            let file = find(entry.inode);
            fs::write(&path, &*file.content).unwrap();
            if let Some(modified) = file.modified {
                fs::File::open(&path).unwrap().set_modified(modified).unwrap();
            }
        }
    }
}

impl<P: Clone> State<P> {
    fn cut(&mut self, top: &Path, at: String) {
        let current = self.picture(top);
        let top = fs::metadata(top.join("disk")).unwrap().ino();
        self.history.see(&current.directories);
        let (promised, certain) = (self.promised.clone(), self.certain.clone());
        let history = self.history.clone();
        self.cuts.push(Cut { at, promised, top, current, certain, history });
    }

    fn synced(
        &mut self,
        top: &Path,
        step: Step,
        at: &'static Location<'static>,
        file: Option<BorrowedFd<'_>>,
    ) {
        let site = (at.file(), at.line());
        self.sites.insert(site);
        if self.omitted == Some(site) {
            return;
        }
        let current = self.picture(top);
        self.history.see(&current.directories);
        let Some(file) = file else {
            self.history.is_certain(current.directories.keys().copied());
            self.certain = current;
            return;
        };
        let inode = rustix::fs::fstat(file).unwrap().st_ino;
        if let Some(entries) = current.directories.get(&inode) {
            self.certain.directories.insert(inode, entries.clone());
            self.certain.moved(inode, &current);
            self.history.is_certain([inode]);
            return;
        }
        let path = format!("/proc/self/fd/{}", file.as_raw_fd());
        let content = Arc::new(fs::read(&path).unwrap());
        // As Disk does it: of these files alone the data is synced.
        let data_alone = matches!(step, Step::SyncLog | Step::SyncPartial | Step::SyncJournal);
        let modified = match data_alone {
            true => self.certain.files.get(&inode).and_then(|file| file.modified),
            false => Some(fs::metadata(&path).unwrap().modified().unwrap()),
        };
        self.certain.files.insert(inode, File { content, modified });
    }

    /// What is there now. Each file gets a second name, so that there is a way back to it.
    fn picture(&mut self, top: &Path) -> Picture {
        let mut picture = Picture::default();
        self.look(&top.join("disk"), &top.join("files"), &mut picture);
        picture
    }

    fn look(&mut self, directory: &Path, files: &Path, picture: &mut Picture) -> u64 {
        let mut entries = BTreeMap::new();
        for entry in fs::read_dir(directory).unwrap() {
            let entry = entry.unwrap();
            let path = entry.path();
            let Ok(metadata) = fs::symlink_metadata(&path) else { continue };
            let (inode, is_directory) = (metadata.ino(), metadata.is_dir());
            entries.insert(entry.file_name(), Entry { inode, is_directory });
            if is_directory {
                self.look(&path, files, picture);
                continue;
            }
            let _ = fs::hard_link(&path, files.join(inode.to_string()));
            let content = fs::read(&path).unwrap();
            let modified = Some(metadata.modified().unwrap());
            let content = match self.seen.get(&inode) {
                Some(seen) if *seen.content == content => Arc::clone(&seen.content),
                _ => Arc::new(content),
            };
            let file = File { content, modified };
            self.seen.insert(inode, file.clone());
            picture.files.insert(inode, file);
        }
        let inode = fs::metadata(directory).unwrap().ino();
        picture.directories.insert(inode, entries);
        inode
    }
}

impl Picture {
    /// The entries of a directory have become certain: what was moved there is not where it was before.
    fn moved(&mut self, to: u64, current: &Self) {
        let arrived: BTreeSet<u64> =
            self.directories[&to].values().map(|entry| entry.inode).collect();
        for (directory, entries) in &mut self.directories {
            if *directory != to {
                let here = current.directories.get(directory);
                entries.retain(|name, entry| {
                    !arrived.contains(&entry.inode)
                        || here.is_some_and(|here| here.get(name) == Some(entry))
                });
            }
        }
    }
}

impl<P> Cut<P> {
    fn content(&self, inode: u64, content: Content, random: &mut u64) -> File {
        let none = File { content: Arc::default(), modified: None };
        let synced = self.certain.files.get(&inode).cloned().unwrap_or(none);
        // A name that was synced, of a file that is gone.
        let current = self.current.files.get(&inode).cloned().unwrap_or_else(|| synced.clone());
        let content = match content {
            Content::Mixed => [Content::Synced, Content::Zeros, Content::Torn, Content::Current]
                [(next(random) % 4) as usize],
            content => content,
        };
        let modified = current.modified;
        let (kept, now) = (synced.content.len(), current.content.len());
        match content {
            Content::Synced => synced,
            Content::Current | Content::Mixed => current,
            Content::Zeros if kept < now => {
                let mut content = synced.content.to_vec();
                content.resize(now, 0);
                File { content: Arc::new(content), modified }
            }
            Content::Torn if kept < now => {
                let content = current.content[..kept.midpoint(now)].to_vec();
                File { content: Arc::new(content), modified }
            }
            Content::Zeros | Content::Torn => synced,
        }
    }
}

/// The next of a sequence of numbers: splitmix64.
fn next(state: &mut u64) -> u64 {
    *state = state.wrapping_add(0x9e37_79b9_7f4a_7c15);
    let mut z = *state;
    z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    z ^ (z >> 31)
}

fn lock<P>(state: &Mutex<State<P>>) -> MutexGuard<'_, State<P>> {
    state.lock().unwrap_or_else(std::sync::PoisonError::into_inner)
}
