//! The Sandport receiver as a command of WASI 0.2: one component that listens by `wasi:sockets`,
//! serves many connections at once, and keeps its inbox in a preopened directory.
//!
//! Protocol, driving loop and the rules of the inbox are those of `sandport-protocol`, as in the
//! receiver that runs in a sandbox of Sandport's host. What is different here, and what cannot be
//! promised without that host, is in the README of the project ("Without our host").
//!
//! One instance holds everything, so one poll waits for everything: all listeners, and for each
//! connection its input, the room for its answers, and its clock.
// The bindings that wit-bindgen generates need unsafe.
#![allow(unsafe_code)]

mod bindings;
mod committing;
mod connection;
mod disk;
pub mod inbox;
mod network;
mod report;
mod server;
mod settings;

use std::process::ExitCode;

use settings::{Asked, Settings};

/// Serves as the command line and the environment say.
pub fn run() -> ExitCode {
    let settings = match Settings::read(std::env::args_os()) {
        Ok(Asked::Serve(settings)) => settings,
        Ok(Asked::Print(text)) => {
            print!("{text}");
            return ExitCode::SUCCESS;
        }
        Err(error) => return fail(&error),
    };
    match server::serve(&settings) {
        Ok(never) => match never {},
        Err(error) => fail(&error),
    }
}

/// WASI 0.2 knows one code for whatever went wrong. The words tell more.
fn fail(error: &report::Failed) -> ExitCode {
    eprintln!("{error}");
    ExitCode::FAILURE
}
