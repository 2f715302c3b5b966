//! The arguments of `sandport send`.

use std::path::PathBuf;
use std::time::Duration;

use clap::Args;
use clap::builder::FalseyValueParser;
use sandport_client::Connections;
use sandport_protocol::options::number;

use super::operands::Operands;
use super::values::{connections, duration};

const EXAMPLES: &str = "\
Examples:
  sandport send report.pdf 192.0.2.7
  sandport send photos/ notes.txt files.example:6542
  pg_dump db | sandport send - files.example --name db.sql
  sandport send photos/ files.example --exclude '*.tmp' --exclude /cache/ --dry-run
  sandport send photos/ http://files.example/in/
  sandport send --tls report.pdf files.example
  sandport send --classic report.pdf 192.0.2.7

`send` prints the names of stored files to standard output. A file is stored when the server has
verified and synced it. After a lost connection, `send` reconnects and resumes. Run the same
command again to resume an interrupted upload: it sends only what the server does not have.";

/// Send files and directories to a server.
#[derive(Debug, Args)]
#[command(after_help = EXAMPLES, override_usage = "sandport send [OPTIONS] PATH... TO")]
pub(crate) struct SendArgs {
    #[command(flatten)]
    pub(crate) operands: Operands,

    /// Name at the server; only for one path
    #[arg(long, value_name = "NAME", env = "SANDPORT_NAME")]
    pub(crate) name: Option<String>,

    /// Leave out what matches, as in .gitignore; repeat it for more
    ///
    /// Patterns start at the top of each directory: `*.log` anywhere, `/build` at the top, `cache/` directories only,
    /// `a/**/b` with any directories between. `!keep.log` takes an earlier pattern back. Paths on the command line
    /// are always sent.
    #[arg(long, value_name = "GLOB", env = "SANDPORT_EXCLUDE", value_delimiter = '\n')]
    pub(crate) exclude: Vec<String>,

    /// Send what symbolic links in directories lead to, instead of skipping them
    #[arg(
        short = 'L',
        long,
        env = "SANDPORT_FOLLOW_LINKS",
        value_parser = FalseyValueParser::new()
    )]
    pub(crate) follow_links: bool,

    /// List what would be sent, and do not connect
    #[arg(short = 'n', long, env = "SANDPORT_DRY_RUN", value_parser = FalseyValueParser::new())]
    pub(crate) dry_run: bool,

    /// Speak the classic protocol: one connection for each file, nothing is verified
    #[arg(long, env = "SANDPORT_CLASSIC", value_parser = FalseyValueParser::new())]
    pub(crate) classic: bool,

    /// Encrypt connections to HOST:PORT, and check that the certificate is for HOST
    ///
    /// An address that ends in #FINGERPRINT, and one that begins with https://, are encrypted in any case.
    #[arg(
        long,
        env = "SANDPORT_SEND_TLS",
        value_parser = FalseyValueParser::new(),
        help_heading = "Encryption"
    )]
    pub(crate) tls: bool,

    /// Trust the authorities in this file, in PEM, instead of those that the system knows
    #[arg(long, value_name = "FILE", env = "SANDPORT_CA", help_heading = "Encryption")]
    pub(crate) ca: Option<PathBuf>,

    /// Number of connections
    ///
    /// `send` distributes files over the connections, and divides a large file among idle ones. `auto` starts with
    /// one, and opens a second one for many small files. If the server is 10 ms away or more, `auto` doubles the
    /// number every two seconds, up to 8, as long as that sends a fifth more. Over HTTP no file
    /// is divided, and `auto` is 4.
    #[arg(
        short = 'j',
        long,
        value_name = "N",
        default_value = "auto",
        value_parser = connections,
        env = "SANDPORT_CONNECTIONS"
    )]
    pub(crate) connections: Connections,

    /// How often to reconnect without progress
    #[arg(
        long,
        value_name = "N",
        default_value_t = 8,
        value_parser = number(0..=u32::MAX),
        env = "SANDPORT_RETRIES"
    )]
    pub(crate) retries: u32,

    /// Do not resume; the server discards incomplete files
    #[arg(long, env = "SANDPORT_NO_RESUME", value_parser = FalseyValueParser::new())]
    pub(crate) no_resume: bool,

    /// Directory for resume state [default: the user's state directory]
    ///
    /// `--no-resume` keeps none.
    #[arg(long, value_name = "DIR", env = "SANDPORT_STATE_DIR")]
    pub(crate) state_dir: Option<PathBuf>,

    /// Give up when nothing moves for this long
    #[arg(
        long,
        value_name = "DURATION",
        default_value = "60s",
        value_parser = duration,
        env = "SANDPORT_STALL_TIMEOUT"
    )]
    pub(crate) stall_timeout: Duration,

    /// Give up connecting after this long
    #[arg(
        long,
        value_name = "DURATION",
        default_value = "15s",
        value_parser = duration,
        env = "SANDPORT_CONNECT_TIMEOUT"
    )]
    pub(crate) connect_timeout: Duration,
}
