//! What sessions want that are through.

use sandport_protocol::Refusal;

use crate::completion::Completer;
use crate::publish::{Job, Work};
use crate::reading::Reading;

/// Gives a job to the thread that publishes.
pub(crate) type Submit = Box<dyn FnOnce(Job) + Send>;

/// What sessions want to be published.
pub(crate) struct Commit {
    pub(crate) completer: Completer,
    pub(crate) submit: Submit,
    pub(crate) modified_ns: Option<i64>,
    pub(crate) executable: bool,
    /// What is to be found out of the file first, where anything is.
    pub(crate) reading: Option<Reading>,
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
    pub(crate) fn refuse(self, refusal: Refusal) {
        (self.submit)(Job { work: Work::Refused(refusal), completer: self.completer });
    }
}
