//! The arguments of `sandport inspect`.

use std::path::PathBuf;

use clap::Args;

use super::values::memory;

const EXAMPLES: &str = "\
Examples:
  sandport inspect theirs.wasm
  sandport inspect --json theirs.wasm
  sandport inspect                       the receiver that is built in

Exit codes:
  0 it would run    2 it would be refused    7 it cannot be read";

/// Say what a receiver component is, how it would run, and what it could reach.
///
/// Nothing is served. Code that the component runs when it is instantiated runs once, without any
/// power.
#[derive(Debug, Args)]
#[command(after_help = EXAMPLES)]
pub(crate) struct InspectArgs {
    /// The component [default: the receiver that is built in]
    #[arg(value_name = "FILE.wasm")]
    pub(crate) file: Option<PathBuf>,

    /// Memory of one sandbox, as for `serve`
    #[arg(long, value_name = "SIZE", value_parser = memory, env = "SANDPORT_MEMORY_MAX")]
    pub(crate) memory_max: Option<usize>,
}
