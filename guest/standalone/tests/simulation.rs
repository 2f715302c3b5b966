//! Connections, servers and a failing disk, in orders that a seed decides: what was told to be kept is, what is
//! published is whole, and in the end nothing is left.
//!
//! `SANDPORT_TEST_SEEDS=10000` is a long run; a seed that fails is in the message.
#![cfg(unix)]
#![allow(clippy::unwrap_used, clippy::panic)]

mod std_disk;

use std::fs;
use std::path::Path;

use sandport_protocol::journal::GROUP_BYTES;
use sandport_protocol::{Digest, EntryKind, Extent, Offer, RefusalCode, Resume, ResumeMode};
use sandport_standalone::inbox::{Commit, Durability, Inbox, OfferResponse, Options, Upload};
use std_disk::{NOW_MS, StdDirectory, TRIAL, Trial, ambient};

/// How many seeds, where nobody says otherwise.
const SEEDS: u64 = 60;

/// Says otherwise.
const SEEDS_VARIABLE: &str = "SANDPORT_TEST_SEEDS";

/// What happens in one run.
const STEPS: usize = 60;

/// Files that are sent, each under its key.
const FILES: usize = 2;

/// Most servers that have the directory at a time.
const SERVERS_MAX: usize = 2;

/// So many bytes at the begin of a chunk group are held in memory. Bytes.
const HELD_BYTES_MAX: usize = 2_048;

/// Most turns of an inbox until it has done what it has to do.
const TURNS_MAX: usize = 100;

/// Xorshift.
struct Chance(u64);

impl Chance {
    fn below(&mut self, most: usize) -> usize {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        (self.0 % most as u64) as usize
    }

    fn one_in(&mut self, many: usize) -> bool {
        self.below(many) == 0
    }
}

struct Session {
    file: usize,
    upload: Upload<StdDirectory>,
    /// Where its body is, and where that ends.
    body: Option<(usize, usize)>,
    /// Whether it has brought so much that there is a file.
    has_file: bool,
}

struct World {
    chance: Chance,
    directory: tempfile::TempDir,
    options: Options,
    contents: Vec<Vec<u8>>,
    /// The newest one last.
    servers: Vec<Inbox<StdDirectory>>,
    sessions: Vec<Session>,
    commits: Vec<(usize, Commit)>,
    /// What was told to be kept of each file, unless it was given up since.
    told: [u64; FILES],
    epoch: u64,
}

impl World {
    fn new(seed: u64) -> Self {
        let mut chance = Chance(seed.wrapping_mul(0x9e37_79b9_7f4a_7c15) | 1);
        let durability = if chance.one_in(4) { Durability::None } else { Durability::Commit };
        let options = Options {
            durability,
            watermark_bytes: GROUP_BYTES << chance.below(3),
            watermark_interval_ms: 1_000,
            ..Options::default()
        };
        let contents = (0..FILES)
            .map(|file| {
                let group = GROUP_BYTES as usize;
                let mut content = vec![0; 2 * group + chance.below(2 * group)];
                let mut hasher = blake3::Hasher::new();
                hasher.update(&[file as u8]).finalize_xof().fill(&mut content);
                content
            })
            .collect();
        let directory = tempfile::tempdir_in("/dev/shm").or_else(|_| tempfile::tempdir()).unwrap();
        let mut world = Self {
            chance,
            directory,
            options,
            contents,
            servers: Vec::new(),
            sessions: Vec::new(),
            commits: Vec::new(),
            told: [0; FILES],
            epoch: 1,
        };
        world.serve();
        world
    }

    fn dir(&self) -> &Path {
        self.directory.path()
    }

    /// Starts a server, beside another or in the place of one.
    fn serve(&mut self) {
        TRIAL.set(None);
        let inbox = Inbox::open(StdDirectory::new(self.dir()), self.options.clone(), ambient());
        self.servers.push(inbox.unwrap());
    }

    /// Kills all servers before they can do anything more.
    fn kill(&mut self) {
        TRIAL.set(Some((Trial::Dies, 0)));
        self.sessions.clear();
        self.commits.clear();
        self.servers.clear();
        self.serve();
    }

    fn offer(&mut self, file: usize, mode: ResumeMode) -> Offer {
        let content = &self.contents[file];
        if mode == ResumeMode::TakeOver && self.chance.one_in(2) {
            self.epoch += 1;
        }
        Offer {
            name: Some(format!("file{file}")),
            kind: EntryKind::File,
            size: Some(content.len() as u64),
            digest: None,
            modified_ns: None,
            executable: false,
            resume: Some(Resume { key: [file as u8; 32], epoch: self.epoch, mode }),
        }
    }

    fn step(&mut self) {
        match self.chance.below(20) {
            0 => self.kill(),
            1 if self.servers.len() < SERVERS_MAX => {
                // What is begun at one server is not known to another that runs by then.
                self.sessions.retain(|session| session.has_file);
                self.serve();
            }
            2 => {
                let trial = if self.chance.one_in(3) { Trial::Dies } else { Trial::Fails };
                TRIAL.set(Some((trial, self.chance.below(12) as u64)));
            }
            3..=5 => {
                NOW_MS.set(NOW_MS.get() + self.chance.below(3_000) as u64);
                self.servers.iter().for_each(Inbox::turn);
            }
            6..=8 => self.begin(),
            9 => {
                if let Some(place) = self.any_session() {
                    drop(self.sessions.swap_remove(place));
                }
            }
            10 if self.chance.one_in(3) => {
                if let Some(place) = self.any_session() {
                    let session = self.sessions.swap_remove(place);
                    self.told[session.file] = 0;
                    session.upload.discard();
                }
            }
            11 | 12 => {
                if let Some(place) = self.any_session() {
                    let Session { file, upload, .. } = self.sessions.swap_remove(place);
                    let content = &self.contents[file];
                    let commit = upload.commit(content.len() as u64, Some(digest(content)));
                    self.commits.push((file, commit));
                }
            }
            _ => {
                if let Some(place) = self.any_session() {
                    self.bring(place);
                }
            }
        }
        self.hear();
        if matches!(TRIAL.get(), Some((Trial::Dies, 0))) {
            self.kill();
        }
    }

    fn any_session(&mut self) -> Option<usize> {
        let sessions = self.sessions.len();
        (sessions > 0).then(|| self.chance.below(sessions))
    }

    fn begin(&mut self) {
        let file = self.chance.below(FILES);
        let mode = match self.chance.below(8) {
            0 => ResumeMode::Restart,
            1 | 2 => ResumeMode::Join,
            _ => ResumeMode::TakeOver,
        };
        let offer = self.offer(file, mode);
        let Some(server) = self.servers.last() else { return };
        let is_failing = TRIAL.get().is_some();
        match server.answer(&offer) {
            Ok(OfferResponse::Accepted(upload)) => {
                if mode == ResumeMode::Restart {
                    self.told[file] = 0;
                }
                let here = upload.missing().first().map_or(u64::MAX, |extent| extent.offset);
                let told = self.told[file];
                assert!(here >= told, "{here} bytes are here, and {told} were told to be kept");
                self.sessions.push(Session { file, upload, body: None, has_file: false });
            }
            // It was published before; its name may be another's by now.
            Ok(_) => {}
            Err(refusal) => {
                if mode == ResumeMode::Restart {
                    self.told[file] = 0;
                }
                let is_expected =
                    matches!(refusal.code, RefusalCode::Locked | RefusalCode::Io) || is_failing;
                assert!(is_expected, "{refusal}");
            }
        }
    }

    fn bring(&mut self, place: usize) {
        let session = &mut self.sessions[place];
        let content = &self.contents[session.file];
        if session.body.is_none() {
            let missing = session.upload.missing();
            if missing.is_empty() {
                return;
            }
            let Extent { offset, length } = missing[self.chance.below(missing.len())];
            let (start, length) = (offset as usize, length.unwrap() as usize);
            let extent = Extent { offset, length: Some(length as u64) };
            if session.upload.body(extent).is_err() {
                return;
            }
            session.body = Some((start, start + length));
        }
        if let Some((at, end)) = session.body {
            let most = 1 + self.chance.below(GROUP_BYTES as usize * 3 / 2);
            let length = most.min(end - at).min(session.upload.room(usize::MAX));
            session.has_file |= length > HELD_BYTES_MAX;
            session.upload.write(&content[at..at + length]);
            session.body = (at + length < end).then_some((at + length, end));
        }
    }

    /// What is told of uploads and commits.
    fn hear(&mut self) {
        let mut at = 0;
        while at < self.sessions.len() {
            let session = &mut self.sessions[at];
            if session.upload.fault().is_some() {
                drop(self.sessions.swap_remove(at));
                continue;
            }
            if let Some(durable) = session.upload.progress() {
                let told = &mut self.told[session.file];
                *told = durable.max(*told);
            }
            at += 1;
        }
        let mut commits = std::mem::take(&mut self.commits);
        commits.retain(|(file, commit)| match commit.outcome() {
            None => true,
            Some(outcome) => {
                let is_gone = match outcome {
                    Ok(_) => true,
                    Err(refusal) => refusal.code == RefusalCode::DigestMismatch,
                };
                if is_gone {
                    self.told[*file] = 0;
                }
                false
            }
        });
        self.commits = commits;
    }

    /// Every file that has a name is one of those that were sent, and whole.
    fn check_published(&self) {
        for entry in fs::read_dir(self.dir()).unwrap() {
            let name = entry.unwrap().file_name().into_string().unwrap();
            if name != ".sandport" {
                let content = fs::read(self.dir().join(&name)).unwrap();
                assert!(self.contents.contains(&content), "{name} is none that was sent");
            }
        }
    }

    /// Everybody leaves, the disk heals, and one server and one sender for each file are enough.
    fn finish(&mut self) {
        TRIAL.set(None);
        self.sessions.clear();
        self.commits.clear();
        self.servers.clear();
        self.serve();
        for file in 0..FILES {
            self.epoch += 1;
            let offer = self.offer(file, ResumeMode::TakeOver);
            let content = &self.contents[file];
            let shown = Offer { digest: Some(digest(content)), ..offer.clone() };
            let inbox = self.servers.last().unwrap();
            match inbox.answer(&offer).unwrap() {
                OfferResponse::Accepted(mut upload) => {
                    assert!(upload.missing().first().is_none_or(|it| it.offset >= self.told[file]));
                    for Extent { offset, length } in upload.missing() {
                        let (start, length) = (offset as usize, length.unwrap() as usize);
                        upload.body(Extent { offset, length: Some(length as u64) }).unwrap();
                        upload.write(&content[start..start + length]);
                    }
                    let commit = upload.commit(content.len() as u64, Some(digest(content)));
                    for _ in 0..TURNS_MAX {
                        if commit.outcome().is_none() {
                            inbox.turn();
                        }
                    }
                    commit.outcome().unwrap().as_ref().unwrap();
                }
                OfferResponse::DigestFirst => {
                    assert!(matches!(inbox.answer(&shown).unwrap(), OfferResponse::Stored(_)));
                }
                OfferResponse::Stored(_) => panic!("the offer has no digest"),
            }
        }
        self.check_published();
        self.servers.clear();
        self.serve();
        for directory in ["partials", "staging"] {
            let left = fs::read_dir(self.dir().join(".sandport").join(directory)).unwrap();
            assert_eq!(left.count(), 0, "in {directory}");
        }
    }
}

fn digest(content: &[u8]) -> Digest {
    Digest::Blake3(*blake3::hash(content).as_bytes())
}

#[test]
fn whatever_happens_kept_bytes_stay_and_files_are_whole() {
    let seeds = std::env::var(SEEDS_VARIABLE).ok().map_or(SEEDS, |it| it.parse().unwrap());
    for seed in 0..seeds {
        let run = std::panic::catch_unwind(|| {
            let mut world = World::new(seed);
            for _ in 0..STEPS {
                world.step();
                world.check_published();
            }
            world.finish();
        });
        assert!(run.is_ok(), "seed {seed} fails");
    }
}
