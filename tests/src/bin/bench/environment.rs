//! Where the benchmark runs: directories, programs, and the limits of the process.

use std::fmt;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context as _, Result, ensure};
use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};
use tempfile::TempDir;

use crate::process::Server;

/// A directory to receive into.
pub(crate) struct Place {
    /// What the table calls it.
    pub(crate) label: &'static str,
    directory: TempDir,
}

impl Place {
    pub(crate) fn path(&self) -> &Path {
        self.directory.path()
    }

    /// A fresh directory in it.
    pub(crate) fn directory(&self, name: &str) -> Result<PathBuf> {
        let path = self.path().join(name);
        std::fs::create_dir_all(&path)?;
        Ok(path)
    }
}

/// What durability a server promises with its receipts.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Durability {
    None,
    Commit,
    Full,
}

/// As `--durability` takes it.
impl fmt::Display for Durability {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::None => "none",
            Self::Commit => "commit",
            Self::Full => "full",
        })
    }
}

/// Directories and programs.
pub(crate) struct Environment {
    /// In memory; also where sources are, so that reading them costs nothing.
    pub(crate) tmpfs: Place,
    pub(crate) disk: Place,
    /// The compiled receiver; kept from one server to the next.
    cache: PathBuf,
    /// The `sandport` program.
    pub(crate) sandport: PathBuf,
    /// This program.
    pub(crate) own: PathBuf,
}

impl Environment {
    /// Makes the directories and, unless it is given, builds the `sandport` program.
    pub(crate) fn new(
        tmpfs: &Path,
        disk: Option<&Path>,
        sandport: Option<PathBuf>,
    ) -> Result<Self> {
        let own = std::env::current_exe()?;
        let target = own.parent().context("this program has no directory")?;
        let disk = disk.unwrap_or(target);
        let sandport = match sandport {
            Some(sandport) => sandport,
            None => {
                build()?;
                target.join("sandport")
            }
        };
        ensure!(sandport.is_file(), "there is no {}", sandport.display());
        let disk = place("disk", disk)?;
        let cache = disk.directory("cache")?;
        Ok(Self { tmpfs: place("tmpfs", tmpfs)?, disk, cache, sandport, own })
    }

    pub(crate) fn places(&self) -> [&Place; 2] {
        [&self.tmpfs, &self.disk]
    }

    /// `sandport serve`, with the cache that all servers share.
    pub(crate) fn serve(&self, dir: &Path, durability: Durability) -> Command {
        self.serve_with_cache(dir, durability, &self.cache)
    }

    /// `sandport serve`, which compiles the receiver if it is not in this cache.
    pub(crate) fn serve_with_cache(
        &self,
        dir: &Path,
        durability: Durability,
        cache: &Path,
    ) -> Command {
        let mut command = Command::new(&self.sandport);
        command.arg("serve").arg(dir).args(["--listen", "127.0.0.1:0", "--quiet"]);
        command.arg("--cache-dir").arg(cache).arg("--durability").arg(durability.to_string());
        command
    }

    /// A running `sandport serve`.
    pub(crate) fn sandport(&self, dir: &Path, durability: Durability) -> Result<Server> {
        Server::start(&mut self.serve(dir, durability))
    }

    /// `sandport send`, without talk.
    pub(crate) fn send(&self, path: &Path, to: &Server) -> Command {
        self.send_to(path, to.address)
    }

    /// The same, to an address that is not the server's own.
    pub(crate) fn send_to(&self, path: &Path, to: SocketAddr) -> Command {
        let mut command = Command::new(&self.sandport);
        command.args(["send", "--quiet"]).arg(path).arg(to.to_string());
        // Where the keys of uploads that can be resumed go.
        command.env("XDG_STATE_HOME", self.disk.path().join("state"));
        command
    }

    /// One of this program's own receivers, in a process of its own.
    pub(crate) fn receiver(&self, arguments: &[&str], dir: &Path) -> Result<Server> {
        Server::start(Command::new(&self.own).args(arguments).arg(dir))
    }
}

fn place(label: &'static str, in_directory: &Path) -> Result<Place> {
    let directory = tempfile::Builder::new()
        .prefix("sandport-bench-")
        .tempdir_in(in_directory)
        .with_context(|| format!("make a directory in {}", in_directory.display()))?;
    Ok(Place { label, directory })
}

/// Builds what is measured from the sources that are here, so that no old program is.
fn build() -> Result<()> {
    cargo(&["--release", "--package", "sandport"]).context("or give one with --sandport FILE")
}

/// Builds something of this workspace.
pub(crate) fn cargo(arguments: &[&str]) -> Result<()> {
    eprintln!("cargo build {}", arguments.join(" "));
    let cargo = std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into());
    let status = Command::new(cargo)
        .args(["build", "--locked", "--quiet"])
        .args(arguments)
        .current_dir(concat!(env!("CARGO_MANIFEST_DIR"), "/.."))
        .status()
        .context("start cargo")?;
    ensure!(status.success(), "cargo build {} failed", arguments.join(" "));
    Ok(())
}

/// Raises the number of descriptors that this process and those that it starts may have, and gives
/// it.
pub(crate) fn raise_descriptors() -> u64 {
    let Rlimit { maximum, .. } = getrlimit(Resource::Nofile);
    // Where it is not permitted, what was permitted before has to do.
    let _ = setrlimit(Resource::Nofile, Rlimit { current: maximum, maximum });
    getrlimit(Resource::Nofile).current.unwrap_or(u64::MAX)
}
