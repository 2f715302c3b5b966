//! The standalone component under a stock runtime, with the clients that there are.
#![allow(clippy::unwrap_used, clippy::expect_used)]

use std::fs;
use std::path::Path;
use std::thread;
use std::time::{Duration, SystemTime};

use rustix::process::Signal;
use sandport_protocol::ResumeMode;
use sandport_protocol::wire::ReceiverMessage;
use sandport_tests::clients::classic_client;
use sandport_tests::deadline::{joined, until};
use sandport_tests::files::{self, Entry, Tree, file, kept};
use sandport_tests::process::{self, Running};
use sandport_tests::{
    Connection, Middlebox, Native, Random, Server, Setup, artifacts, native, send,
};

/// Senders at once.
const SENDERS: usize = 100;

const MIB: usize = 1024 * 1024;

/// Watermarks come soon.
const OFTEN: [&str; 4] = ["--watermark-size", "1MiB", "--watermark-time", "50ms"];

fn setup<const N: usize>(flags: [&str; N]) -> Setup {
    Setup::new(flags).standalone()
}

fn start<const N: usize>(flags: [&str; N]) -> Server {
    setup(flags).start()
}

/// The same on the standalone component as on the native host.
fn on_both<const N: usize>(flags: [&str; N], test: impl Fn(Server)) {
    test(Setup::new(flags).start());
    test(start(flags));
}

#[test]
fn a_classic_client_uploads() {
    let mut random = Random::seeded();
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("file");
    let mut server = start([]);
    for size in [0, 1, 1024, 300_000, 5_000_001] {
        let content = random.bytes(size);
        fs::write(&path, &content).unwrap();
        let client = classic_client(server.address(), &path);
        assert_eq!((client.code, client.stdout.as_str()), (Some(0), "ack\n"), "{client:?}");
        let name = server.wait_stored();
        assert!(name.starts_with("upload-2"), "{name}");
        assert_eq!(server.content(&name), content);
    }
    assert_eq!(server.staged(), [""; 0]);
}

#[test]
fn digits_without_a_line_end_are_a_size_after_silence() {
    on_both(["--classic-name", "x"], |mut server| {
        let mut client = Connection::open(&server);
        client.say("5");
        assert_eq!(client.hear(3), b"ack");
        client.say("hello");
        assert_eq!(server.wait_stored(), "x");
        assert_eq!(client.hear_all(), b"");
        assert_eq!(server.published(), Tree::from([("x".into(), file("hello"))]));
    });
}

#[test]
fn the_classic_sender_uploads() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("file");
    let content = Random::seeded().bytes(3_000_000);
    fs::write(&path, &content).unwrap();
    on_both(["--classic-name", "got"], |mut server| {
        send([path.as_os_str(), server.address().as_ref(), "--classic".as_ref()]).expect_success();
        assert_eq!(server.wait_stored(), "got");
        assert_eq!(server.content("got"), content);
    });
}

/// A directory with files of many sizes, an empty directory, and its content.
fn a_tree(random: &mut Random) -> (tempfile::TempDir, Tree) {
    let directory = tempfile::tempdir().unwrap();
    let root = directory.path().join("tree");
    fs::create_dir_all(root.join("empty")).unwrap();
    fs::create_dir_all(root.join("deep/er")).unwrap();
    let mut tree = Tree::from([
        ("tree".into(), Entry::Directory),
        ("tree/empty".into(), Entry::Directory),
        ("tree/deep".into(), Entry::Directory),
        ("tree/deep/er".into(), Entry::Directory),
    ]);
    for (number, size) in [0, 1, 70_000, 4_000_003].into_iter().chain([333; 40]).enumerate() {
        let content = random.bytes(size);
        let name = format!("deep/er/{number}.bin");
        fs::write(root.join(&name), &content).unwrap();
        tree.insert(format!("tree/{name}"), file(content));
    }
    (directory, tree)
}

#[test]
fn a_tree_arrives_and_the_second_time_nothing_is_sent() {
    let (directory, tree) = a_tree(&mut Random::seeded());
    on_both([], |server| {
        let path = directory.path().join("tree");
        let sent = send([path.as_os_str(), server.address().as_ref()]).expect_success();
        // The empty directory is made when it is offered.
        assert_eq!(sent.of_type("stored").len(), 44, "{sent:?}");
        assert_eq!(server.published(), tree);
        let again = send([path.as_os_str(), server.address().as_ref()]).expect_success();
        assert_eq!(again.of_type("stored").len(), 0, "{again:?}");
        assert_eq!(again.of_type("already-stored").len(), 44, "{again:?}");
        assert_eq!(server.published(), tree);
        assert_eq!(server.staged(), [""; 0]);
    });
}

#[test]
fn what_was_stored_is_remembered_across_a_restart() {
    let directory = tempfile::tempdir().unwrap();
    let (path, inbox) = (directory.path().join("a.bin"), directory.path().join("inbox"));
    fs::write(&path, Random::seeded().bytes(200_000)).unwrap();
    let serve = || setup([]).inbox(&inbox).start();
    let mut server = serve();
    send([path.as_os_str(), server.address().as_ref()]).expect_success();
    server.kill();
    let server = serve();
    let again = send([path.as_os_str(), server.address().as_ref()]).expect_success();
    assert_eq!(again.names("already-stored"), ["a.bin"]);
    assert_eq!(server.published().len(), 1);
}

#[test]
fn a_taken_name_follows_the_rule() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("report.pdf");
    for (rule, stored) in [("rename", "report-1.pdf"), ("replace", "report.pdf"), ("refuse", "")] {
        on_both(["--conflict", rule], |server| {
            for content in ["one", "two"] {
                fs::write(&path, content).unwrap();
                let sent = send([path.as_os_str(), server.address().as_ref()]);
                match (content, stored) {
                    ("two", "") => assert_eq!(sent.failure(), "exists"),
                    ("two", name) => assert_eq!(sent.expect_success().names("stored"), [name]),
                    _ => drop(sent.expect_success()),
                }
            }
        });
    }
}

#[test]
fn a_cut_connection_publishes_nothing_and_others_go_on() {
    on_both([], |mut server| {
        let mut random = Random::seeded();
        let content = random.bytes(3_000_000);
        let mut honest = Native::open(&server);
        honest.offer(0, "honest", content.len() as u64);
        honest.data(0, 0, &content[..1_500_000]);

        let mut classic = Connection::open(&server);
        classic.say("1000000\n");
        assert_eq!(classic.hear(3), b"ack");
        classic.say(random.bytes(500_000));
        drop(classic);
        server.wait_refused("cancelled");
        let mut native = Native::open(&server);
        native.offer(0, "cut", 1_000_000);
        native.data(0, 0, &content[..100_000]);
        drop(native);
        for nonsense in [&b"\xff\xff"[..], b"12x", b"\x89SPT", b"GET / HTTP/1.1\r\n\r\n"] {
            let mut client = Connection::open(&server);
            client.say(nonsense);
            client.finish();
            client.hear_all();
        }

        honest.data(0, 1_500_000, &content[1_500_000..]);
        honest.end(0, &content);
        assert_eq!(honest.outcome(0).unwrap().name, "honest");
        assert_eq!(server.published(), Tree::from([("honest".into(), file(&content))]));
    });
}

#[test]
fn many_senders_at_once_are_served_by_one_instance() {
    let mut random = Random::seeded();
    let mut server = start([]);
    let mut contents = Vec::new();
    let mut senders = Vec::new();
    // All are there before any of them is done.
    let mut connections: Vec<Connection> =
        (0..SENDERS).map(|_| Connection::open(&server)).collect();
    for connection in &mut connections {
        connection.say("100000\n");
        assert_eq!(connection.hear(3), b"ack");
    }
    for mut connection in connections {
        let content = random.bytes(100_000);
        contents.push(content.clone());
        senders.push(thread::spawn(move || {
            connection.say(&content[..60_000]);
            connection.say(&content[60_000..]);
            assert_eq!(connection.hear_all(), b"");
        }));
    }
    for sender in senders {
        joined("the end of a sender", sender);
    }
    for _ in 0..SENDERS {
        server.wait_stored();
    }
    let mut stored: Vec<Vec<u8>> = server
        .published()
        .into_values()
        .map(|entry| match entry {
            Entry::File(content) => content,
            other => panic!("{other:?}"),
        })
        .collect();
    stored.sort();
    contents.sort();
    assert!(stored == contents, "each file is what one sender sent");
}

#[test]
fn more_connections_than_allowed_wait_for_their_turn() {
    let server = start(["--max-connections", "1"]);
    let mut first = Native::open(&server);
    let mut second = Connection::open(&server);
    second.say("5\nhello");
    first.send(0, "first", b"1");
    first.outcome(0).unwrap();
    assert_eq!(server.published().len(), 1);
    drop(first);
    second.finish();
    assert_eq!(second.hear_all(), b"ack");
}

#[test]
fn limits_hold() {
    on_both(["--max-file", "1000", "--no-classic"], |mut server| {
        let mut client = Native::open(&server);
        client.send(0, "large", &[7; 1001]);
        assert_eq!(client.outcome(0).unwrap_err().code.as_str(), "too-large");
        client.send(1, "../x", b"1");
        assert_eq!(client.outcome(1).unwrap_err().code.as_str(), "name-invalid");
        let mut classic = Connection::open(&server);
        classic.say("5\n");
        assert_eq!(classic.hear_all(), b"");
        server.wait_refused("not-permitted");
        assert_eq!(server.published(), Tree::default());
    });
}

#[test]
fn who_says_nothing_more_is_cut() {
    on_both(["--idle-timeout", "300ms"], |mut server| {
        let mut client = Connection::open(&server);
        // Said in time or not: nothing follows.
        client.try_say(native::greeting());
        client.hear_all();
        server.wait_refused("timeout");
        assert_eq!(server.published(), Tree::default());
    });
}

#[test]
fn it_says_where_it_listens_in_words_too() {
    let server = start(["--listen", "127.0.0.1:0", "--listen", "[::1]:0"]);
    assert_eq!(server.addresses().len(), 2);
    assert!(server.addresses().iter().all(|address| !address.ends_with(":0")));
}

#[test]
fn an_address_in_use_is_said_with_what_to_do() {
    let taken = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let address = taken.local_addr().unwrap().to_string();
    let ended = setup(["--listen", &address]).start_and_fail();
    assert_eq!(ended.code, Some(1), "{ended:?}");
    assert!(ended.stderr.contains(&format!("error[address-in-use]: cannot listen on {address}")));
    assert!(ended.stderr.contains("hint: stop the other server"), "{ended:?}");
}

#[test]
fn an_inbox_that_is_not_mounted_is_said_with_what_to_do() {
    let ended = setup(["--inbox", "/elsewhere"]).start_and_fail();
    assert_eq!(ended.code, Some(1), "{ended:?}");
    let said = "error[inbox-not-mounted]: there is no directory /elsewhere: only /inbox is mounted";
    assert!(ended.stderr.contains(said), "{ended:?}");
    assert!(ended.stderr.contains("hint: mount one: wasmtime run"), "{ended:?}");
    // Beneath what is mounted is fine, if it is there.
    let ended = setup(["--inbox", "/inbox/missing"]).start_and_fail();
    assert!(ended.stderr.contains("error[inbox-not-mounted]"), "{ended:?}");
}

#[test]
fn an_inbox_of_an_unknown_layout_is_left_alone() {
    let directory = tempfile::tempdir().unwrap();
    let inbox = directory.path().join("inbox");
    fs::create_dir_all(inbox.join(".sandport")).unwrap();
    fs::write(inbox.join(".sandport/layout"), "99\n").unwrap();
    let ended = setup([]).inbox(&inbox).start_and_fail();
    assert!(ended.stderr.contains("error[inbox-layout]"), "{ended:?}");
}

#[test]
fn a_wrong_command_line_is_said_with_the_right_form() {
    let ended = setup(["--listen", "localhost:1"]).start_and_fail();
    assert_eq!(ended.code, Some(1), "{ended:?}");
    assert!(ended.stderr.contains("error[usage]"), "{ended:?}");
    assert!(ended.stderr.contains("write an IP address and a port"), "{ended:?}");
    let help = setup(["--help"]).start_and_fail();
    assert_eq!(help.code, Some(0), "{help:?}");
    assert!(help.stdout.contains("--max-file <SIZE>") && help.stdout.contains("SANDPORT_MAX_FILE"));
}

fn partials(inbox: &Path) -> Vec<String> {
    files::names_in(&inbox.join(".sandport/partials"))
}

/// What is missing, by the verdict on an offer that can be resumed.
fn offer(sender: &mut Native, content: &[u8], mode: ResumeMode) -> Vec<(usize, usize)> {
    sender.say(&native::offer(0, native::resumable("big", content.len() as u64, mode)));
    match sender.hear() {
        Some(ReceiverMessage::Accepted(accepted)) => {
            let missing = accepted.missing.iter();
            missing.map(|it| (it.offset as usize, it.length.unwrap() as usize)).collect()
        }
        other => panic!("{other:?}"),
    }
}

#[test]
fn a_sender_hears_what_is_kept_and_resumes_after_a_kill() {
    let mut server = start(OFTEN);
    let content = Random::seeded().bytes(5 * MIB);
    let mut sender = Native::open(&server);
    assert_eq!(offer(&mut sender, &content, ResumeMode::TakeOver), [(0, content.len())]);
    sender.data(0, 0, &content[..3 * MIB]);
    sender.wait_durable(0, 3 * MIB as u64);
    server.kill();

    let server = setup(OFTEN).inbox(server.inbox()).start();
    let mut sender = Native::open(&server);
    let missing = offer(&mut sender, &content, ResumeMode::TakeOver);
    assert_eq!(missing, [(3 * MIB, 2 * MIB)]);
    sender.data(0, 3 * MIB as u64, &content[3 * MIB..]);
    sender.say(&native::finish(0, &content));
    assert_eq!(sender.outcome(0).unwrap().name, "big");
    assert!(server.content("big") == content);
    assert_eq!(partials(server.inbox()), [""; 0]);
}

#[test]
fn a_connection_that_is_taken_over_hears_so_while_it_waits() {
    on_both(OFTEN, |server| {
        let content = Random::seeded().bytes(3 * MIB);
        let mut older = Native::open(&server);
        offer(&mut older, &content, ResumeMode::TakeOver);
        older.data(0, 0, &content[..MIB]);
        older.wait_durable(0, MIB as u64);
        let mut newer = Native::open(&server);
        assert_eq!(offer(&mut newer, &content, ResumeMode::TakeOver), [(MIB, 2 * MIB)]);
        assert_eq!(older.outcome(0).unwrap_err().code.as_str(), "locked");
        newer.data(0, MIB as u64, &content[MIB..]);
        newer.say(&native::finish(0, &content));
        newer.outcome(0).unwrap();
        assert!(server.content("big") == content);
    });
}

#[test]
fn two_connections_carry_one_file_and_both_hear_its_receipt() {
    on_both(OFTEN, |server| {
        let content = Random::seeded().bytes(4 * MIB + 9);
        let mut first = Native::open(&server);
        let mut second = Native::open(&server);
        offer(&mut first, &content, ResumeMode::TakeOver);
        offer(&mut second, &content, ResumeMode::Join);
        second.data(0, 2 * MIB as u64, &content[2 * MIB..]);
        second.say(&native::finish(0, &content));
        first.data(0, 0, &content[..2 * MIB]);
        first.say(&native::finish(0, &content));
        // The one that was through before hears what the other has brought about.
        assert_eq!(second.outcome(0), first.outcome(0));
        assert!(server.content("big") == content);
    });
}

#[test]
fn a_sender_with_several_connections_sends_a_file_once() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("big");
    let content = Random::seeded().bytes(24 * MIB + 5);
    fs::write(&path, &content).unwrap();
    let mut server = start(OFTEN);
    let sent = send([path.as_os_str(), server.address().as_ref(), "-j".as_ref(), "4".as_ref()]);
    assert_eq!(sent.expect_success().names("stored"), ["big"]);
    assert!(server.content("big") == content);
    server.kill();
    assert_eq!(server.told_stored(), 1, "the operator hears of a file once");
}

/// Sends a file of `content` by way of a network that passes `bytes` of it, and kills the sender when most of them
/// are kept. The network: a sender knows its servers by their addresses.
fn cut_off(directory: &Path, server: &Server, content: &[u8], bytes: usize) -> Middlebox {
    fs::write(directory.join("big"), content).unwrap();
    let network = Middlebox::before(server.address(), []).held_at(bytes as u64);
    let mut command = send::command();
    command.current_dir(directory).args(["send", "--state-dir", "state", "big", network.address()]);
    let sender = Running::start(&mut command, b"");
    // By our own `ls`, which reads the journal.
    let most = (bytes - MIB - MIB / 4) as u64;
    until("most of it to be kept", || kept(server.inbox()) >= most);
    sender.signal(Signal::KILL);
    sender.finish();
    network
}

#[test]
fn a_later_run_resumes_after_sender_and_component_were_killed() {
    let directory = tempfile::tempdir().unwrap();
    let content = Random::seeded().bytes(9 * MIB);
    let mut server = start(OFTEN);
    let network = cut_off(directory.path(), &server, &content, 6 * MIB);
    server.kill();
    let server = setup(OFTEN).inbox(server.inbox()).start();
    network.turn_to(server.address());
    network.release();
    let arguments = ["--state-dir", "state", "big", network.address()];
    let sent = send::send_with(directory.path(), b"", arguments).expect_success();
    let resumed = sent.of_type("resumed")[0]["kept"].as_u64().unwrap();
    assert!(resumed >= 4 * MIB as u64, "{resumed}");
    assert_eq!(sent.names("stored"), ["big"]);
    assert!(server.content("big") == content);
    assert_eq!(files::keys_in(&directory.path().join("state")), [""; 0]);
    assert_eq!((partials(server.inbox()), server.staged()), (vec![], vec![]));
    // By our own `verify`, which reads it again.
    let verify = process::run(send::command().arg("verify").arg(server.inbox()), b"");
    assert_eq!(verify.code, Some(0), "{verify:?}");
}

#[test]
fn the_rest_of_a_cut_upload_is_listed_and_cleaned_by_sandport() {
    let directory = tempfile::tempdir().unwrap();
    let mut server = start(OFTEN);
    cut_off(directory.path(), &server, &Random::seeded().bytes(5 * MIB), 4 * MIB);
    server.kill();
    let ls = process::run(send::command().args(["--json", "ls"]).arg(server.inbox()), b"");
    assert!(ls.stdout.contains("\"name\":\"big\""), "{ls:?}");
    let clean = || {
        let ended = process::run(send::command().arg("clean").arg(server.inbox()), b"");
        assert_eq!(ended.code, Some(0), "{ended:?}");
        partials(server.inbox())
    };
    let left = clean();
    assert_eq!(left.len(), 2, "{left:?}");
    for name in left {
        let path = server.inbox().join(".sandport/partials").join(name);
        files::set_modified(&path, SystemTime::now() - Duration::from_hours(8 * 24));
    }
    assert_eq!(clean(), [""; 0]);
}

#[test]
fn the_same_file_runs_resident_in_our_host() {
    let (directory, tree) = a_tree(&mut Random::seeded());
    let flags = ["--max-file", "5MB", "--idle-timeout", "30s", "--classic-name", "old"];
    let mut server = Setup::new(flags).receiver(artifacts::standalone()).start();
    let path = directory.path().join("tree");
    let sent = send([path.as_os_str(), server.address().as_ref()]).expect_success();
    assert_eq!(sent.of_type("stored").len(), 44, "{sent:?}");
    assert_eq!(server.published(), tree);
    let mut classic = Connection::open(&server);
    classic.say("5\n");
    assert_eq!(classic.hear(3), b"ack");
    classic.say("hello");
    assert_eq!(classic.hear_all(), b"");
    server.events.wait("the classic upload", |event| event["name"] == "old");
    assert_eq!(server.content("old"), b"hello");
    let mut large = Native::open(&server);
    large.offer(0, "large", 5_000_001);
    assert_eq!(large.outcome(0).unwrap_err().code.as_str(), "too-large");
}
