//! What can be typed: one description that parsing, help, completions and man pages share.

#![allow(
    rustdoc::broken_intra_doc_links,
    reason = "the comments on arguments are their help texts: `[v6]:port` is an address there"
)]

use std::path::PathBuf;

use clap::builder::FalseyValueParser;
use clap::{ArgAction, CommandFactory, FromArgMatches, Parser, Subcommand};
use clap_complete::Shell;

mod care;
mod environment;
mod inspect;
mod operands;
mod send;
mod serve;
mod values;

pub(crate) use care::{CleanArgs, LsArgs, VerifyArgs};
pub(crate) use inspect::InspectArgs;
pub(crate) use operands::STDIN;
pub(crate) use send::SendArgs;
pub(crate) use serve::ServeArgs;

const EXAMPLES: &str = "\
Examples:
  sandport serve ./inbox                       receive files on this machine
  sandport serve ./inbox --listen [::]:6542    receive them from every network
  sandport send report.pdf photos/ 127.0.0.1   send a file and a directory
  tar c . | sandport send - host --name a.tar  send what a program writes
  sandport ls ./inbox                          list what was received
  sandport verify ./inbox                      check that the files are as received
  sandport clean ./inbox -n                    list what could be removed

Exit codes:
  0 all done    1 some files failed    2 usage or settings     3 temporary, try again
  4 refused     5 integrity mismatch   6 a receiver failed     7 local I/O
  130 interrupted";

/// Receive files from people you do not trust, and send files
///
/// Every connection is parsed in a WebAssembly sandbox of its own.
#[derive(Debug, Parser)]
#[command(name = "sandport", version, after_help = EXAMPLES, propagate_version = true)]
pub(crate) struct Cli {
    #[command(flatten)]
    pub(crate) talk: Talk,

    #[command(subcommand)]
    pub(crate) command: Option<Command>,
}

impl Cli {
    /// What was typed, and set in the environment. Ends the program where that makes no sense, or where help
    /// is asked for.
    pub(crate) fn read() -> Self {
        let mut command = environment::without_empty(Self::command());
        let matches = command.get_matches_mut();
        Self::from_arg_matches(&matches).unwrap_or_else(|error| {
            // With the usage of the command that was typed.
            let name = matches.subcommand_name().unwrap_or_default();
            match command.find_subcommand_mut(name) {
                Some(command) => error.format(command).exit(),
                None => error.format(&mut command).exit(),
            }
        })
    }
}

/// How much is said, and in which form.
#[derive(Clone, Debug, clap::Args)]
pub(crate) struct Talk {
    /// Write JSON Lines to standard output
    #[arg(
        long,
        global = true,
        env = "SANDPORT_JSON",
        value_parser = FalseyValueParser::new(),
        help_heading = "Output"
    )]
    pub(crate) json: bool,

    /// Print only results and errors
    #[arg(
        short,
        long,
        global = true,
        env = "SANDPORT_QUIET",
        value_parser = FalseyValueParser::new(),
        help_heading = "Output"
    )]
    pub(crate) quiet: bool,

    /// Print more; twice, print everything
    #[arg(
        short,
        long,
        global = true,
        action = ArgAction::Count,
        env = "SANDPORT_VERBOSE",
        help_heading = "Output"
    )]
    pub(crate) verbose: u8,
}

#[derive(Debug, Subcommand)]
pub(crate) enum Command {
    /// Receive files into a directory
    Serve(Box<ServeArgs>),

    /// Send files and directories to a server
    Send(SendArgs),

    /// List the files of an inbox
    Ls(LsArgs),

    /// Check that the files of an inbox are as received
    Verify(VerifyArgs),

    /// Remove abandoned uploads and stale temporary files
    Clean(CleanArgs),

    /// Describe a receiver component: how it would run and what it could access
    Inspect(InspectArgs),

    /// Print a completion script for a shell
    Completions {
        /// The shell
        shell: Shell,
    },

    /// Print the manual page
    Man {
        /// Write the pages of all commands into this directory instead
        #[arg(long, value_name = "DIR")]
        dir: Option<PathBuf>,
    },
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::expect_used)]

    use std::time::Duration;

    use clap::error::ErrorKind;
    use sandport_client::{Connections, Destination};
    use sandport_protocol::Address;

    use super::*;

    fn parse(line: &str) -> Result<Cli, clap::Error> {
        Cli::try_parse_from(line.split(' '))
    }

    fn serve(line: &str) -> ServeArgs {
        match parse(line).unwrap().command {
            Some(Command::Serve(args)) => *args,
            other => panic!("{other:?}"),
        }
    }

    fn send(line: &str) -> SendArgs {
        match parse(line).unwrap().command {
            Some(Command::Send(args)) => args,
            other => panic!("{other:?}"),
        }
    }

    #[test]
    fn the_description_is_consistent() {
        Cli::command().debug_assert();
    }

    #[test]
    fn serve_needs_no_argument() {
        let args = serve("sandport serve");
        assert_eq!(args.dir, PathBuf::from("inbox"));
        assert_eq!(args.listen, ["127.0.0.1:6542".parse::<Address>().unwrap()]);
        assert_eq!(args.limits(), sandport_protocol::Limits::default());
    }

    #[test]
    fn serve_takes_several_addresses() {
        let args = serve("sandport serve ./in -l 127.0.0.1:0 --listen [::1]:7 -l unix:/run/s");
        let written: Vec<String> = args.listen.iter().map(ToString::to_string).collect();
        assert_eq!(written, ["127.0.0.1:0", "[::1]:7", "unix:/run/s"]);
    }

    #[test]
    fn sizes_and_durations_have_units() {
        let args = serve("sandport serve --max-file 2GiB --idle-timeout 1m --drain-timeout 500ms");
        assert_eq!(args.max_file, Some(2 << 30));
        assert_eq!(args.idle_timeout, Duration::from_secs(60));
        assert_eq!(args.drain_timeout, Duration::from_millis(500));
        let week = serve("sandport serve").inbox_options().partial_expiry;
        assert_eq!(week, Some(Duration::from_secs(7 * 24 * 3_600)));
        for wrong in
            ["--max-file big", "--idle-timeout 60", "--idle-timeout 0s", "--max-connections 0"]
        {
            let error = parse(&format!("sandport serve {wrong}")).unwrap_err();
            assert_eq!(error.kind(), ErrorKind::ValueValidation, "{wrong}: {error}");
        }
    }

    #[test]
    fn http_is_served_unless_it_is_switched_off_and_pages_of_others_are_named() {
        assert!(serve("sandport serve").limits().http);
        let args = serve(
            "sandport serve --http off --http-origin https://A.example --http-origin http://b:99,http://c",
        );
        assert!(!args.limits().http);
        let origins: Vec<String> = args.http_origin.iter().map(ToString::to_string).collect();
        assert_eq!(origins, ["https://a.example", "http://b:99", "http://c"]);
        for wrong in ["--http maybe", "--http-origin files.example", "--http-origin null"] {
            let error = parse(&format!("sandport serve {wrong}")).unwrap_err();
            let kinds = [ErrorKind::ValueValidation, ErrorKind::InvalidValue];
            assert!(kinds.contains(&error.kind()), "{wrong}: {error}");
        }
        let error = parse("sandport serve --http-origin files.example").unwrap_err().to_string();
        assert!(error.contains("as https://files.example does"), "{error}");
    }

    #[test]
    fn proxies_are_networks_addresses_or_local_sockets() {
        let args = serve(
            "sandport serve --trusted-proxy 10.0.0.0/8,unix --trusted-proxy ::1 --proxy-protocol 192.0.2.7",
        );
        let written: Vec<String> = args.trusted_proxy.iter().map(ToString::to_string).collect();
        assert_eq!(written, ["10.0.0.0/8", "unix", "::1/128"]);
        assert_eq!(args.proxy_protocol[0].to_string(), "192.0.2.7/32");
        let error = parse("sandport serve --proxy-protocol proxy.example").unwrap_err();
        assert_eq!(error.kind(), ErrorKind::ValueValidation, "{error}");
        assert!(error.to_string().contains("write 10.0.0.0/8"), "{error}");
    }

    #[test]
    fn connections_are_a_number_or_as_many_as_pay() {
        let connections =
            |arguments: &str| send(&format!("sandport send a host{arguments}")).connections;
        assert_eq!(connections(""), Connections::Auto);
        assert_eq!(connections(" -j auto"), Connections::Auto);
        assert!(
            matches!(connections(" -j 64"), Connections::Exactly(number) if number.get() == 64)
        );
        for wrong in ["-j 0", "-j 65", "-j many"] {
            let error = parse(&format!("sandport send a host {wrong}")).unwrap_err();
            assert_eq!(error.kind(), ErrorKind::ValueValidation, "{wrong}: {error}");
        }
    }

    #[test]
    fn the_last_argument_of_send_is_where_to() {
        let args = send("sandport send a b/ - files.example:99 -q");
        assert_eq!(args.operands.paths, ["a", "b/", "-"].map(PathBuf::from));
        assert_eq!(args.operands.to, "files.example:99".parse().unwrap());
        let web = send("sandport send a http://files.example/in/");
        assert!(matches!(web.operands.to, Destination::Http(_)), "{web:?}");
        let error = parse("sandport send a https://files.example/").unwrap_err();
        assert!(error.to_string().contains("https:// is not built yet"), "{error}");
        assert_eq!(error.kind(), ErrorKind::ValueValidation);
        let between = send("sandport send a --classic files.example:99");
        assert!(between.classic);
        assert_eq!(between.operands.to, "files.example:99".parse().unwrap());
        let error = parse("sandport send a").unwrap_err();
        assert!(error.to_string().contains("sandport send FILE a"), "{error}");
        assert_eq!(error.kind(), ErrorKind::MissingRequiredArgument);
        let error = parse("sandport send a :6542").unwrap_err();
        assert!(error.to_string().contains("names no host"), "{error}");
    }

    #[test]
    fn talk_can_be_set_before_and_after_the_command() {
        assert!(parse("sandport --json send a b").unwrap().talk.json);
        assert!(parse("sandport send a b --json").unwrap().talk.json);
        assert_eq!(parse("sandport serve -vv").unwrap().talk.verbose, 2);
    }
}
