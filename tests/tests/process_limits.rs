//! What the system lets a server have, and the signals that are about its process: little of it makes it slow, and
//! ends it for nobody.
#![allow(clippy::unwrap_used, clippy::expect_used)]

use std::fs;
use std::net::Ipv4Addr;

use sandport_protocol::wire::{Data, ReceiverMessage, SenderMessage};
use sandport_protocol::{Offer, Resume, ResumeMode};
use sandport_tests::deadline::until;
use sandport_tests::files::{Tree, file};
use sandport_tests::{Connection, Native, Server, Setup, native, send};

/// A server under a limit that a shell sets.
fn limited(limit: &str, flags: &[&str]) -> Server {
    let script = format!("ulimit {limit} && exec \"$0\" \"$@\"");
    Setup::new(flags).wrapped(["sh", "-c", &script]).start()
}

#[test]
fn small_files_are_all_stored_with_few_descriptors() {
    let directory = tempfile::tempdir().unwrap();
    let tree = directory.path().join("t");
    fs::create_dir(&tree).unwrap();
    (0..600).for_each(|n| fs::write(tree.join(n.to_string()), n.to_string()).unwrap());
    for durability in ["full", "none"] {
        let server = limited("-n 80", &["--durability", durability]);
        let sent = send([tree.as_os_str(), server.address().as_ref()]).expect_success();
        assert_eq!(sent.of_type("stored").len(), 600, "{durability}");
    }
}

#[test]
fn uploads_that_one_connection_holds_keep_no_other_out() {
    let server = limited("-n 1024", &["--durability", "none"]);
    let mut hoarder = Native::open(&server);
    // Nearly as many as a connection may have: nothing comes of half of them, and of the others so much that each has a
    // file.
    for id in 0..1_000 {
        let mut key = [0; 32];
        key[..8].copy_from_slice(&u64::to_le_bytes(id));
        let resume = Some(Resume { key, epoch: 1, mode: ResumeMode::TakeOver });
        let offer = native::resumable(&format!("upload {id}"), 1 << 30, ResumeMode::TakeOver);
        hoarder.say(&native::offer(id, Offer { resume, ..offer }));
        let verdict = hoarder.hear();
        assert!(matches!(verdict, Some(ReceiverMessage::Accepted(_))), "{verdict:?}");
        if id % 2 == 0 {
            hoarder.data(id, 0, &[7; 9_000]);
        }
    }
    let served = |round: u64| {
        let others: Vec<Native> = (0..200)
            .map(|number| {
                let mut other = Native::open(&server);
                other.send(0, &format!("{round}-{number}"), b"hello");
                assert_eq!(other.outcome(0).unwrap().name, format!("{round}-{number}"));
                other
            })
            .collect();
        drop(others);
    };
    served(1);
    assert!(server.open_files(".sandport/partials") <= 512);
    drop(hoarder);
    until("the descriptors of what was left", || server.open_files(".sandport/partials") == 0);
    served(2);
}

/// A connection of an address that holds all it can: uploads of both kinds, each with so much that it has a file.
fn hoarder(server: &Server, number: u64) -> Connection {
    let mut connection = Connection::from(Ipv4Addr::LOCALHOST.into(), server);
    let mut said = native::greeting();
    for id in 0..HOARDED {
        let mut key = [0; 32];
        key[..8].copy_from_slice(&(number * HOARDED + id).to_le_bytes());
        let resume = (id % 2 == 0).then_some(Resume { key, epoch: 1, mode: ResumeMode::TakeOver });
        let name = format!("{number}-{id}");
        let offer = native::resumable(&name, 1 << 24, ResumeMode::TakeOver);
        said.extend(native::frame(&native::offer(id, Offer { resume, ..offer })));
        let data = SenderMessage::Data(Data { id, offset: 0, length: 9_000 });
        said.extend(native::frame(&data));
        said.extend([7; 9_000]);
    }
    // It may have to give way while it says so.
    connection.try_say(&said);
    connection
}

/// Uploads of each of these connections.
const HOARDED: u64 = 20;

#[test]
fn an_address_that_hoards_descriptors_keeps_nobody_out() {
    for (descriptors, connections) in [(256, 150), (1_024, 300), (20_000, 300)] {
        let server = limited(&format!("-n {descriptors}"), &["--durability", "none"]);
        let crowd: Vec<_> = (0..connections).map(|number| hoarder(&server, number)).collect();
        for round in 0..3 {
            let name = format!("honest-{round}");
            let honest = Connection::from(Ipv4Addr::new(127, 0, 0, 2).into(), &server);
            let mut honest = Native::over(honest);
            honest.send(0, &name, &[5; 100_000]);
            assert_eq!(honest.outcome(0).unwrap().name, name, "{descriptors}");
        }
        drop(crowd);
    }
}

#[test]
fn too_few_descriptors_to_serve_are_told_at_the_start() {
    let script = "ulimit -n 40 && exec \"$0\" \"$@\"";
    let ended = Setup::new([""; 0]).wrapped(["sh", "-c", script]).start_and_fail();
    assert_eq!(ended.code, Some(7), "{ended:?}");
    assert!(ended.stderr.contains("error[descriptors]") && ended.stderr.contains("ulimit -n"));
}

#[test]
fn a_file_above_the_file_size_limit_of_the_process_is_refused() {
    let directory = tempfile::tempdir().unwrap();
    let [large, small] = ["large", "small"].map(|name| directory.path().join(name));
    fs::write(&large, vec![7; 3 << 20]).unwrap();
    fs::write(&small, "small").unwrap();
    // Blocks of 512 bytes: a mebibyte.
    let server = limited("-f 2048", &[]);
    let refused = send([large.as_os_str(), server.address().as_ref()]);
    assert_eq!((refused.code, refused.failure()), (Some(4), "too-large"));
    send([small.as_os_str(), server.address().as_ref()]).expect_success();
}

#[test]
fn the_signal_of_a_file_that_became_too_large_ends_nothing() {
    let mut server = Server::start([]);
    server.signal(rustix::process::Signal::XFSZ);
    let mut sender = Native::open(&server);
    sender.send(0, "a", b"a");
    assert_eq!(sender.outcome(0).unwrap().name, "a");
    drop(sender);
    assert_eq!(server.stop(), Some(0));
}

#[test]
fn a_hangup_lets_uploads_finish_and_leaves_no_socket_behind() {
    let directory = tempfile::tempdir().unwrap();
    let socket = directory.path().join("socket");
    let mut server = Setup::new(["-l", &format!("unix:{}", socket.display())]).start();
    let mut sender = Native::open(&server);
    sender.offer(0, "running", 10);
    assert!(matches!(sender.hear(), Some(ReceiverMessage::Accepted(_))));
    server.signal(rustix::process::Signal::HUP);
    server.events.wait("draining", |event| event["type"] == "draining");
    sender.data(0, 0, b"helloworld");
    sender.end(0, b"helloworld");
    assert_eq!(sender.outcome(0).unwrap().name, "running");
    drop(sender);
    assert_eq!(server.wait_for_end(), Some(0));
    assert!(!socket.exists());
    assert_eq!(server.published(), Tree::from([("running".into(), file("helloworld"))]));
}

#[test]
fn a_hangup_that_is_ignored_as_by_nohup_ends_nothing() {
    let mut server = Setup::new([""; 0]).wrapped(["nohup"]).start();
    server.signal(rustix::process::Signal::HUP);
    let mut sender = Native::open(&server);
    sender.send(0, "a", b"a");
    assert_eq!(sender.outcome(0).unwrap().name, "a");
    drop(sender);
    assert_eq!(server.stop(), Some(0));
}

#[test]
fn listeners_take_turns_where_one_connection_is_served_at_once() {
    let flags = ["--max-connections", "1", "-l", "127.0.0.1:0", "-l", "127.0.0.1:0"];
    let server = Server::start(flags);
    for (id, address) in [(0, 0), (1, 1), (2, 0), (3, 1)] {
        let mut sender = Native::to(&server.addresses()[address]);
        sender.send(0, &format!("f{id}"), b"content");
        assert_eq!(sender.outcome(0).unwrap().name, format!("f{id}"));
    }
    assert_eq!(server.published().len(), 4);
}

#[test]
fn each_directory_that_is_sent_has_one_event() {
    let directory = tempfile::tempdir().unwrap();
    let tree = directory.path().join("t");
    (0..200).for_each(|n| fs::create_dir_all(tree.join(n.to_string())).unwrap());
    for durability in ["full", "none"] {
        let mut server = Server::start(["--durability", durability]);
        send([tree.as_os_str(), server.address().as_ref()]).expect_success();
        assert_eq!(server.stop(), Some(0));
        let rest = server.events.rest();
        let directories = rest.iter().filter(|event| event["type"] == "folder").count();
        assert_eq!(directories, 200, "{durability}");
    }
}
