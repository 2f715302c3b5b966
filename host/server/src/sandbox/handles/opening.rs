//! Offers that the inbox considers.

use std::sync::Arc;

use sandport_protocol::{EntryKind, Offer, Refusal};

use super::committing::{CommittingHandle, Told};
use super::later::Later;
use super::upload::UploadHandle;
use crate::event::ServerEvent;
use crate::sandbox::connection::Connection;

/// An offer that the inbox considers.
pub struct OpeningHandle {
    pub(in crate::sandbox) answer: Later<Result<Response, Refusal>>,
    /// Whether it counts among the uploads that the connection holds.
    pub(in crate::sandbox) is_counted: bool,
}

/// What becomes of an offer, without the resource that an upload becomes.
pub(in crate::sandbox) enum Response {
    Stored(Told),
    Accepted(UploadHandle),
    DigestFirst,
}

/// Takes the memory for an upload and asks the inbox; and again when that has compared what is stored, which it does on
/// file systems where nothing else tells whether it is still that.
pub(in crate::sandbox) async fn open(
    connection: Arc<Connection>,
    offer: Offer,
    options: sandport_inbox::OfferOptions,
) -> Result<Response, Refusal> {
    let has_key = options.new_key || options.existing;
    let taken = connection.take_memory(sandport_inbox::memory_of(&offer, has_key));
    let charge = taken.inspect_err(|refusal| tell(&connection, offer.name.clone(), refusal))?;
    loop {
        // Who it is, the host found out: the guest has no say in it.
        let opening =
            connection.context.inbox.offer(connection.sender.identity(), &offer, &options);
        return match opening.await {
            Ok(sandport_inbox::OfferResponse::Comparing(comparison)) => {
                comparison.ready().await;
                continue;
            }
            Ok(sandport_inbox::OfferResponse::Stored(receipt)) => {
                // BLAKE3 alone: for another digest the file would be read whenever somebody likes.
                connection.handle_answer();
                let (kind, offered) = (offer.kind, offer.name);
                Ok(Response::Stored(Told { receipt, digests: Vec::new(), kind, offered }))
            }
            Ok(sandport_inbox::OfferResponse::DigestFirst) => Ok(Response::DigestFirst),
            Ok(sandport_inbox::OfferResponse::Accepted(mut upload)) => {
                upload.charge(&connection.elsewhere);
                let account = Arc::clone(connection.memory());
                upload.hold_memory(account);
                Ok(Response::Accepted(UploadHandle::new(upload, offer.name, charge)))
            }
            // A directory on its way to the disk, or a file that another connection commits.
            Ok(sandport_inbox::OfferResponse::Committing(pending)) => {
                let (name, kind) = (offer.name.clone(), offer.kind);
                let is_file = kind == EntryKind::File;
                let making = CommittingHandle::of_offer(pending, name, kind, &connection);
                match making.outcome().await {
                    // That one claimed other digests. Now this one is asked for the file.
                    Ok(_) if is_file && !options.digests.is_empty() => continue,
                    outcome => outcome.map(Response::Stored),
                }
            }
            Err(refusal) => {
                tell(&connection, offer.name, &refusal);
                Err(refusal)
            }
        };
    }
}

pub(in crate::sandbox) fn tell(connection: &Connection, name: Option<String>, refusal: &Refusal) {
    let (peer, refusal) = (connection.peer(), refusal.clone());
    connection.emit(ServerEvent::UploadRefused { peer, name, refusal });
}
