//! The connections of a server: who has a place, and how they end with it.

use std::sync::Arc;
use std::time::Duration;

use sandport_protocol::Refusal;
use tokio::sync::watch;

use super::connection::{self, Shared};
use super::limits::refusal;
use super::phase::{Phase, reached};
use crate::budget::{Arrived, Fate, Limit, Seat};
use crate::event::ServerEvent;
use crate::net::{Address, Stream};

/// Connections at once. Each has a sandbox once its first byte is here; idle ones take some 40 KiB.
pub(super) const CONNECTIONS_MAX: u32 = 1_000;

/// How often a connection that waits has the others looked at: one that has become idle gives way.
const RECONSIDER_AFTER: Duration = Duration::from_millis(250);

/// What serves connections, whoever accepts them.
pub(super) struct Serving {
    pub(super) shared: Arc<Shared>,
    drain_timeout: Duration,
    /// How many connections there are, those that wait for a place too.
    connections: Arc<watch::Sender<usize>>,
    phase: watch::Sender<Phase>,
}

/// A connection that has arrived, until this is dropped.
pub(super) struct Arrival {
    /// Dropped first: only then is it over.
    arrived: Arrived,
    _counted: Counted,
}

/// One of the connections that there are.
struct Counted(Arc<watch::Sender<usize>>);

/// Cuts all connections when it is dropped.
pub(super) struct Cut<'a>(&'a Serving);

impl Serving {
    pub(super) fn new(shared: Arc<Shared>, drain_timeout: Duration) -> Self {
        let connections = Arc::new(watch::Sender::new(0));
        Self { shared, drain_timeout, connections, phase: watch::Sender::new(Phase::Serving) }
    }

    /// Whether what comes to an address that is listened on has to be encrypted.
    pub(super) fn requires_tls(&self, address: &Address) -> bool {
        self.shared.tls.is_some() && self.shared.tls_rule.requires(address)
    }

    /// A connection arrives.
    pub(super) fn arrive(&self, stream: &Stream) -> Arrival {
        self.connections.send_modify(|connections| *connections += 1);
        let counted = Counted(Arc::clone(&self.connections));
        let arrived = self.shared.doors.arrive(stream, &self.shared.context.proxies);
        Arrival { arrived, _counted: counted }
    }

    /// Serves a connection to its end, or to that of the server, as soon as it has a place.
    pub(super) async fn serve(&self, stream: Stream, arrival: Arrival) {
        let mut phase = self.phase.subscribe();
        let fate = tokio::select! {
            biased;
            () = reached(&mut phase, Phase::Draining) => return,
            fate = self.place(&stream, &arrival.arrived) => fate,
        };
        match fate {
            Fate::Over(limit) => self.tell(&stream, arrival.arrived.seat(), limit),
            Fate::Served | Fate::Waits => {
                let shared = Arc::clone(&self.shared);
                connection::serve(shared, stream, arrival.arrived.seat(), phase).await;
            }
        }
        // Only now is the place somebody else's: the sandbox is gone.
        drop(arrival);
    }

    /// Waits until the connection has a place, or gets none.
    async fn place(&self, stream: &Stream, arrived: &Arrived) -> Fate {
        loop {
            let waiting = arrived.seat().fate_after(Fate::Waits);
            match tokio::time::timeout(RECONSIDER_AFTER, waiting).await {
                Ok(fate) => return fate,
                Err(_) => self.shared.doors.reconsider(stream),
            }
        }
    }

    /// Tells of a connection that was reset before it was accepted.
    pub(super) fn tell_gone(&self, stream: &Stream) {
        let words = "the connection was cut before it was accepted";
        let refusal = Refusal::new(sandport_protocol::RefusalCode::Cancelled, words);
        self.shared.context.refuse(crate::budget::Source::Unknown, stream.peer().clone(), refusal);
    }

    fn tell(&self, stream: &Stream, seat: &Seat, limit: Limit) {
        let (code, words) = refusal(limit);
        let (peer, refusal) = (stream.peer().clone(), Refusal::new(code, words));
        self.shared.context.refuse(seat.source(), peer, refusal);
    }

    /// Takes no further connection, and returns when those that are there have ended. What is under way may finish
    /// until the time for that is over.
    pub(super) async fn stop(&self) {
        let running = self.shared.doors.served();
        if self.reach(Phase::Draining) {
            self.shared.context.events.emit(ServerEvent::Draining { connections: running });
        }
        if tokio::time::timeout(self.drain_timeout, self.all_ended()).await.is_err() {
            self.reach(Phase::Stopped);
            // Connections only have to notice; none of them waits for a peer any more.
            self.all_ended().await;
        }
    }

    /// What cuts all connections, unless they have ended before it is dropped.
    pub(super) fn cut(&self) -> Cut<'_> {
        Cut(self)
    }

    async fn all_ended(&self) {
        // The sender is here.
        let _ = self.connections.subscribe().wait_for(|connections| *connections == 0).await;
    }

    /// Whether the server was not that far down before.
    fn reach(&self, wanted: Phase) -> bool {
        self.phase.send_if_modified(|phase| {
            let is_news = *phase < wanted;
            *phase = wanted.max(*phase);
            is_news
        })
    }
}

impl Drop for Counted {
    fn drop(&mut self) {
        self.0.send_modify(|connections| *connections -= 1);
    }
}

impl Drop for Cut<'_> {
    fn drop(&mut self) {
        self.0.reach(Phase::Stopped);
    }
}
