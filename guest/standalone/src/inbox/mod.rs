//! The inbox of the standalone component: staging, publishing and remembering in a folder that it has
//! been given, by the rules of `sandport_protocol::inbox`.
//!
//! It is written against [`Folder`] and [`File`], which WASI's file system implements in the component
//! (`disk.rs`) and std's in the tests, where the suite that the native inbox has to pass runs over it.
//!
//! WASI 0.2 has no locks, mode bits, renames that do not replace, free space, or a sync of everything:
//!
//! - a file gets its name by a hard link, and the staged name is removed then;
//! - nothing keeps a second server away: one that starts removes what another has staged, and takes uploads over that
//!   can be resumed (`partial`). Those of the other then fail, and nothing that was acknowledged is lost;
//! - the executable bit is not kept, and a file that cannot fit is refused when the disk is full;
//! - what an earlier run wrote down is made durable when it is first vouched for again.

mod files;
mod log;
mod partial;
mod publish;
mod receipts;
mod transient;
mod tree;
mod upload;

use std::cell::Cell;
use std::rc::Rc;

use sandport_protocol::inbox::{
    Conflict, LAYOUT_BYTES_MAX, LAYOUT_FILE, LAYOUT_VERSION, Record, fits, folder_receipt,
    folder_without_name, made_up_name, receipt, taken, too_large,
};
use sandport_protocol::upload::resumable;
use sandport_protocol::{
    Digest, EntryKind, EntryName, Millis, Offer, RESERVED_NAME, Receipt, Refusal, RefusalCode,
    Resume,
};

pub use files::{DiskError, File, Folder, Kind, Look, Trouble};
use partial::{Opened, Partials, Volume};
pub use publish::Published;
use receipts::Receipts;
use transient::Transient;
pub use upload::{Commit, Upload};

/// What a receipt promises.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Durability {
    /// The file survives a power cut.
    #[default]
    Commit,
    /// The file is visible, and may be lost in a power cut.
    None,
}

/// The settings of an inbox.
#[derive(Clone, Debug)]
pub struct Options {
    /// What happens to a file whose name is taken.
    pub conflict: Conflict,
    /// What a receipt promises.
    pub durability: Durability,
    /// The largest file in bytes; `None`: no limit but the disk.
    pub size_max: Option<u64>,
    /// The name of files that come without one; `None`: one is made up of time and chance.
    pub classic_name: Option<EntryName>,
    /// Most bytes of an upload that can be resumed that a crash may cost.
    pub watermark_bytes: u64,
    /// Longest time between two watermarks while bytes come. Milliseconds.
    pub watermark_interval_ms: Millis,
    /// After how long an upload is removed that nobody resumes, in seconds; `None`: never.
    pub partial_expiry_s: Option<u64>,
}

impl Default for Options {
    /// As `sandport serve` without options.
    fn default() -> Self {
        Self {
            conflict: Conflict::default(),
            durability: Durability::default(),
            size_max: None,
            classic_name: None,
            watermark_bytes: 64 * 1024 * 1024,
            watermark_interval_ms: 2_000,
            partial_expiry_s: Some(7 * 24 * 3_600),
        }
    }
}

/// What an inbox needs of the world beside its folder.
#[derive(Clone, Copy, Debug)]
pub struct Ambient {
    /// Random numbers.
    pub chance: fn() -> u64,
    /// Milliseconds since any fixed moment, never going back.
    pub now: fn() -> Millis,
    /// Seconds since 1970, as the system is set.
    pub wall_s: fn() -> u64,
}

/// A folder that receives files.
///
/// One thread has it, and nothing of it waits. What is due by the clock, and what takes long, is done by
/// [`turn`](Self::turn), which is to be called at [`next_turn`](Self::next_turn).
pub struct Inbox<F: Folder> {
    core: Rc<Core<F>>,
    partials: Rc<Partials<F>>,
}

/// What uploads share.
struct Core<F: Folder> {
    root: F,
    staging: F,
    options: Options,
    receipts: Receipts<F>,
    ambient: Ambient,
    /// Tells the staged files of this run from those of another that should not be there.
    run: u64,
    staged_count: Cell<u64>,
}

/// What was accepted, as far as it matters after the verdict.
#[derive(Clone)]
struct Plan {
    name: EntryName,
    /// Nobody knows the name.
    is_made_up: bool,
    size: Option<u64>,
    digest: Option<Digest>,
    modified_ns: Option<i64>,
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
    /// earlier run is removed, unless it can be resumed.
    ///
    /// # Errors
    /// See [`OpenError`].
    pub fn open(root: F, options: Options, ambient: Ambient) -> Result<Self, OpenError> {
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
        let run = (ambient.chance)();
        let volume = Volume::open(&state, (run, ambient.wall_s), durable, &mut unpublished);
        let volume = volume.map_err(failed("look for uploads to resume in"))?;
        let receipts = Receipts::open(&root, &state, durable, &unpublished);
        let receipts = receipts.map_err(failed("read the receipts of"))?;
        if durable {
            let synced = root.sync().and_then(|()| state.sync());
            synced.map_err(failed("sync"))?;
        }
        let core =
            Core { root, staging, options, receipts, ambient, run, staged_count: Cell::new(0) };
        let core = Rc::new(core);
        let partials = Partials::new(&core, volume);
        Ok(Self { core, partials })
    }

    /// When [`Self::turn`] is to be called, if not before; `None`: nothing is due.
    pub fn next_turn(&self) -> Option<Millis> {
        self.partials.next_turn()
    }

    /// Does what is due: watermarks, a piece of a file that is read again, and now and then the removal of uploads that
    /// nobody resumes.
    pub fn turn(&self) {
        self.partials.turn();
    }

    /// A number that changes whenever an upload may have [news](Upload::has_news), or a commit its outcome.
    pub fn news(&self) -> u64 {
        self.partials.news()
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
            && let Some(verdict) = self.already_here(&name, offer)
        {
            if let (Verdict::Stored(_), Some(resume)) = (&verdict, &offer.resume) {
                self.partials.discard_left(resume);
            }
            return Ok(verdict);
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
        let plan = Plan {
            name,
            is_made_up: made_up,
            size: offer.size,
            digest: offer.digest,
            modified_ns: offer.modified_ns,
        };
        match resumable(offer) {
            Some(resume) => self.open_resumable(offer, &plan, &resume),
            None => Ok(Verdict::Accepted(Upload::transient(Transient::new(core, plan)))),
        }
    }

    /// An offer with a resume key, of a file that is long enough for it to matter.
    fn open_resumable(
        &self,
        offer: &Offer,
        plan: &Plan,
        resume: &Resume,
    ) -> Result<Verdict<F>, Refusal> {
        let is_named = offer.name.is_some();
        let mut heeds_published = true;
        loop {
            match self.partials.open(plan, is_named, resume, heeds_published)? {
                Opened::Session(session) => {
                    return Ok(Verdict::Accepted(Upload::resumable(session)));
                }
                // Under its made-up name, which the sender does not know.
                Opened::Published(name) => match self.already_here(&name, offer) {
                    Some(verdict) => return Ok(verdict),
                    None => heeds_published = false,
                },
                Opened::Ended if is_named => {
                    if let Some(verdict) = self.already_here(&plan.name, offer) {
                        return Ok(verdict);
                    }
                }
                Opened::Ended => {}
            }
        }
    }

    /// What is to be said of a file that was stored before.
    fn already_here(&self, name: &EntryName, offer: &Offer) -> Option<Verdict<F>> {
        let (published, record) = self.core.vouched(name, |record| fits(offer, record))?;
        Some(match offer.digest {
            Some(_) => Verdict::Stored(receipt(&published, &record)),
            None => Verdict::DigestFirst,
        })
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
        let Ambient { chance, wall_s, .. } = self.ambient;
        // The upper half: as good as any.
        made_up_name(wall_s(), (chance() >> 32) as u32)
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
