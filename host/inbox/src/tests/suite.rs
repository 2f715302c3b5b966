//! The suite of `sandport_protocol`, which every inbox passes.

use std::path::Path;

use sandport_protocol::inbox::suite::{self, BegunUpload, Finished, Settings, Subject};

use super::*;

sandport_protocol::inbox_suite!(make);

fn make(settings: &Settings) -> Box<dyn Subject> {
    let durability = if settings.durable { Durability::Commit } else { Durability::None };
    Box::new(Bench::with(InboxOptions {
        conflict: settings.conflict,
        durability,
        max_file_size: settings.max_file_size,
        classic_name: settings.classic_name.clone(),
        ..InboxOptions::default()
    }))
}

impl Subject for Bench {
    /// When all is removed that is to be: whoever asks looks what is there.
    fn dir(&self) -> &Path {
        settle(self.inbox());
        self.inbox().dir()
    }

    fn restart(&mut self) {
        self.restart();
    }

    fn wait_idle(&self) {
        self.inbox().handle.pool.wait_idle();
    }

    fn answer(&self, offer: &Offer) -> Result<suite::Response, Refusal> {
        Ok(match self.inbox().offered(offer)? {
            OfferResponse::Stored(receipt) => suite::Response::Stored(receipt),
            OfferResponse::Committing(pending) => suite::Response::Stored(wait(&pending)?),
            OfferResponse::Comparing(comparison) => {
                block_on("the comparison of a stored file", comparison.ready());
                self.answer(offer)?
            }
            OfferResponse::DigestFirst => suite::Response::DigestFirst,
            OfferResponse::Accepted(upload) => {
                suite::Response::Accepted(Box::new(Received { upload, body: None }))
            }
        })
    }
}

struct Received {
    upload: Upload,
    body: Option<Body>,
}

impl BegunUpload for Received {
    fn missing(&self) -> Vec<Extent> {
        self.upload.missing()
    }

    fn body(&mut self, extent: Extent) -> Result<(), Refusal> {
        self.body = None;
        self.body = Some(self.upload.body(extent)?);
        Ok(())
    }

    fn write(&mut self, bytes: &[u8]) {
        if let Some(body) = &mut self.body {
            body.write(bytes);
        }
    }

    fn fault(&self) -> Option<Refusal> {
        self.upload.fault()
    }

    fn finish(self: Box<Self>, size: u64, digest: Option<Digest>) -> Finished {
        let Self { upload, body } = *self;
        drop(body);
        let pending = upload.commit(size, digest);
        Box::new(move || wait(&pending))
    }

    fn discard(self: Box<Self>) {
        self.upload.discard();
    }
}
