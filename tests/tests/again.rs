//! Connections that go on: a receiver that returns `again` is followed by a fresh instance of it, which gets what
//! the one before had read and not consumed.
#![allow(clippy::unwrap_used, clippy::expect_used)]

use sandport_tests::{Connection, Server, Setup, artifacts};

/// A server whose receiver does what the first byte of a connection says, with `flags`.
fn server<const N: usize>(flags: [&str; N]) -> Server {
    Setup::new(flags).receiver(artifacts::hostile()).start()
}

/// The receiver answers each line that begins with `r`: how many this instance has answered before, whether there
/// was another one, and the line.
const REQUESTS: &str = "r one\nr two\nr three\n";
const ANSWERS: &str = "0 false r one\n0 true r two\n0 true r three\n";

#[test]
fn each_request_on_a_connection_has_an_instance_of_its_own() {
    let mut server = server([]);
    for step in [1, 2, 5, 7, REQUESTS.len()] {
        let mut connection = Connection::open(&server);
        for piece in REQUESTS.as_bytes().chunks(step) {
            connection.say(std::str::from_utf8(piece).unwrap());
        }
        connection.finish();
        let answers = String::from_utf8(connection.hear_all()).unwrap();
        assert_eq!(answers, ANSWERS, "in pieces of {step}");
    }
    assert_eq!(server.stop(), Some(0));
}

#[test]
fn a_connection_with_nothing_to_ask_keeps_no_server_from_ending() {
    let mut server = server([]);
    let mut connection = Connection::open(&server);
    connection.say("r one\n");
    assert_eq!(connection.hear("0 false r one\n".len()), b"0 false r one\n");
    assert_eq!(server.stop(), Some(0));
    assert_eq!(connection.hear_all(), b"");
}

#[test]
fn a_receiver_cannot_leave_bytes_that_it_did_not_read() {
    // More than was read; and a byte of a file, which went from the connection into the inbox.
    for request in ["j and so on", "!0123456789"] {
        let mut server = server([]);
        let mut connection = Connection::open(&server);
        connection.say(request);
        let reason = server.wait_trapped();
        assert!(reason.contains("were read last"), "{reason}");
        assert_eq!(connection.hear_all(), b"");
    }
}

#[test]
fn instances_of_one_connection_compute_on_one_account() {
    // Each computes for a second, and begins the next one with the byte that made it do so.
    let mut server = server([]);
    let mut connection = Connection::open(&server);
    connection.say("#");
    let reason = server.wait_trapped();
    assert!(reason.contains("while no payload arrived"), "{reason}");
    assert_eq!(connection.hear_all(), b"");
}
