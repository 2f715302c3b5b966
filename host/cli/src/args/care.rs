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

Age counts from when a file got its name. `touched` are files that were changed after they had been
stored, `unrecorded` those that somebody else put there. `sandport verify` reads them all.";

const VERIFY_EXAMPLES: &str = "\
Examples:
  sandport verify ./inbox
  sandport verify /srv/in --strict --json

Each file is read and compared with the digest that was recorded when it was stored. Records lie in
DIR/.sandport/receipts; `sandport serve --records memory` writes none.

Exit codes:
  0 all is as it was received    1 some files could not be read    5 files have changed";

const CLEAN_EXAMPLES: &str = "\
Examples:
  sandport clean ./inbox -n
  sandport clean /srv/in --expire-partial 1d

What a running server has in use is left alone. Files that have their names are never removed.";

/// List what an inbox holds.
#[derive(Debug, Args)]
#[command(after_help = LS_EXAMPLES)]
pub(crate) struct LsArgs {
    /// The inbox
    #[arg(default_value = "inbox", env = "SANDPORT_DIR")]
    pub(crate) dir: PathBuf,
}

/// Read all files again and compare them with what was received.
#[derive(Debug, Args)]
#[command(after_help = VERIFY_EXAMPLES)]
pub(crate) struct VerifyArgs {
    /// The inbox
    #[arg(env = "SANDPORT_DIR", required = true)]
    pub(crate) dir: PathBuf,

    /// Take a file that was stored and is not there for damage too
    ///
    /// Without it, files that were taken out of the inbox are only counted.
    #[arg(long, env = "SANDPORT_STRICT", value_parser = FalseyValueParser::new())]
    pub(crate) strict: bool,
}

/// Remove uploads that nobody goes on with, and what a killed server left.
#[derive(Debug, Args)]
#[command(after_help = CLEAN_EXAMPLES)]
pub(crate) struct CleanArgs {
    /// The inbox
    #[arg(env = "SANDPORT_DIR", required = true)]
    pub(crate) dir: PathBuf,

    /// Say what would be removed, and remove nothing
    #[arg(short = 'n', long, env = "SANDPORT_DRY_RUN", value_parser = FalseyValueParser::new())]
    pub(crate) dry_run: bool,

    /// How long nobody has gone on with an upload that is removed
    #[arg(
        long,
        value_name = "DURATION",
        default_value = EXPIRE_PARTIAL,
        value_parser = duration,
        env = "SANDPORT_EXPIRE_PARTIAL"
    )]
    pub(crate) expire_partial: Duration,
}
