//! A server that was built, and its run.

use std::sync::Arc;

use sandport_inbox::InboxError;

use crate::accept::Accepting;
use crate::budget::{Limit, Met};
use crate::event::ServerEvent;
use crate::net::Listener;

/// A server that was built and does not listen yet.
///
/// It owns no listener and no signal: the caller hands both to [`Server::run`].
///
/// ```no_run
/// # async fn example() -> Result<(), Box<dyn std::error::Error>> {
/// use sandport_inbox::{Inbox, InboxOptions};
/// use sandport_server::net::Listener;
/// use sandport_server::Server;
///
/// let inbox = Inbox::create("inbox".as_ref(), InboxOptions::default())?;
/// let server = Server::builder(inbox).build()?;
/// let listeners = Listener::bind(&"127.0.0.1:0".parse()?).await?;
/// server.run(listeners, async { tokio::signal::ctrl_c().await.unwrap_or(()) }).await?;
/// # Ok(())
/// # }
/// ```
pub struct Server {
    pub(crate) accepting: Accepting,
}

/// How often connections met each limit of a [`Server`], while it runs and after that. Cloning is cheap.
#[derive(Clone, Debug)]
pub struct LimitsMet(Arc<Met>);

impl LimitsMet {
    /// The limits that were met since the server was built, and how often.
    pub fn counts(&self) -> Vec<(Limit, u64)> {
        self.0.counts()
    }
}

impl Server {
    /// How often connections meet each limit.
    pub fn limits_met(&self) -> LimitsMet {
        LimitsMet(Arc::clone(&self.accepting.shared.met))
    }

    /// Serves until `shutdown` is ready. Then nothing more is accepted, connections that are under
    /// way get the drain timeout to finish, and what is left is cut.
    ///
    /// A server whose inbox is lost stops in the same way, and says so by [`ServerEvent::InboxLost`] first.
    ///
    /// Dropping the future cuts all connections at once.
    ///
    /// # Errors
    /// What [`Inbox::loss`](sandport_inbox::Inbox::loss) says at the end: the inbox was removed, unmounted, or cannot be written any more, or a
    /// thread of it has panicked.
    pub async fn run(
        self,
        listeners: Vec<Listener>,
        shutdown: impl Future<Output = ()>,
    ) -> Result<(), InboxError> {
        let context = Arc::clone(&self.accepting.shared.context);
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
        self.accepting.run(listeners, shutdown).await;
        context.inbox.loss().map_or(Ok(()), Err)
    }
}
