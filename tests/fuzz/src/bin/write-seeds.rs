//! Writes the seeds of all targets to `fuzz/seeds`: `cargo run -p sandport-fuzz --bin write-seeds`. What else is there
//! stays.

use std::fs;
use std::io;
use std::path::Path;

use sandport_fuzz::{TARGETS, seeds_directory};

fn main() -> io::Result<()> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    for target in TARGETS {
        let directory = seeds_directory(root, target);
        fs::create_dir_all(&directory)?;
        for (number, seed) in (target.seeds)().iter().enumerate() {
            fs::write(directory.join(format!("seed-{number:02}")), seed)?;
        }
    }
    Ok(())
}
