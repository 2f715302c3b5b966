//! How many lines of a log a sender can cause.
//!
//! Each line that is about something refused takes its bytes out of three accounts: that of its connection, of its
//! source, and of the whole server. They begin full, which is the burst. What arrives fills them again, by a tenth, and
//! so does time, slowly: in the long run a log grows by a tenth of what is sent, and by a few megabytes a day.

use std::collections::HashMap;
use std::time::Duration;

use super::source::Source;

/// What an account of each kind holds, in bytes: about a thousand lines, two thousand, and sixteen thousand.
const CONNECTION_BYTES: f64 = 256.0 * 1024.0;
const SOURCE_BYTES: f64 = 512.0 * 1024.0;
const SERVER_BYTES: f64 = 4.0 * 1024.0 * 1024.0;

/// What comes back in a second, in bytes: a line in a minute, in ten seconds, and in three.
const CONNECTION_PER_SECOND: f64 = 4.0;
const SOURCE_PER_SECOND: f64 = 20.0;
const SERVER_PER_SECOND: f64 = 64.0;

/// The part of the bytes that arrive that comes back.
const PER_BYTE: f64 = 0.1;

/// What a line takes beside what a peer chose, in bytes: time, address, code.
const LINE_BYTES: usize = 128;

/// What a character takes at most that is written as an escape, in bytes: `\u{10ffff}`.
const ESCAPED_BYTES: usize = 10;

/// Sources that are known at once. Those that come then count together.
const SOURCES_MAX: usize = 4_096;

/// Time between two looks for sources that need not be known any more.
const SWEEP_AFTER: Duration = Duration::from_secs(5);

/// Bytes of a log that may be written.
#[derive(Clone, Copy, Debug)]
struct Bytes {
    left: f64,
    most: f64,
    per_second: f64,
    at: Duration,
}

impl Bytes {
    fn new(most: f64, per_second: f64, now: Duration) -> Self {
        Self { left: most, most, per_second, at: now }
    }

    fn refill(&mut self, arrived: f64, now: Duration) {
        let passed = now.saturating_sub(self.at).as_secs_f64();
        self.at = self.at.max(now);
        let earned = passed * self.per_second + arrived * PER_BYTE;
        self.left = (self.left + earned).min(self.most);
    }
}

/// What one connection may write still.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct LineAccount {
    /// `None`: it has written nothing yet.
    bytes: Option<Bytes>,
    /// What had arrived when it wrote last.
    arrived: u64,
}

/// See [the module](self).
#[derive(Debug)]
pub(crate) struct Lines {
    server: Bytes,
    sources: HashMap<Source, Bytes>,
    swept: Duration,
    dropped: u64,
}

impl Lines {
    /// With full accounts.
    pub(crate) fn new() -> Self {
        Self {
            server: Bytes::new(SERVER_BYTES, SERVER_PER_SECOND, Duration::ZERO),
            sources: HashMap::new(),
            swept: Duration::ZERO,
            dropped: 0,
        }
    }

    /// Whether a line with these texts of a peer's may be written, and how many were dropped since the last one;
    /// `None`: it is dropped. `arrived`: bytes that came on the connection so far.
    pub(crate) fn admit(
        &mut self,
        account: &mut LineAccount,
        source: Source,
        arrived: u64,
        texts: &[&str],
        now: Duration,
    ) -> Option<u64> {
        let cost = texts.iter().map(|text| length(text)).sum::<usize>() + LINE_BYTES;
        let cost = cost as f64;
        let fresh = arrived.saturating_sub(std::mem::replace(&mut account.arrived, arrived)) as f64;
        let own = account
            .bytes
            .get_or_insert_with(|| Bytes::new(CONNECTION_BYTES, CONNECTION_PER_SECOND, now));
        own.refill(fresh, now);
        self.server.refill(fresh, now);
        let source = self.known(source, now);
        let its = self
            .sources
            .entry(source)
            .or_insert_with(|| Bytes::new(SOURCE_BYTES, SOURCE_PER_SECOND, now));
        its.refill(fresh, now);
        if own.left.min(its.left).min(self.server.left) < cost {
            self.dropped += 1;
            return None;
        }
        own.left -= cost;
        its.left -= cost;
        self.server.left -= cost;
        Some(std::mem::take(&mut self.dropped))
    }

    /// The source, or what stands for it where too many are known.
    fn known(&mut self, source: Source, now: Duration) -> Source {
        if self.sources.len() < SOURCES_MAX || self.sources.contains_key(&source) {
            return source;
        }
        if now >= self.swept.saturating_add(SWEEP_AFTER) {
            self.swept = now;
            self.sources.retain(|_, bytes| {
                bytes.refill(0.0, now);
                bytes.left < bytes.most
            });
        }
        if self.sources.len() < SOURCES_MAX { source } else { Source::Unknown }
    }
}

/// What a text takes in a line.
fn length(text: &str) -> usize {
    let of = |char: char| if char.is_ascii_graphic() || char == ' ' { 1 } else { ESCAPED_BYTES };
    text.chars().map(of).sum()
}

#[cfg(test)]
mod tests {
    use std::net::Ipv4Addr;

    use super::*;
    use crate::budget::chance::Chance;

    fn source(number: u32) -> Source {
        Source::V4(Ipv4Addr::from_bits(number))
    }

    const NOW: Duration = Duration::from_secs(100);

    #[test]
    fn a_connection_has_a_burst_and_then_a_tenth_of_what_it_sends() {
        let (mut lines, mut account) = (Lines::new(), LineAccount::default());
        let mut written = 0;
        while lines.admit(&mut account, source(1), 0, &["name"], NOW).is_some() {
            written += 1;
        }
        assert!((1_000..3_000).contains(&written), "{written}");
        let escapes = "\u{1b}".repeat(100);
        let (mut bytes, mut arrived) = (0, 0);
        for _ in 0..10_000 {
            arrived += 100;
            if lines.admit(&mut account, source(1), arrived, &[&escapes], NOW).is_some() {
                bytes += escapes.len() * ESCAPED_BYTES;
            }
        }
        assert!(bytes as u64 <= arrived / 10, "{bytes} of {arrived}");
        assert!(bytes as u64 >= arrived / 20, "{bytes} of {arrived}");
    }

    #[test]
    fn what_is_dropped_is_counted_and_told_with_the_next_line() {
        let (mut lines, mut account) = (Lines::new(), LineAccount::default());
        let long = "x".repeat(100_000);
        let mut admit =
            |now| lines.admit(&mut account, source(1), 0, &[&long], NOW + Duration::from_secs(now));
        assert_eq!([admit(0), admit(0)], [Some(0), Some(0)]);
        assert_eq!([admit(0), admit(1), admit(2)], [None; 3]);
        assert_eq!(admit(100_000), Some(3));
    }

    #[test]
    fn a_clock_that_is_set_back_gives_no_lines_back() {
        let (mut lines, mut account) = (Lines::new(), LineAccount::default());
        let mut admit = |now| lines.admit(&mut account, source(1), 0, &["name"], now).is_some();
        while admit(NOW) {}
        assert!(!admit(NOW / 2) && !admit(Duration::ZERO) && !admit(NOW));
        assert!(admit(NOW + Duration::from_secs(120)));
    }

    #[test]
    fn endless_connections_write_no_more_than_their_source_may() {
        let mut lines = Lines::new();
        let name = "x".repeat(1_000);
        let count = |lines: &mut Lines, of: &dyn Fn(u32) -> Source| {
            let mut admit = |number| {
                lines.admit(&mut LineAccount::default(), of(number), 0, &[&name], NOW).is_some()
            };
            (0..20_000).filter(|number| admit(*number)).count()
        };
        let one = count(&mut lines, &|_| source(1));
        assert!((400..=512).contains(&one), "{one}");
        let all = count(&mut lines, &source) + one;
        assert!((3_500..=4_096).contains(&all), "{all}");
    }

    /// A log grows by no more than what it may, whoever has lines written and whenever.
    #[test]
    fn a_log_is_bounded_and_so_is_what_is_known_of_sources() {
        let mut chance = Chance::seeded();
        let mut lines = Lines::new();
        let mut accounts = vec![(LineAccount::default(), 0_u64); 100];
        let (mut now, mut written, mut sent) = (NOW, 0.0, 0.0);
        for _ in 0..200_000 {
            now += Duration::from_micros(chance.below(2_000) as u64);
            let at = chance.below(accounts.len());
            let (account, arrived) = &mut accounts[at];
            let fresh = chance.below(200) as u64;
            *arrived += fresh;
            sent += fresh as f64;
            let source = source(u32::try_from(chance.below(10_000)).unwrap_or(0));
            let name = "n".repeat(chance.below(500));
            if lines.admit(account, source, *arrived, &[&name], now).is_some() {
                written += (name.len() + LINE_BYTES) as f64;
            }
            assert!(lines.sources.len() <= SOURCES_MAX + 1);
        }
        let time = now.as_secs_f64();
        let most = SERVER_BYTES + sent * PER_BYTE + time * SERVER_PER_SECOND;
        assert!(written <= most + 1.0, "{written} of {most}");
        assert!(written >= SERVER_BYTES, "what may be written is");
    }
}
