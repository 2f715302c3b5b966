//! The end of a connection whose last words are to arrive.

use std::time::Duration;

use crate::net::Stream;

/// How long, and for how many bytes, a closed connection is read on: closing a socket that still has
/// unread bytes resets the connection, and the peer would lose our last answer with it.
const LINGER: Duration = Duration::from_secs(2);
const LINGER_BYTES_MAX: usize = 4 * 1024 * 1024;

/// Size of one read while lingering, in bytes.
const LINGER_READ_BYTES: usize = 64 * 1024;

/// Says that nothing more comes, and reads on for a while. What was written before is on its way.
pub(crate) async fn linger(stream: &Stream) {
    // A peer that is gone makes each of these fail, and then there is nobody to linger for.
    let _ = tokio::time::timeout(LINGER, async {
        if stream.shutdown_write().await.is_ok() {
            drain(stream).await;
        }
    })
    .await;
}

async fn drain(stream: &Stream) {
    let mut buffer = vec![0; LINGER_READ_BYTES];
    let mut drained = 0;
    while drained < LINGER_BYTES_MAX {
        if stream.readable().await.is_err() {
            return;
        }
        match stream.try_read(&mut buffer) {
            Ok(0) => return,
            Ok(count) => drained += count,
            Err(error) if error.kind() == std::io::ErrorKind::WouldBlock => {}
            Err(_) => return,
        }
    }
}
