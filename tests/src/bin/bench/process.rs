//! Receiving processes: started, found by the address in their first line, and ended.

use std::io::{BufRead, BufReader};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::sync::mpsc::channel;
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result, bail};

use crate::proc;

/// How long a server may take until it listens. A cold start compiles the receiver.
const START_PATIENCE: Duration = Duration::from_secs(60);

/// A receiving process. It is killed when this is dropped.
pub(crate) struct Server {
    child: Child,
    /// Where it listens.
    pub(crate) address: SocketAddr,
}

impl Server {
    /// Starts a program whose first line on standard output has its address in it, and waits for it.
    pub(crate) fn start(command: &mut Command) -> Result<Self> {
        let program = command.get_program().display().to_string();
        command.stdin(Stdio::null()).stdout(Stdio::piped());
        let mut child = command.spawn().with_context(|| format!("start {program}"))?;
        let output = child.stdout.take();
        let mut server = Self { child, address: SocketAddr::from(([0, 0, 0, 0], 0)) };
        let (first, line) = channel();
        std::thread::spawn(move || {
            let mut line = String::new();
            let read = output.map(|output| BufReader::new(output).read_line(&mut line));
            let _ = first.send(read.transpose().map(|_| line));
        });
        let Ok(line) = line.recv_timeout(START_PATIENCE) else {
            bail!("{program} said nothing for {} s", START_PATIENCE.as_secs());
        };
        let line = line?;
        server.address = address(&line)
            .with_context(|| format!("{program} did not say where it listens, but {line:?}"))?;
        Ok(server)
    }

    /// Starts a program that is told its port and says nothing: `command` makes it. Waits until
    /// somebody listens there.
    pub(crate) fn start_on_port(
        command: impl FnOnce(SocketAddr) -> Result<Command>,
    ) -> Result<Self> {
        // The port is free when the program gets to it, unless somebody takes it in between.
        let address = TcpListener::bind("127.0.0.1:0")?.local_addr()?;
        let mut command = command(address)?;
        command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null());
        let program = command.get_program().display().to_string();
        let child = command.spawn().with_context(|| format!("start {program}"))?;
        let mut server = Self { child, address };
        let since = Instant::now();
        while TcpStream::connect(address).is_err() {
            if let Some(status) = server.child.try_wait()? {
                bail!("{program} ended: {status}");
            }
            if since.elapsed() > START_PATIENCE {
                bail!("{program} does not listen on {address}");
            }
            std::thread::sleep(Duration::from_millis(5));
        }
        Ok(server)
    }

    pub(crate) fn pid(&self) -> u32 {
        self.child.id()
    }

    /// Processor time used so far, with that of children that have ended.
    pub(crate) fn cpu(&self) -> Result<Duration> {
        proc::wait_for_children(self.pid());
        proc::cpu(self.pid())
    }

    /// Memory now.
    pub(crate) fn memory(&self) -> Result<proc::Memory> {
        proc::memory(self.pid())
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        // It may have ended by itself.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// The address in a ready line: the first word that is one.
fn address(line: &str) -> Option<SocketAddr> {
    line.split_ascii_whitespace().find_map(|word| word.trim_end_matches(',').parse().ok())
}

/// Runs a program to its end, silently.
pub(crate) fn run(command: &mut Command) -> Result<()> {
    let program = command.get_program().display().to_string();
    let output =
        command.stdin(Stdio::null()).output().with_context(|| format!("start {program}"))?;
    if !output.status.success() {
        let words = String::from_utf8_lossy(&output.stderr);
        bail!("{program} failed, {}: {}", output.status, words.trim());
    }
    Ok(())
}

/// Where a program is: on the path, or among those for the administrator.
pub(crate) fn installed(program: &str) -> Option<std::path::PathBuf> {
    let path = std::env::var_os("PATH").unwrap_or_default();
    std::env::split_paths(&path)
        .chain([Path::new("/usr/sbin").to_path_buf()])
        .map(|directory| directory.join(program))
        .find(|candidate| candidate.is_file())
}
