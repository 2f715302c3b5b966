//! Runs of a resident component: started, watched, and started again.

use std::convert::Infallible;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::{Duration, Instant};

use tokio::sync::oneshot;

use super::announce::Announcer;
use super::arguments;
use super::error::ResidentError;
use crate::event::ServerEvent;
use crate::sandbox::{Context, Grants, Heard, Output, ResidentSandbox, RunEnd};
use sandport_inbox::Inbox;
use sandport_protocol::text::sanitize;

/// Pause before the first restart; each further one is twice as long. Short, because senders wait.
const RESTART_FIRST: Duration = Duration::from_millis(100);

/// Longest pause: what keeps failing is tried twice a minute, and costs next to nothing.
const RESTART_MAX: Duration = Duration::from_secs(30);

/// A run that lasted so long was a good one: the next restart comes quickly again.
const LASTED: Duration = Duration::from_secs(10);

/// How long a component that listens may take to say so, before it is announced without its word.
const REPORT_TIMEOUT: Duration = Duration::from_secs(5);

/// Longest last line in an error, in characters.
const SHOWN_CHARS_MAX: usize = 512;

/// What is run, and for what.
pub(super) struct Setup {
    pub(super) sandbox: ResidentSandbox,
    pub(super) inbox: Inbox,
    pub(super) context: Arc<Context>,
    pub(super) max_connections: u32,
}

pub(super) struct Supervisor {
    setup: Setup,
    grants: Arc<Grants>,
    announcer: Arc<Announcer>,
}

impl Supervisor {
    pub(super) fn new(setup: Setup, granted: &[SocketAddr]) -> Self {
        let grants = Arc::new(Grants::new(granted));
        let announcer = Announcer::new(Arc::clone(&setup.context), Arc::clone(&grants));
        Self { setup, grants, announcer: Arc::new(announcer) }
    }

    /// Keeps the component running on this thread until the other end of `stopped` is dropped.
    pub(super) fn run(&self, stopped: oneshot::Receiver<()>) -> Result<(), ResidentError> {
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_all()
            .build()
            .map_err(ResidentError::Thread)?;
        let outcome = runtime.block_on(async {
            tokio::select! {
                outcome = self.keep_running() => outcome.map(|never| match never {}),
                _ = stopped => Ok(()),
            }
        });
        // A system call that blocks is not waited for.
        runtime.shutdown_background();
        outcome
    }

    async fn keep_running(&self) -> Result<Infallible, ResidentError> {
        let mut backoff = Backoff::default();
        loop {
            let since = Instant::now();
            let (end, last_words) = self.run_once().await?;
            let (reason, trapped) = match end {
                RunEnd::Exited(how) => (how, false),
                RunEnd::Trapped(why) => (format!("it trapped: {why}"), true),
            };
            if !self.announcer.ever() {
                let last_words =
                    last_words.lines().next_back().map(|line| sanitize(line, SHOWN_CHARS_MAX));
                return Err(ResidentError::NeverListened { reason, last_words });
            }
            let restart_after = backoff.after(since.elapsed());
            self.emit(ServerEvent::ReceiverEnded { reason, trapped, last_words, restart_after });
            #[expect(clippy::disallowed_methods, reason = "the pause before the next run")]
            tokio::time::sleep(restart_after).await;
        }
    }

    /// One run, and its last words.
    async fn run_once(&self) -> Result<(RunEnd, String), ResidentError> {
        let context = &self.setup.context;
        self.grants.begin_run();
        self.announcer.begin_run();
        let output = self.output();
        let inbox = &self.setup.inbox;
        let (limits, options) = (&context.limits, inbox.options());
        let arguments =
            arguments::of(&self.grants.addresses(), limits, options, self.setup.max_connections);
        self.emit(ServerEvent::ReceiverStarted);
        let directory = inbox.dir();
        let end = tokio::select! {
            end = self.setup.sandbox.run(&arguments, directory, &self.grants, &output) => end,
            never = self.watch_for_silence() => match never {},
        };
        let end =
            end.map_err(|source| ResidentError::Inbox { path: directory.to_owned(), source })?;
        Ok((end, output.last_words()))
    }

    /// What becomes of a run's reports.
    fn output(&self) -> Output {
        let context = Arc::clone(&self.setup.context);
        let announcer = Arc::clone(&self.announcer);
        Output::new(move |heard| match heard {
            Heard::Claim(claim) => context.events.emit(ServerEvent::Claimed(claim)),
            Heard::Listening(addresses) => announcer.said(&addresses),
        })
    }

    async fn watch_for_silence(&self) -> Infallible {
        let mut told = false;
        loop {
            #[expect(clippy::disallowed_methods, reason = "silence is a time")]
            tokio::time::sleep(REPORT_TIMEOUT).await;
            if !self.announcer.said_nothing() && !std::mem::replace(&mut told, true) {
                tracing::warn!(
                    target: "receiver",
                    granted = ?self.grants.addresses(),
                    listening = ?self.grants.listening(),
                    "the receiver does not listen on all addresses yet"
                );
            }
        }
    }

    fn emit(&self, event: ServerEvent) {
        self.setup.context.events.emit(event);
    }
}

/// How long to wait before the next run.
#[derive(Default)]
struct Backoff {
    last: Option<Duration>,
}

impl Backoff {
    /// After a run that took so long.
    fn after(&mut self, lasted: Duration) -> Duration {
        let next = match self.last {
            Some(last) if lasted < LASTED => (last * 2).min(RESTART_MAX),
            _ => RESTART_FIRST,
        };
        self.last = Some(next);
        next
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pauses_double_to_their_limit_and_restart_after_a_good_run() {
        let mut backoff = Backoff::default();
        let short = Duration::from_millis(1);
        let pauses: Vec<u128> = (0..12).map(|_| backoff.after(short).as_millis()).collect();
        assert_eq!(pauses[..4], [100, 200, 400, 800]);
        assert_eq!(pauses[10..], [30_000, 30_000]);
        assert_eq!(backoff.after(LASTED), RESTART_FIRST);
        assert_eq!(backoff.after(short), 2 * RESTART_FIRST);
    }
}
