//! Why a command did not do what it should, in words for a person.

use std::io;

use sandport_client::SendError;
use sandport_inbox::InboxError;
use sandport_server::ComponentError;
use sandport_server::net::BindError;
use sandport_server::{BudgetsError, BuildError, ResidentError, TooFewDescriptors};

use crate::console::{self, clean};
use crate::exit::Exit;

/// A condition with its word, its text and its hint.
#[derive(Debug)]
pub(crate) struct Failure {
    pub(crate) code: &'static str,
    pub(crate) message: String,
    pub(crate) hint: Option<String>,
    pub(crate) exit: Exit,
}

impl Failure {
    /// A command line that makes no sense.
    pub(crate) fn usage(message: impl Into<String>, hint: impl Into<String>) -> Self {
        let (message, hint) = (message.into(), Some(hint.into()));
        Self { code: "usage", message, hint, exit: Exit::Usage }
    }

    /// Something that this machine could not do.
    pub(crate) fn local(doing: &str, error: &io::Error) -> Self {
        let message = format!("cannot {doing}: {error}");
        Self { code: "local-io", message, hint: None, exit: Exit::LocalIo }
    }

    /// Writes `error[code]: text` and the hint to standard error.
    pub(crate) fn print(&self) {
        console::talk(&format!("error[{}]: {}", self.code, clean(&self.message)));
        if let Some(hint) = &self.hint {
            console::talk(&format!("hint: {}", clean(hint)));
        }
    }
}

impl From<InboxError> for Failure {
    fn from(error: InboxError) -> Self {
        let exit = match &error {
            InboxError::NotAnInbox { .. }
            | InboxError::WrongLayout { .. }
            | InboxError::NameInvalid { .. } => Exit::Usage,
            InboxError::Locked { .. } => Exit::Temporary,
            _ => Exit::LocalIo,
        };
        let code = error.code();
        Self { code, message: error.to_string(), hint: Some(error.hint().to_owned()), exit }
    }
}

impl From<TooFewDescriptors> for Failure {
    fn from(error: TooFewDescriptors) -> Self {
        let hint = "raise the limit on open files (ulimit -n; with systemd LimitNOFILE=)";
        let (message, hint) = (error.to_string(), Some(String::from(hint)));
        Self { code: "descriptors", message, hint, exit: Exit::LocalIo }
    }
}

impl From<BudgetsError> for Failure {
    fn from(error: BudgetsError) -> Self {
        Self::usage(error.to_string(), "change the limits, or leave them out")
    }
}

impl From<BuildError> for Failure {
    fn from(error: BuildError) -> Self {
        match error {
            BuildError::Component(error) => (&error).into(),
            BuildError::Budgets(error) => error.into(),
            error => Self {
                code: "sandbox",
                message: error.to_string(),
                hint: Some(error.hint().to_owned()),
                exit: Exit::LocalIo,
            },
        }
    }
}

impl From<&ComponentError> for Failure {
    fn from(error: &ComponentError) -> Self {
        let (code, exit) = match error {
            ComponentError::Read { .. } => ("receiver-unreadable", Exit::LocalIo),
            ComponentError::Engine(_)
            | ComponentError::NotExecutable(_)
            | ComponentError::Thread(_) => ("sandbox", Exit::LocalIo),
            _ => ("receiver-unfit", Exit::Usage),
        };
        Self { code, message: error.to_string(), hint: Some(error.hint().to_owned()), exit }
    }
}

impl From<BindError> for Failure {
    fn from(error: BindError) -> Self {
        let (code, exit) = match &error {
            BindError::InUse(_) => ("address-in-use", Exit::Temporary),
            BindError::Resolve { .. } => ("unresolved", Exit::Usage),
            BindError::NotASocket(_) => ("not-a-socket", Exit::Usage),
            _ => ("listen", Exit::LocalIo),
        };
        let message = format!("cannot listen: {error}");
        Self { code, message, hint: Some(error.hint().to_owned()), exit }
    }
}

impl From<ResidentError> for Failure {
    fn from(error: ResidentError) -> Self {
        let (code, exit) = match error {
            ResidentError::Bind(error) => return error.into(),
            ResidentError::NotEnforced(_) => ("not-enforced", Exit::Usage),
            ResidentError::UnixSocket(_) => ("no-unix-socket", Exit::Usage),
            ResidentError::Inbox { .. } => ("inbox-io", Exit::LocalIo),
            ResidentError::Lost(error) => return error.into(),
            ResidentError::NeverListened { .. } => ("receiver-failed", Exit::Receiver),
            _ => ("sandbox", Exit::LocalIo),
        };
        Self { code, message: error.to_string(), hint: Some(error.hint().to_owned()), exit }
    }
}

impl From<&SendError> for Failure {
    fn from(error: &SendError) -> Self {
        Self {
            code: error.code(),
            message: error.to_string(),
            hint: error.hint().map(str::to_owned),
            exit: Exit::of_error(error),
        }
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use super::*;

    #[test]
    fn a_refused_permission_is_not_blamed_on_the_disk() {
        let hint = |kind: io::ErrorKind| {
            let error = InboxError::Io { doing: "open", path: "in".into(), source: kind.into() };
            Failure::from(error).hint.unwrap()
        };
        assert!(hint(io::ErrorKind::PermissionDenied).contains("give this user permission"));
        assert!(hint(io::ErrorKind::Other).contains("disk"));
    }
}
