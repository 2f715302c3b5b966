//! The library in programs of other people: `examples/`.
#![allow(clippy::unwrap_used, clippy::expect_used)]

use std::fs;
use std::path::Path;
use std::process::Command;

use sandport_tests::process::{self, Running};
use sandport_tests::{Connection, Random, Server, artifacts, send};
use tempfile::TempDir;

/// Exit code of a sender that was refused, as documented.
const REFUSED: Option<i32> = Some(4);

/// An example that runs, in a directory of its own.
struct Program {
    process: Running,
    address: String,
    directory: TempDir,
}

impl Program {
    fn start(example: &str) -> Self {
        Self::start_with(example, None).0
    }

    /// The same with an argument, and what it says before it is ready.
    fn start_with(example: &str, argument: Option<&Path>) -> (Self, Vec<String>) {
        let directory = tempfile::tempdir().unwrap();
        let mut command = Command::new(artifacts::program(example));
        command.args(argument).current_dir(directory.path());
        let mut process = Running::start(&mut command, b"");
        let mut said = Vec::new();
        let address = loop {
            let line = process.line("the ready line");
            match line.strip_prefix("ready on ") {
                Some(address) => break address.to_owned(),
                None => said.push(line),
            }
        };
        (Self { process, address, directory }, said)
    }

    fn file(&self, name: &str, content: impl AsRef<[u8]>) -> std::path::PathBuf {
        let path = self.directory.path().join(name);
        fs::write(&path, content).unwrap();
        path
    }

    fn send(&self, path: &Path) -> sandport_tests::Sent {
        send([path.as_os_str(), self.address.as_ref()])
    }

    /// Types Ctrl-C, and waits; what it still said.
    fn stop(self) -> Vec<String> {
        self.process.interrupt();
        let ended = self.process.finish();
        assert_eq!(ended.code, Some(0), "{ended:?}");
        ended.stdout.lines().map(str::to_owned).collect()
    }
}

#[test]
fn a_server_in_another_program_receives_and_tells_its_events() {
    let mut program = Program::start("embed");
    let path = program.file("report.pdf", "hello");
    program.send(&path).expect_success();
    let line = program.process.line("the file that was stored");
    assert!(line.starts_with("report.pdf from 127.0.0.1:"), "{line}");
    assert!(line.ends_with(", 5 bytes"), "{line}");
    assert_eq!(fs::read(program.directory.path().join("inbox/report.pdf")).unwrap(), b"hello");
    assert_eq!(program.stop(), [""; 0]);
}

#[test]
fn files_go_into_storage_of_ones_own_and_are_checked_before() {
    let program = Program::start("memory");
    let content = vec![7; 3_000_000];
    let large = program.file("large", &content);
    program.send(&large).expect_success();
    let empty = program.file("empty", "");
    program.send(&empty).expect_success();
    let again = program.send(&large);
    again.expect_success();

    let too_large = program.file("too-large", "");
    fs::File::options().write(true).open(&too_large).unwrap().set_len((64 << 20) + 1).unwrap();
    let refused = program.send(&too_large);
    assert_eq!(refused.code, REFUSED, "{refused:?}");
    assert!(format!("{refused:?}").contains("too-large"), "{refused:?}");

    let mut cut = Connection::to(&program.address);
    cut.say("5\nhell");
    cut.finish();
    cut.hear_all();
    assert_eq!(program.stop(), ["empty 0", "large 3000000"]);
}

#[test]
fn a_full_storage_refuses_in_its_words_and_gets_room_back() {
    let program = Program::start("memory");
    let half = program.file("half", vec![1; 40 << 20]);
    program.send(&half).expect_success();
    let other = program.file("other", vec![2; 40 << 20]);
    let refused = program.send(&other);
    assert_eq!(refused.code, REFUSED, "{refused:?}");
    assert!(format!("{refused:?}").contains("the memory is full"), "{refused:?}");
    let small = program.file("small", vec![3; 20 << 20]);
    program.send(&small).expect_success();
    assert_eq!(program.stop(), [format!("half {}", 40 << 20), format!("small {}", 20 << 20)]);
}

#[test]
fn a_receiver_of_ones_own_is_looked_at_and_then_run() {
    let receiver = artifacts::put();
    let (mut program, said) = Program::start_with("receiver", Some(receiver));
    let is_given = |line: &String| line.starts_with("sandport:upload/inbox@");
    assert!(said.iter().any(is_given), "{said:?}");
    let mut connection = Connection::to(&program.address);
    connection.say("PUT report.pdf 5\nhello");
    connection.finish();
    connection.hear_all();
    assert_eq!(program.process.line("the file that was stored"), "report.pdf");
    assert_eq!(fs::read(program.directory.path().join("inbox/report.pdf")).unwrap(), b"hello");
    assert_eq!(program.stop(), [""; 0]);
}

#[test]
fn a_sender_in_somebody_elses_program_shows_progress() {
    let server = Server::start([]);
    let directory = tempfile::tempdir().unwrap();
    let content = Random::seeded().bytes(3 * 1024 * 1024);
    fs::write(directory.path().join("large"), &content).unwrap();
    let mut command = Command::new(artifacts::program("send"));
    command.current_dir(directory.path()).args(["large", server.address()]);
    let sent = process::run(&mut command, b"");
    assert_eq!(sent.code, Some(0), "{sent:?}");
    let size = content.len();
    for line in [format!("large: {size} of {size} bytes"), "large is stored as large".to_owned()] {
        assert!(sent.stdout.lines().any(|it| it == line), "{line}: {sent:?}");
    }
    assert_eq!(server.content("large"), content);
}
