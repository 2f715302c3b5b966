//! A disk of which any one step fails, and that takes less than it is given: it costs a try, and nothing
//! else.

use std::sync::atomic::Ordering;
use std::sync::{Condvar, Mutex};
use std::thread::ThreadId;
use std::time::Duration;

use rustix::io::Errno;
use sandport_protocol::ResumeMode;
use sandport_protocol::journal::GROUP_BYTES;

use super::resume::{content, resumable};
use super::*;
use crate::disk::Step;
use crate::disk::probes::WriteProbe;
use sandport_testkit::patience::PATIENCE;

const GROUP: usize = GROUP_BYTES as usize;

/// How often a sender tries.
const TRIES: usize = 3;

fn options() -> InboxOptions {
    let watermark_interval = Duration::from_secs(3600);
    InboxOptions { watermark_bytes: GROUP_BYTES, watermark_interval, ..InboxOptions::default() }
}

fn large() -> (Offer, Vec<u8>) {
    let content = content(3 * GROUP + 5);
    let offer = resumable("big", Some(content.len() as u64), ResumeMode::TakeOver);
    (Offer { digest: Some(digest(&content)), ..offer }, content)
}

/// Sends a file until it is stored; how often that was refused. `whole` is called with each upload that has
/// come as a whole.
fn send_until_stored(
    inbox: &Inbox,
    (offer, content): &(Offer, Vec<u8>),
    what: &str,
    whole: impl Fn(),
) -> usize {
    let refused = (0..TRIES).take_while(|_| {
        let refusal = match inbox.offered(offer) {
            Ok(OfferResponse::Stored(_)) => return false,
            Ok(OfferResponse::Accepted(upload)) => {
                bring(&upload, content);
                if upload.fault().is_none() {
                    whole();
                }
                match wait(&upload.commit(content.len() as u64, None)) {
                    Ok(_) => return false,
                    Err(refusal) => refusal,
                }
            }
            Ok(other) => panic!("{other:?}"),
            Err(refusal) => refusal,
        };
        let known = [RefusalCode::Io, RefusalCode::InsufficientSpace];
        assert!(known.contains(&refusal.code), "{what}: {refusal}");
        true
    });
    let refused = refused.count();
    assert!(refused < TRIES, "{what}: {:?} cannot be finished", offer.name);
    refused
}

/// Brings what is missing, as far as the inbox takes it.
fn bring(upload: &Upload, content: &[u8]) {
    for extent in upload.missing() {
        let start = extent.offset as usize;
        let end = extent.length.map_or(content.len(), |length| start + length as usize);
        if let Ok(mut body) = upload.body(extent) {
            content[start..end].chunks(GROUP / 2 + 1).for_each(|piece| body.write(piece));
        }
    }
}

/// One step of all fails, and the sender tries again; whether there were as many steps.
fn finishes_though_a_step_fails(number: usize, errno: Errno) -> bool {
    let file = large();
    let bench = Bench::in_memory(options());
    let steps = Arc::new(AtomicUsize::new(0));
    let counted = Arc::clone(&steps);
    let failed = Arc::new(Mutex::new(None));
    let noted = Arc::clone(&failed);
    bench.inbox().handle.core.disk.watch(Box::new(move |step| {
        if counted.fetch_add(1, Ordering::Relaxed) != number {
            return Ok(());
        }
        *noted.lock().unwrap() = Some(step);
        Err(errno)
    }));
    send_until_stored(bench.inbox(), &file, &format!("step {number} fails with {errno}"), || ());
    let published = bench.published();
    let whole = published.iter().all(|(_, found)| *found == file.1);
    assert!(whole, "step {number}: a wrong file");
    // A name that could not be made durable is not vouched for to the sender, who sends again: of all that
    // can fail, this alone leaves a copy.
    let is_durable = *failed.lock().unwrap() != Some(Step::SyncDir);
    assert!(published.len() == 1 || !is_durable, "step {number}: {:?}", bench.names());
    steps.load(Ordering::Relaxed) > number
}

#[test]
fn a_step_of_the_disk_that_fails_costs_a_try_and_nothing_else() {
    for errno in [Errno::IO, Errno::NOSPC] {
        let mut number = 0;
        while finishes_though_a_step_fails(number, errno) {
            number += 1;
        }
        assert!(number > 15, "{number}");
    }
}

/// A write that takes less than it is given.
#[derive(Clone, Copy, Debug)]
struct Short {
    taken: Taken,
    /// What comes of the next write of the same thread, which tries the rest.
    then: Option<Errno>,
}

#[derive(Clone, Copy, Debug)]
enum Taken {
    None,
    One,
    Half,
    AllButOne,
}

impl Taken {
    fn of(self, bytes: usize) -> usize {
        match self {
            Self::None => 0,
            Self::One => bytes.min(1),
            Self::Half => bytes / 2,
            Self::AllButOne => bytes.saturating_sub(1),
        }
    }
}

/// How far the writes of a test have come.
#[derive(Default)]
struct Writes {
    /// How many there were of the kind of which one is short.
    count: usize,
    /// The thread that made the short one.
    short: Option<ThreadId>,
    /// It was followed by what follows it.
    followed: bool,
    /// The journal was written, or that was tried.
    journal: bool,
}

/// Those, and where the journal is waited for.
type Watched = Arc<(Mutex<Writes>, Condvar)>;

/// Makes the write of a kind with this number a short one.
fn probe(
    watched: &Watched,
    (kind, number): (Step, usize),
    Short { taken, then }: Short,
) -> WriteProbe {
    let watched = Arc::clone(watched);
    Box::new(move |step, bytes| {
        let mut writes = watched.0.lock().unwrap();
        writes.journal |= step == Step::WriteJournal;
        watched.1.notify_all();
        if step != kind {
            return Ok(bytes);
        }
        let thread = std::thread::current().id();
        writes.count += 1;
        if writes.count == number + 1 {
            writes.short = Some(thread);
            return Ok(taken.of(bytes));
        }
        if writes.short == Some(thread) && !std::mem::replace(&mut writes.followed, true) {
            return then.map_or(Ok(bytes), Err);
        }
        Ok(bytes)
    })
}

/// A new inbox gets a small and a large file, and one write of a kind is short; whether there were as many.
fn finishes_though_a_write_is_short(kind: Step, number: usize, short: Short) -> bool {
    let small = (offer_with_digest("d/small", b"small"), b"small".to_vec());
    let files = [small, large()];
    let directory = tempfile::tempdir_in("/dev/shm").or_else(|_| tempfile::tempdir()).unwrap();
    let dir = directory.path().join("inbox");
    let watched = Watched::default();
    let start = || {
        let disk = Disk::default();
        disk.watch_writes(probe(&watched, (kind, number), short));
        Inbox::open_on(disk, &dir, options())
    };
    let what = format!("{kind:?} {number}: {short:?}");
    let (inbox, mut refused) = match start() {
        Ok(inbox) => (inbox, 0),
        Err(InboxError::Io { .. }) => (start().expect("a second start"), 1),
        Err(other) => panic!("{what}: {other}"),
    };
    refused += send_until_stored(&inbox, &files[0], &what, || ());
    // The journal is about to be written. Who commits before it does needs none.
    let journal = || {
        let writes = watched.0.lock().unwrap();
        let wait = watched.1.wait_timeout_while(writes, PATIENCE, |writes| !writes.journal);
        assert!(!wait.unwrap().1.timed_out(), "{what}: no journal");
    };
    refused += send_until_stored(&inbox, &files[1], &what, journal);
    let goes_on = matches!(short.then, None | Some(Errno::INTR));
    if goes_on && !matches!(short.taken, Taken::None) {
        assert_eq!(refused, 0, "{what}");
    }
    drop(inbox);

    // All of it holds for the next server too.
    let inbox = Inbox::open(&dir, options()).expect(&what);
    for (offer, _) in &files {
        let response = inbox.offered(offer);
        assert!(matches!(response, Ok(OfferResponse::Stored(_))), "{what}: {response:?}");
    }
    let mut published = Vec::new();
    list(&dir, "", &mut published);
    published.sort();
    let [(_, small), (_, large)] = files;
    let expected = [("big", large), ("d/", Vec::new()), ("d/small", small)];
    assert!(published == expected.map(|(name, content)| (name.to_owned(), content)), "{what}");
    watched.0.lock().unwrap().short.is_some()
}

#[test]
fn a_short_write_goes_on_or_costs_one_try() {
    for short in [
        Short { taken: Taken::None, then: None },
        Short { taken: Taken::One, then: None },
        Short { taken: Taken::Half, then: None },
        Short { taken: Taken::AllButOne, then: None },
        Short { taken: Taken::Half, then: Some(Errno::INTR) },
        Short { taken: Taken::One, then: Some(Errno::NOSPC) },
        Short { taken: Taken::Half, then: Some(Errno::NOSPC) },
        Short { taken: Taken::AllButOne, then: Some(Errno::NOSPC) },
        Short { taken: Taken::Half, then: Some(Errno::IO) },
    ] {
        for (kind, least) in [
            (Step::WriteLayout, 1),
            (Step::Write, 5),
            (Step::WriteJournal, 1),
            // For each of the files, and at the end.
            (Step::WriteLog, 3),
        ] {
            let mut number = 0;
            while finishes_though_a_write_is_short(kind, number, short) {
                number += 1;
            }
            assert!(number >= least, "{number} of {kind:?}, {short:?}");
        }
    }
}

#[test]
fn a_disk_that_takes_half_of_each_write_stores_everything() {
    let file = large();
    let bench = Bench::in_memory(options());
    bench.inbox().handle.core.disk.watch_writes(Box::new(|_, bytes| Ok(bytes.div_ceil(2))));
    assert_eq!(send_until_stored(bench.inbox(), &file, "half of everything", || ()), 0);
    bench.send("small", b"small").unwrap();
    assert_eq!(bench.names(), ["big", "small"]);
    assert!(fs::read(bench.path("big")).unwrap() == file.1);
}
