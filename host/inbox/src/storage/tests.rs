//! What reaches a storage, and what does not.
#![allow(clippy::unwrap_used)]

use std::sync::{Arc, Mutex};

use sandport_protocol::{
    Algorithm, Digest, EntryKind, EntryName, Extent, Offer, Receipt, Refusal, RefusalCode,
};
use tokio::sync::Semaphore;

use super::{
    Announced, Arrived, Directories, Found, Incoming, Lookup, Publishing, Storage, StorageInbox,
};
use crate::Identity;
use crate::any::response;
use crate::sums::Hasher;
use crate::{CommitHandle, OfferOptions, OfferResponse, Upload};
use sandport_testkit::patience::within;

/// Notes all that it is told.
#[derive(Clone)]
struct Notebook {
    notes: Arc<Mutex<Vec<String>>>,
    /// Each end of an upload whose name is `slow` takes one.
    permits: Arc<Semaphore>,
    powers: bool,
}

impl Notebook {
    fn new() -> Self {
        Self { notes: Arc::default(), permits: Arc::new(Semaphore::new(0)), powers: false }
    }

    fn note(&self, note: String) {
        self.notes.lock().unwrap().push(note);
    }

    fn notes(&self) -> Vec<String> {
        self.notes.lock().unwrap().clone()
    }

    fn inbox(&self) -> Arc<StorageInbox> {
        Arc::new(StorageInbox::new(Box::new(self.clone()), Some(100)))
    }
}

struct Noted(Notebook, String);

impl Storage for Notebook {
    fn begin(&self, file: &Announced) -> Result<Box<dyn Incoming>, Refusal> {
        assert_eq!(file.identity, owner());
        self.note(format!("begin {} {:?}", file.name, file.size));
        Ok(Box::new(Noted(self.clone(), file.name.as_str().to_owned())))
    }

    fn lookup(&self) -> Option<&dyn Lookup> {
        self.powers.then_some(self as _)
    }

    fn directories(&self) -> Option<&dyn Directories> {
        self.powers.then_some(self as _)
    }
}

impl Incoming for Noted {
    fn write(&mut self, bytes: &[u8]) -> Result<(), Refusal> {
        if bytes == b"full" {
            return Err(Refusal::new(RefusalCode::QuotaExceeded, "no more room"));
        }
        self.0.note(format!("write {}", String::from_utf8_lossy(bytes)));
        Ok(())
    }

    fn publish(self: Box<Self>, file: Arrived) -> Publishing {
        Box::pin(async move {
            match self.1.as_str() {
                "slow" => drop(self.0.permits.acquire().await),
                "broken" => panic!("a panic on purpose"),
                _ => {}
            }
            self.0.note(format!("publish {} {}", self.1, file.size));
            Ok(EntryName::parse(&format!("stored/{}", self.1)).unwrap())
        })
    }
}

impl Drop for Noted {
    fn drop(&mut self) {
        self.0.note(format!("drop {}", self.1));
    }
}

impl Lookup for Notebook {
    fn find(
        &self,
        identity: &Identity,
        name: &EntryName,
        size: Option<u64>,
        digest: Option<Digest>,
    ) -> Option<Found> {
        let file = Arrived { size: 5, digest: digest_of(b"hello") };
        let fits = *identity == owner()
            && name.as_str() == "known"
            && size.is_none_or(|size| size == file.size)
            && digest.is_none_or(|digest| digest == file.digest);
        fits.then(|| Found { name: name.clone(), file })
    }
}

impl Directories for Notebook {
    fn make(&self, identity: &Identity, name: &EntryName) -> Result<(), Refusal> {
        self.note(format!("make {name} for {identity}"));
        Ok(())
    }
}

/// Who has stored what there is.
fn owner() -> Identity {
    Identity::user(7)
}

impl StorageInbox {
    fn offered(self: &Arc<Self>, offer: &Offer) -> Result<OfferResponse, Refusal> {
        self.offer_with(offer, &OfferOptions::default())
    }

    fn offer_with(
        self: &Arc<Self>,
        offer: &Offer,
        options: &OfferOptions,
    ) -> Result<OfferResponse, Refusal> {
        let claims = options.claims();
        response(self.offer(&owner(), offer, &claims)?, claims)
    }
}

fn digest_of(bytes: &[u8]) -> Digest {
    Digest::Blake3(*blake3::hash(bytes).as_bytes())
}

fn parsed(name: &str) -> EntryName {
    EntryName::parse(name).unwrap()
}

fn offer(name: &str) -> Offer {
    Offer::of_file(Some(name.to_owned()), None)
}

#[track_caller]
fn accepted(inbox: &Arc<StorageInbox>, offer: &Offer) -> Upload {
    match inbox.offered(offer) {
        Ok(OfferResponse::Accepted(upload)) => upload,
        other => panic!("{other:?}"),
    }
}

fn write(upload: &Upload, bytes: &[u8]) {
    upload.body(Extent { offset: 0, length: None }).unwrap().write(bytes);
}

async fn outcome(pending: CommitHandle) -> Result<Receipt, Refusal> {
    within("the outcome of a commit", pending.ready()).await;
    pending.try_get().unwrap()
}

#[track_caller]
fn assert_code<T: std::fmt::Debug>(result: Result<T, Refusal>, code: RefusalCode) {
    assert_eq!(result.map_err(|refusal| refusal.code).unwrap_err(), code);
}

#[tokio::test]
async fn a_file_is_published_with_size_digest_and_the_storages_name() {
    let notebook = Notebook::new();
    let upload = accepted(&notebook.inbox(), &offer("file"));
    write(&upload, b"hello");
    let receipt = outcome(upload.commit(5, Some(digest_of(b"hello")))).await.unwrap();
    assert_eq!((receipt.name.as_str(), receipt.size), ("stored/file", 5));
    assert_eq!(receipt.digest, digest_of(b"hello"));
    let notes = ["begin file None", "write hello", "publish file 5", "drop file"];
    assert_eq!(notebook.notes(), notes);
}

#[tokio::test]
async fn what_is_not_what_was_announced_is_dropped_and_not_published() {
    let announced = Offer { size: Some(5), digest: Some(digest_of(b"hello")), ..offer("file") };
    for (content, size, digest) in [
        (&b"hell"[..], 4, None),
        (b"hello", 4, None),
        (b"jello", 5, None),
        (b"hello", 5, Some(digest_of(b"jello"))),
    ] {
        let notebook = Notebook::new();
        let upload = accepted(&notebook.inbox(), &announced);
        write(&upload, content);
        assert_code(outcome(upload.commit(size, digest)).await, RefusalCode::DigestMismatch);
        assert_eq!(notebook.notes().last().unwrap(), "drop file");
        assert!(!notebook.notes().iter().any(|note| note.starts_with("publish")));
    }
}

#[tokio::test]
async fn bytes_beyond_the_announced_size_never_reach_the_storage() {
    let notebook = Notebook::new();
    let inbox = notebook.inbox();
    assert_code(inbox.offered(&Offer { size: Some(101), ..offer("big") }), RefusalCode::TooLarge);
    assert_eq!(notebook.notes(), [""; 0]);

    for (announced, content, code) in [
        (Some(5), vec![b'x'; 6], RefusalCode::OffsetMismatch),
        (None, vec![b'x'; 101], RefusalCode::TooLarge),
    ] {
        let upload = accepted(&inbox, &Offer { size: announced, ..offer("file") });
        let watch = upload.watch();
        write(&upload, &content);
        within("news of the upload", watch.news()).await;
        assert_eq!(upload.fault().unwrap().code, code);
        assert_code(upload.body(Extent { offset: 0, length: None }), code);
        assert_code(outcome(upload.commit(content.len() as u64, None)).await, code);
    }
    assert!(!notebook.notes().iter().any(|note| note.starts_with("write")));
}

#[tokio::test]
async fn a_storage_that_refuses_ends_the_upload_in_its_words() {
    let notebook = Notebook::new();
    let upload = accepted(&notebook.inbox(), &offer("file"));
    let mut body = upload.body(Extent { offset: 0, length: None }).unwrap();
    for bytes in [&b"hello"[..], b"full", b"swallowed"] {
        body.write(bytes);
    }
    // What came is let go at once, not when the sender notices.
    assert_eq!(notebook.notes(), ["begin file None", "write hello", "drop file"]);
    let refusal = outcome(upload.commit(9, None)).await.unwrap_err();
    assert_eq!(refusal, Refusal::new(RefusalCode::QuotaExceeded, "no more room"));
}

#[tokio::test]
async fn a_dropped_upload_is_dropped_in_the_storage_despite_a_body() {
    let notebook = Notebook::new();
    for discard in [false, true] {
        let upload = accepted(&notebook.inbox(), &offer("file"));
        let mut body = upload.body(Extent { offset: 0, length: None }).unwrap();
        if discard {
            upload.discard();
        } else {
            drop(upload);
        }
        body.write(b"late");
        assert_eq!(notebook.notes(), ["begin file None", "drop file"]);
        notebook.notes.lock().unwrap().clear();
    }
}

#[tokio::test]
async fn a_file_that_hangs_keeps_no_other_waiting() {
    let notebook = Notebook::new();
    let inbox = notebook.inbox();
    let slow = accepted(&inbox, &offer("slow")).commit(0, None);
    let wrong = accepted(&inbox, &offer("wrong")).commit(1, None);
    let quick = accepted(&inbox, &offer("quick")).commit(0, None);
    within("the end of the quick one", quick.ready()).await;
    within("the end of the wrong one", wrong.ready()).await;
    assert!(slow.try_get().is_none() && quick.try_get().unwrap().is_ok());
    assert_code(wrong.try_get().unwrap(), RefusalCode::DigestMismatch);
    notebook.permits.add_permits(1);
    within("the end of the slow one", slow.ready()).await;
    assert!(slow.try_get().unwrap().is_ok());
}

#[tokio::test]
async fn a_storage_that_panics_costs_its_upload_alone() {
    let notebook = Notebook::new();
    let inbox = notebook.inbox();
    let broken = accepted(&inbox, &offer("broken")).commit(0, None);
    let next = accepted(&inbox, &offer("next")).commit(0, None);
    assert_code(outcome(broken).await, RefusalCode::Io);
    outcome(next).await.unwrap();
}

#[tokio::test]
async fn names_are_parsed_before_and_made_up_where_there_are_none() {
    let notebook = Notebook::new();
    let inbox = notebook.inbox();
    assert_code(inbox.offered(&offer("../out")), RefusalCode::NameInvalid);
    assert_eq!(notebook.notes(), [""; 0]);
    accepted(&inbox, &Offer { name: None, ..offer("") }).discard();
    assert!(notebook.notes()[0].starts_with("begin upload-"), "{:?}", notebook.notes());
}

#[tokio::test]
async fn powers_are_used_where_there_are_any() {
    let directory = Offer { kind: EntryKind::Directory, ..offer("directory") };
    let sized = Offer { size: Some(5), ..offer("known") };
    let digested = Offer { digest: Some(digest_of(b"hello")), ..offer("known") };
    let other = Offer { digest: Some(digest_of(b"jello")), ..offer("known") };

    let mut notebook = Notebook::new();
    let inbox = notebook.inbox();
    assert_code(inbox.offered(&directory), RefusalCode::Other);
    accepted(&inbox, &sized).discard();
    accepted(&inbox, &digested).discard();

    notebook.powers = true;
    let inbox = notebook.inbox();
    assert!(
        matches!(inbox.offered(&directory), Ok(OfferResponse::Stored(receipt)) if receipt.size == 0)
    );
    assert_eq!(notebook.notes().last().unwrap(), "make directory for uid:7");
    assert!(matches!(inbox.offered(&sized), Ok(OfferResponse::DigestFirst)));
    match inbox.offered(&digested) {
        Ok(OfferResponse::Stored(receipt)) => {
            assert_eq!((receipt.name.as_str(), receipt.size), ("known", 5))
        }
        other => panic!("{other:?}"),
    }
    // Who asks is told to whoever answers.
    let stranger = inbox.already_here(&Identity::ANONYMOUS, &parsed("known"), &digested);
    assert_eq!(stranger, None);
    accepted(&inbox, &other).discard();
    accepted(&inbox, &offer("known")).discard();
}

#[tokio::test]
async fn digests_of_other_kinds_are_computed_if_the_offer_names_them() {
    let digest = |content: &[u8]| {
        let mut hasher = Hasher::new(Algorithm::Sha256).unwrap();
        hasher.update(content);
        hasher.digest()
    };
    let notebook = Notebook::new();
    let open = |options: &OfferOptions| match notebook.inbox().offer_with(&offer("file"), options) {
        Ok(OfferResponse::Accepted(upload)) => upload,
        other => panic!("{other:?}"),
    };
    let wanting = OfferOptions { want: vec![Algorithm::Sha256], ..OfferOptions::default() };
    let upload = open(&wanting);
    write(&upload, b"hello");
    let pending = upload.commit_with(5, None, &[digest(b"hello")]);
    outcome(pending.clone()).await.unwrap();
    assert_eq!(pending.digests(), [digest(b"hello")]);

    let claiming = OfferOptions { digests: vec![digest(b"hello")], ..OfferOptions::default() };
    let upload = open(&claiming);
    write(&upload, b"jello");
    assert_code(outcome(upload.commit(5, None)).await, RefusalCode::DigestMismatch);

    // What went into a storage cannot be read from it.
    let upload = open(&OfferOptions::default());
    write(&upload, b"hello");
    let late = upload.commit_with(5, None, &[digest(b"hello")]);
    assert_code(outcome(late).await, RefusalCode::UnsupportedVersion);
    let published = notebook.notes().iter().filter(|note| note.starts_with("publish")).count();
    assert_eq!(published, 1);
}
