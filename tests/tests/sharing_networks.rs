//! Which addresses are one where the server is shared out.
#![allow(clippy::unwrap_used, clippy::expect_used)]

use sandport_protocol::wire::ReceiverMessage;
use sandport_tests::{Connection, Native, Server, native};

/// A connection that a proxy announces to be from this address.
fn announced(server: &Server, address: &str) -> Connection {
    let family = if address.contains(':') { "TCP6" } else { "TCP4" };
    let here = if address.contains(':') { "::1" } else { "127.0.0.1" };
    let mut connection = Connection::open(server);
    // It may have been turned away already.
    connection.try_say(format!("PROXY {family} {address} {here} 1024 6542\r\n"));
    connection
}

/// A sender with an upload that was begun.
fn begun_upload(server: &Server, address: &str, name: &str) -> Native {
    let mut sender = Native::over(announced(server, address));
    sender.offer(0, name, 1_000_000);
    assert!(matches!(sender.hear(), Some(ReceiverMessage::Accepted(_))));
    sender.data(0, 0, b"begun");
    sender
}

#[track_caller]
fn expect_served(server: &Server, address: &str, name: &str) {
    let mut sender = Native::over(announced(server, address));
    sender.send(0, name, b"honest");
    assert_eq!(sender.outcome(0).unwrap().name, name);
}

#[test]
fn a_network_full_of_addresses_is_one() {
    let flags = ["--proxy-protocol", "127.0.0.1", "--max-connections", "6", "--max-waiting", "8"];
    let server = Server::start(flags);
    let _crowd: Vec<_> = (0..12)
        .map(|number| {
            let mut connection = announced(&server, &format!("2001:db8::{number:x}:1"));
            connection.try_say(&native::greeting()[..3]);
            connection
        })
        .collect();
    expect_served(&server, "2001:db8:0:1::1", "first");
    expect_served(&server, "192.0.2.7", "second");
}

#[test]
fn an_address_of_a_network_has_what_its_network_may_have() {
    let flags = ["--proxy-protocol", "127.0.0.1", "--max-address-connections", "1"];
    for (first, second) in
        [("2001:db8::1", "2001:db8::ffff:ffff:ffff:ffff"), ("192.0.2.7", "::ffff:192.0.2.7")]
    {
        let mut server = Server::start(flags);
        let mut begun = begun_upload(&server, first, "begun");
        let mut refused = announced(&server, second);
        refused.try_say(native::greeting());
        refused.hear_all();
        server.wait_refused("too-many");
        expect_served(&server, "2001:db8:0:1::1", "honest");
        begun.send(1, "goes on", b"content");
        assert_eq!(begun.outcome(1).unwrap().name, "goes on");
    }
}

#[test]
fn addresses_of_a_network_have_their_memory_together() {
    let flags = ["--proxy-protocol", "127.0.0.1", "--max-address-memory", "1MiB"];
    let server = Server::start(flags);
    let mut open = 0;
    let crowd: Vec<_> = (0..6)
        .map(|number| {
            let mut sender = Native::over(announced(&server, &format!("2001:db8::{number:x}:1")));
            for id in 0..500 {
                sender.offer(id, &format!("{number}-{id}"), 1_000_000);
                match sender.hear() {
                    Some(ReceiverMessage::Accepted(_)) => open += 1,
                    Some(ReceiverMessage::Refused(_)) => break,
                    heard => panic!("{heard:?}"),
                }
            }
            sender
        })
        .collect();
    assert!(open < 600, "{open}");
    expect_served(&server, "2001:db8:0:1::1", "honest");
    drop(crowd);
}

#[test]
fn bytes_under_way_count_for_all_of_a_network() {
    let flags = ["--proxy-protocol", "127.0.0.1", "--max-address-staged", "10MB"];
    let server = Server::start(flags);
    let _begun: Vec<_> = (0..10)
        .map(|n| begun_upload(&server, &format!("2001:db8::{n}"), &format!("begun-{n}")))
        .collect();
    let mut more = Native::over(announced(&server, "2001:db8::ffff"));
    more.offer(0, "more", 1);
    let Some(ReceiverMessage::Refused(refused)) = more.hear() else { panic!("it was accepted") };
    assert_eq!(refused.refusal.code, sandport_protocol::RefusalCode::TooMany);
    expect_served(&server, "2001:db8:0:1::1", "honest");
}
