//! The arguments of `sandport inspect`.

use std::path::PathBuf;

use clap::Args;

use super::values::memory;

const EXAMPLES: &str = "\
Examples:
  sandport inspect theirs.wasm
  sandport inspect --json theirs.wasm
  sandport inspect                       describe the built-in receiver

Exit codes:
  0 it would run    2 it would be refused    7 it cannot be read";

/// Describe a receiver component: how it would run and what it could access.
///
/// It serves nothing. Code that runs when the component is instantiated runs once, without any access.
#[derive(Debug, Args)]
#[command(after_help = EXAMPLES)]
pub(crate) struct InspectArgs {
    /// The component [default: the built-in receiver]
    #[arg(value_name = "FILE.wasm")]
    pub(crate) file: Option<PathBuf>,

    /// Memory of one sandbox, as for `serve`
    #[arg(long, value_name = "SIZE", value_parser = memory, env = "SANDPORT_MAX_MEMORY")]
    pub(crate) max_memory: Option<usize>,
}
