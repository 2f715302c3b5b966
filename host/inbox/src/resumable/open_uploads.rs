//! What an upload has around it.

use std::sync::{Arc, Weak};

use super::Id;
use super::ended::Ended;
use super::volume::{Facts, Volume};
use crate::runtime::Runtime;

/// The registry, as an open upload sees it.
pub(super) trait OpenUploads: Send + Sync {
    /// Time has passed for an upload, or for the one that has its key now.
    fn due(&self, id: Id);

    /// Forgets an upload that has ended, and remembers how it has, where somebody may ask.
    fn forget(&self, facts: &Facts, ended: Option<Ended>);
}

/// What an upload has around it.
pub(super) struct Around {
    pub(super) registry: Weak<dyn OpenUploads>,
    pub(super) volume: Arc<dyn Volume>,
    pub(super) runtime: Arc<dyn Runtime>,
}
