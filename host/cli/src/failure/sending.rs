//! Why sending failed.

use sandport_client::{SendError, SendErrorKind};

use super::Failure;
use crate::exit::Exit;

impl From<&SendError> for Failure {
    fn from(error: &SendError) -> Self {
        Self {
            code: error.code(),
            message: error.to_string(),
            hint: error.hint().map(str::to_owned),
            exit: exit_of(error),
        }
    }
}

/// What the end of a connection comes to.
fn exit_of(error: &SendError) -> Exit {
    match error.kind() {
        SendErrorKind::Usage => Exit::Usage,
        SendErrorKind::Temporary => Exit::Temporary,
        SendErrorKind::Local => Exit::LocalIo,
        SendErrorKind::Interrupted => Exit::Interrupted,
        _ => Exit::Refused,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_cut_may_pass_and_an_interruption_is_one() {
        assert_eq!(exit_of(&SendError::Cut), Exit::Temporary);
        assert_eq!(exit_of(&SendError::Interrupted), Exit::Interrupted);
    }
}
