//! Servers behind proxies: who is believed where a sender is.
#![allow(clippy::unwrap_used, clippy::expect_used)]

use sandport_tests::{Connection, Server, Setup, artifacts};

/// Where a header says that the connection comes from.
const CLIENT: &str = "192.0.2.7:52114";
const HEADER: &str = "PROXY TCP4 192.0.2.7 10.0.0.1 52114 6542\r\n";

/// What a version 2 header begins with.
const SIGNATURE: &[u8] = b"\r\n\r\n\0\r\nQUIT\n";

/// `PROXY`, TCP over IPv4, from 192.0.2.7:52114.
fn header_v2() -> Vec<u8> {
    let rest = [0x21, 0x11, 0, 12, 192, 0, 2, 7, 10, 0, 0, 1, 0xcb, 0x92, 0x19, 0x8e];
    [SIGNATURE, &rest].concat()
}

/// A server whose receiver does what the first byte of a connection says, with `flags`.
fn hostile_server<const N: usize>(flags: [&str; N]) -> Server {
    Setup::new(flags).receiver(artifacts::hostile()).start()
}

/// From which address the server says that it has received the next file.
#[track_caller]
fn wait_stored_from(server: &mut Server) -> String {
    let event = server.events.wait("a stored file", |event| event["type"] == "stored");
    event["peer"].as_str().unwrap().to_owned()
}

/// Sends `bytes`; what the receiver answers until the end.
fn exchange(server: &Server, bytes: impl AsRef<[u8]>) -> (String, String) {
    let mut connection = Connection::open(server);
    connection.say(bytes);
    let name = connection.name();
    (name, String::from_utf8(connection.hear_all()).unwrap())
}

#[test]
fn a_receiver_cannot_place_the_sender_without_a_trusted_proxy() {
    for flags in [&[][..], &["--trusted-proxy", "192.0.2.0/24,unix"][..]] {
        let mut server = Setup::new(flags).receiver(artifacts::hostile()).start();
        let (name, answer) = exchange(&server, "F");
        assert_eq!(answer, "false NotPermitted NotPermitted NotPermitted NotPermitted\n");
        assert_eq!(wait_stored_from(&mut server), name);
    }
}

#[test]
fn a_trusted_proxy_is_believed_once_for_a_request_and_early() {
    let mut server = hostile_server(["--trusted-proxy", "127.0.0.0/8"]);
    let (_, answer) = exchange(&server, "F");
    assert_eq!(answer, "true Malformed believed InvalidState InvalidState\n");
    assert_eq!(wait_stored_from(&mut server), "203.0.113.9:7");
    let (name, answer) = exchange(&server, "G");
    assert_eq!(answer, "true InvalidState\n");
    assert_eq!(wait_stored_from(&mut server), name);
}

#[test]
fn the_next_request_is_not_from_where_the_last_one_was() {
    let mut server = hostile_server(["--trusted-proxy", "127.0.0.1"]);
    let mut connection = Connection::open(&server);
    connection.say("H");
    assert_eq!(connection.hear("true believed\n".len()), b"true believed\n");
    connection.say("PUT next\nhello");
    connection.finish();
    assert_eq!(connection.hear_all(), b"stored next 5\n");
    assert_eq!(wait_stored_from(&mut server), connection.name());
}

#[test]
fn a_trusted_proxy_may_come_by_a_local_socket() {
    let directory = tempfile::tempdir().unwrap();
    let socket = format!("unix:{}", directory.path().join("socket").display());
    let mut server = hostile_server(["--listen", &socket, "--trusted-proxy", "unix"]);
    let (_, answer) = exchange(&server, "F");
    assert_eq!(answer, "true Malformed believed InvalidState InvalidState\n");
    assert_eq!(wait_stored_from(&mut server), "203.0.113.9:7");
}

#[test]
fn the_proxy_protocol_says_where_a_connection_comes_from() {
    let mut server = Server::start(["--proxy-protocol", "127.0.0.0/8"]);
    for header in [HEADER.as_bytes(), &header_v2()] {
        // In one piece with what follows, and alone.
        for pieces in
            [vec![[header, b"5\nhello"].concat()], vec![header.into(), b"5\nhello".into()]]
        {
            let mut connection = Connection::open(&server);
            pieces.iter().for_each(|piece| connection.say(piece));
            connection.finish();
            assert_eq!(connection.hear_all(), b"ack");
            assert_eq!(wait_stored_from(&mut server), CLIENT);
        }
    }
    assert_eq!(server.published().len(), 4);
    assert!(server.published().iter().all(|(name, _)| server.content(name) == b"hello"));
}

#[test]
fn what_a_proxy_sends_for_itself_comes_from_the_proxy() {
    let mut server = Server::start(["--proxy-protocol", "127.0.0.1"]);
    let local = [SIGNATURE, &[0x20, 0, 0, 0]].concat();
    for header in [&b"PROXY UNKNOWN\r\n"[..], &local] {
        let mut connection = Connection::open(&server);
        connection.say([header, b"5\nhello"].concat());
        connection.finish();
        assert_eq!(connection.hear_all(), b"ack");
        assert_eq!(wait_stored_from(&mut server), connection.name());
    }
}

#[test]
fn a_proxy_without_its_header_is_refused_and_said_so_once() {
    let mut server = Server::start(["--proxy-protocol", "127.0.0.1"]);
    for wrong in
        ["5\nhello", "PROXY TCP4 nobody 10.0.0.1 1 2\r\n5\nhello", "PUT / HTTP/1.1\r\n\r\n"]
    {
        let mut connection = Connection::open(&server);
        // It may be closed before all of it is taken.
        connection.try_say(wrong);
        assert_eq!(connection.hear_all(), b"", "{wrong}");
        let refused = server.wait_refused("malformed");
        assert_eq!(refused["peer"], connection.name(), "{wrong}");
    }
    // Somebody who looks whether a server is there is worth no word.
    Connection::open(&server).finish();
    server.stop_and_expect_nothing();
    assert_eq!(server.events.rest().iter().filter(|event| event["type"] == "refused").count(), 0);
}

#[test]
fn a_header_of_anybody_else_is_not_believed() {
    // There is a proxy, at another address of this machine.
    let mut server = Server::start(["--proxy-protocol", "127.0.0.2"]);
    for header in [HEADER.as_bytes(), &header_v2()] {
        let mut connection = Connection::open(&server);
        connection.try_say([header, b"5\nhello"].concat());
        connection.finish();
        let answer = connection.hear_all();
        assert!(!answer.starts_with(b"ack"), "{answer:?}");
    }
    let mut proxy = Connection::from("127.0.0.2".parse().unwrap(), &server);
    proxy.say([HEADER.as_bytes(), b"5\nhello"].concat());
    proxy.finish();
    assert_eq!(proxy.hear_all(), b"ack");
    assert_eq!(wait_stored_from(&mut server), CLIENT);
    assert_eq!(server.published().len(), 1);
}

#[test]
fn who_is_trusted_is_decided_by_the_address_in_the_header() {
    let flags = ["--proxy-protocol", "127.0.0.1", "--trusted-proxy", "192.0.2.7"];
    let mut server = hostile_server(flags);
    let (_, answer) = exchange(&server, [HEADER.as_bytes(), b"F"].concat());
    assert_eq!(answer, "true Malformed believed InvalidState InvalidState\n");
    assert_eq!(wait_stored_from(&mut server), "203.0.113.9:7");
    // Another client of the first proxy.
    let other = HEADER.replace("192.0.2.7", "192.0.2.8");
    let (_, answer) = exchange(&server, [other.as_bytes(), b"F"].concat());
    assert_eq!(answer, "false NotPermitted NotPermitted NotPermitted NotPermitted\n");
    assert_eq!(wait_stored_from(&mut server), "192.0.2.8:52114");
}
