//! The server and the sender, killed at random moments of running uploads: nothing that was acknowledged is
//! lost, nothing is visible that is not whole, every upload can be finished, and there is no second copy.
#![allow(clippy::unwrap_used, clippy::expect_used)]

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

use rustix::process::Signal;
use sandport_tests::deadline::joined;
use sandport_tests::files::{Entry, Tree};
use sandport_tests::process::Running;
use sandport_tests::{Connection, Random, Server, Setup, send};

/// How many kills, where nobody says otherwise.
const KILLS: usize = 20;

/// Says otherwise: a long run.
const KILLS_VARIABLE: &str = "SANDPORT_TEST_KILLS";

/// Longest pause between the start of an upload and the kill. Some hit its beginning, some its end, and a
/// few come too late. Microseconds.
const DELAY_US_MAX: usize = 120_000;

/// Most tries to finish the uploads of a round when nobody is killed any more.
const TRIES_MAX: usize = 3;

/// Sizes of the large files. Bytes.
const LARGE_BYTES: std::ops::Range<usize> = 1_000_000..30_000_000;

struct World {
    random: Random,
    directory: tempfile::TempDir,
    server: Option<Server>,
    /// What files were sent under their names, and streams and classic uploads, whose names are made up.
    named: BTreeMap<String, Vec<u8>>,
    unnamed: Vec<Vec<u8>>,
    /// Contents of the classic dialect, of which nobody gets a receipt.
    unsure: Vec<Vec<u8>>,
    kills: usize,
    /// Whether the last sender found no server, and what it said.
    never_connected: bool,
    last_output: String,
}

/// Most connections of a sender.
const CONNECTIONS_MAX: usize = 4;

/// One `sandport send` of a round.
#[derive(Clone)]
struct Sending {
    paths: Vec<PathBuf>,
    stdin: Option<Vec<u8>>,
}

impl World {
    fn new() -> Self {
        Self {
            random: Random::seeded(),
            // In memory where there is a place: a kill loses nothing of a file system, and syncs cost nothing.
            directory: tempfile::tempdir_in("/dev/shm").or_else(|_| tempfile::tempdir()).unwrap(),
            server: None,
            named: BTreeMap::new(),
            unnamed: Vec::new(),
            unsure: Vec::new(),
            kills: 0,
            never_connected: false,
            last_output: String::new(),
        }
    }

    fn inbox(&self) -> PathBuf {
        self.directory.path().join("inbox")
    }

    fn socket(&self) -> PathBuf {
        self.directory.path().join("socket")
    }

    /// The server, started if it does not run.
    fn serve(&mut self) {
        if self.server.is_none() {
            let listen = format!("unix:{}", self.socket().display());
            let flags = ["--watermark-size", "1MiB", "--watermark-time", "5ms", "-l", &listen];
            self.server = Some(Setup::new(flags).inbox(self.inbox()).start());
        }
    }

    fn kill_server(&mut self) {
        if let Some(mut server) = self.server.take() {
            server.kill();
            self.kills += 1;
        }
    }

    fn sender(&self, sending: &Sending) -> Command {
        let mut command = send::command();
        let state = self.directory.path().join("state");
        command.args(["--json", "send", "--state-dir"]).arg(state);
        command.args(&sending.paths);
        command.args(sending.stdin.is_some().then_some("-"));
        command.arg(format!("unix:{}", self.socket().display()));
        command
    }

    /// Runs a sender to its end, or to a kill of it or of the server. What it was told to be stored.
    fn run(&mut self, sending: &Sending, kill: Option<Kill>) -> (Option<i32>, Vec<String>) {
        let mut command = self.sender(sending);
        // Another number each time: what some have begun, others go on with.
        let connections = 1 + self.random.below(CONNECTIONS_MAX);
        command.env("SANDPORT_CONNECTIONS", connections.to_string());
        // A stream cannot be sent again by a later run, so its sender has to live through it.
        if sending.stdin.is_some() {
            command.env("SANDPORT_RETRIES", "20");
        }
        let running = Running::start(&mut command, sending.stdin.as_deref().unwrap_or_default());
        if let Some(kill) = kill {
            self.pause(DELAY_US_MAX);
            match kill {
                Kill::Server => self.kill_server(),
                Kill::Sender => {
                    running.signal(Signal::KILL);
                    self.kills += 1;
                }
            }
            self.serve();
        }
        let ended = running.finish();
        let (code, output) = (ended.code, ended.stdout);
        // A first connection that fails is not tried again.
        self.never_connected =
            output.contains("\"unreachable\"") && !output.contains("\"reconnecting\"");
        self.last_output.clone_from(&output);
        let stored = output
            .lines()
            .filter_map(|line| serde_json::from_str::<serde_json::Value>(line).ok())
            .filter(|line| line["type"] == "stored" || line["type"] == "already-stored")
            .filter_map(|line| line["name"].as_str().map(str::to_owned))
            .collect();
        (code, stored)
    }

    /// Lets some time pass before a kill. Its moment is chance: nothing is waited for.
    fn pause(&mut self, us_max: usize) {
        let delay = Duration::from_micros(self.random.below(us_max) as u64);
        #[expect(clippy::disallowed_methods, reason = "chance decides, and any moment will do")]
        std::thread::sleep(delay);
    }

    /// A classic upload, while which somebody may be killed.
    fn classic(&mut self, kill: bool) {
        let size = 1 + self.random.below(3_000_000);
        let content = self.random.bytes(size);
        self.unsure.push(content.clone());
        let address = format!("unix:{}", self.socket().display());
        let sending = std::thread::spawn(move || {
            // The server may be killed at any of these.
            let Ok(mut client) = Connection::try_to(&address) else { return };
            client.try_say(format!("{size}\n"));
            client.hear_some(3);
            client.try_say(&content);
            client.finish();
            client.hear_all();
        });
        if kill {
            self.pause(DELAY_US_MAX / 4);
            self.kill_server();
            self.serve();
        }
        joined("the end of a classic upload", sending);
    }

    /// Files of a round: one large, and a few small ones.
    fn make_files(&mut self, round: usize) -> Sending {
        let tree = self.directory.path().join(format!("round{round}"));
        std::fs::create_dir(&tree).unwrap();
        let large = LARGE_BYTES.start + self.random.below(LARGE_BYTES.len());
        let sizes = [large, self.random.below(200_000), self.random.below(5_000), 0];
        for (number, size) in sizes.into_iter().enumerate() {
            let content = self.random.bytes(size);
            std::fs::write(tree.join(number.to_string()), &content).unwrap();
            self.named.insert(format!("round{round}/{number}"), content);
        }
        Sending { paths: vec![tree], stdin: None }
    }

    fn round(&mut self, round: usize) {
        self.serve();
        let sending = match self.random.below(4) {
            0 => {
                let size = self.random.below(LARGE_BYTES.end / 5);
                let content = self.random.bytes(size);
                self.unnamed.push(content.clone());
                Sending { paths: Vec::new(), stdin: Some(content) }
            }
            _ => self.make_files(round),
        };
        let mut acknowledged = Vec::new();
        let mut finished = false;
        // A stream has one sender; files may lose several.
        let kills = if sending.stdin.is_some() { 1 } else { 1 + self.random.below(3) };
        for _ in 0..kills {
            let kill = match self.random.below(2) {
                0 if sending.stdin.is_none() => Kill::Sender,
                _ => Kill::Server,
            };
            let (code, stored) = self.run(&sending, Some(kill));
            acknowledged.extend(stored);
            self.check_acknowledged(&acknowledged);
            finished = code == Some(0);
            if finished {
                break;
            }
        }
        if self.random.below(3) == 0 {
            let kill = self.random.below(2) == 0;
            self.classic(kill);
        }
        if sending.stdin.is_none() {
            for _ in 0..TRIES_MAX {
                if finished {
                    break;
                }
                finished = self.run(&sending, None).0 == Some(0);
            }
        }
        // A stream whose sender found no server at all was not begun.
        for _ in 0..TRIES_MAX {
            if finished || !self.never_connected {
                break;
            }
            finished = self.run(&sending, None).0 == Some(0);
        }
        assert!(
            finished,
            "round {round}: an upload that cannot be finished: {:?}",
            self.last_output
        );
        self.check_all(round);
        for path in &sending.paths {
            std::fs::remove_dir_all(path).unwrap();
        }
    }

    fn published(&self) -> Tree {
        sandport_tests::files::published(&self.inbox())
    }

    /// What was acknowledged is there, with the content that was sent.
    fn check_acknowledged(&self, names: &[String]) {
        for name in names {
            let found = std::fs::read(self.inbox().join(name));
            let found = found.unwrap_or_else(|error| panic!("{name} was acknowledged: {error}"));
            let known = self.named.get(name) == Some(&found) || self.unnamed.contains(&found);
            assert!(known, "{name} was acknowledged and has other content");
        }
    }

    /// All is there once, and nothing else is.
    fn check_all(&mut self, round: usize) {
        let mut published = self.published();
        for (name, content) in &self.named {
            match published.remove(name) {
                Some(Entry::File(found)) => assert!(found == *content, "{name} differs"),
                other => panic!(
                    "round {round}: {name} is {}",
                    if other.is_none() { "missing" } else { "no file" }
                ),
            }
        }
        let mut files: Vec<(String, Vec<u8>)> = published
            .into_iter()
            .filter_map(|(name, entry)| match entry {
                Entry::File(content) => Some((name, content)),
                _ => None,
            })
            .collect();
        for content in &self.unnamed {
            let found = files.iter().position(|(_, found)| found == content);
            files.remove(found.unwrap_or_else(|| panic!("round {round}: a stream is missing")));
        }
        for (name, content) in files {
            let place = self.unsure.iter().position(|unsure| *unsure == content);
            let place = place.unwrap_or_else(|| {
                panic!(
                    "round {round}: {name} ({} bytes) is a second copy or not whole",
                    content.len()
                )
            });
            self.unsure.remove(place);
            remove(&self.inbox().join(name));
        }
        // What was checked need not be checked in each round.
        for name in std::mem::take(&mut self.named).keys() {
            remove(&self.inbox().join(name));
        }
        for name in self.published().keys() {
            remove(&self.inbox().join(name));
        }
        self.unnamed.clear();
    }
}

#[derive(Clone, Copy)]
enum Kill {
    Server,
    Sender,
}

fn remove(path: &Path) {
    let _ = std::fs::remove_file(path).or_else(|_| std::fs::remove_dir_all(path));
}

#[test]
fn whatever_is_killed_nothing_acknowledged_is_lost() {
    let kills = std::env::var(KILLS_VARIABLE).map_or(KILLS, |kills| kills.parse().unwrap());
    let mut world = World::new();
    let mut rounds = 0;
    while world.kills < kills {
        world.round(rounds);
        rounds += 1;
    }
    let partials = world.inbox().join(".sandport/partials");
    let left = std::fs::read_dir(partials).unwrap().count();
    println!("{} kills in {rounds} rounds; {left} files of uploads are left", world.kills);
}
