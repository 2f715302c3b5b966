//! The inbox of the standalone component: staging, publishing and remembering in a folder that it has
//! been given, by the rules of `sandport_protocol::inbox`.
//!
//! It is written against [`Folder`] and [`File`], which WASI's file system implements in the component
//! (`disk.rs`) and std's in the tests, where the suite that the native inbox has to pass runs over it.
//!
//! WASI 0.2 has no locks, mode bits, renames that do not replace, free space, or a sync of everything:
//!
//! - a file gets its name by a hard link, and the staged name is removed then;
//! - nothing keeps a second server away: one that starts removes what another has staged, whose
//!   uploads then fail, and nothing that was acknowledged is lost;
//! - the executable bit is not kept, and a file that cannot fit is refused when the disk is full;
//! - what an earlier run wrote down is made durable when it is first vouched for again.

mod files;
mod log;
mod receipts;
mod tree;
mod upload;

use std::cell::Cell;
use std::rc::Rc;
use std::time::SystemTime;

use sandport_protocol::inbox::{
    Conflict, LAYOUT_BYTES_MAX, LAYOUT_FILE, LAYOUT_VERSION, Record, fits, folder_receipt,
    folder_without_name, made_up_name, receipt, taken, too_large,
};
use sandport_protocol::{
    EntryKind, EntryName, Offer, RESERVED_NAME, Receipt, Refusal, RefusalCode,
};

pub use files::{DiskError, File, Folder, Kind, Look, Trouble};
use receipts::Receipts;
pub use upload::{Published, Upload};

/// What a receipt promises.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Durability {
    /// The file survives a power cut.
    #[default]
    Commit,
    /// The file is visible; the system writes it to the disk when it likes.
    None,
}

/// The settings of an inbox.
#[derive(Clone, Debug, Default)]
pub struct Options {
    /// What happens to a file whose name is taken.
    pub conflict: Conflict,
    /// What a receipt promises.
    pub durability: Durability,
    /// The largest file in bytes; `None`: no limit but the disk.
    pub size_max: Option<u64>,
    /// The name of files that come without one; `None`: one is made up of time and chance.
    pub classic_name: Option<EntryName>,
}

/// A folder that receives files.
pub struct Inbox<F: Folder> {
    core: Rc<Core<F>>,
}

/// What uploads share.
struct Core<F: Folder> {
    root: F,
    staging: F,
    options: Options,
    receipts: Receipts<F>,
    /// Random numbers.
    chance: fn() -> u64,
    /// Tells the staged files of this run from those of another that should not be there.
    run: u64,
    staged_count: Cell<u64>,
}

/// What becomes of an offer.
pub enum Verdict<F: Folder> {
    /// It is here already.
    Stored(Receipt),
    /// Send it.
    Accepted(Upload<F>),
    /// A file of this name and size is here, and the offer had no digest: ask again with one.
    DigestFirst,
}

/// Why a folder cannot serve as an inbox.
#[derive(Debug)]
pub enum OpenError {
    /// The inbox was written by a version that this one does not know. What its layout file says.
    WrongLayout(String),
    /// The disk failed: what could not be done, and what the system said.
    Disk(&'static str, DiskError),
}

impl<F: Folder> Inbox<F> {
    /// Opens the inbox in `root` and makes what is missing in it. What was left unfinished by an
    /// earlier run is removed. `chance` gives random numbers.
    ///
    /// # Errors
    /// See [`OpenError`].
    pub fn open(root: F, options: Options, chance: fn() -> u64) -> Result<Self, OpenError> {
        let failed = |doing| move |error| OpenError::Disk(doing, error);
        let state = tree::open_or_make(&root, RESERVED_NAME).map_err(failed("make a folder in"))?;
        check_version(&state)?;
        let staging = tree::open_or_make(&state, "staging").map_err(failed("make a folder in"))?;
        let mut unpublished = Vec::new();
        for name in staging.names().map_err(failed("list the unfinished uploads of"))? {
            unpublished.extend(staging.look(&name).ok().flatten());
            staging.remove(&name).map_err(failed("remove an unfinished upload of"))?;
        }
        let durable = options.durability == Durability::Commit;
        let receipts = Receipts::open(&root, &state, durable, &unpublished);
        let receipts = receipts.map_err(failed("read the receipts of"))?;
        if durable {
            let synced = root.sync().and_then(|()| state.sync());
            synced.map_err(failed("sync"))?;
        }
        let core = Core {
            root,
            staging,
            options,
            receipts,
            chance,
            run: chance(),
            staged_count: Cell::new(0),
        };
        Ok(Self { core: Rc::new(core) })
    }

    /// Answers an offer.
    ///
    /// # Errors
    /// `name-invalid`; `exists`, where the conflict rule is to refuse, or the path leads through
    /// something else than folders; `too-large`; `io`.
    pub fn answer(&self, offer: &Offer) -> Result<Verdict<F>, Refusal> {
        match offer.kind {
            EntryKind::File => self.answer_file(offer),
            EntryKind::Directory => self.make_folder(offer),
            _ => Err(Refusal::new(RefusalCode::Other, "an inbox takes files and folders")),
        }
    }

    fn answer_file(&self, offer: &Offer) -> Result<Verdict<F>, Refusal> {
        let core = &self.core;
        let (name, made_up) = match (&offer.name, &core.options.classic_name) {
            (Some(name), _) => (EntryName::parse(name)?, false),
            (None, Some(name)) => (name.clone(), false),
            (None, None) => (core.make_up_name()?, true),
        };
        if offer.name.is_some()
            && let Some((published, record)) = core.vouched(&name, |record| fits(offer, record))
        {
            return Ok(match offer.digest {
                Some(_) => Verdict::Stored(receipt(&published, &record)),
                None => Verdict::DigestFirst,
            });
        }
        let size_max = core.options.size_max;
        if let (Some(size), Some(most)) = (offer.size, size_max)
            && size > most
        {
            return Err(too_large(size_max));
        }
        let there = tree::look_up(&core.root, &name)
            .map_err(|error| error.refusal_of_name("open a folder"))?;
        if there.is_some() && core.options.conflict == Conflict::Refuse {
            return Err(taken());
        }
        Ok(Verdict::Accepted(Upload::new(core, name, offer, made_up)))
    }

    fn make_folder(&self, offer: &Offer) -> Result<Verdict<F>, Refusal> {
        let Some(name) = &offer.name else {
            return Err(folder_without_name());
        };
        let name = EntryName::parse(name)?;
        self.core.folder(Some(name.as_str()))?;
        Ok(Verdict::Stored(folder_receipt(&name)))
    }
}

impl<F: Folder> Core<F> {
    fn durable(&self) -> bool {
        self.options.durability == Durability::Commit
    }

    /// The folder at `path` (`None`: the inbox itself), made if it is missing, and durably.
    fn folder(&self, path: Option<&str>) -> Result<F, Refusal> {
        tree::make(&self.root, path, self.durable())
            .map_err(|error| error.refusal_of_name("open a folder"))
    }

    fn make_up_name(&self) -> Result<EntryName, Refusal> {
        let now = SystemTime::UNIX_EPOCH.elapsed().ok();
        // The upper half: as good as any.
        now.and_then(|now| made_up_name(now.as_secs(), ((self.chance)() >> 32) as u32))
            .ok_or_else(|| Refusal::new(RefusalCode::Io, "the inbox could not make up a name"))
    }

    /// What was published for `offered`, fits, is on the disk as it was published, and will be there
    /// after a power cut.
    fn vouched(
        &self,
        offered: &EntryName,
        fits: impl Fn(&Record) -> bool,
    ) -> Option<(EntryName, Record)> {
        self.receipts.find(&self.root, offered, fits)
    }

    fn staged_name(&self) -> String {
        let number = self.staged_count.get();
        self.staged_count.set(number + 1);
        format!("{:016x}-{number:x}", self.run)
    }
}

/// Checks the layout version, or writes it into a new inbox.
fn check_version<F: Folder>(state: &F) -> Result<(), OpenError> {
    let failed = |error| OpenError::Disk("read the layout of", error);
    let mut file = state.open(LAYOUT_FILE).map_err(failed)?;
    let text = file.read(0, LAYOUT_BYTES_MAX).map_err(failed)?;
    // Empty is what a crash leaves between the making of the file and the writing of it; nothing else
    // was in the inbox then.
    if text.is_empty() {
        let written = file.write(format!("{LAYOUT_VERSION}\n").as_bytes(), 0);
        return written.and_then(|()| file.sync()).map_err(failed);
    }
    let text = String::from_utf8_lossy(&text).trim_end().to_owned();
    if text.parse() == Ok(LAYOUT_VERSION) { Ok(()) } else { Err(OpenError::WrongLayout(text)) }
}
