//! In which form a server tells what happens.

use sandport_server::ServerEvent;

use crate::args::Talk;

/// In which form something is told.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Form {
    /// For people.
    Words,
    /// For people who want to know of trouble only.
    FewWords,
    /// JSON Lines.
    Json,
}

impl Form {
    /// What the flags ask for.
    pub(super) fn of(talk: &Talk) -> Self {
        match (talk.json, talk.quiet) {
            (true, _) => Self::Json,
            (false, true) => Self::FewWords,
            (false, false) => Self::Words,
        }
    }

    /// Whether an event has a line in this form. One that has none costs nothing then: a quiet server
    /// that receives ten thousand files does not wake a thread for each.
    pub(super) fn tells(self, event: &ServerEvent) -> bool {
        match event {
            ServerEvent::SandboxReady { .. } => false,
            // In JSON, the first line says that the server listens.
            ServerEvent::Compiling { .. } => self == Self::Words,
            ServerEvent::Stored { .. } | ServerEvent::Directory { .. } => self != Self::FewWords,
            _ => true,
        }
    }
}
