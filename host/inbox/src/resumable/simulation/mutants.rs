//! Faults that are put into the machine: each is noticed.

use sandport_protocol::upload::mutation::{self, Mutant};

use super::run;

/// How many schedules a fault may survive. Most are found by the first few.
const SEEDS_MAX: u64 = 3_000;

#[test]
fn each_mutant_breaks_a_rule() {
    let mut survivors = Vec::new();
    for mutant in Mutant::ALL {
        mutation::set(Some(mutant));
        // What they break may panic; that is not to be printed each time.
        let found = (0..SEEDS_MAX).find_map(|seed| run(seed).err().map(|rule| (seed, rule)));
        mutation::set(None);
        match found {
            Some((seed, rule)) => println!("{mutant:?}: seed {seed}, rule {rule}"),
            None => survivors.push(mutant),
        }
    }
    assert!(survivors.is_empty(), "nothing noticed {survivors:?}");
}
