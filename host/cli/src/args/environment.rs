//! Settings from the environment.

use clap::builder::{OsStr, Resettable};
use clap::{Arg, Command};

/// The command, for which an empty variable is one that is not set: init systems and containers pass on
/// what nobody has filled in.
pub(super) fn without_empty(command: Command) -> Command {
    command.mut_args(ignore_empty).mut_subcommands(without_empty)
}

fn ignore_empty(arg: Arg) -> Arg {
    let is_empty = arg.get_env().and_then(std::env::var_os).is_some_and(|value| value.is_empty());
    if is_empty { arg.env(Resettable::<OsStr>::Reset) } else { arg }
}
