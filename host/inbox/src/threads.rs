//! Threads of an inbox: one that panics is not missed in silence.

use std::cell::Cell;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use std::thread::JoinHandle;

use super::Core;
use super::loss::Loss;

/// The name of the thread that publishes.
pub(super) const COMMITTER: &str = "sandport-inbox";

thread_local! {
    static IS_OF_INBOX: Cell<bool> = const { Cell::new(false) };
}

/// Whether this is a thread of an inbox. The last handle of one may end on such a thread, with an upload that nobody
/// holds any more; it waits for no other thread then, which may be waiting for it.
pub(super) fn is_of_inbox() -> bool {
    IS_OF_INBOX.get()
}

/// Starts a thread of an inbox. If `work` panics, the inbox is lost, and then `after` tells whoever waits for
/// the thread: what it had in its queue is dropped by then.
///
/// # Errors
/// The system starts no further thread.
pub(super) fn start_thread(
    core: &Arc<Core>,
    name: &'static str,
    work: impl FnOnce() + Send + 'static,
    after: impl FnOnce(Loss) + Send + 'static,
) -> std::io::Result<JoinHandle<()>> {
    let core = Arc::downgrade(core);
    std::thread::Builder::new().name(name.to_owned()).spawn(move || {
        IS_OF_INBOX.set(true);
        // What it worked on, nobody goes on with: the inbox is lost.
        if catch_unwind(AssertUnwindSafe(work)).is_err() {
            let loss = Loss::Thread(name);
            if let Some(core) = core.upgrade() {
                // The first one found stays.
                let _ = core.loss.set(loss);
            }
            after(loss);
        }
    })
}
