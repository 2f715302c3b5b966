//! One connection, from accept to close.

use std::sync::{Arc, Weak};
use std::time::Duration;

use sandport_protocol::{Refusal, RefusalCode};
use tokio::sync::watch;
use tracing::Instrument;

use super::phase::{Phase, reached};
use super::{doors, limits, proxied};
use crate::budget::{Budgets, Deadlines, Fate, Futile, Limit, Met, Seat};
use crate::doors::Doors;
use crate::event::ServerEvent;
use crate::linger::linger;
use crate::net::Stream;
use crate::sandbox::{Connection, Context, Outcome, Sandbox, spans};
use crate::tls::{self, Tls, TlsRule};

/// What a receiver gets on top of the idle timeout, so that it can end the connection in words before
/// the host cuts it.
const IDLE_GRACE: Duration = Duration::from_secs(5);

/// What every connection needs.
pub(super) struct Shared {
    pub(super) sandbox: Sandbox,
    pub(super) context: Arc<Context>,
    pub(super) doors: Doors,
    pub(super) budgets: Budgets,
    pub(super) met: Arc<Met>,
    /// What it takes to end TLS; `None`: the receiver gets every byte.
    pub(super) tls: Option<Tls>,
    pub(super) tls_rule: TlsRule,
}

/// Why a connection is ended before the receiver ends it.
enum Cut {
    /// It met a limit.
    Limit(Limit),
    /// What was encrypted ended without the word for it: somebody may have cut it off.
    Truncated,
    /// The server stops.
    Stopped,
}

/// Who ended a connection.
#[derive(Clone, Copy, PartialEq, Eq)]
enum End {
    /// The peer: by what it sent or did not send, or by closing it.
    Peer,
    /// The receiver, since it makes no sense of what came.
    Refused,
    /// The server, for the sake of others or of its own.
    Server,
}

impl Cut {
    fn end(&self) -> End {
        match self {
            Self::Limit(Limit::FirstByte | Limit::Hello | Limit::Offer | Limit::Silence)
            | Self::Truncated => End::Peer,
            Self::Limit(_) | Self::Stopped => End::Server,
        }
    }
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
    let idle_timeout = Duration::from_millis(shared.context.limits.idle_timeout_ms.into());
    let rules = tls::Rules {
        context: &shared.context,
        deadlines: shared.budgets.deadlines(idle_timeout),
        met: &shared.met,
    };
    let secured = tls::secure(shared.tls.as_ref(), stream, &rules, seat, &mut phase).await;
    let Some(stream) = secured else { return };
    let connection = Connection::new(stream, Arc::clone(&shared.context), Arc::clone(seat));
    let connection = Arc::new(connection);
    let works: Weak<Connection> = Arc::downgrade(&connection);
    seat.ask_whether_busy(works);
    let end = serve_requests(&shared, &connection, seat, &mut phase).await;
    let is_futile = match end {
        End::Peer => !seat.pulse.has_greeted(),
        End::Refused => !seat.pulse.has_offered(),
        End::Server => false,
    };
    if is_futile {
        connection.fail(Futile::Handshake);
    }
}

/// Serves one request after the other, or what else comes.
async fn serve_requests(
    shared: &Shared,
    connection: &Arc<Connection>,
    seat: &Seat,
    phase: &mut watch::Receiver<Phase>,
) -> End {
    let idle_timeout = Duration::from_millis(shared.context.limits.idle_timeout_ms.into());
    let to_first_byte = shared.budgets.deadlines(idle_timeout);
    let to_end = shared.budgets.deadlines(idle_timeout + IDLE_GRACE);

    let span = spans::connection(&connection.peer());
    let mut is_first = true;
    loop {
        // Until a byte is here there is no instance, and nothing that a shutdown would wait for.
        let ended = tokio::select! {
            has_byte = connection.wait_first_byte() => (!has_byte).then_some(End::Peer),
            limit = met(connection, seat, to_first_byte) => {
                // Who was served may keep the connection, and have nothing more to ask.
                Some(match limit {
                    Limit::FirstByte | Limit::Silence if is_first => {
                        cut(shared, connection, Cut::Limit(Limit::FirstByte))
                    }
                    Limit::Silence => End::Peer,
                    limit => cut(shared, connection, Cut::Limit(limit)),
                })
            }
            () = reached(phase, Phase::Draining) => Some(End::Server),
        };
        if let Some(end) = ended {
            return end;
        }
        is_first = false;
        seat.pulse.handle_first_byte(seat.now());
        let ended = tokio::select! {
            ended = run(shared, connection).instrument(span.clone()) => ended,
            () = connection.send_held() => Some(End::Peer),
            () = connection.truncated() => Some(cut(shared, connection, Cut::Truncated)),
            limit = met(connection, seat, to_end) => {
                Some(cut(shared, connection, Cut::Limit(limit)))
            }
            () = reached(phase, Phase::Stopped) => Some(cut(shared, connection, Cut::Stopped)),
        };
        if let Some(end) = ended {
            return end;
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

fn cut(shared: &Shared, connection: &Connection, cut: Cut) -> End {
    let end = cut.end();
    let (code, words) = match cut {
        Cut::Stopped => (RefusalCode::Cancelled, "the server stopped"),
        // Many programs close without that word when they have nothing more to say. Nobody minds.
        Cut::Truncated if !connection.has_uploads() => return end,
        Cut::Truncated => (RefusalCode::Cancelled, "the connection was cut: TLS did not end it"),
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
    end
}

/// Runs an instance. Who has ended the connection; `None`: another one is to serve what follows.
async fn run(shared: &Shared, connection: &Arc<Connection>) -> Option<End> {
    match shared.sandbox.serve(connection).await {
        Outcome::Served(Ok(())) => {
            finish(connection).await;
            Some(End::Peer)
        }
        Outcome::Served(Err(refusal)) => {
            let peer = connection.peer();
            connection.emit(ServerEvent::ConnectionRefused { peer, refusal });
            finish(connection).await;
            Some(End::Refused)
        }
        // What the socket did not take is sent before more is read.
        Outcome::Again => connection.flushed().await.is_err().then_some(End::Peer),
        Outcome::Trapped { reason, last_words } => {
            let peer = connection.peer();
            connection.emit(ServerEvent::Trapped { peer, reason, last_words });
            Some(End::Refused)
        }
    }
}

/// Sends what is left, says that nothing more comes, and reads on for a while.
async fn finish(connection: &Connection) {
    if connection.flushed().await.is_ok() {
        linger(&connection.stream).await;
    }
}
