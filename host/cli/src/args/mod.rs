//! What can be typed: one description that parsing, help, completions and man pages share.

#![allow(
    rustdoc::broken_intra_doc_links,
    reason = "the comments on arguments are their help texts: `[v6]:port` is an address there"
)]

use std::path::PathBuf;

use clap::builder::FalseyValueParser;
use clap::{ArgAction, CommandFactory, FromArgMatches, Parser, Subcommand};
use clap_complete::Shell;

mod environment;
#[cfg(feature = "serve")]
mod inspect;
#[cfg(feature = "serve")]
mod maintenance;
#[cfg(feature = "send")]
mod operands;
#[cfg(feature = "send")]
mod send;
#[cfg(feature = "serve")]
mod serve;
#[cfg(feature = "serve")]
mod tls;
mod values;

#[cfg(feature = "serve")]
pub(crate) use inspect::InspectArgs;
#[cfg(feature = "serve")]
pub(crate) use maintenance::{CleanArgs, LsArgs, VerifyArgs};
#[cfg(feature = "send")]
pub(crate) use operands::{STDIN, is_stdin};
#[cfg(feature = "send")]
pub(crate) use send::SendArgs;
#[cfg(feature = "serve")]
pub(crate) use serve::ServeArgs;

/// What each command does, in one line, and its exit codes.
fn examples() -> String {
    let mut lines = vec!["Examples:"];
    if cfg!(feature = "serve") {
        lines.extend([
            "  sandport serve ./inbox                       receive files on this machine",
            "  sandport serve ./inbox --listen [::]:6542    receive them from every network",
        ]);
    }
    if cfg!(feature = "send") {
        lines.extend([
            "  sandport send report.pdf photos/ 127.0.0.1   send a file and a directory",
            "  tar c . | sandport send - host --name a.tar  send what a program writes",
        ]);
    }
    if cfg!(feature = "serve") {
        lines.extend([
            "  sandport ls ./inbox                          list what was received",
            "  sandport verify ./inbox                      check that the files are as received",
            "  sandport clean ./inbox -n                    list what could be removed",
        ]);
    }
    lines.extend([
        "",
        "Exit codes:",
        "  0 all done    1 some files failed    2 usage or settings     3 temporary, try again",
        if cfg!(feature = "serve") {
            "  4 refused     5 integrity mismatch   6 a receiver failed     7 local I/O"
        } else {
            "  4 refused     5 integrity mismatch   7 local I/O"
        },
        "  130 interrupted",
    ]);
    lines.join("\n")
}

#[cfg_attr(
    all(feature = "send", feature = "serve"),
    doc = "Receive files from people you do not trust, and send files"
)]
#[cfg_attr(not(feature = "send"), doc = "Receive files from people you do not trust")]
#[cfg_attr(not(feature = "serve"), doc = "Send files, and resume what was cut")]
#[cfg_attr(
    feature = "serve",
    doc = "",
    doc = "Every connection is parsed in a WebAssembly sandbox of its own."
)]
#[derive(Debug, Parser)]
#[command(name = "sandport", version, after_help = examples(), propagate_version = true)]
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
        let mut command = environment::prepared(Self::command());
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
    #[cfg(feature = "serve")]
    Serve(Box<ServeArgs>),

    /// Send files and directories to a server
    #[cfg(feature = "send")]
    Send(Box<SendArgs>),

    /// List the files of an inbox
    #[cfg(feature = "serve")]
    Ls(LsArgs),

    /// Check that the files of an inbox are as received
    #[cfg(feature = "serve")]
    Verify(VerifyArgs),

    /// Remove abandoned uploads and stale temporary files
    #[cfg(feature = "serve")]
    Clean(CleanArgs),

    /// Describe a receiver component: how it would run and what it could access
    #[cfg(feature = "serve")]
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
mod tests;
