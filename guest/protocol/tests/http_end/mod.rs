//! A client of HTTP and a server with its driver, in memory and with fake time: what a client sends comes in pieces,
//! and each request has a receiver of its own.
#![allow(dead_code, unreachable_pub, unused_imports, reason = "each test uses a part")]

pub mod inbox;
pub mod wire;

use sandport_protocol::driver::{Driver, On, Step};
use sandport_protocol::receiver::Receiver;
use sandport_protocol::{Algorithm, Limits, Millis, Refusal, RefusalCode};

use crate::http_answers::Answered;
pub use wire::TOKEN;
use wire::Wire;

/// When connections begin.
const START: Millis = 5_000;

/// How a connection came to its end.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum End {
    /// The server closed it.
    Closed(Result<(), Refusal>),
    /// It waits for the next request.
    Idle,
}

/// A server, and the client's side of one connection to it.
pub struct HttpEnd {
    pub limits: Limits,
    pub wire: Wire,
    pub end: Option<End>,
    /// The time of day that receivers are told, in seconds since 1970.
    pub unix_s: Option<i64>,
    /// Whether the connection comes from a proxy that is trusted.
    pub is_of_trusted_proxy: bool,
    /// Requests that were handed to a receiver of their own.
    pub receivers: usize,
}

impl Default for HttpEnd {
    fn default() -> Self {
        Self::with(Limits::default())
    }
}

impl HttpEnd {
    pub fn with(limits: Limits) -> Self {
        let algorithms = vec![Algorithm::Blake3, Algorithm::Sha256, Algorithm::Sha512];
        let wire = Wire::new(START);
        Self {
            limits: Limits { algorithms, ..limits },
            wire,
            end: None,
            unix_s: None,
            is_of_trusted_proxy: false,
            receivers: 0,
        }
    }

    /// With a file that this client has stored before.
    pub fn with_file(mut self, name: &str, content: &[u8]) -> Self {
        self.wire.inbox.published.insert(name.into(), content.to_vec());
        self
    }

    /// Sends bytes and keeps the connection open.
    pub fn send(self, bytes: impl AsRef<[u8]>) -> Self {
        self.send_pieces([bytes.as_ref().to_vec()])
    }

    /// Sends bytes one piece after the other: the next when nothing more is to be done with the last.
    pub fn send_pieces(mut self, pieces: impl IntoIterator<Item = Vec<u8>>) -> Self {
        self.wire.pieces.extend(pieces);
        self.run();
        self
    }

    /// Sends bytes and ends this side of the connection.
    pub fn send_and_end(self, bytes: impl AsRef<[u8]>) -> Self {
        self.send_pieces_and_end([bytes.as_ref().to_vec()])
    }

    /// Sends bytes one piece after the other and ends this side of the connection.
    pub fn send_pieces_and_end(mut self, pieces: impl IntoIterator<Item = Vec<u8>>) -> Self {
        self.wire.ends = true;
        self.send_pieces(pieces)
    }

    /// Sends a head, and the body when it is told to continue.
    pub fn send_expecting(mut self, head: &str, body: &[u8]) -> Self {
        self.wire.after_continue = Some(body.to_vec());
        self.send(head)
    }

    /// The final and interim answers, in their order. None of them is to a `HEAD`.
    pub fn answers(&self) -> Vec<Answered> {
        crate::http_answers::parse(&self.wire.sent, |_| false)
    }

    /// The answer, where there is one alone.
    pub fn answer(&self) -> Answered {
        let mut answers = self.answers();
        assert_eq!(answers.len(), 1, "{}", String::from_utf8_lossy(&self.wire.sent));
        answers.remove(0)
    }

    /// The content of what was published under this name.
    pub fn file(&self, name: &str) -> Option<&[u8]> {
        self.wire.inbox.published.get(name).map(Vec::as_slice)
    }

    pub fn names(&self) -> Vec<&str> {
        self.wire.inbox.published.keys().map(String::as_str).collect()
    }

    /// The code with which the connection was closed.
    pub fn code(&self) -> Option<RefusalCode> {
        match &self.end {
            Some(End::Closed(Err(refusal))) => Some(refusal.code),
            _ => None,
        }
    }

    pub fn is_idle(&self) -> bool {
        self.end == Some(End::Idle)
    }

    /// Whether the client has not got rid of something, because the server took no more.
    pub fn untaken(&self) -> usize {
        self.wire.arrived.len() + self.wire.pieces.iter().map(Vec::len).sum::<usize>()
    }

    fn run(&mut self) {
        if matches!(self.end, Some(End::Closed(_))) {
            return;
        }
        loop {
            if self.wire.arrived.is_empty() {
                let Some(piece) = self.wire.pieces.pop_front() else { break };
                self.wire.arrived.extend(piece);
                continue;
            }
            // A receiver is made when a byte is there.
            match self.serve() {
                Step::Closed(outcome) => {
                    self.end = Some(End::Closed(outcome));
                    return;
                }
                Step::Next { unread } => {
                    let read = &self.wire.last_read;
                    assert!(unread <= read.len(), "{unread} of {} bytes are unread", read.len());
                    assert!(unread <= 65_536, "{unread} bytes are unread");
                    for &byte in read[read.len() - unread..].iter().rev() {
                        self.wire.arrived.push_front(byte);
                    }
                }
                step => panic!("{step:?}"),
            }
        }
        self.end = Some(match self.wire.ends {
            true => End::Closed(Ok(())),
            false => End::Idle,
        });
    }

    /// One receiver, from its first byte to its end.
    fn serve(&mut self) -> Step {
        self.receivers += 1;
        self.wire.last_read.clear();
        let now = self.wire.now;
        let limits = self.limits.clone();
        let mut machine = match self.receivers {
            1 => Receiver::new(limits, vec![7; 32], "receiver/1".into(), now),
            _ => Receiver::after_http(limits, now),
        };
        machine.set_trusted_proxy(self.is_of_trusted_proxy);
        if let Some(unix_s) = self.unix_s {
            machine.set_date(now, unix_s);
        }
        let mut driver = Driver::new(machine);
        for _ in 0..1_000_000 {
            match driver.step(&mut self.wire) {
                Step::Again => {}
                Step::Wait(wait) => {
                    if self.wire.inbox.pass_time() {
                        driver.hear_news(&mut self.wire);
                        continue;
                    }
                    if matches!(wait.on, On::Input) && self.wire.more_arrives() {
                        continue;
                    }
                    let until = wait.until.expect("something to wait for");
                    assert!(until > self.wire.now, "a moment that stays due");
                    let commits_end_at = self.wire.inbox.commits_end_at;
                    self.wire.now = match commits_end_at > self.wire.now {
                        true => until.min(commits_end_at),
                        false => until,
                    };
                }
                over => {
                    driver.drop_uploads();
                    assert_eq!(self.wire.inbox.take_open(), 0, "uploads that were left behind");
                    return over;
                }
            }
        }
        panic!("no end after a million steps");
    }
}

/// Cuts bytes at these places, which count modulo its length.
pub fn cut(bytes: &[u8], places: &[usize]) -> Vec<Vec<u8>> {
    let mut places: Vec<_> = places.iter().map(|place| place % (bytes.len() + 1)).collect();
    places.extend([0, bytes.len()]);
    places.sort_unstable();
    places.dedup();
    places.windows(2).map(|ends| bytes[ends[0]..ends[1]].to_vec()).collect()
}
