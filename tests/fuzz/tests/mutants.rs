//! Whether the target for uploads would notice a fault: each of those that the machine can be given on purpose.
#![allow(clippy::unwrap_used, clippy::expect_used)]

use std::panic::{AssertUnwindSafe, catch_unwind, set_hook, take_hook};

use sandport_fuzz::mutation::Mutator;
use sandport_fuzz::target;
use sandport_protocol::upload::mutation::{Mutant, set};

const SEED: u64 = 1;

/// How many inputs are tried for each fault. Most are found by far fewer.
const INPUTS: u32 = 6_000;

/// Faults that lists of operations show. Others show in what a driver does over time, or only on a disk: the simulation
/// of the inbox looks for all of them.
const SHOWN: [Mutant; 19] = [
    Mutant::SettlesWithoutWaiting,
    Mutant::TellsBeforeKept,
    Mutant::CountsFailedKeeps,
    Mutant::TrustsLostBytes,
    Mutant::WorksWhenGone,
    Mutant::KeepsTwice,
    Mutant::CommitsEarly,
    Mutant::ForgetsRuns,
    Mutant::CountsGrantsTwice,
    Mutant::PublishesMismatches,
    Mutant::PublishesHoles,
    Mutant::ForgetsRefusals,
    Mutant::LendsTwice,
    Mutant::CountsFailedWrites,
    Mutant::LetsLosersWrite,
    Mutant::AnswersKeepsEarly,
    Mutant::ForgetsKeeps,
    Mutant::CountsUnchecked,
    Mutant::TrustsChecks,
];

#[test]
fn faults_in_the_life_of_an_upload_are_noticed() {
    let target = target("upload").unwrap();
    let seeds = (target.seeds)();
    let hook = take_hook();
    set_hook(Box::new(|_| {}));
    let notices = |mutant: &Mutant| {
        let mut mutator = Mutator::new(target, SEED);
        set(Some(*mutant));
        let found = (0..INPUTS).any(|_| {
            let input = mutator.next(&seeds);
            catch_unwind(AssertUnwindSafe(|| (target.run)(&input))).is_err()
        });
        set(None);
        found
    };
    let missed: Vec<_> = SHOWN.into_iter().filter(|mutant| !notices(mutant)).collect();
    set_hook(hook);
    assert_eq!(missed, [], "of seed {SEED}");
}
