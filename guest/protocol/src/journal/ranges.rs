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

    /// What `extents` have of a file of `size` bytes. Where neither says where one ends, it goes on to [`u64::MAX`].
    pub fn of_extents(extents: &[Extent], size: Option<u64>) -> Self {
        let most = size.unwrap_or(u64::MAX);
        let mut ranges = Self { ranges: Vec::with_capacity(extents.len()) };
        for extent in extents {
            let end = extent.length.map_or(most, |length| extent.offset.saturating_add(length));
            ranges.insert(extent.offset, end.min(most));
        }
        ranges
    }

    /// Takes in what the other one has.
    pub fn absorb(&mut self, other: &Self) {
        other.iter().for_each(|(start, end)| self.insert(start, end));
    }

    /// Takes the bytes from `start` up to `end` out.
    pub fn remove(&mut self, start: u64, end: u64) {
        if start >= end {
            return;
        }
        let first = self.ranges.partition_point(|&(_, other_end)| other_end <= start);
        let last = self.ranges.partition_point(|&(other_start, _)| other_start < end);
        let Some(hit) = self.ranges.get(first..last).filter(|hit| !hit.is_empty()) else { return };
        let before = (hit[0].0, start);
        let after = (end, hit[hit.len() - 1].1);
        let (has_before, has_after) = (before.0 < before.1, after.0 < after.1);
        match (has_before, has_after) {
            (true, true) if hit.len() == 1 => {
                self.ranges[first] = before;
                // Room for a quarter more, where doubling would leave half of it empty: a peer may cut it thousands
                // of times.
                if self.ranges.len() == self.ranges.capacity() {
                    self.ranges.reserve_exact(self.ranges.len() / 4 + 1);
                }
                self.ranges.insert(first + 1, after);
            }
            (true, true) => drop(self.ranges.splice(first..last, [before, after])),
            (true, false) => drop(self.ranges.splice(first..last, [before])),
            (false, true) => match self.ranges.get_mut(first..last) {
                Some([only]) => *only = after,
                _ => drop(self.ranges.splice(first..last, [after])),
            },
            (false, false) => drop(self.ranges.drain(first..last)),
        }
        if self.ranges.is_empty() {
            // Its room too: thousands of them may wait for their ends.
            self.ranges = Vec::new();
        }
    }

    /// Takes the first byte out.
    pub fn pop_first(&mut self) -> Option<u64> {
        let first = self.first()?;
        self.remove(first, first.saturating_add(1));
        Some(first)
    }

    /// Takes the last `count` bytes out, or all where there are fewer.
    pub fn take_last(&mut self, mut count: u64) -> Self {
        let mut taken = Self::default();
        while count > 0
            && let Some(&(start, end)) = self.ranges.last()
        {
            let border = start.max(end.saturating_sub(count));
            taken.insert(border, end);
            self.remove(border, end);
            count -= end - border;
        }
        taken
    }

    /// Whether there is none.
    pub fn is_empty(&self) -> bool {
        self.ranges.is_empty()
    }

    /// The first byte.
    pub fn first(&self) -> Option<u64> {
        self.ranges.first().map(|&(start, _)| start)
    }

    /// The last byte.
    pub fn last(&self) -> Option<u64> {
        self.ranges.last().map(|&(_, end)| end - 1)
    }

    /// The first byte of the range that has the byte at `offset`, and the one after its last.
    pub fn range_at(&self, offset: u64) -> Option<(u64, u64)> {
        self.before(offset.saturating_add(1)).filter(|&(start, end)| (start..end).contains(&offset))
    }

    /// What these have of a range, in ascending order.
    pub fn within(&self, (start, end): (u64, u64)) -> impl Iterator<Item = (u64, u64)> + '_ {
        let first = self.ranges.partition_point(|&(_, other_end)| other_end <= start);
        let here = self.ranges[first..].iter().take_while(move |&&(other, _)| other < end);
        here.map(move |&(other_start, other_end)| (other_start.max(start), other_end.min(end)))
    }

    /// Whether the byte at `offset` is there, and where that changes next; [`u64::MAX`]: nowhere.
    pub fn run_at(&self, offset: u64) -> (bool, u64) {
        match self.range_at(offset) {
            Some((_, end)) => (true, end),
            None => {
                let next = self.ranges.partition_point(|&(start, _)| start <= offset);
                (false, self.ranges.get(next).map_or(u64::MAX, |&(start, _)| start))
            }
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
