//! Which refusals the owner of a server is told: as many as make a log of bounded length.

use std::sync::{Arc, Mutex, PoisonError};
use std::time::Instant;

use crate::budget::{Limit, LineAccount, Lines, Met, Source};
use crate::event::{EventSink, ServerEvent};

/// How much is told of all connections.
pub(crate) struct Telling {
    since: Instant,
    lines: Mutex<Lines>,
    met: Arc<Met>,
}

/// How much is told of one connection.
#[derive(Default)]
pub(super) struct TellingAccount(Mutex<LineAccount>);

impl Default for Telling {
    fn default() -> Self {
        Self::new(&Arc::default())
    }
}

impl Telling {
    /// What is not told is counted.
    pub(super) fn new(met: &Arc<Met>) -> Self {
        let lines = Mutex::new(Lines::new());
        Self { since: Instant::now(), lines, met: Arc::clone(met) }
    }

    /// Whether an event is to be told; if so, tells before how many were not. What is stored is always told, and what
    /// has no text of a peer's.
    pub(super) fn admit(
        &self,
        account: &TellingAccount,
        source: Source,
        arrived: u64,
        event: &ServerEvent,
        events: &EventSink,
    ) -> bool {
        let admitted = match event {
            ServerEvent::UploadRefused { name, refusal, .. } => {
                let texts = [name.as_deref(), refusal.detail.as_deref()];
                self.lines(account, source, arrived, &texts.map(Option::unwrap_or_default))
            }
            ServerEvent::ConnectionRefused { refusal, .. } => {
                let detail = refusal.detail.as_deref().unwrap_or_default();
                self.lines(account, source, arrived, &[detail])
            }
            // Once for a connection, whatever it has used up before: the owner learns how it ended.
            ServerEvent::Trapped { reason, last_words, .. } => {
                self.lines(&TellingAccount::default(), source, 0, &[reason, last_words])
            }
            _ => return true,
        };
        if let Some(count @ 1..) = admitted {
            events.emit(ServerEvent::Untold { count });
        }
        admitted.is_some()
    }

    /// Whether a line of a receiver may be written.
    pub(super) fn admit_line(
        &self,
        account: &TellingAccount,
        source: Source,
        arrived: u64,
        line: &str,
    ) -> bool {
        let admitted = self.lines(account, source, arrived, &[line]);
        if let Some(dropped @ 1..) = admitted {
            tracing::warn!(target: "receiver", dropped, "too many refusals and lines to tell of each");
        }
        admitted.is_some()
    }

    fn lines(
        &self,
        account: &TellingAccount,
        source: Source,
        arrived: u64,
        texts: &[&str],
    ) -> Option<u64> {
        let now = self.since.elapsed();
        let mut account = account.0.lock().unwrap_or_else(PoisonError::into_inner);
        let mut lines = self.lines.lock().unwrap_or_else(PoisonError::into_inner);
        let admitted = lines.admit(&mut account, source, arrived, texts, now);
        if admitted.is_none() {
            self.met.count(Limit::Log);
        }
        admitted
    }
}
