//! The model and the directory give the same answers to the same calls. So what the simulation finds out of the one
//! holds for the other.

use std::sync::Arc;

use sandport_protocol::EntryName;
use sandport_protocol::journal::{ChainingValue, GROUP_BYTES, Kept, Notes, Tail, group_hasher};

use blake3::hazmat::HasherExt;

use super::chance::Chance;
use super::content::content;
use super::volume::Model;
use super::world::World;
use crate::Identity;
use crate::resumable::volume::{Blob, Facts, Loaded, Volume};
use crate::resumable::{Id, PartialsDirectory};
use crate::{Inbox, InboxOptions};
use sandport_testkit::patience::Watchdog;

/// How many traces there are, and how many calls each has.
const TRACES: u64 = 40;
const CALLS: u64 = 40;

/// Two groups and a bit.
const SIZE: u64 = 2 * GROUP_BYTES + 600;

/// The version that is sent.
const VERSION: u64 = 0;

/// One user of an upload, who does what chance says and writes down what is answered.
struct User<'a> {
    volume: &'a dyn Volume,
    facts: Facts,
    chance: Chance,
    blob: Option<Arc<dyn Blob>>,
    /// How many bytes of each group are written, and how many the journal says.
    written: [u64; 3],
    said: [u64; 3],
    answers: Vec<String>,
}

fn end_of(group: usize) -> u64 {
    GROUP_BYTES.min(SIZE - group as u64 * GROUP_BYTES)
}

/// The chaining value of the first bytes of a group.
fn value(group: usize, length: u64) -> ChainingValue {
    let start = group * GROUP_BYTES as usize;
    let mut hasher = group_hasher(group as u64);
    hasher.update(&content(VERSION)[start..start + length as usize]);
    hasher.finalize_non_root()
}

impl<'a> User<'a> {
    fn new(volume: &'a dyn Volume, seed: u64) -> Self {
        let facts = Facts {
            id: Id::of(None, &[9; 32]),
            identity: Identity::ANONYMOUS,
            name: EntryName::parse("file").unwrap(),
            is_named: true,
            size: Some(SIZE),
            notes: Notes::default(),
        };
        let (blob, written, said) = (None, [0; 3], [0; 3]);
        Self { volume, facts, chance: Chance::new(seed), blob, written, said, answers: Vec::new() }
    }

    fn run(mut self) -> Vec<String> {
        for _ in 0..CALLS {
            self.call();
        }
        self.blob = None;
        self.volume.remove(self.facts.id);
        self.answers
    }

    fn call(&mut self) {
        let Some(blob) = self.blob.clone() else { return self.open() };
        match self.chance.below(20) {
            0 => {
                // As when the server is killed.
                self.blob = None;
            }
            1 => {
                let dirty = |group: usize| {
                    let start = group as u64 * GROUP_BYTES;
                    (start + self.said[group], start + self.written[group])
                };
                let dirty: Vec<_> = (0..3).map(dirty).filter(|(start, end)| start < end).collect();
                blob.park(&self.facts, &dirty, self.said.iter().sum(), false);
                self.blob = None;
            }
            2 => {
                blob.remove(&self.facts);
                self.blob = None;
            }
            3 if self.written[0] > 0 => {
                let digest = blob.hash(&self.facts, self.written[0]);
                self.answers.push(format!("{digest:?}"));
            }
            4..8 => self.keep(&*blob),
            8 if self.written[1] > 0 => {
                let mut bytes = vec![0; self.written[1] as usize];
                let read = blob.read(&self.facts, GROUP_BYTES, &mut bytes);
                self.answers.push(format!("{read:?} {}", blake3::hash(&bytes)));
            }
            _ => self.write(&*blob),
        }
    }

    fn open(&mut self) {
        let id = self.facts.id;
        (self.written, self.said) = ([0; 3], [0; 3]);
        let loaded = match self.volume.load(id).unwrap() {
            Some(Loaded::Unusable) => {
                self.volume.remove(id);
                None
            }
            loaded => loaded,
        };
        self.answers.push(match &loaded {
            None | Some(Loaded::Unusable) => "nothing".to_owned(),
            Some(Loaded::Published(name)) => format!("published {name:?}"),
            Some(Loaded::ResumableUpload { name, size, found, .. }) => {
                let tail = found.tail.as_ref().map(|(group, length, _)| (group, length));
                format!("{name:?} {size:?} {:?} {tail:?}", found.whole)
            }
        });
        let Some(Loaded::ResumableUpload { found, blob, .. }) = loaded else {
            self.blob = Some(self.volume.begin(id).unwrap());
            return;
        };
        for group in 0..3 {
            if found.whole.contains(group as u64 * GROUP_BYTES) {
                self.said[group] = end_of(group);
            }
        }
        if let Some((group, length, _)) = found.tail {
            self.said[group as usize] = length;
        }
        self.written = self.said;
        self.blob = Some(blob);
    }

    fn write(&mut self, blob: &dyn Blob) {
        let group = self.chance.below(3) as usize;
        let left = end_of(group) - self.written[group];
        if left == 0 {
            return;
        }
        let most = *self.chance.of(&[2_000, 300_000, GROUP_BYTES]);
        let length = left.min(1_000 + self.chance.below(most));
        let at = group as u64 * GROUP_BYTES + self.written[group];
        let bytes = &content(VERSION)[at as usize..(at + length) as usize];
        self.answers.push(format!("{:?}", blob.write(&self.facts, at, bytes)));
        self.written[group] += length;
    }

    fn keep(&mut self, blob: &dyn Blob) {
        let is_whole = |group: &usize| self.written[*group] == end_of(*group);
        let (whole, begun): (Vec<_>, Vec<_>) = (0..3).partition(is_whole);
        let mut entries = Vec::new();
        for group in whole {
            if self.said[group] < end_of(group) {
                self.said[group] = end_of(group);
                let (first, groups) = (group as u64, vec![value(group, end_of(group))]);
                entries.push(Kept { first, groups, ..Kept::default() });
            }
        }
        if let Some(&group) = begun.iter().find(|&&group| self.written[group] > 0) {
            let length = self.written[group];
            // It says one tail.
            begun.iter().for_each(|&other| self.said[other] = 0);
            self.said[group] = length;
            let tail = Tail { group: group as u64, length, value: value(group, length) };
            entries.push(Kept { tail: Some(tail), ..Kept::default() });
        }
        let done = blob.keep(&self.facts, None, None, entries, true);
        self.answers.push(format!("{done:?}"));
    }
}

#[test]
fn the_model_answers_as_the_directory_does() {
    let _watchdog = Watchdog::start();
    let dir = tempfile::tempdir_in("/dev/shm").or_else(|_| tempfile::tempdir()).unwrap();
    let inbox = Inbox::open(&dir.path().join("inbox"), InboxOptions::default()).unwrap();
    let directory = PartialsDirectory::new(&inbox.handle.core);
    for seed in 0..TRACES {
        let world = World::new(seed);
        world.heal();
        let model = Model { shared: Arc::clone(&world.shared), run: 0 };
        let (of_model, of_directory) =
            (User::new(&model, seed).run(), User::new(&*directory, seed).run());
        assert_eq!(of_model, of_directory, "seed {seed}");
    }
}
