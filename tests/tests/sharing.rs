//! What becomes of an honest sender while others take all they can: places, the time for each step, processors and the
//! log.
#![allow(clippy::unwrap_used, clippy::expect_used)]

use std::net::{IpAddr, Ipv4Addr};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;

use sandport_protocol::wire::{Data, ReceiverMessage, SenderMessage};
use sandport_tests::deadline::joined;
use sandport_tests::{Connection, Native, Server, Setup, native};

/// Where the attackers are, and the honest sender.
const CROWD: IpAddr = IpAddr::V4(Ipv4Addr::LOCALHOST);
const HONEST: IpAddr = IpAddr::V4(Ipv4Addr::new(127, 0, 0, 2));

/// Sends a file from an address of its own; it has to be stored.
#[track_caller]
fn expect_served(server: &Server, name: &str) {
    let mut sender = Native::over(Connection::from(HONEST, server));
    sender.send(0, name, b"honest");
    assert_eq!(sender.outcome(0).unwrap().name, name);
    assert_eq!(server.content(name), b"honest");
}

/// Connections that say half a hello, and no more.
fn half_hellos(count: usize, server: &Server) -> Vec<Connection> {
    let begun = |_| {
        let mut connection = Connection::from(CROWD, server);
        // It may have been turned away already.
        connection.try_say(&native::greeting()[..3]);
        connection
    };
    (0..count).map(begun).collect()
}

/// A sender with an upload that was begun.
fn begun_upload(server: &Server, name: &str) -> Native {
    let mut sender = Native::over(Connection::from(CROWD, server));
    sender.offer(0, name, 1_000_000);
    let verdict = sender.hear();
    assert!(matches!(verdict, Some(ReceiverMessage::Accepted(_))), "{verdict:?}");
    sender.data(0, 0, b"begun");
    sender
}

#[test]
fn an_honest_sender_is_served_while_one_address_has_all_places() {
    let mut server = Server::start(["--max-connections", "8", "--max-waiting", "4"]);
    let _crowd = half_hellos(20, &server);
    expect_served(&server, "first");
    expect_served(&server, "second");
    server.wait_refused("too-many");
}

#[test]
fn uploads_of_a_full_address_make_room_for_another_address() {
    let mut server = Server::start(["--max-connections", "4"]);
    let mut busy: Vec<_> = (0..4).map(|n| begun_upload(&server, &format!("busy-{n}"))).collect();
    expect_served(&server, "honest");
    let refused = server.wait_refused("too-many");
    let detail = refused["detail"].as_str().unwrap();
    assert!(detail.contains("more places than others"), "{detail}");
    // It was the one that was of use least lately, and the others go on.
    assert_eq!(busy.remove(0).hear(), None);
    for (number, mut sender) in busy.into_iter().enumerate() {
        sender.send(1, &format!("small-{number}"), b"goes on");
        sender.outcome(1).unwrap();
    }
}

#[test]
fn users_of_the_socket_are_served_whatever_the_network_holds() {
    let directory = tempfile::tempdir().unwrap();
    let socket = format!("unix:{}", directory.path().join("socket").display());
    let flags =
        ["-l", "127.0.0.1:0", "-l", &socket, "--max-connections", "2", "--max-waiting", "1"];
    let server = Setup::new(flags).start();
    let _busy: Vec<_> = (0..2).map(|n| begun_upload(&server, &format!("busy-{n}"))).collect();
    let _waiting = half_hellos(3, &server);
    let mut sender = Native::to(&socket);
    sender.send(0, "local", b"local");
    assert_eq!(sender.outcome(0).unwrap().name, "local");
}

#[test]
fn an_idle_connection_gives_way_to_one_of_its_own_address() {
    let mut server = Server::start(["--max-connections", "2"]);
    let mut idle = Native::open(&server);
    let mut busy = begun_upload(&server, "busy");
    let mut newcomer = Native::open(&server);
    newcomer.send(0, "newcomer", b"content");
    assert_eq!(newcomer.outcome(0).unwrap().name, "newcomer");
    assert_eq!(idle.hear(), None);
    let refused = server.wait_refused("too-many");
    assert!(refused["detail"].as_str().unwrap().contains("idle"), "{refused}");
    busy.send(1, "second", b"content");
    assert_eq!(busy.outcome(1).unwrap().name, "second");
}

#[test]
fn connections_of_one_address_wait_when_it_has_its_most() {
    let server = Server::start(["--max-address-connections", "1"]);
    let first = begun_upload(&server, "first");
    let mut second = Connection::from(CROWD, &server);
    second.say(native::greeting());
    expect_served(&server, "honest");
    drop(first);
    let mut second = Native::greeted(second);
    second.send(0, "second", b"content");
    assert_eq!(second.outcome(0).unwrap().name, "second");
}

#[test]
fn an_address_that_many_share_is_not_taken_for_one() {
    let flags = ["--max-address-connections", "1", "--shared-address", "127.0.0.1"];
    let server = Server::start(flags);
    let senders: Vec<_> = (0..4).map(|n| begun_upload(&server, &format!("file-{n}"))).collect();
    assert_eq!(senders.len(), 4);
}

#[test]
fn clients_of_a_trusted_proxy_count_where_they_are() {
    let flags = ["--max-address-connections", "1", "--trusted-proxy", "127.0.0.1"];
    let mut server = Server::start(flags);
    let put = |name: &str, from: &str, content: &str| {
        let mut connection = Connection::from(CROWD, &server);
        connection.say(format!(
            "PUT /{name} HTTP/1.1\r\nHost: localhost\r\nX-Forwarded-For: {from}\r\n\
             Connection: close\r\nContent-Length: 5\r\n\r\n{content}"
        ));
        connection
    };
    let stored = |mut connection: Connection| {
        let answer = String::from_utf8(connection.hear_all()).unwrap();
        assert!(answer.starts_with("HTTP/1.1 201"), "{answer}");
    };
    let directory_is_begun = || !server.staged().is_empty();
    let mut first = put("first", "192.0.2.7", "hel");
    sandport_tests::deadline::until("the first upload", directory_is_begun);
    let mut second = put("second", "192.0.2.7", "hel");
    assert_eq!(second.hear_all(), b"", "its address has its connection");
    stored(put("third", "192.0.2.8", "hello"));
    first.say("lo");
    stored(first);
    server.wait_refused("too-many");
}

#[test]
fn each_step_of_a_connection_has_its_time() {
    let flags = ["--first-byte-timeout", "300ms", "--hello-timeout", "300ms"];
    let mut server = Setup::new(flags.into_iter().chain(["--offer-timeout", "300ms"])).start();
    let mut during = begun_upload(&server, "during");
    assert_eq!(Connection::open(&server).hear_all(), b"");
    let silent = server.wait_refused("timeout");
    assert_eq!(silent["detail"], "nothing was sent");
    for begun in [&native::greeting()[..3], b"PUT /x HTTP/1.1\r\nHo"] {
        let mut connection = Connection::open(&server);
        connection.say(begun);
        connection.hear_all();
        let refused = server.wait_refused("timeout");
        assert!(refused["detail"].as_str().unwrap().contains("hello"), "{refused}");
    }
    assert_eq!(Native::open(&server).hear(), None);
    let refused = server.wait_refused("timeout");
    assert_eq!(refused["detail"], "nothing was offered in time");
    during.send(1, "after", b"content");
    assert_eq!(during.outcome(1).unwrap().name, "after");
}

#[test]
fn an_honest_sender_is_served_however_few_descriptors_there_are() {
    for descriptors in [64, 80, 256, 1_024] {
        let script = format!("ulimit -n {descriptors} && exec \"$0\" \"$@\"");
        let server = Setup::new([""; 0]).wrapped(["sh", "-c", &script]).start();
        let _crowd = half_hellos(descriptors, &server);
        expect_served(&server, "honest");
    }
}

#[test]
fn limits_that_make_no_sense_are_told_before_anything_is_made() {
    for (flags, told) in [
        (vec!["--max-address-connections", "5000"], "limit would limit nothing"),
        (vec!["--max-connections", "0"], "--max-connections"),
        (vec!["--max-waiting", "0"], "--max-waiting"),
        (vec!["--min-per-minute", "1TiB"], "everybody is too slow"),
        (vec!["--hello-timeout", "0s"], "--hello-timeout"),
    ] {
        let directory = tempfile::tempdir().unwrap();
        let inbox = directory.path().join("inbox");
        let ended = Setup::new(&flags).inbox(&inbox).start_and_fail();
        assert_eq!(ended.code, Some(2), "{ended:?}");
        assert!(ended.stderr.contains(told), "{flags:?}: {}", ended.stderr);
        assert!(!inbox.exists());
    }
}

#[test]
fn limits_may_be_huge() {
    let huge = "100000d";
    let flags = ["--first-byte-timeout", huge, "--hello-timeout", huge, "--offer-timeout", huge];
    let server = Setup::new(flags.into_iter().chain(["--max-waiting", "4294967295"])).start();
    expect_served(&server, "honest");
}

#[test]
fn what_limits_were_met_is_told_at_the_end() {
    let mut server = Server::start(["--max-connections", "1", "--max-waiting", "1"]);
    let busy = begun_upload(&server, "busy");
    let _waiting = half_hellos(1, &server);
    let mut away = Connection::from(CROWD, &server);
    assert_eq!(away.hear_all(), b"");
    drop((busy, away));
    server.interrupt();
    let stopped = server.events.wait("the end", |event| event["type"] == "stopped");
    assert_eq!(stopped["limits"]["waiting"], 1, "{stopped}");
}

/// Connections that bring a byte with each message, as fast as the server takes them.
const JUNK: usize = 32;

#[test]
fn an_upload_is_stored_beside_frames_of_a_byte_without_end() {
    let mut server = Server::start([]);
    let ends = Arc::new(AtomicBool::new(false));
    // All of them first: once they send, their address has no memory left for another upload.
    let begun: Vec<_> =
        (0..JUNK).map(|number| begun_upload(&server, &format!("junk-{number}"))).collect();
    let junk: Vec<_> = begun
        .into_iter()
        .map(|mut sender| {
            let ends = Arc::clone(&ends);
            thread::spawn(move || {
                for turn in (0..900_u64).cycle() {
                    let at = 5 + turn * 1_000;
                    let frame = |offset| {
                        let data = SenderMessage::Data(Data { id: 0, offset, length: 1 });
                        [native::frame(&data), vec![7]].concat()
                    };
                    let frames: Vec<_> = (at..at + 1_000).flat_map(frame).collect();
                    // What was sent before is refused, and that is the end of an upload, not of its connection.
                    if ends.load(Ordering::Relaxed) || !sender.connection.try_say(&frames) {
                        return;
                    }
                }
            })
        })
        .collect();
    let content = vec![5; 32 << 20];
    for name in ["first", "second"] {
        let mut honest = Native::over(Connection::from(HONEST, &server));
        honest.offer(0, name, content.len() as u64);
        for (at, piece) in content.chunks(256 << 10).enumerate() {
            honest.data(0, (at * (256 << 10)) as u64, piece);
        }
        honest.end(0, &content);
        assert_eq!(honest.outcome(0).unwrap().name, name);
    }
    ends.store(true, Ordering::Relaxed);
    for thread in junk {
        joined("the end of a sender of junk", thread);
    }
    assert_eq!(server.stop(), Some(0));
}

#[test]
fn refusals_without_end_are_counted_and_fill_no_log() {
    const REFUSALS: u32 = 500;
    let mut server = Server::start([]);
    let mut sender = Native::open(&server);
    // Each of its characters takes six in the log.
    let name = "\u{1b}".repeat(2_000);
    for id in 0..REFUSALS {
        sender.offer(id.into(), &name, 1);
        assert!(sender.outcome(id.into()).is_err());
    }
    drop(sender);
    expect_served(&server, "honest");
    server.interrupt();
    let stopped = server.events.wait("the end", |event| event["type"] == "stopped");
    let told = server.events.count("refused") as u64;
    assert!((5..50).contains(&told), "{told}");
    assert_eq!(stopped["limits"]["log"], u64::from(REFUSALS) - told, "{stopped}");
}
