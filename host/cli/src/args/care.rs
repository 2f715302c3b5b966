//! The arguments of the commands that look after an inbox.

use std::path::PathBuf;

use clap::Args;
use clap::builder::FalseyValueParser;

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
