//! Which bytes of a file are there.

use alloc::collections::BTreeMap;
use alloc::vec::Vec;

use crate::Extent;

/// A set of ranges of bytes that do not touch.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Ranges {
    /// Ends by starts.
    ranges: BTreeMap<u64, u64>,
}

impl Ranges {
    /// Takes the bytes from `start` up to `end` in.
    pub fn insert(&mut self, mut start: u64, mut end: u64) {
        if start >= end {
            return;
        }
        // Each turn takes a range away that touches the new one.
        while let Some((&other_start, &other_end)) = self.ranges.range(..=end).next_back()
            && other_end >= start
        {
            self.ranges.remove(&other_start);
            start = start.min(other_start);
            end = end.max(other_end);
        }
        self.ranges.insert(start, end);
    }

    /// Whether the byte at `offset` is there.
    pub fn contains(&self, offset: u64) -> bool {
        self.ranges.range(..=offset).next_back().is_some_and(|(_, &end)| offset < end)
    }

    /// Whether any byte from `start` up to `end` is there.
    pub fn overlaps(&self, start: u64, end: u64) -> bool {
        start < end
            && self.ranges.range(..end).next_back().is_some_and(|(_, &other_end)| other_end > start)
    }

    /// How many bytes from the first one on are there without a gap.
    pub fn prefix(&self) -> u64 {
        self.ranges.get(&0).copied().unwrap_or(0)
    }

    /// Whether all of `size` bytes are there, and none beyond.
    pub fn is_whole(&self, size: u64) -> bool {
        self.ranges.len() == usize::from(size > 0) && self.prefix() == size
    }

    /// One past the last byte.
    pub fn end(&self) -> u64 {
        self.ranges.last_key_value().map_or(0, |(_, &end)| end)
    }

    /// How many ranges there are.
    pub fn count(&self) -> usize {
        self.ranges.len()
    }

    /// How many bytes there are.
    pub fn bytes(&self) -> u64 {
        self.ranges.iter().map(|(start, end)| end - start).sum()
    }

    /// The ranges, in ascending order: where each begins, and where it ends.
    pub fn iter(&self) -> impl Iterator<Item = (u64, u64)> + '_ {
        self.ranges.iter().map(|(&start, &end)| (start, end))
    }

    /// What a range has beside these, in ascending order.
    pub fn gaps_within(&self, (start, end): (u64, u64)) -> Vec<(u64, u64)> {
        let (mut gaps, mut at) = (Vec::new(), start);
        while at < end {
            let here = self.ranges.range(..=at).next_back();
            if let Some((_, &to)) = here.filter(|&(_, &to)| to > at) {
                at = to;
                continue;
            }
            let next = self.ranges.range(at..).next().map_or(end, |(&next, _)| next.min(end));
            gaps.push((at, next));
            at = next;
        }
        gaps
    }

    /// What a file of `size` bytes (`None`: not known) has beside these, in ascending order.
    pub fn gaps(&self, size: Option<u64>) -> Vec<Extent> {
        let mut gaps = Vec::with_capacity(self.ranges.len() + 1);
        let mut offset = 0;
        for (&start, &end) in &self.ranges {
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
