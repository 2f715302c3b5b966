//! What proxies put before a connection: the PROXY protocol.

use crate::cutting::pieces;
use crate::of_server::header::{Told, V2_BYTES_MAX, belonging, is_whole, understood};

/// The first bytes of version 2.
const V2: &[u8] = b"\r\n\r\n\0\r\nQUIT\n";

pub(crate) const WORDS: &[&[u8]] = &[
    b"PROXY ",
    b"TCP4 ",
    b"TCP6 ",
    b"UNKNOWN",
    b"\r\n",
    b"192.0.2.7 ",
    b"2001:db8::7 ",
    b" 65535",
    V2,
    b"\x21\x11\x00\x0c",
    b"\x21\x21\x00\x24",
    b"\x20\x00\x00\x00",
];

/// What a header says, whose bytes come in pieces; and what is left behind it. `None`: it is not whole.
fn read(pieces: &[Vec<u8>]) -> (Option<Result<Told, &'static str>>, Vec<u8>) {
    let (mut header, mut rest) = (vec![], vec![]);
    let mut refused = None;
    for piece in pieces {
        let mut next = piece.as_slice();
        while !next.is_empty() && refused.is_none() && !is_whole(&header) {
            match belonging(&header, next) {
                Ok(own) => {
                    assert!((1..=next.len()).contains(&own), "{own} of {}", next.len());
                    let (taken, later) = next.split_at(own);
                    header.extend_from_slice(taken);
                    next = later;
                }
                Err(words) => refused = Some(words),
            }
        }
        rest.extend_from_slice(next);
    }
    assert!(header.len() <= V2_BYTES_MAX, "more than a header is kept");
    match refused {
        Some(words) => (Some(Err(words)), vec![]),
        None if is_whole(&header) => (Some(understood(&header)), rest),
        None => (None, rest),
    }
}

pub(crate) fn run(data: &[u8]) {
    let (whole, rest) = read(&[data.to_vec()]);
    let (cut, rest_of_cut) = read(&pieces(data));
    match (&whole, &cut) {
        (Some(Ok(_)), _) | (_, Some(Ok(_))) => {
            assert_eq!((&cut, rest_of_cut), (&whole, rest.clone()));
            assert!(data.ends_with(&rest), "what follows is the sender's");
        }
        // Something that is none is found out sooner or later.
        (Some(Err(_)) | None, Some(Err(_)) | None) => {}
    }
    if let Some(Ok(Told::From(address))) = whole {
        // The same again, as version 1 has it.
        let family = if address.is_ipv4() { "TCP4" } else { "TCP6" };
        let (ip, port) = (address.ip(), address.port());
        let line = format!("PROXY {family} {ip} {ip} {port} 1\r\n");
        assert_eq!(read(&[line.into_bytes()]).0, Some(Ok(Told::From(address))));
    }
}

pub(crate) fn seeds() -> Vec<Vec<u8>> {
    let v2 = |command: u8, family: u8, rest: &[u8]| {
        let length = u16::try_from(rest.len()).unwrap().to_be_bytes();
        [V2, &[0x20 | command, family], &length, rest, b"PUT / HTTP/1.1"].concat()
    };
    let of_v4 = [192, 0, 2, 7, 10, 0, 0, 1, 0xcb, 0x92, 0x19, 0x8e];
    let texts: [&[u8]; 6] = [
        b"PROXY TCP4 192.0.2.7 10.0.0.1 52114 6542\r\n5\nhello",
        b"PROXY TCP6 2001:db8::7 ::1 52114 6542\r\n",
        b"PROXY UNKNOWN\r\nx",
        b"PROXY UNKNOWN ffff::1 ffff::2 65535 65535\r\n",
        b"PROXY TCP4 192.0.2 10.0.0.1 52114 6542\r\n",
        b"PROXY UNKNOWN\rmore\n",
    ];
    let mut seeds = texts.map(<[u8]>::to_vec).to_vec();
    seeds.extend([
        v2(1, 0x11, &of_v4),
        v2(1, 0x11, &[&of_v4[..], &[0x20, 0, 5], &[7; 5]].concat()),
        v2(1, 0x21, &[7; 36]),
        v2(0, 0, &[]),
        v2(1, 0x31, &[0; 216]),
        v2(1, 0x12, &[0; 12]),
        v2(1, 0x11, &of_v4)[..20].to_vec(),
    ]);
    seeds
}
