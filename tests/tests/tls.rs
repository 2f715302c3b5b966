//! What a server does that ends TLS, against clients that do what they should.
#![allow(clippy::unwrap_used, clippy::expect_used)]

use std::fs;

use rustls::version::{TLS12, TLS13};
use sandport_tests::deadline::Deadline;
use sandport_tests::files::{Tree, file};
use sandport_tests::tls::{Authority, Tls};
use sandport_tests::{Connection, Http, Native, Server, Setup};
use serde_json::Value;

const BOTH: &[&rustls::SupportedProtocolVersion] = &[&TLS12, &TLS13];

#[test]
fn a_client_of_http_uploads_with_either_version() {
    let authority = Authority::new();
    let server = Server::start(authority.issue("server", |_| {}).flags());
    for version in [&TLS12, &TLS13] {
        let mut config = authority.config(&[version]);
        config.alpn_protocols = vec![b"h2".to_vec(), b"http/1.1".to_vec()];
        let mut client = Tls::open(server.address(), config).unwrap();
        assert_eq!(client.session().alpn_protocol(), Some(&b"http/1.1"[..]));
        let name = format!("{:?}", client.session().protocol_version().unwrap());
        let head = "Host: localhost\r\nContent-Length: 5\r\nConnection: close\r\n\r\n";
        client.say(format!("PUT /{name} HTTP/1.1\r\n{head}hello"));
        let answer = client.hear_all().expect("the end is said");
        assert!(answer.starts_with(b"HTTP/1.1 201 "), "{}", String::from_utf8_lossy(&answer));
        assert_eq!(server.content(&name), b"hello");
    }
}

#[test]
fn plaintext_and_tls_are_served_on_one_port_of_loopback() {
    let authority = Authority::new();
    let mut server = Server::start(authority.issue("server", |_| {}).flags());
    Native::open(&server).send(0, "plain", b"in plaintext");
    assert_eq!(server.wait_stored(), "plain");
    // Without ALPN, the first byte says what it is.
    let mut client = Tls::open(server.address(), authority.config(BOTH)).unwrap();
    client.say("9\n");
    assert_eq!(client.hear(3), b"ack");
    client.say("encrypted");
    let name = server.wait_stored();
    assert_eq!(server.content(&name), b"encrypted");
}

#[test]
fn a_proxy_header_stands_before_the_handshake() {
    use std::io::Write as _;
    use std::sync::Arc;
    let authority = Authority::new();
    let issued = authority.issue("server", |_| {});
    let mut flags = issued.flags().to_vec();
    flags.extend(["--proxy-protocol", "127.0.0.1"]);
    let mut server = Setup::new(flags).start();
    let socket = sandport_tests::connection::connect(server.address()).unwrap();
    let mut socket = std::net::TcpStream::from(socket);
    socket.write_all(b"PROXY TCP4 192.0.2.7 192.0.2.1 4711 6542\r\n").unwrap();
    let name = rustls::pki_types::ServerName::try_from("localhost").unwrap();
    let config = Arc::new(authority.config(BOTH));
    let session = rustls::ClientConnection::new(config, name).unwrap();
    let mut client = rustls::StreamOwned::new(session, socket);
    client.write_all(b"5\nhello").unwrap();
    let event = server.events.wait("a stored file", |event| event["type"] == "stored");
    assert_eq!(event["peer"], "192.0.2.7:4711");
}

#[test]
fn who_has_to_encrypt_and_does_not_is_told_so() {
    let mut server = Server::start(["--tls", "require"]);
    let mut http = Http::open(&server);
    let answer = http.send("PUT", "/secret", &[], b"12345");
    assert_eq!((answer.status, &answer.json()["code"]), (426, &"not-permitted".into()));
    http.expect_end();
    server.wait_refused("not-permitted");
    let mut classic = Connection::open(&server);
    classic.say("5\n");
    assert_eq!(classic.hear_all(), b"");
    server.wait_refused("not-permitted");
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("file");
    fs::write(&path, "secret").unwrap();
    let sent = sandport_tests::send([path.as_os_str(), server.address().as_ref()]);
    assert_eq!(sent.code, Some(4), "{sent:?}");
    assert!(sent.stderr.contains("encrypted connections only"), "{sent:?}");
    assert!(sent.stderr.contains("sandport:// link"), "{sent:?}");
    server.wait_refused("not-permitted");
    server.stop_and_expect_nothing();
}

#[test]
fn only_what_other_machines_reach_takes_no_plaintext_by_default() {
    let directory = tempfile::tempdir().unwrap();
    let unix = format!("unix:{}", directory.path().join("socket").display());
    let server =
        Server::start(["--listen", "0.0.0.0:0", "--listen", "127.0.0.1:0", "--listen", &unix]);
    let [every, loopback, local] = [0, 1, 2].map(|number| server.addresses()[number].clone());
    let tls = server.ready()["tls"].clone();
    assert_eq!(tls["required"], serde_json::json!([every]));
    assert_eq!(tls["self_signed"], true);
    for address in [loopback, local] {
        let answer = Http::to(&address).send("PUT", "/file", &[], b"content");
        assert_eq!(answer.status, 201, "{address}");
    }
    let every = every.replace("0.0.0.0", "127.0.0.1");
    assert_eq!(Http::to(&every).send("PUT", "/file", &[], b"content").status, 426);
}

#[test]
fn without_tls_everything_is_in_plaintext_as_it_was() {
    let mut server = Server::start(["--tls", "off", "--listen", "0.0.0.0:0"]);
    assert_eq!(server.ready()["tls"], Value::Null);
    let address = server.address().replace("0.0.0.0", "127.0.0.1");
    assert_eq!(Http::to(&address).send("PUT", "/file", &[], b"content").status, 201);
    let mut client = Connection::to(&address);
    client.say([0x16, 3, 1, 0, 5]);
    client.hear_all();
    server.wait_refused("unsupported-version");
    assert!(!server.inbox().join(".sandport/tls.pem").exists());
}

#[test]
fn a_server_keeps_the_certificate_that_it_has_made() {
    use std::os::unix::fs::PermissionsExt as _;
    let directory = tempfile::tempdir().unwrap();
    let inbox = directory.path().join("inbox");
    let start = || Setup::new(["--tls", "allow"]).inbox(&inbox).start();
    let mut server = start();
    let first = server.ready()["tls"]["fingerprint"].clone();
    assert_eq!(first.as_str().unwrap().len(), 64);
    assert_eq!(server.stop(), Some(0));
    let again = start();
    assert_eq!(again.ready()["tls"]["fingerprint"], first);
    let mode = fs::metadata(inbox.join(".sandport/tls.pem")).unwrap().permissions().mode();
    assert_eq!(mode & 0o777, 0o600);
    assert_eq!(again.published(), Tree::default());
}

#[test]
fn an_end_that_nobody_has_said_publishes_nothing() {
    let authority = Authority::new();
    let mut server = Server::start(authority.issue("server", |_| {}).flags());
    let begin = || {
        // Without a line end, so that only the end of the connection says that this is all.
        let mut client = Tls::open(server.address(), authority.config(BOTH)).unwrap();
        client.say("5");
        assert_eq!(client.hear(3), b"ack");
        client
    };
    let mut cut = begin();
    cut.say("hel");
    cut.cut();
    let mut said = begin();
    said.say("hello");
    said.finish();
    let refused = server.wait_refused("cancelled");
    assert!(refused["detail"].as_str().unwrap().contains("TLS did not end it"), "{refused}");
    server.wait_stored();
    assert!(server.published().values().eq([&file("hello")]));
}

#[test]
fn a_certificate_that_changes_is_shown_from_then_on() {
    let authority = Authority::new();
    let issued = authority.issue("server", |_| {});
    // Each look costs a handshake that comes to nothing.
    let mut flags = issued.flags().to_vec();
    flags.extend(["--free-failures", "1000000"]);
    let mut server = Setup::new(flags).start();
    let first = server.ready()["tls"]["fingerprint"].clone();
    let mut kept = 0;
    let mut wait = |kind: &str| {
        let look = || {
            Tls::open(server.address(), authority.config(BOTH)).expect("a certificate is shown");
            let events = server.events.rest();
            kept += events.iter().filter(|event| event["type"] == "certificate-kept").count();
            events.into_iter().find(|event| event["type"] == kind)
        };
        let deadline = Deadline::new();
        deadline.poll(look).unwrap_or_else(|| panic!("{}", deadline.missed(kind)))
    };
    // Neither belongs to the other.
    let other = authority.issue("other", |_| {});
    fs::copy(&other.certificate, &issued.certificate).unwrap();
    assert_eq!(wait("certificate-kept")["code"], "tls-mismatch");
    fs::copy(&other.key, &issued.key).unwrap();
    assert_ne!(wait("certificate-changed")["fingerprint"], first);
    assert_eq!(kept, 1, "it is told once");
}

#[test]
fn a_certificate_that_cannot_be_shown_ends_the_start() {
    let authority = Authority::new();
    let good = authority.issue("good", |_| {});
    let other = authority.issue("other", |_| {});
    let expired = authority.issue("expired", |params| {
        params.not_after = rcgen::date_time_ymd(2021, 1, 1);
    });
    let missing = good.certificate.with_file_name("missing");
    for (certificate, key, code, exit) in [
        (&good.certificate, &other.key, "tls-mismatch", 2),
        (&expired.certificate, &expired.key, "tls-expired", 2),
        (&good.key, &good.key, "tls-no-certificate", 2),
        (&good.certificate, &good.certificate, "tls-no-key", 2),
        (&missing, &good.key, "tls-read", 7),
    ] {
        let flags =
            ["--tls-cert".as_ref(), certificate.as_os_str(), "--tls-key".as_ref(), key.as_os_str()];
        let ended = Setup::new(flags).start_and_fail();
        assert_eq!(ended.code, Some(exit), "{ended:?}");
        assert!(ended.stderr.contains(&format!("error[{code}]")), "{ended:?}");
        assert!(ended.stderr.contains("hint: "), "{ended:?}");
    }
}
