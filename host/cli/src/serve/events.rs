//! From the server's threads to standard output, without making a connection wait for a terminal.

use std::convert::Infallible;
use std::io::{self, BufWriter, Write};
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::mpsc::{Receiver, SyncSender, TryRecvError, sync_channel};
use std::time::Duration;

use sandport_protocol::Address;
use sandport_server::{Limit, ServerEvent};

use super::form::Form;
use super::lines::{Happened, Ready};

/// Events that wait for standard output: half a second of small files. A reader that stopped reading
/// must cost memory that is bounded: each event has a name and a reason of a few KiB at most.
const WAITING_MAX: usize = 16_384;

/// Takes what happens; may be cloned.
#[derive(Clone)]
pub(super) struct Report {
    form: Form,
    queue: SyncSender<Happened>,
    lost: Arc<AtomicU64>,
    was_ready: Arc<AtomicBool>,
}

/// How long lines that were written stand alone. Events that come meanwhile are written together, and cost
/// the thread that serves no wake-up each: with small files that was a tenth of its time.
const PAUSE: Duration = Duration::from_millis(5);

/// How long the last lines may take, where standard output is stuck.
const LAST_LINES: Duration = Duration::from_secs(1);

/// The thread that writes.
pub(super) struct Events {
    /// Ends with the thread.
    writing: Receiver<Infallible>,
}

/// Starts to write events in the form.
///
/// # Errors
/// Where no thread can be started.
pub(super) fn start(form: Form) -> io::Result<(Report, Events)> {
    let (queue, waiting) = sync_channel(WAITING_MAX);
    let lost = Arc::new(AtomicU64::new(0));
    let counted = Arc::clone(&lost);
    let (alive, writing) = sync_channel(0);
    std::thread::Builder::new().name(String::from("events")).spawn(move || {
        write_all(form, &waiting, &counted);
        drop(alive);
    })?;
    Ok((Report { form, queue, lost, was_ready: Arc::default() }, Events { writing }))
}

impl Report {
    /// Something happened on a connection.
    pub(super) fn server(&self, event: ServerEvent) {
        if self.form.tells(&event) {
            self.push(Happened::Server(event));
        }
    }

    /// The server listens, for the first time or again.
    pub(super) fn ready(&self, addresses: &[Address], dir: &Path, ready: &Ready) {
        let first = !self.was_ready.swap(true, Ordering::Relaxed);
        self.push(Happened::Ready {
            addresses: addresses.to_vec(),
            dir: dir.to_owned(),
            ready: ready.clone(),
            first,
        });
    }

    /// The server was asked to stop.
    pub(super) fn stopping(&self, drain_timeout: Duration) {
        self.push(Happened::Stopping { drain_timeout });
    }

    /// The server has stopped, and these limits were met while it ran.
    pub(super) fn stopped(&self, limits: Vec<(Limit, u64)>) {
        self.push(Happened::Stopped { limits });
    }

    fn push(&self, happened: Happened) {
        if self.queue.try_send(happened).is_err() {
            self.lost.fetch_add(1, Ordering::Relaxed);
        }
    }
}

impl Events {
    /// Waits until everything up to the last [`Report`], or its `stopped`, is written.
    pub(super) fn finish(self) {
        // Both the end of the thread and the end of patience are an error, and the end.
        let _ = self.writing.recv_timeout(LAST_LINES);
    }
}

fn write_all(form: Form, waiting: &Receiver<Happened>, lost: &AtomicU64) {
    let mut stdout = BufWriter::new(io::stdout());
    let mut rested = true;
    loop {
        let happened = match waiting.try_recv() {
            Ok(happened) => happened,
            Err(TryRecvError::Disconnected) => return,
            Err(TryRecvError::Empty) => {
                // Where nobody reads any more, serving goes on: the files are what matters.
                let _ = stdout.flush();
                if !std::mem::replace(&mut rested, true) {
                    std::thread::sleep(PAUSE);
                    continue;
                }
                match waiting.recv() {
                    Ok(happened) => happened,
                    Err(_) => return,
                }
            }
        };
        rested = false;
        let last = matches!(happened, Happened::Stopped { .. });
        happened.write(form, &mut stdout);
        let lost = lost.swap(0, Ordering::Relaxed);
        if lost > 0 {
            Happened::Lost { events: lost }.write(form, &mut stdout);
        }
        if last {
            let _ = stdout.flush();
            return;
        }
    }
}
