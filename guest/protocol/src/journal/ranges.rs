//! Which bytes of a file are there.

use alloc::vec::Vec;

use crate::Extent;

/// A set of ranges of bytes that do not touch.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Ranges {
    /// The first byte of each and the one after its last, in ascending order. Mostly there is one, and it grows.
    ranges: Vec<(u64, u64)>,
}

impl Ranges {
    /// Takes the bytes from `start` up to `end` in.
    pub fn insert(&mut self, start: u64, end: u64) {
        if start >= end {
            return;
        }
        // Those that touch the new one become a part of it.
        let first = self.ranges.partition_point(|&(_, other_end)| other_end < start);
        let last = self.ranges.partition_point(|&(other_start, _)| other_start <= end);
        let touching = &self.ranges[first..last];
        let start = touching.first().map_or(start, |&(other, _)| other.min(start));
        let end = touching.last().map_or(end, |&(_, other)| other.max(end));
        match self.ranges.get_mut(first..last) {
            Some([only]) => *only = (start, end),
            _ => drop(self.ranges.splice(first..last, [(start, end)])),
        }
    }

    /// Whether the byte at `offset` is there.
    pub fn contains(&self, offset: u64) -> bool {
        self.before(offset.saturating_add(1)).is_some_and(|(_, end)| offset < end)
    }

    /// Whether any byte from `start` up to `end` is there.
    pub fn overlaps(&self, start: u64, end: u64) -> bool {
        start < end && self.before(end).is_some_and(|(_, other_end)| other_end > start)
    }

    /// The last range that begins before `offset`.
    fn before(&self, offset: u64) -> Option<(u64, u64)> {
        let after = self.ranges.partition_point(|&(start, _)| start < offset);
        self.ranges[..after].last().copied()
    }

    /// How many bytes from the first one on are there without a gap.
    pub fn prefix(&self) -> u64 {
        self.ranges.first().map_or(0, |&(start, end)| if start == 0 { end } else { 0 })
    }

    /// Whether all of `size` bytes are there, and none beyond.
    pub fn is_whole(&self, size: u64) -> bool {
        self.ranges.len() == usize::from(size > 0) && self.prefix() == size
    }

    /// One past the last byte.
    pub fn end(&self) -> u64 {
        self.ranges.last().map_or(0, |&(_, end)| end)
    }

    /// How many ranges there are.
    pub fn count(&self) -> usize {
        self.ranges.len()
    }

    /// How many bytes there are.
    pub fn bytes(&self) -> u64 {
        self.iter().map(|(start, end)| end - start).sum()
    }

    /// The first byte of each range and the one after its last, in ascending order.
    pub fn iter(&self) -> impl Iterator<Item = (u64, u64)> + '_ {
        self.ranges.iter().copied()
    }

    /// What a range has beside these, in ascending order.
    pub fn gaps_within(&self, (start, end): (u64, u64)) -> Vec<(u64, u64)> {
        let (mut gaps, mut at) = (Vec::new(), start);
        let first = self.ranges.partition_point(|&(_, other_end)| other_end <= start);
        for &(other_start, other_end) in &self.ranges[first..] {
            if other_start >= end {
                break;
            }
            if other_start > at {
                gaps.push((at, other_start));
            }
            at = other_end;
        }
        if at < end {
            gaps.push((at, end));
        }
        gaps
    }

    /// What a file of `size` bytes (`None`: not known) has beside these, in ascending order.
    pub fn gaps(&self, size: Option<u64>) -> Vec<Extent> {
        let mut gaps = Vec::with_capacity(self.ranges.len() + 1);
        let mut offset = 0;
        for (start, end) in self.iter() {
            if start > offset {
                gaps.push(Extent { offset, length: Some(start - offset) });
            }
            offset = end;
        }
        match size {
            None => gaps.push(Extent { offset, length: None }),
            Some(size) if offset < size => {
                gaps.push(Extent { offset, length: Some(size - offset) });
            }
            Some(_) => {}
        }
        gaps
    }
}
