//! How many connections pay, where nobody has said how many there are to be.
//!
//! A run begins with one. On a short path nothing is in the way of a single connection but this machine and the
//! server. There it stays with that, but for many small files: a server works on those of one connection one
//! after the other, so where they wait for it, a second is opened. On a longer path, each number of
//! connections is given a second to come up to speed, and a second in which it is counted what they send. While
//! twice as many bring notably more, and there is something for more of them to do, they are doubled again.

use std::time::Duration;

/// The most that are opened by themselves. What eight connections cannot fill, few paths can carry.
pub(super) const CONNECTIONS_AUTO_MAX: usize = 8;

/// The shortest round trip on which more connections are tried, from the hello to its answer. With the
/// windows that systems allow today (4 MiB and more), a single connection carries 400 MB/s there.
pub(crate) const ROUND_TRIP_MIN: Duration = Duration::from_millis(10);

/// How long it is counted what is sent. Several round trips on any path.
pub(super) const PERIOD: Duration = Duration::from_secs(1);

/// How much more twice as many connections have to send for another doubling. Per cent. Less is what the rate
/// of a path changes by itself.
const GAIN_MIN_PERCENT: u64 = 20;

/// How many small files in a row have to wait for the connection before another is opened. Files. What a
/// connection carries while it takes to open one, several times over.
const WAITING_FILES_MIN: usize = 128;

/// Whether small files wait for the connection, on a short path.
#[derive(Debug, Default)]
pub(super) struct Backlog {
    /// How many have waited, since none did the last time.
    files: usize,
}

impl Backlog {
    /// A connection takes so many small files. `lay_ready`: they had been read before it came for them.
    pub(super) fn taken(&mut self, files: usize, lay_ready: bool) {
        self.files = if lay_ready { self.files.saturating_add(files) } else { 0 };
    }

    /// Whether a second connection pays.
    pub(super) fn is_long(&self) -> bool {
        self.files >= WAITING_FILES_MIN
    }
}

/// The decision so far.
#[derive(Debug)]
pub(super) struct ConnectionScaler {
    connections: usize,
    /// What half as many connections have sent in a period. Bytes.
    before: Option<u64>,
    /// Whether the connections have had a period to come up to speed.
    is_up: bool,
}

impl ConnectionScaler {
    /// Of a run that has one connection.
    pub(super) fn new() -> Self {
        Self { connections: 1, before: None, is_up: false }
    }

    /// A period is over, in which so many bytes were sent. `has_spare`: there is something for further
    /// connections to do. How many there are to be from now on; `None`: it stays as it is for good.
    pub(super) fn measured(&mut self, bytes: u64, has_spare: bool) -> Option<usize> {
        // A period without a byte says nothing about the path.
        if !std::mem::replace(&mut self.is_up, true) || bytes == 0 || !has_spare {
            return Some(self.connections);
        }
        let needed = self.before.map_or(0, |before| before + before / 100 * GAIN_MIN_PERCENT);
        if bytes < needed || self.connections >= CONNECTIONS_AUTO_MAX {
            return None;
        }
        self.before = Some(bytes);
        self.connections = (self.connections * 2).min(CONNECTIONS_AUTO_MAX);
        self.is_up = false;
        Some(self.connections)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// How many connections it comes to, where so many send so much in a period.
    fn comes_to(sent: impl Fn(usize) -> u64) -> usize {
        let mut scaler = ConnectionScaler::new();
        let mut connections = 1;
        for _ in 0..100 {
            match scaler.measured(sent(connections), true) {
                Some(more) => connections = more,
                None => return connections,
            }
        }
        panic!("it does not come to an end");
    }

    #[test]
    fn connections_with_rates_of_their_own_are_as_many_as_may_be() {
        assert_eq!(comes_to(|connections| connections as u64 * 1_000_000), CONNECTIONS_AUTO_MAX);
    }

    #[test]
    fn where_the_path_is_full_no_more_are_tried() {
        assert_eq!(comes_to(|_| 10_000_000), 2);
        assert_eq!(comes_to(|connections| (connections as u64 * 1_000_000).min(3_000_000)), 8);
        assert_eq!(comes_to(|connections| (connections as u64 * 1_000_000).min(2_200_000)), 4);
    }

    #[test]
    fn the_second_in_which_connections_come_up_to_speed_is_ignored() {
        let mut scaler = ConnectionScaler::new();
        assert_eq!(scaler.measured(1, true), Some(1));
        assert_eq!(scaler.measured(1_000_000, true), Some(2));
        assert_eq!(scaler.measured(900_000, true), Some(2));
        assert_eq!(scaler.measured(1_900_000, true), Some(4));
    }

    #[test]
    fn nothing_is_opened_where_there_is_nothing_to_do_for_it() {
        let mut scaler = ConnectionScaler::new();
        scaler.measured(1_000_000, true);
        assert_eq!(scaler.measured(1_000_000, false), Some(1));
        assert_eq!(scaler.measured(0, true), Some(1));
        assert_eq!(scaler.measured(1_000_000, true), Some(2));
    }

    #[test]
    fn a_second_connection_pays_where_small_files_wait_in_a_row() {
        let mut backlog = Backlog::default();
        backlog.taken(WAITING_FILES_MIN - 1, true);
        assert!(!backlog.is_long());
        backlog.taken(1, true);
        assert!(backlog.is_long());
    }

    #[test]
    fn where_the_disk_is_what_takes_long_one_connection_is_enough() {
        let mut backlog = Backlog::default();
        for _ in 0..100 {
            backlog.taken(WAITING_FILES_MIN - 1, true);
            backlog.taken(64, false);
            assert!(!backlog.is_long());
        }
    }
}
