//! Events as a stream.

use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::task::{Context, Poll};

use futures_core::Stream;
use tokio::sync::mpsc;
use tokio::sync::mpsc::error::TrySendError;

use super::server::ServerEvent;

/// The events of a server, in order: what [`Server::events`](crate::Server::events) gives.
///
/// ```no_run
/// # async fn example(server: sandport_server::Server) {
/// use sandport_server::ServerEvent;
///
/// let mut events = server.events();
/// while let Some(event) = events.next().await {
///     if let ServerEvent::Stored { peer, receipt } = event {
///         println!("{} from {peer}", receipt.name.escape_debug());
///     }
/// }
/// # }
/// ```
///
/// It ends when the last handle to the server is gone and all events were taken. It holds a bounded number of them. Who
/// takes them too slowly misses some, and is told how many by [`ServerEvent::Missed`]: a server does
/// not wait for whoever watches it.
#[derive(Debug)]
pub struct Events {
    queue: mpsc::Receiver<ServerEvent>,
    missed: Arc<AtomicU64>,
}

/// The other end of [`Events`].
pub(super) struct EventQueue {
    queue: mpsc::Sender<ServerEvent>,
    missed: Arc<AtomicU64>,
}

pub(super) fn queue(capacity: usize) -> (EventQueue, Events) {
    // A queue of none is not one.
    let (sender, receiver) = mpsc::channel(capacity.max(1));
    let missed = Arc::new(AtomicU64::new(0));
    let events = Events { queue: receiver, missed: Arc::clone(&missed) };
    (EventQueue { queue: sender, missed }, events)
}

impl EventQueue {
    /// Whether somebody may still take events.
    pub(super) fn is_watched(&self) -> bool {
        !self.queue.is_closed()
    }

    pub(super) fn push(&self, event: ServerEvent) {
        if let Err(TrySendError::Full(_)) = self.queue.try_send(event) {
            self.missed.fetch_add(1, Ordering::Relaxed);
        }
    }
}

impl Events {
    /// The next event; `None`: the server has ended.
    pub async fn next(&mut self) -> Option<ServerEvent> {
        std::future::poll_fn(|context| self.poll(context)).await
    }

    fn poll(&mut self, context: &mut Context<'_>) -> Poll<Option<ServerEvent>> {
        let next = self.queue.poll_recv(context);
        // What is in the queue came before what found no room in it.
        match next {
            Poll::Ready(Some(event)) => Poll::Ready(Some(event)),
            Poll::Pending | Poll::Ready(None) => match self.missed.swap(0, Ordering::Relaxed) {
                0 => next,
                count => Poll::Ready(Some(ServerEvent::Missed { count })),
            },
        }
    }
}

impl Stream for Events {
    type Item = ServerEvent;

    fn poll_next(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Option<ServerEvent>> {
        self.get_mut().poll(context)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use sandport_testkit::patience::within;

    fn event(connections: usize) -> ServerEvent {
        ServerEvent::Draining { connections }
    }

    /// `Err` counts what was missed.
    async fn number(events: &mut Events) -> Option<Result<usize, u64>> {
        match within("an event", events.next()).await? {
            ServerEvent::Draining { connections } => Some(Ok(connections)),
            ServerEvent::Missed { count } => Some(Err(count)),
            other => panic!("{other:?} was not emitted"),
        }
    }

    #[tokio::test]
    async fn a_slow_reader_gets_what_had_room_and_hears_what_it_missed() {
        let (queue, mut events) = queue(2);
        (1..=5).for_each(|number| queue.push(event(number)));
        assert_eq!(number(&mut events).await, Some(Ok(1)));
        assert_eq!(number(&mut events).await, Some(Ok(2)));
        assert_eq!(number(&mut events).await, Some(Err(3)));
        queue.push(event(6));
        assert_eq!(number(&mut events).await, Some(Ok(6)));
        drop(queue);
        assert_eq!(number(&mut events).await, None);
    }

    #[tokio::test]
    async fn what_was_missed_at_the_end_is_told_before_the_end() {
        let (queue, mut events) = queue(1);
        queue.push(event(1));
        queue.push(event(2));
        drop(queue);
        assert_eq!(number(&mut events).await, Some(Ok(1)));
        assert_eq!(number(&mut events).await, Some(Err(1)));
        assert_eq!(number(&mut events).await, None);
    }
}
