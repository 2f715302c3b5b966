//! The Python scripts in `tests/clients`: some behave on the wire as clients and services of the classic
//! protocol do that are in use, and one speaks the native dialect, written from its specification alone.

use std::ffi::OsStr;
use std::path::{Path, PathBuf};
use std::process::Command;

use serde_json::Value;

use crate::process::{self, Ended, Running};

/// Names a Python that has the packages which the native client needs.
const PYTHON: &str = "SANDPORT_TEST_PYTHON";

pub(crate) fn script(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("clients").join(name)
}

fn python(name: &str) -> Command {
    let mut command = Command::new("python3");
    command.arg("-u").arg(script(name));
    command
}

/// Uploads a file with the classic client.
pub fn classic_client(address: &str, file: &Path) -> Ended {
    classic(address, file, None)
}

/// The same, encrypted, if an authority in this file has signed the certificate.
pub fn classic_client_with_tls(address: &str, file: &Path, authority: &Path) -> Ended {
    classic(address, file, Some(authority))
}

fn classic(address: &str, file: &Path, authority: Option<&Path>) -> Ended {
    let (host, port) = address.rsplit_once(':').expect("host:port");
    let mut command = python("classic_client.py");
    command.args([host, port]).arg(file).args(authority);
    need_python(&command);
    process::run(&mut command, b"")
}

/// A classic service that runs until it is dropped.
#[derive(Debug)]
pub struct ClassicService {
    /// Where it listens.
    pub address: String,
    process: Running,
}

impl ClassicService {
    /// Starts one that writes what it receives to `file`.
    pub fn start(file: &Path) -> Self {
        let mut command = python("classic_service.py");
        need_python(&command);
        let mut process = Running::start(command.arg(file), b"");
        let port = process.line("the port of the classic service");
        Self { address: format!("127.0.0.1:{port}"), process }
    }

    /// Waits until a file is received; its size.
    pub fn wait_received(&mut self) -> u64 {
        let size = self.process.line("the size of a file that was received");
        size.parse().expect("the service writes the size")
    }
}

/// A run of a script in `tests/clients/second_client`, with arguments.
pub fn second_client<S: AsRef<OsStr>>(
    script_name: &str,
    arguments: impl IntoIterator<Item = S>,
) -> Command {
    let python = std::env::var_os(PYTHON).unwrap_or_else(|| {
        panic!(
            "{PYTHON} is not set: run lane `second-client` of .ci/run, which makes such a Python"
        )
    });
    let mut command = Command::new(python);
    // -B: it leaves nothing beside the scripts.
    command.args(["-B", "-u"]).arg(script(&format!("second_client/{script_name}")));
    command.args(arguments);
    command
}

/// The lines that a script of the native client has written.
#[track_caller]
pub fn json_lines(ended: &Ended) -> Vec<Value> {
    let lines = ended.stdout.lines();
    lines
        .map(|line| serde_json::from_str(line).unwrap_or_else(|_| panic!("not JSON: {ended:?}")))
        .collect()
}

/// A machine without Python has not tested real clients, and must not look as if it had.
fn need_python(command: &Command) {
    let program = command.get_program();
    let on_path = std::env::var_os("PATH").unwrap_or_default();
    assert!(
        std::env::split_paths(&on_path).any(|directory| directory.join(program).is_file()),
        "python3 is missing: install it, the tests with real clients need it"
    );
}
