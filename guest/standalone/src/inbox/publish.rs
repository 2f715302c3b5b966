//! How a file gets its name.

use sandport_protocol::inbox::{
    Chosen, Conflict, Occupant, RACES_MAX, Record, choose_name, receipt, taken_again,
    taken_by_directory,
};
use sandport_protocol::{Digest, EntryName, Receipt, Refusal, RefusalCode};

use super::files::{Directory, DiskError, Kind, Trouble};
use super::state::Core;

/// A published file.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Published {
    /// Its name.
    pub name: String,
    /// Bytes.
    pub size: u64,
    /// `None`: it came without a name, and was not hashed.
    pub digest: Option<Digest>,
}

impl Published {
    /// The receipt for it.
    pub fn receipt(self) -> Receipt {
        // Who sends without a name speaks a dialect without receipts: nobody reads this digest.
        let digest = self.digest.unwrap_or(Digest::Blake3([0; 32]));
        Receipt { name: self.name, size: self.size, digest, proof: None }
    }
}

/// A file that is whole, and where it lies.
pub(super) struct Source<'a, F: Directory> {
    pub(super) directory: &'a F,
    pub(super) name: &'a str,
    /// What it was offered as, or the name that was made up.
    pub(super) offered: &'a EntryName,
    pub(super) size: u64,
    /// `None`: nobody can ask for it.
    pub(super) digest: Option<Digest>,
}

/// What became of it: the first name is gone, or is to be removed.
pub(super) struct Placed {
    pub(super) published: Published,
    pub(super) is_moved: bool,
}

impl<F: Directory> Core<F> {
    /// Chooses a name, writes it down, and gives it to the file: in this order, so that no file is
    /// there without its record.
    pub(super) fn publish(&self, source: &Source<'_, F>) -> Result<Placed, Refusal> {
        let Source { directory: from, name: first, offered, size, digest } = *source;
        let look = from.look(first).map_err(|error| error.refusal("finish a file"))?;
        let Some(look) = look else {
            let words = "the inbox lost an unfinished file: another server may have the directory";
            return Err(Refusal::new(RefusalCode::Io, words));
        };
        let record = digest.map(|digest| look.record(*digest.as_bytes()));
        for _ in 0..RACES_MAX {
            let directory = self.directory(offered.parent())?;
            let (number, name) = match self.choose(offered, &directory, record.as_ref())? {
                Chosen::Name { number, name } => (number, name),
                Chosen::Same((name, record)) => {
                    let receipt = receipt(&name, &record);
                    let digest = Some(receipt.digest);
                    let published = Published { name: receipt.name, size: receipt.size, digest };
                    return Ok(Placed { published, is_moved: false });
                }
                Chosen::Refused(refusal) => return Err(refusal),
            };
            if let Some(record) = record {
                let written = self.receipts.intend(offered, number, record);
                written.map_err(|error| error.refusal("write a receipt"))?;
            }
            let is_moved = match self.place(source, &directory, name.leaf()) {
                Ok(is_moved) => is_moved,
                Err(error) => {
                    if record.is_some() {
                        self.receipts.take_back(&name);
                    }
                    match error.trouble {
                        Trouble::IsDirectory => return Err(taken_by_directory()),
                        // Someone outside took the name, or the directory was removed.
                        Trouble::Exists | Trouble::NotFound => continue,
                        _ => return Err(error.refusal_of_name("publish a file")),
                    }
                }
            };
            if self.durable() {
                directory.sync().map_err(|error| error.refusal("make a directory durable"))?;
            }
            if let Some(record) = record {
                self.receipts.publish(offered, number, &name, record);
            }
            let published = Published { name: name.as_str().to_owned(), size, digest };
            return Ok(Placed { published, is_moved });
        }
        Err(taken_again())
    }

    fn choose(
        &self,
        offered: &EntryName,
        directory: &F,
        record: Option<&Record>,
    ) -> Result<Chosen<(EntryName, Record)>, Refusal> {
        let look = |name: &EntryName| {
            Ok(match directory.look(name.leaf())? {
                None => Occupant::None,
                Some(look) if look.kind == Kind::Directory => Occupant::Directory,
                Some(_) => Occupant::Other,
            })
        };
        let same = || {
            let record = record?;
            let same = |other: &Record| other.digest == record.digest && other.size == record.size;
            self.vouched(offered, same)
        };
        choose_name(self.options.conflict, offered, look, same)
            .map_err(|error: DiskError| error.refusal_of_name("open a directory"))
    }

    /// Gives the file its name; whether it has lost its first one by that.
    fn place(&self, source: &Source<'_, F>, directory: &F, leaf: &str) -> Result<bool, DiskError> {
        if self.options.conflict != Conflict::Replace {
            match source.directory.link(source.name, directory, leaf) {
                // The runtime has no links, or the file system: Linux calls that not permitted. The name was free a
                // moment ago, and this is as near as one comes to not replacing anything.
                Err(error) if error.trouble == Trouble::Unsupported || error.may_not_write() => {}
                linked => return linked.map(|()| false),
            }
        }
        source.directory.rename(source.name, directory, leaf)?;
        Ok(true)
    }
}
