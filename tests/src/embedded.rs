//! A server in the test's own process, for limits that no option sets: what takes a guest seconds of computing
//! to reach is reached in a fraction of one.

use std::path::{Path, PathBuf};
use std::sync::mpsc::{Receiver, RecvTimeoutError, channel};
use std::thread::JoinHandle;

use sandport_inbox::{Inbox, InboxOptions};
use sandport_server::net::Listener;
use sandport_server::{BuildError, Cache, ReceiverSource, SandboxLimits};
use sandport_server::{Server, ServerEvent};
use tempfile::TempDir;
use tokio::sync::oneshot;

use crate::artifacts;
use crate::deadline::{Deadline, joined, received};

/// Connections at once: few, so that a receiver with many tables finds its address space.
const CONNECTIONS_MAX: u32 = 32;

/// A server that listens. It ends when it is dropped.
#[derive(Debug)]
pub struct Embedded {
    address: String,
    inbox: PathBuf,
    events: Receiver<ServerEvent>,
    running: Option<(oneshot::Sender<()>, JoinHandle<()>)>,
    _directory: TempDir,
}

impl Embedded {
    /// Starts one with this receiver and these limits, on a port of the system's choice.
    #[track_caller]
    pub fn start(receiver: ReceiverSource, limits: SandboxLimits) -> Self {
        Self::try_start(receiver, limits).unwrap_or_else(|error| panic!("{error}"))
    }

    /// The same, where the receiver may be refused.
    ///
    /// # Errors
    /// Why no server can be made of it.
    #[track_caller]
    pub fn try_start(receiver: ReceiverSource, limits: SandboxLimits) -> Result<Self, BuildError> {
        let directory = tempfile::tempdir().expect("a temporary directory");
        let path = directory.path().join("inbox");
        let inbox = Inbox::open(&path, InboxOptions::default()).expect("an inbox");
        let (told, events) = channel();
        let server = Server::builder(inbox)
            .receiver(receiver)
            .cache(Cache::Directory(artifacts::cache_dir()))
            .sandbox(limits)
            .max_connections(CONNECTIONS_MAX)
            .on_event(move |event| drop(told.send(event)))
            .build()?;
        let (stop, stopped) = oneshot::channel::<()>();
        let (bound, address) = channel();
        let thread = std::thread::spawn(move || {
            let runtime = tokio::runtime::Runtime::new().expect("a runtime");
            runtime.block_on(async {
                let any = "127.0.0.1:0".parse().expect("an address");
                let listeners = Listener::bind(&any).await.expect("a port");
                bound.send(listeners[0].local_address().to_string()).expect("the test waits");
                let running = server.run(listeners, async { drop(stopped.await) });
                running.await.expect("the inbox stays");
            });
        });
        let address = received("the address of the server", &address);
        Ok(Self {
            address,
            inbox: path,
            events,
            running: Some((stop, thread)),
            _directory: directory,
        })
    }

    /// Where it listens.
    pub fn address(&self) -> &str {
        &self.address
    }

    /// The directory that receives the files.
    pub fn inbox(&self) -> &Path {
        &self.inbox
    }

    /// Waits for an event of which `pick` makes something. Those before it are gone.
    #[track_caller]
    pub fn wait<T>(&self, what: &str, pick: impl Fn(&ServerEvent) -> Option<T>) -> T {
        let deadline = Deadline::new();
        loop {
            match self.events.recv_timeout(deadline.left()) {
                Ok(event) => {
                    if let Some(picked) = pick(&event) {
                        return picked;
                    }
                }
                Err(RecvTimeoutError::Timeout) => panic!("{}", deadline.missed(what)),
                Err(RecvTimeoutError::Disconnected) => {
                    panic!("the server ended before {what} came")
                }
            }
        }
    }

    /// Waits until a receiver traps, `what` of which is expected; the reason.
    #[track_caller]
    pub fn wait_trapped(&self, what: &str) -> String {
        self.wait(&format!("the trap of {what}"), |event| match event {
            ServerEvent::Trapped { reason, .. } => Some(reason.clone()),
            _ => None,
        })
    }

    /// Stops it, and waits until it has.
    #[track_caller]
    pub fn stop(mut self) {
        let (stop, thread) = self.running.take().expect("it was not stopped");
        drop(stop);
        joined("the end of the server", thread);
    }
}

impl Drop for Embedded {
    fn drop(&mut self) {
        if let Some((stop, thread)) = self.running.take() {
            drop((stop, thread));
        }
    }
}
