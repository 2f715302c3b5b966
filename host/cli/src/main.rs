//! The command `sandport`: receive files from people you do not trust, and send files.
//!
//! Feature `send` is the sender, and feature `serve` the server with what is typed about an inbox. Each builds without
//! the other; both are there by default.
#![forbid(unsafe_code)]

#[cfg(not(any(feature = "send", feature = "serve")))]
compile_error!(
    "choose what the program does: `--features send`, `--features serve`, or both, which is the default"
);
#[cfg(all(feature = "serve", not(target_os = "linux")))]
compile_error!(
    "the server runs on Linux: build the sender with `--no-default-features --features send,tls`"
);

use std::process::ExitCode;

use args::{Cli, Command};

mod args;
#[cfg(feature = "serve")]
mod clean;
mod console;
mod documents;
mod exit;
mod failure;
#[cfg(feature = "serve")]
mod hints;
#[cfg(feature = "serve")]
mod inspect;
mod logging;
#[cfg(feature = "serve")]
mod ls;
mod places;
#[cfg(feature = "serve")]
mod results;
#[cfg(feature = "send")]
mod send;
#[cfg(feature = "serve")]
mod serve;
mod signals;
mod threads;
#[cfg(feature = "serve")]
mod verify;
mod welcome;

/// glibc's allocator keeps what connections have freed, so a server that was attacked stays large. This one gives it
/// back to the system.
#[cfg(feature = "serve")]
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

fn main() -> ExitCode {
    let cli = Cli::read();
    logging::init(&cli.talk);
    let outcome = match cli.command {
        None => welcome::print(),
        #[cfg(feature = "serve")]
        Some(Command::Serve(args)) => serve::run(*args, &cli.talk),
        #[cfg(feature = "send")]
        Some(Command::Send(args)) => send::run(*args, &cli.talk),
        #[cfg(feature = "serve")]
        Some(Command::Ls(args)) => ls::run(&args, &cli.talk),
        #[cfg(feature = "serve")]
        Some(Command::Verify(args)) => verify::run(&args, &cli.talk),
        #[cfg(feature = "serve")]
        Some(Command::Clean(args)) => clean::run(&args, &cli.talk),
        #[cfg(feature = "serve")]
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
