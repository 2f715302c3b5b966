//! A server whose component runs resident: it is started, watched, and started again.

mod announce;
mod arguments;
mod error;
mod supervisor;

use std::sync::Arc;

use tokio::sync::oneshot;

use crate::event::Events;
use crate::net::{Address, Listener};
use crate::sandbox::{Context, ResidentSandbox};
use sandport_inbox::{Inbox, Quota};
use supervisor::{Setup, Supervisor};

pub use error::ResidentError;

/// A server that was built for a component that runs resident, and does not listen yet.
///
/// The component opens the listening sockets, within what it is granted. `wit/RESIDENT.md` is the
/// contract with it.
///
/// ```no_run
/// # async fn example() -> Result<(), Box<dyn std::error::Error>> {
/// use sandport_inbox::{Inbox, InboxOptions};
/// use sandport_server::{AnyServer, ReceiverSource, Server};
///
/// let inbox = Inbox::open("inbox".as_ref(), InboxOptions::default())?;
/// let component = ReceiverSource::File("sandport-standalone.wasm".into());
/// if let AnyServer::Resident(server) = Server::builder(inbox).receiver(component).build_any()? {
///     let shutdown = async { tokio::signal::ctrl_c().await.unwrap_or(()) };
///     server.run(&["127.0.0.1:6542".parse()?], shutdown).await?;
/// }
/// # Ok(())
/// # }
/// ```
pub struct ResidentServer {
    setup: Setup,
}

impl ResidentServer {
    pub(super) fn new(
        sandbox: ResidentSandbox,
        inbox: Inbox,
        context: Arc<Context>,
        max_connections: u32,
    ) -> Self {
        Self { setup: Setup { sandbox, inbox, context, max_connections } }
    }

    /// The events from now on, as of [`Server::events`](crate::Server::events).
    pub fn events(&self) -> Events {
        self.setup.context.events.subscribe()
    }

    /// Runs the component on these addresses until `shutdown` is ready, and starts it again when it
    /// ends. A name stands for all addresses that it has, as for [`Listener::bind`]; port 0 lets the system
    /// choose a port for each. Events say where it listens.
    ///
    /// WASI 0.2 has no way to ask a component to finish: with the shutdown it ends at once, and what was
    /// not published is lost. Dropping the future does the same.
    ///
    /// # Errors
    /// [`ResidentError`]. Once it has listened, only where the inbox is lost.
    pub async fn run(
        self,
        addresses: &[Address],
        shutdown: impl Future<Output = ()>,
    ) -> Result<(), ResidentError> {
        let options = self.setup.inbox.options();
        if options.quota != Quota::default() || options.identity_quota != Quota::default() {
            return Err(ResidentError::NotEnforced("a quota"));
        }
        if options.max_place_bytes.is_some() {
            return Err(ResidentError::NotEnforced(
                "a limit for what is under way from an address",
            ));
        }
        if options.min_free > 0 {
            return Err(ResidentError::NotEnforced("a floor of free space"));
        }
        let mut granted = Vec::with_capacity(addresses.len());
        for address in addresses {
            if let Address::Unix(_) = address {
                return Err(ResidentError::UnixSocket(address.clone()));
            }
            granted.extend(Listener::check(address).await?);
        }
        // Dropping the sender ends the component.
        let (stop, stopped) = oneshot::channel::<()>();
        let (done, mut outcome) = oneshot::channel();
        let inbox = self.setup.inbox.clone();
        let supervisor = Supervisor::new(self.setup, &granted);
        // A thread of its own: the component computes, and blocks in the file system, without keeping
        // anything else waiting.
        std::thread::Builder::new()
            .name("sandport-resident".into())
            .spawn(move || {
                // Nobody asks any more where the future was dropped.
                let _ = done.send(supervisor.run(stopped));
            })
            .map_err(ResidentError::Thread)?;
        let outcome = tokio::select! {
            outcome = &mut outcome => outcome,
            () = shutdown => {
                drop(stop);
                outcome.await
            }
            error = inbox.lost() => {
                drop(stop);
                // Why the server ends is known, whatever the component says about it.
                let _ = outcome.await;
                return Err(ResidentError::Lost(error));
            }
        };
        outcome.unwrap_or_else(|_| {
            Err(ResidentError::Thread(std::io::Error::other("it ended without an outcome")))
        })
    }
}
