//! What kind of failure an error of this crate is.

use sandport_inbox::InboxErrorKind;

/// What kind of failure an error of this crate is, for exit codes and for retries.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum ServerErrorKind {
    /// The call makes no sense as it is: an address, a limit or the component has to be another.
    Usage,
    /// The same call may succeed later.
    Temporary,
    /// This machine failed, or does not let this process do what it needs.
    Local,
    /// A resident component does not do its part.
    Receiver,
}

impl From<InboxErrorKind> for ServerErrorKind {
    fn from(kind: InboxErrorKind) -> Self {
        match kind {
            InboxErrorKind::Usage => Self::Usage,
            InboxErrorKind::Temporary => Self::Temporary,
            _ => Self::Local,
        }
    }
}
