//! Uploads that can be resumed as files in `.sandport/partials`.

mod files;
mod journal;
mod load;
mod publishing;
mod upload;

use std::sync::atomic::AtomicU64;
use std::sync::{Arc, Mutex};
use std::time::SystemTime;

use sandport_protocol::Refusal;

use files::{Data, remove_files};
use journal::Journal;
use upload::Files;

use super::Id;
use super::volume::{Blob, Loaded, Volume};
use crate::claim::Claim;
use crate::partial_files::{DATA_SUFFIX, data_name, journal_name};
use crate::space::Room;
use crate::usage::{Reservation, Usage};
use crate::{Core, Identity};

/// `.sandport/partials` of an inbox.
pub(crate) struct PartialsDirectory {
    core: Arc<Core>,
}

impl PartialsDirectory {
    pub(crate) fn new(core: &Arc<Core>) -> Arc<Self> {
        Arc::new(Self { core: Arc::clone(core) })
    }

    fn files(&self, id: Id, data: Data, journal: Journal) -> Arc<Files> {
        // Somebody has come for it.
        self.core.space.forget_refused(id);
        Arc::new(Files {
            core: Arc::clone(&self.core),
            id,
            data: Mutex::new(data),
            journal: Mutex::new(journal),
            begun_s: now_s(),
            written: AtomicU64::new(0),
            floor_checked_at: AtomicU64::new(0),
        })
    }
}

impl Volume for PartialsDirectory {
    fn begin(&self, id: Id) -> Result<Arc<dyn Blob>, Refusal> {
        // A journal that comes back would speak of the bytes that come now.
        let Core { removed_journals, disk, layout, .. } = &*self.core;
        let settled = removed_journals.settle(disk, &layout.partials, id);
        settled.map_err(|errno| self.core.refusal("remove an old partial file", errno))?;
        Ok(self.files(id, Data::new(&self.core), Journal::new()))
    }

    fn load(&self, id: Id) -> Result<Option<Loaded>, Refusal> {
        self.find(id)
    }

    fn remove(&self, id: Id) -> bool {
        remove_files(&self.core, id)
    }

    fn is_there(&self, id: Id) -> bool {
        files::is_there(&self.core, &journal_name(id))
            || files::is_there(&self.core, &data_name(id))
    }

    fn idle_s(&self, id: Id) -> u64 {
        let active_s = [journal_name(id), data_name(id)]
            .iter()
            .filter_map(|name| files::look(&self.core, name))
            .map(|stat| stat.st_mtime)
            .max();
        // What is from the future, by a clock that was set back, is not idle.
        active_s.map_or(0, |at| u64::try_from(now_s().saturating_sub(at)).unwrap_or(0))
    }

    fn empty_ones(&self) -> Vec<(Identity, String)> {
        files::empty_ones(&self.core)
    }

    fn bytes_of(&self, name: &str) -> Option<u64> {
        let stat = files::look(&self.core, &format!("{name}{DATA_SUFFIX}"))?;
        Some(u64::try_from(stat.st_size).unwrap_or(0))
    }

    fn remove_empty(&self, name: &str) -> bool {
        files::remove_empty(&self.core, name)
    }

    fn reserve(
        &self,
        sender: &Identity,
        size: Option<u64>,
    ) -> Result<Option<Reservation>, Refusal> {
        self.core.reserve(sender, size)
    }

    fn reserve_found(
        &self,
        sender: &Identity,
        id: Id,
        bytes: u64,
    ) -> Result<Option<Reservation>, Refusal> {
        let Some(usage) = &self.core.usage else { return Ok(None) };
        usage.reserve_waiting(sender, &data_name(id), bytes).map(Some)
    }

    fn usage(&self) -> Option<&Arc<Usage>> {
        self.core.usage.as_ref()
    }

    fn claim(&self, missing: Option<u64>) -> Arc<dyn Room> {
        Arc::new(Claim::new(&self.core, missing))
    }
}

/// Seconds since 1970; 0 for a clock that is before.
fn now_s() -> i64 {
    let since = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default();
    i64::try_from(since.as_secs()).unwrap_or(i64::MAX)
}
