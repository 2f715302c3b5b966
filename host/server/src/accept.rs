//! The accept loops, and the end of a server.

use std::sync::Arc;
use std::time::Duration;

use tokio::sync::{OwnedSemaphorePermit, Semaphore, watch};
use tokio::task::JoinSet;

use super::connection::{self, Shared};
use super::phase::Phase;
use crate::event::ServerEvent;
use crate::net::Listener;

/// Connections at once. Each has a sandbox once its first byte is here; idle ones take some 40 KiB.
pub(super) const CONNECTIONS_MAX: u32 = 1_000;

/// Pause after a failed accept: the cause (no descriptors left, say) takes a while to go away, and
/// the connection stays in the queue.
const ACCEPT_RETRY: Duration = Duration::from_millis(100);

/// What accepts, and how much.
pub(super) struct Accepting {
    pub(super) shared: Arc<Shared>,
    pub(super) connections_max: u32,
    pub(super) drain_timeout: Duration,
}

impl Accepting {
    /// Serves until `shutdown` is ready, and then until connections have ended or the time for that is over.
    pub(super) async fn run(self, listeners: Vec<Listener>, shutdown: impl Future<Output = ()>) {
        let permits = Arc::new(Semaphore::new(self.connections_max as usize));
        // Dropping the sender ends the connections too: that is what dropping this future does.
        let (phase, watcher) = watch::channel(Phase::Serving);
        let mut loops = JoinSet::new();
        for listener in listeners {
            let accepting = accept_all(
                listener,
                Arc::clone(&self.shared),
                Arc::clone(&permits),
                watcher.clone(),
            );
            loops.spawn(accepting);
        }
        shutdown.await;
        loops.shutdown().await;
        phase.send_replace(Phase::Draining);

        let running = self.connections_max as usize - permits.available_permits();
        self.shared.context.events.emit(ServerEvent::Draining { connections: running });
        let all = permits.acquire_many(self.connections_max);
        if tokio::time::timeout(self.drain_timeout, all).await.is_err() {
            phase.send_replace(Phase::Stopped);
            // Connections only have to notice; none of them waits for a peer any more.
            let _ = permits.acquire_many(self.connections_max).await;
        }
    }
}

async fn accept_all(
    listener: Listener,
    shared: Arc<Shared>,
    permits: Arc<Semaphore>,
    phase: watch::Receiver<Phase>,
) {
    loop {
        // First the connection: a permit that waits for one would be missing at other listeners. So one
        // connection of each listener may wait here; the others do in the kernel's queue.
        match listener.accept().await {
            Ok(stream) => {
                let Ok(permit) = Arc::clone(&permits).acquire_owned().await else { return };
                let serving = connection::serve(Arc::clone(&shared), stream, phase.clone());
                tokio::spawn(hold(permit, serving));
            }
            Err(error) => {
                let reason = error.to_string();
                shared.context.events.emit(ServerEvent::AcceptFailed { reason });
                #[expect(clippy::disallowed_methods, reason = "the pause before the next try")]
                tokio::time::sleep(ACCEPT_RETRY).await;
            }
        }
    }
}

async fn hold(permit: OwnedSemaphorePermit, serving: impl Future<Output = ()>) {
    serving.await;
    drop(permit);
}
