//! Settings from the environment, and what all options have in common.

use clap::builder::{OsStr, Resettable};
use clap::{Arg, Command};

/// The command, for which an empty variable is one that is not set: init systems and containers pass on
/// what nobody has filled in. An option with a value takes `-1` for one, and says what it wants instead.
pub(super) fn prepared(command: Command) -> Command {
    command.mut_args(ignore_empty).mut_args(take_negative).mut_subcommands(prepared)
}

fn ignore_empty(arg: Arg) -> Arg {
    let is_empty = arg.get_env().and_then(std::env::var_os).is_some_and(|value| value.is_empty());
    if is_empty { arg.env(Resettable::<OsStr>::Reset) } else { arg }
}

fn take_negative(arg: Arg) -> Arg {
    let has_value = arg.get_long().is_some() && arg.get_action().takes_values();
    if has_value { arg.allow_negative_numbers(true) } else { arg }
}
