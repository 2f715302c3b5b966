//! The command `sandport`: receive files from people you do not trust, and send files.
#![forbid(unsafe_code)]

use std::process::ExitCode;

use args::{Cli, Command};

mod args;
mod clean;
mod console;
mod documents;
mod exit;
mod failure;
mod hints;
mod inspect;
mod logging;
mod ls;
mod process;
mod results;
mod send;
mod serve;
mod signals;
mod verify;
mod welcome;

fn main() -> ExitCode {
    let cli = Cli::read();
    logging::init(&cli.talk);
    let outcome = match cli.command {
        None => welcome::print(),
        Some(Command::Serve(args)) => serve::run(*args, &cli.talk),
        Some(Command::Send(args)) => send::run(args, &cli.talk),
        Some(Command::Ls(args)) => ls::run(&args, &cli.talk),
        Some(Command::Verify(args)) => verify::run(&args, &cli.talk),
        Some(Command::Clean(args)) => clean::run(&args, &cli.talk),
        Some(Command::Inspect(args)) => inspect::run(&args, &cli.talk),
        Some(Command::Completions { shell }) => documents::completions(shell),
        Some(Command::Man { dir }) => documents::man(dir.as_deref()),
    };
    let exit = outcome.unwrap_or_else(|failure| {
        failure.print();
        failure.exit
    });
    ExitCode::from(exit as u8)
}
