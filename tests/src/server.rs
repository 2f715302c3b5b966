//! A running `sandport serve`.

use std::ffi::{OsStr, OsString};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use rustix::process::Signal;
use serde_json::Value;
use tempfile::TempDir;

use crate::artifacts;
use crate::deadline::{Deadline, until};
use crate::events::Events;
use crate::files::{self, Tree};
use crate::process::{self, Ended, Guarded};

/// How a server is to be started.
#[derive(Debug)]
pub struct Setup {
    flags: Vec<OsString>,
    inbox: Option<PathBuf>,
    receiver: Option<PathBuf>,
    cache: bool,
    /// What runs the binary, with its arguments.
    wrapper: Vec<OsString>,
    /// The standalone component under a stock runtime, and not the binary.
    standalone: bool,
}

impl Setup {
    /// On a port of the system's choice, in an inbox of its own. `flags` are added.
    pub fn new<S: AsRef<OsStr>>(flags: impl IntoIterator<Item = S>) -> Self {
        let flags = flags.into_iter().map(|flag| flag.as_ref().to_owned()).collect();
        Self {
            flags,
            inbox: None,
            receiver: artifacts::chosen_receiver(),
            cache: true,
            wrapper: Vec::new(),
            standalone: false,
        }
    }

    /// In this directory.
    pub fn inbox(mut self, inbox: impl Into<PathBuf>) -> Self {
        self.inbox = Some(inbox.into());
        self
    }

    /// With this receiver.
    pub fn receiver(mut self, receiver: impl Into<PathBuf>) -> Self {
        self.receiver = Some(receiver.into());
        self
    }

    /// Without the cache that all servers of the tests share.
    pub fn without_cache(mut self) -> Self {
        self.cache = false;
        self
    }

    /// The standalone component, run by wasmtime, in place of the binary.
    pub fn standalone(mut self) -> Self {
        self.standalone = true;
        self
    }

    /// As an argument of another program.
    pub fn wrapped<S: AsRef<OsStr>>(mut self, wrapper: impl IntoIterator<Item = S>) -> Self {
        self.wrapper = wrapper.into_iter().map(|part| part.as_ref().to_owned()).collect();
        self
    }

    /// Starts it and waits until it is ready.
    #[track_caller]
    pub fn start(self) -> Server {
        let directory = tempfile::tempdir().expect("a temporary directory");
        let inbox = self.inbox.clone().unwrap_or_else(|| directory.path().join("inbox"));
        let mut command = self.command(&inbox, directory.path());
        command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped());
        let mut process = Guarded::spawn(&mut command);
        let (stdout, stderr) = process.take_output();
        let mut events = Events::read(stdout, stderr);
        let ready = events.wait("the ready line", |event| event["type"] == "listening");
        let addresses = ready["addresses"].as_array().expect("addresses are a list");
        let addresses = addresses
            .iter()
            .map(|it| it.as_str().expect("an address is text").to_owned())
            .collect();
        Server { process, events, ready, addresses, inbox, _directory: directory }
    }

    /// Starts it where it is expected to end by itself.
    pub fn start_and_fail(self) -> Ended {
        let directory = tempfile::tempdir().expect("a temporary directory");
        let inbox = self.inbox.clone().unwrap_or_else(|| directory.path().join("inbox"));
        process::run(&mut self.command(&inbox, directory.path()), b"")
    }

    fn command(&self, inbox: &Path, directory: &Path) -> Command {
        if self.standalone {
            return self.stock_command(inbox, directory);
        }
        let binary = artifacts::sandport();
        let mut command = match self.wrapper.split_first() {
            Some((program, arguments)) => {
                let mut command = Command::new(program);
                command.args(arguments).arg(binary);
                command
            }
            None => Command::new(binary),
        };
        artifacts::without_settings(&mut command);
        command.current_dir(directory).args(["--json", "serve"]).arg(inbox);
        if !self.flags.iter().any(|flag| flag == "-l" || flag == "--listen") {
            command.args(["--listen", "127.0.0.1:0"]);
        }
        if let Some(receiver) = &self.receiver {
            command.arg("--receiver").arg(receiver);
        }
        if self.cache {
            command.arg("--cache-dir").arg(artifacts::cache_dir());
        }
        command.args(&self.flags);
        command
    }
}

impl Setup {
    /// As the README says, but for the port and the directory.
    fn stock_command(&self, inbox: &Path, directory: &Path) -> Command {
        std::fs::create_dir_all(inbox).expect("the directory to mount can be made");
        let mut mount = inbox.as_os_str().to_owned();
        mount.push("::/inbox");
        let mut command = Command::new(artifacts::wasmtime());
        artifacts::without_settings(&mut command);
        command.current_dir(directory).args(["run", "-S", "inherit-network", "--dir"]).arg(mount);
        command.arg(artifacts::standalone()).arg("--json");
        if !self.flags.iter().any(|flag| flag == "-l" || flag == "--listen") {
            command.args(["--listen", "127.0.0.1:0"]);
        }
        command.args(&self.flags);
        command
    }
}

/// A server that listens. It is killed when this is dropped.
#[derive(Debug)]
pub struct Server {
    process: Guarded,
    /// What it reports.
    pub events: Events,
    ready: Value,
    addresses: Vec<String>,
    inbox: PathBuf,
    _directory: TempDir,
}

impl Server {
    /// Starts one with these flags, on a port of the system's choice, in an inbox of its own.
    pub fn start<const N: usize>(flags: [&str; N]) -> Self {
        Setup::new(flags).start()
    }

    /// The event by which it said that it listens.
    pub fn ready(&self) -> &Value {
        &self.ready
    }

    /// The first address that it listens on.
    pub fn address(&self) -> &str {
        &self.addresses[0]
    }

    /// All addresses that it listens on.
    pub fn addresses(&self) -> &[String] {
        &self.addresses
    }

    /// The directory that receives the files.
    pub fn inbox(&self) -> &Path {
        &self.inbox
    }

    /// What was published.
    pub fn published(&self) -> Tree {
        files::published(&self.inbox)
    }

    /// The content of one published file.
    pub fn content(&self, name: &str) -> Vec<u8> {
        let path = self.inbox.join(name);
        std::fs::read(&path).unwrap_or_else(|error| panic!("{}: {error}", path.display()))
    }

    /// Names of what lies in staging.
    pub fn staged(&self) -> Vec<String> {
        files::names_in(&self.inbox.join(".sandport/staging"))
    }

    /// Waits until nothing lies in staging. What is not published is removed by threads that nobody waits for, so who
    /// is refused may hear of it first.
    #[track_caller]
    pub fn wait_nothing_staged(&self) {
        until("the end of what is staged", || self.staged().is_empty());
    }

    /// Waits until a file is stored; its name.
    #[track_caller]
    pub fn wait_stored(&mut self) -> String {
        let event = self.events.wait("a stored file", |event| event["type"] == "stored");
        event["name"].as_str().expect("a name is text").to_owned()
    }

    /// Waits until something is refused with this code.
    #[track_caller]
    pub fn wait_refused(&mut self, code: &str) -> Value {
        self.events.wait(&format!("a refusal with {code}"), |event| {
            event["type"] == "refused" && event["code"] == code
        })
    }

    /// Waits until a receiver traps; the reason.
    #[track_caller]
    pub fn wait_trapped(&mut self) -> String {
        let event = self.events.wait("a trap", |event| event["type"] == "trapped");
        event["reason"].as_str().expect("a reason is text").to_owned()
    }

    /// Types Ctrl-C.
    pub fn interrupt(&self) {
        self.signal(Signal::INT);
    }

    /// Sends a signal.
    pub fn signal(&self, signal: Signal) {
        self.process.signal(signal);
    }

    /// Kills it, as the system does when memory runs out.
    pub fn kill(&mut self) {
        self.process.signal(Signal::KILL);
        self.wait_for_end();
    }

    /// Waits for the end of the process; its exit code.
    #[track_caller]
    pub fn wait_for_end(&mut self) -> Option<i32> {
        self.events.wait_for_end();
        let deadline = Deadline::new();
        match deadline.poll(|| self.process.try_wait()) {
            Some(status) => status.code(),
            None => panic!(
                "{}; {}",
                deadline.missed("the end of a server that has closed its output"),
                self.events.told()
            ),
        }
    }

    /// Asks it to stop and waits until it has: all connections are over then.
    #[track_caller]
    pub fn stop(&mut self) -> Option<i32> {
        self.interrupt();
        self.wait_for_end()
    }

    /// How much memory it has. Bytes.
    pub fn resident_bytes(&self) -> u64 {
        let path = format!("/proc/{}/status", self.process.pid().as_raw_nonzero());
        let status = std::fs::read_to_string(path).expect("the server runs");
        let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:"));
        let kib = line.and_then(|line| line.trim().strip_suffix(" kB")?.parse::<u64>().ok());
        kib.expect("a number of kB") * 1024
    }

    /// How many of the files below a directory of its inbox it has open.
    pub fn open_files(&self, directory: &str) -> usize {
        let below = self.inbox.join(directory).canonicalize().expect("a directory of the inbox");
        let path = format!("/proc/{}/fd", self.process.pid().as_raw_nonzero());
        let open = std::fs::read_dir(path).expect("the server runs").flatten();
        let paths = open.filter_map(|entry| std::fs::read_link(entry.path()).ok());
        paths.filter(|path| path.starts_with(&below) && *path != below).count()
    }

    /// How many times it has told of a stored file. Of all, once it has ended.
    pub fn told_stored(&self) -> usize {
        self.events.count("stored")
    }

    /// Stops it, and checks that nothing is published and nothing left behind.
    #[track_caller]
    pub fn stop_and_expect_nothing(&mut self) {
        assert_eq!(self.stop(), Some(0));
        assert_eq!(self.published(), Tree::default(), "nothing may be published");
        assert_eq!(self.staged(), [""; 0], "nothing may be left in staging");
    }
}
