//! Finding and making folders beneath the inbox, part by part: no link is ever followed.

use sandport_protocol::EntryName;

use super::files::{DiskError, Folder, Look, Trouble};

/// Opens a folder and makes it if it is missing.
pub(super) fn open_or_make<F: Folder>(parent: &F, name: &str) -> Result<F, DiskError> {
    match parent.folder(name) {
        Err(error) if error.trouble == Trouble::NotFound => {}
        opened => return opened,
    }
    match parent.make_folder(name) {
        // Someone else was faster; opening it tells what it is.
        Err(error) if error.trouble != Trouble::Exists => return Err(error),
        _ => {}
    }
    parent.folder(name)
}

/// The folder at `path` beneath `root` (`None`: `root`), made if it is missing, and durably where that
/// is asked for.
pub(super) fn make<F: Folder>(root: &F, path: Option<&str>, durable: bool) -> Result<F, DiskError> {
    let mut folder = root.clone();
    for part in path.into_iter().flat_map(|path| path.split('/')) {
        folder = match folder.folder(part) {
            Err(error) if error.trouble == Trouble::NotFound => {
                let made = open_or_make(&folder, part)?;
                if durable {
                    folder.sync()?;
                }
                made
            }
            opened => opened?,
        };
    }
    Ok(folder)
}

/// The folder at `path` beneath `root`; `None`: it does not exist.
pub(super) fn open<F: Folder>(root: &F, path: Option<&str>) -> Result<Option<F>, DiskError> {
    let mut folder = root.clone();
    for part in path.into_iter().flat_map(|path| path.split('/')) {
        folder = match folder.folder(part) {
            Err(error) if error.trouble == Trouble::NotFound => return Ok(None),
            opened => opened?,
        };
    }
    Ok(Some(folder))
}

/// What has the name `name` beneath `root`; `None`: nothing.
pub(super) fn look_up<F: Folder>(root: &F, name: &EntryName) -> Result<Option<Look>, DiskError> {
    match open(root, name.parent())? {
        Some(folder) => folder.look(name.leaf()),
        None => Ok(None),
    }
}
