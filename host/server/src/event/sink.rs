//! Where events go.

use std::sync::{PoisonError, RwLock};

use super::server::ServerEvent;
use super::stream::{self, EventQueue, Events};

/// Events that a stream holds by default: those of a second of small files, with a name and a reason of a few KiB each
/// at most.
const CAPACITY: usize = 1_024;

/// Somebody's function that is called for each event.
pub(crate) type EventCallback = Box<dyn Fn(ServerEvent) + Send + Sync>;

/// Where events go.
pub(crate) struct EventSink {
    pub(crate) callback: Option<EventCallback>,
    /// How many events each stream holds.
    pub(crate) capacity: usize,
    queues: RwLock<Vec<EventQueue>>,
}

impl Default for EventSink {
    fn default() -> Self {
        Self { callback: None, capacity: CAPACITY, queues: RwLock::default() }
    }
}

impl EventSink {
    /// A stream of the events from now on.
    pub(crate) fn subscribe(&self) -> Events {
        let (queue, events) = stream::queue(self.capacity);
        let mut queues = self.queues.write().unwrap_or_else(PoisonError::into_inner);
        queues.retain(EventQueue::is_watched);
        queues.push(queue);
        events
    }

    pub(crate) fn emit(&self, event: ServerEvent) {
        for queue in &*self.queues.read().unwrap_or_else(PoisonError::into_inner) {
            queue.push(event.clone());
        }
        if let Some(callback) = &self.callback {
            callback(event);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use sandport_testkit::patience::within;

    async fn draining(events: &mut Events) -> Option<usize> {
        match within("an event", events.next()).await? {
            ServerEvent::Draining { connections } => Some(connections),
            other => panic!("{other:?} was not emitted"),
        }
    }

    #[tokio::test]
    async fn each_stream_has_the_events_since_it_was_asked_for() {
        let sink = EventSink::default();
        let mut early = sink.subscribe();
        sink.emit(ServerEvent::Draining { connections: 1 });
        drop(sink.subscribe());
        let mut late = sink.subscribe();
        assert_eq!(
            sink.queues.read().map_or(0, |queues| queues.len()),
            2,
            "nobody reads the other"
        );
        sink.emit(ServerEvent::Draining { connections: 2 });
        drop(sink);
        assert_eq!(draining(&mut early).await, Some(1));
        for events in [&mut early, &mut late] {
            assert_eq!(draining(events).await, Some(2));
            assert_eq!(draining(events).await, None);
        }
    }
}
