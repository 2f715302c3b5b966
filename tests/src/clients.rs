//! The Python scripts in `tests/clients`, which behave on the wire as clients and services of the
//! classic protocol do that are in use.

use std::io::{BufRead, BufReader};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use crate::process::{self, Ended, Guarded};

fn script(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("clients").join(name)
}

fn python(name: &str) -> Command {
    let mut command = Command::new("python3");
    command.arg("-u").arg(script(name));
    command
}

/// Uploads a file with the classic client.
pub fn classic_client(address: &str, file: &Path) -> Ended {
    let (host, port) = address.rsplit_once(':').expect("host:port");
    let mut command = python("classic_client.py");
    command.args([host, port]).arg(file);
    need_python(&mut command);
    process::run(&mut command, b"")
}

/// A classic service that runs until it is dropped.
#[derive(Debug)]
pub struct ClassicService {
    /// Where it listens.
    pub address: String,
    lines: BufReader<std::process::ChildStdout>,
    _process: Guarded,
}

impl ClassicService {
    /// Starts one that writes what it receives to `file`.
    pub fn start(file: &Path) -> Self {
        let mut command = python("classic_service.py");
        command.arg(file).stdin(Stdio::null()).stdout(Stdio::piped());
        need_python(&mut command);
        let mut process = Guarded::spawn(&mut command);
        let mut lines = BufReader::new(process.0.stdout.take().expect("piped"));
        let port = line(&mut lines);
        Self { address: format!("127.0.0.1:{port}"), lines, _process: process }
    }

    /// Waits until a file is received; its size.
    pub fn wait_received(&mut self) -> u64 {
        line(&mut self.lines).parse().expect("the service writes the size")
    }
}

fn line(lines: &mut impl BufRead) -> String {
    let mut line = String::new();
    lines.read_line(&mut line).expect("the service writes");
    line.trim_end().to_owned()
}

/// A machine without Python has not tested real clients, and must not look as if it had.
fn need_python(command: &mut Command) {
    let version = Command::new(command.get_program()).arg("--version").output();
    assert!(
        version.is_ok_and(|output| output.status.success()),
        "python3 is missing: install it, the tests with real clients need it"
    );
}
