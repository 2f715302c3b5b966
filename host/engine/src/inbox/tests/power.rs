//! Power cuts before any step of the disk: what was promised is kept, what is visible is whole, and what is
//! sent again is there once. And without any one sync of the code, that does not hold.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use sandport_protocol::inbox::Record;
use sandport_protocol::journal::GROUP_BYTES;
use sandport_protocol::{Resume, ResumeMode};

use super::resume::{bring, content, resumable, wait_durable};
use super::simulated_disk::{Cut, IMAGES, SimulatedDisk, Site};
use super::*;
use crate::inbox::receipts::Publication;

const GROUP: usize = GROUP_BYTES as usize;

/// What the senders of a scenario were told.
#[derive(Clone, Default)]
struct Promised {
    /// Which files are stored, with their receipts.
    stored: BTreeMap<usize, Receipt>,
    /// How many bytes of a file are durable.
    durable: BTreeMap<usize, u64>,
    folders: Vec<&'static str>,
    /// An upload of another content under the same key was begun anew: nothing of that comes back.
    is_anew: bool,
}

/// What senders do, until they are done.
struct Scenario {
    name: &'static str,
    run: fn(&World),
    files: fn() -> Vec<(Offer, Vec<u8>)>,
    /// Nothing was durable in an earlier run: visible files need not be whole, nor receipts be given again.
    careless_before: bool,
}

const SCENARIOS: &[Scenario] = &[
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
struct World {
    disk: SimulatedDisk<Promised>,
    files: Vec<(Offer, Vec<u8>)>,
}

fn options() -> InboxOptions {
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

/// A new inbox, some files in new folders, and a folder.
fn one_by_one(world: &World) {
    let inbox = world.disk.start(options());
    world.store(&inbox, 0);
    world.store(&inbox, 1);
    commit(&inbox, &offer_folder("d/f"), b"").unwrap();
    world.disk.promise(|promised| promised.folders.push("d/f"));
    drop(inbox);
    world.store(&world.disk.start(options()), 2);
}

/// So many that they share their syncs, in more folders than are synced one by one.
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

/// Files for folders that they cannot be moved to.
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
fn from_the_start(offer: &Offer) -> Offer {
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

/// Runs a scenario, and what may be found after each cut; where its syncs are.
fn survives(scenario: &Scenario, omitted: Option<Site>) -> Result<BTreeSet<Site>, String> {
    let world = World { disk: SimulatedDisk::without(omitted), files: (scenario.files)() };
    (scenario.run)(&world);
    for cut in world.disk.take_cuts() {
        for (number, image) in IMAGES.into_iter().enumerate() {
            world.disk.restore(&cut, image, &mut (number as u64));
            check(scenario, &world, &cut).map_err(|words| {
                format!("{}, cut before {}, {image:?} found: {words}", scenario.name, cut.at)
            })?;
        }
    }
    Ok(world.disk.sites())
}

/// Whether what is found after a cut is as it has to be, and everything can be sent again.
fn check(scenario: &Scenario, world: &World, cut: &Cut<Promised>) -> Result<(), String> {
    let dir = world.disk.dir();
    let inbox = Inbox::create_on(Disk::rebooted(), &dir, options())
        .map_err(|error| format!("the inbox does not open: {error}"))?;
    let Promised { stored, durable, folders, is_anew } = &cut.promised;
    if let Some(missing) = folders.iter().find(|folder| !dir.join(folder).is_dir()) {
        return Err(format!("the folder {missing} is not there"));
    }
    let mut found = Vec::new();
    list(&dir, "", &mut found);
    let known = |content: &Vec<u8>| world.files.iter().any(|(_, known)| known == content);
    let wrong = found.iter().find(|(name, content)| !name.ends_with('/') && !known(content));
    if let Some((name, _)) = wrong
        && !scenario.careless_before
    {
        return Err(format!("{name} is not whole"));
    }
    for (which, receipt) in stored {
        if fs::read(dir.join(&receipt.name)).ok().as_ref() != Some(&world.files[*which].1) {
            return Err(format!("{} was stored, and is not there", receipt.name));
        }
    }
    for (which, told) in durable.iter().filter(|(which, _)| !stored.contains_key(which)) {
        if let Ok(Verdict::Accepted(upload)) = inbox.open(&world.files[*which].0)
            && upload.durable() < *told
        {
            return Err(format!("{} bytes are there of {told}", upload.durable()));
        }
    }
    if scenario.careless_before {
        return Ok(());
    }
    for (which, (offer, content)) in world.files.iter().enumerate() {
        // Until it is accepted, the sender goes on to begin it anew.
        let begins = scenario.name == "begun anew" && !is_anew;
        let offer = &if begins { from_the_start(offer) } else { offer.clone() };
        match (inbox.open(offer).map_err(|refusal| refusal.to_string())?, stored.get(&which)) {
            (Verdict::Stored(receipt), Some(told)) if receipt == *told => {}
            (_, Some(told)) => return Err(format!("{} would be stored twice", told.name)),
            (Verdict::Accepted(upload), None) => {
                bring(&upload, content);
                wait(&upload.commit(content.len() as u64, None))
                    .map_err(|refusal| format!("{:?} cannot be sent: {refusal}", offer.name))?;
            }
            (Verdict::Stored(_), None) => {}
            (other, None) => return Err(format!("{other:?}")),
        }
    }
    let mut files = Vec::new();
    list(&dir, "", &mut files);
    files.retain(|(name, _)| !name.ends_with('/'));
    if let Some((name, _)) = files.iter().find(|(_, content)| !known(content)) {
        return Err(format!("{name} was resumed, and is a wrong file"));
    }
    if files.len() != world.files.len() {
        let names: Vec<_> = files.into_iter().map(|(name, _)| name).collect();
        return Err(format!("there are copies: {names:?}"));
    }
    Ok(())
}

#[test]
fn a_power_cut_before_any_step_takes_nothing_that_was_promised_and_makes_no_wrong_file() {
    for scenario in SCENARIOS {
        survives(scenario, None).unwrap();
    }
}

#[test]
fn each_sync_in_the_code_is_needed() {
    let mut sites: BTreeMap<Site, Vec<&Scenario>> = BTreeMap::new();
    for scenario in SCENARIOS {
        let world = World { disk: SimulatedDisk::without(None), files: (scenario.files)() };
        (scenario.run)(&world);
        for site in world.disk.sites() {
            sites.entry(site).or_default().push(scenario);
        }
    }
    for (site, scenarios) in &sites {
        let lost = scenarios.iter().find_map(|scenario| survives(scenario, Some(*site)).err());
        let lost = lost.unwrap_or_else(|| panic!("nothing is lost without the sync at {site:?}"));
        println!("{}:{}: {lost}", site.0, site.1);
    }
    let source = Path::new(env!("CARGO_MANIFEST_DIR")).join("src/inbox");
    assert_eq!(sites.len(), syncs_in(&source), "no scenario comes by some of the syncs");
}

/// How many calls of the disk's syncs there are in the code below a folder, tests aside.
fn syncs_in(folder: &Path) -> usize {
    let count = |path: PathBuf| match path.file_name().unwrap().to_str().unwrap() {
        "tests" | "tests.rs" | "disk" | "disk.rs" => 0,
        _ if path.is_dir() => syncs_in(&path),
        name => {
            let text = fs::read_to_string(&path).unwrap();
            // Those of layout.rs go by a function of it.
            let calls = match name {
                "layout.rs" => ["    sync(disk, ", "disk.sync_all("],
                _ => ["disk.sync(Step::", "disk.sync_all("],
            };
            calls.iter().map(|call| text.matches(call).count()).sum()
        }
    };
    fs::read_dir(folder).unwrap().map(|entry| count(entry.unwrap().path())).sum()
}
