//! How the descriptors of a process are shared out: so that one that has few is slow, and refuses nothing.

use crate::error_kind::ServerErrorKind;

/// Descriptors that are neither of a connection nor of a file on its way: standard streams, the runtime, the
/// listeners, the inbox with its log and locks, what is read at the start; some are left for the program
/// around.
const BESIDE: u64 = 48;

/// Descriptors below which no server is run: a handful of connections and of files.
const MIN: u64 = BESIDE + 16;

/// Most descriptors for files on their way: with more of them, nothing gets faster.
const FILES_MAX: u64 = 512;

/// The part of the descriptors for connections that is for local sockets, where they are too few, and the part for
/// connections that wait: one in so many.
const PART: u64 = 8;

/// How many connections a server may have at once, and how many files its inbox may have open, so that all of them
/// fit into the descriptors of the process.
///
/// ```
/// use sandport_server::{Descriptors, WantedConnections};
///
/// let mut wanted = WantedConnections::default();
/// wanted.network = 1_000;
/// let shared = Descriptors::share(Some(256), wanted)?;
/// assert!(shared.max_connections < 256);
/// # Ok::<(), sandport_server::TooFewDescriptors>(())
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Descriptors {
    /// For [`ServerBuilder::max_connections`](super::ServerBuilder::max_connections).
    pub max_connections: u32,
    /// For [`Budgets::max_local_connections`](super::Budgets::max_local_connections).
    pub max_local_connections: u32,
    /// For [`Budgets::max_waiting`](super::Budgets::max_waiting).
    pub max_waiting: u32,
    /// For [`InboxOptions::max_open_files`](sandport_inbox::InboxOptions::max_open_files).
    pub max_open_files: usize,
}

/// Connections that are wanted. Default: none; each number is set by itself.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct WantedConnections {
    /// By TCP, at once.
    pub network: u32,
    /// By local sockets, at once; 0 where none is listened on.
    pub local: u32,
    /// That wait at once for a place, of each kind.
    pub waiting: u32,
}

/// There are too few descriptors to serve at all.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("the process may open {available} files at once; a server needs at least {MIN}")]
#[non_exhaustive]
pub struct TooFewDescriptors {
    /// How many there are.
    pub available: u64,
}

impl TooFewDescriptors {
    /// What kind of failure it is: this process may open too few.
    pub fn kind(&self) -> ServerErrorKind {
        ServerErrorKind::Local
    }
}

impl Descriptors {
    /// Shares out `available` descriptors; `None`: there is no limit. Connections get what they are `wanted`
    /// to be, and no more than half of what there is.
    ///
    /// # Errors
    /// [`TooFewDescriptors`].
    pub fn share(
        available: Option<u64>,
        wanted: WantedConnections,
    ) -> Result<Self, TooFewDescriptors> {
        let as_wanted = Self {
            max_connections: wanted.network,
            max_local_connections: wanted.local,
            max_waiting: wanted.waiting,
            max_open_files: FILES_MAX as usize,
        };
        let Some(available) = available else { return Ok(as_wanted) };
        if available < MIN {
            return Err(TooFewDescriptors { available });
        }
        let shared = available - BESIDE;
        let kinds = if wanted.local > 0 { 2 } else { 1 };
        let [network, local, waiting] =
            [wanted.network, wanted.local, wanted.waiting].map(u64::from);
        let all = network + local + kinds * waiting;
        let connections = all.min(shared / 2);
        let max_open_files = (shared - connections).min(FILES_MAX);
        let max_open_files = usize::try_from(max_open_files).unwrap_or(usize::MAX);
        if connections == all {
            return Ok(Self { max_open_files, ..as_wanted });
        }
        let part = (connections / PART).max(1);
        let (local, waiting) = (local.min(part), waiting.min((part / kinds).max(1)));
        let network = network.min(connections - local - kinds * waiting);
        let count = |number: u64, wanted| u32::try_from(number).unwrap_or(wanted);
        Ok(Self {
            max_connections: count(network, wanted.network),
            max_local_connections: count(local, wanted.local),
            max_waiting: count(waiting, wanted.waiting),
            max_open_files,
        })
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::expect_used)]

    use super::*;

    fn wanted(network: u32, local: u32) -> WantedConnections {
        WantedConnections { network, local, waiting: 256 }
    }

    #[test]
    fn connections_and_files_fit_into_the_descriptors() {
        for available in MIN..5_000 {
            for network in [1, 8, 100, 1_000, u32::MAX] {
                for local in [0, 1, 250, u32::MAX] {
                    let shared = Descriptors::share(Some(available), wanted(network, local));
                    let shared = shared.expect("enough");
                    let kinds = if local > 0 { 2 } else { 1 };
                    let connections = u64::from(shared.max_connections)
                        + u64::from(shared.max_local_connections)
                        + kinds * u64::from(shared.max_waiting);
                    let sum = connections + shared.max_open_files as u64 + BESIDE;
                    let told = format!("{available} {network} {local}: {shared:?}");
                    assert!(sum <= available, "{told}");
                    assert!(shared.max_connections >= network.min(5), "{told}");
                    assert!(shared.max_local_connections >= local.min(1), "{told}");
                    assert!(shared.max_waiting >= 1 && shared.max_open_files >= 8, "{told}");
                }
            }
        }
    }

    #[test]
    fn as_many_connections_as_wanted_if_descriptors_suffice() {
        let wanted = wanted(1_000, 250);
        let many = Descriptors::share(Some(4_096), wanted);
        let expected = Descriptors {
            max_connections: 1_000,
            max_local_connections: 250,
            max_waiting: 256,
            max_open_files: 512,
        };
        assert_eq!(many, Ok(expected));
        assert_eq!(Descriptors::share(None, wanted), many);
    }

    #[test]
    fn too_few_descriptors_are_an_error_that_says_how_many() {
        let error = Descriptors::share(Some(32), wanted(1, 0)).expect_err("too few");
        assert_eq!(
            error.to_string(),
            "the process may open 32 files at once; a server needs at least 64"
        );
    }
}
