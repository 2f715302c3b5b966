//! Why a server or a look at an inbox failed.

use sandport_inbox::InboxError;
use sandport_server::net::BindError;
use sandport_server::{
    BudgetsError, BuildError, ComponentError, ResidentError, ServerErrorKind, TlsError,
    TooFewDescriptors,
};

use super::Failure;
use crate::exit::Exit;
use crate::hints;

/// What a failure of a server comes to.
fn exit_of(kind: ServerErrorKind) -> Exit {
    match kind {
        ServerErrorKind::Usage => Exit::Usage,
        ServerErrorKind::Temporary => Exit::Temporary,
        ServerErrorKind::Receiver => Exit::Receiver,
        _ => Exit::LocalIo,
    }
}

impl From<InboxError> for Failure {
    fn from(error: InboxError) -> Self {
        let exit = exit_of(error.kind().into());
        Self::of(error.code(), &error, hints::of_inbox(&error), exit)
    }
}

impl From<TooFewDescriptors> for Failure {
    fn from(error: TooFewDescriptors) -> Self {
        Self::of("descriptors", error, Some(hints::DESCRIPTORS), exit_of(error.kind()))
    }
}

impl From<BudgetsError> for Failure {
    fn from(error: BudgetsError) -> Self {
        let exit = exit_of(error.kind());
        Self::of("usage", error, Some(hints::BUDGETS), exit)
    }
}

impl From<BuildError> for Failure {
    fn from(error: BuildError) -> Self {
        match error {
            BuildError::Component(error) => (&error).into(),
            BuildError::Budgets(error) => error.into(),
            error => Self::of(error.code(), &error, hints::of_build(&error), exit_of(error.kind())),
        }
    }
}

impl From<TlsError> for Failure {
    fn from(error: TlsError) -> Self {
        match error {
            TlsError::Inbox(error) => error.into(),
            error => Self::of(error.code(), &error, hints::of_tls(&error), exit_of(error.kind())),
        }
    }
}

impl From<&ComponentError> for Failure {
    fn from(error: &ComponentError) -> Self {
        Self::of(error.code(), error, hints::of_component(error), exit_of(error.kind()))
    }
}

impl From<BindError> for Failure {
    fn from(error: BindError) -> Self {
        let message = format!("cannot listen: {error}");
        Self::of(error.code(), message, hints::of_bind(&error), exit_of(error.kind()))
    }
}

impl From<ResidentError> for Failure {
    fn from(error: ResidentError) -> Self {
        match error {
            ResidentError::Bind(error) => error.into(),
            ResidentError::Lost(error) => error.into(),
            error => {
                Self::of(error.code(), &error, hints::of_resident(&error), exit_of(error.kind()))
            }
        }
    }
}
