//! The accept loops, and the end of a server.

use std::convert::Infallible;
use std::sync::Arc;
use std::time::Duration;

use sandport_protocol::Refusal;
use tokio::sync::{mpsc, watch};
use tokio::task::JoinSet;

use super::connection::{self, Shared};
use super::limits::refusal;
use super::phase::{Phase, reached};
use crate::budget::{Arrived, Fate, Limit, Seat};
use crate::event::ServerEvent;
use crate::net::{Listener, Stream};

/// Connections at once. Each has a sandbox once its first byte is here; idle ones take some 40 KiB.
pub(super) const CONNECTIONS_MAX: u32 = 1_000;

/// Pause after a failed accept: the cause (no descriptors left, say) takes a while to go away, and
/// the connection stays in the queue.
const ACCEPT_RETRY: Duration = Duration::from_millis(100);

/// How often a connection that waits has the others looked at: one that has become idle gives way.
const RECONSIDER_AFTER: Duration = Duration::from_millis(250);

/// What accepts, and how much.
pub(super) struct Accepting {
    pub(super) shared: Arc<Shared>,
    pub(super) drain_timeout: Duration,
}

/// Held by each connection: when all are dropped, all have ended.
type UnderWay = mpsc::Sender<Infallible>;

impl Accepting {
    /// Serves until `shutdown` is ready, and then until connections have ended or the time for that is over.
    pub(super) async fn run(self, listeners: Vec<Listener>, shutdown: impl Future<Output = ()>) {
        // Dropping the sender ends the connections too: that is what dropping this future does.
        let (phase, watcher) = watch::channel(Phase::Serving);
        let (under_way, mut ended) = mpsc::channel(1);
        let mut loops = JoinSet::new();
        for listener in listeners {
            let accepting =
                accept_all(listener, Arc::clone(&self.shared), under_way.clone(), watcher.clone());
            loops.spawn(accepting);
        }
        drop(under_way);
        shutdown.await;
        loops.shutdown().await;
        phase.send_replace(Phase::Draining);

        let running = self.shared.doors.served();
        self.shared.context.events.emit(ServerEvent::Draining { connections: running });
        if tokio::time::timeout(self.drain_timeout, ended.recv()).await.is_err() {
            phase.send_replace(Phase::Stopped);
            // Connections only have to notice; none of them waits for a peer any more.
            let _ = ended.recv().await;
        }
    }
}

async fn accept_all(
    listener: Listener,
    shared: Arc<Shared>,
    under_way: UnderWay,
    phase: watch::Receiver<Phase>,
) {
    loop {
        match listener.accept().await {
            Ok(stream) => {
                // Whoever gets no place is accepted all the same: others wait behind it in the kernel's queue.
                let arrived = shared.doors.arrive(&stream, &shared.context.proxies);
                let (shared, under_way) = (Arc::clone(&shared), under_way.clone());
                let phase = phase.clone();
                tokio::spawn(async move {
                    serve(shared, stream, arrived, phase).await;
                    drop(under_way);
                });
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

async fn serve(
    shared: Arc<Shared>,
    stream: Stream,
    arrived: Arrived,
    mut phase: watch::Receiver<Phase>,
) {
    let fate = tokio::select! {
        fate = place(&shared, &stream, &arrived) => fate,
        () = reached(&mut phase, Phase::Draining) => return,
    };
    match fate {
        Fate::Over(limit) => tell(&shared, &stream, arrived.seat(), limit),
        Fate::Served | Fate::Waits => {
            connection::serve(shared, stream, arrived.seat(), phase).await;
        }
    }
    // Only now is the place somebody else's: the sandbox is gone.
    drop(arrived);
}

/// Waits until the connection has a place, or gets none.
async fn place(shared: &Shared, stream: &Stream, arrived: &Arrived) -> Fate {
    loop {
        let waiting = arrived.seat().fate_after(Fate::Waits);
        match tokio::time::timeout(RECONSIDER_AFTER, waiting).await {
            Ok(fate) => return fate,
            Err(_) => shared.doors.reconsider(stream),
        }
    }
}

fn tell(shared: &Shared, stream: &Stream, seat: &Seat, limit: Limit) {
    let (code, words) = refusal(limit);
    shared.context.refuse(seat.source(), stream.peer().clone(), Refusal::new(code, words));
}
