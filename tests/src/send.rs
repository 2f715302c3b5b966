//! Runs of `sandport send`.

use std::ffi::OsStr;
use std::path::Path;
use std::process::Command;

use serde_json::Value;

use crate::artifacts;
use crate::deadline::PATIENCE;
use crate::process::{self, Ended};

/// What a run came to.
#[derive(Debug)]
pub struct Sent {
    /// The exit code.
    pub code: Option<i32>,
    /// Standard output, line by line.
    pub events: Vec<Value>,
    /// Standard error.
    pub stderr: String,
}

impl Sent {
    /// What the output of `sandport --json send` says.
    #[track_caller]
    pub fn of(ended: Ended) -> Self {
        let events = ended
            .stdout
            .lines()
            .map(|line| serde_json::from_str(line).unwrap_or_else(|_| panic!("not JSON: {line}")))
            .collect();
        Self { code: ended.code, events, stderr: ended.stderr }
    }

    /// The lines of a type.
    pub fn of_type(&self, kind: &str) -> Vec<&Value> {
        self.events.iter().filter(|event| event["type"] == kind).collect()
    }

    /// The names under which files are at the server now, sorted.
    pub fn names(&self, kind: &str) -> Vec<String> {
        let mut names: Vec<String> = self
            .of_type(kind)
            .iter()
            .filter_map(|event| event["name"].as_str())
            .map(str::to_owned)
            .collect();
        names.sort();
        names
    }

    /// The code of the one file that was refused or failed.
    #[track_caller]
    pub fn failure(&self) -> &str {
        let failed: Vec<_> = self
            .events
            .iter()
            .filter(|event| event["type"] == "refused" || event["type"] == "failed")
            .collect();
        assert_eq!(failed.len(), 1, "{self:?}");
        failed[0]["code"].as_str().expect("a code is text")
    }

    /// Checks that all was sent.
    #[track_caller]
    pub fn expect_success(self) -> Self {
        assert_eq!(self.code, Some(0), "{self:?}");
        self
    }
}

/// Runs `sandport --json send` with these arguments to its end.
#[track_caller]
pub fn send<S: AsRef<OsStr>>(arguments: impl IntoIterator<Item = S>) -> Sent {
    send_with(Path::new("."), b"", arguments)
}

/// Runs `sandport --json send` in a directory, with this standard input, to its end.
#[track_caller]
pub fn send_with<S: AsRef<OsStr>>(
    directory: &Path,
    stdin: &[u8],
    arguments: impl IntoIterator<Item = S>,
) -> Sent {
    let mut command = command();
    command.current_dir(directory).args(["--json", "send"]).args(arguments);
    Sent::of(process::run(&mut command, stdin))
}

/// The binary, without the settings of the person who runs the tests.
pub fn command() -> Command {
    let mut command = Command::new(artifacts::sandport());
    artifacts::without_settings(&mut command);
    // Who tests what happens after a cut says so; nobody's home gets keys.
    let state = std::env::temp_dir().join(format!("sandport-tests-{}", std::process::id()));
    command.env("SANDPORT_RETRIES", "0").env("XDG_STATE_HOME", state);
    // Nor is a server that gets no processor time for a minute one that has stalled.
    let patience = format!("{}s", PATIENCE.as_secs());
    command.env("SANDPORT_STALL_TIMEOUT", &patience).env("SANDPORT_CONNECT_TIMEOUT", &patience);
    command
}
