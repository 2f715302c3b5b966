//! The receiving end of a connection, in any dialect.
//!
//! > After each `handle_*` call, call [`Receiver::poll_output`] until it returns `None` and carry out
//! > each output in order; then do what [`Receiver::want`] says, but no longer than until
//! > [`Receiver::poll_timeout`].
//!
//! Where that moment has come and the connection has bytes too, the bytes go first. In the classic
//! dialect silence means something, and bytes that wait in a buffer are not silence: a machine that
//! was suspended for a second would otherwise take the first digits of a size for the whole of it.
//!
//! A driver for a connection that is all there already, and an inbox that takes everything:
//!
//! ```
//! use bytes::Bytes;
//! use sandport_protocol::receiver::{Opened, Output, Receiver, Want};
//! use sandport_protocol::{Digest, Limits, Receipt};
//!
//! let mut connection = Bytes::from_static(b"5\nhello");
//! let (mut answer, mut file) = (Vec::new(), Vec::new());
//! let now = 0;
//! let mut receiver = Receiver::new(Limits::default(), vec![0; 32], "example/1".into(), now);
//! 'connection: loop {
//!     while let Some(output) = receiver.poll_output() {
//!         match output {
//!             Output::Send(bytes) => answer.extend_from_slice(&bytes),
//!             Output::Open { id, .. } => {
//!                 receiver.handle_opened(now, id, Ok(Opened::Accepted(vec![])));
//!             }
//!             Output::Write { bytes, .. } => file.extend_from_slice(&bytes),
//!             Output::Commit { id, size, .. } => {
//!                 let digest = Digest::Blake3([0; 32]);
//!                 let receipt = Receipt { name: "file".into(), size, digest, proof: None };
//!                 receiver.handle_committed(now, id, Ok(receipt.into()));
//!             }
//!             Output::Close(outcome) => {
//!                 assert_eq!(outcome, Ok(()));
//!                 break 'connection;
//!             }
//!             _ => {}
//!         }
//!     }
//!     match receiver.want() {
//!         Want::Read { max } if !connection.is_empty() => {
//!             let bytes = connection.split_to(max.min(connection.len()));
//!             receiver.handle_input(now, bytes);
//!         }
//!         _ => receiver.handle_eof(now),
//!     }
//! }
//! assert_eq!(answer, b"ack");
//! assert_eq!(file, b"hello");
//! ```

use alloc::format;
use alloc::string::String;
use alloc::vec::Vec;

use bytes::Bytes;

use crate::dialect::Dialect;
use crate::{Limits, Millis, READ_BYTES_MAX, Refusal, RefusalCode};

mod answers;
mod classic;
mod http;
mod io;
mod native;
mod outbox;
mod output;
mod questions;

use classic::Classic;
use http::Http;
use io::Io;
use native::Native;
pub use output::{LogLevel, Opened, Output, Want};
pub use questions::{Committed, Lifetime, Status, Wishes};

/// The receiving end of one connection.
pub struct Receiver {
    io: Io,
    /// What goes into a welcome, until the dialect is known.
    challenge: Vec<u8>,
    agent: String,
    machine: Machine,
}

/// The machine of the dialect that the first byte named.
enum Machine {
    Undecided,
    Classic(Classic),
    Http(Http),
    Native(Native),
}

impl Receiver {
    /// A receiver for a connection that was accepted at `now`. `challenge` goes into the welcome,
    /// `agent` is this program's name and version.
    pub fn new(limits: Limits, challenge: Vec<u8>, agent: String, now: Millis) -> Self {
        Self { io: Io::new(limits, now), challenge, agent, machine: Machine::Undecided }
    }

    /// A receiver for a connection that another one has handed on by [`Output::Next`]: what comes is a request of HTTP
    /// and of no other dialect, whatever its first byte is (`peer.continued` of the WIT package).
    pub fn after_http(limits: Limits, now: Millis) -> Self {
        let io = Io::new(limits, now);
        let machine = Machine::Http(Http::new(&io));
        Self { io, challenge: Vec::new(), agent: String::new(), machine }
    }

    /// Says what time of day it is: `unix_s` seconds since 1970-01-01T00:00:00Z. Answers that name a moment leave it
    /// out where nobody has said.
    pub fn set_date(&mut self, now: Millis, unix_s: i64) {
        self.io.tick(now);
        self.io.date = Some((self.io.now, unix_s));
    }

    /// Says whether the bytes cross the network encrypted (`peer.encrypted` of the WIT package): pages of this server
    /// are of `https` then, and no others.
    pub fn set_encrypted(&mut self, is_encrypted: bool) {
        self.io.crossing.is_encrypted = is_encrypted;
    }

    /// Says whether the connection comes from a proxy whose words about a request count (`peer.trusted-proxy` of the
    /// WIT package). By default none do.
    pub fn set_trusted_proxy(&mut self, is_trusted: bool) {
        self.io.crossing.is_of_trusted_proxy = is_trusted;
    }

    /// Bytes arrived: the answer to [`Want::Read`].
    pub fn handle_input(&mut self, now: Millis, bytes: Bytes) {
        self.io.tick(now);
        if self.io.out.is_closed() || bytes.is_empty() {
            return;
        }
        self.io.heard(now);
        self.io.append(bytes);
        if matches!(self.machine, Machine::Undecided) {
            self.decide();
        }
        match &mut self.machine {
            Machine::Undecided => {}
            Machine::Classic(classic) => classic.process(&mut self.io),
            Machine::Http(http) => http.process(&mut self.io),
            Machine::Native(native) => native.process(&mut self.io),
        }
    }

    /// The peer shut its side down, or the connection broke.
    pub fn handle_eof(&mut self, now: Millis) {
        self.io.tick(now);
        if self.io.out.is_closed() {
            return;
        }
        match &mut self.machine {
            // Nothing was asked, so nothing failed: a probe of the port, say.
            Machine::Undecided => self.io.out.close(Ok(())),
            Machine::Classic(classic) => classic.handle_eof(&mut self.io),
            Machine::Http(http) => http.handle_eof(&mut self.io),
            Machine::Native(native) => native.handle_eof(&mut self.io),
        }
    }

    /// `count` bytes were spliced or skipped: the answer to [`Want::Splice`] and [`Want::Skip`]. More
    /// than was wanted counts as what was wanted.
    pub fn handle_spliced(&mut self, now: Millis, count: u64) {
        if count == 0 {
            return self.io.tick(now);
        }
        self.io.heard(now);
        if self.io.out.is_closed() {
            return;
        }
        match &mut self.machine {
            Machine::Undecided => {}
            Machine::Classic(classic) => classic.handle_spliced(&mut self.io, count),
            Machine::Http(http) => http.handle_spliced(&mut self.io, count),
            Machine::Native(native) => native.handle_spliced(&mut self.io, count),
        }
    }

    /// An upload takes nothing now of what was wanted to go to it, or of an [`Output::Write`]: if nothing is
    /// read meanwhile, it is not the peer who is silent.
    pub fn handle_no_room(&mut self, now: Millis) {
        self.io.heard(now);
    }

    /// The moment that [`Receiver::poll_timeout`] named has come, and the connection has nothing for
    /// [`Receiver::want`]. Earlier calls change nothing.
    pub fn handle_timeout(&mut self, now: Millis) {
        self.io.tick(now);
        if self.io.out.is_closed() {
            return;
        }
        match &mut self.machine {
            Machine::Undecided => {
                if self.io.is_idle() {
                    self.io.out.close(Err(self.io.timeout()));
                }
            }
            Machine::Classic(classic) => classic.handle_timeout(&mut self.io),
            Machine::Http(http) => http.handle_timeout(&mut self.io),
            Machine::Native(native) => native.handle_timeout(&mut self.io),
        }
    }

    /// What to do next, in order.
    pub fn poll_output(&mut self) -> Option<Output> {
        self.io.out.poll()
    }

    /// Bytes to the peer out of turn, for a driver that cannot carry out what comes before them. Answers keep
    /// their order.
    pub fn poll_send(&mut self) -> Option<Bytes> {
        self.io.out.poll_send()
    }

    /// What to wait for on the connection.
    pub fn want(&self) -> Want {
        if self.io.out.is_closed() {
            return Want::Nothing;
        }
        match &self.machine {
            Machine::Undecided => Want::Read { max: READ_BYTES_MAX },
            Machine::Classic(classic) => classic.want(),
            Machine::Http(http) => http.want(&self.io),
            Machine::Native(native) => native.want(),
        }
    }

    /// When to call [`Receiver::handle_timeout`], if nothing else happens before.
    pub fn poll_timeout(&self) -> Option<Millis> {
        if self.io.out.is_closed() {
            return None;
        }
        match &self.machine {
            Machine::Undecided => Some(self.io.idle_at()),
            Machine::Classic(classic) => classic.poll_timeout(&self.io),
            Machine::Http(http) => http.poll_timeout(&self.io),
            Machine::Native(native) => native.poll_timeout(&self.io),
        }
    }

    /// Chooses the machine by the first byte. Where there is none for it the connection ends.
    fn decide(&mut self) {
        let Some(&first) = self.io.input.first() else { return };
        let refusal = match Dialect::of(first) {
            Some(Dialect::Native) => {
                let challenge = core::mem::take(&mut self.challenge);
                let agent = core::mem::take(&mut self.agent);
                self.machine = Machine::Native(Native::new(challenge, agent, self.io.now));
                return;
            }
            Some(Dialect::Classic) if self.io.limits.classic => {
                self.machine = Machine::Classic(Classic::new());
                return;
            }
            Some(Dialect::Classic) => {
                Refusal::new(RefusalCode::NotPermitted, "the classic dialect is not served here")
            }
            Some(Dialect::Http) if self.io.limits.http => {
                self.machine = Machine::Http(Http::new(&self.io));
                return;
            }
            Some(Dialect::Http) => {
                self.io.out.send(http::not_served_response(first).as_bytes());
                http::not_served()
            }
            Some(Dialect::Tls) => {
                Refusal::new(RefusalCode::UnsupportedVersion, "TLS is not spoken here")
            }
            None => Refusal::new(
                RefusalCode::Malformed,
                format!("no dialect begins with the byte 0x{first:02x}"),
            ),
        };
        self.io.out.close(Err(refusal));
    }
}
