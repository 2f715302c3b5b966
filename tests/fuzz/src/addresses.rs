//! Addresses, as people write them: where a server listens and a sender connects to, networks, origins and host names.

use std::fmt::Display;
use std::str::FromStr;

use sandport_protocol::Address;
use sandport_protocol::sender::http::HttpUrl;

use crate::of_server::origin::{HostName, Origin};
use crate::of_server::range::PeerRange;

pub(crate) const WORDS: &[&[u8]] = &[
    b"sandport://",
    b"http://",
    b"https://",
    b"unix:",
    b"[",
    b"]",
    b"::1",
    b"%eth0",
    b"/8",
    b":65536",
    b"@",
    b"::ffff:10.0.0.1",
    b"%2F",
];

/// What is written of a value is read as the same value. Whether it was one.
fn is_read_as_written<T: FromStr + Display + PartialEq>(text: &str) -> bool {
    let Ok(value) = text.parse::<T>() else { return false };
    let written = value.to_string();
    assert!(
        written.parse::<T>().is_ok_and(|again| again == value),
        "{text:?} is written {written:?}"
    );
    true
}

pub(crate) fn run(data: &[u8]) {
    let Ok(text) = std::str::from_utf8(data) else { return };
    is_read_as_written::<Address>(text);
    is_read_as_written::<PeerRange>(text);
    is_read_as_written::<Origin>(text);
    if let Ok(url) = text.parse::<HttpUrl>() {
        is_read_as_written::<HttpUrl>(text);
        // It stands in the first line of a request and in `Host`.
        let is_plain = |text: &str| text.bytes().all(|byte| byte.is_ascii_graphic());
        let written = url.to_string();
        let (_, path) = written.split_at(written.len().min("http://".len()));
        assert!(is_plain(path), "{written:?}");
        assert!(is_plain(&url.authority()) && !url.host().is_empty());
    }
    if let Ok(name) = text.parse::<HostName>() {
        assert_eq!(name.as_str(), text.to_ascii_lowercase());
        assert!(format!("https://{}", name.as_str()).parse::<Origin>().is_ok());
    }
}

pub(crate) fn seeds() -> Vec<Vec<u8>> {
    let texts = [
        "localhost",
        "files.example:80",
        "127.0.0.1:0",
        "[2001:db8::7]:6542",
        "fe80::1%eth0",
        "[fe80::1%3]:1",
        "unix:/run/sandport.sock",
        "sandport://files.example:6542/",
        "me@files.example:dir/file",
        "10.0.0.0/8",
        "2001:db8::/32",
        "::ffff:192.0.2.7",
        "unix",
        "https://files.example:8443",
        "HTTP://Files.Example:80/",
        "http://[::1]:8080/dir/%C3%BC",
        "http://files.example/a b",
        "xn--bcher-kva.example",
    ];
    texts.map(|text| text.as_bytes().to_vec()).to_vec()
}
