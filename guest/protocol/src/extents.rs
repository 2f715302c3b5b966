//! How far the payload of an upload has come. Both ends keep the same account; but where payload may come in any order,
//! the receiving end leaves the list of what is missing to its inbox.

use core::fmt;

use crate::journal::Ranges;
use crate::{Extent, Offer};

/// Most ranges that a sender can cut what is missing into. Twice what an inbox lists in one answer; each
/// takes 16 bytes.
const SPANS_MAX: usize = 4_096;

/// What is missing of a file, used up in ascending order, or in any.
#[derive(Clone, Debug)]
pub(crate) struct Cursor {
    order: Order,
    /// What is missing.
    rest: Ranges,
    /// Where the last payload ended.
    position: u64,
    /// Whether the one that begins there is begun. No other is.
    goes_on: bool,
}

/// What a receiving end keeps of the payload of an upload.
#[derive(Debug)]
pub(crate) enum Account {
    /// Payload in ascending order: what is missing.
    Listed(Cursor),
    /// In any order: where the last payload ended. The inbox has the list of what is missing, and refuses what is here;
    /// a sender may cut that into hundreds of parts for a byte each, so it is not kept twice.
    Loose { size: Option<u64>, position: u64, goes_on: bool },
}

impl Account {
    /// One of a file of `size` bytes where that is known, of which the inbox says that this is missing.
    pub(crate) fn new(
        missing: &[Extent],
        size: Option<u64>,
        order: Order,
    ) -> Result<Self, InvalidExtents> {
        let cursor = Cursor::new(missing, size, order)?;
        Ok(match order {
            Order::Ascending => Self::Listed(cursor),
            Order::Any => Self::Loose { size, position: 0, goes_on: false },
        })
    }

    /// As [`Cursor::place`]. In any order, an extent goes up to the end of the file, and what is here within is for the
    /// inbox to refuse.
    pub(crate) fn place(&mut self, offset: u64, length: u64) -> Result<Placed, OutOfOrder> {
        match self {
            Self::Listed(cursor) => cursor.place(offset, length),
            Self::Loose { size, position, goes_on } => {
                let end = offset.checked_add(length);
                let fits = |end: &u64| size.is_none_or(|size| *end <= size);
                let Some(end) = end.filter(fits) else {
                    return Err(OutOfOrder { expected: Some(*position) });
                };
                if length == 0 {
                    return Ok(Placed::GoesOn);
                }
                if *goes_on && *position == offset {
                    *position = end;
                    return Ok(Placed::GoesOn);
                }
                (*position, *goes_on) = (end, true);
                let length = size.map(|size| size - offset);
                Ok(Placed::Begins(Extent { offset, length }))
            }
        }
    }

    /// In which order payload may come.
    pub(crate) fn order(&self) -> Order {
        match self {
            Self::Listed(_) => Order::Ascending,
            Self::Loose { .. } => Order::Any,
        }
    }

    /// As [`Cursor::is_complete`].
    pub(crate) fn is_complete(&self, offered: Option<u64>, size: u64) -> bool {
        match self {
            Self::Listed(cursor) => cursor.is_complete(offered, size),
            // Another connection may have brought what this one has not.
            Self::Loose { .. } => offered.is_none_or(|offered| offered == size),
        }
    }
}

/// In which order payload may come.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Order {
    /// Without leaving anything out.
    Ascending,
    /// As the sender likes, who may leave parts to another connection: an upload with a resume key.
    Any,
}

impl Order {
    pub(crate) fn of(offer: &Offer) -> Self {
        if offer.resume.is_some() { Self::Any } else { Self::Ascending }
    }
}

/// Where a range ends whose end is not known. No file is so long.
const OPEN: u64 = u64::MAX;

fn extent((offset, end): (u64, u64)) -> Extent {
    Extent { offset, length: (end != OPEN).then(|| end - offset) }
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
    pub(crate) fn new(
        missing: &[Extent],
        size: Option<u64>,
        order: Order,
    ) -> Result<Self, InvalidExtents> {
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
        }
        let rest = Ranges::of_extents(missing, size);
        Ok(Self { order, rest, position: 0, goes_on: false })
    }

    /// A cursor over all of a file of `size` bytes, where that is known.
    pub(crate) fn whole(size: Option<u64>) -> Self {
        let rest = Ranges::of_extents(&[Extent { offset: 0, length: None }], size);
        Self { order: Order::Ascending, rest, position: 0, goes_on: false }
    }

    /// Places `length` bytes at `offset` and moves on behind them. Nothing changes on an error.
    pub(crate) fn place(&mut self, offset: u64, length: u64) -> Result<Placed, OutOfOrder> {
        let out_of_order = OutOfOrder { expected: self.rest.first() };
        if length == 0 {
            let expected = out_of_order.expected.unwrap_or(self.position);
            return if offset == expected { Ok(Placed::GoesOn) } else { Err(out_of_order) };
        }
        let end = offset.checked_add(length).ok_or(out_of_order)?;
        let (start, rest_end) = self.rest.range_at(offset).ok_or(out_of_order)?;
        let is_next = match self.order {
            Order::Ascending => Some(offset) == out_of_order.expected,
            // Each part in the middle of one makes two of it.
            Order::Any => offset == start || self.rest.count() < SPANS_MAX,
        };
        if !is_next || end > rest_end {
            return Err(out_of_order);
        }
        self.rest.remove(offset, end);
        let goes_on = self.goes_on && self.position == offset;
        (self.position, self.goes_on) = (end, rest_end != end);
        Ok(if goes_on { Placed::GoesOn } else { Placed::Begins(extent((offset, rest_end))) })
    }

    /// Whether nothing is missing of a file of `size` bytes, going by what was offered and by what
    /// came.
    pub(crate) fn is_complete(&self, offered: Option<u64>, size: u64) -> bool {
        if offered.is_some_and(|offered| offered != size) {
            return false;
        }
        // Another connection may have brought what this one has not.
        if self.order == Order::Any {
            return true;
        }
        match self.rest.first() {
            None => offered.is_some() || self.position <= size,
            // The extent that ends where the file does.
            Some(first) => self.rest.end() == OPEN && first == size,
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

#[cfg(test)]
mod tests {
    use super::*;

    fn extent(offset: u64, length: u64) -> Extent {
        Extent { offset, length: Some(length) }
    }

    fn begins(offset: u64, length: u64) -> Result<Placed, OutOfOrder> {
        Ok(Placed::Begins(extent(offset, length)))
    }

    fn resumed(missing: &[Extent], size: u64) -> Cursor {
        Cursor::new(missing, Some(size), Order::Any).unwrap_or_else(|_| Cursor::whole(None))
    }

    #[test]
    fn parts_of_what_is_missing_may_come_in_any_order() {
        let mut cursor = resumed(&[extent(10, 20), extent(50, 50)], 100);
        assert_eq!(cursor.place(70, 10), begins(70, 30));
        assert_eq!(cursor.place(80, 20), Ok(Placed::GoesOn));
        assert_eq!(cursor.place(10, 5), begins(10, 20));
        assert_eq!(cursor.place(50, 5), begins(50, 20));
        assert_eq!(cursor.place(55, 15), Ok(Placed::GoesOn));
        // Where another came between, the body is another.
        assert_eq!(cursor.place(15, 15), begins(15, 15));
        assert!(cursor.rest.is_empty());
    }

    #[test]
    fn what_is_here_and_what_is_beyond_the_file_is_out_of_order() {
        let mut cursor = resumed(&[extent(10, 20)], 100);
        for (offset, length) in [(0, 5), (5, 10), (25, 10), (30, 1), (100, 1), (u64::MAX, 2)] {
            assert!(cursor.place(offset, length).is_err(), "{length} at {offset}");
        }
        assert_eq!(cursor.place(10, 20), begins(10, 20));
        assert!(cursor.place(10, 20).is_err(), "a second time");
    }

    #[test]
    fn an_account_knows_no_more_than_where_the_last_payload_ended() {
        let missing = [extent(10, 20), extent(50, 50)];
        let account = Account::new(&missing, Some(100), Order::Any);
        let Ok(mut account) = account else { panic!("these extents ascend") };
        assert_eq!(account.place(70, 10), begins(70, 30));
        assert_eq!(account.place(80, 5), Ok(Placed::GoesOn));
        assert_eq!(account.place(10, 5), begins(10, 90));
        // Where another came between, the body is another.
        assert_eq!(account.place(85, 5), begins(85, 15));
        assert_eq!(account.place(90, 0), Ok(Placed::GoesOn));
        assert_eq!(account.place(90, 10), Ok(Placed::GoesOn));
        for (offset, length) in [(90, 11), (100, 1), (u64::MAX, 2)] {
            assert!(account.place(offset, length).is_err(), "{length} at {offset}");
        }
        assert!(account.is_complete(Some(100), 100) && !account.is_complete(Some(100), 99));
        assert!(Account::new(&missing, Some(60), Order::Any).is_err());
        assert!(size_of::<Account>() <= 48);
    }

    #[test]
    fn a_sender_cannot_cut_it_into_any_number_of_parts() {
        let mut cursor = resumed(&[extent(0, 1 << 40)], 1 << 40);
        let placed = (1..).take_while(|&part| cursor.place(part << 20, 1).is_ok()).count();
        assert!(placed < SPANS_MAX, "{placed}");
    }
}
