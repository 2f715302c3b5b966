//! The thread that moves watermarks, so that no connection waits for a disk that syncs.

use std::collections::VecDeque;
use std::sync::mpsc::{Receiver, RecvTimeoutError, Sender, channel};
use std::sync::{Arc, Weak};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use super::partial::Partial;
use super::{Id, Partials};
use crate::inbox::Core;
use crate::inbox::health::Loss;
use crate::inbox::threads::start_thread;

/// The longest time between two watermarks of an upload. Nobody waits for longer, and a clock cannot be asked
/// for any time however far.
const INTERVAL_MAX: Duration = Duration::from_secs(100 * 365 * 86_400);

/// What the thread is asked for.
pub(in crate::inbox) enum Request {
    /// Move the watermark when it is time.
    Soon(Arc<Partial>),
    /// Move it now: many bytes have come.
    Now(Arc<Partial>),
    /// Nobody holds the upload: keep what came, and forget it.
    Left(Weak<Partials>, Id),
    /// The inbox ends.
    Stop,
}

/// The thread. Dropping it keeps what came so far and ends it.
pub(in crate::inbox) struct Keeper {
    sender: Sender<Request>,
    thread: Option<JoinHandle<()>>,
}

impl Keeper {
    /// Starts the thread of an inbox. A watermark is moved the interval of the options after the first byte
    /// behind it.
    pub(in crate::inbox) fn start(core: &Arc<Core>) -> std::io::Result<Self> {
        let (sender, requests) = channel();
        let interval = core.options.watermark_interval.min(INTERVAL_MAX);
        let partials = Weak::clone(&core.partials);
        let thread = start_thread(
            core,
            "sandport-keeper",
            move || run(&requests, interval),
            // Bodies wait for watermarks, and would wait for ever.
            move |loss: Loss| {
                if let Some(partials) = partials.upgrade() {
                    partials.fail_all(&loss.refusal());
                }
            },
        )?;
        Ok(Self { sender, thread: Some(thread) })
    }

    pub(in crate::inbox) fn sender(&self) -> &Sender<Request> {
        &self.sender
    }
}

impl Drop for Keeper {
    fn drop(&mut self) {
        let _ = self.sender.send(Request::Stop);
        // The last handle of an inbox may end on this very thread, with a commit that nobody waits for.
        if let Some(thread) = self.thread.take()
            && thread.thread().id() != std::thread::current().id()
        {
            // Its panics are told by the inbox.
            #[expect(clippy::disallowed_methods, reason = "it was told to stop")]
            let _ = thread.join();
        }
    }
}

#[expect(clippy::disallowed_methods, reason = "the end of the inbox ends it")]
fn run(requests: &Receiver<Request>, interval: Duration) {
    // The interval is the same for all, so they come due in the order in which they were asked for.
    let mut due: VecDeque<(Instant, Arc<Partial>)> = VecDeque::new();
    loop {
        let request = match due.front() {
            None => requests.recv().map_err(|_| RecvTimeoutError::Disconnected),
            Some((at, _)) => requests.recv_timeout(at.saturating_duration_since(Instant::now())),
        };
        match request {
            Ok(Request::Soon(partial)) => due.push_back((Instant::now() + interval, partial)),
            Ok(Request::Now(partial)) => partial.keep(),
            Ok(Request::Left(partials, id)) => {
                if let Some(partials) = partials.upgrade() {
                    partials.keep_and_close(id);
                }
            }
            Err(RecvTimeoutError::Timeout) => {
                if let Some((_, partial)) = due.pop_front()
                    && !partial.keep_in_time(interval)
                {
                    due.push_back((Instant::now() + interval, partial));
                }
            }
            Ok(Request::Stop) | Err(RecvTimeoutError::Disconnected) => break,
        }
    }
    due.iter().for_each(|(_, partial)| partial.keep());
}
