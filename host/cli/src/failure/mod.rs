//! Why a command did not do what it should, in words for a person.

use std::io;

use crate::console::{self, clean};
use crate::exit::Exit;

#[cfg(feature = "serve")]
mod receiving;
#[cfg(feature = "send")]
mod sending;

#[cfg(feature = "send")]
pub(crate) use sending::{explain, hint_of_event};

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
    #[cfg(feature = "send")]
    pub(crate) fn usage(message: impl Into<String>, hint: impl Into<String>) -> Self {
        let (message, hint) = (message.into(), Some(hint.into()));
        Self { code: "usage", message, hint, exit: Exit::Usage }
    }

    /// Arguments of a server that contradict each other.
    #[cfg(feature = "serve")]
    pub(crate) fn contradiction(message: &str, hint: &'static str) -> Self {
        Self::of("usage", message, Some(hint), Exit::Usage)
    }

    #[cfg(feature = "serve")]
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
