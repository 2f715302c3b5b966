//! What a server reports, as it comes.

use std::io::{BufRead, BufReader, Read};
use std::sync::mpsc::{Receiver, RecvTimeoutError, channel};
use std::thread;

use serde_json::Value;

use crate::deadline::{Deadline, until};
use crate::process::Collected;

/// The events of one server, in order. Each is handed out once.
#[derive(Debug)]
pub struct Events {
    lines: Receiver<Value>,
    /// Came, and was not asked for so far.
    waiting: Vec<Value>,
    /// Everything that came, to explain a failure.
    history: Vec<Value>,
    stderr: Collected,
}

impl Events {
    /// Reads JSON Lines from standard output, and keeps what comes on standard error.
    pub fn read(stdout: impl Read + Send + 'static, stderr: impl Read + Send + 'static) -> Self {
        let (sink, lines) = channel();
        thread::spawn(move || {
            for line in BufReader::new(stdout).lines().map_while(Result::ok) {
                let value = serde_json::from_str(&line).unwrap_or(Value::String(line));
                if sink.send(value).is_err() {
                    return;
                }
            }
        });
        let stderr = Collected::of(stderr);
        Self { lines, waiting: Vec::new(), history: Vec::new(), stderr }
    }

    /// Waits for the next event that fits.
    #[track_caller]
    pub fn wait(&mut self, what: &str, fits: impl Fn(&Value) -> bool) -> Value {
        if let Some(index) = self.waiting.iter().position(&fits) {
            return self.waiting.remove(index);
        }
        let deadline = Deadline::new();
        loop {
            match self.lines.recv_timeout(deadline.left()) {
                Ok(event) => {
                    self.history.push(event.clone());
                    if fits(&event) {
                        return event;
                    }
                    self.waiting.push(event);
                }
                Err(RecvTimeoutError::Timeout) => {
                    panic!("{}; {}", deadline.missed(what), self.told())
                }
                Err(RecvTimeoutError::Disconnected) => {
                    panic!("the server ended before {what} came; {}", self.told())
                }
            }
        }
    }

    /// How many events of a type there were so far.
    pub fn count(&self, kind: &str) -> usize {
        self.history.iter().filter(|event| event["type"] == kind).count()
    }

    /// Waits until the process has closed its output, as it does at its end.
    #[track_caller]
    pub fn wait_for_end(&mut self) {
        let deadline = Deadline::new();
        loop {
            match self.lines.recv_timeout(deadline.left()) {
                Ok(event) => {
                    self.history.push(event.clone());
                    self.waiting.push(event);
                }
                Err(RecvTimeoutError::Timeout) => {
                    panic!("{}; {}", deadline.missed("the end of the server"), self.told())
                }
                Err(RecvTimeoutError::Disconnected) => break,
            }
        }
        until("the end of the server's standard error", || self.stderr.is_all());
    }

    /// What came and was not asked for.
    pub fn rest(&mut self) -> Vec<Value> {
        while let Ok(event) = self.lines.try_recv() {
            self.history.push(event.clone());
            self.waiting.push(event);
        }
        std::mem::take(&mut self.waiting)
    }

    /// Standard error so far. All of it, once the server has ended.
    pub fn stderr(&self) -> String {
        self.stderr.text()
    }

    /// Waits until these words are on standard error of a server that goes on.
    #[track_caller]
    pub fn wait_stderr(&self, words: &str) {
        until(format_args!("{words:?} on standard error"), || self.stderr().contains(words));
    }

    pub(crate) fn told(&self) -> String {
        let history: Vec<String> = self.history.iter().map(Value::to_string).collect();
        format!("it reported:\n{}\nand on standard error:\n{}", history.join("\n"), self.stderr())
    }
}
