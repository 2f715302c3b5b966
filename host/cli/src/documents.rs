//! Completion scripts and manual pages, made from the description of the arguments.

use std::io::{self, Write};
use std::path::Path;

use clap::CommandFactory;
use clap_complete::Shell;
use clap_mangen::Man;

use crate::args::Cli;
use crate::exit::Exit;
use crate::failure::Failure;

/// Writes the completion script for a shell to standard output.
pub(crate) fn completions(shell: Shell) -> Result<Exit, Failure> {
    let mut script = Vec::new();
    clap_complete::generate(shell, &mut Cli::command(), "sandport", &mut script);
    print(&script)
}

/// Writes the manual page to standard output, or those of all commands into a folder.
pub(crate) fn man(dir: Option<&Path>) -> Result<Exit, Failure> {
    match dir {
        Some(dir) => {
            std::fs::create_dir_all(dir)
                .and_then(|()| clap_mangen::generate_to(Cli::command(), dir))
                .map_err(|error| Failure::local("write the manual pages", &error))?;
            Ok(Exit::Done)
        }
        None => {
            let mut page = Vec::new();
            Man::new(Cli::command())
                .render(&mut page)
                .map_err(|error| Failure::local("make the manual page", &error))?;
            print(&page)
        }
    }
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
