//! What sessions want that are through.

use sandport_protocol::Refusal;

use crate::inbox::publish::{Job, Work};
use crate::inbox::ticket::Ticket;

/// Gives a job to the thread that publishes.
pub(in crate::inbox) type Submit = Box<dyn FnOnce(Job) + Send>;

/// What sessions want to be published.
pub(in crate::inbox) struct Commit {
    pub(in crate::inbox) ticket: Ticket,
    pub(in crate::inbox) submit: Submit,
    pub(in crate::inbox) modified_ns: Option<i64>,
    pub(in crate::inbox) executable: bool,
}

impl Commit {
    /// Says no, in turn.
    pub(in crate::inbox) fn refuse(self, refusal: Refusal) {
        (self.submit)(Job { work: Work::Refused(refusal), ticket: self.ticket });
    }
}
