//! Contestants that take turns, and the table of how they did.

use std::time::{Duration, Instant};

use anyhow::{Context as _, Result};

use crate::process::Server;
use crate::stats::{Sample, Spread};
use crate::table::Table;

type Run<'a> = Box<dyn FnMut(usize) -> Result<Sample> + 'a>;

/// One way to move the same content.
pub(crate) struct Contestant<'a> {
    name: String,
    run: Run<'a>,
    samples: Vec<Sample>,
}

impl<'a> Contestant<'a> {
    /// `run` gets the number of the round and gives what it took. What it does before and after is its
    /// own business and not measured.
    pub(crate) fn new(
        name: impl Into<String>,
        run: impl FnMut(usize) -> Result<Sample> + 'a,
    ) -> Self {
        Self { name: name.into(), run: Box::new(run), samples: Vec::new() }
    }

    pub(crate) fn name(&self) -> &str {
        &self.name
    }

    pub(crate) fn samples(&self) -> &[Sample] {
        &self.samples
    }
}

/// Lets every contestant run once in each round, beginning with another one each time, so that what
/// changes on the machine meanwhile meets all of them.
pub(crate) fn alternate(contestants: &mut [Contestant<'_>], rounds: usize) -> Result<()> {
    let count = contestants.len();
    for round in 0..rounds {
        for turn in 0..count {
            let contestant = &mut contestants[(round + turn) % count];
            let sample = (contestant.run)(round).with_context(|| contestant.name.clone())?;
            let Sample { wall, cpu } = sample;
            let name = &contestant.name;
            eprintln!(
                "round {}/{rounds}: {name}: {wall:.2?}, receiver's processor {cpu:.2?}",
                round + 1
            );
            contestant.samples.push(sample);
        }
    }
    Ok(())
}

/// Times one transfer, with a quiet disk before it, so that no contestant pays for what the one before
/// it left to write.
pub(crate) fn sample(
    server: &Server,
    transfer: impl FnOnce() -> Result<Duration>,
) -> Result<Sample> {
    rustix::fs::sync();
    let before = server.cpu()?;
    let wall = transfer()?;
    let cpu = server.cpu()? - before;
    Ok(Sample { wall, cpu })
}

/// How long some work takes.
pub(crate) fn timed(work: impl FnOnce() -> Result<()>) -> Result<Duration> {
    let since = Instant::now();
    work()?;
    Ok(since.elapsed())
}

/// What the contestants are counted by.
#[derive(Clone, Copy)]
pub(crate) enum Amount {
    /// Bytes, in GB per second and processor seconds per GB.
    Bytes(u64),
    /// Files, in files per second and processor microseconds per file.
    Files(u64),
}

impl Amount {
    fn headers(self) -> [&'static str; 6] {
        match self {
            Self::Bytes(_) => {
                ["receiver", "wall s", "GB/s", "speed ratio", "CPU s/GB", "CPU ratio"]
            }
            Self::Files(_) => {
                ["receiver", "wall s", "files/s", "speed ratio", "CPU µs/file", "CPU ratio"]
            }
        }
    }

    fn per_second(self, wall: f64) -> String {
        match self {
            Self::Bytes(bytes) => format!("{:.2}", bytes as f64 / 1e9 / wall),
            Self::Files(files) => format!("{:.0}", files as f64 / wall),
        }
    }

    fn cpu(self, cpu: Duration) -> f64 {
        match self {
            Self::Bytes(bytes) => cpu.as_secs_f64() / (bytes as f64 / 1e9),
            Self::Files(files) => cpu.as_secs_f64() * 1e6 / files as f64,
        }
    }
}

/// The table of what was run, with the first contestant as the reference of the ratios.
pub(crate) fn table(title: String, amount: Amount, contestants: &[Contestant<'_>]) -> Table {
    let mut table = Table::new(title, &amount.headers());
    let reference = contestants.first().map_or(&[][..], |first| &first.samples);
    for Contestant { name, samples, .. } in contestants {
        let wall = |sample: &Sample| sample.wall.as_secs_f64();
        let cpu = |sample: &Sample| sample.cpu.as_secs_f64();
        let (Some(walls), Some(cpus)) = (
            Spread::of(samples.iter().map(wall)),
            Spread::of(samples.iter().map(|sample| amount.cpu(sample.cpu))),
        ) else {
            continue;
        };
        let ratio = |spread: Option<Spread>| spread.map_or_else(String::new, |s| s.to_string());
        table.row([
            name.clone(),
            walls.to_string(),
            amount.per_second(walls.median),
            ratio(Spread::of_ratios(samples, reference, wall)),
            cpus.to_string(),
            ratio(Spread::of_ratios(samples, reference, cpu)),
        ]);
    }
    table
}
