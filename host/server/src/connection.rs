//! One connection, from accept to close.

use std::sync::{Arc, Weak};
use std::time::Duration;

use sandport_protocol::{Refusal, RefusalCode};
use tokio::sync::watch;
use tracing::Instrument;

use super::phase::{Phase, reached};
use super::{doors, limits, proxied};
use crate::budget::{Budgets, Deadlines, Fate, Limit, Met, Seat};
use crate::doors::Doors;
use crate::event::ServerEvent;
use crate::net::Stream;
use crate::sandbox::{Connection, Context, Outcome, Sandbox, spans};

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
    pub(super) doors: Doors,
    pub(super) budgets: Budgets,
    pub(super) met: Arc<Met>,
}

/// Why a connection is ended before the receiver ends it.
enum Cut {
    /// It met a limit.
    Limit(Limit),
    /// The server stops.
    Stopped,
}

/// Serves a connection that has a place.
pub(super) async fn serve(
    shared: Arc<Shared>,
    stream: Stream,
    seat: &Arc<Seat>,
    mut phase: watch::Receiver<Phase>,
) {
    stream.set_nodelay();
    let proxies = &shared.context.proxies;
    let is_announced = proxies.expect_header(stream.place());
    let header = proxied::strip_header(stream, &shared.context, seat, &mut phase);
    let Some(stream) = header.await else { return };
    if is_announced {
        seat.handle_header(|number| {
            doors::source(stream.place(), &stream.peer().identity, proxies, number)
        });
    }
    let connection = Connection::new(stream, Arc::clone(&shared.context), Arc::clone(seat));
    let connection = Arc::new(connection);
    let works: Weak<Connection> = Arc::downgrade(&connection);
    seat.ask_whether_busy(works);
    let idle_timeout = Duration::from_millis(shared.context.limits.idle_timeout_ms.into());
    let to_first_byte = shared.budgets.deadlines(idle_timeout);
    let to_end = shared.budgets.deadlines(idle_timeout + IDLE_GRACE);

    let span = spans::connection(&connection.peer());
    let mut is_first = true;
    loop {
        // Until a byte is here there is no instance, and nothing that a shutdown would wait for.
        let has_byte = tokio::select! {
            has_byte = connection.wait_first_byte() => has_byte,
            limit = met(&connection, seat, to_first_byte) => {
                // Who was served may keep the connection, and have nothing more to ask.
                match limit {
                    Limit::FirstByte | Limit::Silence if is_first => {
                        cut(&shared, &connection, Cut::Limit(Limit::FirstByte));
                    }
                    Limit::Silence => {}
                    limit => cut(&shared, &connection, Cut::Limit(limit)),
                }
                false
            }
            () = reached(&mut phase, Phase::Draining) => false,
        };
        if !has_byte {
            return;
        }
        is_first = false;
        seat.pulse.handle_first_byte(seat.now());
        let goes_on = tokio::select! {
            goes_on = run(&shared, &connection).instrument(span.clone()) => goes_on,
            () = connection.send_held() => false,
            limit = met(&connection, seat, to_end) => {
                cut(&shared, &connection, Cut::Limit(limit));
                false
            }
            () = reached(&mut phase, Phase::Stopped) => {
                cut(&shared, &connection, Cut::Stopped);
                false
            }
        };
        if !goes_on {
            return;
        }
    }
}

/// Waits until the connection meets a limit: a time is over, or it has to give way.
async fn met(connection: &Connection, seat: &Seat, deadlines: Deadlines) -> Limit {
    tokio::select! {
        overdue = connection.overdue(deadlines) => limits::limit(overdue),
        fate = seat.fate_after(Fate::Served) => match fate {
            Fate::Over(limit) => limit,
            // Who is served does not wait again.
            Fate::Served | Fate::Waits => std::future::pending().await,
        },
    }
}

fn cut(shared: &Shared, connection: &Connection, cut: Cut) {
    let (code, words) = match cut {
        Cut::Stopped => (RefusalCode::Cancelled, "the server stopped"),
        Cut::Limit(limit) => {
            // The others were counted when they were decided.
            if matches!(limit, Limit::FirstByte | Limit::Hello | Limit::Offer | Limit::Silence) {
                shared.met.count(limit);
            }
            limits::refusal(limit)
        }
    };
    let (peer, refusal) = (connection.peer(), Refusal::new(code, words));
    connection.emit(ServerEvent::ConnectionRefused { peer, refusal });
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
    if connection.flushed().await.is_err() {
        return;
    }
    let _ = tokio::time::timeout(LINGER, async {
        if connection.stream.shutdown_write().await.is_ok() {
            drain(connection).await;
        }
    })
    .await;
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
