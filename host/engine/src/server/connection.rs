//! One connection, from accept to close.

use std::sync::Arc;
use std::time::Duration;

use sandport_protocol::{Refusal, RefusalCode};
use tokio::sync::watch;

use super::accept::Phase;
use super::{ServerEvent, Shared};
use crate::net::Stream;
use crate::sandbox::{Connection, Outcome};

/// What a receiver gets on top of the idle timeout, so that it can end the connection in words before
/// the host cuts it.
const IDLE_GRACE: Duration = Duration::from_secs(5);

/// How long, and for how many bytes, a closed connection is read on: closing a socket that still has
/// unread bytes resets the connection, and the peer would lose our last answer with it.
const LINGER: Duration = Duration::from_secs(2);
const LINGER_BYTES_MAX: usize = 4 * 1024 * 1024;

/// Size of one read while lingering, in bytes.
const LINGER_READ_BYTES: usize = 64 * 1024;

#[expect(clippy::disallowed_methods, reason = "silence is a time")]
pub(super) async fn serve(shared: Arc<Shared>, stream: Stream, mut phase: watch::Receiver<Phase>) {
    stream.set_nodelay();
    let connection = Arc::new(Connection::new(stream, Arc::clone(&shared.context)));
    let idle_timeout = Duration::from_millis(shared.context.limits.idle_timeout_ms.into());

    // Until the first byte is here there is no instance, and nothing that a shutdown would wait for.
    let first_byte = tokio::select! {
        first_byte = connection.stream.wait_first_byte() => first_byte.unwrap_or(false),
        () = tokio::time::sleep(idle_timeout) => {
            let refusal = Refusal::new(RefusalCode::Timeout, "nothing was sent");
            connection.emit(ServerEvent::ConnectionRefused { peer: connection.peer.clone(), refusal });
            false
        }
        () = reached(&mut phase, Phase::Draining) => false,
    };
    if !first_byte {
        return;
    }
    tokio::select! {
        () = run(&shared, &connection) => {}
        () = connection.send_held() => {}
        () = connection.idle(idle_timeout + IDLE_GRACE) => {
            let refusal = Refusal::new(RefusalCode::Timeout, "nothing moved, and the receiver did not end the connection");
            connection.emit(ServerEvent::ConnectionRefused { peer: connection.peer.clone(), refusal });
        }
        () = reached(&mut phase, Phase::Stopped) => {
            let refusal = Refusal::new(RefusalCode::Cancelled, "the server stopped");
            connection.emit(ServerEvent::ConnectionRefused { peer: connection.peer.clone(), refusal });
        }
    }
}

async fn run(shared: &Shared, connection: &Arc<Connection>) {
    let peer = connection.peer.clone();
    match shared.sandbox.serve(connection).await {
        Outcome::Served(outcome) => {
            if let Err(refusal) = outcome {
                connection.emit(ServerEvent::ConnectionRefused { peer, refusal });
            }
            linger(connection).await;
        }
        Outcome::Trapped { reason, last_words } => {
            connection.emit(ServerEvent::Trapped { peer, reason, last_words });
        }
    }
}

/// Sends what is left, says that nothing more comes, and reads on for a while.
async fn linger(connection: &Connection) {
    // A peer that is gone makes each of these fail, and then there is nobody to linger for.
    if connection.flushed().await.is_err() || connection.stream.shutdown_write().is_err() {
        return;
    }
    let _ = tokio::time::timeout(LINGER, drain(connection)).await;
}

async fn drain(connection: &Connection) {
    let mut buffer = vec![0; LINGER_READ_BYTES];
    let mut drained = 0;
    while drained < LINGER_BYTES_MAX {
        if connection.stream.readable().await.is_err() {
            return;
        }
        match connection.stream.try_read(&mut buffer) {
            Ok(0) => return,
            Ok(count) => drained += count,
            Err(error) if error.kind() == std::io::ErrorKind::WouldBlock => {}
            Err(_) => return,
        }
    }
}

/// Waits until the server is at least this far down; its end counts as stopped.
async fn reached(phase: &mut watch::Receiver<Phase>, wanted: Phase) {
    // An error says that the server is gone.
    let _ = phase.wait_for(|phase| *phase >= wanted).await;
}
