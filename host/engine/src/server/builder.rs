//! Setting a server up.

use std::sync::Arc;
use std::time::Duration;

use sandport_protocol::Limits;

use super::event::{EventSink, ServerEvent};
use super::{Server, Shared};
use crate::inbox::Inbox;
use crate::sandbox::{Cache, ComponentError, Context, ReceiverSource, Sandbox, SandboxLimits};

/// Connections at once. Each has a sandbox once its first byte is here; idle ones take some 40 KiB.
const CONNECTIONS_MAX: u32 = 1_000;

/// How long running uploads may go on after the server was asked to stop. An init system usually
/// kills after 90 seconds.
const DRAIN_TIMEOUT: Duration = Duration::from_secs(30);

/// Why a server can not be built.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum BuildError {
    /// The receiver can not be run.
    #[error(transparent)]
    Component(#[from] ComponentError),
}

impl BuildError {
    /// What to do about it.
    pub fn hint(&self) -> &'static str {
        match self {
            Self::Component(error) => error.hint(),
        }
    }
}

/// The settings of a server; each has a default.
#[must_use]
pub struct ServerBuilder {
    inbox: Inbox,
    receiver: ReceiverSource,
    cache: Cache,
    limits: Limits,
    sandbox: SandboxLimits,
    connections_max: u32,
    drain_timeout: Duration,
    events: Option<Box<dyn Fn(ServerEvent) + Send + Sync>>,
}

impl ServerBuilder {
    pub(super) fn new(inbox: Inbox) -> Self {
        Self {
            inbox,
            receiver: ReceiverSource::default(),
            cache: Cache::default(),
            limits: Limits::default(),
            sandbox: SandboxLimits::default(),
            connections_max: CONNECTIONS_MAX,
            drain_timeout: DRAIN_TIMEOUT,
            events: None,
        }
    }

    /// Which receiver to run: the embedded one by default.
    pub fn receiver(mut self, receiver: ReceiverSource) -> Self {
        self.receiver = receiver;
        self
    }

    /// Where the compiled receiver is kept: nowhere by default.
    pub fn cache(mut self, cache: Cache) -> Self {
        self.cache = cache;
        self
    }

    /// The limits of each connection. `size_max` should be the inbox's, which enforces it.
    pub fn limits(mut self, limits: Limits) -> Self {
        self.limits = limits;
        self
    }

    /// What each sandbox may use.
    pub fn sandbox(mut self, limits: SandboxLimits) -> Self {
        self.sandbox = limits;
        self
    }

    /// Connections at once, at least 1; 1,000 by default. More wait in the listener's queue.
    pub fn connections_max(mut self, connections: u32) -> Self {
        self.connections_max = connections.max(1);
        self
    }

    /// How long connections may go on after the shutdown; 30 seconds by default.
    pub fn drain_timeout(mut self, timeout: Duration) -> Self {
        self.drain_timeout = timeout;
        self
    }

    /// Called for each event, on the runtime's threads: it should not block.
    pub fn on_event(mut self, sink: impl Fn(ServerEvent) + Send + Sync + 'static) -> Self {
        self.events = Some(Box::new(sink));
        self
    }

    /// Compiles the receiver, or loads it from the cache, and checks that it can run.
    ///
    /// # Errors
    /// [`BuildError`].
    pub fn build(self) -> Result<Server, BuildError> {
        let sandbox =
            Sandbox::load(&self.receiver, &self.cache, self.sandbox, self.connections_max)?;
        let events = EventSink::new(self.events);
        let context = Arc::new(Context::new(self.inbox, self.limits, events));
        Ok(Server {
            shared: Arc::new(Shared { sandbox, context }),
            connections_max: self.connections_max,
            drain_timeout: self.drain_timeout,
        })
    }
}
