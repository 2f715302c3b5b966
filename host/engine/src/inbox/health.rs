//! Whether the inbox as a whole can go on. That is the matter of the operator, said once, and not of each file
//! that meets it.

use std::path::Path;

use sandport_protocol::{Refusal, RefusalCode};

use super::{Core, Inbox, InboxError};

/// Why the inbox cannot go on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Loss {
    /// This thread of it has panicked.
    Thread(&'static str),
}

impl Loss {
    /// What senders are told.
    pub(super) fn refusal(self) -> Refusal {
        match self {
            Self::Thread(_) => Refusal::new(RefusalCode::Io, "the inbox has stopped"),
        }
    }

    /// What the operator is told.
    fn error(self, dir: &Path) -> InboxError {
        match self {
            Self::Thread(thread) => InboxError::Stopped { dir: dir.to_path_buf(), thread },
        }
    }
}

impl Core {
    /// Why the inbox cannot go on, as far as that is known.
    pub(super) fn loss(&self) -> Option<Loss> {
        self.loss.get().copied()
    }
}

impl Inbox {
    /// Why the inbox cannot go on. `None`: it can, as far as is known. From then on every offer is refused.
    pub fn loss(&self) -> Option<InboxError> {
        let core = &self.handle.core;
        core.loss().map(|loss| loss.error(&core.dir))
    }

    /// Returns when the inbox is lost, also where nobody sends anything.
    pub async fn lost(&self) -> InboxError {
        let core = &self.handle.core;
        loop {
            if let Some(loss) = core.loss() {
                return loss.error(&core.dir);
            }
            core.loss.wait().await;
        }
    }

    /// Refuses what a lost inbox cannot take.
    pub(super) fn check_health(&self) -> Result<(), Refusal> {
        self.handle.core.loss().map_or(Ok(()), |loss| Err(loss.refusal()))
    }
}
