//! A run of the sender, as its caller has it.

use std::fmt;
use std::future::{Future, poll_fn};
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};

use futures_util::Stream;
use tokio::sync::Notify;

use super::report::Report;
use super::{SendError, SendEvent, Summary};

/// What a transfer comes to.
type Outcome = Result<Summary, SendError>;

/// Files on their way to a server: a [`Future`] of what comes of them, and a [`Stream`] of what happens meanwhile.
///
/// It does nothing unless it is polled, within a runtime of tokio that has I/O and time. Await it where events are of
/// no interest. Otherwise take them with [`Transfer::next`] until there are no more, and then await it; it is ready by
/// then. It goes on only while it is polled, so no more events pile up than a poll brings. Dropping it cuts the
/// connections; [`Transfer::interrupt`] ends them in good order.
///
/// ```no_run
/// # async fn example() -> Result<(), Box<dyn std::error::Error>> {
/// use sandport_client::{Client, Destination, SendEvent, Source};
///
/// let server: Destination = "files.example".parse()?;
/// let mut transfer = Client::builder(server).build().send([Source::path("photos")]);
/// while let Some(event) = transfer.next().await {
///     if let SendEvent::Stored { file, receipt } = event {
///         println!("{} is stored as {:?}", file.path.display(), receipt.name);
///     }
/// }
/// let summary = transfer.await?;
/// println!("{} files are stored", summary.stored);
/// # Ok(())
/// # }
/// ```
#[must_use = "a transfer does nothing unless it is polled"]
pub struct Transfer {
    /// `None`: it has come to its end.
    running: Option<Pin<Box<dyn Future<Output = Outcome> + Send>>>,
    /// What it has come to, until that is taken.
    outcome: Option<Outcome>,
    report: Arc<Report>,
    stop: Arc<Notify>,
}

impl Transfer {
    /// One that does what `run` makes of its report and of the wish to stop.
    pub(super) fn new<F>(run: impl FnOnce(Arc<Report>, Arc<Notify>) -> F) -> Self
    where
        F: Future<Output = Outcome> + Send + 'static,
    {
        let (report, stop) = (Arc::<Report>::default(), Arc::<Notify>::default());
        let running = run(Arc::clone(&report), Arc::clone(&stop));
        Self { running: Some(Box::pin(running)), outcome: None, report, stop }
    }

    /// The next event; `None`: there are no more, and the transfer is ready to be awaited. Safe to cancel.
    pub async fn next(&mut self) -> Option<SendEvent> {
        poll_fn(|cx| self.poll_event(cx)).await
    }

    /// Ends it in good order: the server is told that the sender gives up, and the outcome is
    /// [`SendError::Interrupted`], unless it has another already. Poll it to its end after that.
    pub fn interrupt(&self) {
        self.stop.notify_one();
    }

    /// What has become of the files so far.
    pub fn summary(&self) -> Summary {
        self.report.summary()
    }

    fn poll_event(&mut self, cx: &mut Context<'_>) -> Poll<Option<SendEvent>> {
        if let Some(event) = self.report.take() {
            return Poll::Ready(Some(event));
        }
        self.drive(cx);
        match self.report.take() {
            None if self.running.is_some() => Poll::Pending,
            event => Poll::Ready(event),
        }
    }

    fn drive(&mut self, cx: &mut Context<'_>) {
        if let Some(running) = &mut self.running
            && let Poll::Ready(outcome) = running.as_mut().poll(cx)
        {
            (self.running, self.outcome) = (None, Some(outcome));
        }
    }
}

impl Stream for Transfer {
    type Item = SendEvent;

    fn poll_next(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<SendEvent>> {
        self.get_mut().poll_event(cx)
    }
}

/// Events that nobody has taken are dropped as soon as it is polled so.
///
/// # Errors
/// What ended the last connection, or kept it from being made; files without an outcome were [`SendEvent::Unanswered`]
/// before. What befalls single files is not an error but an event, and counted in the summary.
impl Future for Transfer {
    type Output = Outcome;

    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Outcome> {
        let this = self.get_mut();
        this.report.count_only();
        this.drive(cx);
        // Its outcome is there once.
        this.outcome.take().map_or(Poll::Pending, Poll::Ready)
    }
}

impl fmt::Debug for Transfer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Transfer")
            .field("is_running", &self.running.is_some())
            .field("summary", &self.summary())
            .finish_non_exhaustive()
    }
}
