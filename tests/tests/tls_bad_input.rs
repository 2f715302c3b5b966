//! What is no TLS, or only half of it, against a server that ends TLS.
#![allow(clippy::unwrap_used, clippy::expect_used)]

use std::io::{Read as _, Write as _};

use rustls::version::{TLS12, TLS13};
use sandport_tests::tls::{Authority, Tls, client_hello};
use sandport_tests::{Connection, Server, Setup};

const BOTH: &[&rustls::SupportedProtocolVersion] = &[&TLS12, &TLS13];

/// Where the version stands in a ClientHello, behind the heads of the record and of the message.
const VERSION_AT: usize = 5 + 4;

fn server(authority: &Authority, flags: &[&str]) -> Server {
    let issued = authority.issue("server", |_| {});
    let mut all = issued.flags().to_vec();
    all.extend(flags);
    Setup::new(all).start()
}

/// What the server answers to these bytes: the two bytes of an alert, and the end.
#[track_caller]
fn alert(server: &Server, bytes: &[u8]) -> (u8, u8) {
    let mut client = Connection::open(server);
    client.say(bytes);
    let heard = client.hear_all();
    assert_eq!((heard.first(), heard.len()), (Some(&21), 7), "one record with an alert: {heard:?}");
    (heard[5], heard[6])
}

/// A ClientHello of a version before TLS 1.2, with a cipher of its time and no extensions.
fn old_hello(minor: u8) -> Vec<u8> {
    let mut body = vec![3, minor];
    body.extend([7; 32]);
    // No session, TLS_RSA_WITH_AES_128_CBC_SHA, no compression.
    body.extend([0, 0, 2, 0, 0x2f, 1, 0]);
    let length = u8::try_from(body.len()).unwrap();
    let mut hello = vec![0x16, 3, minor, 0, length + 4, 1, 0, 0, length];
    hello.extend(body);
    hello
}

#[test]
fn half_a_client_hello_is_given_up_in_time() {
    let authority = Authority::new();
    let mut server = server(&authority, &["--hello-timeout", "300ms"]);
    let hello = client_hello(authority.config(BOTH));
    let mut client = Connection::open(&server);
    client.say(&hello[..hello.len() / 2]);
    assert_eq!(client.hear_all(), b"");
    server.wait_refused("timeout");
    // The byte that announces it, and no more.
    let mut client = Connection::open(&server);
    client.say([0x16]);
    assert_eq!(client.hear_all(), b"");
    server.wait_refused("timeout");
}

#[test]
fn a_client_hello_in_single_bytes_is_understood() {
    let authority = Authority::new();
    let server = server(&authority, &[]);
    let hello = client_hello(authority.config(BOTH));
    let mut client = Connection::open(&server);
    for byte in &hello {
        client.say([*byte]);
    }
    let answer = client.hear(6);
    assert_eq!((answer[0], answer[5]), (22, 2), "a ServerHello: {answer:?}");
}

#[test]
fn garbage_old_versions_and_unknown_ciphers_get_an_alert() {
    let authority = Authority::new();
    let mut server = server(&authority, &[]);
    let mut garbage = vec![0x16, 3, 1, 0, 100];
    garbage.extend((0..100_u8).map(|byte| byte.wrapping_mul(37)));
    let mut client = Connection::open(&server);
    client.say(&garbage);
    let heard = client.hear_all();
    assert!(heard.first().is_none_or(|kind| *kind == 21), "an alert at most: {heard:?}");
    server.wait_refused("malformed");
    for minor in [0, 1, 2] {
        // SSL 3.0, TLS 1.0 and TLS 1.1: a fatal one.
        assert_eq!(alert(&server, &old_hello(minor)).0, 2, "3.{minor}");
        server.wait_refused("malformed");
    }
    let mut unknown = client_hello(authority.config(&[&TLS12]));
    let ids_at = VERSION_AT + 2 + 32;
    let ciphers_at = ids_at + 1 + usize::from(unknown[ids_at]);
    let length = usize::from(u16::from_be_bytes([unknown[ciphers_at], unknown[ciphers_at + 1]]));
    // Two bytes each: with no authentication, with no encryption, which nobody takes.
    for at in (ciphers_at + 2..ciphers_at + 2 + length).step_by(2) {
        unknown[at..at + 2].copy_from_slice(&[0, 1]);
    }
    // handshake_failure: RFC 8446, section 6.2.
    assert_eq!(alert(&server, &unknown), (2, 40));
    server.wait_refused("malformed");
    server.stop_and_expect_nothing();
}

#[test]
fn a_client_that_names_other_protocols_alone_is_refused() {
    let authority = Authority::new();
    let mut server = server(&authority, &[]);
    let mut config = authority.config(BOTH);
    config.alpn_protocols = vec![b"h2".to_vec()];
    Tls::open(server.address(), config).expect_err("nobody speaks it here");
    server.wait_refused("malformed");
}

#[test]
fn plaintext_within_tls_ends_the_connection() {
    let authority = Authority::new();
    let mut server = server(&authority, &[]);
    let mut client = Tls::open(server.address(), authority.config(BOTH)).unwrap();
    client.say("9\n");
    assert_eq!(client.hear(3), b"ack");
    client.socket().write_all(b"plaintext").unwrap();
    // The alert comes first, and no end is said.
    client.hear_all().expect_err("the server cuts it");
    server.wait_refused("cancelled");
    server.stop_and_expect_nothing();
}

#[test]
fn renegotiation_is_refused() {
    let authority = Authority::new();
    let server = server(&authority, &[]);
    let mut client = Tls::open(server.address(), authority.config(&[&TLS12])).unwrap();
    client.say("5\n");
    assert_eq!(client.hear(3), b"ack");
    // What begins a second handshake cannot be made by a client of rustls: one in plaintext is refused as any other.
    let hello = client_hello(authority.config(&[&TLS12]));
    client.socket().write_all(&hello).unwrap();
    let mut rest = Vec::new();
    let _ = client.socket().read_to_end(&mut rest);
    assert!(rest.first().is_none_or(|kind| *kind == 21), "an alert at most: {rest:?}");
}

#[test]
fn handshakes_that_do_not_end_keep_nobody_out() {
    let authority = Authority::new();
    let mut server = server(&authority, &["--max-connections", "32", "--max-waiting", "64"]);
    let hello = client_hello(authority.config(BOTH));
    let half = &hello[..hello.len() / 2];
    let mut halves = Vec::new();
    for _ in 0..1_000 {
        let mut client = Connection::from([127, 0, 0, 9].into(), &server);
        client.try_say(half);
        halves.push(client);
        // As many as a process may have open, and more than there are places.
        if halves.len() > 200 {
            halves.remove(0);
        }
    }
    let mut honest = Tls::open(server.address(), authority.config(BOTH)).unwrap();
    honest.say("6\nhonest");
    let name = server.wait_stored();
    assert_eq!(server.content(&name), b"honest");
}
