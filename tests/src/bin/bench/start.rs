//! From the start of the process to the line that says that it listens.

use std::time::{Duration, Instant};

use anyhow::Result;

use crate::environment::{Durability, Environment};
use crate::process::Server;
use crate::stats::Spread;
use crate::table::Table;

/// Runs the section. `starts` is how often the server starts with the cache; a fourth of it without.
pub(crate) fn run_part(environment: &Environment, starts: usize) -> Result<()> {
    let cold: Vec<_> =
        (0..starts.div_ceil(4)).map(|round| start(environment, round)).collect::<Result<_>>()?;
    let warm: Vec<_> = (0..starts).map(|_| start(environment, 0)).collect::<Result<_>>()?;
    let mut table = Table::new("Start: from the process to the ready line", &["", "ms", "starts"]);
    for (name, times) in [("empty cache", cold), ("with the cache", warm)] {
        let count = times.len().to_string();
        let spread = Spread::of(times.iter().map(|time| time.as_secs_f64() * 1e3));
        table.row([name.to_owned(), spread.map_or_else(String::new, |s| format!("{s:.1}")), count]);
    }
    print!("{table}");
    Ok(())
}

/// Starts a server with the cache of this number, which is empty the first time, and ends it.
fn start(environment: &Environment, cache: usize) -> Result<Duration> {
    let dir = environment.disk.directory("start")?;
    let cache = environment.disk.directory(&format!("start-cache-{cache}"))?;
    let mut command = environment.serve_with_cache(&dir, Durability::Commit, &cache);
    let since = Instant::now();
    let server = Server::start(&mut command)?;
    let time = since.elapsed();
    drop(server);
    Ok(time)
}
