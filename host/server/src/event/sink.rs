//! Where events go.

use super::server::ServerEvent;
use super::stream::EventQueue;

/// Somebody's function that is called for each event.
pub(crate) type EventCallback = Box<dyn Fn(ServerEvent) + Send + Sync>;

/// Where events go.
#[derive(Default)]
pub(crate) struct EventSink {
    pub(crate) callback: Option<EventCallback>,
    pub(crate) queue: Option<EventQueue>,
}

impl EventSink {
    pub(crate) fn emit(&self, event: ServerEvent) {
        match (&self.queue, &self.callback) {
            (Some(queue), Some(callback)) => {
                queue.push(event.clone());
                callback(event);
            }
            (Some(queue), None) => queue.push(event),
            (None, Some(callback)) => callback(event),
            (None, None) => {}
        }
    }
}
