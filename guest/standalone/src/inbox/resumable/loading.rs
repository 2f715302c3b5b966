//! Finding an upload again, by what its files say.

use std::rc::Rc;

use blake3::hazmat::HasherExt;
use sandport_protocol::journal::{GROUP_BYTES, Recovered, Recovery, ResumableId, group_hasher};
use sandport_protocol::{EntryName, Refusal, upload};

use super::files::Files;
use super::names::{Name, Part};
use super::volume::{JOURNAL_PIECE_BYTES, Volume};
use crate::inbox::files::{Directory, DiskError, File, Trouble};

/// What a key leads to.
pub(super) enum Loaded<F: Directory> {
    /// An upload that goes on.
    ResumableUpload(Box<Found<F>>),
    /// One that was published, under this offered name.
    Published(EntryName),
}

/// An upload that was found.
pub(super) struct Found<F: Directory> {
    pub(super) name: EntryName,
    pub(super) size: Option<u64>,
    pub(super) groups: upload::Found,
    pub(super) files: Files<F>,
}

/// Finds what is there of an upload that nobody has open, and makes it this run's.
///
/// # Errors
/// `io` and the like: it may be readable later.
pub(super) fn load<F: Directory>(
    volume: &Rc<Volume<F>>,
    id: ResumableId,
) -> Result<Option<Loaded<F>>, Refusal> {
    let own = volume.own(id);
    for name in volume.names.of(own) {
        let loaded = load_one(volume, id, own, name);
        let loaded = loaded.map_err(|error| error.refusal("read a partial file"))?;
        if loaded.is_some() {
            return Ok(loaded);
        }
    }
    Ok(None)
}

/// The same of one run; `None`: there is none, or it cannot be resumed. What is damaged is left to expire:
/// it may be another's, whose name begins alike.
fn load_one<F: Directory>(
    volume: &Rc<Volume<F>>,
    id: ResumableId,
    own: Name,
    name: Name,
) -> Result<Option<Loaded<F>>, DiskError> {
    let Some(mut journal) = volume.directory.find(&name.journal())? else {
        volume.names.remove(name, Part::Journal);
        return Ok(None);
    };
    let data_bytes = volume.directory.look(&name.data())?.map_or(0, |look| look.size);
    let mut recovery = Recovery::new(id.journal(), 0, data_bytes);
    let mut offset = 0;
    loop {
        let piece = journal.read(offset, JOURNAL_PIECE_BYTES)?;
        offset += piece.len() as u64;
        if piece.is_empty() || !recovery.push(&piece) {
            break;
        }
    }
    let Ok(recovered) = recovery.finish() else { return Ok(None) };
    let Ok(offered) = EntryName::parse(&recovered.begun.name) else { return Ok(None) };
    if volume.directory.find(&name.data())?.is_none() {
        volume.names.remove(name, Part::Data);
        return Ok(Some(Loaded::Published(offered)));
    }
    if name != own {
        match volume.take_over(name, own, &mut journal, recovered.end) {
            Ok(taken) => journal = taken,
            // Another server was faster.
            Err(error) if error.trouble == Trouble::NotFound => {
                volume.names.remove(name, Part::Data);
                volume.names.remove(name, Part::Journal);
                return Ok(None);
            }
            Err(error) => return Err(error),
        }
    }
    let Some(mut data) = volume.directory.find(&own.data())? else { return Ok(None) };
    let Recovered { begun, tree, kept, tail, end, writer, .. } = recovered;
    let mut is_there = None;
    if let Some(tail) = tail {
        let length = usize::try_from(tail.length).unwrap_or(0);
        let content = data.read(tail.group * GROUP_BYTES, length)?;
        let mut hasher = group_hasher(tail.group);
        hasher.update(&content);
        // Where it is not what was kept, it is sent again.
        if content.len() == length && hasher.finalize_non_root() == tail.value {
            is_there = Some((tail.group, tail.length, hasher));
        }
    }
    let groups = upload::Found { tree, whole: kept, tail: is_there };
    let files = Files::found(volume, id, data, journal, (writer, end));
    let (name, size) = (offered, begun.size);
    Ok(Some(Loaded::ResumableUpload(Box::new(Found { name, size, groups, files }))))
}
