//! The page "Write a receiver", followed to the letter in an empty directory, and what comes of it in the
//! real host.
#![allow(clippy::unwrap_used, clippy::expect_used)]

use std::fmt::Write;
use std::fs;
use std::net::IpAddr;
use std::path::{Path, PathBuf};

use sandport_tests::files::{Tree, file};
use sandport_tests::{Connection, Random, Server, Setup, artifacts, process, send};

/// What the page calls an address that is turned away.
const UNWELCOME: &str = "127.0.0.2";

/// A piece of the page.
enum Step {
    /// A section begins: its commands start in the empty directory.
    Section,
    /// Commands, as they are typed.
    Commands(String),
    /// The content of a file, under the name that the text before it ends with.
    Listing { name: String, text: String },
}

/// What a reader of the page did.
#[derive(Debug)]
enum Done {
    /// Started a server with this receiver.
    Served(PathBuf),
    /// Sent this with `nc ARGUMENTS`, and is told to expect that answer.
    Said { arguments: String, bytes: Vec<u8>, expected: String },
}

fn page() -> String {
    fs::read_to_string(artifacts::workspace().join("guest/examples/README.md")).unwrap()
}

fn steps(page: &str) -> Vec<Step> {
    let mut steps = Vec::new();
    let mut lines = page.lines();
    let mut before = "";
    while let Some(line) = lines.next() {
        if let Some(kind) = line.strip_prefix("```") {
            let text: String = lines
                .by_ref()
                .take_while(|line| *line != "```")
                .flat_map(|line| [line, "\n"])
                .collect();
            // "…, in `src/lib.rs`:"
            let name = before.strip_suffix("`:").and_then(|rest| rest.rsplit_once('`'));
            match (kind, name) {
                ("sh", _) => steps.push(Step::Commands(text)),
                (_, Some((_, name))) => steps.push(Step::Listing { name: name.to_owned(), text }),
                // What is shown and not done.
                _ => {}
            }
        } else if line.starts_with("## ") {
            steps.push(Step::Section);
        }
        if !line.is_empty() {
            before = line;
        }
    }
    steps
}

/// Follows the page in an empty directory. All of its commands are run, but for two, of which is noted
/// what they are given: `sandport serve`, and `nc`.
fn follow(page: &str, directory: &Path) -> Vec<Done> {
    let notes = directory.join("notes");
    let empty = directory.join("empty");
    fs::create_dir(&notes).unwrap();
    fs::create_dir(&empty).unwrap();
    let mut script = String::from(
        r#"set -euo pipefail
note() { printf '%s/%03d' "$NOTES" "$(ls "$NOTES" | wc -l)"; }
sandport() {
    if [[ $1 == inspect ]]; then "$SANDPORT_BINARY" "$@"; return; fi
    [[ "$1 $2 $3" == 'serve inbox --receiver' ]]
    realpath "$4" >"$(note).served"
}
nc() { local to; to=$(note); { printf '%s\n' "$*"; cat; } >"$to.said"; }
"#,
    );
    let mut expected = Vec::new();
    for step in steps(page) {
        match step {
            Step::Section => script.push_str("cd \"$EMPTY\"\n"),
            Step::Commands(text) => {
                let answers = text.lines().filter(|line| line.contains("| nc "));
                expected.extend(answers.map(|line| line.split_once("  # ").unwrap().1.to_owned()));
                script.push_str(&text);
            }
            Step::Listing { name, text } => {
                write!(script, "cat >'{name}' <<'END OF LISTING'\n{text}END OF LISTING\n").unwrap();
            }
        }
    }
    let path = directory.join("script");
    fs::write(&path, script).unwrap();
    let mut shell = artifacts::shell();
    shell
        .arg(&path)
        .current_dir(&empty)
        .env("SANDPORT", artifacts::workspace())
        .env("SANDPORT_BINARY", artifacts::sandport())
        .env("NOTES", &notes)
        .env("EMPTY", &empty)
        // What was compiled for one of the two Rust projects, or in an earlier run, serves again.
        .env("CARGO_BUILD_BUILD_DIR", artifacts::guest_target_dir().join("page"));
    let ended = process::run_build(&mut shell);
    assert_eq!(ended.code, Some(0), "the commands of the page fail: {ended:?}");

    let mut expected = expected.into_iter();
    let mut paths: Vec<PathBuf> =
        fs::read_dir(&notes).unwrap().map(|entry| entry.unwrap().path()).collect();
    paths.sort();
    let done = paths.iter().map(|path| {
        let bytes = fs::read(path).unwrap();
        let end = bytes.iter().position(|byte| *byte == b'\n').unwrap();
        let first = String::from_utf8(bytes[..end].to_vec()).unwrap();
        if path.extension().is_some_and(|kind| kind == "served") {
            return Done::Served(first.into());
        }
        let expected = expected.next().unwrap();
        Done::Said { arguments: first, bytes: bytes[end + 1..].to_vec(), expected }
    });
    done.collect()
}

/// What `nc` would hear.
fn hear(server: &Server, arguments: &str, bytes: &[u8]) -> String {
    let mut client = match arguments {
        "127.0.0.1 6542" => Connection::open(server),
        "-s 127.0.0.2 127.0.0.1 6542" => connect_unwelcome(server),
        _ => panic!("the page calls nc with {arguments}"),
    };
    client.try_say(bytes);
    client.finish();
    String::from_utf8(client.hear_all()).unwrap()
}

fn connect_unwelcome(server: &Server) -> Connection {
    Connection::from(UNWELCOME.parse::<IpAddr>().unwrap(), server)
}

#[test]
fn the_listings_of_the_page_are_the_examples() {
    let listings: Vec<(String, String)> = steps(&page())
        .into_iter()
        .filter_map(|step| match step {
            Step::Listing { name, text } => Some((name, text)),
            _ => None,
        })
        .collect();
    let files = [
        ("src/lib.rs", "put-rust/src/lib.rs"),
        ("put.py", "put-python/put.py"),
        ("put.js", "put-js/put.js"),
        ("refused.txt", "doorkeeper/refused.txt"),
        ("src/lib.rs", "doorkeeper/src/lib.rs"),
    ];
    assert_eq!(listings.len(), files.len());
    for ((listed, text), (name, path)) in listings.iter().zip(files) {
        assert_eq!(listed, name);
        let example = artifacts::workspace().join("guest/examples").join(path);
        assert!(*text == fs::read_to_string(&example).unwrap(), "the listing of {path} differs");
    }
}

#[test]
#[ignore = "needs the network, python3, npm and wac: lane `examples` of .ci/run"]
fn the_page_leads_from_an_empty_directory_to_receivers_that_run() {
    let directory = tempfile::tempdir().unwrap();
    let done = follow(&page(), directory.path());
    let mut server: Option<Server> = None;
    let mut served = 0;
    let mut answers = 0;
    for step in done {
        match step {
            Done::Served(receiver) => {
                served += 1;
                if let Some(mut before) = server.take() {
                    expect_uploads(&mut before);
                }
                server = Some(Setup::new([""; 0]).receiver(receiver).start());
            }
            Done::Said { arguments, bytes, expected } => {
                answers += 1;
                let heard = hear(server.as_ref().unwrap(), &arguments, &bytes);
                let said = String::from_utf8_lossy(&bytes);
                match expected.strip_prefix('(') {
                    Some(_) => assert_eq!(heard, "", "{expected}"),
                    None => assert_eq!(heard, format!("{expected}\n"), "{said}"),
                }
            }
        }
    }
    expect_uploads(&mut server.unwrap());
    assert_eq!((served, answers), (4, 8), "the page has four receivers, each with two calls");
}

/// Large and empty files, a cut and a wrong line; then nothing else is there.
#[track_caller]
fn expect_uploads(server: &mut Server) {
    let content = Random::seeded().bytes(3_000_001);
    let mut large = Connection::open(server);
    large.say("PUT directory/large file 3000001\n");
    large.say(&content);
    assert_eq!(large.hear_all(), b"stored directory/large file\n");
    let mut empty = Connection::open(server);
    empty.say("PUT empty 0\n");
    assert_eq!(empty.hear_all(), b"stored empty\n");

    let mut cut = Connection::open(server);
    cut.say("PUT cut 5\nhell");
    cut.finish();
    assert_eq!(cut.hear_all(), b"refused: the connection ended within the file\n");
    for line in ["PUT cut five\n", "PUT cut\n", "GET cut 5\n", "PUT c\u{fffd}t 5"] {
        let mut wrong = Connection::open(server);
        wrong.say(line);
        wrong.finish();
        assert_eq!(wrong.hear_all(), b"refused: expected is PUT name size\n");
    }

    assert_eq!(server.stop(), Some(0));
    assert_eq!(server.content("directory/large file"), content);
    assert_eq!(server.content("hello.txt"), b"hello");
    assert_eq!(server.content("empty"), b"");
    let names: Vec<String> = server.published().into_keys().collect();
    assert_eq!(names, ["empty", "directory", "directory/large file", "hello.txt"]);
}

#[test]
#[ignore = "needs wac: lane `examples` of .ci/run"]
fn a_doorkeeper_stands_before_the_receiver_and_payload_passes() {
    let directory = tempfile::tempdir().unwrap();
    let guarded = directory.path().join("guarded.wasm");
    let mut shell = artifacts::shell();
    shell.args(["-c", "wac plug \"$1\" --plug \"$2\" -o \"$3\"", "wac"]).args([
        artifacts::doorkeeper(),
        artifacts::receiver().as_ref(),
        &guarded,
    ]);
    let ended = process::run_build(&mut shell);
    assert_eq!(ended.code, Some(0), "wac plug fails: {ended:?}");
    let mut server = Setup::new(["--classic-name", "classic"]).receiver(&guarded).start();

    let content = Random::seeded().bytes(5_000_000);
    let path = directory.path().join("native");
    fs::write(&path, &content).unwrap();
    send([path.as_os_str(), server.address().as_ref()]).expect_success();
    let mut client = Connection::open(&server);
    client.say("5\n");
    assert_eq!(client.hear(3), b"ack");
    client.say("hello");
    assert_eq!(client.hear_all(), b"");

    let mut unwelcome = connect_unwelcome(&server);
    unwelcome.try_say("5\nhello");
    assert_eq!(unwelcome.hear_all(), b"");
    let refused = server.wait_refused("not-permitted");
    assert!(refused["peer"].as_str().unwrap().starts_with(UNWELCOME), "{refused}");

    assert_eq!(server.stop(), Some(0));
    assert_eq!(server.content("native"), content);
    let names: Tree = server.published();
    assert_eq!(names.get("classic"), Some(&file("hello")));
    assert_eq!(names.len(), 2);
}
