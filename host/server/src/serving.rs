//! The connections of a server: how many there may be, and how they end with it.

use std::sync::Arc;
use std::time::Duration;

use tokio::sync::{OwnedSemaphorePermit, Semaphore, watch};

use super::connection::{self, Shared};
use super::phase::{Phase, reached};
use crate::event::ServerEvent;
use crate::net::Stream;

/// Connections at once. Each has a sandbox once its first byte is here; idle ones take some 40 KiB.
pub(super) const CONNECTIONS_MAX: u32 = 1_000;

/// What serves connections, whoever accepts them.
pub(super) struct Serving {
    pub(super) shared: Arc<Shared>,
    connections_max: u32,
    drain_timeout: Duration,
    /// One for each connection that may still come.
    places: Arc<Semaphore>,
    phase: watch::Sender<Phase>,
}

/// One of the connections that may be there at once.
pub(super) struct Place(#[expect(dead_code, reason = "held")] OwnedSemaphorePermit);

/// Cuts all connections when it is dropped.
pub(super) struct Cut<'a>(&'a Serving);

impl Serving {
    pub(super) fn new(shared: Arc<Shared>, connections_max: u32, drain_timeout: Duration) -> Self {
        let places = Arc::new(Semaphore::new(connections_max as usize));
        let (phase, _) = watch::channel(Phase::Serving);
        Self { shared, connections_max, drain_timeout, places, phase }
    }

    /// Waits until there may be one connection more; `None`: the server stops.
    pub(super) async fn place(&self) -> Option<Place> {
        let mut phase = self.phase.subscribe();
        tokio::select! {
            biased;
            () = reached(&mut phase, Phase::Draining) => None,
            permit = Arc::clone(&self.places).acquire_owned() => permit.ok().map(Place),
        }
    }

    /// Serves a connection to its end, or to that of the server.
    pub(super) async fn serve(&self, stream: Stream, place: Place) {
        connection::serve(Arc::clone(&self.shared), stream, self.phase.subscribe()).await;
        drop(place);
    }

    /// Takes no further connection, and returns when those that are there have ended. What is under way may finish
    /// until the time for that is over.
    pub(super) async fn stop(&self) {
        let running = self.connections_max as usize - self.places.available_permits();
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
        // Nobody closes the semaphore.
        let _ = self.places.acquire_many(self.connections_max).await;
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

impl Drop for Cut<'_> {
    fn drop(&mut self) {
        self.0.reach(Phase::Stopped);
    }
}
