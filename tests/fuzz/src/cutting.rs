//! Where bytes are cut into the pieces in which they come.

use crate::pair::rng::Rng;

/// Most pieces.
const PIECES_MAX: usize = 64;

/// Cuts bytes into pieces, at places that follow from the bytes: the same bytes are always cut alike.
pub(crate) fn pieces(bytes: &[u8]) -> Vec<Vec<u8>> {
    let seed = bytes.iter().fold(bytes.len() as u64, |seed, &byte| {
        (seed ^ u64::from(byte)).wrapping_mul(0x0100_0000_01b3)
    });
    let mut rng = Rng::new(seed);
    let longest = 1 + rng.below(1 + bytes.len() as u64);
    let (mut rest, mut pieces) = (bytes, vec![]);
    while !rest.is_empty() {
        let length = match pieces.len() < PIECES_MAX {
            true => (1 + rng.below(longest) as usize).min(rest.len()),
            false => rest.len(),
        };
        let (piece, later) = rest.split_at(length);
        pieces.push(piece.to_vec());
        rest = later;
    }
    pieces
}

/// Takes a byte off the front, which says how the rest is to be used. 0 where there is none.
pub(crate) fn choice(data: &[u8]) -> (u8, &[u8]) {
    data.split_first().map_or((0, data), |(&first, rest)| (first, rest))
}
