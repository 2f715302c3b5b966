//! Fails where modules of a crate use each other in a circle, and says which lines make it.
//!
//! `cargo run -p sandport-modules [DIRECTORY]`: all crates in and below a directory, or below the current one. Circles
//! that are known stand in `tests/modules/known-circles` there. The exit code is 0 where there is no other circle, 1
//! where there is one, or none where one is known, and 2 where something could not be read.

#![forbid(unsafe_code)]

use std::collections::BTreeSet;
use std::io;
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use sandport_modules::{Circle, Exceptions, Sources, Tree, describe, roots, unreached, uses};

/// The list of circles that are known, in the directory that is checked.
const KNOWN: &str = "tests/modules/known-circles";

fn main() -> ExitCode {
    let directory = std::env::args_os().nth(1).map_or_else(|| PathBuf::from("."), PathBuf::from);
    match check(&directory) {
        Ok(found) if found.circles.is_empty() && found.needless.is_empty() => {
            println!("no circle of modules in {} crates but those that are known", found.crates);
            ExitCode::SUCCESS
        }
        Ok(found) => {
            for circle in &found.circles {
                print!("{}", describe(circle, &directory));
            }
            for words in &found.needless {
                println!("{KNOWN}: {words}");
            }
            println!(
                "{} circles, {} needless exceptions",
                found.circles.len(),
                found.needless.len()
            );
            ExitCode::from(1)
        }
        Err(error) => {
            eprintln!("error: {error}");
            ExitCode::from(2)
        }
    }
}

/// What the crates in and below a directory come to.
struct Found {
    /// Circles that are not known, each once.
    circles: BTreeSet<Circle>,
    /// Exceptions that except nothing.
    needless: BTreeSet<String>,
    crates: usize,
}

fn check(directory: &Path) -> Result<Found, Box<dyn std::error::Error>> {
    let roots = roots(directory)?;
    if roots.is_empty() {
        return Err(format!("no crate begins below {}", directory.display()).into());
    }
    let known = match Disk.text(&directory.join(KNOWN)) {
        Ok(text) => {
            Exceptions::parse(&text, directory).map_err(|words| format!("{KNOWN}: {words}"))?
        }
        Err(error) if error.kind() == io::ErrorKind::NotFound => Exceptions::default(),
        Err(error) => return Err(format!("{KNOWN}: {error}").into()),
    };
    let mut found =
        Found { circles: BTreeSet::new(), needless: BTreeSet::new(), crates: roots.len() };
    let mut files = BTreeSet::new();
    for root in &roots {
        let tree = Tree::read(&root.file, &Disk)?;
        let uses = uses(&tree);
        found.circles.extend(known.circles(&tree, &uses));
        found.needless.extend(known.needless(&tree, &uses));
        files.extend(tree.files);
    }
    if let Some(file) = unreached(&roots, &files)?.first() {
        return Err(format!("{}: no crate has it as a module", file.display()).into());
    }
    Ok(found)
}

struct Disk;

impl Sources for Disk {
    fn text(&self, file: &Path) -> io::Result<String> {
        std::fs::read_to_string(file)
    }
}
