//! What a resident component writes: reports on standard output, and lines for the log.
//!
//! Nothing of it is believed, and all of it is bounded: in length, in rate, and in what it can do to a
//! terminal.

use std::net::SocketAddr;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Instant;

use crate::event::Claim;
use crate::sandbox::output::{
    Bucket, LOG_RATE, LOGGED_CHARS_MAX, LastWords, Line, Pipe, Rate, Sink, Stream,
};
use sandport_protocol::report::Report;
use sandport_protocol::text::sanitize;

/// Reports: a directory of small files at once, and then about what a disk can sync.
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

/// Where a component's output goes.
#[derive(Clone)]
pub(crate) struct Output {
    shared: Arc<Shared>,
}

pub(super) struct Shared {
    state: Mutex<State>,
    hear: Box<dyn Fn(Heard) + Send + Sync>,
}

struct State {
    stdout: Line,
    stderr: Line,
    log: Bucket,
    reports: Bucket,
    /// The last lines that were not reports.
    last_words: LastWords,
}

impl Output {
    /// Reports go to `hear`, everything else to the log.
    pub(crate) fn new(hear: impl Fn(Heard) + Send + Sync + 'static) -> Self {
        let state = State {
            stdout: Line::default(),
            stderr: Line::default(),
            log: Bucket::new(LOG_RATE),
            reports: Bucket::new(REPORT_RATE),
            last_words: LastWords::default(),
        };
        Self { shared: Arc::new(Shared { state: Mutex::new(state), hear: Box::new(hear) }) }
    }

    pub(super) fn stdout(&self) -> Pipe<Shared> {
        Pipe::new(&self.shared, Stream::Stdout)
    }

    pub(super) fn stderr(&self) -> Pipe<Shared> {
        Pipe::new(&self.shared, Stream::Stderr)
    }

    /// The run is over: lines that were begun are complete.
    pub(super) fn finish(&self) {
        for stream in [Stream::Stdout, Stream::Stderr] {
            let begun = self.shared.lock().line(stream).take();
            self.shared.complete(stream, &begun);
        }
    }

    /// The last lines for the log, not sanitized.
    pub(crate) fn last_words(&self) -> String {
        self.shared.lock().last_words.text()
    }
}

impl Sink for Shared {
    fn write(&self, stream: Stream, bytes: &[u8]) {
        let mut rest = bytes;
        loop {
            let whole = self.lock().line(stream).push(rest);
            let Some((line, behind)) = whole else { return };
            self.complete(stream, &line);
            rest = behind;
        }
    }
}

impl Shared {
    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// A line has come to its end.
    fn complete(&self, stream: Stream, line: &[u8]) {
        let bytes = line.trim_ascii_end();
        if bytes.is_empty() {
            return;
        }
        let heard = if stream == Stream::Stdout { parse(bytes) } else { None };
        let now = Instant::now();
        let mut state = self.lock();
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
                if let Some(dropped) = state.log.admit(now) {
                    let text = sanitize(&String::from_utf8_lossy(bytes), LOGGED_CHARS_MAX);
                    match stream {
                        Stream::Stdout => tracing::info!(target: "receiver", dropped, "{text}"),
                        Stream::Stderr => tracing::warn!(target: "receiver", dropped, "{text}"),
                    }
                }
                state.last_words.push(bytes);
                state.last_words.push(b"\n");
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
    match serde_json::from_slice(line).ok()? {
        Report::Listening { addresses, .. } if addresses.len() <= ADDRESSES_MAX => {
            let addresses = addresses.iter().map(|address| address.parse().ok());
            addresses.collect::<Option<_>>().map(Heard::Listening)
        }
        report => Claim::of(report).map(Heard::Claim),
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use super::*;

    /// What is heard of these writes to standard output, and the last words.
    fn heard(writes: &[&[u8]]) -> (Vec<Heard>, String) {
        let all = Arc::new(Mutex::new(Vec::new()));
        let sink = Arc::clone(&all);
        let output = Output::new(move |heard| sink.lock().unwrap().push(heard));
        writes.iter().for_each(|bytes| output.shared.write(Stream::Stdout, bytes));
        output.finish();
        let heard = all.lock().unwrap().clone();
        (heard, output.last_words())
    }

    fn stored(name: &str) -> Heard {
        let (name, digest, peer) = (name.to_owned(), None, None);
        Heard::Claim(Claim::Stored { name, size: 5, digest, peer })
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
        assert_eq!(last_words, "hello\n");
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
            assert_eq!((reports, last_words), (vec![], format!("{line}\n")));
        }
        let nested = "{\"type\":".repeat(5_000);
        assert_eq!(heard(&[nested.as_bytes()]).0, []);
    }

    #[test]
    fn a_flood_of_reports_is_cut() {
        let one = "{\"type\":\"stored\",\"name\":\"a\",\"size\":5}\n";
        let (reports, _) = heard(&[one.repeat(40_000).as_bytes()]);
        assert!((10_000..40_000).contains(&reports.len()), "{}", reports.len());
    }
}
