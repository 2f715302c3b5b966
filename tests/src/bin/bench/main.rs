//! The benchmark: Sandport beside other receivers, in one run on one machine.
//!
//! ```text
//! cargo run --release -p sandport-tests --bin bench [large|small|http|parallel|resume|connections|memory|uploads|start|standalone]...
//! ```
//!
//! It prints a table with a section for each comparison. Contestants take turns in each round, the
//! same sender feeds both sides wherever that is possible, and ratios are those of the same round.
#![forbid(unsafe_code)]
#![allow(
    clippy::disallowed_methods,
    reason = "a person watches it, and what looks again and again at whether something has come would be measured"
)]

mod connections;
mod environment;
mod external;
mod feed;
mod http;
mod http_receivers;
mod large;
mod memory;
mod network;
mod parallel;
mod proc;
mod process;
mod receivers;
mod resume;
mod rounds;
mod setup;
mod small;
mod standalone;
mod start;
mod stats;
mod table;
mod uploads;

use std::path::PathBuf;

use anyhow::Result;
use clap::{Parser, ValueEnum};

use connections::Counts;
use environment::Environment;

/// Measures Sandport beside other receivers and prints a table.
#[derive(Parser)]
#[command(args_conflicts_with_subcommands = true)]
struct Arguments {
    /// What to run; all of it without this
    #[arg(value_enum)]
    parts: Vec<Part>,
    /// Smaller amounts and fewer rounds: to see that it works, not for figures
    #[arg(long)]
    quick: bool,
    /// How often each contestant runs
    #[arg(long)]
    rounds: Option<usize>,
    /// Size of the large file in MiB
    #[arg(long, value_name = "MIB")]
    size: Option<u64>,
    /// Directory on a disk to receive into; the directory of this program by default
    #[arg(long, value_name = "DIR")]
    dir: Option<PathBuf>,
    /// Directory in memory to receive into
    #[arg(long, value_name = "DIR", default_value = "/dev/shm")]
    tmpfs: PathBuf,
    /// A `sandport` program to measure, instead of building one
    #[arg(long, value_name = "FILE")]
    sandport: Option<PathBuf>,
    /// A `wasmtime` to run the standalone component with, instead of the runtime of the tests
    #[arg(long, value_name = "FILE")]
    wasmtime: Option<PathBuf>,
    /// Runs one of the receivers that Sandport is compared with
    #[command(subcommand)]
    receiver: Option<receivers::Receiver>,
}

#[derive(Clone, Copy, PartialEq, Eq, ValueEnum)]
enum Part {
    /// One large file.
    Large,
    /// Ten thousand small files.
    Small,
    /// Uploads over HTTP, beside native receivers and other servers.
    Http,
    /// One file over several connections, on a network with delay.
    Parallel,
    /// Going on with what was cut.
    Resume,
    /// Time to an answer, and connections per second.
    Connections,
    /// Memory with idle connections and while a file passes.
    Memory,
    /// Memory and descriptors of uploads that nothing happens to.
    Uploads,
    /// Process start to listening.
    Start,
    /// The standalone component, in a stock runtime and in ours.
    Standalone,
}

fn main() -> Result<()> {
    let arguments = Arguments::parse();
    match arguments.receiver {
        Some(receiver) => receiver.run(),
        None => measure(arguments),
    }
}

fn measure(arguments: Arguments) -> Result<()> {
    let Arguments { parts, quick, rounds, size, dir, tmpfs, sandport, wasmtime, .. } = arguments;
    let parts = if parts.is_empty() { Part::value_variants() } else { &parts };
    let pick = |quickly, otherwise| if quick { quickly } else { otherwise };
    let mib = 1024 * 1024;
    let size = size.unwrap_or(pick(64, 1024)) * mib;

    let descriptors = environment::raise_descriptors();
    let environment = Environment::new(&tmpfs, dir.as_deref(), sandport)?;
    println!("# Sandport beside other receivers\n");
    let processors = std::thread::available_parallelism()?;
    println!("{} x {}, Linux {}", processors, proc::processor(), kernel());
    for part in parts {
        match part {
            Part::Large => {
                let rounds = rounds.unwrap_or(pick(2, 7) as usize);
                large::run_part(&environment, size, rounds)?;
            }
            Part::Small => {
                let rounds = rounds.unwrap_or(pick(2, 5) as usize);
                small::run_part(&environment, pick(1_000, 10_000), rounds)?;
            }
            Part::Http => {
                let rounds = rounds.unwrap_or(pick(2, 5) as usize);
                http::run_part(&environment, size, pick(640, 6_400), rounds)?;
            }
            Part::Parallel => {
                let rounds = rounds.unwrap_or(pick(1, 3) as usize);
                parallel::run_part(&environment, pick(16, 256) * mib, rounds)?;
            }
            Part::Resume => {
                let rounds = rounds.unwrap_or(pick(2, 7) as usize);
                let partial = pick(1, 20) * 1024 * mib;
                resume::run_part(&environment, partial, size, rounds)?;
            }
            Part::Connections => {
                let counts = Counts {
                    timed: pick(200, 2_000) as usize,
                    counted: pick(400, 4_000) as usize,
                    rounds: rounds.unwrap_or(pick(2, 5) as usize),
                };
                connections::run_part(&environment, &counts)?;
            }
            Part::Memory => {
                memory::run_part(&environment, descriptors, pick(256, 8 * 1024) * mib)?;
            }
            Part::Uploads => uploads::run_part(&environment, pick(1_000, 10_000))?,
            Part::Start => start::run_part(&environment, pick(4, 20) as usize)?,
            Part::Standalone => {
                let rounds = rounds.unwrap_or(pick(2, 5) as usize);
                standalone::run_part(&environment, size, rounds, wasmtime.as_deref())?;
            }
        }
    }
    Ok(())
}

fn kernel() -> String {
    let release = std::fs::read_to_string("/proc/sys/kernel/osrelease").unwrap_or_default();
    release.trim().to_owned()
}
