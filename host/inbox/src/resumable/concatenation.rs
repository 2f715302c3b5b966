//! The content of an upload out of those of others, which are whole and were not published.
//!
//! Nothing of it is in the memory of who asks. Pieces of it are copied by the threads of the inbox, between the work of
//! other uploads, and go through the same machine as bytes that arrive: they count in the quota and the free space, are
//! hashed, and are kept as it goes on.

use std::convert::Infallible;
use std::future::ready;
use std::sync::Arc;

use sandport_protocol::journal::Notes;
use sandport_protocol::upload::mutation::{Mutant, is};
use sandport_protocol::{CONCATENATED_MAX, Extent, Refusal, RefusalCode, Resume, ResumeMode};
use tokio::sync::OwnedMutexGuard;

use super::asked::Asked;
use super::look::{Seen, id_of, unknown};
use super::opening::Opened;
use super::range_writer::RangeWriter;
use super::registry::Registry;
use super::session::Session;
use super::session_handle::SessionHandle;
use crate::accepted_offer::AcceptedOffer;
use crate::meter::Meter;
use crate::usage::Usage;

/// How much is copied before others have their turn. Bytes: a few milliseconds where all of it is in memory.
const PIECE_BYTES: usize = 4 * 1024 * 1024;

/// An upload, and those that it is to be made out of.
pub(crate) struct Concatenation {
    pub(crate) registry: Arc<Registry>,
    pub(crate) handle: SessionHandle,
    /// Its own key.
    pub(crate) key: Vec<u8>,
    /// Theirs, in the order of their contents.
    pub(crate) parts: Vec<Vec<u8>>,
    /// Who pays for the time that is not for nothing.
    pub(crate) meter: Option<Meter>,
}

/// A part, and where in the upload it is.
struct Place {
    start: u64,
    end: u64,
}

impl Concatenation {
    /// Copies what is not here.
    ///
    /// # Errors
    /// As of [`Upload::concatenate`](crate::Upload::concatenate).
    pub(crate) async fn run(self) -> Result<(), Refusal> {
        let places = self.places().await?;
        let size = places.last().map_or(0, |last| last.end);
        let known = self.handle.progress().size;
        if known.is_some_and(|known| known != size) {
            let words = "the upload is not as long as its parts together";
            return Err(Refusal::new(RefusalCode::OffsetMismatch, words));
        }
        self.set_size(size).await?;
        let (mut alone, mut from) = (self.handle.copy_alone().await, 0);
        while let Some(missing) = self.handle.progress().missing.first() {
            // What was copied is here, or the upload is not held any more.
            if missing.offset < from {
                return Err(self.handle.lost());
            }
            let end = missing.length.map_or(size, |length| missing.offset.saturating_add(length));
            let index = places.partition_point(|place| place.end <= missing.offset);
            let Some((place, key)) = places.get(index).zip(self.parts.get(index)) else {
                return Err(self.handle.lost());
            };
            from = end.min(place.end);
            alone = self.copy(place, key, (missing.offset, from), alone).await?;
        }
        self.handle.check()
    }

    /// Says how long it will be. Where there is no room in the quota and what is stored is being counted, it waits for
    /// that.
    async fn set_size(&self, size: u64) -> Result<(), Refusal> {
        let set = || ready(self.handle.set_size(size));
        let usage = self.registry.volume().usage().map(Arc::as_ref);
        Usage::counted_later(usage, set).await
    }

    /// Looks at the parts.
    async fn places(&self) -> Result<Vec<Place>, Refusal> {
        if self.parts.len() > CONCATENATED_MAX {
            let words = format!("an upload is made out of {CONCATENATED_MAX} others at most");
            return Err(Refusal::new(RefusalCode::TooMany, words));
        }
        let (mut places, mut start) = (Vec::new(), 0_u64);
        for key in &self.parts {
            if *key == self.key {
                return Err(unfit("an upload is no part of its own"));
            }
            let id = id_of(self.handle.identity(), key)?;
            let size = match self.registry.seen(id, false).await? {
                Seen::Status(status) if status.outcome.is_none() => {
                    let is_whole = status.missing.is_empty() || is(Mutant::JoinsUnfinished);
                    status.size.filter(|_| is_whole).ok_or_else(unfinished)?
                }
                Seen::Status(_) | Seen::Published(_) => return Err(has_ended()),
            };
            let end = start.checked_add(size).ok_or(RefusalCode::TooLarge)?;
            places.push(Place { start, end });
            start = end;
        }
        Ok(places)
    }

    /// Opens a part of `size` bytes, beside whoever else holds it.
    async fn open(&self, key: &[u8], size: u64) -> Result<Session, Refusal> {
        let key = key.try_into().map_err(|_| unknown())?;
        let facts = self.handle.source();
        let accepted = AcceptedOffer {
            identity: self.handle.identity().clone(),
            // Of no account: it has one.
            name: facts.facts().name.clone(),
            size: Some(size),
            digest: None,
            modified_ns: None,
            executable: false,
            copy: 0,
        };
        let resume = Resume { key, epoch: 0, mode: ResumeMode::Join };
        let (is_named, notes, begins) = (false, Notes::default(), false);
        let (address, place) = (None, None);
        let asked = Asked { accepted, is_named, resume, notes, address, place, begins };
        let open = || self.registry.open(asked.clone(), |_| None::<Infallible>);
        let usage = self.registry.volume().usage().map(Arc::as_ref);
        match Usage::counted_later(usage, open).await? {
            Opened::Session(session) => Ok(session),
            _ => Err(has_ended()),
        }
    }

    /// Copies the bytes from `start` to `end` out of the part that has them. `alone`: nobody else copies as long as it
    /// is there.
    async fn copy(
        &self,
        place: &Place,
        key: &[u8],
        (start, end): (u64, u64),
        mut alone: OwnedMutexGuard<()>,
    ) -> Result<OwnedMutexGuard<()>, Refusal> {
        let part = self.open(key, place.end - place.start).await?;
        let theirs = part.handle();
        let progress = theirs.progress();
        let is_whole = progress.missing.is_empty() || is(Mutant::JoinsUnfinished);
        if progress.size != Some(place.end - place.start) || !is_whole {
            return Err(unfinished());
        }
        // The first bytes of its last chunk group may be in memory alone: who told its size last need not have had
        // them kept.
        if !is(Mutant::CopiesUnkept) {
            theirs.keep().ready().await?;
        }
        let source = theirs.source();
        let certain = Arc::clone(&source);
        self.registry.on_pool(move || certain.make_certain()).await?;
        let extent = Extent { offset: start, length: Some(end - start) };
        let mut writer = self.handle.body(extent)?;
        let mut at = start;
        while at < end {
            writer.has_room().await;
            let most = usize::try_from(end - at).unwrap_or(usize::MAX).min(PIECE_BYTES);
            let piece = writer.reserve(most) as u64;
            if piece == 0 {
                self.handle.check()?;
                continue;
            }
            let from = if is(Mutant::MisplacesCopies) { at } else { at - place.start };
            let source = Arc::clone(&source);
            let registry = &self.registry;
            let is_free =
                registry.is_copied_for_nothing(theirs.id(), place.end - place.start, piece);
            let meter = self.meter.clone().filter(|_| !is_free);
            let work = move || {
                let mut writer: RangeWriter = writer;
                let mut copy = || writer.copy(&source, from, piece);
                let is_here = match &meter {
                    Some(meter) => meter.measure(copy),
                    None => copy(),
                };
                Ok((writer, is_here, alone))
            };
            let (back, is_here, still) = registry.on_pool(work).await?;
            if !is_here && theirs.check().is_err() {
                return Err(has_ended());
            }
            if !is_here {
                return Err(self.handle.lost());
            }
            (writer, alone, at) = (back, still, at + piece);
        }
        Ok(alone)
    }
}

fn unfinished() -> Refusal {
    unfit("a part of the upload is not whole")
}

fn unfit(words: &str) -> Refusal {
    Refusal::new(RefusalCode::InvalidState, words)
}

fn has_ended() -> Refusal {
    unfit("a part of the upload has ended")
}
