//! What connections want: which file, and in whose place.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use sandport_protocol::journal::Notes;
use sandport_protocol::{Digest, EntryName, Receipt, Refusal, Resume, ResumeMode};

use super::super::chance::Chance;
use super::super::content::{SHIFT, Version, digest};
use super::super::world::World;
use super::Waiting;
use crate::Identity;
use crate::OfferResponse;
use crate::accepted_offer::AcceptedOffer;
use crate::resumable::{Asked, Id, Opened};

/// A file that senders have.
pub(in super::super) struct Key {
    pub(in super::super) secret: [u8; 32],
    /// How long it is.
    pub(in super::super) size: u64,
    /// Whether senders know that before they send it.
    pub(in super::super) is_sized: bool,
    pub(in super::super) is_named: bool,
    /// Whether the inbox has told them the key: it keeps the upload however little of it is here.
    pub(in super::super) is_told: bool,
    pub(in super::super) role: Role,
    /// What is in it at the moment.
    version: AtomicU64,
    /// The last run of its sender.
    run: AtomicU64,
}

/// What becomes of a file.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in super::super) enum Role {
    /// It is published as it was sent.
    Alone,
    /// It is a part of another one.
    Part,
    /// It is put together out of the two others.
    Final,
}

/// What a connection wants.
#[derive(Clone, Debug)]
pub(super) struct Wish {
    pub(super) key: usize,
    pub(super) version: Version,
    pub(super) size: Option<u64>,
    pub(super) digest: Option<Digest>,
    pub(super) run: u64,
    pub(super) mode: ResumeMode,
    /// How often the upload had been begun or removed by then.
    pub(super) beginnings: u64,
    /// Whether it had bytes.
    pub(super) met_bytes: bool,
}

impl Key {
    pub(in super::super) fn new(number: u8, chance: &Chance) -> Self {
        let is_sized = chance.per_mille(700);
        let mib = 1024 * 1024;
        let is_told = chance.per_mille(350);
        let size = if is_sized && !is_told {
            *chance.of(&[mib + 1, mib + 4_500, 2 * mib, 2 * mib + 600, 3 * mib + 50_000])
        } else {
            *chance.of(&[0, 700, 5_000, mib, mib + 900, 2 * mib + 40_000])
        };
        let is_named = chance.per_mille(700);
        let (version, run) = (AtomicU64::new(1), AtomicU64::new(10));
        let (secret, role) = ([number; 32], Role::Alone);
        Self { secret, size, is_sized, is_named, is_told, role, version, run }
    }

    /// Two parts, and the upload that is put together out of them: it has their bytes.
    pub(in super::super) fn joined(chance: &Chance) -> Vec<Self> {
        let shifts = *chance.of(&[0, 0, 1, 2, 3, 5]);
        let (mib, first) = (1024 * 1024, shifts * SHIFT as u64);
        let second = *chance.of(&[0, 1, 700, 2_048, 2_049, mib, mib + 900]);
        let key = |number, role, size, version| Self {
            secret: [number; 32],
            size,
            is_sized: chance.per_mille(300),
            is_named: false,
            is_told: true,
            role,
            version: AtomicU64::new(version),
            // Who comes with a request takes over by that.
            run: AtomicU64::new(0),
        };
        vec![
            key(0, Role::Part, first, 1),
            key(1, Role::Part, second, 1 + shifts),
            key(2, Role::Final, first + second, 1),
        ]
    }

    /// The version that senders have at the moment.
    pub(in super::super) fn version(&self) -> Version {
        self.version.load(Ordering::Relaxed)
    }

    /// The last run that has offered it.
    pub(super) fn last_run(&self) -> u64 {
        self.run.load(Ordering::Relaxed)
    }

    pub(in super::super) fn id(&self) -> Id {
        Id::of(None, &self.secret)
    }
}

impl Wish {
    pub(super) fn by_chance(world: &World) -> Self {
        let chance = &world.shared.chance;
        let key = chance.below(world.keys.len() as u64) as usize;
        let known = &world.keys[key];
        let mode = match chance.below(100) {
            0..62 => ResumeMode::TakeOver,
            62..90 => ResumeMode::Join,
            _ => ResumeMode::Restart,
        };
        let mut run = known.run.load(Ordering::Relaxed);
        match chance.below(100) {
            _ if known.role != Role::Alone => {}
            0..75 => {}
            75..90 => {
                run += 1;
                known.run.store(run, Ordering::Relaxed);
            }
            _ => run -= 1,
        }
        if mode == ResumeMode::Restart {
            world.forgive(key);
            if chance.per_mille(500) && known.role == Role::Alone {
                known.version.fetch_add(1, Ordering::Relaxed);
                world.forgive(key);
            }
        }
        let version = known.version();
        let (beginnings, met_bytes) = world.beginnings(key);
        let mut size = known.is_sized.then_some(known.size);
        if chance.per_mille(60) && known.role != Role::Part {
            size = Some(known.size + 1);
        }
        let mut wish = Self { key, version, size, digest: None, run, mode, beginnings, met_bytes };
        if chance.per_mille(300) {
            wish.digest = Some(digest(wish.version, known.size));
        } else if chance.per_mille(40) {
            // One that is of another file.
            wish.digest = Some(digest(wish.version + 1, known.size));
        }
        wish
    }

    pub(super) fn open(&self, world: &World) -> Waiting<Result<Opened<OfferResponse>, Refusal>> {
        let key = &world.keys[self.key];
        let name = format!("file-{}", self.key);
        let accepted = AcceptedOffer {
            identity: Identity::ANONYMOUS,
            name: EntryName::parse(&name).unwrap(),
            size: self.size,
            digest: self.digest,
            modified_ns: None,
            executable: false,
            copy: 0,
        };
        let resume = Resume { key: key.secret, epoch: self.run, mode: self.mode };
        let (registry, size) = (world.registry(), self.size);
        let notes = Notes { keeps_empty: key.is_told, ..Notes::default() };
        let (is_named, address, place) = (key.is_named, None, None);
        let asked = Asked { accepted, is_named, resume, notes, address, place, begins: true };
        let shared = Arc::clone(&world.shared);
        Waiting::new(async move {
            let published = |name: &EntryName| {
                let disk = shared.disk.lock().unwrap();
                let stored = disk.stored.get(name.as_str())?.last()?;
                let fits = size.is_none_or(|size| size == stored.size);
                let name = name.as_str().to_owned();
                let (size, digest) = (stored.size, stored.digest);
                let receipt = Receipt { name, size, digest, proof: None };
                fits.then_some(OfferResponse::Stored(receipt))
            };
            registry.open(asked, published).await
        })
    }

    /// To send all of a file anew, as a later run.
    pub(super) fn honest(world: &World, key: usize) -> Self {
        let known = &world.keys[key];
        let run = match known.role {
            Role::Alone => known.run.fetch_add(1, Ordering::Relaxed) + 1,
            Role::Part | Role::Final => 0,
        };
        world.forgive(key);
        let (beginnings, met_bytes) = world.beginnings(key);
        Self {
            key,
            version: known.version(),
            size: known.is_sized.then_some(known.size),
            digest: None,
            run,
            mode: ResumeMode::Restart,
            beginnings,
            met_bytes,
        }
    }
}
