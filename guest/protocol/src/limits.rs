//! The bounds that both ends of a dialect must agree on. What an operator sets is in [`Limits`].

use alloc::string::String;
use alloc::vec;
use alloc::vec::Vec;

use crate::Algorithm;

/// The port that `sandport` and the tutorial's scripts use.
pub const DEFAULT_PORT: u16 = 6542;

/// Longest message of the native dialect, in bytes. An offer with the longest name takes a
/// fifteenth of it; a name that is somewhat too long still fits and is refused as a name.
pub const FRAME_BYTES_MAX: usize = 64 * 1024;

/// Most digits of a size in the classic dialect. 2^64 has 20.
pub const CLASSIC_DIGITS_MAX: usize = 20;

/// How long a connection whose classic size was settled by silence must stay quiet, at exactly
/// `size` bytes, before the file is published. Longer than any pause that a delayed segment of the
/// size is likely to make, short enough for a person at a prompt. Milliseconds.
pub const CLASSIC_QUIET_MS: u64 = 1_000;

/// Most bytes that a receiver reads in one go while it expects messages. A batch of small files then
/// costs one call per 64 KiB. Bytes.
pub const READ_BYTES_MAX: usize = 64 * 1024;

/// Most silence of an end that is not idle, whatever the idle timeout. A sender then tells a server
/// that syncs from one that is gone without knowing the operator's settings. Milliseconds.
pub const KEEP_ALIVE_MS_MAX: u64 = 10_000;

/// Least time between two keep-alives of a sender, however little silence the receiver tolerates: fifty a
/// second. Who ends a connection after the silence of three of them serves nobody over a network.
/// Milliseconds.
pub const KEEP_ALIVE_MS_MIN: u64 = 20;

/// Most uploads that one is put together out of. Clients send a file over a few connections, and the list of its parts
/// fits into the head of a request.
pub const CONCATENATED_MAX: usize = 64;

/// Most uploads that a sender has open at once, whatever the receiver grants: each holds its offer, with a
/// name. Four times what a receiver grants by default, and more than any path needs.
pub const UPLOADS_AHEAD_MAX: u32 = 4_096;

/// Most payload that a sender sends ahead of the verdicts on its offers, whatever the receiver grants: it
/// may all be in vain. What a path of 5 Gbit/s and 100 ms holds. Bytes.
pub const BYTES_AHEAD_MAX: u64 = 64 * 1024 * 1024;

/// Most bytes of an agent's name and version that go into a hello or a welcome; what is longer is
/// cut. Bytes.
pub const AGENT_BYTES_MAX: usize = 256;

/// Most bytes of the words in a refusal that is sent; what is longer is cut. A few lines of a
/// terminal, a sixty-fourth of a frame. Bytes.
pub const DETAIL_BYTES_MAX: usize = 1024;

/// Payload from which on the next header is read by itself, so that the payload behind it is spliced
/// and not read. Below it, a read that takes many small files at once is cheaper. Bytes.
pub const LARGE_DATA_BYTES: u64 = 64 * 1024;

/// Most bytes that a receiver reads in one go after payload of [`LARGE_DATA_BYTES`] and more. Holds
/// the longest `finish` and the longest `data` header; what it takes of payload is written. Bytes.
pub const HEADER_READ_BYTES_MAX: usize = 64;

/// The limits in force for one connection: `gate.limits` of the WIT package.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Limits {
    /// Whether the classic dialect is served.
    pub classic: bool,
    /// Whether HTTP is served.
    pub http: bool,
    /// The origins whose pages may send requests from a browser, besides this server's own: each as the header
    /// `Origin` has it (RFC 6454, section 6.2).
    pub http_origins: Vec<String>,
    /// The names of this server that a browser's request may have in `Host`, besides IP addresses and
    /// `localhost`: in lower case, without a port.
    pub hosts: Vec<String>,
    /// Silence after digits that makes them the size. Milliseconds.
    pub settle_ms: u32,
    /// Silence from the sender that ends a connection. Milliseconds, at least 1.
    pub idle_timeout_ms: u32,
    /// The largest file in bytes; `None`: no limit but the disk.
    pub max_file_size: Option<u64>,
    /// Most uploads of one connection that may be open at once, from offer to receipt. At least 1.
    pub max_uploads_ahead: u32,
    /// Most bytes of payload ahead of the verdicts on their offers.
    pub max_bytes_ahead: u64,
    /// The most that one request may add to an upload, in bytes; `None`: any number. A receiver enforces it, where it
    /// tells it: nobody else knows where a request begins.
    pub max_append_size: Option<u64>,
    /// How long an upload is kept that nobody holds, in seconds; `None`: for as long as nobody removes it. A host
    /// tells what its inbox does.
    pub expires_s: Option<u64>,
    /// What digests the inbox computes, BLAKE3 among them.
    pub algorithms: Vec<Algorithm>,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            classic: true,
            http: true,
            http_origins: Vec::new(),
            hosts: Vec::new(),
            // A person types slower, a client's own segments follow faster; the tutorial's client
            // waits for the `ack`, so this is its latency.
            settle_ms: 50,
            // Twice the longest delay of a TCP retransmission that a network mends by itself.
            idle_timeout_ms: 60_000,
            max_file_size: None,
            // Enough that thousands of small files share their syncs, little enough memory.
            max_uploads_ahead: 1_024,
            max_bytes_ahead: 16 * 1024 * 1024,
            max_append_size: None,
            expires_s: None,
            algorithms: vec![Algorithm::Blake3],
        }
    }
}
