//! Where a server listens and a sender connects to: IPv4, IPv6, local sockets, several at once.
#![allow(clippy::unwrap_used, clippy::expect_used)]

use std::fs;
use std::os::unix::net::UnixListener;

use sandport_tests::files::{Tree, file};
use sandport_tests::{Connection, Server, Setup, send};

/// A directory with a file to send; its path.
fn something_to_send() -> (tempfile::TempDir, String) {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("file");
    fs::write(&path, "hello").unwrap();
    let path = path.to_str().unwrap().to_owned();
    (directory, path)
}

#[track_caller]
fn expect_received(server: &mut Server, peer: impl Fn(&str) -> bool) {
    let event = server.events.wait("a stored file", |event| event["type"] == "stored");
    assert!(peer(event["peer"].as_str().unwrap()), "{event}");
}

#[test]
fn a_server_listens_on_several_addresses_at_once_and_names_each() {
    let (directory, path) = something_to_send();
    let socket = format!("unix:{}", directory.path().join("socket").display());
    let listen = ["-l", "127.0.0.1:0", "-l", "[::1]:0", "-l", &socket];
    let mut server = Setup::new(listen).start();
    let addresses = server.addresses().to_vec();
    assert_eq!(addresses.len(), 3);
    assert!(
        addresses[0].starts_with("127.0.0.1:") && !addresses[0].ends_with(":0"),
        "{addresses:?}"
    );
    assert!(addresses[1].starts_with("[::1]:") && !addresses[1].ends_with(":0"), "{addresses:?}");
    assert_eq!(addresses[2], socket);

    let peers = ["127.0.0.1:", "[::1]:", "unix"];
    for (address, peer) in addresses.iter().zip(peers) {
        // Under the same name it would be there already.
        send([path.as_str(), address, "--name", peer]).expect_success();
        expect_received(&mut server, |name| name.starts_with(peer));
        send([path.as_str(), address, "--classic"]).expect_success();
        expect_received(&mut server, |name| name.starts_with(peer));
    }
    assert_eq!(server.content("unix"), b"hello");
}

#[test]
fn a_url_and_a_host_name_are_addresses_too() {
    let (_directory, path) = something_to_send();
    let mut server = Server::start(["--listen", "localhost:0"]);
    let address = server.address().to_owned();
    send([path.as_str(), &format!("sandport://{address}")]).expect_success();
    expect_received(&mut server, |_| true);
}

#[test]
fn an_address_that_cannot_be_used_has_a_hint_that_fits() {
    let (directory, _path) = something_to_send();
    let missing = format!("unix:{}", directory.path().join("missing/socket").display());
    for (address, hint) in [
        (missing.as_str(), "create the directory of the socket first"),
        // For documentation, so no machine has it: RFC 5737.
        ("192.0.2.1:0", "choose an address that this machine has"),
    ] {
        let ended = Setup::new(["--listen", address]).start_and_fail();
        assert_eq!(ended.code, Some(7), "{ended:?}");
        assert!(ended.stderr.contains(hint), "{ended:?}");
    }
}

#[test]
fn a_socket_left_behind_is_replaced_and_removed_at_the_end() {
    let (directory, path) = something_to_send();
    let socket = directory.path().join("socket");
    drop(UnixListener::bind(&socket).unwrap());
    assert!(socket.exists(), "a listener leaves its socket behind");
    let address = format!("unix:{}", socket.display());
    let mut server = Setup::new(["--listen", &address]).start();
    send([path.as_str(), &address]).expect_success();
    assert_eq!(server.published(), Tree::from([("file".into(), file("hello"))]));
    assert_eq!(server.stop(), Some(0));
    assert!(!socket.exists());
}

#[test]
fn a_socket_that_somebody_answers_on_and_a_file_are_left_alone() {
    let (directory, path) = something_to_send();
    let socket = directory.path().join("socket");
    let _listener = UnixListener::bind(&socket).unwrap();
    let address = format!("unix:{}", socket.display());
    let ended = Setup::new(["--listen", &address]).start_and_fail();
    assert_eq!(ended.code, Some(3), "{ended:?}");
    assert!(ended.stderr.contains("error[address-in-use]"), "{ended:?}");
    assert!(socket.exists());

    let ended = Setup::new(["--listen", &format!("unix:{path}")]).start_and_fail();
    assert_eq!(ended.code, Some(2), "{ended:?}");
    assert!(ended.stderr.contains("error[not-a-socket]"), "{ended:?}");
    assert_eq!(fs::read(path).unwrap(), b"hello");
}

#[test]
fn a_connection_over_ipv6_is_served_in_the_classic_dialect() {
    let mut server = Server::start(["--listen", "[::1]:0"]);
    let mut client = Connection::open(&server);
    client.say("5\nhello");
    assert_eq!(client.hear_all(), b"ack");
    expect_received(&mut server, |peer| peer == client.name());
}
