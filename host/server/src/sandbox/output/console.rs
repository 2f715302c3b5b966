//! The log lines of one connection's guest: what it writes to its standard streams, and what it says through
//! the interface `log`. All of them together have one rate.

use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Instant;

use tracing::Level;

use super::{Bucket, LOG_RATE, LOGGED_CHARS_MAX, LastWords, Line, Sink, Stream};
use crate::net::Peer;
use sandport_protocol::text::sanitize;

/// Where a guest's words go.
pub(in crate::sandbox) struct Console {
    state: Mutex<State>,
    gate: Option<Gate>,
}

/// Says of each line whether it may be written.
type Gate = Box<dyn Fn(&str) -> bool + Send + Sync>;

struct State {
    peer: Peer,
    stdout: Line,
    stderr: Line,
    rate: Bucket,
    last_words: LastWords,
}

impl Console {
    pub(in crate::sandbox) fn new(peer: Peer) -> Self {
        let state = State {
            peer,
            stdout: Line::default(),
            stderr: Line::default(),
            rate: Bucket::new(LOG_RATE),
            last_words: LastWords::default(),
        };
        Self { state: Mutex::new(state), gate: None }
    }

    /// The same, of whose lines `gate` says which may be written.
    pub(in crate::sandbox) fn gated(
        mut self,
        gate: impl Fn(&str) -> bool + Send + Sync + 'static,
    ) -> Self {
        self.gate = Some(Box::new(gate));
        self
    }

    /// The lines to come are about this peer.
    pub(in crate::sandbox) fn set_peer(&self, peer: Peer) {
        self.lock().peer = peer;
    }

    /// Writes a line into the log, unless too many were written before.
    pub(in crate::sandbox) fn log(&self, level: Level, line: &str) {
        // What nobody wants to see takes no other line's place.
        let wanted = match level {
            Level::ERROR => tracing::enabled!(target: "receiver", Level::ERROR),
            Level::WARN => tracing::enabled!(target: "receiver", Level::WARN),
            Level::INFO => tracing::enabled!(target: "receiver", Level::INFO),
            _ => tracing::enabled!(target: "receiver", Level::DEBUG),
        };
        if !wanted {
            return;
        }
        let (dropped, peer) = {
            let mut state = self.lock();
            let Some(dropped) = state.rate.admit(Instant::now()) else { return };
            (dropped, state.peer.clone())
        };
        let line = sanitize(line, LOGGED_CHARS_MAX);
        if !self.gate.as_ref().is_none_or(|gate| gate(&line)) {
            return;
        }
        match level {
            Level::ERROR => tracing::error!(target: "receiver", %peer, dropped, "{line}"),
            Level::WARN => tracing::warn!(target: "receiver", %peer, dropped, "{line}"),
            Level::INFO => tracing::info!(target: "receiver", %peer, dropped, "{line}"),
            _ => tracing::debug!(target: "receiver", %peer, dropped, "{line}"),
        }
    }

    /// The guest is gone: lines that were begun are complete.
    pub(in crate::sandbox) fn finish(&self) {
        let begun = {
            let mut state = self.lock();
            [state.stdout.take(), state.stderr.take()]
        };
        begun.iter().for_each(|line| self.complete(line));
    }

    /// The end of what the guest wrote to its standard streams, not sanitized.
    pub(in crate::sandbox) fn last_words(&self) -> String {
        self.lock().last_words.text()
    }

    fn complete(&self, line: &[u8]) {
        let line = line.trim_ascii_end();
        if !line.is_empty() {
            self.log(Level::INFO, &String::from_utf8_lossy(line));
        }
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Sink for Console {
    fn write(&self, stream: Stream, bytes: &[u8]) {
        self.lock().last_words.push(bytes);
        let mut rest = bytes;
        loop {
            let whole = {
                let mut state = self.lock();
                let line = match stream {
                    Stream::Stdout => &mut state.stdout,
                    Stream::Stderr => &mut state.stderr,
                };
                line.push(rest)
            };
            let Some((line, behind)) = whole else { return };
            self.complete(&line);
            rest = behind;
        }
    }
}

impl Drop for Console {
    /// A connection that is cut runs no further than this.
    fn drop(&mut self) {
        self.finish();
    }
}
