//! The standalone component, run resident by our own host: the same clients, the same results.
#![allow(clippy::unwrap_used, clippy::expect_used)]

use std::fs;
use std::thread;

use sandport_tests::clients::classic_client;
use sandport_tests::deadline::until;
use sandport_tests::files::{Tree, file, kept};
use sandport_tests::process::Running;
use sandport_tests::{Connection, Middlebox, Native, Random, Server, Setup, artifacts, send};

/// Senders at once.
const SENDERS: usize = 30;

fn setup<const N: usize>(flags: [&str; N]) -> Setup {
    Setup::new(flags).receiver(artifacts::standalone())
}

#[test]
fn a_classic_client_uploads() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("file");
    let content = Random::seeded().bytes(300_000);
    fs::write(&path, &content).unwrap();
    let mut server = setup([]).start();
    let client = classic_client(server.address(), &path);
    assert_eq!((client.code, client.stdout.as_str()), (Some(0), "ack\n"), "{client:?}");
    let event = server.events.wait("a stored file", |event| event["type"] == "stored");
    assert_eq!(event["claimed"], true, "{event}");
    assert_eq!(server.content(event["name"].as_str().unwrap()), content);
    assert_eq!(server.stop(), Some(0));
}

#[test]
fn what_it_stored_is_known_to_its_next_run_and_native_inboxes() {
    let directory = tempfile::tempdir().unwrap();
    let (path, inbox) = (directory.path().join("a.bin"), directory.path().join("inbox"));
    let content = Random::seeded().bytes(2_000_003);
    fs::write(&path, &content).unwrap();
    let send_to = |server: &Server| {
        let sent = send([path.as_os_str(), server.address().as_ref()]).expect_success();
        (sent.of_type("stored").len(), sent.of_type("already-stored").len())
    };
    for expected in [(1, 0), (0, 1)] {
        let mut resident = setup([]).inbox(&inbox).start();
        assert_eq!(send_to(&resident), expected);
        assert_eq!(resident.stop(), Some(0));
    }
    // The native inbox tells files apart by other marks, so it receives the file again, and keeps both.
    let mut native = Setup::new([""; 0]).inbox(&inbox).start();
    assert_eq!(send_to(&native), (1, 0));
    assert_eq!(native.stop(), Some(0));
    let both = ["a.bin", "a-1.bin"].map(|name| (name.into(), file(&content)));
    assert_eq!(native.published(), Tree::from(both));
}

#[test]
fn its_settings_are_those_of_the_server() {
    let mut server =
        setup(["--max-file", "5B", "--conflict", "refuse", "--classic-name", "file"]).start();
    let mut sender = Native::open(&server);
    assert_eq!(sender.welcome.max_file_size, Some(5));
    sender.send(0, "larger", b"hello!");
    assert!(sender.outcome(0).is_err());
    let refused = server.wait_refused("too-large");
    assert_eq!((&refused["name"], &refused["claimed"]), (&"larger".into(), &true.into()));
    for answer in ["stored", "exists"] {
        let mut client = Connection::open(&server);
        client.say("5\nhello");
        client.hear_all();
        match answer {
            "stored" => assert_eq!(server.wait_stored(), "file"),
            code => drop(server.wait_refused(code)),
        }
    }
    assert_eq!(server.published(), Tree::from([("file".into(), file("hello"))]));
}

#[test]
fn many_senders_at_once_are_served_by_one_instance() {
    let directory = tempfile::tempdir().unwrap();
    let server = setup(["-l", "127.0.0.1:0", "-l", "[::1]:0"]).start();
    let addresses = server.addresses().to_vec();
    let names: Vec<String> = (0..SENDERS).map(|number| format!("{number}.bin")).collect();
    for name in &names {
        fs::write(directory.path().join(name), name.repeat(20_000)).unwrap();
    }
    thread::scope(|scope| {
        for (number, name) in names.iter().enumerate() {
            let (path, to) = (directory.path().join(name), &addresses[number % addresses.len()]);
            scope.spawn(move || send([path.as_os_str(), to.as_ref()]).expect_success());
        }
    });
    for name in &names {
        assert_eq!(server.content(name), name.repeat(20_000).as_bytes());
    }
    assert_eq!(server.staged(), [""; 0]);
}

/// What is sent twice of a file where the server is killed: no more than what came since the last watermark, which
/// has moved at half of 64 MiB.
#[test]
fn a_sender_lives_through_a_kill_and_sends_from_a_watermark() {
    const MIB: u64 = 1024 * 1024;
    let directory = tempfile::tempdir().unwrap();
    let (path, inbox) = (directory.path().join("big"), directory.path().join("inbox"));
    let content = Random::seeded().bytes(48 * MIB as usize);
    fs::write(&path, &content).unwrap();
    let mut server = setup([]).inbox(&inbox).start();
    let network = Middlebox::before(server.address(), []).held_at(40 * MIB);
    let mut command = send::command();
    command.args(["--json", "send", "--retries", "20", "-j", "1"]).arg(&path);
    command.arg("--state-dir").arg(directory.path().join("state")).arg(network.address());
    let sender = Running::start(&mut command, b"");
    network.wait_bytes(40 * MIB, || false);
    until("half of a step to be kept", || kept(&inbox) >= 31 * MIB);
    server.kill();
    let server = setup([]).inbox(&inbox).start();
    network.turn_to(server.address());
    network.release();
    let ended = sender.finish();
    assert_eq!(ended.code, Some(0), "{ended:?}");
    assert!(ended.stdout.contains("\"resumed\""), "{ended:?}");
    assert!(server.content("big") == content);
    let passed: u64 = network.bytes().iter().sum();
    let twice = passed.saturating_sub(content.len() as u64) / MIB;
    println!("sent twice: {twice} MiB of {}", content.len() as u64 / MIB);
    assert!(twice <= 9, "{twice} MiB were sent twice");
}
