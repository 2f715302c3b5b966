//! The arguments of `sandport send`.

use std::path::PathBuf;
use std::time::Duration;

use clap::Args;
use clap::builder::FalseyValueParser;
use sandport::sender::Connections;

use super::operands::Operands;
use super::values::{connections, duration};

const EXAMPLES: &str = "\
Examples:
  sandport send report.pdf 192.0.2.7
  sandport send photos/ notes.txt files.example:6542
  pg_dump db | sandport send - files.example --name db.sql
  sandport send photos/ files.example --exclude '*.tmp' --exclude /cache/ --dry-run
  sandport send photos/ http://files.example/in/
  sandport send --classic report.pdf 192.0.2.7

The names that the files got are written to standard output. A file counts as stored when the
server has verified and synced it. A connection that is cut is made again, and the same command goes on
where an earlier one ended: it sends only what the server does not have.";

/// Send files and folders to a server.
#[derive(Debug, Args)]
#[command(after_help = EXAMPLES, override_usage = "sandport send [OPTIONS] PATH... TO")]
pub(crate) struct SendArgs {
    #[command(flatten)]
    pub(crate) operands: Operands,

    /// The name at the server, where one path is sent
    #[arg(long, value_name = "NAME", env = "SANDPORT_NAME")]
    pub(crate) name: Option<String>,

    /// Leave out what matches, as in .gitignore; may be given several times
    ///
    /// Matched from the top of each folder that is sent: `*.log` anywhere, `/build` at the top,
    /// `cache/` folders alone, `a/**/b` with any folders between, `!keep.log` takes back what an earlier
    /// pattern left out. What is named on the command line itself is always sent.
    #[arg(long, value_name = "GLOB", env = "SANDPORT_EXCLUDE", value_delimiter = '\n')]
    pub(crate) exclude: Vec<String>,

    /// Send what symbolic links within folders lead to, instead of skipping them
    #[arg(
        short = 'L',
        long,
        env = "SANDPORT_FOLLOW_LINKS",
        value_parser = FalseyValueParser::new()
    )]
    pub(crate) follow_links: bool,

    /// Say what would be sent, and connect to nobody
    #[arg(short = 'n', long, env = "SANDPORT_DRY_RUN", value_parser = FalseyValueParser::new())]
    pub(crate) dry_run: bool,

    /// Speak the classic protocol: one connection for each file, and nothing is verified
    #[arg(long, env = "SANDPORT_CLASSIC", value_parser = FalseyValueParser::new())]
    pub(crate) classic: bool,

    /// How many connections to send over at once
    ///
    /// Files are spread over them, and a large file is divided among those that have nothing else to do.
    /// `auto` begins with one, and opens a second for many small files. Where the server is 10 ms away and
    /// more, it doubles their number every two seconds, up to 8, as long as that sends a fifth more. Over HTTP
    /// no file is divided, and `auto` is 4 for files that wait.
    #[arg(
        short = 'j',
        long,
        value_name = "N",
        default_value = "auto",
        value_parser = connections,
        env = "SANDPORT_CONNECTIONS"
    )]
    pub(crate) connections: Connections,

    /// How often to connect again after a cut, without anything having come further in between
    #[arg(long, value_name = "N", default_value_t = 8, env = "SANDPORT_RETRIES")]
    pub(crate) retries: u32,

    /// Do not make large files resumable: what a cut leaves at the server is discarded
    #[arg(long, env = "SANDPORT_NO_RESUME", value_parser = FalseyValueParser::new())]
    pub(crate) no_resume: bool,

    /// Where it is kept how uploads are resumed by a later run [default: the user's state folder]
    ///
    /// With `--no-resume` nothing is.
    #[arg(long, value_name = "DIR", env = "SANDPORT_STATE_DIR")]
    pub(crate) state_dir: Option<PathBuf>,

    /// How long nothing may move before the server counts as stalled
    #[arg(
        long,
        value_name = "DURATION",
        default_value = "60s",
        value_parser = duration,
        env = "SANDPORT_STALL_TIMEOUT"
    )]
    pub(crate) stall_timeout: Duration,

    /// How long to try to connect
    #[arg(
        long,
        value_name = "DURATION",
        default_value = "15s",
        value_parser = duration,
        env = "SANDPORT_CONNECT_TIMEOUT"
    )]
    pub(crate) connect_timeout: Duration,
}
