//! The threads that copy files to where they cannot be moved, however long it takes: the batches of commits, and so
//! all other senders, go on meanwhile.

use std::convert::Infallible;
use std::sync::Arc;
use std::sync::mpsc::{Receiver, Sender, channel};
use std::thread::JoinHandle;

use sandport_protocol::{Refusal, RefusalCode};

use super::Core;
use super::publish::{Job, Uncopied};
use super::threads::start_thread;

/// Most threads that copy. All that is for one device goes to the same one: a copy has the same name as every other in
/// its directory, and a slow disk is no faster for two. Where there are more devices, some share threads.
const COPIERS_MAX: usize = 4;

/// The name of each thread.
const THREAD: &str = "sandport-copy";

/// Does the rest with what was copied. Whoever publishes waits for copies as long as there is one of these.
pub(super) type Copied = Arc<dyn Fn(Job) + Send + Sync>;

/// The threads of an inbox, each of which is started when there is something to copy.
pub(super) struct Copiers {
    /// `None`: nothing is copied any more.
    copied: Option<Copied>,
    /// Never fewer, so that a device stays with its thread.
    threads: Vec<Copier>,
    ending: Vec<JoinHandle<()>>,
}

struct Copier {
    /// The device that it is for; others may share it.
    device: u64,
    queue: Sender<Uncopied>,
    thread: JoinHandle<()>,
}

impl Copiers {
    /// What they have copied is given to `copied`.
    pub(super) fn new(copied: Copied) -> Self {
        Self { copied: Some(copied), threads: Vec::new(), ending: Vec::new() }
    }

    /// Has a file copied, or tells whoever waits for it why not.
    pub(super) fn copy(&mut self, core: &Arc<Core>, uncopied: Uncopied) {
        let refuse = |uncopied: Uncopied, words: &str| {
            uncopied.refuse(Refusal::new(RefusalCode::Io, words));
        };
        let Some(copied) = &self.copied else {
            return refuse(uncopied, "the directory of the file was replaced as the inbox closed");
        };
        let device = uncopied.device();
        let known = self.threads.iter().position(|copier| copier.device == device);
        let number = match known {
            Some(number) => number,
            None if self.threads.len() == COPIERS_MAX => {
                usize::try_from(device % COPIERS_MAX as u64).unwrap_or(0)
            }
            None => match Copier::start(core, device, Arc::clone(copied)) {
                Ok(copier) => {
                    self.threads.push(copier);
                    self.threads.len() - 1
                }
                Err(error) => {
                    tracing::warn!(%error, "could not start a thread that copies files");
                    return refuse(uncopied, "the server cannot copy the file at the moment");
                }
            },
        };
        // It fails only if the thread has panicked; then whoever waits is told.
        drop(self.threads[number].queue.send(uncopied));
    }

    /// Lets the threads end when they have copied what they were given, and each of it has been published.
    pub(super) fn close(&mut self) {
        self.copied = None;
        self.ending.extend(self.threads.drain(..).map(|copier| copier.thread));
    }

    /// Waits until they have ended.
    pub(super) fn join(&mut self) {
        for thread in self.ending.drain(..) {
            // Its panics are told by the inbox.
            #[expect(clippy::disallowed_methods, reason = "its queue has ended")]
            let _ = thread.join();
        }
    }
}

impl Copier {
    fn start(core: &Arc<Core>, device: u64, copied: Copied) -> std::io::Result<Self> {
        let (queue, uncopied) = channel();
        let of_thread = Arc::clone(core);
        let work = move || copy_all(&of_thread, &uncopied, &copied);
        // Whoever waits is told when the queue goes.
        let thread = start_thread(core, THREAD, work, |_| ())?;
        Ok(Self { device, queue, thread })
    }
}

#[expect(clippy::disallowed_methods, reason = "the committer ends both waits, also by its own end")]
fn copy_all(core: &Arc<Core>, queue: &Receiver<Uncopied>, copied: &Copied) {
    while let Ok(uncopied) = queue.recv() {
        if let Some(loss) = core.loss() {
            uncopied.refuse(loss.refusal());
            continue;
        }
        let (in_use, released) = channel::<Infallible>();
        if let Some(job) = uncopied.copy(core, in_use) {
            copied(job);
        }
        // The next copy in the directory has the same name: until the end of this one, nothing comes.
        let _ = released.recv();
    }
}
