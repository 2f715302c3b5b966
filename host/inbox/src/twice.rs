//! Whether a file takes its room twice: it has to be copied on the disk that it is staged on.

use std::sync::Arc;

use super::Core;
use super::modes::Destination;
use super::stage::StagedFile;
use super::whereabouts::Place;

impl Core {
    /// Whether a file has to be copied into the directory `parent` on the disk that it is staged on, as far as can be
    /// told before there is a file.
    pub(super) fn takes_room_twice(self: &Arc<Self>, parent: Option<&str>) -> bool {
        match self.goes_to(parent) {
            // Group, capabilities, user namespace and file system decide.
            Some(Destination { place: Place::Here, inheritance: Some(inheritance) }) => {
                !self.inheritances.can_give(&inheritance, || {
                    let mut file = StagedFile::create(self).ok()?;
                    file.inherit(&inheritance);
                    Some(!file.needs_copy())
                })
            }
            Some(Destination { place: Place::OtherMount, .. }) => true,
            Some(Destination { .. }) | None => false,
        }
    }
}
