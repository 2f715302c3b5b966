//! How long a connection takes to be answered, and how many there are in a second.

use std::net::SocketAddr;
use std::time::{Duration, Instant};

use anyhow::Result;

use crate::environment::{Durability, Environment};
use crate::feed;
use crate::process::Server;
use crate::receivers;
use crate::setup;
use crate::stats::{Spread, micros, percentile};
use crate::table::Table;

/// Connections before the first that counts: pools and caches are warm then.
const WARM_UP: usize = 200;

/// Clients at once where connections per second are counted.
const CLIENTS: usize = 8;

/// How much there is to do.
pub(crate) struct Counts {
    /// Connections of each receiver and round that are timed one by one.
    pub(crate) timed: usize,
    /// Uploads of each receiver and round that are counted per second.
    pub(crate) counted: usize,
    pub(crate) rounds: usize,
}

/// What one receiver did.
#[derive(Default)]
struct Figures {
    /// From before `connect` to the `ack`.
    from_connect: Vec<Duration>,
    /// From before the size is written to the `ack`, on a connection that is accepted already or
    /// about to be.
    from_byte: Vec<Duration>,
    /// Uploads per second, of each round.
    per_second: Vec<f64>,
}

/// Runs the sections.
pub(crate) fn run_part(environment: &Environment, counts: &Counts) -> Result<()> {
    print!("{}", answers(environment, counts)?);
    print!("{}", setup::table(environment, counts.timed)?);
    Ok(())
}

fn answers(environment: &Environment, counts: &Counts) -> Result<Table> {
    let native_dir = environment.tmpfs.directory("connections-native")?;
    let native = environment.receiver(&["native-loop", "--hash"], &native_dir)?;
    let dir = environment.tmpfs.directory("connections-sandport")?;
    let sandport = environment.sandport(&dir, Durability::None)?;

    let mut receivers = [
        ("native, a thread for each connection", &native, &native_dir, Figures::default()),
        ("Sandport, a sandbox for each connection", &sandport, &dir, Figures::default()),
    ];
    for (_, server, _, _) in &receivers {
        (0..WARM_UP).try_for_each(|_| feed::upload(server.address).map(drop))?;
    }
    for round in 0..counts.rounds {
        eprintln!("round {}/{}", round + 1, counts.rounds);
        for (_, server, _, figures) in &mut receivers {
            figures.time(server.address, counts.timed)?;
        }
        for (_, server, dir, figures) in &mut receivers {
            figures.count(server, counts.counted)?;
            receivers::empty(dir)?;
        }
    }

    let headers = [
        "receiver",
        "connect to ack µs, median",
        "p99",
        "size to ack µs, median",
        "p99",
        "1-byte uploads/s",
    ];
    let mut table = Table::new("Connections, warm, in memory", &headers);
    for (name, _, _, figures) in &receivers {
        let figure = |times, percent| format!("{:.0}", micros(percentile(times, percent)));
        let uploads = Spread::of(figures.per_second.iter().copied());
        table.row([
            (*name).to_owned(),
            figure(&figures.from_connect, 50),
            figure(&figures.from_connect, 99),
            figure(&figures.from_byte, 50),
            figure(&figures.from_byte, 99),
            uploads.map_or_else(String::new, |uploads| format!("{uploads:.0}")),
        ]);
    }
    table.note(format!(
        "The size has a line end, so that nothing waits for silence. {} connections one after the \
         other; uploads per second by {CLIENTS} clients at once. The times are the client's, with the \
         way there and back.",
        counts.timed * counts.rounds,
    ));
    Ok(table)
}

impl Figures {
    fn time(&mut self, to: SocketAddr, connections: usize) -> Result<()> {
        for _ in 0..connections {
            let (from_connect, from_byte) = feed::upload(to)?;
            self.from_connect.push(from_connect);
            self.from_byte.push(from_byte);
        }
        Ok(())
    }

    fn count(&mut self, server: &Server, uploads: usize) -> Result<()> {
        let each = uploads / CLIENTS;
        let since = Instant::now();
        std::thread::scope(|scope| {
            let client = || (0..each).try_for_each(|_| feed::upload(server.address).map(drop));
            let clients: Vec<_> = (0..CLIENTS).map(|_| scope.spawn(client)).collect();
            clients.into_iter().try_for_each(|client| match client.join() {
                Ok(result) => result,
                Err(_) => anyhow::bail!("a client panicked"),
            })
        })?;
        let uploads = (each * CLIENTS) as f64;
        self.per_second.push(uploads / since.elapsed().as_secs_f64());
        Ok(())
    }
}
