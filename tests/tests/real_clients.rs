//! Clients and services of the classic protocol that know nothing of Sandport.
#![allow(clippy::unwrap_used, clippy::expect_used)]

use std::fs;

use sandport_tests::clients::{ClassicService, classic_client, classic_client_with_tls};
use sandport_tests::files::file;
use sandport_tests::tls::Authority;
use sandport_tests::{Connection, Random, Server, send};

#[test]
fn a_classic_client_uploads_into_the_server() {
    let mut random = Random::seeded();
    let directory = tempfile::tempdir().unwrap();
    let mut server = Server::start(["--classic-name", "upload"]);
    for size in [1, 1023, 1024, 1025, 300_000] {
        let path = directory.path().join("file");
        let content = random.bytes(size);
        fs::write(&path, &content).unwrap();
        let client = classic_client(server.address(), &path);
        assert_eq!((client.code, client.stdout.as_str()), (Some(0), "ack\n"), "{client:?}");
        let name = server.wait_stored();
        assert_eq!(server.content(&name), content);
    }
}

#[test]
fn a_classic_client_uploads_an_empty_file() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("file");
    fs::write(&path, "").unwrap();
    let mut server = Server::start([]);
    let client = classic_client(server.address(), &path);
    assert_eq!(client.code, Some(0), "{client:?}");
    server.wait_stored();
    assert!(server.published().values().eq([&file("")]));
}

#[test]
fn a_classic_client_uploads_with_the_tls_of_python() {
    let (authority, directory) = (Authority::new(), tempfile::tempdir().unwrap());
    let mut server = Server::start(authority.issue("server", |_| {}).flags());
    for size in [0, 1, 300_000] {
        let path = directory.path().join("file");
        let content = Random::seeded().bytes(size);
        fs::write(&path, &content).unwrap();
        let client = classic_client_with_tls(server.address(), &path, &authority.file());
        assert_eq!((client.code, client.stdout.as_str()), (Some(0), "ack\n"), "{client:?}");
        let name = server.wait_stored();
        assert_eq!(server.content(&name), content);
    }
}

#[test]
fn the_sender_uploads_into_a_classic_service() {
    let mut random = Random::seeded();
    let directory = tempfile::tempdir().unwrap();
    let (path, received) = (directory.path().join("file"), directory.path().join("received"));
    let mut service = ClassicService::start(&received);
    for size in [0, 1, 1024, 300_000] {
        let content = random.bytes(size);
        fs::write(&path, &content).unwrap();
        let sent = send([path.as_os_str(), service.address.as_ref(), "--classic".as_ref()])
            .expect_success();
        let event = sent.of_type("sent")[0];
        assert_eq!((&event["size"], &event["verified"]), (&size.into(), &false.into()));
        assert_eq!(service.wait_received(), size as u64);
        assert_eq!(fs::read(&received).unwrap(), content);
    }
}

#[test]
fn the_classic_sender_and_the_server_understand_each_other() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("file");
    let content = Random::seeded().bytes(100_000);
    fs::write(&path, &content).unwrap();
    let mut server = Server::start(["--classic-name", "upload"]);
    let sent = send([path.as_os_str(), server.address().as_ref(), "--classic".as_ref()]);
    sent.expect_success();
    assert_eq!(server.wait_stored(), "upload");
    assert_eq!(server.content("upload"), content);
}

/// `printf '5\n'; printf hello` in a pipe to `nc`: one write or two, and the end of the input.
#[test]
fn a_shell_pipe_with_a_line_end_after_the_size_is_an_upload() {
    let mut server = Server::start(["--classic-name", "upload", "--conflict", "replace"]);
    for writes in [vec!["5\n", "hello"], vec!["5\nhello"]] {
        let mut pipe = Connection::open(&server);
        for bytes in writes {
            pipe.say(bytes);
        }
        pipe.finish();
        assert_eq!(server.wait_stored(), "upload");
        assert_eq!(server.content("upload"), b"hello");
    }
}
