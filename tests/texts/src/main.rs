//! Fails where a link, an anchor or a path in a document leads nowhere, and says on which line.
//!
//! `cargo run -p sandport-texts [DIR]`: all `*.md` files in and below a directory, or below the current one. The exit
//! code is 0 if all lead somewhere, 1 if one does not, and 2 if something could not be read.

#![forbid(unsafe_code)]

use std::path::PathBuf;
use std::process::ExitCode;

fn main() -> ExitCode {
    let root = std::env::args_os().nth(1).map_or_else(|| PathBuf::from("."), PathBuf::from);
    match sandport_texts::check(&root) {
        Ok((documents, broken)) if broken.is_empty() => {
            println!("all links and paths in {documents} documents lead somewhere");
            ExitCode::SUCCESS
        }
        Ok((_, broken)) => {
            broken.iter().for_each(|broken| println!("{broken}"));
            ExitCode::from(1)
        }
        Err(error) => {
            eprintln!("cannot read the documents: {error}");
            ExitCode::from(2)
        }
    }
}
