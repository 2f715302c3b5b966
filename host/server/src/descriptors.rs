//! How the descriptors of a process are shared out: so that one that has few is slow, and refuses nothing.

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
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Descriptors {
    /// For [`ServerBuilder::connections_max`](super::ServerBuilder::connections_max).
    pub connections_max: u32,
    /// For [`Budgets::local_connections_max`](super::Budgets::local_connections_max).
    pub local_connections_max: u32,
    /// For [`Budgets::waiting_max`](super::Budgets::waiting_max).
    pub waiting_max: u32,
    /// For [`InboxOptions::files_open_max`](sandport_inbox::InboxOptions::files_open_max).
    pub files_open_max: usize,
}

/// Connections that are wanted.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
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
    pub fn share(
        available: Option<u64>,
        wanted: WantedConnections,
    ) -> Result<Self, TooFewDescriptors> {
        let as_wanted = Self {
            connections_max: wanted.network,
            local_connections_max: wanted.local,
            waiting_max: wanted.waiting,
            files_open_max: FILES_MAX as usize,
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
        let files_open_max = (shared - connections).min(FILES_MAX);
        let files_open_max = usize::try_from(files_open_max).unwrap_or(usize::MAX);
        if connections == all {
            return Ok(Self { files_open_max, ..as_wanted });
        }
        let part = (connections / PART).max(1);
        let (local, waiting) = (local.min(part), waiting.min((part / kinds).max(1)));
        let network = network.min(connections - local - kinds * waiting);
        let count = |number: u64, wanted| u32::try_from(number).unwrap_or(wanted);
        Ok(Self {
            connections_max: count(network, wanted.network),
            local_connections_max: count(local, wanted.local),
            waiting_max: count(waiting, wanted.waiting),
            files_open_max,
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
    fn connections_and_files_fit_into_the_descriptors_of_the_process() {
        for available in MIN..5_000 {
            for network in [1, 8, 100, 1_000, u32::MAX] {
                for local in [0, 1, 250, u32::MAX] {
                    let shared = Descriptors::share(Some(available), wanted(network, local));
                    let shared = shared.expect("enough");
                    let kinds = if local > 0 { 2 } else { 1 };
                    let connections = u64::from(shared.connections_max)
                        + u64::from(shared.local_connections_max)
                        + kinds * u64::from(shared.waiting_max);
                    let sum = connections + shared.files_open_max as u64 + BESIDE;
                    let told = format!("{available} {network} {local}: {shared:?}");
                    assert!(sum <= available, "{told}");
                    assert!(shared.connections_max >= network.min(5), "{told}");
                    assert!(shared.local_connections_max >= local.min(1), "{told}");
                    assert!(shared.waiting_max >= 1 && shared.files_open_max >= 8, "{told}");
                }
            }
        }
    }

    #[test]
    fn as_many_connections_as_are_wanted_where_there_are_enough_descriptors() {
        let wanted = wanted(1_000, 250);
        let many = Descriptors::share(Some(4_096), wanted);
        let expected = Descriptors {
            connections_max: 1_000,
            local_connections_max: 250,
            waiting_max: 256,
            files_open_max: 512,
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
