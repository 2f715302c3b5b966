//! The arguments of the commands that look after an inbox.

use std::path::PathBuf;
use std::time::Duration;

use clap::Args;
use clap::builder::FalseyValueParser;

use super::values::duration;

/// How long an upload waits for its sender to come back, if nobody says otherwise.
pub(super) const EXPIRE_PARTIAL: &str = "7d";

const LS_EXAMPLES: &str = "\
Examples:
  sandport ls
  sandport ls /srv/in
  sandport ls /srv/in --json | jq -r 'select(.state == \"stored\") | .name'

AGE is the time since a file got its name. A file is `touched` if somebody changed it after it was
stored, and `unrecorded` if somebody else put it there. `ls` reads no content; `sandport verify`
does.";

const VERIFY_EXAMPLES: &str = "\
Examples:
  sandport verify ./inbox
  sandport verify /srv/in --strict --json

`verify` reads each file and compares it with its receipt in DIR/.sandport/receipts. A server with
`--records memory` keeps no receipts there.

Exit codes:
  0 all files are as received    1 some files could not be read    5 files have changed";

const CLEAN_EXAMPLES: &str = "\
Examples:
  sandport clean ./inbox -n
  sandport clean /srv/in --expire-partial 1d

`clean` does not touch what a running server uses, and never removes received files.";

/// List what an inbox holds.
#[derive(Debug, Args)]
#[command(after_help = LS_EXAMPLES)]
pub(crate) struct LsArgs {
    /// The inbox
    #[arg(default_value = "inbox", env = "SANDPORT_DIR")]
    pub(crate) dir: PathBuf,
}

/// Check that the files of an inbox are as received.
#[derive(Debug, Args)]
#[command(after_help = VERIFY_EXAMPLES)]
pub(crate) struct VerifyArgs {
    /// The inbox
    #[arg(env = "SANDPORT_DIR", required = true)]
    pub(crate) dir: PathBuf,

    /// Count missing files as damage
    ///
    /// Without it, `verify` only counts files that somebody took out of the inbox.
    #[arg(long, env = "SANDPORT_STRICT", value_parser = FalseyValueParser::new())]
    pub(crate) strict: bool,
}

/// Remove abandoned uploads and stale temporary files.
#[derive(Debug, Args)]
#[command(after_help = CLEAN_EXAMPLES)]
pub(crate) struct CleanArgs {
    /// The inbox
    #[arg(env = "SANDPORT_DIR", required = true)]
    pub(crate) dir: PathBuf,

    /// List what would be removed, and remove nothing
    #[arg(short = 'n', long, env = "SANDPORT_DRY_RUN", value_parser = FalseyValueParser::new())]
    pub(crate) dry_run: bool,

    /// Remove uploads that nobody has resumed for this long
    #[arg(
        long,
        value_name = "DURATION",
        default_value = EXPIRE_PARTIAL,
        value_parser = duration,
        env = "SANDPORT_EXPIRE_PARTIAL"
    )]
    pub(crate) expire_partial: Duration,
}
