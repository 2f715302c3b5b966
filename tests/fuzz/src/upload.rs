//! The life of a resumable upload: any list of operations, through the machine and nothing else.
//!
//! What `guest/protocol/src/upload/worlds.rs` goes through whole for two connections and few operations, this goes
//! through by chance for more of both, and with real bytes: the digest of what is published has to be that of a file
//! of zeros, and an upload that is parked is resumed by what its journal knows.

mod content;
mod operation;
mod reading;
mod world;

use arbitrary::{Arbitrary as _, Unstructured};
use sandport_protocol::journal::GROUP_BYTES;
use sandport_protocol::upload::Options;

use crate::pair::rng::Rng;
use operation::{Operation, Setting};
use world::World;

/// Most operations of one input.
const OPERATIONS_MAX: usize = 60;

/// How long a seed is: enough for most operations. Bytes.
const SEED_BYTES: usize = 300;

pub(crate) fn run(data: &[u8]) {
    let mut bytes = Unstructured::new(data);
    let Ok(setting) = Setting::arbitrary(&mut bytes) else { return };
    let mut world = World::new(Options {
        size: setting.size.bytes(),
        max_file_size: setting.max_file_size.bytes(),
        is_named: setting.is_named,
        step_bytes: if setting.small_step { GROUP_BYTES } else { 64 * GROUP_BYTES },
        interval_ms: 2_000,
        boot: setting.of_boot.then_some(content::BOOT),
        syncs_at_last: setting.syncs_at_last,
        keeps_empty: setting.keeps_empty,
    });
    for _ in 0..OPERATIONS_MAX {
        let Ok(operation) = Operation::arbitrary(&mut bytes) else { break };
        world.step(operation);
        if bytes.is_empty() {
            break;
        }
    }
    world.drain();
}

pub(crate) fn seeds() -> Vec<Vec<u8>> {
    // Groups, and a byte more.
    let groups = |count: u8| [5 + 8 * count, 1];
    let offer = |which: u8, mode: u8| vec![32 * which, mode];
    let body = |which: u8, missing: u8| vec![3 + 32 * which, 1 + 4 * missing, 0];
    let bring = |which: u8| vec![6 + 32 * which, 0, 10 + 32 * which, 255];
    let well = vec![31, 7];
    let commit = |which: u8| vec![128 + 20 + 32 * which, 0];
    let lists: [Vec<Vec<u8>>; 5] = [
        // One connection, a file of two groups and a byte.
        vec![
            vec![0],
            groups(2).to_vec(),
            offer(0, 0),
            body(0, 0),
            bring(0),
            bring(0),
            well.clone(),
            bring(0),
            well.clone(),
            vec![15],
            well.clone(),
            commit(0),
            well.clone(),
            well.clone(),
        ],
        // Two that join, one of which leaves.
        vec![
            vec![4],
            groups(3).to_vec(),
            offer(0, 2),
            offer(1, 2),
            body(0, 0),
            body(1, 1),
            bring(0),
            bring(1),
            well.clone(),
            bring(0),
            vec![22],
            commit(1),
            well.clone(),
        ],
        // A stream that is parked, by a journal that is not synced.
        vec![
            vec![8 + 32],
            vec![0],
            offer(0, 0),
            body(0, 0),
            bring(0),
            vec![18],
            well.clone(),
            bring(0),
            vec![22],
            well.clone(),
            well.clone(),
        ],
        // A checked body, right and wrong.
        vec![
            vec![2],
            groups(1).to_vec(),
            offer(0, 0),
            vec![128 + 3, 1, 0],
            bring(0),
            vec![16],
            vec![128 + 3, 1, 0],
            bring(0),
            vec![128 + 16],
            well.clone(),
        ],
        // Taken over, with a write under way, and given up.
        vec![
            vec![0],
            groups(2).to_vec(),
            offer(0, 0),
            body(0, 0),
            vec![6, 0],
            offer(1, 4),
            vec![10, 100],
            body(1, 0),
            bring(1),
            vec![31, 1],
            vec![23 + 32],
            well,
        ],
    ];
    let mut seeds: Vec<Vec<u8>> = lists.iter().map(|list| list.concat()).collect();
    seeds.extend((1..=8).map(|seed| Rng::new(seed).bytes(SEED_BYTES)));
    seeds
}
