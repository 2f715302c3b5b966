//! Which metadata an upload may have.
#![allow(clippy::unwrap_used, clippy::expect_used)]

use sandport_protocol::{Metadata, RefusalCode};

fn pair(name_bytes: usize, value_bytes: usize) -> (String, Vec<u8>) {
    ("n".repeat(name_bytes), vec![0xff; value_bytes])
}

#[test]
fn what_is_within_the_bounds_is_taken_as_it_is() {
    let pairs = vec![pair(64, 1_024), pair(0, 0), pair(64, 1_024), pair(64, 1_024)];
    assert_eq!(Metadata::new(pairs.clone()).unwrap().pairs(), pairs);
    assert!(Metadata::default().is_empty());
}

#[test]
fn what_is_beyond_a_bound_is_too_large() {
    let beyond = [
        vec![pair(65, 1)],
        vec![pair(1, 1_025)],
        vec![pair(1, 1_023), pair(1, 1_023), pair(1, 1_023), pair(1, 1_024)],
        vec![pair(1, 1); 65],
    ];
    for pairs in beyond {
        assert_eq!(Metadata::new(pairs).unwrap_err().code, RefusalCode::TooLarge);
    }
}
