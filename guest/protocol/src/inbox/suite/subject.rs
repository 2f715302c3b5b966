//! An inbox under test, and what tests do with it.

use std::boxed::Box;
use std::path::Path;
use std::string::{String, ToString as _};
use std::vec::Vec;
use std::{format, fs, vec};

use crate::inbox::Conflict;
use crate::{Digest, Extent, Offer, Receipt, Refusal, RefusalCode};

/// The settings of an inbox under test.
#[derive(Clone, Debug, Default)]
pub struct Settings {
    pub conflict: Conflict,
    /// Whether receipts promise that files survive a power cut.
    pub durable: bool,
    pub max_file_size: Option<u64>,
    pub classic_name: Option<String>,
}

/// An inbox under test, in a directory of its own.
pub trait Subject {
    /// Where files appear.
    fn dir(&self) -> &Path;

    /// Ends the server and starts another on the same directory.
    fn restart(&mut self);

    /// Answers an offer.
    fn answer(&self, offer: &Offer) -> Result<Response, Refusal>;

    /// Waits until nothing is under way that nobody waits for.
    fn wait_idle(&self);
}

/// What becomes of a commit: it is waited for.
pub type Finished = Box<dyn FnOnce() -> Result<Receipt, Refusal>>;

/// What became of an offer. Directories that are on their way are waited for.
pub enum Response {
    Stored(Receipt),
    Accepted(Box<dyn BegunUpload>),
    DigestFirst,
}

/// An upload.
pub trait BegunUpload {
    fn missing(&self) -> Vec<Extent>;

    /// Begins a body.
    fn body(&mut self, extent: Extent) -> Result<(), Refusal>;

    /// Writes into it.
    fn write(&mut self, bytes: &[u8]);

    fn fault(&self) -> Option<Refusal>;

    /// Commits.
    fn finish(self: Box<Self>, size: u64, digest: Option<Digest>) -> Finished;

    /// Commits, and waits for the outcome.
    fn commit(self: Box<Self>, size: u64, digest: Option<Digest>) -> Result<Receipt, Refusal> {
        self.finish(size, digest)()
    }

    /// Gives it up.
    fn discard(self: Box<Self>);
}

/// Makes an inbox.
pub type Make<'a> = &'a dyn Fn(&Settings) -> Box<dyn Subject>;

pub(super) fn settings(durable: bool) -> Settings {
    Settings { durable, ..Settings::default() }
}

pub(super) fn with_conflict(durable: bool, conflict: Conflict) -> Settings {
    Settings { durable, conflict, ..Settings::default() }
}

pub(super) fn offer(name: &str, content: &[u8]) -> Offer {
    Offer::of_file(Some(name.to_string()), Some(content.len() as u64))
}

pub(super) fn with_digest(name: &str, content: &[u8]) -> Offer {
    Offer { digest: Some(digest(content)), ..offer(name, content) }
}

pub(super) fn digest(content: &[u8]) -> Digest {
    Digest::Blake3(*blake3::hash(content).as_bytes())
}

pub(super) fn accept(subject: &dyn Subject, offer: &Offer) -> Box<dyn BegunUpload> {
    match subject.answer(offer).unwrap() {
        Response::Accepted(begun) => begun,
        _ => panic!("{offer:?} is not accepted"),
    }
}

pub(super) const ALL: Extent = Extent { offset: 0, length: None };

/// An upload that has received `content`, in two pieces.
pub(super) fn arrived(
    subject: &dyn Subject,
    offer: &Offer,
    content: &[u8],
) -> Box<dyn BegunUpload> {
    let mut begun = accept(subject, offer);
    if !content.is_empty() {
        begun.body(ALL).unwrap();
        let (first, second) = content.split_at(content.len() / 2);
        begun.write(first);
        begun.write(second);
    }
    begun
}

/// Sends a file as a sender does that knows its size but not its digest.
pub(super) fn send(subject: &dyn Subject, name: &str, content: &[u8]) -> Result<Receipt, Refusal> {
    let response = match subject.answer(&offer(name, content))? {
        Response::DigestFirst => subject.answer(&with_digest(name, content))?,
        response => response,
    };
    match response {
        Response::Stored(receipt) => Ok(receipt),
        Response::Accepted(mut begun) => {
            if !content.is_empty() {
                begun.body(ALL)?;
                begun.write(content);
            }
            begun.commit(content.len() as u64, Some(digest(content)))
        }
        Response::DigestFirst => panic!("asked for a digest that was given"),
    }
}

#[track_caller]
pub(super) fn code<T>(result: Result<T, Refusal>) -> RefusalCode {
    match result {
        Ok(_) => panic!("it is not refused"),
        Err(refusal) => refusal.code,
    }
}

/// All that is published: `/` behind directories, `@` behind what is neither directory nor file.
pub(super) fn published(subject: &dyn Subject) -> Vec<(String, Vec<u8>)> {
    fn list(dir: &Path, prefix: &str, found: &mut Vec<(String, Vec<u8>)>) {
        for entry in fs::read_dir(dir).unwrap() {
            let entry = entry.unwrap();
            let name = format!("{prefix}{}", entry.file_name().to_str().unwrap());
            let kind = entry.file_type().unwrap();
            if name == ".sandport" {
                continue;
            } else if kind.is_dir() {
                found.push((format!("{name}/"), Vec::new()));
                list(&entry.path(), &format!("{name}/"), found);
            } else if kind.is_file() {
                found.push((name, fs::read(entry.path()).unwrap()));
            } else {
                found.push((format!("{name}@"), Vec::new()));
            }
        }
    }
    let mut found = Vec::new();
    list(subject.dir(), "", &mut found);
    found.sort();
    found
}

pub(super) fn names(subject: &dyn Subject) -> Vec<String> {
    published(subject).into_iter().map(|(name, _)| name).collect()
}

pub(super) fn staged(subject: &dyn Subject) -> usize {
    fs::read_dir(subject.dir().join(".sandport/staging")).unwrap().count()
}

#[track_caller]
pub(super) fn assert_empty(subject: &dyn Subject) {
    assert_eq!((names(subject), staged(subject)), (vec![], 0));
}
