//! The accept loops of a server.

use std::sync::Arc;
use std::time::Duration;

use tokio::task::JoinSet;

use super::serving::Serving;
use crate::event::ServerEvent;
use crate::net::Listener;

/// Pause after a failed accept: the cause (no descriptors left, say) takes a while to go away, and
/// the connection stays in the queue.
const ACCEPT_RETRY: Duration = Duration::from_millis(100);

/// Accepts and serves what comes until this is dropped. Connections go on then.
pub(super) async fn accept_until(
    serving: &Arc<Serving>,
    listeners: Vec<Listener>,
    end: impl Future<Output = ()>,
) {
    let mut loops = JoinSet::new();
    for listener in listeners {
        loops.spawn(accept_all(listener, Arc::clone(serving)));
    }
    end.await;
    loops.shutdown().await;
}

async fn accept_all(listener: Listener, serving: Arc<Serving>) {
    let requires_tls = serving.requires_tls(&listener.local_address());
    loop {
        let accepted = listener.accept().await;
        match accepted.map(|it| if requires_tls { it.require_tls() } else { it }) {
            // It was reset while it waited in the kernel's queue. Nobody knows any more whose it was, so that it would
            // have a share of its own, and take a place from those who are there.
            Ok(stream) if stream.is_gone() => serving.tell_gone(&stream),
            Ok(stream) => {
                // Whoever gets no place is accepted all the same: others wait behind it in the kernel's queue.
                let arrival = serving.arrive(&stream);
                let serving = Arc::clone(&serving);
                tokio::spawn(async move { serving.serve(stream, arrival).await });
            }
            Err(error) => {
                let reason = error.to_string();
                serving.shared.context.events.emit(ServerEvent::AcceptFailed { reason });
                #[expect(clippy::disallowed_methods, reason = "the pause before the next try")]
                tokio::time::sleep(ACCEPT_RETRY).await;
            }
        }
    }
}
