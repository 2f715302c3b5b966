//! Completion scripts and manual pages, made from the description of the arguments.

use std::io::{self, Write};
use std::path::Path;

use clap::builder::Resettable;
use clap::{Command, CommandFactory};
use clap_complete::Shell;
use clap_mangen::Man;
use clap_mangen::roff::{Roff, roman};

use crate::args::Cli;
use crate::exit::Exit;
use crate::failure::Failure;

/// Writes the completion script for a shell to standard output.
pub(crate) fn completions(shell: Shell) -> Result<Exit, Failure> {
    let mut script = Vec::new();
    clap_complete::generate(shell, &mut Cli::command(), "sandport", &mut script);
    print(&script)
}

/// Writes the manual pages of all commands: one after another to standard output, or each to a file in
/// a directory.
pub(crate) fn man(dir: Option<&Path>) -> Result<Exit, Failure> {
    let mut command = Cli::command().disable_help_subcommand(true);
    command.build();
    let mut pages = Vec::new();
    for command in std::iter::once(&command).chain(command.get_subcommands()) {
        let page =
            page(command).map_err(|error| Failure::local("make the manual pages", &error))?;
        pages.push((Man::new(command.clone()).get_filename(), page));
    }
    let Some(dir) = dir else {
        return print(&pages.into_iter().flat_map(|(_, page)| page).collect::<Vec<_>>());
    };
    let written = std::fs::create_dir_all(dir).and_then(|()| {
        pages.iter().try_for_each(|(name, page)| std::fs::write(dir.join(name), page))
    });
    written.map_err(|error| Failure::local("write the manual pages", &error))?;
    Ok(Exit::Done)
}

/// The manual page of one command. What follows the options in its help keeps its lines: it is made of
/// examples and tables.
fn page(command: &Command) -> io::Result<Vec<u8>> {
    let after = command.get_after_help().map(ToString::to_string);
    let mut page = Vec::new();
    Man::new(command.clone().after_help(Resettable::Reset)).render(&mut page)?;
    if let Some(after) = after {
        let mut notes = Roff::new();
        notes.control("SH", ["NOTES"]).control("nf", []);
        for line in after.lines() {
            notes.text([roman(line)]);
        }
        notes.control("fi", []).to_writer(&mut page)?;
    }
    Ok(page)
}

fn print(document: &[u8]) -> Result<Exit, Failure> {
    let mut stdout = io::stdout().lock();
    match stdout.write_all(document).and_then(|()| stdout.flush()) {
        Ok(()) => Ok(Exit::Done),
        // `sandport man | head` has seen enough.
        Err(error) if error.kind() == io::ErrorKind::BrokenPipe => Ok(Exit::Done),
        Err(error) => Err(Failure::local("write to standard output", &error)),
    }
}
