//! Finding and making directories beneath the inbox, part by part: no link is ever followed.

use sandport_protocol::EntryName;

use super::files::{Directory, DiskError, Look, Trouble};

/// Opens a directory and makes it if it is missing.
pub(super) fn open_or_make<F: Directory>(parent: &F, name: &str) -> Result<F, DiskError> {
    match parent.directory(name) {
        Err(error) if error.trouble == Trouble::NotFound => {}
        opened => return opened,
    }
    match parent.make_directory(name) {
        // Someone else was faster; opening it tells what it is.
        Err(error) if error.trouble != Trouble::Exists => return Err(error),
        _ => {}
    }
    parent.directory(name)
}

/// The directory at `path` beneath `root` (`None`: `root`), made if it is missing, and durably where that
/// is asked for.
pub(super) fn make<F: Directory>(
    root: &F,
    path: Option<&str>,
    durable: bool,
) -> Result<F, DiskError> {
    let mut directory = root.clone();
    for part in path.into_iter().flat_map(|path| path.split('/')) {
        directory = match directory.directory(part) {
            Err(error) if error.trouble == Trouble::NotFound => {
                let made = open_or_make(&directory, part)?;
                if durable {
                    directory.sync()?;
                }
                made
            }
            opened => opened?,
        };
    }
    Ok(directory)
}

/// The directory at `path` beneath `root`; `None`: it does not exist.
pub(super) fn open<F: Directory>(root: &F, path: Option<&str>) -> Result<Option<F>, DiskError> {
    let mut directory = root.clone();
    for part in path.into_iter().flat_map(|path| path.split('/')) {
        directory = match directory.directory(part) {
            Err(error) if error.trouble == Trouble::NotFound => return Ok(None),
            opened => opened?,
        };
    }
    Ok(Some(directory))
}

/// What has the name `name` beneath `root`; `None`: nothing.
pub(super) fn look_up<F: Directory>(root: &F, name: &EntryName) -> Result<Option<Look>, DiskError> {
    match open(root, name.parent())? {
        Some(directory) => directory.look(name.leaf()),
        None => Ok(None),
    }
}
