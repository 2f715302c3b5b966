//! The native receivers that Sandport is compared with. They run in a process of their own, so that
//! their processor time and memory can be told from the sender's.

use std::fs::{self, File};
use std::io::{BufReader, Read, Write};
use std::net::{TcpListener, TcpStream};
use std::os::fd::OwnedFd;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use anyhow::{Context as _, Result, ensure};

use crate::http_receivers;

/// Size of the buffer that the loops read into, where nothing else is said. Bytes.
const BUFFER_BYTES: u64 = 1024 * 1024;

/// A receiver that is run by this program in a child process.
#[derive(Clone, Debug, clap::Subcommand)]
#[allow(clippy::enum_variant_names, reason = "the variants name the subcommands")]
pub(crate) enum Receiver {
    /// Reads a classic size, then reads, hashes and writes: a thread for each connection.
    NativeLoop {
        /// The directory for the files.
        dir: PathBuf,
        /// Whether to compute BLAKE3.
        #[arg(long)]
        hash: bool,
        /// Whether to sync each file before the connection is closed.
        #[arg(long)]
        fsync: bool,
        /// How much it reads and writes at a time, in bytes.
        #[arg(long, default_value_t = BUFFER_BYTES)]
        step: u64,
    },
    /// Takes files by PUT: reads, hashes with BLAKE3 and writes, a thread for each connection.
    HttpLoop {
        /// The directory for the files.
        dir: PathBuf,
        /// Whether to sync each file before the answer.
        #[arg(long)]
        fsync: bool,
    },
    /// Takes files by PUT with hyper.
    Hyper {
        /// The directory for the files.
        dir: PathBuf,
        /// Whether to sync each file and its directory before the answer.
        #[arg(long)]
        fsync: bool,
    },
    /// Gives each connection to a `tar x` of its own.
    TarLoop {
        /// The directory for the files.
        dir: PathBuf,
    },
    /// Reads a stream of small files and syncs each, with its directory.
    FsyncLoop {
        /// The directory for the files.
        dir: PathBuf,
    },
}

impl Receiver {
    /// Serves on a free port, which the first line on standard output names, until it is killed.
    pub(crate) fn run(self) -> Result<()> {
        if let Self::Hyper { dir, fsync } = self {
            return http_receivers::hyper(dir, fsync);
        }
        let listener = TcpListener::bind("127.0.0.1:0")?;
        println!("listening {}", listener.local_addr()?);
        let this = Arc::new(self);
        let count = Arc::new(AtomicU64::new(0));
        for stream in listener.incoming() {
            let (stream, this, count) = (stream?, Arc::clone(&this), Arc::clone(&count));
            std::thread::spawn(move || {
                if let Err(error) = this.serve(stream, &count) {
                    eprintln!("receiver: {error:#}");
                }
            });
        }
        Ok(())
    }

    fn serve(&self, stream: TcpStream, count: &AtomicU64) -> Result<()> {
        let number = count.fetch_add(1, Ordering::Relaxed);
        match self {
            Self::NativeLoop { dir, hash, fsync, step } => {
                native(stream, &dir.join(format!("{number}.bin")), *hash, *fsync, *step)
            }
            Self::HttpLoop { dir, fsync } => http_receivers::native(stream, dir, number, *fsync),
            // It has listened by itself.
            Self::Hyper { .. } => Ok(()),
            Self::TarLoop { dir } => untar(stream, &fresh(dir, number)?),
            Self::FsyncLoop { dir } => small_files(stream, &fresh(dir, number)?),
        }
    }
}

fn native(mut stream: TcpStream, path: &Path, hash: bool, fsync: bool, step: u64) -> Result<()> {
    stream.set_nodelay(true)?;
    let Some(size) = classic_size(&mut stream)? else { return Ok(()) };
    stream.write_all(b"ack")?;
    let mut file = File::create(path)?;
    let mut hasher = hash.then(blake3::Hasher::new);
    let mut buffer = vec![0; size.min(step) as usize];
    let mut left = size;
    while left > 0 {
        let room = left.min(step) as usize;
        let count = stream.read(&mut buffer[..room])?;
        ensure!(count > 0, "the connection ended {left} bytes early");
        if let Some(hasher) = &mut hasher {
            hasher.update(&buffer[..count]);
        }
        file.write_all(&buffer[..count])?;
        left -= count as u64;
    }
    std::hint::black_box(hasher.map(|hasher| hasher.finalize()));
    if fsync {
        file.sync_data()?;
    }
    Ok(())
}

/// The digits up to the line end; nothing follows them before the `ack`. `None`: there was nothing.
fn classic_size(stream: &mut TcpStream) -> Result<Option<u64>> {
    let mut digits = [0; 32];
    let mut length = 0;
    while !digits[..length].ends_with(b"\n") {
        ensure!(length < digits.len(), "no line end behind the size");
        match stream.read(&mut digits[length..])? {
            0 if length == 0 => return Ok(None),
            0 => return Err(std::io::Error::from(std::io::ErrorKind::UnexpectedEof).into()),
            count => length += count,
        }
    }
    Ok(Some(std::str::from_utf8(&digits[..length])?.trim().parse()?))
}

/// A directory for one stream of files.
fn fresh(dir: &Path, number: u64) -> Result<PathBuf> {
    let path = dir.join(number.to_string());
    fs::create_dir(&path)?;
    Ok(path)
}

/// `tar` gets the socket itself: no program in between copies, which is the best case for it.
fn untar(stream: TcpStream, dir: &Path) -> Result<()> {
    let input = Stdio::from(OwnedFd::from(stream.try_clone()?));
    let mut command = Command::new("tar");
    let status = command.arg("-xf").arg("-").arg("-C").arg(dir).stdin(input).status()?;
    ensure!(status.success(), "tar failed: {status}");
    Ok(())
}

/// Writes one file for [`small_files`].
pub(crate) fn write_small_file(to: &mut impl Write, name: &str, content: &[u8]) -> Result<()> {
    to.write_all(&u16::try_from(name.len())?.to_le_bytes())?;
    to.write_all(name.as_bytes())?;
    to.write_all(&u32::try_from(content.len())?.to_le_bytes())?;
    to.write_all(content)?;
    Ok(())
}

fn small_files(stream: TcpStream, dir: &Path) -> Result<()> {
    let mut input = BufReader::with_capacity(BUFFER_BYTES as usize, stream);
    let directory = File::open(dir)?;
    let mut length = [0; 2];
    while input.read_exact(&mut length).is_ok() {
        let mut name = vec![0; usize::from(u16::from_le_bytes(length))];
        input.read_exact(&mut name)?;
        let mut size = [0; 4];
        input.read_exact(&mut size)?;
        let mut content = vec![0; u32::from_le_bytes(size) as usize];
        input.read_exact(&mut content)?;
        let mut file = File::create(dir.join(std::str::from_utf8(&name)?))?;
        file.write_all(&content)?;
        file.sync_all()?;
        directory.sync_all()?;
    }
    Ok(())
}

/// Removes what a receiver has stored, but not what it keeps about it.
pub(crate) fn empty(dir: &Path) -> Result<()> {
    for entry in fs::read_dir(dir).with_context(|| format!("list {}", dir.display()))? {
        let entry = entry?;
        if entry.file_name() == ".sandport" {
            continue;
        }
        if entry.file_type()?.is_dir() {
            fs::remove_dir_all(entry.path())?;
        } else {
            fs::remove_file(entry.path())?;
        }
    }
    Ok(())
}
