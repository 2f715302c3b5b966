//! What is shown to someone who typed the name of the program alone.

use std::io::{self, Write};

use clap::CommandFactory;

use crate::args::Cli;
use crate::exit::Exit;
use crate::failure::Failure;

/// Shows the next command to type.
pub(crate) fn print() -> Result<Exit, Failure> {
    io::stdout()
        .write_all(welcome().as_bytes())
        .map_err(|error| Failure::local("write to standard output", &error))?;
    Ok(Exit::Done)
}

fn welcome() -> String {
    let about = Cli::command().get_about().map(ToString::to_string).unwrap_or_default();
    let (about, rest) = about.split_at_checked(1).unwrap_or_default();
    let mut lines = vec![format!("sandport: {}{rest}\n", about.to_lowercase())];
    let mut line = |what: &str, command: &str| lines.push(format!("{what:<25}{command}"));
    if cfg!(feature = "serve") {
        line("Receive files:", "sandport serve ./inbox");
    }
    if cfg!(feature = "send") {
        line("Send a file:", "sandport send FILE 127.0.0.1");
    }
    if cfg!(feature = "serve") {
        line("List received files:", "sandport ls ./inbox");
    }
    line("Show all commands:", "sandport --help");
    lines.join("\n") + "\n"
}
