//! The suite that every inbox passes, on a disk of std's.
#![cfg(unix)]
#![allow(clippy::unwrap_used)]

mod std_disk;

use std::path::{Path, PathBuf};
use std::rc::Rc;

use sandport_protocol::inbox::suite::{self, BegunUpload, Finished, Settings, Subject};
use sandport_protocol::{Digest, EntryName, Extent, Offer, Refusal};
use sandport_standalone::inbox::{Durability, Inbox, OfferResponse, Options, Upload};
use std_disk::{StdDirectory, ambient};
use tempfile::TempDir;

/// Most turns of an inbox until it has done what it has to do.
const TURNS_MAX: usize = 100;

sandport_protocol::inbox_suite!(make);

fn make(settings: &Settings) -> Box<dyn Subject> {
    let directory = tempfile::tempdir().unwrap();
    let dir = directory.path().join("inbox");
    std::fs::create_dir(&dir).unwrap();
    let options = Options {
        conflict: settings.conflict,
        durability: if settings.durable { Durability::Commit } else { Durability::None },
        max_file_size: settings.max_file_size,
        classic_name: settings.classic_name.as_ref().map(|name| EntryName::parse(name).unwrap()),
        ..Options::default()
    };
    let inbox = open(&dir, &options);
    Box::new(Bench { _directory: directory, dir, options, inbox })
}

fn open(dir: &Path, options: &Options) -> Rc<Inbox<StdDirectory>> {
    Rc::new(Inbox::open(StdDirectory::new(dir), options.clone(), ambient()).unwrap())
}

struct Bench {
    _directory: TempDir,
    dir: PathBuf,
    options: Options,
    inbox: Rc<Inbox<StdDirectory>>,
}

impl Subject for Bench {
    fn dir(&self) -> &Path {
        &self.dir
    }

    fn restart(&mut self) {
        self.inbox = open(&self.dir, &self.options);
    }

    fn answer(&self, offer: &Offer) -> Result<suite::Response, Refusal> {
        Ok(match self.inbox.answer(offer)? {
            OfferResponse::Stored(receipt) => suite::Response::Stored(receipt),
            OfferResponse::DigestFirst => suite::Response::DigestFirst,
            OfferResponse::Accepted(upload) => {
                let inbox = Rc::clone(&self.inbox);
                suite::Response::Accepted(Box::new(Received { inbox, upload }))
            }
        })
    }

    fn wait_idle(&self) {
        // Whatever can be done at once is done.
    }
}

struct Received {
    inbox: Rc<Inbox<StdDirectory>>,
    upload: Upload<StdDirectory>,
}

impl BegunUpload for Received {
    fn missing(&self) -> Vec<Extent> {
        self.upload.missing()
    }

    fn body(&mut self, extent: Extent) -> Result<(), Refusal> {
        self.upload.body(extent)
    }

    fn write(&mut self, bytes: &[u8]) {
        self.upload.write(bytes);
    }

    fn fault(&self) -> Option<Refusal> {
        self.upload.fault().cloned()
    }

    fn finish(self: Box<Self>, size: u64, digest: Option<Digest>) -> Finished {
        let Self { inbox, upload } = *self;
        let commit = upload.commit(size, digest);
        Box::new(move || {
            for _ in 0..TURNS_MAX {
                if let Some(outcome) = commit.outcome() {
                    return outcome.clone().map(|published| published.receipt());
                }
                inbox.turn();
            }
            panic!("{TURNS_MAX} turns of the inbox, and no outcome of a commit")
        })
    }

    fn discard(self: Box<Self>) {
        self.upload.discard();
    }
}
