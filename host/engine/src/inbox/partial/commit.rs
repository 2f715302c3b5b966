//! What sessions want that are through.

use sandport_protocol::Refusal;

use crate::inbox::publish::{Job, Work};
use crate::inbox::reading::Reading;
use crate::inbox::ticket::Ticket;

/// Gives a job to the thread that publishes.
pub(in crate::inbox) type Submit = Box<dyn FnOnce(Job) + Send>;

/// What sessions want to be published.
pub(in crate::inbox) struct Commit {
    pub(in crate::inbox) ticket: Ticket,
    pub(in crate::inbox) submit: Submit,
    pub(in crate::inbox) modified_ns: Option<i64>,
    pub(in crate::inbox) executable: bool,
    /// What is to be found out of the file first, where anything is.
    pub(in crate::inbox) reading: Option<Reading>,
}

impl Commit {
    /// Another session is through too, and it is the last so far: what it says of the file holds.
    pub(super) fn join(&mut self, last: Self) {
        (self.modified_ns, self.executable) = (last.modified_ns, last.executable);
        match (&mut self.reading, last.reading) {
            (Some(reading), Some(more)) => reading.join(more),
            (reading, more) => *reading = reading.take().or(more),
        }
    }

    /// Says no, in turn.
    pub(in crate::inbox) fn refuse(self, refusal: Refusal) {
        (self.submit)(Job { work: Work::Refused(refusal), ticket: self.ticket });
    }
}
