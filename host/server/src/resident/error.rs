//! Why a resident component does not serve.

use crate::error_kind::ServerErrorKind;
use crate::net::{Address, BindError};
use sandport_inbox::InboxError;

/// Why a resident component does not serve.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ResidentError {
    /// An address cannot be listened on.
    #[error("cannot listen: {0}")]
    Bind(#[from] BindError),
    /// A setting of the inbox that the host enforces, where the component writes past it.
    #[error("{0} cannot be enforced with a resident receiver")]
    NotEnforced(&'static str),
    /// WASI 0.2 has no local sockets.
    #[error("{0}: a resident receiver cannot listen on a Unix socket")]
    UnixSocket(Address),
    /// The directory of the inbox cannot be opened.
    #[error("cannot give the inbox {path} to the receiver: {source}", path = path.display())]
    Inbox {
        /// The directory.
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
    #[error("a thread for the receiver cannot be run: {0}")]
    Thread(std::io::Error),
}

impl ResidentError {
    /// What kind of failure it is.
    pub fn kind(&self) -> ServerErrorKind {
        match self {
            Self::Bind(error) => error.kind(),
            Self::Lost(error) => error.kind().into(),
            Self::NotEnforced(_) | Self::UnixSocket(_) => ServerErrorKind::Usage,
            Self::NeverListened { .. } => ServerErrorKind::Receiver,
            Self::Inbox { .. } | Self::Thread(_) => ServerErrorKind::Local,
        }
    }

    /// A stable word for the condition.
    pub fn code(&self) -> &'static str {
        match self {
            Self::Bind(error) => error.code(),
            Self::NotEnforced(_) => "not-enforced",
            Self::UnixSocket(_) => "no-unix-socket",
            Self::Inbox { .. } => "inbox-io",
            Self::Lost(error) => error.code(),
            Self::NeverListened { .. } => "receiver-failed",
            Self::Thread(_) => "sandbox",
        }
    }
}

fn words(last: Option<&str>) -> String {
    last.map_or_else(String::new, |last| format!("; its last words: {last}"))
}
