//! Why a command did not do what it should, in words for a person.

use std::io;

use sandport_client::SendError;
use sandport_inbox::InboxError;
use sandport_server::ComponentError;
use sandport_server::net::BindError;
use sandport_server::{BuildError, ResidentError, TooFewDescriptors};

use crate::console::{self, clean};
use crate::exit::Exit;
use crate::hints;

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

    fn of(
        code: &'static str,
        message: impl ToString,
        hint: Option<&'static str>,
        exit: Exit,
    ) -> Self {
        Self { code, message: message.to_string(), hint: hint.map(str::to_owned), exit }
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
        Self::of(error.code(), &error, hints::of_inbox(&error), exit)
    }
}

impl From<TooFewDescriptors> for Failure {
    fn from(error: TooFewDescriptors) -> Self {
        Self::of("descriptors", error, Some(hints::DESCRIPTORS), Exit::LocalIo)
    }
}

impl From<BuildError> for Failure {
    fn from(error: BuildError) -> Self {
        match &error {
            BuildError::Component(error) => error.into(),
            _ => Self::of(error.code(), &error, hints::of_build(&error), Exit::LocalIo),
        }
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
