//! One connection, from accept to close.

use std::sync::Arc;
use std::time::Duration;

use sandport_protocol::{Refusal, RefusalCode};
use tokio::sync::watch;

use super::phase::{Phase, reached};
use super::proxied;
use crate::event::ServerEvent;
use crate::net::Stream;
use crate::sandbox::{Connection, Context, Outcome, Sandbox};

/// What a receiver gets on top of the idle timeout, so that it can end the connection in words before
/// the host cuts it.
const IDLE_GRACE: Duration = Duration::from_secs(5);

/// How long, and for how many bytes, a closed connection is read on: closing a socket that still has
/// unread bytes resets the connection, and the peer would lose our last answer with it.
const LINGER: Duration = Duration::from_secs(2);
const LINGER_BYTES_MAX: usize = 4 * 1024 * 1024;

/// Size of one read while lingering, in bytes.
const LINGER_READ_BYTES: usize = 64 * 1024;

/// What every connection needs.
pub(super) struct Shared {
    pub(super) sandbox: Sandbox,
    pub(super) context: Arc<Context>,
}

#[expect(clippy::disallowed_methods, reason = "silence is a time")]
pub(super) async fn serve(shared: Arc<Shared>, stream: Stream, mut phase: watch::Receiver<Phase>) {
    stream.set_nodelay();
    let Some(stream) = proxied::strip_header(stream, &shared.context, &mut phase).await else {
        return;
    };
    let connection = Arc::new(Connection::new(stream, Arc::clone(&shared.context)));
    let idle_timeout = Duration::from_millis(shared.context.limits.idle_timeout_ms.into());

    let refuse = |code, words| {
        let (peer, refusal) = (connection.peer(), Refusal::new(code, words));
        connection.emit(ServerEvent::ConnectionRefused { peer, refusal });
    };
    let mut is_first = true;
    loop {
        // Until a byte is here there is no instance, and nothing that a shutdown would wait for.
        let has_byte = tokio::select! {
            has_byte = connection.wait_first_byte() => has_byte,
            () = tokio::time::sleep(idle_timeout) => {
                // Who was served may keep the connection, and have nothing more to ask.
                if is_first {
                    refuse(RefusalCode::Timeout, "nothing was sent");
                }
                false
            }
            () = reached(&mut phase, Phase::Draining) => false,
        };
        if !has_byte {
            return;
        }
        is_first = false;
        let goes_on = tokio::select! {
            goes_on = run(&shared, &connection) => goes_on,
            () = connection.send_held() => false,
            () = connection.idle(idle_timeout + IDLE_GRACE) => {
                let words = "nothing moved, and the receiver did not end the connection";
                refuse(RefusalCode::Timeout, words);
                false
            }
            () = reached(&mut phase, Phase::Stopped) => {
                refuse(RefusalCode::Cancelled, "the server stopped");
                false
            }
        };
        if !goes_on {
            return;
        }
    }
}

/// Whether another instance is to serve what follows.
async fn run(shared: &Shared, connection: &Arc<Connection>) -> bool {
    match shared.sandbox.serve(connection).await {
        Outcome::Served(outcome) => {
            if let Err(refusal) = outcome {
                let peer = connection.peer();
                connection.emit(ServerEvent::ConnectionRefused { peer, refusal });
            }
            linger(connection).await;
            false
        }
        // What the socket did not take is sent before more is read.
        Outcome::Again => connection.flushed().await.is_ok(),
        Outcome::Trapped { reason, last_words } => {
            let peer = connection.peer();
            connection.emit(ServerEvent::Trapped { peer, reason, last_words });
            false
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
