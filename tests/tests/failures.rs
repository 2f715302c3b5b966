//! What becomes of an address of which much comes to nothing, and of those beside it.
#![allow(clippy::unwrap_used, clippy::expect_used)]

use std::net::{IpAddr, Ipv4Addr};

use sandport_protocol::wire::SenderMessage;
use sandport_protocol::{Credential, RefusalCode};
use sandport_tests::{Connection, Native, Server, native};

/// Who tries out, and somebody else.
const CROWD: IpAddr = IpAddr::V4(Ipv4Addr::LOCALHOST);
const HONEST: IpAddr = IpAddr::V4(Ipv4Addr::new(127, 0, 0, 2));

/// How many credentials are tried: enough for the longest wait where none is free.
const CREDENTIALS: usize = 40;

/// Whoever has to wait so long waits until the end of the test.
const FOR_LONG: [&str; 4] = ["--free-failures", "0", "--max-delay", "1d"];

/// Has credentials refused on connections that came before any of them was.
fn try_credentials(server: &Server) {
    let open = |_| Native::over(Connection::from(CROWD, server));
    let senders: Vec<_> = (0..CREDENTIALS).map(open).collect();
    for mut sender in senders {
        sender.say(&SenderMessage::Authenticate(Credential::Bearer(String::from("secret"))));
        sender.hear_all();
    }
}

#[track_caller]
fn expect_served(mut sender: Native, name: &str) {
    sender.send(0, name, b"content");
    assert_eq!(sender.outcome(0).unwrap().name, name);
}

/// How often a connection had to wait, as the server tells at its end.
fn waits(server: &mut Server) -> u64 {
    server.interrupt();
    let stopped = server.events.wait("the end", |event| event["type"] == "stopped");
    stopped["limits"]["failures"].as_u64().unwrap_or(0)
}

#[test]
fn an_address_that_tries_credentials_waits_and_nobody_else_does() {
    let mut server = Server::start(FOR_LONG);
    try_credentials(&server);
    let mut waiting = Connection::from(CROWD, &server);
    waiting.say(native::greeting());
    expect_served(Native::over(Connection::from(HONEST, &server)), "honest");
    assert_eq!(waits(&mut server), 1);
    assert_eq!(waiting.hear_all(), b"", "it was not served");
}

#[test]
fn files_that_are_stored_make_up_for_what_came_to_nothing() {
    let mut server = Server::start(FOR_LONG);
    let mut sender = Native::over(Connection::from(CROWD, &server));
    try_credentials(&server);
    for id in 0..300 {
        sender.send(id, &format!("file-{id}"), b"content");
        sender.outcome(id).unwrap();
    }
    expect_served(Native::over(Connection::from(CROWD, &server)), "next");
    drop(sender);
    assert_eq!(waits(&mut server), 0);
}

#[test]
fn connections_without_a_hello_count_and_those_with_one_do_not() {
    // One after the other: the next one has the place when the one before has been counted.
    let flags = ["--max-connections", "1", "--free-failures", "0", "--max-delay", "20ms"];
    for (said, counts) in [(&native::greeting()[..3], true), (&native::greeting()[..], false)] {
        let mut server = Server::start(flags);
        for _ in 0..20 {
            let mut connection = Connection::from(CROWD, &server);
            connection.say(said);
            connection.finish();
            connection.hear_all();
        }
        assert_eq!(waits(&mut server) > 0, counts, "{said:?}");
    }
}

#[test]
fn offers_that_are_refused_hold_up_and_are_all_answered() {
    const REFUSALS: u64 = 200;
    let mut server = Server::start(["--free-failures", "0", "--max-delay", "50ms"]);
    let mut sender = Native::over(Connection::from(CROWD, &server));
    for id in 0..REFUSALS {
        sender.offer(id, "..", 1);
        assert_eq!(sender.outcome(id).unwrap_err().code, RefusalCode::NameInvalid);
    }
    sender.send(REFUSALS, "last", b"content");
    assert_eq!(sender.outcome(REFUSALS).unwrap().name, "last");
    drop(sender);
    assert!(waits(&mut server) > 0);
}

#[test]
fn nobody_waits_for_free_failures_or_those_that_a_proxy_passes() {
    for flags in [
        ["--free-failures", "4294967295", "--max-delay", "1d"].to_vec(),
        FOR_LONG.into_iter().chain(["--trusted-proxy", "127.0.0.1"]).collect(),
        FOR_LONG.into_iter().chain(["--shared-address", "127.0.0.1"]).collect(),
    ] {
        let mut server = sandport_tests::Setup::new(&flags).start();
        try_credentials(&server);
        expect_served(Native::over(Connection::from(CROWD, &server)), "next");
        assert_eq!(waits(&mut server), 0, "{flags:?}");
    }
}
