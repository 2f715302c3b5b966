//! Headers as proxies send them, whole and in pieces, and what is none.
#![allow(clippy::unwrap_used)]

use tokio::io::AsyncWriteExt as _;
use tokio::net::UnixStream;

use ppp::v2;

use super::header::V2_BYTES_MAX;
use super::*;
use sandport_testkit::patience::within;

/// What follows a header, and is the sender's: binary, and like a header itself.
const BEHIND: &[u8] = b"PROXY \r\n\r\n\0\r\nQUIT\n\xff";

fn v2(command: u8, family: u8, rest: &[u8]) -> Vec<u8> {
    let mut header = v2::PROTOCOL_PREFIX.to_vec();
    header.extend([0x20 | command, family]);
    header.extend(u16::try_from(rest.len()).unwrap().to_be_bytes());
    header.extend(rest);
    header
}

fn v2_of_ipv4(more: &[u8]) -> Vec<u8> {
    let addresses = [192, 0, 2, 7, 10, 0, 0, 1, 0xcb, 0x92, 0x19, 0x8e];
    v2(1, 0x11, &[&addresses[..], more].concat())
}

fn headers() -> Vec<(Vec<u8>, Told)> {
    let from = |text: &str| Told::From(text.parse().unwrap());
    let v1 = |text: &str| text.as_bytes().to_vec();
    let of_ipv6 = {
        let mut addresses = [0; 36];
        addresses[..4].copy_from_slice(&[0x20, 0x01, 0x0d, 0xb8]);
        addresses[15] = 7;
        addresses[33] = 99;
        v2(1, 0x21, &addresses)
    };
    vec![
        (v1("PROXY TCP4 192.0.2.7 10.0.0.1 52114 6542\r\n"), from("192.0.2.7:52114")),
        (v1("PROXY TCP6 2001:db8::7 ::1 52114 6542\r\n"), from("[2001:db8::7]:52114")),
        (v1("PROXY UNKNOWN\r\n"), Told::OwnAddress),
        (v1("PROXY UNKNOWN ffff::1 ffff::2 65535 65535\r\n"), Told::OwnAddress),
        (v2_of_ipv4(&[]), from("192.0.2.7:52114")),
        // What proxies say besides: here its length, and 5,000 bytes.
        (v2_of_ipv4(&[&[0x20, 0x13, 0x88][..], &[7; 5_000]].concat()), from("192.0.2.7:52114")),
        (of_ipv6, from("[2001:db8::7]:99")),
        (v2(0, 0x00, &[]), Told::OwnAddress),
        (v2(0, 0x11, &[0; 12]), Told::OwnAddress),
        (v2(1, 0x00, &[1, 2, 3]), Told::OwnAddress),
        (v2(1, 0x31, &[0; 216]), Told::OwnAddress),
    ]
}

/// What is made of a connection that sends this and ends, and what is left of it.
async fn read(bytes: &[u8]) -> (Result<Told, HeaderError>, Vec<u8>) {
    let (mut there, here) = UnixStream::pair().unwrap();
    let stream = Stream::from(here);
    let sending = async {
        // Whoever reads no further has closed.
        let _ = there.write_all(bytes).await;
        let _ = there.shutdown().await;
    };
    let reading = async {
        let told = read_header(&stream).await;
        let mut rest = Vec::new();
        let mut buffer = [0; 512];
        while told.is_ok() {
            stream.readable().await.unwrap();
            match stream.try_read(&mut buffer) {
                Ok(0) => break,
                Ok(count) => rest.extend_from_slice(&buffer[..count]),
                Err(error) => assert_eq!(error.kind(), io::ErrorKind::WouldBlock),
            }
        }
        (told, rest)
    };
    let ((), read) = within("the header", async { tokio::join!(sending, reading) }).await;
    read
}

/// What is made of a header that comes in these pieces, each of which is looked at by itself; and what is left.
fn read_pieces(pieces: &[&[u8]]) -> (Told, Vec<u8>) {
    let (mut header, mut rest) = (Vec::new(), Vec::new());
    for piece in pieces {
        let mut next = *piece;
        while !next.is_empty() && !is_whole(&header) {
            let (own, later) = next.split_at(belonging(&header, next).unwrap());
            header.extend_from_slice(own);
            next = later;
        }
        rest.extend_from_slice(next);
    }
    (understood(&header).unwrap(), rest)
}

#[tokio::test]
async fn a_header_says_where_a_connection_comes_from() {
    for (header, expected) in headers() {
        let (told, rest) = read(&[&header[..], BEHIND].concat()).await;
        assert_eq!((told.unwrap(), &rest[..]), (expected, BEHIND), "{header:?}");
    }
}

#[test]
fn a_header_may_come_in_pieces() {
    for (header, expected) in headers() {
        let whole = [&header[..], BEHIND].concat();
        // Byte by byte, and cut once anywhere in what tells versions and lengths.
        let bytes: Vec<&[u8]> = whole.chunks(1).collect();
        let cuts = (1..header.len().min(64) + 2).map(|at| {
            let (before, after) = whole.split_at(at);
            vec![before, after]
        });
        for pieces in cuts.chain([bytes]) {
            assert_eq!(read_pieces(&pieces), (expected, BEHIND.to_vec()), "{pieces:?}");
        }
    }
}

#[tokio::test]
async fn what_is_no_header_is_malformed() {
    let cut = &v2_of_ipv4(&[])[..20];
    let wrongs: &[&[u8]] = &[
        b"GET / HTTP/1.1\r\n\r\n",
        b"PUT /file HTTP/1.1\r\n\r\n",
        b"5\nhello",
        b"\x89SPU\r\n",
        b"\r\n\r\nGET",
        b"PROXY",
        b"PROXY TCP4 192.0.2.7",
        b"PROXY TCP4 192.0.2.7 10.0.0.1 52114 6542\n",
        b"PROXY TCP4 192.0.2.7 10.0.0.1 52114 6542 \r\n",
        b"PROXY TCP4 192.0.2.7 10.0.0.1 52114 65536\r\n",
        b"PROXY TCP4 192.0.2 10.0.0.1 52114 6542\r\n",
        b"PROXY TCP4 ::1 ::1 52114 6542\r\n",
        b"PROXY UDP4 192.0.2.7 10.0.0.1 52114 6542\r\n",
        b"PROXY UNKNOWN\rmore\n",
        b"PROXY \r\n",
        cut,
        &v2(2, 0x11, &[0; 12]),
        &v2(1, 0x11, &[0; 11]),
        &v2(1, 0x12, &[0; 12]),
        &v2(1, 0x41, &[0; 12]),
        &[v2::PROTOCOL_PREFIX, &[0x11, 0x11, 0, 0]].concat(),
    ];
    for wrong in wrongs {
        let (told, _) = read(wrong).await;
        assert!(matches!(told, Err(HeaderError::Malformed(_))), "{wrong:?}: {told:?}");
    }
}

#[tokio::test]
async fn a_header_that_is_too_long_is_not_waited_for() {
    let endless = [&b"PROXY UNKNOWN "[..], &[b'x'; 200]].concat();
    let announced = v2(1, 0x11, &[0; V2_BYTES_MAX]);
    // Nothing more follows: the length alone is enough.
    for long in [&endless[..], &announced[..PEEK_BYTES]] {
        let (told, _) = read(long).await;
        let words = told.unwrap_err().to_string();
        assert_eq!(words, "the PROXY header is too long");
    }
}

#[tokio::test]
async fn a_connection_without_a_byte_says_nothing() {
    assert_eq!(read(b"").await.0.unwrap(), Told::Nothing);
}
