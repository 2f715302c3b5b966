//! One file over several connections, on a network where each has a delay and a rate of its own.

use std::fs::{self, File};
use std::time::Duration;

use anyhow::Result;

use crate::environment::{Durability, Environment};
use crate::feed::Content;
use crate::network::{Network, Proxy};
use crate::process::run;
use crate::receivers;
use crate::rounds::{Contestant, alternate, sample, timed};
use crate::stats::Spread;
use crate::table::Table;

/// How many connections carry the file.
const CONNECTIONS: [u32; 4] = [1, 2, 4, 8];

/// As between two continents: 100 Mbit/s for each connection, and an answer after a tenth of a second.
const NETWORK: Network = Network { delay: Duration::from_millis(50), bytes_per_s: 12.5e6 };

/// Runs the section with a file of `size` bytes.
pub(crate) fn run_part(environment: &Environment, size: u64, rounds: usize) -> Result<()> {
    let content = Content::new(size);
    let source = environment.tmpfs.directory("source")?.join("source.bin");
    content.write(&mut File::create(&source)?, |_| ())?;
    let dir = environment.disk.directory("parallel")?;
    let server = environment.sandport(&dir, Durability::Full)?;
    let proxy = Proxy::start(NETWORK, server.address)?;

    let send = |connections: u32| {
        let (source, dir, server, proxy) = (&source, &dir, &server, &proxy);
        move |round: usize| {
            let name = source.with_file_name(format!("{connections}-{round}.bin"));
            fs::hard_link(source, &name)?;
            let mut command = environment.send_to(&name, proxy.address);
            command.arg("--connections").arg(connections.to_string());
            let sample = sample(server, || timed(|| run(&mut command)))?;
            receivers::empty(dir)?;
            Ok(sample)
        }
    };
    let mut contestants: Vec<Contestant<'_>> = CONNECTIONS
        .into_iter()
        .map(|connections| Contestant::new(connections.to_string(), send(connections)))
        .collect();
    alternate(&mut contestants, rounds)?;

    let mib = size / (1024 * 1024);
    let headers = ["connections", "wall s", "MB/s", "of what they carry", "speed ratio"];
    let title = format!("One file of {mib} MiB onto a disk, over a network with delay");
    let mut table = Table::new(title, &headers);
    let reference = contestants.first().map_or(&[][..], Contestant::samples);
    for (contestant, connections) in contestants.iter().zip(CONNECTIONS) {
        let samples = contestant.samples();
        let walls = samples.iter().map(|sample| sample.wall.as_secs_f64());
        let Some(walls) = Spread::of(walls) else { continue };
        let ratios = Spread::of_ratios(samples, reference, |sample| sample.wall.as_secs_f64());
        let per_s = size as f64 / walls.median;
        let share = per_s / (NETWORK.bytes_per_s * f64::from(connections));
        table.row([
            contestant.name().to_owned(),
            walls.to_string(),
            format!("{:.1}", per_s / 1e6),
            format!("{:.0} %", share * 100.0),
            ratios.map_or_else(String::new, |ratios| ratios.to_string()),
        ]);
    }
    let (delay, rate) = (NETWORK.delay.as_millis(), NETWORK.bytes_per_s / 1e6);
    table.note(format!(
        "sandport send --connections N into --durability full, through a program that holds each byte \
         back for {delay} ms in each direction and carries {rate} MB/s on each connection. The time has \
         the start of the client in it, and the receipt."
    ));
    print!("{table}");
    drop(contestants);
    fs::remove_dir_all(environment.tmpfs.path().join("source"))?;
    Ok(())
}
