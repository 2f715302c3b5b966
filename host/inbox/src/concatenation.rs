//! The content of an upload out of those of others, which are whole and were not published.
//!
//! Nothing of it is in the memory of who asks. Pieces of it are copied by the threads of the inbox, between the work of
//! other uploads, and go through the same machine as bytes that arrive: they count in the quota and the free space, are
//! hashed, and are kept as it goes on.

use std::sync::Arc;

use sandport_protocol::{
    CONCATENATED_MAX, Extent, Offer, Refusal, RefusalCode, Resume, ResumeMode,
};

use tokio::sync::OwnedMutexGuard;

use super::meter::Meter;
use super::partial::{Hold, Lane};
use super::wishes::Wishes;
use super::{Inbox, Verdict};

/// How much is copied before others have their turn. Bytes: a few milliseconds where all of it is in memory.
const PIECE_BYTES: usize = 4 * 1024 * 1024;

/// An upload, and those that it is to be made out of.
pub(super) struct Concatenation {
    pub(super) inbox: Inbox,
    pub(super) hold: Hold,
    /// Its own key.
    pub(super) key: Vec<u8>,
    /// Theirs, in the order of their contents.
    pub(super) parts: Vec<Vec<u8>>,
    /// Who pays for the time that is not for nothing.
    pub(super) meter: Option<Meter>,
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
    /// As of [`Upload::concatenate`](super::Upload::concatenate).
    pub(super) async fn run(self) -> Result<(), Refusal> {
        let places = self.places().await?;
        let size = places.last().map_or(0, |last| last.end);
        let known = self.hold.progress().size;
        if known.is_some_and(|known| known != size) {
            let words = "the upload is not as long as its parts together";
            return Err(Refusal::new(RefusalCode::OffsetMismatch, words));
        }
        self.set_size(size).await?;
        let (mut alone, mut from) = (self.hold.copy_alone().await, 0);
        while let Some(missing) = self.hold.progress().missing.first() {
            // What was copied is here, or the upload is not held any more.
            if missing.offset < from {
                return Err(self.hold.lost());
            }
            let end = missing.length.map_or(size, |length| missing.offset.saturating_add(length));
            let index = places.partition_point(|place| place.end <= missing.offset);
            let Some((place, key)) = places.get(index).zip(self.parts.get(index)) else {
                return Err(self.hold.lost());
            };
            from = end.min(place.end);
            alone = self.copy(place, key, (missing.offset, from), alone).await?;
        }
        self.hold.check()
    }

    /// Says how long it will be. Where there is no room in the quota and what is stored is being counted, it waits for
    /// that.
    async fn set_size(&self, size: u64) -> Result<(), Refusal> {
        let usage = self.inbox.handle.core.usage.as_ref();
        let news = usage.and_then(|usage| usage.count_news());
        match (self.hold.set_size(size), news) {
            (Err(refusal), Some(news)) if refusal.code == RefusalCode::InsufficientSpace => {
                news.await;
                self.hold.set_size(size)
            }
            (set, _) => set,
        }
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
            let status = self.inbox.look(self.hold.identity(), key, false).await?;
            let size = match (status.outcome, status.size) {
                (None, Some(size)) if status.missing.is_empty() => size,
                (None, _) => return Err(unfinished()),
                (Some(_), _) => return Err(unfit("a part of the upload has ended")),
            };
            let end = start.checked_add(size).ok_or(RefusalCode::TooLarge)?;
            places.push(Place { start, end });
            start = end;
        }
        Ok(places)
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
        let key = key.try_into().map_err(|_| unknown())?;
        // Beside whoever else holds it.
        let resume = Some(Resume { key, epoch: 0, mode: ResumeMode::Join });
        let offer = Offer { resume, ..Offer::of_file(None, Some(place.end - place.start)) };
        let wishes = Wishes { existing: true, ..Wishes::default() };
        let opened = self.inbox.open_with(self.hold.identity(), &offer, &wishes).await?;
        let Verdict::Accepted(part) = opened else {
            return Err(unfit("a part of the upload has ended"));
        };
        let Some(theirs) = part.hold() else { return Err(unknown()) };
        let progress = theirs.progress();
        if progress.size != Some(place.end - place.start) || !progress.missing.is_empty() {
            return Err(unfinished());
        }
        let source = theirs.source();
        let certain = Arc::clone(&source);
        self.inbox.handle.partials.on_pool(move || certain.make_certain()).await?;
        let extent = Extent { offset: start, length: Some(end - start) };
        let mut lane = self.hold.body(extent)?;
        let mut at = start;
        while at < end {
            lane.has_room().await;
            let most = usize::try_from(end - at).unwrap_or(usize::MAX).min(PIECE_BYTES);
            let piece = lane.reserve(most) as u64;
            if piece == 0 {
                self.hold.check()?;
                continue;
            }
            let (source, from) = (Arc::clone(&source), at - place.start);
            let partials = &self.inbox.handle.partials;
            let is_free =
                partials.is_copied_for_nothing(theirs.id(), place.end - place.start, piece);
            let meter = self.meter.clone().filter(|_| !is_free);
            let work = move || {
                let mut lane: Lane = lane;
                let mut copy = || lane.copy(&source, from, piece);
                let is_here = match &meter {
                    Some(meter) => meter.measure(copy),
                    None => copy(),
                };
                Ok((lane, is_here, alone))
            };
            let (back, is_here, still) = partials.on_pool(work).await?;
            if !is_here && theirs.check().is_err() {
                return Err(unfit("a part of the upload has ended meanwhile"));
            }
            if !is_here {
                return Err(self.hold.lost());
            }
            (lane, alone, at) = (back, still, at + piece);
        }
        Ok(alone)
    }
}

fn unknown() -> Refusal {
    super::partial::unknown()
}

fn unfinished() -> Refusal {
    unfit("a part of the upload is not whole")
}

fn unfit(words: &str) -> Refusal {
    Refusal::new(RefusalCode::InvalidState, words)
}
