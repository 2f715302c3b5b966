//! The server: accepts connections and runs a sandbox for each.

mod accept;
mod builder;
mod connection;
mod descriptors;
mod event;
mod events;
mod resident;

use std::sync::Arc;
use std::time::Duration;

pub use builder::{AnyServer, BuildError, ServerBuilder};
pub use descriptors::{Descriptors, TooFewDescriptors};
pub(crate) use event::EventSink;
pub use event::ServerEvent;
pub use events::Events;
pub use resident::{ResidentError, ResidentServer};

pub use crate::sandbox::Claim;

use crate::inbox::{Inbox, InboxError, Storage};
use crate::net::Listener;
use crate::sandbox::{Context, Sandbox};
use builder::Place;

/// A server that was built and does not listen yet.
///
/// It owns no listener and no signal: the caller hands both to [`Server::run`].
///
/// ```no_run
/// # async fn example() -> Result<(), Box<dyn std::error::Error>> {
/// use sandport::inbox::{Inbox, InboxOptions};
/// use sandport::net::Listener;
/// use sandport::server::Server;
///
/// let inbox = Inbox::create("inbox".as_ref(), InboxOptions::default())?;
/// let server = Server::builder(inbox).build()?;
/// let listeners = Listener::bind(&"127.0.0.1:0".parse()?).await?;
/// server.run(listeners, async { tokio::signal::ctrl_c().await.unwrap_or(()) }).await?;
/// # Ok(())
/// # }
/// ```
pub struct Server {
    shared: Arc<Shared>,
    connections_max: u32,
    drain_timeout: Duration,
}

/// What every connection needs.
struct Shared {
    sandbox: Sandbox,
    context: Arc<Context>,
}

impl Server {
    /// Begins to set a server up that puts files into `inbox`.
    pub fn builder(inbox: Inbox) -> ServerBuilder {
        ServerBuilder::new(Place::Folder(inbox))
    }

    /// Begins to set a server up that puts files into a storage of its owner's. The largest file is that
    /// of the [limits](ServerBuilder::limits).
    pub fn builder_with(storage: impl Storage) -> ServerBuilder {
        ServerBuilder::new(Place::Storage(Box::new(storage)))
    }

    /// Serves until `shutdown` is ready. Then nothing more is accepted, connections that are under
    /// way get the drain timeout to finish, and what is left is cut.
    ///
    /// A server whose inbox is lost stops in the same way, and says so by [`ServerEvent::InboxLost`] first.
    ///
    /// Dropping the future cuts all connections at once.
    ///
    /// # Errors
    /// What [`Inbox::loss`] says at the end: the inbox was removed, unmounted, or cannot be written any more, or a
    /// thread of it has panicked.
    pub async fn run(
        self,
        listeners: Vec<Listener>,
        shutdown: impl Future<Output = ()>,
    ) -> Result<(), InboxError> {
        let context = Arc::clone(&self.shared.context);
        let shutdown = async {
            tokio::select! {
                () = shutdown => {}
                error = context.inbox.lost() => context.events.emit(ServerEvent::InboxLost {
                    code: error.code(),
                    reason: error.to_string(),
                    hint: error.hint(),
                }),
            }
        };
        accept::run(self, listeners, shutdown).await;
        context.inbox.loss().map_or(Ok(()), Err)
    }
}
