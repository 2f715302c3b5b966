//! What senders and servers do while the power may be cut, and what senders are told meanwhile.

use std::collections::BTreeMap;
use std::time::Duration;

use sandport_protocol::inbox::Record;
use sandport_protocol::journal::GROUP_BYTES;
use sandport_protocol::{Resume, ResumeMode};

use super::resume::{bring, content, resumable, wait_durable};
use super::simulated_disk::SimulatedDisk;
use super::*;
use crate::receipts::Publication;

const GROUP: usize = GROUP_BYTES as usize;

/// What the senders of a scenario were told.
#[derive(Clone, Default)]
pub(super) struct Promised {
    /// Which files are stored, with their receipts.
    pub(super) stored: BTreeMap<usize, Receipt>,
    /// How many bytes of a file are durable.
    pub(super) durable: BTreeMap<usize, u64>,
    pub(super) directories: Vec<&'static str>,
    /// An upload of another content under the same key was begun anew: nothing of that comes back.
    pub(super) is_anew: bool,
}

/// What senders do, until they are done.
pub(super) struct Scenario {
    pub(super) name: &'static str,
    pub(super) run: fn(&World),
    pub(super) files: fn() -> Vec<(Offer, Vec<u8>)>,
    /// Nothing was durable in an earlier run: visible files of which nobody was told later need not be whole.
    pub(super) careless_before: bool,
}

pub(super) const SCENARIOS: &[Scenario] = &[
    Scenario { name: "one by one", run: one_by_one, files: small, careless_before: false },
    Scenario { name: "many at once", run: many_at_once, files: many, careless_before: false },
    Scenario { name: "resumable", run: resumed, files: large, careless_before: false },
    Scenario {
        name: "synced at its end",
        run: resumed_later,
        files: large,
        careless_before: false,
    },
    Scenario { name: "begun anew", run: begun_anew, files: changed, careless_before: false },
    Scenario {
        name: "made of parts",
        run: made_of_parts,
        files: with_parts,
        careless_before: false,
    },
    Scenario { name: "copied", run: copied, files: elsewhere, careless_before: false },
    Scenario { name: "long log", run: long_log, files: small, careless_before: false },
    Scenario { name: "log in use", run: log_in_use, files: small, careless_before: false },
    Scenario { name: "careless before", run: careless, files: small, careless_before: true },
    Scenario {
        name: "resumed after careless",
        run: resumed_after_careless,
        files: large,
        careless_before: false,
    },
    Scenario {
        name: "resumed after one synced at its end",
        run: resumed_after_synced_later,
        files: large,
        careless_before: false,
    },
];

fn small() -> Vec<(Offer, Vec<u8>)> {
    let named = [("a", b"one".to_vec()), ("d/e/b", b"two and more".to_vec()), ("empty", vec![])];
    named.into_iter().map(|(name, content)| (offer_with_digest(name, &content), content)).collect()
}

fn elsewhere() -> Vec<(Offer, Vec<u8>)> {
    let named = [("d/a", b"one".to_vec()), ("d/e/b", b"two and more".to_vec()), ("d/c", vec![])];
    named.into_iter().map(|(name, content)| (offer_with_digest(name, &content), content)).collect()
}

fn many() -> Vec<(Offer, Vec<u8>)> {
    let files = (0..24_usize).map(|n| (format!("d{}/f{n}", n % 12), vec![n as u8 + 1; n + 1]));
    files.map(|(name, content)| (offer_with_digest(&name, &content), content)).collect()
}

fn large() -> Vec<(Offer, Vec<u8>)> {
    let content = content(3 * GROUP + 9);
    let size = Some(content.len() as u64);
    let offer = resumable("big", size, ResumeMode::TakeOver);
    vec![(Offer { digest: Some(digest(&content)), ..offer }, content)]
}

/// Two parts, and what they are together.
fn with_parts() -> Vec<(Offer, Vec<u8>)> {
    let all = content(2 * GROUP + 5_000);
    let (first, second) = all.split_at(GROUP + 9);
    let named = [("first", first), ("second", second), ("all", &all[..])];
    let of = |(number, (name, content)): (usize, (&str, &[u8]))| {
        let offer = resumable(name, Some(content.len() as u64), ResumeMode::TakeOver);
        let resume = offer.resume.map(|resume| Resume { key: [number as u8; 32], ..resume });
        (Offer { resume, digest: Some(digest(content)), ..offer }, content.to_vec())
    };
    named.into_iter().enumerate().map(of).collect()
}

/// What another content is followed by under the same key.
fn changed() -> Vec<(Offer, Vec<u8>)> {
    let content: Vec<u8> = content(3 * GROUP + 9).iter().map(|byte| !byte).collect();
    let (offer, _) = large().remove(0);
    vec![(Offer { digest: Some(digest(&content)), ..offer }, content)]
}

/// A scenario on its disk.
pub(super) struct World {
    pub(super) disk: SimulatedDisk<Promised>,
    pub(super) files: Vec<(Offer, Vec<u8>)>,
}

pub(super) fn options() -> InboxOptions {
    let watermark_interval = Duration::from_secs(3600);
    InboxOptions { watermark_bytes: GROUP_BYTES, watermark_interval, ..InboxOptions::default() }
}

impl World {
    fn store(&self, inbox: &Inbox, which: usize) {
        let (offer, content) = &self.files[which];
        let receipt = commit(inbox, offer, content).unwrap();
        self.promise_stored(which, receipt);
    }

    fn promise_stored(&self, which: usize, receipt: Receipt) {
        self.disk.promise(|promised| _ = promised.stored.insert(which, receipt));
    }
}

/// A new inbox, some files in new directories, and a directory.
fn one_by_one(world: &World) {
    let inbox = world.disk.start(options());
    world.store(&inbox, 0);
    world.store(&inbox, 1);
    commit(&inbox, &offer_directory("d/f"), b"").unwrap();
    world.disk.promise(|promised| promised.directories.push("d/f"));
    drop(inbox);
    world.store(&world.disk.start(options()), 2);
}

/// So many that they share their syncs, in more directories than are synced one by one.
fn many_at_once(world: &World) {
    let inbox = world.disk.start(options());
    let uploads: Vec<Upload> =
        world.files.iter().map(|(offer, content)| upload(&inbox, offer, content)).collect();
    // No step can be done meanwhile, so all but the first ones are one batch.
    let mut pending = Vec::new();
    world.disk.hold(|| {
        let sizes = world.files.iter().map(|(_, content)| content.len() as u64);
        pending = uploads.into_iter().zip(sizes).map(|(it, size)| it.commit(size, None)).collect();
    });
    for (which, pending) in pending.iter().enumerate() {
        world.promise_stored(which, wait(pending).unwrap());
    }
}

/// Files for directories that they cannot be moved to.
fn copied(world: &World) {
    let inbox = world.disk.start(options());
    inbox.handle.core.disk.without_moves();
    (0..world.files.len()).for_each(|which| world.store(&inbox, which));
}

/// A large file that is told of while it comes.
fn resumed(world: &World) {
    send_large(world, Durability::Full);
}

/// One that is synced at its end alone: what a sender was told to be durable before holds until the power is
/// cut.
fn resumed_later(world: &World) {
    send_large(world, Durability::Commit);
}

fn send_large(world: &World, durability: Durability) {
    let inbox = world.disk.start(InboxOptions { durability, ..options() });
    let (offer, content) = &world.files[0];
    let upload = accept(&inbox, offer);
    let mut body = upload.body(ALL).unwrap();
    let step = GROUP + GROUP / 2;
    for (number, piece) in content.chunks(step).enumerate() {
        body.write(piece);
        if piece.len() == step {
            wait_durable(&upload, number * step + GROUP);
        }
        if durability == Durability::Full {
            world.disk.promise(|promised| _ = promised.durable.insert(0, upload.durable()));
        }
    }
    drop(body);
    let receipt = wait(&upload.commit(content.len() as u64, None)).unwrap();
    world.promise_stored(0, receipt);
}

/// A large file that is told to be durable by a server that comes after one that synced nothing.
fn resumed_after_careless(world: &World) {
    take_over_from(world, Durability::None);
}

/// The same, after one that synced what its last connection had left.
fn resumed_after_synced_later(world: &World) {
    take_over_from(world, Durability::Commit);
}

fn take_over_from(world: &World, durability: Durability) {
    let (offer, content) = &world.files[0];
    let inbox = world.disk.start(InboxOptions { durability, ..options() });
    let upload = accept(&inbox, offer);
    let mut body = upload.body(ALL).unwrap();
    body.write(&content[..GROUP + 9]);
    wait_durable(&upload, GROUP);
    body.write(&content[GROUP + 9..2 * GROUP + GROUP / 2]);
    wait_durable(&upload, 2 * GROUP);
    drop((body, upload));
    drop(inbox);
    let inbox = world.disk.start(options());
    let upload = accept(&inbox, offer);
    assert!(upload.durable() >= 2 * GROUP_BYTES, "{durability:?} keeps {}", upload.durable());
    world.disk.promise(|promised| _ = promised.durable.insert(0, upload.durable()));
    bring(&upload, content);
    let receipt = wait(&upload.commit(content.len() as u64, None)).unwrap();
    world.promise_stored(0, receipt);
}

/// A file that is made out of two uploads, which are not published.
fn made_of_parts(world: &World) {
    let inbox = world.disk.start(options());
    for (which, (offer, content)) in world.files.iter().enumerate().take(2) {
        let upload = accept(&inbox, offer);
        bring(&upload, content);
        block_on("a keep", upload.keep().ready()).unwrap();
        world.disk.promise(|promised| _ = promised.durable.insert(which, content.len() as u64));
    }
    let (offer, content) = &world.files[2];
    let upload = accept(&inbox, offer);
    let parts = vec![vec![0; 32], vec![1; 32]];
    block_on("a concatenation", upload.concatenate(parts)).unwrap();
    world.disk.promise(|promised| _ = promised.durable.insert(2, upload.durable()));
    world.promise_stored(2, wait(&upload.commit(content.len() as u64, None)).unwrap());
}

/// A large file that is changed when a part of it is durable, and sent anew.
fn begun_anew(world: &World) {
    let inbox = world.disk.start(options());
    let (offer, new) = &world.files[0];
    let (old_offer, old) = large().remove(0);
    let upload = accept(&inbox, &old_offer);
    upload.body(ALL).unwrap().write(&old[..GROUP + GROUP / 2]);
    wait_durable(&upload, GROUP);
    drop(upload);
    let upload = accept(&inbox, &from_the_start(offer));
    world.disk.promise(|promised| promised.is_anew = true);
    bring(&upload, new);
    world.promise_stored(0, wait(&upload.commit(new.len() as u64, None)).unwrap());
}

/// An offer by which an upload is begun anew.
pub(super) fn from_the_start(offer: &Offer) -> Offer {
    let resume = offer.resume.map(|resume| Resume { mode: ResumeMode::Restart, ..resume });
    Offer { resume, ..offer.clone() }
}

/// Most entries of the log are of files that are gone, so that it is written anew.
fn long_log(world: &World) {
    world.store(&world.disk.start(options()), 0);
    // A run that commits nothing, or its committer might be about to look how long the log is.
    let inbox = world.disk.start(options());
    let gone: Vec<EntryName> =
        (0..4_200).map(|n| EntryName::parse(&format!("gone{n}")).unwrap()).collect();
    let record = Record { digest: [0; 32], size: 1, inode: 1, modified: (0, 0) };
    let core = Arc::clone(&inbox.handle.core);
    let identity = &Identity::ANONYMOUS;
    let entries = gone.iter().map(|offered| Publication { identity, offered, number: 0, record });
    core.receipts.intend(&core.disk, entries).unwrap();
    drop(core);
    drop(inbox);
    world.disk.is_all_certain();
    let inbox = world.disk.start(options());
    world.store(&inbox, 1);
    world.store(&inbox, 2);
}

/// The log is written anew while files are committed.
fn log_in_use(world: &World) {
    let inbox = world.disk.start(options());
    world.store(&inbox, 0);
    let core = Arc::clone(&inbox.handle.core);
    let gone = EntryName::parse("gone").unwrap();
    let record = |n| Record { digest: [0; 32], size: 1, inode: n, modified: (0, 0) };
    let identity = &Identity::ANONYMOUS;
    let publication = |n| Publication { identity, offered: &gone, number: 0, record: record(n) };
    core.receipts.intend(&core.disk, (1..4_200).map(publication)).unwrap();
    core.receipts.publish(&publication(4_199), &gone);
    world.disk.is_all_certain();
    world.store(&inbox, 1);
    world.store(&inbox, 2);
    until("the log is written anew", || !core.receipts.is_compacting());
}

/// A server that synced nothing is followed by one that answers for what it finds.
fn careless(world: &World) {
    let careless = InboxOptions { durability: Durability::None, ..options() };
    let inbox = world.disk.start(careless);
    for (offer, content) in &world.files {
        commit(&inbox, offer, content).unwrap();
    }
    drop(inbox);
    let inbox = world.disk.start(options());
    for which in 0..world.files.len() {
        world.store(&inbox, which);
    }
}
