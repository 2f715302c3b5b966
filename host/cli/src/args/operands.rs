//! What `sandport send` is given besides options: paths, and last where to send them.
//!
//! For clap it is one list, so that options may stand anywhere between. Its last element is the address.

use std::path::PathBuf;

use clap::error::ErrorKind;
use clap::{Arg, ArgMatches, Args, Command, Error, FromArgMatches, value_parser};
use sandport::net::Address;

/// The name of the list among the arguments.
const LIST: &str = "operands";

/// Paths and an address.
#[derive(Clone, Debug)]
pub(crate) struct Operands {
    /// Files and folders; `-` is standard input. At least one.
    pub(crate) paths: Vec<PathBuf>,
    /// Where to.
    pub(crate) to: Address,
}

impl Args for Operands {
    fn augment_args(command: Command) -> Command {
        command.arg(
            Arg::new(LIST)
                .value_names(["PATH", "TO"])
                .num_args(1..)
                .required(true)
                .value_parser(value_parser!(PathBuf))
                .help(
                    "Files and folders to send (`-` is standard input), and last where to: host, \
                     host:port, [v6]:port, unix:/path or a sandport:// address",
                ),
        )
    }

    fn augment_args_for_update(command: Command) -> Command {
        Self::augment_args(command)
    }
}

impl FromArgMatches for Operands {
    fn from_arg_matches(matches: &ArgMatches) -> Result<Self, Error> {
        let list = matches.get_many::<PathBuf>(LIST).unwrap_or_default();
        let mut paths: Vec<PathBuf> = list.cloned().collect();
        let to = paths.pop().unwrap_or_default();
        if paths.is_empty() {
            let words = format!(
                "only one of PATH and TO was given: {}\n\n  sandport send {0} HOST    sends it, if \
                 it is a file or a folder\n  sandport send FILE {0}    sends to it, if it is a \
                 server\n",
                to.display()
            );
            return Err(Error::raw(ErrorKind::MissingRequiredArgument, words));
        }
        let parsed = to.to_str().map_or_else(
            || Err(String::from("it is not UTF-8")),
            |text| text.parse::<Address>().map_err(|error| error.to_string()),
        );
        match parsed {
            Ok(to) => Ok(Self { paths, to }),
            Err(reason) => {
                let words = format!("invalid value '{}' for '<TO>': {reason}\n", to.display());
                Err(Error::raw(ErrorKind::ValueValidation, words))
            }
        }
    }

    fn update_from_arg_matches(&mut self, matches: &ArgMatches) -> Result<(), Error> {
        *self = Self::from_arg_matches(matches)?;
        Ok(())
    }
}
