//! Uploads over HTTP: by PUT, forms and tus, beside native receivers and other servers.

mod feed;
mod peers;

use std::fs::File;
use std::path::{Path, PathBuf};

use anyhow::Result;

pub(crate) use feed::Connection;

use crate::environment::{Durability, Environment, Place};
use crate::external::offered;
use crate::feed::{Content, noise};
use crate::process::Server;
use crate::receivers;
use crate::rounds::{Amount, Contestant, alternate, sample, table};
use crate::stats::Sample;
use crate::table::Table;

/// What a kept connection puts. Bytes.
const SMALL_BYTES: usize = 4096;

/// Connections that put small files at once.
const SMALL_CONNECTIONS: u64 = 64;

/// The smaller of the two sizes of an append of tus, which its clients have as a setting. Bytes.
const APPEND_BYTES: u64 = 64 * 1024 * 1024;

/// Runs all sections.
pub(crate) fn run_part(
    environment: &Environment,
    size: u64,
    files: u64,
    rounds: usize,
) -> Result<()> {
    let content = Content::new(size);
    let source = environment.tmpfs.directory("source")?.join("source.bin");
    content.write(&mut File::create(&source)?, |_| ())?;
    for place in environment.places() {
        print!("{}", fed_alike(environment, place, &source, size, rounds)?);
        print!("{}", servers(environment, place, &source, size, rounds)?);
        print!("{}", tus(environment, place, &content, rounds)?);
    }
    std::fs::remove_dir_all(environment.tmpfs.path().join("source"))?;
    for place in environment.places() {
        for durability in [Durability::None, Durability::Full] {
            print!("{}", small(environment, place, files, durability, rounds)?);
        }
    }
    Ok(())
}

/// A running receiver, and the directory that it fills.
struct Receiver {
    name: String,
    server: Server,
    dir: PathBuf,
}

impl Receiver {
    fn sandport(environment: &Environment, place: &Place, durability: Durability) -> Result<Self> {
        let name = format!("Sandport, --durability {durability}");
        let dir = place.directory(&format!("http-sandport-{durability}"))?;
        Ok(Self { server: environment.sandport(&dir, durability)?, name, dir })
    }

    fn native(
        environment: &Environment,
        place: &Place,
        arguments: &[&str],
        name: &str,
    ) -> Result<Self> {
        let dir = place.directory(&arguments.join("-"))?;
        Ok(Self { server: environment.receiver(arguments, &dir)?, name: name.to_owned(), dir })
    }

    /// What one transfer takes, into a directory that is emptied before and after.
    fn sample(
        &self,
        transfer: impl FnOnce(&Self) -> Result<std::time::Duration>,
    ) -> Result<Sample> {
        receivers::empty(&self.dir)?;
        let sample = sample(&self.server, || transfer(self))?;
        receivers::empty(&self.dir)?;
        Ok(sample)
    }
}

fn fed_alike(
    environment: &Environment,
    place: &Place,
    source: &Path,
    size: u64,
    rounds: usize,
) -> Result<Table> {
    let looped = Receiver::native(environment, place, &["http-loop"], "native loop")?;
    let sandport = Receiver::sandport(environment, place, Durability::None)?;
    let (looped, sandport) = (&looped, &sandport);
    let mut contestants = vec![
        Contestant::new("native loop, BLAKE3: curl -T FILE", |_| {
            looped.sample(|it| feed::put(it.server.address, "/noise.bin", source))
        }),
        Contestant::new("Sandport: curl -T FILE", |_| {
            sandport.sample(|it| feed::put(it.server.address, "/noise.bin", source))
        }),
        Contestant::new("native loop, BLAKE3: curl -T -, in chunks", |_| {
            looped.sample(|it| feed::put_chunked(it.server.address, "/noise.bin", source))
        }),
        Contestant::new("Sandport: curl -T -, in chunks", |_| {
            sandport.sample(|it| feed::put_chunked(it.server.address, "/noise.bin", source))
        }),
        Contestant::new("Sandport: curl -F file=@FILE", |_| {
            sandport.sample(|it| feed::form(it.server.address, "/", "file", source))
        }),
    ];
    let title = format!("HTTP: {} MiB by curl, {}", mib(size), place.label);
    let mut table = compared(title, Amount::Bytes(size), &mut contestants, rounds)?;
    table.note(
        "The native loop reads, hashes and writes with a thread for each connection. Nothing is synced \
         (--durability none). The time includes that of curl's start.",
    );
    Ok(table)
}

/// Other servers, each as it comes.
fn servers(
    environment: &Environment,
    place: &Place,
    source: &Path,
    size: u64,
    rounds: usize,
) -> Result<Table> {
    let mut left_out = Vec::new();
    let full = Receiver::sandport(environment, place, Durability::Full)?;
    let none = Receiver::sandport(environment, place, Durability::None)?;
    let scratch = environment.disk.path();
    let mut puts = Vec::new();
    let mut offer = |name: &str, start: &dyn Fn(&Path) -> Result<Option<Server>>| -> Result<()> {
        let dir = place.directory(&format!("http-{}", first_word(name)))?;
        if let Some(server) = offered(name, start(&dir), &mut left_out) {
            puts.push(Receiver { name: name.to_owned(), server, dir });
        }
        Ok(())
    };
    offer("dufs", &peers::dufs)?;
    offer("rclone serve webdav", &peers::rclone)?;
    offer("nginx, dav_methods PUT", &|dir| peers::nginx(dir, scratch))?;
    offer("copyparty, SHA-512", &peers::copyparty)?;
    let dir = place.directory("http-miniserve")?;
    let miniserve = offered("miniserve", peers::miniserve(&dir), &mut left_out)
        .map(|server| Receiver { name: "miniserve".to_owned(), server, dir });

    let mut contestants: Vec<_> = [&full, &none]
        .into_iter()
        .chain(&puts)
        .map(|receiver| {
            Contestant::new(format!("{}: curl -T FILE", receiver.name), move |_| {
                receiver.sample(|it| feed::put(it.server.address, "/noise.bin", source))
            })
        })
        .collect();
    contestants.push(Contestant::new("Sandport, --durability none: curl -F file=@FILE", |_| {
        none.sample(|it| feed::form(it.server.address, "/", "file", source))
    }));
    if let Some(miniserve) = &miniserve {
        contestants.push(Contestant::new("miniserve: curl -F path=@FILE", |_| {
            miniserve.sample(|it| feed::form(it.server.address, "/upload?path=/", "path", source))
        }));
    }
    let title = format!("HTTP: {} MiB by curl to other servers, {}", mib(size), place.label);
    let mut table = compared(title, Amount::Bytes(size), &mut contestants, rounds)?;
    table.note(
        "Sandport computes BLAKE3, and syncs with --durability full; no other one syncs, and none but \
         copyparty hashes.",
    );
    left_out.into_iter().for_each(|reason| table.note(reason));
    Ok(table)
}

fn tus(
    environment: &Environment,
    place: &Place,
    content: &Content,
    rounds: usize,
) -> Result<Table> {
    let mut left_out = Vec::new();
    let mut receivers = vec![
        (Receiver::sandport(environment, place, Durability::Full)?, "/files/", true),
        (Receiver::sandport(environment, place, Durability::None)?, "/files/", true),
    ];
    let scratch = environment.disk.path();
    let mut offer = |name: &str,
                     start: &dyn Fn(&Path) -> Result<Option<peers::Tus>>|
     -> Result<()> {
        let dir = place.directory(&format!("tus-{}", first_word(name).replace('/', "-")))?;
        if let Some(peers::Tus { server, target, has_files }) =
            offered(name, start(&dir), &mut left_out)
        {
            receivers.push((Receiver { name: name.to_owned(), server, dir }, target, has_files));
        }
        Ok(())
    };
    offer("@tus/server", &|dir| peers::tus_node(dir, scratch))?;
    offer("rustus", &peers::rustus)?;
    offer("SeaweedFS", &peers::seaweedfs)?;

    let size = content.size;
    let mut contestants = Vec::new();
    for step in [size, APPEND_BYTES.min(size)] {
        for (receiver, target, has_files) in &receivers {
            let name = format!("{}, {} MiB in a PATCH", receiver.name, mib(step));
            contestants.push(Contestant::new(name, move |_| {
                let transfer = |address| feed::tus(address, target, content, step);
                match has_files {
                    true => receiver.sample(|it| transfer(it.server.address)),
                    false => sample(&receiver.server, || transfer(receiver.server.address)),
                }
            }));
        }
    }
    let title = format!("HTTP: {} MiB by tus 1.0, {}", mib(size), place.label);
    let mut table = compared(title, Amount::Bytes(size), &mut contestants, rounds)?;
    table.note(
        "One client in this program feeds all of them from memory, on one connection. Sandport computes \
         BLAKE3, and syncs with --durability full; the others do neither.",
    );
    left_out.into_iter().for_each(|reason| table.note(reason));
    Ok(table)
}

fn small(
    environment: &Environment,
    place: &Place,
    files: u64,
    durability: Durability,
    rounds: usize,
) -> Result<Table> {
    let durable = durability != Durability::None;
    let arguments: &[&str] = if durable { &["hyper", "--fsync"] } else { &["hyper"] };
    let hyper = Receiver::native(environment, place, arguments, "hyper, BLAKE3")?;
    let sandport = Receiver::sandport(environment, place, durability)?;
    let content = noise(SMALL_BYTES);
    let files = files - files % SMALL_CONNECTIONS;
    let mut contestants: Vec<_> = [&hyper, &sandport]
        .into_iter()
        .map(|receiver| {
            let content = &content;
            Contestant::new(receiver.name.clone(), move |round| {
                receiver.sample(|it| {
                    let prefix = round.to_string();
                    feed::small(it.server.address, &prefix, content, files, SMALL_CONNECTIONS)
                })
            })
        })
        .collect();
    let synced = if durable { ", synced before each answer" } else { "" };
    let title = format!(
        "HTTP: {files} PUTs of {SMALL_BYTES} bytes on {SMALL_CONNECTIONS} kept connections, {}{synced}",
        place.label
    );
    let mut table = compared(title, Amount::Files(files), &mut contestants, rounds)?;
    table.note(
        "Each request has a sandbox of its own. hyper writes, hashes, syncs and renames each file.",
    );
    Ok(table)
}

/// The table of what the contestants take.
fn compared(
    title: String,
    amount: Amount,
    contestants: &mut [Contestant<'_>],
    rounds: usize,
) -> Result<Table> {
    alternate(contestants, rounds)?;
    Ok(table(title, amount, contestants))
}

/// Of a name in the table, for a directory: not every server takes blanks and commas in its path.
fn first_word(name: &str) -> &str {
    name.split([' ', ',']).next().unwrap_or(name)
}

fn mib(bytes: u64) -> u64 {
    bytes / (1024 * 1024)
}
