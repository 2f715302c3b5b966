//! Inboxes within what is sent: what of them stays at home.
//!
//! The state of an inbox is no server's to have. And where the server that is sent to serves an inbox that
//! lies in what is sent, what arrives would be found and sent again, one level deeper, with no end.

use std::collections::HashSet;
use std::ffi::OsString;
use std::path::Path;

use sandport_protocol::inbox::LAYOUT_FILE;
use sandport_protocol::{EntryName, NameError, RESERVED_NAME};

use super::{SkipReason, Source, source};

/// The names under which the sources of a run arrive at the server: the first part of each.
#[derive(Clone, Debug, Default)]
pub(super) struct Arrivals {
    names: HashSet<OsString>,
}

impl Arrivals {
    pub(super) fn of(sources: &[Source]) -> Self {
        let name = |source: &Source| match source {
            Source::Path { name: Some(name), .. } | Source::Reader { name: Some(name), .. } => {
                Some(name.clone())
            }
            // Where it has none, sending it fails.
            Source::Path { path, name: None } => source::own_name(path).ok(),
            Source::Reader { name: None, .. } => None,
        };
        let first_part = |name: String| name.split('/').next().map(OsString::from);
        Self { names: sources.iter().filter_map(name).filter_map(first_part).collect() }
    }

    /// Why an entry beneath a directory that is sent is left out, if it is.
    pub(super) fn leave_out(&self, path: &Path, is_directory: bool) -> Option<SkipReason> {
        let name = path.file_name()?;
        if is_directory && name.to_str().is_some_and(is_reserved) {
            return Some(SkipReason::InboxState);
        }
        let arrives_there = self.names.contains(name) && path.parent().is_some_and(is_inbox);
        arrives_there.then_some(SkipReason::OwnArrival)
    }
}

/// Whether no inbox takes the name, because it is that of its own state.
fn is_reserved(name: &str) -> bool {
    matches!(EntryName::parse(name), Err(NameError::Reserved))
}

fn is_inbox(directory: &Path) -> bool {
    directory.join(RESERVED_NAME).join(LAYOUT_FILE).is_file()
}
