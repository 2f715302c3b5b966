//! Why a server or a look at an inbox failed.

use sandport_inbox::InboxError;
use sandport_server::ComponentError;
use sandport_server::net::BindError;
use sandport_server::{BudgetsError, BuildError, ResidentError, TlsError, TooFewDescriptors};

use super::Failure;
use crate::exit::Exit;
use crate::hints;

impl From<InboxError> for Failure {
    fn from(error: InboxError) -> Self {
        let exit = match &error {
            InboxError::NotAnInbox { .. }
            | InboxError::WrongLayout { .. }
            | InboxError::NameInvalid { .. } => Exit::Usage,
            InboxError::Locked { .. } => Exit::Temporary,
            _ => Exit::LocalIo,
        };
        Self::of(error.code(), &error, hints::of_inbox(&error), exit)
    }
}

impl From<TooFewDescriptors> for Failure {
    fn from(error: TooFewDescriptors) -> Self {
        Self::of("descriptors", error, Some(hints::DESCRIPTORS), Exit::LocalIo)
    }
}

impl From<BudgetsError> for Failure {
    fn from(error: BudgetsError) -> Self {
        Self::of("usage", error, Some(hints::BUDGETS), Exit::Usage)
    }
}

impl From<BuildError> for Failure {
    fn from(error: BuildError) -> Self {
        match error {
            BuildError::Component(error) => (&error).into(),
            BuildError::Budgets(error) => error.into(),
            BuildError::NoTls => {
                Self::of(error.code(), &error, hints::of_build(&error), Exit::Usage)
            }
            error => Self::of(error.code(), &error, hints::of_build(&error), Exit::LocalIo),
        }
    }
}

impl From<TlsError> for Failure {
    fn from(error: TlsError) -> Self {
        let exit = match error {
            TlsError::Inbox(error) => return error.into(),
            TlsError::Read { .. } | TlsError::Make(_) => Exit::LocalIo,
            _ => Exit::Usage,
        };
        Self::of(error.code(), &error, hints::of_tls(&error), exit)
    }
}

impl From<&ComponentError> for Failure {
    fn from(error: &ComponentError) -> Self {
        let exit = match error {
            ComponentError::Read { .. }
            | ComponentError::Engine(_)
            | ComponentError::NotExecutable(_)
            | ComponentError::Thread(_) => Exit::LocalIo,
            _ => Exit::Usage,
        };
        Self::of(error.code(), error, hints::of_component(error), exit)
    }
}

impl From<BindError> for Failure {
    fn from(error: BindError) -> Self {
        let exit = match &error {
            BindError::InUse(_) => Exit::Temporary,
            BindError::Resolve { .. } | BindError::NotASocket(_) => Exit::Usage,
            _ => Exit::LocalIo,
        };
        let message = format!("cannot listen: {error}");
        Self::of(error.code(), message, hints::of_bind(&error), exit)
    }
}

impl From<ResidentError> for Failure {
    fn from(error: ResidentError) -> Self {
        let exit = match error {
            ResidentError::Bind(error) => return error.into(),
            ResidentError::Lost(error) => return error.into(),
            ResidentError::NotEnforced(_) | ResidentError::UnixSocket(_) => Exit::Usage,
            ResidentError::NeverListened { .. } => Exit::Receiver,
            _ => Exit::LocalIo,
        };
        Self::of(error.code(), &error, hints::of_resident(&error), exit)
    }
}
