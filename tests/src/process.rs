//! Child processes that end with the test.

use std::io::{Read, Write};
use std::os::unix::process::CommandExt as _;
use std::process::{Child, ChildStderr, ChildStdin, ChildStdout, Command, ExitStatus, Stdio};
use std::sync::mpsc::{Sender, channel};
use std::sync::{Arc, Mutex};
use std::thread;
use std::time::Duration;

use rustix::process::{Pid, Signal};

use crate::deadline::{BUILD_PATIENCE, Deadline, PATIENCE};

/// How much of what a process has said is told when it is waited for in vain. Bytes.
const LAST_WORDS_BYTES: usize = 4 * 1024;

/// How long the last words of a process that has ended are waited for. What it has started may have its pipes still.
const LAST_WORDS_PATIENCE: Duration = Duration::from_secs(10);

/// How a process ended, and what it had written.
#[derive(Debug)]
pub struct Ended {
    /// The exit code; `None`: a signal ended it.
    pub code: Option<i32>,
    /// Standard output, but for the lines that [`Running::line`] has handed out.
    pub stdout: String,
    /// Standard error.
    pub stderr: String,
}

/// A child that is killed when it is dropped.
#[derive(Debug)]
pub struct Guarded {
    child: Child,
    /// Whether it leads a process group, which is killed with it.
    leads: bool,
    /// Whether its end was seen. Its number may be another's since.
    has_ended: bool,
}

impl Drop for Guarded {
    fn drop(&mut self) {
        if self.leads && !self.has_ended {
            let _ = rustix::process::kill_process_group(self.pid(), Signal::KILL);
        }
        // It may have ended.
        let _ = self.child.kill();
        #[expect(clippy::disallowed_methods, reason = "a process that was killed ends")]
        let _ = self.child.wait();
    }
}

impl Guarded {
    /// Starts a process, in the group of the tests: Ctrl-C ends it along with them.
    pub fn spawn(command: &mut Command) -> Self {
        Self { child: spawn(command), leads: false, has_ended: false }
    }

    /// Starts a process that may start others, which are killed with it.
    fn spawn_leader(command: &mut Command) -> Self {
        Self { child: spawn(command.process_group(0)), leads: true, has_ended: false }
    }

    /// Its standard output and standard error, which are pipes.
    pub(crate) fn take_output(&mut self) -> (ChildStdout, ChildStderr) {
        let stdout = self.child.stdout.take().expect("piped");
        (stdout, self.child.stderr.take().expect("piped"))
    }

    /// Sends a signal.
    pub fn signal(&self, signal: Signal) {
        rustix::process::kill_process(self.pid(), signal).expect("the child runs");
    }

    /// How it ended, if it has.
    pub(crate) fn try_wait(&mut self) -> Option<ExitStatus> {
        let status = self.child.try_wait().expect("a child can be waited for");
        self.has_ended |= status.is_some();
        status
    }

    pub(crate) fn pid(&self) -> Pid {
        let id = i32::try_from(self.child.id()).expect("process numbers are small");
        Pid::from_raw(id).expect("a child has a process number")
    }
}

fn spawn(command: &mut Command) -> Child {
    #[expect(clippy::disallowed_methods, reason = "the one place where a process is started")]
    command.spawn().unwrap_or_else(|error| panic!("{command:?}: {error}"))
}

/// A process whose output is collected.
#[derive(Debug)]
pub struct Running {
    child: Guarded,
    name: String,
    stdout: Collected,
    stderr: Collected,
    /// How much of standard output was handed out. Bytes.
    taken: usize,
}

/// What is written to a process, as it takes it: nobody waits for that. Its end is the end of the input.
#[derive(Debug)]
pub struct Input(Sender<Vec<u8>>);

impl Input {
    /// Writes more.
    pub fn write(&self, bytes: impl Into<Vec<u8>>) {
        // The process may have ended without having read it all.
        let _ = self.0.send(bytes.into());
    }

    fn to(mut stdin: ChildStdin) -> Self {
        let (input, more) = channel::<Vec<u8>>();
        thread::spawn(move || more.into_iter().try_for_each(|bytes| stdin.write_all(&bytes)));
        Self(input)
    }
}

impl Running {
    /// Starts a process with this standard input.
    pub fn start(command: &mut Command, stdin: &[u8]) -> Self {
        let (running, input) = Self::open(command);
        input.write(stdin);
        running
    }

    /// Starts a process whose input is still to come.
    pub fn open(command: &mut Command) -> (Self, Input) {
        piped(command);
        Self::of(Guarded::spawn(command), command)
    }

    /// Starts a process that may start others, without an input.
    pub fn start_leader(command: &mut Command) -> Self {
        piped(command);
        Self::of(Guarded::spawn_leader(command), command).0
    }

    fn of(mut child: Guarded, command: &Command) -> (Self, Input) {
        let input = Input::to(child.child.stdin.take().expect("piped"));
        let (stdout, stderr) = child.take_output();
        let (stdout, stderr) = (Collected::of(stdout), Collected::of(stderr));
        let name = format!("{command:?}");
        (Self { child, name, stdout, stderr, taken: 0 }, input)
    }

    /// Types Ctrl-C.
    pub fn interrupt(&self) {
        self.signal(Signal::INT);
    }

    /// Sends a signal.
    pub fn signal(&self, signal: Signal) {
        self.child.signal(signal);
    }

    /// Whether it has ended.
    pub fn has_ended(&mut self) -> bool {
        self.child.try_wait().is_some()
    }

    /// Waits for the next line on standard output.
    #[track_caller]
    pub fn line(&mut self, what: &str) -> String {
        match self.line_or_end(what) {
            Some(line) => line,
            None => {
                // What it said on standard error may be on its way still.
                let stderr = &self.stderr;
                let _ = Deadline::after(LAST_WORDS_PATIENCE).poll(|| stderr.is_all().then_some(()));
                panic!("{} ended before {what} came; {}", self.name, self.told())
            }
        }
    }

    /// Waits for the next line on standard output, or the end of that: `None`.
    #[track_caller]
    pub fn line_or_end(&mut self, what: &str) -> Option<String> {
        let deadline = Deadline::new();
        let (stdout, taken) = (&self.stdout, &mut self.taken);
        let line = deadline.poll(|| {
            // Before the look: at the end nothing follows.
            let is_all = stdout.is_all();
            match stdout.line_from(*taken) {
                Some(line) => {
                    *taken += line.len();
                    Some(Some(line))
                }
                None => is_all.then_some(None),
            }
        });
        match line {
            Some(line) => line.map(|line| line.trim_end().to_owned()),
            None => panic!("{}; {}", deadline.missed(what), self.told()),
        }
    }

    /// Waits for its end.
    #[track_caller]
    pub fn finish(self) -> Ended {
        self.finish_within(PATIENCE)
    }

    /// Waits for its end, for so long at most.
    #[track_caller]
    pub fn finish_within(mut self, patience: Duration) -> Ended {
        let deadline = Deadline::after(patience);
        let (child, stdout, stderr) = (&mut self.child, &self.stdout, &self.stderr);
        let status = deadline.poll(|| {
            // What it has started may write still.
            (stdout.is_all() && stderr.is_all()).then(|| child.try_wait()).flatten()
        });
        let Some(status) = status else {
            panic!("{}; {}", deadline.missed(format_args!("the end of {}", self.name)), self.told())
        };
        let stdout = String::from_utf8_lossy(&self.stdout.bytes()[self.taken..]).into_owned();
        Ended { code: status.code(), stdout, stderr: self.stderr.text() }
    }

    fn told(&self) -> String {
        let (stdout, stderr) = (self.stdout.last_words(), self.stderr.last_words());
        format!("its last words:\n{stdout}\nand on standard error:\n{stderr}")
    }
}

fn piped(command: &mut Command) {
    command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
}

/// Runs a process to its end.
#[track_caller]
pub fn run(command: &mut Command, stdin: &[u8]) -> Ended {
    Running::start(command, stdin).finish()
}

/// Runs something to its end that builds something, with all the processes that it needs for that.
#[track_caller]
pub fn run_build(command: &mut Command) -> Ended {
    Running::start_leader(command).finish_within(BUILD_PATIENCE)
}

/// What a process writes, read by a thread of its own.
#[derive(Clone, Debug)]
pub(crate) struct Collected(Arc<Mutex<Written>>);

#[derive(Debug, Default)]
struct Written {
    bytes: Vec<u8>,
    /// Nothing will follow.
    is_all: bool,
}

impl Collected {
    pub(crate) fn of(mut from: impl Read + Send + 'static) -> Self {
        let collected = Self(Arc::default());
        let written = Arc::clone(&collected.0);
        thread::spawn(move || {
            let mut buffer = vec![0; 64 * 1024];
            while let Ok(count @ 1..) = from.read(&mut buffer) {
                written.lock().unwrap().bytes.extend_from_slice(&buffer[..count]);
            }
            written.lock().unwrap().is_all = true;
        });
        collected
    }

    /// Whether it has been closed.
    pub(crate) fn is_all(&self) -> bool {
        self.0.lock().unwrap().is_all
    }

    /// All of it so far.
    pub(crate) fn text(&self) -> String {
        String::from_utf8_lossy(&self.bytes()).into_owned()
    }

    fn bytes(&self) -> Vec<u8> {
        self.0.lock().unwrap().bytes.clone()
    }

    /// The line that begins at a place, with its end.
    fn line_from(&self, at: usize) -> Option<String> {
        let written = self.0.lock().unwrap();
        let rest = &written.bytes[at..];
        let end = rest.iter().position(|&byte| byte == b'\n')?;
        Some(String::from_utf8(rest[..=end].to_vec()).expect("lines are UTF-8"))
    }

    fn last_words(&self) -> String {
        let written = self.0.lock().unwrap();
        let from = written.bytes.len().saturating_sub(LAST_WORDS_BYTES);
        String::from_utf8_lossy(&written.bytes[from..]).into_owned()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn shell(script: &str) -> Command {
        let mut command = Command::new("sh");
        command.args(["-c", script]);
        command
    }

    #[test]
    fn output_is_what_was_not_taken_line_by_line() {
        let (mut running, input) = Running::open(&mut shell("echo a; read line; echo $line; cat"));
        assert_eq!(running.line("the first line"), "a");
        input.write("b\n");
        assert_eq!(running.line("what was written"), "b");
        input.write("c\nd");
        drop(input);
        let ended = running.finish();
        assert_eq!((ended.code, ended.stdout.as_str()), (Some(0), "c\nd"), "{ended:?}");
    }

    #[test]
    #[should_panic(expected = "its last words:\nhalf\n\nand on standard error:\nwhy\n")]
    fn a_process_that_ends_before_its_line_is_quoted() {
        let mut running = Running::start(&mut shell("echo half; echo why >&2"), b"");
        running.line("the first line");
        running.line("the second line");
    }

    #[test]
    fn a_process_that_does_not_end_is_quoted_and_killed() {
        let mut running = Running::start_leader(&mut shell("sleep 9999 & echo begun; wait"));
        running.line("the beginning");
        let output = running.stdout.clone();
        let finish = || running.finish_within(Duration::ZERO);
        let panic = std::panic::catch_unwind(std::panic::AssertUnwindSafe(finish)).unwrap_err();
        let words = panic.downcast_ref::<String>().unwrap();
        assert!(words.contains("waited 0 s for the end of \"sh\" \"-c\""), "{words}");
        assert!(words.contains("its last words:\nbegun\n"), "{words}");
        // Whoever lives could write to it still.
        crate::deadline::until("the end of the child", || output.is_all());
    }
}
