//! What connections hear of an upload: a fault, and what became of it.

use std::cell::{Cell, OnceCell};

use sandport_protocol::Refusal;

use crate::inbox::publish::Published;

/// What a connection hears of its upload.
#[derive(Debug, Default)]
pub(super) struct Signals {
    fault: OnceCell<Refusal>,
}

impl Signals {
    pub(super) fn fail(&self, fault: Refusal) {
        let _ = self.fault.set(fault);
    }

    /// The fault that it has met.
    pub(super) fn fault(&self) -> Option<&Refusal> {
        self.fault.get()
    }
}

/// What became of an upload, for all who have brought it.
#[derive(Debug, Default)]
pub(in crate::inbox) struct Outcome {
    result: OnceCell<Result<Published, Refusal>>,
    is_told: Cell<bool>,
}

impl Outcome {
    pub(super) fn set(&self, result: Result<Published, Refusal>) {
        let _ = self.result.set(result);
    }

    /// `None`: it is not known yet.
    pub(in crate::inbox) fn get(&self) -> Option<&Result<Published, Refusal>> {
        self.result.get()
    }

    /// Whether nobody has asked this before.
    pub(in crate::inbox) fn is_news(&self) -> bool {
        !self.is_told.replace(true)
    }
}
