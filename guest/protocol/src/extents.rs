//! How far the payload of an upload has come. Both ends keep the same account.

use alloc::collections::VecDeque;
use core::fmt;

use crate::Extent;

/// What is missing of a file, used up in ascending order.
#[derive(Clone, Debug)]
pub(crate) struct Cursor {
    /// What is missing, first to last; none of them empty, and none begun before `position`.
    rest: VecDeque<Span>,
    /// Where the last payload ended.
    position: u64,
}

#[derive(Clone, Copy, Debug)]
struct Span {
    offset: u64,
    /// One past the last byte; `None` where the size is not known.
    end: Option<u64>,
    begun: bool,
}

/// Where payload was placed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Placed {
    /// It begins this missing extent, which may be longer than the payload.
    Begins(Extent),
    /// It goes on where the last ended, in the same extent.
    GoesOn,
}

/// Extents that do not ascend, or reach beyond the size of the file.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct InvalidExtents;

/// Payload for a place where none is expected next.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct OutOfOrder {
    /// Where it should have begun; `None`: nothing is missing.
    expected: Option<u64>,
}

impl Cursor {
    /// A cursor over `missing`, of a file of `size` bytes where that is known.
    pub(crate) fn new(missing: &[Extent], size: Option<u64>) -> Result<Self, InvalidExtents> {
        let mut rest = VecDeque::with_capacity(missing.len());
        let mut last_end = Some(0);
        for extent in missing {
            let end = match extent.length {
                Some(length) => Some(extent.offset.checked_add(length).ok_or(InvalidExtents)?),
                None => size,
            };
            if last_end.is_none_or(|last_end| extent.offset < last_end)
                || end.is_some_and(|end| end < extent.offset)
                || size.zip(end).is_some_and(|(size, end)| end > size)
            {
                return Err(InvalidExtents);
            }
            last_end = end;
            if end != Some(extent.offset) {
                rest.push_back(Span { offset: extent.offset, end, begun: false });
            }
        }
        Ok(Self { rest, position: 0 })
    }

    /// A cursor over all of a file of `size` bytes, where that is known.
    pub(crate) fn whole(size: Option<u64>) -> Self {
        let rest = match size {
            Some(0) => VecDeque::new(),
            end => VecDeque::from([Span { offset: 0, end, begun: false }]),
        };
        Self { rest, position: 0 }
    }

    /// Places `length` bytes at `offset` and moves on behind them. Nothing changes on an error.
    pub(crate) fn place(&mut self, offset: u64, length: u64) -> Result<Placed, OutOfOrder> {
        let out_of_order = OutOfOrder { expected: self.rest.front().map(|span| span.offset) };
        if length == 0 {
            let expected = out_of_order.expected.unwrap_or(self.position);
            return if offset == expected { Ok(Placed::GoesOn) } else { Err(out_of_order) };
        }
        let end = offset.checked_add(length).ok_or(out_of_order)?;
        let Some(span) = self.rest.front_mut() else { return Err(out_of_order) };
        if offset != span.offset || span.end.is_some_and(|span_end| end > span_end) {
            return Err(out_of_order);
        }
        let placed = if span.begun {
            Placed::GoesOn
        } else {
            Placed::Begins(Extent { offset, length: span.end.map(|span_end| span_end - offset) })
        };
        span.begun = true;
        span.offset = end;
        self.position = end;
        if span.end == Some(end) {
            self.rest.pop_front();
        }
        Ok(placed)
    }

    /// Whether nothing is missing of a file of `size` bytes, going by what was offered and by what
    /// came.
    pub(crate) fn is_complete(&self, offered: Option<u64>, size: u64) -> bool {
        if offered.is_some_and(|offered| offered != size) {
            return false;
        }
        match self.rest.front() {
            None => offered.is_some() || self.position <= size,
            // The extent that ends where the file does.
            Some(span) => span.end.is_none() && span.offset == size,
        }
    }
}

impl fmt::Display for OutOfOrder {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.expected {
            Some(expected) => write!(f, "the next byte that is missing is {expected}"),
            None => f.write_str("nothing is missing"),
        }
    }
}
