//! One large file, into memory and onto the disk.

use std::fs::File;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::time::Duration;

use anyhow::Result;

use crate::environment::{Durability, Environment, Place};
use crate::external::{Rsync, Ssh, offered, python};
use crate::feed::{self, Content};
use crate::process::{Server, run};
use crate::receivers;
use crate::rounds::{Amount, Contestant, alternate, sample, table, timed};
use crate::stats::Sample;
use crate::table::Table;

/// Runs all sections for both places.
pub(crate) fn run_part(environment: &Environment, size: u64, rounds: usize) -> Result<()> {
    let content = Content::new(size);
    for place in environment.places() {
        print!("{}", fed_alike(environment, place, &content, rounds)?);
    }
    print!("{}", durable(environment, &environment.disk, &content, rounds)?);
    for place in environment.places() {
        print!("{}", journal(environment, place, &content, rounds)?);
    }
    for place in environment.places() {
        print!("{}", own_clients(environment, place, &content, rounds)?);
    }
    Ok(())
}

/// A running receiver and the directory that it fills.
struct Receiver {
    server: Server,
    dir: PathBuf,
}

impl Receiver {
    fn native(environment: &Environment, place: &Place, arguments: &[&str]) -> Result<Self> {
        let dir = place.directory(&arguments.join("-"))?;
        let server = environment.receiver(arguments, &dir)?;
        Ok(Self { server, dir })
    }

    fn sandport(environment: &Environment, place: &Place, durability: Durability) -> Result<Self> {
        let dir = place.directory(&format!("sandport-{durability:?}"))?;
        let server = environment.sandport(&dir, durability)?;
        Ok(Self { server, dir })
    }

    fn sample(&self, transfer: impl FnOnce(SocketAddr) -> Result<Duration>) -> Result<Sample> {
        alone(&self.server, &self.dir, || transfer(self.server.address))
    }
}

fn fed_alike(
    environment: &Environment,
    place: &Place,
    content: &Content,
    rounds: usize,
) -> Result<Table> {
    let hashing = Receiver::native(environment, place, &["native-loop", "--hash"])?;
    let plain = Receiver::native(environment, place, &["native-loop"])?;
    let sandport = Receiver::sandport(environment, place, Durability::None)?;
    let python_dir = place.directory("python")?;
    let python = python(&python_dir, environment.disk.path())?
        .map(|server| Receiver { server, dir: python_dir });

    let classic = |address| feed::classic(address, content);
    let native = |round| move |address| feed::native(address, &format!("{round}.bin"), content);
    let mut contestants = vec![
        Contestant::new("native loop, BLAKE3", |_| hashing.sample(classic)),
        Contestant::new("Sandport, native dialect", |round| sandport.sample(native(round))),
        Contestant::new("Sandport, classic dialect", |_| sandport.sample(classic)),
        Contestant::new("native loop, no hash", |_| plain.sample(classic)),
    ];
    if let Some(python) = &python {
        contestants.push(Contestant::new("Python service, 1024 bytes a read, no hash", |_| {
            python.sample(classic)
        }));
    }
    alternate(&mut contestants, rounds)?;
    let mut table = table(title(content, place, ""), Amount::Bytes(content.size), &contestants);
    table.note(
        "One sender in this program feeds all of them from memory. Ratios are those of the same round \
         to the first row; above 1 is better. Sandport hashes in both dialects and syncs nothing here \
         (--durability none), as the loops do. The time ends with the receipt (native), or when the \
         receiver closes the connection, the file being complete.",
    );
    if python.is_none() {
        table.note("Left out: Python, which is not installed.");
    }
    Ok(table)
}

fn durable(
    environment: &Environment,
    place: &Place,
    content: &Content,
    rounds: usize,
) -> Result<Table> {
    let arguments = ["native-loop", "--hash", "--fsync"];
    let looped = Receiver::native(environment, place, &arguments)?;
    let sandport = Receiver::sandport(environment, place, Durability::Commit)?;
    let mut contestants = vec![
        Contestant::new("native loop, BLAKE3, fdatasync", |_| {
            looped.sample(|address| feed::classic(address, content))
        }),
        Contestant::new("Sandport, native dialect, --durability commit", |round| {
            let name = format!("{round}.bin");
            sandport.sample(|address| feed::native(address, &name, content))
        }),
    ];
    alternate(&mut contestants, rounds)?;
    let amount = Amount::Bytes(content.size);
    Ok(table(title(content, place, ", synced before the answer"), amount, &contestants))
}

/// What it costs that an upload can be resumed: the journal beside its bytes, and their syncs on the way.
fn journal(
    environment: &Environment,
    place: &Place,
    content: &Content,
    rounds: usize,
) -> Result<String> {
    let source = environment.tmpfs.directory("source")?.join("source.bin");
    content.write(&mut File::create(&source)?, |_| ())?;
    let mut tables = Vec::new();
    for durability in [Durability::None, Durability::Full] {
        let sandport = Receiver::sandport(environment, place, durability)?;
        let send = |resumable: bool| {
            let (sandport, source) = (&sandport, &source);
            move |round: usize| {
                let name = source.with_file_name(format!("{resumable}-{durability:?}-{round}.bin"));
                std::fs::hard_link(source, &name)?;
                let mut command = environment.send(&name, &sandport.server);
                if !resumable {
                    command.arg("--no-resume");
                }
                sandport.sample(|_| timed(|| run(&mut command)))
            }
        };
        let mut contestants = vec![
            Contestant::new("sandport send --no-resume", send(false)),
            Contestant::new("sandport send", send(true)),
        ];
        alternate(&mut contestants, rounds)?;
        let rest = format!(", --durability {durability}");
        let amount = Amount::Bytes(content.size);
        tables.push(table(title(content, place, &rest), amount, &contestants).to_string());
    }
    std::fs::remove_dir_all(environment.tmpfs.path().join("source"))?;
    Ok(tables.concat())
}

fn own_clients(
    environment: &Environment,
    place: &Place,
    content: &Content,
    rounds: usize,
) -> Result<Table> {
    let source = environment.tmpfs.directory("source")?.join("source.bin");
    content.write(&mut File::create(&source)?, |_| ())?;
    let scratch = environment.disk.path();
    let mut left_out = Vec::new();

    let sandport = Receiver::sandport(environment, place, Durability::None)?;
    let rsync_dir = place.directory("rsync")?;
    let rsync = offered("rsync", Rsync::start(&rsync_dir, scratch), &mut left_out);
    let scp_dir = place.directory("scp")?;
    let scp = offered("scp", Ssh::start(scratch), &mut left_out);
    let rsync = rsync.as_ref();
    let scp = scp.as_ref();

    let mut contestants = vec![Contestant::new("sandport send", |round| {
        let name = source.with_file_name(format!("sandport-{round}.bin"));
        std::fs::hard_link(&source, &name)?;
        sandport.sample(|_| timed(|| run(&mut environment.send(&name, &sandport.server))))
    })];
    if let Some(rsync) = rsync {
        contestants.push(Contestant::new("rsync, to a daemon", |_| {
            alone(&rsync.server, &rsync_dir, || timed(|| rsync.send(&source)))
        }));
    }
    if let Some(scp) = scp {
        contestants.push(Contestant::new("scp", |_| {
            alone(&scp.server, &scp_dir, || timed(|| scp.scp(&source, &scp_dir)))
        }));
    }
    alternate(&mut contestants, rounds)?;
    let amount = Amount::Bytes(content.size);
    let mut table =
        table(title(content, place, ", each with its own client"), amount, &contestants);
    table.note(
        "From a file in memory. The time includes that of the client's start; the processor time is \
         the receiver's. Nothing is synced.",
    );
    for reason in left_out {
        table.note(reason);
    }
    drop(contestants);
    std::fs::remove_dir_all(environment.tmpfs.path().join("source"))?;
    Ok(table)
}

/// Times one transfer into an empty directory and removes what it made.
fn alone(
    server: &Server,
    dir: &Path,
    transfer: impl FnOnce() -> Result<Duration>,
) -> Result<Sample> {
    receivers::empty(dir)?;
    let sample = sample(server, transfer)?;
    receivers::empty(dir)?;
    Ok(sample)
}

fn title(content: &Content, place: &Place, rest: &str) -> String {
    let mib = content.size / (1024 * 1024);
    format!("Large file: {mib} MiB over loopback, {}{rest}", place.label)
}
