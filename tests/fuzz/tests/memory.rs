//! How much memory the targets take. A test by itself: what is counted is what the whole process has.
#![allow(clippy::unwrap_used, clippy::expect_used)]

use peak_alloc::PeakAlloc;
use sandport_fuzz::TARGETS;
use sandport_fuzz::mutation::Mutator;

#[global_allocator]
static MEMORY: PeakAlloc = PeakAlloc;

/// Most that an input of at most 4 KiB may cost, both ends of a connection included. Bytes. What is announced costs
/// nothing: a length of 2^63 in a header is no reason to take memory.
const BYTES_MAX: usize = 8 << 20;

/// How many inputs of each target are tried.
const INPUTS: usize = 300;

#[test]
fn no_input_takes_memory_for_what_it_only_announces() {
    for target in TARGETS {
        let seeds = (target.seeds)();
        let mut mutator = Mutator::new(target, 7);
        // What is kept for good, such as tables that are computed once, is there after the first.
        seeds.iter().for_each(|seed| (target.run)(seed));
        for number in 0..INPUTS {
            let input = mutator.next(&seeds);
            let before = MEMORY.current_usage();
            MEMORY.reset_peak_usage();
            (target.run)(&input);
            let taken = MEMORY.peak_usage().saturating_sub(before);
            let words = || format!("{}, input {number}: {}", target.name, input.escape_ascii());
            assert!(taken <= BYTES_MAX, "{taken} bytes, {}", words());
        }
    }
}
