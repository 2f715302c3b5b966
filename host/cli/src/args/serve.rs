//! The arguments of `sandport serve`.

use std::path::PathBuf;
use std::time::Duration;

use clap::builder::FalseyValueParser;
use clap::{Args, ValueEnum};
use sandport::inbox::{Conflict, Durability, InboxOptions, Quota, Records};
use sandport::net::{Address, Origin, PeerRange};
use sandport::protocol::Limits;

use super::care::EXPIRE_PARTIAL;
use super::values::{duration, memory, millis, size};

const EXAMPLES: &str = "\
Examples:
  sandport serve
  sandport serve ./inbox --listen 0.0.0.0:6542 --max-file 2GiB
  sandport serve /srv/in -l 127.0.0.1:6542 -l unix:/run/sandport.sock

Ctrl-C stops accepting and lets running uploads finish; a second one stops at once.";

/// Receive files into a folder.
///
/// Each connection is parsed in a WebAssembly sandbox of its own.
#[derive(Debug, Args)]
#[command(after_help = EXAMPLES)]
pub(crate) struct ServeArgs {
    /// The folder that receives the files; it is made if the folder above it exists
    #[arg(default_value = "inbox", env = "SANDPORT_DIR")]
    pub(crate) dir: PathBuf,

    /// Where to listen: host:port, [v6]:port or unix:/path; may be given several times. A host name stands
    /// for all its addresses
    #[arg(
        short,
        long,
        value_name = "ADDR",
        default_value = "127.0.0.1:6542",
        env = "SANDPORT_LISTEN",
        value_delimiter = ','
    )]
    pub(crate) listen: Vec<Address>,

    /// What happens to a file whose name is taken
    #[arg(long, value_enum, default_value = "rename", env = "SANDPORT_CONFLICT")]
    pub(super) conflict: ConflictRule,

    /// What survives a power cut
    #[arg(long, value_enum, default_value = "full", env = "SANDPORT_DURABILITY")]
    pub(super) durability: DurabilityRule,

    /// After how many bytes of a large upload what came of it is made durable, at the latest
    #[arg(
        long,
        value_name = "SIZE",
        default_value = "64MiB",
        value_parser = size,
        env = "SANDPORT_WATERMARK_SIZE"
    )]
    pub(crate) watermark_size: u64,

    /// After how long, at the latest
    #[arg(
        long,
        value_name = "DURATION",
        default_value = "2s",
        value_parser = duration,
        env = "SANDPORT_WATERMARK_TIME"
    )]
    pub(crate) watermark_time: Duration,

    /// Where it is kept what was stored, for senders who ask again and for `sandport verify`
    #[arg(long, value_enum, default_value = "log", env = "SANDPORT_RECORDS")]
    pub(super) records: RecordsRule,

    /// The largest file [default: no limit but the disk]
    #[arg(long, value_name = "SIZE", value_parser = size, env = "SANDPORT_MAX_FILE")]
    pub(crate) max_file: Option<u64>,

    /// Bytes that the inbox may hold, uploads under way included [default: no limit]
    #[arg(long, value_name = "SIZE", value_parser = size, env = "SANDPORT_QUOTA_BYTES")]
    pub(super) quota_bytes: Option<u64>,

    /// Files and folders that the inbox may hold, uploads under way included [default: no limit]
    #[arg(long, value_name = "N", env = "SANDPORT_QUOTA_FILES")]
    pub(super) quota_files: Option<u64>,

    /// Bytes that each identity may have in the inbox, uploads under way included; anonymous senders have
    /// one together [default: no limit]
    #[arg(long, value_name = "SIZE", value_parser = size, env = "SANDPORT_IDENTITY_QUOTA_BYTES")]
    pub(super) identity_quota_bytes: Option<u64>,

    /// Files that each identity may have in the inbox, uploads under way included [default: no limit]
    #[arg(long, value_name = "N", env = "SANDPORT_IDENTITY_QUOTA_FILES")]
    pub(super) identity_quota_files: Option<u64>,

    /// Space on the disk that uploads leave free [default: none]
    #[arg(long, value_name = "SIZE", value_parser = size, env = "SANDPORT_MIN_FREE")]
    pub(super) min_free: Option<u64>,

    /// How long an upload that was cut waits for its sender to come back
    #[arg(
        long,
        value_name = "DURATION",
        default_value = EXPIRE_PARTIAL,
        value_parser = duration,
        env = "SANDPORT_EXPIRE_PARTIAL"
    )]
    pub(super) expire_partial: Duration,

    /// Connections at once; more wait
    #[arg(
        long,
        value_name = "N",
        default_value_t = 1_000,
        value_parser = clap::value_parser!(u32).range(1..),
        env = "SANDPORT_MAX_CONNECTIONS"
    )]
    pub(crate) max_connections: u32,

    /// Silence that ends a connection
    #[arg(
        long,
        value_name = "DURATION",
        default_value = "60s",
        value_parser = duration,
        env = "SANDPORT_IDLE_TIMEOUT"
    )]
    pub(crate) idle_timeout: Duration,

    /// How long uploads that are under way may go on after Ctrl-C
    #[arg(
        long,
        value_name = "DURATION",
        default_value = "30s",
        value_parser = duration,
        env = "SANDPORT_DRAIN_TIMEOUT"
    )]
    pub(crate) drain_timeout: Duration,

    /// Keep files executable that the sender says are
    #[arg(long, env = "SANDPORT_ALLOW_EXECUTABLE", value_parser = FalseyValueParser::new())]
    pub(crate) allow_executable: bool,

    /// Whether HTTP is served: to browsers, to `curl -T`, to upload clients
    #[arg(
        long,
        value_name = "WHEN",
        value_enum,
        default_value = "on",
        env = "SANDPORT_HTTP",
        help_heading = "HTTP"
    )]
    pub(super) http: Switch,

    /// An origin whose pages may upload from a browser, such as https://files.example; may be given several
    /// times [default: the pages of this server alone]
    ///
    /// Behind a proxy with a name of its own, that name has to be given so: browsers may use it for this server
    /// then. IP addresses, `localhost`, the name of this machine and those to listen on need not be given.
    #[arg(
        long,
        value_name = "ORIGIN",
        env = "SANDPORT_HTTP_ORIGIN",
        value_delimiter = ',',
        help_heading = "HTTP"
    )]
    pub(crate) http_origin: Vec<Origin>,

    /// A proxy that is believed when it says in a request where the sender is (Forwarded, X-Forwarded-For): a network, an
    /// address, or `unix` for all that connect by a local socket; may be given several times
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

    /// The name of files that come without one [default: made of time and chance]
    #[arg(
        long,
        value_name = "NAME",
        env = "SANDPORT_CLASSIC_NAME",
        help_heading = "Classic protocol"
    )]
    pub(crate) classic_name: Option<String>,

    /// Silence after digits without a line end that makes them the size, in milliseconds
    #[arg(
        long,
        value_name = "MS",
        default_value_t = Limits::default().settle_ms,
        env = "SANDPORT_SETTLE_MS",
        help_heading = "Classic protocol"
    )]
    pub(crate) settle_ms: u32,

    /// Run this receiver component instead of the one that is built in
    #[arg(long, value_name = "FILE.wasm", env = "SANDPORT_RECEIVER", help_heading = "Sandbox")]
    pub(crate) receiver: Option<PathBuf>,

    /// Memory of one sandbox [default: 64MiB; of a resident receiver 512MiB]
    #[arg(
        long,
        value_name = "SIZE",
        value_parser = memory,
        env = "SANDPORT_MEMORY_MAX",
        help_heading = "Sandbox"
    )]
    pub(crate) memory_max: Option<usize>,

    /// Where the compiled receiver is kept between starts [default: the user's cache folder]
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

    /// Compile the receiver at each start
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
    /// It gets a number: report.pdf, report-1.pdf
    Rename,
    /// It is refused
    Refuse,
    /// It takes the place of the other
    Replace,
}

/// `--durability`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(super) enum DurabilityRule {
    /// Stored files, and what is said to be durable of large uploads under way
    Full,
    /// Stored files; uploads under way survive the end of the server
    Commit,
    /// What the system has written by then; uploads under way survive the end of the server. A server that is
    /// killed forgets receipts of its last 0.2 s: files that are sent again become second copies
    None,
}

/// `--http`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(super) enum Switch {
    /// It is
    On,
    /// It is not
    Off,
}

/// `--records`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(super) enum RecordsRule {
    /// In the inbox, in .sandport/receipts: names, sizes and digests
    Log,
    /// In memory until the server ends; nothing is written down
    Memory,
}

impl ServeArgs {
    /// What the inbox has to know.
    pub(crate) fn inbox_options(&self) -> InboxOptions {
        InboxOptions {
            conflict: match self.conflict {
                ConflictRule::Rename => Conflict::Rename,
                ConflictRule::Refuse => Conflict::Refuse,
                ConflictRule::Replace => Conflict::Replace,
            },
            durability: match self.durability {
                DurabilityRule::Full => Durability::Full,
                DurabilityRule::Commit => Durability::Commit,
                DurabilityRule::None => Durability::None,
            },
            records: match self.records {
                RecordsRule::Log => Records::Log,
                RecordsRule::Memory => Records::Memory,
            },
            watermark_bytes: self.watermark_size,
            watermark_interval: self.watermark_time,
            size_max: self.max_file,
            quota: Quota::new(self.quota_bytes, self.quota_files),
            identity_quota: Quota::new(self.identity_quota_bytes, self.identity_quota_files),
            free_min: self.min_free.unwrap_or(0),
            partial_expiry: Some(self.expire_partial),
            allow_executable: self.allow_executable,
            classic_name: self.classic_name.clone(),
            ..InboxOptions::default()
        }
    }

    /// What was set and concerns the native inbox alone.
    pub(crate) fn ignored_by_resident(&self) -> Vec<&'static str> {
        let set = [
            ("--allow-executable", self.allow_executable),
            ("--records", self.records != RecordsRule::Log),
            ("--http-origin", !self.http_origin.is_empty()),
            ("--trusted-proxy", !self.trusted_proxy.is_empty()),
            ("--proxy-protocol", !self.proxy_protocol.is_empty()),
        ];
        set.iter().filter(|(_, set)| *set).map(|(name, _)| *name).collect()
    }

    /// What receivers have to know.
    pub(crate) fn limits(&self) -> Limits {
        Limits {
            classic: !self.no_classic,
            http: self.http == Switch::On,
            settle_ms: self.settle_ms,
            idle_timeout_ms: millis(self.idle_timeout),
            size_max: self.max_file,
            ..Limits::default()
        }
    }
}
