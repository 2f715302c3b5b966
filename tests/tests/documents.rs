//! The commands in README.md and docs/ do what these documents say: see `sandport_tests::transcript`.
#![allow(clippy::unwrap_used, clippy::expect_used)]

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use sandport_tests::process::{self, Running};
use sandport_tests::transcript::{Step, fits, steps};
use sandport_tests::{artifacts, deadline, send};

/// The port in the documents.
const PORT: &str = "6542";

/// What a reader has in their directory: what the documents send.
const FILES: [(&str, usize); 4] = [
    ("report.pdf", 2_500_000),
    ("photos/1.jpg", 300_000),
    ("photos/2.jpg", 300_000),
    ("photos/3.jpg", 300_000),
];

/// Before the commands: the programs that they call. `nc` ends when the server has closed the connection.
const PROGRAMS: &str = r#"exec 2>&1 </dev/null
sandport() { "$SANDPORT_BINARY" "$@"; }
nc() { exec 3<>"/dev/tcp/$1/$2"; cat >&3; cat <&3; exec 3<&-; }
"#;

/// Printed before the output of each command.
const MARK: &str = "=== the output of the next command ===";

fn document(name: &str) -> String {
    fs::read_to_string(artifacts::workspace().join(name)).unwrap()
}

/// README.md and the pages of docs/.
fn documents() -> Vec<String> {
    let pages = fs::read_dir(artifacts::workspace().join("docs")).unwrap();
    let pages = pages.map(|entry| entry.unwrap().file_name().into_string().unwrap());
    let mut names: Vec<String> =
        pages.filter(|name| name.ends_with(".md")).map(|name| format!("docs/{name}")).collect();
    names.push(String::from("README.md"));
    names.sort();
    names
}

/// A reader, with a directory and a server.
struct Reader {
    server: Running,
    ready: String,
    port: String,
    directory: PathBuf,
}

impl Reader {
    /// Types the command that starts a server, but for the address.
    fn start(command: &str, directory: &Path) -> Self {
        for (name, size) in FILES {
            let path = directory.join(name);
            fs::create_dir_all(path.parent().unwrap()).unwrap();
            fs::write(path, vec![b'x'; size]).unwrap();
        }
        fs::write(directory.join("notes.txt"), "hello world\n").unwrap();
        let mut words = command.split(' ').skip(1);
        let mut server = send::command();
        server.current_dir(directory).args(&mut words).args(["--listen", "127.0.0.1:0"]);
        server.arg("--cache-dir").arg(artifacts::cache_dir());
        let mut server = Running::start_leader(&mut server);
        let ready = server.line("the ready line");
        let port = ready.split(':').nth(1).and_then(|rest| rest.split(',').next());
        let port = port.expect("the ready line has an address").to_owned();
        Self { server, ready, port, directory: directory.to_owned() }
    }

    /// Runs commands in one shell; what each prints.
    fn run(&self, commands: &[Step]) -> Vec<Vec<String>> {
        let mut script = String::from(PROGRAMS);
        for step in commands {
            script.push_str(&format!("echo '{MARK}'\n{}\n", self.typed(&step.command)));
        }
        let mut shell = Command::new("bash");
        artifacts::without_settings(&mut shell);
        shell.arg("-c").arg(script).current_dir(&self.directory);
        shell.env("SANDPORT_BINARY", artifacts::sandport()).env("LC_ALL", "C").env("TZ", "UTC");
        shell.env("SANDPORT_STALL_TIMEOUT", format!("{}s", deadline::PATIENCE.as_secs()));
        shell.env("XDG_STATE_HOME", self.directory.join("state"));
        let ended = process::run(&mut shell, b"");
        let mark = format!("{MARK}\n");
        let outputs = ended.stdout.split(&mark).skip(1);
        outputs.map(|output| output.lines().map(|line| self.told(line)).collect()).collect()
    }

    /// A command with the port of this server.
    fn typed(&self, command: &str) -> String {
        let port = &self.port;
        let command = command
            .replace(&format!("127.0.0.1:{PORT}"), &format!("127.0.0.1:{port}"))
            .replace(&format!("127.0.0.1 {PORT}"), &format!("127.0.0.1 {port}"));
        let is_send = command.contains("sandport send");
        match command.strip_suffix(" 127.0.0.1") {
            Some(before) if is_send => format!("{before} 127.0.0.1:{port}"),
            _ => command,
        }
    }

    /// A line of output without the port.
    fn told(&self, line: &str) -> String {
        line.replace(&format!(":{}", self.port), "")
    }

    /// Stops the server; what it has said.
    fn stop(self) -> Vec<String> {
        let (port, ready) = (format!(":{}", self.port), self.ready);
        self.server.interrupt();
        let ended = self.server.finish();
        assert_eq!(ended.code, Some(0), "{ended:?}");
        let said = format!("{ready}\n{}\n{}", ended.stdout, ended.stderr);
        said.lines().map(|line| line.replace(&port, "")).collect()
    }
}

/// Follows a document; how many commands it has.
#[track_caller]
fn follow(name: &str) -> usize {
    let mut commands = steps(&document(name));
    if commands.is_empty() {
        return 0;
    }
    let count = commands.len();
    let directory = tempfile::tempdir().unwrap();
    let served = commands[0].command.starts_with("sandport serve").then(|| commands.remove(0));
    let serve = served.as_ref().map_or("sandport serve ./inbox", |step| &step.command);
    let reader = Reader::start(serve, directory.path());
    let outputs = reader.run(&commands);
    assert_eq!(outputs.len(), commands.len(), "{name}: the shell ended early: {outputs:?}");
    let said = reader.stop();
    for (step, output) in commands.iter().zip(outputs) {
        let Some(expected) = &step.expected else { continue };
        let expected: Vec<String> = expected.iter().map(|line| without_port(line)).collect();
        let is_same = expected.len() == output.len()
            && expected.iter().zip(&output).all(|(expected, line)| fits(expected, line));
        let (command, shown, expected) = (&step.command, output.join("\n"), expected.join("\n"));
        assert!(is_same, "{name}: {command}\nprints\n{shown}\nand the document has\n{expected}");
    }
    for expected in served.into_iter().filter_map(|step| step.expected).flatten() {
        let expected = without_port(&expected);
        let is_said = said.iter().any(|line| fits(&expected, line));
        assert!(is_said, "{name}: the server does not say\n{expected}\nbut\n{}", said.join("\n"));
    }
    count
}

fn without_port(line: &str) -> String {
    line.replace(&format!(":{PORT}"), "")
}

#[test]
fn commands_of_the_readme_print_what_it_shows() {
    assert!(follow("README.md") >= 4);
}

#[test]
fn commands_of_the_manual_print_what_it_shows() {
    let counts: Vec<usize> =
        documents().iter().filter(|name| *name != "README.md").map(|name| follow(name)).collect();
    assert!(counts.iter().sum::<usize>() >= 15, "{counts:?}");
}

#[test]
fn the_old_client_of_the_readme_uploads() {
    let readme = document("README.md");
    let (_, rest) = readme.split_once("```python\n").unwrap();
    let (client, _) = rest.split_once("```").unwrap();
    let directory = tempfile::tempdir().unwrap();
    let reader = Reader::start("sandport serve ./inbox", directory.path());
    let client = client.replace(PORT, &reader.port);
    fs::write(directory.path().join("client.py"), client).unwrap();
    let run = Step { command: String::from("python3 client.py"), expected: None };
    assert_eq!(reader.run(&[run]), [[""; 0]]);
    let said = reader.stop();
    let is_stored = said.iter().any(|line| fits("received upload-… (2.4 MiB) from …", line));
    assert!(is_stored, "{said:?}");
}

/// The long options that the help of a command lists.
fn options(command: &str) -> BTreeSet<String> {
    let ended = process::run(send::command().args([command, "--help"]), b"");
    let lines = ended.stdout.lines().map(str::trim_start);
    let options = lines.filter(|line| line.starts_with('-')).filter_map(|line| {
        let (_, name) = line.split_once("--")?;
        Some(name.split([' ', '.', '=', ';', ',']).next()?.to_owned())
    });
    options.filter(|name| name != "help" && name != "version").collect()
}

/// The long options in a text.
fn named_options(text: &str) -> BTreeSet<String> {
    let pieces = text.split("--").skip(1);
    let is_of_name = |it: char| it.is_ascii_lowercase() || it == '-';
    let names =
        pieces.map(|piece| piece.chars().take_while(|it| is_of_name(*it)).collect::<String>());
    names.filter(|name| name.len() > 1).collect()
}

#[test]
fn every_option_of_serve_and_send_is_in_the_manual() {
    for (command, page) in [("serve", "docs/serving.md"), ("send", "docs/sending.md")] {
        let named = named_options(&document(page));
        let missing: Vec<_> =
            options(command).into_iter().filter(|it| !named.contains(it)).collect();
        assert_eq!(missing, [""; 0], "{page} does not name all options of {command}");
    }
}

#[test]
fn commands_in_documents_have_options_that_exist() {
    for name in documents() {
        let text = document(&name);
        for line in text.lines().map(|line| line.strip_prefix("$ ").unwrap_or(line)) {
            // Without what other programs in the line get, and without the comment.
            let Some((_, typed)) =
                line.split_once("sandport ").filter(|(before, _)| before.is_empty())
            else {
                continue;
            };
            let typed = typed.split(" #").next().unwrap();
            let command = typed.split(' ').next().unwrap();
            let known = options(command);
            let unknown: Vec<_> =
                named_options(typed).into_iter().filter(|it| !known.contains(it)).collect();
            assert_eq!(unknown, [""; 0], "{name}: {line}");
        }
    }
}
