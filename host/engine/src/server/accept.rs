//! The accept loops, and the end of a server.

use std::sync::Arc;
use std::time::Duration;

use tokio::sync::{OwnedSemaphorePermit, Semaphore, watch};
use tokio::task::JoinSet;

use super::connection;
use super::{Server, ServerEvent, Shared};
use crate::net::Listener;

/// Pause after a failed accept: the cause (no descriptors left, say) takes a while to go away, and
/// the connection stays in the queue.
const ACCEPT_RETRY: Duration = Duration::from_millis(100);

/// How far a server is on its way down. Connections watch it.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Debug)]
pub(super) enum Phase {
    /// All is served.
    Serving,
    /// What is under way may finish.
    Draining,
    /// Everything is cut.
    Stopped,
}

pub(super) async fn run(
    server: Server,
    listeners: Vec<Listener>,
    shutdown: impl Future<Output = ()>,
) {
    let permits = Arc::new(Semaphore::new(server.connections_max as usize));
    // Dropping the sender ends the connections too: that is what dropping this future does.
    let (phase, watcher) = watch::channel(Phase::Serving);
    let mut loops = JoinSet::new();
    for listener in listeners {
        let accepting =
            accept_all(listener, Arc::clone(&server.shared), Arc::clone(&permits), watcher.clone());
        loops.spawn(accepting);
    }
    shutdown.await;
    loops.shutdown().await;
    phase.send_replace(Phase::Draining);

    let running = server.connections_max as usize - permits.available_permits();
    server.shared.context.events.emit(ServerEvent::Draining { connections: running });
    let all = permits.acquire_many(server.connections_max);
    if tokio::time::timeout(server.drain_timeout, all).await.is_err() {
        phase.send_replace(Phase::Stopped);
        // Connections only have to notice; none of them waits for a peer any more.
        let _ = permits.acquire_many(server.connections_max).await;
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
