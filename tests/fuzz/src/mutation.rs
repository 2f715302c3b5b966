//! Bytes that are mutated by chance, and by a seed that tells which chance it was.

use crate::Target;
use crate::pair::rng::Rng;

/// Longest mutated input. Bytes.
const BYTES_MAX: usize = 4 * 1024;

/// Most changes to one input.
const CHANGES_MAX: u64 = 6;

/// Makes inputs out of those that are known.
pub struct Mutator {
    rng: Rng,
    words: &'static [&'static [u8]],
}

impl Mutator {
    /// One for a target. The same seed makes the same inputs.
    pub fn new(target: &Target, seed: u64) -> Self {
        Self { rng: Rng::new(seed), words: target.words }
    }

    /// The next input, out of one or two of these.
    pub fn next(&mut self, known: &[Vec<u8>]) -> Vec<u8> {
        let mut bytes = self.one_of(known);
        if self.rng.chance(4) {
            let other = self.one_of(known);
            let (at, from) = (self.place(bytes.len()), self.place(other.len()));
            bytes.truncate(at);
            bytes.extend_from_slice(&other[from..]);
        }
        for _ in 0..=self.rng.below(CHANGES_MAX) {
            self.change(&mut bytes);
        }
        bytes.truncate(BYTES_MAX);
        bytes
    }

    fn one_of(&mut self, known: &[Vec<u8>]) -> Vec<u8> {
        match known.len() as u64 {
            0 => vec![],
            count => known[self.rng.below(count) as usize].clone(),
        }
    }

    /// A place among so many bytes, or behind them.
    fn place(&mut self, length: usize) -> usize {
        self.rng.below(length as u64 + 1) as usize
    }

    fn change(&mut self, bytes: &mut Vec<u8>) {
        let at = self.place(bytes.len());
        let end = (at + 1 + self.rng.below(30) as usize).min(bytes.len());
        match (self.rng.below(9), bytes.get_mut(at)) {
            (0, Some(byte)) => *byte = self.rng.next() as u8,
            (1, Some(byte)) => *byte ^= 1 << self.rng.below(8),
            (2, Some(byte)) => *byte = byte.wrapping_add(1).wrapping_sub(2 * (at as u8 & 1)),
            (3, Some(byte)) => *byte = [0, 1, 0x7f, 0x80, 0xff][self.rng.below(5) as usize],
            (4, _) => bytes.truncate(at),
            (5, Some(_)) => drop(bytes.drain(at..end)),
            (6, Some(_)) => {
                let again = bytes[at..end].to_vec();
                bytes.splice(at..at, again);
            }
            (7, _) if !self.words.is_empty() => {
                let word = self.words[self.rng.below(self.words.len() as u64) as usize];
                bytes.splice(at..at, word.iter().copied());
            }
            _ => {
                let count = 1 + self.rng.below(8) as usize;
                let more = self.rng.bytes(count);
                bytes.splice(at..at, more);
            }
        }
    }
}
