//! Offers that the inbox considers.

use std::sync::Arc;
use std::task::{Context, Poll, Waker};

use sandport_protocol as protocol;
use sandport_protocol::RefusalCode;
use wasmtime::component::Resource;
use wasmtime_wasi_io::poll::DynPollable;

use crate::sandbox::bindings::sandport::upload::inbox::{Answer, HostOpening, Opened};
use crate::sandbox::bindings::sandport::upload::types::{Offer, Refusal};
use crate::sandbox::convert;
use crate::sandbox::handles::{Later, OpeningHandle, Response, open, tell};
use crate::sandbox::state::State;

impl State {
    /// Makes an offer to the inbox.
    pub(super) fn offer(&mut self, offer: Offer) -> wasmtime::Result<Opened> {
        let refused = |refusal| Ok(Opened::Answered(Err(convert::to_refusal(refusal))));
        let (offer, mut options) = match convert::offer(offer) {
            Ok(offer) => offer,
            Err(refusal) => return refused(refusal),
        };
        if let Err(refusal) = self.check_uploads() {
            tell(&self.connection, offer.name, &refusal);
            return refused(refusal);
        }
        // Else nobody asks for it.
        if options.new_key || offer.resume.is_some() {
            options.address = self.connection.sender.address();
        }
        if self.connection.context.inbox.counts_places() {
            options.place = self.connection.place();
        }
        let mut opening = Box::pin(open(Arc::clone(&self.connection), offer, options));
        // Most offers have their answer at once, so that nobody waits.
        let mut nobody = Context::from_waker(Waker::noop());
        if let Poll::Ready(response) = opening.as_mut().poll(&mut nobody) {
            return Ok(Opened::Answered(self.give(response)?));
        }
        self.change_uploads(1);
        let connection = Arc::clone(&self.connection);
        let answer = Later::coming(async move {
            // Whoever waits for the inbox is not idle.
            let _waits = connection.wait_for_disk();
            opening.await
        });
        let opening = OpeningHandle { answer, is_counted: true };
        Ok(Opened::Opening(self.table.push(opening)?))
    }

    /// Gives the guest an answer, and the upload where it is accepted, which counts from then on.
    fn give(
        &mut self,
        response: Result<Response, protocol::Refusal>,
    ) -> wasmtime::Result<Result<Answer, Refusal>> {
        Ok(match response {
            Ok(Response::Stored(receipt)) => Ok(Answer::Stored(convert::to_receipt(receipt))),
            Ok(Response::DigestFirst) => Ok(Answer::DigestFirst),
            Ok(Response::Accepted(upload)) => {
                self.change_uploads(1);
                Ok(Answer::Accepted(self.table.push(upload)?))
            }
            Err(refusal) => Err(convert::to_refusal(refusal)),
        })
    }
}

impl State {
    /// The guest holds so many uploads more.
    pub(super) fn change_uploads(&mut self, by: isize) {
        self.uploads = self.uploads.saturating_add_signed(by);
        self.connection.set_uploads(self.uploads);
    }

    /// Refuses where the connection holds as many uploads as it was granted.
    fn check_uploads(&self) -> Result<(), protocol::Refusal> {
        let granted = self.connection.context.limits.max_uploads_ahead as usize;
        if self.uploads + self.connection.commits() < granted {
            return Ok(());
        }
        let words = format!("{granted} uploads are open on this connection");
        Err(protocol::Refusal::new(RefusalCode::TooMany, words))
    }
}

impl HostOpening for State {
    fn subscribe(
        &mut self,
        this: Resource<OpeningHandle>,
    ) -> wasmtime::Result<Resource<DynPollable>> {
        let answer = self.table.get(&this)?.answer.clone();
        answer.subscribe(&mut self.table)
    }

    fn take(
        &mut self,
        this: Resource<OpeningHandle>,
    ) -> wasmtime::Result<Option<Result<Answer, Refusal>>> {
        let opening = self.table.get_mut(&this)?;
        let Some(response) = opening.answer.take() else { return Ok(None) };
        // An upload goes on counting, as what it is.
        if std::mem::take(&mut opening.is_counted) {
            self.change_uploads(-1);
        }
        Ok(Some(self.give(response)?))
    }

    fn drop(&mut self, this: Resource<OpeningHandle>) -> wasmtime::Result<()> {
        if self.table.delete(this)?.is_counted {
            self.change_uploads(-1);
        }
        Ok(())
    }
}
