//! Ten thousand small files, into memory and onto the disk.

use std::fs;
use std::io::{BufWriter, Write};
use std::net::Shutdown;
use std::os::fd::OwnedFd;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use anyhow::{Result, ensure};

use crate::environment::{Durability, Environment, Place};
use crate::external::{Rsync, Ssh, offered};
use crate::feed;
use crate::process::{Server, installed, run};
use crate::receivers::write_small_file;
use crate::rounds::{Amount, Contestant, alternate, sample, table};
use crate::stats::Sample;
use crate::table::Table;

/// Size of each file, in bytes.
const FILE_BYTES: usize = 4096;

/// Size of the writes of the sender in this program, in bytes.
const WRITE_BYTES: usize = 1024 * 1024;

/// Runs both sections for both places.
pub(crate) fn run_part(environment: &Environment, files: u64, rounds: usize) -> Result<()> {
    let source = Source::make(environment, files)?;
    for place in environment.places() {
        print!("{}", streamed(environment, place, &source, rounds)?);
    }
    for place in environment.places() {
        print!("{}", durable(environment, place, &source, rounds)?);
    }
    Ok(())
}

/// The files to send, in memory.
struct Source {
    dir: PathBuf,
    files: u64,
}

impl Source {
    fn make(environment: &Environment, files: u64) -> Result<Self> {
        let dir = environment.tmpfs.directory("small")?.join("tree");
        fs::create_dir(&dir)?;
        let mut content = feed::noise(FILE_BYTES);
        for number in 0..files {
            content[..8].copy_from_slice(&number.to_le_bytes());
            fs::write(dir.join(format!("{number:05}.bin")), &content)?;
        }
        Ok(Self { dir, files })
    }

    /// Sends the directory with `sandport send`, under a name that the server has not seen.
    fn send(&self, environment: &Environment, to: &Server, round: usize) -> Result<Duration> {
        self.renamed(round, |directory| run(&mut environment.send(directory, to)))
    }

    /// Times what is done with the directory, under a name of this round.
    fn renamed(&self, round: usize, work: impl FnOnce(&Path) -> Result<()>) -> Result<Duration> {
        let name = self.dir.with_file_name(format!("tree-{round}"));
        fs::rename(&self.dir, &name)?;
        let since = Instant::now();
        let done = work(&name);
        let wall = since.elapsed();
        fs::rename(&name, &self.dir)?;
        done.map(|()| wall)
    }

    /// `tar c` writes into the socket itself.
    fn tar(&self, to: &Server) -> Result<Duration> {
        let since = Instant::now();
        let mut stream = feed::connect(to.address)?;
        let output = Stdio::from(OwnedFd::from(stream.try_clone()?));
        let mut command = Command::new("tar");
        let status =
            command.args(["-cf", "-", "-C"]).arg(&self.dir).arg(".").stdout(output).status()?;
        ensure!(status.success(), "tar failed: {status}");
        stream.shutdown(Shutdown::Write)?;
        feed::wait_for_end(&mut stream)?;
        Ok(since.elapsed())
    }

    /// One classic connection for each file, one after the other.
    fn one_by_one(&self, to: &Server) -> Result<Duration> {
        let since = Instant::now();
        for number in 0..self.files {
            let content = fs::read(self.dir.join(format!("{number:05}.bin")))?;
            let mut stream = feed::connect(to.address)?;
            feed::announce(&mut stream, content.len() as u64)?;
            stream.write_all(&content)?;
            feed::wait_for_end(&mut stream)?;
        }
        Ok(since.elapsed())
    }

    /// All files in one stream, for the loop that syncs each.
    fn stream(&self, to: &Server) -> Result<Duration> {
        let since = Instant::now();
        let mut stream = feed::connect(to.address)?;
        let mut output = BufWriter::with_capacity(WRITE_BYTES, stream.try_clone()?);
        for number in 0..self.files {
            let name = format!("{number:05}.bin");
            write_small_file(&mut output, &name, &fs::read(self.dir.join(&name))?)?;
        }
        output.flush()?;
        stream.shutdown(Shutdown::Write)?;
        feed::wait_for_end(&mut stream)?;
        Ok(since.elapsed())
    }
}

fn streamed(
    environment: &Environment,
    place: &Place,
    source: &Source,
    rounds: usize,
) -> Result<Table> {
    let (tar_dir, tar) = receiver(environment, place, "tar-loop")?;
    let (loop_dir, looped) = receiver(environment, place, "native-loop")?;
    let dir = place.directory("sandport-none")?;
    let sandport = environment.sandport(&dir, Durability::None)?;

    let mut contestants = Vec::new();
    let has_tar = installed("tar").is_some();
    if has_tar {
        contestants.push(Contestant::new("tar c, socket, tar x", |_| {
            counted(source, &tar, &tar_dir, || source.tar(&tar))
        }));
    }
    contestants.push(Contestant::new("sandport send DIRECTORY, --durability none", |round| {
        counted(source, &sandport, &dir, || source.send(environment, &sandport, round))
    }));
    contestants.push(Contestant::new("Sandport classic, a connection for each file", |_| {
        counted(source, &sandport, &dir, || source.one_by_one(&sandport))
    }));
    contestants.push(Contestant::new("native loop, a connection for each file", |_| {
        counted(source, &looped, &loop_dir, || source.one_by_one(&looped))
    }));
    alternate(&mut contestants, rounds)?;
    let mut table = table(title(source, place, ""), Amount::Files(source.files), &contestants);
    table.note(
        "From files in memory. Ratios are those of the same round to the first row; above 1 is better. \
         Both tars have the socket itself as their output and input. Nothing is synced. On ext4, a run in \
         the minutes after another is slower: it avoids the inodes of files that were just deleted.",
    );
    if !has_tar {
        table.note("Left out: tar, which is not installed.");
    }
    Ok(table)
}

fn durable(
    environment: &Environment,
    place: &Place,
    source: &Source,
    rounds: usize,
) -> Result<Table> {
    let (loop_dir, looped) = receiver(environment, place, "fsync-loop")?;
    let dir = place.directory("sandport-commit")?;
    let sandport = environment.sandport(&dir, Durability::Commit)?;
    let scratch = environment.disk.path();
    let mut left_out = Vec::new();
    let rsync_dir = place.directory("rsync-fsync")?;
    let rsync = offered("rsync", Rsync::start(&rsync_dir, scratch), &mut left_out);
    let ssh = offered("scp and rsync over ssh", Ssh::start(scratch), &mut left_out);
    let (scp_dir, ssh_rsync_dir) = (place.directory("scp-small")?, place.directory("rsync-ssh")?);
    let mut contestants = vec![
        Contestant::new("loop with fsync of each file and its directory", |_| {
            counted(source, &looped, &loop_dir, || source.stream(&looped))
        }),
        Contestant::new("sandport send DIRECTORY, --durability commit", |round| {
            counted(source, &sandport, &dir, || source.send(environment, &sandport, round))
        }),
    ];
    if let Some(rsync) = &rsync
        && let Some(send) = rsync.fsync()
    {
        let rsync_dir = &rsync_dir;
        contestants.push(Contestant::new("rsync --recursive --fsync, to a daemon", move |round| {
            counted(source, &rsync.server, rsync_dir, || {
                source.renamed(round, |directory| send(directory))
            })
        }));
    }
    if let Some(ssh) = &ssh {
        if let Some(send) = ssh.rsync() {
            let dir = &ssh_rsync_dir;
            contestants.push(Contestant::new(
                "rsync --archive, over ssh, syncs nothing",
                move |round| {
                    counted(source, &ssh.server, dir, || {
                        source.renamed(round, |directory| send(directory, dir))
                    })
                },
            ));
        }
        contestants.push(Contestant::new("scp -r, syncs nothing", |round| {
            counted(source, &ssh.server, &scp_dir, || {
                source.renamed(round, |directory| ssh.scp(directory, &scp_dir))
            })
        }));
    }
    alternate(&mut contestants, rounds)?;
    let amount = Amount::Files(source.files);
    let mut table =
        table(title(source, place, ", synced before each answer"), amount, &contestants);
    if place.label == environment.tmpfs.label {
        table.note(
            "In memory a sync costs next to nothing: this is what durability costs beside it.",
        );
    }
    for reason in left_out {
        table.note(reason);
    }
    Ok(table)
}

fn receiver(environment: &Environment, place: &Place, kind: &str) -> Result<(PathBuf, Server)> {
    let dir = place.directory(&format!("small-{kind}"))?;
    let server = environment.receiver(&[kind], &dir)?;
    Ok((dir, server))
}

/// Times one transfer and counts what arrived. What was received stays until the benchmark ends: for
/// minutes after a file was deleted, ext4 steps over its inode each time that another is made, and
/// what follows ten thousand deletions would be ten times slower than it is.
fn counted(
    source: &Source,
    server: &Server,
    dir: &Path,
    transfer: impl FnOnce() -> Result<Duration>,
) -> Result<Sample> {
    let before = count(dir)?;
    let sample = sample(server, transfer)?;
    let arrived = count(dir)? - before;
    ensure!(arrived == source.files, "{arrived} files arrived, not {}", source.files);
    Ok(sample)
}

/// The files in a directory and those below it, without what a server keeps about them.
fn count(dir: &Path) -> Result<u64> {
    let mut files = 0;
    for entry in fs::read_dir(dir)? {
        let entry = entry?;
        if entry.file_type()?.is_dir() {
            files += if entry.file_name() == ".sandport" { 0 } else { count(&entry.path())? };
        } else {
            files += 1;
        }
    }
    Ok(files)
}

fn title(source: &Source, place: &Place, rest: &str) -> String {
    let files = source.files;
    format!("Small files: {files} of {FILE_BYTES} bytes, {}{rest}", place.label)
}
