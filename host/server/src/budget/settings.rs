//! What an operator can set of how a server is shared out.

use std::time::Duration;

use super::deadlines::Deadlines;
use crate::error_kind::ServerErrorKind;

/// A rate that no network of an honest sender might reach is none: 1 MiB/s. Bytes in a minute.
const LEAST_BYTES_MAX: u64 = 60 * 1024 * 1024;

/// Less memory than this is not worth a limit: some uploads, and what a receiver needs for them. Bytes.
const MEMORY_MIN: u64 = 256 * 1024;

/// How a server is shared out among those who use it. Each setting has a default.
///
/// ```
/// use sandport_server::Budgets;
///
/// let mut budgets = Budgets::default();
/// budgets.max_address_connections = Some(20);
/// assert!(budgets.check(1_000).is_ok());
/// ```
///
/// An address is one of IPv4, or a network of IPv6: its first 64 bits. An address of IPv4 that comes by an IPv6 socket
/// is the address of IPv4.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Budgets {
    /// Connections by local sockets at once. They have places of their own, so that nobody on the network can keep the
    /// users of this machine out. `None`, the default: a quarter of those by TCP.
    pub max_local_connections: Option<u32>,
    /// Connections of one address at once, or of one user by local sockets. `None`, the default: no limit, since an
    /// address that has many gives way where places are scarce.
    pub max_address_connections: Option<u32>,
    /// Connections that wait at once for a place. 256: a burst waits, and takes few descriptors.
    pub max_waiting: u32,
    /// How long a connection may take to its first byte. 20 seconds: a browser connects before it has something to ask.
    pub first_byte_timeout: Duration,
    /// How long it may take from the first byte of a connection, or of a request, to a complete hello or request. 20
    /// seconds: the largest head of a request takes no longer at 4 kB/s.
    pub hello_timeout: Duration,
    /// How long it may take from a complete hello or request to the first offer. 5 minutes: a sender may read a file
    /// before it offers it.
    pub offer_timeout: Duration,
    /// Bytes that a connection has to bring in a minute while others wait for a place; what is stored counts too. 64
    /// KiB: a kilobyte a second, which the slowest modem brings. 0: nobody is too slow.
    pub min_bytes_per_minute: u64,
    /// What connections may use together that make the server compute for little (frames of a byte, offers that come to
    /// nothing), while others want to compute: percent of one processor in two. 12: an eighth.
    pub unearned_percent: u8,
    /// How many connections of one address may end without a complete hello or request before its next ones wait; what
    /// was stored of it, and time, makes up for them. A credential that is not accepted counts as eight, and an offer
    /// of which nothing is stored as a sixteenth. 256: whoever looks whether the server is there, or sends a tree of
    /// which thousands of names are taken, meets no limit.
    pub free_failures: u32,
    /// How long they wait at most; each further one waits longer than the one before. 5 seconds: whoever tries out is
    /// slow by then, and somebody who shares the address is served all the same. Zero: nobody waits. At most an hour.
    pub max_delay: Duration,
    /// What all connections together may hold of memory: for uploads that are open, for pieces of them that are begun, and
    /// for what their sandboxes grow by while they serve. Bytes. 512 MiB: the most that some eighty senders hold with a
    /// thousand uploads each, and little beside what a server has. At the limit, offers are refused as `too-many`.
    pub max_upload_memory: u64,
    /// What of that the connections of one address may hold, or of one user by local sockets. `None`, the default: an
    /// eighth of it, 64 MiB, which is ten connections with a thousand resumable uploads each.
    pub max_address_memory: Option<u64>,
    /// What of that one connection may hold. `None`, the default: half of what an address may.
    pub max_connection_memory: Option<u64>,
}

impl Default for Budgets {
    fn default() -> Self {
        Self {
            max_local_connections: None,
            max_address_connections: None,
            max_waiting: 256,
            first_byte_timeout: Duration::from_secs(20),
            hello_timeout: Duration::from_secs(20),
            offer_timeout: Duration::from_secs(300),
            min_bytes_per_minute: 64 * 1024,
            unearned_percent: 12,
            free_failures: 256,
            max_delay: Duration::from_secs(5),
            max_upload_memory: 512 * 1024 * 1024,
            max_address_memory: None,
            max_connection_memory: None,
        }
    }
}

/// Settings that make no sense.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum BudgetsError {
    /// Nobody could be served.
    #[error("{0} is 0: nobody could be served")]
    Zero(&'static str),
    /// One address may have more than there is.
    #[error(
        "one address may have {address} connections, and there are {connections}: the limit would limit nothing"
    )]
    MoreThanAll {
        /// What one address may have.
        address: u32,
        /// What all together may have.
        connections: u32,
    },
    /// One may hold more memory than all it belongs to.
    #[error(
        "{who} may hold {bytes} bytes of memory, and {all} {most}: the limit would limit nothing"
    )]
    MoreMemory {
        /// Who: one connection, or one address.
        who: &'static str,
        /// What it may hold.
        bytes: u64,
        /// Whom it belongs to.
        all: &'static str,
        /// What these may hold.
        most: u64,
    },
    /// Hardly an upload would fit.
    #[error("{who} may hold {bytes} bytes of memory: at least {MEMORY_MIN} are needed")]
    LittleMemory {
        /// Who: one connection, one address, or all.
        who: &'static str,
        /// What it may hold.
        bytes: u64,
    },
    /// A part of one processor that is more than all of it.
    #[error("{percent} % is more than one processor")]
    MoreThanOne {
        /// The part.
        percent: u8,
    },
    /// Nobody is as fast.
    #[error(
        "a connection would have to bring {bytes} bytes a minute: above {LEAST_BYTES_MAX} everybody is too slow"
    )]
    TooFast {
        /// What it would have to bring.
        bytes: u64,
    },
}

impl BudgetsError {
    /// What kind of failure it is: the settings have to be others.
    pub fn kind(&self) -> ServerErrorKind {
        ServerErrorKind::Usage
    }
}

impl Budgets {
    /// Connections by local sockets, where there are so many by TCP.
    pub fn local_connections(&self, max_connections: u32) -> u32 {
        self.max_local_connections.unwrap_or((max_connections / 4).max(1))
    }

    /// What the connections of one address may hold of memory.
    pub fn address_memory(&self) -> u64 {
        self.max_address_memory.unwrap_or((self.max_upload_memory / 8).max(MEMORY_MIN))
    }

    /// What one connection may hold of memory.
    pub fn connection_memory(&self) -> u64 {
        self.max_connection_memory.unwrap_or((self.address_memory() / 2).max(MEMORY_MIN))
    }

    fn check_memory(&self) -> Result<(), BudgetsError> {
        let [connection, address, all] = [
            ("one connection", self.connection_memory()),
            ("one address", self.address_memory()),
            ("all together", self.max_upload_memory),
        ];
        for (who, bytes) in [connection, address, all] {
            if bytes < MEMORY_MIN {
                return Err(BudgetsError::LittleMemory { who, bytes });
            }
        }
        for ((who, bytes), (all, most)) in [(connection, address), (address, all)] {
            if bytes > most {
                return Err(BudgetsError::MoreMemory { who, bytes, all, most });
            }
        }
        Ok(())
    }

    /// Whether the settings make sense, where there may be so many connections by TCP.
    ///
    /// # Errors
    /// [`BudgetsError`], for the first that does not.
    pub fn check(&self, max_connections: u32) -> Result<(), BudgetsError> {
        let local = self.local_connections(max_connections);
        let is_zero = [
            ("the number of connections", max_connections == 0),
            ("the number of connections by local sockets", local == 0),
            ("the number of connections of one address", self.max_address_connections == Some(0)),
            ("the number of connections that wait", self.max_waiting == 0),
            ("the time to the first byte", self.first_byte_timeout.is_zero()),
            ("the time to a complete hello", self.hello_timeout.is_zero()),
            ("the part of a processor", self.unearned_percent == 0),
            ("the time to the first offer", self.offer_timeout.is_zero()),
        ];
        if let Some((what, _)) = is_zero.iter().find(|(_, is_zero)| *is_zero) {
            return Err(BudgetsError::Zero(what));
        }
        let connections = max_connections.max(local);
        if let Some(address) = self.max_address_connections.filter(|it| *it > connections) {
            return Err(BudgetsError::MoreThanAll { address, connections });
        }
        if self.unearned_percent > 100 {
            return Err(BudgetsError::MoreThanOne { percent: self.unearned_percent });
        }
        self.check_memory()?;
        match self.min_bytes_per_minute {
            bytes if bytes > LEAST_BYTES_MAX => Err(BudgetsError::TooFast { bytes }),
            _ => Ok(()),
        }
    }

    /// The times, with the one for silence.
    pub(crate) fn deadlines(&self, silence: Duration) -> Deadlines {
        Deadlines {
            first_byte: self.first_byte_timeout,
            hello: self.hello_timeout,
            offer: self.offer_timeout,
            silence,
        }
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use super::*;

    fn checked(change: impl FnOnce(&mut Budgets)) -> Result<(), BudgetsError> {
        let mut budgets = Budgets::default();
        change(&mut budgets);
        budgets.check(100)
    }

    #[test]
    fn the_defaults_make_sense_however_few_connections_there_are() {
        for connections in [1, 2, 3, 1_000, u32::MAX] {
            assert_eq!(Budgets::default().check(connections), Ok(()));
        }
        assert_eq!(Budgets::default().local_connections(1_000), 250);
        assert_eq!(Budgets::default().local_connections(1), 1);
    }

    #[test]
    fn what_is_zero_is_named() {
        let error = checked(|it| it.hello_timeout = Duration::ZERO).unwrap_err();
        assert_eq!(error.to_string(), "the time to a complete hello is 0: nobody could be served");
        assert!(checked(|it| it.max_waiting = 0).is_err());
        assert!(checked(|it| it.max_local_connections = Some(0)).is_err());
        assert!(checked(|it| it.max_address_connections = Some(0)).is_err());
        assert!(Budgets::default().check(0).is_err());
        assert_eq!(checked(|it| it.min_bytes_per_minute = 0), Ok(()), "nobody is too slow");
        let no_wait = |it: &mut Budgets| (it.free_failures, it.max_delay) = (0, Duration::ZERO);
        assert_eq!(checked(no_wait), Ok(()), "nobody waits");
    }

    #[test]
    fn limits_that_contradict_each_other_are_refused() {
        let error = checked(|it| it.max_address_connections = Some(101)).unwrap_err();
        assert_eq!(error, BudgetsError::MoreThanAll { address: 101, connections: 100 });
        assert_eq!(checked(|it| it.max_address_connections = Some(100)), Ok(()));
        let with_local = |it: &mut Budgets| {
            it.max_address_connections = Some(101);
            it.max_local_connections = Some(200);
        };
        assert_eq!(checked(with_local), Ok(()));
        let error = checked(|it| it.unearned_percent = 101).unwrap_err();
        assert_eq!(error.to_string(), "101 % is more than one processor");
        let error = checked(|it| it.min_bytes_per_minute = u64::MAX).unwrap_err();
        assert_eq!(error, BudgetsError::TooFast { bytes: u64::MAX });
    }

    #[test]
    fn the_largest_numbers_and_times_are_settings_like_others() {
        let budgets = Budgets {
            max_local_connections: Some(u32::MAX),
            max_address_connections: Some(u32::MAX),
            max_waiting: u32::MAX,
            first_byte_timeout: Duration::MAX,
            hello_timeout: Duration::MAX,
            offer_timeout: Duration::MAX,
            free_failures: u32::MAX,
            max_delay: Duration::MAX,
            max_upload_memory: u64::MAX,
            max_address_memory: Some(u64::MAX),
            max_connection_memory: Some(u64::MAX),
            ..Budgets::default()
        };
        assert_eq!(budgets.check(u32::MAX), Ok(()));
    }

    #[test]
    fn memory_is_divided_where_it_is_not_set() {
        let of = |all| {
            let budgets = Budgets { max_upload_memory: all, ..Budgets::default() };
            budgets.check(1).map(|()| (budgets.address_memory(), budgets.connection_memory()))
        };
        assert_eq!(of(512 << 20), Ok((64 << 20, 32 << 20)));
        assert_eq!(of(MEMORY_MIN), Ok((MEMORY_MIN, MEMORY_MIN)));
        let error = of(MEMORY_MIN - 1).unwrap_err();
        assert!(error.to_string().contains("at least 262144 are needed"), "{error}");
    }

    #[test]
    fn one_may_not_hold_more_memory_than_all_it_belongs_to() {
        let error = checked(|it| it.max_address_memory = Some(1 << 40)).unwrap_err();
        assert!(error.to_string().starts_with("one address may hold 1099511627776"), "{error}");
        let error = checked(|it| it.max_connection_memory = Some(65 << 20)).unwrap_err();
        assert!(error.to_string().starts_with("one connection may hold"), "{error}");
        assert!(checked(|it| it.max_address_memory = Some(0)).is_err());
        assert!(checked(|it| it.max_connection_memory = Some(0)).is_err());
        assert!(checked(|it| it.max_upload_memory = 0).is_err());
    }
}
