//! How many threads the process may have.

use std::io;
use std::sync::{Mutex, PoisonError};

use crate::exit::Exit;
use crate::failure::Failure;

/// Stack of a thread that only finds out whether there can be one. Bytes. The least that every system takes.
const PROBE_STACK_BYTES: usize = 64 * 1024;

/// Finds out whether the process may have `count` threads more. Runtimes and thread pools take it for granted,
/// and panic where it is not so.
///
/// # Errors
/// `threads`, which says how many there could be.
pub(crate) fn check(count: usize) -> Result<(), Failure> {
    let gate = Mutex::new(());
    let outcome = std::thread::scope(|scope| {
        // All of them are there until it opens.
        let _closed = gate.lock().unwrap_or_else(PoisonError::into_inner);
        (0..count).try_for_each(|started| {
            std::thread::Builder::new()
                .stack_size(PROBE_STACK_BYTES)
                .spawn_scoped(scope, || drop(gate.lock()))
                .map(drop)
                .map_err(|error| (started, error))
        })
    });
    outcome.map_err(|(started, error)| too_few_threads(started, count, &error))
}

fn too_few_threads(started: usize, count: usize, error: &io::Error) -> Failure {
    Failure {
        code: "threads",
        message: format!(
            "this process needs {count} threads, and the system allows {started}: {error}"
        ),
        hint: Some(String::from(
            "raise the limit on processes and threads (ulimit -u; with systemd LimitNPROC= and TasksMax=)",
        )),
        exit: Exit::LocalIo,
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use super::*;

    #[test]
    fn threads_that_there_can_be_are_no_failure() {
        check(2).unwrap();
    }

    #[test]
    fn too_few_threads_are_told_with_the_number_and_what_to_do() {
        let failure = too_few_threads(3, 20, &io::ErrorKind::WouldBlock.into());
        assert!(
            failure.message.contains("needs 20 threads, and the system allows 3"),
            "{}",
            failure.message
        );
        assert!(failure.hint.unwrap().contains("ulimit -u"));
        assert_eq!(failure.exit, Exit::LocalIo);
    }
}
