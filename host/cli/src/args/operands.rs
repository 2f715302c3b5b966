//! What `sandport send` is given besides options: paths, and last where to send them.
//!
//! For clap it is one list, so that options may stand anywhere between. Its last element is the address.

use std::path::{Path, PathBuf};

use clap::error::ErrorKind;
use clap::{Arg, ArgMatches, Args, Command, Error, FromArgMatches, value_parser};
use sandport_client::{Destination, DestinationError};
use sandport_protocol::AddressError;

/// The name of the list among the arguments.
const LIST: &str = "operands";

/// The path that means standard input.
pub(crate) const STDIN: &str = "-";

/// Paths and an address.
#[derive(Clone, Debug)]
pub(crate) struct Operands {
    /// Files and directories; `-` is standard input. At least one.
    pub(crate) paths: Vec<PathBuf>,
    /// Where to.
    pub(crate) to: Destination,
}

impl Operands {
    /// Whether standard input is sent.
    pub(crate) fn reads_stdin(&self) -> bool {
        self.paths.iter().any(|path| is_stdin(path))
    }
}

/// Whether a path means standard input.
pub(crate) fn is_stdin(path: &Path) -> bool {
    path == Path::new(STDIN)
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
                    "Files and directories to send (`-` is standard input), then the server: host, \
                     host:port, [v6]:port, unix:/path, a sandport:// link, or https://host/directory/",
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
                "only one of PATH and TO was given: {}\n\n  sandport send {0} HOST    if it \
                 is a file or a directory\n  sandport send FILE {0}    if it is a server\n",
                to.display()
            );
            return Err(Error::raw(ErrorKind::MissingRequiredArgument, words));
        }
        let exists = |path: &Path| is_stdin(path) || path.symlink_metadata().is_ok();
        let parsed = to.to_str().map_or_else(
            || Err(String::from("it is not UTF-8")),
            |text| text.parse::<Destination>().map_err(|error| reason(&error)),
        );
        match parsed {
            Ok(address) if !is_swapped(&paths, &to, exists) => Ok(Self { paths, to: address }),
            Err(reason) if !exists(&to) => {
                let words = format!("invalid value '{}' for '<TO>': {reason}\n", to.display());
                Err(Error::raw(ErrorKind::ValueValidation, words))
            }
            _ => {
                let server = paths.iter().find(|path| !exists(path));
                let server = server.map_or_else(|| "HOST".into(), |path| path.to_string_lossy());
                let words = format!(
                    "'{}' is a file or a directory here; the server comes last:\n\n  sandport \
                     send {0} {server}\n",
                    to.display()
                );
                Err(Error::raw(ErrorKind::ValueValidation, words))
            }
        }
    }

    fn update_from_arg_matches(&mut self, matches: &ArgMatches) -> Result<(), Error> {
        *self = Self::from_arg_matches(matches)?;
        Ok(())
    }
}

/// Whether the server was named before what is to be sent: the last operand is here, and none of the others
/// is.
fn is_swapped(paths: &[PathBuf], to: &Path, exists: impl Fn(&Path) -> bool) -> bool {
    exists(to) && !paths.iter().any(|path| exists(path))
}

/// What is wrong with an address, and what does what was meant.
fn reason(error: &DestinationError) -> String {
    match error {
        DestinationError::Address(AddressError::Remote(_)) => {
            format!("{error}; --name says what the file is called there")
        }
        _ => error.to_string(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn operands_are_swapped_where_only_the_last_is_here() {
        let swapped = |paths: &[&str], to: &str, here: &[&str]| {
            let paths: Vec<PathBuf> = paths.iter().map(PathBuf::from).collect();
            is_swapped(&paths, Path::new(to), |path| here.iter().any(|it| path == Path::new(it)))
        };
        assert!(swapped(&["127.0.0.1:99"], "report.pdf", &["report.pdf"]));
        assert!(swapped(&["host"], "photos", &["photos"]));
        assert!(!swapped(&["report.pdf"], "127.0.0.1:99", &["report.pdf"]));
        assert!(!swapped(&["missing"], "host", &[]), "the file is only missing");
        assert!(!swapped(&["a"], "host", &["a", "host"]), "a server may be called as a file here");
    }
}
