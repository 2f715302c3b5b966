//! What a server reports, as it comes.

use std::io::{BufRead, BufReader, Read};
use std::sync::mpsc::{Receiver, RecvTimeoutError, channel};
use std::sync::{Arc, Mutex};
use std::thread;
use std::time::Instant;

use serde_json::Value;

use crate::PATIENCE;

/// The events of one server, in order. Each is handed out once.
#[derive(Debug)]
pub struct Events {
    lines: Receiver<Value>,
    /// Came, and was not asked for so far.
    waiting: Vec<Value>,
    /// Everything that came, to explain a failure.
    history: Vec<Value>,
    stderr: Arc<Mutex<String>>,
    /// Ends with standard error.
    stderr_open: Receiver<()>,
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
        let kept = Arc::new(Mutex::new(String::new()));
        let keep = Arc::clone(&kept);
        let (open, stderr_open) = channel();
        thread::spawn(move || {
            let _open = open;
            for line in BufReader::new(stderr).split(b'\n').map_while(Result::ok) {
                let mut text = keep.lock().unwrap();
                text.push_str(&String::from_utf8_lossy(&line));
                text.push('\n');
            }
        });
        Self { lines, waiting: Vec::new(), history: Vec::new(), stderr: kept, stderr_open }
    }

    /// Waits for the next event that fits.
    pub fn wait(&mut self, what: &str, fits: impl Fn(&Value) -> bool) -> Value {
        if let Some(index) = self.waiting.iter().position(&fits) {
            return self.waiting.remove(index);
        }
        let until = Instant::now() + PATIENCE;
        loop {
            match self.lines.recv_timeout(until.saturating_duration_since(Instant::now())) {
                Ok(event) => {
                    self.history.push(event.clone());
                    if fits(&event) {
                        return event;
                    }
                    self.waiting.push(event);
                }
                Err(RecvTimeoutError::Timeout) => panic!("{what} did not come; {}", self.told()),
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
    pub fn wait_for_end(&mut self) {
        let until = Instant::now() + PATIENCE;
        loop {
            match self.lines.recv_timeout(until.saturating_duration_since(Instant::now())) {
                Ok(event) => {
                    self.history.push(event.clone());
                    self.waiting.push(event);
                }
                Err(RecvTimeoutError::Timeout) => {
                    panic!("the server does not end; {}", self.told())
                }
                Err(RecvTimeoutError::Disconnected) => break,
            }
        }
        // Nothing is ever sent: what comes is the end of what it says on standard error.
        let _ = self.stderr_open.recv_timeout(until.saturating_duration_since(Instant::now()));
    }

    /// What came and was not asked for.
    pub fn rest(&mut self) -> Vec<Value> {
        while let Ok(event) = self.lines.try_recv() {
            self.history.push(event.clone());
            self.waiting.push(event);
        }
        std::mem::take(&mut self.waiting)
    }

    /// Standard error so far.
    pub fn stderr(&self) -> String {
        self.stderr.lock().unwrap().clone()
    }

    fn told(&self) -> String {
        let history: Vec<String> = self.history.iter().map(Value::to_string).collect();
        format!("it reported:\n{}\nand on standard error:\n{}", history.join("\n"), self.stderr())
    }
}
