//! What a resident component writes: reports on standard output, and lines for the log.
//!
//! Nothing of it is believed, and all of it is bounded: in length, in rate, and in what it can do to a
//! terminal.

use std::io;
use std::net::SocketAddr;
use std::pin::Pin;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::{Context, Poll};
use std::time::{Duration, Instant};

use async_trait::async_trait;
use bytes::Bytes;
use serde::Deserialize;
use tokio::io::AsyncWrite;
use wasmtime_wasi::cli::{IsTerminal, StdoutStream};
use wasmtime_wasi_io::poll::Pollable;
use wasmtime_wasi_io::streams::{OutputStream, StreamError, StreamResult};

use crate::text::sanitise;

/// Longest line that is read as a report. Bytes. A name of 2,048 bytes and a detail, escaped, fit.
const LINE_BYTES_MAX: usize = 16 * 1024;

/// Longest line in the log, in characters.
const LOGGED_CHARS_MAX: usize = 512;

/// How much may be written in one call. Bytes. It is read at once and not kept.
const WRITE_BYTES_MAX: usize = 64 * 1024;

/// Lines for the log: a panic with its trace at once, and then no more than anyone reads.
const LOG_RATE: Rate = Rate { burst: 32, per_second: 1 };

/// Reports: a folder of small files at once, and then about what a disk can sync.
const REPORT_RATE: Rate = Rate { burst: 10_000, per_second: 2_000 };

/// Addresses in one report. More than anybody listens on.
const ADDRESSES_MAX: usize = 64;

/// What a component reports, well-formed and not believed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Heard {
    /// It listens there, it says.
    Listening(Vec<SocketAddr>),
    /// Something happened, it says.
    Claim(Claim),
}

/// What a resident component says that happened. Nobody has checked it; names and words may come from
/// a peer.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(tag = "type", rename_all = "kebab-case")]
#[non_exhaustive]
pub enum Claim {
    /// A file is stored.
    Stored {
        /// Its name in the inbox.
        name: String,
        /// Its size in bytes.
        size: u64,
        /// The digest of its content, in words: `blake3:` and hexadecimal digits.
        digest: Option<String>,
        /// Who sent it.
        peer: Option<String>,
    },
    /// An upload or a connection was refused.
    Refused {
        /// Who it was.
        peer: Option<String>,
        /// The name in the offer.
        name: Option<String>,
        /// The refusal code.
        code: String,
        /// Words for a person.
        detail: Option<String>,
    },
}

/// The first report of a run.
#[derive(Deserialize)]
#[serde(tag = "type", rename_all = "kebab-case")]
enum Ready {
    Listening { addresses: Vec<SocketAddr> },
}

/// Where a component's output goes.
#[derive(Clone)]
pub(crate) struct Output {
    shared: Arc<Shared>,
}

struct Shared {
    state: Mutex<State>,
    hear: Box<dyn Fn(Heard) + Send + Sync>,
}

struct State {
    stdout: Line,
    stderr: Line,
    log: Bucket,
    reports: Bucket,
    /// The last line that was not a report.
    last_words: Option<String>,
}

impl Output {
    /// Reports go to `hear`, everything else to the log.
    pub(crate) fn new(hear: impl Fn(Heard) + Send + Sync + 'static) -> Self {
        let state = State {
            stdout: Line::default(),
            stderr: Line::default(),
            log: Bucket::new(LOG_RATE),
            reports: Bucket::new(REPORT_RATE),
            last_words: None,
        };
        Self { shared: Arc::new(Shared { state: Mutex::new(state), hear: Box::new(hear) }) }
    }

    pub(super) fn stdout(&self) -> Pipe {
        Pipe { shared: Arc::clone(&self.shared), stream: Stream::Stdout }
    }

    pub(super) fn stderr(&self) -> Pipe {
        Pipe { shared: Arc::clone(&self.shared), stream: Stream::Stderr }
    }

    /// The run is over: lines that were begun are complete.
    pub(super) fn finish(&self) {
        for stream in [Stream::Stdout, Stream::Stderr] {
            self.shared.complete(stream);
        }
    }

    /// The last line for the log, fit for a terminal.
    pub(crate) fn last_words(&self) -> Option<String> {
        self.shared.lock().last_words.clone()
    }
}

/// One of the two streams of a component.
#[derive(Clone)]
pub(super) struct Pipe {
    shared: Arc<Shared>,
    stream: Stream,
}

#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Stream {
    Stdout,
    Stderr,
}

impl Shared {
    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn write(&self, stream: Stream, bytes: &[u8]) {
        let mut rest = bytes;
        while let Some(end) = rest.iter().position(|byte| *byte == b'\n') {
            self.lock().line(stream).push(&rest[..end]);
            self.complete(stream);
            rest = &rest[end + 1..];
        }
        self.lock().line(stream).push(rest);
    }

    /// A line has come to its end.
    fn complete(&self, stream: Stream) {
        let mut state = self.lock();
        let line = std::mem::take(state.line(stream));
        let bytes = line.bytes.trim_ascii_end();
        if bytes.is_empty() {
            return;
        }
        let heard = if stream == Stream::Stdout { parse(bytes) } else { None };
        let now = Instant::now();
        match heard {
            // Once a run; whether it says so more often is decided by who hears it.
            Some(heard @ Heard::Listening(_)) => {
                drop(state);
                (self.hear)(heard);
            }
            Some(heard) => {
                let Some(dropped) = state.reports.admit(now) else { return };
                drop(state);
                if dropped > 0 {
                    tracing::warn!(target: "receiver", dropped, "reports came too fast");
                }
                (self.hear)(heard);
            }
            None => {
                let text = sanitise(&String::from_utf8_lossy(bytes), LOGGED_CHARS_MAX);
                if let Some(dropped) = state.log.admit(now) {
                    match stream {
                        Stream::Stdout => tracing::info!(target: "receiver", dropped, "{text}"),
                        Stream::Stderr => tracing::warn!(target: "receiver", dropped, "{text}"),
                    }
                }
                state.last_words = Some(text);
            }
        }
    }
}

impl State {
    fn line(&mut self, stream: Stream) -> &mut Line {
        match stream {
            Stream::Stdout => &mut self.stdout,
            Stream::Stderr => &mut self.stderr,
        }
    }
}

/// A report, if it is one.
fn parse(line: &[u8]) -> Option<Heard> {
    if line.first() != Some(&b'{') {
        return None;
    }
    if let Ok(claim) = serde_json::from_slice(line) {
        return Some(Heard::Claim(claim));
    }
    let Ready::Listening { addresses } = serde_json::from_slice(line).ok()?;
    (addresses.len() <= ADDRESSES_MAX).then_some(Heard::Listening(addresses))
}

/// A line that was begun. What goes beyond its limit is dropped.
#[derive(Default)]
struct Line {
    bytes: Vec<u8>,
}

impl Line {
    fn push(&mut self, bytes: &[u8]) {
        let room = LINE_BYTES_MAX - self.bytes.len();
        self.bytes.extend_from_slice(&bytes[..bytes.len().min(room)]);
    }
}

/// How often something may happen.
#[derive(Clone, Copy)]
struct Rate {
    burst: u32,
    per_second: u32,
}

/// Lets things through as long as they do not come too fast.
struct Bucket {
    rate: Rate,
    left: f64,
    since: Instant,
    dropped: u64,
}

impl Bucket {
    fn new(rate: Rate) -> Self {
        Self { rate, left: rate.burst.into(), since: Instant::now(), dropped: 0 }
    }

    /// Whether one may pass, and how many were dropped before it.
    fn admit(&mut self, now: Instant) -> Option<u64> {
        let passed: Duration = now.saturating_duration_since(self.since);
        self.since = now;
        let earned = passed.as_secs_f64() * f64::from(self.rate.per_second);
        self.left = (self.left + earned).min(self.rate.burst.into());
        if self.left < 1.0 {
            self.dropped += 1;
            return None;
        }
        self.left -= 1.0;
        Some(std::mem::take(&mut self.dropped))
    }
}

impl IsTerminal for Pipe {
    fn is_terminal(&self) -> bool {
        false
    }
}

impl StdoutStream for Pipe {
    fn async_stream(&self) -> Box<dyn AsyncWrite + Send + Sync> {
        Box::new(self.clone())
    }

    fn p2_stream(&self) -> Box<dyn OutputStream> {
        Box::new(self.clone())
    }
}

#[async_trait]
impl Pollable for Pipe {
    async fn ready(&mut self) {}
}

impl OutputStream for Pipe {
    fn write(&mut self, bytes: Bytes) -> StreamResult<()> {
        if bytes.len() > WRITE_BYTES_MAX {
            return Err(StreamError::trap("wrote more than check-write permitted"));
        }
        self.shared.write(self.stream, &bytes);
        Ok(())
    }

    fn flush(&mut self) -> StreamResult<()> {
        Ok(())
    }

    fn check_write(&mut self) -> StreamResult<usize> {
        Ok(WRITE_BYTES_MAX)
    }
}

impl AsyncWrite for Pipe {
    fn poll_write(
        self: Pin<&mut Self>,
        _context: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        self.shared.write(self.stream, bytes);
        Poll::Ready(Ok(bytes.len()))
    }

    fn poll_flush(self: Pin<&mut Self>, _context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(Ok(()))
    }

    fn poll_shutdown(self: Pin<&mut Self>, _context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(Ok(()))
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use super::*;

    /// What is heard of these writes to standard output, and the last words.
    fn heard(writes: &[&[u8]]) -> (Vec<Heard>, Option<String>) {
        let all = Arc::new(Mutex::new(Vec::new()));
        let sink = Arc::clone(&all);
        let output = Output::new(move |heard| sink.lock().unwrap().push(heard));
        let mut stdout = output.stdout();
        for bytes in writes.iter().flat_map(|bytes| bytes.chunks(WRITE_BYTES_MAX)) {
            stdout.write(Bytes::copy_from_slice(bytes)).unwrap();
        }
        output.finish();
        let heard = all.lock().unwrap().clone();
        (heard, output.last_words())
    }

    fn stored(name: &str) -> Heard {
        let (name, digest, peer) = (name.to_owned(), None, None);
        Heard::Claim(Claim::Stored { name, size: 5, digest, peer })
    }

    #[test]
    fn more_than_was_permitted_is_not_taken() {
        let mut stdout = Output::new(|_| ()).stdout();
        assert!(stdout.write(Bytes::from(vec![b'x'; WRITE_BYTES_MAX + 1])).is_err());
    }

    #[test]
    fn lines_are_put_together_whatever_the_writes() {
        let (reports, last_words) = heard(&[
            b"{\"type\":\"listening\",",
            b"\"addresses\":[\"127.0.0.1:1\"]}\nhel",
            b"lo\r\n\n{\"type\":\"stored\",\"name\":\"a\",\"size\":5}\n{\"type\":\"stored\",\"name\":\"b\",\"size\":5}",
        ]);
        let listening = Heard::Listening(vec!["127.0.0.1:1".parse().unwrap()]);
        assert_eq!(reports, [listening, stored("a"), stored("b")]);
        assert_eq!(last_words.as_deref(), Some("hello"));
    }

    #[test]
    fn what_is_no_report_is_a_line_for_the_log() {
        for line in [
            "{}",
            "{\"type\":\"stopped\"}",
            "{\"type\":\"stored\",\"name\":5,\"size\":5}",
            "{\"type\":\"stored\",\"name\":\"a\",\"size\":-1}",
            "{\"type\":\"listening\",\"addresses\":[\"localhost\"]}",
            "[\"listening\"]",
            "{",
        ] {
            let (reports, last_words) = heard(&[line.as_bytes()]);
            assert_eq!((reports, last_words.as_deref()), (vec![], Some(line)));
        }
        let nested = "{\"type\":".repeat(5_000);
        assert_eq!(heard(&[nested.as_bytes()]).0, []);
    }

    #[test]
    fn a_line_is_cut_and_has_no_power_over_a_terminal() {
        let (_, words) = heard(&[&[b'x'; 100_000], &[b'y'; 100_000], b"\n"]);
        assert_eq!(words.unwrap().chars().count(), LOGGED_CHARS_MAX + 1);
        let (_, words) = heard(&[b"\x1b[2J\xff red\n"]);
        assert_eq!(words.as_deref(), Some("\\u{1b}[2J\u{fffd} red"));
    }

    #[test]
    fn a_flood_of_reports_is_cut() {
        let one = "{\"type\":\"stored\",\"name\":\"a\",\"size\":5}\n";
        let (reports, _) = heard(&[one.repeat(40_000).as_bytes()]);
        assert!((10_000..40_000).contains(&reports.len()), "{}", reports.len());
    }

    #[test]
    fn a_bucket_fills_again_up_to_its_burst() {
        let mut bucket = Bucket::new(LOG_RATE);
        let now = Instant::now();
        let passed =
            |bucket: &mut Bucket, now| (0..100).filter(|_| bucket.admit(now).is_some()).count();
        assert_eq!(passed(&mut bucket, now), 32);
        let later = now + Duration::from_millis(1_500);
        assert_eq!(bucket.admit(later), Some(68), "one more, and it says what is missing");
        assert_eq!(bucket.admit(later), None);
        let much_later = now + Duration::from_secs(1_000_000);
        assert_eq!(passed(&mut bucket, much_later), 32, "silence is not saved up");
    }
}
