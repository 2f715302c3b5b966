//! Offers of files and directories, and what becomes of them.

use sandport_protocol::inbox::{self as rules, too_large};
use sandport_protocol::journal::Notes;
use sandport_protocol::{EntryKind, EntryName, Offer, Refusal, RefusalCode, Resume};

use super::accepted_offer::AcceptedOffer;
use super::claim::Claim;
use super::inbox::Handle;
use super::offer_options::OfferOptions;
use super::publish::{Job, Work};
use super::resumable::{self, Asked, Opened};
use super::transient::Transient;
use super::upload::Upload;
use super::usage::{Reservation, Usage};
use super::{Inbox, OfferResponse, unnamed};
use crate::Identity;

impl Inbox {
    /// Answers an offer of `sender`. On the thread of the caller it does not wait for the disk beyond looking names
    /// up, and making directories where nothing is durable. The journal of an upload that is resumed is read by threads
    /// of the inbox, with up to a megabyte of its data.
    ///
    /// # Errors
    ///
    /// `invalid-state`, if the resume key is of another upload; `name-invalid`; `exists`, where the conflict rule is to
    /// refuse, or the path leads through something else than directories; `too-large`; `quota-exceeded`;
    /// `insufficient-space`; `io`.
    pub async fn offer(&self, sender: &Identity, offer: &Offer) -> Result<OfferResponse, Refusal> {
        self.offer_with(sender, offer, &OfferOptions::default()).await
    }

    /// The same, where more is wanted than an offer says. An upload that is accepted with a new key is kept when this
    /// returns.
    ///
    /// # Errors
    ///
    /// As of [`Self::offer`]; `invalid-state`: the options contradict the offer, or an upload that is to be there is
    /// not. `too-many`: connections hold all of the very many uploads of `sender` of which nothing came.
    pub async fn offer_with(
        &self,
        sender: &Identity,
        offer: &Offer,
        options: &OfferOptions,
    ) -> Result<OfferResponse, Refusal> {
        self.check_health()?;
        let made = options.make_key(offer)?;
        match offer.kind {
            EntryKind::File => match self.open_file(sender, offer, made, options).await? {
                OfferResponse::Accepted(upload) => {
                    Ok(OfferResponse::Accepted(upload.expecting(options.claims())?))
                }
                response => Ok(response),
            },
            EntryKind::Directory => Box::pin(self.open_directory(offer)).await,
            _ => Err(Refusal::new(RefusalCode::Other, "an inbox takes files and directories")),
        }
    }

    /// `made`: the key that the inbox has made for it.
    async fn open_file(
        &self,
        sender: &Identity,
        offer: &Offer,
        made: Option<Resume>,
        options: &OfferOptions,
    ) -> Result<OfferResponse, Refusal> {
        let core = &self.handle.core;
        core.removals_come_along().await?;
        let name = match &offer.name {
            Some(name) => EntryName::parse(name)?,
            None => self.name_for_unnamed()?,
        };
        // Whoever wants a new key goes on with that; the commit finds out whether the file was here.
        if offer.name.is_some()
            && made.is_none()
            // Whoever claims another digest than BLAKE3 sends the file, and it is checked as it comes. What is here is
            // not read for that: one small request would cost a large reading, as often as somebody likes.
            && options.digests.is_empty()
            && let Some(response) = core.already_here(sender, &name, offer)
        {
            if let (OfferResponse::Stored(_), Some(resume)) = (&response, &offer.resume) {
                self.handle.registry.discard_left(sender, resume);
            }
            return Ok(response);
        }
        let max_file_size = core.options.max_file_size;
        if let (Some(size), Some(most)) = (offer.size, max_file_size)
            && size > most
        {
            return Err(too_large(max_file_size));
        }
        core.check_name(&name)?;
        core.check_path(sender, &name, offer.size)?;
        let copy = core.bytes_of_copy(&name, offer.size);
        let accepted = AcceptedOffer {
            identity: sender.clone(),
            name,
            size: offer.size,
            digest: offer.digest,
            modified_ns: offer.modified_ns,
            executable: offer.executable,
            copy,
        };
        let resumable = || self.handle.registry.resumable(sender, offer);
        if let Some(resume) = made.or_else(resumable) {
            let notes = Notes { metadata: options.metadata.clone(), keeps_empty: made.is_some() };
            let (is_named, begins) = (offer.name.is_some(), !options.existing);
            let (address, place) = (options.address, options.place);
            let asked = Asked { accepted, is_named, resume, notes, address, place, begins };
            // Apart, so that the many small files without a key do not move what it takes.
            return Box::pin(self.open_resumable(offer, asked, options)).await;
        }
        if options.existing {
            return Err(resumable::unknown());
        }
        let bytes = accepted.with_copy(offer.size);
        core.make_room_for_small(bytes).await;
        core.check_space(bytes, None)?;
        let reservation = core.reserve_soon(sender, offer.size).await?;
        let reservation = Reservation::count_at(reservation, options.place)?;
        core.check_new_directories(accepted.name.parent()).await?;
        let claim = Claim::of_transient(core, bytes);
        let upload = Transient::new(self, core, accepted, reservation, claim);
        Ok(OfferResponse::Accepted(Upload::transient(upload)))
    }

    /// An offer with a key that leads to an upload, or is to.
    async fn open_resumable(
        &self,
        offer: &Offer,
        asked: Asked,
        options: &OfferOptions,
    ) -> Result<OfferResponse, Refusal> {
        let Handle { core, registry, .. } = &*self.handle;
        let (accepted, is_new) = (asked.accepted.clone(), asked.notes.keeps_empty);
        core.check_new_directories(accepted.name.parent()).await?;
        let published = |name: &EntryName| {
            // Under its made-up name, which the sender does not know.
            let response = core.already_here(&accepted.identity, name, offer)?;
            let asks = matches!(response, OfferResponse::DigestFirst);
            (asks || options.digests.is_empty()).then_some(response)
        };
        let open = || registry.open(asked.clone(), &published);
        Ok(match Usage::counted_later(core.usage.as_deref(), open).await? {
            Opened::Session(session) => {
                // Who finds it lost tells those that hold an upload by then.
                self.check_health()?;
                let missing = offer.size.map(|size| size.saturating_sub(session.bytes()));
                let missing = accepted.with_copy(missing);
                core.make_room_for_small(missing).await;
                if let Err(refusal) = session.claim().check(missing) {
                    // What is here of a stream stays: its sender has not lost anything so far.
                    if offer.size.is_some() {
                        session.fail(&refusal);
                    }
                    return Err(refusal);
                }
                if session.keeps_empty()
                    && let Some(size) = offer.size
                {
                    session.handle().set_size(size)?;
                }
                // Whoever is told the key finds the upload, whatever happens from now on.
                if is_new && let Err(refusal) = session.handle().keep().ready().await {
                    session.discard();
                    return Err(refusal);
                }
                OfferResponse::Accepted(Upload::resumable(self, session))
            }
            Opened::Committing(pending) => OfferResponse::Committing(pending),
            Opened::DigestFirst => OfferResponse::DigestFirst,
            Opened::Published(response) => response,
        })
    }

    async fn open_directory(&self, offer: &Offer) -> Result<OfferResponse, Refusal> {
        let Some(name) = &offer.name else {
            return Err(rules::directory_without_name());
        };
        let name = EntryName::parse(name)?;
        let core = &self.handle.core;
        core.check_name(&name)?;
        core.check_new_directories(Some(name.as_str())).await?;
        let (job, pending) = Job::new(Work::Directory(name));
        self.handle.committer.submit(&self.handle.core, job);
        // Also where it is made by now: the operator hears of each from whoever takes the outcome.
        Ok(OfferResponse::Committing(pending))
    }

    fn name_for_unnamed(&self) -> Result<EntryName, Refusal> {
        match &self.handle.classic_name {
            Some(name) => Ok(name.clone()),
            None => unnamed::made_up_name()
                .ok_or_else(|| Refusal::new(RefusalCode::Io, "the inbox could not make up a name")),
        }
    }
}
