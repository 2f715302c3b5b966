//! What of all that happened decides the exit code.

use sandport_protocol::RefusalCode;

use crate::exit::Exit;

impl Exit {
    /// What one refused file alone comes to.
    pub(crate) fn of_refusal(code: RefusalCode) -> Self {
        match code {
            RefusalCode::DigestMismatch => Self::Integrity,
            code if code.is_temporary() => Self::Temporary,
            _ => Self::Refused,
        }
    }
}

/// What became of the files so far, as far as it decides the exit code.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Tally {
    /// Whether some file arrived.
    arrived: bool,
    /// What the failures come to, if each comes to the same.
    failures: Option<Exit>,
}

impl Tally {
    /// A file arrived, or was there.
    pub(crate) fn arrived(&mut self) {
        self.arrived = true;
    }

    /// A file failed, which alone would come to `exit`.
    pub(crate) fn failed(&mut self, exit: Exit) {
        self.failures = Some(match self.failures {
            None => exit,
            Some(other) if other == exit => exit,
            // Damage outweighs what else went wrong.
            Some(Exit::Integrity) => Exit::Integrity,
            Some(_) if exit == Exit::Integrity => Exit::Integrity,
            Some(_) => Exit::SomeFailed,
        });
    }

    /// The exit code of a run that went to its end.
    pub(crate) fn exit(&self) -> Exit {
        match self.failures {
            None => Exit::Done,
            Some(Exit::Integrity) => Exit::Integrity,
            Some(_) if self.arrived => Exit::SomeFailed,
            Some(exit) => exit,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn exit(arrived: bool, failures: &[Exit]) -> Exit {
        let mut tally = Tally::default();
        if arrived {
            tally.arrived();
        }
        for failure in failures {
            tally.failed(*failure);
        }
        tally.exit()
    }

    #[test]
    fn all_stored_is_zero_and_so_is_nothing_to_send() {
        assert_eq!(exit(true, &[]), Exit::Done);
        assert_eq!(exit(false, &[]), Exit::Done);
    }

    #[test]
    fn failures_of_one_kind_have_its_code_and_mixed_ones_do_not() {
        assert_eq!(exit(false, &[Exit::Refused, Exit::Refused]), Exit::Refused);
        assert_eq!(exit(false, &[Exit::LocalIo]), Exit::LocalIo);
        assert_eq!(exit(false, &[Exit::LocalIo, Exit::Refused]), Exit::SomeFailed);
        assert_eq!(exit(true, &[Exit::LocalIo]), Exit::SomeFailed);
    }

    #[test]
    fn damage_is_never_hidden_by_anything_else() {
        assert_eq!(exit(true, &[Exit::Refused, Exit::Integrity]), Exit::Integrity);
        assert_eq!(exit(true, &[Exit::Integrity, Exit::LocalIo]), Exit::Integrity);
    }

    #[test]
    fn what_may_work_later_is_temporary_and_policy_is_not() {
        assert_eq!(Exit::of_refusal(RefusalCode::InsufficientSpace), Exit::Temporary);
        assert_eq!(Exit::of_refusal(RefusalCode::Exists), Exit::Refused);
        assert_eq!(Exit::of_refusal(RefusalCode::DigestMismatch), Exit::Integrity);
    }
}
