//! The arguments of `sandport serve`.

use std::path::PathBuf;
use std::time::Duration;

use clap::builder::FalseyValueParser;
use clap::{Args, ValueEnum};
use sandport_protocol::Limits;
use sandport_protocol::options::number;
use sandport_server::net::{Address, Origin, PeerRange};

use super::maintenance::EXPIRE_PARTIAL;
use super::tls::TlsArgs;
use super::values::{duration, memory, size, some_size};

mod settings;

const EXAMPLES: &str = "\
Examples:
  sandport serve
  sandport serve ./inbox --listen 0.0.0.0:6542 --max-file 2GiB
  sandport serve /srv/in -l 127.0.0.1:6542 -l unix:/run/sandport.sock

Ctrl-C stops the server after running uploads have finished; a second Ctrl-C stops it at once.";

/// Receive files into a directory.
///
/// Each connection is parsed in a WebAssembly sandbox of its own.
#[derive(Debug, Args)]
#[command(after_help = EXAMPLES)]
pub(crate) struct ServeArgs {
    /// Directory for received files; created if its parent exists
    #[arg(default_value = "inbox", env = "SANDPORT_DIR")]
    pub(crate) dir: PathBuf,

    /// Address to listen on: host:port, [v6]:port or unix:/path; repeat it for more. A host name stands for all
    /// its addresses
    #[arg(
        short,
        long,
        value_name = "ADDR",
        default_value = "127.0.0.1:6542",
        env = "SANDPORT_LISTEN",
        value_delimiter = ','
    )]
    pub(crate) listen: Vec<Address>,

    #[command(flatten)]
    pub(crate) encryption: TlsArgs,

    /// What to do with a file whose name is taken
    #[arg(long, value_enum, default_value = "rename", env = "SANDPORT_CONFLICT")]
    pub(super) conflict: ConflictRule,

    /// What survives a power cut
    #[arg(long, value_enum, default_value = "full", env = "SANDPORT_DURABILITY")]
    pub(super) durability: DurabilityRule,

    /// Sync large uploads to disk at least every SIZE bytes
    #[arg(
        long,
        value_name = "SIZE",
        default_value = "64MiB",
        value_parser = size,
        env = "SANDPORT_WATERMARK_SIZE"
    )]
    pub(crate) watermark_size: u64,

    /// Sync large uploads to disk at least this often
    #[arg(
        long,
        value_name = "DURATION",
        default_value = "2s",
        value_parser = duration,
        env = "SANDPORT_WATERMARK_TIME"
    )]
    pub(crate) watermark_time: Duration,

    /// Where to keep receipts of stored files
    #[arg(long, value_enum, default_value = "log", env = "SANDPORT_RECORDS")]
    pub(super) records: RecordsRule,

    /// Largest file that is accepted [default: no limit]
    #[arg(long, value_name = "SIZE", value_parser = size, env = "SANDPORT_MAX_FILE")]
    pub(crate) max_file: Option<u64>,

    /// Bytes that the inbox may hold, including active uploads [default: no limit]
    #[arg(long, value_name = "SIZE", value_parser = size, env = "SANDPORT_QUOTA_BYTES")]
    pub(super) quota_bytes: Option<u64>,

    /// Files and directories that the inbox may hold, including active uploads [default: no limit]
    #[arg(long, value_name = "N", value_parser = number(0..=u64::MAX), env = "SANDPORT_QUOTA_FILES")]
    pub(super) quota_files: Option<u64>,

    /// Bytes that each identity may have in the inbox, including active uploads; all anonymous senders share one
    /// identity [default: no limit]
    #[arg(long, value_name = "SIZE", value_parser = size, env = "SANDPORT_IDENTITY_QUOTA_BYTES")]
    pub(super) identity_quota_bytes: Option<u64>,

    /// Files that each identity may have in the inbox, including active uploads [default: no limit]
    #[arg(
        long,
        value_name = "N",
        value_parser = number(0..=u64::MAX),
        env = "SANDPORT_IDENTITY_QUOTA_FILES"
    )]
    pub(super) identity_quota_files: Option<u64>,

    /// Disk space that uploads leave free [default: none]
    #[arg(long, value_name = "SIZE", value_parser = size, env = "SANDPORT_MIN_FREE")]
    pub(super) min_free: Option<u64>,

    /// Remove interrupted uploads that nobody has resumed for this long
    #[arg(
        long,
        value_name = "DURATION",
        default_value = EXPIRE_PARTIAL,
        value_parser = duration,
        env = "SANDPORT_EXPIRE_PARTIAL"
    )]
    pub(super) expire_partial: Duration,

    /// Connections at once by TCP; where more come, idle ones and those of addresses that have many give way
    #[arg(
        long,
        value_name = "N",
        default_value_t = 1_000,
        value_parser = number(1..=u32::MAX),
        env = "SANDPORT_MAX_CONNECTIONS"
    )]
    pub(crate) max_connections: u32,

    /// Connections at once by Unix sockets, which have places of their own [default: a quarter of --max-connections; as
    /// many, where the server listens on nothing else]
    #[arg(
        long,
        value_name = "N",
        value_parser = number(1..=u32::MAX),
        env = "SANDPORT_MAX_LOCAL_CONNECTIONS",
        help_heading = "Sharing"
    )]
    pub(crate) max_local_connections: Option<u32>,

    /// Connections at once of one address, of one IPv6 network (/64), or of one user by Unix sockets
    /// [default: no limit]
    #[arg(
        long,
        value_name = "N",
        value_parser = number(1..=u32::MAX),
        env = "SANDPORT_MAX_ADDRESS_CONNECTIONS",
        help_heading = "Sharing"
    )]
    pub(crate) max_address_connections: Option<u32>,

    /// Connections that wait at once for a place; further ones are closed
    #[arg(
        long,
        value_name = "N",
        default_value_t = 256,
        value_parser = number(1..=u32::MAX),
        env = "SANDPORT_MAX_WAITING",
        help_heading = "Sharing"
    )]
    pub(crate) max_waiting: u32,

    /// An address that many senders share (a proxy that does not say who connects), as a network, an address or `unix`:
    /// each of its connections counts like an address of its own; may be given several times
    #[arg(
        long,
        value_name = "CIDR",
        env = "SANDPORT_SHARED_ADDRESS",
        value_delimiter = ',',
        help_heading = "Sharing"
    )]
    pub(crate) shared_address: Vec<PeerRange>,

    /// End a connection that sends nothing for this long at its beginning
    #[arg(
        long,
        value_name = "DURATION",
        default_value = "20s",
        value_parser = duration,
        env = "SANDPORT_FIRST_BYTE_TIMEOUT",
        help_heading = "Sharing"
    )]
    pub(crate) first_byte_timeout: Duration,

    /// End a connection whose hello, or the head of whose request, takes longer
    #[arg(
        long,
        value_name = "DURATION",
        default_value = "20s",
        value_parser = duration,
        env = "SANDPORT_HELLO_TIMEOUT",
        help_heading = "Sharing"
    )]
    pub(crate) hello_timeout: Duration,

    /// End a connection that offers nothing for this long after its hello
    #[arg(
        long,
        value_name = "DURATION",
        default_value = "5m",
        value_parser = duration,
        env = "SANDPORT_OFFER_TIMEOUT",
        help_heading = "Sharing"
    )]
    pub(crate) offer_timeout: Duration,

    /// What a connection has to bring in a minute while others wait for a place; 0: anything
    #[arg(
        long,
        value_name = "SIZE",
        default_value = "64KiB",
        value_parser = size,
        env = "SANDPORT_MIN_PER_MINUTE",
        help_heading = "Sharing"
    )]
    pub(crate) min_per_minute: u64,

    /// What senders may compute together that make the server work for little (frames of a byte, say), while others
    /// want to compute: percent of one processor in two
    #[arg(
        long,
        value_name = "PERCENT",
        default_value_t = 12,
        value_parser = number(1..=100_u8),
        env = "SANDPORT_UNEARNED_PERCENT",
        help_heading = "Sharing"
    )]
    pub(crate) unearned_percent: u8,

    /// Connections of one address that may end without a complete hello or request before its next ones wait, each
    /// longer than the one before; what it stores, and time, makes up for them
    #[arg(
        long,
        value_name = "N",
        default_value_t = 256,
        value_parser = number(0..=u32::MAX),
        env = "SANDPORT_FREE_FAILURES",
        help_heading = "Sharing"
    )]
    pub(crate) free_failures: u32,

    /// How long those wait at most
    #[arg(
        long,
        value_name = "DURATION",
        default_value = "5s",
        value_parser = duration,
        env = "SANDPORT_MAX_DELAY",
        help_heading = "Sharing"
    )]
    pub(crate) max_delay: Duration,

    /// Bytes of uploads that are under way, or wait to be resumed, from one address or IPv6 network (/64) [default: no limit]
    #[arg(
        long,
        value_name = "SIZE",
        value_parser = some_size,
        env = "SANDPORT_MAX_ADDRESS_STAGED",
        help_heading = "Sharing"
    )]
    pub(crate) max_address_staged: Option<u64>,

    /// Memory that all connections together may hold, for open uploads and for what their sandboxes grow by; beyond it,
    /// offers are refused for now
    #[arg(
        long,
        value_name = "SIZE",
        default_value = "512MiB",
        value_parser = size,
        env = "SANDPORT_MAX_UPLOAD_MEMORY",
        help_heading = "Sharing"
    )]
    pub(crate) max_upload_memory: u64,

    /// What of that one address may hold, one IPv6 network (/64), or one user by Unix sockets [default: an eighth]
    #[arg(
        long,
        value_name = "SIZE",
        value_parser = size,
        env = "SANDPORT_MAX_ADDRESS_MEMORY",
        help_heading = "Sharing"
    )]
    pub(crate) max_address_memory: Option<u64>,

    /// What of that one connection may hold [default: half of what an address may]
    #[arg(
        long,
        value_name = "SIZE",
        value_parser = size,
        env = "SANDPORT_MAX_CONNECTION_MEMORY",
        help_heading = "Sharing"
    )]
    pub(crate) max_connection_memory: Option<u64>,

    /// End a connection after this much silence
    #[arg(
        long,
        value_name = "DURATION",
        default_value = "60s",
        value_parser = duration,
        env = "SANDPORT_IDLE_TIMEOUT"
    )]
    pub(crate) idle_timeout: Duration,

    /// How long active uploads may continue after Ctrl-C
    #[arg(
        long,
        value_name = "DURATION",
        default_value = "30s",
        value_parser = duration,
        env = "SANDPORT_DRAIN_TIMEOUT"
    )]
    pub(crate) drain_timeout: Duration,

    /// Keep the executable bit that a sender sets
    #[arg(long, env = "SANDPORT_ALLOW_EXECUTABLE", value_parser = FalseyValueParser::new())]
    pub(crate) allow_executable: bool,

    /// Whether to serve HTTP: browsers, `curl -T`, tus clients
    #[arg(
        long,
        value_name = "WHEN",
        value_enum,
        default_value = "on",
        env = "SANDPORT_HTTP",
        help_heading = "HTTP"
    )]
    pub(super) http: Switch,

    /// Origin whose pages may upload from a browser, such as `https://files.example`; repeat it for more
    /// [default: this server's own pages]
    ///
    /// Behind a proxy, list its public origin: browsers may then use that name for this server. IP addresses,
    /// `localhost`, the name of this machine and the names of --listen are always allowed.
    #[arg(
        long,
        value_name = "ORIGIN",
        env = "SANDPORT_HTTP_ORIGIN",
        value_delimiter = ',',
        help_heading = "HTTP"
    )]
    pub(crate) http_origin: Vec<Origin>,

    /// A proxy that is believed when it says in a request where the sender is (Forwarded, X-Forwarded-For): a network,
    /// an address, or `unix` for all that connect by a local socket; may be given several times
    #[arg(
        long,
        value_name = "CIDR",
        env = "SANDPORT_TRUSTED_PROXY",
        value_delimiter = ',',
        help_heading = "Behind a proxy"
    )]
    pub(crate) trusted_proxy: Vec<PeerRange>,

    /// A proxy whose connections begin with a header of the PROXY protocol (version 1 or 2), written as for
    /// --trusted-proxy; may be given several times
    ///
    /// Without the header its connections are refused.
    #[arg(
        long,
        value_name = "CIDR",
        env = "SANDPORT_PROXY_PROTOCOL",
        value_delimiter = ',',
        help_heading = "Behind a proxy"
    )]
    pub(crate) proxy_protocol: Vec<PeerRange>,

    /// Do not serve the classic protocol (size in decimal, `ack`, bytes)
    #[arg(
        long,
        env = "SANDPORT_NO_CLASSIC",
        value_parser = FalseyValueParser::new(),
        help_heading = "Classic protocol"
    )]
    pub(crate) no_classic: bool,

    /// Name for files that arrive without one [default: time and a random number]
    #[arg(
        long,
        value_name = "NAME",
        env = "SANDPORT_CLASSIC_NAME",
        help_heading = "Classic protocol"
    )]
    pub(crate) classic_name: Option<String>,

    /// How long to wait for more digits of a size without a line end, in milliseconds
    #[arg(
        long,
        value_name = "MS",
        default_value_t = Limits::default().settle_ms,
        value_parser = number(0..=u32::MAX),
        env = "SANDPORT_SETTLE_MS",
        help_heading = "Classic protocol"
    )]
    pub(crate) settle_ms: u32,

    /// Run this receiver component instead of the built-in one
    #[arg(long, value_name = "FILE.wasm", env = "SANDPORT_RECEIVER", help_heading = "Sandbox")]
    pub(crate) receiver: Option<PathBuf>,

    /// Memory of one sandbox [default: 64MiB; 512MiB for a resident receiver]
    #[arg(
        long,
        value_name = "SIZE",
        value_parser = memory,
        env = "SANDPORT_MAX_MEMORY",
        help_heading = "Sandbox"
    )]
    pub(crate) max_memory: Option<usize>,

    /// Where to keep the compiled receiver between starts [default: the user's cache directory]
    ///
    /// Whoever can write there can run code as this user.
    #[arg(
        long,
        value_name = "DIR",
        env = "SANDPORT_CACHE_DIR",
        conflicts_with = "no_cache",
        help_heading = "Sandbox"
    )]
    pub(crate) cache_dir: Option<PathBuf>,

    /// Compile the receiver at each start, and keep nothing
    #[arg(
        long,
        env = "SANDPORT_NO_CACHE",
        value_parser = FalseyValueParser::new(),
        help_heading = "Sandbox"
    )]
    pub(crate) no_cache: bool,
}

/// `--conflict`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(super) enum ConflictRule {
    /// Number it: report.pdf, report-1.pdf
    Rename,
    /// Refuse it
    Refuse,
    /// Replace the other file, unless another identity sent it
    Replace,
}

/// `--durability`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(super) enum DurabilityRule {
    /// Stored files, and the acknowledged part of large uploads
    Full,
    /// Stored files
    Commit,
    /// Nothing for certain. A killed server also forgets the receipts of its last 0.2 s: files that are sent again
    /// become second copies
    None,
}

/// `--http`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(super) enum Switch {
    /// Serve it
    On,
    /// Answer every request with 501
    Off,
}

/// `--records`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(super) enum RecordsRule {
    /// In the inbox, in .sandport/receipts; `sandport verify` reads it
    Log,
    /// In memory, until the server ends
    Memory,
}
