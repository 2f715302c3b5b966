//! An inbox that is lost under a running server: the operator hears of it once, and the server ends.
#![allow(clippy::unwrap_used)]

use std::fs;

use sandport_tests::{Server, send};

/// The server has ended by itself, and said why once, and nothing of each file.
#[track_caller]
fn assert_ended(mut server: Server) {
    let lost = server.events.wait("the loss", |event| event["type"] == "inbox-lost");
    assert_eq!(lost["code"], "inbox-gone");
    assert_eq!(server.wait_for_end(), Some(7));
    assert_eq!(server.events.count("inbox-lost"), 1);
    assert_eq!(server.events.count("refused"), 0, "{:?}", server.events.rest());
    assert_eq!(server.events.stderr().matches("WARN").count(), 0, "{}", server.events.stderr());
}

#[test]
fn an_inbox_that_is_removed_under_a_server_ends_it_with_7() {
    let directory = tempfile::tempdir().unwrap();
    for n in 0..50 {
        fs::write(directory.path().join(n.to_string()), "content").unwrap();
    }
    let server = Server::start([]);
    fs::remove_dir_all(server.inbox()).unwrap();
    let sent = send([directory.path().as_os_str(), server.address().as_ref()]);
    // It may be mounted again, and then the same command sends them. The server may have ended meanwhile.
    assert_eq!(sent.code, Some(3), "{sent:?}");
    assert_ended(server);
}

#[test]
fn an_inbox_removed_while_nobody_sends_ends_the_server_too() {
    let server = Server::start([]);
    fs::remove_dir_all(server.inbox()).unwrap();
    assert_ended(server);
}
