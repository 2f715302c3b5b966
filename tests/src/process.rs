//! Child processes that end with the test.

use std::io::{Read, Write};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::sync::mpsc::{Receiver, channel};
use std::thread;

use rustix::process::{Pid, Signal};

use crate::PATIENCE;

/// How a process ended, and what it had written.
#[derive(Debug)]
pub struct Ended {
    /// The exit code; `None`: a signal ended it.
    pub code: Option<i32>,
    /// Standard output.
    pub stdout: String,
    /// Standard error.
    pub stderr: String,
}

/// A child that is killed when it is dropped.
#[derive(Debug)]
pub struct Guarded(pub Child);

impl Drop for Guarded {
    fn drop(&mut self) {
        // It may have ended.
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

impl Guarded {
    /// Starts a process.
    pub fn spawn(command: &mut Command) -> Self {
        Self(command.spawn().unwrap_or_else(|error| panic!("{command:?}: {error}")))
    }

    /// Sends a signal.
    pub fn signal(&self, signal: Signal) {
        let id = i32::try_from(self.0.id()).expect("process numbers are small");
        let id = Pid::from_raw(id).expect("a child has a process number");
        rustix::process::kill_process(id, signal).expect("the child runs");
    }

    /// Waits for the end of a process that has closed its output, as it does at its end.
    pub fn wait(&mut self) -> ExitStatus {
        self.0.wait().expect("a child can be waited for")
    }
}

/// A process whose output is collected.
#[derive(Debug)]
pub struct Running {
    child: Guarded,
    stdout: Receiver<String>,
    stderr: Receiver<String>,
}

impl Running {
    /// Starts a process with this standard input.
    pub fn start(command: &mut Command, stdin: &[u8]) -> Self {
        command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
        let mut child = Guarded::spawn(command);
        let mut input = child.0.stdin.take().expect("piped");
        let stdin = stdin.to_vec();
        // The process may end without having read it all.
        thread::spawn(move || drop(input.write_all(&stdin)));
        let stdout = collect(child.0.stdout.take().expect("piped"));
        let stderr = collect(child.0.stderr.take().expect("piped"));
        Self { child, stdout, stderr }
    }

    /// Types Ctrl-C.
    pub fn interrupt(&self) {
        self.child.signal(Signal::INT);
    }

    /// Waits for its end.
    #[track_caller]
    pub fn finish(mut self) -> Ended {
        let stdout = self.stdout.recv_timeout(PATIENCE).expect("the process ends");
        let stderr = self.stderr.recv_timeout(PATIENCE).expect("the process ends");
        Ended { code: self.child.wait().code(), stdout, stderr }
    }
}

/// Runs a process to its end.
#[track_caller]
pub fn run(command: &mut Command, stdin: &[u8]) -> Ended {
    Running::start(command, stdin).finish()
}

/// Reads to the end on a thread of its own.
fn collect(mut from: impl Read + Send + 'static) -> Receiver<String> {
    let (all, collected) = channel();
    thread::spawn(move || {
        let mut bytes = Vec::new();
        let _ = from.read_to_end(&mut bytes);
        let _ = all.send(String::from_utf8_lossy(&bytes).into_owned());
    });
    collected
}
