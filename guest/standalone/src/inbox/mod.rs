//! The inbox of the standalone component: staging, publishing and remembering in a directory that it has
//! been given, by the rules of `sandport_protocol::inbox`.
//!
//! It is written against [`Directory`] and [`File`], which WASI's file system implements in the component
//! (`disk.rs`) and std's in the tests, where the suite that the native inbox has to pass runs over it.
//!
//! WASI 0.2 has no locks, mode bits, renames that do not replace, free space, or a sync of everything:
//!
//! - a file gets its name by a hard link, and the staged name is removed then;
//! - nothing keeps a second server away: one that starts removes what another has staged, and takes uploads over that
//!   can be resumed (`resumable`). Those of the other then fail, and nothing that was acknowledged is lost;
//! - the executable bit is not kept, and a file that cannot fit is refused when the disk is full;
//! - what an earlier run wrote down is made durable when it is first vouched for again.

mod accepted_offer;
mod files;
mod log;
mod options;
mod publish;
mod receipts;
mod resumable;
mod state;
mod transient;
mod tree;
mod upload;

use std::rc::Rc;

use sandport_protocol::inbox::{
    Conflict, LAYOUT_BYTES_MAX, LAYOUT_FILE, LAYOUT_VERSION, directory_receipt,
    directory_without_name, fits, receipt, taken, too_large,
};
use sandport_protocol::upload::resumable;
use sandport_protocol::{
    EntryKind, EntryName, Millis, Offer, RESERVED_NAME, Receipt, Refusal, RefusalCode, Resume,
};

use accepted_offer::AcceptedOffer;
pub use files::{Directory, DiskError, File, Kind, Look, Trouble};
pub use options::{Ambient, Durability, Options};
pub use publish::Published;
use receipts::Receipts;
use resumable::{Opened, Registry, Volume};
use state::Core;
use transient::Transient;
pub use upload::{Commit, Upload};

/// A directory that receives files.
///
/// One thread has it, and nothing of it waits. What is due by the clock, and what takes long, is done by
/// [`turn`](Self::turn), which is to be called at [`next_turn`](Self::next_turn).
pub struct Inbox<F: Directory> {
    core: Rc<Core<F>>,
    registry: Rc<Registry<F>>,
}

/// What becomes of an offer.
pub enum OfferResponse<F: Directory> {
    /// It is here already.
    Stored(Receipt),
    /// Send it.
    Accepted(Upload<F>),
    /// A file of this name and size is here, and the offer had no digest: ask again with one.
    DigestFirst,
}

/// Why a directory cannot serve as an inbox.
#[derive(Debug)]
pub enum OpenError {
    /// The inbox was written by a version that this one does not know. What its layout file says.
    WrongLayout(String),
    /// The disk failed: what could not be done, and what the system said.
    Disk(&'static str, DiskError),
}

impl<F: Directory> Inbox<F> {
    /// Opens the inbox in `root` and makes what is missing in it. What was left unfinished by an
    /// earlier run is removed, unless it can be resumed.
    ///
    /// # Errors
    /// See [`OpenError`].
    pub fn open(root: F, options: Options, ambient: Ambient) -> Result<Self, OpenError> {
        let failed = |doing| move |error| OpenError::Disk(doing, error);
        let state =
            tree::open_or_make(&root, RESERVED_NAME).map_err(failed("make a directory in"))?;
        check_version(&state)?;
        let staging =
            tree::open_or_make(&state, "staging").map_err(failed("make a directory in"))?;
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
        let core = Rc::new(Core::new(root, staging, options, receipts, ambient, run));
        let registry = Registry::new(&core, volume);
        Ok(Self { core, registry })
    }

    /// When [`Self::turn`] is to be called, if not before; `None`: nothing is due.
    pub fn next_turn(&self) -> Option<Millis> {
        self.registry.next_turn()
    }

    /// Does what is due: watermarks, a piece of a file that is read again, and now and then the removal of uploads that
    /// nobody resumes.
    pub fn turn(&self) {
        self.registry.turn();
    }

    /// A number that changes whenever an upload may have [news](Upload::has_news), or a commit its outcome.
    pub fn news(&self) -> u64 {
        self.registry.news()
    }

    /// Answers an offer.
    ///
    /// # Errors
    /// `name-invalid`; `exists`, where the conflict rule is to refuse, or the path leads through
    /// something else than directories; `too-large`; `io`.
    pub fn answer(&self, offer: &Offer) -> Result<OfferResponse<F>, Refusal> {
        match offer.kind {
            EntryKind::File => self.answer_file(offer),
            EntryKind::Directory => self.make_directory(offer),
            _ => Err(Refusal::new(RefusalCode::Other, "an inbox takes files and directories")),
        }
    }

    fn answer_file(&self, offer: &Offer) -> Result<OfferResponse<F>, Refusal> {
        let core = &self.core;
        let (name, made_up) = match (&offer.name, &core.options.classic_name) {
            (Some(name), _) => (EntryName::parse(name)?, false),
            (None, Some(name)) => (name.clone(), false),
            (None, None) => (core.make_up_name()?, true),
        };
        if offer.name.is_some()
            && let Some(response) = self.already_here(&name, offer)
        {
            if let (OfferResponse::Stored(_), Some(resume)) = (&response, &offer.resume) {
                self.registry.discard_left(resume);
            }
            return Ok(response);
        }
        let max_file_size = core.options.max_file_size;
        if let (Some(size), Some(most)) = (offer.size, max_file_size)
            && size > most
        {
            return Err(too_large(max_file_size));
        }
        let there = tree::look_up(&core.root, &name)
            .map_err(|error| error.refusal_of_name("open a directory"))?;
        if there.is_some() && core.options.conflict == Conflict::Refuse {
            return Err(taken());
        }
        let accepted = AcceptedOffer {
            name,
            is_made_up: made_up,
            size: offer.size,
            digest: offer.digest,
            modified_ns: offer.modified_ns,
        };
        match resumable(offer) {
            Some(resume) => self.open_resumable(offer, &accepted, &resume),
            None => Ok(OfferResponse::Accepted(Upload::transient(Transient::new(core, accepted)))),
        }
    }

    /// An offer with a resume key, of a file that is long enough for it to matter.
    fn open_resumable(
        &self,
        offer: &Offer,
        accepted: &AcceptedOffer,
        resume: &Resume,
    ) -> Result<OfferResponse<F>, Refusal> {
        let is_named = offer.name.is_some();
        let mut heeds_published = true;
        loop {
            match self.registry.open(accepted, is_named, resume, heeds_published)? {
                Opened::Session(session) => {
                    return Ok(OfferResponse::Accepted(Upload::resumable(session)));
                }
                // Under its made-up name, which the sender does not know.
                Opened::Published(name) => match self.already_here(&name, offer) {
                    Some(response) => return Ok(response),
                    None => heeds_published = false,
                },
                Opened::Ended if is_named => {
                    if let Some(response) = self.already_here(&accepted.name, offer) {
                        return Ok(response);
                    }
                }
                Opened::Ended => {}
            }
        }
    }

    /// What is to be said of a file that was stored before.
    fn already_here(&self, name: &EntryName, offer: &Offer) -> Option<OfferResponse<F>> {
        let (published, record) = self.core.vouched(name, |record| fits(offer, record))?;
        Some(match offer.digest {
            Some(_) => OfferResponse::Stored(receipt(&published, &record)),
            None => OfferResponse::DigestFirst,
        })
    }

    fn make_directory(&self, offer: &Offer) -> Result<OfferResponse<F>, Refusal> {
        let Some(name) = &offer.name else {
            return Err(directory_without_name());
        };
        let name = EntryName::parse(name)?;
        self.core.directory(Some(name.as_str()))?;
        Ok(OfferResponse::Stored(directory_receipt(&name)))
    }
}

/// Checks the layout version, or writes it into a new inbox.
fn check_version<F: Directory>(state: &F) -> Result<(), OpenError> {
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
