//! How many uploads each identity has that are kept though nothing of them came: a key costs its sender nothing.
//!
//! Many senders may share an identity, the anonymous one above all. Where it has too many, one goes of the address that
//! has the most of them, and so none who asks for many takes the place of those who ask for few.

use std::cmp::Reverse;
use std::collections::{HashMap, HashSet};
use std::net::IpAddr;
use std::sync::{Mutex, PoisonError};

use sandport_protocol::{Refusal, RefusalCode};

use super::Id;
use super::volume::Volume;
use crate::Identity;
use crate::network::network;

/// Most that an identity may have. Each takes two files, and a block of the disk.
pub(crate) const EMPTY_UPLOADS_MAX: usize = 1_024;

/// Those that may be empty still: `None` before somebody has looked. They are looked at again when there are too many.
#[derive(Default)]
pub(super) struct Empties(Mutex<Option<HashMap<Identity, Vec<Empty>>>>);

/// One of them.
struct Empty {
    /// What its files are called.
    name: String,
    /// Where its sender is; `None`: nobody knows, or it was there when the server started.
    place: Option<IpAddr>,
}

/// Who begins another.
pub(super) struct Beginner<'a> {
    pub(super) owner: &'a Identity,
    /// Where its sender is, as far as is known.
    pub(super) address: Option<IpAddr>,
    pub(super) id: Id,
}

impl Empties {
    /// Counts one more. `open`: the names of those that somebody has open now. It looks at the disk, and may remove one
    /// from it.
    ///
    /// # Errors
    /// `too-many`: all that there are have somebody at them.
    pub(super) fn enter(
        &self,
        volume: &dyn Volume,
        beginner: Beginner<'_>,
        open: impl Fn() -> HashSet<String>,
    ) -> Result<(), Refusal> {
        let Beginner { owner, address, id } = beginner;
        let mut known = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let known = known.get_or_insert_with(|| {
            let mut found = HashMap::<_, Vec<_>>::new();
            for (owner, name) in volume.empty_ones() {
                found.entry(owner).or_default().push(Empty { name, place: None });
            }
            found
        });
        let its = known.entry(owner.clone()).or_default();
        while its.len() >= EMPTY_UPLOADS_MAX {
            let held = open();
            let is_held = |at: &usize| held.contains(&its[*at].name);
            // Those that are held may not be empty any more. Each costs a look at the disk, and they come last.
            let (last, first): (Vec<_>, Vec<_>) = fullest_first(its).into_iter().partition(is_held);
            let goes = |at: &usize| {
                let name = &its[*at].name;
                // One that is open and has no file is being made.
                let is_empty = match volume.bytes_of(name) {
                    Some(bytes) => bytes == 0,
                    None => is_held(at),
                };
                // It may have been opened meanwhile.
                !is_empty || (!is_held(at) && !open().contains(name) && volume.remove_empty(name))
            };
            let Some(at) = first.into_iter().chain(last).find(goes) else {
                return Err(too_many(owner));
            };
            its.remove(at);
        }
        its.push(Empty { name: id.to_string(), place: address.map(network) });
        Ok(())
    }
}

/// Where they are, by how many their place has, the most first; of as many, the oldest first.
fn fullest_first(empties: &[Empty]) -> Vec<usize> {
    let mut counts = HashMap::<_, usize>::new();
    empties.iter().for_each(|empty| *counts.entry(empty.place).or_default() += 1);
    let mut order: Vec<_> = (0..empties.len()).collect();
    order.sort_by_key(|&at| Reverse(counts[&empties[at].place]));
    order
}

fn too_many(owner: &Identity) -> Refusal {
    let who = if owner.is_anonymous() { "anonymous senders have" } else { "a sender has" };
    let words = format!("{who} {EMPTY_UPLOADS_MAX} uploads at most of which nothing came");
    Refusal::new(RefusalCode::TooMany, words)
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use super::*;

    #[test]
    fn the_oldest_empty_upload_of_the_fullest_address_goes() {
        let place = |last: u8| Some(IpAddr::from([192, 0, 2, last]));
        let empties: Vec<_> = [Some(1), Some(2), None, Some(2), Some(3), Some(2)]
            .into_iter()
            .enumerate()
            .map(|(at, last)| Empty { name: at.to_string(), place: last.and_then(place) })
            .collect();
        let order = fullest_first(&empties);
        assert_eq!(order, [1, 3, 5, 0, 2, 4]);
    }
}
