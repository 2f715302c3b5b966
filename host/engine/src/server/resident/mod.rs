//! A server whose component runs resident: it is started, watched, and started again.

mod announce;
mod arguments;
mod supervisor;

use std::sync::Arc;

use tokio::sync::oneshot;

use crate::inbox::{Inbox, InboxError, Quota};
use crate::net::{Address, BindError, Listener};
use crate::sandbox::{Context, ResidentSandbox};
use supervisor::Supervisor;

/// A server that was built for a component that runs resident, and does not listen yet.
///
/// The component opens the listening sockets, within what it is granted. `wit/RESIDENT.md` is the
/// contract with it.
pub struct ResidentServer {
    sandbox: ResidentSandbox,
    inbox: Inbox,
    context: Arc<Context>,
    connections_max: u32,
}

/// Why a resident component does not serve.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ResidentError {
    /// An address can not be listened on.
    #[error("cannot listen: {0}")]
    Bind(#[from] BindError),
    /// A setting of the inbox that the host enforces, where the component writes past it.
    #[error("{0} can not be enforced with a resident receiver")]
    NotEnforced(&'static str),
    /// WASI 0.2 has no local sockets.
    #[error("{0}: a resident receiver can not listen on a Unix socket")]
    UnixSocket(Address),
    /// The folder of the inbox can not be opened.
    #[error("the inbox {path} can not be given to the receiver: {source}", path = path.display())]
    Inbox {
        /// The folder.
        path: std::path::PathBuf,
        /// Why.
        source: std::io::Error,
    },
    /// The inbox was removed or unmounted, or cannot be written any more.
    #[error(transparent)]
    Lost(InboxError),
    /// The component ended before it had ever listened.
    #[error("the receiver ended before it listened: {reason}{}", words(last_words.as_deref()))]
    NeverListened {
        /// How it ended.
        reason: String,
        /// The last line that it wrote, fit for a terminal.
        last_words: Option<String>,
    },
    /// No thread or runtime could be started, or it ended early.
    #[error("a thread for the receiver can not be run: {0}")]
    Thread(std::io::Error),
}

impl ResidentError {
    /// What to do about it.
    pub fn hint(&self) -> &'static str {
        match self {
            Self::Bind(error) => error.hint(),
            Self::NotEnforced(_) => {
                "a resident receiver writes to the disk by itself: leave the setting out, and give the \
                 inbox a file system, or a project quota, of its own"
            }
            Self::UnixSocket(_) => "WASI 0.2 has TCP alone: give an IP address and a port",
            Self::Inbox { .. } => {
                "see that the folder is there, or mounted, and that this user may open it"
            }
            Self::Lost(error) => error.hint(),
            Self::NeverListened { .. } => {
                "look at its output above, or with -v; wit/RESIDENT.md says how it is started"
            }
            Self::Thread(_) => "raise the limit on processes (ulimit -u)",
        }
    }
}

fn words(last: Option<&str>) -> String {
    last.map_or_else(String::new, |last| format!("; its last words: {last}"))
}

impl ResidentServer {
    pub(super) fn new(
        sandbox: ResidentSandbox,
        inbox: Inbox,
        context: Arc<Context>,
        connections_max: u32,
    ) -> Self {
        Self { sandbox, inbox, context, connections_max }
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
        let options = self.inbox.options();
        if options.quota != Quota::default() || options.identity_quota != Quota::default() {
            return Err(ResidentError::NotEnforced("a quota"));
        }
        if options.free_min > 0 {
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
        let inbox = self.inbox.clone();
        let supervisor = Supervisor::new(self, &granted);
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
