//! How the descriptors of a process are shared out: so that one that has few is slow, and refuses nothing.

/// Descriptors that are neither of a connection nor of a file on its way: standard streams, the runtime, the
/// listeners, the inbox with its log and locks, what is read at the start; some are left for the program
/// around.
const BESIDE: u64 = 48;

/// Descriptors below which no server is run: a handful of connections and of files.
const MIN: u64 = BESIDE + 16;

/// Most descriptors for files on their way: with more of them, nothing gets faster.
const FILES_MAX: u64 = 512;

/// How many connections a server may have at once, and how many files its inbox may have open, so that both
/// fit into the descriptors of the process.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Descriptors {
    /// For [`ServerBuilder::connections_max`](super::ServerBuilder::connections_max).
    pub connections_max: u32,
    /// For [`InboxOptions::files_open_max`](sandport_inbox::InboxOptions::files_open_max).
    pub files_open_max: usize,
}

/// There are too few descriptors to serve at all.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("the process may open {available} files at once; a server needs at least {MIN}")]
pub struct TooFewDescriptors {
    /// How many there are.
    pub available: u64,
}

impl Descriptors {
    /// Shares out `available` descriptors; `None`: there is no limit. Connections get what they are `wanted`
    /// to be, and no more than half of what there is.
    ///
    /// # Errors
    /// [`TooFewDescriptors`].
    pub fn share(available: Option<u64>, wanted: u32) -> Result<Self, TooFewDescriptors> {
        let Some(available) = available else {
            return Ok(Self { connections_max: wanted, files_open_max: FILES_MAX as usize });
        };
        if available < MIN {
            return Err(TooFewDescriptors { available });
        }
        let shared = available - BESIDE;
        let connections = u64::from(wanted).min(shared / 2);
        let files = (shared - connections).min(FILES_MAX);
        Ok(Self {
            connections_max: u32::try_from(connections).unwrap_or(wanted),
            files_open_max: usize::try_from(files).unwrap_or(usize::MAX),
        })
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::expect_used)]

    use super::*;

    #[test]
    fn connections_and_files_fit_into_the_descriptors_of_the_process() {
        for available in MIN..5_000 {
            for wanted in [1, 8, 100, 1_000, u32::MAX] {
                let shared = Descriptors::share(Some(available), wanted).expect("enough");
                let sum = u64::from(shared.connections_max) + shared.files_open_max as u64 + BESIDE;
                assert!(sum <= available, "{available} {wanted}: {shared:?}");
                assert!(
                    shared.connections_max >= wanted.min(8),
                    "{available} {wanted}: {shared:?}"
                );
                assert!(shared.files_open_max >= 8, "{available} {wanted}: {shared:?}");
            }
        }
    }

    #[test]
    fn as_many_connections_as_are_wanted_where_there_are_enough_descriptors() {
        let many = Descriptors::share(Some(4_096), 1_000);
        assert_eq!(many, Ok(Descriptors { connections_max: 1_000, files_open_max: 512 }));
        assert_eq!(Descriptors::share(None, 1_000), many);
    }

    #[test]
    fn too_few_descriptors_are_an_error_that_says_how_many() {
        let error = Descriptors::share(Some(32), 1).expect_err("too few");
        assert_eq!(
            error.to_string(),
            "the process may open 32 files at once; a server needs at least 64"
        );
    }
}
