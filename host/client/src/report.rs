//! Where a transfer says what happens, and what comes of it.

use std::collections::VecDeque;
use std::sync::Arc;

use super::shared::Shared;
use super::{SendEvent, SendFile, Summary};

/// Keeps events until somebody takes them, and counts them. All connections of a run have it at once.
#[derive(Debug, Default)]
pub(super) struct Report {
    events: Shared<VecDeque<SendEvent>>,
    /// Nobody wants events.
    is_unheard: Shared<bool>,
    summary: Shared<Summary>,
    numbers: Shared<u64>,
}

impl Report {
    /// Begins a file and gives it its number.
    pub(super) fn start(&self, file: &mut Arc<SendFile>) {
        self.number(file);
        self.emit(SendEvent::Started { file: Arc::clone(file) });
        self.tell_omissions(file);
    }

    /// Tells of a file that would be sent.
    pub(super) fn plan(&self, file: SendFile) {
        let mut file = Arc::new(file);
        self.number(&mut file);
        self.emit(SendEvent::Planned { file: Arc::clone(&file) });
        self.tell_omissions(&file);
    }

    fn tell_omissions(&self, file: &Arc<SendFile>) {
        if file.modified_omitted {
            self.emit(SendEvent::ModifiedOmitted { file: Arc::clone(file) });
        }
    }

    fn number(&self, file: &mut Arc<SendFile>) {
        let number = self.numbers.get();
        self.numbers.set(number + 1);
        Arc::make_mut(file).number = number;
    }

    pub(super) fn emit(&self, event: SendEvent) {
        self.summary.lock().count(&event);
        if !self.is_unheard.get() {
            self.events.lock().push_back(event);
        }
    }

    /// The oldest event that nobody has taken.
    pub(super) fn take(&self) -> Option<SendEvent> {
        self.events.lock().pop_front()
    }

    /// From now on events are only counted.
    pub(super) fn count_only(&self) {
        self.is_unheard.set(true);
        self.events.lock().clear();
    }

    pub(super) fn summary(&self) -> Summary {
        self.summary.get()
    }
}
