//! How many uploads each identity has that are kept though nothing of them came: a key costs its sender nothing.

use std::collections::{HashMap, HashSet};
use std::sync::{Mutex, PoisonError};

use sandport_protocol::{Refusal, RefusalCode};

use super::Id;
use super::volume::Volume;
use crate::Identity;

/// Most that an identity may have. Each takes two files, and a block of the disk.
pub(in crate::inbox) const EMPTY_UPLOADS_MAX: usize = 1_024;

/// Those that may be empty still, by the names of their files: `None` before somebody has looked. They are looked at
/// again when there are too many.
#[derive(Default)]
pub(super) struct Empties(Mutex<Option<HashMap<Identity, HashSet<String>>>>);

impl Empties {
    /// Counts one more of `owner`. `is_open`: which of them somebody has open, by name. It looks at the disk.
    ///
    /// # Errors
    /// `too-many`.
    pub(super) fn enter(
        &self,
        volume: &dyn Volume,
        owner: &Identity,
        id: Id,
        is_open: impl Fn(&str) -> bool,
    ) -> Result<(), Refusal> {
        let mut known = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let known = known.get_or_insert_with(|| {
            let mut found = HashMap::<_, HashSet<_>>::new();
            for (owner, name) in volume.empty_ones() {
                found.entry(owner).or_default().insert(name);
            }
            found
        });
        let its = known.entry(owner.clone()).or_default();
        if its.len() >= EMPTY_UPLOADS_MAX {
            // One that is open and has no file is being made.
            its.retain(|name| match volume.bytes_of(name) {
                Some(bytes) => bytes == 0,
                None => is_open(name),
            });
        }
        if its.len() >= EMPTY_UPLOADS_MAX {
            let who = if owner.is_anonymous() { "anonymous senders have" } else { "a sender has" };
            let words = format!("{who} {EMPTY_UPLOADS_MAX} uploads at most of which nothing came");
            return Err(Refusal::new(RefusalCode::TooMany, words));
        }
        its.insert(id.to_string());
        Ok(())
    }
}
